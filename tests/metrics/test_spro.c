/* sPRO: the golden values of the specification (section 3.3, exact curve), random cases against the
 * definition written plainly, and AUROC by kind of defect. */
#include <stdbool.h>

#include "base/random.h"
#include "check_suite.h"
#include "imiad/metrics.h"
#include "twin.h"

enum { LIMITS = 5 };
static const double limits[LIMITS] = {0.01, 0.05, 0.1, 0.3, 1.0};

static imiad_image mask_of(const uint8_t *pixels, int width, int height)
{
    return (imiad_image){sizeof(imiad_image), IMIAD_PIXEL_GRAY8, width, height,
                         (size_t)width,       (uint8_t *)pixels};
}

static imiad_spro *new_spro(void)
{
    imiad_spro *spro = NULL;
    ck_ok(imiad_spro_create(&spro, NULL, 0));
    return spro;
}

/* ---- golden values ---- */

static const float golden_map[15] = {.9f, .8f,  .3f, .1f, .05f, .7f, .2f, .6f,
                                     .1f, .05f, .1f, .5f, .1f,  .1f, .4f};
static const uint8_t c1[15] = {1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0};
static const uint8_t c2[15] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1};
static const uint8_t c3[15] = {0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0};

typedef struct golden_spro {
    const char *id;
    const uint8_t *channels[2];
    double saturation[2];
    int relative;
    bool good_image;
    double expected[LIMITS];
} golden_spro;

static const golden_spro golden[] = {
    {"S1", {c1}, {2}, 0, false, {1, 1, 1, 1, 1}},
    {"S1b", {c1}, {4}, 0, false, {.75, .75, .75, .75, 0.9090909090909091}},
    {"S2 half", {c1}, {.5}, 1, false, {1, 1, 1, 1, 1}},
    {"S2 cut to whole pixels", {c1}, {.7}, 1, false, {1, 1, 1, 1, 1}},
    {"S3", {c1, c2}, {2, 5}, 0, true, {.5, .5, .5, 0.5942028985507246, 0.6702898550724637}},
    {"S4", {c1, c3}, {2, 2}, 0, false, {.75, .75, .75, .75, 0.925}},
};

static void add_golden(imiad_spro *spro, const golden_spro *g, imiad_spro_kind kind)
{
    imiad_image masks[2];
    imiad_spro_channel channels[2];
    size_t count = 0;
    for (; count < 2 && g->channels[count]; ++count) {
        masks[count] = mask_of(g->channels[count], 5, 3);
        channels[count] = (imiad_spro_channel){&masks[count], g->saturation[count], g->relative};
    }
    ck_ok(imiad_spro_add_map(spro, golden_map, 5, 3, kind, channels, count));
    if (!g->good_image)
        return;
    float good[15];
    for (int i = 0; i < 15; ++i)
        good[i] = .15f;
    good[0] = .45f;
    ck_ok(imiad_spro_add_map(spro, good, 5, 3, IMIAD_SPRO_GOOD, NULL, 0));
}

START_TEST(golden_values_hold_for_either_kind)
{
    for (size_t i = 0; i < sizeof golden / sizeof *golden; ++i)
        for (imiad_spro_kind kind = IMIAD_SPRO_STRUCTURAL; kind <= IMIAD_SPRO_LOGICAL; ++kind) {
            imiad_spro *spro = new_spro();
            add_golden(spro, &golden[i], kind);
            for (int j = 0; j < LIMITS; ++j) {
                double area = NAN;
                ck_ok(imiad_spro_area(&area, spro, kind, limits[j]));
                ck_assert_msg(fabs(area - golden[i].expected[j]) <= 1e-12,
                              "%s at %g: %.17g, expected %.17g", golden[i].id, limits[j], area,
                              golden[i].expected[j]);
            }
            imiad_spro_free(spro);
        }
}
END_TEST

START_TEST(the_mean_is_half_the_sum_of_both_kinds)
{
    imiad_spro *spro = new_spro();
    add_golden(spro, &golden[0], IMIAD_SPRO_STRUCTURAL);
    add_golden(spro, &golden[1], IMIAD_SPRO_LOGICAL);
    double mean = NAN;
    ck_ok(imiad_spro_area(&mean, spro, IMIAD_SPRO_MEAN, 0.05));
    ck_assert_double_eq(mean, 0.5 * (1 + .75));
    imiad_spro_free(spro);
}
END_TEST

