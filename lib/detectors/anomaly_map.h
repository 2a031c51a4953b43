/* From patch scores to an anomaly map: bilinear upsampling, then a Gaussian. */
#ifndef DETECTORS_ANOMALY_MAP_H
#define DETECTORS_ANOMALY_MAP_H

#include "bridge/tensor.h"

/* count x h x w to count x height x width, bilinear, align_corners false. */
tensor *map_upsample(tensor *maps, int64_t height, int64_t width);

/* SciPy's gaussian_filter with its defaults, in place, on `count` maps of height x width: cut at 4
 * sigma, borders mirrored at the pixel's edge (d c b a | a b c d | d c b a), rows first, sums in
 * double, rounded to float after each axis. sigma 0 does nothing. */
imiad_status map_smooth(float *maps, int64_t count, int64_t height, int64_t width, double sigma);

#endif
