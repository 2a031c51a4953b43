/* Optimisers over a parameter store: the formulas of torch.optim, step for step. Their state is a
 * store of its own, so that saving and loading it resumes exactly. */
#ifndef NN_OPTIMIZER_H
#define NN_OPTIMIZER_H

#include "nn/params.h"

typedef enum optimizer_kind {
    OPTIMIZER_SGD = 1,
    OPTIMIZER_ADAM,  /* weight decay is added to the gradient */
    OPTIMIZER_ADAMW, /* weight decay shrinks the parameters: Loshchilov and Hutter, ICLR 2019 */
    /* AdamW whose rate for a tensor is divided by the root mean square of gradient / denominator
     * where that exceeds 1, as Dinomaly's code has it; after Wortsman et al., NeurIPS 2023 */
    OPTIMIZER_STABLE_ADAMW
} optimizer_kind;

typedef struct optimizer_options {
    optimizer_kind kind;
    double weight_decay;
    double momentum; /* SGD; dampening is 0 */
    bool nesterov;
    double beta1, beta2, eps; /* of the Adams; 0 stands for 0.9, 0.999, 1e-8 */
    bool amsgrad;             /* Reddi, Kale, Kumar: ICLR 2018 */
} optimizer_options;

typedef struct optimizer optimizer;

/* For the parameters that are trainable now and whose names begin with the prefix (NULL: all). The
 * store must outlive the optimiser. IMIAD_OUT_OF_RANGE for options that make no sense. */
imiad_status optimizer_create(optimizer **out, params *p, const char *prefix,
                              const optimizer_options *options);
void optimizer_free(optimizer *o);

/* One step down the gradients that backward left; parameters without one stay, as in PyTorch. Needs
 * an open scope; a failure sticks. */
void optimizer_step(optimizer *o, double learning_rate);
void optimizer_zero_grad(optimizer *o);
/* params_clip_grad of the optimiser's own parameters. */
double optimizer_clip_grad(optimizer *o, double most);

/* Momenta by the parameters' names, and the count of steps; for params_save and params_load. */
params *optimizer_state(optimizer *o);

#endif
