/* CFA against two public implementations, and against its definition. */
#include "base/random.h"
#include "detectors/detector.h"
#include "detectors/parts/k_means.h"
#include "golden_steps.h"

#define GOLDEN "tests/golden/cfa.csv" /* made by tests/golden/make_cfa.py */

/* ---- ten steps on real images ---- */

#define STEPS_AT_128                                                                               \
    {"epochs", "1"}, {"resize_mode", "squash"}, {"resize", "128"},                                 \
    {                                                                                              \
        "crop", "0"                                                                                \
    }

/* Not learned: parameters are compared without them, too. */
static const char *const computed[] = {"centres", NULL};

static const golden_training cases[] = {
    {"official",
     42,
     5,
     {STEPS_AT_128, {"preset", "official"}},
     {10, 4, 3, 1e-3, 1e-3, 1e-3, computed, 1e-3}},
    {"open_iad",
     38,
     5,
     {STEPS_AT_128, {"preset", "open_iad"}},
     {10, 4, 3, 1e-3, 1e-3, 1e-3, computed, 1e-3}},
    /* nothing moves: maps of given parameters */
    {"still",
     8,
     6,
     {STEPS_AT_128, {"preset", "official"}, {"learning_rate", "0"}},
     {2, 4, 3, 1e-4, 1e-4, 1e-4, computed, 1e-4}},
    {"clusters",
     40,
     7,
     {STEPS_AT_128, {"preset", "official"}, {"gamma_c", "4"}, {"gamma_d", "2"}},
     {10, 4, 3, 1e-3, 1e-3, 1e-3, computed, 1e-3}},
    /* centres repel from the first step on */
    {"repelling",
     40,
     7,
     {STEPS_AT_128, {"preset", "official"}, {"gamma_d", "2"}, {"radius", "0.8"}},
     {10, 4, 3, 1e-3, 1e-3, 1e-3, computed, 1e-3}},
};

START_TEST(steps_equal_the_public_implementations)
{
    golden_train("cfa", GOLDEN, "", &cases[_i]);
}
END_TEST

/* ---- on noise: the definition in double ---- */

enum { WIDTH = 48, HEIGHT = 32, COLUMNS = WIDTH / 4, ROWS = HEIGHT / 4, PLACES = COLUMNS * ROWS };
enum { FIRST = 64, SECOND = 128, CHANNELS = FIRST + SECOND };

static uint8_t noise_pixels[8][HEIGHT][WIDTH][3];

static void make_noise(imiad_image images[8])
{
    random_stream stream = random_open(5, "noise");
    for (size_t i = 0; i < sizeof noise_pixels; ++i)
        (&noise_pixels[0][0][0][0])[i] = (uint8_t)random_below(&stream, 256);
    for (int i = 0; i < 8; ++i)
        images[i] = (imiad_image){sizeof images[i], IMIAD_PIXEL_RGB8, WIDTH,
                                  HEIGHT,           3 * WIDTH,        &noise_pixels[i][0][0][0]};
}

/* Two layers of a random network at the images' own size, one epoch; nothing learned unless told.
 */
static imiad_detector *fit_noise(int from, int count, const imiad_option *more, size_t more_count)
{
    static const char *const common[][2] = {
        {"layers", "layer1,layer2"}, {"resize", "32"}, {"crop", "0"},
        {"smoothing", "0"},          {"epochs", "1"},  {"learning_rate", "0"}};
    imiad_option options[16];
    imiad_image noise[8];
    const imiad_image *images[8];
    imiad_backbone *backbone;
    imiad_detector *d = NULL;
    make_noise(noise);
    for (int i = 0; i < count; ++i)
        images[i] = &noise[from + i];
    for (size_t i = 0; i < 6; ++i)
        options[i] = (imiad_option){common[i][0], common[i][1]};
    for (size_t i = 0; i < more_count; ++i)
        options[6 + i] = more[i];
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    ck_ok(imiad_detector_create(&d, "cfa", backbone, options, 6 + more_count));
    ck_ok(imiad_detector_fit_images(d, images, (size_t)count, NULL, NULL));
    imiad_backbone_free(backbone);
    return d;
}

