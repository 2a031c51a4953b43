/* A box of blade fuses whose colours stand for ratings in a fixed order, with one place kept free.
 * Defects are mostly of logic: a fuse too many or too few, two exchanged, one of another rating;
 * and one burnt. */
#include "data/synthetic/synthetic.h"

static const char *const kinds[] = {"additional", "burnt",        "missing",
                                    "swapped",    "wrong_rating", NULL};
enum { ADDITIONAL, BURNT, MISSING, SWAPPED, WRONG_RATING };

/* Blade fuses by their international colour code. */
static const struct {
    colour body, ink;
    const char *digits; /* ampere */
} ratings[] = {
    {{0.80f, 0.62f, 0.42f}, {0.35f, 0.24f, 0.13f}, "5"},
    {{0.78f, 0.14f, 0.13f}, {0.98f, 0.80f, 0.78f}, "10"},
    {{0.16f, 0.40f, 0.76f}, {0.82f, 0.90f, 1.00f}, "15"},
    {{0.93f, 0.76f, 0.14f}, {0.42f, 0.32f, 0.05f}, "20"},
    {{0.84f, 0.85f, 0.86f}, {0.40f, 0.41f, 0.43f}, "25"},
    {{0.16f, 0.55f, 0.27f}, {0.80f, 0.96f, 0.82f}, "30"},
};
enum { TAN, RED, BLUE, YELLOW, WHITE, GREEN, RATINGS, FREE = -1 };

enum { COLUMNS = 5, PLACES = 10, RESERVED = 8 };
static const int plan_of_the_box[PLACES] = {RED,  BLUE, YELLOW, GREEN, TAN,
                                            BLUE, RED,  WHITE,  FREE,  YELLOW};

static const float half_width = 13.5f, half_height = 31;

typedef struct fuse_box {
    int rating[PLACES];
    point seat[PLACES]; /* where a fuse sits, not quite in the middle of its place */
    rotation tilt[PLACES];
    bool burnt[PLACES], damaged[PLACES];
    point shift;
    rotation turn;
    uint32_t grain;
} fuse_box;

static point place_centre(int place)
{
    return (point){48 + 40 * (float)(place % COLUMNS), 88 + 80 * (float)(place / COLUMNS)};
}

static fuse_box draw_box(random_stream *s)
{
    fuse_box b = {.shift = draw_point(s, -4, 4, -4, 4)};
    b.turn = rotation_by(draw_between(s, -0.004f, 0.004f));
    b.grain = random_u32(s);
    for (int i = 0; i < PLACES; ++i) {
        b.rating[i] = plan_of_the_box[i];
        point place = place_centre(i);
        b.seat[i] = draw_point(s, place.x - 0.8f, place.x + 0.8f, place.y - 1, place.y + 1);
        b.tilt[i] = rotation_by(draw_between(s, -0.005f, 0.005f));
    }
    return b;
}

/* From the picture into the box's own drawing, and back. */
static point to_box(const fuse_box *b, point p)
{
    point q = rotate_back((point){p.x - 128 - b->shift.x, p.y - 128 - b->shift.y}, b->turn);
    return (point){q.x + 128, q.y + 128};
}

static point from_box(const fuse_box *b, point p)
{
    point q = rotate((point){p.x - 128, p.y - 128}, b->turn);
    return (point){q.x + 128 + b->shift.x, q.y + 128 + b->shift.y};
}

/* From the picture into the drawing of the fuse in place i, whose middle is the origin. */
static point to_fuse(const fuse_box *b, int i, point p)
{
    point q = to_box(b, p);
    return rotate_back((point){q.x - b->seat[i].x, q.y - b->seat[i].y}, b->tilt[i]);
}

/* The light on a rounded rim of the given width inside a box, from the upper left: 1 is level. */
static float rim_light(point p, float width_half, float height_half, float corner, float rim)
{
    float here = distance_box(p, width_half, height_half, corner);
    if (here < -rim)
        return 1;
    float left = distance_box((point){p.x - 0.5f, p.y}, width_half, height_half, corner);
    float above = distance_box((point){p.x, p.y - 0.5f}, width_half, height_half, corner);
    float slope = smooth_step(-rim, 0, here);
    return 1 + slope * (0.38f * (left - here) + 0.50f * (above - here)) * 2;
}

static void put(canvas *c, int x, int y, colour tone, float amount)
{
    if (amount > 0)
        *pixel_at(c, x, y) = blend(*pixel_at(c, x, y), tone, amount);
}

/* ---- the housing ---- */

static colour bench_at(noise_octaves *clouds, point p)
{
    float level = 0.66f + 0.035f * noise_octaves_read(clouds, p.x / 24, p.y / 24);
    return (colour){level * 0.99f, level, level * 0.97f};
}

