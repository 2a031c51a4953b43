#include "synthesis/blend.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"

imiad_status blend_texture(imiad_image **out, const imiad_image *image, const imiad_image *texture,
                           const imiad_image *mask, double opacity)
{
    imiad_image *blended;
    TRY(image_to_rgb(&blended, image));
    for (int32_t y = 0; y < image->height; ++y) {
        uint8_t *to = image_row(blended, y);
        const uint8_t *from = image_row(texture, y), *inside = image_row(mask, y);
        for (int32_t i = 0; i < 3 * image->width; ++i)
            if (inside[i / 3])
                to[i] = (uint8_t)(opacity * from[i] + (1 - opacity) * to[i]);
    }
    *out = blended;
    return IMIAD_OK;
}

void blend_texture_planes(float *out, const float *image, const imiad_image *texture,
                          const imiad_image *mask, double opacity)
{
    float rest = (float)(1 - opacity); /* NumPy keeps the image's share in floats */
    for (int c = 0; c < 3; ++c)
        for (int32_t y = 0; y < texture->height; ++y)
            for (int32_t x = 0; x < texture->width; ++x, ++out, ++image) {
                double other = (double)image_row(texture, y)[3 * x + c] / 255.0;
                *out = image_row(mask, y)[x] ? (float)(opacity * other + (double)(rest * *image))
                                             : *image;
            }
}

/* ---- masks ---- */

imiad_status foreground_mask(imiad_image **out, const imiad_image *image, int threshold,
                             bool brighter)
{
    imiad_image *mask;
    TRY(image_create(&mask, IMIAD_PIXEL_GRAY8, image->width, image->height));
    for (int32_t y = 0; y < image->height; ++y) {
        const uint8_t *p = image_row(image, y);
        uint8_t *to = image_row(mask, y);
        for (int32_t x = 0; x < image->width; ++x, p += 3) {
            int gray = (p[0] * 9798 + p[1] * 19235 + p[2] * 3735 + (1 << 14)) >> 15;
            to[x] = (gray > threshold) == brighter ? 255 : 0;
        }
    }
    *out = mask;
    return IMIAD_OK;
}

int64_t mask_intersect(imiad_image *mask, const imiad_image *other)
{
    int64_t left = 0;
    for (int32_t y = 0; y < mask->height; ++y) {
        uint8_t *row = image_row(mask, y);
        for (int32_t x = 0; x < mask->width; ++x) {
            row[x] &= image_row(other, y)[x];
            left += row[x] != 0;
        }
    }
    return left;
}

/* ---- parts ---- */

imiad_status arrange_parts(imiad_image **out, const imiad_image *image, int32_t columns,
                           int32_t rows, const size_t *order)
{
    imiad_image *arranged;
    TRY(image_to_rgb(&arranged, image));
    int32_t width = image->width / columns, height = image->height / rows;
    for (int32_t part = 0; part < columns * rows; ++part) {
        int32_t from = (int32_t)order[part];
        int32_t to_x = part % columns * width, to_y = part / columns * height;
        int32_t from_x = from % columns * width, from_y = from / columns * height;
        for (int32_t y = 0; y < height; ++y)
            memcpy(image_row(arranged, to_y + y) + 3 * to_x,
                   image_row(image, from_y + y) + 3 * from_x, 3 * (size_t)width);
    }
    *out = arranged;
    return IMIAD_OK;
}

imiad_status shuffle_parts(imiad_image **out, const imiad_image *image, int32_t columns,
                           int32_t rows, random_stream *s)
{
    size_t count = (size_t)columns * (size_t)rows;
    size_t *order = malloc(count * sizeof *order);
    if (!order)
        return fail_memory("an order of an image's parts", count * sizeof *order);
    for (size_t i = 0; i < count; ++i)
        order[i] = i;
    random_shuffle(s, order, count);
    imiad_status status = arrange_parts(out, image, columns, rows, order);
    free(order);
    return status;
}
