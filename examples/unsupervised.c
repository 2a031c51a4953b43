/* The unsupervised setting of IM-IAD: every category on its own, all normal training images train,
 * the whole test set tests. Prints a table; --json and --maps keep what was found. */
#include "front.h"
#include "pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IMAGE_AUROC, IMAGE_AP, IMAGE_F1MAX, PIXEL_AUROC, PIXEL_AP, PIXEL_F1MAX, AUPRO, METRICS };
static const char *const metric_names[METRICS] = {
    "image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro"};
#define AUPRO_LIMIT 0.3

/* What one category came to; a metric that does not exist for it is negative. */
typedef struct row {
    char category[64];
    double metrics[METRICS];
    double fit_seconds, seconds; /* seconds: of scoring the whole test set */
    imiad_timings stages;        /* of scoring alone */
    int64_t images, peak_bytes;
} row;

typedef struct run {
    front front;
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    pictures *pictures;
    json_t *images; /* of the current category */
} run;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static imiad_status take(void *user, const imiad_scored *scored)
{
    run *r = user;
    json_array_append_new(r->images,
                          json_pack("{s:s, s:i, s:f}", "path", scored->info.path, "label",
                                    (int)scored->info.label, "score", (double)scored->score));
    return r->pictures ? pictures_add(r->pictures, scored) : IMIAD_OK;
}

static void measure(double out[METRICS], const imiad_metrics *m)
{
    imiad_status status[METRICS] = {
        imiad_metrics_image_auroc(&out[IMAGE_AUROC], m),
        imiad_metrics_image_ap(&out[IMAGE_AP], m),
        imiad_metrics_image_f1max(&out[IMAGE_F1MAX], NULL, m),
        imiad_metrics_pixel_auroc(&out[PIXEL_AUROC], m),
        imiad_metrics_pixel_ap(&out[PIXEL_AP], m),
        imiad_metrics_pixel_f1max(&out[PIXEL_F1MAX], NULL, m),
        imiad_metrics_aupro(&out[AUPRO], m, AUPRO_LIMIT),
    };
    for (int i = 0; i < METRICS; ++i)
        if (status[i] != IMIAD_OK)
            out[i] = -1;
}

/* Fits and scores; whatever it makes is freed here. */
static imiad_status run_split(row *out, run *r, const imiad_split *split, imiad_detector *detector,
                              imiad_metrics *metrics)
{
    front_progress shown = {out->category, NULL, 0};
    imiad_timings fitted = IMIAD_TIMINGS_INIT, done = IMIAD_TIMINGS_INIT;
    imiad_status status = imiad_detector_fit(detector, split, front_show_progress, &shown);
    if (status != IMIAD_OK)
        return status;
    imiad_detector_timings(&fitted, detector);
    double start = now();
    status = imiad_evaluate(metrics, detector, split, NULL, take, r, front_show_progress, &shown);
    if (status != IMIAD_OK)
        return status;
    out->seconds = now() - start;
    imiad_detector_timings(&done, detector);
    out->fit_seconds = done.fit_seconds;
    out->stages = done;
    out->stages.decode_seconds -= fitted.decode_seconds;
    out->stages.resize_seconds -= fitted.resize_seconds;
    out->stages.backbone_seconds -= fitted.backbone_seconds;
    out->images = done.images;
    measure(out->metrics, metrics);
    out->peak_bytes = front_peak_memory();
    return IMIAD_OK;
}

/* DIR/CATEGORY.imiad */
static imiad_status save(const run *r, const imiad_detector *detector, const char *category)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.imiad", r->front.save, category);
    return imiad_detector_save(detector, path);
}

static imiad_status run_category(row *out, run *r, const char *category, json_t **facts)
{
    imiad_split *split = NULL;
    imiad_detector *detector = NULL;
    imiad_metrics *metrics = NULL;
    *out = (row){.fit_seconds = 0};
    snprintf(out->category, sizeof out->category, "%s", category);
    imiad_status status = imiad_split_create(&split, r->dataset, category, "unsupervised", NULL, 0);
    if (status == IMIAD_OK)
        status = front_detector(&detector, &r->front, r->backbone);
    if (status == IMIAD_OK)
        status = imiad_metrics_create(&metrics, NULL, 0);
    if (status == IMIAD_OK && !*facts)
        *facts = front_facts(&r->front, r->dataset, r->backbone, detector);
    if (status == IMIAD_OK)
        status = run_split(out, r, split, detector, metrics);
    if (status == IMIAD_OK && r->pictures)
        status = pictures_draw(r->pictures, category);
    if (status == IMIAD_OK && r->front.save)
        status = save(r, detector, category);
    imiad_metrics_free(metrics);
    imiad_detector_free(detector);
    imiad_split_free(split);
    return status;
}

/* ---- the table ---- */

static void print_metrics(const double *metrics)
{
    for (int i = 0; i < METRICS; ++i)
        if (metrics[i] < 0)
            printf("      -");
        else
            printf(" %6.4f", metrics[i]);
}

