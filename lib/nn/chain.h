/* A network as a chain of named nodes. A family (families/) builds the chain from its table;
 * finding layers in it, their sizes and running it are here, for frozen and trained networks alike.
 */
#ifndef NN_CHAIN_H
#define NN_CHAIN_H

#include "nn/unit.h"

/* One step of the network: an input, the units that its forward needs, an output that may be asked
 * for by name. */
typedef struct node {
    char name[48];  /* the source's: "layer2.0", "features.6.8", "blocks.11" */
    char stage[48]; /* "layer2" at the last block of a stage, else "" */
    char sum[48];   /* the layer before the ReLU that ends the node, where the source names it */
    tensor *(*forward)(const struct node *self, tensor *x, bool training);
    /* What the node makes of its input's height and width; NULL: ceil(side / stride). */
    imiad_status (*grid)(const struct node *self, int64_t *height, int64_t *width);
    /* Of a node whose output is tokens (n x tokens x channels): n x channels x height x width of
     * them, or n x channels x 1 x 1 of the class token. NULL: the output is a map. */
    tensor *(*map)(const struct node *self, tensor *tokens, int64_t height, int64_t width,
                   bool class_token);
    bool activated;   /* a ReLU ends the node, after `forward` */
    int stride;       /* of the whole node */
    int64_t channels; /* of its output */
    int settings[6];  /* the family's own */
    unit *units;
    int unit_count;
    size_t unit_room;
} node;

typedef struct node_chain {
    node *nodes;
    size_t count, room;
    int blocks; /* of the nodes, those that dialects count */
    /* The first failure of building; what is added afterwards goes to the spare ones. */
    imiad_status status;
    node spare_node;
    unit spare_unit;
} node_chain;

/* The table of architectures; `variant` belongs to the family. */
typedef struct architecture {
    const char *name;
    imiad_status (*build)(node_chain *out, const struct architecture *self);
    const void *variant;
    const dialect *dialects; /* ends in a NULL name; the first has this library's names; NULL: only
                                such a one */
} architecture;

/* ---- building: a family's builder adds nodes and, to the last of them, units; it returns the
 * chain's status. What these return lives until the next call, and is zeroed but for the name. ----
 */
node *chain_add(node_chain *chain, const char *name, ...) __attribute__((format(printf, 2, 3)));
/* Adds a copy of the unit, named so. */
unit *chain_unit(node_chain *chain, const unit *like, const char *name);
/* What comes now is the next of the blocks that dialects count. */
void chain_block(node_chain *chain);
const node *chain_last(const node_chain *chain);
void chain_free(node_chain *chain, bool frozen); /* a frozen one with its tensors */

/* ---- layers ---- */

typedef struct chain_layer {
    const node *node;
    bool sum;         /* before the ReLU that ends the node */
    bool class_token; /* "NAME.cls_token" of a node of tokens */
} chain_layer;

/* A layer is a node, a stage (its last node), what a node's last ReLU is given, or its class token;
 * or "layer1" to "layer4" by their stride where none has that name. */
bool layer_find(chain_layer *out, const node_chain *chain, const char *name);
/* All layers in order, of which there are chain_layer_count(): the name, and what it means. */
size_t layer_count(const node_chain *chain);
bool layer_at(chain_layer *out, char name[64], const node_chain *chain, size_t index);
/* IMIAD_UNKNOWN_OPTION names the layers that there are. */
imiad_status layer_require(chain_layer *out, const node_chain *chain, const char *owner,
                           const char *name);
/* Channels, height and width of a layer's output for images of this size. IMIAD_INVALID_ARGUMENT
 * says which sizes the network takes. */
imiad_status layer_shape(int64_t out[3], const node_chain *chain, const chain_layer *l,
                         const char *owner, int64_t height, int64_t width);
/* Pixels of the image's side between neighbouring positions of the layer. */
int layer_stride(const node_chain *chain, const chain_layer *l);

/* The node of a layer's name; NULL where there is none. */
const node *node_find(const node_chain *chain, const char *name);
/* The deepest of layers that all exist. */
const node *node_deepest(const node_chain *chain, const char *const *layers, int count);

#endif
