/* The loop that trains: what every trained detector shares. A detector says what is learned (stores
 * of parameters, optimisers), what a frozen network contributes, and what the loss of a batch is;
 * the loop does epochs in shuffled order, backward, clipping, optimiser steps, progress,
 * cancellation, checkpoints and the loss log. docs/training.md walks through it.
 *
 *     static const training_ops learning = {.frozen = teach, .pixels = true, .loss = loss};
 *
 *     static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
 *     {
 *         TRY(begin(self));           // training_clear, training_store, training_optimizer
 *         return training_fit(self, normals, p);
 *     }
 *
 * Everything random comes from streams named by detector, epoch and step, and frozen features are
 * computed in groups of one size: a run that was killed and resumed, or that has another budget for
 * caching, takes the same steps. */
#ifndef DETECTORS_TRAINING_TRAINING_H
#define DETECTORS_TRAINING_TRAINING_H

#include "detectors/algorithm.h"
#include "nn/optimizer.h"

/* The options of the loop, for detector_ops.family_options; a detector's own table gives those
 * another default that need one: {"epochs", .default_value = "200"}. */
extern const option_spec training_options[];

enum { TRAINING_STORES = 4, TRAINING_OPTIMIZERS = 8, FROZEN_TENSORS = 8, TRAINING_TURNS = 4 };

/* What one step, or one look at some images, is about; tensors of the current scope. */
typedef struct train_step {
    int64_t count;
    const size_t *images;    /* their places in the train set */
    batch pixels;            /* .images is NULL where the detector did not ask for pixels */
    tensor *const *frozen;   /* training_ops.frozen's, the images along dimension 0 */
    int64_t epoch, epochs;   /* epoch 0 is the first */
    int64_t index;           /* of the step, from the first of all epochs */
    const train_image *told; /* what is known of each image, whether its pixels are read or not */
    /* As in `batch`; with TAKES_MASKS, and with training.maker. */
    tensor *masks;
    tensor *const *made;
    int turn; /* which of the step's losses, from 0 */
    /* With training_ops.mirrors: how each image is mirrored, train_mirror; NULL without. */
    const uint8_t *mirrored;
} train_step;

/* Ways to see an image, which `draw` may ask for with training_ops.mirrors. */
enum train_mirror {
    MIRROR_DOWN = 1, /* top and bottom exchanged */
    MIRROR_ACROSS,   /* left and right exchanged */
    MIRROR_BOTH,     /* both: turned by 180 degrees */
    TRAIN_MIRRORS    /* with the image as it is */
};

/* What a detector that draws its own batches is asked for. */
typedef struct train_plan {
    int64_t steps; /* an epoch; as passes over the images would take, or what `plan` sets */
    int64_t batch; /* images in a step, at most MOST_BATCH; the option train_batch, or what `plan`
                      sets */
    int64_t rest;  /* images in an epoch's last step; 0: as many as in the others */
    const size_t *images; /* those that train: not the held-out ones */
    size_t count;
    const train_set *set; /* train_set_image says what each is */
    int64_t epoch;        /* that is drawn, from 0 */
} train_plan;

