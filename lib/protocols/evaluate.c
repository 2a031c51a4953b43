/* Scoring a split's test images and adding them up. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/progress.h"
#include "detectors/detector.h"
#include "imiad/protocol.h"
#include "image/frame.h"
#include "image/pixels.h"

/* One image as part of a group. */
typedef struct grouped {
    const char *group; /* NULL: alone */
    size_t position;
    int32_t label;
    float score;
} grouped;

typedef struct evaluation {
    imiad_metrics *metrics;
    imiad_detector *detector;
    const imiad_split *split;
    imiad_evaluation_options options;
    imiad_scored_function scored;
    void *user;
    grouped *grouped; /* where groups are measured: one an image */
    size_t grouped_count;
    const char *stage;
    map_buffer maps, framed; /* of a batch, of one image */
    float lowest, highest;   /* of all maps */
} evaluation;

/* The map where it meets the mask: out->map, width and height. */
static imiad_status place_map(imiad_scored *out, evaluation *e, const loaded *item,
                              const outcome *o)
{
    out->map = o->map;
    out->width = o->width;
    out->height = o->height;
    if (!item->framed)
        return IMIAD_OK;
    out->width = item->framed->width;
    out->height = item->framed->height;
    if (!o->map)
        return IMIAD_OK;
    TRY(map_buffer_grow(&e->framed, (size_t)out->width * (size_t)out->height));
    frame_map(e->framed.values, out->width, out->height, o->map, o->width, o->height,
              &e->detector->preprocessing, item->native_width, item->native_height);
    out->map = e->framed.values;
    return IMIAD_OK;
}

static void binarise(float *map, size_t count, float threshold)
{
    for (size_t i = 0; i < count; ++i)
        map[i] = map[i] > threshold;
}

/* ---- groups ---- */

static int compare_grouped(const void *left, const void *right)
{
    const grouped *a = left, *b = right;
    int groups = a->group && b->group ? strcmp(a->group, b->group) : (!a->group) - (!b->group);
    return groups ? groups : a->position < b->position ? -1 : 1;
}

/* Highest score and label of each group into the metrics. */
static imiad_status add_groups(evaluation *e)
{
    if (e->grouped_count > 1)
        qsort(e->grouped, e->grouped_count, sizeof *e->grouped, compare_grouped);
    for (size_t i = 0, next; i < e->grouped_count; i = next) {
        grouped whole = e->grouped[i];
        for (next = i + 1; next < e->grouped_count; ++next) {
            const grouped *g = &e->grouped[next];
            if (!whole.group || !g->group || strcmp(whole.group, g->group) != 0)
                break;
            whole.score = g->score > whole.score ? g->score : whole.score;
            whole.label |= g->label;
        }
        TRY(imiad_metrics_add_image(e->options.groups, whole.label, (double)whole.score));
    }
    return IMIAD_OK;
}

static void remember_group(evaluation *e, const imiad_scored *result)
{
    if (e->grouped)
        e->grouped[e->grouped_count] =
            (grouped){imiad_dataset_sample_group(imiad_split_dataset(e->split), result->sample),
                      e->grouped_count, result->info.label, result->score};
    ++e->grouped_count;
}

/* Callers know RGB8. */
static imiad_status tell(evaluation *e, imiad_scored *result)
{
    imiad_image *shown = NULL;
    if (result->image->format != IMIAD_PIXEL_RGB8) {
        TRY(image_to_rgb(&shown, result->image));
        result->image = shown;
    }
    imiad_status status = e->scored(e->user, result);
    imiad_image_free(shown);
    return status;
}

static imiad_status take(evaluation *e, const loaded *item, const outcome *o)
{
    imiad_scored result = {.struct_size = sizeof result,
                           .sample = imiad_split_test(e->split, item->position),
                           .info = IMIAD_SAMPLE_INIT,
                           .score = o->score,
                           .mask = item->mask,
                           .image = item->framed ? item->framed : item->image};
    TRY(imiad_dataset_sample(&result.info, imiad_split_dataset(e->split), result.sample));
    TRY(place_map(&result, e, item, o));
    if (result.map &&
        e->options.binarise_maps) /* the maps of the batch are this evaluation's own */
        binarise((float *)result.map, (size_t)result.width * (size_t)result.height,
                 e->lowest + (e->highest - e->lowest) / 2);
    remember_group(e, &result);
    if (e->metrics) {
        TRY(imiad_metrics_add_image(e->metrics, result.info.label, (double)o->score));
        if (result.map && (item->mask || result.info.label == 0))
            TRY(imiad_metrics_add_map(e->metrics, result.map, result.width, result.height,
                                      item->mask));
    }
    return e->scored ? tell(e, &result) : IMIAD_OK;
}

static imiad_status find_range(evaluation *e, const loaded *item, const outcome *o)
{
    (void)item;
    for (int64_t i = 0; o->map && i < (int64_t)o->width * o->height; ++i) {
        e->lowest = o->map[i] < e->lowest ? o->map[i] : e->lowest;
        e->highest = o->map[i] > e->highest ? o->map[i] : e->highest;
    }
    return IMIAD_OK;
}