/* A tensor of the detector's file, in memory of its own. */
static float *learned(const imiad_detector *d, const char *name, int64_t shape[2])
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    const weight *w = weights_find(file, name);
    ck_assert_msg(w, "no %s", name);
    float *values = malloc(w->bytes);
    memcpy(values, w->data, w->bytes);
    shape[0] = w->shape[0];
    shape[1] = w->rank > 1 ? w->shape[1] : 1;
    weights_free(file);
    unlink(path);
    return values;
}

/* PyTorch's bilinear weights without aligned corners: two pixels and the second one's share. */
static double blend(const double *plane, int rows, int columns, int row, int column)
{
    double y = fmax((row + 0.5) * rows / ROWS - 0.5, 0);
    double x = fmax((column + 0.5) * columns / COLUMNS - 0.5, 0);
    int y0 = (int)y, x0 = (int)x, y1 = y0 + (y0 < rows - 1), x1 = x0 + (x0 < columns - 1);
    double top = plane[y0 * columns + x0] * (1 - (x - x0)) + plane[y0 * columns + x1] * (x - x0);
    double low = plane[y1 * columns + x0] * (1 - (x - x0)) + plane[y1 * columns + x1] * (x - x0);
    return top * (1 - (y - y0)) + low * (y - y0);
}

/* The mean of LeakyReLU over 3x3 with zeros beyond the border, always of nine. */
static void pool_plane(double *out, const double *plane, int rows, int columns)
{
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < columns; ++c) {
            double sum = 0;
            for (int y = r - 1; y <= r + 1; ++y)
                for (int x = c - 1; x <= c + 1; ++x)
                    if (y >= 0 && y < rows && x >= 0 && x < columns)
                        sum += fmax(plane[y * columns + x], 0.01 * plane[y * columns + x]);
            out[r * columns + c] = sum / 9;
        }
}

/* What the convolution sees at each position: pooled, upsampled, concatenated, row, column. */
static void describe_places(double out[PLACES][CHANNELS + 2], imiad_detector *d, const batch *b)
{
    static const char *const layers[] = {"layer1", "layer2"};
    static double pooled[PLACES];
    tensor *features[2];
    detector_sums(d, b, layers, 2, features);
    for (int l = 0, channel = 0; l < 2; ++l) {
        int count = l ? SECOND : FIRST, rows = ROWS >> l, columns = COLUMNS >> l;
        const double *values = t_data(t_contiguous(t_to(features[l], F64)));
        ck_assert_ptr_nonnull(values);
        for (int i = 0; i < count; ++i, ++channel) {
            pool_plane(pooled, values + i * rows * columns, rows, columns);
            for (int p = 0; p < PLACES; ++p)
                out[p][channel] = blend(pooled, rows, columns, p / COLUMNS, p % COLUMNS);
        }
    }
    for (int p = 0; p < PLACES; ++p) {
        out[p][CHANNELS] = 2.0 * (p / COLUMNS) / (ROWS - 1) - 1;
        out[p][CHANNELS + 1] = 2.0 * (p % COLUMNS) / (COLUMNS - 1) - 1;
    }
}

/* s = softmin(d)_1 d_1 over the K smallest distances. */
static double score_place(const double *inputs, const float *kernel, const float *bias, int outputs,
                          const float *centres, int count, int k)
{
    double phi[CHANNELS], smallest[64], sum = 0;
    for (int o = 0; o < outputs; ++o) {
        phi[o] = (double)bias[o];
        for (int i = 0; i < CHANNELS + 2; ++i)
            phi[o] += (double)kernel[o * (CHANNELS + 2) + i] * inputs[i];
    }
    for (int i = 0; i < k; ++i)
        smallest[i] = INFINITY;
    for (int j = 0; j < count; ++j) {
        double square = 0;
        for (int o = 0; o < outputs; ++o)
            square += pow(phi[o] - (double)centres[j * outputs + o], 2);
        double distance = sqrt(square);
        for (int i = 0; i < k; ++i)
            if (distance < smallest[i]) {
                double swapped = smallest[i];
                smallest[i] = distance;
                distance = swapped;
            }
    }
    for (int i = 0; i < k; ++i)
        sum += exp(-smallest[i]);
    return smallest[0] * exp(-smallest[0]) / sum;
}

