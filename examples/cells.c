#include "cells.h"
#include "checked.h"
#include "evidence.h"
#include "names.h"
#include "outputs.h"
#include "pictures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUPRO_LIMIT 0.3

static const char *const value_names[LOCO] = {
    "image_auroc",      "image_ap",      "image_f1max", "pixel_auroc",       "pixel_ap",
    "pixel_f1max",      "aupro",         "fit_seconds", "decode_seconds",    "resize_seconds",
    "backbone_seconds", "score_seconds", "map_seconds", "images_per_second", "peak_rss_bytes",
    "train_images",     "drawn_images",  "test_images"};

static const char *const group_names[GROUP_VALUES] = {"group_image_auroc", "group_image_ap",
                                                      "group_image_f1max"};

const char *value_name(int value)
{
    return value < LOCO     ? value_names[value]
           : value < GROUPS ? loco_names[value - LOCO]
                            : group_names[value - GROUPS];
}

/* ---- what a program opens ---- */

int experiment_open(experiment *b)
{
    const arguments *f = &b->arguments;
    if (arguments_check_outputs(f) != 0)
        return 1;
    if (arguments_dataset(&b->dataset, f) != IMIAD_OK)
        return arguments_fail(f, "dataset");
    int saturates = imiad_dataset_defect_count(b->dataset, 0) > 0; /* in native pixels */
    arguments_settle_evaluation(&b->arguments, saturates ? "native" : "input");
    if (arguments_backbone(&b->backbone, f) != IMIAD_OK)
        return arguments_fail(f, "backbone");
    imiad_detector *tried; /* a mistake in its options is told once, not once a category */
    if (arguments_detector(&tried, f, b->backbone, f->seed) != IMIAD_OK)
        return arguments_fail(f, "detector");
    imiad_detector_free(tried);
    if (f->results && imiad_results_open(&b->results, f->results) != IMIAD_OK)
        return arguments_fail(f, "results");
    output_recall_record(b);
    if (f->maps && !(b->pictures = pictures_open(f->maps)))
        return 1;
    return 0;
}

void experiment_close(experiment *b)
{
    pictures_close(b->pictures);
    imiad_results_free(b->results);
    imiad_backbone_free(b->backbone);
    imiad_dataset_free(b->dataset);
    json_decref(b->facts);
    if (b->arguments.json_stream)
        fclose(b->arguments.json_stream);
    json_decref(b->before);
    free(b->arguments.command);
}

imiad_status experiment_write_record(const experiment *b, const char *list, json_t *records)
{
    json_t *document = json_pack("{s:O, s:O}", "run", b->facts, list, records);
    imiad_status status = arguments_write_json(&b->arguments, document);
    json_decref(document);
    return status;
}

/* ---- one cell ---- */

void measurement_release(measurement *r)
{
    json_decref(r->images);
    json_decref(r->evidence);
    r->images = r->evidence = NULL;
}

typedef struct taker {
    const imiad_dataset *dataset;
    struct pictures *pictures;
    json_t *images;
    imiad_spro *spro;   /* where the category describes saturations */
    evidence *evidence; /* NULL without a store */
} taker;

static imiad_status take(void *user, const imiad_scored *scored)
{
    taker *t = user;
    if (t->images) {
        json_t *image = json_pack("{s:i, s:f}", "label", (int)scored->info.label, "score",
                                  (double)scored->score);
        name_into(image, "path", scored->info.path); /* whatever bytes it holds */
        json_array_append_new(t->images, image);
    }
    imiad_status status = t->spro ? loco_add(t->spro, t->dataset, scored) : IMIAD_OK;
    if (status == IMIAD_OK && t->evidence)
        status = evidence_add(t->evidence, scored);
    return status == IMIAD_OK && t->pictures ? pictures_add(t->pictures, scored) : status;
}

static void read_groups(double out[GROUP_VALUES], const imiad_metrics *groups)
{
    imiad_metrics_image_auroc(&out[0], groups);
    imiad_metrics_image_ap(&out[1], groups);
    imiad_metrics_image_f1max(&out[2], NULL, groups);
}

