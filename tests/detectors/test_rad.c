/* RAD beside the authors' code (tests/golden/make_rad.py), and what its definition says. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "detectors/anomaly_map.h"
#include "detectors/detector.h"
#include "detectors/parts/image_gallery.h"
#include "detectors/parts/map_scores.h"
#include "formula.h"
#include "product_line.h"

#define GOLDEN "tests/golden/rad.csv"

enum { SIDE = 6, PLACES = SIDE * SIDE, CHANNELS = 16, LAYERS = 2, TRAIN = 5, TEST = 2 };
enum { PIXELS = 48, MOST_VALUES = 64 };

/* ---- the numbers that the script computes too ---- */

/* Of unit length. */
static void scale(float *vector)
{
    double square = 0;
    for (int c = 0; c < CHANNELS; ++c)
        square += (double)vector[c] * (double)vector[c];
    for (int c = 0; c < CHANNELS; ++c)
        vector[c] = (float)((double)vector[c] / sqrt(square));
}

static void make_patches(float *out, int layer, int image)
{
    for (int i = 0; i < PLACES * CHANNELS; ++i)
        out[i] = (float)(formula_noise((uint32_t)i, 100 * (uint32_t)layer + 1) +
                         0.5 * formula_noise((uint32_t)i,
                                             1000 * (uint32_t)(image + 1) + (uint32_t)layer));
    for (int p = 0; p < PLACES; ++p)
        scale(out + p * CHANNELS);
}

/* Of the last layer. */
static void make_whole(float *out, int image)
{
    for (int c = 0; c < CHANNELS; ++c)
        out[c] = (float)formula_noise((uint32_t)c, 7000 + 10 * (uint32_t)image + LAYERS - 1);
    scale(out);
}

typedef struct tokens {
    float patches[LAYERS][TRAIN * PLACES * CHANNELS], classes[TRAIN * CHANNELS];
} tokens;

static tokens *make_tokens(int first, int count)
{
    tokens *t = malloc(sizeof *t);
    for (int i = 0; i < count; ++i) {
        for (int layer = 0; layer < LAYERS; ++layer)
            make_patches(t->patches[layer] + i * PLACES * CHANNELS, layer, first + i);
        make_whole(t->classes + i * CHANNELS, first + i);
    }
    return t;
}

static image_gallery learned(gallery_index *index, imiad_storage storage)
{
    image_gallery g = {.layers = LAYERS,
                       .channels = {CHANNELS, CHANNELS},
                       .class_channels = CHANNELS,
                       .grid = {SIDE, SIDE}};
    tokens *t = make_tokens(0, TRAIN);
    ck_ok(image_gallery_open(&g, storage, TRAIN));
    ck_ok(image_gallery_add(&g, (const float *const[]){t->patches[0], t->patches[1]}, t->classes,
                            TRAIN, 0));
    ck_ok(gallery_index_create(index, &g));
    free(t);
    return g;
}

static int golden(double *out, const char *kind, const char *name, int image)
{
    char begin[64], line[4096];
    FILE *file = fopen(GOLDEN, "r");
    ck_assert_msg(file, "no %s: run from the checkout", GOLDEN);
    snprintf(begin, sizeof begin, "%s,%s,%d", kind, name, image);
    int count = 0;
    while (count == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, begin, strlen(begin)) == 0)
            for (char *at = line + strlen(begin); *at == ',' && count < MOST_VALUES;)
                out[count++] = strtod(at + 1, &at);
    fclose(file);
    ck_assert_msg(count > 0, "%s has no line %s", GOLDEN, begin);
    return count;
}

static const struct {
    const char *name;
    int64_t k, window;
    double ratio, shares[LAYERS];
} cases[] = {{"near", 2, 1, 0.01, {0.5, 0.5}},
             {"same", 5, 0, 0.01, {0.5, 0.5}},
             {"anywhere", 3, -1, 0, {0.5, 0.5}},
             {"weighted", 1, 2, 0.1, {0.25, 0.75}}};

/* TEST x PLACES */
static void score(float *out, int which, imiad_storage storage)
{
    gallery_index index;
    image_gallery g = learned(&index, storage);
    tokens *t = make_tokens(TRAIN, TEST);
    bool wanted[TEST * TRAIN];
    memset(wanted, true, sizeof wanted);
    for (int i = 0; i < TEST; ++i)
        ck_ok(
            image_gallery_alike(wanted + i * TRAIN, &g, t->classes + i * CHANNELS, cases[which].k));
    ck_ok(image_gallery_score(out, &g, &index, (const float *const[]){t->patches[0], t->patches[1]},
                              TEST, cases[which].window, cases[which].shares, wanted));
    free(t);
    image_gallery_free(&g);
    gallery_index_free(&index);
}

