/* The ten operations of imgaug 0.4 that DRAEM changes its textures with, on 8-bit pixels. What they
 * draw and what they do are apart: an operation is a kind and its values. */
#ifndef SYNTHESIS_AUGMENTERS_H
#define SYNTHESIS_AUGMENTERS_H

#include "base/random.h"
#include "imiad/image.h"

typedef enum augmenter_kind {
    AUGMENTER_GAMMA,          /* red, green, blue: exponents */
    AUGMENTER_BRIGHTNESS,     /* color_space, factor, summand, 1: the summand comes first */
    AUGMENTER_SHARPNESS,      /* 0: smoothed, 1: as it is, more: sharper */
    AUGMENTER_HUE_SATURATION, /* added to both; 255 is half a turn of hue */
    AUGMENTER_SOLARIZE,       /* values from here on are inverted; 256: none */
    AUGMENTER_POSTERIZE,      /* bits that are kept */
    AUGMENTER_INVERT,
    AUGMENTER_AUTOCONTRAST, /* per cent cut off at both ends */
    AUGMENTER_EQUALIZE,
    AUGMENTER_ROTATE, /* degrees, as warp_rotate */
    AUGMENTER_KINDS
} augmenter_kind;

extern const char *const augmenter_names[AUGMENTER_KINDS];

typedef struct augmenter {
    augmenter_kind kind;
    double values[4];
} augmenter;

/* Values in the ranges that DRAEM gives imgaug, or else imgaug's own. */
augmenter augmenter_draw(augmenter_kind kind, random_stream *s);
/* Puts the changed image in the place of an RGB8 one. */
imiad_status augmenter_apply(imiad_image **image, const augmenter *a);

/* `count` different ones, in a drawn order. */
void augmenters_choose(augmenter_kind *out, int count, random_stream *s);
/* One after the other, their values drawn. */
imiad_status augmenters_apply(imiad_image **image, const augmenter_kind *kinds, int count,
                              random_stream *s);

#endif