static void read_metrics(double out[VALUES], const imiad_metrics *m, const imiad_spro *spro,
                         const int *compat)
{
    for (int i = 0; i < VALUES; ++i)
        out[i] = NAN;
    if (spro)
        loco_read(out + LOCO, spro, compat[LOCO_AUC_ORDER]);
    imiad_metrics_image_auroc(&out[IMAGE_AUROC], m);
    imiad_metrics_image_ap(&out[IMAGE_AP], m);
    imiad_metrics_image_f1max(&out[IMAGE_F1MAX], NULL, m);
    imiad_metrics_pixel_auroc(&out[PIXEL_AUROC], m);
    imiad_metrics_pixel_ap(&out[PIXEL_AP], m);
    imiad_metrics_pixel_f1max(&out[PIXEL_F1MAX], NULL, m);
    if (compat[AUPRO_SAMPLED])
        imiad_metrics_aupro_sampled(&out[AUPRO], m, AUPRO_LIMIT, 100);
    else
        imiad_metrics_aupro(&out[AUPRO], m, AUPRO_LIMIT);
}

static void read_costs(double out[VALUES], const imiad_timings *before, const imiad_timings *after,
                       double seconds)
{
    double images = (double)(after->images - before->images);
    double n = images > 0 ? images : 1;
    out[FIT_SECONDS] = after->fit_seconds;
    out[DECODE_SECONDS] = (after->decode_seconds - before->decode_seconds) / n;
    out[RESIZE_SECONDS] = (after->resize_seconds - before->resize_seconds) / n;
    out[BACKBONE_SECONDS] = (after->backbone_seconds - before->backbone_seconds) / n;
    out[SCORE_SECONDS] = (after->score_seconds - before->score_seconds) / n;
    out[MAP_SECONDS] = (after->map_seconds - before->map_seconds) / n;
    out[IMAGES_PER_SECOND] = images / seconds;
    out[PEAK_RSS_BYTES] = (double)peak_memory();
}

/* Saturated overlap, where the category has what it takes and masks are at their native size. */
static imiad_status make_spro(imiad_spro **out, const experiment *b, const imiad_split *split)
{
    imiad_sample sample = IMIAD_SAMPLE_INIT;
    imiad_status status = imiad_dataset_sample(&sample, b->dataset, imiad_split_test(split, 0));
    if (status != IMIAD_OK || b->arguments.evaluation.size != IMIAD_EVALUATE_NATIVE ||
        imiad_dataset_defect_count(b->dataset, (size_t)sample.category) == 0)
        return status;
    return imiad_spro_create(out, NULL, 0);
}

/* Metrics of groups, where the dataset has any. */
static imiad_status make_groups(imiad_metrics **out, const experiment *b, const imiad_split *split)
{
    for (size_t i = 0; i < imiad_split_test_count(split); ++i)
        if (imiad_dataset_sample_group(b->dataset, imiad_split_test(split, i)))
            return imiad_metrics_create(out, NULL, 0);
    return IMIAD_OK;
}

static void fill_row(measurement *out, const imiad_split *split, const taker *t)
{
    out->values[TRAIN_IMAGES] = (double)imiad_split_train_count(split);
    out->values[DRAWN_IMAGES] = (double)imiad_split_drawn_count(split);
    out->values[TEST_IMAGES] = (double)imiad_split_test_count(split);
    out->images = t->images;
}

