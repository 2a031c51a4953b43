/* PatchCore against the official implementation's outputs on real images and weights
 * (../shared/golden; how they were made is in its golden.md), and against its own definition. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "check_suite.h"
#include "detectors/anomaly_map.h"
#include "detectors/parts/patch_embedding.h"
#include "imiad/imiad.h"
#include "npz.h"

#define WEIGHTS "data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors"

/* ---- patch embedding ---- */

/* The official code, step by step: unfold, resize tap by tap, average, stack, average. */
static tensor *unfolded_embedding(tensor *const *features, int levels, int patch,
                                  int64_t level_dimension, int64_t dimension)
{
    int64_t n = t_size(features[0], 0), h = t_size(features[0], 2), w = t_size(features[0], 3);
    tensor *pooled[PATCH_LEVELS];
    for (int i = 0; i < levels; ++i) {
        int64_t c = t_size(features[i], 1), hi = t_size(features[i], 2),
                wi = t_size(features[i], 3);
        tensor *taps = t_unfold(features[i], patch, 1, patch / 2, 1); /* n x c k k x hi wi */
        taps = t_view(taps, 4, (int64_t[]){n, c * patch * patch, hi, wi});
        taps = t_interpolate(taps, h, w, BILINEAR, false);
        taps = t_permute(taps, 4, (int[]){0, 2, 3, 1});
        taps = t_view(taps, 3, (int64_t[]){n * h * w, 1, c * patch * patch});
        pooled[i] = t_adaptive_avg_pool1d(taps, (int)level_dimension);
    }
    tensor *stacked = t_stack(pooled, levels, 2); /* rows x 1 x levels x m */
    stacked = t_view(stacked, 3, (int64_t[]){n * h * w, 1, levels * level_dimension});
    return t_view(t_adaptive_avg_pool1d(stacked, (int)dimension), 2,
                  (int64_t[]){n * h * w, dimension});
}

START_TEST(patch_embedding_equals_the_unfolded_definition)
{
    static const struct {
        int levels, patch;
        int64_t channels[3], heights[3], widths[3], level_dimension, dimension;
    } cases[] = {
        {2, 3, {512, 1024}, {8, 4}, {8, 4}, 1024, 1024},    /* Wide-ResNet-50-2 */
        {2, 3, {128, 256}, {28, 14}, {28, 14}, 1024, 1024}, /* ResNet-18 at 224 */
        {3, 3, {7, 5, 3}, {9, 5, 3}, {6, 3, 2}, 16, 10},
        {1, 5, {6}, {4}, {5}, 200, 31},
        {2, 1, {3, 4}, {3, 5}, {2, 7}, 5, 3}, /* a second layer larger than the first */
    };
    scope s = scope_begin();
    tensor *features[3];
    for (int i = 0; i < cases[_i].levels; ++i)
        features[i] = t_normal(
            4, (int64_t[]){2, cases[_i].channels[i], cases[_i].heights[i], cases[_i].widths[i]}, 0,
            1, (uint64_t)i, "embedding", CPU);
    patch_embedding *e;
    ck_ok(patch_embedding_create(&e, cases[_i].levels, cases[_i].channels, cases[_i].patch,
                                 cases[_i].level_dimension, cases[_i].dimension));
    tensor *expected =
        t_contiguous(unfolded_embedding(features, cases[_i].levels, cases[_i].patch,
                                        cases[_i].level_dimension, cases[_i].dimension));
    size_t count = (size_t)t_count(expected);
    const float *wanted = t_data(expected);
    ck_assert_ptr_nonnull(wanted);
    float *rows = malloc(count * sizeof *rows), largest = 0;
    for (size_t i = 0; i < count; ++i)
        largest = fmaxf(largest, fabsf(wanted[i]));
    for (int convolve = 0; convolve < 2; ++convolve) {
        patch_embedding_apply(rows, e, features, convolve);
        for (size_t i = 0; i < count; ++i)
            ck_assert_double_lt(fabs((double)rows[i] - (double)wanted[i]), 1e-5 * (double)largest);
    }
    ck_ok(scope_end(&s));
    free(rows);
    patch_embedding_free(e);
}
END_TEST

static double neighbourhood_mean(const float *plane, int64_t height, int64_t width, int64_t y,
                                 int64_t x)
{
    double sum = 0;
    for (int64_t v = y - 1; v <= y + 1; ++v)
        for (int64_t u = x - 1; u <= x + 1; ++u)
            sum += v >= 0 && v < height && u >= 0 && u < width ? (double)plane[v * width + u] : 0;
    return sum / 9;
}

