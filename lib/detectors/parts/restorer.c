#include "detectors/parts/restorer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- running ---- */

tensor *restorer_tokens(tensor *features)
{
    return t_contiguous(t_transpose(t_flatten(features, 2, 3), 1, 2));
}

static tensor *drop(const restorer *r, tensor *x, bool training)
{
    return t_dropout(x, r->spec.dropout, training && r->spec.dropout > 0);
}

/* A layer's last step. */
static tensor *feed_forward(const restorer *r, const restorer_layer *l, const layer_norm *norm,
                            tensor *x, bool training)
{
    tensor *y = drop(r, t_relu(linear_run(&l->in, x)), training);
    return layer_norm_run(norm, t_add(x, drop(r, linear_run(&l->out, y), training)));
}

static tensor *encode(const restorer *r, const restorer_layer *l, tensor *x, tensor *codes,
                      bool training)
{
    tensor *placed = t_add(x, codes);
    tensor *seen = attention_run(&l->first, placed, placed, x, r->mask, training);
    x = layer_norm_run(&l->norms[0], t_add(x, drop(r, seen, training)));
    return feed_forward(r, l, &l->norms[1], x, training);
}

/* Queries look at the memory, then at what the layer before gave. */
static tensor *decode(const restorer *r, const restorer_layer *l, tensor *before, tensor *memory,
                      tensor *codes, bool training)
{
    const int64_t shape[3] = {t_size(memory, 0), t_size(memory, 1), r->spec.hidden};
    tensor *x = t_expand(t_unsqueeze(l->queries, 0), 3, shape);
    tensor *seen =
        attention_run(&l->first, t_add(x, codes), t_add(memory, codes), memory, r->mask, training);
    x = layer_norm_run(&l->norms[0], t_add(x, drop(r, seen, training)));
    seen =
        attention_run(&l->second, t_add(x, codes), t_add(before, codes), before, r->mask, training);
    x = layer_norm_run(&l->norms[1], t_add(x, drop(r, seen, training)));
    return feed_forward(r, l, &l->norms[2], x, training);
}

/* 1 x positions x hidden: the column's code, then the row's. */
static tensor *position_codes(const restorer *r)
{
    const int64_t grid = r->spec.grid, shape[3] = {grid, grid, r->spec.hidden / 2};
    tensor *x = t_expand(t_unsqueeze(r->columns, 0), 3, shape);
    tensor *y = t_expand(t_unsqueeze(r->rows, 1), 3, shape);
    tensor *both = t_cat((tensor *[]){x, y}, 2, 2);
    return t_view(both, 3, (int64_t[]){1, grid * grid, r->spec.hidden});
}

tensor *restorer_run(const restorer *r, tensor *tokens, bool training, tensor **memory)
{
    tensor *codes = position_codes(r), *encoded = linear_run(&r->input, tokens);
    for (int i = 0; i < r->spec.encoder_layers; ++i)
        encoded = encode(r, &r->encoder[i], encoded, codes, training);
    if (memory)
        *memory = encoded;
    tensor *x = encoded;
    for (int i = 0; i < r->spec.decoder_layers; ++i)
        x = decode(r, &r->decoder[i], x, encoded, codes, training);
    return linear_run(&r->output, layer_norm_run(&r->last, x));
}

tensor *restorer_map(const restorer *r, tensor *tokens, int64_t height, int64_t width)
{
    const int64_t shape[4] = {t_size(tokens, 0), 1, r->spec.grid, r->spec.grid};
    tensor *lost = t_norm(t_sub(restorer_run(r, tokens, false, NULL), tokens), 2, 2, false);
    return t_squeeze(t_interpolate(t_view(lost, 4, shape), height, width, BILINEAR, true), 1);
}

/* ---- the mask ---- */

/* Where a position would see nothing at all, it sees everything. */
static void hide_around(float *row, int64_t grid, int64_t y, int64_t x, int64_t reach)
{
    int64_t hidden = 0;
    for (int64_t i = 0; i < grid * grid; ++i) {
        bool near = llabs(i / grid - y) <= reach && llabs(i % grid - x) <= reach;
        row[i] = near ? -INFINITY : 0;
        hidden += near;
    }
    if (hidden == grid * grid)
        memset(row, 0, (size_t)(grid * grid) * sizeof *row);
}

