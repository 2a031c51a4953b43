/* What a training knows of the pixels of labelled defects, on the grid of its map: masks, dilated,
 * and weights that fall towards their edges. */
#ifndef DETECTORS_PARTS_DEFECT_TRUTH_H
#define DETECTORS_PARTS_DEFECT_TRUTH_H

#include "detectors/parts/mixed_epoch.h"

typedef struct truth_options {
    int32_t dilation;   /* side of a square, odd; 1: none */
    double peak, power; /* of distance_weights; a peak of 0: all pixels weigh 1 */
    bool align;         /* masks become smaller from corner to corner, as weights always do */
    const char *layer;  /* the grid is twice as fine as this layer's */
} truth_options;

typedef struct defect_truth {
    mixed_images images; /* which are defective, in the order of the train set */
    int64_t height, width;
    tensor *planes; /* kept: TRAIN_MIRRORS rows a defect and one of a good image, x 2 x height x
                     * width, masks and weights; NULL without defects */
    bool *has_mask; /* of each defect: it shows a pixel of the grid; else its label is all */
    size_t masks;   /* of these */
} defect_truth;

/* Reads the masks that there are, in one pass, and rewinds. `out` zeroed, or read before. */
imiad_status defect_truth_read(defect_truth *out, imiad_detector *self, train_set *images,
                               const truth_options *o);
void defect_truth_free(defect_truth *t);

/* Of a step's images, on the CPU: masks and weights n x 1 x height x width; labels and, 0 for
 * defects without a mask, `drawn`, n x 1 x 1 x 1. */
typedef struct step_truth {
    tensor *masks, *weights, *labels, *drawn;
} step_truth;
step_truth defect_truth_of(const defect_truth *t, const train_step *step);

#endif
