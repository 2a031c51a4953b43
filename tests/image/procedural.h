/* The inputs of the golden tables that hold our images against Pillow's. */
#ifndef TESTS_IMAGE_PROCEDURAL_H
#define TESTS_IMAGE_PROCEDURAL_H

#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "check_suite.h"
#include "image/pixels.h"

/* The pictures of tests/golden/make_resize.py. */
static inline imiad_image *procedural(imiad_pixel_format format, int32_t width, int32_t height)
{
    imiad_image *image = NULL;
    ck_ok(image_create(&image, format, width, height));
    int bytes = pixel_bytes(format);
    for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x)
            for (int c = 0; c < bytes; ++c)
                image_row(image, (int32_t)y)[x * bytes + c] =
                    (uint8_t)(3 * x * x + 5 * y * y + 7 * x * y + 13 * (x ^ y) + 41 * c);
    return image;
}

static inline void image_digest(char digest[65], const imiad_image *image)
{
    ck_assert_uint_eq(image->stride, (size_t)image->width * (size_t)pixel_bytes(image->format));
    bytes_digest(digest, image->pixels, image->stride * (size_t)image->height);
}

/* A file of the source tree. */
static inline FILE *open_source(const char *path)
{
    char whole[4096];
    const char *source = getenv("IMIAD_SOURCE");
    snprintf(whole, sizeof whole, "%s/%s", source ? source : ".", path);
    FILE *stream = fopen(whole, "r");
    ck_assert_msg(stream != NULL, "cannot open %s", whole);
    return stream;
}

#endif
