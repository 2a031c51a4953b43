/* The batch loader: threads decode, resize and crop ahead; batches come in a fixed order. */
#ifndef DATA_LOADER_H
#define DATA_LOADER_H

#include "data/split.h"
#include "image/preprocess.h"

/* Where images come from: a dataset's samples, what a split makes of them, or images in memory.
 * Borrowed while the loader is open. */
typedef struct image_source {
    const imiad_dataset *dataset; /* with samples or with entries; NULL: images */
    const size_t *samples;        /* as they are */
    const split_entry *entries;   /* as training is told: augmented, noise without its mask */
    const imiad_image *const *images;
    size_t count;
    /* Of images in memory alone, or NULL: 0 good or 1 defective (all good), the mask of each
     * defective one or NULL, 0 for the target's category or another number (all 0). */
    const int32_t *labels;
    const imiad_image *const *masks;
    const int32_t *categories;
} image_source;

typedef struct loaded {
    size_t position;          /* in the source */
    int32_t label;            /* 1 defective, 0 good: what training is told, or else the truth */
    split_role role;          /* of an entry; of what has none by its label */
    int32_t category;         /* in the dataset; of images in memory what the source says */
    const imiad_image *image; /* RGB8, or GRAY16, after resize, crop and augmentation */
    /* GRAY8, 0 or 255, through the same geometry: all zero where the label is 0; NULL where masks
     * were not asked for, or where a defective image has none and the dataset says
     * missing_mask=skip */
    const imiad_image *mask;
    /* the whole image in the frame of the masks, RGB8; NULL where that is the input's own */
    const imiad_image *framed;
    int32_t native_width, native_height; /* of the image on disk */
    /* of the image alone, on whichever thread; 0 where it came from the cache */
    double decode_seconds, resize_seconds;
    const void *made; /* what the round's maker made of it; NULL without one */
} loaded;

typedef struct loader loader;

/* Makes more of an image: what a detector's synthesis draws. `make` runs on the loader's threads,
 * for several images at once, and is shown RGB8 of images of 16 bits as well. */
typedef struct making making;
typedef struct loader_maker {
    void *context;
    size_t (*bytes)(void *context, int32_t width, int32_t height); /* of what is made of one */
    /* Fills `out`, aligned as malloc aligns, not zeroed. */
    imiad_status (*make)(void *context, making *m, void *out);
} loader_maker;

struct making {
    const loaded *image;
    size_t place; /* in the round, from 0 */
    struct loader *loader;
    struct borrowed_image *others;
};
/* Another image of the source with its mask, through the same geometry, until `make` returns. */
imiad_status loader_other(loaded *out, making *m, size_t position);
/* The image that is being made from, before it was resized and cropped: RGB8, until `make` returns.
 * It is read again. */
imiad_status loader_native(const imiad_image **out, making *m);

/* The geometry of masks. */
typedef enum mask_frame {
    FRAME_INPUT,   /* that of the images */
    FRAME_WHOLE,   /* the whole image, as it is or squashed to a square of frame_size */
    FRAME_OPENIAD, /* the IM-IAD code's: shorter side to the input's, bilinear, centre crop */
} mask_frame;

typedef struct loader_settings {
    preprocessing geometry;
    size_t batch; /* images, at least 1 */
    bool with_masks;
    mask_frame frame;
    int32_t frame_size;   /* of FRAME_WHOLE; 0: each image's own size */
    const size_t *order;  /* a permutation of the source's positions; NULL: as they are */
    size_t ahead;         /* batches made ready beyond the one handed out; 0: 2 */
    uint64_t cache_bytes; /* of finished images kept for the next round; 0: none */
} loader_settings;

/* Starts imiad_threads() threads of its own, at most one an image. */
imiad_status loader_open(loader **out, const image_source *source, const loader_settings *settings);
/* The next batch: fewer than settings.batch at the end, 0 after it. Borrowed until the next call.
 * The batch of an image that cannot be read is a failure that names it, and so is every later call
 * of the round. */
imiad_status loader_next(const loaded **out, size_t *count, loader *l);
/* Begins again, at any moment, in another order (NULL: as they are); cached images are not decoded
 * again. */
imiad_status loader_rewind(loader *l, const size_t *order);
/* Begins a round of one's own. */
typedef struct loader_round {
    const size_t *order; /* positions, any of them as often as wanted, or left out */
    size_t count;
    size_t batch;              /* images; 0: those of the settings */
    const loader_maker *maker; /* borrowed until the next round; NULL: nothing more is made */
} loader_round;
imiad_status loader_begin(loader *l, const loader_round *round);
/* Ends the round: until the next one no thread reads, or looks at the maker's context. */
void loader_pause(loader *l);
void loader_close(loader *l);

#endif
