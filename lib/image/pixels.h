/* Pixel buffers: making our own, checking the caller's, changing their format. */
#ifndef IMAGE_PIXELS_H
#define IMAGE_PIXELS_H

#include <string.h>

#include "imiad/image.h"

/* No image of more pixels is read, made or accepted: a header may promise anything. */
enum { IMAGE_PIXELS_MAX = 1 << 28 };

/* Bytes a pixel; 0 for a number that is no format. */
int pixel_bytes(imiad_pixel_format format);

/* Rows are contiguous (stride is width x bytes a pixel), pixels are zero. */
imiad_status image_create(imiad_image **out, imiad_pixel_format format, int64_t width,
                          int64_t height);
/* Takes contiguous pixels that malloc gave, also on failure. */
imiad_status image_adopt(imiad_image **out, imiad_pixel_format format, int32_t width,
                         int32_t height, uint8_t *pixels);

/* A caller's image: complete, of a known format, its stride and size possible. name is what the
 * message calls it. */
imiad_status image_check(const imiad_image *image, const char *name);

/* Pixel x of a GRAY16 row, which may lie at any address. */
static inline uint16_t pixel_get16(const uint8_t *row, int32_t x)
{
    uint16_t value;
    memcpy(&value, row + 2 * (size_t)x, sizeof value);
    return value;
}
static inline void pixel_put16(uint8_t *row, int32_t x, uint16_t value)
{
    memcpy(row + 2 * (size_t)x, &value, sizeof value);
}

static inline uint8_t *image_row(const imiad_image *image, int32_t y)
{
    return image->pixels + (size_t)y * image->stride;
}

/* count pixels to RGB8, alpha and the low byte of 16 bits dropped. */
void pixels_to_rgb(uint8_t *rgb, const uint8_t *pixels, size_t count, imiad_pixel_format format);

/* An RGB8 copy. */
imiad_status image_to_rgb(imiad_image **out, const imiad_image *image);

/* Puts an RGB8, or a GRAY8, copy in the place of an image of 16 bits: for what is shown to people
 * and to callers that know bytes. Others stay. A failure frees the image. */
imiad_status image_show(imiad_image **image, imiad_pixel_format format);

/* The left upper pixel of a tile; errors as imiad_image_tile. */
imiad_status tile_place(int32_t *left, int32_t *top, int32_t width, int32_t height, int32_t side,
                        double overlap, size_t index);

#endif
