/* The MobileNets with torchvision's names: v2 of Sandler et al. (CVPR 2018), v3 of Howard et al.
 * (ICCV 2019). */
#include <stdio.h>

#include "nn/chain.h"
#include "nn/families/inverted.h"

/* ---- v2 ---- */

static const inverted_names v2_first = {{NULL, "conv.0.0", NULL, NULL, "conv.1"},
                                        {NULL, "conv.0.1", NULL, NULL, "conv.2"}};
static const inverted_names v2_block = {{"conv.0.0", "conv.1.0", NULL, NULL, "conv.2"},
                                        {"conv.0.1", "conv.1.1", NULL, NULL, "conv.3"}};

static void add_end(node_chain *out, int number, const inverted *shape, const inverted_style *style)
{
    char names[3][24];
    snprintf(names[0], sizeof names[0], "features.%d", number);
    snprintf(names[1], sizeof names[1], "features.%d.0", number);
    snprintf(names[2], sizeof names[2], "features.%d.1", number);
    inverted_add_convolution(out, names[0], names[1], names[2], shape, style);
}

static imiad_status v2_build(node_chain *out, const architecture *self)
{
    static const struct {
        int expansion, outputs, blocks, stride;
    } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    const inverted_style style = {.activation = RELU6};
    int64_t inputs = 32;
    int number = 0;
    add_end(out, number++, &(inverted){.inputs = 3, .outputs = inputs, .kernel = 3, .stride = 2},
            &style);
    for (size_t stage = 0; stage < sizeof stages / sizeof *stages; ++stage)
        for (int i = 0; i < stages[stage].blocks; ++i) {
            const inverted b = {.inputs = inputs,
                                .expanded = inputs * stages[stage].expansion,
                                .outputs = stages[stage].outputs,
                                .kernel = 3,
                                .stride = i == 0 ? stages[stage].stride : 1};
            inverted_add(out, chain_add(out, "features.%d", number++), &b, &style,
                         stages[stage].expansion == 1 ? &v2_first : &v2_block);
            inputs = b.outputs;
        }
    add_end(out, number, &(inverted){.inputs = inputs, .outputs = 1280, .kernel = 1, .stride = 1},
            &style);
    return out->status;
}

/* ---- v3 ---- */

typedef struct v3_row {
    int kernel, expanded, outputs;
    bool squeezed, swish;
    int stride;
} v3_row;

static const v3_row large[] = {
    {3, 16, 16, false, false, 1}, {3, 64, 24, false, false, 2}, {3, 72, 24, false, false, 1},
    {5, 72, 40, true, false, 2},  {5, 120, 40, true, false, 1}, {5, 120, 40, true, false, 1},
    {3, 240, 80, false, true, 2}, {3, 200, 80, false, true, 1}, {3, 184, 80, false, true, 1},
    {3, 184, 80, false, true, 1}, {3, 480, 112, true, true, 1}, {3, 672, 112, true, true, 1},
    {5, 672, 160, true, true, 2}, {5, 960, 160, true, true, 1}, {5, 960, 160, true, true, 1},
    {0, 0, 0, false, false, 0}};
static const v3_row small[] = {
    {3, 16, 16, true, false, 2}, {3, 72, 24, false, false, 2}, {3, 88, 24, false, false, 1},
    {5, 96, 40, true, true, 2},  {5, 240, 40, true, true, 1},  {5, 240, 40, true, true, 1},
    {5, 120, 48, true, true, 1}, {5, 144, 48, true, true, 1},  {5, 288, 96, true, true, 2},
    {5, 576, 96, true, true, 1}, {5, 576, 96, true, true, 1},  {0, 0, 0, false, false, 0}};

/* The parts of a block are numbered through, and those that it lacks take no number. */
static inverted_names number_units(char texts[2 * INVERTED_UNITS][24], bool expanded, bool squeezed)
{
    inverted_names names = {{NULL}, {NULL}};
    int part = 0;
    for (int place = 0; place < INVERTED_UNITS; ++place) {
        char *part_name = texts[2 * place], *norm = texts[2 * place + 1];
        bool squeezing = place == REDUCE || place == EXCITE;
        if ((place == EXPAND && !expanded) || (squeezing && !squeezed))
            continue;
        if (squeezing) {
            snprintf(part_name, 24, "block.%d.fc%d", part, place == REDUCE ? 1 : 2);
        } else {
            snprintf(part_name, 24, "block.%d.0", part);
            snprintf(norm, 24, "block.%d.1", part);
            names.norm[place] = norm;
        }
        names.unit[place] = part_name;
        part += place != REDUCE;
    }
    return names;
}

static imiad_status v3_build(node_chain *out, const architecture *self)
{
    inverted_style style = {.activation = HARD_SWISH,
                            .epsilon = 1e-3,
                            .momentum = 0.01,
                            .squeeze = RELU,
                            .gate = HARD_SIGMOID};
    int64_t inputs = 16;
    int number = 0;
    add_end(out, number++, &(inverted){.inputs = 3, .outputs = inputs, .kernel = 3, .stride = 2},
            &style);
    for (const v3_row *row = self->variant; row->kernel > 0; ++row) {
        const inverted b = {.inputs = inputs,
                            .expanded = row->expanded,
                            .outputs = row->outputs,
                            .squeezed = row->squeezed ? inverted_round(row->expanded / 4, 8) : 0,
                            .kernel = row->kernel,
                            .stride = row->stride};
        char texts[2 * INVERTED_UNITS][24];
        const inverted_names names = number_units(texts, b.expanded != inputs, row->squeezed);
        style.activation = row->swish ? HARD_SWISH : RELU;
        inverted_add(out, chain_add(out, "features.%d", number++), &b, &style, &names);
        inputs = b.outputs;
    }
    style.activation = HARD_SWISH;
    add_end(out, number,
            &(inverted){.inputs = inputs, .outputs = 6 * inputs, .kernel = 1, .stride = 1}, &style);
    return out->status;
}

const architecture mobilenet_architectures[] = {
    {"mobilenet_v2", v2_build, NULL, NULL},
    {"mobilenet_v3_small", v3_build, small, NULL},
    {"mobilenet_v3_large", v3_build, large, NULL},
    {.name = NULL},
};
