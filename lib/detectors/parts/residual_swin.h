/* SemiREST's network: every token of a window, a vector of squared residuals, is embedded, sees the
 * others through four Swin blocks and is judged good or anomalous. Names as in the public code's
 * state dict. */
#ifndef DETECTORS_PARTS_RESIDUAL_SWIN_H
#define DETECTORS_PARTS_RESIDUAL_SWIN_H

#include "nn/modules.h"

enum { RESIDUAL_BLOCKS = 16 };

typedef struct residual_swin_spec {
    int64_t inputs, width; /* of a residual, of the network */
    int heads, blocks;
    int64_t attention, shift; /* side of the windows of attention; of every other block's shift */
    double path_dropout;      /* of the last block; from 0 in even steps */
} residual_swin_spec;

typedef struct residual_swin {
    residual_swin_spec spec;
    conv2d embed;
    layer_norm embedded, norm;
    swin_block blocks[RESIDUAL_BLOCKS];
    linear head;
} residual_swin;

residual_swin residual_swin_add(const builder *b, const residual_swin_spec *spec);
/* Each token alone: ... x inputs to ... x width. */
tensor *residual_swin_embed(const residual_swin *r, tensor *residuals);
/* Windows of embedded tokens, n x (height width) x width: logits, n x (height width) x 2, of good
 * and anomalous. */
tensor *residual_swin_judge(const residual_swin *r, tensor *x, int64_t height, int64_t width,
                            bool training);

#endif
