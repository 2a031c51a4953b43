/* SubspaceAD beside the authors' code (tests/golden/make_subspacead.py), and what its definition
 * says. */
#include <math.h>
#include <string.h>

#include "detectors/anomaly_map.h"
#include "detectors/detector.h"
#include "detectors/parts/map_scores.h"
#include "detectors/parts/random_rotation.h"
#include "detectors/parts/subspace.h"
#include "image/augment.h"
#include "image/pixels.h"
#include "formula.h"
#include "product_line.h"
#include "seen.h"

#define GOLDEN "tests/golden/subspacead.csv"

enum { ROWS = 7, COLUMNS = 9, CHANNELS = 24, TRAIN = 5, TEST = 2, RANK = 6, EACH = ROWS * COLUMNS };
enum { MOST_VALUES = 64, HEIGHT = 126, WIDTH = 162 };

/* ---- the numbers that the script computes too ---- */

static tensor *tokens(int images, uint32_t seed)
{
    static float values[TRAIN * EACH * CHANNELS];
    for (int i = 0; i < images * EACH; ++i)
        for (int c = 0; c < CHANNELS; ++c) {
            double sum = 0;
            for (int k = 0; k < RANK; ++k)
                sum += formula_noise((uint32_t)(i * RANK + k), seed) / (1 + k) *
                       formula_noise((uint32_t)(k * CHANNELS + c), 2);
            sum += 0.05 * formula_noise((uint32_t)(i * CHANNELS + c), seed + 1);
            values[i * CHANNELS + c] = (float)(sum + 3 * formula_noise((uint32_t)c, 4));
        }
    return t_from(values, 2, (int64_t[]){images * EACH, CHANNELS}, F32, CPU);
}

/* The numbers behind the fields of the line that begins so. */
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

static const double *host(tensor *t)
{
    const double *values = t_data(t_contiguous(t_to(t, F64)));
    ck_ok(t_status());
    return values;
}

/* The norm, and every `step`-th value, to a share of the largest, or of `least` where that is more.
 */
static void agrees_above(tensor *t, const char *begin, int step, double limit, double least)
{
    double wanted[MOST_VALUES], square = 0, largest = least;
    int count = golden(wanted, begin);
    const double *found = host(t);
    for (int64_t i = 0; i < t_count(t); ++i) {
        square += found[i] * found[i];
        largest = fmax(largest, fabs(found[i]));
    }
    double rounding = limit * fmax(wanted[0], least * sqrt((double)t_count(t)));
    ck_assert_msg(fabs(sqrt(square) - wanted[0]) <= rounding, "%s: norm %.9g, not %.9g", begin,
                  sqrt(square), wanted[0]);
    for (int i = 1; i < count; ++i)
        ck_assert_msg(fabs(found[(i - 1) * step] - wanted[i]) <= limit * largest,
                      "%s: value %d is %.9g, not %.9g", begin, i, found[(i - 1) * step], wanted[i]);
}

static void agrees(tensor *t, const char *begin, int step, double limit)
{
    agrees_above(t, begin, step, limit, 0);
}

/* ---- tokens beside the code ---- */

static const struct {
    const char *name;
    double share;
    int64_t wanted;
} cases[] = {{"share99", 0.99, 0}, {"share80", 0.8, 0}, {"three", 0.99, 3}, {"most", 0.99, 20}};

static moments moments_of_images(int first, int last)
{
    moments m = {0};
    scope s = scope_begin();
    tensor *rows = tokens(TRAIN, 100);
    for (int i = first; i < last; ++i)
        moments_add(&m, t_slice(rows, 0, i * EACH, (i + 1) * EACH));
    ck_ok(scope_end(&s));
    return m;
}

static subspace learned(int which)
{
    moments m = moments_of_images(0, TRAIN);
    subspace s;
    ck_ok(subspace_find(&s, &m, cases[which].share, cases[which].wanted));
    moments_free(&m);
    return s;
}

