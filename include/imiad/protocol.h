/* Protocols: how a split is fitted, scored and measured. */
#ifndef IMIAD_PROTOCOL_H
#define IMIAD_PROTOCOL_H

#include "imiad/detector.h"
#include "imiad/metrics.h"
#include "imiad/split.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One scored test image, during the callback. */
typedef struct imiad_scored {
    uint32_t struct_size;
    size_t sample; /* index into the split's dataset */
    imiad_sample info;
    float score;
    int32_t width, height; /* of map and mask */
    const float *map;      /* NULL without maps */
    const imiad_image
        *mask; /* ground truth through the detector's own geometry; NULL where unknown */
    const imiad_image *image; /* the image as the detector saw it, RGB8, before normalisation */
} imiad_scored;

/* Called for every test image in the split's order, on the calling thread; a status other than
 * IMIAD_OK stops the evaluation and is returned by it. */
typedef imiad_status (*imiad_scored_function)(void *user, const imiad_scored *scored);

/* Scores every test image of the split with a fitted detector and adds scores, maps and masks to
 * the metrics. Both callbacks may be NULL. What was added before a failure or a cancellation stays.
 */
IMIAD_API imiad_status imiad_evaluate(imiad_metrics *metrics, imiad_detector *detector,
                                      const imiad_split *split, imiad_scored_function scored,
                                      void *scored_user, imiad_progress_function progress,
                                      void *progress_user);

#ifdef __cplusplus
}
#endif
#endif