static const struct {
    imiad_option options[4];
    size_t count;
    int k, outputs, centres;
} shapes[] = {
    {{{"learning_rate", "0.001"}}, 1, 3, CHANNELS, PLACES},
    {{{"gamma_d", "3"}, {"attract", "1"}, {"repel", "0"}}, 3, 1, CHANNELS / 3, PLACES},
    {{{"gamma_c", "5"}, {"attract", "5"}, {"repel", "1"}, {"learning_rate", "0.001"}},
     4,
     5,
     CHANNELS,
     PLACES / 5},
};

START_TEST(a_score_is_the_softmin_of_distances_from_centres)
{
    static double inputs[PLACES][CHANNELS + 2];
    imiad_image noise[8];
    imiad_detector *d = fit_noise(0, 6, shapes[_i].options, shapes[_i].count);
    int64_t kernel_shape[2], bias_shape[2], centres_shape[2];
    float *kernel = learned(d, "descriptor.weight", kernel_shape);
    float *bias = learned(d, "descriptor.bias", bias_shape);
    float *centres = learned(d, "descriptor.centres", centres_shape);
    ck_assert_int_eq(kernel_shape[0], shapes[_i].outputs);
    ck_assert_int_eq(kernel_shape[1], CHANNELS + 2);
    ck_assert_int_eq(centres_shape[0], shapes[_i].centres);
    ck_assert_int_eq(centres_shape[1], shapes[_i].outputs);
    make_noise(noise);
    const imiad_image *const one = &noise[7];
    scope s = scope_begin();
    batch b;
    scores found = {NULL, NULL};
    detector_make_batch(&b, d, &one, 1);
    d->ops->score(d, &b, &found);
    ck_assert_int_eq(t_size(found.maps, 1), ROWS);
    ck_assert_int_eq(t_size(found.maps, 2), COLUMNS);
    const float *map = t_data(t_contiguous(found.maps));
    describe_places(inputs, d, &b);
    for (int p = 0; p < PLACES; ++p) {
        double wanted = score_place(inputs[p], kernel, bias, shapes[_i].outputs, centres,
                                    shapes[_i].centres, shapes[_i].k);
        ck_assert_double_lt(fabs((double)map[p] - wanted), 1e-4 * wanted);
    }
    ck_ok(scope_end(&s));
    free(kernel);
    free(bias);
    free(centres);
    imiad_detector_free(d);
}
END_TEST

/* ---- centres ---- */

static float *centres_of(int from, int count, const imiad_option *options, size_t option_count)
{
    int64_t shape[2];
    imiad_detector *d = fit_noise(from, count, options, option_count);
    float *centres = learned(d, "descriptor.centres", shape);
    ck_assert_int_eq(shape[0], PLACES);
    ck_assert_int_eq(shape[1], CHANNELS);
    imiad_detector_free(d);
    return centres;
}

/* Images in batches of two: the running mean of the authors' code gives every batch one share, and
 * without short ones the last image none. */
static const struct {
    imiad_option options[3];
    size_t count;
    double shares[5]; /* of five images */
} ways[] = {
    {{{"train_batch", "2"}}, 1, {0.2, 0.2, 0.2, 0.2, 0.2}},
    {{{"train_batch", "2"}, {"preset", "open_iad"}, {"resize_mode", "shorter"}},
     3,
     {1 / 6.0, 1 / 6.0, 1 / 6.0, 1 / 6.0, 1 / 3.0}},
    {{{"train_batch", "2"}, {"preset", "official"}}, 2, {0.25, 0.25, 0.25, 0.25, 0}},
    {{{"train_batch", "8"}, {"preset", "official"}}, 2, {0.2, 0.2, 0.2, 0.2, 0.2}},
};

