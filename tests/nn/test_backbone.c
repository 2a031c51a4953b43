#include <math.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "image/preprocess.h"
#include "nn/backbone.h"
#include "relative_l2.h"

/* Smooth procedural images, different from one another: n x 3 x height x width. */
static float *test_images(int64_t n, int32_t height, int32_t width)
{
    size_t count = (size_t)(n * 3 * height * width);
    float *images = malloc(count * sizeof *images);
    for (size_t i = 0; i < count; ++i)
        images[i] = (float)sin(0.001 * (double)i + 0.3 * (double)(i % 17));
    return images;
}

static imiad_backbone *real_resnet18(const char *path)
{
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    imiad_backbone *b = NULL;
    options.weights = path;
    ck_ok(imiad_backbone_create(&b, "resnet18", &options));
    return b;
}

#define WEIGHTS "data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors"

/* torchvision's documented shapes: layer i has stride 2^(i+1); bottlenecks widen by 4. */
START_TEST(layers_have_torchvisions_shapes)
{
    static const struct {
        const char *name;
        int64_t channels[4];
    } cases[] = {{"resnet18", {64, 128, 256, 512}},
                 {"resnet34", {64, 128, 256, 512}},
                 {"resnet50", {256, 512, 1024, 2048}},
                 {"resnet101", {256, 512, 1024, 2048}},
                 {"wide_resnet50_2", {256, 512, 1024, 2048}}};
    ck_assert_str_eq(imiad_backbone_architecture((size_t)_i), cases[_i].name);
    imiad_backbone *b = NULL;
    ck_ok(imiad_backbone_create(&b, cases[_i].name, NULL));
    enum { HEIGHT = 70, WIDTH = 33 };
    float *images = test_images(1, HEIGHT, WIDTH);
    for (int i = 0; i < 4; ++i) {
        static const char *const layers[] = {"layer1", "layer2", "layer3", "layer4"};
        int64_t shape[3];
        ck_ok(imiad_backbone_shape(shape, b, layers[i], HEIGHT, WIDTH));
        ck_assert_int_eq(shape[0], cases[_i].channels[i]);
        int64_t height = HEIGHT, width = WIDTH;
        for (int halved = 0; halved < i + 2; ++halved) {
            height = (height + 1) / 2;
            width = (width + 1) / 2;
        }
        ck_assert_int_eq(shape[1], height);
        ck_assert_int_eq(shape[2], width);
        scope s = scope_begin();
        tensor *features, *input = t_from(images, 4, (int64_t[]){1, 3, HEIGHT, WIDTH}, F32, CPU);
        backbone_features(b, input, &layers[i], 1, &features);
        for (int d = 0; d < 3; ++d)
            ck_assert_int_eq(t_size(features, d + 1), shape[d]);
        ck_ok(scope_end(&s));
    }
    free(images);
    imiad_backbone_free(b);
}
END_TEST

START_TEST(random_weights_say_so_and_follow_the_seed)
{
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    enum { SIZE = 32, COUNT = 128 * 4 * 4 };
    float *images = test_images(1, SIZE, SIZE), features[3][COUNT];
    for (int i = 0; i < 3; ++i) {
        imiad_backbone *b = NULL;
        options.seed = i == 2 ? 12 : 11;
        ck_ok(imiad_backbone_create(&b, "resnet18", &options));
        ck_assert_str_eq(imiad_backbone_weights(b),
                         i == 2 ? "random weights, seed 12" : "random weights, seed 11");
        ck_assert_str_eq(imiad_backbone_digest(b), "");
        ck_ok(imiad_backbone_features(features[i], COUNT, b, "layer2", images, 1, SIZE, SIZE));
        imiad_backbone_free(b);
    }
    ck_assert_mem_eq(features[0], features[1], sizeof features[0]);
    ck_assert_double_gt(relative_l2(features[2], features[0], COUNT), 0.1);
    free(images);
}
END_TEST

