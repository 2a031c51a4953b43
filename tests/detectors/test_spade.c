/* SPADE against stored outputs of the widespread implementation and against its own definition. */
#include "bridge/tensor.h"
#include "detectors/anomaly_map.h"
#include "image/preprocess.h"
#include "transistor.h"

enum { SIZE = 64, IMAGES = 4, GRID = 8, CHANNELS = 128, POOLED = 256 };

typedef struct line {
    imiad_backbone *backbone;
    imiad_dataset *dataset;
    imiad_image *images[IMAGES];
} line;

static line open_line(void)
{
    const imiad_option options[] = {
        {"size", "64"}, {"train", "4"}, {"test_good", "1"}, {"test_defective", "1"}};
    line l;
    ck_ok(imiad_dataset_open(&l.dataset, "synthetic", NULL, options, 4));
    ck_ok(imiad_backbone_create(&l.backbone, "resnet18", NULL));
    for (size_t i = 0; i < IMAGES; ++i)
        ck_ok(imiad_dataset_read_image(&l.images[i], l.dataset, i));
    return l;
}

static void close_line(line *l)
{
    for (size_t i = 0; i < IMAGES; ++i)
        imiad_image_free(l->images[i]);
    imiad_backbone_free(l->backbone);
    imiad_dataset_free(l->dataset);
}

/* Fits to the first `count` images, scores the one at `scored`. */
static imiad_result run(imiad_detector *d, const line *l, size_t count, size_t scored)
{
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)l->images, count, NULL, NULL));
    ck_ok(imiad_detector_score(&result, d, l->images[scored]));
    return result;
}

static void features(float *out, size_t capacity, const line *l, const imiad_detector *d, size_t i,
                     const char *layer)
{
    static float values[3 * SIZE * SIZE];
    preprocessing p = {0};
    memcpy(p.mean, imagenet_mean, sizeof p.mean);
    memcpy(p.std, imagenet_std, sizeof p.std);
    imiad_image *input;
    ck_ok(imiad_detector_preprocess(&input, d, l->images[i]));
    preprocess_normalize(values, input, &p);
    imiad_image_free(input);
    ck_ok(imiad_backbone_features(out, capacity, l->backbone, layer, values, 1, SIZE, SIZE));
}

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Two of three training images, three nearest features, in loops over the definition. */
START_TEST(scores_and_maps_equal_the_definition)
{
    static float deep[IMAGES][POOLED * 16], wide[IMAGES][CHANNELS * GRID * GRID];
    static float map[GRID * GRID];
    double distance[3], sorted[3], list[2 * GRID * GRID];
    line l = open_line();
    const imiad_option options[] = {{"resize", "64"},         {"crop", "64"},
                                    {"layers", "layer2"},     {"neighbours", "2"},
                                    {"smoothing", "0"},       {"pixel_neighbours", "3"},
                                    {"image_layer", "layer3"}};
    imiad_detector *d = NULL;
    ck_ok(imiad_detector_create(&d, "spade", l.backbone, options, 7));
    for (size_t i = 0; i < IMAGES; ++i) {
        features(deep[i], POOLED * 16, &l, d, i, "layer3");
        features(wide[i], CHANNELS * GRID * GRID, &l, d, i, "layer2");
    }
    for (int i = 0; i < 3; ++i) {
        double square = 0;
        for (int c = 0; c < POOLED; ++c) {
            double difference = 0;
            for (int j = 0; j < 16; ++j)
                difference += ((double)deep[i][c * 16 + j] - (double)deep[3][c * 16 + j]) / 16;
            square += difference * difference;
        }
        sorted[i] = distance[i] = sqrt(square);
    }
    qsort(sorted, 3, sizeof *sorted, rising);
    for (int p = 0; p < GRID * GRID; ++p) {
        int held = 0;
        for (int i = 0; i < 3; ++i)
            for (int q = 0; distance[i] < sorted[2] && q < GRID * GRID; ++q) {
                double square = 0;
                for (int c = 0; c < CHANNELS; ++c) {
                    double difference = (double)wide[i][c * GRID * GRID + q] -
                                        (double)wide[3][c * GRID * GRID + p] + 1e-6;
                    square += difference * difference;
                }
                list[held++] = sqrt(square);
            }
        ck_assert_int_eq(held, 2 * GRID * GRID);
        qsort(list, (size_t)held, sizeof *list, rising);
        map[p] = (float)((list[0] + list[1] + list[2]) / 3);
    }
    imiad_result result = run(d, &l, 3, 3);
    double score = (sorted[0] + sorted[1]) / 2;
    ck_assert_double_lt(fabs((double)result.score - score), 1e-5 * score);
    scope s = scope_begin();
    const float *wanted =
        t_data(map_upsample(t_view_of(map, 3, (int64_t[]){1, GRID, GRID}, F32), SIZE, SIZE));
    double largest = 0;
    for (int i = 0; i < SIZE * SIZE; ++i)
        largest = fmax(largest, (double)wanted[i]);
    for (int i = 0; i < SIZE * SIZE; ++i)
        ck_assert_double_lt(fabs((double)result.map[i] - (double)wanted[i]), 1e-5 * largest);
    ck_ok(scope_end(&s));
    imiad_detector_free(d);
    close_line(&l);
}
END_TEST