START_TEST(centres_are_means_of_the_untrained_descriptor)
{
    float *found = centres_of(0, 5, ways[_i].options, ways[_i].count), *each[5];
    for (int i = 0; i < 5; ++i)
        each[i] = centres_of(i, 1, NULL, 0);
    for (int j = 0; j < PLACES * CHANNELS; ++j) {
        double wanted = 0;
        for (int i = 0; i < 5; ++i)
            wanted += ways[_i].shares[i] * (double)each[i][j];
        ck_assert_double_lt(fabs((double)found[j] - wanted), 2e-6);
    }
    for (int i = 0; i < 5; ++i)
        free(each[i]);
    free(found);
}
END_TEST

/* Of one image, every position is a centre: d_1 = 0, and so is the score. */
START_TEST(what_is_a_centre_scores_nothing)
{
    imiad_image noise[8];
    imiad_result result = IMIAD_RESULT_INIT;
    imiad_detector *d = fit_noise(0, 1, NULL, 0);
    make_noise(noise);
    ck_ok(imiad_detector_score(&result, d, &noise[0]));
    for (int i = 0; i < WIDTH * HEIGHT; ++i)
        ck_assert(result.map[i] >= 0 && result.map[i] < 1e-5F);
    ck_assert(result.score >= 0 && result.score < 1e-5F);
    ck_ok(imiad_detector_score(&result, d, &noise[1]));
    ck_assert_float_gt(result.score, 1e-2F);
    imiad_detector_free(d);
}
END_TEST

/* Adam's first step is the learning rate for the radius too, however small its gradient, after the
 * decay has shrunk it. Attraction alone: the gradient of -r^2 is negative, so the radius grows. */
START_TEST(the_radius_is_learned)
{
    static const imiad_option options[] = {{"learning_rate", "0.01"},
                                           {"weight_decay", "0.5"},
                                           {"radius", "0.1"},
                                           {"train_batch", "8"}};
    int64_t shape[2];
    imiad_detector *d = fit_noise(0, 4, options, 4);
    float *radius = learned(d, "descriptor.radius", shape);
    ck_assert_int_eq(shape[0], 1);
    ck_assert_double_lt(fabs((double)radius[0] - (0.1 * (1 - 0.01 * 0.5) + 0.01)), 1e-6);
    free(radius);
    imiad_detector_free(d);
}
END_TEST

/* ---- k-means ---- */

enum { POINTS = 90, DIMENSION = 7 };

static void make_blobs(float points[POINTS][DIMENSION], double spread)
{
    random_stream stream = random_open(1, "blobs");
    for (int i = 0; i < POINTS; ++i)
        for (int c = 0; c < DIMENSION; ++c)
            points[i][c] = (float)((c == i % 3 ? 100 : 0) + spread * random_normal(&stream));
}

START_TEST(k_means_finds_clusters_that_lie_apart)
{
    static float points[POINTS][DIMENSION], centres[3][DIMENSION];
    make_blobs(points, 1);
    ck_ok(k_means(centres[0], 3, points[0], POINTS, DIMENSION, (uint64_t)_i, "blobs", NULL));
    bool seen[3] = {false, false, false};
    for (int j = 0; j < 3; ++j) {
        int blob = centres[j][0] > 50 ? 0 : centres[j][1] > 50 ? 1 : 2;
        ck_assert(!seen[blob]);
        seen[blob] = true;
        for (int c = 0; c < DIMENSION; ++c) {
            double mean = 0;
            for (int i = blob; i < POINTS; i += 3)
                mean += (double)points[i][c] / (POINTS / 3);
            ck_assert_double_lt(fabs((double)centres[j][c] - mean), 1e-5);
        }
    }
}
END_TEST

