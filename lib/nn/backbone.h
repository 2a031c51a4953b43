/* Inside a backbone: a chain of named nodes. A family of networks (resnet.c) builds the chain from
 * its table; running it, loading it, saving it and cutting it short at the deepest used node are
 * here. */
#ifndef NN_BACKBONE_H
#define NN_BACKBONE_H

#include <stdatomic.h>

#include "imiad/backbone.h"
#include "nn/convolution.h"

enum { NODE_CONVOLUTIONS = 4 };

/* One step of the network: an input, some convolutions, an output that may be asked for by name. */
typedef struct node {
    char name[32];  /* torchvision's: "maxpool", "layer2.0" */
    char stage[32]; /* "layer2" at the last block of a stage, else "" */
    tensor *(*forward)(const struct node *self, tensor *x, bool training);
    bool activated;   /* a ReLU ends the node, after `forward` */
    int stride;       /* of the whole node */
    int64_t channels; /* of its output */
    convolution convolutions[NODE_CONVOLUTIONS];
    int convolution_count;
    int branch_count; /* the first ones form the main branch, the rest the shortcut */
} node;

typedef struct node_chain {
    node *nodes;
    size_t count;
} node_chain;

/* The table of architectures; `variant` belongs to the family. */
typedef struct architecture {
    const char *name;
    imiad_status (*build)(node_chain *out, const struct architecture *self);
    const void *variant;
} architecture;

/* The names that the classifier of a family adds to its weight files: known, never loaded. */
imiad_status resnet_build(node_chain *out, const architecture *self);
extern const architecture resnet_architectures[]; /* ends in a NULL name */

struct imiad_backbone {
    const architecture *architecture;
    node_chain chain;
    size_t loaded; /* nodes from the front whose weights are here */
    char *missing; /* the first weight that node lacks, NULL where all are here */
    char *weights;
    char digest[65];
    device device;
    char device_text[16];
    dtype precision;
    atomic_int references;
};

/* The node of a layer's name, or the last node of a stage; NULL where there is none. */
const node *node_find(const node_chain *chain, const char *layer);
/* The deepest of layers that all exist. */
const node *node_deepest(const node_chain *chain, const char *const *layers, int count);

imiad_backbone *backbone_retain(const imiad_backbone *backbone);

/* That the layer exists and that its weights are here. */
imiad_status backbone_require(const imiad_backbone *backbone, const char *layer);
/* Channels, height and width of a layer's output. */
imiad_status backbone_layer_shape(int64_t out[3], const imiad_backbone *backbone, const char *layer,
                                  int64_t height, int64_t width);

/* The features of the named layers, float32, into the innermost scope; `images` is n x 3 x h x w,
 * float32, on the backbone's device. Runs no further than the deepest of them. */
void backbone_features(const imiad_backbone *backbone, tensor *images, const char *const *layers,
                       int count, tensor **out);
/* The same before the ReLU that ends each layer. */
void backbone_sums(const imiad_backbone *backbone, tensor *images, const char *const *layers,
                   int count, tensor **out);

/* The weights up to the deepest of the layers, batch norm folded, as "prefix" + torchvision's name.
 * Their memory belongs to the innermost scope: commit the writer before it ends. */
imiad_status backbone_save(const imiad_backbone *backbone, weights_writer *writer,
                           const char *prefix, const char *const *layers, int count);
/* What backbone_save wrote, or a torchvision state dict. `file` names it in messages. */
imiad_status backbone_from_weights(imiad_backbone **out, const char *architecture_name,
                                   const weights *file, const char *prefix, const char *file_name,
                                   const char *device_text, const char *precision);

#endif
