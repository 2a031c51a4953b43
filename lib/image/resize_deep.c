/* Pillow's filter in double precision, and its resizing of 16-bit grey (mode I;16) by that. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"
#include "image/pixels.h"
#include "image/resize.h"

static const double supports[] = {[RESIZE_BILINEAR] = 1, [RESIZE_BICUBIC] = 2};

static double triangle(double x)
{
    return x < 1 ? 1 - x : 0;
}

static double cubic(double x)
{
    const double a = -0.5;
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

int64_t resize_taps(double scale, resize_filter filter)
{
    return 2 * (int64_t)ceil(supports[filter] * scale) + 1;
}

int32_t resize_shares(double *shares, int32_t *begin, double center, double scale, int32_t size,
                      resize_filter filter)
{
    double support = supports[filter] * scale, sum = 0;
    double low = center - support + 0.5, high = center + support + 0.5;
    int32_t first = low < 0 ? 0 : (int32_t)low;
    int32_t count = (high > size ? size : (int32_t)high) - first;
    for (int32_t i = 0; i < count; ++i) {
        double distance = fabs((first + i - center + 0.5) * (1 / scale));
        shares[i] = filter == RESIZE_BICUBIC ? cubic(distance) : triangle(distance);
        sum += shares[i];
    }
    for (int32_t i = 0; i < count && sum != 0; ++i)
        shares[i] /= sum;
    *begin = first;
    return count;
}

/* The filters of one direction: result i adds up count[i] pixels from begin[i] on. */
typedef struct deep_filter {
    int64_t taps;
    int32_t *begin, *count;
    double *shares; /* taps of each */
} deep_filter;

static void filter_free(deep_filter *f)
{
    free(f->begin);
    free(f->shares);
}

/* Of results first..first+count-1 of resizing `size` pixels to `full`. */
static imiad_status filter_make(deep_filter *f, int32_t size, int32_t full, int32_t first,
                                int32_t count, resize_filter filter)
{
    double step = (double)size / full, scale = step < 1 ? 1 : step;
    f->taps = resize_taps(scale, filter);
    f->begin = malloc(2 * (size_t)count * sizeof *f->begin);
    f->shares = malloc((size_t)f->taps * (size_t)count * sizeof *f->shares);
    if (!f->begin || !f->shares)
        return fail_memory("a resize filter", (size_t)f->taps * (size_t)count * sizeof *f->shares);
    f->count = f->begin + count;
    for (int32_t i = 0; i < count; ++i)
        f->count[i] = resize_shares(f->shares + i * f->taps, &f->begin[i], (first + i + 0.5) * step,
                                    scale, size, filter);
    return IMIAD_OK;
}

static uint16_t rounded(double sum)
{
    double value = floor(sum + 0.5);
    return value > 65535 ? 65535 : value < 0 ? 0 : (uint16_t)value;
}

/* A source row's columns of the region. */
static void filter_across(uint16_t *out, const uint8_t *row, const resize_region *region,
                          const deep_filter *f)
{
    for (int32_t x = 0; x < region->width; ++x) {
        double sum = 0;
        for (int32_t t = 0; f->begin && t < f->count[x]; ++t)
            sum += pixel_get16(row, f->begin[x] + t) * f->shares[x * f->taps + t];
        out[x] = f->begin ? rounded(sum) : pixel_get16(row, region->x + x);
    }
}

/* `rows` begin with source row `top`. */
static void filter_down(uint8_t *out, const uint16_t *rows, int32_t top, int32_t y,
                        const resize_region *region, const deep_filter *f)
{
    int32_t begin = f->begin ? f->begin[y] : region->y + y, count = f->begin ? f->count[y] : 1;
    rows += (int64_t)(begin - top) * region->width;
    for (int32_t x = 0; x < region->width; ++x) {
        double sum = 0;
        for (int32_t t = 0; f->begin && t < count; ++t)
            sum += rows[(int64_t)t * region->width + x] * f->shares[y * f->taps + t];
        pixel_put16(out, x, f->begin ? rounded(sum) : rows[x]);
    }
}

imiad_status resize_deep(uint8_t *out, size_t stride, const imiad_image *image,
                         const resize_region *region, resize_filter filter)
{
    deep_filter across = {0}, down = {0};
    imiad_status status = IMIAD_OK;
    if (region->full_width != image->width)
        status = filter_make(&across, image->width, region->full_width, region->x, region->width,
                             filter);
    if (status == IMIAD_OK && region->full_height != image->height)
        status = filter_make(&down, image->height, region->full_height, region->y, region->height,
                             filter);
    int32_t last = region->height - 1;
    int32_t top = status == IMIAD_OK && down.begin ? down.begin[0] : region->y;
    int32_t end = status == IMIAD_OK && down.begin ? down.begin[last] + down.count[last]
                                                   : region->y + region->height;
    size_t bytes = (size_t)(end - top) * (size_t)region->width * sizeof(uint16_t);
    uint16_t *rows = status == IMIAD_OK ? malloc(bytes) : NULL;
    if (status == IMIAD_OK && !rows)
        status = fail_memory("resizing", bytes);
    for (int32_t y = top; status == IMIAD_OK && y < end; ++y)
        filter_across(rows + (int64_t)(y - top) * region->width, image_row(image, y), region,
                      &across);
    for (int32_t y = 0; status == IMIAD_OK && y < region->height; ++y)
        filter_down(out + (size_t)y * stride, rows, top, y, region, &down);
    free(rows);
    filter_free(&across);
    filter_free(&down);
    return status;
}
