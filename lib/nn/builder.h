/* Where the parameters of a network go, and how they begin. */
#ifndef NN_BUILDER_H
#define NN_BUILDER_H

#include "nn/init.h"
#include "nn/params.h"

typedef struct builder {
    params *store;
    device device;
    const char *prefix; /* in front of every name in the store, with its dot; NULL: none */
    char path[128];     /* of the module that is being built: "decoder.layer1"; "": the root */
    uint64_t seed;
    /* First values come from the stream PURPOSE + PATH + "." + name of the parameter; NULL leaves
     * weights and biases 0, for a file to fill in. */
    const char *purpose;
    bool short_streams; /* a weight's stream is PURPOSE + PATH, without ".weight" */
    initialisation weights, biases;
    double std;  /* of INIT_NORMAL and INIT_TRUNC_NORMAL; 0 stands for 0.02 */
    double most; /* of INIT_TRUNC_NORMAL: where it is cut off; 0 stands for 2 */
} builder;

/* The same builder one module further down: "layer%d". */
builder builder_below(const builder *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A parameter of its own: a class token, position codes. INIT_DEFAULT is 1 / sqrt(fan_in)'s uniform
 * and needs two dimensions. */
tensor *parameter_add(const builder *b, const char *name, int rank, const int64_t *shape,
                      initialisation how);
/* A buffer: it moves and is saved with the others, and is never trained. */
tensor *buffer_add(const builder *b, const char *name, int rank, const int64_t *shape,
                   double value);

/* The weight and the bias of the module that the builder stands at, begun as the builder says. */
tensor *weight_add(const builder *b, int rank, const int64_t *shape);
tensor *bias_add(const builder *b, int64_t count, const tensor *weight);

#endif
