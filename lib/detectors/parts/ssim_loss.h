/* How unlike two images are, to be made smaller. Wang, Bovik, Sheikh, Simoncelli: "Image Quality
 * Assessment: From Error Visibility to Structural Similarity", IEEE Transactions on Image
 * Processing 13(4), 2004. */
#ifndef DETECTORS_PARTS_SSIM_LOSS_H
#define DETECTORS_PARTS_SSIM_LOSS_H

#include "bridge/tensor.h"

/* 1 - SSIM, averaged over all pixels: n x 3 x height x width, windows of 11 x 11 pixels with zeros
 * beyond the border, as in DRAEM's code. The range of values is 1; 255 where `a` exceeds 128, and
 * one more where it falls below -0.5. */
tensor *ssim_loss(tensor *a, tensor *b);

#endif
