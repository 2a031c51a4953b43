/* PaDiM against stored outputs of the widespread implementation and against its own definition. */
#include "base/random.h"
#include "detectors/parts/position_gaussians.h"
#include "transistor.h"

/* ---- one Gaussian a position ---- */

enum { POSITIONS = 5, QUERIES = 3, MOST_ROWS = 40, MOST_COLUMNS = 24 };

/* sqrt(v^T S^-1 v), S by its definition, in double by elimination with pivots. */
static double mahalanobis(const float *rows, int n, int d, const float *query, double epsilon)
{
    double s[MOST_COLUMNS][MOST_COLUMNS + 1], v[MOST_COLUMNS], mean[MOST_COLUMNS], square = 0;
    for (int i = 0; i < d; ++i) {
        mean[i] = 0;
        for (int k = 0; k < n; ++k)
            mean[i] += (double)rows[k * d + i] / n;
        s[i][d] = v[i] = (double)query[i] - mean[i];
    }
    for (int i = 0; i < d; ++i)
        for (int j = 0; j < d; ++j) {
            double sum = 0;
            for (int k = 0; k < n; ++k)
                sum += ((double)rows[k * d + i] - mean[i]) * ((double)rows[k * d + j] - mean[j]);
            s[i][j] = (n > 1 ? sum / (n - 1) : 0) + (i == j ? epsilon : 0);
        }
    for (int i = 0; i < d; ++i) {
        int pivot = i;
        for (int k = i + 1; k < d; ++k)
            pivot = fabs(s[k][i]) > fabs(s[pivot][i]) ? k : pivot;
        for (int j = 0; j <= d; ++j) {
            double t = s[i][j];
            s[i][j] = s[pivot][j];
            s[pivot][j] = t;
        }
        for (int k = 0; k < d; ++k)
            for (int j = d; k != i && j >= i; --j)
                s[k][j] -= s[k][i] / s[i][i] * s[i][j];
    }
    for (int i = 0; i < d; ++i)
        square += v[i] * s[i][d] / s[i][i];
    return sqrt(square);
}

static const struct {
    int n, d;
    bool few; /* n d + n^2 <= d^2 */
} sizes[] = {{1, 24, true},   {2, 24, true},   {8, 24, true},  {14, 24, true}, {15, 24, false},
             {20, 24, false}, {40, 24, false}, {8, 12, false}, {1, 1, false}};
enum { SIZES = sizeof sizes / sizeof *sizes };

