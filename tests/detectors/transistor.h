/* A detector on the real transistor images with the weights at hand, held against the stored
 * outputs of a public implementation (../shared/golden/golden.md says how they were made): every
 * image's score, 12 maps, the metrics over all 100 images. */
#ifndef TESTS_DETECTORS_TRANSISTOR_H
#define TESTS_DETECTORS_TRANSISTOR_H

#include <math.h>
#include <string.h>

#include "check_suite.h"
#include "imiad/imiad.h"
#include "npz.h"

#define WEIGHTS "data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors"

enum { MAP_SIZE = 224 * 224 };

typedef struct golden_run {
    const char *detector, *variant; /* of the tables */
    char scores[4096], metrics[4096], maps[4096];
    npy stored; /* maps */
    char *names;
    size_t maps_stored, name_width;
    size_t images, maps_seen;
    double worst_score, worst_map;
} golden_run;

/* The rest of the first line that begins so. */
static inline void golden_line(char out[512], const char *path, const char *begin)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(out, 512, file))
        if (strncmp(out, begin, strlen(begin)) == 0) {
            memmove(out, out + strlen(begin), strlen(out + strlen(begin)) + 1);
            fclose(file);
            return;
        }
    ck_abort_msg("%s has no %s", path, begin);
}

static inline imiad_status compare_with_golden(void *user, const imiad_scored *scored)
{
    golden_run *run = user;
    char begin[256], line[512];
    const char *name = strstr(scored->info.path, "test/");
    ck_assert_ptr_nonnull(name);
    snprintf(begin, sizeof begin, "%s,%s,transistor,%s,", run->detector, run->variant, name);
    golden_line(line, run->scores, begin);
    int label;
    double score;
    ck_assert_int_eq(sscanf(line, "%d,%lf", &label, &score), 2);
    run->worst_score = fmax(run->worst_score, fabs((double)scored->score - score) / score);
    run->images++;
    ck_assert_int_eq(scored->width * scored->height, MAP_SIZE);
    for (size_t i = 0; i < run->maps_stored; ++i) {
        if (strcmp(run->names + i * run->name_width, name) != 0)
            continue;
        const double *wanted = run->stored.values + i * MAP_SIZE;
        double largest = 0, worst = 0;
        for (int j = 0; j < MAP_SIZE; ++j) {
            largest = fmax(largest, wanted[j]);
            worst = fmax(worst, fabs((double)scored->map[j] - wanted[j]));
        }
        run->worst_map = fmax(run->worst_map, worst / largest);
        run->maps_seen++;
    }
    return IMIAD_OK;
}

static inline void compare_metrics(const golden_run *run, const imiad_metrics *metrics)
{
    char begin[256], line[512];
    double wanted[5], found[5];
    snprintf(begin, sizeof begin, "%s,%s,transistor,100,40,44,0,", run->detector, run->variant);
    golden_line(line, run->metrics, begin);
    ck_assert_int_eq(sscanf(line, "%lf,%lf,%lf,%lf,%lf", &wanted[0], &wanted[1], &wanted[2],
                            &wanted[3], &wanted[4]),
                     5);
    ck_ok(imiad_metrics_image_auroc(&found[0], metrics));
    ck_ok(imiad_metrics_image_ap(&found[1], metrics));
    ck_ok(imiad_metrics_pixel_auroc(&found[2], metrics));
    ck_ok(imiad_metrics_pixel_ap(&found[3], metrics));
    ck_ok(imiad_metrics_aupro(&found[4], metrics, 0.3));
    printf("%s %s: image AUROC %.4f AP %.4f, pixel AUROC %.4f AP %.4f, AUPRO %.4f\n", run->detector,
           run->variant, found[0], found[1], found[2], found[3], found[4]);
    for (int i = 0; i < 5; ++i)
        ck_assert_double_lt(fabs(found[i] - wanted[i]), 5e-4);
}

/* Stored maps are rounded to 16 bits, 7.6e-6; their limit and that of scores is 1e-4 (golden.md,
 * section 6), of a score or of a map's maximum. Prints the largest errors. */
static inline void detector_agrees_with_golden(const char *name, const char *variant,
                                               const char *maps, const imiad_option *options,
                                               size_t count)
{
    golden_run run = {.detector = name, .variant = variant};
    char root[4096], weight_file[4096];
    snprintf(root, sizeof root, "%s", SHARED("data/mvtec_ad"));
    snprintf(weight_file, sizeof weight_file, "%s", SHARED(WEIGHTS));
    snprintf(run.scores, sizeof run.scores, "%s", SHARED("golden/scores_transistor.csv"));
    snprintf(run.metrics, sizeof run.metrics, "%s", SHARED("golden/metrics.csv"));
    snprintf(run.maps, sizeof run.maps, "%s", SHARED(maps));
    run.stored = npz_read(run.maps, "maps.npy");
    run.names = npz_read_text(run.maps, "images.npy", &run.maps_stored, &run.name_width);
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    imiad_split *split;
    imiad_detector *detector;
    imiad_metrics *metrics;
    imiad_timings before = IMIAD_TIMINGS_INIT, after = IMIAD_TIMINGS_INIT;
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    b.weights = weight_file;
    b.device = test_device();
    ck_ok(imiad_dataset_open(&dataset, "mvtec_ad", root, NULL, 0));
    ck_ok(imiad_backbone_create(&backbone, "resnet18", &b));
    ck_ok(imiad_split_create(&split, dataset, "transistor", "unsupervised", NULL, 0));
    ck_ok(imiad_detector_create(&detector, name, backbone, options, count));
    ck_ok(imiad_metrics_create(&metrics, NULL, 0));
    ck_ok(imiad_detector_fit(detector, split, NULL, NULL));
    ck_ok(imiad_detector_timings(&before, detector));
    ck_ok(imiad_evaluate(metrics, detector, split, NULL, compare_with_golden, &run, NULL, NULL));
    ck_ok(imiad_detector_timings(&after, detector));
    printf("%s %s: largest relative error of a score %.2g, of a map %.2g; fit %.2f s, of it "
           "backbone %.2f s; score %.4f s an image beyond the backbone\n",
           name, variant, run.worst_score, run.worst_map, before.fit_seconds,
           before.backbone_seconds, after.score_seconds / 100);
    ck_assert_uint_eq(run.images, 100);
    ck_assert_uint_eq(run.maps_seen, 12);
    ck_assert_double_lt(run.worst_score, 1e-4);
    ck_assert_double_lt(run.worst_map, 1e-4);
    compare_metrics(&run, metrics);
    imiad_metrics_free(metrics);
    imiad_detector_free(detector);
    imiad_split_free(split);
    imiad_backbone_free(backbone);
    imiad_dataset_free(dataset);
    free(run.names);
    free(run.stored.values);
}

#endif
