/* CutPaste: a piece of an image pasted elsewhere into the same image. Li, Sohn, Yoon, Pfister:
 * "CutPaste: Self-Supervised Learning for Anomaly Detection and Localization", CVPR 2021. What is
 * drawn and what is done with it are apart. All images are RGB8. */
#ifndef SYNTHESIS_CUT_PASTE_H
#define SYNTHESIS_CUT_PASTE_H

#include <stdbool.h>

#include "synthesis/color_jitter.h"

typedef struct cut_paste_options {
    double least_area, most_area; /* of a patch, shares of the image */
    double aspect;                /* of a patch: from this to its inverse, evenly in logarithms */
    bool aspect_drawn; /* that bound is drawn between 0.1 and 1 each time, and patches may be larger
                          than the image, black beyond it: the IM-IAD code's */
    double scar_width[2], scar_height[2]; /* pixels, least and most */
    double scar_rotation;                 /* degrees to either side */
    double jitter;                        /* of the piece's colours: color_jitter_draw's range */
} cut_paste_options;
extern const cut_paste_options cut_paste_defaults;

/* A piece and where it goes; a scar is turned before. */
typedef struct cut {
    int32_t from_x, from_y, width, height, to_x, to_y;
    double rotation; /* degrees counter-clockwise, of scars */
    color_jitter jitter;
} cut;

cut cut_paste_draw_patch(int32_t width, int32_t height, const cut_paste_options *o,
                         random_stream *s);
cut cut_paste_draw_scar(int32_t width, int32_t height, const cut_paste_options *o,
                        random_stream *s);
/* The image with the piece in its new place. *mask, where asked for (not NULL): GRAY8, 255 where
 * that is. */
imiad_status cut_paste_patch(imiad_image **out, imiad_image **mask, const imiad_image *image,
                             const cut *c);
imiad_status cut_paste_scar(imiad_image **out, imiad_image **mask, const imiad_image *image,
                            const cut *c);

typedef enum cut_paste_variant {
    CUT_PASTE_PATCH,
    CUT_PASTE_SCAR,
    CUT_PASTE_UNION, /* one of the two, as likely as not */
    CUT_PASTE_3WAY   /* both, each in an image of its own */
} cut_paste_variant;

enum { CUT_PASTE_MOST = 2 };
/* How many images the variant makes of one. */
int cut_paste_count(cut_paste_variant variant);
/* All of them: the patch's before the scar's. */
imiad_status cut_paste(imiad_image *out[CUT_PASTE_MOST], const imiad_image *image,
                       cut_paste_variant variant, const cut_paste_options *o, random_stream *s);

/* CutMix of an image with itself, as DRA makes pseudo anomalies (Ding, Pang, Shen: CVPR 2022): a
 * patch of the default options, and the mask of its place. */
imiad_status cut_mix(imiad_image **out, imiad_image **mask, const imiad_image *image,
                     random_stream *s);

#endif