imiad_status experiment_measure(measurement *out, experiment *b, imiad_detector *detector,
                                const imiad_split *split, int keep_images)
{
    imiad_metrics *metrics = NULL, *groups = NULL;
    imiad_evaluation_options evaluation = b->arguments.evaluation;
    imiad_timings before = IMIAD_TIMINGS_INIT, after = IMIAD_TIMINGS_INIT;
    progress_line shown = {imiad_split_category(split), NULL, 0};
    taker t = {b->dataset, keep_images ? b->pictures : NULL, keep_images ? json_array() : NULL,
               NULL, NULL};
    imiad_status status = imiad_metrics_create(&metrics, NULL, 0);
    if (status == IMIAD_OK)
        status = make_spro(&t.spro, b, split);
    if (status == IMIAD_OK && keep_images && b->results &&
        !(t.evidence = evidence_begin(split, b->arguments.keep_pictures)))
        status = IMIAD_NO_MEMORY;
    if (status == IMIAD_OK)
        status = make_groups(&groups, b, split);
    evaluation.groups = groups;
    imiad_detector_timings(&before, detector);
    double start = seconds_now();
    if (status == IMIAD_OK)
        status = imiad_evaluate(metrics, detector, split, &evaluation, take, &t, progress_line_show,
                                &shown);
    double seconds = seconds_now() - start;
    imiad_detector_timings(&after, detector);
    out->category = imiad_split_category(split);
    if (!*out->name)
        output_name(out->name, out, b->arguments.repeats > 1);
    if (status == IMIAD_OK && t.pictures)
        status = pictures_draw(t.pictures, out->name);
    if (status == IMIAD_OK) {
        read_metrics(out->values, metrics, t.spro, b->arguments.compat);
        if (groups)
            read_groups(out->values + GROUPS, groups);
        read_costs(out->values, &before, &after, seconds);
        fill_row(out, split, &t);
        if (t.evidence)
            status = evidence_end(&out->evidence, t.evidence, metrics);
    } else {
        evidence_free(t.evidence);
        json_decref(t.images);
    }
    imiad_spro_free(t.spro);
    imiad_metrics_free(groups);
    imiad_metrics_free(metrics);
    return status;
}

imiad_status experiment_fit_and_measure(measurement *out, experiment *b, imiad_detector *detector,
                                        const imiad_split *split)
{
    progress_line shown = {imiad_split_category(split), NULL, 0};
    imiad_status status = imiad_detector_fit(detector, split, progress_line_show, &shown);
    return status == IMIAD_OK ? experiment_measure(out, b, detector, split, 1) : status;
}

imiad_status experiment_describe(imiad_cell *cell, experiment *b, const imiad_split *split,
                                 const imiad_detector *detector, uint64_t seed)
{
    *cell = (imiad_cell)IMIAD_CELL_INIT;
    imiad_status status = imiad_results_describe(cell, b->results, split, detector);
    cell->evaluation = b->arguments.evaluation_text;
    cell->seed = seed;
    cell->command = b->arguments.command;
    return status;
}

void cell_add_word(imiad_cell *cell, char *text, const char *name, const char *value)
{
    if (cell->value != text)
        snprintf(text, CELL_VALUE, "%s", cell->value);
    size_t length = strlen(text);
    snprintf(text + length, CELL_VALUE - length, "%s%s=%s", length > 0 ? " " : "", name, value);
    cell->value = text;
}

/* Whether any of the values first..last-1 says something. */
static int has_values(const double *values, int first, int last)
{
    for (int i = first; i < last; ++i)
        if (!isnan(values[i]))
            return 1;
    return 0;
}

imiad_status experiment_put_values(experiment *b, const imiad_cell *cell, const measurement *r,
                                   const char *const *names, const double *values, size_t count)
{
    imiad_cell whole = *cell;
    imiad_option *options = NULL;
    json_t *texts = NULL;
    imiad_status status = evidence_options(&options, &whole.evidence_count, &texts, r->evidence);
    whole.evidence = options;
    if (status == IMIAD_OK)
        status = imiad_results_put(b->results, &whole, names, values, count);
    free(options);
    json_decref(texts);
    return status;
}

imiad_status experiment_put(experiment *b, const imiad_cell *cell, const measurement *r)
{
    const char *names[VALUES];
    double values[VALUES];
    size_t count = 0;
    for (int i = 0; i < VALUES; ++i) {
        if ((i >= LOCO && i < GROUPS && !has_values(r->values, LOCO, GROUPS)) ||
            (i >= GROUPS && !has_values(r->values, GROUPS, VALUES)))
            continue;
        names[count] = value_name(i);
        values[count++] = r->values[i];
    }
    return experiment_put_values(b, cell, r, names, values, count);
}

