/* Grey images of 16 bits through detectors: from memory, from files, from datasets, to plug-ins. */
#include <math.h>
#include <unistd.h>

#include "brightness.h"
#include "image/pixels.h"

enum { SIDE = 16, PIXELS = SIDE * SIDE };

/* Zeros but for one pixel. */
static imiad_image with_spot(uint16_t pixels[PIXELS], uint16_t value)
{
    memset(pixels, 0, PIXELS * sizeof *pixels);
    pixels[5 * SIDE + 7] = value;
    return (imiad_image){sizeof(imiad_image), IMIAD_PIXEL_GRAY16, SIDE, SIDE, 2 * SIDE,
                         (uint8_t *)pixels};
}

static double score_of(imiad_detector *d, const imiad_image *image)
{
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&result, d, image));
    return (double)result.score;
}

START_TEST(low_bytes_count_in_scores)
{
    uint16_t high[PIXELS], low[PIXELS];
    imiad_detector *d = brightness("16", "16");
    imiad_image a = with_spot(high, 0x12FF), b = with_spot(low, 0x1200);
    const imiad_image *both[] = {&a, &b};
    float found[2];
    ck_ok(imiad_detector_score_batch(found, NULL, 0, d, both, 2, NULL));
    ck_assert_double_eq_tol((double)found[0], 0x12FF / 257.0, 1e-3);
    ck_assert_double_eq_tol((double)found[1], 0x1200 / 257.0, 1e-3);
    ck_assert_double_eq(score_of(d, &a), (double)found[0]);
    /* what people are shown of the two is the same */
    imiad_image *shown_a, *shown_b;
    ck_ok(imiad_detector_preprocess(&shown_a, d, &a));
    ck_ok(imiad_detector_preprocess(&shown_b, d, &b));
    ck_assert_int_eq(shown_a->format, IMIAD_PIXEL_RGB8);
    ck_assert_mem_eq(shown_a->pixels, shown_b->pixels, shown_a->stride * SIDE);
    ck_assert_int_eq(image_row(shown_a, 5)[3 * 7], 0x12);
    imiad_image_free(shown_a);
    imiad_image_free(shown_b);
    imiad_detector_free(d);
}
END_TEST

/* ---- datasets ---- */

static double seen_scores[2];
static size_t seen;

static imiad_status keep_score(void *user, const imiad_scored *scored)
{
    ck_assert_int_eq(scored->image->format, IMIAD_PIXEL_RGB8);
    ck_assert_uint_lt(seen, 2);
    seen_scores[seen++] = (double)scored->score;
    return IMIAD_OK;
}

/* Two test images of 12 bits that agree in their high bytes, in a folder and in memory. */
static imiad_dataset *open_twins(char folder[32])
{
    static const char *const names[] = {"train/0.png", "test/0.png", "test/1.png"};
    static const uint16_t values[] = {0, 0x400, 0x4FF};
    uint16_t pixels[3][PIXELS];
    imiad_image images[3];
    imiad_memory_sample samples[3];
    const imiad_option options[] = {{"train", "train/*"},
                                    {"test_good", "test/*"},
                                    {"test_defective", ""},
                                    {"range", "0..4095"}};
    imiad_dataset *d = NULL;
    for (int i = 0; i < 3; ++i) {
        char path[64];
        images[i] = with_spot(pixels[i], values[i]);
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        samples[i] = (imiad_memory_sample){.struct_size = sizeof *samples,
                                           .image = &images[i],
                                           .subset = i ? IMIAD_SUBSET_TEST : IMIAD_SUBSET_TRAIN};
        if (*folder)
            ck_ok(imiad_image_write_png(&images[i], path));
    }
    if (*folder)
        ck_ok(imiad_dataset_open(&d, "folder", folder, options, 4));
    else
        ck_ok(imiad_dataset_from_images(&d, "twins", samples, 3, NULL, 0));
    return d;
}

