#include "data/synthetic/paint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"

/* ---- arithmetic ---- */

/* sin(2 pi t) by a parabola and its square: the classical correction with weight 0.225. */
float sine(float turns)
{
    float t = turns - floorf(turns + 0.5f); /* -0.5 .. 0.5 */
    float parabola = 8 * t * (1 - 2 * absolute(t));
    return 0.775f * parabola + 0.225f * parabola * absolute(parabola);
}

float cosine(float turns)
{
    return sine(turns + 0.25f);
}

rotation rotation_by(float turns)
{
    float c = cosine(turns), s = sine(turns);
    float scale = 1 / sqrtf(s * s + c * c); /* the approximation must not stretch */
    return (rotation){c * scale, s * scale};
}

float direction_of(point p)
{
    float x = absolute(p.x), y = absolute(p.y);
    float low = smaller(x, y), high = larger(x, y);
    float ratio = high > 0 ? low / high : 0;
    /* atan on 0..1 in turns */
    float turns = ratio * (0.125f + 0.0435f * (1 - ratio));
    if (y > x)
        turns = 0.25f - turns;
    if (p.x < 0)
        turns = 0.5f - turns;
    return p.y < 0 ? -turns : turns;
}

float draw_between(random_stream *s, float low, float high)
{
    return low + (high - low) * (float)(random_u32(s) >> 8) * 0x1p-24f;
}

point draw_point(random_stream *s, float left, float right, float top, float bottom)
{
    float x = draw_between(s, left, right), y = draw_between(s, top, bottom);
    return (point){x, y};
}

int draw_whole(random_stream *s, int low, int high)
{
    return low + (int)random_below(s, (uint64_t)(high - low + 1));
}

bool draw_chance(random_stream *s, float probability)
{
    return draw_between(s, 0, 1) < probability;
}

/* ---- colours ---- */

colour grey(float value)
{
    return (colour){value, value, value};
}

colour blend(colour a, colour b, float t)
{
    return (colour){mix(a.r, b.r, t), mix(a.g, b.g, t), mix(a.b, b.b, t)};
}

colour brighten(colour c, float factor)
{
    return (colour){c.r * factor, c.g * factor, c.b * factor};
}

/* ---- noise ---- */

noise_octaves noise_octaves_of(uint32_t seed, int count)
{
    noise_octaves n = {.count = count};
    for (int i = 0; i < count; ++i)
        n.octaves[i] = noise_of(seed + (uint32_t)i * 0x68E31DA4u);
    return n;
}

float noise_octaves_read(noise_octaves *n, float x, float y)
{
    float sum = 0, weight = 1, weights = 0;
    for (int i = 0; i < n->count; ++i) {
        sum += weight * noise_read(&n->octaves[i], x, y);
        weights += weight;
        weight *= 0.5f;
        x *= 2;
        y *= 2;
    }
    return sum / weights;
}

float noise_sum(uint32_t seed, float x, float y, int octaves)
{
    noise_octaves n = noise_octaves_of(seed, octaves);
    return noise_octaves_read(&n, x, y);
}

/* ---- signed distances ---- */

float distance_hexagon(point p, float inradius)
{
    const float c = 0.5f, s = 0.8660254f; /* of 60 degrees */
    float x = absolute(p.x), y = absolute(p.y);
    return larger(x, c * x + s * y) - inradius;
}

/* ---- shapes ---- */

static int clamp_pixel(const canvas *c, float units)
{
    float pixels = units * c->unit;
    return pixels < 0 ? 0 : pixels > (float)c->size ? c->size : (int)pixels;
}

static pixel_box box_between(const canvas *c, point low, point high)
{
    float edge = 1 / c->unit;
    return (pixel_box){clamp_pixel(c, low.x - edge), clamp_pixel(c, low.y - edge),
                       clamp_pixel(c, high.x + 2 * edge), clamp_pixel(c, high.y + 2 * edge)};
}

