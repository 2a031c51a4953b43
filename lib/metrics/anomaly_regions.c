/* The regions of a thresholded anomaly map, for people and machines that act on them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "imiad/regions.h"
#include "metrics/regions.h"

struct imiad_regions {
    imiad_region *regions;
    size_t count;
    int32_t *points; /* of all contours */
    size_t point_count, point_room;
};

/* ---- finding ---- */

static imiad_status make_mask(imiad_image *out, const float *map, int32_t width, int32_t height,
                              double threshold)
{
    size_t size = (size_t)width * (size_t)height;
    uint8_t *pixels = malloc(size);
    if (!pixels)
        return fail_memory("a mask", size);
    for (size_t i = 0; i < size; ++i) {
        if (isnan(map[i])) {
            free(pixels);
            return fail(IMIAD_NOT_FINITE, "regions: the map is NaN at (%zu, %zu)",
                        i % (size_t)width, i / (size_t)width);
        }
        pixels[i] = (double)map[i] > threshold;
    }
    *out = (imiad_image){sizeof *out, IMIAD_PIXEL_GRAY8, width, height, (size_t)width, pixels};
    return IMIAD_OK;
}

/* Sums until describe_regions is done with all runs. */
static void add_run(imiad_region *r, const mask_run *run, const float *row)
{
    int32_t right = r->left + r->width > run->end ? r->left + r->width : run->end;
    int32_t length = run->end - run->begin;
    if (r->area == 0) {
        r->left = run->begin;
        r->top = run->row;
        r->peak = -INFINITY;
        right = run->end;
    }
    r->left = run->begin < r->left ? run->begin : r->left;
    r->width = right - r->left;
    r->height = run->row + 1 - r->top;
    r->area += length;
    r->centre_x += length * (0.5 * (run->begin + run->end));
    r->centre_y += length * (run->row + 0.5);
    for (int32_t x = run->begin; x < run->end; ++x) {
        r->mean += (double)row[x];
        if (row[x] > r->peak) {
            r->peak = row[x];
            r->peak_x = x;
            r->peak_y = run->row;
        }
    }
}

static void describe_regions(imiad_region *regions, const mask_regions *found, const float *map,
                             int32_t width)
{
    for (size_t i = 0; i < found->run_count; ++i) {
        const mask_run *run = &found->runs[i];
        add_run(&regions[run->region], run, map + (int64_t)run->row * width);
    }
    for (size_t i = 0; i < found->region_count; ++i) {
        imiad_region *r = &regions[i];
        r->struct_size = sizeof *r;
        r->mean /= (double)r->area;
        r->centre_x /= (double)r->area;
        r->centre_y /= (double)r->area;
    }
}

/* ---- contours ---- */

static imiad_status add_point(imiad_regions *out, int32_t x, int32_t y)
{
    TRY(array_reserve(&out->points, out->point_count, &out->point_room, 2 * sizeof *out->points,
                      "contours"));
    out->points[2 * out->point_count] = x;
    out->points[2 * out->point_count + 1] = y;
    out->point_count++;
    return IMIAD_OK;
}

/* The region's number at every pixel, plus 1; 0 outside of all: new memory. */
static uint32_t *make_labels(const mask_regions *found, int32_t width, int32_t height)
{
    uint32_t *labels = calloc((size_t)width * (size_t)height, sizeof *labels);
    for (size_t i = 0; labels && i < found->run_count; ++i)
        for (int32_t x = found->runs[i].begin; x < found->runs[i].end; ++x)
            labels[(size_t)found->runs[i].row * (size_t)width + (size_t)x] =
                found->runs[i].region + 1;
    return labels;
}

typedef struct label_image {
    const uint32_t *labels;
    int32_t width, height;
    int connectivity;
} label_image;

static bool has_label(const label_image *image, int32_t x, int32_t y, uint32_t label)
{
    return x >= 0 && y >= 0 && x < image->width && y < image->height &&
           image->labels[(int64_t)y * image->width + x] == label;
}

/* Along the edges of the region, which lies to the right of every step: east, south, west, north.
 * At a corner, the pixels ahead to the left and to the right decide; where only the left one is the
 * region's, 8-connected pixels are followed through the corner and 4-connected ones are not. */
static imiad_status trace(imiad_regions *out, const label_image *image, int32_t x, int32_t y,
                          uint32_t label)
{
    static const int32_t dx[4] = {1, 0, -1, 0}, dy[4] = {0, 1, 0, -1};
    /* from a corner, the pixel ahead to the left, by direction; that to the right is the next
     * direction's left one */
    static const int32_t left_x[4] = {0, 0, -1, -1}, left_y[4] = {-1, 0, 0, -1};
    const int32_t start_x = x, start_y = y;
    int direction = 0;
    TRY(add_point(out, x, y));
    for (;;) {
        x += dx[direction];
        y += dy[direction];
        int next = (direction + 1) % 4;
        bool left = has_label(image, x + left_x[direction], y + left_y[direction], label);
        bool right = has_label(image, x + left_x[next], y + left_y[next], label);
        int turn = left && (right || image->connectivity == 8) ? 3 : right ? 0 : 1;
        direction = (direction + turn) % 4;
        if (x == start_x && y == start_y && direction == 0)
            return IMIAD_OK;
        if (turn != 0)
            TRY(add_point(out, x, y));
    }
}

