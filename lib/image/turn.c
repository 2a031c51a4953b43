#include "image/turn.h"

#include <math.h>

#include "base/error.h"
#include "image/pixels.h"

/* Places are whole numbers of 1 / 1024 pixels first and of 1 / 32 then. */
enum { FINE = 1024, COARSE_BITS = 5, COARSE = 1 << COARSE_BITS, HALF_STEP = FINE / COARSE / 2 };
enum { WEIGHT_BITS = 15, WEIGHT_UNIT = 1 << (WEIGHT_BITS - 2 * COARSE_BITS) };

/* From a place of the result to one of the image: x' = a x + b y + c, y' = d x + e y + f. */
typedef struct turn {
    double a, b, c, d, e, f;
} turn;

/* The inverse of the forward matrix, step by step as OpenCV computes it, whose roundings decide
 * places on the border of two steps. */
static turn turn_about_middle(const imiad_image *image, double degrees)
{
    double angle = degrees * (M_PI / 180), alpha = cos(angle), beta = sin(angle);
    double x = image->width / 2.0, y = image->height / 2.0;
    double right = (1 - alpha) * x - beta * y, down = beta * x + (1 - alpha) * y;
    double scale = 1 / (alpha * alpha - beta * -beta);
    turn t = {.a = alpha * scale, .b = beta * -scale, .d = -beta * -scale, .e = alpha * scale};
    t.c = -t.a * right - t.b * down;
    t.f = -t.d * right - t.e * down;
    return t;
}

static int64_t fixed(double place)
{
    return (int64_t)rint(place * FINE);
}

/* The place of a border's mirror image inside 0..size-1. */
static int32_t reflect(int64_t place, int32_t size)
{
    int64_t period = 2 * ((int64_t)size - 1);
    if (period == 0)
        return 0;
    place %= period;
    place = place < 0 ? place + period : place;
    return (int32_t)(place < size ? place : period - place);
}

/* The mean of four pixels, weighted by how near (x, y), in steps, is to each. */
static void put_pixel(uint8_t *out, const imiad_image *image, int64_t x, int64_t y)
{
    int64_t column = x >> COARSE_BITS, row = y >> COARSE_BITS;
    int32_t u = (int32_t)(x & (COARSE - 1)), v = (int32_t)(y & (COARSE - 1));
    const uint8_t *above = image_row(image, reflect(row, image->height));
    const uint8_t *below = image_row(image, reflect(row + 1, image->height));
    int32_t left = 3 * reflect(column, image->width), right = 3 * reflect(column + 1, image->width);
    for (int c = 0; c < 3; ++c) {
        int32_t sum = (COARSE - v) * ((COARSE - u) * above[left + c] + u * above[right + c]) +
                      v * ((COARSE - u) * below[left + c] + u * below[right + c]);
        out[c] = (uint8_t)((sum * WEIGHT_UNIT + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS);
    }
}

imiad_status image_turn_smoothly(imiad_image **out, const imiad_image *rgb, double degrees)
{
    const turn t = turn_about_middle(rgb, degrees);
    TRY(image_create(out, IMIAD_PIXEL_RGB8, rgb->width, rgb->height));
    for (int32_t y = 0; y < rgb->height; ++y) {
        int64_t column = fixed(t.b * y + t.c) + HALF_STEP, row = fixed(t.e * y + t.f) + HALF_STEP;
        uint8_t *to = image_row(*out, y);
        for (int32_t x = 0; x < rgb->width; ++x)
            put_pixel(to + 3 * (size_t)x, rgb, (column + fixed(t.a * x)) >> COARSE_BITS,
                      (row + fixed(t.d * x)) >> COARSE_BITS);
    }
    return IMIAD_OK;
}