START_TEST(a_dataset_is_scored_at_full_depth)
{
    char folder[32] = "";
    double white = _i ? 4095 : 65535; /* the folder's range */
    if (_i) {
        strcpy(folder, "/tmp/imiad-deep-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
    }
    imiad_dataset *d = open_twins(folder);
    imiad_split *split;
    imiad_detector *detector = brightness("16", "16");
    imiad_evaluation_options options = IMIAD_EVALUATION_OPTIONS_INIT;
    imiad_metrics *metrics;
    seen = 0;
    ck_ok(imiad_split_create(&split, d, imiad_dataset_category(d, 0), "unsupervised", NULL, 0));
    ck_ok(imiad_metrics_create(&metrics, NULL, 0));
    ck_ok(imiad_detector_fit(detector, split, NULL, NULL));
    ck_ok(imiad_evaluate(metrics, detector, split, &options, keep_score, NULL, NULL, NULL));
    ck_assert_uint_eq(seen, 2);
    for (size_t i = 0; i < 2; ++i) {
        imiad_image *deep, *bytes;
        ck_assert_double_eq_tol(seen_scores[i], 255 * (i ? 0x4FF : 0x400) / white, 1e-2);
        ck_ok(imiad_dataset_read_deep_image(&deep, d, imiad_split_test(split, i)));
        ck_assert_double_eq(score_of(detector, deep), seen_scores[i]);
        ck_ok(imiad_dataset_read_image(&bytes, d, imiad_split_test(split, i)));
        ck_assert_int_eq(bytes->format, IMIAD_PIXEL_GRAY8);
        imiad_image_free(deep);
        imiad_image_free(bytes);
    }
    ck_assert_double_ne(seen_scores[0], seen_scores[1]);
    imiad_metrics_free(metrics);
    imiad_detector_free(detector);
    imiad_split_free(split);
    imiad_dataset_free(d);
    if (_i) {
        char command[64];
        snprintf(command, sizeof command, "rm -r %s", folder);
        ck_assert_int_eq(system(command), 0);
    }
}
END_TEST

/* ---- plug-ins ---- */

static imiad_status make(void *user, void **state, const imiad_detector *detector)
{
    *state = user;
    return IMIAD_OK;
}

static void unmake(void *state)
{
}

static imiad_status learn(void *state, imiad_batches *normals)
{
    const imiad_batch *shown;
    do {
        imiad_status status = imiad_batches_next(&shown, normals);
        if (status != IMIAD_OK)
            return status;
        for (size_t i = 0; shown && i < shown->count; ++i)
            ck_assert_int_eq(shown->images[i]->format, IMIAD_PIXEL_RGB8);
    } while (shown);
    return IMIAD_OK;
}

/* The largest red value. */
static imiad_status judge(const void *state, const imiad_batch *shown, imiad_batch_scores *found)
{
    float *out = imiad_batch_scores_images(found);
    for (size_t i = 0; i < shown->count; ++i) {
        const imiad_image *image = shown->images[i];
        ck_assert_int_eq(image->format, IMIAD_PIXEL_RGB8);
        out[i] = 0;
        for (int32_t y = 0; y < image->height; ++y)
            for (int32_t x = 0; x < image->width; ++x)
                out[i] = fmaxf(out[i], image_row(image, y)[3 * x]);
    }
    return IMIAD_OK;
}

static imiad_status put(const void *state, imiad_blocks *blocks)
{
    return IMIAD_OK;
}

static imiad_status get(void *state, const imiad_blocks *blocks)
{
    return IMIAD_OK;
}

START_TEST(plug_ins_are_shown_bytes)
{
    static int user;
    static bool registered;
    const imiad_detector_functions functions = {.struct_size = sizeof functions,
                                                .name = "reddest",
                                                .title = "The largest red value",
                                                .user = &user,
                                                .create = make,
                                                .fit = learn,
                                                .score = judge,
                                                .save = put,
                                                .load = get,
                                                .destroy = unmake};
    const imiad_option options[] = {{"resize", "16"}, {"crop", "16"}};
    uint16_t pixels[PIXELS];
    uint8_t bytes[PIXELS] = {0};
    imiad_image deep = with_spot(pixels, 0x1234);
    imiad_image gray = {sizeof gray, IMIAD_PIXEL_GRAY8, SIDE, SIDE, SIDE, bytes};
    const imiad_image *both[] = {&deep, &gray};
    float found[2];
    imiad_detector *d = NULL;
    bytes[3] = 9;
    if (!registered)
        ck_ok(imiad_detector_register(&functions));
    registered = true;
    ck_ok(imiad_detector_create(&d, "reddest", NULL, options, 2));
    ck_ok(imiad_detector_fit_images(d, both, 2, NULL, NULL));
    ck_ok(imiad_detector_score_batch(found, NULL, 0, d, both, 2, NULL));
    ck_assert_double_eq((double)found[0], 0x12);
    ck_assert_double_eq((double)found[1], 9);
    imiad_detector_free(d);
}
END_TEST

SUITE("deep-images", TEST(low_bytes_count_in_scores),
      LOOP_TEST(a_dataset_is_scored_at_full_depth, 2), TEST(plug_ins_are_shown_bytes))
