/* A 2/2 twill of two yarns, lit from the upper left. Defects: a foreign fibre on top, a hole, a
 * missing weft yarn, a pulled thread, a stain. */
#include <math.h>

#include "data/synthetic/synthetic.h"

static const char *const kinds[] = {"fibre",         "hole",  "missing_yarn",
                                    "pulled_thread", "stain", NULL};
enum { FIBRE, HOLE, MISSING_YARN, PULLED_THREAD, STAIN };

static const float pitch = 8; /* from yarn to yarn */
static const colour warp_colour = {0.36f, 0.44f, 0.53f}, weft_colour = {0.66f, 0.67f, 0.66f};
static const colour table_colour = {0.10f, 0.09f, 0.09f};

typedef struct fabric {
    float pose; /* of the weave against the picture, in turns */
    rotation turn;
    point shift;                   /* of the weave's origin */
    noise wave_across, wave_along; /* how far yarns wander */
    uint32_t shade, fuzz;
    float gap_row, gap_from, gap_to; /* a missing weft yarn: its row and ends; none: from > to */
} fabric;

static fabric draw_fabric(random_stream *s)
{
    fabric f = {.gap_from = 1, .gap_to = 0};
    f.pose = draw_between(s, -0.008f, 0.008f);
    f.turn = rotation_by(f.pose);
    f.shift = draw_point(s, 0, 4 * pitch, 0, 4 * pitch);
    f.shade = random_u32(s);
    f.fuzz = random_u32(s);
    f.wave_across = noise_of(random_u32(s));
    f.wave_along = noise_of(f.wave_across.seed + 1);
    return f;
}

/* Where a point of the picture lies in the cloth, in yarns: x counts warp yarns, y weft yarns. */
static point to_weave(fabric *f, point p)
{
    point q = rotate((point){p.x - 128, p.y - 128}, f->turn);
    q.x += f->shift.x + 1.6f * noise_read(&f->wave_across, p.x / 38, p.y / 38);
    q.y += f->shift.y + 1.6f * noise_read(&f->wave_along, p.x / 38, p.y / 38);
    return (point){q.x / pitch, q.y / pitch};
}

/* A yarn is a tube that arches over two others: across -0.5..0.5, along 0..1 between the ends of
 * its float. */
static float tube_light(float across, float along, float light_across)
{
    float side = 2 * across * 0.97f;
    float height = sqrtf(1 - side * side);
    float arch = 4 * along * (1 - along);
    return 0.34f + 0.46f * height + 0.24f * arch - light_across * 0.16f * side +
           0.10f * (0.5f - along);
}

static colour yarn_at(const fabric *f, point w)
{
    int i = (int)floorf(w.x), j = (int)floorf(w.y);
    float u = w.x - (float)i - 0.5f, v = w.y - (float)j - 0.5f;
    int phase = (i - j) & 3; /* twill: every row is one further */
    bool missing = j == (int)f->gap_row && w.x > f->gap_from && w.x < f->gap_to;
    bool warp_up = phase < 2;
    float light, streak, yarn;
    if (warp_up) { /* the float of column i: cells of phase 1, then 0, downward */
        light = tube_light(u, 0.5f * ((float)(1 - phase) + v + 0.5f), 1);
        streak = noise_at(f->fuzz, u * 7 + w.y * 1.6f, w.y * 2.2f);
        yarn = hash_unit(f->shade, i, 0);
    } else { /* the float of row j: cells of phase 2, then 3, to the right */
        light = tube_light(v, 0.5f * ((float)(phase - 2) + u + 0.5f), 0.7f);
        streak = noise_at(f->fuzz + 1, w.x * 2.2f, v * 7 + w.x * 1.6f);
        yarn = hash_unit(f->shade, j, 1);
    }
    colour base = warp_up ? warp_colour : weft_colour;
    if (missing) { /* without the weft one sees thin warp yarns over the dark */
        float thin = smooth_step(0.42f, 0.22f, absolute(u));
        base = blend(table_colour, warp_colour, 0.75f * thin);
        light = 0.85f;
    }
    return brighten(base, light * (1 + 0.14f * streak + 0.16f * (yarn - 0.5f)));
}

