/* A populated circuit board. Defects: a solder bridge between two legs, a broken trace, a missing
 * part, a scratch through the lacquer, a part that slid off its pads. */
#include "data/synthetic/synthetic.h"

static const char *const kinds[] = {"bridge",  "broken_trace", "missing_part",
                                    "scratch", "shifted_part", NULL};
enum { BRIDGE, BROKEN_TRACE, MISSING_PART, SCRATCH, SHIFTED_PART };

static const colour lacquer = {0.035f, 0.255f, 0.150f}, covered_copper = {0.085f, 0.410f, 0.225f};
static const colour bare_copper = {0.80f, 0.48f, 0.26f}, print = {0.86f, 0.88f, 0.84f};
static const colour tin = {0.66f, 0.67f, 0.67f};

/* ---- the product: what lies where, in the board's own drawing ---- */

/* A trace is a chain of points. */
enum { TRACE_POINTS = 5 };
static const struct {
    int count;
    point points[TRACE_POINTS];
} traces[] = {
    {4, {{58, 44}, {84, 44}, {96, 56}, {118, 56}}},
    {3, {{58, 80}, {106, 80}, {118, 72}}},
    {4, {{58, 116}, {80, 116}, {108, 88}, {118, 88}}},
    {4, {{58, 152}, {78, 152}, {104, 126}, {104, 110}}},
    {3, {{104, 110}, {110, 104}, {118, 104}}},
    {4, {{190, 56}, {204, 56}, {216, 44}, {230, 44}}},
    {3, {{190, 72}, {218, 72}, {230, 84}}},
    {4, {{190, 88}, {200, 88}, {212, 100}, {212, 140}}},
    {4, {{190, 104}, {196, 104}, {202, 110}, {202, 168}}},
    {3, {{26, 44}, {18, 52}, {18, 196}}},
    {3, {{18, 196}, {30, 208}, {30, 222}}},
    {4, {{26, 80}, {10, 96}, {10, 214}, {16, 220}}},
    {4, {{140, 170}, {140, 196}, {122, 214}, {122, 222}}},
    {3, {{172, 170}, {172, 204}, {154, 222}}},
    {4, {{202, 168}, {202, 200}, {190, 212}, {190, 222}}},
    {4, {{212, 140}, {228, 156}, {228, 214}, {222, 222}}},
    {3, {{58, 152}, {68, 162}, {68, 222}}},
    {3, {{104, 140}, {98, 146}, {98, 222}}},
};
enum { TRACES = sizeof traces / sizeof *traces };

/* Two-legged parts: resistors lie across, capacitors upright. */
typedef struct part {
    point centre;
    bool upright, capacitor;
} part;
static const part parts[] = {
    {{42, 44}, false, false},  {{42, 80}, false, false}, {{42, 116}, false, false},
    {{42, 152}, false, false}, {{140, 156}, true, true}, {{172, 156}, true, true},
    {{230, 64}, true, true},
};
enum { PARTS = sizeof parts / sizeof *parts };

enum { LEGS = 4 }; /* on each side of the chip */
static const point chip = {154, 80};

static point leg_centre(int side, int leg)
{
    return (point){chip.x + (side ? 34.0f : -34.0f), 56 + 16 * (float)leg};
}

static const point vias[] = {{104, 140}, {212, 140}, {84, 190}, {230, 84}, {230, 44}, {118, 130}};
enum { VIAS = sizeof vias / sizeof *vias };

enum { HOLES = 8 }; /* of the connector along the lower edge */
static point hole_centre(int i)
{
    static const float across[HOLES] = {30, 68, 98, 122, 154, 190, 222, 242};
    return (point){across[i], 228};
}

/* ---- one board ---- */

typedef struct board {
    point shift;
    rotation turn;
    uint32_t grain;
    point part_shift[PARTS];
    rotation part_turn[PARTS];
    float shine[2 * LEGS + 2 * PARTS]; /* of each solder joint */
    bool missing[PARTS];
    point gap; /* where a trace is broken */
    float gap_radius;
} board;

static board draw_board(random_stream *s)
{
    board b = {.shift = draw_point(s, -3, 3, -3, 3)};
    b.turn = rotation_by(draw_between(s, -0.003f, 0.003f));
    b.grain = random_u32(s);
    for (int i = 0; i < PARTS; ++i) {
        b.part_shift[i] = draw_point(s, -0.7f, 0.7f, -0.7f, 0.7f);
        b.part_turn[i] = rotation_by(draw_between(s, -0.006f, 0.006f));
    }
    for (int i = 0; i < 2 * LEGS + 2 * PARTS; ++i)
        b.shine[i] = draw_between(s, 0.85f, 1.12f);
    return b;
}