static tensor *make_mask(const restorer_spec *spec, device d)
{
    int64_t grid = spec->grid, count = grid * grid;
    if (spec->neighbours == 0)
        return NULL;
    tensor *mask = t_zeros(2, (int64_t[]){count, count}, F32, CPU);
    float *values = t_data(mask);
    for (int64_t i = 0; values && i < count; ++i)
        hide_around(values + i * count, grid, i / grid, i % grid, spec->neighbours / 2);
    return t_keep(t_clone(t_to_device(mask, d)));
}

void restorer_free(restorer *r)
{
    t_free(r->mask);
    r->mask = NULL;
}

/* ---- making ---- */

static restorer_layer add_layer(const builder *b, const restorer_spec *spec, bool decodes)
{
    int64_t hidden = spec->hidden, positions = spec->grid * spec->grid;
    restorer_layer out = {
        .first = attention_add(b, "self_attn", hidden, spec->heads, ATTENTION_PYTORCH)};
    if (decodes) {
        builder queries = builder_below(b, "learned_embed");
        queries.std = 1;
        out.queries =
            parameter_add(&queries, "weight", 2, (int64_t[]){positions, hidden}, INIT_NORMAL);
        out.second = attention_add(b, "multihead_attn", hidden, spec->heads, ATTENTION_PYTORCH);
    }
    out.first.dropout = out.second.dropout = spec->dropout;
    out.in = linear_add(b, "linear1", hidden, spec->wide, true);
    out.out = linear_add(b, "linear2", spec->wide, hidden, true);
    for (int i = 0; i < (decodes ? 3 : 2); ++i) {
        char name[16];
        snprintf(name, sizeof name, "norm%d", i + 1);
        out.norms[i] = layer_norm_add(b, name, 1, &hidden);
    }
    return out;
}

/* In the code, layers begin as copies of one; its Xavier initialisation then draws the linear ones
 * anew, but neither queries nor what attention projects by. */
static void share_beginnings(restorer_layer *layers, int count, bool decodes)
{
    for (int i = 1; i < count; ++i) {
        t_copy_(layers[i].first.in.weight, layers[0].first.in.weight);
        if (decodes) {
            t_copy_(layers[i].second.in.weight, layers[0].second.in.weight);
            t_copy_(layers[i].queries, layers[0].queries);
        }
    }
}

/* From 0 to 1. */
static tensor *add_codes(const builder *b, const char *name, const restorer_spec *spec)
{
    const builder at = builder_below(b, "pos_embed.%s", name);
    const int64_t shape[2] = {spec->grid, spec->hidden / 2};
    tensor *codes = parameter_add(&at, "weight", 2, shape, INIT_ZEROS);
    char stream[128];
    if (!b->purpose)
        return codes;
    snprintf(stream, sizeof stream, "%spos_embed.%s.weight", b->purpose, name);
    t_copy_(codes, t_uniform(2, shape, 0, 1, b->seed, stream, b->device));
    return codes;
}

void restorer_add(restorer *out, const builder *given, const restorer_spec *spec)
{
    builder b = *given;
    b.weights = INIT_XAVIER_UNIFORM;
    b.biases = INIT_ZEROS;
    restorer_free(out);
    *out = (restorer){.spec = *spec, .mask = make_mask(spec, b.device)};
    out->rows = add_codes(&b, "row_embed", spec);
    out->columns = add_codes(&b, "col_embed", spec);
    for (int i = 0; i < spec->encoder_layers; ++i) {
        const builder at = builder_below(&b, "transformer.encoder.layers.%d", i);
        out->encoder[i] = add_layer(&at, spec, false);
    }
    for (int i = 0; i < spec->decoder_layers; ++i) {
        const builder at = builder_below(&b, "transformer.decoder.layers.%d", i);
        out->decoder[i] = add_layer(&at, spec, true);
    }
    if (b.purpose) {
        share_beginnings(out->encoder, spec->encoder_layers, false);
        share_beginnings(out->decoder, spec->decoder_layers, true);
    }
    const builder decoder = builder_below(&b, "transformer.decoder");
    out->last = layer_norm_add(&decoder, "norm", 1, &spec->hidden);
    out->input = linear_add(&b, "input_proj", spec->channels, spec->hidden, true);
    out->output = linear_add(&b, "output_proj", spec->hidden, spec->channels, true);
}
