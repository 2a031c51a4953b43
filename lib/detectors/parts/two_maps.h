/* Maps of good images, which set the scale of several maps that become one. The two of EfficientAD:
 * the 90 % quantile of good images' maps becomes 0 and their 99.5 % quantile 0.1, then both are
 * averaged. Batzner, Heckler, König: WACV 2024, section 3.4. */
#ifndef DETECTORS_PARTS_TWO_MAPS_H
#define DETECTORS_PARTS_TWO_MAPS_H

#include "detectors/algorithm.h"

enum {
    TWO_MAPS = 2,
    MOST_MAPS = 4,
    MAP_QUANTILES = 4 /* low and high of each of two maps */
};

/* Of images n x 3 x h x w all maps before the mean: sums over so many channels, n x h x w. */
typedef void (*all_maps)(imiad_detector *self, tensor *images, tensor *out[MOST_MAPS]);

/* Values of the maps of good images, as they come. */
typedef struct map_values {
    all_maps maps;
    int count; /* of the maps */
    int64_t channels;
    float *values[MOST_MAPS];
    size_t used, room; /* of each map */
} map_values;

/* Which images of a set are to set the scale, new memory: a share that is drawn, *spared; or all,
 * where none can be spared for it. */
imiad_status map_values_choose(bool **chosen, bool *spared, const imiad_detector *self,
                               const train_set *images, double share);
void map_values_free(map_values *v);
/* Of the chosen images of a set, or of all image files of a folder; stage "maps". */
imiad_status map_values_of_set(map_values *v, imiad_detector *self, train_set *images,
                               const bool *chosen, const progress *p);
imiad_status map_values_of_folder(map_values *v, imiad_detector *self, const char *folder,
                                  const progress *p);
/* The 90 % and the 99.5 % quantile of each map, one behind the other. */
imiad_status map_values_quantiles(float *out, const map_values *v);
/* Mean and deviation of each map, in double. */
void map_values_moments(double *out, const map_values *v);

/* How a map becomes one that others may be added to: (map - low) / width. */
typedef struct map_place {
    float low, width;
} map_place;

/* Mean and deviation of each map; or `by_quantiles`, so that the 90 % quantile becomes 0 and the
 * 99.5 % quantile 0.1. A map that never changes keeps its own scale, and the log says so. */
imiad_status map_values_places(map_place out[MOST_MAPS], const map_values *v, bool by_quantiles);

/* What makes one map of the sums over channels: one factor each and an offset. A map whose
 * quantiles are the same number keeps its own scale, and the log says so. */
typedef struct map_scale {
    double factors[TWO_MAPS], offset;
} map_scale;

map_scale map_scale_of(const float quantiles[MAP_QUANTILES], int64_t channels);
tensor *map_scale_apply(const map_scale *s, tensor *const maps[TWO_MAPS]);

#endif