/* ---- the definition, plainly ---- */

enum {
    CASES = 1000,
    MOST_IMAGES = 5,
    MOST_CHANNELS = 4,
    MOST_SIDE = 14,
    MOST = MOST_SIDE * MOST_SIDE
};

typedef struct test_image {
    imiad_spro_kind kind;
    int width, height, channels;
    float map[MOST];
    uint8_t mask[MOST_CHANNELS][MOST];
    double saturation[MOST_CHANNELS];
    int relative[MOST_CHANNELS];
} test_image;

typedef struct test_case {
    int images;
    test_image image[MOST_IMAGES];
} test_case;

static void draw_image(test_image *image, random_stream *r, int levels)
{
    image->kind = (imiad_spro_kind)(IMIAD_SPRO_GOOD + random_below(r, 3));
    image->width = 1 + (int)random_below(r, MOST_SIDE);
    image->height = 1 + (int)random_below(r, MOST_SIDE);
    image->channels = image->kind == IMIAD_SPRO_GOOD ? 0 : 1 + (int)random_below(r, MOST_CHANNELS);
    for (int i = 0; i < image->width * image->height; ++i)
        image->map[i] =
            levels ? (float)random_below(r, (uint64_t)levels) / 8 - 0.25f : (float)random_normal(r);
    memset(image->mask, 0, sizeof image->mask);
    for (int c = 0; c < image->channels; ++c) {
        int x = (int)random_below(r, (uint64_t)image->width);
        int y = (int)random_below(r, (uint64_t)image->height);
        bool empty = random_below(r, 12) == 0, dust = random_below(r, 3) == 0;
        for (int i = 0; i < image->width * image->height && !empty; ++i) {
            int dx = i % image->width - x, dy = i / image->width - y;
            bool inside = dust ? random_below(r, 4) == 0 : dx * dx + dy * dy < 10;
            image->mask[c][i] = inside ? (uint8_t)(1 + random_below(r, 255)) : 0;
        }
        image->relative[c] = (int)random_below(r, 2);
        image->saturation[c] =
            image->relative[c] ? (double)random_below(r, 17) / 16 : (double)random_below(r, 20);
    }
}

static void draw_case(test_case *c, uint64_t seed)
{
    random_stream r = random_open(seed, "test/spro");
    int levels = (int[]){0, 2, 4, 16}[random_below(&r, 4)];
    c->images = 1 + (int)random_below(&r, MOST_IMAGES);
    for (int i = 0; i < c->images; ++i)
        draw_image(&c->image[i], &r, levels);
}

static imiad_spro *add_case(const test_case *c, const size_t *order)
{
    imiad_spro *spro = new_spro();
    for (int k = 0; k < c->images; ++k) {
        const test_image *image = &c->image[order[k]];
        imiad_image masks[MOST_CHANNELS];
        imiad_spro_channel channels[MOST_CHANNELS];
        for (int j = 0; j < image->channels; ++j) {
            masks[j] = mask_of(image->mask[j], image->width, image->height);
            channels[j] = (imiad_spro_channel){&masks[j], image->saturation[j], image->relative[j]};
        }
        ck_ok(imiad_spro_add_map(spro, image->map, image->width, image->height, image->kind,
                                 channels, (size_t)image->channels));
    }
    return spro;
}

/* What the definition says of the channels and of the normal pixels of one kind. */
typedef struct plain {
    int channels, normals, pixels;
    double score[MOST_IMAGES * MOST];
    bool normal[MOST_IMAGES * MOST];
    bool inside[MOST_IMAGES * MOST_CHANNELS][MOST_IMAGES * MOST];
    double saturation[MOST_IMAGES * MOST_CHANNELS];
} plain;