/* Every component of the difference is the shift of 1e-6 alone: sqrt(channels) of it, averaged over
 * the levels of 64, 128 and 256 channels. */
START_TEST(a_training_image_is_as_far_from_itself_as_the_shift)
{
    line l = open_line();
    const imiad_option options[] = {{"resize", "64"}, {"crop", "64"}, {"neighbours", "1"}};
    imiad_detector *d = NULL;
    ck_ok(imiad_detector_create(&d, "spade", l.backbone, options, 3));
    imiad_result result = run(d, &l, 1, 0);
    double wanted = 1e-6 * (8 + sqrt(128) + 16) / 3;
    ck_assert_float_eq(result.score, 0);
    for (int i = 0; i < SIZE * SIZE; ++i)
        ck_assert_double_lt(fabs((double)result.map[i] - wanted), 1e-3 * wanted);
    imiad_detector_free(d);
    close_line(&l);
}
END_TEST

START_TEST(too_many_neighbours_are_all_there_are)
{
    line l = open_line();
    const imiad_option options[] = {{"resize", "64"}, {"crop", "64"}, {"neighbours", "3"}};
    imiad_detector *some = NULL, *more = NULL;
    ck_ok(imiad_detector_create(&some, "spade", l.backbone, options, 3));
    ck_ok(imiad_detector_create(&more, "spade", l.backbone, options, 2)); /* 5 by default */
    imiad_result a = run(some, &l, 3, 3), b = run(more, &l, 3, 3);
    ck_assert_float_eq(a.score, b.score);
    ck_assert_mem_eq(a.map, b.map, sizeof(float) * SIZE * SIZE);
    imiad_detector_free(some);
    imiad_detector_free(more);
    close_line(&l);
}
END_TEST

START_TEST(spades_options_are_checked)
{
    static const struct {
        imiad_option option;
        imiad_status status;
        const char *text;
    } cases[] = {
        {{"neighbours", "0"}, IMIAD_OUT_OF_RANGE, "neighbours"},
        {{"pixel_neighbours", "101"}, IMIAD_OUT_OF_RANGE, "pixel_neighbours"},
        {{"image_layer", "layer9"}, IMIAD_UNKNOWN_OPTION, "option image_layer"},
        {{"layers", "layer9"}, IMIAD_UNKNOWN_OPTION, "layer9"},
    };
    line l = open_line();
    imiad_detector *d = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        ck_fails(imiad_detector_create(&d, "spade", l.backbone, &cases[i].option, 1),
                 cases[i].status, cases[i].text);
    const imiad_option budget = {"memory_budget", "1"};
    ck_ok(imiad_detector_create(&d, "spade", l.backbone, &budget, 1));
    ck_fails(imiad_detector_fit_images(d, (const imiad_image *const *)l.images, 1, NULL, NULL),
             IMIAD_OVER_BUDGET, "1000000");
    imiad_detector_free(d);
    close_line(&l);
}
END_TEST

/* The weights at hand end at layer3: so do the stored outputs (golden.md, section 3). */
START_TEST(spade_equals_the_reference)
{
    const imiad_option options[] = {{"image_layer", "layer3"}};
    detector_agrees_with_golden("spade", "r18_l3pool_k5_full", "golden/maps_spade.npz", options, 1);
}
END_TEST

SUITE("spade", TEST(scores_and_maps_equal_the_definition),
      TEST(a_training_image_is_as_far_from_itself_as_the_shift),
      TEST(too_many_neighbours_are_all_there_are), TEST(spades_options_are_checked),
      TEST(spade_equals_the_reference))
