/* SemiREST's memory: a bank of good patches that know their place, the squared differences of an
 * image's patches to the nearest of them, and what it is trained with. */
#ifndef DETECTORS_PARTS_RESIDUAL_MEMORY_H
#define DETECTORS_PARTS_RESIDUAL_MEMORY_H

#include "detectors/parts/made_defects.h"
#include "detectors/parts/patch_memory.h"
#include "detectors/parts/residual_pool.h"

/* The options of the table that a detector's own ones follow. */
#define RESIDUAL_MEMORY_OPTIONS                                                                    \
    {"layers", OPT_TEXT, "layer2,layer3", "", "backbone layers, the first one sets the grid"},     \
        {"patch_size", OPT_INT, "3", "1..15", "side of a patch's neighbourhood, odd"},             \
        {"pretrain_embed_dimension", OPT_INT, "1024", "1..65536",                                  \
         "values a layer is averaged to"},                                                         \
        {"target_embed_dimension", OPT_INT, "1024", "4..65536",                                    \
         "values a patch is averaged to, a multiple of 4"},                                        \
        {"position", OPT_REAL, "0.1", "0..", "weight of its position's code in a patch"},          \
        {"sampler", OPT_CHOICE, "approximate", "approximate|exact",                                \
         "greedy coreset from random starts, or from all distances"},                              \
        {"coreset_ratio", OPT_REAL, "0.1", "0<..1",                                                \
         "share of the patches to keep; 1 chooses no coreset"},                                    \
        {"projection_dim", OPT_INT, "128", "0..65536",                                             \
         "columns of the random projection that the coreset measures in; 0: none"},                \
        {"starts", OPT_INT, "10", "1..1000", "rows whose mean distance begins the coreset"},       \
        {"most_patches", OPT_INT, "1000000", "1..1000000000",                                      \
         "patches that the coreset is chosen from; of more, so many are drawn"},                   \
        {"neighbours", OPT_INT, "3", "1..3",                                                       \
         "nearest rows that a training patch's difference is drawn from"},                         \
        {"residuals", OPT_CHOICE, "plain", "plain|relative",                                       \
         "squared differences as they are, or divided by the mean variance of the bank, for "      \
         "backbones whose features are large"},                                                    \
        {"storage", OPT_CHOICE, "float32", "float32|bfloat16|float16",                             \
         "numbers of the bank: the narrow kinds take half the memory, rounded"},                   \
        {"training_storage", OPT_CHOICE, "float16", "float32|bfloat16|float16",                    \
         "numbers of the training patches that are kept"},                                         \
        {"memory_budget", OPT_INT, "0", "0..", "megabytes that the bank may take; 0: no bound"},   \
        {"labels", OPT_CHOICE, "masks", "masks|boxes|rotated_boxes|tags",                          \
         "what is learned of a labelled defect: its mask, boxes around its parts, or that it is "  \
         "there"},                                                                                 \
        {"textures", OPT_TEXT, "", "",                                                             \
         "folder of texture images, such as the Describable Textures Dataset's; empty: the "       \
         "library draws its own"},                                                                 \
        {"synthetic", OPT_INT, "2", "0..100", "images with a made defect, of each good one"},      \
        {"variants", OPT_INT, "20", "0..1000", "further forms of each labelled defect"},           \
        {"anomalous_share", OPT_REAL, "0.5", "0<..1",                                              \
         "a token is anomalous where a mask covers so much of its pixels"},                        \
    {                                                                                              \
        "good_share", OPT_REAL, "0.08", "0..1",                                                    \
            "a token is good where it covers no more; between the two it is left out"              \
    }

enum { RESIDUAL_NEIGHBOURS = 3 };

typedef struct residual_memory {
    patch_memory patches; /* the bank */
    int64_t grid[2];      /* height, width */
    float *code;          /* what is added to an image's patches */
    bool relative;        /* residuals are divided by the bank's variance */
    double scale;         /* what they are multiplied by before they are judged */
    token_labels labels;
    char learned_from[128]; /* images of which kinds, in words */
    /* Until residual_memory_put_away. */
    residual_pool pool;
    texture_source *textures;
    made_spec specs[DEFECT_OUTPUTS];
} residual_memory;

imiad_status residual_memory_create(residual_memory *m, const imiad_detector *self);
/* What was learned, the pool among it; the options stay. */
void residual_memory_forget(residual_memory *m);
void residual_memory_put_away(residual_memory *m);
void residual_memory_free(residual_memory *m);

static inline int64_t residual_memory_positions(const residual_memory *m)
{
    return m->grid[0] * m->grid[1];
}

/* Fills bank and pool. `make` is the detector's maker, which calls defect_make. */
imiad_status residual_memory_fill(residual_memory *m, imiad_detector *self, train_set *set,
                                  make_function make, const progress *p);

/* One over the mean of the variances of the bank's columns; 1 where all rows are the same. */
imiad_status residual_scale_of(double *out, const imiad_bank *bank);

/* The squared differences of a batch's patches to the nearest rows, count x positions x dimension:
 * new memory, NULL after a failure, which sticks. Images must have the grid that was learned. */
float *residual_memory_residuals(const residual_memory *m, imiad_detector *self, const batch *b);

imiad_status residual_memory_save(const residual_memory *m, weights_writer *writer);
imiad_status residual_memory_load(residual_memory *m, const weights *file);

#endif
