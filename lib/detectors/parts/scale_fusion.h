/* Three maps, each half as large as the one before, exchange what they know: every one gets the
 * other two at its own size and its own number of channels. Of PRN (Zhang, Wu, Wang, Chen, Jiang:
 * CVPR 2023), after HRNet. */
#ifndef DETECTORS_PARTS_SCALE_FUSION_H
#define DETECTORS_PARTS_SCALE_FUSION_H

#include "nn/modules.h"

enum { FUSED_MAPS = 3 };

typedef struct scale_fusion {
    conv2d paths[FUSED_MAPS][FUSED_MAPS]; /* from, to; none from a map to itself */
} scale_fusion;

/* Under the public code's names: l2_to_l1.conv, l1_to_l2, ... */
scale_fusion scale_fusion_add(const builder *b, const char *name,
                              const int64_t channels[FUSED_MAPS]);
void scale_fusion_run(const scale_fusion *f, tensor *const maps[FUSED_MAPS],
                      tensor *out[FUSED_MAPS]);

#endif