static void paint_cloth(canvas *c, fabric *f)
{
    noise_octaves dye = noise_octaves_of(f->shade + 7, 2);
    for (int y = 0; y < c->size; ++y)
        for (int x = 0; x < c->size; ++x) {
            point p = centre_of(c, x, y);
            float shade = 1 + 0.05f * noise_octaves_read(&dye, p.x / 60, p.y / 60);
            *pixel_at(c, x, y) = brighten(yarn_at(f, to_weave(f, p)), shade);
        }
}

/* ---- defects ---- */

/* A thread on top of the cloth: a lit tube, thinner towards its ends, and its shadow. */
static void lay_thread(canvas *c, const curve *k, float radius, colour tone, float damage_reach)
{
    pixel_box box = box_around_curve(c, k, 3 * radius + 6);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point p = centre_of(c, x, y);
            float along = 0;
            float d = distance_curve(&along, k, p);
            float thick = radius * (0.3f + 0.7f * smooth_step(0, 0.15f, along) *
                                               smooth_step(1, 0.85f, along));
            float shade = distance_curve(&along, k, (point){p.x - 1.4f, p.y - 1.8f});
            colour *pixel = pixel_at(c, x, y);
            *pixel = brighten(*pixel, 1 - 0.45f * smooth_step(thick + 1.6f, thick - 0.6f, shade));
            float lit = 0.72f + 0.38f * smooth_step(thick, 0, d) + 0.08f * sine(along * 23);
            *pixel = blend(*pixel, brighten(tone, lit), coverage(c, d - thick));
            mark_damage(c, x, y, coverage(c, d - thick - damage_reach));
        }
}

static void add_fibre(canvas *c, random_stream *s)
{
    static const colour tones[] = {
        {0.70f, 0.16f, 0.14f}, {0.12f, 0.12f, 0.14f}, {0.88f, 0.86f, 0.80f}, {0.20f, 0.42f, 0.26f}};
    point from = draw_point(s, 60, 196, 60, 196);
    colour tone = tones[draw_whole(s, 0, 3)];
    float heading = draw_between(s, 0, 1), length = draw_between(s, 50, 110);
    curve k = draw_curve(s, from, heading, length, 0.6f, 0.4f);
    lay_thread(c, &k, draw_between(s, 1.0f, 1.7f), tone, 0.8f);
}

/* The cloth beside a tight yarn is drawn in. */
static void pucker(canvas *c, const curve *k)
{
    pixel_box box = box_around_curve(c, k, 9);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            float along = 0;
            float d = distance_curve(&along, k, centre_of(c, x, y));
            float ends = smooth_step(0, 0.15f, along) * smooth_step(1, 0.85f, along);
            colour *pixel = pixel_at(c, x, y);
            *pixel = brighten(*pixel, 1 - 0.30f * ends * smooth_step(8, 2, d));
            mark_damage(c, x, y, ends * coverage(c, d - 4.5f));
        }
}

/* A yarn that runs tight in the cloth, out of it in a loop, and back. */
static void add_pulled_thread(canvas *c, const fabric *f, random_stream *s)
{
    bool weft = draw_chance(s, 0.5f);
    rotation turn = rotation_by((weft ? 0 : 0.25f) - f->pose);
    point from = draw_point(s, 30, weft ? 110 : 220, 30, weft ? 220 : 110);
    float length = draw_between(s, 70, 120), slack = draw_between(s, 9, 20);
    float lean = draw_between(s, -7, 7), start = draw_between(s, 0.2f, 0.4f);
    if (draw_chance(s, 0.5f))
        slack = -slack;
    curve k = {.count = CURVE_POINTS};
    for (int i = 0; i < k.count; ++i) {
        float t = (float)i / (float)(k.count - 1), u = clamp01((t - start) / 0.4f);
        float out = 16 * u * u * (1 - u) * (1 - u);
        point p = rotate((point){t * length + lean * out, slack * out}, turn);
        k.points[i] = (point){from.x + p.x, from.y + p.y};
    }
    pucker(c, &k);
    lay_thread(c, &k, draw_between(s, 2.2f, 3.0f),
               brighten(weft ? weft_colour : warp_colour, 1.15f), 1.0f);
}

