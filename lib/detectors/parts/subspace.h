/* Rows that lie near a linear subspace: their mean and scatter, gathered in one pass, and the
 * principal components of these. */
#ifndef DETECTORS_PARTS_SUBSPACE_H
#define DETECTORS_PARTS_SUBSPACE_H

#include "bridge/tensor.h"
#include "nn/weights_tensor.h"

/* Of all rows so far, in double. Takes the same memory however many they are. */
typedef struct moments {
    int64_t count;
    tensor *mean;    /* columns, kept; NULL before the first rows */
    tensor *scatter; /* columns x columns, kept: the sum of (x - mean)(x - mean)'; its lower
                        triangle counts */
} moments;

/* rows: n x columns, float32, in the current scope; failures stick. */
void moments_add(moments *m, tensor *rows);
/* As if the rows of the other had been added too; failures stick. */
void moments_merge(moments *m, const moments *other);
void moments_free(moments *m);
/* "moments.count", "moments.mean" and "moments.scatter"; memory is borrowed until commit. */
imiad_status moments_save(const moments *m, weights_writer *writer);
imiad_status moments_load(moments *out, int64_t columns, const weights *file, device d);

/* The variances along the principal components, falling, and these as columns: float64, on the CPU,
 * in the current scope. */
tensor *moments_components(const moments *m, tensor **directions);
/* How many of the falling variances it takes for that share of their sum. */
int64_t components_for_share(const double *variances, int64_t columns, double share);

typedef struct subspace {
    tensor *mean;       /* columns, float32, kept, as the others are */
    tensor *components; /* columns x count, by falling variance */
    tensor *variances;  /* count */
    tensor *complement; /* columns x the others, where these are fewer; NULL otherwise */
} subspace;

/* The first `wanted` components, or with 0 as many as hold that share of the variance: the fewest
 * whose shares sum up to it. Where rows are all the same, one of zeros. IMIAD_OUT_OF_RANGE where
 * all directions are kept, so that nothing is outside. */
imiad_status subspace_find(subspace *out, const moments *m, double share, int64_t wanted);
void subspace_free(subspace *s);

/* rows: n x columns, float32; each gives n values. Without the first `drop` components, as if they
 * had not been found; all in the current scope. */

/* The squared distance to the subspace. */
tensor *subspace_residual(const subspace *s, tensor *rows, int64_t drop);
/* The same by the components, whatever is fewer. */
tensor *subspace_residual_explicit(const subspace *s, tensor *rows, int64_t drop);
/* The squared distance from the mean within it. */
tensor *subspace_energy(const subspace *s, tensor *rows, int64_t drop);
/* The same, each component's share over its variance and 1e-6. */
tensor *subspace_mahalanobis(const subspace *s, tensor *rows, int64_t drop);
/* One less the cosine between the row and its nearest point in the subspace. */
tensor *subspace_cosine(const subspace *s, tensor *rows, int64_t drop);

#endif
