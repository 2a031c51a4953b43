#include "nn/families/inverted.h"

#include <stdio.h>
#include <string.h>

/* The settings of a node. */
enum { ACTIVATION, SQUEEZE, GATE, SHORTCUT, PLACES };

static tensor *forward_convolution(const node *self, tensor *x, bool training)
{
    return activate_(unit_run(&self->units[0], x, training),
                     (activation)self->settings[ACTIVATION]);
}

/* The bits of PLACES say which units the block has, in their order. */
static tensor *forward_block(const node *self, tensor *x, bool training)
{
    const int *set = self->settings;
    const unit *u = self->units;
    tensor *y = x, *gate = NULL;
    for (int place = 0; place < INVERTED_UNITS; ++place) {
        if (!(set[PLACES] & 1 << place))
            continue;
        tensor *given = place == REDUCE   ? t_adaptive_avg_pool2d(y, 1, 1)
                        : place == EXCITE ? gate
                                          : y;
        tensor *made = unit_run(u, given, training);
        if (place == REDUCE)
            gate = activate_(made, (activation)set[SQUEEZE]);
        else if (place == EXCITE)
            y = t_mul(y, activate_(made, (activation)set[GATE]));
        else
            y = place == PROJECT ? made : activate_(made, (activation)set[ACTIVATION]);
        ++u;
    }
    return set[SHORTCUT] ? t_add(y, x) : y;
}

static unit make_unit(const inverted *b, const inverted_style *style, int place)
{
    unit u = {.kind = UNIT_CONVOLUTION,
              .inputs = b->expanded,
              .outputs = b->expanded,
              .kernel = 1,
              .stride = 1,
              .same = style->same,
              .epsilon = style->epsilon,
              .momentum = style->momentum};
    switch (place) {
    case EXPAND:
        u.inputs = b->inputs;
        break;
    case DEPTHWISE:
        u.groups = (int)b->expanded;
        u.kernel = b->kernel;
        u.stride = b->stride;
        u.side = b->side;
        u.padding = style->same ? 0 : b->kernel / 2;
        break;
    case REDUCE:
        u.outputs = b->squeezed;
        break;
    case EXCITE:
        u.inputs = b->squeezed;
        break;
    default:
        u.outputs = b->outputs;
        break;
    }
    return u;
}

void inverted_add(node_chain *chain, node *n, const inverted *b, const inverted_style *style,
                  const inverted_names *names)
{
    n->forward = forward_block;
    n->stride = b->stride;
    n->channels = b->outputs;
    n->settings[ACTIVATION] = (int)style->activation;
    n->settings[SQUEEZE] = (int)style->squeeze;
    n->settings[GATE] = (int)style->gate;
    n->settings[SHORTCUT] = b->stride == 1 && b->inputs == b->outputs;
    char owner[sizeof n->name];
    snprintf(owner, sizeof owner, "%s", n->name);
    for (int place = 0; place < INVERTED_UNITS; ++place) {
        bool squeezing = place == REDUCE || place == EXCITE;
        if ((place == EXPAND && b->expanded == b->inputs) || (squeezing && b->squeezed == 0))
            continue;
        n->settings[PLACES] |= 1 << place;
        unit u = make_unit(b, style, place);
        char name[sizeof u.name];
        if (names->norm[place])
            snprintf(u.norm, sizeof u.norm, "%.40s.%s", owner, names->norm[place]);
        snprintf(name, sizeof name, "%.40s.%s", owner, names->unit[place]);
        chain_unit(chain, &u, name);
    }
}

void inverted_add_convolution(node_chain *chain, const char *node_name, const char *name,
                              const char *norm, const inverted *shape, const inverted_style *style)
{
    node *n = chain_add(chain, "%s", node_name);
    n->forward = forward_convolution;
    n->stride = shape->stride;
    n->channels = shape->outputs;
    n->settings[ACTIVATION] = (int)style->activation;
    unit u = {.kind = UNIT_CONVOLUTION,
              .inputs = shape->inputs,
              .outputs = shape->outputs,
              .kernel = shape->kernel,
              .stride = shape->stride,
              .padding = style->same ? 0 : shape->kernel / 2,
              .same = style->same,
              .side = shape->side,
              .epsilon = style->epsilon,
              .momentum = style->momentum};
    snprintf(u.norm, sizeof u.norm, "%s", norm);
    chain_unit(chain, &u, name);
}

static imiad_status fixed_grid(const node *self, int64_t *height, int64_t *width)
{
    for (int i = 0; i < self->unit_count; ++i) {
        const unit *u = &self->units[i];
        int spare = unit_fixed_padding(u) - u->kernel;
        if (!u->fixed)
            continue;
        *height = (*height + spare + u->stride) / u->stride;
        *width = (*width + spare + u->stride) / u->stride;
    }
    return IMIAD_OK;
}

void inverted_fix_padding(node_chain *chain)
{
    for (size_t i = 0; i < chain->count; ++i) {
        chain->nodes[i].grid = fixed_grid;
        for (int j = 0; j < chain->nodes[i].unit_count; ++j)
            chain->nodes[i].units[j].fixed = chain->nodes[i].units[j].side > 0;
    }
}

int64_t inverted_round(double channels, int divisor)
{
    int64_t rounded = (int64_t)(channels + divisor / 2.0) / divisor * divisor;
    if (rounded < divisor)
        rounded = divisor;
    return (double)rounded < 0.9 * channels ? rounded + divisor : rounded;
}
