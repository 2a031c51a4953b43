/* What an algorithm sees. It is one file in algorithms/ with a detector_ops, a line in the table
 * there and one in meson.build; docs/adding-a-detector.md walks through it. What all of them share
 * is done once, by the base (detector.h): options, preprocessing, batches, upsampling and smoothing
 * of maps, image scores, timings, files. */
#ifndef DETECTORS_ALGORITHM_H
#define DETECTORS_ALGORITHM_H

#include <stdatomic.h>

#include "base/options.h"
#include "base/progress.h"
#include "base/random.h"
#include "bridge/tensor.h"
#include "data/loader.h"
#include "imiad/detector.h"
#include "nn/backbone.h"
#include "nn/weights_tensor.h"

/* What training is told of an image. */
typedef struct train_image {
    int32_t label;    /* 1 defective, 0 good */
    split_role role;  /* ROLE_TRAIN, ROLE_SHOT, ROLE_NOISE; what `takes` names: ROLE_ANOMALY,
                       * ROLE_SOURCE */
    int32_t category; /* in the dataset; of images in memory the caller's number */
} train_image;

enum { MADE_TENSORS = 8, MOST_BATCH = 512 /* images */ };

/* Images ready for a network. */
typedef struct batch {
    tensor *images; /* count x 3 x height x width, float32, normalised, on the detector's device */
    int64_t count, height, width;
    const imiad_image *const *pixels; /* the same, RGB8 or GRAY16; until the next
                                       * batch */
    /* While training, until the next batch: what is known of each; NULL while scoring. */
    const train_image *told;
    /* count x 1 x height x width, float32, 1 where defective and 0 elsewhere: with TAKES_MASKS,
     * while training; NULL otherwise. */
    tensor *masks;
    /* The same, GRAY8; NULL for a good image without one, and with TAKES_SOME_MASKS for a defective
     * one. */
    const imiad_image *const *mask_pixels;
    const size_t *indices;      /* places in the train set; as `told` */
    tensor *made[MADE_TENSORS]; /* what the detector's own `make` made, in the order of its specs */
} batch;

/* What an algorithm makes of a batch; float32 tensors of the current scope, at least one of the
 * two. Other shapes and types are refused with IMIAD_INTERNAL. */
typedef struct scores {
    tensor *maps;  /* count x h x w of any h, w: the base upsamples and smooths; NULL: no maps */
    tensor *image; /* count; NULL: the maximum of the finished map */
} scores;

/* What an algorithm is trained with beside the target's normal images; it never sees the rest. The
 * images come in the order of the split, then the sources. */
typedef enum detector_takes {
    TAKES_ANOMALIES = 1, /* images that are told defective, where the setting has them */
    TAKES_MASKS = 2,     /* masks; a defective image without one fails the fit, which names it */
    TAKES_SOURCES = 4,   /* normal training images of the dataset's other categories */
    TAKES_SOME_MASKS = 8 /* masks where there are: batch.mask_pixels alone, made_from.mask */
} detector_takes;

/* The training images, at least one, a pass at a time. */
typedef struct train_set train_set;
size_t train_set_count(const train_set *set);
/* What is told of image `index`; places are counted as in train_set_rewind's order. */
train_image train_set_image(const train_set *set, size_t index);
/* How many are told defective (1) or good (0). */
size_t train_set_count_label(const train_set *set, int32_t label);
/* Whether the setting turned, flipped, scaled or moved one of them: what lies at a place is then
 * not what lies there in an image to be scored. */
bool train_set_is_moved(const train_set *set);
/* The next batch into the current scope; false at the end of the pass and after a failure, which
 * sticks to the scope as every failure of tensors does. */
bool train_set_next(train_set *set, batch *out);
/* Begins another pass, in another order where one is given (a permutation of 0..count-1); NULL
 * keeps the order. */
imiad_status train_set_rewind(train_set *set, const size_t *order);

/* What a detector makes of each training image of a pass, on the loader's threads: its synthesis. A
 * result must depend on nothing but its arguments. */
