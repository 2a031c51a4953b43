/* Vision transformers: those of Dosovitskiy et al. (ICLR 2021) and DINOv2 of Oquab et al. (TMLR
 * 2024), with registers of Darcet et al. (ICLR 2024). Names are timm's, which the authors of DINOv2
 * use as well. "pos_drop" is the tokens that the first block is given, "norm" the last layer norm's
 * output. */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "nn/chain.h"
#include "nn/families/position_codes.h"
#include "nn/modules.h"

typedef struct vit {
    int64_t channels;
    int depth, heads, patch, registers;
    int side;    /* of the grid that it was trained on */
    bool scaled; /* a factor a channel at the end of each branch */
    position_rule rule;
} vit;

/* The settings of a node. */
enum { HEADS, PATCH, EXTRA_TOKENS, SCALED, RULE = POSITION_RULE_SETTING };

/* ---- running ---- */

/* Of the first node. */
enum { EMBED, CLASS_TOKEN, POSITIONS, REGISTERS };

/* Codes for the class token and the grid. Where a file has none for the class token, the token
 * holds its own already. */
static tensor *add_codes(const node *self, tensor *tokens, tensor *class_token, int64_t height,
                         int64_t width)
{
    tensor *codes = unit_run(&self->units[POSITIONS], NULL, false);
    int64_t count = t_size(codes, 1), side = (int64_t)lround(sqrt((double)count));
    bool of_class = side * side != count;
    tensor *grid = of_class ? t_slice(codes, 1, 1, count) : codes;
    grid = position_codes_resize(t_contiguous(grid), height, width,
                                 (position_rule)self->settings[RULE]);
    tensor *first = of_class ? t_add(class_token, t_slice(codes, 1, 0, 1)) : class_token;
    int64_t images = t_size(tokens, 0);
    tensor *parts[3] = {t_expand(first, 3, (int64_t[]){images, 1, self->channels})};
    int used = 1;
    if (self->unit_count > REGISTERS)
        parts[used++] =
            t_expand(unit_run(&self->units[REGISTERS], NULL, false), 3,
                     (int64_t[]){images, self->settings[EXTRA_TOKENS] - 1, self->channels});
    parts[used++] = t_add(tokens, grid);
    return t_cat(parts, used, 1);
}

static tensor *forward_tokens(const node *self, tensor *x, bool training)
{
    tensor *patches = unit_run(&self->units[EMBED], x, training);
    int64_t height = t_size(patches, 2), width = t_size(patches, 3);
    tensor *tokens = t_transpose(t_flatten(patches, 2, 3), 1, 2);
    return add_codes(self, tokens, unit_run(&self->units[CLASS_TOKEN], NULL, false), height, width);
}

/* Of a block; the scales stand behind the others where there are any. */
enum { NORM_1, QKV, PROJECTION, NORM_2, FC_1, FC_2, SCALE_1, SCALE_2 };

static linear linear_of(const unit *u)
{
    return (linear){u->tensors[UNIT_WEIGHT], u->tensors[UNIT_BIAS]};
}

static tensor *forward_block(const node *self, tensor *x, bool training)
{
    const unit *u = self->units;
    const attention a = {linear_of(&u[QKV]), linear_of(&u[PROJECTION]), self->settings[HEADS], 0};
    tensor *y = unit_run(&u[NORM_1], x, training);
    y = attention_run(&a, y, y, y, NULL, training);
    x = t_add(x, self->settings[SCALED] ? t_mul(y, unit_run(&u[SCALE_1], NULL, training)) : y);
    y = activate(unit_run(&u[FC_1], unit_run(&u[NORM_2], x, training), training), GELU);
    y = unit_run(&u[FC_2], y, training);
    return t_add(x, self->settings[SCALED] ? t_mul(y, unit_run(&u[SCALE_2], NULL, training)) : y);
}

static tensor *forward_norm(const node *self, tensor *x, bool training)
{
    return unit_run(&self->units[0], x, training);
}

