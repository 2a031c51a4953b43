#include "detectors/parts/transformer.h"

#include <stdio.h>

int transformer_depth(const node_chain *chain)
{
    chain_layer found;
    char name[64];
    for (int block = 0;; ++block) {
        snprintf(name, sizeof name, "blocks.%d.cls_token", block);
        if (!layer_find(&found, chain, name))
            return block;
    }
}

const node *transformer_norm(const node_chain *chain)
{
    return transformer_depth(chain) > 0 ? node_find(chain, "norm") : NULL;
}

tensor *transformer_whole_patches(const node_chain *chain, tensor *images)
{
    int patch = transformer_depth(chain) > 0 ? chain->nodes[0].stride : 1;
    for (int dim = 2; dim <= 3; ++dim) {
        int64_t side = t_size(images, dim);
        if (side > patch && side % patch != 0) /* a smaller one is the network's to refuse */
            images = t_slice(images, dim, 0, side - side % patch);
    }
    return images;
}

tensor *transformer_rows(tensor *features, const node *norm)
{
    tensor *rows = t_view(t_permute(features, 4, (int[]){0, 2, 3, 1}), 2,
                          (int64_t[]){-1, t_size(features, 1)});
    if (!norm)
        return rows;
    dtype type = t_type(norm->units[0].tensors[UNIT_WEIGHT]);
    return t_to(norm->forward(norm, t_to(rows, type), false), F32);
}