typedef imiad_status (*visitor)(evaluation *e, const loaded *item, const outcome *o);

static imiad_status visit_batch(evaluation *e, visitor visit, const loaded *items, size_t count)
{
    const imiad_image *images[MOST_SCORED] = {NULL};
    outcome outcomes[MOST_SCORED];
    for (size_t i = 0; i < count; ++i) {
        images[i] = items[i].image;
        detector_add_loading(e->detector, items[i].decode_seconds, items[i].resize_seconds);
    }
    TRY(detector_score_images(outcomes, e->detector, images, count, &e->maps));
    for (size_t i = 0; i < count; ++i)
        TRY(visit(e, &items[i], &outcomes[i]));
    return IMIAD_OK;
}

static imiad_status visit_all(evaluation *e, visitor visit, loader *images, const progress *p)
{
    size_t total = imiad_split_test_count(e->split);
    for (size_t done = 0;;) {
        const loaded *items;
        size_t count;
        TRY(progress_report(p, e->stage, (int64_t)done, (int64_t)total));
        TRY(loader_next(&items, &count, images));
        if (count == 0)
            return IMIAD_OK;
        TRY(visit_batch(e, visit, items, count));
        done += count;
    }
}

static imiad_status run(evaluation *e, loader *images, const progress *p)
{
    if (e->options.binarise_maps) {
        e->stage = "range of maps";
        TRY(visit_all(e, find_range, images, p));
        TRY(loader_rewind(images, NULL));
    }
    e->stage = "score";
    return visit_all(e, take, images, p);
}

static imiad_status check_options(imiad_evaluation_options *out,
                                  const imiad_evaluation_options *options)
{
    *out = (imiad_evaluation_options)IMIAD_EVALUATION_OPTIONS_INIT;
    TRY(struct_read(out, sizeof *out, options, offsetof(imiad_evaluation_options, groups),
                    "evaluate: the options"));
    if (out->size < IMIAD_EVALUATE_NATIVE || out->size > 1 << 14)
        return fail(IMIAD_OUT_OF_RANGE,
                    "evaluate: size is %d: it must be -1 (native), 0 (input) or up to 16384",
                    out->size);
    if (out->size != IMIAD_EVALUATE_INPUT && (out->openiad_masks || out->binarise_maps))
        return fail(IMIAD_INVALID_ARGUMENT,
                    "evaluate: binarise_maps and openiad_masks go with the detector's input (size "
                    "0), not with size %d",
                    out->size);
    return IMIAD_OK;
}

static imiad_status open_loader(loader **out, const evaluation *e, const size_t *samples)
{
    image_source source = {.dataset = imiad_split_dataset(e->split),
                           .samples = samples,
                           .count = imiad_split_test_count(e->split)};
    int32_t size = e->options.size;
    loader_settings settings = {.geometry = e->detector->preprocessing,
                                .with_masks = true,
                                .frame = size != IMIAD_EVALUATE_INPUT ? FRAME_WHOLE
                                         : e->options.openiad_masks   ? FRAME_OPENIAD
                                                                      : FRAME_INPUT,
                                .frame_size = size > 0 ? size : 0,
                                .batch = (size_t)detector_batch_size(e->detector)};
    return loader_open(out, &source, &settings);
}

imiad_status imiad_evaluate(imiad_metrics *metrics, imiad_detector *detector,
                            const imiad_split *split, const imiad_evaluation_options *options,
                            imiad_scored_function scored, void *scored_user,
                            imiad_progress_function function, void *progress_user)
{
    if (!detector || !split)
        return fail(IMIAD_INVALID_ARGUMENT, "evaluate: detector or split is NULL");
    evaluation e = {.metrics = metrics,
                    .detector = detector,
                    .split = split,
                    .scored = scored,
                    .user = scored_user,
                    .lowest = INFINITY,
                    .highest = -INFINITY};
    TRY(check_options(&e.options, options));
    size_t count = imiad_split_test_count(split);
    if (count == 0)
        return fail(IMIAD_NOT_FOUND, "evaluate: dataset %s: category %s has no test images",
                    imiad_dataset_name(imiad_split_dataset(split)), imiad_split_category(split));
    TRY(imiad_split_check(split));
    size_t *samples = malloc(count * sizeof *samples);
    e.grouped = e.options.groups ? malloc(count * sizeof *e.grouped) : NULL;
    if (!samples || (e.options.groups && !e.grouped)) {
        free(samples);
        free(e.grouped);
        return fail_memory("a split", count * (sizeof *samples + sizeof *e.grouped));
    }
    for (size_t i = 0; i < count; ++i)
        samples[i] = imiad_split_test(split, i);
    loader *images;
    imiad_status status = open_loader(&images, &e, samples);
    if (status == IMIAD_OK) {
        status = run(&e, images, &(progress){function, progress_user});
        loader_close(images);
    }
    if (status == IMIAD_OK && e.options.groups)
        status = add_groups(&e);
    free(e.grouped);
    free(e.framed.values);
    free(e.maps.values);
    free(samples);
    return status;
}
