/* Where an image's score comes from: how much it would change with each pixel. */
#ifndef DETECTORS_PARTS_GRADIENT_MAP_H
#define DETECTORS_PARTS_GRADIENT_MAP_H

#include "detectors/algorithm.h"

/* n x height x width: the sum over the channels of |d score / d pixel|. `found`, n, must come from
 * `images`, n x channels x height x width, a leaf that asks for gradients, and each from its own
 * image alone. Parameters on the way get no gradient. In a scope that records gradients. */
tensor *gradient_map_find(tensor *found, tensor *images);

/* Each map from its minimum to its 99th percentile (NumPy's linear one) onto 0 to 1, cut off there;
 * a map whose percentile is 0 stays. */
tensor *gradient_map_scale(tensor *maps);

/* The choices of an option `localization`. */
#define LOCALIZATIONS "none|gradient|gradient_raw"
typedef enum localization {
    LOCALIZE_NONE,
    LOCALIZE_GRADIENT, /* scaled */
    LOCALIZE_RAW
} localization;
localization localization_of(const option_set *options);

/* Image scores by `judge` (images to n scores) and, unless there are none, their maps. As
 * detector_ops.score. */
void gradient_map_score(imiad_detector *self, const batch *b, localization kind,
                        tensor *(*judge)(imiad_detector *self, tensor *images), scores *out);

#endif
