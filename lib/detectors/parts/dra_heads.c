#include "detectors/parts/dra_heads.h"

#include "detectors/algorithm.h"

enum { HIDDEN = 256 };

dra_heads dra_heads_add(const builder *b, int64_t channels, double top)
{
    const conv2d_spec patches = {.inputs = channels, .outputs = 1, .kernel = 1, .bias = true};
    const conv2d_spec around = {
        .inputs = channels, .outputs = channels, .kernel = 3, .padding = 1, .bias = true};
    const builder composite = builder_below(b, "composite_head.conv");
    return (dra_heads){.hidden = linear_add(b, "holistic_head.fc1", channels, HIDDEN, true),
                       .last = linear_add(b, "holistic_head.fc2", HIDDEN, 1, true),
                       .seen = conv2d_add(b, "seen_head.scoring", patches),
                       .pseudo = conv2d_add(b, "pseudo_head.scoring", patches),
                       .compared = conv2d_add(b, "composite_head.scoring", patches),
                       .residual = conv_block_add(&composite, "0", "1", around, RELU),
                       .top = top};
}

void dra_heads_run(const dra_heads *m, tensor *features, tensor *normal, bool learning,
                   tensor *out[DRA_HEADS])
{
    tensor *mean = t_mean(t_flatten(features, 2, 3), 2, false);
    tensor *holistic = linear_run(&m->last, t_relu(linear_run(&m->hidden, mean)));
    tensor *residual = conv_block_run(&m->residual, t_sub(normal, features), learning);
    out[DRA_HOLISTIC] = t_abs(t_squeeze(holistic, 1));
    out[DRA_SEEN] = deviation_top_mean(conv2d_run(&m->seen, features), m->top);
    out[DRA_PSEUDO] = deviation_top_mean(conv2d_run(&m->pseudo, features), m->top);
    out[DRA_COMPOSITE] = deviation_top_mean(conv2d_run(&m->compared, residual), m->top);
}

/* Whether a head learns from such an image, and what it is to be: 1 far from the prior, 0 near. */
static bool learns_from(dra_head head, dra_kind kind, double *target)
{
    *target = head == DRA_HOLISTIC ? kind == DRA_NORMAL : kind != DRA_NORMAL;
    return !(head == DRA_SEEN && kind == DRA_PASTED) &&
           !(head == DRA_PSEUDO && kind == DRA_LABELLED);
}

tensor *dra_head_loss(dra_head head, tensor *found, const dra_kind *kinds, int64_t count,
                      const deviation_prior *prior, double margin)
{
    int64_t chosen[MOST_BATCH], used = 0;
    double targets[MOST_BATCH];
    for (int64_t i = 0; i < count; ++i)
        if (learns_from(head, kinds[i], &targets[used]))
            chosen[used++] = i;
    device d = t_device(found);
    tensor *index = t_to_device(t_from(chosen, 1, &used, I64, CPU), d);
    tensor *wanted = t_to_device(t_to(t_from(targets, 1, &used, F64, CPU), t_type(found)), d);
    return deviation_loss(t_index_select(found, 0, index), wanted, prior, margin);
}