static imiad_status cut_into_patches(const node *self, int64_t *height, int64_t *width)
{
    int patch = self->settings[PATCH];
    if (*height % patch != 0 || *width % patch != 0)
        return fail(IMIAD_INVALID_ARGUMENT, "height and width must be multiples of %d", patch);
    *height /= patch;
    *width /= patch;
    return IMIAD_OK;
}

static tensor *map_tokens(const node *self, tensor *tokens, int64_t height, int64_t width,
                          bool class_token)
{
    int64_t images = t_size(tokens, 0), extra = self->settings[EXTRA_TOKENS];
    tensor *part =
        class_token ? t_slice(tokens, 1, 0, 1) : t_slice(tokens, 1, extra, t_size(tokens, 1));
    int64_t rows = class_token ? 1 : height, columns = class_token ? 1 : width;
    part = t_view(part, 4, (int64_t[]){images, rows, columns, self->channels});
    return t_permute(part, 4, (int[]){0, 3, 1, 2});
}

/* ---- building ---- */

static node *add_node(node_chain *out, const vit *v, const char *name,
                      tensor *(*forward)(const node *, tensor *, bool))
{
    node *n = chain_add(out, "%s", name);
    n->forward = forward;
    n->map = map_tokens;
    n->channels = v->channels;
    n->settings[HEADS] = v->heads;
    n->settings[PATCH] = v->patch;
    n->settings[EXTRA_TOKENS] = 1 + v->registers;
    n->settings[SCALED] = v->scaled;
    n->settings[RULE] = (int)v->rule;
    return n;
}

static void add_tokens(node_chain *out, const vit *v)
{
    node *n = add_node(out, v, "pos_drop", forward_tokens);
    n->grid = cut_into_patches;
    n->stride = v->patch;
    const unit embed = {.kind = UNIT_CONVOLUTION,
                        .inputs = 3,
                        .outputs = v->channels,
                        .kernel = v->patch,
                        .stride = v->patch};
    unit token = {.kind = UNIT_FREE, .rank = 3, .shape = {1, 1, v->channels}};
    const unit codes = {.kind = UNIT_POSITIONS,
                        .rank = 3,
                        .shape = {1, 1 + (int64_t)v->side * v->side, v->channels}};
    chain_unit(out, &embed, "patch_embed.proj");
    chain_unit(out, &token, "cls_token");
    chain_unit(out, &codes, "pos_embed");
    token.shape[1] = v->registers;
    if (v->registers > 0)
        chain_unit(out, &token, "register_tokens");
}

static unit norm_of(const vit *v)
{
    return (unit){.kind = UNIT_LAYER_NORM, .outputs = v->channels, .epsilon = 1e-6};
}

static void add_block(node_chain *out, const vit *v, int block)
{
    const struct {
        const char *name;
        unit unit;
    } parts[] = {
        {"norm1", norm_of(v)},
        {"attn.qkv", {.kind = UNIT_LINEAR, .inputs = v->channels, .outputs = 3 * v->channels}},
        {"attn.proj", {.kind = UNIT_LINEAR, .inputs = v->channels, .outputs = v->channels}},
        {"norm2", norm_of(v)},
        {"mlp.fc1", {.kind = UNIT_LINEAR, .inputs = v->channels, .outputs = 4 * v->channels}},
        {"mlp.fc2", {.kind = UNIT_LINEAR, .inputs = 4 * v->channels, .outputs = v->channels}},
        {"ls1.gamma", {.kind = UNIT_FREE, .rank = 1, .shape = {v->channels}, .first = 1}},
        {"ls2.gamma", {.kind = UNIT_FREE, .rank = 1, .shape = {v->channels}, .first = 1}},
    };
    char name[64];
    snprintf(name, sizeof name, "blocks.%d", block);
    add_node(out, v, name, forward_block);
    for (int i = 0; i < (v->scaled ? SCALE_2 + 1 : SCALE_1); ++i) {
        snprintf(name, sizeof name, "blocks.%d.%s", block, parts[i].name);
        chain_unit(out, &parts[i].unit, name);
    }
}

static imiad_status vit_build(node_chain *out, const architecture *self)
{
    const vit *v = self->variant;
    add_tokens(out, v);
    for (int block = 0; block < v->depth; ++block)
        add_block(out, v, block);
    add_node(out, v, "norm", forward_norm);
    const unit last = norm_of(v);
    chain_unit(out, &last, "norm");
    return out->status;
}

