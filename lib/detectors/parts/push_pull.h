/* BGAD's losses over the log-likelihoods of patches (Yao, Li, Zhang, Sun, Zhang: CVPR 2023): normal
 * patches are made likely; those below an explicit boundary are pulled above it and defective ones
 * pushed below another, a margin lower. */
#ifndef DETECTORS_PARTS_PUSH_PULL_H
#define DETECTORS_PARTS_PUSH_PULL_H

#include "bridge/tensor.h"

typedef struct push_pull {
    double beta;       /* the boundary's place among the normal patches, from the least likely */
    double margin;     /* from the boundary down to that of defective patches */
    double normaliser; /* log-likelihoods are divided by it before they are compared */
    double weight;     /* of the two contrastive losses */
    bool focal;        /* patches that are hard count more */
} push_pull;

/* The likelihood loss of normal patches alone, all counting alike. log_likelihood: n. */
tensor *push_pull_likelihood(tensor *log_likelihood);
/* All of the loss: defective is n, float, 1 or 0. A mean over no patch is 0. */
tensor *push_pull_loss(tensor *log_likelihood, tensor *defective, const push_pull *o);

/* n x height x width: the levels' shares added, each 1 - exp(l - m), or m - l with `logarithmic`,
 * upsampled with the corners aligned. log_likelihoods: n x h x w each; m: one number a level, or
 * with `maxima` NULL the largest of the level's. */
tensor *push_pull_map(tensor *const *log_likelihoods, tensor *const *maxima, int levels,
                      int64_t height, int64_t width, bool logarithmic);

#endif
