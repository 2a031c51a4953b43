/* The EfficientNets of Tan, Le (ICML 2019): as torchvision trained them, with symmetric padding,
 * and as TensorFlow did (timm's names: "tf_"), whose odd pixel of padding stands at the end. Lite0,
 * for small devices, has no squeeze and excitation. */
#include <math.h>
#include <stdio.h>

#include "nn/chain.h"
#include "nn/families/inverted.h"

typedef struct efficientnet {
    double width, depth;
    bool from_tensorflow, lite;
    double epsilon, momentum; /* of its batch norms */
    int side;                 /* of the images that it was trained on */
} efficientnet;

enum { STAGES = 7 };

/* Of b0; the others are as many times wider and deeper. */
static const struct {
    int expansion, kernel, stride, inputs, outputs, blocks;
} stages[STAGES] = {{1, 3, 1, 32, 16, 1},  {6, 3, 2, 16, 24, 2},  {6, 5, 2, 24, 40, 2},
                    {6, 3, 2, 40, 80, 3},  {6, 5, 1, 80, 112, 3}, {6, 5, 2, 112, 192, 4},
                    {6, 3, 1, 192, 320, 1}};

/* ---- names ---- */

static const inverted_names torchvision_first = {
    {NULL, "block.0.0", "block.1.fc1", "block.1.fc2", "block.2.0"},
    {NULL, "block.0.1", NULL, NULL, "block.2.1"}};
static const inverted_names torchvision_block = {
    {"block.0.0", "block.1.0", "block.2.fc1", "block.2.fc2", "block.3.0"},
    {"block.0.1", "block.1.1", NULL, NULL, "block.3.1"}};
static const inverted_names timm_first = {
    {NULL, "conv_dw", "se.conv_reduce", "se.conv_expand", "conv_pw"},
    {NULL, "bn1", NULL, NULL, "bn2"}};
static const inverted_names timm_block = {
    {"conv_pw", "conv_dw", "se.conv_reduce", "se.conv_expand", "conv_pwl"},
    {"bn1", "bn2", NULL, NULL, "bn3"}};

/* From torchvision's. */
static const name_rule to_timm[] = {
    {"features.0.0", "conv_stem", RULE_NAME_ONLY},
    {"features.0.1", "bn1", RULE_NAME_ONLY},
    {"features.8.0", "conv_head", RULE_NAME_ONLY},
    {"features.8.1", "bn2", RULE_NAME_ONLY},
    {"features.1.#.block.0.0", "blocks.0.#.conv_dw", RULE_NAME_ONLY},
    {"features.1.#.block.0.1", "blocks.0.#.bn1", RULE_NAME_ONLY},
    {"features.1.#.block.1.fc1", "blocks.0.#.se.conv_reduce", RULE_NAME_ONLY},
    {"features.1.#.block.1.fc2", "blocks.0.#.se.conv_expand", RULE_NAME_ONLY},
    {"features.1.#.block.2.0", "blocks.0.#.conv_pw", RULE_NAME_ONLY},
    {"features.1.#.block.2.1", "blocks.0.#.bn2", RULE_NAME_ONLY},
    {"features.#.#.block.0.0", "blocks.#-1.#.conv_pw", RULE_NAME_ONLY},
    {"features.#.#.block.0.1", "blocks.#-1.#.bn1", RULE_NAME_ONLY},
    {"features.#.#.block.1.0", "blocks.#-1.#.conv_dw", RULE_NAME_ONLY},
    {"features.#.#.block.1.1", "blocks.#-1.#.bn2", RULE_NAME_ONLY},
    {"features.#.#.block.2.fc1", "blocks.#-1.#.se.conv_reduce", RULE_NAME_ONLY},
    {"features.#.#.block.2.fc2", "blocks.#-1.#.se.conv_expand", RULE_NAME_ONLY},
    {"features.#.#.block.3.0", "blocks.#-1.#.conv_pwl", RULE_NAME_ONLY},
    {"features.#.#.block.3.1", "blocks.#-1.#.bn3", RULE_NAME_ONLY},
    {NULL, NULL, RULE_NAME_ONLY},
};