START_TEST(distances_equal_the_definition_in_either_form)
{
    int n = sizes[_i % SIZES].n, d = sizes[_i % SIZES].d;
    dtype type = _i < SIZES ? F32 : F64;
    static float rows[POSITIONS * MOST_ROWS * MOST_COLUMNS],
        queries[POSITIONS * QUERIES * MOST_COLUMNS];
    random_stream stream = random_open(3, "gaussians");
    for (int i = 0; i < POSITIONS * n; ++i) { /* correlated columns of unlike scale */
        double common = 5 * random_normal(&stream);
        for (int c = 0; c < d; ++c)
            rows[i * d + c] = (float)(common + random_normal(&stream) / (1 + c));
    }
    for (int p = 0; p < POSITIONS; ++p)
        for (int c = 0; c < d; ++c) { /* a row itself, a row moved, something else */
            float *q = queries + p * QUERIES * d + c, row = rows[p * n * d + c];
            q[0] = row;
            q[d] = row + (float)random_normal(&stream);
            q[2 * d] = (float)(10 * random_normal(&stream));
        }
    scope s = scope_begin();
    position_gaussians g = {.epsilon = 0.01};
    tensor *x = t_from(rows, 3, (int64_t[]){POSITIONS, n, d}, F32, CPU);
    ck_ok(gaussians_fit(&g, t_keep(t_clone(t_to(x, type))), NULL));
    ck_assert_int_eq(g.projection != NULL, sizes[_i % SIZES].few);
    tensor *found =
        gaussians_distances(&g, t_from(queries, 3, (int64_t[]){POSITIONS, QUERIES, d}, F32, CPU));
    const double *distances = t_data(t_contiguous(t_to(found, F64)));
    ck_assert_ptr_nonnull(distances);
    for (int p = 0; p < POSITIONS; ++p)
        for (int q = 0; q < QUERIES; ++q) {
            double wanted =
                mahalanobis(rows + p * n * d, n, d, queries + (p * QUERIES + q) * d, g.epsilon);
            double error = fabs(distances[q * POSITIONS + p] - wanted);
            ck_assert_msg(error <= (type == F32 ? 1e-4 : 1e-9) * wanted + 1e-6,
                          "n %d, d %d: %.9g, not %.9g", n, d, distances[q * POSITIONS + p], wanted);
        }
    gaussians_free(&g);
    ck_ok(scope_end(&s));
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* Widths around the vectors and images around the tiles of the host's loops. */
START_TEST(distances_are_the_same_alone_and_together)
{
    static const int widths[] = {64, 75, 96, 97};
    enum { N = 9, TOGETHER = 7 };
    int64_t d = widths[_i];
    static float rows[POSITIONS * N * 97], queries[POSITIONS * TOGETHER * 97];
    random_stream stream = random_open(4, "gaussians");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
        rows[i] = (float)random_normal(&stream);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; ++i)
        queries[i] = (float)random_normal(&stream);
    scope s = scope_begin();
    position_gaussians g = {.epsilon = 0.01}, exact = {.epsilon = 0.01};
    tensor *x = t_from(rows, 3, (int64_t[]){POSITIONS, N, d}, F32, CPU);
    tensor *q = t_from(queries, 3, (int64_t[]){POSITIONS, TOGETHER, d}, F32, CPU);
    ck_ok(gaussians_fit(&g, t_keep(t_clone(x)), NULL));
    ck_ok(gaussians_fit(&exact, t_keep(t_clone(t_to(x, F64))), NULL));
    const float *together = t_data(gaussians_distances(&g, q));
    const double *wanted = t_data(gaussians_distances(&exact, q));
    ck_assert(together && wanted);
    for (int i = 0; i < TOGETHER; ++i) {
        const float *alone = t_data(gaussians_distances(&g, t_contiguous(t_slice(q, 1, i, i + 1))));
        ck_assert_ptr_nonnull(alone);
        ck_assert_mem_eq(alone, together + i * POSITIONS, POSITIONS * sizeof *alone);
        for (int p = 0; p < POSITIONS; ++p)
            ck_assert_double_eq_tol(alone[p] / wanted[i * POSITIONS + p], 1, 1e-5);
    }
    gaussians_free(&g);
    gaussians_free(&exact);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- the detector ---- */

static imiad_backbone *backbone;
static imiad_dataset *dataset;

static void open_line(void)
{
    const imiad_option options[] = {
        {"size", "64"}, {"train", "3"}, {"test_good", "1"}, {"test_defective", "1"}};
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, options, 4));
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
}

static void close_line(void)
{
    imiad_backbone_free(backbone);
    imiad_dataset_free(dataset);
}

static imiad_detector *padim(const char *name, const char *value)
{
    const imiad_option options[] = {{"resize", "64"}, {"crop", "64"}, {name, value}};
    imiad_detector *d = NULL;
    ck_ok(imiad_detector_create(&d, "padim", backbone, options, name ? 3 : 2));
    return d;
}

/* Fits to the first `count` images, scores the one at `scored`. */
static imiad_result run(imiad_detector *d, size_t count, size_t scored)
{
    imiad_image *images[4];
    imiad_result result = IMIAD_RESULT_INIT;
    for (size_t i = 0; i < 4; ++i)
        ck_ok(imiad_dataset_read_image(&images[i], dataset, i));
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)images, count, NULL, NULL));
    ck_ok(imiad_detector_score(&result, d, images[scored]));
    for (size_t i = 0; i < 4; ++i)
        imiad_image_free(images[i]);
    return result;
}

/* The covariance of one image is epsilon I: the image itself is at distance 0, and a hundredfold
 * epsilon makes every distance a tenth. */
START_TEST(one_training_image_gives_euclidean_distances)
{
    open_line();
    imiad_detector *d = padim(NULL, NULL), *wide = padim("epsilon", "1");
    imiad_result itself = run(d, 1, 0);
    for (int i = 0; i < 64 * 64; ++i)
        ck_assert_float_eq(itself.map[i], 0);
    imiad_result other = run(d, 1, 1), tenth = run(wide, 1, 1);
    ck_assert_float_gt(other.score, 0);
    for (int i = 0; i < 64 * 64; ++i)
        ck_assert_double_lt(fabs((double)tenth.map[i] - 0.1 * (double)other.map[i]),
                            1e-5 * (double)tenth.score);
    imiad_detector_free(d);
    imiad_detector_free(wide);
    close_line();
}
END_TEST

