/* Batch of one, warmed up, median and percentiles by stage, memory and file size. */
#include "one_by_one.h"
#include "cells.h"
#include "checked.h"
#include "names.h"
#include "temporary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DECODE, PREPROCESS, BACKBONE, SCORE, MAP, TOTAL, STAGES };
static const char *const stage_names[STAGES] = {"decode", "preprocess", "backbone",
                                                "score",  "map",        "total"};
/* Of the medians in the store. */
static const char *const value_names[STAGES] = {"decode_seconds",   "resize_seconds",
                                                "backbone_seconds", "score_seconds",
                                                "map_seconds",      "image_seconds"};

typedef struct efficiency {
    experiment experiment;
    own_option options[2]; /* images, warm-up */
    double *seconds[STAGES];
    size_t images, warm_up;
    double evaluation_seconds, fit_seconds; /* of a whole evaluation divided by its images */
    int64_t file_bytes;
    uint64_t device_now, device_peak;
    int has_device;
} efficiency;

/* Every stage of one image; slot < 0 warms up. */
static imiad_status time_image(efficiency *e, imiad_detector *detector, const imiad_split *split,
                               size_t index, long slot)
{
    imiad_image *image;
    imiad_result result = IMIAD_RESULT_INIT;
    imiad_timings before = IMIAD_TIMINGS_INIT, after = IMIAD_TIMINGS_INIT;
    double start = seconds_now();
    imiad_status status =
        imiad_dataset_read_image(&image, e->experiment.dataset, imiad_split_test(split, index));
    if (status != IMIAD_OK)
        return status;
    double decoded = seconds_now();
    imiad_detector_timings(&before, detector);
    status = imiad_detector_score(&result, detector, image);
    double done = seconds_now();
    imiad_detector_timings(&after, detector);
    imiad_image_free(image);
    if (status == IMIAD_OK && slot >= 0) {
        const double stages[STAGES] = {decoded - start,
                                       after.resize_seconds - before.resize_seconds,
                                       after.backbone_seconds - before.backbone_seconds,
                                       after.score_seconds - before.score_seconds,
                                       after.map_seconds - before.map_seconds,
                                       done - start};
        for (int i = 0; i < STAGES; ++i)
            e->seconds[i][slot] = stages[i];
    }
    return status;
}

/* The size of the saved detector: all that scoring needs. */
static imiad_status measure_file(efficiency *e, const imiad_detector *detector)
{
    char path[TEMPORARY_PATH];
    struct stat file;
    if (temporary_file(path, "efficiency") != IMIAD_OK)
        return IMIAD_IO;
    imiad_status status = imiad_detector_save(detector, path);
    if (status == IMIAD_OK && stat(path, &file) == 0)
        e->file_bytes = file.st_size;
    unlink(path);
    return status;
}

static imiad_status measure(efficiency *e, imiad_detector *detector, const imiad_split *split)
{
    size_t tests = imiad_split_test_count(split);
    progress_line shown = {imiad_split_category(split), NULL, 0};
    imiad_timings fitted = IMIAD_TIMINGS_INIT;
    const char *device = imiad_backbone_device(e->experiment.backbone);
    imiad_device_memory(&e->device_now, &e->device_peak, device); /* the peak begins here */
    imiad_status status = imiad_detector_fit(detector, split, progress_line_show, &shown);
    imiad_detector_timings(&fitted, detector);
    e->fit_seconds = fitted.fit_seconds;
    for (size_t i = 0; status == IMIAD_OK && i < e->warm_up + e->images; ++i)
        status = time_image(e, detector, split, i % tests, (long)i - (long)e->warm_up);
    e->has_device = imiad_device_memory(&e->device_now, &e->device_peak, device) == IMIAD_OK;
    double start = seconds_now();
    if (status == IMIAD_OK)
        status = imiad_evaluate(NULL, detector, split, NULL, NULL, NULL, NULL, NULL);
    e->evaluation_seconds = (seconds_now() - start) / (double)tests;
    return status == IMIAD_OK ? measure_file(e, detector) : status;
}

/* ---- what came out ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nearest rank of sorted values. */
static double percentile(const double *sorted, size_t count, double share)
{
    return sorted[(size_t)(share * (double)(count - 1) + 0.5)];
}

