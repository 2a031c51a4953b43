/* Points and the centres that stand for them. */
#ifndef DETECTORS_PARTS_K_MEANS_H
#define DETECTORS_PARTS_K_MEANS_H

#include "base/progress.h"
#include "bridge/tensor.h"

/* The k nearest centres of every point by Euclidean distance, nearest first: points x k, I64, into
 * the innermost scope; no gradients. Distances come from a matrix product in float32: centres that
 * are equally far up to its rounding may change places. Points and centres have a row each, on one
 * device; there must be k centres. */
tensor *nearest_centres(tensor *centres, tensor *points, int64_t k);

/* Replaces `count` points by `clusters` centres, at least one and at most count: begins as
 * k-means++ (Arthur, Vassilvitskii: SODA 2007) with numbers from the stream, then takes Lloyd's
 * steps until no point changes its centre, at most 3000. A centre that loses all its points stays
 * where it is. Rows of `dimension` floats, on the host. */
imiad_status k_means(float *centres, int64_t clusters, const float *points, int64_t count,
                     int64_t dimension, uint64_t seed, const char *purpose, const progress *p);

#endif
