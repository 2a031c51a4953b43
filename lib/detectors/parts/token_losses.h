/* Losses over tokens that are good (0), anomalous (1) or neither (-1), and ResMixMatch, which
 * learns from the latter: Li, Wu, Chen, Wang, Shen: arXiv 2306.03492; MixMatch: Berthelot et al.,
 * NeurIPS 2019. */
#ifndef DETECTORS_PARTS_TOKEN_LOSSES_H
#define DETECTORS_PARTS_TOKEN_LOSSES_H

#include "base/random.h"
#include "bridge/tensor.h"

enum {
    TOKEN_UNLABELLED = -1,
    TOKEN_LABELLED = 2, /* stands for 0 and 1 */
    TOKEN_DROPPED = 3   /* not looked at */
};

/* The mean focal loss of the rows with the label `of`: logits and targets rows x 2; alpha weighs
 * tokens whose target is rather anomalous, 1 - alpha the others. NULL where there is no such row.
 */
tensor *token_focal(tensor *logits, tensor *targets, const int8_t *labels, int of, double alpha,
                    double gamma);

/* rows x 2: 1 in the label's column; both 0 where there is none. */
tensor *token_targets(const int8_t *labels, int64_t rows, device d);

/* What a network makes of `copies` drawn forms of each window, n copies x places x 2 logits, copies
 * of one side by side: their mean probabilities to the power of 1 / temperature, as shares, for
 * every copy: rows x 2. */
tensor *token_guess(tensor *logits, int64_t copies, double temperature);

typedef struct token_mixing {
    const int64_t *partners; /* a permutation of the rows */
    double share;            /* of a row in its mixture: at least 0.5 */
    double mixed;            /* share of the labelled rows that stay mixed */
    bool reference; /* un-mixes the partners of labelled rows, as the public code does, not those
                       rows themselves */
} token_mixing;

/* Mixes rows of residuals and of targets with their partners, then takes back what is labelled but
 * for a share, the first in the order of the partners. In place of both. */
void token_mix(tensor **x, tensor **targets, const int8_t *labels, const token_mixing *how);
/* A drawn permutation: new memory; NULL after a failure, which sticks. */
int64_t *token_partners(int64_t rows, random_stream *stream);
/* max(b, 1 - b) of a number b with the distribution Beta(a, a). */
double token_mixing_share(random_stream *stream, double a);

/* Blanks a share of each window's tokens, rounded up, and labels them TOKEN_DROPPED: windows x
 * places x width. */
tensor *token_blank(tensor *tokens, int8_t *labels, double share, random_stream *stream);

#endif
