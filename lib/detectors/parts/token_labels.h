/* What is learned of an image, token by token: a token is a block of pixels. */
#ifndef DETECTORS_PARTS_TOKEN_LABELS_H
#define DETECTORS_PARTS_TOKEN_LABELS_H

#include <stdbool.h>

#include "imiad/image.h"

typedef enum label_mode {
    LABELS_MASKS,
    LABELS_BOXES, /* upright ones, of which the outside is good and the inside unknown */
    LABELS_ROTATED_BOXES,
    LABELS_TAGS, /* a defect is there: everything is unknown */
    LABEL_MODES
} label_mode;

extern const char *const label_mode_names[LABEL_MODES]; /* as the option has them */

typedef struct token_labels {
    label_mode mode;        /* of labelled defects; masks of made ones are known */
    int64_t rows, columns;  /* of tokens */
    double anomalous, good; /* from which share of it on, and up to which one */
} token_labels;

/* out: 1 anomalous, 0 good, -1 neither, for every token, from the share of it that is inside. */
void token_labels_of(int8_t *out, const token_labels *l, const float *shares, bool labelled);

/* What is known of a labelled defect, GRAY8, rows without gaps: its mask, or the boxes in place of
 * it; with tags all of the image. `mask` is NULL where it is not looked at. */
imiad_status token_labels_known(imiad_image **out, const token_labels *l, const imiad_image *mask,
                                const imiad_image *image);
/* Of that, the share of each token. */
imiad_status token_labels_shares(float *shares, const token_labels *l, const imiad_image *mask,
                                 const imiad_image *image);

#endif
