#include "synthesis/warp.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"

/* ---- bilinear ---- */

/* OpenCV's fixed point: positions in 1/1024 of a pixel, of which 1/32 is kept; weights of 15 bits.
 */
enum { POSITION_BITS = 10, STEP_BITS = 5, STEPS = 1 << STEP_BITS, WEIGHT_BITS = 15 };

/* source = matrix * target */
typedef struct affine {
    double m[6];
} affine;

/* Worked out as OpenCV inverts it. */
static affine inverse_of(const double forward[6])
{
    double scale = 1 / (forward[0] * forward[4] - forward[1] * forward[3]);
    affine a = {
        {forward[4] * scale, -forward[1] * scale, 0, -forward[3] * scale, forward[0] * scale, 0}};
    a.m[2] = -a.m[0] * forward[2] - a.m[1] * forward[5];
    a.m[5] = -a.m[3] * forward[2] - a.m[4] * forward[5];
    return a;
}

/* The inverse of the rotation about the middle of the pixels. */
static affine inverse_rotation(int32_t width, int32_t height, double degrees)
{
    double angle = degrees * (M_PI / 180), c = cos(angle), s = sin(angle);
    double x = width / 2.0 - 0.5, y = height / 2.0 - 0.5;
    return inverse_of((const double[6]){c, -s, x - c * x + s * y, s, c, y - s * x - c * y});
}

/* The source position of a target pixel in 1/32 of a pixel. */
static void find_source(int64_t position[2], const affine *a, int32_t x, int32_t y)
{
    const double one = 1 << POSITION_BITS;
    const int64_t half = (1 << POSITION_BITS) / STEPS / 2;
    for (int i = 0; i < 2; ++i) {
        const double *m = a->m + 3 * i;
        int64_t along = llrint(m[0] * x * one), start = llrint((m[1] * y + m[2]) * one);
        position[i] = (start + half + along) >> (POSITION_BITS - STEP_BITS);
    }
}

/* The four neighbours of a position: their places, NULL outside, and the fractions. */
typedef struct neighbours {
    int64_t left, top;
    int right, down; /* in 1/32 */
} neighbours;

static neighbours find_neighbours(const affine *a, int32_t x, int32_t y)
{
    int64_t p[2];
    find_source(p, a, x, y);
    return (neighbours){p[0] >> STEP_BITS, p[1] >> STEP_BITS, (int)(p[0] & (STEPS - 1)),
                        (int)(p[1] & (STEPS - 1))};
}

static const uint8_t *pixel_or_null(const imiad_image *image, int64_t x, int64_t y, int bytes)
{
    if (x < 0 || y < 0 || x >= image->width || y >= image->height)
        return NULL;
    return image_row(image, (int32_t)y) + (size_t)x * (size_t)bytes;
}

static void blend_pixel(uint8_t *out, const imiad_image *image, neighbours n, int bytes)
{
    const int unit = 1 << (WEIGHT_BITS - 2 * STEP_BITS);
    const uint8_t *corners[4];
    int weights[4];
    for (int i = 0; i < 4; ++i) {
        int right = i & 1, down = i >> 1;
        corners[i] = pixel_or_null(image, n.left + right, n.top + down, bytes);
        weights[i] = (right ? n.right : STEPS - n.right) * (down ? n.down : STEPS - n.down) * unit;
    }
    for (int c = 0; c < bytes; ++c) {
        int sum = 1 << (WEIGHT_BITS - 1);
        for (int i = 0; i < 4; ++i)
            sum += corners[i] ? weights[i] * corners[i][c] : 0;
        out[c] = (uint8_t)(sum >> WEIGHT_BITS);
    }
}

static imiad_status warp(imiad_image **out, const imiad_image *image, const affine *a)
{
    imiad_image *turned;
    TRY(image_create(&turned, image->format, image->width, image->height));
    int bytes = pixel_bytes(image->format);
    for (int32_t y = 0; y < turned->height; ++y)
        for (int32_t x = 0; x < turned->width; ++x)
            blend_pixel(image_row(turned, y) + x * bytes, image, find_neighbours(a, x, y), bytes);
    *out = turned;
    return IMIAD_OK;
}

imiad_status warp_rotate(imiad_image **out, const imiad_image *image, double degrees)
{
    affine a = inverse_rotation(image->width, image->height, degrees);
    return warp(out, image, &a);
}