typedef enum made_kind {
    MADE_IMAGE = 1, /* RGB8: arrives as the batch's images do, normalised */
    MADE_MASK,      /* one plane of bytes, above zero is defective: arrives as masks do */
    MADE_PLANES     /* float32, channels x height x width: arrives as it is */
} made_kind;
typedef struct made_spec {
    made_kind kind;
    int32_t channels;      /* of planes */
    int32_t height, width; /* of planes; 0: the image's */
} made_spec;
/* Where one result goes, in the order of the specs; zeroed, rows without gaps. */
typedef struct made_output {
    uint8_t *bytes; /* of an image or a mask */
    float *values;  /* of planes */
    int32_t channels, height, width;
} made_output;
typedef struct made_from {
    const imiad_detector *detector; /* to be read only */
    const imiad_image *image;       /* RGB8, preprocessed; what is made has 8 bits */
    const imiad_image *mask;        /* GRAY8, 0 or 255; NULL without TAKES_MASKS, and where
                                     * TAKES_SOME_MASKS finds none */
    train_image told;
    size_t index;         /* in the train set */
    const train_set *set; /* for train_set_image and train_set_count */
    struct making *making;
    const char *purpose; /* of its streams: DETECTOR/make/EPOCH/PLACE */
    size_t place;        /* in the pass */
} made_from;
/* A stream of this image's own: the same bytes with any number of threads. */
random_stream made_stream(const made_from *from, const char *what);
/* Another training image with its mask (or NULL), preprocessed alike, until the maker returns. */
imiad_status made_other(const imiad_image **image, const imiad_image **mask, const made_from *from,
                        size_t index);
/* The image before it was resized and cropped: RGB8, augmented as the setting says, until the maker
 * returns; read again for this. */
imiad_status made_native(const imiad_image **image, const made_from *from);
typedef imiad_status (*make_function)(const made_from *from, made_output *out);
typedef struct train_maker {
    const made_spec *specs;
    int count; /* at most MADE_TENSORS */
    make_function make;
} train_maker;

/* A pass of one's own. */
typedef struct train_pass {
    const size_t *order; /* any images, each as often as wanted, or left out */
    size_t count;
    size_t batch;             /* images; 0: the option train_batch, or batch */
    const train_maker *maker; /* until the next pass; NULL: nothing is made */
    int64_t epoch;            /* for the maker's streams */
} train_pass;
imiad_status train_set_begin(train_set *set, const train_pass *pass);
/* Ends the pass: until the next one begins no thread reads images or looks at what a maker uses, so
 * that the detector may free it. The end of a training does this. */
void train_set_rest(train_set *set);
/* SHA-256 of what the images are: their dataset, paths and augmentations, or their pixels. */
imiad_status train_set_digest(char out[65], const train_set *set);

/* One option's value under one choice of the option `preset`; tables end in a NULL preset. */
typedef struct preset_value {
    const char *preset, *option, *value;
} preset_value;

/* Every member must be there but options, family_options, presets, later, fit_more, forget, bank
 * and, without a backbone, layers: creating a detector that lacks another fails with
 * IMIAD_INTERNAL. */
typedef struct detector_ops {
    const char *name, *title;
    const char *of;   /* benchmarks whose algorithms it is one of, "imiad"; NULL: none */
    bool joins_tasks; /* what was learned of a task stays beside that of the next, unchanged */
    const option_spec *options; /* beside the common ones, whose definitions it may replace */
    const option_spec *family_options; /* between these two: training_options; or NULL */
    /* What the choices of an option `preset` (in `options`) set, where the caller does not; NULL
     * without that option. */
    const preset_value *presets;
    /* Options that came later than the detector: a file leaves one out while it has this value, and
     * is then what it was before them. Ends in a NULL name; NULL: none. */
    const imiad_option *later;
    size_t state_size;   /* of the algorithm's own structure, zeroed before create */
    bool needs_backbone; /* false: one that is passed anyway is not kept */
    bool own_device;     /* without a backbone: has the option `device` and computes there */
    unsigned takes;      /* detector_takes; create may set self->takes by its options instead */

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
    device device;  /* of the option `device`; the CPU without it */
    unsigned takes; /* detector_takes */
    int64_t tasks;  /* that were learned on top of each other; during fit those before this one */
    struct stored_calibration *calibration; /* each handle's own; NULL: none */
    imiad_timings timings;
    float *map;             /* of the last image scored alone */
    imiad_detector *origin; /* of a clone: whose state, options and backbone these are */
    atomic_int references;  /* of an original: itself and its clones */
};

/* The backbone's; without one that of the option `device`, or the CPU. */
device detector_device(const imiad_detector *self);

/* Features of the named layers of a batch, timed as backbone work. */
void detector_features(imiad_detector *self, const batch *b, const char *const *layers, int count,
                       tensor **out);
/* The same before the ReLU that ends each layer. */
void detector_sums(imiad_detector *self, const batch *b, const char *const *layers, int count,
                   tensor **out);
/* All tokens of a transformer's layers: backbone_tokens. */
void detector_tokens(imiad_detector *self, const batch *b, const char *const *layers, int count,
                     position_rule rule, tensor **out);

#endif
