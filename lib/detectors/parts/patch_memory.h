/* A memory bank of patch features of normal images: what PatchCore and its kin share. Filling it,
 * thinning it by a coreset, and scoring patches by their distance to its nearest rows. */
#ifndef DETECTORS_PARTS_PATCH_MEMORY_H
#define DETECTORS_PARTS_PATCH_MEMORY_H

#include "bank/coreset.h"
#include "bank/windows.h"
#include "detectors/algorithm.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/patch_embedding.h"

/* The options of the table that a detector's own ones follow. */
#define PATCH_MEMORY_OPTIONS PATCH_EMBEDDING_OPTIONS, PATCH_BANK_OPTIONS("0.1")
/* Those of the features alone. */
#define PATCH_EMBEDDING_OPTIONS                                                                    \
    {"layers", OPT_TEXT, "layer2,layer3", "", "backbone layers, the first one sets the grid"},     \
        {"patch_size", OPT_INT, "3", "1..15", "side of a patch's neighbourhood, odd"},             \
        {"pretrain_embed_dimension", OPT_INT, "1024", "0..65536",                                  \
         "values a layer is averaged to; 0: one a channel, the mean of its neighbourhood"},        \
    {                                                                                              \
        "target_embed_dimension", OPT_INT, "1024", "0..65536",                                     \
            "values a patch is averaged to; 0: all that its layers have"                           \
    }
/* Those of the bank alone. */
#define PATCH_BANK_OPTIONS(ratio)                                                                  \
    {"sampler", OPT_CHOICE, "approximate", "approximate|exact",                                    \
     "greedy coreset from random starts, or from all distances"},                                  \
        {"coreset_ratio", OPT_REAL, ratio, "0<..1",                                                \
         "share of the patches to keep; 1 chooses no coreset"},                                    \
        {"projection_dim", OPT_INT, "128", "0..65536",                                             \
         "columns of the random projection that the coreset measures in; 0: none"},                \
        {"starts", OPT_INT, "10", "1..1000", "rows whose mean distance begins the coreset"},       \
        {"neighbours", OPT_INT, "1", "1..1000", "nearest rows whose distances are averaged"},      \
        {"storage", OPT_CHOICE, "float32", "float32|bfloat16|float16",                             \
         "numbers of the bank: the narrow kinds take half the memory, rounded"},                   \
        {"seed", OPT_INT, "0", "0..", "draws the projection and the starts"},                      \
    {                                                                                              \
        "memory_budget", OPT_INT, "0", "0..", "megabytes that the bank may take; 0: no bound"      \
    }

/* Beside the above, or alone: patches are compared with what was learned near their place. */
#define PATCH_WINDOW_OPTION                                                                        \
    {                                                                                              \
        "position_window", OPT_INT, "-1", "-1..8192",                                              \
            "places across and down within which a patch's neighbours lie; -1: anywhere"           \
    }
#define PLACE_CORESET_OPTIONS                                                                      \
    {"coreset_scope", OPT_CHOICE, "global", "global|position",                                     \
     "a coreset of all patches, or one at each place"},                                            \
    {                                                                                              \
        "min_rows", OPT_INT, "20", "1..",                                                          \
            "with coreset_scope=position: rows that each place keeps at least"                     \
    }
extern const imiad_option patch_memory_later[]; /* detector_ops.later of these */

typedef struct patch_memory {
    layer_list layers;
    patch_embedding *embedding;
    int64_t dimension, neighbours;
    int64_t window;   /* places across and down; below 0: anywhere */
    bool by_place;    /* each place has a coreset of its own */
    imiad_bank *bank; /* NULL until it is learned or loaded */
    int64_t images;   /* learned so far: their numbers are the sources of the bank's rows */
    /* With a window: */
    int64_t grid[2]; /* height, width */
    int32_t *places; /* of the bank's rows, y * width + x */
    bank_windows *windows;
    window_sketches *sketches;
} patch_memory;

imiad_status patch_memory_create(patch_memory *out, const imiad_detector *self);
/* A part of it: whether places count. */
void patch_memory_read_places(patch_memory *out, const imiad_detector *self);
void patch_memory_clear(patch_memory *m); /* what was learned */
void patch_memory_free(patch_memory *m);