typedef struct training_ops {
    /* Of a frozen network: training.frozen_count float32 tensors whose first dimension is the
     * batch's. Computed once for each image as far as the cache allows. NULL: none. A result must
     * not depend on the other images of the batch. */
    void (*frozen)(imiad_detector *self, const batch *b, tensor **out);
    bool pixels; /* whether loss and validate look at step->pixels */
    /* The loss, a scalar tensor, in a scope that records gradients. NULL leaves the turn out. */
    tensor *(*loss)(imiad_detector *self, const train_step *step);
    /* The learning rate of a step that the schedule makes of an optimiser's own; NULL: that one.
     * `steps` counts all epochs. nn/schedule.h. A rule's own schedule replaces it. */
    double (*rate)(const imiad_detector *self, double rate, const train_step *step, int64_t steps);
    /* The mean over the held-out images of a step of what is to be smallest, a scalar tensor; for
     * detectors that hold images out (training.held_out). */
    tensor *(*validate)(imiad_detector *self, const train_step *step);
    /* Losses of a step, one after the other: `loss` is asked for each by step->turn, and it goes
     * down the optimisers of that turn alone (training_rule.turn). 0 stands for 1. */
    int turns;
    /* Batches of the detector's own, instead of passes over the images in shuffled order: `draw`
     * fills plan->steps x plan->batch places of an epoch (fewer with plan->rest) from its stream,
     * DETECTOR/draw/EPOCH, and training.counts, and nothing else (training_draw_... below); `plan`
     * changes steps and batch first, or is NULL. */
    imiad_status (*plan)(imiad_detector *self, train_plan *plan);
    imiad_status (*draw)(imiad_detector *self, const train_plan *plan, random_stream *stream,
                         size_t *out);
    /* `draw` may ask for defective images mirrored: place + train_mirror x train_set_count. Their
     * pixels and masks come mirrored, their frozen features are kept as those of other images;
     * batch.pixels and what was made do not know of it. */
    bool mirrors;
    /* Between clipping and the optimisers' steps, where gradients are looked at. What it changes
     * must lie in the stores. */
    void (*clipped)(imiad_detector *self, const train_step *step);
    /* After a step's optimisers, in a scope without gradients: centres, a momentum teacher. What it
     * changes must lie in the stores. */
    void (*after)(imiad_detector *self, const train_step *step);
} training_ops;

/* So many images of a label, from an endless shuffled row of their own. */
typedef struct draw_part {
    int32_t label; /* 1 defective, 0 good */
    int64_t count; /* in each batch */
} draw_part;
/* Batches of these parts, one after the other; their counts add up to plan->batch, and there is an
 * image of every part's label. */
imiad_status training_draw_parts(const train_plan *plan, const draw_part *parts, size_t count,
                                 random_stream *stream, size_t *out);
/* First defect-free, then defective images, half of each batch each (of an odd one more of the
 * good): endless shuffled rows of either. All of one kind where there is no other. */
imiad_status training_draw_balanced(const train_plan *plan, random_stream *stream, size_t *out);
/* Each alike likely, with replacement. */
imiad_status training_draw_replaced(const train_plan *plan, random_stream *stream, size_t *out);
/* Two by two different images of one category (the same twice where it has one image). */
imiad_status training_draw_pairs(const train_plan *plan, random_stream *stream, size_t *out);

typedef struct training_store_entry {
    char name[32];
    params *parameters;
    double decay; /* of its moving average; 0: none */
    params
        *average; /* with a decay, from the first step on; the rest of what was said of it there */
} training_store_entry;

typedef double (*training_schedule)(const imiad_detector *self, double rate, const train_step *step,
                                    int64_t steps);

typedef struct training_rule {
    char name[32];
    char prefix[64];
    int store;
    optimizer_options options;
    double rate;
    optimizer *optimizer; /* NULL until the first step */
    /* What training_optimizer's caller may set. */
    training_schedule schedule; /* as training_ops.rate, for this rule; NULL: that one */
    double clip; /* largest norm of its gradients; 0: the option gradient_clip, over whole stores */
    int turn;    /* of the losses it goes down */
} training_rule;

/* The first member of a trained detector's state: what takes the detector finds it there. */
typedef struct training {
    imiad_detector *detector;
    const training_ops *ops;
    int frozen_count; /* at most FROZEN_TENSORS */
    training_store_entry stores[TRAINING_STORES];
    int store_count;
    training_rule rules[TRAINING_OPTIMIZERS];
    int rule_count;
    /* Share of the images that train nothing: after every epoch ops->validate looks at them, and
     * the parameters of the epoch with the smallest mean stay. 0: none, the last epoch's stay. */
    double held_out;
    double *losses; /* mean over the steps of each epoch, the turns of one side by side; of all
                     * tasks since training_clear */
    size_t losses_count;
    size_t tasks; /* finished */
    /* What the detector's draws remember of earlier epochs, in memory of the detector, which sets
     * both before the first one; checkpoints carry it. */
    int64_t *counts;
    size_t counts_count;
    /* What the detector makes of each image it trains with (step->made); NULL: nothing. */
    const train_maker *maker;
    bool averaged;    /* stores hold their averages, those hold what was learned last */
    char threads[64]; /* it was trained with: "2", or "2,1" where it went on with one */
} training;