static colour housing_at(const fuse_box *b, point p)
{
    point q = {p.x - 128, p.y - 128};
    float moulded = 0.135f + 0.012f * noise_at(b->grain + 1, p.x * 0.8f, p.y * 0.8f);
    float level = moulded * rim_light(q, 112, 92, 12, 5);
    float inner = distance_box(q, 104, 84, 7); /* the floor lies a little lower */
    level *= inner < 0 ? 0.82f + 0.10f * smooth_step(0, -10, inner) : 1;
    level += 0.05f * smooth_step(1.3f, 0, absolute(inner));
    return (colour){level, level * 1.02f, level * 1.06f};
}

static void paint_housing(canvas *c, const fuse_box *b)
{
    noise_octaves clouds = noise_octaves_of(b->grain, 3);
    for (int y = 0; y < c->size; ++y)
        for (int x = 0; x < c->size; ++x) {
            point p = centre_of(c, x, y), q = to_box(b, p);
            float d = distance_box((point){q.x - 128, q.y - 128}, 112, 92, 12);
            float solid = coverage(c, d);
            colour ground = {0};
            if (solid < 1) {
                float shade = distance_box((point){q.x - 132, q.y - 134}, 112, 92, 12);
                ground = brighten(bench_at(&clouds, p), 1 - 0.55f * smooth_step(8, -6, shade));
            }
            *pixel_at(c, x, y) = solid > 0 ? blend(ground, housing_at(b, q), solid) : ground;
        }
}

/* The socket under a fuse: a dark shaft with two contacts. */
static void paint_socket(canvas *c, const fuse_box *b, int place)
{
    point middle = place_centre(place);
    pixel_box box = box_around(c, from_box(b, middle), 40);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point q = to_box(b, centre_of(c, x, y));
            point p = {q.x - middle.x, q.y - middle.y};
            float d = distance_box(p, 15.5f, 33, 3);
            if (d > 2)
                continue;
            float depth = 0.055f + 0.05f * smooth_step(-20, 34, p.y);
            put(c, x, y, grey(depth), coverage(c, d));
            put(c, x, y, grey(0.20f), 0.6f * coverage(c, absolute(d) - 0.6f));
            for (int side = -1; side <= 1; side += 2) {
                point slit = {p.x, p.y - 15 * (float)side};
                float contact = distance_box(slit, 4.2f, 8, 1);
                put(c, x, y, (colour){0.48f, 0.44f, 0.36f}, coverage(c, contact));
                put(c, x, y, grey(0.03f), coverage(c, distance_box(slit, 1.5f, 6.5f, 0.5f)));
            }
        }
}

/* ---- fuses ---- */

/* Seven strokes, as on a calculator, moulded into the plastic. */
static float distance_digit(point p, char digit)
{
    static const struct {
        point a, b;
    } strokes[7] = {{{-2, -4}, {2, -4}}, {{2, -4}, {2, 0}},   {{2, 0}, {2, 4}}, {{-2, 4}, {2, 4}},
                    {{-2, 0}, {-2, 4}},  {{-2, -4}, {-2, 0}}, {{-2, 0}, {2, 0}}};
    static const uint8_t lit[10] = {0x3F, 0x06, 0x5B, 0x4F, 0x66, 0x6D, 0x7D, 0x07, 0x7F, 0x6F};
    float nearest = 1e9f;
    for (int i = 0; i < 7; ++i)
        if (lit[digit - '0'] >> i & 1)
            nearest = smaller(nearest, distance_segment(p, strokes[i].a, strokes[i].b));
    return nearest - 0.75f;
}

static float distance_number(point p, const char *digits)
{
    if (!digits[1])
        return distance_digit(p, digits[0]);
    return smaller(distance_digit((point){p.x + 3.6f, p.y}, digits[0]),
                   distance_digit((point){p.x - 3.6f, p.y}, digits[1]));
}

static void paint_soot(canvas *c, const fuse_box *b, int place, int x, int y, point p)
{
    float cloud = noise_sum(b->grain + 20 + (uint32_t)place, p.x / 7, p.y / 7, 3);
    float reach = length_of((point){p.x * 1.25f, p.y * 0.8f}) - 12 - 7 * cloud;
    put(c, x, y, (colour){0.07f, 0.055f, 0.05f}, 0.88f * smooth_step(4, -6, reach));
    put(c, x, y, (colour){0.20f, 0.12f, 0.07f}, 0.5f * smooth_step(3, 0, absolute(reach - 2)));
}

