#include "detectors/parts/prn_network.h"

#include <stdio.h>

#include "detectors/parts/focal.h"
#include "detectors/parts/prototypes.h"

/* ---- making ---- */

static conv2d_spec spec_of(int64_t inputs, int64_t outputs)
{
    return (conv2d_spec){
        .inputs = inputs, .outputs = outputs, .kernel = 3, .padding = 1, .bias = true};
}

/* Convolution, batch norm, ReLU; names are places in a Sequential. */
static conv_block add_conv(const builder *parent, const char *name, int place, int64_t inputs,
                           int64_t outputs)
{
    const builder b = builder_below(parent, "%s", name);
    char conv[16], norm[16];
    snprintf(conv, sizeof conv, "%d", place);
    snprintf(norm, sizeof norm, "%d", place + 1);
    return conv_block_add(&b, conv, norm, spec_of(inputs, outputs), RELU);
}

static void add_decoder(prn_network *n, const builder *b, const int64_t *channels)
{
    static const char *const ups[] = {"up4_to_3", "up3_to_2", "up2_to_1", "up1_to_0"};
    static const char *const merges[] = {"conv_block3", "conv_block2", "conv_block1"};
    for (int k = 0, i = PRN_LEVELS - 1; k < PRN_LEVELS; ++k, --i) {
        n->up[k] = add_conv(b, ups[k], 1, channels[i + 1], channels[i]);
        n->merge[k][0] = add_conv(b, merges[k], 0, 3 * channels[i], channels[i]);
        n->merge[k][1] = add_conv(b, merges[k], 3, channels[i], channels[i]);
    }
    n->up[PRN_LEVELS] = add_conv(b, ups[PRN_LEVELS], 1, channels[0], channels[0]);
    n->out = conv2d_add(b, "conv_out", spec_of(channels[0], 1));
}

prn_network prn_network_add(const builder *b, const prn_shape *shape)
{
    const int64_t *c = shape->channels;
    const int64_t doubled[PRN_LEVELS] = {2 * c[0], 2 * c[1], 2 * c[2]};
    prn_network n = {.shape = *shape};
    n.before = scale_fusion_add(b, "ms_fuser1", c);
    n.after = scale_fusion_add(b, "ms_fuser2", doubled);
    for (int i = 0; i < PRN_LEVELS; ++i)
        for (int k = 0; k < shape->blocks; ++k) {
            char name[48];
            snprintf(name, sizeof name, "attn_module.layer%d_msa.%d", i + 1, k);
            n.attention[i][k] = size_attention_add(b, name, doubled[i], shape->heights[i],
                                                   shape->widths[i], shape->sizes);
        }
    add_decoder(&n, b, c);
    return n;
}

/* ---- running ---- */

static tensor *enlarge(const conv_block *c, tensor *x, int64_t height, int64_t width, bool training)
{
    return conv_block_run(c, t_interpolate(x, height, width, BILINEAR, true), training);
}

tensor *prn_network_decode(const prn_network *n, tensor *const levels[PRN_LEVELS], tensor *smallest,
                           bool training)
{
    int64_t side = n->shape.side;
    tensor *x = smallest;
    for (int k = 0; k < PRN_LEVELS; ++k) {
        tensor *level = levels[PRN_LEVELS - 1 - k];
        x = enlarge(&n->up[k], x, t_size(level, 2), t_size(level, 3), training);
        x = t_cat((tensor *[]){level, x}, 2, 1);
        x = conv_block_run(&n->merge[k][0], x, training);
        x = conv_block_run(&n->merge[k][1], x, training);
    }
    return conv2d_run(&n->out, enlarge(&n->up[PRN_LEVELS], x, side, side, training));
}

tensor *prn_network_run(const prn_network *n, tensor *const features[PRN_MAPS],
                        tensor *const prototypes[PRN_LEVELS], bool training)
{
    tensor *residuals[PRN_LEVELS], *seen[PRN_LEVELS], *apart[PRN_LEVELS], *levels[PRN_LEVELS];
    for (int i = 0; i < PRN_LEVELS; ++i)
        residuals[i] = prototype_residuals(prototypes[i], features[i]);
    scale_fusion_run(&n->before, features, seen);
    scale_fusion_run(&n->before, residuals, apart);
    for (int i = 0; i < PRN_LEVELS; ++i) {
        levels[i] = t_cat((tensor *[]){seen[i], apart[i]}, 2, 1);
        for (int k = 0; k < n->shape.blocks; ++k)
            levels[i] = size_attention_run(&n->attention[i][k], levels[i], training);
    }
    scale_fusion_run(&n->after, levels, seen);
    return prn_network_decode(n, seen, features[PRN_LEVELS], training);
}

/* ---- loss ---- */

tensor *prn_loss(tensor *logits, tensor *masks, double focal)
{
    tensor *probability = t_sigmoid(logits);
    tensor *whole = t_add_scalar(t_neg(probability), 1);
    tensor *right = probability_of_truth(t_cat((tensor *[]){whole, probability}, 2, 1), masks);
    tensor *wrong = t_square(t_square(t_add_scalar(t_neg(right), 1)));
    tensor *hard = t_mul_scalar(t_mean_all(t_mul(wrong, t_log(right))), -0.5);
    return t_add(t_smooth_l1_loss(probability, masks, 1), t_mul_scalar(hard, focal));
}
