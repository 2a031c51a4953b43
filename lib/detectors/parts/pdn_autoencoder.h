/* The autoencoder of EfficientAD: an image through a narrow code of width / 2 numbers, given back
 * as what its patch description network says of it. Batzner, Heckler, König: WACV 2024. */
#ifndef DETECTORS_PARTS_PDN_AUTOENCODER_H
#define DETECTORS_PARTS_PDN_AUTOENCODER_H

#include "nn/modules.h"

enum { PDN_ENCODER = 6, PDN_DECODER = 6, PDN_LAST = 2 };

typedef struct pdn_autoencoder {
    conv2d encode[PDN_ENCODER], decode[PDN_DECODER], last[PDN_LAST];
    int64_t side, positions; /* of its images, of what it gives back */
    double dropout;          /* after each layer of the decoder but the last two */
} pdn_autoencoder;

/* `width` as in pdn_add; parameters are named by their places in the public code's Sequential.
 * Images of less than 256 pixels a side, which the public codes refuse, have a smaller last kernel
 * of the encoder. */
pdn_autoencoder pdn_autoencoder_add(const builder *b, int64_t width, int64_t outputs, int64_t side,
                                    int64_t positions);
tensor *pdn_autoencoder_run(const pdn_autoencoder *a, tensor *x, bool learning);

#endif
