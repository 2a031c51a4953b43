/* SoftPatch's outlier factors against their definitions and scikit-learn. */
#include <stdbool.h>

#include "base/random.h"
#include "detectors/parts/outlier_factors.h"
#include "softpatch_table.h"

enum { IMAGES = 40, POSITIONS = 16, COLUMNS = 128, COPIED = 10, ROWS = IMAGES * POSITIONS };

/* Uniform rows; with copies, the last images are those before them once more. */
static float *procedural_rows(bool copies)
{
    size_t image = POSITIONS * COLUMNS;
    float *values = malloc(IMAGES * image * sizeof *values);
    random_stream stream = random_open(0, "softpatch/procedural");
    for (size_t i = 0; i < IMAGES * image; ++i)
        values[i] = (float)random_real(&stream);
    if (copies)
        memcpy(values + (IMAGES - COPIED) * image, values + (IMAGES - 2 * COPIED) * image,
               COPIED * image * sizeof *values);
    return values;
}

static float *factors_of(const float *values, int64_t images, const char *method, int64_t k)
{
    patch_rows rows = {values, images, POSITIONS, COLUMNS};
    float *out = malloc((size_t)(images * POSITIONS) * sizeof *out);
    ck_ok(outlier_factors(out, &rows, method, k, NULL));
    return out;
}

START_TEST(local_outlier_factors_are_those_of_scikit_learn)
{
    table t = read_table();
    float *values = procedural_rows(true), *found = factors_of(values, IMAGES, "lof", 6);
    const char *line;
    int seen = 0;
    for (size_t at = 0; (line = next_line(&t, &at, "procedural", "lof")); ++seen) {
        long long row;
        double wanted;
        ck_assert_int_eq(sscanf(line, "%lld,%lf", &row, &wanted), 2);
        ck_near((double)found[row], wanted, 1e-5, row);
    }
    ck_assert_int_eq(seen, ROWS);
    free(found);
    free(values);
    free_table(&t);
}
END_TEST

START_TEST(the_gpu_variant_differs_by_its_rounding_only)
{
    float *values = procedural_rows(false);
    float *a = factors_of(values, IMAGES, "lof", 6), *b = factors_of(values, IMAGES, "lof_gpu", 6);
    for (int i = 0; i < ROWS; ++i)
        ck_near((double)b[i], (double)a[i], 1e-3, i);
    free(a);
    free(b);
    free(values);
}
END_TEST

/* k + 1 copies are at distance 0 from each other: their density is 1 / 1e-10, their factor 1, and
 * the factor of anything else among whose neighbours they are enormous, yet a number. */
START_TEST(more_copies_than_neighbours_stay_finite)
{
    float *values = procedural_rows(false);
    for (int i = 1; i < 4; ++i)
        memcpy(values + i * POSITIONS * COLUMNS, values, POSITIONS * COLUMNS * sizeof *values);
    float *found = factors_of(values, 5, "lof", 3);
    for (int p = 0; p < POSITIONS; ++p) {
        for (int i = 0; i < 4; ++i)
            ck_assert_float_eq(found[i * POSITIONS + p], 1);
        ck_assert(isfinite(found[4 * POSITIONS + p]) && found[4 * POSITIONS + p] > 1e9f);
    }
    free(found);
    free(values);
}
END_TEST

START_TEST(the_nearest_other_counts_from_one)
{
    float *values = procedural_rows(true), *found = factors_of(values, IMAGES, "nearest", 6);
    for (int i = 0; i < IMAGES; ++i)
        for (int p = 0; p < POSITIONS; ++p) {
            double least = INFINITY;
            for (int j = 0; j < IMAGES; ++j) {
                double square = 0;
                for (int c = 0; c < COLUMNS; ++c) {
                    double d = (double)values[(i * POSITIONS + p) * COLUMNS + c] -
                               (double)values[(j * POSITIONS + p) * COLUMNS + c];
                    square += d * d;
                }
                least = j == i ? least : fmin(least, sqrt(square));
            }
            ck_near((double)found[i * POSITIONS + p], 1 + least, 1e-5, i);
        }
    for (int i = 0; i < COPIED * POSITIONS; ++i)
        ck_assert_float_eq(found[(IMAGES - COPIED) * POSITIONS + i], 1);
    free(found);
    free(values);
}
END_TEST

