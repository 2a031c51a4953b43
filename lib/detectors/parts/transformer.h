/* What detectors ask of a backbone that is a transformer; of others there is nothing to ask. */
#ifndef DETECTORS_PARTS_TRANSFORMER_H
#define DETECTORS_PARTS_TRANSFORMER_H

#include "nn/backbone.h"

/* Its blocks, "blocks.0" on; 0: the network is none. */
int transformer_depth(const node_chain *chain);
/* Its last layer norm, layer "norm"; NULL: the network is no transformer. */
const node *transformer_norm(const node_chain *chain);

/* Images without the columns on the right and the rows at the bottom that make no whole patch; as
 * they are for other networks. */
tensor *transformer_whole_patches(const node_chain *chain, tensor *images);

/* n x channels x height x width to rows of channels, float32, image by image and place by place;
 * through the norm where one is given. */
tensor *transformer_rows(tensor *features, const node *norm);

#endif