START_TEST(a_list_of_all_channels_equals_dimension_0)
{
    char list[4096];
    size_t used = 0;
    for (int i = 0; i < 64 + 128 + 256; ++i) /* in another order */
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%d", i ? "," : "", 447 - i);
    open_line();
    imiad_detector *listed = padim("channels", list), *all = padim("dimension", "0");
    imiad_result a = run(listed, 3, 3), b = run(all, 3, 3);
    ck_assert_mem_eq(a.map, b.map, 64 * 64 * sizeof(float));
    imiad_detector_free(listed);
    imiad_detector_free(all);
    close_line();
}
END_TEST

START_TEST(precision_of_factors_and_seed_matter_as_they_should)
{
    open_line();
    imiad_detector *d = padim(NULL, NULL), *precise = padim("factors", "fp64"),
                   *other = padim("seed", "67");
    imiad_result a = run(d, 3, 3), b = run(precise, 3, 3), c = run(other, 3, 3);
    for (int i = 0; i < 64 * 64; ++i)
        ck_assert_double_lt(fabs((double)a.map[i] - (double)b.map[i]), 1e-4 * (double)b.score);
    ck_assert_float_ne(a.score, c.score);
    imiad_detector_free(d);
    imiad_detector_free(precise);
    imiad_detector_free(other);
    close_line();
}
END_TEST

START_TEST(padims_options_are_checked)
{
    static const struct {
        imiad_option option;
        imiad_status status;
        const char *text;
    } cases[] = {
        {{"dimension", "449"}, IMIAD_OUT_OF_RANGE, "dimension is 449: the layers have 448"},
        {{"channels", "3,3"}, IMIAD_OUT_OF_RANGE, "names 3 twice"},
        {{"channels", "3;4"}, IMIAD_OUT_OF_RANGE, "expected a comma"},
        {{"channels", "448"}, IMIAD_OUT_OF_RANGE, "0..447"},
        {{"channels", "3,"}, IMIAD_OUT_OF_RANGE, "channels at \"\""},
        {{"epsilon", "0"}, IMIAD_OUT_OF_RANGE, "epsilon"},
        {{"layers", "layer9"}, IMIAD_UNKNOWN_OPTION, "layer9"},
    };
    imiad_detector *d = NULL;
    imiad_image *image;
    open_line();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        ck_fails(imiad_detector_create(&d, "padim", backbone, &cases[i].option, 1), cases[i].status,
                 cases[i].text);
    ck_assert_ptr_null(d);
    ck_ok(imiad_dataset_read_image(&image, dataset, 0));
    const imiad_option budget = {"memory_budget", "1"};
    ck_ok(imiad_detector_create(&d, "padim", backbone, &budget, 1));
    ck_fails(imiad_detector_fit_images(d, (const imiad_image *const[]){image}, 1, NULL, NULL),
             IMIAD_OVER_BUDGET, "1000000");
    imiad_detector_free(d);
    imiad_image_free(image);
    close_line();
}
END_TEST

START_TEST(padim_equals_the_reference)
{
    char list[1024];
    size_t used = 0;
    npy channels = npz_read(SHARED("golden/maps_padim.npz"), "channel_list.npy");
    ck_assert_uint_eq(channels.count, 100);
    for (size_t i = 0; i < channels.count; ++i)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%d", i ? "," : "",
                                 (int)channels.values[i]);
    free(channels.values);
    const imiad_option options[] = {{"channels", list}};
    detector_agrees_with_golden("padim", "r18_d100_seed66", "golden/maps_padim.npz", options, 1);
}
END_TEST

SUITE("padim", LOOP_TEST(distances_equal_the_definition_in_either_form, 2 * SIZES),
      LOOP_TEST(distances_are_the_same_alone_and_together, 4),
      TEST(one_training_image_gives_euclidean_distances),
      TEST(a_list_of_all_channels_equals_dimension_0),
      TEST(precision_of_factors_and_seed_matter_as_they_should), TEST(padims_options_are_checked),
      TEST(padim_equals_the_reference))
