#include "synthesis/moving.h"

#include <math.h>

#include "base/error.h"
#include "image/pixels.h"

/* ---- pixels ---- */

/* 0 1 2 | 1 0 1 2 1 ... */
static int32_t mirror(int64_t at, int32_t side)
{
    if (side == 1)
        return 0;
    int64_t period = 2 * ((int64_t)side - 1);
    at %= period;
    at = at < 0 ? at + period : at;
    return (int32_t)(at < side ? at : period - at);
}

/* Positions so far away that they mean nothing stay within what a whole number holds. */
static double bounded(double at)
{
    return fmin(fmax(at, -1e6), 1e6);
}

static void interpolate(uint8_t out[3], const imiad_image *image, place_from p)
{
    double left = floor(p.x), top = floor(p.y), right = p.x - left, down = p.y - top;
    for (int c = 0; c < 3; ++c) {
        double sum = 0;
        for (int i = 0; i < 4; ++i) {
            int32_t x = mirror((int64_t)left + (i & 1), image->width);
            int32_t y = mirror((int64_t)top + (i >> 1), image->height);
            double weight = ((i & 1) ? right : 1 - right) * ((i >> 1) ? down : 1 - down);
            sum += weight * image_row(image, y)[3 * x + c];
        }
        out[c] = (uint8_t)rint(sum);
    }
}

imiad_status move_pixels(imiad_image **image, imiad_image **mask, const place_from *places)
{
    imiad_image *moved, *moved_mask;
    const imiad_image *from = *image;
    TRY(image_create(&moved, IMIAD_PIXEL_RGB8, from->width, from->height));
    imiad_status status = image_create(&moved_mask, IMIAD_PIXEL_GRAY8, from->width, from->height);
    if (status != IMIAD_OK) {
        imiad_image_free(moved);
        return status;
    }
    for (int32_t y = 0; y < from->height; ++y)
        for (int32_t x = 0; x < from->width; ++x, ++places) {
            place_from p = {bounded(places->x), bounded(places->y)};
            interpolate(image_row(moved, y) + 3 * x, from, p);
            image_row(moved_mask, y)[x] = image_row(
                *mask, mirror(llrint(p.y), from->height))[mirror(llrint(p.x), from->width)];
        }
    imiad_image_free(*image);
    imiad_image_free(*mask);
    *image = moved;
    *mask = moved_mask;
    return IMIAD_OK;
}

/* ---- places ---- */

void places_quarters(place_from *out, int32_t width, int32_t height, int quarters)
{
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x) {
            const place_from turned[4] = {
                {x, y}, {width - 1 - y, x}, {width - 1 - x, height - 1 - y}, {y, height - 1 - x}};
            *out++ = turned[quarters & 3];
        }
}

void places_flipped(place_from *out, int32_t width, int32_t height, int across, int down)
{
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x)
            *out++ = (place_from){across ? width - 1 - x : x, down ? height - 1 - y : y};
}

void places_transposed(place_from *out, int32_t width, int32_t height)
{
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x)
            *out++ = (place_from){y, x};
}

/* OpenCV's own camera of the result has its middle between the first and the last pixel. */
void places_lens(place_from *out, int32_t width, int32_t height, double k)
{
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x) {
            double u = (x - (width - 1) * 0.5) / width, v = (y - (height - 1) * 0.5) / height;
            double r2 = u * u + v * v, stretch = 1 + k * r2 + k * r2 * r2;
            *out++ = (place_from){(u * stretch + 0.5) * width, (v * stretch + 0.5) * height};
        }
}

void places_affine(place_from *out, int32_t width, int32_t height, double degrees, double scale,
                   double right, double down)
{
    double angle = degrees * (M_PI / 180), c = cos(angle) / scale, s = sin(angle) / scale;
    double middle_x = width / 2.0, middle_y = height / 2.0;
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x) {
            double u = x - middle_x - right * width, v = y - middle_y - down * height;
            *out++ = (place_from){c * u - s * v + middle_x, s * u + c * v + middle_y};
        }
}

/* Where pixel `at` of a side comes from. */
static double in_strips(int32_t at, int32_t side, const double factors[GRID_STRIPS])
{
    int32_t strip = side / (GRID_STRIPS - 1) > 0 ? side / (GRID_STRIPS - 1) : 1;
    double from = 0;
    for (int i = 0, begin = 0; i < GRID_STRIPS; ++i, begin += strip) {
        bool last = begin + strip > side;
        int32_t end = last ? side : begin + strip;
        double to = last ? side : from + strip * factors[i];
        if (at < end)
            return end - begin > 1 ? from + (to - from) * (at - begin) / (end - begin - 1) : from;
        from = to;
    }
    return from;
}

void places_grid(place_from *out, int32_t width, int32_t height, const double across[GRID_STRIPS],
                 const double down[GRID_STRIPS])
{
    for (int32_t y = 0; y < height; ++y) {
        double from_y = in_strips(y, height, down);
        for (int32_t x = 0; x < width; ++x)
            *out++ = (place_from){in_strips(x, width, across), from_y};
    }
}

/* Of a pixel along one side: the lattice's cell and the part of it. */
static int cell_of(double *part, int32_t at, int32_t side)
{
    double place = side > 1 ? at * (LATTICE - 1.0) / (side - 1) : 0;
    int cell = (int)place < LATTICE - 2 ? (int)place : LATTICE - 2;
    *part = place - cell;
    return cell;
}

static place_from between(place_from a, place_from b, place_from c, double to_b, double to_c)
{
    return (place_from){a.x + to_b * (b.x - a.x) + to_c * (c.x - a.x),
                        a.y + to_b * (b.y - a.y) + to_c * (c.y - a.y)};
}

void places_lattice(place_from *out, int32_t width, int32_t height,
                    const place_from moved[LATTICE * LATTICE])
{
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x) {
            double u, v;
            int column = cell_of(&u, x, width), row = cell_of(&v, y, height);
            const place_from *corner = moved + row * LATTICE + column;
            place_from off =
                u + v < 1 ? between(corner[0], corner[1], corner[LATTICE], u, v)
                          : between(corner[LATTICE + 1], corner[LATTICE], corner[1], 1 - u, 1 - v);
            *out++ = (place_from){x + off.x * width, y + off.y * height};
        }
}