static int nearest_by_definition(const float point[DIMENSION], const float *centres, int count)
{
    int best = 0;
    double least = INFINITY;
    for (int j = 0; j < count; ++j) {
        double square = 0;
        for (int c = 0; c < DIMENSION; ++c)
            square += pow((double)point[c] - (double)centres[j * DIMENSION + c], 2);
        best = square < least ? j : best;
        least = fmin(square, least);
    }
    return best;
}

/* Lloyd's fixed point: every centre is the mean of the points that are nearest to it. */
START_TEST(k_means_ends_where_nothing_moves)
{
    enum { CLUSTERS = 20 };
    static float points[POINTS][DIMENSION], centres[CLUSTERS][DIMENSION],
        again[CLUSTERS][DIMENSION];
    make_blobs(points, 40);
    ck_ok(k_means(centres[0], CLUSTERS, points[0], POINTS, DIMENSION, 0, "blobs", NULL));
    ck_ok(k_means(again[0], CLUSTERS, points[0], POINTS, DIMENSION, 0, "blobs", NULL));
    ck_assert_mem_eq(centres, again, sizeof centres);
    double sums[CLUSTERS][DIMENSION] = {{0}};
    int sizes[CLUSTERS] = {0};
    for (int i = 0; i < POINTS; ++i) {
        int owner = nearest_by_definition(points[i], centres[0], CLUSTERS);
        sizes[owner]++;
        for (int c = 0; c < DIMENSION; ++c)
            sums[owner][c] += (double)points[i][c];
    }
    for (int j = 0; j < CLUSTERS; ++j)
        for (int c = 0; c < DIMENSION; ++c)
            ck_assert_double_lt(fabs((double)centres[j][c] - sums[j][c] / sizes[j]), 1e-4);
}
END_TEST

START_TEST(k_means_copes_with_equal_points)
{
    static float points[POINTS][DIMENSION], centres[POINTS][DIMENSION];
    for (int i = 0; i < POINTS; ++i)
        for (int c = 0; c < DIMENSION; ++c)
            points[i][c] = (float)c;
    ck_ok(k_means(centres[0], 5, points[0], POINTS, DIMENSION, 0, "blobs", NULL));
    ck_assert_mem_eq(centres, points, 5 * sizeof centres[0]);
    make_blobs(points, 40); /* as many centres as points: the points */
    ck_ok(k_means(centres[0], POINTS, points[0], POINTS, DIMENSION, 0, "blobs", NULL));
    for (int i = 0; i < POINTS; ++i)
        ck_assert_mem_eq(centres[nearest_by_definition(points[i], centres[0], POINTS)], points[i],
                         sizeof points[i]);
}
END_TEST

static int stop_after(void *user, const imiad_progress *p)
{
    (void)p;
    int *calls = user;
    return (*calls)-- == 0;
}

START_TEST(k_means_can_be_cancelled)
{
    static float points[POINTS][DIMENSION], centres[20][DIMENSION];
    make_blobs(points, 40);
    for (int calls = 0; calls < 22; ++calls) { /* 20 picks, then steps */
        int left = calls;
        progress p = {stop_after, &left};
        ck_assert_int_eq(k_means(centres[0], 20, points[0], POINTS, DIMENSION, 0, "blobs", &p),
                         IMIAD_CANCELLED);
    }
}
END_TEST

/* ---- what is refused ---- */

START_TEST(options_that_do_not_fit_are_named)
{
    static const struct {
        imiad_option option;
        imiad_status status;
        const char *text;
    } wrong[] = {
        {{"gamma_d", "449"}, IMIAD_OUT_OF_RANGE, "gamma_d is 449"},
        {{"gamma_d", "0"}, IMIAD_OUT_OF_RANGE, "gamma_d"},
        {{"attract", "0"}, IMIAD_OUT_OF_RANGE, "attract"},
        {{"nu", "0"}, IMIAD_OUT_OF_RANGE, "nu"},
        {{"centres", "all"}, IMIAD_OUT_OF_RANGE, "images|batches"},
        {{"layers", "layer7"}, IMIAD_UNKNOWN_OPTION, "layer7"},
        {{"preset", "paper"}, IMIAD_OUT_OF_RANGE, "preset"},
    };
    imiad_backbone *backbone;
    imiad_detector *d = NULL;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        ck_fails(imiad_detector_create(&d, "cfa", backbone, &wrong[i].option, 1), wrong[i].status,
                 wrong[i].text);
    ck_assert_ptr_null(d);
    imiad_backbone_free(backbone);
}
END_TEST