pixel_box box_around(const canvas *c, point centre, float reach)
{
    return box_between(c, (point){centre.x - reach, centre.y - reach},
                       (point){centre.x + reach, centre.y + reach});
}

pixel_box box_of(const canvas *c, point a, point b, float reach)
{
    return box_between(c, (point){smaller(a.x, b.x) - reach, smaller(a.y, b.y) - reach},
                       (point){larger(a.x, b.x) + reach, larger(a.y, b.y) + reach});
}

curve draw_curve(random_stream *s, point from, float turns, float length, float bend, float jag)
{
    curve k = {.count = CURVE_POINTS};
    float step = length / (CURVE_POINTS - 1);
    float turning = draw_between(s, -bend, bend) / CURVE_POINTS;
    float wave = draw_between(s, -bend, bend) / CURVE_POINTS, phase = draw_between(s, 0, 1);
    point p = from;
    for (int i = 0; i < CURVE_POINTS; ++i) {
        float off = i > 0 ? draw_between(s, -jag, jag) : 0;
        point side = {-sine(turns) * off, cosine(turns) * off};
        k.points[i] = (point){p.x + side.x, p.y + side.y};
        p.x += cosine(turns) * step;
        p.y += sine(turns) * step;
        turns += turning + wave * sine(phase + 1.5f * (float)i / CURVE_POINTS);
    }
    return k;
}

float distance_curve(float *along, const curve *k, point p)
{
    float nearest = 1e9f;
    for (int i = 0; i + 1 < k->count; ++i) {
        float d = distance_segment(p, k->points[i], k->points[i + 1]);
        if (d < nearest) {
            nearest = d;
            float t = along_segment(p, k->points[i], k->points[i + 1]);
            *along = ((float)i + t) / (float)(k->count - 1);
        }
    }
    return nearest;
}

pixel_box box_around_curve(const canvas *c, const curve *k, float reach)
{
    point low = k->points[0], high = k->points[0];
    for (int i = 1; i < k->count; ++i) {
        low = (point){smaller(low.x, k->points[i].x), smaller(low.y, k->points[i].y)};
        high = (point){larger(high.x, k->points[i].x), larger(high.y, k->points[i].y)};
    }
    return box_between(c, (point){low.x - reach, low.y - reach},
                       (point){high.x + reach, high.y + reach});
}

blot draw_blot(random_stream *s, point centre, float smallest, float largest, float roughness)
{
    blot b = {.centre = centre, .roughness = roughness};
    b.radius = draw_between(s, smallest, largest);
    b.stretch = draw_between(s, 0.75f, 1.33f);
    b.turn = rotation_by(draw_between(s, 0, 1));
    b.seed = random_u32(s);
    return b;
}

float distance_blot(const blot *b, point p)
{
    point q = rotate((point){p.x - b->centre.x, p.y - b->centre.y}, b->turn);
    q.x *= b->stretch;
    float scale = 2.2f / b->radius;
    return length_of(q) -
           b->radius * (1 + b->roughness * noise_sum(b->seed, q.x * scale, q.y * scale, 3));
}

/* ---- canvas and camera ---- */

imiad_status canvas_create(canvas *out, int size)
{
    size_t count = (size_t)size * (size_t)size;
    canvas c = {.size = size, .unit = (float)size / 256};
    c.pixels = calloc(count, sizeof *c.pixels);
    c.damage = calloc(count, sizeof *c.damage);
    if (!c.pixels || !c.damage) {
        canvas_free(&c);
        return fail_memory("a procedural image", count * (sizeof *c.pixels + sizeof *c.damage));
    }
    *out = c;
    return IMIAD_OK;
}

void canvas_free(canvas *c)
{
    free(c->pixels);
    free(c->damage);
    *c = (canvas){0};
}