static void add_hole(canvas *c, random_stream *s)
{
    point centre = draw_point(s, 50, 206, 50, 206);
    blot b = draw_blot(s, centre, 9, 20, 0.35f);
    pixel_box box = box_around(c, centre, 2.2f * b.radius + 8);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point p = centre_of(c, x, y);
            float d = distance_blot(&b, p) + 1.6f * noise_at(b.seed + 9, p.x / 1.7f, p.y / 1.7f);
            colour *pixel = pixel_at(c, x, y);
            float lip = smooth_step(5, 0, d) * 0.16f; /* the edge curls up and catches light */
            *pixel = brighten(*pixel, 1 + lip);
            float under =
                0.6f + 0.4f * smooth_step(0, -8, distance_blot(&b, (point){p.x - 3, p.y - 4}));
            *pixel = blend(*pixel, brighten(table_colour, under), coverage(c, d));
            mark_damage(c, x, y, coverage(c, distance_blot(&b, p) - 1.5f));
        }
    int ends = draw_whole(s, 5, 9); /* of torn yarns */
    for (int i = 0; i < ends; ++i) {
        float around = ((float)i + draw_between(s, 0, 0.8f)) / (float)ends;
        point rim = rotate((point){b.radius, 0}, rotation_by(around));
        float inward = around + 0.5f + draw_between(s, -0.1f, 0.1f);
        float length = b.radius * draw_between(s, 0.3f, 0.9f);
        curve k =
            draw_curve(s, (point){centre.x + rim.x, centre.y + rim.y}, inward, length, 0.5f, 0.3f);
        lay_thread(c, &k, 0.8f, i % 2 ? weft_colour : warp_colour, 0.5f);
    }
}

static void add_stain(canvas *c, random_stream *s)
{
    static const colour tints[] = {
        {0.62f, 0.50f, 0.36f}, {0.58f, 0.60f, 0.62f}, {0.74f, 0.60f, 0.55f}};
    point centre = draw_point(s, 55, 201, 55, 201);
    blot b = draw_blot(s, centre, 16, 38, 0.28f);
    colour tint = tints[draw_whole(s, 0, 2)];
    float strength = draw_between(s, 0.45f, 0.95f);
    pixel_box box = box_around(c, centre, 2.2f * b.radius + 6);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point p = centre_of(c, x, y);
            float d = distance_blot(&b, p);
            float rim = smooth_step(-7, -1, d) * smooth_step(2.5f, -1, d);
            float wet = strength * smooth_step(2, -2.5f, d) *
                        (0.72f + 0.28f * rim + 0.10f * noise_at(b.seed + 5, p.x / 9, p.y / 9));
            colour *pixel = pixel_at(c, x, y);
            colour soaked = {pixel->r * tint.r, pixel->g * tint.g, pixel->b * tint.b};
            *pixel = blend(*pixel, soaked, wet);
            mark_damage(c, x, y, coverage(c, d - 1));
        }
}

static void take_yarn_out(fabric *f, random_stream *s)
{
    point middle = to_weave(f, draw_point(s, 80, 176, 40, 216));
    float half = draw_between(s, 30, 75) / pitch;
    f->gap_row = floorf(middle.y);
    f->gap_from = middle.x - half;
    f->gap_to = middle.x + half;
}

static void mark_gap(canvas *c, fabric *f)
{
    for (int y = 0; y < c->size; ++y)
        for (int x = 0; x < c->size; ++x) {
            point w = to_weave(f, centre_of(c, x, y));
            if (absolute(w.y - f->gap_row - 0.5f) < 0.6f && w.x > f->gap_from - 0.1f &&
                w.x < f->gap_to + 0.1f)
                mark_damage(c, x, y, 1);
        }
}

static void paint(canvas *c, const paint_plan *plan)
{
    random_stream scene = plan->scene, defect = plan->defect;
    fabric f = draw_fabric(&scene);
    if (plan->kind == MISSING_YARN)
        take_yarn_out(&f, &defect);
    paint_cloth(c, &f);
    switch (plan->kind) {
    case FIBRE:
        add_fibre(c, &defect);
        break;
    case HOLE:
        add_hole(c, &defect);
        break;
    case MISSING_YARN:
        mark_gap(c, &f);
        break;
    case PULLED_THREAD:
        add_pulled_thread(c, &f, &defect);
        break;
    case STAIN:
        add_stain(c, &defect);
        break;
    }
}

const painter fabric_painter = {.category = "fabric", .kinds = kinds, .paint = paint};
