/* What an algorithm sees. It is one file in algorithms/ with a detector_ops, a line in the table
 * there and one in meson.build; docs/adding-a-detector.md walks through it. What all of them share
 * is done once, by the base (detector.h): options, preprocessing, batches, upsampling and smoothing
 * of maps, image scores, timings, files. */
#ifndef DETECTORS_ALGORITHM_H
#define DETECTORS_ALGORITHM_H

#include <stdatomic.h>

#include "base/options.h"
#include "base/progress.h"
#include "bridge/tensor.h"
#include "data/loader.h"
#include "imiad/detector.h"
#include "nn/backbone.h"
#include "nn/weights_tensor.h"

/* Images ready for a network. */
typedef struct batch {
    tensor *images; /* count x 3 x height x width, float32, normalised, on the detector's device */
    int64_t count, height, width;
    const imiad_image *const *pixels; /* the same, RGB8; until the next batch */
} batch;

/* What an algorithm makes of a batch; float32 tensors of the current scope, at least one of the
 * two. Other shapes and types are refused with IMIAD_INTERNAL. */
typedef struct scores {
    tensor *maps;  /* count x h x w of any h, w: the base upsamples and smooths; NULL: no maps */
    tensor *image; /* count; NULL: the maximum of the finished map */
} scores;

/* The training images, at least one, a pass at a time. */
typedef struct train_set train_set;
size_t train_set_count(const train_set *set);
/* The next batch into the current scope; false at the end of the pass and after a failure, which
 * sticks to the scope as every failure of tensors does. */
bool train_set_next(train_set *set, batch *out);
/* Begins another pass, in another order where one is given (a permutation of 0..count-1); NULL
 * keeps the order. */
imiad_status train_set_rewind(train_set *set, const size_t *order);
/* SHA-256 of what the images are: their dataset, paths and augmentations, or their pixels. */
imiad_status train_set_digest(char out[65], const train_set *set);

/* One option's value under one choice of the option `preset`; tables end in a NULL preset. */
typedef struct preset_value {
    const char *preset, *option, *value;
} preset_value;

/* Every member must be there but options, family_options, presets, fit_more, forget, bank and,
 * without a backbone, layers: creating a detector that lacks another fails with IMIAD_INTERNAL. */
typedef struct detector_ops {
    const char *name, *title;
    const option_spec *options; /* beside the common ones, whose definitions it may replace */
    const option_spec *family_options; /* between these two: training_options; or NULL */
    /* What the choices of an option `preset` (in `options`) set, where the caller does not; NULL
     * without that option. */
    const preset_value *presets;
    size_t state_size;   /* of the algorithm's own structure, zeroed before create */
    bool needs_backbone; /* false: one that is passed anyway is not kept */

    /* Reads the options into the state and checks that the backbone can serve them; before load
     * too, with the options of the file. */
    imiad_status (*create)(imiad_detector *self);
    /* Learns anew; whatever an earlier fit left must be gone or replaced. */
    imiad_status (*fit)(imiad_detector *self, train_set *normals, const progress *p);
    /* Learns another task on top of what was learned (continual and transfer settings); after a
     * failure that is still there. NULL: a new task is learned by fit, which forgets the others. */
    imiad_status (*fit_more)(imiad_detector *self, train_set *normals, const progress *p);
    /* Drops what training image `image`, counted from 0 over all fits since the last anew, left in
     * what was learned; *removed: how many rows. NULL: cannot. */
    imiad_status (*forget)(int64_t *removed, imiad_detector *self, int64_t image);
    /* Runs in a scope of the base; failures stick. Several clones may score at once, each on its
     * own thread with a `self` of its own but one state: it must not change it. */
    void (*score)(imiad_detector *self, const batch *b, scores *out);
    /* What fit learned, into and out of the detector's file; memory is borrowed until commit. */
    imiad_status (*save)(const imiad_detector *self, weights_writer *writer);
    imiad_status (*load)(imiad_detector *self, const weights *file);
    /* Frees what the state points to; the base frees the state itself. Runs after a create or load
     * that failed half-way too: fields may be zero still. */
    void (*destroy)(imiad_detector *self);

    const imiad_bank *(*bank)(const imiad_detector *self); /* NULL: has none */
    /* The backbone's layers that score uses: their weights, and none deeper, go into the file. */
    const char *const *(*layers)(const imiad_detector *self, int *count);
} detector_ops;

struct imiad_detector {
    const detector_ops *ops;
    imiad_backbone *backbone; /* NULL where the algorithm uses none */
    option_set *options;
    preprocessing preprocessing;
    void *state;
    bool fitted;
    struct stored_calibration *calibration; /* each handle's own; NULL: none */
    imiad_timings timings;
    float *map;             /* of the last image scored alone */
    imiad_detector *origin; /* of a clone: whose state, options and backbone these are */
    atomic_int references;  /* of an original: itself and its clones */
};

device detector_device(const imiad_detector *self); /* the backbone's; CPU without one */

/* Features of the named layers of a batch, timed as backbone work. */
void detector_features(imiad_detector *self, const batch *b, const char *const *layers, int count,
                       tensor **out);
/* The same before the ReLU that ends each layer. */
void detector_sums(imiad_detector *self, const batch *b, const char *const *layers, int count,
                   tensor **out);

#endif
