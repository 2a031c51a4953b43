/* What the base makes of an algorithm, told by one that exists only here: how far an image is from
 * the mean training image, without a backbone. */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "bridge/tensor.h"
#include "check_suite.h"
#include "data/split.h"
#include "detectors/detector.h"
#include "imiad/imiad.h"

enum { IMAGES = 3, SIZE = 16 };

typedef struct plain {
    tensor *mean; /* 1 x 3 x h x w, kept */
} plain;

static imiad_status create(imiad_detector *self)
{
    return IMIAD_OK;
}

static void destroy(imiad_detector *self)
{
    t_free(((plain *)self->state)->mean);
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    plain *m = self->state;
    batch b;
    t_free(m->mean);
    m->mean = NULL;
    scope s = scope_begin();
    if (train_set_next(normals, &b)) /* all of them: there are fewer than a batch holds */
        m->mean = t_keep(t_mean(b.images, 0, true));
    return scope_end(&s);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const plain *m = self->state;
    out->maps = t_sum(t_square(t_sub(b->images, m->mean)), 1, false);
}

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    return weights_writer_add_tensor(writer, "mean", ((const plain *)self->state)->mean);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    return weights_load_tensor(&((plain *)self->state)->mean, file, "mean", detector_device(self));
}

static const detector_ops plain_ops = {
    .name = "plain",
    .title = "Distance to the mean image",
    .state_size = sizeof(plain),
    .create = create,
    .fit = fit,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
};

static const imiad_option small[] = {{"resize", "16"}, {"crop", "16"}, {"smoothing", "0"}};

static uint8_t pixels[IMAGES][SIZE * SIZE * 3];
static imiad_image images[IMAGES];
static const imiad_image *pointers[IMAGES];

static void draw_images(void)
{
    for (int i = 0; i < IMAGES; ++i) {
        for (int at = 0; at < SIZE * SIZE * 3; ++at)
            pixels[i][at] = (uint8_t)(at * (3 + i) + 40 * i);
        images[i] =
            (imiad_image){sizeof *images, IMIAD_PIXEL_RGB8, SIZE, SIZE, 3 * SIZE, pixels[i]};
        pointers[i] = &images[i];
    }
}

static imiad_detector *fitted(const detector_ops *ops, imiad_backbone *backbone)
{
    imiad_detector *d = NULL;
    draw_images();
    ck_ok(detector_create(&d, ops, backbone, small, 3));
    ck_ok(imiad_detector_fit_images(d, pointers, IMAGES, NULL, NULL));
    return d;
}

/* ---- without a backbone ---- */

