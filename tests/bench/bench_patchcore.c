/* Where the time of a PatchCore run goes, beside its physical floor: the backbone's own forward
 * pass. Procedural images of 256 pixels, random weights (cost does not depend on them), 224 pixels,
 * float32. bench-patchcore [BACKBONE CORESET_RATIO [TRAIN [TEST]]]    default: wide_resnet50_2 0.01
 * 60 40
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "imiad/imiad.h"

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != IMIAD_OK) {                                                                  \
            fprintf(stderr, "%s: %s\n", #call, imiad_last_error());                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

enum { ROUNDS = 5, BATCH = 8, SIZE = 224 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds an image of the backbone alone, to the deepest layer that PatchCore uses. */
static double floor_seconds(const imiad_backbone *backbone)
{
    int64_t shape[3];
    CHECK(imiad_backbone_shape(shape, backbone, "layer3", SIZE, SIZE));
    size_t inputs = (size_t)BATCH * 3 * SIZE * SIZE;
    size_t outputs = (size_t)(BATCH * shape[0] * shape[1] * shape[2]);
    float *images = calloc(inputs, sizeof *images), *features = calloc(outputs, sizeof *features);
    double seconds[ROUNDS];
    for (int i = -1; i < ROUNDS; ++i) { /* one to warm up */
        double start = clock_seconds();
        CHECK(imiad_backbone_features(features, outputs, backbone, "layer3", images, BATCH, SIZE,
                                      SIZE));
        if (i >= 0)
            seconds[i] = (clock_seconds() - start) / BATCH;
    }
    qsort(seconds, ROUNDS, sizeof *seconds, compare);
    free(images);
    free(features);
    return seconds[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "wide_resnet50_2";
    const char *ratio = argc > 2 ? argv[2] : "0.01";
    const imiad_option sizes[] = {{"train", argc > 3 ? argv[3] : "60"},
                                  {"test_good", argc > 4 ? argv[4] : "20"},
                                  {"test_defective", argc > 4 ? argv[4] : "20"}};
    const imiad_option options[] = {{"coreset_ratio", ratio}};
    imiad_dataset *dataset;
    imiad_split *split;
    imiad_backbone *backbone;
    imiad_detector *detector;
    imiad_metrics *metrics;
    const imiad_bank *bank;
    imiad_timings fitted = IMIAD_TIMINGS_INIT, done = IMIAD_TIMINGS_INIT;
    CHECK(imiad_dataset_open(&dataset, "synthetic", NULL, sizes, 3));
    CHECK(imiad_split_create(&split, dataset, imiad_dataset_category(dataset, 0), "unsupervised",
                             NULL, 0));
    CHECK(imiad_backbone_create(&backbone, name, NULL));
    CHECK(imiad_detector_create(&detector, "patchcore", backbone, options, 1));
    CHECK(imiad_metrics_create(&metrics, NULL, 0));
    double before = floor_seconds(backbone);
    CHECK(imiad_detector_fit(detector, split, NULL, NULL));
    CHECK(imiad_detector_timings(&fitted, detector));
    CHECK(imiad_detector_bank(&bank, detector));
    double start = clock_seconds();
    CHECK(imiad_evaluate(metrics, detector, split, NULL, NULL, NULL, NULL, NULL));
    double n = (double)imiad_split_test_count(split), whole = (clock_seconds() - start) / n;
    CHECK(imiad_detector_timings(&done, detector));
    double floor = (before + floor_seconds(backbone)) / 2;

    const struct {
        const char *stage;
        double seconds;
    } stages[] = {{"decode", (done.decode_seconds - fitted.decode_seconds) / n},
                  {"resize", (done.resize_seconds - fitted.resize_seconds) / n},
                  {"backbone", (done.backbone_seconds - fitted.backbone_seconds) / n},
                  {"score", done.score_seconds / n},
                  {"map", done.map_seconds / n}};
    printf("%s, random weights, float32, %d threads, bank %lld x %lld, batch %s\n", name,
           imiad_threads(), (long long)imiad_bank_rows(bank), (long long)imiad_bank_dimension(bank),
           imiad_detector_option(detector, "batch"));
    printf("backbone alone (floor)  %9.5f s/image, median of %d\n", floor, ROUNDS);
    double rest = 0;
    for (int i = 0; i < 5; ++i) {
        printf("%-23s %9.5f s/image  %5.3f of the backbone\n", stages[i].stage, stages[i].seconds,
               stages[i].seconds / stages[2].seconds);
        rest += i == 0 || i == 2 ? 0 : stages[i].seconds;
    }
    printf("all but backbone and decode %5.3f of the backbone\n", rest / stages[2].seconds);
    printf("whole evaluation        %9.5f s/image  %5.3f of the backbone alone (decode is the\n"
           "                        procedural drawing, overlapped)\n",
           whole, whole / floor);
    imiad_metrics_free(metrics);
    imiad_detector_free(detector);
    imiad_backbone_free(backbone);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
    return 0;
}