START_TEST(images_that_make_no_centres_are_refused)
{
    imiad_image noise[8], tall;
    imiad_backbone *backbone;
    imiad_detector *d = NULL;
    make_noise(noise);
    tall = noise[1];
    tall.width = HEIGHT; /* of the same pixels */
    const imiad_image *const both[] = {&noise[0], &tall};
    const imiad_option few[] = {
        {"resize", "32"}, {"crop", "0"}, {"gamma_c", "20"}, {"train_batch", "1"}, {"batch", "1"}};
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    ck_ok(imiad_detector_create(&d, "cfa", backbone, few, 5));
    ck_fails(imiad_detector_fit_images(d, both, 1, NULL, NULL), IMIAD_OUT_OF_RANGE,
             "96 positions make 4 centres");
    ck_fails(imiad_detector_fit_images(d, both, 2, NULL, NULL), IMIAD_MISMATCH, "set crop");
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* A sound file with centres of another width than the layers make. */
START_TEST(centres_that_do_not_fit_are_refused)
{
    static const int64_t wrong[][2] = {{PLACES, CHANNELS - 1}, {5, CHANNELS}, {0, CHANNELS}};
    static float values[PLACES * CHANNELS];
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    imiad_detector *d = fit_noise(0, 1, NULL, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        weights_writer *writer;
        weights *file;
        ck_ok(weights_writer_create(&writer));
        ck_ok(weights_writer_add(writer, "descriptor.centres", F32, 2, wrong[i], values));
        ck_ok(weights_writer_commit(writer, path));
        weights_writer_free(writer);
        ck_ok(weights_open(&file, path));
        ck_fails(d->ops->load(d, file), IMIAD_FORMAT, "descriptor.centres");
        weights_free(file);
    }
    imiad_detector_free(d);
    unlink(path);
}
END_TEST

/* The values of the two codes. */
START_TEST(presets_are_the_codes_values)
{
    static const char *const wanted[][7] = {
        {"libimiad", "30", "false", "images", "shorter", "224", "4"},
        {"official", "30", "true", "batches", "shorter", "224", "4"},
        {"open_iad", "50", "false", "batches", "squash", "0", "4"},
    };
    static const char *const names[] = {"preset",      "epochs", "drop_last",  "centres",
                                        "resize_mode", "crop",   "train_batch"};
    imiad_backbone *backbone;
    imiad_detector *d;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    ck_ok(imiad_detector_create(&d, "cfa", backbone, &(imiad_option){"preset", wanted[_i][0]}, 1));
    for (int j = 0; j < 7; ++j)
        ck_assert_str_eq(imiad_detector_option(d, names[j]), wanted[_i][j]);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

SUITE("cfa", LOOP_TEST(steps_equal_the_public_implementations, 5),
      LOOP_TEST(a_score_is_the_softmin_of_distances_from_centres, 3),
      LOOP_TEST(centres_are_means_of_the_untrained_descriptor, 4),
      TEST(what_is_a_centre_scores_nothing), TEST(the_radius_is_learned),
      LOOP_TEST(k_means_finds_clusters_that_lie_apart, 5), TEST(k_means_ends_where_nothing_moves),
      TEST(k_means_copes_with_equal_points), TEST(k_means_can_be_cancelled),
      TEST(options_that_do_not_fit_are_named), TEST(images_that_make_no_centres_are_refused),
      TEST(centres_that_do_not_fit_are_refused), LOOP_TEST(presets_are_the_codes_values, 3))
