/* The default weights: found by the environment, never taken for what they are not; and the layers
 * that detectors ask for by ResNet's names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "imiad/imiad.h"

static imiad_status create(imiad_backbone **out, const char *architecture, const char *weights)
{
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    options.default_weights = 1;
    options.weights = weights;
    return imiad_backbone_create(out, architecture, &options);
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
      TEST(they_are_for_one_architecture_and_exclude_a_file),
      TEST(nothing_is_claimed_of_other_weights),
      TEST(resnets_names_mean_the_last_layers_of_their_stride))
