/* Resizing as Pillow does it (Image.resize with BILINEAR or BICUBIC): a shares filter as wide as
 * the shrink factor, horizontally and then vertically, each pass in fixed point and rounded to a
 * byte. */
#include "image/resize.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "image/resize_kernels.h"

static void bank_free(filter_bank *bank)
{
    free(bank->begin);
    free(bank->count);
    free(bank->weights);
    *bank = (filter_bank){0, NULL, NULL, NULL};
}

/* The weights of one result in fixed point, halves away from zero. */
static void fill_taps(filter_bank *bank, double *shares, int32_t index, double center, double scale,
                      int32_t size, resize_filter filter)
{
    uint32_t *weights = bank->weights + index * bank->taps;
    bank->count[index] = resize_shares(shares, &bank->begin[index], center, scale, size, filter);
    for (int32_t i = 0; i < bank->count[index]; ++i) {
        double half = shares[i] < 0 ? -0.5 : 0.5;
        weights[i] = (uint32_t)(int32_t)(half + shares[i] * (1 << RESIZE_PRECISION));
    }
}

/* For results first..first+count-1 of resizing `size` positions to `full`. */
static imiad_status bank_make(filter_bank *bank, int32_t size, int32_t full, int32_t first,
                              int32_t count, resize_filter filter)
{
    double step = (double)size / full, scale = step < 1 ? 1 : step;
    filter_bank made = {resize_taps(scale, filter), NULL, NULL, NULL};
    size_t weights = (size_t)made.taps * (size_t)count;
    double *shares = malloc((size_t)made.taps * sizeof *shares);
    made.begin = malloc((size_t)count * sizeof *made.begin);
    made.count = malloc((size_t)count * sizeof *made.count);
    made.weights = malloc(weights * sizeof *made.weights);
    if (!shares || !made.begin || !made.count || !made.weights) {
        bank_free(&made);
        free(shares);
        return fail_memory("a resize filter", weights * sizeof *made.weights);
    }
    for (int32_t i = 0; i < count; ++i)
        fill_taps(&made, shares, i, (first + i + 0.5) * step, scale, size, filter);
    free(shares);
    *bank = made;
    return IMIAD_OK;
}

/* ---- the passes ---- */

typedef struct resampler {
    const imiad_image *image;
    const resize_region *region;
    const resize_kernels *kernels;
    resize_filter filter;
    bool across, down; /* which passes there are */
    filter_bank horizontal, vertical;
    size_t channels, row_bytes; /* of a filtered row */
    int32_t made;               /* source rows filtered so far */
    int32_t kept;               /* of these in memory: row y is at y % kept */
    uint8_t *filtered;
    uint8_t *spare; /* a filtered row that nobody needs */
    uint8_t *wide_in, *wide_out;
    const uint8_t **rows; /* what the vertical pass adds up */
} resampler;

static void interleave(uint8_t *restrict out, const uint8_t *const in[RESIZE_ROWS], size_t count)
{
    const uint8_t *restrict a = in[0], *restrict b = in[1], *restrict c = in[2];
    const uint8_t *restrict d = in[3], *restrict e = in[4], *restrict f = in[5];
    const uint8_t *restrict g = in[6], *restrict h = in[7];
    for (size_t i = 0; i < count; ++i, out += RESIZE_ROWS) {
        out[0] = a[i];
        out[1] = b[i];
        out[2] = c[i];
        out[3] = d[i];
        out[4] = e[i];
        out[5] = f[i];
        out[6] = g[i];
        out[7] = h[i];
    }
}

static void separate(uint8_t *const out[RESIZE_ROWS], const uint8_t *restrict in, size_t count)
{
    uint8_t *restrict a = out[0], *restrict b = out[1], *restrict c = out[2];
    uint8_t *restrict d = out[3], *restrict e = out[4], *restrict f = out[5];
    uint8_t *restrict g = out[6], *restrict h = out[7];
    for (size_t i = 0; i < count; ++i, in += RESIZE_ROWS) {
        a[i] = in[0];
        b[i] = in[1];
        c[i] = in[2];
        d[i] = in[3];
        e[i] = in[4];
        f[i] = in[5];
        g[i] = in[6];
        h[i] = in[7];
    }
}