static imiad_status trace_all(imiad_regions *out, const mask_regions *found, size_t *first_points,
                              const label_image *image, int64_t min_area)
{
    size_t next = 0; /* regions are numbered by their first pixel */
    for (size_t i = 0; i < found->run_count; ++i) {
        const mask_run *run = &found->runs[i];
        if (run->region != next)
            continue;
        first_points[next++] = out->point_count;
        imiad_region *r = &out->regions[run->region];
        if (r->area >= min_area)
            TRY(trace(out, image, run->begin, run->row, run->region + 1));
        r->contour_points = out->point_count - first_points[run->region];
    }
    return IMIAD_OK;
}

static int compare_peaks(const void *a, const void *b)
{
    const imiad_region *x = a, *y = b;
    if (x->peak != y->peak)
        return x->peak > y->peak ? -1 : 1;
    return x->contour < y->contour ? -1 : x->contour > y->contour; /* traced in the first's order */
}

static imiad_status outline(imiad_regions *out, const mask_regions *found, int32_t width,
                            int32_t height, const imiad_regions_options *options)
{
    uint32_t *labels = make_labels(found, width, height);
    size_t *first_points = calloc(found->region_count + 1, sizeof *first_points);
    label_image image = {labels, width, height, options->connectivity};
    imiad_status status =
        labels && first_points
            ? trace_all(out, found, first_points, &image, options->min_area)
            : fail_memory("contours", (size_t)width * (size_t)height * sizeof *labels);
    for (size_t i = 0; status == IMIAD_OK && i < found->region_count; ++i) {
        imiad_region *r = &out->regions[i];
        if (r->area < options->min_area)
            continue;
        r->contour = out->points + 2 * first_points[i];
        out->regions[out->count++] = *r;
    }
    if (status == IMIAD_OK && out->count > 1)
        qsort(out->regions, out->count, sizeof *out->regions, compare_peaks);
    free(first_points);
    free(labels);
    return status;
}

/* ---- the handle ---- */

static imiad_status check(const float *map, int32_t width, int32_t height, double threshold,
                          const imiad_regions_options *o)
{
    if (!map || width < 1 || height < 1)
        return fail(IMIAD_INVALID_ARGUMENT, "regions: the map is NULL, or %d x %d is no size",
                    width, height);
    if (isnan(threshold))
        return fail(IMIAD_NOT_FINITE, "regions: the threshold is NaN");
    if ((o->connectivity != 4 && o->connectivity != 8) || o->min_area < 0)
        return fail(IMIAD_OUT_OF_RANGE, "regions: connectivity is %d, min_area %lld: 4 or 8, 0..",
                    o->connectivity, (long long)o->min_area);
    return IMIAD_OK;
}

imiad_status imiad_regions_find(imiad_regions **out, const float *map, int32_t width,
                                int32_t height, double threshold,
                                const imiad_regions_options *options)
{
    imiad_regions_options o = IMIAD_REGIONS_OPTIONS_INIT;
    imiad_image mask = IMIAD_IMAGE_INIT;
    mask_regions found = {0};
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "regions: out is NULL");
    TRY(struct_read(&o, sizeof o, options, sizeof o, "regions options"));
    TRY(check(map, width, height, threshold, &o));
    TRY(make_mask(&mask, map, width, height, threshold));
    imiad_status status = regions_find(&found, &mask, o.connectivity);
    imiad_regions *made = calloc(1, sizeof *made);
    if (made)
        made->regions = calloc(found.region_count + 1, sizeof *made->regions);
    if (status == IMIAD_OK && !(made && made->regions))
        status = fail_memory("regions", found.region_count * sizeof *made->regions);
    if (status == IMIAD_OK) {
        describe_regions(made->regions, &found, map, width);
        status = outline(made, &found, width, height, &o);
    }
    regions_free(&found);
    free(mask.pixels);
    if (status == IMIAD_OK)
        *out = made;
    else
        imiad_regions_free(made);
    return status;
}

void imiad_regions_free(imiad_regions *regions)
{
    if (!regions)
        return;
    free(regions->regions);
    free(regions->points);
    free(regions);
}

size_t imiad_regions_count(const imiad_regions *regions)
{
    return regions ? regions->count : 0;
}

imiad_status imiad_regions_get(imiad_region *out, const imiad_regions *regions, size_t index)
{
    if (!regions)
        return fail(IMIAD_INVALID_ARGUMENT, "a region: NULL");
    if (index >= regions->count)
        return fail(IMIAD_OUT_OF_RANGE, "region %zu of %zu", index, regions->count);
    return struct_write(out, sizeof *out, &regions->regions[index], sizeof *out, "a region");
}
