/* Normalising flows: invertible networks that know the logarithm of their Jacobian's determinant,
 * so that the density of what goes in follows from a Gaussian's of what comes out. The block is
 * FrEIA's AllInOneBlock (Ardizzone et al., github.com/vislearn/FrEIA), with its parameters' names:
 *
 *     x = (x1, x2)                      the first channels - channels / 2, and the rest
 *     a = 0.1 subnet(x1, condition)     two layers with a ReLU between; a = (s, t)
 *     y = (x1, x2 exp(j) + t)           j = clamp tanh(s)
 *     z = R (g y + o)                   g = 0.1 softplus(scale), o: numbers a channel; R fixed
 *     log |dz / dx| = sum of j + positions * sum of log g
 *
 * over maps (n x channels x height x width, convolutions) or over rows (n x channels, linear
 * layers). R is a permutation of the channels or a rotation. Functions over tensors work in the
 * caller's scope; failures stick. */
#ifndef NN_FLOWS_H
#define NN_FLOWS_H

#include "nn/params.h"

typedef enum flow_clamp {
    FLOW_TANH = 1,   /* c tanh(s): FrEIA up to its release 0.2 */
    FLOW_SCALED_TANH /* c tanh(s / c): FrEIA since August 2023 */
} flow_clamp;

typedef enum flow_mixing {
    FLOW_PERMUTATION = 1, /* z[c] = (g y + o)[permutation[c]] */
    FLOW_ROTATION         /* a random matrix of determinant 1, as SciPy's special_ortho_group */
} flow_mixing;

/* What a block is, in data. */
typedef struct flow_shape {
    int64_t channels, condition; /* of the condition: 0 without one */
    int64_t hidden;              /* between the two layers */
    int kernel;                  /* of both convolutions, odd; 0: linear layers over rows */
    double clamp;
    flow_clamp form;
    flow_mixing mixing;
} flow_shape;

typedef struct flow_block {
    flow_shape shape;
    tensor *weight[2], *bias[2], *scale, *offset; /* the learned store's */
    tensor *mixing; /* the fixed store's: I64 [channels], or [channels, channels] */
} flow_block;

/* Where parameters go. They begin as PyTorch begins layers, g at 1 and o at 0, from the streams
 * PURPOSE/NAME; PURPOSE NULL leaves zeros, for a file to fill in. */
typedef struct flow_maker {
    params *learned, *fixed;
    uint64_t seed;
    const char *purpose;
    device device;
} flow_maker;

/* Adds NAME.global_scale, NAME.global_offset, NAME.subnet.0.weight, ... to the learned store and
 * NAME.w_perm to the fixed one; both must outlive the block. */
void flow_block_add(flow_block *out, const flow_maker *maker, const char *name,
                    const flow_shape *shape);

/* z; *log_determinant: of each of the n. `condition` is NULL where the shape has none. */
tensor *flow_block_forward(const flow_block *b, tensor *x, tensor *condition,
                           tensor **log_determinant);
/* x again. */
tensor *flow_block_inverse(const flow_block *b, tensor *z, tensor *condition);

/* ---- many blocks, one after the other ---- */

tensor *flow_forward(const flow_block *blocks, int count, tensor *x, tensor *condition,
                     tensor **log_determinant);
tensor *flow_inverse(const flow_block *blocks, int count, tensor *z, tensor *condition);
/* What flow_forward gives, over maps and permutations without a condition, but for the order of
 * channels, which the last permutation is about: for sums over them. Channels move once a block.
 * Without a log_determinant nobody learns from it: fewer passes give the same bytes. */
tensor *flow_forward_unordered(const flow_block *blocks, int count, tensor *x,
                               tensor **log_determinant);

/* ---- blocks over rows that learn no more ---- */

/* What the first layer makes of a position's condition is known beforehand, and g, o and R are one
 * linear map. Kept tensors. */
typedef struct flow_folded {
    flow_shape shape;
    tensor *first, *positional; /* of x1; of the condition, with its bias: positions x hidden */
    tensor *second, *second_bias, *mixing, *mixing_bias;
    double log_scale; /* the sum of log g */
} flow_folded;

/* The condition of a grid's places, row after row, NULL where the shape has none: the numbers of
 * `across`, columns x some, which depend on the column alone, then those of `down`, rows x the
 * others. Opens a scope of its own. */
imiad_status flow_fold(flow_folded *out, const flow_block *b, tensor *across, tensor *down);
void flow_folded_free(flow_folded *f);
/* As flow_forward: x is n x positions x channels, *log_determinant n x positions. */
tensor *flow_folded_forward(const flow_folded *blocks, int count, tensor *x,
                            tensor **log_determinant);

/* A permutation of a FrEIA checkpoint, under NAME.w_perm: a matrix of zeros and ones (up to release
 * 0.2: row i has its 1 at column permutation[i]) or the permutation itself (since). IMIAD_FORMAT
 * where it is neither. Opens a scope of its own. */
imiad_status flow_load_permutation(const flow_block *b, const weights *file, const char *name);

#endif
