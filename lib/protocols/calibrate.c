/* Choosing thresholds: from scores, or by holding images out of a fit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "data/loader.h"
#include "detectors/calibration.h"
#include "imiad/metrics.h"

enum { FEW_NORMALS = 20 };

/* ---- from scores ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* NumPy's default: linear between the two values around (count - 1) * q. */
static double quantile(const double *sorted, size_t count, double q)
{
    double at = (double)(count - 1) * q, low = floor(at);
    size_t i = (size_t)low, next = i + 1 < count ? i + 1 : i;
    return sorted[i] + (at - low) * (sorted[next] - sorted[i]);
}

/* Sorted scores, those of normal images, and those of defective ones. */
typedef struct score_lists {
    double *all, *normal, *defective, *maxima; /* maxima: of normal images' maps, or NULL */
    size_t count, normal_count, defective_count;
} score_lists;

static void lists_free(score_lists *l)
{
    free(l->all);
}

static imiad_status make_lists(score_lists *l, const float *values, const int32_t *labels,
                               const float *map_maxima, size_t count)
{
    *l = (score_lists){.all = malloc(4 * (count + 1) * sizeof *l->all), .count = count};
    if (!l->all)
        return fail_memory("scores", 4 * (count + 1) * sizeof *l->all);
    l->normal = l->all + count + 1;
    l->defective = l->normal + count + 1;
    l->maxima = map_maxima ? l->defective + count + 1 : NULL;
    for (size_t i = 0; i < count; ++i) {
        if (!isfinite(values[i]) || (map_maxima && !isfinite(map_maxima[i])))
            return fail(IMIAD_NOT_FINITE, "calibrate: the score of image %zu is not finite", i);
        if (labels && labels[i] != 0 && labels[i] != 1)
            return fail(IMIAD_OUT_OF_RANGE, "calibrate: the label of image %zu is %d", i,
                        labels[i]);
        l->all[i] = (double)values[i];
        if (labels && labels[i] == 1) {
            l->defective[l->defective_count++] = (double)values[i];
            continue;
        }
        if (map_maxima)
            l->maxima[l->normal_count] = (double)map_maxima[i];
        l->normal[l->normal_count++] = (double)values[i];
    }
    qsort(l->all, count, sizeof *l->all, compare);
    qsort(l->normal, l->normal_count, sizeof *l->normal, compare);
    qsort(l->defective, l->defective_count, sizeof *l->defective, compare);
    if (map_maxima)
        qsort(l->maxima, l->normal_count, sizeof *l->maxima, compare);
    return IMIAD_OK;
}

/* The middle between a score and the next lower one: the score itself is above it. */
static double just_below(const score_lists *l, double score)
{
    for (size_t i = l->count; i-- > 0;)
        if (l->all[i] < score)
            return l->all[i] + (score - l->all[i]) / 2;
    return nextafter(score, -INFINITY);
}

static double just_above(const score_lists *l, double score)
{
    for (size_t i = 0; i < l->count; ++i)
        if (l->all[i] > score)
            return score + (l->all[i] - score) / 2;
    return score;
}

static imiad_status f1_threshold(double *out, const score_lists *l)
{
    imiad_metrics *metrics;
    double f1;
    TRY(imiad_metrics_create(&metrics, NULL, 0));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < l->normal_count; ++i)
        status = imiad_metrics_add_image(metrics, 0, l->normal[i]);
    for (size_t i = 0; status == IMIAD_OK && i < l->defective_count; ++i)
        status = imiad_metrics_add_image(metrics, 1, l->defective[i]);
    if (status == IMIAD_OK)
        status = imiad_metrics_image_f1max(&f1, out, metrics);
    imiad_metrics_free(metrics);
    return status;
}

static imiad_status choose(imiad_calibration *c, const score_lists *l,
                           const imiad_calibration_options *o)
{
    if (l->normal_count == 0)
        return fail(IMIAD_UNDEFINED, "calibrate: there is no normal image");
    c->centre = quantile(l->normal, l->normal_count, 0.5);
    if (o->rule == IMIAD_THRESHOLD_QUANTILE) {
        if (l->normal_count > 1 && l->normal[0] == l->normal[l->normal_count - 1])
            return fail(
                IMIAD_UNDEFINED,
                "calibrate: all %zu normal images score %g: no threshold can be chosen from "
                "them; are the images empty, or all the same?",
                l->normal_count, l->normal[0]);
        c->threshold = quantile(l->normal, l->normal_count, o->quantile);
        c->low_threshold = quantile(l->normal, l->normal_count, o->low_quantile);
        c->high_threshold = quantile(l->normal, l->normal_count, o->high_quantile);
    } else {
        double lowest;
        if (l->defective_count == 0)
            return fail(IMIAD_UNDEFINED, "calibrate: there is no defective image to take F1 from");
        TRY(f1_threshold(&lowest, l));
        c->threshold = just_below(l, lowest);
        c->low_threshold = fmax(c->threshold, just_above(l, l->normal[l->normal_count - 1]));
        c->high_threshold = fmin(c->threshold, just_below(l, l->defective[0]));
    }
    c->map_threshold = l->maxima ? quantile(l->maxima, l->normal_count, o->quantile) : c->threshold;
    return IMIAD_OK;
}

