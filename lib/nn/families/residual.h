/* The blocks of a residual network as nodes of a chain. He, Zhang, Ren, Sun: CVPR 2016. */
#ifndef NN_FAMILIES_RESIDUAL_H
#define NN_FAMILIES_RESIDUAL_H

#include "nn/chain.h"

/* Basic: 3x3, 3x3. Bottleneck: 1x1, 3x3 in groups, 1x1, the stride at the 3x3. Each has a
 * shortcut, a 1x1 convolution where the shapes differ. Upsampling: a 2x2 transposed convolution of
 * stride 2 stands for the strided one and for the shortcut's. */
typedef struct residual {
    int64_t inputs, inner, outputs;
    int stride, groups;
    bool bottleneck, upsampling;
} residual;

/* Names it and its weights as torchvision does: "layer1.0", "layer1.0.conv1", "layer1.0.bn1",
 * "layer1.0.downsample.0" (of an upsampling block "layer1.0.upsample.0"). */
void residual_add(node_chain *chain, const char *stage, int block, bool last_of_stage,
                  const residual *r);

/* One convolution with its norm and ReLU as a node. */
typedef struct layer_names {
    const char *node, *convolution, *norm;
} layer_names;
void convolution_add(node_chain *chain, const layer_names *names, int64_t inputs, int64_t outputs,
                     int kernel, int stride);

#endif
