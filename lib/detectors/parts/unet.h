/* A U-Net: down by halves, up again by transposed convolutions, and what a level saw on the way
 * down beside what comes up. Ronneberger, Fischer, Brox: MICCAI 2015; padded, so that its output
 * has its input's size. */
#ifndef DETECTORS_PARTS_UNET_H
#define DETECTORS_PARTS_UNET_H

#include "nn/modules.h"

enum { UNET_LEVELS = 5, UNET_MULTIPLE = 16 /* of its input's sides */, UNET_WIDTH = 64 };

typedef struct unet_block {
    conv2d first, second;
} unet_block;

typedef struct unet {
    unet_block down[UNET_LEVELS], up[UNET_LEVELS - 1];
    conv2d enlarge[UNET_LEVELS - 1]; /* the deepest first, as `up` */
    conv2d last;
} unet;

/* `width` channels in the first level, twice as many in every next one. Parameters have the names
 * of the public code (jvanvugt): "down_path.0.block.0.weight". */
unet unet_add(const builder *b, int64_t inputs, int64_t width, int64_t outputs);
tensor *unet_run(const unet *u, tensor *x);

#endif