START_TEST(components_are_those_of_the_authors_code)
{
    char begin[64];
    double wanted[MOST_VALUES];
    subspace s = learned(_i);
    scope all = scope_begin();
    snprintf(begin, sizeof begin, "kept,%s", cases[_i].name);
    golden(wanted, begin);
    int64_t kept = t_size(s.components, 1);
    ck_assert_int_eq(kept, (int64_t)wanted[0]);
    ck_assert_int_eq(s.complement != NULL, CHANNELS - kept < kept);
    snprintf(begin, sizeof begin, "variances,%s", cases[_i].name);
    golden(wanted, begin);
    const double *variances = host(s.variances), *mean = host(s.mean);
    for (int i = 0; i < 6 && i < kept; ++i)
        ck_assert_double_lt(fabs(variances[i] / wanted[i] - 1), 1e-6);
    snprintf(begin, sizeof begin, "mean,%s", cases[_i].name);
    golden(wanted, begin);
    for (int c = 0; c < CHANNELS; ++c)
        ck_assert_double_lt(fabs(mean[c] / wanted[c] - 1), 1e-6);
    tensor *projector = t_matmul(s.components, t_transpose(s.components, 0, 1));
    snprintf(begin, sizeof begin, "projector,%s", cases[_i].name);
    agrees(projector, begin, CHANNELS + 1, 1e-5);
    subspace_free(&s);
    ck_ok(scope_end(&all));
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(scores_of_tokens_are_those_of_the_authors_code)
{
    static const struct {
        const char *name;
        tensor *(*score)(const subspace *, tensor *, int64_t);
        double limit, least; /* what is left of one loses digits on either side */
    } methods[] = {{"reconstruction", subspace_residual, 1e-5, 0},
                   {"reconstruction", subspace_residual_explicit, 1e-5, 0},
                   {"mahalanobis", subspace_mahalanobis, 1e-5, 0},
                   {"euclidean", subspace_energy, 1e-5, 0},
                   {"cosine", subspace_cosine, 1e-6, 1}};
    char begin[64];
    subspace s = learned(_i);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; ++i)
        for (int drop = 0; drop <= 2; drop += 2) {
            scope all = scope_begin();
            snprintf(begin, sizeof begin, "score,%s,%s,%d", cases[_i].name, methods[i].name, drop);
            agrees_above(methods[i].score(&s, tokens(TEST, 200), drop), begin, 9, methods[i].limit,
                         methods[i].least);
            ck_ok(scope_end(&all));
        }
    subspace_free(&s);
}
END_TEST

START_TEST(maps_and_image_scores_are_those_of_the_authors_code)
{
    static const char *const names[][2] = {
        {"max", "max"}, {"p99", "p99"}, {"mtop5", "top5"}, {"mtop1p", "top"}, {"mean", "mean"}};
    char begin[64];
    double wanted[MOST_VALUES];
    subspace s = learned(0);
    scope all = scope_begin();
    tensor *grid =
        t_view(subspace_residual(&s, tokens(TEST, 200), 0), 3, (int64_t[]){TEST, ROWS, COLUMNS});
    tensor *maps = map_gaussian(map_upsample(grid, HEIGHT, WIDTH), 3, 4, PAD_REFLECT);
    tensor *pixels = t_view(maps, 2, (int64_t[]){TEST, HEIGHT * WIDTH});
    for (int which = 0; which < TEST; ++which) {
        snprintf(begin, sizeof begin, "map,%d", which);
        agrees(t_slice(maps, 0, which, which + 1), begin, 997, 1e-5);
        for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
            snprintf(begin, sizeof begin, "image,%d,%s", which, names[i][0]);
            golden(wanted, begin);
            double found = host(map_image_scores(pixels, names[i][1], 0.01))[which];
            ck_assert_msg(fabs(found / wanted[0] - 1) < 1e-5, "%s: %.9g, not %.9g", begin, found,
                          wanted[0]);
        }
    }
    subspace_free(&s);
    ck_ok(scope_end(&all));
}
END_TEST

