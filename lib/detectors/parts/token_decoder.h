/* Dinomaly's trained network: a perceptron whose dropout is all the noise that there is, then
 * blocks with linear attention, over all tokens of an image; and the loss that holds its layers,
 * averaged in two groups, against those of a frozen transformer. Guo, Lu, Zhang, Chen, Li, Liao:
 * "Dinomaly: The Less Is More Philosophy in Multi-Class Unsupervised Anomaly Detection", CVPR 2025.
 */
#ifndef DETECTORS_PARTS_TOKEN_DECODER_H
#define DETECTORS_PARTS_TOKEN_DECODER_H

#include "nn/modules.h"

enum { TOKEN_DECODER_BLOCKS = 8, TOKEN_GROUPS = 2, TOKEN_HEAD = 64 /* values of a head */ };

typedef struct token_decoder_spec {
    int64_t channels; /* a multiple of TOKEN_HEAD */
    int64_t narrow; /* values that the tokens are first narrowed to: Dinomaly2's; 0: they are not */
    int blocks;     /* even */
    double dropout;
} token_decoder_spec;

typedef struct token_block {
    layer_norm norm1, norm2;
    attention attention; /* linear */
    linear wide, back;
} token_block;

typedef struct token_decoder {
    token_decoder_spec spec;
    linear narrow, wide, back; /* the bottleneck */
    token_block blocks[TOKEN_DECODER_BLOCKS];
} token_decoder;

/* Parameters by the names of the authors' checkpoints, begun as there. In the caller's scope. */
void token_decoder_add(token_decoder *out, const builder *b, const token_decoder_spec *spec);

/* n x tokens x channels to the groups that stand against those of the frozen network: the mean of
 * the second half of the blocks against that of the first layers, and the other way round. */
void token_decoder_run(const token_decoder *d, tensor *x, bool training, tensor *out[TOKEN_GROUPS]);

/* The perceptron alone. */
tensor *token_bottleneck_run(const token_decoder *d, tensor *x, bool training);

/* proj(q' (k'^T v) / (q' sum k')) with q' = elu(q) + 1, k' = elu(k) + 1: n x tokens x channels. */
tensor *linear_attention_run(const attention *a, tensor *x);

/* Dinomaly2's features: the last `count` tokens as seen from the first one, the class token,
 * without their mean and length. */
tensor *token_recenter(tensor *tokens, int64_t count);

/* n x positions: 1 - cosine over the channels, of n x positions x channels. */
tensor *token_cosine_distances(tensor *a, tensor *b);

/* The mean over images of 1 - cosine of all an image's values together. Gradients of `given` are
 * multiplied by `factor` at the points whose own distance is below the smallest of the share
 * 1 - `easy` of the batch's points that lie farthest. */
tensor *token_hard_cosine(tensor *target, tensor *given, double easy, double factor);

#endif
