/* All patches of whole images at several depths, and what stands for each image as a whole. */
#ifndef DETECTORS_PARTS_IMAGE_GALLERY_H
#define DETECTORS_PARTS_IMAGE_GALLERY_H

#include "bank/windows.h"
#include "detectors/parts/layer_list.h"
#include "nn/weights_tensor.h"

typedef struct image_gallery {
    int layers;
    int64_t channels[MOST_LAYERS], class_channels;
    int64_t images, grid[2]; /* height, width, of every layer */
    imiad_bank
        *patches[MOST_LAYERS]; /* image by image, place by place; sources number the images */
    float *classes;            /* images x class_channels */
} image_gallery;

/* Room for so many images, of the layers, channels and grid that are set; nothing is in it. */
imiad_status image_gallery_open(image_gallery *g, imiad_storage storage, int64_t images);
void image_gallery_free(image_gallery *g);

/* `count` images behind those that are there: patches[i] count x places x channels[i], classes
 * count x class_channels. Their numbers begin at `first` and those that are there. */
imiad_status image_gallery_add(image_gallery *g, const float *const *patches, const float *classes,
                               int64_t count, int64_t first);
/* Appends another gallery of the same shape, whose numbers go on; after a failure the images are
 * those of before. */
imiad_status image_gallery_join(image_gallery *g, const image_gallery *more);
/* Only the first images stay. */
void image_gallery_cut(image_gallery *g, int64_t images);
/* Where the patches lie, and what quickens searches of each layer; after every change. */
typedef struct gallery_index {
    bank_windows *windows;
    window_sketches *sketches[MOST_LAYERS];
} gallery_index;
imiad_status gallery_index_create(gallery_index *out, const image_gallery *g);
void gallery_index_free(gallery_index *index);

/* Of the images that are wanted, leaves the k whose vectors have the largest products with this
 * one, of equal ones the first. */
imiad_status image_gallery_alike(bool *wanted, const image_gallery *g, const float *image,
                                 int64_t k);
/* out: count x places, the layers' scores by their shares. A layer's score of a patch is one less
 * the largest cosine with a patch of the wanted images (count x images) at most `window` places
 * away across and down, or below 0 anywhere; patches and queries have unit length. */
imiad_status image_gallery_score(float *out, const image_gallery *g, const gallery_index *index,
                                 const float *const *queries, int64_t count, int64_t window,
                                 const double *shares, const bool *wanted);

/* "patches.L", "classes" and "grid"; loading wants the layers and channels. */
imiad_status image_gallery_save(const image_gallery *g, weights_writer *writer);
imiad_status image_gallery_load(image_gallery *g, const weights *file, imiad_storage storage);

#endif