/* From the picture into the board's drawing, and back. */
static point to_board(const board *b, point p)
{
    point q = rotate_back((point){p.x - 128 - b->shift.x, p.y - 128 - b->shift.y}, b->turn);
    return (point){q.x + 128, q.y + 128};
}

static point from_board(const board *b, point p)
{
    point q = rotate((point){p.x - 128, p.y - 128}, b->turn);
    return (point){q.x + 128 + b->shift.x, q.y + 128 + b->shift.y};
}

static point to_part(const board *b, int i, point q)
{
    point centre = {parts[i].centre.x + b->part_shift[i].x, parts[i].centre.y + b->part_shift[i].y};
    point p = rotate_back((point){q.x - centre.x, q.y - centre.y}, b->part_turn[i]);
    return parts[i].upright ? (point){p.y, -p.x} : p;
}

static void put(canvas *c, int x, int y, colour tone, float amount)
{
    if (amount > 0)
        *pixel_at(c, x, y) = blend(*pixel_at(c, x, y), tone, amount);
}

/* A visit of every pixel near `centre`, a point of the drawing. */
typedef void (*brush)(canvas *c, const board *b, int x, int y, point q, int which);

static void visit(canvas *c, const board *b, point centre, float reach, brush touch, int which)
{
    pixel_box box = box_around(c, from_board(b, centre), reach);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x)
            touch(c, b, x, y, to_board(b, centre_of(c, x, y)), which);
}

/* ---- lacquer, copper and print ---- */

static void paint_ground(canvas *c, const board *b)
{
    noise across = noise_of(b->grain), along = noise_of(b->grain + 1);
    noise clouds = noise_of(b->grain + 2);
    for (int y = 0; y < c->size; ++y)
        for (int x = 0; x < c->size; ++x) {
            point q = to_board(b, centre_of(c, x, y));
            float weave = noise_read(&across, q.x * 0.9f, q.y * 0.22f) +
                          noise_read(&along, q.x * 0.22f, q.y * 0.9f);
            float cloud = noise_read(&clouds, q.x / 45, q.y / 45);
            *pixel_at(c, x, y) = brighten(lacquer, 1 + 0.045f * weave + 0.06f * cloud);
        }
}

/* Copper under lacquer stands out a little: one edge catches light, the other lies in shade. */
static void paint_trace_pixel(canvas *c, const board *b, int x, int y, point q, point from,
                              point to)
{
    const float half = 2.1f;
    float d = distance_segment(q, from, to) - half;
    float lit = distance_segment((point){q.x + 0.8f, q.y + 0.9f}, from, to) - half;
    float whole = 1;
    if (b->gap_radius > 0) {
        float hole = length_of((point){q.x - b->gap.x, q.y - b->gap.y}) - b->gap_radius;
        hole += 0.8f * noise_at(b->grain + 9, q.x, q.y);
        whole = 1 - coverage(c, hole);
        float torn = coverage(c, absolute(hole - 0.4f) - 0.8f) * coverage(c, d);
        put(c, x, y, bare_copper, 0.9f * torn);
        put(c, x, y, brighten(lacquer, 0.6f), coverage(c, hole) * coverage(c, d));
        whole *= 1 - torn;
    }
    put(c, x, y, brighten(covered_copper, 1.12f + 0.16f * smooth_step(0.5f, -0.8f, d - lit)),
        whole * coverage(c, d));
    float edge = clamp01((lit - d) * 0.7f) * smooth_step(1.6f, -0.4f, d);
    *pixel_at(c, x, y) = brighten(*pixel_at(c, x, y), 1 - 0.28f * edge * whole);
}

static void paint_traces(canvas *c, const board *b)
{
    for (int t = 0; t < TRACES; ++t)
        for (int i = 0; i + 1 < traces[t].count; ++i) {
            point from = traces[t].points[i], to = traces[t].points[i + 1];
            pixel_box box = box_of(c, from_board(b, from), from_board(b, to), 6);
            for (int y = box.top; y < box.bottom; ++y)
                for (int x = box.left; x < box.right; ++x) {
                    point q = to_board(b, centre_of(c, x, y));
                    paint_trace_pixel(c, b, x, y, q, from, to);
                }
        }
}

