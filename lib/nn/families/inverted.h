/* Inverted residual blocks as nodes of a chain, of which the MobileNets and EfficientNets are made:
 * a 1x1 convolution that widens, a depthwise one, squeeze and excitation, a 1x1 one that narrows.
 * Sandler, Howard, Zhu, Zhmoginov, Chen: CVPR 2018; Hu, Shen, Sun: CVPR 2018. */
#ifndef NN_FAMILIES_INVERTED_H
#define NN_FAMILIES_INVERTED_H

#include "nn/chain.h"
#include "nn/modules.h"

/* What all convolutions of a network share. */
typedef struct inverted_style {
    activation activation;
    bool same;                /* TensorFlow's padding */
    double epsilon, momentum; /* of the batch norms */
    activation squeeze, gate; /* after the first and the second layer of squeeze and excitation */
} inverted_style;

/* The places of a block's units; their names behind the node's, in a table of a family. */
enum { EXPAND, DEPTHWISE, REDUCE, EXCITE, PROJECT, INVERTED_UNITS };
typedef struct inverted_names {
    const char *unit[INVERTED_UNITS];
    const char *norm[INVERTED_UNITS]; /* NULL for squeeze and excitation */
} inverted_names;

typedef struct inverted {
    int64_t inputs, expanded, outputs; /* no expansion where expanded is inputs */
    int64_t squeezed; /* channels in the middle of squeeze and excitation; 0: none */
    int kernel, stride;
    int side; /* of the input where the network was trained; 0: not known */
} inverted;

/* The node that chain_add began becomes the block; it has a shortcut where the shapes allow it. */
void inverted_add(node_chain *chain, node *n, const inverted *block, const inverted_style *style,
                  const inverted_names *names);

/* A convolution with norm and activation as a node, for a network's beginning and end. */
void inverted_add_convolution(node_chain *chain, const char *node_name, const char *name,
                              const char *norm, const inverted *shape, const inverted_style *style);

/* For programs whose padding is that of the images of training, whatever the image. */
void inverted_fix_padding(node_chain *chain);

/* A multiple of the divisor that is near the number and at least 0.9 of it. */
int64_t inverted_round(double channels, int divisor);

#endif
