/* A backbone's architecture as a network that is trained: the same chain of nodes, batch norm apart
 * from the convolutions, parameters in a store by the architecture's names. */
#ifndef NN_NETWORK_H
#define NN_NETWORK_H

#include "nn/backbone.h"

typedef struct network network;

/* Adds the parameters of all nodes up to the deepest of the layers to the store, as PREFIX + the
 * architecture's name, begun as torchvision begins them (unit_train), the numbers from the
 * streams PURPOSE/NAME; PURPOSE NULL leaves the weights 0, for a file to fill in. The store must
 * outlive the network. Errors: IMIAD_UNKNOWN_OPTION for a layer that the architecture lacks. */
imiad_status network_create(network **out, const architecture *a, const char *const *layers,
                            int count, params *store, const char *prefix, uint64_t seed,
                            const char *purpose, device d);
void network_free(network *n);

/* Gives the network the weights of a backbone of the same architecture: from the file that the
 * backbone came from, because its own batch norm is folded; of random weights, its own. Errors:
 * IMIAD_MISMATCH where the file is another by now, lacks a weight, or has its batch norm folded. */
imiad_status network_copy(network *n, const imiad_backbone *from);

/* The outputs of the layers, as the store's kernels lie in memory, into the innermost scope. In
 * training, batch norm takes the batch's statistics and moves the running ones; it needs a scope
 * that records gradients to learn from. */
void network_features(const network *n, tensor *images, const char *const *layers, int count,
                      tensor **out, bool training);

/* What the nodes from `first` to `last` make of x, as the store's kernels lie in memory, for
 * networks whose nodes are no plain chain. */
tensor *network_part(const network *n, tensor *x, const char *first, const char *last,
                     bool training);

#endif
