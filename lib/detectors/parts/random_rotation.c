#include "detectors/parts/random_rotation.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "image/augment.h"
#include "image/pixels.h"

/* The place of a border's mirror image inside 0..size-1. */
static int32_t reflect(int32_t place, int32_t size)
{
    if (size == 1)
        return 0;
    int32_t period = 2 * (size - 1);
    place %= period;
    place = place < 0 ? place + period : place;
    return place < size ? place : period - place;
}

/* The image with so many reflected pixels on every side. */
static imiad_status widen(imiad_image **out, const imiad_image *image, int32_t border)
{
    TRY(image_create(out, IMIAD_PIXEL_RGB8, (int64_t)image->width + 2 * border,
                     (int64_t)image->height + 2 * border));
    for (int32_t y = 0; y < (*out)->height; ++y) {
        const uint8_t *from = image_row(image, reflect(y - border, image->height));
        uint8_t *to = image_row(*out, y);
        for (int32_t x = 0; x < (*out)->width; ++x)
            memcpy(to + 3 * (size_t)x, from + 3 * (size_t)reflect(x - border, image->width), 3);
    }
    return IMIAD_OK;
}

/* So that a turned image's corners stay inside. */
static int32_t border_of(const imiad_image *image)
{
    int32_t shorter = image->width < image->height ? image->width : image->height;
    double diagonal = hypot((double)image->width, (double)image->height);
    return (int32_t)ceil((diagonal - (double)shorter) / 2) + 1;
}

static imiad_status turn(imiad_image **out, const imiad_image *image, double degrees)
{
    const augmentation a = {AUGMENT_ROTATION, {augment_value(degrees)}};
    return augment_image(out, image, &a);
}

imiad_status rotation_put(made_output *out, const imiad_image *image, double degrees, bool mirrored)
{
    imiad_image *wide = NULL, *turned;
    int32_t border = mirrored ? border_of(image) : 0;
    size_t row = 3 * (size_t)out->width;
    if (mirrored)
        TRY(widen(&wide, image, border));
    imiad_status status = turn(&turned, mirrored ? wide : image, degrees);
    imiad_image_free(wide);
    TRY(status);
    for (int32_t y = 0; y < out->height; ++y)
        memcpy(out->bytes + (size_t)y * row, image_row(turned, y + border) + 3 * (size_t)border,
               row);
    imiad_image_free(turned);
    return IMIAD_OK;
}

imiad_status random_rotation_put(made_output *out, const imiad_image *image, double most,
                                 random_stream *stream)
{
    return rotation_put(out, image, random_between(stream, -most, most), false);
}