START_TEST(a_share_of_few_pixels_is_one_pixel)
{
    const float pixels[] = {1, 5, 2, 3};
    scope s = scope_begin();
    tensor *map = t_from(pixels, 2, (int64_t[]){1, 4}, F32, CPU);
    ck_assert_double_eq(t_item(map_image_scores(map, "top", 0.01)), 5);
    ck_assert_double_eq(t_item(map_image_scores(map, "top5", 0.01)), 2.75);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- what the definition says ---- */

/* Rows along the axes, so that the scatter is diagonal: variances in the ratio 99 : 1. */
START_TEST(a_share_that_is_reached_exactly_keeps_no_more)
{
    const float rows[] = {99, 0, 0, -99, 0, 0, 0, sqrtf(99), 0, 0, -sqrtf(99), 0};
    moments m = {0};
    subspace found;
    scope s = scope_begin();
    moments_add(&m, t_from(rows, 2, (int64_t[]){4, 3}, F32, CPU));
    ck_ok(scope_end(&s));
    ck_ok(subspace_find(&found, &m, 0.9899, 0));
    ck_assert_int_eq(t_size(found.components, 1), 1);
    subspace_free(&found);
    ck_ok(subspace_find(&found, &m, 0.9901, 0));
    ck_assert_int_eq(t_size(found.components, 1), 2);
    subspace_free(&found);
    moments_free(&m);

    const float whole[] = {3, 0, 0, -3, 0, 0, 0, 1, 0, 0, -1, 0, 0, 0, 0}; /* 4.5 and 0.5 */
    s = scope_begin();
    moments_add(&m, t_from(whole, 2, (int64_t[]){5, 3}, F32, CPU));
    ck_ok(scope_end(&s));
    ck_ok(subspace_find(&found, &m, 0.9, 0));
    ck_assert_int_eq(t_size(found.components, 1), 1);
    subspace_free(&found);
    moments_free(&m);
}
END_TEST

START_TEST(keeping_every_direction_is_refused)
{
    moments m = moments_of_images(0, TRAIN);
    subspace s;
    ck_fails(subspace_find(&s, &m, 1, 0), IMIAD_OUT_OF_RANGE, "nothing is left outside");
    ck_fails(subspace_find(&s, &m, 0.99, CHANNELS), IMIAD_OUT_OF_RANGE, "keep fewer");
    moments_free(&m);
}
END_TEST

START_TEST(of_rows_that_are_all_the_same_the_distance_to_them_is_left)
{
    const float row[] = {1, 2, 3}, query[] = {1, 4, 4};
    moments m = {0};
    subspace found;
    scope s = scope_begin();
    for (int i = 0; i < 3; ++i)
        moments_add(&m, t_from(row, 2, (int64_t[]){1, 3}, F32, CPU));
    ck_ok(subspace_find(&found, &m, 0.99, 0));
    tensor *rows = t_from(query, 2, (int64_t[]){1, 3}, F32, CPU);
    ck_assert_double_eq(t_item(subspace_residual(&found, rows, 0)), 5);
    subspace_free(&found);
    moments_free(&m);
    ck_ok(scope_end(&s));
}
END_TEST

static double largest_apart(tensor *a, tensor *b)
{
    return t_item(t_max_all(t_abs(t_sub(t_to(a, F64), t_to(b, F64)))));
}

/* By definition: sum of (x - mean)(x - mean)'. The kernel leaves out the upper triangle. */
START_TEST(moments_are_those_of_the_definition_however_they_came)
{
    moments whole = {0}, parts = moments_of_images(0, 2), rest = moments_of_images(2, TRAIN);
    scope s = scope_begin();
    tensor *rows = tokens(TRAIN, 100), *exact = t_to(rows, F64);
    moments_add(&whole, rows);
    moments_merge(&parts, &rest);
    ck_assert_int_eq(whole.count, TRAIN * EACH);
    ck_assert_int_eq(parts.count, TRAIN * EACH);
    tensor *mean = t_mean(exact, 0, false), *centred = t_sub(exact, mean);
    tensor *scatter = t_matmul(t_transpose(centred, 0, 1), centred);
    const double *wanted = host(scatter), *once = host(whole.scatter),
                 *merged = host(parts.scatter);
    double largest = t_item(t_max_all(t_abs(scatter)));
    ck_assert_double_lt(largest_apart(whole.mean, mean), 1e-12);
    ck_assert_double_lt(largest_apart(parts.mean, mean), 1e-12);
    for (int i = 0; i < CHANNELS; ++i)
        for (int j = 0; j <= i; ++j) {
            ck_assert_double_lt(fabs(once[i * CHANNELS + j] - wanted[i * CHANNELS + j]),
                                1e-10 * largest);
            ck_assert_double_lt(fabs(merged[i * CHANNELS + j] - wanted[i * CHANNELS + j]),
                                1e-10 * largest);
        }
    ck_ok(scope_end(&s));
    moments_free(&whole);
    moments_free(&parts);
    moments_free(&rest);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* Widths around the vectors of the kernel, and more rows than it takes at once. */
START_TEST(the_scatter_is_right_at_any_width)
{
    enum { MANY = 700, WIDEST = 53 };
    static const int widths[] = {1, 2, 7, 8, 23, 24, 25, 48, WIDEST};
    static float values[MANY * WIDEST];
    int64_t width = widths[_i];
    for (uint32_t i = 0; i < MANY * (uint32_t)width; ++i)
        values[i] = (float)formula_noise(i, 7);
    moments m = {0};
    scope s = scope_begin();
    tensor *rows = t_from(values, 2, (int64_t[]){MANY, width}, F32, CPU);
    moments_add(&m, rows);
    tensor *exact = t_to(rows, F64), *centred = t_sub(exact, t_mean(exact, 0, false));
    const double *wanted = host(t_matmul(t_transpose(centred, 0, 1), centred)),
                 *found = host(m.scatter);
    for (int64_t i = 0; i < width; ++i)
        for (int64_t j = 0; j <= i; ++j)
            ck_assert_double_lt(fabs(found[i * width + j] - wanted[i * width + j]), 1e-10);
    ck_ok(scope_end(&s));
    moments_free(&m);
}
END_TEST

/* q is orthogonal. */
START_TEST(moving_and_turning_all_tokens_changes_no_score)
{
    moments m = {0};
    subspace before = learned(0), after;
    scope s = scope_begin();
    tensor *axes = t_slice(tokens(TRAIN, 300), 0, 0, CHANNELS), *r = NULL;
    tensor *q = t_qr(axes, &r), *train = tokens(TRAIN, 100);
    moments_add(&m, t_add_scalar(t_matmul(train, q), 5));
    ck_ok(subspace_find(&after, &m, 0.99, 0));
    tensor *test = tokens(TEST, 200);
    tensor *a = subspace_residual(&before, test, 0),
           *b = subspace_residual(&after, t_add_scalar(t_matmul(test, q), 5), 0);
    ck_assert_double_lt(largest_apart(a, b) / t_item(t_max_all(a)), 1e-4);
    subspace_free(&before);
    subspace_free(&after);
    moments_free(&m);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- turned images ---- */

static void turned(uint8_t *out, const imiad_image *image, double degrees, bool mirrored)
{
    made_output place = {.bytes = out, .width = image->width, .height = image->height};
    ck_ok(rotation_put(&place, image, degrees, mirrored));
}

START_TEST(turned_images_are_black_or_mirrored_where_nothing_was_seen)
{
    enum { ACROSS = 40, DOWN = 24, BYTES = 3 * ACROSS * DOWN };
    uint8_t black[BYTES], mirrored[BYTES];
    imiad_image *image, *wanted;
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_RGB8, ACROSS, DOWN));
    for (int y = 0; y < DOWN; ++y)
        for (int x = 0; x < 3 * ACROSS; ++x)
            image_row(image, y)[x] = (uint8_t)(100 + (7 * x + 13 * y) % 100);
    for (int angle = 0; angle < 345; angle += 15) {
        const augmentation a = {AUGMENT_ROTATION, {augment_value(angle)}};
        ck_ok(augment_image(&wanted, image, &a));
        turned(black, image, angle, false);
        turned(mirrored, image, angle, true);
        int dark = 0, alike = 0, inside = 0;
        for (int y = 0; y < DOWN; ++y)
            for (int x = 0; x < 3 * ACROSS; ++x) {
                int at = y * 3 * ACROSS + x;
                ck_assert_int_eq(black[at], image_row(wanted, y)[x]);
                ck_assert_int_ge(mirrored[at], 100);
                dark += black[at] == 0;
                inside += black[at] != 0;
                alike += black[at] != 0 && black[at] == mirrored[at];
            }
        ck_assert_int_eq(dark > 0, angle % 180 != 0);
        ck_assert_int_ge(alike, inside * 9 / 10); /* Pillow's sums round once in a while */
        imiad_image_free(wanted);
    }
    imiad_image_free(image);
}
END_TEST

/* ---- the detector ---- */

static double largest_difference(const seen *a, const seen *b)
{
    double worst = 0;
    for (size_t i = 0; i < a->count; ++i)
        worst = fmax(worst, fabs((double)a->scores[i] / (double)b->scores[i] - 1));
    return worst;
}

/* Two categories of a small product line. */
typedef struct two_tasks {
    product_line line;
    imiad_split *other;
} two_tasks;

static two_tasks open_tasks(const char *train)
{
    two_tasks t = {product_line_open("64", train, "2", "2", "unsupervised"), NULL};
    ck_ok(imiad_split_create(&t.other, t.line.dataset, imiad_dataset_category(t.line.dataset, 1),
                             "unsupervised", NULL, 0));
    return t;
}

static void close_tasks(two_tasks *t)
{
    imiad_split_free(t->other);
    product_line_close(&t->line);
}

static imiad_detector *taught(const two_tasks *t, const char *more_tasks, const imiad_split *first,
                              const imiad_split *second)
{
    const imiad_option option = {"more_tasks", more_tasks};
    imiad_detector *d = product_line_detector(&t->line, "subspacead", &option, 1);
    ck_ok(imiad_detector_fit(d, first, NULL, NULL));
    if (second)
        ck_ok(imiad_detector_fit_more(d, second, NULL, NULL));
    return d;
}

START_TEST(subspaces_of_tasks_stand_beside_each_other)
{
    two_tasks t = open_tasks("4");
    imiad_detector *one = taught(&t, "apart", t.line.split, NULL),
                   *other = taught(&t, "apart", t.other, NULL),
                   *both = taught(&t, "apart", t.line.split, t.other);
    seen *a = seen_of(one, t.other), *b = seen_of(other, t.other), *c = seen_of(both, t.other);
    int lower = 0;
    for (size_t i = 0; i < a->count; ++i)
        for (int j = 0; j < 64 * 64; ++j) {
            double most = fmin((double)a->maps[i][j], (double)b->maps[i][j]);
            ck_assert_double_le((double)c->maps[i][j], most * (1 + 1e-5));
            lower += (double)c->maps[i][j] < (double)a->maps[i][j];
        }
    ck_assert_int_gt(lower, 0);
    free(a), free(b), free(c);
    imiad_detector_free(one);
    imiad_detector_free(other);
    imiad_detector_free(both);
    close_tasks(&t);
}
END_TEST

START_TEST(a_merged_subspace_does_not_depend_on_the_order_and_goes_on_from_a_file)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    two_tasks t = open_tasks("4");
    imiad_detector *ab = taught(&t, "merged", t.line.split, t.other),
                   *ba = taught(&t, "merged", t.other, t.line.split),
                   *alone = taught(&t, "merged", t.line.split, NULL), *restored = NULL;
    ck_ok(imiad_detector_save(alone, path));
    ck_ok(imiad_detector_load(&restored, path, NULL));
    ck_ok(imiad_detector_fit_more(restored, t.other, NULL, NULL));
    seen *a = seen_of(ab, t.line.split), *b = seen_of(ba, t.line.split),
         *c = seen_of(restored, t.line.split), *d = seen_of(alone, t.line.split);
    ck_assert_double_lt(largest_difference(a, b), 1e-3);
    ck_assert_mem_eq(a, c, sizeof *a);
    ck_assert_double_gt(largest_difference(a, d), 1e-2);
    free(a), free(b), free(c), free(d);
    imiad_detector_free(ab);
    imiad_detector_free(ba);
    imiad_detector_free(alone);
    imiad_detector_free(restored);
    unlink(path);
    close_tasks(&t);
}
END_TEST

