#include "image/preprocess.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "image/resize.h"

const float imagenet_mean[3] = {0.485f, 0.456f, 0.406f};
const float imagenet_std[3] = {0.229f, 0.224f, 0.225f};

/* One direction: `size` source pixels become `full`, of which [first, first + count) are seen, from
 * position `at` of `out` on. */
typedef struct axis {
    int32_t size, full;
    int32_t first, count;
    int32_t at, out;
} axis;

typedef struct geometry {
    axis x, y;
} geometry;

/* torchvision's Resize of one number: int(size * longer / shorter). */
static int32_t longer_side(int32_t size, int32_t longer, int32_t shorter)
{
    double length = (double)((int64_t)size * longer) / shorter;
    return length < INT32_MAX ? (int32_t)length : INT32_MAX;
}

/* torchvision's CenterCrop: an image too small is padded with zeros, the odd pixel to the right;
 * one too large loses (full - crop) / 2 on the left, a half rounded to even as Python rounds. */
static axis axis_of(int32_t size, int32_t full, int32_t crop)
{
    if (crop == 0 || crop == full)
        return (axis){size, full, 0, full, 0, full};
    if (crop > full)
        return (axis){size, full, 0, full, (crop - full) / 2, crop};
    int32_t spare = full - crop, first = spare / 2;
    if (spare % 2 != 0 && first % 2 != 0)
        first += 1;
    return (axis){size, full, first, crop, 0, crop};
}

static geometry geometry_of(const preprocessing *p, int32_t width, int32_t height)
{
    int32_t full_width = p->resize, full_height = p->resize;
    if (!p->squash && width > height)
        full_width = longer_side(p->resize, width, height);
    else if (!p->squash)
        full_height = longer_side(p->resize, height, width);
    return (geometry){axis_of(width, full_width, p->crop), axis_of(height, full_height, p->crop)};
}

void preprocess_size(int32_t *out_width, int32_t *out_height, const preprocessing *p, int32_t width,
                     int32_t height)
{
    geometry g = geometry_of(p, width, height);
    *out_width = g.x.out;
    *out_height = g.y.out;
}

static void find_extent(double *start, double *extent, const axis *a)
{
    double pixel = (double)a->size / a->full; /* of the resized image, in the image's own */
    *start = (a->first - a->at) * pixel;
    *extent = a->out * pixel;
}

void preprocess_find_window(preprocess_window *out, const preprocessing *p, int32_t width,
                            int32_t height)
{
    geometry g = geometry_of(p, width, height);
    find_extent(&out->left, &out->width, &g.x);
    find_extent(&out->top, &out->height, &g.y);
}

static imiad_status check(const preprocessing *p, const imiad_image *image, const char *name)
{
    TRY(image_check(image, name));
    if (p->resize < 1 || p->crop < 0)
        return fail(IMIAD_INVALID_ARGUMENT, "preprocessing: resize %d, crop %d", p->resize,
                    p->crop);
    return IMIAD_OK;
}

/* The part of the resized image that the crop shows, in the source's format. */
static imiad_status resize_and_crop(imiad_image **out, const imiad_image *image, const geometry *g,
                                    bool bicubic)
{
    imiad_image *seen = NULL;
    TRY(image_create(&seen, image->format, g->x.count, g->y.count));
    resize_region region = {g->x.full, g->y.full, g->x.first, g->y.first, g->x.count, g->y.count};
    imiad_status status = resize_image(seen->pixels, seen->stride, image, &region,
                                       bicubic ? RESIZE_BICUBIC : RESIZE_BILINEAR);
    if (status == IMIAD_OK)
        *out = seen;
    else
        imiad_image_free(seen);
    return status;
}

/* Takes `seen`. The result is RGB8, or GRAY16 where that is. */
static imiad_status pad(imiad_image **out, imiad_image *seen, const geometry *g)
{
    bool deep = seen->format == IMIAD_PIXEL_GRAY16;
    imiad_pixel_format format = deep ? IMIAD_PIXEL_GRAY16 : IMIAD_PIXEL_RGB8;
    if (seen->format == format && seen->width == g->x.out && seen->height == g->y.out) {
        *out = seen;
        return IMIAD_OK;
    }
    imiad_image *padded = NULL;
    imiad_status status = image_create(&padded, format, g->x.out, g->y.out);
    for (int32_t y = 0; status == IMIAD_OK && y < seen->height; ++y) {
        uint8_t *row = image_row(padded, g->y.at + y);
        if (deep)
            memcpy(row + 2 * (size_t)g->x.at, image_row(seen, y), seen->stride);
        else
            pixels_to_rgb(row + 3 * (size_t)g->x.at, image_row(seen, y), (size_t)seen->width,
                          seen->format);
    }
    imiad_image_free(seen);
    if (status == IMIAD_OK)
        *out = padded;
    return status;
}