static imiad_status recall(void *user, const imiad_finished *finished)
{
    measurement *r = user;
    for (int i = 0; i < VALUES; ++i) {
        r->values[i] = NAN;
        for (size_t k = 0; k < finished->count; ++k)
            if (strcmp(finished->names[k], value_name(i)) == 0)
                r->values[i] = finished->values[k];
    }
    return IMIAD_OK;
}

imiad_status experiment_recall(measurement *r, experiment *b, const imiad_cell *cell)
{
    return imiad_results_show(b->results, cell, recall, r);
}

/* ---- averages ---- */

static int belongs(const measurement *r, const char *value)
{
    return !value || strcmp(r->value, value) == 0;
}

/* Mean over the categories of one seed that have the metric; NAN where none has. */
static double mean_of_seed(const measurement *measurements, size_t count, const char *value,
                           uint64_t seed, int i)
{
    double sum = 0;
    size_t n = 0;
    for (size_t j = 0; j < count; ++j)
        if (belongs(&measurements[j], value) && measurements[j].seed == seed &&
            !isnan(measurements[j].values[i])) {
            sum += measurements[j].values[i];
            ++n;
        }
    return n ? sum / (double)n : NAN;
}

/* The sample standard deviation is NAN for fewer than two. */
static void mean_and_deviation(double *mean, double *deviation, const double *values, size_t count)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; ++i)
        sum += values[i];
    *mean = count ? sum / (double)count : NAN;
    for (size_t i = 0; i < count; ++i)
        squares += (values[i] - *mean) * (values[i] - *mean);
    *deviation = count > 1 ? sqrt(squares / (double)(count - 1)) : NAN;
}

void measurements_average(double mean[VALUES], double deviation[VALUES],
                          const measurement *measurements, size_t count, const char *value)
{
    double *of_seeds = calloc(count ? count : 1, sizeof *of_seeds);
    for (int i = 0; of_seeds && i < VALUES; ++i) {
        size_t seeds = 0;
        for (size_t j = 0; j < count; ++j) {
            int first = belongs(&measurements[j], value); /* of its seed */
            for (size_t k = 0; first && k < j; ++k)
                first = !(belongs(&measurements[k], value) &&
                          measurements[k].seed == measurements[j].seed);
            double of_seed =
                first ? mean_of_seed(measurements, count, value, measurements[j].seed, i) : NAN;
            if (!isnan(of_seed))
                of_seeds[seeds++] = of_seed;
        }
        mean_and_deviation(&mean[i], &deviation[i], of_seeds, seeds);
    }
    free(of_seeds);
}

/* The same for one category: over its seeds. */
static void category_average(double mean[VALUES], double deviation[VALUES],
                             const measurement *measurements, size_t count, const char *value,
                             const char *category)
{
    double *values = calloc(count ? count : 1, sizeof *values);
    for (int i = 0; values && i < VALUES; ++i) {
        size_t n = 0;
        for (size_t j = 0; j < count; ++j)
            if (belongs(&measurements[j], value) &&
                strcmp(measurements[j].category, category) == 0 &&
                !isnan(measurements[j].values[i]))
                values[n++] = measurements[j].values[i];
        mean_and_deviation(&mean[i], &deviation[i], values, n);
    }
    free(values);
}

/* ---- tables ---- */

static const char *const metric_heads[METRICS] = {"AUROC", "AP",    "F1max", "AUROC",
                                                  "AP",    "F1max", "AUPRO"};

void print_metric_heads(void)
{
    printf(" %20s %20s\n%-31s", "image", "pixel", "");
    for (int i = 0; i < METRICS; ++i)
        printf(" %6s", metric_heads[i]);
    printf("\n");
}

void print_metric(double value)
{
    if (isnan(value))
        printf("      -");
    else
        printf(" %6.4f", value);
}