imiad_status warp_about(imiad_image **out, const imiad_image *image, const double point[2],
                        double degrees, double scale)
{
    double angle = degrees * (M_PI / 180), c = scale * cos(angle), s = scale * sin(angle);
    double x = point[0], y = point[1];
    affine a = inverse_of((const double[6]){c, s, (1 - c) * x - s * y, -s, c, s * x + (1 - c) * y});
    return warp(out, image, &a);
}

static double value_or_zero(const double *plane, int32_t width, int32_t height, int64_t x,
                            int64_t y)
{
    bool inside = x >= 0 && y >= 0 && x < width && y < height;
    return inside ? plane[y * width + x] : 0;
}

void warp_rotate_plane(double *out, const double *plane, int32_t width, int32_t height,
                       double degrees)
{
    affine a = inverse_rotation(width, height, degrees);
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x) {
            neighbours n = find_neighbours(&a, x, y);
            double sum = 0;
            for (int i = 0; i < 4; ++i) {
                int right = i & 1, down = i >> 1;
                double across = (right ? n.right : STEPS - n.right) / (double)STEPS;
                double along = (down ? n.down : STEPS - n.down) / (double)STEPS;
                sum += value_or_zero(plane, width, height, n.left + right, n.top + down) *
                       (along * across);
            }
            *out++ = sum;
        }
}

/* ---- nearest neighbour, onto a larger canvas ---- */

static double round_15(double value)
{
    return rint(value * 1e15) / 1e15;
}

static int64_t fixed(double value)
{
    return (int64_t)floor(value * 65536.0 + 0.5);
}

/* What a point becomes under the matrix, without or with its last column. */
static void map_point(double out[2], const double m[6], double x, double y)
{
    double across = m[0] * x + m[1] * y + m[2], down = m[3] * x + m[4] * y + m[5];
    out[0] = across;
    out[1] = down;
}

/* From the canvas of *width x *height pixels, which grows, to the image of that size before. */
static void expand_rotation(double m[6], int32_t *width, int32_t *height, double degrees)
{
    double angle = -degrees * (M_PI / 180), w = *width, h = *height;
    double c = round_15(cos(angle)), s = round_15(sin(angle)), moved[2];
    memcpy(m, (double[]){c, s, 0, round_15(-sin(angle)), c, 0}, 6 * sizeof *m);
    map_point(moved, m, -w / 2, -h / 2);
    m[2] = moved[0] + w / 2;
    m[5] = moved[1] + h / 2;
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    const double corners[4][2] = {{0, 0}, {w, 0}, {w, h}, {0, h}};
    for (int i = 0; i < 4; ++i) {
        map_point(moved, m, corners[i][0], corners[i][1]);
        for (int k = 0; k < 2; ++k) {
            low[k] = fmin(low[k], moved[k]);
            high[k] = fmax(high[k], moved[k]);
        }
    }
    *width = (int32_t)(ceil(high[0]) - floor(low[0]));
    *height = (int32_t)(ceil(high[1]) - floor(low[1]));
    map_point(moved, m, -(*width - w) / 2, -(*height - h) / 2);
    m[2] = moved[0];
    m[5] = moved[1];
}

void warp_expanded_size(int32_t *width, int32_t *height, double degrees)
{
    double m[6];
    expand_rotation(m, width, height, degrees);
}

imiad_status warp_rotate_expanded(imiad_image **out, imiad_image **inside, const imiad_image *image,
                                  double degrees)
{
    double m[6];
    int32_t width = image->width, height = image->height;
    imiad_image *turned, *shown;
    expand_rotation(m, &width, &height, degrees);
    TRY(image_create(&turned, IMIAD_PIXEL_RGB8, width, height));
    imiad_status status = image_create(&shown, IMIAD_PIXEL_GRAY8, width, height);
    if (status != IMIAD_OK) {
        imiad_image_free(turned);
        return status;
    }
    for (int32_t y = 0; y < height; ++y) {
        int64_t column = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5) + fixed(m[1]) * y;
        int64_t row = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5) + fixed(m[4]) * y;
        for (int32_t x = 0; x < width; ++x, column += fixed(m[0]), row += fixed(m[3])) {
            const uint8_t *source = pixel_or_null(image, column >> 16, row >> 16, 3);
            if (!source)
                continue;
            memcpy(image_row(turned, y) + 3 * x, source, 3);
            image_row(shown, y)[x] = 255;
        }
    }
    *out = turned;
    *inside = shown;
    return IMIAD_OK;
}