imiad_status preprocess_image(imiad_image **out, const imiad_image *image, const preprocessing *p)
{
    TRY(check(p, image, "preprocessing: image"));
    geometry g = geometry_of(p, image->width, image->height);
    imiad_image *seen = NULL;
    if (pixel_bytes(image->format) == 4) { /* alpha must not weigh in the resize */
        imiad_image *rgb = NULL;
        TRY(image_to_rgb(&rgb, image));
        imiad_status status = resize_and_crop(&seen, rgb, &g, p->bicubic);
        imiad_image_free(rgb);
        TRY(status);
    } else {
        TRY(resize_and_crop(&seen, image, &g, p->bicubic));
    }
    return pad(out, seen, &g);
}

/* Above zero in any colour; alpha does not count. */
static bool is_defect(const uint8_t *pixel, int bytes)
{
    return pixel[0] > 0 || (bytes > 1 && pixel[1] > 0) || (bytes > 2 && pixel[2] > 0);
}

imiad_status preprocess_mask(imiad_image **out, const imiad_image *mask, const preprocessing *p)
{
    TRY(check(p, mask, "preprocessing: mask"));
    geometry g = geometry_of(p, mask->width, mask->height);
    imiad_image *result = NULL;
    TRY(image_create(&result, IMIAD_PIXEL_GRAY8, g.x.out, g.y.out));
    size_t count = (size_t)g.x.count + (size_t)g.y.count;
    int32_t *columns = malloc(count * sizeof *columns), *rows = columns + g.x.count;
    if (!columns) {
        imiad_image_free(result);
        return fail_memory("a mask's geometry", count * sizeof *columns);
    }
    nearest_indices(columns, g.x.size, g.x.full, g.x.first, g.x.count);
    nearest_indices(rows, g.y.size, g.y.full, g.y.first, g.y.count);
    int bytes = pixel_bytes(mask->format);
    for (int32_t y = 0; y < g.y.count; ++y) {
        const uint8_t *source = image_row(mask, rows[y]);
        uint8_t *target = image_row(result, g.y.at + y) + g.x.at;
        for (int32_t x = 0; x < g.x.count; ++x)
            target[x] = is_defect(source + (size_t)columns[x] * (size_t)bytes, bytes) ? 255 : 0;
    }
    free(columns);
    *out = result;
    return IMIAD_OK;
}

imiad_status preprocess_mask_openiad(imiad_image **out, const imiad_image *mask,
                                     const preprocessing *p)
{
    imiad_image *rgb, *result = NULL;
    TRY(preprocess_image(&rgb, mask, p));
    imiad_status status = image_create(&result, IMIAD_PIXEL_GRAY8, rgb->width, rgb->height);
    for (int32_t y = 0; status == IMIAD_OK && y < rgb->height; ++y)
        for (int32_t x = 0; x < rgb->width; ++x)
            image_row(result, y)[x] = image_row(rgb, y)[3 * x] >= 128 ? 255 : 0;
    imiad_image_free(rgb);
    if (status == IMIAD_OK)
        *out = result;
    return status;
}

static void normalize_deep(float *out, const imiad_image *deep, const preprocessing *p)
{
    size_t plane = (size_t)deep->width * (size_t)deep->height;
    for (int32_t y = 0; y < deep->height; ++y)
        for (int32_t x = 0; x < deep->width; ++x, ++out) {
            float value = (float)pixel_get16(image_row(deep, y), x) / 65535.0f;
            for (int c = 0; c < 3; ++c)
                out[(size_t)c * plane] = (value - p->mean[c]) / p->std[c];
        }
}

static void normalize_rgb(float *out, const imiad_image *rgb, const preprocessing *p)
{
    size_t plane = (size_t)rgb->width * (size_t)rgb->height;
    float values[3][256];
    for (int c = 0; c < 3; ++c)
        for (int i = 0; i < 256; ++i)
            values[c][i] = ((float)i / 255.0f - p->mean[c]) / p->std[c];
    for (int32_t y = 0; y < rgb->height; ++y) {
        const uint8_t *row = image_row(rgb, y);
        float *target = out + (size_t)y * (size_t)rgb->width;
        for (int32_t x = 0; x < rgb->width; ++x, row += 3) {
            target[x] = values[0][row[0]];
            target[x + plane] = values[1][row[1]];
            target[x + 2 * plane] = values[2][row[2]];
        }
    }
}

void preprocess_normalize(float *out, const imiad_image *image, const preprocessing *p)
{
    if (image->format == IMIAD_PIXEL_GRAY16)
        normalize_deep(out, image, p);
    else
        normalize_rgb(out, image, p);
}