void title_print(const experiment *b, const char *heading)
{
    const arguments *f = &b->arguments;
    printf("\n%s on %s, %s, %s with %s, on %s in %s\n", f->detector, f->dataset, heading,
           imiad_backbone_name(b->backbone), imiad_backbone_weights(b->backbone),
           imiad_backbone_device(b->backbone), imiad_backbone_precision(b->backbone));
}

/* Two tables of at most 80 columns: what it is worth, and what it costs. */
static void print_one_seed(const measurement *measurements, size_t count, const char *value)
{
    double mean[VALUES], deviation[VALUES];
    printf("\n%-16s %20s %20s\n%-16s", "", "image", "pixel", "category");
    for (int k = 0; k < METRICS; ++k)
        printf(" %6s", metric_heads[k]);
    printf("\n");
    for (size_t i = 0; i < count; ++i)
        if (belongs(&measurements[i], value)) {
            printf("%-16s", measurements[i].category);
            for (int k = 0; k < METRICS; ++k)
                print_metric(measurements[i].values[k]);
            printf("\n");
        }
    measurements_average(mean, deviation, measurements, count, value);
    printf("%-16s", "average");
    for (int k = 0; k < METRICS; ++k)
        print_metric(mean[k]);
    printf("\n");
}

static void print_costs(const measurement *measurements, size_t count, const char *value)
{
    printf("\n%-16s %8s %35s %8s %6s\n", "", "fit", "milliseconds an image", "images", "peak");
    printf("%-16s %8s %6s %6s %8s %6s %5s %8s %6s\n", "category", "seconds", "decode", "resize",
           "backbone", "score", "map", "/second", "MB");
    for (size_t i = 0; i < count; ++i) {
        const double *v = measurements[i].values;
        if (belongs(&measurements[i], value))
            printf("%-16s %8.2f %6.2f %6.2f %8.2f %6.2f %5.2f %8.1f %6.0f\n",
                   measurements[i].category, v[FIT_SECONDS], 1e3 * v[DECODE_SECONDS],
                   1e3 * v[RESIZE_SECONDS], 1e3 * v[BACKBONE_SECONDS], 1e3 * v[SCORE_SECONDS],
                   1e3 * v[MAP_SECONDS], v[IMAGES_PER_SECOND], v[PEAK_RSS_BYTES] / 1e6);
    }
}

static void print_with_deviations(const char *name, const double *mean, const double *deviation,
                                  int first, int last)
{
    printf("%-16s", name);
    for (int i = first; i < last; ++i)
        if (isnan(mean[i]))
            printf("  %13s", "-");
        else if (isnan(deviation[i]))
            printf("  %6.4f       ", mean[i]);
        else
            printf("  %6.4f \302\261%5.4f", mean[i], deviation[i]);
    printf("\n");
}

/* The metrics from `first` to before `last`. */
static void print_several_seeds(const measurement *measurements, size_t count, const char *value,
                                int first, int last)
{
    double mean[VALUES], deviation[VALUES];
    static const char *const heads[METRICS] = {"image AUROC", "image AP", "image F1max",
                                               "pixel AUROC", "pixel AP", "pixel F1max",
                                               "AUPRO"};
    printf("\n%-16s", "category");
    for (int i = first; i < last; ++i)
        printf("  %-13s", heads[i]);
    printf("\n");
    for (size_t i = 0; i < count; ++i) {
        int met = !belongs(&measurements[i], value); /* its category was met before */
        for (size_t k = 0; !met && k < i; ++k)
            met = belongs(&measurements[k], value) &&
                  strcmp(measurements[k].category, measurements[i].category) == 0;
        if (!met) {
            category_average(mean, deviation, measurements, count, value, measurements[i].category);
            print_with_deviations(measurements[i].category, mean, deviation, first, last);
        }
    }
    measurements_average(mean, deviation, measurements, count, value);
    print_with_deviations("average", mean, deviation, first, last);
}

