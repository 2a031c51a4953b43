/* AnomalyDINO beside the authors' code (tests/golden/make_anomalydino.py), and what its definition
 * says. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "detectors/anomaly_map.h"
#include "detectors/detector.h"
#include "detectors/parts/foreground.h"
#include "detectors/parts/map_scores.h"
#include "detectors/parts/token_distances.h"
#include "detectors/parts/transformer.h"
#include "formula.h"
#include "image/pixels.h"
#include "image/turn.h"
#include "product_line.h"
#include "seen.h"

#define GOLDEN "tests/golden/anomalydino.csv"

enum { ROWS = 9, COLUMNS = 12, PLACES = ROWS * COLUMNS, CHANNELS = 16, TRAIN = 2, TEST = 2 };
enum { HEIGHT = 63, WIDTH = 84, MOST_VALUES = 256 };

/* ---- the numbers that the script computes too ---- */

static bool is_object(int which, int place)
{
    int y = place / COLUMNS, x = place % COLUMNS;
    if (which % 2 == 1)
        return x + y < 12;
    double u = (y - (ROWS - 1) / 2.0) / ROWS, v = (x - (COLUMNS - 1) / 2.0) / COLUMNS;
    return u * u + v * v < 0.08;
}

/* PLACES x CHANNELS */
static tensor *tokens(int which)
{
    float values[PLACES * CHANNELS];
    for (int i = 0; i < PLACES; ++i)
        for (int c = 0; c < CHANNELS; ++c) {
            uint32_t at = (uint32_t)(i * CHANNELS + c);
            double part =
                9 * (is_object(which, i) ? 1 : -1) + 3 * formula_noise((uint32_t)(i * CHANNELS), 3);
            values[at] = (float)(formula_noise(at, 10 + (uint32_t)which) +
                                 2 * formula_noise((uint32_t)c, 2) +
                                 part * formula_noise((uint32_t)c, 1) + formula_noise(at, 3));
        }
    return t_from(values, 2, (int64_t[]){PLACES, CHANNELS}, F32, CPU);
}

/* What is behind the fields of the line that begins so. */
static const char *golden_text(const char *begin)
{
    static char line[8192];
    FILE *file = fopen(GOLDEN, "r");
    ck_assert_msg(file, "no %s: run from the checkout", GOLDEN);
    bool found = false;
    while (!found && fgets(line, sizeof line, file))
        found = strncmp(line, begin, strlen(begin)) == 0 && line[strlen(begin)] == ',';
    fclose(file);
    ck_assert_msg(found, "%s has no line %s", GOLDEN, begin);
    return line + strlen(begin);
}

static int golden(double *out, const char *kind, const char *name, int image)
{
    char begin[64];
    int count = 0;
    snprintf(begin, sizeof begin, image < 0 ? "%s,%s" : "%s,%s,%d", kind, name, image);
    for (const char *at = golden_text(begin); *at == ',' && count < MOST_VALUES;) {
        char *end;
        out[count++] = strtod(at + 1, &end);
        at = end;
    }
    return count;
}

/* ---- the foreground ---- */

