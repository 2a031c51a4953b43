/* IGD against the IM-IAD code, and its faster forms against plain ones. */
#include "detectors/detector.h"
#include "detectors/parts/ms_ssim.h"
#include "detectors/parts/resampling_block.h"
#include "golden_steps.h"

#define GOLDEN "tests/golden/igd.csv" /* made by tests/golden/make_igd.py */

enum { STEPS = 24 /* twelve of decoder and critic each */, TENSORS = 108 };

static double worst_of(const golden_line *l, const double *values, int count, int from)
{
    double worst = 0, largest = 0;
    for (int i = 0; i < count; ++i) {
        largest = fmax(largest, fabs(l->values[from + i]));
        worst = fmax(worst, fabs(values[i] - l->values[from + i]));
    }
    return worst / largest;
}

/* ---- MS-SSIM ---- */

static tensor *wave(int64_t height, int64_t width, bool second)
{
    int64_t count = 2 * 3 * height * width;
    double *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; ++i)
        values[i] = second ? sin(0.013 * (double)i + 0.3) + 0.2 * cos(0.37 * (double)i)
                           : sin(0.013 * (double)i);
    tensor *t = t_from(values, 4, (int64_t[]){2, 3, height, width}, F64, CPU);
    free(values);
    return t;
}

START_TEST(ms_ssim_and_its_gradient_are_the_public_ones)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "pairs");
    ck_assert_uint_eq(golden.count, 5);
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        long height, width;
        double samples[GOLDEN_SAMPLES];
        ck_assert_int_eq(sscanf(l->name, "%ldx%ld", &height, &width), 2);
        scope s = scope_begin_grad();
        tensor *a = wave(height, width, false), *b = wave(height, width, true);
        t_require_grad(b, true);
        tensor *value = t_mean_all(ms_ssim(a, b, 4.7579, NULL));
        t_backward(value);
        int64_t count = t_count(b);
        double *gradient = malloc((size_t)count * sizeof *gradient);
        t_read(t_contiguous(t_grad(b)), gradient, (size_t)count * sizeof *gradient);
        for (int j = 0; j < GOLDEN_SAMPLES; ++j)
            samples[j] = gradient[j * (count - 1) / (GOLDEN_SAMPLES - 1)];
        free(gradient);
        ck_assert_double_eq_tol(t_item(value), l->values[0], 1e-6);
        ck_assert_double_lt(worst_of(l, samples, GOLDEN_SAMPLES, 1), 1e-5);
        ck_ok(scope_end(&s));
    }
}
END_TEST

START_TEST(smaller_images_have_fewer_scales_whose_weights_sum_to_1)
{
    ck_assert_int_eq(ms_ssim_scales(256), 5);
    ck_assert_int_eq(ms_ssim_scales(161), 5);
    ck_assert_int_eq(ms_ssim_scales(160), 4);
    ck_assert_int_eq(ms_ssim_scales(64), 3);
    ck_assert_int_eq(ms_ssim_scales(10), 0);
    double sum = 0;
    for (int i = 0; i < 3; ++i)
        sum += ms_ssim_weight(i, 3);
    ck_assert_double_eq_tol(sum, 1, 1e-12);
    scope s = scope_begin();
    tensor *a = wave(64, 64, false);
    ck_assert_double_eq_tol(t_item(t_mean_all(ms_ssim(a, a, 4.7579, NULL))), 1, 1e-9);
    ck_ok(scope_end(&s));
}
END_TEST

/* Black against white has nothing in common with it at any scale. */
START_TEST(a_scale_without_likeness_has_no_gradient)
{
    scope s = scope_begin_grad();
    tensor *a = wave(64, 64, false), *b = t_mul_scalar(a, -1);
    b = t_detach(b);
    t_require_grad(b, true);
    tensor *value = t_mean_all(ms_ssim(a, b, 0.01, NULL));
    t_backward(value);
    ck_assert_double_eq(t_item(value), 0);
    ck_assert_double_eq(t_item(t_sum_all(t_abs(t_grad(b)))), 0);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- blocks ---- */

static double apart(tensor *a, tensor *b)
{
    return t_item(t_max_all(t_abs(t_sub(a, b)))) / t_item(t_max_all(t_abs(a)));
}

START_TEST(blocks_equal_their_plain_forms)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store, .seed = 1, .purpose = "test/"};
    up_block up = up_block_add(&b, "up", 4, 3);
    down_block down = down_block_add(&b, "down", 4, 3, 8);
    tensor *x = t_normal(4, (int64_t[]){2, 4, 8, 8}, 0, 1, 1, "test/x", CPU);
    tensor *y = t_relu(batch_norm_run(&up.norms[0], x, false));
    y = t_relu(batch_norm_run(&up.norms[1], conv2d_run(&up.convs[0], double_sides(y)), false));
    tensor *plain = t_add(conv2d_run(&up.shortcut, double_sides(x)), conv2d_run(&up.convs[1], y));
    ck_assert_double_lt(apart(plain, up_block_run(&up, x)), 1e-5);
    y = t_relu(layer_norm_run(&down.norms[0], x));
    y = t_relu(layer_norm_run(&down.norms[1], conv2d_run(&down.convs[0], y)));
    y = t_avg_pool2d(conv2d_run(&down.convs[1], y), 2, 2, 0, true);
    plain = t_add(conv2d_run(&down.shortcut, t_avg_pool2d(x, 2, 2, 0, true)), y);
    ck_assert_double_lt(apart(plain, down_block_run(&down, x)), 1e-5);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