START_TEST(scores_maps_and_images_are_those_of_the_authors_code)
{
    float grid[TEST * PLACES];
    double wanted[MOST_VALUES];
    score(grid, _i, IMIAD_STORAGE_FLOAT32);
    scope s = scope_begin();
    tensor *maps = t_from(grid, 3, (int64_t[]){TEST, SIDE, SIDE}, F32, CPU);
    maps = t_contiguous(map_gaussian(map_upsample(maps, PIXELS, PIXELS), 5, 1, PAD_ZERO));
    tensor *pixels = t_view(maps, 2, (int64_t[]){TEST, PIXELS * PIXELS});
    double ratio = cases[_i].ratio;
    const float *values = t_data(pixels),
                *images = t_data(map_image_scores(pixels, ratio > 0 ? "top" : "max", ratio));
    ck_ok(t_status());
    for (int i = 0; i < TEST; ++i) {
        ck_assert_int_eq(golden(wanted, "grid", cases[_i].name, i), PLACES);
        for (int p = 0; p < PLACES; ++p)
            ck_assert_double_lt(fabs((double)grid[i * PLACES + p] - wanted[p]), 1e-6);
        int count = golden(wanted, "map", cases[_i].name, i);
        for (int j = 1; j < count; ++j)
            ck_assert_double_lt(
                fabs((double)values[i * PIXELS * PIXELS + (j - 1) * 97] - wanted[j]), 1e-6);
        golden(wanted, "score", cases[_i].name, i);
        ck_assert_double_lt(fabs((double)images[i] - wanted[0]), 1e-6);
    }
    ck_ok(scope_end(&s));
}
END_TEST

START_TEST(half_the_memory_moves_scores_by_little)
{
    float whole[TEST * PLACES], half[TEST * PLACES];
    score(whole, 0, IMIAD_STORAGE_FLOAT32);
    score(half, 0, IMIAD_STORAGE_FLOAT16);
    for (int p = 0; p < TEST * PLACES; ++p)
        ck_assert_double_lt(fabs((double)(whole[p] - half[p])), 5e-4);
    ck_assert_mem_ne(whole, half, sizeof whole);
}
END_TEST

/* ---- which images are alike ---- */

START_TEST(more_images_than_there_are_are_all_of_them_and_equal_ones_come_in_order)
{
    float classes[] = {1, 0, 0, 1, 1, 0, 0.6f, 0.8f};
    const float image[] = {1, 0};
    const image_gallery g = {.class_channels = 2, .images = 4, .classes = classes};
    bool wanted[] = {true, true, true, true};
    ck_ok(image_gallery_alike(wanted, &g, image, 9));
    ck_assert(wanted[0] && wanted[1] && wanted[2] && wanted[3]);
    ck_ok(image_gallery_alike(wanted, &g, image, 1));
    ck_assert(wanted[0] && !wanted[1] && !wanted[2] && !wanted[3]);
    bool allowed[] = {false, true, false, true};
    ck_ok(image_gallery_alike(allowed, &g, image, 1));
    ck_assert(!allowed[0] && !allowed[1] && !allowed[2] && allowed[3]);
}
END_TEST

/* ---- the detector ---- */

typedef struct seen {
    float scores[16];
    size_t count;
} seen;

static imiad_status keep(void *user, const imiad_scored *scored)
{
    seen *s = user;
    s->scores[s->count++] = scored->score;
    return IMIAD_OK;
}

static seen evaluate(imiad_detector *d, const imiad_split *split)
{
    seen s = {.count = 0};
    ck_ok(imiad_evaluate(NULL, d, split, NULL, keep, &s, NULL, NULL));
    return s;
}

static imiad_detector *fitted(const product_line *l, const imiad_option *options, size_t count,
                              const imiad_split *second)
{
    imiad_detector *d = product_line_detector(l, "rad", options, count);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    if (second)
        ck_ok(imiad_detector_fit_more(d, second, NULL, NULL));
    return d;
}

/* Routed to its own task, an image scores as before there was another. */
START_TEST(another_task_joins_and_routing_keeps_tasks_apart)
{
    product_line l = product_line_open("64", "5", "2", "2", "unsupervised");
    const imiad_option routed[] = {{"task_routing", "true"}};
    imiad_split *other;
    ck_ok(imiad_split_create(&other, l.dataset, "fabric", "unsupervised", NULL, 0));
    imiad_detector *one = fitted(&l, routed, 1, NULL), *both = fitted(&l, routed, 1, other),
                   *together = fitted(&l, NULL, 0, other);
    seen a = evaluate(one, l.split), b = evaluate(both, l.split), c = evaluate(together, l.split);
    for (size_t i = 0; i < a.count; ++i) {
        ck_assert(a.scores[i] == b.scores[i]);
        ck_assert_float_le(c.scores[i], a.scores[i]); /* more to be like */
    }
    char path[] = "/tmp/imiad-test-XXXXXX";
    imiad_detector *restored = NULL;
    close(mkstemp(path));
    ck_ok(imiad_detector_save(both, path));
    ck_ok(imiad_detector_load(&restored, path, NULL));
    c = evaluate(restored, l.split);
    ck_assert_mem_eq(b.scores, c.scores, sizeof b.scores);
    imiad_detector_free(one);
    imiad_detector_free(both);
    imiad_detector_free(together);
    imiad_detector_free(restored);
    imiad_split_free(other);
    unlink(path);
    product_line_close(&l);
}
END_TEST

