/* A convolution and its batch norm: folded into one in a frozen network, apart in a trained one. */
#ifndef NN_CONVOLUTION_H
#define NN_CONVOLUTION_H

#include "nn/params.h"
#include "weights/weights.h"

typedef struct convolution {
    char name[64]; /* of its weights: "layer1.0.conv1" */
    char norm[64]; /* of its batch norm's: "layer1.0.bn1" */
    int64_t inputs, outputs;
    int kernel, stride, padding;
    bool transposed;
    tensor *weight, *bias; /* frozen: kept, NULL until loaded; trained: the store's, bias NULL */
    struct {
        tensor *weight, *bias, *mean, *variance; /* the store's; NULL in a frozen network */
    } trained_norm;
} convolution;

/* Whether the file has all that the convolution needs; otherwise `missing` names what it lacks. */
bool convolution_present(const convolution *c, const weights *file, const char *prefix,
                         char missing[128]);
/* Whether a weight of a file, its prefix taken off, is one of the convolution's or its norm's. */
bool convolution_owns(const convolution *c, const char *name);
/* That the file's kernel has the architecture's shape: IMIAD_MISMATCH names both. */
imiad_status convolution_check(const convolution *c, const weights *file, const char *prefix);

/* From a state dict: weight and batch norm, or weight and bias where it is folded already. The norm
 * is folded in double precision, rounded once. IMIAD_MISMATCH names a weight of another shape. */
imiad_status convolution_load(convolution *c, const weights *file, const char *prefix, device d,
                              dtype precision);
/* He's normal initialisation over the outputs' fan, bias 0: torchvision's for a fresh ResNet. */
imiad_status convolution_random(convolution *c, uint64_t seed, device d, dtype precision);
void convolution_free(convolution *c);

/* Adds the weight and its batch norm to the store as PREFIX + their names, as torchvision begins a
 * ResNet: the weight by He's normal initialisation over the outputs' fan (a transposed one, whose
 * kernel must be 2x2 with stride 2, as PyTorch begins it), scale 1, shift 0, running mean 0,
 * running variance 1. Numbers come from the streams PURPOSE/NAME; PURPOSE NULL leaves the weight
 * 0, for a file to fill in. Needs an open scope; failures stick. The store must outlive the
 * convolution, which is not freed. */
void convolution_train(convolution *c, params *store, const char *prefix, uint64_t seed,
                       const char *purpose, device d);

/* `training` is of trained ones: batch statistics, and the running ones change. */
tensor *convolution_forward(const convolution *c, tensor *x, bool training);

#endif