static void plain_add(plain *p, const test_image *image)
{
    int count = image->width * image->height;
    for (int i = 0; i < count; ++i) {
        bool defective = false;
        for (int c = 0; c < image->channels; ++c)
            defective = defective || image->mask[c][i];
        p->score[p->pixels + i] = image->map[i];
        p->normal[p->pixels + i] = !defective;
        p->normals += !defective;
    }
    for (int c = 0; c < image->channels; ++c) {
        int area = 0;
        for (int i = 0; i < count; ++i) {
            p->inside[p->channels][p->pixels + i] = image->mask[c][i] != 0;
            area += image->mask[c][i] != 0;
        }
        if (area == 0)
            continue;
        double wanted = image->relative[c] ? floor(image->saturation[c] * area)
                                           : fmin(image->saturation[c], area);
        p->saturation[p->channels++] = fmax(wanted, 1);
    }
    p->pixels += count;
}

/* sPRO and FPR of the prediction s >= threshold, which is s > the next lower score. */
static void plain_point(double *fpr, double *spro, const plain *p, double threshold)
{
    int wrong = 0;
    for (int i = 0; i < p->pixels; ++i)
        wrong += p->normal[i] && p->score[i] >= threshold;
    *fpr = (double)wrong / p->normals;
    *spro = 0;
    for (int c = 0; c < p->channels; ++c) {
        int found = 0;
        for (int i = 0; i < p->pixels; ++i)
            found += p->inside[c][i] && p->score[i] >= threshold;
        *spro += fmin(found / p->saturation[c], 1) / p->channels;
    }
}

static double plain_area(const plain *p, double limit)
{
    double thresholds[MOST_IMAGES * MOST], area = 0, x0 = 0, y0 = 0;
    memcpy(thresholds, p->score, (size_t)p->pixels * sizeof *thresholds);
    qsort(thresholds, (size_t)p->pixels, sizeof *thresholds, twin_descending);
    for (int k = 0; k < p->pixels && x0 < limit; ++k) {
        double x, y;
        if (k > 0 && thresholds[k] == thresholds[k - 1])
            continue;
        plain_point(&x, &y, p, thresholds[k]);
        if (x > limit) {
            y = y0 + (y - y0) * (limit - x0) / (x - x0);
            x = limit;
        }
        area += (x - x0) * (y + y0) / 2;
        x0 = x;
        y0 = y;
    }
    return area / limit;
}

START_TEST(random_cases_agree_with_the_definition)
{
    static const size_t order[MOST_IMAGES] = {0, 1, 2, 3, 4};
    test_case *c = malloc(sizeof *c);
    plain *p = malloc(sizeof *p);
    int defined = 0;
    for (int seed = _i; seed < CASES; seed += 4) {
        draw_case(c, (uint64_t)seed);
        imiad_spro *spro = add_case(c, order);
        for (imiad_spro_kind kind = IMIAD_SPRO_STRUCTURAL; kind <= IMIAD_SPRO_LOGICAL; ++kind) {
            memset(p, 0, sizeof *p);
            for (int i = 0; i < c->images; ++i)
                if (c->image[i].kind == IMIAD_SPRO_GOOD || c->image[i].kind == kind)
                    plain_add(p, &c->image[i]);
            double area = NAN, limit = limits[seed % LIMITS];
            imiad_status status = imiad_spro_area(&area, spro, kind, limit);
            if (p->channels == 0 || p->normals == 0) {
                ck_assert_int_eq(status, IMIAD_UNDEFINED);
                continue;
            }
            ck_assert_int_eq(status, IMIAD_OK);
            ck_assert_msg(fabs(area - plain_area(p, limit)) <= 1e-12,
                          "case %d: %.17g, the definition says %.17g", seed, area,
                          plain_area(p, limit));
            ++defined;
        }
        imiad_spro_free(spro);
    }
    ck_assert_int_gt(defined, CASES / 8);
    free(p);
    free(c);
}
END_TEST

START_TEST(the_order_of_images_changes_no_bit)
{
    test_case *c = malloc(sizeof *c);
    for (int seed = 0; seed < CASES; ++seed) {
        size_t order[MOST_IMAGES] = {0, 1, 2, 3, 4};
        draw_case(c, (uint64_t)seed);
        imiad_spro *plainly = add_case(c, order);
        random_stream r = random_open((uint64_t)seed, "test/order");
        random_shuffle(&r, order, (size_t)c->images);
        imiad_spro *shuffled = add_case(c, order);
        double a = -1, b = -1;
        ck_assert_int_eq(imiad_spro_area(&a, plainly, IMIAD_SPRO_MEAN, 0.3),
                         imiad_spro_area(&b, shuffled, IMIAD_SPRO_MEAN, 0.3));
        ck_assert_mem_eq(&a, &b, sizeof a);
        imiad_spro_free(plainly);
        imiad_spro_free(shuffled);
    }
    free(c);
}
END_TEST

