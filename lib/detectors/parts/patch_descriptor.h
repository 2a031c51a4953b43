/* A small network that describes the p x p pixels around a pixel: the teacher of Bergmann, Fauser,
 * Sattlegger, Steger: "Uninformed Students", CVPR 2020, which GCAD takes as it is. Of every pixel
 * of an image at once it is the same network with dilated layers. */
#ifndef DETECTORS_PARTS_PATCH_DESCRIPTOR_H
#define DETECTORS_PARTS_PATCH_DESCRIPTOR_H

#include "nn/modules.h"

enum { DESCRIPTOR_LAYERS = 4 };

typedef struct patch_descriptor {
    int field;                              /* p: 17 or 33 */
    conv2d convolutions[DESCRIPTOR_LAYERS]; /* "conv1" to "conv4" */
} patch_descriptor;

/* `outputs` numbers for a patch, 128 in the paper; the first layer has as many channels, the others
 * twice as many. */
patch_descriptor patch_descriptor_add(const builder *b, int field, int64_t outputs);
/* Patches, n x 3 x field x field, to n x outputs x 1 x 1. */
tensor *patch_descriptor_patches(const patch_descriptor *d, tensor *patches);
/* Every pixel's patch: n x outputs x height x width of images, which are reflected at their border
 * pixels; their sides exceed (field - 1) / 2. */
tensor *patch_descriptor_dense(const patch_descriptor *d, tensor *images);

/* (y - mean) / deviation of the output y, put into the last convolution: in double and rounded
 * once. In a scope. */
void patch_descriptor_fold(const patch_descriptor *d, tensor *mean, tensor *deviation);

/* The weights of a file: named conv1 to conv4, alone or as a saved GCAD names them. IMIAD_MISMATCH
 * says what does not fit. */
imiad_status patch_descriptor_import(const patch_descriptor *d, const char *path);

#endif
