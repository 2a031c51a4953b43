/* torchvision's ColorJitter on a Pillow image: brightness, contrast, saturation and hue, each by a
 * drawn amount, in a drawn order. */
#ifndef SYNTHESIS_COLOR_JITTER_H
#define SYNTHESIS_COLOR_JITTER_H

#include "base/random.h"
#include "imiad/image.h"

typedef enum jitter_kind {
    JITTER_BRIGHTNESS,
    JITTER_CONTRAST,
    JITTER_SATURATION,
    JITTER_HUE,
    JITTER_KINDS
} jitter_kind;

typedef struct color_jitter {
    double amounts[JITTER_KINDS]; /* factors; of hue, turns to add */
    jitter_kind order[JITTER_KINDS];
} color_jitter;

/* Factors in 1 - range .. 1 + range, the hue in -range .. range turns. 0 changes nothing. */
color_jitter color_jitter_draw(double range, random_stream *s);
/* Of RGB8, in place. */
void color_jitter_apply(imiad_image *image, const color_jitter *j);
/* One of the four alone. */
void color_change(imiad_image *image, jitter_kind kind, double amount);
/* Grey in three channels alike: torchvision's RandomGrayscale where it strikes. */
void color_drop(imiad_image *image);

#endif
