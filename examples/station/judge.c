#include "station/judge.h"

#include <math.h>
#include <stdlib.h>

static void look_at_map(judged *j, size_t size)
{
    double sum = 0;
    j->highest = -INFINITY;
    for (size_t i = 0; i < size; ++i) {
        sum += (double)j->map[i];
        j->highest = fmaxf(j->highest, j->map[i]);
    }
    j->mean = (float)(sum / (double)size);
}

imiad_status judge(judged *out, imiad_detector *detector, const imiad_image *image,
                   const imiad_score_options *options)
{
    size_t size = (size_t)image->width * (size_t)image->height;
    const imiad_image *const images[1] = {image};
    *out = (judged){.map = malloc(size * sizeof *out->map)};
    if (!out->map)
        return imiad_fail(IMIAD_NO_MEMORY, "out of memory for a map");
    imiad_status status =
        imiad_detector_score_batch(&out->score, out->map, size, detector, images, 1, options);
    if (status == IMIAD_UNSUPPORTED) { /* it has no maps */
        judged_free(out);
        return imiad_detector_score_batch(&out->score, NULL, 0, detector, images, 1, options);
    }
    if (status == IMIAD_OK)
        look_at_map(out, size);
    else
        judged_free(out);
    return status;
}

void judged_free(judged *j)
{
    free(j->map);
    j->map = NULL;
}

imiad_score_options judge_options(const imiad_calibration *thresholds)
{
    imiad_score_options options = IMIAD_SCORE_OPTIONS_INIT;
    options.map_frame = IMIAD_MAP_IMAGE;
    if (thresholds->tile_side > 0) {
        options.tiles = 1;
        options.tile_side = thresholds->tile_side;
        options.tile_overlap = thresholds->tile_overlap;
    }
    return options;
}

double judge_threshold(const imiad_calibration *c, imiad_sensitivity sensitivity)
{
    return sensitivity == IMIAD_SENSITIVITY_LOW    ? c->low_threshold
           : sensitivity == IMIAD_SENSITIVITY_HIGH ? c->high_threshold
                                                   : c->threshold;
}
