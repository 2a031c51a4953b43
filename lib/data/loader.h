/* The batch loader: threads decode, resize and crop ahead; batches come in a fixed order. */
#ifndef DATA_LOADER_H
#define DATA_LOADER_H

#include "data/dataset.h"
#include "image/preprocess.h"

/* Where images come from: a split's samples, or images in memory. */
typedef struct image_source {
    const imiad_dataset *dataset; /* with sample indices ... */
    const size_t *samples;
    const imiad_image *const *images; /* ... or images */
    size_t count;
} image_source;

typedef struct loaded {
    size_t position;    /* in the source */
    imiad_image *image; /* RGB8 after resize and crop; owned by the loader until the next batch */
    imiad_image *mask;  /* GRAY8 through the same geometry; NULL unless asked for and present */
    double decode_seconds, resize_seconds;
} loaded;

typedef struct loader loader;

/* Masks are read too where asked for. `order` is a permutation of the source's positions, or NULL.
 */
imiad_status loader_open(loader **out, const image_source *source, const preprocessing *p,
                         bool with_masks, const size_t *order, size_t batch);
/* The next batch: fewer than `batch` at the end, 0 after it. Borrowed until the next call. */
imiad_status loader_next(const loaded **out, size_t *count, loader *l);
void loader_close(loader *l);

#endif