/* ---- sPRO and AUPRO ---- */

enum { WIDE = 700, HIGH = 600, BLOCK = 50, BLOCKS = (WIDE / BLOCK) * (HIGH / BLOCK) / 4 };

/* Every second block of every second row of blocks is defective: separate regions. */
static int block_of(int x, int y)
{
    bool defective = x / BLOCK % 2 == 1 && y / BLOCK % 2 == 1;
    return defective ? y / BLOCK / 2 * (WIDE / BLOCK / 2) + x / BLOCK / 2 : -1;
}

START_TEST(a_saturation_of_the_whole_area_is_aupro_to_the_bit)
{
    float *map = malloc(WIDE * HIGH * sizeof *map);
    uint8_t *whole = calloc(WIDE * HIGH, 1), *parts = calloc(BLOCKS, WIDE * HIGH);
    imiad_image masks[BLOCKS];
    imiad_spro_channel channels[BLOCKS];
    for (int i = 0; i < BLOCKS; ++i) {
        masks[i] = mask_of(parts + (size_t)i * WIDE * HIGH, WIDE, HIGH);
        channels[i] = (imiad_spro_channel){&masks[i], 1, 1};
    }
    imiad_set_threads(3); /* the map is large enough to be shared out among them */
    imiad_spro *spro = new_spro();
    imiad_metrics *metrics = NULL;
    ck_ok(imiad_metrics_create(&metrics, NULL, 0));
    for (int k = 0; k < 4; ++k) {
        random_stream r = random_open((uint64_t)k, "test/spro/large");
        bool good = k % 2 == 0;
        for (int i = 0; i < WIDE * HIGH; ++i) {
            int block = good ? -1 : block_of(i % WIDE, i / WIDE);
            map[i] = (float)random_below(&r, 5000) / 4096 + (block >= 0);
            whole[i] = block >= 0;
            if (block >= 0)
                parts[(size_t)block * WIDE * HIGH + (size_t)i] = 255;
        }
        imiad_image mask = mask_of(whole, WIDE, HIGH);
        ck_ok(imiad_metrics_add_map(metrics, map, WIDE, HIGH, good ? NULL : &mask));
        ck_ok(imiad_spro_add_map(spro, map, WIDE, HIGH, good ? IMIAD_SPRO_GOOD : IMIAD_SPRO_LOGICAL,
                                 channels, good ? 0 : BLOCKS));
    }
    for (int j = 0; j < LIMITS; ++j) {
        double pro = NAN, area = -1;
        ck_ok(imiad_metrics_aupro(&pro, metrics, limits[j]));
        ck_ok(imiad_spro_area(&area, spro, IMIAD_SPRO_LOGICAL, limits[j]));
        ck_assert_double_eq(area, pro);
    }
    imiad_metrics_free(metrics);
    imiad_spro_free(spro);
    free(parts);
    free(whole);
    free(map);
}
END_TEST

START_TEST(a_larger_limit_of_a_perfect_map_stays_perfect_and_equal_scores_give_the_ramp)
{
    /* all scores equal: the curve is the straight line from (0, 0) to (1, 1), or, saturated, also:
     * the group is one step. Its area up to L is L/2. */
    float equal[15];
    for (int i = 0; i < 15; ++i)
        equal[i] = .5f;
    imiad_image mask = mask_of(c1, 5, 3);
    imiad_spro_channel channel = {&mask, 2, 0};
    imiad_spro *spro = new_spro();
    ck_ok(imiad_spro_add_map(spro, equal, 5, 3, IMIAD_SPRO_STRUCTURAL, &channel, 1));
    for (int j = 0; j < LIMITS; ++j) {
        double area = NAN;
        ck_ok(imiad_spro_area(&area, spro, IMIAD_SPRO_STRUCTURAL, limits[j]));
        ck_assert_double_eq_tol(area, limits[j] / 2, 1e-15);
    }
    imiad_spro_free(spro);
}
END_TEST

