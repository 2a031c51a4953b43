/* The patch description network of EfficientAD, small and medium: a few convolutions whose output
 * at a position describes the 33 x 33 pixels around it. Batzner, Heckler, König: WACV 2024. */
#ifndef DETECTORS_PARTS_PDN_H
#define DETECTORS_PARTS_PDN_H

#include "nn/modules.h"

typedef enum pdn_size { PDN_SMALL, PDN_MEDIUM } pdn_size;

enum { PDN_CONVOLUTIONS = 6, PDN_WIDTH = 128, PDN_OUTPUTS = 384 /* of the published ones */ };

typedef struct pdn {
    pdn_size size;
    int count; /* of the convolutions */
    conv2d convolutions[PDN_CONVOLUTIONS];
} pdn;

/* `width` channels of the small network's first layer, of which all other hidden ones are
 * multiples. Parameters are named by their places in the public code's Sequential: "0.weight". */
pdn pdn_add(const builder *b, pdn_size size, int64_t width, int64_t outputs);
/* All but the last convolution. `padded`: with the zeros that let an image of side 4 n give n
 * positions a side; they are counted by the average pools. */
tensor *pdn_trunk(const pdn *p, tensor *x, bool padded);
/* Of the last convolution the channels `first` to `end` - 1: the others are not computed. */
tensor *pdn_head(const pdn *p, tensor *trunk, int64_t first, int64_t end);
tensor *pdn_run(const pdn *p, tensor *x, bool padded);
/* Positions along a side of so many pixels; below 1 where it is too small. */
int64_t pdn_positions(int64_t side, bool padded);

/* The weights of a file: named as in the public code's Sequential or as anomalib names them (conv1
 * to conv6), alone or below "teacher.", as a saved EfficientAD has them. IMIAD_MISMATCH says what
 * does not fit, for instance a small network's file for a medium one. */
imiad_status pdn_import(const pdn *p, const char *path);

/* (y - mean) / deviation of the output y, put into the last convolution: in double and rounded
 * once, kept tensors of the caller. */
void pdn_fold(conv2d *out, const pdn *p, tensor *mean, tensor *deviation);

#endif
