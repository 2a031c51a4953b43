/* What an image is once it has gone through a few numbers: E_glo of GCAD. Convolutions halve it to
 * one vector, transposed ones give back a map of the image's size; what skips the vector while
 * training is weighted less and less. Bergmann, Batzner, Fauser, Sattlegger, Steger: IJCV 2022,
 * whose layers no source tells: the widths, and where the skips are added, are this library's. */
#ifndef DETECTORS_PARTS_SQUEEZING_NETWORK_H
#define DETECTORS_PARTS_SQUEEZING_NETWORK_H

#include "nn/modules.h"

enum { SQUEEZING_LEVELS = 5, SQUEEZING_MULTIPLE = 32 /* of the image's side */ };

typedef struct squeezing_network {
    conv2d down[SQUEEZING_LEVELS], squeeze;
    conv2d widen, up[SQUEEZING_LEVELS], last;
    conv2d skips[SQUEEZING_LEVELS]; /* of the finest level first; no weights where it was loaded */
} squeezing_network;

/* `width` channels in the finest level: 32 in the paper's size; `numbers` in the vector. Images are
 * squares of this side. Skips are named "skip0" to "skip4". */
squeezing_network squeezing_network_add(const builder *b, int64_t side, int64_t width,
                                        int64_t numbers, int64_t outputs, bool with_skips);
/* n x outputs x side x side. `skips`: the weight of each, or NULL: all 0. */
tensor *squeezing_network_run(const squeezing_network *n, tensor *x,
                              const double skips[SQUEEZING_LEVELS]);

/* The weights in an epoch: one skip after the other goes from 1 to 0, the finest first, within the
 * first fifth of the epochs; 100 of the paper's 500. */
void squeezing_network_fade(double out[SQUEEZING_LEVELS], int64_t epoch, int64_t epochs);

#endif
