#include "nn/chain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"

#define CLASS_TOKEN ".cls_token"

/* ---- building ---- */

node *chain_add(node_chain *chain, const char *format, ...)
{
    node *n = &chain->spare_node;
    if (chain->status == IMIAD_OK)
        chain->status =
            array_reserve(&chain->nodes, chain->count, &chain->room, sizeof *n, "a network");
    if (chain->status == IMIAD_OK)
        n = &chain->nodes[chain->count++];
    *n = (node){.stride = 1};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(n->name, sizeof n->name, format, arguments);
    va_end(arguments);
    return n;
}

unit *chain_unit(node_chain *chain, const unit *like, const char *name)
{
    unit *u = &chain->spare_unit;
    node *n = chain->count > 0 ? &chain->nodes[chain->count - 1] : &chain->spare_node;
    if (chain->status == IMIAD_OK)
        chain->status = array_reserve(&n->units, (size_t)n->unit_count, &n->unit_room, sizeof *u,
                                      "a network's units");
    if (chain->status == IMIAD_OK)
        u = &n->units[n->unit_count++];
    *u = *like;
    snprintf(u->name, sizeof u->name, "%s", name);
    if (u->kind == UNIT_BATCH_NORM)
        snprintf(u->norm, sizeof u->norm, "%s", name);
    u->block = chain->blocks - 1;
    return u;
}

void chain_block(node_chain *chain)
{
    ++chain->blocks;
}

const node *chain_last(const node_chain *chain)
{
    return chain->count > 0 ? &chain->nodes[chain->count - 1] : &chain->spare_node;
}

void chain_free(node_chain *chain, bool frozen)
{
    for (size_t i = 0; i < chain->count; ++i) {
        for (int j = 0; frozen && j < chain->nodes[i].unit_count; ++j)
            unit_free(&chain->nodes[i].units[j]);
        free(chain->nodes[i].units);
    }
    free(chain->nodes);
    *chain = (node_chain){0};
}

/* ---- layers ---- */

static bool is_named(const char *theirs, const char *name)
{
    return theirs[0] && strcmp(theirs, name) == 0;
}

static bool find_plain(chain_layer *out, const node_chain *chain, const char *name)
{
    for (size_t i = 0; i < chain->count; ++i) {
        const node *n = &chain->nodes[i];
        bool sum = is_named(n->sum, name);
        if (sum || is_named(n->name, name) || is_named(n->stage, name)) {
            *out = (chain_layer){n, sum, false};
            return true;
        }
    }
    return false;
}

static bool has_stages(const node_chain *chain)
{
    for (size_t i = 0; i < chain->count; ++i)
        if (chain->nodes[i].stage[0])
            return true;
    return false;
}

/* "layer1" to "layer4" where the network has no layer of that name: the last stage, or without
 * stages the last node, with a position for each 4, 8, 16 or 32 pixels, which is what ResNet's are.
 */
static bool find_by_stride(chain_layer *out, const node_chain *chain, const char *name)
{
    bool found = false, stages = has_stages(chain);
    if (strncmp(name, "layer", 5) != 0 || name[5] < '1' || name[5] > '4' || name[6])
        return false;
    int wanted = 2 << (name[5] - '0'), stride = 1;
    for (size_t i = 0; i < chain->count; ++i) {
        const node *n = &chain->nodes[i];
        stride *= n->stride;
        if (stride == wanted && !n->map && (n->stage[0] || !stages)) {
            *out = (chain_layer){n, false, false};
            found = true;
        }
    }
    return found;
}

bool layer_find(chain_layer *out, const node_chain *chain, const char *name)
{
    if (find_plain(out, chain, name) || find_by_stride(out, chain, name))
        return true;
    size_t length = strlen(name), tail = sizeof CLASS_TOKEN - 1;
    char owner[64];
    if (length <= tail || length - tail >= sizeof owner ||
        strcmp(name + length - tail, CLASS_TOKEN) != 0)
        return false;
    snprintf(owner, sizeof owner, "%.*s", (int)(length - tail), name);
    if (!find_plain(out, chain, owner) || !out->node->map)
        return false;
    out->class_token = true;
    return true;
}

