/* Embeddings and multi-head attention: Vaswani et al., NeurIPS 2017. */
#include <math.h>

#include "nn/modules.h"

embedding embedding_add(const builder *b, const char *name, int64_t entries, int64_t channels)
{
    builder at = builder_below(b, "%s", name);
    if (b->weights == INIT_DEFAULT)
        at.std = 1;
    initialisation how = b->weights == INIT_DEFAULT ? INIT_NORMAL : b->weights;
    return (embedding){parameter_add(&at, "weight", 2, (int64_t[]){entries, channels}, how)};
}

tensor *embedding_run(const embedding *e, tensor *index)
{
    enum { MOST_RANK = 7 };
    int64_t shape[MOST_RANK + 1];
    int rank = t_rank(index);
    if (rank > MOST_RANK)
        return t_fail(IMIAD_INTERNAL, "an index of %d dimensions for an embedding", rank);
    for (int i = 0; i < rank; ++i)
        shape[i] = t_size(index, i);
    shape[rank] = t_size(e->weight, 1);
    tensor *flat = t_view(index, 1, (int64_t[]){-1});
    return t_view(t_index_select(e->weight, 0, flat), rank + 1, shape);
}

attention attention_add(const builder *b, const char *name, int64_t channels, int heads,
                        attention_names names)
{
    builder at = builder_below(b, "%s", name);
    attention a = {.heads = heads};
    if (heads < 1 || channels % heads)
        t_fail(IMIAD_INTERNAL, "attention %s: %lld channels for %d heads", at.path,
               (long long)channels, heads);
    if (names == ATTENTION_TIMM) {
        a.in = linear_add(&at, "qkv", channels, 3 * channels, true);
        a.out = linear_add(&at, "proj", channels, channels, true);
        return a;
    }
    const int64_t shape[] = {3 * channels, channels};
    initialisation how = b->weights == INIT_DEFAULT ? INIT_XAVIER_UNIFORM : b->weights;
    a.in.weight = parameter_add(&at, "in_proj_weight", 2, shape, how);
    a.in.bias = parameter_add(&at, "in_proj_bias", 1, shape, INIT_ZEROS);
    at.biases = INIT_ZEROS;
    a.out = linear_add(&at, "out_proj", channels, channels, true);
    return a;
}

/* Queries, keys or values: parts `first` up to `end` of the projection, n x tokens x channels. */
static tensor *project(const attention *a, tensor *x, int first, int end)
{
    int64_t channels = t_size(a->in.weight, 1);
    if (first == 0 && end == 3)
        return linear_run(&a->in, x);
    linear part = {t_slice(a->in.weight, 0, first * channels, end * channels),
                   t_slice(a->in.bias, 0, first * channels, end * channels)};
    return linear_run(&part, x);
}

/* n x tokens x channels to n x heads x tokens x channels of a head. */
static tensor *split_heads(const attention *a, tensor *x)
{
    int64_t each = t_size(a->in.weight, 1) / a->heads;
    tensor *apart = t_view(x, 4, (int64_t[]){t_size(x, 0), t_size(x, 1), a->heads, each});
    return t_permute(apart, 4, (int[]){0, 2, 1, 3});
}

static tensor *attend(const attention *a, tensor *q, tensor *k, tensor *v, tensor *mask,
                      bool training)
{
    double scale = 1 / sqrt((double)t_size(q, 3));
    bool dropping = training && a->dropout > 0;
    if (!mask && !dropping)
        return t_attention(q, k, v, scale);
    tensor *products = t_matmul(t_mul_scalar(q, scale), t_transpose(k, 2, 3));
    if (mask)
        products = t_add(products, mask);
    return t_matmul(t_dropout(t_softmax(products, -1), a->dropout, dropping), v);
}

tensor *attention_run(const attention *a, tensor *query, tensor *key, tensor *value, tensor *mask,
                      bool training)
{
    int64_t channels = t_size(a->in.weight, 1);
    tensor *parts[3];
    if (query == key && key == value) {
        tensor *all = project(a, query, 0, 3);
        for (int i = 0; i < 3; ++i)
            parts[i] = t_slice(all, 2, i * channels, (i + 1) * channels);
    } else {
        tensor *const given[] = {query, key, value};
        for (int i = 0; i < 3; ++i)
            parts[i] = project(a, given[i], i, i + 1);
    }
    for (int i = 0; i < 3; ++i)
        parts[i] = split_heads(a, parts[i]);
    tensor *mixed = attend(a, parts[0], parts[1], parts[2], mask, training);
    mixed = t_permute(mixed, 4, (int[]){0, 2, 1, 3});
    mixed = t_view(mixed, 3, (int64_t[]){t_size(query, 0), t_size(query, 1), channels});
    return linear_run(&a->out, mixed);
}
