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

/* Used by one thread at a time; imiad_detector_clone makes handles for others. */
typedef struct imiad_detector imiad_detector;

/* The registered detectors: what imiad_detector_create takes as a name. */
IMIAD_API size_t imiad_detector_type_count(void);
IMIAD_API const char *imiad_detector_type_name(size_t index);
IMIAD_API const char *imiad_detector_type_title(size_t index);
/* The benchmarks whose algorithms it is one of, separated by spaces: "imiad"; "" for none. Static
 * text; NULL past the end. */
IMIAD_API const char *imiad_detector_type_benchmarks(size_t index);
/* What imiad_detector_fit_more does with a new task: "joins" (what was learned of the earlier ones
 * stays beside it, unchanged), "goes on" (the same parameters go on learning), "forgets" (it fits
 * anew). Static text; NULL past the end. */
IMIAD_API const char *imiad_detector_type_new_task(size_t index);
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

/* The backbone that it shares; NULL where it uses none. Borrowed. */
IMIAD_API const imiad_backbone *imiad_detector_backbone(const imiad_detector *detector);

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

/* An image to learn from, with what is known of it. */
typedef struct imiad_labelled_image {
    uint32_t struct_size;
    int32_t label;            /* 1 defective, 0 good */
    const imiad_image *image; /* any format and size */
    const imiad_image *mask;  /* GRAY8 of the image's size, above zero is defective; NULL: none */
    int32_t category; /* 0: the one to be inspected; any other number: a good image of another one,
                       * for detectors that learn from those too */
} imiad_labelled_image;
#define IMIAD_LABELLED_IMAGE_INIT                                                                  \
    {                                                                                              \
        sizeof(imiad_labelled_image), 0, 0, 0, 0                                                   \
    }
/* imiad_detector_fit from labelled images in memory, `count` structures of images[0].struct_size
 * bytes each; they are read during the call only. A detector sees what it takes and nothing else:
 * one that learns from good images alone never sees the defective ones, nor any mask.
 * Errors: as for imiad_detector_fit; IMIAD_INVALID_ARGUMENT, with the image counted from 0 (a label
 * but 0 and 1, no image, a defective image of another category, a mask that is not GRAY8, no good
 * image, or a mask that the detector needs and that is missing), IMIAD_MISMATCH (a mask of another
 * size than its image). */
IMIAD_API imiad_status imiad_detector_fit_labelled(imiad_detector *detector,
                                                   const imiad_labelled_image *images, size_t count,
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

/* Where the maps of imiad_detector_score_batch are read. */
enum {
    IMIAD_MAP_INPUT = 0, /* at the detector's input, after resize and crop */
    IMIAD_MAP_IMAGE = 1  /* over the whole image, at its own size: bilinear between the centres of
                          * the input's pixels; what the crop cut off takes the map's lowest value */
};

typedef struct imiad_score_options {
    uint32_t struct_size;
    int32_t map_frame; /* IMIAD_MAP_INPUT or IMIAD_MAP_IMAGE; with tiles always the latter */
    /* Regions of interest: NULL, or an array of as many masks as there are images, where NULL is a
     * whole image. A mask has its image's size; its non-zero pixels are looked at. The score is
     * then the largest value inside the region of the finished map (at the detector's input; with
     * tiles, at the image's size), whatever the detector makes of whole images: a threshold for
     * one is none for the other. Outside, the map takes its lowest value inside. The network still
     * sees the whole image: what lies outside reaches in by the patches at the border, no further.
     */
    const imiad_image *const *regions;
    /* For images much larger than the input: 1 scores squares of tile_side pixels that overlap by
     * at least tile_overlap (0..0.5) of it, each squashed to the detector's input without a crop.
     * The image's score is its worst tile's. The map is the mean of the tiles' maps, weighted by
     * the distance to the tile's border: min(x + 0.5, side - x - 0.5) times the same in y. Fit such
     * a detector on tiles of that side (imiad_image_tile). */
    int32_t tiles;
    int32_t tile_side; /* pixels of the image; 0: the side of the detector's input */
    double tile_overlap;
} imiad_score_options;
#define IMIAD_SCORE_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(imiad_score_options), 0, 0, 0, 0, 0.25                                              \
    }

