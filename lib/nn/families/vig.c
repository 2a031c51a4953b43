/* Vision GNNs of Han, Wang, Guo, Tang, Wu (NeurIPS 2022), the isotropic ones, with the authors'
 * names. Every position is a node of a graph whose edges are found anew in each block. "stem" is
 * what the first block is given. */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "nn/chain.h"
#include "nn/modules.h"

typedef struct vig {
    int64_t channels;
    int depth;
} vig;

enum { SIDE = 224, GRID = 14, STEM = 5, NEIGHBOURS = 9, GROUPS = 4 };
enum { KEPT, DILATION }; /* the settings of a block */

/* ---- running ---- */

/* Convolutions with GELU between them, and the position codes, which are the last unit. */
static tensor *forward_stem(const node *self, tensor *x, bool training)
{
    for (int i = 0; i < STEM; ++i) {
        x = unit_run(&self->units[i], x, training);
        x = i + 1 < STEM ? activate(x, GELU) : x;
    }
    return t_add(x, unit_run(&self->units[STEM], NULL, training));
}

/* Of n x channels x nodes: the numbers of each node's neighbours, n x nodes x k: of its k d nearest
 * by the directions of their features, every d-th. Of equal distances the lower number is nearer.
 */
static tensor *find_neighbours(tensor *nodes, int k, int d)
{
    tensor *rows = t_detach(t_transpose(t_normalize(nodes, 1), 1, 2));
    tensor *products = t_mul_scalar(t_matmul(rows, t_transpose(rows, 1, 2)), -2);
    tensor *squares = t_sum(t_square(rows), 2, true);
    tensor *distances = t_add(t_add(squares, products), t_transpose(squares, 1, 2)), *order;
    t_sort(distances, 2, false, &order);
    int64_t images = t_size(order, 0), count = t_size(order, 1);
    order = t_view(t_slice(order, 2, 0, (int64_t)k * d), 4, (int64_t[]){images, count, k, d});
    return t_view(t_slice(order, 3, 0, 1), 3, (int64_t[]){images, count, k});
}

/* The largest difference to a neighbour, channel by channel. */
static tensor *max_relative(tensor *nodes, tensor *neighbours)
{
    int64_t images = t_size(nodes, 0), channels = t_size(nodes, 1), count = t_size(nodes, 2);
    int64_t k = t_size(neighbours, 2);
    tensor *index = t_view(neighbours, 3, (int64_t[]){images, 1, count * k});
    index = t_expand(index, 3, (int64_t[]){images, channels, count * k});
    tensor *near = t_view(t_gather(nodes, 2, index), 4, (int64_t[]){images, channels, count, k});
    return t_amax(t_sub(near, t_unsqueeze(nodes, 3)), 3, false);
}

enum { FC_IN, GRAPH, FC_OUT, FFN_IN, FFN_OUT };

static tensor *forward_block(const node *self, tensor *x, bool training)
{
    const unit *u = self->units;
    int64_t images = t_size(x, 0), channels = t_size(x, 1);
    const int64_t wide[4] = {images, 2 * channels, GRID, GRID};
    tensor *nodes = t_flatten(t_contiguous(unit_run(&u[FC_IN], x, training)), 2, 3);
    tensor *near = find_neighbours(nodes, self->settings[KEPT], self->settings[DILATION]);
    /* x_0, m_0, x_1, m_1, ...: each channel beside its difference */
    tensor *both = t_stack((tensor *[]){nodes, max_relative(nodes, near)}, 2, 2);
    tensor *y = activate(unit_run(&u[GRAPH], t_view(both, 4, wide), training), GELU);
    x = t_add(unit_run(&u[FC_OUT], y, training), x);
    y = activate(unit_run(&u[FFN_IN], x, training), GELU);
    return t_add(unit_run(&u[FFN_OUT], y, training), x);
}

/* The position codes are of one grid, and are not resized. */
static imiad_status cut_into_nodes(const node *self, int64_t *height, int64_t *width)
{
    (void)self;
    if (*height != SIDE || *width != SIDE)
        return fail(IMIAD_INVALID_ARGUMENT, "height and width must be %d", SIDE);
    *height = *width = GRID;
    return IMIAD_OK;
}

/* ---- building ---- */

static void add_convolution(node_chain *out, const char *name, int layer, unit u)
{
    char full[64];
    u.kind = UNIT_CONVOLUTION;
    u.biased = true;
    snprintf(u.norm, sizeof u.norm, "%.40s.%d", name, layer + 1);
    snprintf(full, sizeof full, "%.40s.%d", name, layer);
    chain_unit(out, &u, full);
}

static void add_stem(node_chain *out, const vig *v)
{
    node *n = chain_add(out, "stem");
    n->forward = forward_stem;
    n->grid = cut_into_nodes;
    n->channels = v->channels;
    n->stride = SIDE / GRID;
    int64_t inputs = 3, outputs = v->channels / 8;
    for (int i = 0; i < STEM; ++i) {
        const unit u = {.inputs = inputs,
                        .outputs = outputs,
                        .kernel = 3,
                        .stride = i + 1 < STEM ? 2 : 1,
                        .padding = 1};
        add_convolution(out, "stem.convs", 3 * i, u);
        inputs = outputs;
        outputs = outputs < v->channels ? 2 * outputs : outputs;
    }
    const unit codes = {.kind = UNIT_FREE, .rank = 4, .shape = {1, v->channels, GRID, GRID}};
    chain_unit(out, &codes, "pos_embed");
}

static void add_block(node_chain *out, const vig *v, int block)
{
    int64_t c = v->channels;
    const struct {
        const char *name;
        int64_t inputs, outputs;
        int groups;
    } parts[] = {{"0.fc1", c, c, 1},
                 {"0.graph_conv.gconv.nn", 2 * c, 2 * c, GROUPS},
                 {"0.fc2", 2 * c, c, 1},
                 {"1.fc1", c, 4 * c, 1},
                 {"1.fc2", 4 * c, c, 1}};
    int last = 2 * NEIGHBOURS, most = GRID * GRID / last;
    node *n = chain_add(out, "backbone.%d", block);
    n->forward = forward_block;
    n->channels = c;
    n->settings[KEPT] = NEIGHBOURS + NEIGHBOURS * block / (v->depth - 1);
    n->settings[DILATION] = block / 4 + 1 < most ? block / 4 + 1 : most;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) {
        char name[64];
        const unit u = {.inputs = parts[i].inputs,
                        .outputs = parts[i].outputs,
                        .kernel = 1,
                        .stride = 1,
                        .groups = parts[i].groups};
        snprintf(name, sizeof name, "backbone.%d.%s", block, parts[i].name);
        add_convolution(out, name, 0, u);
    }
}

static imiad_status vig_build(node_chain *out, const architecture *self)
{
    const vig *v = self->variant;
    add_stem(out, v);
    for (int block = 0; block < v->depth; ++block)
        add_block(out, v, block);
    return out->status;
}

/* ---- table ---- */

static const float half[3] = {0.5f, 0.5f, 0.5f};

static const dialect vig_dialects[] = {
    {.name = "huawei-noah", .mean = half, .std = half},
    {.name = NULL},
};

#define VIG(channels, depth) vig_build, &(const vig){channels, depth}, vig_dialects

const architecture vig_architectures[] = {
    {"vig_ti_224_gelu", VIG(192, 12)},
    {"vig_s_224_gelu", VIG(320, 16)},
    {"vig_b_224_gelu", VIG(640, 16)},
    {.name = NULL},
};
