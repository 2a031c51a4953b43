/* PatchCore from image files to metrics, beside its physical floor: the backbone's own forward pass
 * on images that lie in memory, and the rate at which this processor multiplies and adds.
 *
 *     bench-patchcore [--backbone wide_resnet50_2] [--ratio 0.01] [--train 60] [--test 40]
 *                     [--size 224] [--pixels 256] [--precision float32|bfloat16] [--threads 0]
 *                     [--batch 8]
 *
 * Procedural images of --pixels on a side, half of the --test defective, written as PNG and read
 * back by the loader; they are resized to 8/7 of --size and cropped to --size. Random weights: cost
 * does not depend on them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/files.h"
#include "base/progress.h"
#include "floor.h"
#include "imiad/imiad.h"
#include "measure.h"

enum { ROUNDS = 5 };

typedef struct settings {
    const char *backbone, *ratio, *train, *test, *size, *pixels, *precision, *threads, *batch;
} settings;

/* Median seconds an image of the backbone alone, to the deepest layer that PatchCore uses. */
static double backbone_seconds(const imiad_backbone *backbone, const settings *s)
{
    int64_t shape[3], batch = atoi(s->batch);
    int32_t size = atoi(s->size);
    check(imiad_backbone_shape(shape, backbone, "layer3", size, size));
    size_t inputs = (size_t)batch * 3 * (size_t)size * (size_t)size;
    size_t outputs = (size_t)(batch * shape[0] * shape[1] * shape[2]);
    float *images = calloc(inputs, sizeof *images), *features = calloc(outputs, sizeof *features);
    double seconds[ROUNDS];
    for (int i = -1; i < ROUNDS; ++i) { /* one to warm up */
        double start = clock_seconds();
        check(imiad_backbone_features(features, outputs, backbone, "layer3", images, batch, size,
                                      size));
        if (i >= 0)
            seconds[i] = (clock_seconds() - start) / (double)batch;
    }
    free(images);
    free(features);
    return median(seconds, ROUNDS);
}

/* Multiplications and additions of a Wide-ResNet-50-2 up to layer3, an image; 0 for others. */
static double operations(const settings *s)
{
    static const int blocks[] = {3, 4, 6};
    if (strcmp(s->backbone, "wide_resnet50_2") != 0)
        return 0;
    double side = atoi(s->size) / 2, sum = side * side * 64 * 3 * 49, inputs = 64;
    side /= 2;
    for (int stage = 0; stage < 3; ++stage)
        for (int block = 0; block < blocks[stage]; ++block) {
            double inner = 128 << stage, outputs = 256 << stage, before = side;
            if (block == 0 && stage > 0)
                side /= 2;
            sum += before * before * inputs * inner;
            sum += side * side * (9 * inner * inner + inner * outputs);
            sum += block == 0 ? side * side * inputs * outputs : 0;
            inputs = outputs;
        }
    return 2 * sum;
}

/* The procedural images as a folder of files. */
static imiad_dataset *open_images(const settings *s, const char *folder)
{
    char half[16];
    snprintf(half, sizeof half, "%d", atoi(s->test) / 2);
    const imiad_option sizes[] = {
        {"train", s->train}, {"test_good", half}, {"test_defective", half}, {"size", s->pixels}};
    imiad_dataset *drawn, *dataset;
    check(imiad_dataset_open(&drawn, "synthetic", NULL, sizes, 4));
    check(imiad_dataset_export(drawn, folder));
    imiad_dataset_free(drawn);
    check(imiad_dataset_open(&dataset, "mvtec_ad", folder, NULL, 0));
    return dataset;
}

static void tell_stages(const imiad_timings *fitted, const imiad_timings *done, double n)
{
    const struct {
        const char *stage;
        double seconds;
    } stages[] = {{"decode", done->decode_seconds - fitted->decode_seconds},
                  {"resize", done->resize_seconds - fitted->resize_seconds},
                  {"backbone", done->backbone_seconds - fitted->backbone_seconds},
                  {"embedding and search", done->score_seconds - fitted->score_seconds},
                  {"map", done->map_seconds - fitted->map_seconds}};
    for (int i = 0; i < 5; ++i)
        printf("  %-21s %9.5f s/image  %5.3f of the backbone\n", stages[i].stage,
               stages[i].seconds / n, stages[i].seconds / stages[2].seconds);
}