/* ---- names ---- */

static const name_rule to_torchvision[] = {
    {"cls_token", "class_token", RULE_NAME_ONLY},
    {"pos_embed", "encoder.pos_embedding", RULE_NAME_ONLY},
    {"patch_embed.proj", "conv_proj", RULE_NAME_ONLY},
    {"blocks.#.norm1", "encoder.layers.encoder_layer_#.ln_1", RULE_NAME_ONLY},
    {"blocks.#.attn.qkv.weight", "encoder.layers.encoder_layer_#.self_attention.in_proj_weight",
     RULE_NAME_ONLY},
    {"blocks.#.attn.qkv.bias", "encoder.layers.encoder_layer_#.self_attention.in_proj_bias",
     RULE_NAME_ONLY},
    {"blocks.#.attn.proj", "encoder.layers.encoder_layer_#.self_attention.out_proj",
     RULE_NAME_ONLY},
    {"blocks.#.norm2", "encoder.layers.encoder_layer_#.ln_2", RULE_NAME_ONLY},
    {"blocks.#.mlp.fc1", "encoder.layers.encoder_layer_#.mlp.0", RULE_NAME_ONLY},
    {"blocks.#.mlp.fc2", "encoder.layers.encoder_layer_#.mlp.3", RULE_NAME_ONLY},
    {"norm", "encoder.ln", RULE_NAME_ONLY},
    {NULL, NULL, RULE_NAME_ONLY},
};

/* torchvision's published files, written before it named the layers of its perceptrons by number */
static const name_rule to_torchvision_linear[] = {
    {"cls_token", "class_token", RULE_NAME_ONLY},
    {"pos_embed", "encoder.pos_embedding", RULE_NAME_ONLY},
    {"patch_embed.proj", "conv_proj", RULE_NAME_ONLY},
    {"blocks.#.norm1", "encoder.layers.encoder_layer_#.ln_1", RULE_NAME_ONLY},
    {"blocks.#.attn.qkv.weight", "encoder.layers.encoder_layer_#.self_attention.in_proj_weight",
     RULE_NAME_ONLY},
    {"blocks.#.attn.qkv.bias", "encoder.layers.encoder_layer_#.self_attention.in_proj_bias",
     RULE_NAME_ONLY},
    {"blocks.#.attn.proj", "encoder.layers.encoder_layer_#.self_attention.out_proj",
     RULE_NAME_ONLY},
    {"blocks.#.norm2", "encoder.layers.encoder_layer_#.ln_2", RULE_NAME_ONLY},
    {"blocks.#.mlp.fc1", "encoder.layers.encoder_layer_#.mlp.linear_1", RULE_NAME_ONLY},
    {"blocks.#.mlp.fc2", "encoder.layers.encoder_layer_#.mlp.linear_2", RULE_NAME_ONLY},
    {"norm", "encoder.ln", RULE_NAME_ONLY},
    {NULL, NULL, RULE_NAME_ONLY},
};

