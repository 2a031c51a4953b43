/* Anomalous regions: the connected pixels of an anomaly map above a threshold, as boxes, areas and
 * outlines. */
#ifndef IMIAD_REGIONS_H
#define IMIAD_REGIONS_H

#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Never changes after it was made: any number of threads may read it. */
typedef struct imiad_regions imiad_regions;

typedef struct imiad_regions_options {
    uint32_t struct_size;
    int32_t connectivity; /* 8: pixels that touch at a corner belong together; or 4 */
    int64_t min_area;     /* smaller regions are left out; pixels */
} imiad_regions_options;
#define IMIAD_REGIONS_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(imiad_regions_options), 8, 1                                                        \
    }

typedef struct imiad_region {
    uint32_t struct_size;
    int32_t left, top, width, height; /* its box, in pixels of the map */
    int64_t area;                     /* in pixels; holes do not count */
    float peak;                       /* the largest value, and the first pixel that has it */
    int32_t peak_x, peak_y;
    double mean; /* of its values */
    double centre_x,
        centre_y; /* the mean of its pixels' centres; that of pixel (0, 0) is (0.5, 0.5) */
    /* Its outer boundary: a closed polygon along the edges of pixels, as x, y pairs of their
     * corners (0..width, 0..height), clockwise as the image is seen, from the left upper corner of
     * its first pixel; points in the middle of a straight side and holes are left out. Where
     * corners touch, the polygon passes the corner twice. Borrowed from the regions. */
    const int32_t *contour;
    size_t contour_points;
} imiad_region;
#define IMIAD_REGION_INIT                                                                          \
    {                                                                                              \
        sizeof(imiad_region), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                                \
    }

/* The regions of a map (width x height floats, rows first) where its value is above the threshold,
 * by falling peak, then by their first pixels. The map is read during the call only. None is no
 * error. options may be NULL. Errors: IMIAD_INVALID_ARGUMENT, IMIAD_OUT_OF_RANGE, IMIAD_NOT_FINITE
 * (a NaN in the map or as threshold). */
IMIAD_API imiad_status imiad_regions_find(imiad_regions **out, const float *map, int32_t width,
                                          int32_t height, double threshold,
                                          const imiad_regions_options *options);
IMIAD_API void imiad_regions_free(imiad_regions *regions);
IMIAD_API size_t imiad_regions_count(const imiad_regions *regions);
/* Errors: IMIAD_OUT_OF_RANGE past the last. */
IMIAD_API imiad_status imiad_regions_get(imiad_region *out, const imiad_regions *regions,
                                         size_t index);

#ifdef __cplusplus
}
#endif
#endif
