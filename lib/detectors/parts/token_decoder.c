#include "detectors/parts/token_decoder.h"

/* ---- bottleneck ---- */

static void add_bottleneck(token_decoder *d, const builder *b)
{
    const token_decoder_spec *s = &d->spec;
    int64_t wide = 4 * s->channels;
    if (s->narrow == 0) {
        d->wide = linear_add(b, "bottleneck.0.fc1", s->channels, wide, true);
        d->back = linear_add(b, "bottleneck.0.fc2", wide, s->channels, true);
        return;
    }
    d->narrow = linear_add(b, "bottleneck.0.0", s->channels, s->narrow, true);
    d->wide = linear_add(b, "bottleneck.1.0", s->narrow, wide, true);
    d->back = linear_add(b, "bottleneck.1.3", wide, s->channels, true);
}

tensor *token_bottleneck_run(const token_decoder *d, tensor *x, bool training)
{
    double p = d->spec.dropout;
    if (d->spec.narrow > 0)
        x = linear_run(&d->narrow, x);
    x = t_dropout(x, p, training);
    x = t_dropout(t_gelu(linear_run(&d->wide, x)), p, training);
    return t_dropout(linear_run(&d->back, x), p, training);
}

/* ---- decoder ---- */

static token_block add_block(const builder *b, int place, int64_t channels)
{
    builder at = builder_below(b, "decoder.%d", place);
    token_block block = {.norm1 = layer_norm_add(&at, "norm1", 1, &channels),
                         .norm2 = layer_norm_add(&at, "norm2", 1, &channels),
                         .attention = attention_add(&at, "attn", channels,
                                                    (int)(channels / TOKEN_HEAD), ATTENTION_TIMM),
                         .wide = linear_add(&at, "mlp.fc1", channels, 4 * channels, true),
                         .back = linear_add(&at, "mlp.fc2", 4 * channels, channels, true)};
    block.norm1.eps = block.norm2.eps = 1e-8;
    return block;
}

void token_decoder_add(token_decoder *out, const builder *b, const token_decoder_spec *spec)
{
    builder at = *b;
    *out = (token_decoder){.spec = *spec};
    at.weights = INIT_TRUNC_NORMAL;
    at.biases = INIT_ZEROS;
    at.std = 0.01;
    at.most = 0.03;
    add_bottleneck(out, &at);
    for (int i = 0; i < spec->blocks; ++i)
        out->blocks[i] = add_block(&at, i, spec->channels);
}

/* Part `which` of queries, keys and values: n x heads x tokens x values of a head. */
static tensor *part_of(tensor *all, int which, int heads)
{
    int64_t channels = t_size(all, 2) / 3;
    tensor *part = t_slice(all, 2, which * channels, (which + 1) * channels);
    if (which < 2)
        part = t_add_scalar(t_elu(part, 1), 1);
    part = t_view(part, 4, (int64_t[]){t_size(all, 0), t_size(all, 1), heads, channels / heads});
    return t_permute(part, 4, (int[]){0, 2, 1, 3});
}

tensor *linear_attention_run(const attention *a, tensor *x)
{
    tensor *all = linear_run(&a->in, x);
    tensor *q = part_of(all, 0, a->heads), *k = part_of(all, 1, a->heads),
           *v = part_of(all, 2, a->heads);
    tensor *mixed = t_matmul(q, t_matmul(t_transpose(k, 2, 3), v));
    /* far below the sum's rounding, unless all of it vanished */
    tensor *sum = t_add_scalar(t_sum(t_mul(q, t_sum(k, 2, true)), 3, true), 1e-8);
    mixed = t_permute(t_div(mixed, sum), 4, (int[]){0, 2, 1, 3});
    return linear_run(&a->out,
                      t_view(mixed, 3, (int64_t[]){t_size(x, 0), t_size(x, 1), t_size(x, 2)}));
}

static tensor *run_block(const token_block *b, tensor *x)
{
    x = t_add(x, linear_attention_run(&b->attention, layer_norm_run(&b->norm1, x)));
    tensor *y = t_gelu(linear_run(&b->wide, layer_norm_run(&b->norm2, x)));
    return t_add(x, linear_run(&b->back, y));
}

void token_decoder_run(const token_decoder *d, tensor *x, bool training, tensor *out[TOKEN_GROUPS])
{
    int each = d->spec.blocks / TOKEN_GROUPS;
    x = token_bottleneck_run(d, x, training);
    for (int group = TOKEN_GROUPS - 1; group >= 0; --group) {
        tensor *sum = NULL;
        for (int i = 0; i < each; ++i) {
            x = run_block(&d->blocks[(TOKEN_GROUPS - 1 - group) * each + i], x);
            sum = t_plus(sum, x);
        }
        out[group] = t_div_scalar(sum, each);
    }
}

/* ---- loss ---- */

tensor *token_recenter(tensor *tokens, int64_t count)
{
    int64_t all = t_size(tokens, 1);
    tensor *seen = t_sub(t_slice(tokens, 1, all - count, all), t_slice(tokens, 1, 0, 1));
    return t_layer_norm(seen, 1, NULL, NULL, 1e-8);
}

static tensor *distance(tensor *a, tensor *b, int dim)
{
    return t_add_scalar(t_neg(t_cosine_similarity(a, b, dim)), 1);
}

tensor *token_cosine_distances(tensor *a, tensor *b)
{
    return distance(a, b, 2);
}

/* n x positions x 1: `factor` at the easy points, 1 at the others. */
static tensor *point_factors(tensor *target, tensor *given, double easy, double factor)
{
    tensor *distances = token_cosine_distances(target, given);
    int64_t count = t_count(distances), hard = (int64_t)((double)count * (1 - easy));
    tensor *flat = t_view(distances, 1, (int64_t[]){-1});
    tensor *hardest = t_topk(flat, hard > 1 ? hard : 1, 0, true, NULL);
    int64_t last = t_size(hardest, 0) - 1;
    tensor *is_easy = t_gt(t_slice(hardest, 0, last, last + 1), distances);
    const int64_t one = 1;
    dtype type = t_type(given);
    device d = t_device(given);
    return t_unsqueeze(
        t_where(is_easy, t_full(1, &one, factor, type, d), t_full(1, &one, 1, type, d)), 2);
}

/* fixed + factors (given - fixed) has the values of `given`, and its gradients by the factors. */
tensor *token_hard_cosine(tensor *target, tensor *given, double easy, double factor)
{
    tensor *fixed = t_detach(given);
    tensor *factors = point_factors(target, fixed, easy, factor);
    tensor *scaled = t_add(fixed, t_mul(factors, t_sub(given, fixed)));
    return t_mean_all(distance(t_flatten(target, 1, 2), t_flatten(scaled, 1, 2), 1));
}
