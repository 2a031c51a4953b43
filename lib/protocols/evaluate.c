/* Scoring a split's test images and adding them up. */
#include <stdlib.h>

#include "base/error.h"
#include "base/progress.h"
#include "detectors/detector.h"
#include "imiad/protocol.h"

enum { MOST_IMAGES = 256 };

typedef struct evaluation {
    imiad_metrics *metrics;
    imiad_detector *detector;
    const imiad_split *split;
    imiad_scored_function scored;
    void *user;
    map_buffer maps;
} evaluation;

static imiad_status take(evaluation *e, const loaded *item, const outcome *o)
{
    imiad_scored result = {.struct_size = sizeof result,
                           .sample = imiad_split_test(e->split, item->position),
                           .info = IMIAD_SAMPLE_INIT,
                           .score = o->score,
                           .width = o->width,
                           .height = o->height,
                           .map = o->map,
                           .mask = item->mask,
                           .image = item->image};
    TRY(imiad_dataset_sample(&result.info, imiad_split_dataset(e->split), result.sample));
    if (e->metrics) {
        TRY(imiad_metrics_add_image(e->metrics, result.info.label, (double)o->score));
        if (o->map && (item->mask || result.info.label == 0))
            TRY(imiad_metrics_add_map(e->metrics, o->map, o->width, o->height, item->mask));
    }
    return e->scored ? e->scored(e->user, &result) : IMIAD_OK;
}

static imiad_status take_batch(evaluation *e, const loaded *items, size_t count)
{
    const imiad_image *images[MOST_IMAGES] = {NULL};
    outcome outcomes[MOST_IMAGES];
    for (size_t i = 0; i < count; ++i) {
        images[i] = items[i].image;
        detector_add_loading(e->detector, items[i].decode_seconds, items[i].resize_seconds);
    }
    TRY(detector_score_batch(outcomes, e->detector, images, count, &e->maps));
    for (size_t i = 0; i < count; ++i)
        TRY(take(e, &items[i], &outcomes[i]));
    return IMIAD_OK;
}

static imiad_status run(evaluation *e, loader *images, const progress *p, size_t total)
{
    for (size_t done = 0;;) {
        const loaded *items;
        size_t count;
        TRY(progress_report(p, "score", (int64_t)done, (int64_t)total));
        TRY(loader_next(&items, &count, images));
        if (count == 0)
            return IMIAD_OK;
        TRY(take_batch(e, items, count));
        done += count;
    }
}

imiad_status imiad_evaluate(imiad_metrics *metrics, imiad_detector *detector,
                            const imiad_split *split, imiad_scored_function scored,
                            void *scored_user, imiad_progress_function function,
                            void *progress_user)
{
    if (!detector || !split)
        return fail(IMIAD_INVALID_ARGUMENT, "evaluate: detector or split is NULL");
    size_t count = imiad_split_test_count(split);
    size_t *samples = malloc((count ? count : 1) * sizeof *samples);
    if (!samples)
        return fail_memory("a split", count * sizeof *samples);
    for (size_t i = 0; i < count; ++i)
        samples[i] = imiad_split_test(split, i);
    image_source source = {
        .dataset = imiad_split_dataset(split), .samples = samples, .count = count};
    loader_settings settings = {.geometry = detector->preprocessing,
                                .with_masks = true,
                                .batch = (size_t)detector_batch_size(detector)};
    evaluation e = {metrics, detector, split, scored, scored_user, {NULL, 0}};
    loader *images;
    imiad_status status = loader_open(&images, &source, &settings);
    if (status == IMIAD_OK) {
        status = run(&e, images, &(progress){function, progress_user}, count);
        loader_close(images);
    }
    free(e.maps.values);
    free(samples);
    return status;
}
