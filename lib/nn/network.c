#include "nn/network.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct network {
    node_chain chain;
    const params *store;
    size_t count; /* nodes with parameters, from the front */
};

static imiad_status train_nodes(network *n, const architecture *a, const char *const *layers,
                                int count, params *store, const char *prefix, uint64_t seed,
                                const char *purpose, device d)
{
    chain_layer l;
    for (int i = 0; i < count; ++i)
        TRY(layer_require(&l, &n->chain, a->name, layers[i]));
    const node *last = node_deepest(&n->chain, layers, count);
    n->count = (size_t)(last - n->chain.nodes) + 1;
    scope s = scope_begin();
    for (size_t i = 0; i < n->count; ++i)
        for (int j = 0; j < n->chain.nodes[i].unit_count; ++j)
            unit_train(&n->chain.nodes[i].units[j], store, prefix, seed, purpose, d);
    return scope_end(&s);
}

imiad_status network_create(network **out, const architecture *a, const char *const *layers,
                            int count, params *store, const char *prefix, uint64_t seed,
                            const char *purpose, device d)
{
    network *n = calloc(1, sizeof *n);
    if (!n)
        return fail_memory("a network", sizeof *n);
    n->store = store;
    imiad_status status = a->build(&n->chain, a);
    if (status == IMIAD_OK)
        status = train_nodes(n, a, layers, count, store, prefix, seed, purpose, d);
    if (status != IMIAD_OK) {
        network_free(n);
        return status;
    }
    *out = n;
    return IMIAD_OK;
}

void network_free(network *n)
{
    if (!n)
        return;
    chain_free(&n->chain, false);
    free(n);
}

/* ---- the weights of a backbone ---- */

static imiad_status copy_file(network *n, const imiad_backbone *from)
{
    char digest[65];
    weights *file;
    TRY(weights_digest(digest, from->weights));
    if (strcmp(digest, from->digest) != 0)
        return fail(IMIAD_MISMATCH, "%s is needed as it was when the backbone was made from it",
                    from->weights);
    TRY(weights_open(&file, from->weights));
    finding found;
    backbone_find_names(&found, from, file);
    weights_source source = {file, found.prefix, found.dialect};
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < n->count; ++i)
        for (int j = 0; status == IMIAD_OK && j < n->chain.nodes[i].unit_count; ++j)
            status = unit_copy(&n->chain.nodes[i].units[j], &source);
    weights_free(file);
    return status == IMIAD_OK ? status : fail_within(status, "%s", from->weights);
}

/* Random weights have no batch norm of their own: a new network's is the identity already. */
static imiad_status copy_random(network *n, const imiad_backbone *from)
{
    scope s = scope_begin();
    for (size_t i = 0; i < n->count; ++i)
        for (int j = 0; j < n->chain.nodes[i].unit_count; ++j) {
            tensor *value = n->chain.nodes[i].units[j].tensors[UNIT_WEIGHT];
            if (value)
                t_copy_(value, from->chain.nodes[i].units[j].tensors[UNIT_WEIGHT]);
        }
    return scope_end(&s);
}

imiad_status network_copy(network *n, const imiad_backbone *from)
{
    return from->digest[0] ? copy_file(n, from) : copy_random(n, from);
}

/* ---- running ---- */

/* A layer of the node whose output is x, as a map. */
static tensor *map_of(const network *n, const chain_layer *l, tensor *x, tensor *images)
{
    const chain_layer tokens = {l->node, false, false};
    int64_t shape[3];
    if (!l->node->map)
        return x;
    if (t_failed() || !t_try(layer_shape(shape, &n->chain, &tokens, "a network", t_size(images, 2),
                                         t_size(images, 3))))
        return NULL;
    return l->node->map(l->node, x, shape[1], shape[2], l->class_token);
}

void network_features(const network *n, tensor *images, const char *const *layers, int count,
                      tensor **out, bool training)
{
    const node *last = node_deepest(&n->chain, layers, count);
    tensor *x = params_lay(n->store, images);
    for (const node *at = n->chain.nodes; at <= last; ++at) {
        tensor *sum = at->forward(at, x, training);
        bool shared = false;
        for (int i = 0; i < count; ++i) {
            chain_layer l;
            if (!layer_find(&l, &n->chain, layers[i]) || l.node != at || !l.sum)
                continue;
            out[i] = sum;
            shared = true;
        }
        x = !at->activated ? sum : shared ? t_relu(sum) : t_relu_(sum);
        for (int i = 0; i < count; ++i) {
            chain_layer l;
            if (layer_find(&l, &n->chain, layers[i]) && l.node == at && !l.sum)
                out[i] = map_of(n, &l, x, images);
        }
    }
}

tensor *network_part(const network *n, tensor *x, const char *first, const char *last,
                     bool training)
{
    const node *end = node_find(&n->chain, last);
    x = params_lay(n->store, x);
    for (const node *at = node_find(&n->chain, first); at <= end; ++at) {
        x = at->forward(at, x, training);
        x = at->activated ? t_relu_(x) : x;
    }
    return x;
}