/* One line of ../shared/golden/features.csv (torchvision's own network, fp32): limits of golden.md,
 * section 6: samples within 1e-4 of the layer's largest value, norms within 1e-5 relative. */
static void check_golden_line(char *line, const imiad_backbone *b, const float *images)
{
    char *field[64] = {NULL};
    int fields = 0;
    for (char *rest, *f = strtok_r(line, ",\n", &rest); f && fields < 64;
         f = strtok_r(NULL, ",\n", &rest))
        field[fields++] = f;
    ck_assert_int_ge(fields, 39);
    int64_t shape[3];
    ck_ok(imiad_backbone_shape(shape, b, field[1], 224, 224));
    size_t count = (size_t)(shape[0] * shape[1] * shape[2]);
    float *features = malloc(count * sizeof *features);
    ck_ok(imiad_backbone_features(features, count, b, field[1], images, 1, 224, 224));
    double norm = 0, largest = atof(field[6]);
    for (size_t i = 0; i < count; ++i)
        norm += (double)features[i] * (double)features[i];
    ck_assert_double_lt(fabs(sqrt(norm) / atof(field[5]) - 1), 1e-5);
    for (int i = 7; i + 1 < fields; i += 2)
        ck_assert_double_lt(fabs((double)features[atol(field[i])] - atof(field[i + 1])),
                            1e-4 * largest);
    free(features);
}

START_TEST(features_of_a_real_image_equal_torchvisions)
{
    char path[4096], golden[4096], line[4096];
    snprintf(path, sizeof path, "%s", SHARED("data/mvtec_ad/transistor/test/good/000.png"));
    snprintf(golden, sizeof golden, "%s", SHARED("golden/features.csv"));
    imiad_backbone *b = real_resnet18(SHARED(WEIGHTS));
    preprocessing p = {.resize = 256, .crop = 224};
    memcpy(p.mean, imagenet_mean, sizeof p.mean);
    memcpy(p.std, imagenet_std, sizeof p.std);
    imiad_image *image, *input;
    ck_ok(imiad_image_read(&image, path));
    ck_ok(preprocess_image(&input, image, &p));
    float *planes = malloc(3 * 224 * 224 * sizeof *planes);
    preprocess_normalize(planes, input, &p);
    FILE *file = fopen(golden, "r");
    int lines = 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "transistor_good_000_png256,", 27) == 0) {
            check_golden_line(line, b, planes);
            ++lines;
        }
    ck_assert_int_eq(lines, 3);
    fclose(file);
    free(planes);
    imiad_image_free(image);
    imiad_image_free(input);
    imiad_backbone_free(b);
}
END_TEST

START_TEST(missing_layers_matter_only_when_they_are_used)
{
    imiad_backbone *b = real_resnet18(SHARED(WEIGHTS));
    ck_assert_str_eq(imiad_backbone_digest(b),
                     "a5e0efdaa7e5373c76ed62763f3d45a060091185056b944fae15211371526f64");
    int64_t shape[3];
    ck_ok(imiad_backbone_shape(shape, b, "layer3", 224, 224));
    ck_fails(imiad_backbone_shape(shape, b, "layer4", 224, 224), IMIAD_MISMATCH,
             "layer4.0.conv1.weight");
    ck_fails(imiad_backbone_shape(shape, b, "layer5", 224, 224), IMIAD_UNKNOWN_OPTION,
             "no layer \"layer5\"");
    imiad_backbone_free(b);
}
END_TEST