START_TEST(the_component_and_the_object_are_those_of_the_authors_code)
{
    static const char *const shapes[] = {"grid", "raster"};
    char name[8], begin[32];
    double wanted[MOST_VALUES];
    bool mask[PLACES];
    scope s = scope_begin();
    tensor *rows = tokens(_i);
    const double *values = t_data(foreground_component(rows));
    ck_ok(t_status());
    snprintf(name, sizeof name, "%d", _i);
    ck_assert_int_eq(golden(wanted, "component", name, -1), PLACES);
    for (int i = 0; i < PLACES; ++i)
        ck_assert_double_lt(fabs(values[i] - wanted[i]), 1e-6 * 40);
    for (int shape = 0; shape < 2; ++shape) {
        foreground_find(mask, rows, ROWS, COLUMNS, &(foreground_rule){10, shape == 1});
        snprintf(begin, sizeof begin, "mask,%d,%s", _i, shapes[shape]);
        const char *text = golden_text(begin) + 1;
        for (int i = 0; i < PLACES; ++i)
            ck_assert_msg(mask[i] == (text[i] == '1'), "%s, place %d", begin, i);
    }
    ck_ok(scope_end(&s));
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* A token in a corner, and two with a gap of two between: on the grid, and along the raster, where
 * the end of a row is beside the beginning of the next. */
START_TEST(the_object_grows_by_a_token_and_gaps_of_two_close)
{
    enum { SIDE = 6 };
    double component[SIDE * SIDE] = {0};
    bool mask[SIDE * SIDE];
    component[0] = component[2 * SIDE + 1] = component[2 * SIDE + 4] = -11;
    static const char *const grid = "111111"
                                    "111111"
                                    "111111"
                                    "111111"
                                    "000000"
                                    "000000",
                             *const raster = "110000"
                                             "000000"
                                             "111111"
                                             "000000"
                                             "000000"
                                             "000000";
    foreground_of_scores(mask, component, SIDE, SIDE, &(foreground_rule){10, false});
    for (int i = 0; i < SIDE * SIDE; ++i)
        ck_assert_msg(mask[i] == (grid[i] == '1'), "grid, place %d", i);
    foreground_of_scores(mask, component, SIDE, SIDE, &(foreground_rule){10, true});
    for (int i = 0; i < SIDE * SIDE; ++i)
        ck_assert_msg(mask[i] == (raster[i] == '1'), "raster, place %d", i);
}
END_TEST

/* ---- distances, maps, scores ---- */

static const struct {
    const char *name;
    int64_t neighbours;
    bool cosine, masks_test, masks_training;
} cases[] = {{"plain", 1, true, false, false},
             {"three", 3, true, false, false},
             {"l2", 2, false, false, false},
             {"masked", 1, true, true, false},
             {"both", 1, true, true, true}};

static const foreground_rule along_raster = {10, true};

static imiad_bank *learned(int which)
{
    imiad_bank *bank;
    bool shown[PLACES];
    ck_ok(imiad_bank_create(&bank, CHANNELS, 0));
    for (int i = 0; i < TRAIN; ++i) {
        tensor *given = tokens(i);
        const float *rows = t_data(cases[which].cosine ? t_normalize(given, 1) : given);
        memset(shown, true, sizeof shown);
        if (cases[which].masks_training)
            foreground_find(shown, given, ROWS, COLUMNS, &along_raster);
        ck_ok(t_status());
        for (int p = 0; p < PLACES; ++p)
            if (shown[p])
                ck_ok(imiad_bank_add(bank, rows + (ptrdiff_t)p * CHANNELS, 1));
    }
    return bank;
}

START_TEST(distances_maps_and_scores_are_those_of_the_authors_code)
{
    double wanted[MOST_VALUES];
    bool shown[PLACES];
    imiad_detector nowhere = {.device = CPU};
    scope s = scope_begin();
    imiad_bank *bank = learned(_i);
    const patch_memory m = {.bank = bank, .neighbours = cases[_i].neighbours, .window = -1};
    for (int i = 0; i < TEST; ++i) {
        float found[PLACES];
        tensor *given = tokens(TRAIN + i);
        const float *rows = t_data(cases[_i].cosine ? t_normalize(given, 1) : given);
        ck_ok(token_distances(found, &m, &nowhere, rows, 1, PLACES, cases[_i].cosine));
        if (cases[_i].masks_test)
            foreground_find(shown, given, ROWS, COLUMNS, &along_raster);
        for (int p = 0; p < PLACES && cases[_i].masks_test; ++p)
            found[p] = shown[p] ? found[p] : 0;
        double most = cases[_i].cosine ? 1 : 40; /* FAISS multiplies out squares of long rows */
        ck_assert_int_eq(golden(wanted, "tokens", cases[_i].name, i), PLACES);
        for (int p = 0; p < PLACES; ++p)
            ck_assert_double_lt(fabs((double)found[p] - wanted[p]), 1e-6 * most);
        tensor *map = t_from(found, 3, (int64_t[]){1, ROWS, COLUMNS}, F32, CPU);
        tensor *score = map_image_scores(t_view(map, 2, (int64_t[]){1, PLACES}), "top", 0.01);
        golden(wanted, "score", cases[_i].name, i);
        ck_assert_double_lt(fabs(t_item(score) - wanted[0]), 1e-6 * most);
        const float *values = t_data(map_smoothed(map_upsample(map, HEIGHT, WIDTH), 4));
        ck_ok(t_status());
        int count = golden(wanted, "map", cases[_i].name, i);
        for (int j = 1; j < count; ++j)
            ck_assert_double_lt(fabs((double)values[(j - 1) * 97] - wanted[j]), 1e-6 * most);
    }
    imiad_bank_free(bank);
    ck_ok(scope_end(&s));
}
END_TEST

static const imiad_bank *bank_of(const imiad_detector *d)
{
    const imiad_bank *bank;
    ck_ok(imiad_detector_bank(&bank, d));
    return bank;
}

/* ---- transformers ---- */

typedef struct vit_line {
    imiad_backbone *backbone;
    imiad_image *images[3];
} vit_line;

/* Drawing its weights takes longest: all tests share one network, which nobody frees. */
static vit_line vit_open(void)
{
    static imiad_backbone *network;
    if (!network)
        ck_ok(imiad_backbone_create(&network, "dinov2_vits14", NULL));
    vit_line v = {.backbone = network};
    for (int i = 0; i < 3; ++i)
        v.images[i] = formula_image(i + 1, 60);
    return v;
}

static void vit_close(vit_line *v)
{
    for (int i = 0; i < 3; ++i)
        imiad_image_free(v->images[i]);
}

static imiad_detector *made(const vit_line *v, const char *name, const char *value)
{
    const imiad_option options[] = {{"resize", "60"}, {"rotations", "1"}, {name, value}};
    imiad_detector *d = NULL;
    ck_ok(imiad_detector_create(&d, "anomalydino", v->backbone, options, name ? 3 : 2));
    return d;
}

static imiad_detector *taught(const vit_line *v, const char *name, const char *value)
{
    imiad_detector *d = made(v, name, value);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)v->images, 2, NULL, NULL));
    return d;
}

