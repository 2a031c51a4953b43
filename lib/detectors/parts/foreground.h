/* Which patches of an image show the object: the rule of AnomalyDINO (Damm, Laszkiewicz, Lederer,
 * Fischer, WACV 2025) for tokens of DINOv2. */
#ifndef DETECTORS_PARTS_FOREGROUND_H
#define DETECTORS_PARTS_FOREGROUND_H

#include "bridge/tensor.h"

typedef struct foreground_rule {
    double threshold; /* what a token's first principal component has to exceed */
    bool raster;      /* tokens are closed up along the raster alone, as the authors' code does it,
                         and not on the grid */
} foreground_rule;

/* out: height x width. tokens: as many rows of columns, float32, as the network gives them, in the
 * current scope. Where the component exceeds the threshold is the object, or where its negative
 * does if the former is at most 35 % of the middle; then it grows by a token on all sides, and gaps
 * of two close. The component's largest score counts as positive. Failures stick. */
void foreground_find(bool *out, tensor *tokens, int64_t height, int64_t width,
                     const foreground_rule *rule);

/* The parts of it, for tests. The scores of the first principal component, float64, on the CPU. */
tensor *foreground_component(tensor *tokens);
void foreground_of_scores(bool *out, const double *scores, int64_t height, int64_t width,
                          const foreground_rule *rule);

#endif
