/* DRA's four heads over the features of a backbone, and what each learns (Ding, Pang, Shen:
 * "Catching Both Gray and Black Swans: Open-set Supervised Anomaly Detection", CVPR 2022). */
#ifndef DETECTORS_PARTS_DRA_HEADS_H
#define DETECTORS_PARTS_DRA_HEADS_H

#include "detectors/parts/deviation.h"
#include "nn/modules.h"

typedef enum dra_head {
    DRA_HOLISTIC,  /* large for normal images */
    DRA_SEEN,      /* large for images like the labelled anomalies */
    DRA_PSEUDO,    /* large for images like the pasted ones */
    DRA_COMPOSITE, /* large for images unlike the references */
    DRA_HEADS
} dra_head;

/* What training is told of an image. */
typedef enum dra_kind { DRA_NORMAL, DRA_LABELLED, DRA_PASTED } dra_kind;

typedef struct dra_heads {
    linear hidden, last;           /* of the holistic head */
    conv2d seen, pseudo, compared; /* what scores patches */
    conv_block residual;           /* of the composite head */
    double top;                    /* share of the patches that counts */
} dra_heads;

/* By the names of the authors' checkpoints. */
dra_heads dra_heads_add(const builder *b, int64_t channels, double top);
/* n scores each, never below 0, of n x channels x h x w features; `normal` is the mean of the
 * references' features, 1 x channels x h x w. */
void dra_heads_run(const dra_heads *m, tensor *features, tensor *normal, bool learning,
                   tensor *out[DRA_HEADS]);

/* The deviation loss of a head's scores of `count` images of these kinds, at most MOST_BATCH; 0
 * where the head learns from none of them. */
tensor *dra_head_loss(dra_head head, tensor *found, const dra_kind *kinds, int64_t count,
                      const deviation_prior *prior, double margin);

#endif