static float score_of(imiad_detector *d, const imiad_image *image)
{
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&result, d, image));
    return result.score;
}

/* Of 60 x 60 pixels 56 x 56 are looked at, four patches each way; the map is of all. */
START_TEST(what_was_learned_scores_nothing_and_the_edge_beyond_whole_patches_is_left_out)
{
    vit_line v = vit_open();
    imiad_detector *d = taught(&v, NULL, NULL);
    imiad_result result = IMIAD_RESULT_INIT;
    ck_assert_int_eq(imiad_bank_rows(bank_of(d)), 2 * 16);
    for (int i = 0; i < 2; ++i)
        ck_assert_float_lt(score_of(d, v.images[i]), 1e-6f);
    float before = score_of(d, v.images[2]);
    ck_assert_float_gt(before, 1e-4f);
    for (int y = 0; y < 60; ++y)
        for (int x = 0; x < 60; ++x)
            if (x >= 56 || y >= 56)
                memset(image_row(v.images[2], y) + 3 * x, 0, 3);
    ck_ok(imiad_detector_score(&result, d, v.images[2]));
    ck_assert_float_eq(result.score, before);
    ck_assert(result.width == 60 && result.height == 60);
    imiad_detector_free(d);
    vit_close(&v);
}
END_TEST

START_TEST(whole_patches_are_those_at_the_top_left)
{
    vit_line v = vit_open();
    imiad_backbone *other;
    ck_ok(imiad_backbone_create(&other, "resnet18", NULL));
    scope s = scope_begin();
    tensor *images = t_arange(450 * 463, F32, CPU);
    images = t_view(images, 4, (int64_t[]){1, 1, 450, 463});
    tensor *cut = transformer_whole_patches(&v.backbone->chain, images);
    ck_assert_int_eq(t_size(cut, 2), 448);
    ck_assert_int_eq(t_size(cut, 3), 462);
    const float *values = t_data(t_contiguous(cut));
    ck_assert_float_eq(values[0], 0);
    ck_assert_float_eq(values[462], 463);
    ck_assert_ptr_eq(transformer_whole_patches(&other->chain, images), images);
    ck_ok(scope_end(&s));
    imiad_backbone_free(other);
    vit_close(&v);
}
END_TEST