static imiad_status read_options(imiad_calibration_options *out,
                                 const imiad_calibration_options *given)
{
    *out = (imiad_calibration_options)IMIAD_CALIBRATION_OPTIONS_INIT;
    TRY(struct_read(out, sizeof *out, given, sizeof *out, "calibration options"));
    if (out->rule != IMIAD_THRESHOLD_QUANTILE && out->rule != IMIAD_THRESHOLD_F1_MAX)
        return fail(IMIAD_OUT_OF_RANGE, "calibration options: %d is no rule", (int)out->rule);
    if (!(out->high_quantile >= 0 && out->high_quantile <= out->quantile &&
          out->quantile <= out->low_quantile && out->low_quantile <= 1))
        return fail(IMIAD_OUT_OF_RANGE,
                    "calibration options: quantiles of high, normal and low sensitivity are %g, %g "
                    "and %g: they must rise within 0..1",
                    out->high_quantile, out->quantile, out->low_quantile);
    if (!(out->share > 0 && out->share < 1))
        return fail(IMIAD_OUT_OF_RANGE, "calibration options: share is %g: it must be in 0<..<1",
                    out->share);
    return IMIAD_OK;
}

imiad_status imiad_detector_calibrate(imiad_detector *detector, const float *values,
                                      const int32_t *labels, const float *map_maxima, size_t count,
                                      const char *source, const imiad_calibration_options *options)
{
    imiad_calibration_options o;
    score_lists l;
    if (!detector || !values || !source)
        return fail(IMIAD_INVALID_ARGUMENT, "calibrate: NULL");
    TRY(read_options(&o, options));
    imiad_calibration c = {
        .struct_size = sizeof c, .rule = o.rule, .quantile = o.quantile, .source = source};
    imiad_status status = make_lists(&l, values, labels, map_maxima, count);
    if (status == IMIAD_OK)
        status = choose(&c, &l, &o);
    c.normal_count = (int64_t)l.normal_count;
    c.defective_count = (int64_t)l.defective_count;
    lists_free(&l);
    TRY(status);
    if (c.normal_count < FEW_NORMALS)
        log_message(IMIAD_LOG_WARNING,
                    "calibrate: the threshold comes from %lld normal images; with fewer than %d it "
                    "is a guess",
                    (long long)c.normal_count, FEW_NORMALS);
    return imiad_detector_set_calibration(detector, &c);
}

/* ---- holding out ---- */

/* Which samples calibrate, with their labels and, later, what they score. */
typedef struct held_out {
    size_t *samples;
    int32_t *labels;
    float *scores, *maxima;
    size_t count;
    bool has_maps;
    char source[256];
} held_out;

static void held_out_free(held_out *h)
{
    free(h->samples);
    free(h->labels);
    free(h->scores);
    free(h->maxima);
}

static imiad_status held_out_make(held_out *h, size_t most)
{
    *h = (held_out){.samples = calloc(most + 1, sizeof *h->samples),
                    .labels = calloc(most + 1, sizeof *h->labels),
                    .scores = calloc(most + 1, sizeof *h->scores),
                    .maxima = calloc(most + 1, sizeof *h->maxima),
                    .has_maps = true};
    return h->samples && h->labels && h->scores && h->maxima
               ? IMIAD_OK
               : fail_memory("held out images", most * sizeof *h->samples);
}

static bool is_held_out(const held_out *h, size_t index)
{
    for (size_t i = 0; i < h->count; ++i)
        if (h->samples[i] == index)
            return true;
    return false;
}

static void hold_out(held_out *h, size_t index, int32_t label)
{
    if (is_held_out(h, index))
        return;
    h->samples[h->count] = index;
    h->labels[h->count++] = label;
}

static void take_validation(held_out *h, const imiad_split *split)
{
    const imiad_dataset *d = split->dataset;
    for (size_t i = 0; i < d->sample_count; ++i)
        if ((size_t)d->samples[i].category == split->category &&
            d->samples[i].subset == IMIAD_SUBSET_VALIDATION)
            hold_out(h, i, d->samples[i].label);
    snprintf(h->source, sizeof h->source, "official validation images of %s/%s: %zu", d->ops->name,
             d->categories[split->category].name, h->count);
}