/* From timm's. */
static const name_rule to_lukemelas[] = {
    {"conv_stem", "_conv_stem", RULE_NAME_ONLY},
    {"bn1", "_bn0", RULE_NAME_ONLY},
    {"conv_head", "_conv_head", RULE_NAME_ONLY},
    {"bn2", "_bn1", RULE_NAME_ONLY},
    {"blocks.0.#.conv_dw", "_blocks.@._depthwise_conv", RULE_NAME_ONLY},
    {"blocks.0.#.bn1", "_blocks.@._bn1", RULE_NAME_ONLY},
    {"blocks.0.#.conv_pw", "_blocks.@._project_conv", RULE_NAME_ONLY},
    {"blocks.0.#.bn2", "_blocks.@._bn2", RULE_NAME_ONLY},
    {"blocks.#.#.se.conv_reduce", "_blocks.@._se_reduce", RULE_NAME_ONLY},
    {"blocks.#.#.se.conv_expand", "_blocks.@._se_expand", RULE_NAME_ONLY},
    {"blocks.#.#.conv_pw", "_blocks.@._expand_conv", RULE_NAME_ONLY},
    {"blocks.#.#.bn1", "_blocks.@._bn0", RULE_NAME_ONLY},
    {"blocks.#.#.conv_dw", "_blocks.@._depthwise_conv", RULE_NAME_ONLY},
    {"blocks.#.#.bn2", "_blocks.@._bn1", RULE_NAME_ONLY},
    {"blocks.#.#.conv_pwl", "_blocks.@._project_conv", RULE_NAME_ONLY},
    {"blocks.#.#.bn3", "_blocks.@._bn2", RULE_NAME_ONLY},
    {NULL, NULL, RULE_NAME_ONLY},
};

/* timm's own networks with symmetric padding keep PyTorch's epsilon at every size. */
static void take_pytorchs_epsilon(node_chain *chain)
{
    for (size_t i = 0; i < chain->count; ++i)
        for (int j = 0; j < chain->nodes[i].unit_count; ++j)
            chain->nodes[i].units[j].epsilon = 1e-5;
}

static const dialect symmetric[] = {
    {.name = "torchvision"},
    {.name = "timm", .rules = to_timm, .adjust = take_pytorchs_epsilon},
    {.name = NULL},
};
static const dialect tensorflow[] = {
    {.name = "timm"},
    {.name = "lukemelas", .rules = to_lukemelas, .adjust = inverted_fix_padding},
    {.name = NULL},
};

/* (x - 127) / 128 of the bytes */
static const float lite_mean[3] = {127 / 255.0f, 127 / 255.0f, 127 / 255.0f};
static const float lite_std[3] = {128 / 255.0f, 128 / 255.0f, 128 / 255.0f};
static const dialect lite[] = {
    {.name = "timm", .mean = lite_mean, .std = lite_std},
    {.name = "lukemelas",
     .rules = to_lukemelas,
     .mean = lite_mean,
     .std = lite_std,
     .adjust = inverted_fix_padding},
    {.name = NULL},
};

/* ---- building ---- */

/* Blocks of one stage; returns their output's channels. */
static int64_t add_stage(node_chain *out, const efficientnet *e, const inverted_style *style,
                         int stage, int64_t inputs, int *side)
{
    bool deeper = !e->lite || (stage > 0 && stage < STAGES - 1);
    int count = (int)ceil(stages[stage].blocks * (deeper ? e->depth : 1));
    int64_t outputs = inverted_round(stages[stage].outputs * e->width, 8);
    for (int i = 0; i < count; ++i) {
        char name[48];
        const char *group = e->from_tensorflow ? "blocks" : "features";
        snprintf(name, sizeof name, "%s.%d", group, e->from_tensorflow ? stage : stage + 1);
        chain_block(out);
        node *n = chain_add(out, "%s.%d", name, i);
        if (i == count - 1)
            snprintf(n->stage, sizeof n->stage, "%s", name);
        const inverted b = {.inputs = inputs,
                            .expanded = inputs * stages[stage].expansion,
                            .outputs = outputs,
                            .squeezed = e->lite ? 0 : inputs / 4,
                            .kernel = stages[stage].kernel,
                            .stride = i == 0 ? stages[stage].stride : 1,
                            .side = *side};
        bool first = stages[stage].expansion == 1;
        inverted_add(out, n, &b, style,
                     e->from_tensorflow ? (first ? &timm_first : &timm_block)
                                        : (first ? &torchvision_first : &torchvision_block));
        inputs = outputs;
        *side = (*side + b.stride - 1) / b.stride;
    }
    return outputs;
}

