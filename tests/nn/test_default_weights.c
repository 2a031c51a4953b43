/* The default weights: found by the environment, never taken for what they are not; and the layers
 * that detectors ask for by ResNet's names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "check_suite.h"
#include "detectors/detector.h"
#include "nn/network.h"

/* The file itself is nobody's to commit. A file of random weights stands in for it: for that path
 * alone the digest is said to be the published one. The program is linked with --wrap=file_digest.
 */
static char stand_in[64];

imiad_status __real_file_digest(char out[65], const char *path);
imiad_status __wrap_file_digest(char out[65], const char *path)
{
    if (!*stand_in || strcmp(path, stand_in) != 0)
        return __real_file_digest(out, path);
    strcpy(out, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db");
    return IMIAD_OK;
}

static void write_weights(const char *path, const params *store)
{
    weights_writer *w;
    ck_ok(weights_writer_create(&w));
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        tensor *t = t_contiguous(p->value);
        int64_t shape[4];
        for (int d = 0; d < t_rank(t); ++d)
            shape[d] = t_size(t, d);
        ck_ok(weights_writer_add(w, p->name, F32, t_rank(t), shape, t_data(t)));
    }
    ck_ok(weights_writer_commit(w, path));
    ck_ok(scope_end(&s));
    weights_writer_free(w);
}

/* Names the stand-in, whose layers end with layer2. */
static void write_stand_in(void)
{
    const architecture *a;
    const char *const layer = "blocks.2";
    params *store;
    network *n;
    ck_ok(architecture_find(&a, "efficientnet_lite0"));
    ck_ok(params_create(&store));
    ck_ok(network_create(&n, a, &layer, 1, store, "", 0, NULL, CPU));
    snprintf(stand_in, sizeof stand_in, "/tmp/imiad-stand-in-%d", (int)getpid());
    write_weights(stand_in, store);
    network_free(n);
    params_free(store);
    setenv("IMIAD_WEIGHTS", stand_in, 1);
}

static imiad_status create(imiad_backbone **out, const char *name, const char *file)
{
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    options.default_weights = 1;
    options.weights = file;
    return imiad_backbone_create(out, name, &options);
}

START_TEST(a_file_that_is_not_there_is_named_with_how_to_get_it)
{
    imiad_backbone *backbone;
    setenv("IMIAD_WEIGHTS", "/nowhere/weights.pth", 1);
    ck_fails(create(&backbone, NULL, NULL), IMIAD_NOT_FOUND, "/nowhere/weights.pth");
    unsetenv("IMIAD_WEIGHTS");
    setenv("XDG_CACHE_HOME", "/nowhere/cache", 1);
    ck_fails(create(&backbone, NULL, NULL), IMIAD_NOT_FOUND,
             "/nowhere/cache/imiad/efficientnet-lite0-57934424.pth");
    ck_fails(create(&backbone, NULL, NULL), IMIAD_NOT_FOUND, "quickstart.sh");
    setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored, says its specification */
    setenv("HOME", "/nowhere/home", 1);
    ck_fails(create(&backbone, NULL, NULL), IMIAD_NOT_FOUND,
             "/nowhere/home/.cache/imiad/efficientnet-lite0-57934424.pth");
}
END_TEST

START_TEST(another_file_is_not_taken_for_them)
{
    char path[64];
    imiad_backbone *backbone;
    snprintf(path, sizeof path, "/tmp/imiad-weights-%d.pth", (int)getpid());
    FILE *file = fopen(path, "w");
    fputs("not the weights", file);
    fclose(file);
    setenv("IMIAD_WEIGHTS", path, 1);
    ck_fails(create(&backbone, NULL, NULL), IMIAD_MISMATCH, "its SHA-256 is");
    unlink(path);
}
END_TEST

static const float lite_mean = 127.0f / 255, lite_deviation = 128.0f / 255;

START_TEST(they_come_with_their_architecture_colours_licence_and_training_data)
{
    imiad_backbone *backbone;
    float mean[3], deviation[3];
    write_stand_in();
    ck_ok(create(&backbone, NULL, NULL));
    ck_assert_str_eq(imiad_backbone_name(backbone), "efficientnet_lite0");
    ck_assert_ptr_nonnull(strstr(imiad_backbone_provenance(backbone), "ImageNet-1k"));
    ck_assert_ptr_nonnull(strstr(imiad_backbone_provenance(backbone), "Apache-2.0"));
    ck_ok(imiad_backbone_input(mean, deviation, backbone));
    for (int c = 0; c < 3; ++c) {
        ck_assert_float_eq_tol(mean[c], lite_mean, 1e-7f);
        ck_assert_float_eq_tol(deviation[c], lite_deviation, 1e-7f);
    }
    imiad_backbone_free(backbone);
    unlink(stand_in);
    *stand_in = '\0';
}
END_TEST

