/* Protocols: how a split is fitted, scored and measured. */
#ifndef IMIAD_PROTOCOL_H
#define IMIAD_PROTOCOL_H

#include "imiad/detector.h"
#include "imiad/metrics.h"
#include "imiad/split.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where maps and masks are brought together before they are compared. */
enum {
    IMIAD_EVALUATE_INPUT = 0,   /* the detector's own input, after resize and crop */
    IMIAD_EVALUATE_NATIVE = -1, /* every image's own size */
                                /* a positive number: a square of that many pixels a side */
};

typedef struct imiad_evaluation_options {
    uint32_t struct_size;
    /* Native or a number: the whole image counts. Maps are laid over it bilinearly, masks resized
     * by nearest neighbour; what the detector's crop cut off takes the map's lowest value. */
    int32_t size;
    /* What the IM-IAD code did, for comparison with its figures; both belong to size 0. */
    int32_t binarise_maps; /* 1 above the middle between the lowest and highest value of all maps,
                            * else 0, before pixel metrics; scores every image twice */
    int32_t openiad_masks; /* resize the mask's shorter side bilinearly and crop its centre,
                            * although the image was squashed */
    /* Images that show one thing, such as five views of one part, are judged together as well: each
     * group (imiad_dataset_sample_group) adds one image to these metrics at the end, with the
     * highest score of its images, defective where one of them is. An image without a group is one.
     * NULL: nothing is added. Borrowed. */
    imiad_metrics *groups;
} imiad_evaluation_options;
#define IMIAD_EVALUATION_OPTIONS_INIT                                                              \
    {                                                                                              \
        sizeof(imiad_evaluation_options), 0, 0, 0, 0                                               \
    }

/* One scored test image, during the callback. */
typedef struct imiad_scored {
    uint32_t struct_size;
    size_t sample; /* index into the split's dataset */
    imiad_sample info;
    float score;
    int32_t width, height;    /* of map, mask and image, as the options ask */
    const float *map;         /* NULL without maps */
    const imiad_image *mask;  /* ground truth; NULL where unknown */
    const imiad_image *image; /* RGB8, before normalisation */
} imiad_scored;

/* Called for every test image in the split's order, on the calling thread; a status other than
 * IMIAD_OK stops the evaluation and is returned by it. */
typedef imiad_status (*imiad_scored_function)(void *user, const imiad_scored *scored);

/* Scores every test image of the split with a fitted detector and adds scores, maps and masks to
 * the metrics. metrics, options and both callbacks may be NULL. What was added before a failure or
 * a cancellation stays. Errors: those of reading the images and of scoring, IMIAD_NOT_FOUND for a
 * split without test images, IMIAD_INVALID_ARGUMENT for options that contradict each other. */
IMIAD_API imiad_status imiad_evaluate(imiad_metrics *metrics, imiad_detector *detector,
                                      const imiad_split *split,
                                      const imiad_evaluation_options *options,
                                      imiad_scored_function scored, void *scored_user,
                                      imiad_progress_function progress, void *progress_user);

#ifdef __cplusplus
}
#endif
#endif