static void sort_seconds(efficiency *e)
{
    for (int i = 0; i < STAGES; ++i)
        qsort(e->seconds[i], e->images, sizeof *e->seconds[i], compare);
}

static json_t *report(const efficiency *e, const char *category)
{
    json_t *stages = json_object();
    printf("\n%s on %s, %s with %s, on %s in %s, %d threads, %zu images one by one after %zu\n\n",
           e->experiment.arguments.detector, category, imiad_backbone_name(e->experiment.backbone),
           imiad_backbone_weights(e->experiment.backbone),
           imiad_backbone_device(e->experiment.backbone),
           imiad_backbone_precision(e->experiment.backbone), imiad_threads(), e->images,
           e->warm_up);
    printf("%-12s %10s %10s %10s   milliseconds an image\n", "stage", "median", "5 %", "95 %");
    for (int i = 0; i < STAGES; ++i) {
        double middle = percentile(e->seconds[i], e->images, 0.5);
        double low = percentile(e->seconds[i], e->images, 0.05);
        double high = percentile(e->seconds[i], e->images, 0.95);
        printf("%-12s %10.3f %10.3f %10.3f\n", stage_names[i], 1e3 * middle, 1e3 * low, 1e3 * high);
        json_object_set_new(stages, stage_names[i],
                            json_pack("{s:f, s:f, s:f}", "median_seconds", middle,
                                      "percentile_5_seconds", low, "percentile_95_seconds", high));
    }
    printf("\nfit                       %10.2f s\n"
           "whole evaluation, batches %10.3f ms an image\n"
           "peak resident memory      %10.1f MB\nsaved detector            %10.1f MB\n",
           e->fit_seconds, 1e3 * e->evaluation_seconds, (double)peak_memory() / 1e6,
           (double)e->file_bytes / 1e6);
    if (e->has_device)
        printf("peak device memory        %10.1f MB\n", (double)e->device_peak / 1e6);
    json_t *record = json_pack(
        "{s:s, s:o, s:f, s:f, s:I, s:I, s:o}", "category", "", "stages", stages, "fit_seconds",
        e->fit_seconds, "evaluation_seconds_per_image", e->evaluation_seconds, "peak_rss_bytes",
        (json_int_t)peak_memory(), "saved_bytes", (json_int_t)e->file_bytes, "peak_device_bytes",
        e->has_device ? json_integer((json_int_t)e->device_peak) : json_null());
    name_into(record, "category", category);
    return record;
}

/* What was measured, as the cell of the setting "efficiency" in the store. */
static imiad_status put(efficiency *e, const imiad_cell *cell, const imiad_split *split)
{
    const char *names[STAGES + 10];
    double values[STAGES + 10];
    size_t count = 0;
    for (; count < STAGES; ++count) {
        names[count] = value_names[count];
        values[count] = percentile(e->seconds[count], e->images, 0.5);
    }
    const double *total = e->seconds[TOTAL];
    const struct {
        const char *name;
        double value;
    } others[] = {{"image_percentile_5_seconds", percentile(total, e->images, 0.05)},
                  {"image_percentile_95_seconds", percentile(total, e->images, 0.95)},
                  {"image_percentile_99_seconds", percentile(total, e->images, 0.99)},
                  {"fit_seconds", e->fit_seconds},
                  {"images_per_second", 1 / e->evaluation_seconds},
                  {"peak_rss_bytes", (double)peak_memory()},
                  {"saved_bytes", (double)e->file_bytes},
                  {"train_images", (double)imiad_split_train_count(split)},
                  {"test_images", (double)imiad_split_test_count(split)},
                  {"peak_device_bytes", (double)e->device_peak}}; /* the last: not of all devices */
    for (size_t i = 0; i < sizeof others / sizeof *others - !e->has_device; ++i, ++count) {
        names[count] = others[i].name;
        values[count] = others[i].value;
    }
    return experiment_put_values(&e->experiment, cell, &(measurement){.value = ""}, names, values,
                                 count);
}

static imiad_status describe(imiad_cell *cell, char *value, efficiency *e, const imiad_split *split,
                             const imiad_detector *detector)
{
    imiad_status status =
        experiment_describe(cell, &e->experiment, split, detector, e->experiment.arguments.seed);
    if (status != IMIAD_OK)
        return status;
    cell->setting = "efficiency";
    for (int i = 0; i < 2; ++i)
        cell_add_word(cell, value, e->options[i].name, e->options[i].values[0]);
    return IMIAD_OK;
}