/* ---- training ---- */

static const imiad_option steps[] = {{"preset", "open_iad"},
                                     {"width", "4"},
                                     {"resize", "256"},
                                     {"train_batch", "2"},
                                     {"epochs", "3"}};

START_TEST(three_epochs_equal_the_public_implementation)
{
    static golden_case golden;
    static const golden_limits limits = {STEPS, TENSORS, 0, 1e-4, 1e-3, 1, NULL, 0};
    const char *root = SHARED("data/mvtec_ad/transistor");
    imiad_backbone *backbone;
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    b.device = test_device();
    ck_ok(imiad_backbone_create(&backbone, "resnet18", &b));
    golden_read(&golden, GOLDEN, "open_iad");
    imiad_detector *d = golden_fit("igd", backbone, steps, 5, root, 8);
    golden_hold(&golden, d, root, "", &limits);
    int scored = 0;
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        char path[4200];
        imiad_image *image;
        imiad_result result = IMIAD_RESULT_INIT;
        if (strcmp(l->kind, "score") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", root, l->name);
        ck_ok(imiad_image_read(&image, path));
        ck_ok(imiad_detector_score(&result, d, image));
        ck_assert_double_eq_tol((double)result.score, l->values[0], 1e-5);
        imiad_image_free(image);
        ++scored;
    }
    ck_assert_int_eq(scored, 3);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* A second task moves centre and spread to its own images; the networks go on, as the losses show.
 */
START_TEST(another_task_goes_on_from_the_first)
{
    static const imiad_option data[] = {{"size", "64"}, {"train", "4"}};
    static const imiad_option small[] = {{"resize", "64"},
                                         {"width", "4"},
                                         {"train_batch", "2"},
                                         {"epochs", "4"},
                                         {"layer", "layer1"}};
    const char *const names[] = {"fabric", "hex_nut"};
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    imiad_detector *d;
    double centres[2];
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, data, 2));
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    ck_ok(imiad_detector_create(&d, "igd", backbone, small, 5));
    golden_steps = 0;
    imiad_set_log(golden_see, NULL);
    for (int i = 0; i < 2; ++i) {
        imiad_split *split;
        ck_ok(imiad_split_create(&split, dataset, names[i], "unsupervised", NULL, 0));
        ck_ok(i ? imiad_detector_fit_more(d, split, NULL, NULL)
                : imiad_detector_fit(d, split, NULL, NULL));
        imiad_split_free(split);
        const training *t = d->state;
        scope s = scope_begin();
        const param *centre = params_find(t->stores[0].parameters, "c");
        ck_assert_ptr_nonnull(centre);
        centres[i] = t_item(t_sum_all(centre->value));
        ck_ok(scope_end(&s));
    }
    imiad_set_log(NULL, NULL);
    ck_assert_int_eq(golden_steps, 32); /* decoder and critic in turn, of two steps an epoch */
    ck_assert_double_lt(golden_losses[16], golden_losses[0]);
    ck_assert_double_ne(centres[0], centres[1]);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
    imiad_dataset_free(dataset);
}
END_TEST

START_TEST(options_that_do_not_fit_are_refused_by_name)
{
    const imiad_option odd[] = {{"resize", "200"}}, oblong[] = {{"resize_mode", "shorter"}};
    const imiad_option lost[] = {{"layer", "layer9"}};
    imiad_backbone *backbone;
    imiad_detector *d = NULL;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    ck_fails(imiad_detector_create(&d, "igd", backbone, odd, 1), IMIAD_OUT_OF_RANGE,
             "multiple of 64");
    ck_fails(imiad_detector_create(&d, "igd", backbone, oblong, 1), IMIAD_OUT_OF_RANGE, "square");
    ck_fails(imiad_detector_create(&d, "igd", backbone, lost, 1), IMIAD_UNKNOWN_OPTION, "layer9");
    imiad_backbone_free(backbone);
}
END_TEST

SUITE("igd", TEST(ms_ssim_and_its_gradient_are_the_public_ones),
      TEST(smaller_images_have_fewer_scales_whose_weights_sum_to_1),
      TEST(a_scale_without_likeness_has_no_gradient), TEST(blocks_equal_their_plain_forms),
      TEST(three_epochs_equal_the_public_implementation), TEST(another_task_goes_on_from_the_first),
      TEST(options_that_do_not_fit_are_refused_by_name))
