/* A small painting toolkit for procedural images: soft-edged shapes from signed distances, lattice
 * noise, light and a camera. It uses no function of libm but sqrtf and floorf, which IEEE 754
 * defines to the last bit, so that pictures are the same on every platform.
 *
 * Coordinates are in units of 1/256 of the picture's side, whatever its size in pixels: x to the
 * right, y down. Colours are 0..1 as a screen shows them. */
#ifndef DATA_SYNTHETIC_PAINT_H
#define DATA_SYNTHETIC_PAINT_H

#include <math.h>
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
                               random_stream *grain);
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
static inline float length_of(point p)
{
    return sqrtf(p.x * p.x + p.y * p.y);
}
/* Angles are in turns: 1 is a full circle. */
float sine(float turns); /* within 1.1e-3 of the true value */
float cosine(float turns);
float direction_of(point p); /* -0.5..0.5, within 1e-3 of the true value */
/* A rotation, prepared once for many points. */
typedef struct rotation {
    float cosine, sine;
} rotation;
rotation rotation_by(float turns);
static inline point rotate(point p, rotation r)
{
    return (point){r.cosine * p.x - r.sine * p.y, r.sine * p.x + r.cosine * p.y};
}
static inline point rotate_back(point p, rotation r)
{
    return (point){r.cosine * p.x + r.sine * p.y, r.cosine * p.y - r.sine * p.x};
}

float draw_between(random_stream *s, float low, float high);
/* C leaves open in which order the arguments of a call, the values of an initialiser or the two
 * sides of an operator are worked out: never draw twice within one of these. */
point draw_point(random_stream *s, float left, float right, float top, float bottom);
/* In whole steps: low, low + 1, ... high. */
int draw_whole(random_stream *s, int low, int high);
bool draw_chance(random_stream *s, float probability);

/* ---- colours ---- */

colour grey(float value);
colour blend(colour a, colour b, float t);
colour brighten(colour c, float factor); /* multiplies */

/* ---- noise: fixed by a seed, smooth in x and y, about -1..1 ---- */

/* The finaliser of MurmurHash3 (Appleby, public domain) over a linear mix of the coordinates. */
static inline uint32_t hash2(uint32_t seed, int32_t x, int32_t y)
{
    uint32_t h = seed + 0x9E3779B1u * (uint32_t)x + 0x85EBCA77u * (uint32_t)y;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    h *= 0xC2B2AE35u;
    return h ^ h >> 16;
}

/* 0..1, of a lattice point */
static inline float hash_unit(uint32_t seed, int32_t x, int32_t y)
{
    return (float)(hash2(seed, x, y) >> 8) * 0x1p-24f;
}

/* One octave, lattice of distance 1: the corners of one cell of the lattice, kept from reading to
 * reading, since most neighbouring pixels lie in the same cell. */
typedef struct noise {
    uint32_t seed;
    bool ready;
    int32_t x, y;
    float corners[4];
} noise;
static inline noise noise_of(uint32_t seed)
{
    return (noise){.seed = seed};
}
static inline float noise_read(noise *n, float x, float y)
{
    float left = floorf(x), top = floorf(y);
    int32_t i = (int32_t)left, j = (int32_t)top;
    if (!n->ready || n->x != i || n->y != j) {
        *n = (noise){n->seed,
                     true,
                     i,
                     j,
                     {hash_unit(n->seed, i, j), hash_unit(n->seed, i + 1, j),
                      hash_unit(n->seed, i, j + 1), hash_unit(n->seed, i + 1, j + 1)}};
    }
    float u = x - left, v = y - top;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    float above = mix(n->corners[0], n->corners[1], u);
    float below = mix(n->corners[2], n->corners[3], u);
    return 2 * mix(above, below, v) - 1;
}
/* The same once, where neighbours lie in different cells. */
static inline float noise_at(uint32_t seed, float x, float y)
{
    noise n = noise_of(seed);
    return noise_read(&n, x, y);
}

/* Octaves of half the size and half the weight each. */
enum { MOST_OCTAVES = 3 };
typedef struct noise_octaves {
    int count;
    noise octaves[MOST_OCTAVES];
} noise_octaves;
noise_octaves noise_octaves_of(uint32_t seed, int count);
float noise_octaves_read(noise_octaves *n, float x, float y);
float noise_sum(uint32_t seed, float x, float y, int octaves);

/* ---- signed distances: negative inside ---- */

static inline float distance_box(point p, float half_width, float half_height, float corner)
{
    float x = absolute(p.x) - half_width + corner, y = absolute(p.y) - half_height + corner;
    point outside = {larger(x, 0), larger(y, 0)};
    return length_of(outside) + smaller(larger(x, y), 0) - corner;
}

/* Where between a (0) and b (1) the nearest point of the segment lies. */
static inline float along_segment(point p, point a, point b)
{
    float dx = b.x - a.x, dy = b.y - a.y, squared = dx * dx + dy * dy;
    return squared > 0 ? clamp01(((p.x - a.x) * dx + (p.y - a.y) * dy) / squared) : 0;
}

/* Never negative: a line without width. */
static inline float distance_segment(point p, point a, point b)
{
    float t = along_segment(p, a, b);
    return length_of((point){p.x - mix(a.x, b.x, t), p.y - mix(a.y, b.y, t)});
}

float distance_hexagon(point p, float inradius); /* two sides are vertical */

/* How much of a pixel lies inside, from the distance at its centre. */
static inline float coverage(const canvas *c, float distance)
{
    return clamp01(0.5f - distance * c->unit);
}

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
pixel_box box_of(const canvas *c, point a, point b, float reach); /* a and b are opposite corners */

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
    float radius, roughness, stretch;
    rotation turn;
    uint32_t seed;
} blot;
blot draw_blot(random_stream *s, point centre, float smallest, float largest, float roughness);
float distance_blot(const blot *b, point p);

#endif