/* Google's .npz: linear layers have their inputs first, attention its heads apart. */
#define JAX_BLOCK     "Transformer/encoderblock_#/"
#define JAX_ATTENTION JAX_BLOCK "MultiHeadDotProductAttention_1/"
static const name_rule to_jax[] = {
    {"cls_token", "cls", RULE_NAME_ONLY},
    {"pos_embed", "Transformer/posembed_input/pos_embedding", RULE_NAME_ONLY},
    {"patch_embed.proj.weight", "embedding/kernel", RULE_HWIO},
    {"patch_embed.proj.bias", "embedding/bias", RULE_NAME_ONLY},
    {"blocks.#.norm1.weight", JAX_BLOCK "LayerNorm_0/scale", RULE_NAME_ONLY},
    {"blocks.#.norm1.bias", JAX_BLOCK "LayerNorm_0/bias", RULE_NAME_ONLY},
    {"blocks.#.attn.qkv.weight", JAX_ATTENTION "*/kernel", RULE_TRANSPOSED},
    {"blocks.#.attn.qkv.bias", JAX_ATTENTION "*/bias", RULE_RESHAPED},
    {"blocks.#.attn.proj.weight", JAX_ATTENTION "out/kernel", RULE_TRANSPOSED},
    {"blocks.#.attn.proj.bias", JAX_ATTENTION "out/bias", RULE_NAME_ONLY},
    {"blocks.#.norm2.weight", JAX_BLOCK "LayerNorm_2/scale", RULE_NAME_ONLY},
    {"blocks.#.norm2.bias", JAX_BLOCK "LayerNorm_2/bias", RULE_NAME_ONLY},
    {"blocks.#.mlp.fc1.weight", JAX_BLOCK "MlpBlock_3/Dense_0/kernel", RULE_TRANSPOSED},
    {"blocks.#.mlp.fc1.bias", JAX_BLOCK "MlpBlock_3/Dense_0/bias", RULE_NAME_ONLY},
    {"blocks.#.mlp.fc2.weight", JAX_BLOCK "MlpBlock_3/Dense_1/kernel", RULE_TRANSPOSED},
    {"blocks.#.mlp.fc2.bias", JAX_BLOCK "MlpBlock_3/Dense_1/bias", RULE_NAME_ONLY},
    {"norm.weight", "Transformer/encoder_norm/scale", RULE_NAME_ONLY},
    {"norm.bias", "Transformer/encoder_norm/bias", RULE_NAME_ONLY},
    {NULL, NULL, RULE_NAME_ONLY},
};

static const name_rule timm_registers[] = {
    {"register_tokens", "reg_token", RULE_NAME_ONLY},
    {NULL, NULL, RULE_NAME_ONLY},
};

static void resize_by(node_chain *chain, position_rule rule)
{
    for (size_t i = 0; i < chain->count; ++i)
        chain->nodes[i].settings[RULE] = (int)rule;
}

static void keep_corners(node_chain *chain)
{
    resize_by(chain, POSITIONS_CORNERS);
}

static void keep_corners_linear(node_chain *chain)
{
    resize_by(chain, POSITIONS_LINEAR);
}

static void antialias(node_chain *chain)
{
    resize_by(chain, POSITIONS_ANTIALIASED);
}

static const float half[3] = {0.5f, 0.5f, 0.5f};

static const dialect vit_dialects[] = {
    {.name = "timm", .mean = half, .std = half},
    {.name = "torchvision", .rules = to_torchvision, .adjust = keep_corners},
    {.name = "torchvision before 0.14", .rules = to_torchvision_linear, .adjust = keep_corners},
    {.name = "google", .rules = to_jax, .mean = half, .std = half, .adjust = keep_corners_linear},
    {.name = NULL},
};
static const dialect dino_dialects[] = {
    {.name = "facebookresearch"},
    {.name = "timm", .rules = timm_registers, .adjust = antialias},
    {.name = NULL},
};

/* ---- table ---- */

#define VIT(channels, depth, heads)                                                                \
    vit_build, &(const vit){channels, depth, heads, 16, 0, 14, false, POSITIONS_ANTIALIASED},      \
        vit_dialects
#define DINO(channels, depth, heads, registers, rule)                                              \
    vit_build, &(const vit){channels, depth, heads, 14, registers, 37, true, rule}, dino_dialects

const architecture vit_architectures[] = {
    {"vit_b_16", VIT(768, 12, 12)},
    {"vit_l_16", VIT(1024, 24, 16)},
    {"dinov2_vits14", DINO(384, 12, 6, 0, POSITIONS_OFFSET)},
    {"dinov2_vitb14", DINO(768, 12, 12, 0, POSITIONS_OFFSET)},
    {"dinov2_vitl14", DINO(1024, 24, 16, 0, POSITIONS_OFFSET)},
    {"dinov2_vits14_reg", DINO(384, 12, 6, 4, POSITIONS_ANTIALIASED)},
    {"dinov2_vitb14_reg", DINO(768, 12, 12, 4, POSITIONS_ANTIALIASED)},
    {"dinov2_vitl14_reg", DINO(1024, 24, 16, 4, POSITIONS_ANTIALIASED)},
    {.name = NULL},
};