static seen *of_rotations(const product_line *l, const char *rotations, const char *up_to)
{
    const imiad_option options[] = {{"rotations", rotations}, {"rotate_up_to", up_to}};
    imiad_detector *d = product_line_detector(l, "subspacead", options, 2);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    seen *s = seen_of(d, l->split);
    imiad_detector_free(d);
    return s;
}

START_TEST(few_images_are_learned_with_turned_copies)
{
    product_line l = product_line_open("64", "3", "2", "2", "unsupervised");
    seen *without = of_rotations(&l, "0", "16"), *with = of_rotations(&l, "3", "16"),
         *again = of_rotations(&l, "3", "0"), *many = of_rotations(&l, "3", "2");
    ck_assert_mem_eq(with, again, sizeof *with);
    ck_assert_mem_eq(without, many, sizeof *without);
    ck_assert_double_gt(largest_difference(with, without), 1e-2);
    free(without), free(with), free(again), free(many);
    product_line_close(&l);
}
END_TEST

/* Whether the base smooths afterwards or not. */
START_TEST(an_image_is_scored_by_the_finished_map)
{
    product_line l = product_line_open("64", "3", "2", "2", "unsupervised");
    const imiad_option options[] = {{"smoothing", _i ? "2" : "0"}, {"top_share", "0.02"}};
    imiad_detector *d = product_line_detector(&l, "subspacead", options, 2);
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    seen *s = seen_of(d, l.split);
    for (size_t i = 0; i < s->count; ++i) {
        scope all = scope_begin();
        tensor *map = t_from(s->maps[i], 2, (int64_t[]){1, 64 * 64}, F32, CPU);
        double wanted = t_item(map_image_scores(map, "top", 0.02));
        ck_assert_double_lt(fabs((double)s->scores[i] / wanted - 1), 1e-6);
        ck_ok(scope_end(&all));
    }
    free(s);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(layers_are_chosen_by_the_backbone)
{
    static const struct {
        const char *backbone, *layers;
    } wanted[] = {{"resnet18", "layer2 layer3 "},
                  {"dinov2_vits14", "blocks.7 blocks.8 "},
                  {"efficientnet_lite0", "layer2 layer3 "}};
    for (int i = 0; i < 3; ++i) {
        char found[256] = "";
        imiad_backbone *backbone;
        imiad_detector *d;
        int count;
        ck_ok(imiad_backbone_create(&backbone, wanted[i].backbone, NULL));
        ck_ok(imiad_detector_create(&d, "subspacead", backbone, NULL, 0));
        const char *const *names = d->ops->layers(d, &count);
        for (int j = 0; j < count; ++j)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s ", names[j]);
        ck_assert_str_eq(found, wanted[i].layers);
        imiad_detector_free(d);
        imiad_backbone_free(backbone);
    }
}
END_TEST

START_TEST(options_that_do_not_go_together_are_refused_by_name)
{
    static const struct {
        const char *option, *value, *says;
    } wrong[] = {{"layers", "layer1+layer2", "put a comma between"},
                 {"layers", "layer9", "option layers"},
                 {"layers", "layer1,", "option layers"},
                 {"components", "384", "384 channels"}};
    imiad_backbone *backbone;
    imiad_detector *d = NULL;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        const imiad_option option = {wrong[i].option, wrong[i].value};
        imiad_status status = imiad_detector_create(&d, "subspacead", backbone, &option, 1);
        ck_assert_msg(status != IMIAD_OK, "%s=%s", wrong[i].option, wrong[i].value);
        ck_assert_msg(strstr(imiad_last_error(), wrong[i].says), "%s", imiad_last_error());
    }
    imiad_backbone_free(backbone);
}
END_TEST

SUITE("subspacead", LOOP_TEST(components_are_those_of_the_authors_code, 4),
      LOOP_TEST(scores_of_tokens_are_those_of_the_authors_code, 4),
      TEST(maps_and_image_scores_are_those_of_the_authors_code),
      TEST(a_share_of_few_pixels_is_one_pixel), TEST(a_share_that_is_reached_exactly_keeps_no_more),
      TEST(keeping_every_direction_is_refused),
      TEST(of_rows_that_are_all_the_same_the_distance_to_them_is_left),
      TEST(moments_are_those_of_the_definition_however_they_came),
      LOOP_TEST(the_scatter_is_right_at_any_width, 9),
      TEST(moving_and_turning_all_tokens_changes_no_score),
      TEST(turned_images_are_black_or_mirrored_where_nothing_was_seen),
      TEST(subspaces_of_tasks_stand_beside_each_other),
      TEST(a_merged_subspace_does_not_depend_on_the_order_and_goes_on_from_a_file),
      TEST(few_images_are_learned_with_turned_copies),
      LOOP_TEST(an_image_is_scored_by_the_finished_map, 2), TEST(layers_are_chosen_by_the_backbone),
      TEST(options_that_do_not_go_together_are_refused_by_name))