const node *node_find(const node_chain *chain, const char *name)
{
    chain_layer l;
    return layer_find(&l, chain, name) ? l.node : NULL;
}

const node *node_deepest(const node_chain *chain, const char *const *layers, int count)
{
    const node *last = chain->nodes;
    for (int i = 0; i < count; ++i) {
        const node *n = node_find(chain, layers[i]);
        if (n > last)
            last = n;
    }
    return last;
}

/* The names of one node in the order in which their layers are computed. */
static int names_of(const char *out[3], const node *n)
{
    int count = 0;
    if (n->sum[0])
        out[count++] = n->sum;
    out[count++] = n->name;
    if (n->stage[0])
        out[count++] = n->stage;
    return count;
}

size_t layer_count(const node_chain *chain)
{
    size_t count = 0;
    const char *names[3];
    for (size_t i = 0; i < chain->count; ++i)
        count += (size_t)names_of(names, &chain->nodes[i]) * (chain->nodes[i].map ? 2 : 1);
    return count;
}

bool layer_at(chain_layer *out, char name[64], const node_chain *chain, size_t index)
{
    const char *names[3];
    for (size_t i = 0; i < chain->count; ++i) {
        const node *n = &chain->nodes[i];
        size_t kinds = n->map ? 2 : 1, count = (size_t)names_of(names, n) * kinds;
        if (index >= count) {
            index -= count;
            continue;
        }
        bool class_token = index % kinds == 1;
        const char *plain = names[index / kinds];
        snprintf(name, 64, "%s%s", plain, class_token ? CLASS_TOKEN : "");
        *out = (chain_layer){n, strcmp(plain, n->sum) == 0, class_token};
        return true;
    }
    return false;
}

/* Blocks inside a stage are left out: there may be a hundred. */
static bool is_inner(const node_chain *chain, const char *name)
{
    for (size_t i = 0; i < chain->count; ++i) {
        size_t length = strlen(chain->nodes[i].stage);
        if (length > 0 && strncmp(name, chain->nodes[i].stage, length) == 0 && name[length] == '.')
            return true;
    }
    return false;
}

imiad_status layer_require(chain_layer *out, const node_chain *chain, const char *owner,
                           const char *name)
{
    if (layer_find(out, chain, name))
        return IMIAD_OK;
    char known[800] = "", one[64];
    size_t used = 0;
    bool inner = false;
    chain_layer l;
    for (size_t i = 0; layer_at(&l, one, chain, i); ++i)
        if (is_inner(chain, one))
            inner = true;
        else if (used + strlen(one) + 2 < sizeof known)
            used +=
                (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", one);
    return fail(IMIAD_UNKNOWN_OPTION, "%s has no layer \"%s\"; it has %s%s", owner, name, known,
                inner ? " and the blocks of its stages" : "");
}

imiad_status layer_shape(int64_t out[3], const node_chain *chain, const chain_layer *l,
                         const char *owner, int64_t height, int64_t width)
{
    const int64_t given[2] = {height, width};
    for (const node *n = chain->nodes; n <= l->node; ++n) {
        if (n->grid) {
            imiad_status status = n->grid(n, &height, &width);
            if (status != IMIAD_OK)
                return fail_within(status, "%s: images of %lld x %lld pixels (height, width)",
                                   owner, (long long)given[0], (long long)given[1]);
        } else {
            height = (height + n->stride - 1) / n->stride;
            width = (width + n->stride - 1) / n->stride;
        }
        if (height < 1 || width < 1)
            return fail(IMIAD_INVALID_ARGUMENT,
                        "%s: images of %lld x %lld pixels (height, width) leave nothing of layer "
                        "%s",
                        owner, (long long)given[0], (long long)given[1], n->name);
    }
    out[0] = l->node->channels;
    out[1] = l->class_token ? 1 : height;
    out[2] = l->class_token ? 1 : width;
    return IMIAD_OK;
}

int layer_stride(const node_chain *chain, const chain_layer *l)
{
    int stride = 1;
    for (const node *n = chain->nodes; n <= l->node; ++n)
        stride *= n->stride;
    return stride;
}