START_TEST(a_window_over_the_grid_is_none_and_fewer_images_are_never_nearer)
{
    product_line l = product_line_open("64", "5", "2", "2", "unsupervised");
    const imiad_option off[] = {{"position_window", "-1"}}, wide[] = {{"position_window", "7"}},
                       few[] = {{"k_image", "1"}}, narrow[] = {{"position_window", "0"}};
    imiad_detector *detectors[] = {fitted(&l, off, 1, NULL), fitted(&l, wide, 1, NULL),
                                   fitted(&l, NULL, 0, NULL), fitted(&l, few, 1, NULL),
                                   fitted(&l, narrow, 1, NULL)};
    seen found[5];
    for (int i = 0; i < 5; ++i) {
        found[i] = evaluate(detectors[i], l.split);
        imiad_detector_free(detectors[i]);
    }
    ck_assert_mem_eq(&found[0], &found[1], sizeof found[0]);
    for (size_t i = 0; i < found[0].count; ++i) {
        ck_assert_float_ge(found[2].scores[i], found[0].scores[i]);
        ck_assert_float_ge(found[3].scores[i], found[2].scores[i]);
        ck_assert_float_ge(found[4].scores[i], found[2].scores[i]);
    }
    ck_assert_mem_ne(&found[2], &found[3], sizeof found[2]);
    product_line_close(&l);
}
END_TEST

/* Blocks 3, 6, 9 and 11 of 12; their tokens, and the class token, through the last norm. */
START_TEST(a_transformer_is_read_at_four_depths_through_its_last_norm)
{
    char found[256] = "";
    imiad_backbone *backbone;
    imiad_detector *d;
    imiad_image *image = formula_image(1, 56), *other = formula_image(2, 56);
    imiad_result result = IMIAD_RESULT_INIT;
    int count;
    const imiad_option options[] = {{"resize", "56"}, {"crop", "56"}};
    ck_ok(imiad_backbone_create(&backbone, "dinov2_vits14", NULL));
    ck_ok(imiad_detector_create(&d, "rad", backbone, options, 2));
    const char *const *names = d->ops->layers(d, &count);
    for (int i = 0; i < count; ++i)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s ", names[i]);
    ck_assert_str_eq(found, "blocks.3 blocks.6 blocks.9 blocks.11 blocks.11.cls_token norm ");
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
    ck_ok(imiad_detector_score(&result, d, image));
    ck_assert_double_lt(fabs((double)result.score), 1e-5); /* itself */
    ck_ok(imiad_detector_score(&result, d, other));
    ck_assert(result.score > 1e-4f && result.score < 2);
    imiad_image_free(image);
    imiad_image_free(other);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

START_TEST(weights_of_layers_are_checked_by_name)
{
    static const char *const wrong[] = {"1", "1,2,3", "1,-1", "0,0", "1,x", "1,", ",1"};
    product_line l = product_line_open("64", "5", "2", "2", "unsupervised");
    imiad_detector *d = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        const imiad_option option = {"layer_weights", wrong[i]};
        ck_fails(imiad_detector_create(&d, "rad", l.backbone, &option, 1), IMIAD_OUT_OF_RANGE,
                 "option layer_weights");
    }
    const imiad_option right = {"layer_weights", "0,2"}, class_token = {"layers", "layer9"};
    ck_ok(imiad_detector_create(&d, "rad", l.backbone, &right, 1));
    imiad_detector_free(d);
    ck_fails(imiad_detector_create(&d, "rad", l.backbone, &class_token, 1), IMIAD_UNKNOWN_OPTION,
             "option layers");
    product_line_close(&l);
}
END_TEST

SUITE("rad", LOOP_TEST(scores_maps_and_images_are_those_of_the_authors_code, 4),
      TEST(half_the_memory_moves_scores_by_little),
      TEST(more_images_than_there_are_are_all_of_them_and_equal_ones_come_in_order),
      TEST(another_task_joins_and_routing_keeps_tasks_apart),
      TEST(a_window_over_the_grid_is_none_and_fewer_images_are_never_nearer),
      TEST(a_transformer_is_read_at_four_depths_through_its_last_norm),
      TEST(weights_of_layers_are_checked_by_name))