static uint8_t *kept_row(const resampler *r, int32_t y)
{
    return r->filtered + (size_t)(y % r->kept) * r->row_bytes;
}

/* The next eight rows; below the image's end the last one again. */
static void filter_next_rows(resampler *r)
{
    int32_t last = r->image->height - 1;
    const uint8_t *in[RESIZE_ROWS];
    uint8_t *out[RESIZE_ROWS];
    for (int32_t i = 0; i < RESIZE_ROWS; ++i) {
        int32_t y = r->made + i;
        in[i] = image_row(r->image, y < last ? y : last);
        out[i] = y <= last ? kept_row(r, y) : r->spare;
    }
    interleave(r->wide_in, in, (size_t)r->image->width * r->channels);
    r->kernels->across(r->wide_out, r->wide_in, r->channels, &r->horizontal, r->region->width);
    separate(out, r->wide_out, r->row_bytes);
    r->made += RESIZE_ROWS;
}

/* Source row y of the region's columns, filtered horizontally. Rows are asked for in order, and
 * never again once `taps` later ones were. */
static const uint8_t *horizontal_row(resampler *r, int32_t y)
{
    if (!r->across)
        return image_row(r->image, y) + (size_t)r->region->x * r->channels;
    while (r->made <= y)
        filter_next_rows(r);
    return kept_row(r, y);
}

static void write_row(resampler *r, uint8_t *out, int32_t y)
{
    if (!r->down) {
        memcpy(out, horizontal_row(r, r->region->y + y), r->row_bytes);
        return;
    }
    int32_t begin = r->vertical.begin[y], count = r->vertical.count[y];
    for (int32_t i = 0; i < count; ++i)
        r->rows[i] = horizontal_row(r, begin + i);
    r->kernels->down(out, r->rows, r->vertical.weights + y * r->vertical.taps, count, r->row_bytes);
}

static imiad_status resampler_make(resampler *r)
{
    const resize_region *region = r->region;
    int32_t width = r->image->width, height = r->image->height;
    if (r->across)
        TRY(bank_make(&r->horizontal, width, region->full_width, region->x, region->width,
                      r->filter));
    if (r->down)
        TRY(bank_make(&r->vertical, height, region->full_height, region->y, region->height,
                      r->filter));
    int64_t taps = r->down ? r->vertical.taps : 1;
    int64_t kept = taps + RESIZE_ROWS < height ? taps + RESIZE_ROWS : height;
    r->made = r->down ? r->vertical.begin[0] : region->y;
    r->kept = (int32_t)kept;
    r->rows = malloc((size_t)taps * sizeof *r->rows);
    bool complete = r->rows != NULL;
    if (r->across) {
        r->filtered = malloc((size_t)kept * r->row_bytes);
        r->spare = malloc(r->row_bytes);
        r->wide_in = malloc(RESIZE_ROWS * (size_t)width * r->channels);
        r->wide_out = malloc(RESIZE_ROWS * r->row_bytes);
        complete = complete && r->filtered && r->spare && r->wide_in && r->wide_out;
    }
    return complete ? IMIAD_OK : fail_memory("resizing", (size_t)kept * r->row_bytes);
}

imiad_status resize_image(uint8_t *out, size_t stride, const imiad_image *image,
                          const resize_region *region, resize_filter filter)
{
    if (image->format == IMIAD_PIXEL_GRAY16)
        return resize_deep(out, stride, image, region, filter);
    size_t channels = (size_t)pixel_bytes(image->format);
    resampler r = {.image = image,
                   .region = region,
                   .kernels = resize_best(),
                   .filter = filter,
                   .across = region->full_width != image->width,
                   .down = region->full_height != image->height,
                   .channels = channels,
                   .row_bytes = channels * (size_t)region->width};
    imiad_status status = resampler_make(&r);
    for (int32_t y = 0; status == IMIAD_OK && y < region->height; ++y)
        write_row(&r, out + (size_t)y * stride, y);
    bank_free(&r.horizontal);
    bank_free(&r.vertical);
    free(r.filtered);
    free(r.spare);
    free(r.wide_in);
    free(r.wide_out);
    free(r.rows);
    return status;
}

