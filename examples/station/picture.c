#include "station/picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "names.h"

enum { LONGEST_SIDE = 1200 }; /* of the image in a picture */

/* The image itself, or a smaller one where it is large. */
static imiad_status shrink(imiad_image **out, const imiad_image *image)
{
    int32_t longer = image->width > image->height ? image->width : image->height;
    *out = NULL;
    if (longer <= LONGEST_SIDE)
        return IMIAD_OK;
    double scale = (double)LONGEST_SIDE / longer;
    int32_t width = (int32_t)fmax(1, round(image->width * scale));
    int32_t height = (int32_t)fmax(1, round(image->height * scale));
    return imiad_image_resize(out, image, width, height);
}

/* What is anomalous, as a mask of the shown image's size; each of its pixels is anomalous where any
 * value of the map that it covers is. */
static imiad_status make_mask(imiad_image **out, const imiad_image *shown, const imiad_image *image,
                              const float *map, double threshold)
{
    imiad_status status = imiad_image_create(out, IMIAD_PIXEL_GRAY8, shown->width, shown->height);
    for (int32_t y = 0; status == IMIAD_OK && y < image->height; ++y) {
        const float *row = map + (size_t)y * (size_t)image->width;
        int64_t to_y = (int64_t)y * shown->height / image->height;
        uint8_t *target = (*out)->pixels + (size_t)to_y * (*out)->stride;
        for (int32_t x = 0; x < image->width; ++x)
            if ((double)row[x] > threshold)
                target[(int64_t)x * shown->width / image->width] = 255;
    }
    return status;
}

/* From the usual score of good images to as far above the threshold as the threshold is above it.
 */
static void fix_scale(imiad_heatmap_options *o, const imiad_calibration *c)
{
    double usual = c->centre < c->map_threshold ? c->centre : c->map_threshold / 2;
    if (!(usual < c->map_threshold))
        return;
    o->low = (float)usual;
    o->high = (float)(2 * c->map_threshold - usual);
    o->has_threshold = 1;
    o->threshold = (float)c->map_threshold;
}

static imiad_status draw(imiad_image **out, const station *s, const char *path,
                         const imiad_image *shown, const imiad_image *image, const judged *j,
                         double outline)
{
    static const float none[1] = {0};
    bool anomalous = (double)j->score > s->threshold;
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    imiad_image *mask = NULL;
    char title[512], score[SCORE_TEXT], threshold[SCORE_TEXT];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    snprintf(title, sizeof title, "%s (threshold %s)  %s", checked_score(score, (double)j->score),
             checked_score(threshold, s->threshold), name);
    options.title = title;
    options.verdict = anomalous ? IMIAD_VERDICT_ANOMALOUS : IMIAD_VERDICT_OK;
    fix_scale(&options, &s->thresholds);
    imiad_status status = IMIAD_OK;
    if (anomalous && j->map)
        status = make_mask(&mask, shown, image, j->map, outline);
    options.mask = mask;
    if (!j->map)
        options.opacity = 0;
    if (status == IMIAD_OK)
        status =
            imiad_image_draw_heatmap(out, shown, j->map ? j->map : none, j->map ? image->width : 1,
                                     j->map ? image->height : 1, &options);
    imiad_image_free(mask);
    return status;
}

imiad_status picture_draw(const station *s, const char *path, const imiad_image *image,
                          const judged *j, double outline)
{
    imiad_image *small, *picture = NULL;
    char *out = name_picture(s->pictures, path);
    if (!out)
        return imiad_fail(IMIAD_NO_MEMORY, "out of memory for a picture's name");
    imiad_status status = shrink(&small, image);
    if (status == IMIAD_OK)
        status = draw(&picture, s, path, small ? small : image, image, j, outline);
    if (status == IMIAD_OK)
        status = imiad_image_write_png(picture, out);
    imiad_image_free(picture);
    imiad_image_free(small);
    free(out);
    return status;
}
