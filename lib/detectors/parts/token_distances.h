/* How far patches are from a bank: what AnomalyDINO says of a token. */
#ifndef DETECTORS_PARTS_TOKEN_DISTANCES_H
#define DETECTORS_PARTS_TOKEN_DISTANCES_H

#include "detectors/parts/patch_memory.h"

/* out: images x positions. Cosine: the mean over the nearest rows of one less the cosine, of rows
 * of unit length on both sides. Otherwise: the root of the mean of their squared distances. */
imiad_status token_distances(float *out, const patch_memory *m, const imiad_detector *self,
                             const float *rows, int64_t images, int64_t positions, bool cosine);

#endif