/* ---- AUROC by kind ---- */

typedef struct golden_auroc {
    const char *id;
    int count, labels[8];
    double scores[8], right, loco_order;
} golden_auroc;

/* Section 3.2: what the reference's order of ties makes of the image cases of section 1.5. */
static const golden_auroc aurocs[] = {
    {"I2", 4, {0, 0, 1, 1}, {.1, .4, .35, .8}, 0.75, 0.75},
    {"I3", 5, {0, 1, 0, 1, 1}, {.2, .5, .5, .5, .9}, 0.8333333333333333, 1},
    {"I4", 5, {0, 0, 0, 1, 1}, {.5, .5, .5, .5, .5}, 0.5, 2.0 / 3},
    {"I6", 8, {1, 0, 1, 1, 0, 0, 1, 0}, {.9, .8, .7, .6, .6, .4, .3, .1}, 0.65625, 0.6875},
    {"I8", 4, {0, 1, 0, 1}, {-3, -1, -2, -2}, 0.875, 1},
    {"I11", 6, {1, 0, 1, 0, 0, 0}, {1, 1, 1, .5, .5, .2}, 0.875, 1},
};

START_TEST(image_auroc_and_its_variant_with_the_order_of_ties_are_the_golden_ones)
{
    for (size_t i = 0; i < sizeof aurocs / sizeof *aurocs; ++i) {
        const golden_auroc *g = &aurocs[i];
        imiad_spro *spro = new_spro();
        for (int j = 0; j < g->count; ++j)
            ck_ok(imiad_spro_add_image(spro, g->labels[j] ? IMIAD_SPRO_STRUCTURAL : IMIAD_SPRO_GOOD,
                                       g->scores[j]));
        ck_ok(imiad_spro_add_image(spro, IMIAD_SPRO_LOGICAL, 2)); /* above all: AUROC 1 */
        double value = NAN;
        ck_ok(imiad_spro_image_auroc(&value, spro, IMIAD_SPRO_STRUCTURAL));
        ck_assert_double_eq_tol(value, g->right, 1e-12);
        ck_ok(imiad_spro_image_auroc_loco_order(&value, spro, IMIAD_SPRO_STRUCTURAL));
        ck_assert_double_eq_tol(value, g->loco_order, 1e-12);
        ck_ok(imiad_spro_image_auroc(&value, spro, IMIAD_SPRO_LOGICAL));
        ck_assert_double_eq(value, 1);
        ck_ok(imiad_spro_image_auroc(&value, spro, IMIAD_SPRO_MEAN));
        ck_assert_double_eq_tol(value, 0.5 * (g->right + 1), 1e-12);
        double logical = NAN;
        ck_ok(imiad_spro_image_auroc_loco_order(&logical, spro, IMIAD_SPRO_LOGICAL));
        ck_ok(imiad_spro_image_auroc_loco_order(&value, spro, IMIAD_SPRO_MEAN));
        ck_assert_double_eq_tol(value, 0.5 * (g->loco_order + logical), 1e-12);
        imiad_spro_free(spro);
    }
}
END_TEST

/* ---- what does not exist, and bad input ---- */

