/* What is made of maps of the input's size: a Gaussian in a small square, and an image's score. */
#ifndef DETECTORS_PARTS_MAP_SCORES_H
#define DETECTORS_PARTS_MAP_SCORES_H

#include "bridge/tensor.h"

/* Weights side x side, side odd, of a Gaussian that sum up to 1, over maps n x height x width;
 * `border` says what lies around a map. */
tensor *map_gaussian(tensor *maps, int side, double sigma, pad_mode border);

/* What the base makes of maps with the option smoothing; with sigma 0 the maps themselves. */
tensor *map_smoothed(tensor *maps, double sigma);

#define MAP_SCORES "top|max|mean|p99|top5"
/* n, of finished maps n x pixels: the mean of the largest share of them, at least of one pixel; the
 * maximum; the mean; the 99th percentile, as numpy has it; the mean of the 5 largest. */
tensor *map_image_scores(tensor *pixels, const char *how, double share);

#endif