START_TEST(weights_of_another_architecture_are_refused_by_name)
{
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    imiad_backbone *b = NULL;
    options.weights = SHARED(WEIGHTS);
    ck_fails(imiad_backbone_create(&b, "wide_resnet50_2", &options), IMIAD_MISMATCH,
             "layer1.0.conv1.weight is 64 x 64 x 3 x 3, the architecture needs 128 x 64 x 1 x 1");
    ck_fails(imiad_backbone_create(&b, "vgg12", &options), IMIAD_UNKNOWN_OPTION, "vgg12");
    options.weights = "/nowhere/weights.pth";
    ck_fails(imiad_backbone_create(&b, "resnet18", &options), IMIAD_NOT_FOUND, "/nowhere/weights");
    options.weights = NULL;
    options.device = "cuda:99";
    ck_fails(imiad_backbone_create(&b, "resnet18", &options), IMIAD_UNSUPPORTED, "cuda:99");
    options.device = NULL;
    options.precision = "int3";
    ck_fails(imiad_backbone_create(&b, "resnet18", &options), IMIAD_UNKNOWN_OPTION, "int3");
    ck_assert_ptr_null(b);
}
END_TEST

/* A state dict with one wrong thing in it. */
static void write_state_dict(const char *path, const char *extra, int64_t stem_kernel)
{
    static float values[64 * 3 * 7 * 7];
    weights_writer *w;
    ck_ok(weights_writer_create(&w));
    ck_ok(weights_writer_add(w, "conv1.weight", F32, 4,
                             (int64_t[]){64, 3, stem_kernel, stem_kernel}, values));
    static const char *const norm[] = {"bn1.weight", "bn1.bias", "bn1.running_mean",
                                       "bn1.running_var"};
    for (int i = 0; i < 4; ++i)
        ck_ok(weights_writer_add(w, norm[i], F32, 1, (int64_t[]){64}, values));
    if (extra)
        ck_ok(weights_writer_add(w, extra, F32, 1, (int64_t[]){64}, values));
    ck_ok(weights_writer_commit(w, path));
    weights_writer_free(w);
}

START_TEST(wrong_shapes_and_extra_weights_are_named)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    imiad_backbone *b = NULL;
    options.weights = path;
    write_state_dict(path, NULL, 5);
    ck_fails(imiad_backbone_create(&b, "resnet18", &options), IMIAD_MISMATCH,
             "conv1.weight is 64 x 3 x 5 x 5, the architecture needs 64 x 3 x 7 x 7");
    write_state_dict(path, "layer1.2.conv1.weight", 7);
    ck_fails(imiad_backbone_create(&b, "resnet18", &options), IMIAD_MISMATCH,
             "layer1.2.conv1.weight");
    write_state_dict(path, "fc.weight", 7);
    ck_ok(imiad_backbone_create(&b, "resnet18", &options));
    ck_fails(backbone_require(b, "layer1"), IMIAD_MISMATCH, "layer1.0.conv1.weight");
    ck_ok(backbone_require(b, "maxpool"));
    imiad_backbone_free(b);
    unlink(path);
}
END_TEST

/* conv then batch norm, computed apart by libtorch, against the folded convolution. */
START_TEST(folding_batch_norm_changes_nothing)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    scope s = scope_begin();
    tensor *kernel = t_normal(4, (int64_t[]){8, 5, 3, 3}, 0, 1, 1, "kernel", CPU);
    tensor *norm[4];
    for (int i = 0; i < 4; ++i)
        norm[i] = t_uniform(1, (int64_t[]){8}, 0.2, 2, (uint64_t)i, "norm", CPU);
    tensor *x = t_normal(4, (int64_t[]){2, 5, 9, 7}, 0, 1, 2, "x", CPU);
    weights_writer *w;
    ck_ok(weights_writer_create(&w));
    ck_ok(weights_writer_add(w, "net.c.weight", F32, 4, (int64_t[]){8, 5, 3, 3}, t_data(kernel)));
    static const char *const names[] = {"net.n.weight", "net.n.bias", "net.n.running_mean",
                                        "net.n.running_var"};
    for (int i = 0; i < 4; ++i)
        ck_ok(weights_writer_add(w, names[i], F32, 1, (int64_t[]){8}, t_data(norm[i])));
    ck_ok(weights_writer_commit(w, path));
    weights_writer_free(w);
    weights *file;
    ck_ok(weights_open(&file, path));
    unit c = {.kind = UNIT_CONVOLUTION,
              .name = "c",
              .norm = "n",
              .inputs = 5,
              .outputs = 8,
              .kernel = 3,
              .stride = 2,
              .padding = 1};
    const weights_source source = {file, "net.", &(const dialect){.name = "own"}};
    char missing[LONGEST_NAME];
    ck_assert(unit_present(&c, &source, missing));
    ck_ok(unit_load(&c, &source, CPU, F32));
    tensor *apart = t_batch_norm(t_conv2d(x, kernel, NULL, 2, 1, 1, 1), norm[0], norm[1], norm[2],
                                 norm[3], false, 0.1, 1e-5);
    tensor *difference = t_max_all(t_abs(t_sub(unit_run(&c, x, false), apart)));
    ck_assert_double_lt(t_item(difference), 1e-4 * t_item(t_max_all(t_abs(apart))));
    ck_ok(scope_end(&s));
    unit_free(&c);
    weights_free(file);
    unlink(path);
}
END_TEST

