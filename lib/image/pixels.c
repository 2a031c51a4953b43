#include "image/pixels.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int pixel_bytes(imiad_pixel_format format)
{
    static const int bytes[] = {
        [IMIAD_PIXEL_GRAY8] = 1, [IMIAD_PIXEL_RGB8] = 3,  [IMIAD_PIXEL_BGR8] = 3,
        [IMIAD_PIXEL_RGBA8] = 4, [IMIAD_PIXEL_BGRA8] = 4, [IMIAD_PIXEL_GRAY16] = 2};
    unsigned index = (unsigned)format;
    return index < sizeof bytes / sizeof *bytes ? bytes[index] : 0;
}

imiad_status image_adopt(imiad_image **out, imiad_pixel_format format, int32_t width,
                         int32_t height, uint8_t *pixels)
{
    imiad_image *image = malloc(sizeof *image);
    if (!image) {
        free(pixels);
        return fail_memory("an image", sizeof *image);
    }
    *image = (imiad_image){
        sizeof *image, format, width, height, (size_t)width * (size_t)pixel_bytes(format), pixels};
    *out = image;
    return IMIAD_OK;
}

imiad_status image_create(imiad_image **out, imiad_pixel_format format, int64_t width,
                          int64_t height)
{
    if (width < 1 || height < 1)
        return fail(IMIAD_INVALID_ARGUMENT, "an image of %lld x %lld pixels: both must be positive",
                    (long long)width, (long long)height);
    if (width > IMAGE_PIXELS_MAX / height)
        return fail(IMIAD_OUT_OF_RANGE, "an image of %lld x %lld pixels: at most %d are allowed",
                    (long long)width, (long long)height, IMAGE_PIXELS_MAX);
    size_t bytes = (size_t)width * (size_t)height * (size_t)pixel_bytes(format);
    uint8_t *pixels = calloc(bytes, 1);
    if (!pixels)
        return fail_memory("an image", bytes);
    return image_adopt(out, format, (int32_t)width, (int32_t)height, pixels);
}

imiad_status imiad_image_create(imiad_image **out, imiad_pixel_format format, int32_t width,
                                int32_t height)
{
    if (!out || pixel_bytes(format) == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "image: out is NULL, or %d is not a pixel format",
                    (int)format);
    return image_create(out, format, width, height);
}

void imiad_image_free(imiad_image *image)
{
    if (!image)
        return;
    free(image->pixels);
    free(image);
}

imiad_status image_check(const imiad_image *image, const char *name)
{
    if (!image)
        return fail(IMIAD_INVALID_ARGUMENT, "%s is NULL", name);
    if (image->struct_size < sizeof *image)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "%s: struct_size is %u, not %zu; set it with IMIAD_IMAGE_INIT", name,
                    image->struct_size, sizeof *image);
    int bytes = pixel_bytes(image->format);
    if (bytes == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: %d is not a pixel format", name,
                    (int)image->format);
    if (!image->pixels)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: pixels is NULL", name);
    if (image->width < 1 || image->height < 1)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: %d x %d pixels; both must be positive", name,
                    image->width, image->height);
    if (image->width > IMAGE_PIXELS_MAX / image->height)
        return fail(IMIAD_OUT_OF_RANGE, "%s: %d x %d pixels; at most %d are allowed", name,
                    image->width, image->height, IMAGE_PIXELS_MAX);
    if (image->stride < (size_t)image->width * (size_t)bytes)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: a stride of %zu bytes for rows of %d x %d", name,
                    image->stride, image->width, bytes);
    return IMIAD_OK;
}

void pixels_to_rgb(uint8_t *restrict rgb, const uint8_t *restrict pixels, size_t count,
                   imiad_pixel_format format)
{
    switch (format) {
    case IMIAD_PIXEL_GRAY8:
        for (size_t i = 0; i < count; ++i)
            rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = pixels[i];
        break;
    case IMIAD_PIXEL_RGB8:
        memcpy(rgb, pixels, 3 * count);
        break;
    case IMIAD_PIXEL_BGR8:
        for (size_t i = 0; i < 3 * count; i += 3) {
            rgb[i] = pixels[i + 2];
            rgb[i + 1] = pixels[i + 1];
            rgb[i + 2] = pixels[i];
        }
        break;
    case IMIAD_PIXEL_RGBA8:
        for (size_t i = 0; i < count; ++i)
            memcpy(rgb + 3 * i, pixels + 4 * i, 3);
        break;
    case IMIAD_PIXEL_BGRA8:
        for (size_t i = 0; i < count; ++i) {
            rgb[3 * i] = pixels[4 * i + 2];
            rgb[3 * i + 1] = pixels[4 * i + 1];
            rgb[3 * i + 2] = pixels[4 * i];
        }
        break;
    case IMIAD_PIXEL_GRAY16:
        for (size_t i = 0; i < count; ++i)
            memset(rgb + 3 * i, pixel_get16(pixels, (int32_t)i) >> 8, 3);
        break;
    }
}

imiad_status image_to_rgb(imiad_image **out, const imiad_image *image)
{
    imiad_image *rgb = NULL;
    TRY(image_create(&rgb, IMIAD_PIXEL_RGB8, image->width, image->height));
    for (int32_t y = 0; y < image->height; ++y)
        pixels_to_rgb(image_row(rgb, y), image_row(image, y), (size_t)image->width, image->format);
    *out = rgb;
    return IMIAD_OK;
}

static imiad_status image_to_gray8(imiad_image **out, const imiad_image *deep)
{
    TRY(image_create(out, IMIAD_PIXEL_GRAY8, deep->width, deep->height));
    for (int32_t y = 0; y < deep->height; ++y)
        for (int32_t x = 0; x < deep->width; ++x)
            image_row(*out, y)[x] = (uint8_t)(pixel_get16(image_row(deep, y), x) >> 8);
    return IMIAD_OK;
}

imiad_status image_show(imiad_image **image, imiad_pixel_format format)
{
    imiad_image *deep = *image, *shown = NULL;
    if (deep->format != IMIAD_PIXEL_GRAY16)
        return IMIAD_OK;
    imiad_status status =
        format == IMIAD_PIXEL_GRAY8 ? image_to_gray8(&shown, deep) : image_to_rgb(&shown, deep);
    imiad_image_free(deep);
    *image = shown;
    return status;
}
