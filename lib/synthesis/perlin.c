#include "synthesis/perlin.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "image/pixels.h"
#include "synthesis/warp.h"

const perlin_options perlin_defaults = {0, 5, 90, 0.5};

static double fade(double t)
{
    return t * t * t * (t * (6 * t - 15) + 10);
}

static double lerp(double from, double to, double t)
{
    return (to - from) * t + from;
}

/* One direction of a pixel: its lattice cell, and its place in it. */
typedef struct place {
    int32_t cell;
    double within;
} place;

static place place_of(int32_t pixel, int32_t pixels, int32_t cells)
{
    double at = pixel * ((double)cells / pixels);
    int32_t cell = pixels % cells == 0 ? pixel / (pixels / cells) : (int32_t)at;
    return (place){cell, fmod(at, 1)};
}

void perlin_noise(double *out, int32_t width, int32_t height, int32_t rows, int32_t columns,
                  const gradient *gradients)
{
    int32_t stride = columns + 1;
    for (int32_t y = 0; y < height; ++y) {
        place down = place_of(y, height, rows);
        double v = down.within, fv = fade(v);
        for (int32_t x = 0; x < width; ++x) {
            place across = place_of(x, width, columns);
            double u = across.within, dots[2][2];
            const gradient *corner = gradients + (size_t)down.cell * (size_t)stride + across.cell;
            for (int i = 0; i < 2; ++i)
                for (int j = 0; j < 2; ++j) {
                    gradient g = corner[i * stride + j];
                    dots[i][j] = (v - i) * g.down + (u - j) * g.right;
                }
            double left = lerp(dots[0][0], dots[1][0], fv);
            double right = lerp(dots[0][1], dots[1][1], fv);
            *out++ = sqrt(2) * lerp(left, right, fade(u));
        }
    }
}

imiad_status perlin_draw_noise(double *out, int32_t width, int32_t height, int32_t rows,
                               int32_t columns, random_stream *s)
{
    size_t corners = ((size_t)rows + 1) * ((size_t)columns + 1);
    gradient *gradients = malloc(corners * sizeof *gradients);
    if (!gradients)
        return fail_memory("Perlin noise", corners * sizeof *gradients);
    for (size_t i = 0; i < corners; ++i) {
        double angle = random_between(s, 0, 2 * M_PI);
        gradients[i] = (gradient){cos(angle), sin(angle)};
    }
    perlin_noise(out, width, height, rows, columns, gradients);
    free(gradients);
    return IMIAD_OK;
}

static int32_t draw_cells(const perlin_options *o, int32_t pixels, random_stream *s)
{
    int32_t cells = 1 << (o->least + random_below(s, (uint64_t)(o->most - o->least + 1)));
    return cells < pixels ? cells : pixels;
}

static void fill_mask(imiad_image *mask, int64_t *covered, const double *noise, double threshold)
{
    *covered = 0;
    for (int32_t y = 0; y < mask->height; ++y) {
        uint8_t *row = image_row(mask, y);
        for (int32_t x = 0; x < mask->width; ++x, ++noise) {
            row[x] = *noise > threshold ? 255 : 0;
            *covered += row[x] != 0;
        }
    }
}

imiad_status perlin_mask(imiad_image **out, int64_t *covered, int32_t width, int32_t height,
                         const perlin_options *options, random_stream *s)
{
    int32_t rows = draw_cells(options, height, s);
    int32_t columns = draw_cells(options, width, s);
    size_t pixels = (size_t)width * (size_t)height;
    double *noise = malloc(2 * pixels * sizeof *noise);
    if (!noise)
        return fail_memory("Perlin noise", 2 * pixels * sizeof *noise);
    imiad_status status = perlin_draw_noise(noise, width, height, rows, columns, s);
    double degrees = random_between(s, -options->rotation, options->rotation);
    warp_rotate_plane(noise + pixels, noise, width, height, degrees);
    if (status == IMIAD_OK)
        status = image_create(out, IMIAD_PIXEL_GRAY8, width, height);
    if (status == IMIAD_OK)
        fill_mask(*out, covered, noise + pixels, options->threshold);
    free(noise);
    return status;
}