START_TEST(what_does_not_exist_is_undefined)
{
    imiad_spro *spro = new_spro();
    double value = 7;
    ck_fails(imiad_spro_area(&value, spro, IMIAD_SPRO_LOGICAL, .3), IMIAD_UNDEFINED, "logical");
    ck_fails(imiad_spro_image_auroc(&value, spro, IMIAD_SPRO_LOGICAL), IMIAD_UNDEFINED, "logical");
    ck_ok(imiad_spro_add_image(spro, IMIAD_SPRO_STRUCTURAL, 1));
    ck_fails(imiad_spro_image_auroc(&value, spro, IMIAD_SPRO_STRUCTURAL), IMIAD_UNDEFINED, "good");
    ck_fails(imiad_spro_image_auroc_loco_order(&value, spro, IMIAD_SPRO_STRUCTURAL),
             IMIAD_UNDEFINED, "good");
    ck_ok(imiad_spro_add_image(spro, IMIAD_SPRO_GOOD, 0));
    ck_ok(imiad_spro_image_auroc(&value, spro, IMIAD_SPRO_STRUCTURAL));
    value = 7;
    ck_fails(imiad_spro_image_auroc(&value, spro, IMIAD_SPRO_MEAN), IMIAD_UNDEFINED, "logical");

    uint8_t all[15];
    memset(all, 1, sizeof all);
    imiad_image full = mask_of(all, 5, 3);
    imiad_spro_channel channel = {&full, 3, 0};
    ck_ok(imiad_spro_add_map(spro, golden_map, 5, 3, IMIAD_SPRO_STRUCTURAL, &channel, 1));
    ck_fails(imiad_spro_area(&value, spro, IMIAD_SPRO_STRUCTURAL, .3), IMIAD_UNDEFINED, "good");
    ck_ok(imiad_spro_add_map(spro, golden_map, 5, 3, IMIAD_SPRO_GOOD, NULL, 0));
    ck_ok(imiad_spro_area(&value, spro, IMIAD_SPRO_STRUCTURAL, .3));
    value = 7;
    ck_fails(imiad_spro_area(&value, spro, IMIAD_SPRO_MEAN, .3), IMIAD_UNDEFINED, "logical");
    ck_assert_double_eq(value, 7);
    imiad_spro_free(spro);
}
END_TEST

START_TEST(empty_channels_and_raised_saturations_are_counted)
{
    static const uint8_t none[15] = {0}, one[15] = {0, 0, 0, 0, 0, 0, 0, 1};
    imiad_image masks[3] = {mask_of(none, 5, 3), mask_of(one, 5, 3), mask_of(c1, 5, 3)};
    imiad_spro_channel channels[3] = {{&masks[0], 2, 0}, {&masks[1], .5, 1}, {&masks[2], 0, 0}};
    imiad_spro *spro = new_spro();
    ck_ok(imiad_spro_add_map(spro, golden_map, 5, 3, IMIAD_SPRO_LOGICAL, channels, 3));
    ck_ok(imiad_spro_add_map(spro, golden_map, 5, 3, IMIAD_SPRO_STRUCTURAL, channels, 1));
    ck_ok(imiad_spro_add_map(spro, golden_map, 5, 3, IMIAD_SPRO_GOOD, NULL, 0));
    ck_ok(imiad_spro_add_image(spro, IMIAD_SPRO_GOOD, 1));
    imiad_spro_counts counts = IMIAD_SPRO_COUNTS_INIT;
    ck_ok(imiad_spro_count(&counts, spro));
    static const int64_t channels_seen[3] = {0, 0, 2}, empty[3] = {0, 1, 1}, raised[3] = {0, 0, 2},
                         normals[3] = {15, 15, 10};
    for (int i = 0; i < 3; ++i) {
        ck_assert_int_eq(counts.maps[i], 1);
        ck_assert_int_eq(counts.images[i], i == 0);
        ck_assert_int_eq(counts.channels[i], channels_seen[i]);
        ck_assert_int_eq(counts.empty_channels[i], empty[i]);
        ck_assert_int_eq(counts.raised_saturations[i], raised[i]);
        ck_assert_int_eq(counts.normal_pixels[i], normals[i]);
    }
    double area = NAN; /* one pixel of each saturates it: .6 and .9, of which only .6 is preceded */
    ck_ok(imiad_spro_area(&area, spro, IMIAD_SPRO_LOGICAL, 1));
    ck_assert_double_gt(area, 0.5);
    ck_fails(imiad_spro_area(&area, spro, IMIAD_SPRO_STRUCTURAL, 1), IMIAD_UNDEFINED, "structural");
    imiad_spro_free(spro);
}
END_TEST

