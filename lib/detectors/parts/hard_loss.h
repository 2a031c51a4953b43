/* The loss of the hardest elements: EfficientAD's student learns from the largest errors alone.
 * Batzner, Heckler, König: WACV 2024, section 3.2. */
#ifndef DETECTORS_PARTS_HARD_LOSS_H
#define DETECTORS_PARTS_HARD_LOSS_H

#include "bridge/tensor.h"

/* The quantile of all elements, linear between two of them: torch.quantile's number for as many
 * elements as there are, found by selecting and not by sorting. NaN after a failure. */
double quantile_select(tensor *values, double q);
/* The mean of those squared differences that are at least their quantile q; a scalar tensor whose
 * gradient touches these alone. */
tensor *hard_loss(tensor *target, tensor *found, double q);

#endif
