/* Shapes in masks: connected components, the boxes around them, and how much of each block of
 * pixels a mask covers. Masks are bytes, rows without gaps; above zero is inside. */
#ifndef DETECTORS_PARTS_MASK_SHAPES_H
#define DETECTORS_PARTS_MASK_SHAPES_H

#include "imiad/common.h"

typedef struct mask_component {
    int64_t pixels;
    double centre[2];        /* x, y: the mean of its pixels */
    int32_t low[2], high[2]; /* of x and y, both included */
} mask_component;

typedef struct mask_components {
    int32_t width, height;
    int32_t *numbers;           /* of each pixel: 0 outside, or 1 + the place of its component */
    mask_component *components; /* in the order of their first pixels */
    int32_t count;
} mask_components;

/* Components of pixels that touch by sides or corners. */
imiad_status mask_components_find(mask_components *out, const uint8_t *mask, int32_t width,
                                  int32_t height);
void mask_components_free(mask_components *c);
/* Pixels of the smallest one; 0 where there is none. */
int64_t mask_components_smallest(const mask_components *c);

typedef enum box_kind {
    BOX_UPRIGHT, /* of every component */
    BOX_ROTATED  /* the smallest rectangle at any angle, of components of more than 10 pixels */
} box_kind;

/* Fills the boxes of a mask with 255 and sets the rest to 0. A pixel belongs to a rotated box that
 * its centre lies in. */
imiad_status mask_to_boxes(uint8_t *mask, int32_t width, int32_t height, box_kind kind);

/* out: the share of each of rows x columns blocks that is inside, as adaptive average pooling cuts
 * them. */
void mask_block_shares(float *out, const uint8_t *mask, int32_t width, int32_t height, int64_t rows,
                       int64_t columns);

#endif