static imiad_status efficientnet_build(node_chain *out, const architecture *self)
{
    const efficientnet *e = self->variant;
    const inverted_style style = {.activation = e->lite ? RELU6 : SILU,
                                  .same = e->from_tensorflow,
                                  .epsilon = e->epsilon,
                                  .momentum = e->momentum,
                                  .squeeze = SILU,
                                  .gate = SIGMOID};
    bool tf = e->from_tensorflow;
    int64_t channels = e->lite ? 32 : inverted_round(32 * e->width, 8);
    inverted_add_convolution(
        out, tf ? "bn1" : "features.0", tf ? "conv_stem" : "features.0.0",
        tf ? "bn1" : "features.0.1",
        &(inverted){.inputs = 3, .outputs = channels, .kernel = 3, .stride = 2, .side = e->side},
        &style);
    int side = (e->side + 1) / 2;
    for (int stage = 0; stage < STAGES; ++stage)
        channels = add_stage(out, e, &style, stage, channels, &side);
    inverted_add_convolution(
        out, tf ? "bn2" : "features.8", tf ? "conv_head" : "features.8.0",
        tf ? "bn2" : "features.8.1",
        &(inverted){.inputs = channels, .outputs = 4 * channels, .kernel = 1, .stride = 1}, &style);
    return out->status;
}

#define SYMMETRIC(width, depth, epsilon, momentum)                                                 \
    efficientnet_build, &(const efficientnet){width, depth, false, false, epsilon, momentum, 0},   \
        symmetric
#define TENSORFLOW(width, depth, side)                                                             \
    efficientnet_build, &(const efficientnet){width, depth, true, false, 1e-3, 0.01, side},        \
        tensorflow
#define LITE(width, depth)                                                                         \
    efficientnet_build, &(const efficientnet){width, depth, true, true, 1e-3, 0.01, 224}, lite

const architecture efficientnet_architectures[] = {
    {"efficientnet_b0", SYMMETRIC(1.0, 1.0, 1e-5, 0.1)},
    {"efficientnet_b1", SYMMETRIC(1.0, 1.1, 1e-5, 0.1)},
    {"efficientnet_b2", SYMMETRIC(1.1, 1.2, 1e-5, 0.1)},
    {"efficientnet_b3", SYMMETRIC(1.2, 1.4, 1e-5, 0.1)},
    {"efficientnet_b4", SYMMETRIC(1.4, 1.8, 1e-5, 0.1)},
    {"efficientnet_b5", SYMMETRIC(1.6, 2.2, 1e-3, 0.01)},
    {"efficientnet_b6", SYMMETRIC(1.8, 2.6, 1e-3, 0.01)},
    {"efficientnet_b7", SYMMETRIC(2.0, 3.1, 1e-3, 0.01)},
    {"tf_efficientnet_b0", TENSORFLOW(1.0, 1.0, 224)},
    {"tf_efficientnet_b1", TENSORFLOW(1.0, 1.1, 240)},
    {"tf_efficientnet_b2", TENSORFLOW(1.1, 1.2, 260)},
    {"tf_efficientnet_b3", TENSORFLOW(1.2, 1.4, 300)},
    {"tf_efficientnet_b4", TENSORFLOW(1.4, 1.8, 380)},
    {"tf_efficientnet_b5", TENSORFLOW(1.6, 2.2, 456)},
    {"tf_efficientnet_b6", TENSORFLOW(1.8, 2.6, 528)},
    {"tf_efficientnet_b7", TENSORFLOW(2.0, 3.1, 600)},
    {"efficientnet_lite0", LITE(1.0, 1.0)},
    {.name = NULL},
};
