/* How much an image's worst patch counts by what the bank holds around its nearest row: equation 7
 * of PatchCore (Roth et al., CVPR 2022). */
#ifndef DETECTORS_PARTS_BANK_WEIGHT_H
#define DETECTORS_PARTS_BANK_WEIGHT_H

#include "detectors/parts/patch_memory.h"

enum { MOST_AROUND = 1000 };

/* 1 - exp(|p - m*|) / sum over the `around` rows m nearest to m* of exp(|p - m|), with the largest
 * exponent taken out; `squared`: of squared distances. With one row there is nothing to weigh: 1.
 */
imiad_status bank_weight(double *out, const patch_memory *m, const float *patch, int64_t place,
                         int64_t nearest, float squared_distance, int64_t around, bool squared);

#endif
