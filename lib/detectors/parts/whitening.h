/* Rows in the space of their principal components, each component scaled so that squared distances
 * are Mahalanobis distances of a shrunken covariance. */
#ifndef DETECTORS_PARTS_WHITENING_H
#define DETECTORS_PARTS_WHITENING_H

#include "detectors/parts/subspace.h"

typedef struct whitening {
    tensor *mean;   /* columns, float32, kept, as the other */
    tensor *matrix; /* columns x kept */
} whitening;

/* The fewest components that hold that share of the variance. A component of variance e is divided
 * by the root of (1 - shrinkage) e + shrinkage times the mean of the kept ones' variances. */
imiad_status whitening_find(whitening *out, const moments *m, double share, double shrinkage);
void whitening_free(whitening *w);

int64_t whitening_columns(const whitening *w); /* that are kept */
/* rows: n x columns, float32, on the host; n x kept on the host, in the current scope. */
tensor *whitening_apply(const whitening *w, const float *rows, int64_t count);

#endif
