/* Residual blocks that double the sides of their input, or halve them, as in the public codes of
 * WGAN-GP: Gulrajani et al., NeurIPS 2017. */
#ifndef DETECTORS_PARTS_RESAMPLING_BLOCK_H
#define DETECTORS_PARTS_RESAMPLING_BLOCK_H

#include "nn/modules.h"

/* Norm, ReLU, doubled, 3x3, norm, ReLU, 3x3; the shortcut is 1x1 and doubled. Its batch norms never
 * take a batch's statistics. */
typedef struct up_block {
    batch_norm norms[2];
    conv2d convs[2], shortcut;
} up_block;

/* Norm, ReLU, 3x3, norm, ReLU, 3x3, halved by means of 2x2; the shortcut is halved and 1x1. Its
 * layer norms have a scale and a shift for every position. */
typedef struct down_block {
    layer_norm norms[2];
    conv2d convs[2], shortcut;
} down_block;

/* Named bn1, bn2, conv_1, conv_2 and conv_shortcut, each convolution with the ".conv"s of the
 * public code. */
up_block up_block_add(const builder *b, const char *name, int64_t inputs, int64_t outputs);
tensor *up_block_run(const up_block *u, tensor *x);
/* For inputs of side x side positions, an even number. */
down_block down_block_add(const builder *b, const char *name, int64_t inputs, int64_t outputs,
                          int64_t side);
tensor *down_block_run(const down_block *d, tensor *x);

/* A convolution of an odd kernel that keeps the sides, but for its stride. */
conv2d sided_conv(const builder *b, const char *name, int64_t inputs, int64_t outputs, int kernel,
                  int stride, bool bias);
tensor *double_sides(tensor *x); /* every position four times */

#endif
