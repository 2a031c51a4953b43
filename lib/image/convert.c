/* From the caller's floats to pixels, and an image as tiles. */
#include <math.h>
#include <stddef.h>

#include "base/error.h"
#include "image/pixels.h"

/* ---- floats ---- */

static imiad_status check_floats(const imiad_float_pixels *p)
{
    if (!p->values || p->width < 1 || p->height < 1)
        return fail(IMIAD_INVALID_ARGUMENT, "float pixels: values is NULL, or %d x %d is no size",
                    p->width, p->height);
    if (p->channels != 1 && p->channels != 3)
        return fail(IMIAD_INVALID_ARGUMENT, "float pixels: %d channels; there must be 1 or 3",
                    p->channels);
    if (p->deep && p->channels != 1)
        return fail(IMIAD_INVALID_ARGUMENT, "float pixels: 16 bits are for one channel, not %d",
                    p->channels);
    if (!(p->low < p->high) || !isfinite(p->low) || !isfinite(p->high))
        return fail(IMIAD_INVALID_ARGUMENT, "float pixels: low is %g, but high is %g",
                    (double)p->low, (double)p->high);
    return IMIAD_OK;
}

static imiad_status convert_row(uint8_t *out, const imiad_float_pixels *p, int32_t y)
{
    double white = p->deep ? 65535 : 255;
    for (int32_t x = 0; x < p->width; ++x)
        for (int32_t c = 0; c < p->channels; ++c) {
            float value =
                p->values[y * p->row_stride + x * p->pixel_stride + c * p->channel_stride];
            if (isnan(value))
                return fail(IMIAD_NOT_FINITE, "float pixels: channel %d at (%d, %d) is NaN", c, x,
                            y);
            double at = ((double)value - p->low) / ((double)p->high - p->low);
            uint16_t made = (uint16_t)lrint(white * (at < 0 ? 0 : at > 1 ? 1 : at));
            if (p->deep)
                pixel_put16(out, x, made);
            else
                *out++ = (uint8_t)made;
        }
    return IMIAD_OK;
}

imiad_status imiad_image_from_floats(imiad_image **out, const imiad_float_pixels *pixels)
{
    imiad_float_pixels p = IMIAD_FLOAT_PIXELS_INIT;
    if (!out || !pixels)
        return fail(IMIAD_INVALID_ARGUMENT, "float pixels: NULL");
    TRY(struct_read(&p, sizeof p, pixels, offsetof(imiad_float_pixels, deep), "float pixels"));
    TRY(check_floats(&p));
    imiad_image *image;
    imiad_pixel_format format = p.deep            ? IMIAD_PIXEL_GRAY16
                                : p.channels == 1 ? IMIAD_PIXEL_GRAY8
                                                  : IMIAD_PIXEL_RGB8;
    TRY(image_create(&image, format, p.width, p.height));
    for (int32_t y = 0; y < p.height; ++y) {
        imiad_status status = convert_row(image_row(image, y), &p, y);
        if (status != IMIAD_OK) {
            imiad_image_free(image);
            return status;
        }
    }
    *out = image;
    return IMIAD_OK;
}

/* ---- tiles ---- */

/* Tiles along an edge of `size` pixels; 0 where there are none. */
static int64_t tiles_along(int32_t size, int32_t side, double overlap)
{
    if (side < 1 || size < side || !(overlap >= 0 && overlap <= 0.5))
        return 0;
    int64_t step = side - (int64_t)ceil(overlap * side);
    step = step < 1 ? 1 : step;
    return 1 + (size - side + step - 1) / step;
}

/* The first pixel of one: evenly spaced, the last ends where the edge ends. */
static int32_t tile_start(int64_t index, int64_t count, int32_t size, int32_t side)
{
    return count == 1 ? 0 : (int32_t)(index * (size - side) / (count - 1));
}

size_t imiad_image_tile_count(int32_t width, int32_t height, int32_t side, double overlap)
{
    return (size_t)(tiles_along(width, side, overlap) * tiles_along(height, side, overlap));
}

imiad_status tile_place(int32_t *left, int32_t *top, int32_t width, int32_t height, int32_t side,
                        double overlap, size_t index)
{
    int64_t columns = tiles_along(width, side, overlap), rows = tiles_along(height, side, overlap);
    if (side < 1 || !(overlap >= 0 && overlap <= 0.5))
        return fail(IMIAD_OUT_OF_RANGE,
                    "tiles of %d pixels that overlap by %g: the side must be positive, the overlap "
                    "in 0..0.5",
                    side, overlap);
    if (columns * rows == 0)
        return fail(IMIAD_MISMATCH, "an image of %d x %d pixels is smaller than a tile of %d",
                    width, height, side);
    if (index >= (size_t)(columns * rows))
        return fail(IMIAD_OUT_OF_RANGE, "tile %zu of %lld", index, (long long)(columns * rows));
    *left = tile_start((int64_t)index % columns, columns, width, side);
    *top = tile_start((int64_t)index / columns, rows, height, side);
    return IMIAD_OK;
}

imiad_status imiad_image_tile(imiad_image *out, const imiad_image *image, int32_t side,
                              double overlap, size_t index)
{
    int32_t left, top;
    if (!out || out->struct_size < sizeof *out)
        return fail(IMIAD_INVALID_ARGUMENT, "tile: out is NULL, or its struct_size is not set");
    TRY(image_check(image, "tile: image"));
    TRY(tile_place(&left, &top, image->width, image->height, side, overlap, index));
    out->format = image->format;
    out->width = out->height = side;
    out->stride = image->stride;
    out->pixels = image_row(image, top) + (size_t)left * (size_t)pixel_bytes(image->format);
    return IMIAD_OK;
}
