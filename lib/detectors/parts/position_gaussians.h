/* A multivariate normal distribution at every position of a grid, and Mahalanobis distances to it.
 * The covariance at a position is S = X^T X / (n - 1) + epsilon I, X the n centred rows of d
 * values.
 *
 * No inverse and, where n is small, no d x d matrix is ever formed:
 *
 *   many rows   S = L L^T; the distance of v is |L^-1 v|.
 *   few rows    With A = X / sqrt(n - 1) and A A^T + epsilon I = L L^T, n x n, and W = L^-1 A, the
 *               matrix inversion lemma says S^-1 v = (v - W^T W v) / epsilon. Taking v^T S^-1 v
 * from that subtracts two nearly equal numbers; with r = v - W^T W v and y = L^-T W v it is the sum
 * of squares |r|^2 / epsilon + |y|^2, which cannot.
 *
 * The form that needs less memory is taken: few rows while n d + n^2 <= d^2. For n = 1 there is no
 * sample covariance (0 / 0): the scatter is zero, S = epsilon I, and the distance Euclidean over
 * sqrt(epsilon). */
#ifndef DETECTORS_PARTS_POSITION_GAUSSIANS_H
#define DETECTORS_PARTS_POSITION_GAUSSIANS_H

#include "base/progress.h"
#include "bridge/tensor.h"
#include "nn/weights_tensor.h"

/* All tensors are kept, of one type (F32 or F64) and on one device. */
typedef struct position_gaussians {
    double epsilon;
    tensor *mean;       /* positions x 1 x d */
    tensor *root;       /* L: positions x n x n, or positions x d x d */
    tensor *projection; /* W: positions x n x d; NULL where there are many rows */
} position_gaussians;

/* Bytes that a fit takes at its peak, `rows` included; type_bytes of one value. */
uint64_t gaussians_bytes(int64_t positions, int64_t n, int64_t d, size_t type_bytes);

/* Takes over `rows`, positions x n x d, kept: they become the projection or are freed. Sums and
 * factors are made in double, a block of positions at a time. out->epsilon is given. */
imiad_status gaussians_fit(position_gaussians *out, tensor *rows, const progress *p);
void gaussians_free(position_gaussians *g);

/* x: positions x batch x d, of any type. Returns batch x positions, of the Gaussians' type. */
tensor *gaussians_distances(const position_gaussians *g, tensor *x);

/* On the CPU in float32, in C: what gaussians_fit does for positions begin..end-1, a failure
 * sticking to the scope, and distances. `few` chooses the form. */
void gaussians_fit_host(position_gaussians *g, tensor *rows, bool few, int64_t begin, int64_t end);
tensor *gaussians_distances_host(const position_gaussians *g, tensor *x);

/* What is to be measured, given a position at a time, so that it need not all be in memory. */
typedef struct position_vectors {
    int64_t batch;
    /* writes batch x d; called from any thread */
    void (*read)(float *out, const void *context, int64_t position);
    const void *context;
} position_vectors;
bool gaussians_on_host(const position_gaussians *g); /* CPU, float32 */
tensor *gaussians_distances_from(const position_gaussians *g, const position_vectors *source);

/* ---- position_gaussians_file.c ---- */

/* Into a detector's file, with the grid of its positions. Works in the caller's scope. */
imiad_status gaussians_save(const position_gaussians *g, const int64_t grid[2],
                            weights_writer *writer);

typedef struct gaussians_shape {
    int64_t dimension;
    dtype type;
    device device;
} gaussians_shape;
/* Back from it, and the grid. IMIAD_FORMAT for other shapes than the detector's. */
imiad_status gaussians_load(position_gaussians *g, int64_t grid[2], const gaussians_shape *shape,
                            const weights *file);

#endif