static void touch_via(canvas *c, const board *b, int x, int y, point q, int which)
{
    float r = length_of((point){q.x - vias[which].x, q.y - vias[which].y});
    put(c, x, y, brighten(covered_copper, 1.15f), coverage(c, r - 5));
    put(c, x, y, grey(0.05f), coverage(c, r - 2));
    put(c, x, y, brighten(covered_copper, 0.75f), 0.6f * coverage(c, absolute(r - 2.4f) - 0.5f));
}

static void touch_hole(canvas *c, const board *b, int x, int y, point q, int which)
{
    point p = {q.x - hole_centre(which).x, q.y - hole_centre(which).y};
    float r = length_of(p);
    float light = 0.95f - 0.022f * (p.x + p.y) + 0.1f * smooth_step(2, 0, absolute(r - 7));
    put(c, x, y, brighten((colour){0.86f, 0.68f, 0.34f}, light), coverage(c, r - 9));
    put(c, x, y, grey(0.06f), coverage(c, r - 4.6f));
    put(c, x, y, grey(0.30f), 0.7f * coverage(c, absolute(r - 4.9f) - 0.5f));
}

/* Printed frames: around each part, and around the chip (after the parts) with its dot. */
static void touch_print(canvas *c, const board *b, int x, int y, point q, int which)
{
    float d;
    if (which < PARTS) {
        point p = {q.x - parts[which].centre.x, q.y - parts[which].centre.y};
        d = distance_box(parts[which].upright ? (point){p.y, p.x} : p, 23, 11.5f, 1);
    } else {
        d = distance_box((point){q.x - chip.x, q.y - chip.y}, 44, 36, 2);
        put(c, x, y, print, 0.8f * coverage(c, length_of((point){q.x - 114, q.y - 42}) - 2));
    }
    put(c, x, y, print, 0.8f * coverage(c, absolute(d) - 0.5f));
}

static void paint_print(canvas *c, const board *b)
{
    for (int i = 0; i < PARTS; ++i)
        visit(c, b, parts[i].centre, 25, touch_print, i);
    visit(c, b, chip, 48, touch_print, PARTS);
}

/* ---- solder and parts ---- */

/* A joint is a shiny drop; its light moves with the surface. */
static colour solder_at(point p, float half_width, float half_height, float shine)
{
    float u = p.x / half_width, v = p.y / half_height;
    float dome = larger(0, 1 - u * u - v * v);
    float spot = smooth_step(0.55f, 0, length_of((point){u + 0.35f, v + 0.4f}));
    float level = shine * (0.62f + 0.35f * dome - 0.20f * (u + v)) + 0.35f * spot;
    return brighten(tin, level * 1.15f);
}

static void touch_leg(canvas *c, const board *b, int x, int y, point q, int which)
{
    int side = which / LEGS;
    point centre = leg_centre(side, which % LEGS), p = {q.x - centre.x, q.y - centre.y};
    float outward = side ? p.x : -p.x;
    put(c, x, y, solder_at(p, 9, 5, b->shine[which]), coverage(c, distance_box(p, 8.5f, 4.6f, 2)));
    float leg = distance_box((point){outward + 5, p.y}, 9, 2.4f, 0.6f);
    float level = 0.74f + 0.05f * p.y - 0.012f * outward;
    level *= outward < -3 ? 1 : 0.86f; /* the foot lies lower than the shoulder */
    put(c, x, y, grey(level), coverage(c, leg));
    put(c, x, y, grey(0.25f), 0.35f * coverage(c, absolute(leg) - 0.4f));
}

static void touch_chip(canvas *c, const board *b, int x, int y, point q, int which)
{
    point p = {q.x - chip.x, q.y - chip.y};
    float shade = distance_box((point){p.x - 2, p.y - 3}, 27, 33, 1.5f);
    *pixel_at(c, x, y) = brighten(*pixel_at(c, x, y), 1 - 0.45f * smooth_step(3, -2, shade));
    float d = distance_box(p, 27, 33, 1.5f);
    float level = 0.105f + 0.012f * noise_at(b->grain + 4, q.x * 1.2f, q.y * 1.2f);
    level += smooth_step(-3, 0, d) * (p.x < -p.y * 0.8f ? 0.07f : -0.03f);
    put(c, x, y, (colour){level, level, level * 1.06f}, coverage(c, d));
    float dot = length_of((point){p.x + 19, p.y + 25});
    put(c, x, y, grey(0.065f), coverage(c, dot - 3));
    float lines = 1e9f; /* type and date, too small to read */
    for (int i = 0; i < 3; ++i)
        lines =
            smaller(lines, distance_box((point){p.x + (float)(i % 2) * 3, p.y + 8 - 9 * (float)i},
                                        14 - 3 * (float)i, 1.7f, 0.2f));
    int32_t column = (int32_t)((q.x + 100) / 3.1f), row = (int32_t)(q.y / 9);
    float inked = hash_unit(0x1C, column, row) > 0.22f ? 0.42f : 0.0f;
    put(c, x, y, grey(0.50f), inked * coverage(c, lines));
}