START_TEST(bad_input_is_named_and_adds_nothing)
{
    imiad_spro *spro = NULL;
    const imiad_option wrong = {"infinities", "maybe"}, allow = {"infinities", "allow"};
    ck_fails(imiad_spro_create(&spro, &wrong, 1), IMIAD_OUT_OF_RANGE, "infinities");
    spro = new_spro();
    imiad_image mask = mask_of(c1, 5, 3), small = mask_of(c1, 4, 3);
    imiad_spro_channel channel = {&mask, 2, 0};
    float map[15];
    memcpy(map, golden_map, sizeof map);
#define ADD(kind, channels, count) imiad_spro_add_map(spro, map, 5, 3, kind, channels, count)
    ck_fails(ADD(IMIAD_SPRO_MEAN, &channel, 1), IMIAD_OUT_OF_RANGE, "kind is 4");
    ck_fails(ADD(IMIAD_SPRO_GOOD, &channel, 1), IMIAD_INVALID_ARGUMENT, "good image with 1");
    ck_fails(ADD(IMIAD_SPRO_LOGICAL, NULL, 0), IMIAD_INVALID_ARGUMENT, "without channels");
    imiad_spro_channel bad[2] = {channel, {&small, 2, 0}};
    ck_fails(ADD(IMIAD_SPRO_LOGICAL, bad, 2), IMIAD_MISMATCH, "channel 1: the mask is 4 x 3");
    bad[1] = (imiad_spro_channel){&mask, 1.5, 1};
    ck_fails(ADD(IMIAD_SPRO_LOGICAL, bad, 2), IMIAD_OUT_OF_RANGE, "1.5");
    bad[1] = (imiad_spro_channel){&mask, NAN, 0};
    ck_fails(ADD(IMIAD_SPRO_LOGICAL, bad, 2), IMIAD_OUT_OF_RANGE, "channel 1");
    bad[1] = (imiad_spro_channel){NULL, 1, 0};
    ck_fails(ADD(IMIAD_SPRO_LOGICAL, bad, 2), IMIAD_INVALID_ARGUMENT, "NULL");
    map[7] = NAN;
    ck_fails(ADD(IMIAD_SPRO_LOGICAL, &channel, 1), IMIAD_NOT_FINITE, "row 1, column 2 is NaN");
    map[7] = INFINITY;
    ck_fails(ADD(IMIAD_SPRO_LOGICAL, &channel, 1), IMIAD_NOT_FINITE, "infinite");
    ck_fails(imiad_spro_add_image(spro, IMIAD_SPRO_GOOD, NAN), IMIAD_NOT_FINITE, "NaN");
    ck_fails(imiad_spro_add_image(spro, (imiad_spro_kind)0, 1), IMIAD_OUT_OF_RANGE, "kind is 0");
    imiad_spro_counts counts = IMIAD_SPRO_COUNTS_INIT;
    ck_ok(imiad_spro_count(&counts, spro));
    ck_assert_int_eq(counts.maps[0] + counts.maps[1] + counts.maps[2], 0);
    double area;
    ck_fails(imiad_spro_area(&area, spro, IMIAD_SPRO_GOOD, .3), IMIAD_OUT_OF_RANGE, "kind is 1");
    ck_fails(imiad_spro_area(&area, spro, IMIAD_SPRO_MEAN, 0), IMIAD_OUT_OF_RANGE, "limit");
    ck_fails(imiad_spro_area(&area, spro, IMIAD_SPRO_MEAN, NAN), IMIAD_OUT_OF_RANGE, "limit");
    ck_fails(imiad_spro_area(NULL, spro, IMIAD_SPRO_MEAN, 1), IMIAD_INVALID_ARGUMENT, "NULL");
    imiad_spro_free(spro);
    ck_ok(imiad_spro_create(&spro, &allow, 1));
    ck_ok(ADD(IMIAD_SPRO_LOGICAL, &channel, 1));
    ck_ok(imiad_spro_add_image(spro, IMIAD_SPRO_GOOD, INFINITY));
    imiad_spro_free(spro);
    imiad_spro_free(NULL);
}
END_TEST

SUITE("spro", TEST(golden_values_hold_for_either_kind),
      TEST(the_mean_is_half_the_sum_of_both_kinds),
      LOOP_TEST(random_cases_agree_with_the_definition, 4),
      TEST(the_order_of_images_changes_no_bit),
      TEST(a_saturation_of_the_whole_area_is_aupro_to_the_bit),
      TEST(a_larger_limit_of_a_perfect_map_stays_perfect_and_equal_scores_give_the_ramp),
      TEST(image_auroc_and_its_variant_with_the_order_of_ties_are_the_golden_ones),
      TEST(what_does_not_exist_is_undefined),
      TEST(empty_channels_and_raised_saturations_are_counted),
      TEST(bad_input_is_named_and_adds_nothing))