static float score_of(imiad_detector *d, const imiad_image *image)
{
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&result, d, image));
    return result.score;
}

START_TEST(a_saved_detector_keeps_their_colours_and_needs_their_file_no_more)
{
    static const imiad_option options[] = {{"layers", "layer2"}, {"resize", "32"}, {"crop", "32"}};
    imiad_backbone *backbone;
    imiad_detector *made, *again;
    imiad_image *image;
    char path[80];
    write_stand_in();
    ck_ok(create(&backbone, NULL, NULL));
    ck_ok(imiad_detector_create(&made, "patchcore", backbone, options, 3));
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_RGB8, 32, 32));
    for (size_t i = 0; i < image->stride * 32; ++i)
        image->pixels[i] = (uint8_t)(i * 37 % 251);
    ck_ok(
        imiad_detector_fit_images(made, (const imiad_image *const[]){image, image}, 2, NULL, NULL));
    snprintf(path, sizeof path, "%s.imiad", stand_in);
    ck_ok(imiad_detector_save(made, path));
    unlink(stand_in);
    *stand_in = '\0';
    ck_ok(imiad_detector_load(&again, path, "cpu"));
    unlink(path);
    for (int c = 0; c < 3; ++c) {
        ck_assert_float_eq_tol(again->preprocessing.mean[c], lite_mean, 1e-7f);
        ck_assert_float_eq_tol(again->preprocessing.std[c], lite_deviation, 1e-7f);
    }
    image->pixels[100] ^= 0xFF;
    ck_assert_float_eq(score_of(made, image), score_of(again, image));
    ck_assert_ptr_nonnull(
        strstr(imiad_backbone_provenance(imiad_detector_backbone(again)), "Apache-2.0"));
    imiad_image_free(image);
    imiad_detector_free(made);
    imiad_detector_free(again);
    imiad_backbone_free(backbone);
}
END_TEST

START_TEST(they_are_for_one_architecture_and_exclude_a_file)
{
    imiad_backbone *backbone;
    ck_fails(create(&backbone, "resnet18", NULL), IMIAD_MISMATCH, "efficientnet_lite0's");
    ck_fails(create(&backbone, NULL, "mine.pth"), IMIAD_INVALID_ARGUMENT, "mine.pth");
    ck_fails(imiad_backbone_create(&backbone, NULL, NULL), IMIAD_INVALID_ARGUMENT, "NULL");
}
END_TEST

START_TEST(nothing_is_claimed_of_other_weights)
{
    imiad_backbone *backbone;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    ck_assert_str_eq(imiad_backbone_provenance(backbone), "");
    imiad_backbone_free(backbone);
}
END_TEST

/* Blocks 4 and 10 of EfficientNet-Lite0 are what stands at 8 and 16 pixels. */
START_TEST(resnets_names_mean_the_last_layers_of_their_stride)
{
    static const char *const theirs[] = {"blocks.1", "blocks.2", "blocks.4", "blocks.6"};
    imiad_backbone *backbone;
    ck_ok(imiad_backbone_create(&backbone, "efficientnet_lite0", NULL));
    for (int i = 0; i < 4; ++i) {
        char layer[8];
        int64_t shape[3], expected[3];
        snprintf(layer, sizeof layer, "layer%d", i + 1);
        ck_ok(imiad_backbone_shape(shape, backbone, layer, 224, 224));
        ck_ok(imiad_backbone_shape(expected, backbone, theirs[i], 224, 224));
        ck_assert_mem_eq(shape, expected, sizeof shape);
        ck_assert_int_eq(shape[1], 56 >> i);
    }
    int64_t shape[3];
    ck_fails(imiad_backbone_shape(shape, backbone, "layer5", 224, 224), IMIAD_UNKNOWN_OPTION,
             "layer5");
    imiad_backbone_free(backbone);
}
END_TEST

SUITE("default_weights", TEST(a_file_that_is_not_there_is_named_with_how_to_get_it),
      TEST(another_file_is_not_taken_for_them),
      TEST(they_come_with_their_architecture_colours_licence_and_training_data),
      TEST(a_saved_detector_keeps_their_colours_and_needs_their_file_no_more),
      TEST(they_are_for_one_architecture_and_exclude_a_file),
      TEST(nothing_is_claimed_of_other_weights),
      TEST(resnets_names_mean_the_last_layers_of_their_stride))