/* A share of the normal training images; augmented copies of an image go with it. */
static imiad_status draw_normals(held_out *h, const imiad_split *split,
                                 const imiad_calibration_options *o)
{
    const char *dataset = split->dataset->ops->name,
               *category = split->dataset->categories[split->category].name;
    size_t found = 0, *normals = calloc(split->train.count + 1, sizeof *normals);
    char purpose[256];
    if (!normals)
        return fail_memory("held out images", split->train.count * sizeof *normals);
    for (size_t i = 0; i < split->train.count; ++i) {
        size_t index = split->train.entries[i].sample, k = 0;
        while (k < found && normals[k] != index)
            ++k;
        bool own = split->train.entries[i].role != ROLE_SOURCE;
        if (k == found && own && imiad_split_train_label(split, i) == 0)
            normals[found++] = index;
    }
    snprintf(purpose, sizeof purpose, "calibration/%s/%s", dataset, category);
    random_stream stream = random_open(o->seed, purpose);
    random_shuffle(&stream, normals, found);
    size_t wanted = split_share(o->share, found);
    wanted = wanted < 1 ? 1 : wanted;
    for (size_t i = 0; found > 1 && i < wanted; ++i)
        hold_out(h, normals[i], 0);
    free(normals);
    snprintf(h->source, sizeof h->source,
             "held out of the training images of %s/%s: %zu of %zu normal ones, seed %llu", dataset,
             category, h->count, found, (unsigned long long)o->seed);
    return h->count > 0 ? IMIAD_OK
                        : fail(IMIAD_UNDEFINED,
                               "calibrate: %s/%s has no validation images and too few training "
                               "images to hold one out",
                               dataset, category);
}

/* Defective training images, which no detector of normal images is fitted on. */
static void take_defective(held_out *h, const imiad_split *split)
{
    size_t before = h->count, length = strlen(h->source);
    for (size_t i = 0; i < split->train.count; ++i)
        if (imiad_split_train_label(split, i) == 1)
            hold_out(h, split->train.entries[i].sample, 1);
    if (h->count > before)
        snprintf(h->source + length, sizeof h->source - length,
                 "; %zu training images told defective", h->count - before);
}

static float largest(const outcome *o)
{
    float most = o->map[0];
    for (int64_t i = 1; i < (int64_t)o->width * o->height; ++i)
        most = o->map[i] > most ? o->map[i] : most;
    return most;
}

static imiad_status score_batches(held_out *h, imiad_detector *detector, loader *images,
                                  map_buffer *maps, const progress *p)
{
    for (size_t done = 0;;) {
        const loaded *items;
        const imiad_image *shown[MOST_SCORED];
        outcome outcomes[MOST_SCORED];
        size_t count;
        TRY(progress_report(p, "calibration", (int64_t)done, (int64_t)h->count));
        TRY(loader_next(&items, &count, images));
        if (count == 0)
            return IMIAD_OK;
        for (size_t i = 0; i < count; ++i)
            shown[i] = items[i].image;
        TRY(detector_score_images(outcomes, detector, shown, count, maps));
        for (size_t i = 0; i < count; ++i) {
            h->scores[done + i] = outcomes[i].score;
            h->has_maps &= outcomes[i].map != NULL;
            h->maxima[done + i] = outcomes[i].map ? largest(&outcomes[i]) : 0;
        }
        done += count;
    }
}

static imiad_status score_held_out(held_out *h, imiad_detector *detector, const imiad_split *split,
                                   const progress *p)
{
    image_source source = {.dataset = split->dataset, .samples = h->samples, .count = h->count};
    loader_settings settings = {.geometry = detector->preprocessing,
                                .batch = (size_t)detector_batch_size(detector)};
    map_buffer maps = {NULL, 0};
    loader *images;
    TRY(loader_open(&images, &source, &settings));
    imiad_status status = score_batches(h, detector, images, &maps, p);
    loader_close(images);
    free(maps.values);
    return status;
}

/* A fit on what was not held out. */
static imiad_status fit_rest(const held_out *h, imiad_detector *detector, const imiad_split *split,
                             imiad_progress_function function, void *user)
{
    imiad_split rest = *split; /* all but its training images is the split's own */
    rest.train = (entry_list){.entries = calloc(split->train.count + 1, sizeof(split_entry))};
    if (!rest.train.entries)
        return fail_memory("a split", split->train.count * sizeof(split_entry));
    for (size_t i = 0; i < split->train.count; ++i)
        if (!is_held_out(h, split->train.entries[i].sample))
            rest.train.entries[rest.train.count++] = split->train.entries[i];
    imiad_status status = imiad_detector_fit(detector, &rest, function, user);
    free(rest.train.entries);
    return status;
}

imiad_status imiad_detector_fit_calibrated(imiad_detector *detector, const imiad_split *split,
                                           const imiad_calibration_options *options,
                                           imiad_progress_function function, void *user)
{
    imiad_calibration_options o;
    held_out h;
    if (!detector || !split)
        return fail(IMIAD_INVALID_ARGUMENT, "fit: detector or split is NULL");
    TRY(read_options(&o, options));
    imiad_status status = held_out_make(&h, split->dataset->sample_count);
    if (status == IMIAD_OK)
        take_validation(&h, split);
    if (status == IMIAD_OK && h.count == 0)
        status = draw_normals(&h, split, &o);
    if (status == IMIAD_OK && o.rule == IMIAD_THRESHOLD_F1_MAX)
        take_defective(&h, split);
    if (status == IMIAD_OK)
        status = fit_rest(&h, detector, split, function, user);
    if (status == IMIAD_OK)
        status = score_held_out(&h, detector, split, &(progress){function, user});
    if (status == IMIAD_OK)
        status = imiad_detector_calibrate(detector, h.scores, h.labels,
                                          h.has_maps ? h.maxima : NULL, h.count, h.source, &o);
    held_out_free(&h);
    return status;
}
