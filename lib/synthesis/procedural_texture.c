/* Textures that the library draws itself, for when no folder of textures is at hand. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "image/pixels.h"
#include "synthesis/blend.h"
#include "synthesis/perlin.h"
#include "synthesis/texture_source.h"

const char *const texture_kind_names[TEXTURE_KINDS] = {
    [TEXTURE_CLOUDS] = "clouds", [TEXTURE_GRATINGS] = "gratings", [TEXTURE_CELLS] = "cells",
    [TEXTURE_TILES] = "tiles",   [TEXTURE_BLOBS] = "blobs",       [TEXTURE_BLOCKS] = "blocks",
};

static int32_t draw_whole(random_stream *s, int32_t low, int32_t high)
{
    return low + (int32_t)random_below(s, (uint64_t)(high - low + 1));
}

static double limit(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* ---- colours ---- */

enum { MOST_COLORS = 5 };

typedef struct palette {
    int count;
    double colors[MOST_COLORS][3]; /* 0..255 */
} palette;

static palette draw_palette(random_stream *s, int least, int most)
{
    palette p = {.count = draw_whole(s, least, most)};
    for (int i = 0; i < p.count; ++i)
        for (int c = 0; c < 3; ++c)
            p.colors[i][c] = random_between(s, 0, 256);
    return p;
}

/* 0..1 runs through the colours. */
static double palette_at(const palette *p, double at, int channel)
{
    double place = limit(at) * (p->count - 1);
    int i = (int)place < p->count - 2 ? (int)place : p->count - 2;
    double part = place - i;
    return p->colors[i][channel] * (1 - part) + p->colors[i + 1][channel] * part;
}

static uint8_t to_byte(double value)
{
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
}

/* ---- fields of numbers, one a pixel ---- */

static size_t pixels_of(const imiad_image *image)
{
    return (size_t)image->width * (size_t)image->height;
}

static int32_t at_most(int32_t value, int32_t most)
{
    return value < most ? value : most;
}

/* Perlin noise, each octave with twice the cells and half the height; about -1..1. */
static imiad_status add_octaves(double *field, const imiad_image *of, int32_t cells, int octaves,
                                random_stream *s)
{
    size_t pixels = pixels_of(of);
    double *octave = malloc(pixels * sizeof *octave), height = 1;
    if (!octave)
        return fail_memory("a texture", pixels * sizeof *octave);
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; i < pixels; ++i)
        field[i] = 0;
    for (int o = 0; status == IMIAD_OK && o < octaves; ++o, cells *= 2, height /= 2) {
        status = perlin_draw_noise(octave, of->width, of->height, at_most(cells, of->height),
                                   at_most(cells, of->width), s);
        for (size_t i = 0; status == IMIAD_OK && i < pixels; ++i)
            field[i] += height * octave[i];
    }
    free(octave);
    return status;
}

/* A field in 0..1 through a palette. */
static void paint(imiad_image *image, const double *field, const palette *p, double grain,
                  random_stream *s)
{
    uint8_t *to = image->pixels;
    for (size_t i = 0; i < pixels_of(image); ++i) {
        double noise = grain > 0 ? random_between(s, -grain, grain) : 0;
        for (int c = 0; c < 3; ++c)
            *to++ = to_byte(palette_at(p, field[i], c) + noise);
    }
}

/* ---- the kinds: each fills the image; `field` has room for a number a pixel ---- */

static imiad_status draw_clouds(imiad_image *image, double *field, random_stream *s)
{
    palette p = draw_palette(s, 3, 5);
    int32_t cells = 1 << draw_whole(s, 0, 3);
    int octaves = draw_whole(s, 3, 6);
    for (int c = 0; c < 3; ++c) {
        TRY(add_octaves(field, image, cells, octaves, s));
        for (size_t i = 0; i < pixels_of(image); ++i)
            image->pixels[3 * i + (size_t)c] = to_byte(palette_at(&p, 0.5 + 0.5 * field[i], c));
    }
    return IMIAD_OK;
}

static imiad_status draw_gratings(imiad_image *image, double *field, random_stream *s)
{
    typedef struct wave {
        double right, down, phase;
    } wave;
    wave waves[3];
    palette p = draw_palette(s, 2, 3);
    int count = draw_whole(s, 1, 3);
    double warp = random_between(s, 0, 1.5);
    for (int i = 0; i < count; ++i) {
        double periods = exp(random_between(s, log(4), log(64)));
        double angle = random_between(s, 0, M_PI);
        waves[i] = (wave){periods * cos(angle), periods * sin(angle), random_between(s, 0, 1)};
    }
    TRY(add_octaves(field, image, 2, 2, s));
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x) {
            double *at = &field[(size_t)y * (size_t)image->width + (size_t)x], sum = 0;
            for (int i = 0; i < count; ++i) {
                double turns = waves[i].right * x / image->width +
                               waves[i].down * y / image->height + waves[i].phase + warp * *at;
                sum += sin(2 * M_PI * turns);
            }
            *at = 0.5 + 0.5 * sum / count;
        }
    paint(image, field, &p, 0, s);
    return IMIAD_OK;
}

