/* What the focal losses of segmentation networks are made of. Lin, Goyal, Girshick, He, Dollar:
 * "Focal Loss for Dense Object Detection", ICCV 2017. */
#ifndef DETECTORS_PARTS_FOCAL_H
#define DETECTORS_PARTS_FOCAL_H

#include "bridge/tensor.h"

/* The probability of what is true at every pixel, n x height x width, in 2e-5..1: its logarithm is
 * finite. `probabilities`: n x 2 x height x width, whole and damaged; `mask`: n x 1 x height x
 * width, 1 where damaged. Truths are 1e-5 and 1 - 1e-5 instead of 0 and 1, and 1e-5 is added, as in
 * the codes of DRAEM and PRN. */
tensor *probability_of_truth(tensor *probabilities, tensor *mask);

#endif