/* In double, by Gaussian elimination of [S | x - m]. */
static double mahalanobis(const float *values, int images, int position, int image)
{
    static double s[COLUMNS][COLUMNS + 1];
    double mean[COLUMNS] = {0}, v[COLUMNS], square = 0;
    for (int i = 0; i < images; ++i)
        for (int c = 0; c < COLUMNS; ++c)
            mean[c] += (double)values[(i * POSITIONS + position) * COLUMNS + c] / images;
    memset(s, 0, sizeof s);
    for (int i = 0; i < images; ++i)
        for (int a = 0; a < COLUMNS; ++a)
            for (int b = 0; b < COLUMNS; ++b)
                s[a][b] += ((double)values[(i * POSITIONS + position) * COLUMNS + a] - mean[a]) *
                           ((double)values[(i * POSITIONS + position) * COLUMNS + b] - mean[b]) /
                           (images - 1);
    for (int c = 0; c < COLUMNS; ++c) {
        s[c][c] += 0.01;
        v[c] = s[c][COLUMNS] =
            (double)values[(image * POSITIONS + position) * COLUMNS + c] - mean[c];
    }
    for (int i = 0; i < COLUMNS; ++i) /* positive definite: no pivoting */
        for (int k = 0; k < COLUMNS; ++k)
            for (int j = COLUMNS; k != i && j >= i; --j)
                s[k][j] -= s[k][i] / s[i][i] * s[i][j];
    for (int i = 0; i < COLUMNS; ++i)
        square += v[i] * s[i][COLUMNS] / s[i][i];
    return sqrt(square);
}

START_TEST(gaussian_factors_equal_the_definition)
{
    float *values = procedural_rows(true), *found = factors_of(values, IMAGES, "gaussian", 6);
    for (int p = 0; p < POSITIONS; p += 5)
        for (int i = 0; i < IMAGES; i += 13)
            ck_near((double)found[i * POSITIONS + p], 1 + mahalanobis(values, IMAGES, p, i), 1e-4,
                    i);
    free(found);
    free(values);
}
END_TEST

START_TEST(one_or_two_images_have_no_outlier)
{
    static const char *const methods[] = {"lof", "lof_gpu", "nearest", "gaussian"};
    float *values = procedural_rows(false);
    for (int images = 1; images <= 3; ++images)
        for (int m = 0; m < 4; ++m) {
            float *found = factors_of(values, images, methods[m], 6); /* 6 is more than there are */
            for (int i = 0; i < images * POSITIONS; ++i) {
                ck_assert(isfinite(found[i]));
                if (images < 3)
                    ck_assert_float_eq(found[i], 1);
            }
            free(found);
        }
    free(values);
}
END_TEST

START_TEST(threads_change_no_factor)
{
    float *values = procedural_rows(true);
    for (int m = 0; m < 2; ++m) {
        const char *method = m == 0 ? "lof" : "gaussian";
        ck_ok(imiad_set_threads(1));
        float *one = factors_of(values, IMAGES, method, 6);
        ck_ok(imiad_set_threads(3));
        float *three = factors_of(values, IMAGES, method, 6);
        ck_assert_mem_eq(one, three, ROWS * sizeof *one);
        free(one);
        free(three);
    }
    free(values);
}
END_TEST

/* By hand: the place 0.85 (n - 1) between the sorted factors. */
START_TEST(the_threshold_is_the_interpolated_quantile)
{
    static const struct {
        float factors[12];
        int64_t count;
        double share, wanted;
    } cases[] = {
        {{3}, 1, 0.15, 3},
        {{2, 1}, 2, 0.15, 1.85},
        {{2, 1}, 2, 0, 2},
        {{5, 1, 3}, 3, 0.5, 3},
        {{10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 11, 0.15, 8.5},
        {{7, 7, 7, 7, 7}, 5, 0.15, 7},
        {{1, 1, 1, 9, 9}, 5, 0.5, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        double found;
        ck_ok(outlier_threshold(&found, cases[i].factors, cases[i].count, cases[i].share));
        ck_assert_msg(fabs(found - cases[i].wanted) < 1e-12, "case %zu: %.17g", i, found);
    }
}
END_TEST

SUITE("outlier-factors", TEST(local_outlier_factors_are_those_of_scikit_learn),
      TEST(the_gpu_variant_differs_by_its_rounding_only),
      TEST(more_copies_than_neighbours_stay_finite), TEST(the_nearest_other_counts_from_one),
      TEST(gaussian_factors_equal_the_definition), TEST(one_or_two_images_have_no_outlier),
      TEST(threads_change_no_factor), TEST(the_threshold_is_the_interpolated_quantile))