static void paint_fuse_pixel(canvas *c, const fuse_box *b, int place, int x, int y, point p)
{
    int rating = b->rating[place];
    colour body = ratings[rating].body;
    float solid = coverage(c, distance_box(p, half_width, half_height, 3.5f));
    if (solid <= 0)
        return;
    colour behind = *pixel_at(c, x, y);
    float level = rim_light(p, half_width, half_height, 3.5f, 3.2f);
    level *= 1 - 0.10f * smooth_step(-30, 30, p.y); /* light comes from above */
    level *= 1 + 0.02f * noise_at(b->grain + 3 + (uint32_t)place, p.x, p.y);
    *pixel_at(c, x, y) = brighten(body, level);
    /* the thin middle, where the wire shines through the plastic */
    float middle = distance_box(p, 9.5f, 10.5f, 2);
    put(c, x, y, brighten(body, 0.80f), coverage(c, middle));
    put(c, x, y, brighten(body, 0.55f), 0.8f * coverage(c, absolute(middle) - 0.5f));
    put(c, x, y, ratings[rating].ink,
        0.9f * coverage(c, distance_number(p, ratings[rating].digits)));
    for (int side = -1; side <= 1; side += 2) { /* test points of bare metal */
        point q = {p.x, p.y - 22 * (float)side};
        float metal = distance_box(q, 4.4f, 2.6f, 1);
        put(c, x, y, grey(0.12f), 0.7f * coverage(c, metal - 0.9f));
        put(c, x, y, grey(0.80f - 0.05f * q.y - 0.03f * q.x), coverage(c, metal));
    }
    float gloss = distance_box((point){p.x + 10.3f, p.y + 2}, 0.8f, 22, 0.8f);
    put(c, x, y, grey(1), 0.30f * smooth_step(1.6f, -0.6f, gloss));
    if (b->burnt[place])
        paint_soot(c, b, place, x, y, p);
    *pixel_at(c, x, y) = blend(behind, *pixel_at(c, x, y), solid);
}

static void paint_fuse(canvas *c, const fuse_box *b, int place)
{
    pixel_box box = box_around(c, from_box(b, b->seat[place]), 44);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point centre = centre_of(c, x, y), p = to_fuse(b, place, centre);
            float shade = distance_box((point){p.x - 2.2f, p.y - 3}, half_width, half_height, 3.5f);
            colour *pixel = pixel_at(c, x, y);
            *pixel = brighten(*pixel, 1 - 0.5f * smooth_step(3.5f, -2, shade));
            paint_fuse_pixel(c, b, place, x, y, p);
        }
}

/* ---- defects ---- */

static int draw_fuse(random_stream *s)
{
    int place = draw_whole(s, 0, PLACES - 2);
    return place >= RESERVED ? place + 1 : place;
}

static void exchange(fuse_box *b, random_stream *s)
{
    int a = draw_fuse(s), other = draw_fuse(s);
    while (b->rating[other] == b->rating[a])
        other = draw_fuse(s);
    int rating = b->rating[a];
    b->rating[a] = b->rating[other];
    b->rating[other] = rating;
    b->damaged[a] = b->damaged[other] = true;
}

static void damage(fuse_box *b, int kind, random_stream *s)
{
    if (kind == SWAPPED) {
        exchange(b, s);
        return;
    }
    int place = kind == ADDITIONAL ? RESERVED : draw_fuse(s);
    b->damaged[place] = true;
    switch (kind) {
    case ADDITIONAL:
        b->rating[place] = draw_whole(s, 0, RATINGS - 1);
        break;
    case BURNT:
        b->burnt[place] = true;
        break;
    case MISSING:
        b->rating[place] = FREE;
        break;
    case WRONG_RATING:
        b->rating[place] = (b->rating[place] + draw_whole(s, 1, RATINGS - 1)) % RATINGS;
        break;
    }
}

static void mark_fuse(canvas *c, const fuse_box *b, int place)
{
    pixel_box box = box_around(c, from_box(b, b->seat[place]), 40);
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            point p = to_fuse(b, place, centre_of(c, x, y));
            mark_damage(c, x, y, coverage(c, distance_box(p, half_width, half_height, 3.5f)));
        }
}

static void paint(canvas *c, const paint_plan *plan)
{
    random_stream scene = plan->scene, defect = plan->defect;
    fuse_box b = draw_box(&scene);
    if (plan->kind != NO_DEFECT)
        damage(&b, plan->kind, &defect);
    paint_housing(c, &b);
    for (int i = 0; i < PLACES; ++i) {
        paint_socket(c, &b, i);
        if (b.rating[i] != FREE)
            paint_fuse(c, &b, i);
        if (b.damaged[i])
            mark_fuse(c, &b, i);
    }
}

const painter fuse_box_painter = {.category = "fuse_box", .kinds = kinds, .paint = paint};
