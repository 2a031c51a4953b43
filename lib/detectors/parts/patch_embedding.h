/* PatchCore's locally aware patch features: neighbourhoods of k x k positions, averaged down to a
 * fixed length, over several layers. Roth et al., CVPR 2022, section 3.1, as the official code
 * computes it.
 *
 * The code's unfold, two adaptive poolings and bilinear resize are linear, so each output is a
 * short weighted sum of taps (channel, row offset, column offset) on each layer's own grid, resized
 * to the first layer's grid. The sums are a table made once; nothing is unfolded. */
#ifndef DETECTORS_PARTS_PATCH_EMBEDDING_H
#define DETECTORS_PARTS_PATCH_EMBEDDING_H

#include "bridge/tensor.h"

enum { PATCH_LEVELS = 8 };

typedef struct patch_embedding patch_embedding;

/* channels[i] of each level; every level is averaged to level_dimension, all together to dimension.
 * A level_dimension of 0 averages each channel over its neighbourhood, a dimension of 0 keeps all
 * that the levels have. */
imiad_status patch_embedding_create(patch_embedding **out, int levels, const int64_t *channels,
                                    int patch, int64_t level_dimension, int64_t dimension);
void patch_embedding_free(patch_embedding *e);
/* Floats of a row. */
int64_t patch_embedding_dimension(const patch_embedding *e);

/* features[i]: n x channels x h_i x w_i, float32, one device. Writes n * h_0 * w_0 rows of
 * `dimension` floats, image by image, position by position. On the CPU by a C kernel, elsewhere by
 * convolutions; `convolve` asks for the latter on the CPU too. */
void patch_embedding_apply(float *rows, const patch_embedding *e, tensor *const *features,
                           bool convolve);

#endif
