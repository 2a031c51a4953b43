/* Random cases against the plain definitions, and what must not change a result. */
#include <stdbool.h>

#include "base/random.h"
#include "check_suite.h"
#include "imiad/metrics.h"
#include "twin.h"

enum { CASES = 1000, MOST_IMAGES = 4, MOST_SIDE = 16, MOST = MOST_SIDE * MOST_SIDE };

typedef struct test_case {
    int images, width[MOST_IMAGES], height[MOST_IMAGES];
    bool masked[MOST_IMAGES];
    float map[MOST_IMAGES][MOST];
    uint8_t mask[MOST_IMAGES][MOST];
} test_case;

/* Kinds of scores: ties of every degree, signs, zeros of both signs, denormals, the whole range. */
static float draw_score(random_stream *r, int kind)
{
    static const float awkward[] = {0.0f,      -0.0f, 1e-45f, -1e-45f, 1e-40f,
                                    -1e-40f,   1.0f,  -1.0f,  3.4e38f, -3.4e38f,
                                    1.17e-38f, 2.0f,  0.5f,   65504.f, 1.0000001f};
    uint32_t bits;
    float score;
    switch (kind) {
    case 0:
        return (float)random_below(r, 4);
    case 1:
        return (float)random_below(r, 40) / 16 - 1;
    case 2:
        return (float)random_normal(r);
    case 3:
        return awkward[random_below(r, sizeof awkward / sizeof *awkward)];
    case 4:
        do {
            bits = random_u32(r);
            memcpy(&score, &bits, sizeof score);
        } while (!isfinite(score));
        return score;
    case 5:
        return 1 + (float)random_below(r, 64) * 0x1p-23f; /* neighbours of one page */
    case 6:
        return (float)random_below(r, 16) * 1e-45f - 1e-44f;
    default:
        return 7;
    }
}

static void draw_mask(random_stream *r, uint8_t *mask, int width, int height)
{
    memset(mask, 0, (size_t)(width * height));
    if (random_below(r, 2)) { /* blocks */
        for (uint64_t blocks = random_below(r, 5); blocks > 0; --blocks) {
            int x = (int)random_below(r, (uint64_t)width),
                y = (int)random_below(r, (uint64_t)height);
            for (int i = y; i < height && i < y + 5; ++i)
                for (int j = x; j < width && j < x + 4; ++j)
                    mask[i * width + j] = (uint8_t)(1 + random_below(r, 255));
        }
    } else { /* dust */
        uint64_t density = 1 + random_below(r, 8);
        for (int i = 0; i < width * height; ++i)
            mask[i] = random_below(r, 8) < density ? 255 : 0;
    }
}

static void draw_case(test_case *c, uint64_t seed)
{
    random_stream r = random_open(seed, "test/metrics");
    int kind = (int)random_below(&r, 8);
    c->images = 1 + (int)random_below(&r, MOST_IMAGES);
    for (int i = 0; i < c->images; ++i) {
        c->width[i] = 1 + (int)random_below(&r, MOST_SIDE);
        c->height[i] = 1 + (int)random_below(&r, MOST_SIDE);
        c->masked[i] = random_below(&r, 4) > 0;
        draw_mask(&r, c->mask[i], c->width[i], c->height[i]);
        for (int j = 0; j < c->width[i] * c->height[i]; ++j)
            c->map[i][j] = draw_score(&r, kind) + (kind == 2 && c->mask[i][j] ? 1 : 0);
    }
}

typedef struct results {
    imiad_status status[6];
    double value[6], threshold;
} results;
enum { AUROC, AP, F1, PRO, PRO_ALL, SAMPLED };
static const double limits[] = {0.05, 0.3, 0.3, 0.7, 1.0};

static void add_maps(imiad_metrics *metrics, const test_case *c, const size_t *order)
{
    for (int k = 0; k < c->images; ++k) {
        size_t i = order[k];
        imiad_image mask = IMIAD_IMAGE_INIT;
        mask.format = IMIAD_PIXEL_GRAY8;
        mask.width = c->width[i];
        mask.height = c->height[i];
        mask.stride = (size_t)c->width[i];
        mask.pixels = (uint8_t *)c->mask[i];
        ck_ok(imiad_metrics_add_map(metrics, c->map[i], c->width[i], c->height[i],
                                    c->masked[i] ? &mask : NULL));
    }
}

