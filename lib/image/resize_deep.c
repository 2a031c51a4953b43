/* Pillow's filter in double precision, and its resizing of 16-bit grey (mode I;16) by that. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"
#include "image/pixels.h"
#include "image/resize.h"

int32_t resize_shares(double *shares, int32_t *begin, double center, double scale, int32_t size)
{
    double low = center - scale + 0.5, high = center + scale + 0.5, sum = 0;
    int32_t first = low < 0 ? 0 : (int32_t)low;
    int32_t count = (high > size ? size : (int32_t)high) - first;
    for (int32_t i = 0; i < count; ++i) {
        double distance = fabs((first + i - center + 0.5) * (1 / scale));
        shares[i] = distance < 1 ? 1 - distance : 0;
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
                                int32_t count)
{
    double step = (double)size / full, scale = step < 1 ? 1 : step;
    f->taps = 2 * (int64_t)ceil(scale) + 1;
    f->begin = malloc(2 * (size_t)count * sizeof *f->begin);
    f->shares = malloc((size_t)f->taps * (size_t)count * sizeof *f->shares);
    if (!f->begin || !f->shares)
        return fail_memory("a resize filter", (size_t)f->taps * (size_t)count * sizeof *f->shares);
    f->count = f->begin + count;
    for (int32_t i = 0; i < count; ++i)
        f->count[i] = resize_shares(f->shares + i * f->taps, &f->begin[i], (first + i + 0.5) * step,
                                    scale, size);
    return IMIAD_OK;
}

static uint16_t rounded(double sum)
{
    double value = floor(sum + 0.5);
    return value > 65535 ? 65535 : (uint16_t)value;
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
                         const resize_region *region)
{
    deep_filter across = {0}, down = {0};
    imiad_status status = IMIAD_OK;
    if (region->full_width != image->width)
        status = filter_make(&across, image->width, region->full_width, region->x, region->width);
    if (status == IMIAD_OK && region->full_height != image->height)
        status = filter_make(&down, image->height, region->full_height, region->y, region->height);
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