/* libtorch picks other kernels for other batch sizes: equal up to float32 rounding, which golden.md
 * measured as 8.7e-7 (relative L2 against float64). */
START_TEST(a_batch_gives_what_each_image_gives_alone)
{
    enum { SIZE = 64, COUNT = 256 * 4 * 4, IMAGES = 3 };
    imiad_backbone *b = NULL;
    ck_ok(imiad_backbone_create(&b, "resnet18", NULL));
    float *images = test_images(IMAGES, SIZE, SIZE);
    float together[IMAGES * COUNT], alone[COUNT];
    ck_ok(
        imiad_backbone_features(together, IMAGES * COUNT, b, "layer3", images, IMAGES, SIZE, SIZE));
    for (int i = 0; i < IMAGES; ++i) {
        ck_ok(imiad_backbone_features(alone, COUNT, b, "layer3", images + i * 3 * SIZE * SIZE, 1,
                                      SIZE, SIZE));
        ck_assert_double_lt(relative_l2(together + i * COUNT, alone, COUNT), 5e-6);
    }
    ck_fails(imiad_backbone_features(alone, COUNT - 1, b, "layer3", images, 1, SIZE, SIZE),
             IMIAD_INVALID_ARGUMENT, "needs 4096");
    free(images);
    imiad_backbone_free(b);
}
END_TEST

/* bfloat16 keeps 8 bits: a network of 13 convolutions stays within a few per cent. */
START_TEST(bfloat16_is_close_to_float32)
{
    enum { SIZE = 64, COUNT = 256 * 4 * 4 };
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    imiad_backbone *full = NULL, *half = NULL;
    ck_ok(imiad_backbone_create(&full, "resnet18", &options));
    options.precision = "bfloat16";
    ck_ok(imiad_backbone_create(&half, "resnet18", &options));
    ck_assert_str_eq(imiad_backbone_precision(half), "bfloat16");
    float *images = test_images(1, SIZE, SIZE), a[COUNT], b[COUNT];
    ck_ok(imiad_backbone_features(a, COUNT, full, "layer3", images, 1, SIZE, SIZE));
    ck_ok(imiad_backbone_features(b, COUNT, half, "layer3", images, 1, SIZE, SIZE));
    double error = relative_l2(b, a, COUNT);
    ck_assert_double_lt(error, 0.03);
    ck_assert_double_gt(error, 1e-5); /* otherwise it did not run in bfloat16 */
    free(images);
    imiad_backbone_free(full);
    imiad_backbone_free(half);
}
END_TEST

SUITE("backbone", LOOP_TEST(layers_have_torchvisions_shapes, 5),
      TEST(random_weights_say_so_and_follow_the_seed),
      TEST(features_of_a_real_image_equal_torchvisions),
      TEST(missing_layers_matter_only_when_they_are_used),
      TEST(weights_of_another_architecture_are_refused_by_name),
      TEST(wrong_shapes_and_extra_weights_are_named), TEST(folding_batch_norm_changes_nothing),
      TEST(a_batch_gives_what_each_image_gives_alone), TEST(bfloat16_is_close_to_float32))