static void layers_of(char out[256], const imiad_detector *d)
{
    int count;
    const char *const *names = d->ops->layers(d, &count);
    *out = 0;
    for (int i = 0; i < count; ++i)
        snprintf(out + strlen(out), 256 - strlen(out), "%s ", names[i]);
}

START_TEST(tokens_pass_through_the_last_norm_once)
{
    char found[256];
    vit_line v = vit_open();
    imiad_detector *d = taught(&v, NULL, NULL), *last = taught(&v, "layers", "blocks.11"),
                   *two = taught(&v, "layers", "blocks.7,norm");
    layers_of(found, d);
    ck_assert_str_eq(found, "norm ");
    layers_of(found, two);
    ck_assert_str_eq(found, "blocks.7 norm norm ");
    ck_assert_float_eq(score_of(d, v.images[2]), score_of(last, v.images[2]));
    ck_assert_float_ne(score_of(d, v.images[2]), score_of(two, v.images[2]));
    ck_assert_int_eq(imiad_bank_dimension(bank_of(two)), 2 * 384);
    imiad_detector_free(d);
    imiad_detector_free(last);
    imiad_detector_free(two);
    vit_close(&v);
}
END_TEST

/* No token exceeds so high a threshold. */
START_TEST(an_image_without_an_object_scores_nothing_and_teaches_nothing)
{
    vit_line v = vit_open();
    const imiad_option options[] = {{"resize", "60"},
                                    {"rotations", "1"},
                                    {"foreground_threshold", "1e9"},
                                    {"foreground", "test"}},
                       both = {"foreground", "both"};
    imiad_detector *d = NULL;
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_create(&d, "anomalydino", v.backbone, options, 4));
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)v.images, 2, NULL, NULL));
    ck_ok(imiad_detector_score(&result, d, v.images[2]));
    ck_assert_float_eq(result.score, 0);
    for (int i = 0; i < 60 * 60; ++i)
        ck_assert_float_eq(result.map[i], 0);
    imiad_detector_free(d);
    const imiad_option hidden[] = {options[0], options[1], options[2], both};
    ck_ok(imiad_detector_create(&d, "anomalydino", v.backbone, hidden, 4));
    ck_fails(imiad_detector_fit_images(d, (const imiad_image *const *)v.images, 2, NULL, NULL),
             IMIAD_OUT_OF_RANGE,
             "0 tokens were learned of the foreground, fewer than neighbours 1");
    imiad_detector_free(d);
    const imiad_option windowed[] = {both, {"position_window", "0"}};
    ck_fails(imiad_detector_create(&d, "anomalydino", v.backbone, windowed, 2),
             IMIAD_INVALID_ARGUMENT, "position_window expects a row at every place");
    vit_close(&v);
}
END_TEST

START_TEST(a_foreground_needs_a_transformer)
{
    product_line l = product_line_open("64", "3", "2", "2", "unsupervised");
    const imiad_option own = {"foreground", "test"}, of_subspace = {"foreground", "pca"};
    imiad_detector *d = NULL;
    ck_fails(imiad_detector_create(&d, "anomalydino", l.backbone, &own, 1), IMIAD_INVALID_ARGUMENT,
             "needs a transformer's tokens, not resnet18");
    ck_fails(imiad_detector_create(&d, "subspacead", l.backbone, &of_subspace, 1),
             IMIAD_INVALID_ARGUMENT, "needs a transformer's tokens, not resnet18");
    product_line_close(&l);
}
END_TEST