static results measure(const test_case *c, const size_t *order, int connectivity, double limit)
{
    imiad_option option = {"connectivity", connectivity == 8 ? "8" : "4"};
    imiad_metrics *m = NULL;
    ck_ok(imiad_metrics_create(&m, &option, 1));
    add_maps(m, c, order);
    results r = {{0}, {0}, 0};
    r.status[AUROC] = imiad_metrics_pixel_auroc(&r.value[AUROC], m);
    r.status[AP] = imiad_metrics_pixel_ap(&r.value[AP], m);
    r.status[F1] = imiad_metrics_pixel_f1max(&r.value[F1], &r.threshold, m);
    r.status[PRO] = imiad_metrics_aupro(&r.value[PRO], m, limit);
    r.status[PRO_ALL] = imiad_metrics_aupro(&r.value[PRO_ALL], m, 1);
    r.status[SAMPLED] = imiad_metrics_aupro_sampled(&r.value[SAMPLED], m, limit, 100);
    imiad_metrics_free(m);
    return r;
}

#define ck_near(a, b, seed)                                                                        \
    ck_assert_msg(fabs((a) - (b)) <= 1e-12, "case %d: %s is %.17g, the definition says %.17g",     \
                  seed, #a, a, b)

static void compare(const results *r, const test_case *c, int connectivity, double limit, int seed)
{
    twin *t = calloc(1, sizeof *t);
    double ap = 0, f1 = 0, threshold = 0;
    for (int i = 0; i < c->images; ++i)
        twin_add(t, c->map[i], c->masked[i] ? c->mask[i] : NULL, c->width[i], c->height[i],
                 connectivity);
    bool some = t->positives > 0, both = some && t->positives < t->count;
    for (int i = 0; i <= SAMPLED; ++i)
        ck_assert_int_eq(r->status[i],
                         (i == AP || i == F1 ? some : both) ? IMIAD_OK : IMIAD_UNDEFINED);
    if (some) {
        twin_ap_f1(&ap, &f1, &threshold, t);
        ck_near(r->value[AP], ap, seed);
        ck_near(r->value[F1], f1, seed);
        ck_assert_double_eq(r->threshold, threshold); /* the lowest that attains it */
    }
    if (both) {
        ck_near(r->value[AUROC], twin_auroc(t), seed);
        ck_near(r->value[PRO], twin_aupro(t, limit), seed);
        ck_near(r->value[PRO_ALL], twin_aupro(t, 1), seed);
        ck_near(r->value[SAMPLED], twin_sampled(t, limit, 100), seed);
    }
    free(t);
}

START_TEST(every_metric_equals_its_definition)
{
    test_case *c = malloc(sizeof *c);
    for (int seed = _i; seed < CASES; seed += 4) {
        static const size_t order[MOST_IMAGES] = {0, 1, 2, 3};
        double limit = limits[seed % 5];
        draw_case(c, (uint64_t)seed);
        for (int connectivity = 4; connectivity <= 8; connectivity += 4) {
            results r = measure(c, order, connectivity, limit);
            compare(&r, c, connectivity, limit, seed);
        }
    }
    free(c);
}
END_TEST

/* Image scores of up to 60 images: one in three cases drawn from few values, one from floats, one
 * from doubles a bit or two apart, which floats would tie. */
static void draw_images(twin *t, imiad_metrics *m, int seed)
{
    random_stream r = random_open((uint64_t)seed, "test/images");
    int kind = (int)random_below(&r, 8);
    uint64_t share = 1 + random_below(&r, 9);
    t->count = 1 + (int)random_below(&r, 60);
    for (int i = 0; i < t->count; ++i) {
        int label = random_below(&r, 10) < share;
        t->score[i] = seed % 3 == 0   ? (double)random_below(&r, 5) / 4
                      : seed % 3 == 1 ? (double)draw_score(&r, kind)
                                      : 0.1 + (double)random_below(&r, 3 + 20 * share) * 0x1p-56;
        t->region[i] = label - 1;
        t->positives += label;
        ck_ok(imiad_metrics_add_image(m, label, t->score[i]));
    }
}

START_TEST(every_image_metric_equals_its_definition)
{
    twin *t = malloc(sizeof *t);
    for (int seed = 0; seed < CASES; ++seed) {
        imiad_metrics *m = NULL;
        double auroc, ap, f1, threshold, plain_ap, plain_f1, plain_threshold = 0;
        memset(t, 0, sizeof *t);
        ck_ok(imiad_metrics_create(&m, NULL, 0));
        draw_images(t, m, seed);
        bool some = t->positives > 0, both = some && t->positives < t->count;
        ck_assert_int_eq(imiad_metrics_image_auroc(&auroc, m), both ? IMIAD_OK : IMIAD_UNDEFINED);
        ck_assert_int_eq(imiad_metrics_image_ap(&ap, m), some ? IMIAD_OK : IMIAD_UNDEFINED);
        ck_assert_int_eq(imiad_metrics_image_f1max(&f1, &threshold, m),
                         some ? IMIAD_OK : IMIAD_UNDEFINED);
        if (both)
            ck_near(auroc, twin_auroc(t), seed);
        if (some) {
            twin_ap_f1(&plain_ap, &plain_f1, &plain_threshold, t);
            ck_near(ap, plain_ap, seed);
            ck_near(f1, plain_f1, seed);
            ck_assert_double_eq(threshold, plain_threshold);
        }
        imiad_metrics_free(m);
    }
    free(t);
}
END_TEST

START_TEST(neither_the_order_of_images_nor_threads_change_a_bit)
{
    test_case *c = malloc(sizeof *c);
    for (int seed = 0; seed < CASES; ++seed) {
        size_t order[MOST_IMAGES] = {0, 1, 2, 3};
        draw_case(c, (uint64_t)seed);
        imiad_set_threads(1);
        results plain = measure(c, order, 8, .3);
        random_stream r = random_open((uint64_t)seed, "test/order");
        random_shuffle(&r, order, (size_t)c->images);
        imiad_set_threads(2 + seed % 3);
        results shuffled = measure(c, order, 8, .3);
        ck_assert_mem_eq(&plain, &shuffled, sizeof plain);
    }
    free(c);
}
END_TEST

/* Maps large enough to be shared out among threads, with runs across the borders of the bands. */
enum { WIDE = 701, HIGH = 613, LARGE = 3 };

static void measure_large(double out[4], int threads, bool backwards)
{
    float *map = malloc(WIDE * HIGH * sizeof *map);
    uint8_t *pixels = malloc(WIDE * HIGH);
    imiad_metrics *m = NULL;
    imiad_set_threads(threads);
    ck_ok(imiad_metrics_create(&m, NULL, 0));
    for (int k = 0; k < LARGE; ++k) {
        random_stream r = random_open(backwards ? LARGE - 1 - k : k, "test/large");
        for (int i = 0; i < WIDE * HIGH; ++i) {
            uint32_t bits = random_u32(&r);
            int x = i % WIDE, y = i / WIDE;
            pixels[i] = (x / 40 + y / 37) % 5 == 0 || bits >> 24 == 0;
            map[i] = (float)(bits % 50000) / 4096 + pixels[i];
        }
        imiad_image mask = {sizeof mask, IMIAD_PIXEL_GRAY8, WIDE, HIGH, WIDE, pixels};
        ck_ok(imiad_metrics_add_map(m, map, WIDE, HIGH, &mask));
    }
    imiad_metrics_counts counts = IMIAD_METRICS_COUNTS_INIT;
    ck_ok(imiad_metrics_count(&counts, m));
    ck_assert_int_eq(counts.normal_pixels + counts.defective_pixels, LARGE * WIDE * HIGH);
    ck_ok(imiad_metrics_pixel_auroc(&out[0], m));
    ck_ok(imiad_metrics_pixel_ap(&out[1], m));
    ck_ok(imiad_metrics_aupro(&out[2], m, 0.3));
    ck_ok(imiad_metrics_aupro_sampled(&out[3], m, 0.3, 100));
    imiad_metrics_free(m);
    free(pixels);
    free(map);
}

START_TEST(large_maps_give_the_same_bits_on_any_number_of_threads)
{
    double one[4], many[4];
    measure_large(one, 1, false);
    for (int threads = 2; threads <= 12; threads += 5) {
        measure_large(many, threads, threads % 2 == 0);
        ck_assert_mem_eq(one, many, sizeof one);
    }
}
END_TEST

SUITE("metrics-properties", LOOP_TEST(every_metric_equals_its_definition, 4),
      TEST(every_image_metric_equals_its_definition),
      TEST(neither_the_order_of_images_nor_threads_change_a_bit),
      TEST(large_maps_give_the_same_bits_on_any_number_of_threads))
