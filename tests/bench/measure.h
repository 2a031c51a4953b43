/* What the benchmarks share: they end at a failure, count processor time, take medians. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "imiad/common.h"

static inline void check(imiad_status status)
{
    if (status == IMIAD_OK)
        return;
    fprintf(stderr, "%s: %s\n", imiad_status_name(status), imiad_last_error());
    exit(EXIT_FAILURE);
}

/* Of the processor, all threads: what can be compared where others share the machine. */
static inline double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int compare_seconds(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle one; sorts them. */
static inline double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_seconds);
    return values[count / 2];
}

#endif
