#include "nn/network.h"

#include <stdlib.h>

#include "base/error.h"

struct network {
    node_chain chain;
};

static imiad_status train_nodes(network *n, const architecture *a, const char *const *layers,
                                int count, params *store, const char *prefix, uint64_t seed,
                                const char *purpose, device d)
{
    for (int i = 0; i < count; ++i)
        if (!node_find(&n->chain, layers[i]))
            return fail(IMIAD_UNKNOWN_OPTION, "%s has no layer \"%s\"", a->name, layers[i]);
    const node *last = node_deepest(&n->chain, layers, count);
    scope s = scope_begin();
    for (node *at = n->chain.nodes; at <= last; ++at)
        for (int j = 0; j < at->convolution_count; ++j)
            convolution_train(&at->convolutions[j], store, prefix, seed, purpose, d);
    return scope_end(&s);
}

imiad_status network_create(network **out, const architecture *a, const char *const *layers,
                            int count, params *store, const char *prefix, uint64_t seed,
                            const char *purpose, device d)
{
    network *n = calloc(1, sizeof *n);
    if (!n)
        return fail_memory("a network", sizeof *n);
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
    free(n->chain.nodes);
    free(n);
}

void network_features(const network *n, tensor *images, const char *const *layers, int count,
                      tensor **out, bool training)
{
    const node *last = node_deepest(&n->chain, layers, count);
    tensor *x = t_channels_last(images);
    for (const node *at = n->chain.nodes; at <= last; ++at) {
        x = at->forward(at, x, training);
        x = at->activated ? t_relu_(x) : x;
        for (int i = 0; i < count; ++i)
            if (node_find(&n->chain, layers[i]) == at)
                out[i] = x;
    }
}

tensor *network_part(const network *n, tensor *x, const char *first, const char *last,
                     bool training)
{
    const node *end = node_find(&n->chain, last);
    x = t_channels_last(x);
    for (const node *at = node_find(&n->chain, first); at <= end; ++at) {
        x = at->forward(at, x, training);
        x = at->activated ? t_relu_(x) : x;
    }
    return x;
}
