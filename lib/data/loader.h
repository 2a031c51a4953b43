/* The batch loader: threads decode, resize and crop ahead; batches come in a fixed order. */
#ifndef DATA_LOADER_H
#define DATA_LOADER_H

#include "data/split.h"
#include "image/preprocess.h"

/* Where images come from: a dataset's samples, what a split makes of them, or images in memory.
 * Borrowed while the loader is open. */
typedef struct image_source {
    const imiad_dataset *dataset;     /* with samples or with entries; NULL: images */
    const size_t *samples;            /* as they are */
    const split_entry *entries;       /* as training is told: augmented, noise without its mask */
    const imiad_image *const *images; /* without masks */
    size_t count;
} image_source;

typedef struct loaded {
    size_t position;          /* in the source */
    int32_t label;            /* 1 defective, 0 good: what training is told, or else the truth */
    const imiad_image *image; /* RGB8 after resize, crop and augmentation */
    /* GRAY8, 0 or 255, through the same geometry: all zero where the label is 0; NULL where masks
     * were not asked for, or where a defective image has none and the dataset says
     * missing_mask=skip */
    const imiad_image *mask;
    /* the whole image in the frame of the masks, RGB8; NULL where that is the input's own */
    const imiad_image *framed;
    int32_t native_width, native_height; /* of the image on disk */
    /* of the image alone, on whichever thread; 0 where it came from the cache */
    double decode_seconds, resize_seconds;
} loaded;

typedef struct loader loader;

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
void loader_close(loader *l);

#endif