static imiad_status draw_cells(imiad_image *image, double *field, random_stream *s)
{
    enum { MOST_POINTS = 160 };
    double points[MOST_POINTS][2];
    palette p = draw_palette(s, 2, 4);
    int count = (int)exp(random_between(s, log(10), log(MOST_POINTS)));
    bool edges = random_below(s, 2) == 1; /* the second nearest's distance less the nearest's */
    for (int i = 0; i < count; ++i) {
        points[i][0] = random_between(s, 0, image->width);
        points[i][1] = random_between(s, 0, image->height);
    }
    double scale = sqrt(count / ((double)image->width * image->height));
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x) {
            double nearest = INFINITY, second = INFINITY;
            for (int i = 0; i < count; ++i) {
                double right = points[i][0] - x, down = points[i][1] - y;
                double distance = right * right + down * down;
                second = fmin(second, fmax(nearest, distance));
                nearest = fmin(nearest, distance);
            }
            double value = edges ? sqrt(second) - sqrt(nearest) : sqrt(nearest);
            field[(size_t)y * (size_t)image->width + (size_t)x] = limit(value * scale);
        }
    paint(image, field, &p, 0, s);
    return IMIAD_OK;
}

/* Which of the palette's colours a tile has. */
static double tile_color(int64_t column, int64_t row, int pattern)
{
    static const double shades[] = {0, 0.35, 0.7, 0.2};
    if (pattern == 0) /* checks */
        return (column + row) & 1 ? 1 : 0;
    if (pattern == 1) /* stripes */
        return column & 1 ? 1 : 0;
    return shades[(uint64_t)(column * 7 + row * 3) & 3]; /* bricks */
}

static imiad_status draw_tiles(imiad_image *image, double *field, random_stream *s)
{
    palette p = draw_palette(s, 2, 4);
    int pattern = draw_whole(s, 0, 2);
    double across = random_between(s, 4, 24), down = random_between(s, 4, 24);
    double angle = random_between(s, 0, M_PI), uneven = random_between(s, 0, 0.4);
    double joint = pattern == 2 ? random_between(s, 0.05, 0.15) : 0;
    double c = cos(angle), turn = sin(angle);
    TRY(add_octaves(field, image, 8, 2, s));
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x) {
            double *at = &field[(size_t)y * (size_t)image->width + (size_t)x];
            double u = (double)x / image->width, v = (double)y / image->height;
            double right = (c * u + turn * v) * across + uneven * *at;
            double below = (c * v - turn * u) * down + uneven * *at, row = floor(below);
            if (pattern == 2 && fmod(row, 2) != 0)
                right += 0.5;
            double column = floor(right);
            bool in_joint = right - column < joint || below - row < joint;
            *at = in_joint ? 1 : tile_color((int64_t)column, (int64_t)row, pattern);
        }
    paint(image, field, &p, random_between(s, 0, 20), s);
    return IMIAD_OK;
}

static imiad_status draw_blobs(imiad_image *image, double *field, random_stream *s)
{
    palette p = draw_palette(s, 2, 2);
    int32_t cells = 1 << draw_whole(s, 2, 5);
    double threshold = random_between(s, -0.2, 0.3), grain = random_between(s, 0, 40);
    TRY(add_octaves(field, image, cells, 2, s));
    for (size_t i = 0; i < pixels_of(image); ++i)
        field[i] = field[i] > threshold;
    paint(image, field, &p, grain, s);
    return IMIAD_OK;
}

/* Blocks of 32 or 64 pixels; without an image of the size, or with one of a single block, clouds.
 */
static imiad_status draw_blocks(imiad_image **out, int32_t width, int32_t height,
                                const imiad_image *image, random_stream *s)
{
    int32_t side = 32 << random_below(s, 2);
    if (width < 2 * side && height < 2 * side)
        side = 32;
    bool fits = image && image->width == width && image->height == height &&
                width / side * (height / side) > 1;
    if (!fits)
        return procedural_texture(out, TEXTURE_CLOUDS, width, height, NULL, s);
    return shuffle_parts(out, image, width / side, height / side, s);
}

imiad_status procedural_texture(imiad_image **out, texture_kind kind, int32_t width, int32_t height,
                                const imiad_image *image, random_stream *s)
{
    typedef imiad_status (*drawing)(imiad_image * image, double *field, random_stream *s);
    static const drawing drawings[] = {draw_clouds, draw_gratings, draw_cells, draw_tiles,
                                       draw_blobs};
    if (kind == TEXTURE_BLOCKS)
        return draw_blocks(out, width, height, image, s);
    imiad_image *texture;
    TRY(image_create(&texture, IMIAD_PIXEL_RGB8, width, height));
    double *field = malloc(pixels_of(texture) * sizeof *field);
    imiad_status status = field ? drawings[kind](texture, field, s)
                                : fail_memory("a texture", pixels_of(texture) * sizeof *field);
    free(field);
    if (status != IMIAD_OK) {
        imiad_image_free(texture);
        return status;
    }
    *out = texture;
    return IMIAD_OK;
}
