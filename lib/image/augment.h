/* Augmentation of a finished image (after resize and crop) and its mask: rotation, flips, scaling
 * and the rest, by nearest neighbour, on the same canvas, with zeros where nothing is seen. */
#ifndef IMAGE_AUGMENT_H
#define IMAGE_AUGMENT_H

#include "imiad/image.h"

typedef enum augment_kind {
    AUGMENT_NONE,
    AUGMENT_ROTATION,     /* degrees, counter-clockwise about the centre: Pillow's Image.rotate */
    AUGMENT_ROTATIONS,    /* count, parts: clockwise rotations by i / parts of a turn, one after the
                             other from i = count - 1 down to 0, each resampled */
    AUGMENT_FLIP,         /* horizontal, vertical: 0 or 1 */
    AUGMENT_SCALE,        /* factor about the centre */
    AUGMENT_TRANSLATE,    /* right and down, in widths and heights; moves by whole pixels */
    AUGMENT_COLOR_JITTER, /* brightness, contrast: factors of Pillow's ImageEnhance, applied in this
                             order; a mask stays as it is */
    AUGMENT_PERSPECTIVE,  /* how far the corners move in, each across and down or up, in widths and
                             heights: top left, top right, bottom right, bottom left */
    AUGMENT_KINDS
} augment_kind;

enum { AUGMENT_VALUES = 8, AUGMENT_UNIT = 1000000 };

/* Values are whole millionths, so that text and memory hold the same. */
typedef struct augmentation {
    augment_kind kind;
    int32_t values[AUGMENT_VALUES];
} augmentation;

/* "rotation", of which the augmentations in text are made: "rotation 72". */
extern const char *const augment_names[AUGMENT_KINDS];

int32_t augment_value(double value); /* to the nearest millionth */

enum { AUGMENT_TEXT_BYTES = 128 };
/* "" for none. */
void augment_print(char out[AUGMENT_TEXT_BYTES], const augmentation *a);
/* Errors: IMIAD_FORMAT, IMIAD_OUT_OF_RANGE, saying what is wrong with the text. */
imiad_status augment_parse(augmentation *out, const char *text);

/* Of RGB8 images and of GRAY8 masks; a result of its own also where nothing changes. */
imiad_status augment_image(imiad_image **out, const imiad_image *image, const augmentation *a);
imiad_status augment_mask(imiad_image **out, const imiad_image *mask, const augmentation *a);

#endif