static void touch_pads(canvas *c, const board *b, int x, int y, point q, int which)
{
    point p = {q.x - parts[which].centre.x, q.y - parts[which].centre.y};
    if (parts[which].upright)
        p = (point){p.y, -p.x};
    for (int end = 0; end < 2; ++end) {
        point pad = {p.x + (end ? -14.0f : 14.0f), p.y};
        float d = distance_box(pad, 6.5f, 8, 1.5f);
        colour joint = b->missing[which]
                           ? brighten(tin, 0.92f - 0.012f * (pad.x + pad.y))
                           : solder_at(pad, 7.5f, 9, b->shine[2 * LEGS + 2 * which + end]);
        put(c, x, y, joint, coverage(c, d));
        put(c, x, y, grey(0.15f), 0.4f * coverage(c, absolute(d) - 0.4f));
    }
}

static void touch_part(canvas *c, const board *b, int x, int y, point q, int which)
{
    point p = to_part(b, which, q);
    float shade = distance_box((point){p.x - 1.2f, p.y - 1.8f}, 15, 7.5f, 1);
    *pixel_at(c, x, y) = brighten(*pixel_at(c, x, y), 1 - 0.4f * smooth_step(2.5f, -1, shade));
    float d = distance_box(p, 15, 7.2f, 1);
    bool cap = parts[which].capacitor, end = absolute(p.x) > (cap ? 9.5f : 10.5f);
    float level = 1 - 0.028f * p.y - 0.010f * p.x + (d > -1.3f ? 0.08f : 0);
    colour body = cap ? (colour){0.62f, 0.48f, 0.34f} : (colour){0.085f, 0.085f, 0.095f};
    put(c, x, y, brighten(end ? (colour){0.78f, 0.78f, 0.77f} : body, level), coverage(c, d));
    float digits = distance_box(p, 6.5f, 2.4f, 0.4f);
    int32_t stroke = (int32_t)((p.x + 40) / 1.7f);
    if (!cap && stroke % 3 != 0)
        put(c, x, y, grey(0.80f), 0.75f * coverage(c, digits));
}

static void paint_parts(canvas *c, const board *b)
{
    for (int i = 0; i < VIAS; ++i)
        visit(c, b, vias[i], 8, touch_via, i);
    for (int i = 0; i < HOLES; ++i)
        visit(c, b, hole_centre(i), 13, touch_hole, i);
    for (int i = 0; i < 2 * LEGS; ++i)
        visit(c, b, leg_centre(i / LEGS, i % LEGS), 18, touch_leg, i);
    visit(c, b, chip, 44, touch_chip, 0);
    for (int i = 0; i < PARTS; ++i) {
        visit(c, b, parts[i].centre, 26, touch_pads, i);
        if (!b->missing[i])
            visit(c, b, parts[i].centre, 30, touch_part, i);
    }
}

/* ---- defects ---- */

/* Nothing may lie over a break. */
static bool is_open(point q)
{
    bool open = distance_box((point){q.x - chip.x, q.y - chip.y}, 44, 36, 2) > 7;
    for (int i = 0; open && i < PARTS; ++i)
        open = length_of((point){q.x - parts[i].centre.x, q.y - parts[i].centre.y}) > 30;
    for (int i = 0; open && i < HOLES; ++i)
        open = length_of((point){q.x - hole_centre(i).x, q.y - hole_centre(i).y}) > 16;
    for (int i = 0; open && i < VIAS; ++i)
        open = length_of((point){q.x - vias[i].x, q.y - vias[i].y}) > 11;
    return open && q.x > 14 && q.y > 14 && q.x < 242 && q.y < 242;
}

static void break_trace(board *b, random_stream *s)
{
    do {
        int t = draw_whole(s, 0, TRACES - 1), piece = draw_whole(s, 0, traces[t].count - 2);
        float along = draw_between(s, 0.1f, 0.9f);
        point from = traces[t].points[piece], to = traces[t].points[piece + 1];
        b->gap = (point){mix(from.x, to.x, along), mix(from.y, to.y, along)};
    } while (!is_open(b->gap));
    b->gap_radius = draw_between(s, 2.4f, 4.4f);
}

