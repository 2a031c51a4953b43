/* Structural similarity over five scales: Wang, Simoncelli, Bovik: "Multiscale structural
 * similarity for image quality assessment", Asilomar 2003, as the public pytorch-msssim computes
 * it. */
#ifndef DETECTORS_PARTS_MS_SSIM_H
#define DETECTORS_PARTS_MS_SSIM_H

#include "bridge/tensor.h"

enum { MS_SSIM_SCALES = 5, MS_SSIM_WINDOW = 11 };

/* How many scales images have whose smaller side is `side`: all five from 161 pixels on, none below
 * the window. Fewer scales share the weights of the first ones, made to sum to 1. */
int ms_ssim_scales(int64_t side);
double ms_ssim_weight(int scale, int scales);

/* Of equally large images n x channels x height x width: n x channels, 1 where they are equal.
 * `range` is between the least and the largest value. Where a scale has nothing in common the
 * result is 0, and so is the gradient through that scale. maps: the similarity of each scale, n x
 * channels x its positions, smaller than the images; NULL: not wanted. Failures stick; in a scope
 * that records gradients it is recorded. */
tensor *ms_ssim(tensor *a, tensor *b, double range, tensor *maps[MS_SSIM_SCALES]);

#endif
