/* Deviation networks: scores that lie near a Gaussian prior's mean for normal images and at least a
 * margin of its deviations above it for anomalous ones. Pang, Shen, van den Hengel: "Deep Anomaly
 * Detection with Deviation Networks", KDD 2019; with the largest patches of an image, Pang, Ding,
 * Shen, van den Hengel: arXiv 2108.00462. */
#ifndef DETECTORS_PARTS_DEVIATION_H
#define DETECTORS_PARTS_DEVIATION_H

#include "bridge/tensor.h"

/* Of a sample of the prior. */
typedef struct deviation_prior {
    double mean, deviation; /* the unbiased one */
} deviation_prior;

/* Of at least two numbers; failures stick. */
deviation_prior deviation_prior_of(tensor *numbers);
/* Of `count` numbers from N(0, 1), by the stream of that seed and purpose. */
deviation_prior deviation_prior_draw(int64_t count, uint64_t seed, const char *purpose);

/* The mean over n images of |d| where `anomalous` (n, 0 or 1) is 0 and max(0, margin - d) where it
 * is 1; d = (score - mean) / deviation. A mean over no image is 0. */
tensor *deviation_loss(tensor *scores, tensor *anomalous, const deviation_prior *prior,
                       double margin);

/* n x 1 x h x w patch scores to n: the mean of the largest magnitudes, that share of the patches
 * rounded down, at least one. Of equal ones the first in the order of rows count. share 0: the mean
 * of all scores with their signs. */
tensor *deviation_top_mean(tensor *patches, double share);

/* Images n x 3 x h x w at a scale: 0 as they are, s every 2^s-th pixel of them. */
tensor *deviation_scaled(tensor *images, int scale);

#endif
