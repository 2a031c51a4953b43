#include "detectors/parts/pdn.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "nn/weights_tensor.h"

/* Outputs in widths of the small network's first layer; 0: those of the whole network. */
typedef struct pdn_layer {
    const char *name; /* in the public code's Sequential */
    int kernel, padding, outputs;
    bool pooled; /* an average of 2 x 2 follows */
} pdn_layer;

static const pdn_layer small_layers[] = {
    {"0", 4, 3, 1, true}, {"3", 4, 3, 2, true}, {"6", 3, 1, 2, false}, {"8", 4, 0, 0, false}};
static const pdn_layer medium_layers[] = {{"0", 4, 3, 2, true},   {"3", 4, 3, 4, true},
                                          {"6", 1, 0, 4, false},  {"8", 3, 1, 4, false},
                                          {"10", 4, 0, 0, false}, {"12", 1, 0, 0, false}};

static const pdn_layer *layers_of(pdn_size size, int *count)
{
    *count = size == PDN_SMALL ? 4 : 6;
    return size == PDN_SMALL ? small_layers : medium_layers;
}

pdn pdn_add(const builder *b, pdn_size size, int64_t width, int64_t outputs)
{
    pdn p = {.size = size};
    const pdn_layer *layers = layers_of(size, &p.count);
    int64_t before = 3;
    for (int i = 0; i < p.count; ++i) {
        int64_t channels = layers[i].outputs ? layers[i].outputs * width : outputs;
        p.convolutions[i] = conv2d_add(
            b, layers[i].name,
            (conv2d_spec){
                .inputs = before, .outputs = channels, .kernel = layers[i].kernel, .bias = true});
        before = channels;
    }
    return p;
}

static tensor *convolve(const conv2d *c, tensor *x, int padding)
{
    return t_conv2d(x, c->weight, c->bias, 1, padding, 1, 1);
}

tensor *pdn_trunk(const pdn *p, tensor *x, bool padded)
{
    int count;
    const pdn_layer *layers = layers_of(p->size, &count);
    for (int i = 0; i + 1 < count; ++i) {
        x = convolve(&p->convolutions[i], x, padded ? layers[i].padding : 0);
        x = activate_(x, RELU);
        if (layers[i].pooled)
            x = t_avg_pool2d(x, 2, 2, padded, true);
    }
    return x;
}

tensor *pdn_head(const pdn *p, tensor *trunk, int64_t first, int64_t end)
{
    const conv2d *last = &p->convolutions[p->count - 1];
    return t_conv2d(trunk, t_slice(last->weight, 0, first, end), t_slice(last->bias, 0, first, end),
                    1, 0, 1, 1);
}

tensor *pdn_run(const pdn *p, tensor *x, bool padded)
{
    return convolve(&p->convolutions[p->count - 1], pdn_trunk(p, x, padded), 0);
}

int64_t pdn_positions(int64_t side, bool padded)
{
    int count;
    const pdn_layer *layers = layers_of(PDN_SMALL, &count);
    for (int i = 0; i < count; ++i) {
        side += (padded ? 2 * layers[i].padding : 0) - layers[i].kernel + 1;
        if (layers[i].pooled)
            side = (side + (padded ? 2 : 0)) / 2;
    }
    return side;
}

/* ---- files ---- */

/* How a file calls the network's parameters. */
typedef struct naming {
    const char *prefix;
    bool numbered; /* conv1, conv2, ... */
} naming;

static void name_layer(char out[96], const naming *n, const char *name, int place, const char *what)
{
    if (n->numbered)
        snprintf(out, 96, "%sconv%d.%s", n->prefix, place + 1, what);
    else
        snprintf(out, 96, "%s%s.%s", n->prefix, name, what);
}

static const naming *find_naming(const weights *file)
{
    static const naming known[] = {{"", false},
                                   {"", true},
                                   {"teacher.", false},
                                   {"teacher.", true},
                                   {"model.teacher.", false},
                                   {"model.teacher.", true}};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        char name[96];
        name_layer(name, &known[i], "0", 0, "weight");
        if (weights_find(file, name))
            return &known[i];
    }
    return NULL;
}

static imiad_status take(tensor *into, const weights *file, const char *name)
{
    int64_t shape[4];
    for (int i = 0; i < t_rank(into); ++i)
        shape[i] = t_size(into, i);
    TRY(weights_expect(NULL, file, name, F32, t_rank(into), shape));
    tensor *read;
    TRY(weights_load_tensor(&read, file, name, t_device(into)));
    scope s = scope_begin();
    t_copy_(into, read);
    imiad_status status = scope_end(&s);
    t_free(read);
    return status;
}

static imiad_status take_all(const pdn *p, const weights *file, const char *path)
{
    const naming *n = find_naming(file);
    int count;
    const pdn_layer *layers = layers_of(p->size, &count);
    if (!n)
        return fail(IMIAD_MISMATCH,
                    "%s holds no patch description network: neither 0.weight nor conv1.weight, "
                    "alone or below teacher.",
                    path);
    for (int i = 0; i < count; ++i) {
        char scales[96], biases[96], next[96];
        name_layer(scales, n, layers[i].name, i, "weight");
        name_layer(biases, n, layers[i].name, i, "bias");
        imiad_status status = take(p->convolutions[i].weight, file, scales);
        if (status == IMIAD_OK)
            status = take(p->convolutions[i].bias, file, biases);
        if (status != IMIAD_OK)
            return fail_within(IMIAD_MISMATCH, "%s", path);
        name_layer(next, n, "10", count, "weight");
        if (i + 1 == count && p->size == PDN_SMALL && weights_find(file, next))
            return fail(IMIAD_MISMATCH, "%s holds %s: it is a medium network's", path, next);
    }
    return IMIAD_OK;
}

imiad_status pdn_import(const pdn *p, const char *path)
{
    weights *file;
    TRY(weights_open(&file, path));
    imiad_status status = take_all(p, file, path);
    weights_free(file);
    return status;
}

/* ---- folding ---- */

void pdn_fold(conv2d *out, const pdn *p, tensor *mean, tensor *deviation)
{
    const conv2d *last = &p->convolutions[p->count - 1];
    tensor *scale = t_to(deviation, F64), *kernel = t_to(last->weight, F64);
    tensor *bias = t_div(t_sub(t_to(last->bias, F64), t_to(mean, F64)), scale);
    kernel = t_div(kernel, t_view(scale, 4, (int64_t[]){t_size(scale, 0), 1, 1, 1}));
    dtype type = t_type(last->weight);
    *out =
        (conv2d){t_keep(t_channels_last(t_to(kernel, type))), t_keep(t_to(bias, type)), last->spec};
}
