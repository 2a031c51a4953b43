/* Detectors: one algorithm with its options; fit, score, save, load. */
#ifndef IMIAD_DETECTOR_H
#define IMIAD_DETECTOR_H

#include "imiad/backbone.h"
#include "imiad/bank.h"
#include "imiad/image.h"
#include "imiad/split.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct imiad_detector imiad_detector;

/* The registered detectors: what imiad_detector_create takes as a name. */
IMIAD_API size_t imiad_detector_type_count(void);
IMIAD_API const char *imiad_detector_type_name(size_t index);
IMIAD_API const char *imiad_detector_type_title(size_t index);
/* The option schema of a detector, what all detectors share included: indices from 0 until
 * IMIAD_OUT_OF_RANGE. */
IMIAD_API imiad_status imiad_detector_option_info(imiad_option_info *out, const char *name,
                                                  size_t index);

/* A new, unfitted detector. It shares the backbone and keeps it alive; a detector that uses none
 * takes NULL. Errors: IMIAD_UNKNOWN_OPTION, IMIAD_OUT_OF_RANGE (with the option's name and range),
 * IMIAD_MISMATCH (the backbone lacks a layer that the options ask for). */
IMIAD_API imiad_status imiad_detector_create(imiad_detector **out, const char *name,
                                             imiad_backbone *backbone, const imiad_option *options,
                                             size_t option_count);
IMIAD_API void imiad_detector_free(imiad_detector *detector);

IMIAD_API const char *imiad_detector_name(const imiad_detector *detector);
/* The value of an option as text, given or default; NULL where there is no such option. Borrowed.
 */
IMIAD_API const char *imiad_detector_option(const imiad_detector *detector, const char *name);

/* Learns from the split's training images. A second fit begins anew.
 * Errors: those of reading the images, IMIAD_OVER_BUDGET, IMIAD_CANCELLED. */
IMIAD_API imiad_status imiad_detector_fit(imiad_detector *detector, const imiad_split *split,
                                          imiad_progress_function progress, void *user);
/* Learns another task without starting over, as the continual and transfer settings ask: what the
 * method then keeps of the earlier tasks is on its page (PatchCore adds to its bank; a method that
 * the page calls forgetful fits anew). The first call of a new detector is a fit.
 * Errors: as for imiad_detector_fit; what was learned before stays, unless the method is forgetful.
 */
IMIAD_API imiad_status imiad_detector_fit_more(imiad_detector *detector, const imiad_split *split,
                                               imiad_progress_function progress, void *user);
/* imiad_detector_fit from images in memory; they are read during the call only. */
IMIAD_API imiad_status imiad_detector_fit_images(imiad_detector *detector,
                                                 const imiad_image *const *images, size_t count,
                                                 imiad_progress_function progress, void *user);

/* What an image came to. */
typedef struct imiad_result {
    uint32_t struct_size;
    float score; /* of the image: larger is more anomalous; raw, in the detector's own unit */
    int32_t width, height; /* of the map: the detector's input after resize and crop */
    const float *map; /* rows first; borrowed until the detector's next call; NULL without maps */
} imiad_result;
#define IMIAD_RESULT_INIT                                                                          \
    {                                                                                              \
        sizeof(imiad_result), 0, 0, 0, 0                                                           \
    }

/* Scores one image of any size. Errors: IMIAD_WRONG_STATE before fitting or loading. */
IMIAD_API imiad_status imiad_detector_score(imiad_result *out, imiad_detector *detector,
                                            const imiad_image *image);

/* The image as the detector sees it: resized and cropped, RGB8, before normalisation. */
IMIAD_API imiad_status imiad_detector_preprocess(imiad_image **out, const imiad_detector *detector,
                                                 const imiad_image *image);

/* Seconds spent in this detector since it was made, by stage, and images scored. Decode and resize
 * count the work of all threads and overlap the rest. */
typedef struct imiad_timings {
    uint32_t struct_size;
    double fit_seconds;
    double decode_seconds, resize_seconds, backbone_seconds, score_seconds, map_seconds;
    int64_t images;
} imiad_timings;
#define IMIAD_TIMINGS_INIT                                                                         \
    {                                                                                              \
        sizeof(imiad_timings), 0, 0, 0, 0, 0, 0, 0                                                 \
    }
IMIAD_API imiad_status imiad_detector_timings(imiad_timings *out, const imiad_detector *detector);

/* The memory bank of a fitted detector that has one, borrowed until it is fitted again or freed. */
IMIAD_API imiad_status imiad_detector_bank(const imiad_bank **out, const imiad_detector *detector);

/* One file with all that scoring needs: preprocessing, options, backbone weights, what was learned.
 */
IMIAD_API imiad_status imiad_detector_save(const imiad_detector *detector, const char *path);
/* device: as for a backbone; NULL: "cpu". Errors: IMIAD_FORMAT for a damaged or foreign file. */
IMIAD_API imiad_status imiad_detector_load(imiad_detector **out, const char *path,
                                           const char *device);

#ifdef __cplusplus
}
#endif
#endif