/* ---- alpha ---- */

/* Colours are weighted with their alpha before they are filtered, and divided by it afterwards. */
static void premultiply(imiad_image *image)
{
    for (size_t i = 0, n = (size_t)image->width * (size_t)image->height; i < n; ++i) {
        uint8_t *pixel = image->pixels + 4 * i;
        for (int c = 0; c < 3; ++c) {
            unsigned product = pixel[c] * pixel[3] + 128u; /* rounded division by 255 */
            pixel[c] = (uint8_t)((product + (product >> 8)) >> 8);
        }
    }
}

static void unpremultiply(imiad_image *image)
{
    for (size_t i = 0, n = (size_t)image->width * (size_t)image->height; i < n; ++i) {
        uint8_t *pixel = image->pixels + 4 * i;
        for (int c = 0; c < 3 && pixel[3] != 0 && pixel[3] != 255; ++c) {
            unsigned value = 255u * pixel[c] / pixel[3];
            pixel[c] = (uint8_t)(value > 255 ? 255 : value);
        }
    }
}

static imiad_status copy_image(imiad_image **out, const imiad_image *image)
{
    TRY(image_create(out, image->format, image->width, image->height));
    for (int32_t y = 0; y < image->height; ++y)
        memcpy(image_row(*out, y), image_row(image, y), (*out)->stride);
    return IMIAD_OK;
}

imiad_status imiad_image_resize(imiad_image **out, const imiad_image *image, int32_t width,
                                int32_t height)
{
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "resizing: out is NULL");
    TRY(image_check(image, "resizing: image"));
    if (width == image->width && height == image->height)
        return copy_image(out, image);
    imiad_image *resized = NULL, *weighted = NULL;
    imiad_status status = image_create(&resized, image->format, width, height);
    if (status != IMIAD_OK)
        return fail_within(status, "resizing");
    if (pixel_bytes(image->format) == 4) { /* with alpha */
        status = copy_image(&weighted, image);
        if (status == IMIAD_OK)
            premultiply(weighted);
    }
    const resize_region whole = {width, height, 0, 0, width, height};
    if (status == IMIAD_OK)
        status = resize_image(resized->pixels, resized->stride, weighted ? weighted : image, &whole,
                              RESIZE_BILINEAR);
    if (status == IMIAD_OK && weighted)
        unpremultiply(resized);
    imiad_image_free(weighted);
    if (status == IMIAD_OK)
        *out = resized;
    else
        imiad_image_free(resized);
    return status;
}

/* Pillow adds the step up instead of multiplying it, and so does this: sums round otherwise. */
void nearest_indices(int32_t *out, int32_t size, int32_t full, int32_t first, int32_t count)
{
    double step = (double)size / full, position = step * 0.5;
    for (int32_t i = 0; i < first + count; ++i, position += step)
        if (i >= first)
            out[i - first] = position < size ? (int32_t)position : size - 1;
}

imiad_status resize_nearest(imiad_image **out, const imiad_image *gray, int32_t width,
                            int32_t height)
{
    imiad_image *result = NULL;
    TRY(image_create(&result, IMIAD_PIXEL_GRAY8, width, height));
    size_t count = (size_t)width + (size_t)height;
    int32_t *columns = malloc(count * sizeof *columns), *rows = columns + width;
    if (!columns) {
        imiad_image_free(result);
        return fail_memory("a resized mask's geometry", count * sizeof *columns);
    }
    nearest_indices(columns, gray->width, width, 0, width);
    nearest_indices(rows, gray->height, height, 0, height);
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x)
            image_row(result, y)[x] = image_row(gray, rows[y])[columns[x]];
    free(columns);
    *out = result;
    return IMIAD_OK;
}
