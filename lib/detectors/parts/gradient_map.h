/* Where an image's score comes from: how much it would change with each pixel. */
#ifndef DETECTORS_PARTS_GRADIENT_MAP_H
#define DETECTORS_PARTS_GRADIENT_MAP_H

#include "bridge/tensor.h"

/* n x height x width: the sum over the channels of |d score / d pixel|. `scores`, n, must come from
 * `images`, n x channels x height x width, a leaf that asks for gradients, and each from its own
 * image alone. Parameters on the way get no gradient. In a scope that records gradients. */
tensor *gradient_map_find(tensor *scores, tensor *images);

/* Each map from its minimum to its 99th percentile (NumPy's linear one) onto 0 to 1, cut off there;
 * a map whose percentile is 0 stays. */
tensor *gradient_map_scale(tensor *maps);

#endif
