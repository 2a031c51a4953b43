/* MH-PatchCore beside the authors' code (tests/golden/make_mh_patchcore.py), and what its
 * definition says. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "detectors/anomaly_map.h"
#include "detectors/detector.h"
#include "detectors/parts/bank_weight.h"
#include "detectors/parts/map_scores.h"
#include "bank/merge_reduce.h"
#include "detectors/parts/whitening.h"
#include "formula.h"
#include "product_line.h"
#include "seen.h"

#define GOLDEN "tests/golden/mh_patchcore.csv"

enum { BATCH = 60, CHANNELS = 24, RANK = 9, BATCHES = 15, IMAGES = 2, HEIGHT = 5, WIDTH = 6 };
enum { PLACES = HEIGHT * WIDTH, ACROSS = 48, DOWN = 40, MOST_VALUES = 128 };

/* ---- the numbers that the script computes too ---- */

/* count x CHANNELS */
static void make_rows(float *out, int count, uint32_t seed)
{
    for (int i = 0; i < count; ++i)
        for (int c = 0; c < CHANNELS; ++c) {
            double sum = 0;
            for (int k = 0; k < RANK; ++k)
                sum += formula_noise((uint32_t)(i * RANK + k), seed) / (1 + k) *
                       formula_noise((uint32_t)(k * CHANNELS + c), 2);
            sum += 0.02 * formula_noise((uint32_t)(i * CHANNELS + c), seed + 1);
            out[i * CHANNELS + c] = (float)(sum + 3 * formula_noise((uint32_t)c, 4));
        }
}

static int golden(double *out, const char *begin)
{
    char line[4096];
    FILE *file = fopen(GOLDEN, "r");
    ck_assert_msg(file, "no %s: run from the checkout", GOLDEN);
    int count = 0;
    while (count == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, begin, strlen(begin)) == 0)
            for (char *at = line + strlen(begin); *at == ',' && count < MOST_VALUES;)
                out[count++] = strtod(at + 1, &at);
    fclose(file);
    ck_assert_msg(count > 0, "%s has no line %s", GOLDEN, begin);
    return count;
}

static float training[BATCHES][BATCH * CHANNELS];

static whitening learned(void)
{
    moments m = {0};
    whitening w;
    scope s = scope_begin();
    for (int i = 0; i < BATCHES; ++i) {
        make_rows(training[i], BATCH, 100 + 10 * (uint32_t)i);
        moments_add(&m, t_from(training[i], 2, (int64_t[]){BATCH, CHANNELS}, F32, CPU));
    }
    ck_ok(scope_end(&s));
    ck_ok(whitening_find(&w, &m, 0.99, 0.07));
    moments_free(&m);
    return w;
}

/* In the current scope. */
static const float *queries(const whitening *w)
{
    float rows[IMAGES * PLACES * CHANNELS];
    make_rows(rows, IMAGES * PLACES, 5000);
    const float *found = t_data(whitening_apply(w, rows, IMAGES * PLACES));
    ck_ok(t_status());
    return found;
}

static double square_between(const float *a, const float *b, int64_t columns)
{
    double square = 0;
    for (int64_t c = 0; c < columns; ++c)
        square += ((double)a[c] - (double)b[c]) * ((double)a[c] - (double)b[c]);
    return square;
}