static void print_row(const row *r)
{
    double images = r->images ? (double)r->images : 1;
    const double stages[5] = {r->stages.decode_seconds, r->stages.resize_seconds,
                              r->stages.backbone_seconds, r->stages.score_seconds,
                              r->stages.map_seconds};
    printf("%-16s", r->category);
    print_metrics(r->metrics);
    printf(" %7.2f", r->fit_seconds);
    for (int i = 0; i < 5; ++i)
        printf(" %8.5f", stages[i] / images);
    printf(" %7.1f %6.0f\n", (double)r->images / r->seconds, (double)r->peak_bytes / 1e6);
}

/* Mean over the categories that have the metric. */
static void average(double out[METRICS], const row *rows, size_t count)
{
    for (int i = 0; i < METRICS; ++i) {
        double sum = 0;
        int defined = 0;
        for (size_t j = 0; j < count; ++j)
            if (rows[j].metrics[i] >= 0) {
                sum += rows[j].metrics[i];
                ++defined;
            }
        out[i] = defined ? sum / defined : -1;
    }
}

static void print_table(const run *r, const row *rows, size_t count)
{
    double mean[METRICS];
    printf("\n%s on %s, %s with %s, on %s in %s\n\n", r->front.detector, r->front.dataset,
           imiad_backbone_name(r->backbone), imiad_backbone_weights(r->backbone),
           imiad_backbone_device(r->backbone), imiad_backbone_precision(r->backbone));
    printf("%-16s %20s %20s %6s %7s %44s %7s %6s\n", "", "image", "pixel", "", "fit",
           "seconds an image", "images", "peak");
    printf("%-16s %6s %6s %6s %6s %6s %6s %6s %7s %8s %8s %8s %8s %8s %7s %6s\n", "category",
           "AUROC", "AP", "F1max", "AUROC", "AP", "F1max", "AUPRO", "seconds", "decode", "resize",
           "backbone", "score", "map", "/second", "MB");
    for (size_t i = 0; i < count; ++i)
        print_row(&rows[i]);
    average(mean, rows, count);
    printf("%-16s", "average");
    print_metrics(mean);
    printf("\n");
}

/* ---- the record ---- */

static json_t *metrics_record(const double *metrics)
{
    json_t *object = json_object();
    for (int i = 0; i < METRICS; ++i)
        json_object_set_new(object, metric_names[i],
                            metrics[i] < 0 ? json_null() : json_real(metrics[i]));
    return object;
}

static json_t *row_record(const row *r, json_t *images)
{
    double n = r->images ? (double)r->images : 1;
    json_t *object = metrics_record(r->metrics);
    json_t *more = json_pack(
        "{s:s, s:f, s:f, s:I, s:I, s:{s:f, s:f, s:f, s:f, s:f}, s:o}", "category", r->category,
        "fit_seconds", r->fit_seconds, "images_per_second", (double)r->images / r->seconds,
        "peak_rss_bytes", (json_int_t)r->peak_bytes, "test_images", (json_int_t)r->images,
        "seconds_per_image", "decode", r->stages.decode_seconds / n, "resize",
        r->stages.resize_seconds / n, "backbone", r->stages.backbone_seconds / n, "score",
        r->stages.score_seconds / n, "map", r->stages.map_seconds / n, "images", images);
    json_object_update(object, more);
    json_decref(more);
    return object;
}

/* ---- all of it ---- */

/* Finished categories stay in the table and in the file when a later one fails. */
static int run_all(run *r)
{
    size_t count = front_category_count(&r->front, r->dataset), done = 0;
    int failures = 0;
    row *rows = calloc(count ? count : 1, sizeof *rows);
    json_t *facts = NULL, *records = json_array();
    for (size_t i = 0; rows && i < count; ++i) {
        const char *category = front_category(&r->front, r->dataset, i);
        r->images = json_array();
        imiad_status status = run_category(&rows[done], r, category, &facts);
        if (status == IMIAD_OK) {
            json_array_append_new(records, row_record(&rows[done++], r->images));
        } else {
            json_decref(r->images);
            front_fail(&r->front, category);
            ++failures;
        }
    }
    if (done > 0) {
        double mean[METRICS];
        print_table(r, rows, done);
        average(mean, rows, done);
        json_t *document = json_pack("{s:o, s:o, s:o}", "run", facts, "categories", records,
                                     "average", metrics_record(mean));
        if (r->front.json && front_write_json(&r->front, document) != IMIAD_OK)
            ++failures;
        json_decref(document);
    } else {
        json_decref(facts);
        json_decref(records);
    }
    free(rows);
    return failures ? 1 : 0;
}

int main(int argc, char **argv)
{
    run r = {.dataset = NULL};
    int go_on =
        front_read(&r.front, argc, argv,
                   "Fits a detector on each category's normal images and measures it on the "
                   "category's test set.");
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    int code;
    if (front_check_outputs(&r.front) != 0)
        code = 1;
    else if (front_dataset(&r.dataset, &r.front) != IMIAD_OK)
        code = front_fail(&r.front, "dataset");
    else if (front_backbone(&r.backbone, &r.front) != IMIAD_OK)
        code = front_fail(&r.front, "backbone");
    else if (r.front.maps && !(r.pictures = pictures_open(r.front.maps)))
        code = 1;
    else
        code = run_all(&r);
    pictures_close(r.pictures);
    imiad_backbone_free(r.backbone);
    imiad_dataset_free(r.dataset);
    return code;
}
