/* A machined hexagon nut in any pose on a dark brushed plate. Defects: a chip off a corner, a crack
 * through the wall, rust, scratches. */
#include <math.h>

#include "data/synthetic/synthetic.h"

static const char *const kinds[] = {"chip", "crack", "rust", "scratch", NULL};
enum { CHIP, CRACK, RUST, SCRATCH };

/* Radii from the axis. */
static const float bore = 33, thread_top = 37, bore_edge = 42, face_edge = 70, across_flats = 72;

typedef struct nut {
    point centre;
    float pose, light; /* in turns; light: the direction it comes from */
    rotation turn;
    point shadow; /* how far it falls */
    uint32_t turning, plate, grain;
} nut;

static nut draw_nut(random_stream *s)
{
    nut n = {.centre = draw_point(s, 114, 142, 114, 142)};
    n.pose = draw_between(s, 0, 1);
    n.light = -0.36f + draw_between(s, -0.07f, 0.07f);
    n.turning = random_u32(s);
    n.plate = random_u32(s);
    n.grain = random_u32(s);
    n.turn = rotation_by(n.pose);
    n.shadow = rotate((point){-9, 0}, rotation_by(n.light));
    return n;
}

/* The point as the nut sees it: its axis at the origin, its flats at fixed angles. */
static point to_nut(const nut *n, point p)
{
    return rotate_back((point){p.x - n->centre.x, p.y - n->centre.y}, n->turn);
}

/* Brushed along x. */
typedef struct plate {
    noise coarse, fine, cloud;
} plate;

static plate plate_of(const nut *n)
{
    return (plate){noise_of(n->plate), noise_of(n->plate + 1), noise_of(n->plate + 2)};
}

static colour plate_at(plate *ground, point p)
{
    float streak = noise_read(&ground->coarse, p.x * 0.02f, p.y * 1.4f) +
                   0.6f * noise_read(&ground->fine, p.x * 0.07f, p.y * 0.7f);
    float level =
        0.175f + 0.022f * streak + 0.012f * noise_read(&ground->cloud, p.x / 50, p.y / 50);
    return (colour){level * 0.95f, level, level * 1.09f};
}

static float shadow_at(const nut *n, point p)
{
    point q = to_nut(n, (point){p.x - n->shadow.x, p.y - n->shadow.y});
    return 0.62f * smooth_step(9, -9, distance_hexagon(q, across_flats));
}

/* The turned face shines in the two directions where its grooves lie across the light. */
static float face_light(const nut *n, float radius, float direction)
{
    float bow = cosine(2 * (direction - n->light));
    float groove = noise_at(n->turning, radius * 1.9f, 0.5f) +
                   0.5f * noise_at(n->turning + 1, radius * 0.6f, direction * 6);
    return 0.60f + 0.13f * bow * absolute(bow) + 0.045f * groove;
}

static float metal_light(const nut *n, point p, float radius, float direction)
{
    float facing = cosine(direction - n->light);
    if (radius > face_edge) /* the chamfer falls away outward */
        return 0.46f + 0.26f * facing + 0.03f * noise_at(n->turning + 2, radius * 2.5f, 0.5f);
    if (radius > bore_edge)
        return face_light(n, radius, direction);
    if (radius > thread_top) /* the countersink falls away inward */
        return 0.44f - 0.27f * facing;
    float ring = sine((radius + direction * 2) * 0.55f);
    return 0.20f - 0.09f * facing + 0.08f * ring;
}

/* Edges between surfaces are a little rounded: a thin bright line on the side of the light. */
static float edge_glint(const nut *n, float radius, float direction)
{
    float facing = cosine(direction - n->light);
    float outer = smooth_step(1.6f, 0, absolute(radius - face_edge)) * (0.05f + 0.12f * facing);
    float inner = smooth_step(1.4f, 0, absolute(radius - bore_edge)) * (0.04f - 0.12f * facing);
    return outer + inner;
}

static colour metal_at(const nut *n, point p)
{
    point q = {p.x - n->centre.x, p.y - n->centre.y};
    float radius = length_of(q), direction = direction_of(q);
    float level = metal_light(n, q, radius, direction) + edge_glint(n, radius, direction) +
                  0.018f * noise_at(n->grain, p.x * 0.9f, p.y * 0.9f);
    return (colour){level, level * 0.99f, level * 0.965f};
}

static void paint_nut(canvas *c, const nut *n)
{
    plate ground = plate_of(n);
    for (int y = 0; y < c->size; ++y)
        for (int x = 0; x < c->size; ++x) {
            point p = centre_of(c, x, y);
            point q = to_nut(n, p);
            float radius = length_of(q);
            colour pixel = brighten(plate_at(&ground, p), 1 - shadow_at(n, p));
            float solid =
                coverage(c, distance_hexagon(q, across_flats)) * coverage(c, bore - radius);
            pixel = brighten(pixel, radius < bore ? 0.45f : 1);
            *pixel_at(c, x, y) = solid > 0 ? blend(pixel, metal_at(n, p), solid) : pixel;
        }
}

/* ---- defects ---- */

static point on_nut(const nut *n, float direction, float radius)
{
    point q = rotate((point){radius, 0}, rotation_by(direction));
    return (point){n->centre.x + q.x, n->centre.y + q.y};
}

/* How much of the pixel is the nut's metal from above. */
static float metal_coverage(const canvas *c, const nut *n, point p, float inner)
{
    point q = to_nut(n, p);
    return coverage(c, distance_hexagon(q, across_flats)) * coverage(c, inner - length_of(q));
}

