/* The segmentation network of PRN (Zhang, Wu, Wang, Chen, Jiang: CVPR 2023), and its loss. Four
 * maps of a frozen backbone, each half as large as the one before; three of them are held against
 * prototypes. Parameters have the names of the public re-implementation. */
#ifndef DETECTORS_PARTS_PRN_NETWORK_H
#define DETECTORS_PARTS_PRN_NETWORK_H

#include "detectors/parts/scale_fusion.h"
#include "detectors/parts/size_attention.h"

enum { PRN_LEVELS = FUSED_MAPS, PRN_MAPS = PRN_LEVELS + 1, PRN_BLOCKS = 8 };

typedef struct prn_shape {
    int64_t channels[PRN_MAPS], heights[PRN_MAPS], widths[PRN_MAPS];
    int64_t side; /* of the input */
    int sizes;    /* of patches that attend */
    int blocks;   /* of attention in a row, at most PRN_BLOCKS */
} prn_shape;

typedef struct prn_network {
    prn_shape shape;
    scale_fusion before, after; /* attention; the one before also fuses the residuals */
    size_attention attention[PRN_LEVELS][PRN_BLOCKS];
    conv_block up[PRN_MAPS];         /* to the level above, the smallest first; to the input last */
    conv_block merge[PRN_LEVELS][2]; /* with that level */
    conv2d out;
} prn_network;

prn_network prn_network_add(const builder *b, const prn_shape *shape);

/* Logits of being defective, n x 1 x side x side. prototypes: of each level, K x channels x height
 * x width. */
tensor *prn_network_run(const prn_network *n, tensor *const features[PRN_MAPS],
                        tensor *const prototypes[PRN_LEVELS], bool training);
/* Its last part: of three maps with twice the backbone's channels, and the smallest one. */
tensor *prn_network_decode(const prn_network *n, tensor *const levels[PRN_LEVELS], tensor *smallest,
                           bool training);

/* Smooth L1, and `focal` times the focal loss with exponent 4 and one half as both classes' weight;
 * masks as the logits, 1 where defective. */
tensor *prn_loss(tensor *logits, tensor *masks, double focal);

#endif