static void shift_part(board *b, int i, random_stream *s)
{
    float side = draw_chance(s, 0.5f) ? 1 : -1;
    point across = draw_point(s, -2, 2, 4 * side, 7 * side);
    b->part_shift[i] = parts[i].upright ? (point){across.y, across.x} : across;
    b->part_turn[i] = rotation_by(draw_between(s, -0.06f, 0.06f));
}

static void touch_damaged_part(canvas *c, const board *b, int x, int y, point q, int which)
{
    float body = distance_box(to_part(b, which, q), 15, 7.5f, 1);
    point p = {q.x - parts[which].centre.x, q.y - parts[which].centre.y};
    if (parts[which].upright)
        p = (point){p.y, -p.x};
    float pads = distance_box(p, 20.5f, 8, 1.5f);
    mark_damage(c, x, y, coverage(c, smaller(body, pads)));
}

static void touch_gap(canvas *c, const board *b, int x, int y, point q, int which)
{
    float d = length_of((point){q.x - b->gap.x, q.y - b->gap.y});
    mark_damage(c, x, y, coverage(c, d - b->gap_radius - 1.2f));
}

/* Solder that flowed from one leg to the next: a waist between two drops. */
static void add_bridge(canvas *c, const board *b, random_stream *s)
{
    int side = draw_whole(s, 0, 1), leg = draw_whole(s, 0, LEGS - 2);
    point upper = leg_centre(side, leg), lower = leg_centre(side, leg + 1);
    point middle = {upper.x + draw_between(s, -3, 3), upper.y + 8};
    float waist = draw_between(s, 1.6f, 3.6f), shine = draw_between(s, 0.9f, 1.1f);
    pixel_box box = box_around(c, from_board(b, middle), 18);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point q = to_board(b, centre_of(c, x, y));
            point p = {q.x - middle.x, q.y - middle.y};
            float bow = p.y / 8;
            float d = absolute(p.x) - waist - 3 * bow * bow;
            d = larger(d, larger(upper.y + 1 - q.y, q.y - lower.y + 1));
            put(c, x, y, solder_at((point){p.x, p.y * 0.5f}, waist + 3, 7, shine), coverage(c, d));
            mark_damage(c, x, y, coverage(c, d - 0.6f));
        }
}

/* Through the lacquer, and here and there down to the copper. */
static void add_scratch(canvas *c, const board *b, random_stream *s)
{
    point from = draw_point(s, 30, 140, 190, 210);
    float heading = draw_between(s, -0.03f, 0.03f), length = draw_between(s, 40, 90);
    curve k = draw_curve(s, from, heading, length, 0.1f, 0.3f);
    float width = draw_between(s, 0.6f, 1.3f);
    pixel_box box = box_around_curve(c, &k, 4);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point p = centre_of(c, x, y);
            float along = 0;
            float d = distance_curve(&along, &k, p) - width;
            float deep = noise_at(b->grain + 6, along * 14, 0);
            colour tone =
                blend((colour){0.52f, 0.62f, 0.46f}, bare_copper, smooth_step(-0.1f, 0.4f, deep));
            put(c, x, y, tone, 0.9f * coverage(c, d));
            mark_damage(c, x, y, coverage(c, d - 1));
        }
}

static void paint(canvas *c, const paint_plan *plan)
{
    random_stream scene = plan->scene, defect = plan->defect;
    board b = draw_board(&scene);
    int broken = draw_whole(&defect, 0, PARTS - 1);
    if (plan->kind == BROKEN_TRACE)
        break_trace(&b, &defect);
    if (plan->kind == SHIFTED_PART)
        shift_part(&b, broken, &defect);
    b.missing[broken] = plan->kind == MISSING_PART;
    paint_ground(c, &b);
    paint_traces(c, &b);
    paint_print(c, &b);
    if (plan->kind == SCRATCH)
        add_scratch(c, &b, &defect);
    paint_parts(c, &b);
    if (plan->kind == BROKEN_TRACE)
        visit(c, &b, b.gap, 10, touch_gap, 0);
    if (plan->kind == MISSING_PART || plan->kind == SHIFTED_PART)
        visit(c, &b, parts[broken].centre, 34, touch_damaged_part, broken);
    if (plan->kind == BRIDGE)
        add_bridge(c, &b, &defect);
}

const painter circuit_painter = {.category = "circuit", .kinds = kinds, .paint = paint};
