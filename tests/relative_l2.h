/* |a - b| / |b|, all numbers of both taken together. */
#ifndef TESTS_RELATIVE_L2_H
#define TESTS_RELATIVE_L2_H

#include <math.h>
#include <stddef.h>

static inline double relative_l2(const float *a, const float *b, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; ++i) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / norm);
}

#endif
