/* Affine warps of images and feature maps: spatial transformers. Jaderberg, Simonyan, Zisserman,
 * Kavukcuoglu: NIPS 2015. Places are the middles of pixels, from -1 to 1 between the outer edges
 * (as PyTorch's affine_grid and grid_sample with align_corners=False); what lies outside is
 * reflected at the edges. */
#ifndef DETECTORS_PARTS_WARP_H
#define DETECTORS_PARTS_WARP_H

#include "bridge/tensor.h"

/* x' = a x + b y + tx, y' = c x + d y + ty, from a place of the output to one of the input, both
 * sides from -1 to 1; tensors of n x 1, or of 1 x 1. */
typedef struct affine {
    tensor *a, *b, *c, *d, *tx, *ty; /* tx, ty NULL: no shift */
} affine;

/* n x channels x height x width, bilinear. */
tensor *warp(tensor *x, const affine *by);
/* Of one without a shift. A warp onto a line is a failure. */
affine affine_inverse(const affine *m);
/* A turn by an angle in radians and a shift, the same for all images. */
affine affine_constant(device at, double angle, double tx, double ty);

#endif