/* One pass here, three passes and a Cholesky factor there. */
START_TEST(whitened_distances_are_those_of_the_authors_code)
{
    double wanted[MOST_VALUES];
    whitening w = learned();
    scope s = scope_begin();
    int64_t kept = whitening_columns(&w);
    golden(wanted, "kept");
    ck_assert_int_eq(kept, (int64_t)wanted[0]);
    const float *rows = queries(&w);
    ck_assert_int_eq(golden(wanted, "square"), IMAGES * PLACES - 1);
    for (int i = 1; i < IMAGES * PLACES; ++i)
        ck_assert_double_lt(fabs(square_between(rows, rows + i * kept, kept) / wanted[i - 1] - 1),
                            1e-5);
    ck_ok(scope_end(&s));
    whitening_free(&w);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* The sources are the numbers of the rows. */
static row_block bank_of(const whitening *w, int64_t block_rows, int64_t rows, int batches)
{
    int64_t kept = whitening_columns(w);
    merge_reduce m = {kept, CHANNELS, block_rows, {{0}}};
    row_block out;
    for (int i = 0; i < batches; ++i) {
        scope s = scope_begin();
        const float *measured = t_data(whitening_apply(w, training[i], BATCH));
        row_block block = {BATCH, malloc(sizeof(float) * (size_t)(BATCH * kept)),
                           malloc(sizeof training[i]), malloc(sizeof(int64_t) * BATCH)};
        memcpy(block.measured, measured, sizeof(float) * (size_t)(BATCH * kept));
        memcpy(block.given, training[i], sizeof training[i]);
        for (int j = 0; j < BATCH; ++j)
            block.sources[j] = i * BATCH + j;
        ck_ok(merge_reduce_add(&m, &block));
        ck_ok(scope_end(&s));
    }
    ck_ok(merge_reduce_finish(&out, &m, rows));
    for (int level = 0; level < MOST_LEVELS; ++level)
        ck_assert_int_eq(m.levels[level].count, 0);
    return out;
}

static const struct {
    int64_t block_rows, rows;
    int batches;
} banks[] = {{10, 25, 1}, {10, 25, 2},  {10, 25, 3}, {10, 25, 7},
             {10, 25, 8}, {10, 25, 15}, {25, 25, 15}};

/* As the binary digits of the number of blocks have it. */
START_TEST(merged_and_reduced_banks_are_those_of_the_authors_code)
{
    double wanted[MOST_VALUES];
    char begin[64];
    whitening w = learned();
    row_block found = bank_of(&w, banks[_i].block_rows, banks[_i].rows, banks[_i].batches);
    snprintf(begin, sizeof begin, "bank,%d,%d,%d", (int)banks[_i].block_rows, (int)banks[_i].rows,
             banks[_i].batches);
    ck_assert_int_eq(golden(wanted, begin), found.count);
    for (int64_t i = 0; i < found.count; ++i) {
        int64_t row = found.sources[i];
        ck_assert_int_eq(row, (int64_t)wanted[i]);
        ck_assert_mem_eq(found.given + i * CHANNELS, training[row / BATCH] + row % BATCH * CHANNELS,
                         CHANNELS * sizeof(float));
    }
    row_block_free(&found);
    whitening_free(&w);
}
END_TEST

START_TEST(scores_and_maps_are_those_of_the_authors_code)
{
    double wanted[MOST_VALUES], of_images[MOST_VALUES];
    char begin[32];
    float squares[IMAGES * PLACES];
    int64_t nearest[IMAGES * PLACES];
    imiad_detector nowhere = {.device = CPU};
    patch_memory m = {.neighbours = 1, .window = -1};
    whitening w = learned();
    row_block rows = bank_of(&w, 25, 25, BATCHES);
    scope s = scope_begin();
    int64_t kept = whitening_columns(&w);
    const float *measured = queries(&w);
    ck_ok(imiad_bank_create(&m.bank, kept, 0));
    ck_ok(imiad_bank_add(m.bank, rows.measured, rows.count));
    ck_ok(patch_memory_search(squares, nearest, &m, &nowhere, measured, IMAGES, PLACES));
    ck_assert_int_eq(golden(wanted, "patch"), IMAGES * PLACES);
    for (int i = 0; i < IMAGES * PLACES; ++i)
        ck_assert_double_lt(fabs((double)squares[i] / wanted[i] - 1), 1e-5);
    tensor *maps = t_from(squares, 3, (int64_t[]){IMAGES, HEIGHT, WIDTH}, F32, CPU);
    const float *values = t_data(map_smoothed(map_upsample(maps, DOWN, ACROSS), 4));
    for (int i = 0; i < IMAGES; ++i) {
        double share;
        int worst = i * PLACES;
        for (int p = i * PLACES; p < (i + 1) * PLACES; ++p)
            worst = squares[p] > squares[worst] ? p : worst;
        ck_ok(bank_weight(&share, &m, measured + worst * kept, 0, nearest[worst], squares[worst], 9,
                          true));
        snprintf(begin, sizeof begin, "score,%d", i);
        golden(of_images, begin);
        ck_assert_double_lt(fabs(share * (double)squares[worst] / of_images[0] - 1), 1e-5);
        ck_assert(share >= 8 / 9.0 - 1e-6 && share <= 1);
        snprintf(begin, sizeof begin, "map,%d", i);
        int count = golden(wanted, begin);
        for (int j = 1; j < count; ++j)
            ck_assert_double_lt(
                fabs((double)values[i * ACROSS * DOWN + (j - 1) * 97] / wanted[j] - 1), 1e-5);
    }
    imiad_bank_free(m.bank);
    row_block_free(&rows);
    whitening_free(&w);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- what the definition says ---- */

/* The variance of a component becomes e / ((1 - a) e + a mean). */
START_TEST(whitened_rows_have_the_shrunken_variances)
{
    enum { ALL = BATCHES * BATCH };
    moments given = {0}, measured = {0};
    whitening w = learned();
    scope s = scope_begin();
    tensor *directions;
    int64_t kept = whitening_columns(&w);
    for (int i = 0; i < BATCHES; ++i) {
        moments_add(&given, t_from(training[i], 2, (int64_t[]){BATCH, CHANNELS}, F32, CPU));
        moments_add(&measured, whitening_apply(&w, training[i], BATCH));
    }
    const double *e = t_data(moments_components(&given, &directions)),
                 *scatter = t_data(measured.scatter);
    double mean = 0;
    for (int64_t i = 0; i < kept; ++i)
        mean += e[i] / (double)kept;
    for (int64_t i = 0; i < kept; ++i)
        for (int64_t j = 0; j <= i; ++j) {
            double found = scatter[i * kept + j] / (ALL - 1);
            double wanted = i == j ? e[i] / (0.93 * e[i] + 0.07 * mean) : 0;
            ck_assert_double_lt(fabs(found - wanted), 1e-6);
        }
    ck_ok(scope_end(&s));
    moments_free(&given);
    moments_free(&measured);
    whitening_free(&w);
}
END_TEST

START_TEST(rows_that_never_vary_are_no_trouble)
{
    const float rows[] = {1, 2, 3, 1, 2, 3, 1, 2, 3};
    moments m = {0};
    whitening w;
    scope s = scope_begin();
    moments_add(&m, t_from(rows, 2, (int64_t[]){3, 3}, F32, CPU));
    ck_ok(whitening_find(&w, &m, 0.99, 0.07));
    ck_assert_int_eq(whitening_columns(&w), 1);
    const float *found = t_data(whitening_apply(&w, rows, 3));
    for (int i = 0; i < 3; ++i)
        ck_assert_float_eq(found[i], 0);
    ck_ok(scope_end(&s));
    moments_free(&m);
    whitening_free(&w);
}
END_TEST

/* Farthest from the mean first, the first of several. */
START_TEST(rows_are_picked_farthest_first)
{
    const float rows[] = {0, 0, 10, 10, 4, 0, 6, 9};
    int64_t picks[8];
    ck_ok(farthest_first(picks, rows, 8, 1, 4));
    ck_assert(picks[0] == 2 && picks[1] == 0 && picks[2] == 4 && picks[3] == 6);
    ck_ok(farthest_first(picks, rows, 8, 1, 9));
    for (int i = 0; i < 8; ++i)
        ck_assert_int_eq(picks[i], i);
}
END_TEST

/* ---- the detector ---- */

static imiad_detector *fitted(const product_line *l, const imiad_option *options, size_t count,
                              const imiad_split *second)
{
    imiad_detector *d = product_line_detector(l, "mh_patchcore", options, count);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    if (second)
        ck_ok(imiad_detector_fit_more(d, second, NULL, NULL));
    return d;
}

static int64_t rows_of(const imiad_detector *d)
{
    const imiad_bank *bank;
    ck_ok(imiad_detector_bank(&bank, d));
    return imiad_bank_rows(bank);
}

/* Five blocks of one image each: 8 + 8 rows are left of them where levels are small. */
START_TEST(the_bank_holds_what_it_is_told_to_whatever_the_blocks)
{
    static const imiad_option sizes[] = {
        {"bank_rows", "40"}, {"block_images", "1"}, {"block_rows", "8"}};
    const imiad_option whole[] = {sizes[0], {"block_images", "0"}};
    product_line l = product_line_open("64", "5", "2", "2", "unsupervised");
    imiad_detector *small = fitted(&l, sizes, 3, NULL), *usual = fitted(&l, sizes, 2, NULL),
                   *all = fitted(&l, whole, 2, NULL);
    ck_assert_int_eq(rows_of(small), 16);
    ck_assert_int_eq(rows_of(usual), 40);
    ck_assert_int_eq(rows_of(all), 40);
    imiad_detector_free(small);
    imiad_detector_free(usual);
    imiad_detector_free(all);
    product_line_close(&l);
}
END_TEST

/* Rows of both tasks stand in one bank, whitened by the variances of both. */
START_TEST(another_task_goes_on_and_does_so_from_a_file)
{
    static const imiad_option size = {"bank_rows", "40"};
    product_line l = product_line_open("64", "4", "2", "2", "unsupervised");
    imiad_split *other;
    imiad_detector *restored = NULL;
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_split_create(&other, l.dataset, "fabric", "unsupervised", NULL, 0));
    imiad_detector *one = fitted(&l, &size, 1, NULL), *both = fitted(&l, &size, 1, other);
    ck_assert_int_eq(rows_of(both), 80);
    ck_ok(imiad_detector_save(one, path));
    ck_ok(imiad_detector_load(&restored, path, NULL));
    ck_ok(imiad_detector_fit_more(restored, other, NULL, NULL));
    seen *a = seen_of(both, l.split), *b = seen_of(restored, l.split), *c = seen_of(one, l.split);
    ck_assert_mem_eq(a, b, sizeof *a);
    ck_assert_mem_ne(a, c, sizeof *a);
    free(a), free(b), free(c);
    imiad_detector_free(one);
    imiad_detector_free(both);
    imiad_detector_free(restored);
    imiad_split_free(other);
    unlink(path);
    product_line_close(&l);
}
END_TEST

START_TEST(the_authors_blocks_keep_256_rows)
{
    product_line l = product_line_open("64", "5", "2", "2", "unsupervised");
    const imiad_option official = {"preset", "official"};
    imiad_detector *d = fitted(&l, &official, 1, NULL), *usual = fitted(&l, NULL, 0, NULL);
    ck_assert_int_eq(rows_of(d), 256);
    ck_assert_int_eq(rows_of(usual), 5 * 64);
    imiad_detector_free(d);
    imiad_detector_free(usual);
    product_line_close(&l);
}
END_TEST

START_TEST(options_change_what_they_say)
{
    static const imiad_option changes[] = {{"explained_variance", "0.5"}, {"shrinkage", "1"},
                                           {"bank_rows", "20"},           {"block_images", "1"},
                                           {"block_rows", "12"},          {"neighbours", "3"},
                                           {"image_score", "max"}};
    product_line l = product_line_open("64", "5", "2", "2", "unsupervised");
    const imiad_option size = {"bank_rows", "100"};
    imiad_detector *without = fitted(&l, &size, 1, NULL);
    seen *a = seen_of(without, l.split);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; ++i) {
        const imiad_option options[] = {size, changes[i]};
        imiad_detector *d = fitted(&l, options, 2, NULL);
        seen *b = seen_of(d, l.split);
        bool score_alone = strcmp(changes[i].name, "image_score") == 0;
        if (score_alone) /* the weight is one but for its last digits */
            for (size_t j = 0; j < a->count; ++j)
                ck_assert_float_le(a->scores[j], b->scores[j]);
        else
            ck_assert_msg(memcmp(a, b, sizeof *a) != 0, "%s=%s changes nothing", changes[i].name,
                          changes[i].value);
        free(b);
        imiad_detector_free(d);
    }
    free(a);
    imiad_detector_free(without);
    product_line_close(&l);
}
END_TEST

SUITE("mh-patchcore", TEST(whitened_distances_are_those_of_the_authors_code),
      LOOP_TEST(merged_and_reduced_banks_are_those_of_the_authors_code, 7),
      TEST(scores_and_maps_are_those_of_the_authors_code),
      TEST(whitened_rows_have_the_shrunken_variances), TEST(rows_that_never_vary_are_no_trouble),
      TEST(rows_are_picked_farthest_first),
      TEST(the_bank_holds_what_it_is_told_to_whatever_the_blocks),
      TEST(another_task_goes_on_and_does_so_from_a_file), TEST(the_authors_blocks_keep_256_rows),
      TEST(options_change_what_they_say))