static void add_scratch(canvas *c, const nut *n, random_stream *s)
{
    float direction = draw_between(s, 0, 1);
    point from = on_nut(n, direction, draw_between(s, 50, 62));
    float heading = direction + 0.25f + draw_between(s, -0.12f, 0.12f);
    float width = draw_between(s, 0.6f, 1.2f), depth = draw_between(s, 0.45f, 0.9f);
    curve k = draw_curve(s, from, heading, draw_between(s, 34, 80), 0.12f, 0.25f);
    pixel_box box = box_around_curve(c, &k, 5);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point p = centre_of(c, x, y);
            float along = 0;
            float d = distance_curve(&along, &k, p);
            float fade = smooth_step(0, 0.15f, along) * smooth_step(1, 0.8f, along);
            float metal = metal_coverage(c, n, p, bore_edge);
            float groove = metal * fade * depth * smooth_step(width + 0.7f, width - 0.5f, d);
            float burr = distance_curve(&along, &k, (point){p.x + 1.2f, p.y + 1.2f});
            float ridge = metal * fade * depth * smooth_step(width + 0.6f, 0, burr);
            colour *pixel = pixel_at(c, x, y);
            *pixel = blend(*pixel, grey(0.95f), 0.55f * ridge);
            *pixel = blend(*pixel, grey(0.20f), groove);
            mark_damage(c, x, y, metal * coverage(c, d - width - 1));
        }
}

static void add_crack(canvas *c, const nut *n, random_stream *s)
{
    float direction = draw_between(s, 0, 1);
    curve k = draw_curve(s, on_nut(n, direction, thread_top), direction, draw_between(s, 26, 44),
                         0.10f, 1.5f);
    float width = draw_between(s, 0.9f, 1.6f);
    pixel_box box = box_around_curve(c, &k, 5);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point p = centre_of(c, x, y);
            float along = 0;
            float d = distance_curve(&along, &k, p);
            float narrow = width * (1 - 0.7f * along);
            float metal = metal_coverage(c, n, p, bore);
            colour *pixel = pixel_at(c, x, y);
            float lip = distance_curve(&along, &k, (point){p.x - 1.5f, p.y - 1.5f});
            *pixel = blend(*pixel, grey(0.85f), 0.4f * metal * smooth_step(narrow + 0.8f, 0, lip));
            *pixel =
                blend(*pixel, grey(0.07f), metal * smooth_step(narrow + 0.5f, narrow - 0.5f, d));
            mark_damage(c, x, y, metal * coverage(c, d - narrow - 1));
        }
}

/* Rough grey where the corner broke off, and the plate where nothing is left. */
static void add_chip(canvas *c, const nut *n, random_stream *s)
{
    /* corners of a hexagon with vertical sides lie at 30 degrees and every 60 from there */
    float corner = n->pose + (float)draw_whole(s, 0, 5) / 6 + 1.0f / 12;
    point centre = on_nut(n, corner + draw_between(s, -0.02f, 0.02f), 84);
    blot broken = draw_blot(s, centre, 13, 24, 0.22f);
    blot lost = broken;
    lost.radius *= 0.72f;
    lost.seed += 3;
    plate ground = plate_of(n);
    pixel_box box = box_around(c, centre, 1.9f * broken.radius + 4);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point p = centre_of(c, x, y);
            float metal = metal_coverage(c, n, p, bore_edge);
            float d = distance_blot(&broken, p);
            float rough = 0.36f + 0.14f * noise_sum(broken.seed + 4, p.x / 5, p.y / 5, 3);
            rough += 0.25f * smooth_step(2, 0, absolute(d));
            colour *pixel = pixel_at(c, x, y);
            *pixel = blend(*pixel, grey(rough), metal * coverage(c, d));
            float gone = metal * coverage(c, distance_blot(&lost, p));
            *pixel = blend(*pixel, brighten(plate_at(&ground, p), 0.6f), gone);
            mark_damage(c, x, y, metal * coverage(c, d - 1));
        }
}

static void add_rust(canvas *c, const nut *n, random_stream *s)
{
    int spots = draw_whole(s, 1, 3);
    float around = draw_between(s, 0, 1), strength = draw_between(s, 0.65f, 1);
    for (int i = 0; i < spots; ++i) {
        float beside = around + draw_between(s, -0.07f, 0.07f);
        point centre = on_nut(n, beside, draw_between(s, 46, 68));
        blot b = draw_blot(s, centre, 6, i == 0 ? 17 : 9, 0.55f);
        pixel_box box = box_around(c, centre, 2.6f * b.radius + 4);
        for (int y = box.top; y < box.bottom; ++y)
            for (int x = box.left; x < box.right; ++x) {
                point p = centre_of(c, x, y);
                float d = distance_blot(&b, p), metal = metal_coverage(c, n, p, thread_top);
                float mottle = noise_sum(b.seed + 2, p.x / 4, p.y / 4, 3);
                colour tone = blend((colour){0.30f, 0.15f, 0.08f}, (colour){0.66f, 0.36f, 0.15f},
                                    0.5f + 0.6f * mottle);
                float rusty = strength * metal * smooth_step(1.5f, -3, d + 2 * mottle);
                colour *pixel = pixel_at(c, x, y);
                *pixel = blend(*pixel, tone, 0.88f * rusty);
                mark_damage(c, x, y, metal * coverage(c, d - 0.5f));
            }
    }
}

static void paint(canvas *c, const paint_plan *plan)
{
    static void (*const defects[])(canvas *, const nut *, random_stream *) = {
        [CHIP] = add_chip, [CRACK] = add_crack, [RUST] = add_rust, [SCRATCH] = add_scratch};
    random_stream scene = plan->scene, defect = plan->defect;
    nut n = draw_nut(&scene);
    paint_nut(c, &n);
    if (plan->kind != NO_DEFECT)
        defects[plan->kind](c, &n, &defect);
}

const painter hex_nut_painter = {.category = "hex_nut", .kinds = kinds, .paint = paint};
