/* Detectors written outside the library, in plain C: a table of functions that is registered at run
 * time and then behaves as the library's own ones do: options, preprocessing, batches, backbone
 * features, upsampling and smoothing of maps, image scores, files, every protocol.
 * docs/plugins.md walks through one; imiad/dataset.h has the same for datasets. */
#ifndef IMIAD_PLUGIN_H
#define IMIAD_PLUGIN_H

#include "imiad/detector.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The output of one backbone layer for the images of a batch, on the host. */
typedef struct imiad_layer_features {
    uint32_t struct_size;
    const char *layer;
    int64_t channels, height, width;
    const float *values; /* count x channels x height x width, rows last */
} imiad_layer_features;

/* Images of one size. All of it is borrowed: during `score`, or until the next call of
 * imiad_batches_next. */
typedef struct imiad_batch {
    uint32_t struct_size;
    size_t count; /* at least 1 */
    int32_t width, height;
    const imiad_image *const *images;   /* RGB8, after resize and crop, before normalisation; of 16
                                         * bits the high ones, while the features see them all */
    size_t layer_count;                 /* as many as the function `layers` names, in its order */
    const imiad_layer_features *layers; /* structures of layers[0].struct_size bytes each */
    /* While training: `count` entries each; NULL while scoring. */
    const size_t *indices;     /* the image's place in the training set, from 0 */
    const int32_t *labels;     /* 1 defective, 0 good */
    const int32_t *roles;      /* imiad_training_role */
    const int32_t *categories; /* in the dataset, or as in imiad_labelled_image */
    /* With IMIAD_TAKES_MASKS, while training: GRAY8, 0 or 255, of the images' size, all zero where
     * an image is good. NULL otherwise. */
    const imiad_image *const *masks;
} imiad_batch;

/* What a training image is to the detector. */
typedef enum imiad_training_role {
    IMIAD_ROLE_NORMAL = 0,  /* good */
    IMIAD_ROLE_SHOT = 1,    /* one of a few good ones that were drawn */
    IMIAD_ROLE_ANOMALY = 2, /* told defective */
    IMIAD_ROLE_NOISE = 3,   /* told good in the noisy setting; some are not */
    IMIAD_ROLE_SOURCE = 4   /* good, of another category than the one to be inspected */
} imiad_training_role;

/* What a detector is trained with beside the target's good images; it never sees the rest. */
enum {
    IMIAD_TAKES_ANOMALIES = 1, /* images that are told defective, where the setting has them */
    IMIAD_TAKES_MASKS = 2,     /* masks; a defective image without one fails the fit */
    IMIAD_TAKES_SOURCES = 4    /* good training images of the dataset's other categories */
};

/* The training images of one fit, a pass at a time: good ones, and what the detector takes. */
typedef struct imiad_batches imiad_batches;
IMIAD_API size_t imiad_batches_count(const imiad_batches *batches); /* of images, at least 1 */
/* The next batch; NULL at the end of the pass. Errors: those of reading images, a failure of the
 * network, IMIAD_CANCELLED where the caller of fit asks to stop: pass them on. */
IMIAD_API imiad_status imiad_batches_next(const imiad_batch **out, imiad_batches *batches);
/* Begins another pass, in another order where one is given (a permutation of 0..count-1). */
IMIAD_API imiad_status imiad_batches_rewind(imiad_batches *batches, const size_t *order);
/* What is known of image `index`, from 0; any of the results may be NULL. Errors:
 * IMIAD_OUT_OF_RANGE. */
IMIAD_API imiad_status imiad_batches_image(int32_t *label, int32_t *role, int32_t *category,
                                           const imiad_batches *batches, size_t index);
/* How many tasks the detector learned before this one; 0 in `fit`. */
IMIAD_API int64_t imiad_batches_tasks(const imiad_batches *batches);
/* Begins a pass of one's own: `count` places of images, any of them as often as wanted or left out,
 * in batches of `batch_size` (1..256). The order is copied. Errors: IMIAD_OUT_OF_RANGE,
 * IMIAD_INVALID_ARGUMENT. */
IMIAD_API imiad_status imiad_batches_draw(imiad_batches *batches, const size_t *order, size_t count,
                                          size_t batch_size);
/* Begins a pass of `steps` batches, the first half of each good images (of an odd one the larger
 * half), the second defective ones: endless shuffled rows of either, which depend on seed and epoch
 * alone. Where there is no defective image all are good. Errors: as imiad_batches_draw. */
IMIAD_API imiad_status imiad_batches_draw_balanced(imiad_batches *batches, size_t steps,
                                                   size_t batch_size, uint64_t seed, int64_t epoch);
/* Tells the caller of fit how far work other than reading has come; IMIAD_CANCELLED asks to stop.
 */
