/* Maps that stand for all normal ones, and what an image's map has beyond the nearest of them. Of
 * PRN (Zhang, Wu, Wang, Chen, Jiang: CVPR 2023). Maps are n x channels x height x width. */
#ifndef DETECTORS_PARTS_PROTOTYPES_H
#define DETECTORS_PARTS_PROTOTYPES_H

#include "bridge/tensor.h"

/* Of each map the prototype at the smallest Euclidean distance over the whole of it, the first of
 * those that are equally far: n, I64. No gradients. */
tensor *nearest_prototypes(tensor *prototypes, tensor *maps);
/* (map - nearest prototype)^2, element by element. No gradients. */
tensor *prototype_residuals(tensor *prototypes, tensor *maps);

#endif