static void tell_floor(double floor, const settings *s)
{
    double work = operations(s), rate = floor_float32() * imiad_threads();
    printf("backbone alone          %9.5f s/image, median of %d\n", floor, ROUNDS);
    if (work > 0 && rate > 0)
        printf("  %.2f Gflop an image: %.0f Gflop/s where %.0f float32 and %.0f bfloat16 can be "
               "had from registers\n",
               work * 1e-9, work * 1e-9 / floor, rate * 1e-9,
               floor_bf16() * imiad_threads() * 1e-9);
}

static void run(const settings *s, const char *folder)
{
    char resize[16];
    snprintf(resize, sizeof resize, "%d", atoi(s->size) * 8 / 7);
    const imiad_option options[] = {
        {"coreset_ratio", s->ratio}, {"resize", resize}, {"crop", s->size}, {"batch", s->batch}};
    imiad_backbone_options wanted = IMIAD_BACKBONE_OPTIONS_INIT;
    wanted.precision = s->precision;
    imiad_split *split;
    imiad_backbone *backbone;
    imiad_detector *detector;
    imiad_metrics *metrics;
    const imiad_bank *bank;
    imiad_timings fitted = IMIAD_TIMINGS_INIT, done = IMIAD_TIMINGS_INIT;
    imiad_dataset *dataset = open_images(s, folder);
    check(imiad_split_create(&split, dataset, imiad_dataset_category(dataset, 0), "unsupervised",
                             NULL, 0));
    check(imiad_backbone_create(&backbone, s->backbone, &wanted));
    check(imiad_detector_create(&detector, "patchcore", backbone, options, 4));
    check(imiad_metrics_create(&metrics, NULL, 0));
    double before = backbone_seconds(backbone, s), start = clock_seconds();
    check(imiad_detector_fit(detector, split, NULL, NULL));
    double fit = clock_seconds() - start;
    check(imiad_detector_timings(&fitted, detector));
    check(imiad_detector_bank(&bank, detector));
    start = clock_seconds();
    check(imiad_evaluate(metrics, detector, split, NULL, NULL, NULL, NULL, NULL));
    double n = (double)imiad_split_test_count(split), whole = (clock_seconds() - start) / n;
    check(imiad_detector_timings(&done, detector));
    double floor = (before + backbone_seconds(backbone, s)) / 2;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);

    printf("%s, random weights, %s, %d threads, %s training images, bank %lld x %lld, batch %s, "
           "files of %s pixels\n",
           s->backbone, s->precision, imiad_threads(), s->train, (long long)imiad_bank_rows(bank),
           (long long)imiad_bank_dimension(bank), s->batch, s->pixels);
    tell_floor(floor, s);
    printf("fit                     %9.3f s, %.3f of the backbone alone\n", fit,
           fit / floor / atof(s->train));
    printf("evaluation              %9.5f s/image  %5.3f of the backbone alone, %.2f images/s\n",
           whole, whole / floor, 1 / whole);
    tell_stages(&fitted, &done, n);
    printf("largest memory          %ld MB\n", usage.ru_maxrss * 1024 / 1000000);
    imiad_metrics_free(metrics);
    imiad_detector_free(detector);
    imiad_backbone_free(backbone);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
}

int main(int argc, char **argv)
{
    settings s = {"wide_resnet50_2", "0.01", "60", "40", "224", "256", "float32", "0", "8"};
    const struct {
        const char *name, **value;
    } given[] = {{"--backbone", &s.backbone},   {"--ratio", &s.ratio},     {"--train", &s.train},
                 {"--test", &s.test},           {"--size", &s.size},       {"--pixels", &s.pixels},
                 {"--precision", &s.precision}, {"--threads", &s.threads}, {"--batch", &s.batch}};
    for (int i = 1; i + 1 < argc; i += 2)
        for (size_t k = 0; k < sizeof given / sizeof *given; ++k)
            if (strcmp(argv[i], given[k].name) == 0)
                *given[k].value = argv[i + 1];
    char folder[] = "/tmp/imiad-bench-XXXXXX", command[64];
    if (!mkdtemp(folder))
        return 1;
    check(imiad_set_threads(atoi(s.threads)));
    run(&s, folder);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0;
}
