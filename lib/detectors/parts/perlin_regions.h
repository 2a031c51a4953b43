/* Regions of a grid that are to be made anomalous: where Perlin noise is high. */
#ifndef DETECTORS_PARTS_PERLIN_REGIONS_H
#define DETECTORS_PARTS_PERLIN_REGIONS_H

#include "base/random.h"
#include "bridge/tensor.h"

/* count x 1 x height x width of 0 and 1, on the CPU: 1 where the noise is above the threshold. The
 * noise is drawn on a grid whose sides are the next powers of two, with 1, 2, 4, 8, 16 or 32 cells
 * a side, and brought to the size bilinearly. Half of them, by chance, are emptied. */
tensor *perlin_regions(int64_t count, int64_t height, int64_t width, double threshold,
                       random_stream *stream);

#endif
