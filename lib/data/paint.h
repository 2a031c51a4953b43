/* A small painting toolkit for procedural images: soft-edged shapes from signed distances, lattice
 * noise, light and a camera. It uses no function of libm but sqrtf and floorf, which IEEE 754
 * defines to the last bit, so that pictures are the same on every platform.
 *
 * Coordinates are in units of 1/256 of the picture's side, whatever its size in pixels: x to the
 * right, y down. Colours are 0..1 as a screen shows them. */
#ifndef DATA_PAINT_H
#define DATA_PAINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "imiad/image.h"

typedef struct colour {
    float r, g, b;
} colour;

typedef struct point {
    float x, y;
} point;

typedef struct canvas {
    int size;   /* pixels along each side */
    float unit; /* pixels per unit of length: size / 256 */
    colour *pixels;
    float *damage; /* 0..1: how much of the pixel a defect covers */
} canvas;

imiad_status canvas_create(canvas *out, int size);
void canvas_free(canvas *c);

/* The picture through a camera: uneven light, a trace of blur, noise. */
imiad_status canvas_photograph(imiad_image **out, canvas *c, random_stream *light,
                               random_stream *noise);
/* The ground truth: pixels that damage covers by more than a third, GRAY8, 0 or 255. */
imiad_status canvas_mask(imiad_image **out, const canvas *c);

/* ---- arithmetic ---- */

static inline float clamp01(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}
static inline float mix(float a, float b, float t)
{
    return a + (b - a) * t;
}
static inline float smooth_step(float from, float to, float x)
{
    float t = clamp01((x - from) / (to - from));
    return t * t * (3 - 2 * t);
}
static inline float absolute(float x)
{
    return x < 0 ? -x : x;
}
static inline float larger(float a, float b)
{
    return a > b ? a : b;
}
static inline float smaller(float a, float b)
{
    return a < b ? a : b;
}
/* Sine and cosine of an angle in turns: 1 is a full circle. Within 1.1e-3 of the true value. */
float sine(float turns);
float cosine(float turns);
float length_of(point p);
point rotate(point p, float turns);
/* The direction of p in turns, -0.5..0.5; within 1e-3 of the true value. */
float direction_of(point p);

float draw_between(random_stream *s, float low, float high);
/* In whole steps: low, low + 1, ... high. */
int draw_whole(random_stream *s, int low, int high);
bool draw_chance(random_stream *s, float probability);

/* ---- colours ---- */

colour grey(float value);
colour blend(colour a, colour b, float t);
colour brighten(colour c, float factor); /* multiplies */

/* ---- noise: fixed by a seed, smooth in x and y, about -1..1 ---- */

uint32_t hash2(uint32_t seed, int32_t x, int32_t y);
float hash_unit(uint32_t seed, int32_t x, int32_t y); /* 0..1, of a lattice point */
float noise_at(uint32_t seed, float x, float y);      /* one octave, lattice of distance 1 */
float noise_sum(uint32_t seed, float x, float y, int octaves);

/* ---- signed distances: negative inside ---- */

float distance_box(point p, float half_width, float half_height, float corner);
float distance_segment(point p, point a, point b); /* never negative: a line without width */
float distance_hexagon(point p, float inradius);   /* two sides are vertical */

/* How much of a pixel lies inside, from the distance at its centre. */
float coverage(const canvas *c, float distance);

/* ---- shapes ---- */

/* Where pixel (x, y) has its centre. */
static inline point centre_of(const canvas *c, int x, int y)
{
    return (point){((float)x + 0.5f) / c->unit, ((float)y + 0.5f) / c->unit};
}

/* Pixels that may be touched by something between these coordinates. */
typedef struct pixel_box {
    int left, top, right, bottom; /* right and bottom are not in it */
} pixel_box;
pixel_box box_around(const canvas *c, point centre, float reach);
pixel_box whole_canvas(const canvas *c);

static inline colour *pixel_at(canvas *c, int x, int y)
{
    return &c->pixels[y * c->size + x];
}
static inline void mark_damage(canvas *c, int x, int y, float amount)
{
    float *d = &c->damage[y * c->size + x];
    if (amount > *d)
        *d = amount;
}

/* A smooth curve through a few points, for scratches, threads and cracks. */
enum { CURVE_POINTS = 24 };
typedef struct curve {
    point points[CURVE_POINTS];
    int count;
} curve;
/* From `from`, heading `turns`, of the given length; `bend` is how much it may turn in all, in
 * turns, and `jag` how far each point may lie off the line. */
curve draw_curve(random_stream *s, point from, float turns, float length, float bend, float jag);
/* The distance to the curve, and where along it (0..1) the nearest point lies. */
float distance_curve(float *along, const curve *k, point p);
/* The box around it, widened by reach. */
pixel_box box_around_curve(const canvas *c, const curve *k, float reach);

/* A blot: a disc whose edge wanders. 0 at its edge, negative inside. */
typedef struct blot {
    point centre;
    float radius, roughness, stretch, turn;
    uint32_t seed;
} blot;
blot draw_blot(random_stream *s, point centre, float smallest, float largest, float roughness);
float distance_blot(const blot *b, point p);

#endif
