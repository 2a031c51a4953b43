/* Mean and deviation of each channel over all positions of many images, one pass, in double. */
#ifndef DETECTORS_PARTS_CHANNEL_STATISTICS_H
#define DETECTORS_PARTS_CHANNEL_STATISTICS_H

#include "bridge/tensor.h"

typedef struct channel_statistics {
    double *sums, *squares; /* of the images' means */
    int64_t channels, images;
} channel_statistics;

imiad_status channel_statistics_open(channel_statistics *out, int64_t channels);
void channel_statistics_close(channel_statistics *s);
/* n x channels x h x w, in a scope; each image counts alike, whatever its positions. */
void channel_statistics_add(channel_statistics *s, tensor *maps);
/* Into tensors of 1 x channels x 1 x 1. The deviation is the biased one; a channel that never
 * changes has 1. */
void channel_statistics_finish(tensor *mean, tensor *deviation, const channel_statistics *s);

#endif