static void print_loco_row(const char *name, const double *values, int kind)
{
    printf("%-20s", name);
    for (int i = 0; i < LOCO_VALUES / 3; ++i)
        print_metric(values[LOCO + kind * (LOCO_VALUES / 3) + i]);
    printf("\n");
}

static void print_loco(const measurement *measurements, size_t count, const char *value, int kind)
{
    static const char *const kinds[] = {"structural", "logical", "mean"};
    double mean[VALUES], deviation[VALUES];
    printf("\n%-20s %41s\n%-20s  AUROC   0.01   0.05    0.1    0.3      1\n", "sPRO at limit",
           kinds[kind], "category");
    for (size_t i = 0; i < count; ++i)
        if (belongs(&measurements[i], value))
            print_loco_row(measurements[i].category, measurements[i].values, kind);
    measurements_average(mean, deviation, measurements, count, value);
    print_loco_row("average", mean, kind);
}

static void print_group_row(const char *name, const double *values)
{
    printf("%-20s", name);
    for (int i = GROUPS; i < VALUES; ++i)
        print_metric(values[i]);
    printf("\n");
}

/* The same metrics where the images of one thing count once, with their highest score. */
static void print_groups(const measurement *measurements, size_t count, const char *value)
{
    double mean[VALUES], deviation[VALUES];
    printf("\n%-20s %20s\n%-20s  AUROC     AP  F1max\n", "groups of images", "group", "category");
    for (size_t i = 0; i < count; ++i)
        if (belongs(&measurements[i], value))
            print_group_row(measurements[i].category, measurements[i].values);
    measurements_average(mean, deviation, measurements, count, value);
    print_group_row("average", mean);
}

void measurements_print(const experiment *b, const char *heading, const measurement *measurements,
                        size_t count, const char *value)
{
    title_print(b, heading);
    if (b->arguments.repeats > 1) {
        print_several_seeds(measurements, count, value, IMAGE_AUROC, PIXEL_AUROC);
        print_several_seeds(measurements, count, value, PIXEL_AUROC, METRICS);
    } else {
        print_one_seed(measurements, count, value);
        print_costs(measurements, count, value);
    }
    if (count > 0 && has_values(measurements[0].values, LOCO, GROUPS))
        for (int kind = 0; kind < 3; ++kind)
            print_loco(measurements, count, value, kind);
    if (count > 0 && has_values(measurements[0].values, GROUPS, VALUES))
        print_groups(measurements, count, value);
}

/* ---- records ---- */

json_t *metrics_record(const double values[VALUES])
{
    json_t *object = json_object();
    for (int i = 0; i < METRICS; ++i)
        json_object_set_new(object, value_name(i), number_record(values[i]));
    int first = has_values(values, LOCO, GROUPS) ? LOCO : GROUPS;
    int last = has_values(values, GROUPS, VALUES) ? VALUES : GROUPS;
    for (int i = first; i < last; ++i)
        json_object_set_new(object, value_name(i), number_record(values[i]));
    return object;
}

json_t *measurement_record(const measurement *r)
{
    static const char *const stages[] = {"decode", "resize", "backbone", "score", "map"};
    json_t *object = metrics_record(r->values), *seconds = json_object();
    name_into(object, "category", r->category);
    name_into(object, "value", r->value);
    json_object_set_new(object, "seed", json_integer((json_int_t)r->seed));
    json_object_set_new(object, "fit_seconds", number_record(r->values[FIT_SECONDS]));
    json_object_set_new(object, "images_per_second", number_record(r->values[IMAGES_PER_SECOND]));
    for (int i = PEAK_RSS_BYTES; i < LOCO; ++i)
        json_object_set_new(object, value_name(i), json_integer((json_int_t)r->values[i]));
    for (int i = 0; i < 5; ++i)
        json_object_set_new(seconds, stages[i], number_record(r->values[DECODE_SECONDS + i]));
    json_object_set_new(object, "seconds_per_image", seconds);
    json_object_set_new(object, "images", r->images ? json_incref(r->images) : json_null());
    if (*r->key)
        json_object_set_new(object, "cell", json_string(r->key));
    return object;
}
