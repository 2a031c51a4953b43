/* A convolution of a frozen network, its batch norm folded in. */
#ifndef NN_CONVOLUTION_H
#define NN_CONVOLUTION_H

#include "bridge/tensor.h"
#include "nn/weights.h"

typedef struct convolution {
    char name[64]; /* of its weights: "layer1.0.conv1" */
    char norm[64]; /* of its batch norm's: "layer1.0.bn1" */
    int64_t inputs, outputs;
    int kernel, stride, padding;
    tensor *weight, *bias; /* kept; NULL until loaded */
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

tensor *convolution_forward(const convolution *c, tensor *x);

#endif