/* In create; then set frozen_count and, where wanted, held_out and maker. */
void training_begin(imiad_detector *self, const training_ops *ops);
/* Forgets stores, optimisers and losses: at the beginning of fit, and in destroy. */
void training_clear(training *t);

/* A new empty store that belongs to the training; its tensors are saved as NAME.PARAMETER. Buffers
 * in it (running statistics, centres) travel with it. */
imiad_status training_store(params **out, training *t, const char *name);
/* An optimiser of the parameters of that store whose names begin with the prefix (NULL: all), made
 * at the first step, when the store must be complete. Its name is that of its state in checkpoints.
 * `rate` is before ops->rate. */
training_rule *training_optimizer(training *t, const char *name, const char *store_name,
                                  const char *prefix, const optimizer_options *options,
                                  double rate);
/* Keeps a moving average of a store, average = decay average + (1 - decay) parameter after every
 * step of its optimisers; buffers are copied. It begins as the parameters before the first step.
 * Held-out images are judged by it, and after training the store holds it, which is saved and
 * scores; training_fit_more goes on from what was learned last. */
void training_average(training *t, const char *store_name, double decay);

/* ---- running ---- */

/* All epochs. IMIAD_NOT_FINITE, with epoch and step, where the loss is NaN or infinite;
 * IMIAD_CANCELLED between steps. */
imiad_status training_fit(imiad_detector *self, train_set *images, const progress *p);
/* The same from the present parameters and optimiser states; after a failure both are what they
 * were. As detector_ops.fit_more. */
imiad_status training_fit_more(imiad_detector *self, train_set *images, const progress *p);
/* For detectors that learn more than parameters of it: whatever `learn` did to parameters and
 * optimiser states is undone where it fails. The rest of the state `learn` changes last. */
imiad_status training_go_on(imiad_detector *self, train_set *images, const progress *p,
                            imiad_status (*learn)(imiad_detector *self, train_set *images,
                                                  const progress *p));

/* For detectors that look at all images before the first step (CFA's centres): between opening and
 * running. visit is called for batches in the train set's order, in a scope without gradients;
 * failures of tensors stick. Frozen features are cached by then. */
typedef struct training_run training_run;
imiad_status training_open(training_run **out, imiad_detector *self, train_set *images,
                           const progress *p);
imiad_status training_visit(training_run *run,
                            void (*visit)(imiad_detector *self, const train_step *step,
                                          void *context),
                            void *context);
imiad_status training_steps(training_run *run);
void training_close(training_run *run);

/* ---- for the detector's file ---- */

/* Every store as NAME.PARAMETER; in the caller's scope, as params_save. Optimisers are not saved: a
 * loaded detector that learns another task begins them anew. As detector_ops.save. */
imiad_status training_save(const imiad_detector *self, weights_writer *writer);
/* What only another task needs, beside it: the optimisers' states, and what was learned last where
 * a store holds its average. training_load takes it where it is there. */
imiad_status training_save_learning(const imiad_detector *self, weights_writer *writer);
/* Into stores that hold the same names and shapes. IMIAD_FORMAT names what does not fit. */
imiad_status training_load(imiad_detector *self, const weights *file);

/* "stpm/noise/17": the purpose of a random stream for one step. */
void training_purpose(char out[96], const imiad_detector *self, const char *what,
                      const train_step *step);

#endif
