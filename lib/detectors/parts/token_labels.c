#include "detectors/parts/token_labels.h"

#include <string.h>

#include "base/error.h"
#include "detectors/parts/mask_shapes.h"
#include "detectors/parts/token_losses.h"

const char *const label_mode_names[LABEL_MODES] = {"masks", "boxes", "rotated_boxes", "tags"};

void token_labels_of(int8_t *out, const token_labels *l, const float *shares, bool labelled)
{
    bool by_box = labelled && l->mode != LABELS_MASKS;
    for (int64_t i = 0; i < l->rows * l->columns; ++i) {
        double share = (double)shares[i];
        if (by_box)
            out[i] = share <= 0.5 && l->mode != LABELS_TAGS ? 0 : TOKEN_UNLABELLED;
        else
            out[i] = share >= l->anomalous ? 1 : share <= l->good ? 0 : TOKEN_UNLABELLED;
    }
}

imiad_status token_labels_known(imiad_image **out, const token_labels *l, const imiad_image *mask,
                                const imiad_image *image)
{
    imiad_image *known;
    TRY(imiad_image_create(&known, IMIAD_PIXEL_GRAY8, image->width, image->height));
    size_t row = (size_t)known->width;
    for (size_t y = 0; y < (size_t)known->height; ++y) {
        if (l->mode == LABELS_TAGS)
            memset(known->pixels + y * row, 255, row);
        else
            memcpy(known->pixels + y * row, mask->pixels + y * mask->stride, row);
    }
    imiad_status status = IMIAD_OK;
    if (l->mode == LABELS_BOXES || l->mode == LABELS_ROTATED_BOXES)
        status = mask_to_boxes(known->pixels, known->width, known->height,
                               l->mode == LABELS_BOXES ? BOX_UPRIGHT : BOX_ROTATED);
    if (status != IMIAD_OK)
        imiad_image_free(known);
    else
        *out = known;
    return status;
}

imiad_status token_labels_shares(float *shares, const token_labels *l, const imiad_image *mask,
                                 const imiad_image *image)
{
    imiad_image *known;
    TRY(token_labels_known(&known, l, mask, image));
    mask_block_shares(shares, known->pixels, known->width, known->height, l->rows, l->columns);
    imiad_image_free(known);
    return IMIAD_OK;
}