/* The patch features of a batch and its grid, height and width: new memory of rows x dimension
 * floats, NULL after a failure, which sticks. */
float *patch_memory_embed(int64_t grid[2], const patch_memory *m, imiad_detector *self,
                          const batch *b);

/* Goes through the images once, in their order, and has the patches of each batch used: rows of all
 * positions of its images, which share the grid. `stage` is what progress is reported of. */
typedef imiad_status patch_use(void *context, const float *rows, const batch *b,
                               const int64_t grid[2]);
imiad_status patch_memory_each(const patch_memory *m, imiad_detector *self, train_set *normals,
                               const char *stage, patch_use *use, void *context, const progress *p);

/* The patches of all the images, in their order, positions in rows: a new bank. Their sources count
 * on from first_image. With a grid, images must share one, height and width, which is written
 * there. */
imiad_status patch_memory_collect(imiad_bank **out, int64_t grid[2], const patch_memory *m,
                                  imiad_detector *self, train_set *normals, int64_t first_image,
                                  const progress *p);

/* Thins a bank of patches as the options say. *kept: the rows that stayed, by their old numbers, in
 * their new order, new memory; kept may be NULL. images: so many, whose grids are one where places
 * count. mask: see bank_select. */
imiad_status patch_memory_thin(imiad_bank *bank, int64_t **kept, const patch_memory *m,
                               const imiad_detector *self, int64_t images, const coreset_mask *mask,
                               const progress *p);

/* The bank of some images alone. */
typedef struct task_patches {
    imiad_bank *bank;
    int64_t *kept;   /* which of all their patches the rows are */
    int64_t grid[2]; /* where places count */
    int64_t images;
} task_patches;
void task_patches_free(task_patches *rows);
/* Makes these all that was learned, or joins them to what was learned before, which stays as it is
 * on failure. Takes over rows->bank on success. */
imiad_status patch_memory_take(patch_memory *m, const imiad_detector *self, task_patches *rows);
imiad_status patch_memory_join(patch_memory *m, const imiad_detector *self, task_patches *rows);

/* Thins the patches of so many images. */
typedef imiad_status patch_thinner(imiad_bank *bank, int64_t **kept, const imiad_detector *self,
                                   int64_t images, const progress *p);
/* detector_ops.fit and .fit_more: the thinned patches of the images alone, and beside those of
 * earlier tasks. */
imiad_status patch_memory_fit(patch_memory *m, imiad_detector *self, train_set *normals,
                              patch_thinner *thin, const progress *p);
imiad_status patch_memory_fit_more(patch_memory *m, imiad_detector *self, train_set *normals,
                                   patch_thinner *thin, const progress *p);

/* The nearest rows of each patch of images of so many positions, near their places where places
 * count: squares and rows are patches x neighbours. On the device that the network runs on, but for
 * windows: the neighbours and their distances are the same. */
imiad_status patch_memory_search(float *squares, int64_t *rows, const patch_memory *m,
                                 const imiad_detector *self, const float *patches, int64_t images,
                                 int64_t positions);
/* The rows nearest to a feature among those near a place, or with no window among all. */
imiad_status patch_memory_nearest(float *squares, int64_t *rows, const patch_memory *m,
                                  const float *feature, int64_t place, int32_t count);

/* An image's score from its worst patch, which lies at a place. */
typedef imiad_status patch_image_score(float *out, const imiad_detector *self, const float *patch,
                                       int64_t place, int64_t nearest_row, float squared_distance);

/* A patch's score is the mean over its nearest rows of the squared distance, times the row's weight
 * where there are weights, one for each row. An image's is that of its worst patch, or what
 * image_score makes of it. */
void patch_memory_score(scores *out, const patch_memory *m, imiad_detector *self, const batch *b,
                        const float *row_weights, patch_image_score *image_score);

/* detector_ops.forget. */
imiad_status patch_memory_forget(int64_t *removed, patch_memory *m, const imiad_detector *self,
                                 int64_t image);

imiad_status patch_memory_save(const patch_memory *m, weights_writer *writer);
imiad_status patch_memory_load(patch_memory *m, const weights *file);

#endif
