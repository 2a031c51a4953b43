/* What BGAD and the public PRN change a labelled defect by before they paste it into another image:
 * three of ten operations of albumentations 1.0, on the image and its mask together. Each operation
 * draws whether it does anything. Of RGB8 and GRAY8, which are replaced. */
#ifndef SYNTHESIS_DEFECT_CHANGES_H
#define SYNTHESIS_DEFECT_CHANGES_H

#include "base/random.h"
#include "imiad/image.h"

typedef enum defect_change {
    CHANGE_QUARTERS,   /* RandomRotate90: of squares; else half turns */
    CHANGE_FLIP,       /* Flip */
    CHANGE_TRANSPOSE,  /* Transpose: of squares */
    CHANGE_LENS,       /* OpticalDistortion, always */
    CHANGE_NOISE,      /* one of two */
    CHANGE_BLUR,       /* one of three */
    CHANGE_AFFINE,     /* ShiftScaleRotate */
    CHANGE_DISTORTION, /* one of three */
    CHANGE_LIGHT,      /* one of four: CLAHE, sharpened, embossed, brightness and contrast */
    CHANGE_HUE,        /* HueSaturationValue */
    DEFECT_CHANGES
} defect_change;

extern const char *const defect_change_names[DEFECT_CHANGES];

imiad_status defect_change_apply(imiad_image **image, imiad_image **mask, defect_change change,
                                 random_stream *s);
/* Three different ones, in a drawn order. */
imiad_status defect_change_some(imiad_image **image, imiad_image **mask, random_stream *s);

/* ---- parts of them, on RGB8 ---- */

/* Sums over `side` x `side` neighbours, an odd number, mirrored beyond the edges. */
imiad_status filter_image(imiad_image **image, const double *kernel, int side);
/* The middle one of 3 x 3 neighbours, the edges repeated. */
imiad_status median_image(imiad_image **image);
/* Contrast-limited equalisation in 8 x 8 tiles, OpenCV's CLAHE: of width x height values, at least
 * 16 a side; and of an image's lightness, where smaller ones stay as they are. */
imiad_status equalize_plane(uint8_t *out, const uint8_t *plane, int32_t width, int32_t height,
                            double limit);
imiad_status equalize_tiles(imiad_image *image, double limit);

#endif