/* SubspaceAD takes the same rule, on the grid. */
START_TEST(a_subspace_scores_nothing_outside_the_object)
{
    vit_line v = vit_open();
    const imiad_option options[] = {{"resize", "56"},
                                    {"crop", "56"},
                                    {"blur", "none"},
                                    {"foreground", "pca"},
                                    {"foreground_threshold", "1e9"}};
    float of_image[2];
    for (int i = 0; i < 2; ++i) {
        imiad_detector *d = NULL;
        ck_ok(imiad_detector_create(&d, "subspacead", v.backbone, options, i ? 5 : 3));
        ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)v.images, 2, NULL, NULL));
        of_image[i] = score_of(d, v.images[2]);
        imiad_detector_free(d);
    }
    ck_assert_float_gt(of_image[0], 0);
    ck_assert_float_eq(of_image[1], 0);
    vit_close(&v);
}
END_TEST

/* ---- turned copies ---- */

/* Not square, and larger than what the network sees. */
static imiad_image *wide_image(void)
{
    imiad_image *image;
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_RGB8, 150, 110));
    for (int y = 0; y < 110; ++y)
        for (int x = 0; x < 3 * 150; ++x)
            image_row(image, y)[x] = (uint8_t)(x * 7 + y * 3 + (x / 40) * (y / 30) * 19);
    return image;
}

static imiad_detector *of_rotations(const product_line *l, const char *rotations,
                                    const imiad_image *const *images, size_t count)
{
    const imiad_option options[] = {{"rotations", rotations}, {"crop", "0"}};
    imiad_detector *d = product_line_detector(l, "anomalydino", options, 2);
    ck_ok(imiad_detector_fit_images(d, images, count, NULL, NULL));
    return d;
}

START_TEST(images_are_turned_before_they_are_resized)
{
    product_line l = product_line_open("64", "3", "2", "2", "unsupervised");
    imiad_image *image = wide_image(), *turned;
    ck_ok(image_turn_smoothly(&turned, image, 180));
    const imiad_image *both[] = {image, turned};
    imiad_detector *a = of_rotations(&l, "2", both, 1), *b = of_rotations(&l, "1", both, 2);
    const imiad_bank *found = bank_of(a), *wanted = bank_of(b);
    ck_assert_int_eq(imiad_bank_rows(found), imiad_bank_rows(wanted));
    ck_assert_mem_eq(imiad_bank_data(found), imiad_bank_data(wanted),
                     (size_t)(imiad_bank_rows(found) * imiad_bank_dimension(found)) *
                         sizeof(float));
    imiad_detector_free(a);
    imiad_detector_free(b);
    imiad_image_free(image);
    imiad_image_free(turned);
    product_line_close(&l);
}
END_TEST

static imiad_detector *fitted(const product_line *l, const imiad_option *options, size_t count,
                              const imiad_split *second)
{
    imiad_detector *d = product_line_detector(l, "anomalydino", options, count);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    if (second)
        ck_ok(imiad_detector_fit_more(d, second, NULL, NULL));
    return d;
}

START_TEST(few_images_are_learned_at_eight_angles_and_many_as_they_are)
{
    product_line l = product_line_open("64", "3", "2", "2", "unsupervised");
    const imiad_option few = {"rotate_up_to", "2"}, official = {"preset", "official"};
    imiad_detector *d = fitted(&l, NULL, 0, NULL), *many = fitted(&l, &few, 1, NULL),
                   *any = fitted(&l, &official, 1, NULL);
    ck_assert_int_eq(imiad_bank_rows(bank_of(d)), 3 * 8 * 64);
    ck_assert_int_eq(imiad_bank_rows(bank_of(many)), 3 * 64);
    ck_assert_int_eq(imiad_bank_rows(bank_of(any)), 3 * 8 * 64);
    ck_assert_str_eq(options_text(any->options, "rotate_up_to"), "0");
    imiad_detector_free(d);
    imiad_detector_free(many);
    imiad_detector_free(any);
    product_line_close(&l);
}
END_TEST

