/* Scores of square crops of an image, spread over its pixels. */
#ifndef DETECTORS_PARTS_CROP_SCORES_H
#define DETECTORS_PARTS_CROP_SCORES_H

#include "bridge/tensor.h"

/* How many crops of `side` pixels, `stride` apart, lie along that many pixels. */
int64_t crops_along(int64_t pixels, int64_t side, int64_t stride);

/* images x rows x columns of crops' scores to images x height x width: a pixel takes the mean of
 * the crops that hold it, weighted by a Gaussian around each one's middle whose deviation is an
 * eighth of the side. Pixels beyond the last crop take their neighbours' values. */
tensor *crop_scores_spread(tensor *scores, int64_t side, int64_t stride, int64_t height,
                           int64_t width);

#endif
