/* Samples of more than 8 bits: the range of their values, and images of 16 bits in memory. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "image/decode.h"
#include "image/pixels.h"

enum { FEW_VALUES = 1 << 12, WHITE = 65535 };

/* Where a value lies between low and high: 0 to 1. */
static double share_of(double value, double low, double high)
{
    double share = (value - low) / (high - low);
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

/* A PNG's values were stretched to 16 bits, whatever its significant bits are: the bits below these
 * say nothing. */
imiad_status deep_prepare(deep_range *range, bool gray, unsigned top, int bits)
{
    bool given = range->low < range->high;
    range->wide = range->deep && gray;
    int shift = range->wide && !given && top == WHITE ? 16 - bits : 0;
    if (!given && top == WHITE && shift == 0)
        return IMIAD_OK;
    double low = given ? range->low : 0, high = given ? range->high : (double)(top >> shift);
    uint16_t *values = malloc((size_t)(top + 1) * sizeof *values);
    if (!values)
        return fail_memory("a range of values", (size_t)(top + 1) * sizeof *values);
    for (unsigned i = 0; i <= top; ++i)
        values[i] = (uint16_t)lrint((range->wide ? WHITE : 255) * share_of(i >> shift, low, high));
    range->values = values;
    return IMIAD_OK;
}

imiad_pixel_format deep_format(const deep_range *range, bool gray)
{
    return range->wide ? IMIAD_PIXEL_GRAY16 : gray ? IMIAD_PIXEL_GRAY8 : IMIAD_PIXEL_RGB8;
}

void deep_warn(const encoded_image *e)
{
    unsigned highest = e->range->highest;
    if (highest > 0 && highest < FEW_VALUES && !e->range->values)
        log_message(
            IMIAD_LOG_WARNING,
            "%s has 16 bits a sample, but no value above %u, and is nearly black; state the "
            "range of its values, such as range=0..%d",
            e->name, highest, highest < 1024 ? 1023 : 4095);
}

/* ---- images of 16 bits ---- */

imiad_status imiad_image_stretch(imiad_image **out, const imiad_image *image, double low,
                                 double high)
{
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "stretching: out is NULL");
    TRY(image_check(image, "stretching: image"));
    if (image->format != IMIAD_PIXEL_GRAY16)
        return fail(IMIAD_INVALID_ARGUMENT, "stretching: the image is not GRAY16");
    if (!(low < high) || !isfinite(low) || !isfinite(high))
        return fail(IMIAD_INVALID_ARGUMENT, "stretching: low is %g, but high is %g", low, high);
    uint16_t *values = malloc(sizeof(uint16_t) * (WHITE + 1));
    imiad_image *stretched;
    imiad_status status = values
                              ? image_create(&stretched, image->format, image->width, image->height)
                              : fail_memory("a range of values", sizeof(uint16_t) << 16);
    for (int i = 0; status == IMIAD_OK && i <= WHITE; ++i)
        values[i] = (uint16_t)lrint(WHITE * share_of(i, low, high));
    for (int32_t y = 0; status == IMIAD_OK && y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x)
            pixel_put16(image_row(stretched, y), x, values[pixel_get16(image_row(image, y), x)]);
    free(values);
    if (status == IMIAD_OK)
        *out = stretched;
    return status;
}
