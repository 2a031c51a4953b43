/* An optimiser's step over floats in the host's memory, in one pass; optimizer.c takes the same
 * steps by libtorch's operations for every other type and device, in a pass for each. */
#ifndef NN_OPTIMIZER_HOST_H
#define NN_OPTIMIZER_HOST_H

#include <stddef.h>

#include "nn/optimizer.h"

/* A parameter's numbers. The state is that of its kind, NULL where the kind has none: SGD's
 * momentum; the Adams' mean, square and, for amsgrad, largest square. */
typedef struct host_numbers {
    float *value, *state[3];
    const float *gradient;
    size_t count;
} host_numbers;

void optimizer_host_sgd(const optimizer_options *options, const host_numbers *numbers, double rate);
/* Steps are counted from 1. */
void optimizer_host_adam(const optimizer_options *options, const host_numbers *numbers, double rate,
                         int64_t step);

#endif