IMIAD_API imiad_status imiad_batches_progress(const imiad_batches *batches, const char *stage,
                                              int64_t done, int64_t total);

/* Where the scores of a batch go. Each returns memory to fill, all zeros, once a call of `score`;
 * NULL where memory runs out: return IMIAD_NO_MEMORY then. At least one of the two is needed. */
typedef struct imiad_batch_scores imiad_batch_scores;
/* count x height x width floats of any grid; larger is more anomalous. The library upsamples them
 * bilinearly to the input and smooths them with the option `smoothing`. */
IMIAD_API float *imiad_batch_scores_maps(imiad_batch_scores *scores, int64_t height, int64_t width);
/* count floats. Without them an image's score is the largest value of its finished map. */
IMIAD_API float *imiad_batch_scores_images(imiad_batch_scores *scores);

/* What fit learned, into and out of the detector's file: bytes under names. Byte order and layout
 * are the plug-in's own. */
typedef struct imiad_blocks imiad_blocks;
/* Copies. Errors: IMIAD_INVALID_ARGUMENT (no name, no bytes, a name that was put before). */
IMIAD_API imiad_status imiad_blocks_put(imiad_blocks *blocks, const char *name, const void *bytes,
                                        size_t size);
/* Borrowed during `load`, at any alignment: memcpy it. A file comes from outside: check the size.
 * Errors: IMIAD_FORMAT where there is no such block. */
IMIAD_API imiad_status imiad_blocks_get(const void **out, size_t *size, const imiad_blocks *blocks,
                                        const char *name);

/* A detector as functions. They return IMIAD_OK, or what imiad_fail or a function of the library
 * returned. `state` is the plug-in's own, one for each detector (clones share it). All are called
 * by the thread that called the library; nothing is called at once for one state but `score`. */
typedef struct imiad_detector_functions {
    uint32_t struct_size;
    const char *name;  /* letters, digits and underscores */
    const char *title; /* one line for people */
    /* beside those of every detector (resize_mode, resize, crop, batch, smoothing); one of the same
     * name replaces it whole. NULL where there are none */
    const imiad_option_info *options;
    size_t option_count;
    void *user; /* the first argument of create */
    /* Makes a state. Options: imiad_detector_option(detector, ...), checked already; the backbone:
     * imiad_detector_backbone(detector). Called before load too, with the options of the file. */
    imiad_status (*create)(void *user, void **state, const imiad_detector *detector);
    /* The backbone's layers whose features fit and score see, by torchvision's names, and their
     * count; the same for the life of the state. Their weights go into the detector's file. NULL:
     * the detector needs no backbone and works on the images. */
    const char *const *(*layers)(void *state, size_t *count);
    /* Learns anew; what an earlier fit left must be gone. */
    imiad_status (*fit)(void *state, imiad_batches *normals);
    /* Learns another task on top (continual and transfer settings); what there was must stay where
     * it fails. NULL: another task is learned by fit, which forgets the others. */
    imiad_status (*fit_more)(void *state, imiad_batches *normals);
    /* May be called by several threads at once, for clones: it must not change the state. */
    imiad_status (*score)(const void *state, const imiad_batch *batch, imiad_batch_scores *scores);
    imiad_status (*save)(const void *state, imiad_blocks *blocks);
    imiad_status (*load)(void *state, const imiad_blocks *blocks);
    void (*destroy)(void *state); /* also after a fit or load that failed half-way */
    uint32_t takes;               /* IMIAD_TAKES_...: what `fit` sees beside good images */
} imiad_detector_functions;
#define IMIAD_DETECTOR_FUNCTIONS_INIT                                                              \
    {                                                                                              \
        sizeof(imiad_detector_functions), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                 \
    }

/* Makes the name one that imiad_detector_create and imiad_detector_load take and
 * imiad_detector_type_name lists, for the process's life. The structure and its text are copied;
 * `user` and the code must stay. Any thread may register. Errors: IMIAD_INVALID_ARGUMENT (a name
 * that is taken or missing, a missing function), those of its options. */
IMIAD_API imiad_status imiad_detector_register(const imiad_detector_functions *functions);

/* The function that a plug-in in a shared object exports: it registers what the object has. */
#define IMIAD_PLUGIN_ENTRY "imiad_plugin_register"
typedef imiad_status (*imiad_plugin_function)(void);
/* Loads a shared object, which runs its code in this process, and calls its imiad_plugin_register
 * once; it stays loaded. Errors: IMIAD_NOT_FOUND (no such file), IMIAD_FORMAT (it cannot be loaded,
 * or has no such function), what that function returns. */
IMIAD_API imiad_status imiad_plugin_load(const char *path);

#ifdef __cplusplus
}
#endif
#endif
