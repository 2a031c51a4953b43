/* A Gaussian of few rows of many values: its covariance is drawn towards a multiple of the identity
 * as far as Ledoit and Wolf's estimate says ("A well-conditioned estimator for large-dimensional
 * covariance matrices", Journal of Multivariate Analysis 88, 2004), as scikit-learn's LedoitWolf.
 */
#ifndef DETECTORS_PARTS_SHRUNK_GAUSSIAN_H
#define DETECTORS_PARTS_SHRUNK_GAUSSIAN_H

#include "bridge/tensor.h"

typedef struct shrunk_gaussian {
    tensor *mean;      /* values */
    tensor *precision; /* values x values: the pseudo-inverse of the covariance */
} shrunk_gaussian;

/* Of rows x values, worked out in double on the CPU; float32 tensors of the current scope on the
 * rows' device. One row, or equal ones, have no covariance: the precision is 0. *shrinkage, where
 * asked for (not NULL), is how far the covariance was drawn, 0..1. */
shrunk_gaussian shrunk_gaussian_fit(tensor *rows, double *shrinkage);
/* The same by its parts: the covariance, values x values, and *mean, both in double on the CPU. */
tensor *shrunk_covariance(tensor *rows, tensor **mean, double *shrinkage);
/* A Gaussian of this mean and covariance, float32 on the device. */
shrunk_gaussian shrunk_gaussian_of(tensor *mean, tensor *covariance, device d);

/* The Mahalanobis distance of each row. */
tensor *shrunk_gaussian_distance(const shrunk_gaussian *g, tensor *rows);
/* Its gradient: rows x values; 0 where the distance is 0. */
tensor *shrunk_gaussian_gradient(const shrunk_gaussian *g, tensor *rows);

#endif
