/* How much of an outlier each training patch is among the patches of the other images at the same
 * position: Jiang et al., "SoftPatch: Unsupervised Anomaly Detection with Noisy Data", NeurIPS
 * 2022, section 3.2, in the forms of the published code. With n images, at one position:
 *
 *   lof       local outlier factor (Breunig, Kriegel, Ng, Sander, SIGMOD 2000) over k neighbours,
 *             all of the others where there are fewer: with kd(j) the distance of j's k-th one,
 *             lrd(i) = 1 / (mean over i's neighbours j of max(kd(j), |x_i - x_j|) + 1e-10) and the
 *             factor is the mean over j of lrd(j), over lrd(i); about 1 for an inlier
 *   lof_gpu   the same with 1e-6 in place of 1e-10: the code's variant for GPUs
 *   nearest   1 + the distance to the nearest other
 *   gaussian  1 + the Mahalanobis distance to the mean, the sample covariance with 0.01 added to
 *             its diagonal
 *
 * One or two images say nothing about which of them is the outlier: all factors are then 1. Ties
 * among neighbours go to the lower image; a row is never its own neighbour, but may be that of its
 * copies. Results do not depend on the number of threads. */
#ifndef DETECTORS_PARTS_OUTLIER_FACTORS_H
#define DETECTORS_PARTS_OUTLIER_FACTORS_H

#include "base/progress.h"

#define OUTLIER_METHODS "lof|lof_gpu|nearest|gaussian"

/* Patches, image by image, position by position: row image * positions + position. */
typedef struct patch_rows {
    const float *values;
    int64_t images, positions, columns;
} patch_rows;

/* out: a factor for each row. method: one of OUTLIER_METHODS. neighbours: k of lof and lof_gpu. */
imiad_status outlier_factors(float *out, const patch_rows *rows, const char *method,
                             int64_t neighbours, const progress *p);

/* The quantile 1 - share of the factors, linear between the two around it, so that about this share
 * of them lies above. share in [0, 1), count at least 1. */
imiad_status outlier_threshold(double *out, const float *factors, int64_t count, double share);

#endif
