/* FAVAE against the public code, and what its options refuse. */
#include "detectors/detector.h"
#include "golden_steps.h"

#define GOLDEN "tests/golden/favae.csv" /* made by tests/golden/make_favae.py */

enum { TENSORS = 112 /* 18 convolutions and 6 of adaptors, two each; 16 norms, four each */ };

#define STEPS                                                                                      \
    {"epochs", "1"}, {"resize", "32"},                                                             \
    {                                                                                              \
        "train_batch", "2"                                                                         \
    }

/* Where no gradient but rounding's reaches: batch norm takes away what these add. */
static const char *const before_norms[] = {"encode.0.bias",  "encode.3.bias",
                                           "encode.6.bias",  "encode.9.bias",
                                           "encode.12.bias", "encode.15.bias",
                                           "encode.18.bias", "encode.21.bias",
                                           "decode.1.bias",  "decode.4.bias",
                                           "decode.7.bias",  "decode.13.bias",
                                           "decode.19.bias", NULL};

static const golden_training cases[] = {
    /* nothing moves but the running statistics: maps of given parameters */
    {"still",
     4,
     5,
     {STEPS, {"learning_rate", "0"}, {"input", "unit"}},
     {2, TENSORS, 3, 1e-5, 1e-5, 1e-4, NULL, 0}},
    /* the same of the IM-IAD code: normalised pixels, and maps whose rows alone are blurred */
    {"still_iad",
     4,
     5,
     {STEPS, {"learning_rate", "0"}, {"preset", "open_iad"}},
     {2, TENSORS, 3, 1e-5, 1e-5, 1e-4, NULL, 0}},
};

START_TEST(losses_statistics_and_maps_equal_the_public_code)
{
    static golden_case golden;
    const golden_training *c = &cases[_i];
    const char *root = SHARED("data/mvtec_ad/transistor");
    imiad_backbone *backbone;
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    b.device = test_device();
    ck_ok(imiad_backbone_create(&backbone, "vgg16", &b));
    golden_read(&golden, GOLDEN, c->name);
    imiad_detector *d = golden_fit("favae", backbone, c->options, c->count, root, c->images);
    golden_hold(&golden, d, root, "vae.", &c->limits);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* ---- steps in double precision ---- */

static void fill(train_step *step, tensor **frozen)
{
    const int64_t pixels[] = {2, 3, 32, 32};
    static const float mean[] = {0.485F, 0.456F, 0.406F}, deviation[] = {0.229F, 0.224F, 0.225F};
    const int64_t colours[] = {1, 3, 1, 1};
    for (int i = 0; i < 3; ++i)
        frozen[i] = golden_procedural((int64_t[]){2, 128 << i, 16 >> i, 16 >> i},
                                      (double)(step->index + i), F64);
    tensor *shown = t_mul_scalar(golden_procedural(pixels, 10 + (double)step->index, F64), 0.5);
    shown = t_sub(shown, t_from(mean, 4, colours, F32, CPU)); /* as a batch has them */
    step->pixels.images = t_div(shown, t_from(deviation, 4, colours, F32, CPU));
    step->count = 2;
}

/* From the values that a fit with a rate of 0 leaves, all but the running statistics. */
START_TEST(in_double_precision_ten_steps_differ_by_rounding_alone)
{
    static golden_case golden;
    const char *root = SHARED("data/mvtec_ad/transistor");
    static const imiad_option options[] = {STEPS, {"learning_rate", "0"}, {"input", "unit"}};
    imiad_backbone *backbone;
    int steps;
    ck_ok(imiad_backbone_create(&backbone, "vgg16", NULL));
    golden_read(&golden, GOLDEN, "procedural");
    imiad_detector *d = golden_fit("favae", backbone, options, 5, root, 2);
    training *t = d->state;
    params *first;
    ck_ok(params_clone(&first, t->stores[0].parameters));
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(first); ++i)
        if (params_at(first, i)->buffer)
            t_fill_(params_at(first, i)->value, strstr(params_at(first, i)->name, "_var") != NULL);
    ck_ok(scope_end(&s));
    t->rules[0].rate = 0.005;
    golden_train_double(t, first, 10, fill);
    double losses = golden_compare_losses(&golden, &steps);
    golden_parameters parameters = golden_compare_parameters(&golden, d, "vae.", before_norms);
    printf("in double: relative error of %d losses %.2g, of %d tensors %.2g, without those that "
           "only rounding moves %.2g\n",
           steps, losses, parameters.tensors, parameters.all, parameters.rest);
    ck_assert_int_eq(steps, 10);
    ck_assert_int_eq(parameters.tensors, TENSORS);
    ck_assert_double_lt(losses, 1e-6);
    ck_assert_double_lt(parameters.rest, 1e-5);
    params_free(first);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* ---- options ---- */

static imiad_status make(const imiad_option *options, size_t count)
{
    imiad_backbone *backbone;
    imiad_detector *d = NULL;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    imiad_status status = imiad_detector_create(&d, "favae", backbone, options, count);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
    return status;
}

START_TEST(options_that_do_not_fit_are_refused_by_name)
{
    const imiad_option odd[] = {{"resize", "40"}};
    const imiad_option oblong[] = {{"resize_mode", "shorter"}};
    const imiad_option idle[] = {{"epochs", "0"}};
    const imiad_option many[] = {{"layers", "maxpool,layer1,layer2,layer3"}};
    ck_fails(make(odd, 1), IMIAD_OUT_OF_RANGE, "multiple of 16");
    ck_fails(make(oblong, 1), IMIAD_OUT_OF_RANGE, "square");
    ck_fails(make(idle, 1), IMIAD_OUT_OF_RANGE, "initial");
    ck_fails(make(many, 1), IMIAD_OUT_OF_RANGE, "4 layers");
}
END_TEST

/* A saved detector's autoencoder, taken as it is: the same scores. */
START_TEST(initial_weights_without_an_epoch_score_as_their_detector)
{
    static const imiad_option data[] = {{"size", "64"}, {"train", "4"}};
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    imiad_image *images[4];
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, data, 2));
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    for (size_t i = 0; i < 4; ++i)
        ck_ok(imiad_dataset_read_image(&images[i], dataset, i));
    const imiad_option trained[] = {{"epochs", "1"}, {"resize", "32"}, {"train_batch", "4"}};
    const imiad_option taken[] = {{"epochs", "0"}, {"resize", "32"}, {"initial", path}};
    float found[2];
    for (int i = 0; i < 2; ++i) {
        imiad_detector *d;
        ck_ok(imiad_detector_create(&d, "favae", backbone, i ? taken : trained, 3));
        ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)images, 4, NULL, NULL));
        ck_ok(imiad_detector_score(&result, d, images[0]));
        found[i] = result.score;
        if (i == 0)
            ck_ok(imiad_detector_save(d, path));
        imiad_detector_free(d);
    }
    ck_assert_double_eq((double)found[0], (double)found[1]);
    for (size_t i = 0; i < 4; ++i)
        imiad_image_free(images[i]);
    imiad_backbone_free(backbone);
    imiad_dataset_free(dataset);
    unlink(path);
}
END_TEST

SUITE("favae", LOOP_TEST(losses_statistics_and_maps_equal_the_public_code, 2),
      TEST(in_double_precision_ten_steps_differ_by_rounding_alone),
      TEST(options_that_do_not_fit_are_refused_by_name),
      TEST(initial_weights_without_an_epoch_score_as_their_detector))