/* The size of the map that imiad_detector_score_batch makes of an image of width x height. options
 * may be NULL. */
IMIAD_API imiad_status imiad_detector_map_size(int32_t *out_width, int32_t *out_height,
                                               const imiad_detector *detector, int32_t width,
                                               int32_t height, const imiad_score_options *options);

/* Scores `count` images of any sizes and formats into the caller's memory: `scores` holds count
 * floats; `maps`, NULL or `capacity` floats, takes the maps one behind the other, rows first, each
 * of the size that imiad_detector_map_size tells. Images of one input size pass through the network
 * together, as many as the option batch says. Nothing of the images is kept. options may be NULL.
 * Errors: as imiad_detector_score; IMIAD_INVALID_ARGUMENT where the maps do not fit or a region
 * shows no pixel of the input; IMIAD_MISMATCH (a region of another size, an image smaller than a
 * tile: the message counts images from 0); IMIAD_UNSUPPORTED (maps or regions of a detector
 * without maps). After a failure both buffers are undefined. */
IMIAD_API imiad_status imiad_detector_score_batch(float *scores, float *maps, size_t capacity,
                                                  imiad_detector *detector,
                                                  const imiad_image *const *images, size_t count,
                                                  const imiad_score_options *options);

/* Another handle of a fitted detector, for another thread: what was learned and the backbone are
 * shared, results and timings are each handle's own. Scoring by several handles at once gives the
 * same bytes as by one. A clone can score and be saved, not be fitted; while it lives, its original
 * cannot be fitted either (IMIAD_WRONG_STATE), only freed, in any order. Cloning is cheap. */
IMIAD_API imiad_status imiad_detector_clone(imiad_detector **out, imiad_detector *detector);

/* The image as the detector sees it: resized and cropped, before normalisation; RGB8, also where
 * the detector sees 16 bits. */
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

/* Takes out of a fitted memory bank what one training image left there: images are numbered from 0
 * in the order of the fit's training images, and on through imiad_detector_fit_more. The other rows
 * stay as they are: no coreset is chosen anew. removed: how many rows went, 0 where the coreset had
 * kept none or the image was forgotten before; may be NULL. Errors: IMIAD_UNSUPPORTED (a detector
 * without such a bank), IMIAD_WRONG_STATE (unfitted, or shared with clones), IMIAD_OUT_OF_RANGE (no
 * such image, or fewer rows would be left than scoring asks for). */
IMIAD_API imiad_status imiad_detector_forget(imiad_detector *detector, int64_t image,
                                             int64_t *removed);

/* The memory bank of a fitted detector that has one, borrowed until it is fitted again or freed. */
IMIAD_API imiad_status imiad_detector_bank(const imiad_bank **out, const imiad_detector *detector);

/* One file with all that scoring needs: preprocessing, options, backbone weights, what was learned.
 */
IMIAD_API imiad_status imiad_detector_save(const imiad_detector *detector, const char *path);
/* The same file and what only further learning needs: the optimisers' states. A detector that is
 * loaded from it takes the next imiad_detector_fit_more as this one would: with the same number of
 * threads on the same machine, to the same bytes. Errors: those of imiad_detector_save. */
IMIAD_API imiad_status imiad_detector_save_learning(const imiad_detector *detector,
                                                    const char *path);
/* The bytes of all tensors that imiad_detector_save writes: what is kept of the tasks so far, and
 * the backbone's weights. Errors: IMIAD_INVALID_ARGUMENT, IMIAD_WRONG_STATE before a fit,
 * IMIAD_NO_MEMORY. */
IMIAD_API imiad_status imiad_detector_bytes(uint64_t *out, const imiad_detector *detector);
/* device: as for a backbone; NULL: "cpu". Errors: IMIAD_FORMAT for a damaged or foreign file. */
IMIAD_API imiad_status imiad_detector_load(imiad_detector **out, const char *path,
                                           const char *device);

#ifdef __cplusplus
}
#endif
#endif