START_TEST(layers_may_keep_their_channels)
{
    enum { H = 5, W = 6, FIRST = 4, BOTH = 7 };
    static const int64_t channels[] = {FIRST, BOTH - FIRST};
    scope s = scope_begin();
    tensor *features[2];
    for (int i = 0; i < 2; ++i)
        features[i] =
            t_normal(4, (int64_t[]){1, channels[i], H, W}, 0, 1, (uint64_t)i, "kept", CPU);
    patch_embedding *e;
    ck_ok(patch_embedding_create(&e, 2, channels, 3, 0, 0));
    ck_assert_int_eq(patch_embedding_dimension(e), BOTH);
    float rows[H * W * BOTH];
    patch_embedding_apply(rows, e, features, false);
    for (int64_t y = 0; y < H; ++y)
        for (int64_t x = 0; x < W; ++x)
            for (int64_t c = 0; c < BOTH; ++c) {
                const float *plane = (const float *)t_data(features[c >= FIRST]) +
                                     (c >= FIRST ? c - FIRST : c) * H * W;
                ck_assert_double_eq_tol((double)rows[(y * W + x) * BOTH + c],
                                        neighbourhood_mean(plane, H, W, y, x), 1e-6);
            }
    patch_embedding_free(e);
    ck_ok(patch_embedding_create(&e, 2, channels, 3, 0, 3)); /* all of them averaged to three */
    ck_assert_int_eq(patch_embedding_dimension(e), 3);
    patch_embedding_free(e);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- smoothing ---- */

/* scipy.ndimage.gaussian_filter written out: every output directly from its 33 x 33 inputs. */
START_TEST(smoothing_equals_its_definition)
{
    enum { H = 21, W = 37 }; /* smaller than the kernel's 33: mirrors of mirrors */
    static float map[H * W], smooth[H * W];
    double kernel[33], total = 0;
    random_stream stream = random_open(1, "smoothing");
    for (int i = 0; i < H * W; ++i)
        smooth[i] = map[i] = (float)random_real(&stream);
    for (int k = -16; k <= 16; ++k)
        total += kernel[k + 16] = exp(-k * k / 32.0);
    ck_assert_double_lt(fabs(kernel[16] / total - 0.0997391), 1e-7); /* spec: centre weight */
    ck_ok(map_smooth(smooth, 1, H, W, 4));
    for (int y = 0; y < H; ++y)
        for (int x = 0; x < W; ++x) {
            double sum = 0;
            for (int j = -16; j <= 16; ++j)
                for (int i = -16; i <= 16; ++i) {
                    int v = y + j, u = x + i;
                    while (v < 0 || v >= H)
                        v = v < 0 ? -1 - v : 2 * H - 1 - v;
                    while (u < 0 || u >= W)
                        u = u < 0 ? -1 - u : 2 * W - 1 - u;
                    sum += kernel[j + 16] * kernel[i + 16] * (double)map[v * W + u];
                }
            ck_assert_double_lt(fabs((double)smooth[y * W + x] - sum / total / total), 1e-6);
        }
}
END_TEST

START_TEST(smoothing_leaves_a_constant_alone)
{
    static float maps[2 * 64 * 64];
    for (int i = 0; i < 2 * 64 * 64; ++i)
        maps[i] = i < 64 * 64 ? 3.0f : -7.0f;
    ck_ok(map_smooth(maps, 2, 64, 64, 4));
    for (int i = 0; i < 2 * 64 * 64; ++i)
        ck_assert_double_lt(fabs((double)maps[i] - (i < 64 * 64 ? 3 : -7)), 1e-6);
}
END_TEST

/* ---- the official implementation's outputs ---- */

typedef struct real {
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    imiad_split *split;
    imiad_detector *detector;
} real;

/* Its bank holds every patch. Learned once: both tests below look at it, the last one frees it. */
static real whole;

static void learn_whole(const char *root, const char *weights_path)
{
    if (whole.detector)
        return;
    const imiad_option all = {"coreset_ratio", "1"};
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    b.weights = weights_path;
    b.device = test_device();
    ck_ok(imiad_dataset_open(&whole.dataset, "mvtec_ad", root, NULL, 0));
    ck_ok(imiad_backbone_create(&whole.backbone, "resnet18", &b));
    ck_ok(imiad_split_create(&whole.split, whole.dataset, "transistor", "unsupervised", NULL, 0));
    ck_ok(imiad_detector_create(&whole.detector, "patchcore", whole.backbone, &all, 1));
    ck_ok(imiad_detector_fit(whole.detector, whole.split, NULL, NULL));
}

static void free_whole(void)
{
    imiad_detector_free(whole.detector);
    imiad_split_free(whole.split);
    imiad_backbone_free(whole.backbone);
    imiad_dataset_free(whole.dataset);
    whole = (real){0};
}

/* The sample of "test/bent_lead/000.png" in the transistor category. */
static size_t find_sample(const imiad_dataset *dataset, const char *path)
{
    imiad_sample sample = IMIAD_SAMPLE_INIT;
    for (size_t i = 0; i < imiad_dataset_sample_count(dataset); ++i) {
        ck_ok(imiad_dataset_sample(&sample, dataset, i));
        size_t length = strlen(sample.path), wanted = strlen(path);
        if (length >= wanted && strcmp(sample.path + length - wanted, path) == 0)
            return i;
    }
    ck_abort_msg("no sample %s", path);
}

/* The whole bank. Scores to 1e-4 relative (+ 2e-4, golden.md section 6), maps likewise against each
 * map's maximum; the stored maps are rounded to 16 bits, 7.6e-6. */
START_TEST(the_whole_bank_scores_as_the_official_code)
{
    const char *golden = SHARED("golden/maps_patchcore.npz");
    learn_whole(SHARED("data/mvtec_ad"), SHARED(WEIGHTS));
    const imiad_bank *bank;
    ck_ok(imiad_detector_bank(&bank, whole.detector));
    ck_assert_int_eq(imiad_bank_rows(bank), 166992);

    npy scores = npz_read(golden, "scores.npy"), maps = npz_read(golden, "maps.npy");
    size_t count, width;
    char *names = npz_read_text(golden, "images.npy", &count, &width);
    double worst_score = 0, worst_map = 0;
    for (size_t i = 0; i < count; ++i) {
        imiad_image *image;
        imiad_result result = IMIAD_RESULT_INIT;
        ck_ok(imiad_dataset_read_image(&image, whole.dataset,
                                       find_sample(whole.dataset, names + i * width)));
        ck_ok(imiad_detector_score(&result, whole.detector, image));
        imiad_image_free(image);
        double error = fabs((double)result.score - scores.values[i]);
        ck_assert_double_lt(error, 1e-4 * scores.values[i] + 2e-4);
        worst_score = fmax(worst_score, error / scores.values[i]);
        const double *wanted = maps.values + i * 224 * 224;
        double largest = 0;
        for (int j = 0; j < 224 * 224; ++j)
            largest = fmax(largest, wanted[j]);
        for (int j = 0; j < 224 * 224; ++j)
            worst_map = fmax(worst_map, fabs((double)result.map[j] - wanted[j]) / largest);
    }
    ck_assert_double_lt(worst_map, 1e-4);
    printf(
        "patchcore identity: %zu images, largest relative error of a score %.2g, of a map %.2g\n",
        count, worst_score, worst_map);
    free(names);
    free(scores.values);
    free(maps.values);
}
END_TEST

/* golden.md, section 6: "first 100 picks identical; then overlap of the 1 % set at least 99 %;
 * covering radius within 0.1 %". Here the 1 % set must be the same. */
START_TEST(stored_projection_and_starts_pick_the_same_coreset)
{
    const char *golden = SHARED("golden/coreset_transistor_seed0.npz");
    learn_whole(SHARED("data/mvtec_ad"), SHARED(WEIGHTS));
    const imiad_bank *bank;
    ck_ok(imiad_detector_bank(&bank, whole.detector));
    npy matrix = npz_read(golden, "projection_128x1024.npy");
    npy starts = npz_read(golden, "start_indices.npy"),
        wanted = npz_read(golden, "picks_10pct.npy");
    float *projection = malloc(matrix.count * sizeof *projection);
    for (size_t i = 0; i < matrix.count; ++i)
        projection[i] = (float)matrix.values[i];
    int64_t start_rows[10];
    for (int i = 0; i < 10; ++i)
        start_rows[i] = (int64_t)starts.values[i];
    imiad_coreset_options coreset = IMIAD_CORESET_OPTIONS_INIT;
    coreset.projection_matrix = projection;
    coreset.start_rows = start_rows;
    int64_t count = imiad_coreset_size(imiad_bank_rows(bank), 0.1);
    ck_assert_int_eq(count, (int64_t)wanted.count);
    int64_t *picks = malloc((size_t)count * sizeof *picks);
    ck_ok(imiad_bank_select(picks, bank, &coreset, NULL, NULL));

    enum { ONE_PERCENT = 1669 };
    char *in_golden = calloc(166992, 1);
    int64_t same_order = 0, same_one = 0, same_ten = 0;
    while (same_order < count && picks[same_order] == (int64_t)wanted.values[same_order])
        ++same_order;
    for (int64_t i = 0; i < count; ++i)
        in_golden[(int64_t)wanted.values[i]] = i < ONE_PERCENT ? 2 : 1;
    for (int64_t i = 0; i < count; ++i) {
        same_one += i < ONE_PERCENT && in_golden[picks[i]] == 2;
        same_ten += in_golden[picks[i]] > 0;
    }
    printf(
        "coreset: first %lld picks in the same order; %lld of 1669 in the 1 %% set, %lld of %lld "
        "in the 10 %% set\n",
        (long long)same_order, (long long)same_one, (long long)same_ten, (long long)count);
    ck_assert_int_ge(same_order, 100);
    ck_assert_int_eq(same_one, ONE_PERCENT);
    ck_assert_int_ge(same_ten, count * 99 / 100);
    free(in_golden);
    free(picks);
    free(projection);
    free(matrix.values);
    free(starts.values);
    free(wanted.values);
    free_whole();
}
END_TEST

SUITE("patchcore", LOOP_TEST(patch_embedding_equals_the_unfolded_definition, 5),
      TEST(layers_may_keep_their_channels), TEST(smoothing_equals_its_definition),
      TEST(smoothing_leaves_a_constant_alone), TEST(the_whole_bank_scores_as_the_official_code),
      TEST(stored_projection_and_starts_pick_the_same_coreset))
