/* What the bank's tests share: random rows, and the rule in plain double arithmetic. */
#ifndef TESTS_BANK_DATA_H
#define TESTS_BANK_DATA_H

#include <math.h>
#include <string.h>

#include "bank/bank.h"
#include "base/random.h"
#include "check_suite.h"

enum row_kind { SPREAD, GRID, CLUSTERS, DUPLICATES, CONSTANT, FAR_AWAY, TINY, ROW_KINDS };

/* Rows with the troubles that features have: ties, repetitions, a large common part. */
static inline float *random_rows(enum row_kind kind, size_t rows, size_t columns, uint64_t seed)
{
    float *values = malloc(rows * columns * sizeof *values);
    random_stream s = random_open(seed, "bank tests");
    for (size_t i = 0; i < rows; ++i) {
        if (kind == DUPLICATES && i > 0 && random_below(&s, 2)) {
            memcpy(values + i * columns, values + random_below(&s, i) * columns,
                   columns * sizeof *values);
            continue;
        }
        double cluster = (double)random_below(&s, 7), scale = 1 / (1 + cluster);
        for (size_t j = 0; j < columns; ++j) {
            double x = random_normal(&s) / (1 + (double)j);
            if (kind == GRID)
                x = (double)random_below(&s, 3);
            else if (kind == CLUSTERS)
                x = 10 * cluster * (double)(j % 3) + scale * x;
            else if (kind == CONSTANT)
                x = 1.5;
            else if (kind == FAR_AWAY)
                x = 1000 + 0.01 * x;
            else if (kind == TINY)
                x *= 1e-22;
            values[i * columns + j] = (float)x;
        }
    }
    return values;
}

static inline imiad_bank *bank_of(const float *rows, size_t count, size_t columns)
{
    imiad_bank *bank = NULL;
    ck_ok(imiad_bank_create(&bank, (int64_t)columns, 0));
    ck_ok(imiad_bank_add(bank, rows, (int64_t)count));
    return bank;
}

static inline double distance_between(const float *a, const float *b, size_t columns)
{
    double sum = 0;
    for (size_t j = 0; j < columns; ++j)
        sum += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
    return sqrt(sum);
}

#endif