START_TEST(another_task_joins_and_a_forgotten_image_leaves_with_its_copies)
{
    product_line l = product_line_open("64", "3", "2", "2", "unsupervised");
    imiad_split *other;
    int64_t removed;
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_split_create(&other, l.dataset, "fabric", "unsupervised", NULL, 0));
    imiad_detector *one = fitted(&l, NULL, 0, NULL), *both = fitted(&l, NULL, 0, other),
                   *restored = NULL;
    seen *a = seen_of(one, l.split), *b = seen_of(both, l.split);
    ck_assert_int_eq(imiad_bank_rows(bank_of(both)), 6 * 8 * 64);
    for (size_t i = 0; i < a->count; ++i)
        ck_assert_float_le(b->scores[i], a->scores[i]);
    ck_ok(imiad_detector_save(both, path));
    ck_ok(imiad_detector_load(&restored, path, NULL));
    for (int64_t image = 3; image < 6; ++image) {
        ck_ok(imiad_detector_forget(restored, image, &removed));
        ck_assert_int_eq(removed, 8 * 64);
    }
    seen *c = seen_of(restored, l.split);
    ck_assert_mem_eq(a, c, sizeof *a);
    free(a), free(b), free(c);
    imiad_detector_free(one);
    imiad_detector_free(both);
    imiad_detector_free(restored);
    imiad_split_free(other);
    unlink(path);
    product_line_close(&l);
}
END_TEST

/* ---- options ---- */

START_TEST(options_change_what_they_say)
{
    static const imiad_option changes[] = {{"metric", "l2"},         {"neighbours", "3"},
                                           {"coreset_ratio", "0.1"}, {"position_window", "0"},
                                           {"top_share", "0.5"},     {"interpolation", "bilinear"},
                                           {"storage", "bfloat16"},  {"layers", "layer3"}};
    product_line l = product_line_open("96", "2", "2", "2", "unsupervised");
    const imiad_option usual[] = {{"rotations", "1"}, {"layers", "layer1"}};
    imiad_detector *without = fitted(&l, usual, 2, NULL);
    seen *a = seen_of(without, l.split);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; ++i) {
        const imiad_option options[] = {usual[0], usual[1], changes[i]};
        imiad_detector *d = fitted(&l, options, 3, NULL);
        seen *b = seen_of(d, l.split);
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

START_TEST(more_neighbours_than_tokens_are_refused)
{
    product_line l = product_line_open("64", "1", "2", "2", "unsupervised");
    const imiad_option options[] = {{"rotations", "1"}, {"neighbours", "65"}};
    imiad_detector *d = product_line_detector(&l, "anomalydino", options, 2);
    ck_fails(imiad_detector_fit(d, l.split, NULL, NULL), IMIAD_OUT_OF_RANGE,
             "64 tokens were learned, fewer than neighbours 65");
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

SUITE("anomalydino", LOOP_TEST(the_component_and_the_object_are_those_of_the_authors_code, 4),
      TEST(the_object_grows_by_a_token_and_gaps_of_two_close),
      LOOP_TEST(distances_maps_and_scores_are_those_of_the_authors_code, 5),
      TEST(what_was_learned_scores_nothing_and_the_edge_beyond_whole_patches_is_left_out),
      TEST(whole_patches_are_those_at_the_top_left), TEST(tokens_pass_through_the_last_norm_once),
      TEST(an_image_without_an_object_scores_nothing_and_teaches_nothing),
      TEST(a_foreground_needs_a_transformer), TEST(a_subspace_scores_nothing_outside_the_object),
      TEST(images_are_turned_before_they_are_resized),
      TEST(few_images_are_learned_at_eight_angles_and_many_as_they_are),
      TEST(another_task_joins_and_a_forgotten_image_leaves_with_its_copies),
      TEST(options_change_what_they_say), TEST(more_neighbours_than_tokens_are_refused))