/* Whether the store has the cell and no record is asked for. */
static int is_finished(efficiency *e, const imiad_cell *cell, imiad_status *status)
{
    int finished = 0;
    if (e->experiment.results && !e->experiment.arguments.json)
        *status = imiad_results_has(&finished, e->experiment.results, cell);
    if (finished)
        printf("\n%s on %s was measured before\n", cell->detector, cell->category);
    return finished;
}

static imiad_status run_category(efficiency *e, const char *category, json_t *records)
{
    imiad_cell cell;
    char value[CELL_VALUE];
    experiment *b = &e->experiment;
    imiad_split *split = NULL;
    imiad_detector *detector = NULL;
    imiad_status status = arguments_split(&split, &b->arguments, b->dataset, category,
                                          "unsupervised", NULL, NULL, b->arguments.seed);
    if (status == IMIAD_OK)
        status = arguments_detector(&detector, &b->arguments, b->backbone, b->arguments.seed);
    if (status == IMIAD_OK && !b->facts)
        b->facts = arguments_facts(&b->arguments, "efficiency", b->dataset, b->backbone, detector);
    if (status == IMIAD_OK && b->results)
        status = describe(&cell, value, e, split, detector);
    if (status == IMIAD_OK && !is_finished(e, &cell, &status)) {
        status = measure(e, detector, split);
        if (status == IMIAD_OK) {
            sort_seconds(e);
            json_array_append_new(records, report(e, category));
        }
        if (status == IMIAD_OK && b->results)
            status = put(e, &cell, split);
    }
    imiad_detector_free(detector);
    imiad_split_free(split);
    return status;
}

/* A whole number from `least` on. Returns 0, or 1 with a message printed. */
static int read_number(size_t *out, const efficiency *e, const own_option *own, long least)
{
    long long value = 0;
    if (checked_number(&value, own->values[0], least, 999999) == 0) {
        *out = (size_t)value;
        return 0;
    }
    fprintf(stderr, "%s: --%s: \"%s\" is no whole number from %ld to 999999\n",
            e->experiment.arguments.program, own->name, own->values[0], least);
    return 1;
}

int one_by_one_main(int argc, char **argv)
{
    efficiency e = {.options = {{.name = "images",
                                 .argument = "N",
                                 .help = "images to time, over and over where there are fewer "
                                         "(default: 50)",
                                 .values = {"50"},
                                 .count = 1,
                                 .once = 1},
                                {.name = "warm-up",
                                 .argument = "N",
                                 .help = "images before the clock counts (default: 10)",
                                 .values = {"10"},
                                 .count = 1,
                                 .once = 1}}};
    arguments *f = &e.experiment.arguments;
    int go_on = arguments_read(f, argc, argv,
                               "Fits a detector on each category and times it image by image, each "
                               "alone, as a production line does.",
                               e.options, 2);
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    if (read_number(&e.images, &e, &e.options[0], 1) != 0 ||
        read_number(&e.warm_up, &e, &e.options[1], 0) != 0) {
        experiment_close(&e.experiment);
        return 2;
    }
    json_t *records = json_array();
    int code = experiment_open(&e.experiment);
    for (int i = 0; i < STAGES && code == 0; ++i)
        if (!(e.seconds[i] = malloc(e.images * sizeof *e.seconds[i])))
            code = 1;
    for (size_t i = 0; code == 0 && i < arguments_category_count(f, e.experiment.dataset); ++i)
        if (run_category(&e, arguments_category(f, e.experiment.dataset, i), records) != IMIAD_OK)
            code = arguments_fail(f, arguments_category(f, e.experiment.dataset, i));
    if (f->json && e.experiment.facts &&
        experiment_write_record(&e.experiment, "categories", records) != IMIAD_OK)
        code = 1;
    json_decref(records);
    for (int i = 0; i < STAGES; ++i)
        free(e.seconds[i]);
    code = checked_stdout(e.experiment.arguments.program, code, 1);
    experiment_close(&e.experiment);
    return code;
}