START_TEST(a_backbone_that_is_not_needed_is_not_kept)
{
    imiad_backbone *backbone;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    imiad_detector *d = fitted(&plain_ops, backbone);
    imiad_backbone_free(backbone);
    ck_assert_ptr_null(d->backbone);
    ck_assert(!detector_device(d).cuda);
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));

    weights *file;
    imiad_detector *again = NULL;
    ck_ok(weights_open(&file, path));
    unlink(path);
    ck_assert_ptr_null(weights_metadata(file, "backbone"));
    ck_assert_uint_eq(weights_count(file), 1);
    ck_ok(detector_create(&again, &plain_ops, NULL, small, 3));
    ck_ok(again->ops->load(again, file));
    again->fitted = true;
    weights_free(file);
    for (int i = 0; i < IMAGES; ++i) {
        imiad_result a = IMIAD_RESULT_INIT, b = IMIAD_RESULT_INIT;
        ck_ok(imiad_detector_score(&a, d, &images[i]));
        ck_ok(imiad_detector_score(&b, again, &images[i]));
        ck_assert_float_gt(a.score, 0);
        ck_assert_mem_eq(a.map, b.map, SIZE * SIZE * sizeof *a.map);
    }
    imiad_detector_free(d);
    imiad_detector_free(again);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(a_split_without_normal_images_trains_nothing)
{
    const imiad_split empty = {0};
    imiad_detector *d = fitted(&plain_ops, NULL);
    ck_fails(imiad_detector_fit(d, &empty, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "no normal training images");
    imiad_detector_free(d);
}
END_TEST

START_TEST(without_a_backbone_the_device_is_an_option)
{
    detector_ops ops = plain_ops;
    imiad_detector *d = NULL;
    imiad_option options[] = {{"resize", "16"}, {"crop", "16"}, {"device", "cpu"}};
    ck_fails(detector_create(&d, &ops, NULL, options, 3), IMIAD_UNKNOWN_OPTION, "device");
    ops.own_device = true;
    ck_ok(detector_create(&d, &ops, NULL, options, 3));
    ck_assert(!detector_device(d).cuda);
    imiad_detector_free(d);
    options[2].value = "gpu";
    ck_fails(detector_create(&d, &ops, NULL, options, 3), IMIAD_OUT_OF_RANGE,
             "it must be cpu, cuda");
}
END_TEST

/* ---- what score returns ---- */

typedef struct given {
    int rank; /* 0: none */
    int64_t shape[4];
    dtype type;
} given;

static const struct {
    given maps, image;
    const char *text; /* NULL: fine */
} returned[] = {
    {{3, {IMAGES, 4, 5}, F32}, {0}, NULL},
    {{0}, {1, {IMAGES}, F32}, NULL},
    {{3, {IMAGES, SIZE, SIZE}, F32}, {1, {IMAGES}, F32}, NULL},
    {{0}, {0}, "detector returns gave neither maps nor image scores"},
    {{3, {1, 4, 5}, F32}, {0}, "gave maps of [1, 4, 5] in float32 for 3 images: want 3 x h x w in"},
    {{3, {48, 4, 5}, F32}, {0}, "maps of [48, 4, 5] in float32 for 3 images"},
    {{4, {IMAGES, 1, 4, 5}, F32}, {0}, "maps of [3, 1, 4, 5] in float32"},
    {{2, {IMAGES, 16}, F32}, {0}, "maps of [3, 16] in float32"},
    {{3, {IMAGES, 4, 5}, F64}, {0}, "maps of [3, 4, 5] in float64"},
    {{3, {IMAGES, SIZE, SIZE}, BOOL}, {0}, "maps of [3, 16, 16] in bool"},
    {{0}, {1, {2}, F32}, "gave image scores of [2] in float32 for 3 images: want 3 in float32"},
    {{0}, {2, {IMAGES, 1}, F32}, "image scores of [3, 1] in float32"},
    {{0}, {1, {IMAGES}, F64}, "image scores of [3] in float64"},
    {{3, {IMAGES, 4, 5}, F32}, {1, {IMAGES}, I64}, "image scores of [3] in int64"},
};
enum { RETURNED = sizeof returned / sizeof *returned };
static int current;

static tensor *make(const given *g)
{
    return g->rank ? t_zeros(g->rank, g->shape, g->type, CPU) : NULL;
}

static void score_as_given(imiad_detector *self, const batch *b, scores *out)
{
    *out = (scores){make(&returned[current].maps), make(&returned[current].image)};
}

START_TEST(scores_of_other_shapes_and_types_are_refused)
{
    detector_ops ops = plain_ops;
    ops.name = "returns";
    ops.score = score_as_given;
    current = _i;
    imiad_detector *d = fitted(&ops, NULL);
    map_buffer maps = {NULL, 0};
    outcome out[IMAGES];
    if (returned[_i].text)
        ck_fails(detector_score_images(out, d, pointers, IMAGES, &maps), IMIAD_INTERNAL,
                 returned[_i].text);
    else
        ck_ok(detector_score_images(out, d, pointers, IMAGES, &maps));
    free(maps.values);
    imiad_detector_free(d);
}
END_TEST

/* ---- members ---- */

static const struct {
    const char *name;
    size_t offset, size;
} members[] = {
#define MEMBER(name)                                                                               \
    {                                                                                              \
#name, offsetof(detector_ops, name), sizeof plain_ops.name                                 \
    }
    MEMBER(title), MEMBER(state_size), MEMBER(create), MEMBER(fit),
    MEMBER(score), MEMBER(save),       MEMBER(load),   MEMBER(destroy),
};
enum { MEMBERS = sizeof members / sizeof *members };

START_TEST(a_missing_member_is_named)
{
    detector_ops ops = plain_ops;
    imiad_detector *d = NULL;
    char text[64];
    memset((char *)&ops + members[_i].offset, 0, members[_i].size);
    snprintf(text, sizeof text, "detector plain: its detector_ops has no %s", members[_i].name);
    ck_fails(detector_create(&d, &ops, NULL, small, 3), IMIAD_INTERNAL, text);
    ck_assert_ptr_null(d);
}
END_TEST

START_TEST(layers_may_be_missing_only_without_a_backbone)
{
    detector_ops ops = plain_ops;
    imiad_detector *d = NULL;
    ops.needs_backbone = true;
    ck_fails(detector_create(&d, &ops, NULL, small, 3), IMIAD_INTERNAL, "has no layers");
    ck_assert_ptr_null(d);
}
END_TEST

SUITE("detector-base", TEST(a_backbone_that_is_not_needed_is_not_kept),
      TEST(a_split_without_normal_images_trains_nothing),
      TEST(without_a_backbone_the_device_is_an_option),
      LOOP_TEST(scores_of_other_shapes_and_types_are_refused, RETURNED),
      LOOP_TEST(a_missing_member_is_named, MEMBERS),
      TEST(layers_may_be_missing_only_without_a_backbone))