/* A linear gradient and a slight fall-off towards the corners. */
static void apply_light(canvas *c, random_stream *light)
{
    float level = draw_between(light, 0.94f, 1.05f), slope = draw_between(light, 0.02f, 0.09f);
    float turns = draw_between(light, 0, 1), vignette = draw_between(light, 0.03f, 0.09f);
    float dx = cosine(turns) * slope, dy = sine(turns) * slope;
    for (int y = 0; y < c->size; ++y)
        for (int x = 0; x < c->size; ++x) {
            point p = centre_of(c, x, y);
            float u = p.x / 128 - 1, v = p.y / 128 - 1;
            float factor = level * (1 + dx * u + dy * v - vignette * 0.5f * (u * u + v * v));
            *pixel_at(c, x, y) = brighten(*pixel_at(c, x, y), factor);
        }
}

static colour weigh(colour a, colour b, colour d, float side)
{
    float middle = 1 - 2 * side;
    return (colour){middle * b.r + side * (a.r + d.r), middle * b.g + side * (a.g + d.g),
                    middle * b.b + side * (a.b + d.b)};
}

/* A lens that is nearly sharp: three taps each way, in place. */
static void apply_lens(canvas *c, float side)
{
    int n = c->size;
    for (int y = 0; y < n; ++y) {
        colour *row = pixel_at(c, 0, y), before = row[0];
        for (int x = 0; x < n; ++x) {
            colour here = row[x];
            row[x] = weigh(before, here, row[x + 1 < n ? x + 1 : x], side);
            before = here;
        }
    }
    for (int x = 0; x < n; ++x) {
        colour before = *pixel_at(c, x, 0);
        for (int y = 0; y < n; ++y) {
            colour here = *pixel_at(c, x, y);
            *pixel_at(c, x, y) = weigh(before, here, *pixel_at(c, x, y + 1 < n ? y + 1 : y), side);
            before = here;
        }
    }
}

/* Nearly normal, deviation 1: the sum of four bytes, centred and scaled. */
static float byte_noise(uint32_t bytes)
{
    int sum = (int)(bytes & 255) + (int)(bytes >> 8 & 255) + (int)(bytes >> 16 & 255) +
              (int)(bytes >> 24);
    return ((float)sum - 510) * (1 / 147.8f); /* 2 sqrt((256^2 - 1) / 12) */
}

static uint8_t quantise(float value)
{
    float scaled = value * 255 + 0.5f;
    return scaled <= 0 ? 0 : scaled >= 255 ? 255 : (uint8_t)scaled;
}

imiad_status canvas_photograph(imiad_image **out, canvas *c, random_stream *light,
                               random_stream *grain)
{
    imiad_image *image;
    TRY(image_create(&image, IMIAD_PIXEL_RGB8, c->size, c->size));
    apply_light(c, light);
    apply_lens(c, 0.14f);
    float strength = draw_between(light, 0.006f, 0.010f);
    for (int y = 0; y < c->size; ++y) {
        uint8_t *row = image->pixels + (size_t)y * image->stride;
        for (int x = 0; x < c->size; ++x) {
            colour p = *pixel_at(c, x, y);
            float shared = strength * byte_noise(random_u32(grain));
            float tint = 0.4f * strength * byte_noise(random_u32(grain));
            row[3 * x] = quantise(p.r + shared + tint);
            row[3 * x + 1] = quantise(p.g + shared);
            row[3 * x + 2] = quantise(p.b + shared - tint);
        }
    }
    *out = image;
    return IMIAD_OK;
}

imiad_status canvas_mask(imiad_image **out, const canvas *c)
{
    imiad_image *mask;
    TRY(image_create(&mask, IMIAD_PIXEL_GRAY8, c->size, c->size));
    for (int y = 0; y < c->size; ++y)
        for (int x = 0; x < c->size; ++x)
            mask->pixels[(size_t)y * mask->stride + (size_t)x] =
                c->damage[y * c->size + x] > 1.0f / 3 ? 255 : 0;
    *out = mask;
    return IMIAD_OK;
}
