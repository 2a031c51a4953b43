/* The k best of what is offered. */
#ifndef BANK_NEAREST_H
#define BANK_NEAREST_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether (distance a, row i) stands behind (distance b, row j). */
static inline bool behind(float a, int64_t i, float b, int64_t j)
{
    return a > b || (a == b && i > j);
}

/* The k best so far, a heap with the last of them on top. */
typedef struct nearest {
    float *distances;
    int64_t *rows;
    size_t held, k;
} nearest;

static inline void sink(nearest *n, size_t held)
{
    float distance = n->distances[0];
    int64_t row = n->rows[0];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < held; at = child) {
        if (child + 1 < held && behind(n->distances[child + 1], n->rows[child + 1],
                                       n->distances[child], n->rows[child]))
            ++child;
        if (!behind(n->distances[child], n->rows[child], distance, row))
            break;
        n->distances[at] = n->distances[child];
        n->rows[at] = n->rows[child];
    }
    n->distances[at] = distance;
    n->rows[at] = row;
}

static inline void offer(nearest *n, float distance, int64_t row)
{
    if (n->held == n->k) {
        if (!behind(n->distances[0], n->rows[0], distance, row))
            return;
        n->distances[0] = distance;
        n->rows[0] = row;
        sink(n, n->k);
        return;
    }
    size_t at = n->held++;
    while (at > 0 && behind(distance, row, n->distances[(at - 1) / 2], n->rows[(at - 1) / 2])) {
        n->distances[at] = n->distances[(at - 1) / 2];
        n->rows[at] = n->rows[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    n->distances[at] = distance;
    n->rows[at] = row;
}

/* Heap sort's second half: the last one goes to the end, again and again. */
static inline void put_in_order(nearest *n)
{
    for (size_t last = n->held; last-- > 1;) {
        float distance = n->distances[last];
        int64_t row = n->rows[last];
        n->distances[last] = n->distances[0];
        n->rows[last] = n->rows[0];
        n->distances[0] = distance;
        n->rows[0] = row;
        sink(n, last);
    }
}

/* What an offer must stay below to be taken, if it comes with a higher row than all before. */
static inline float nearest_limit(const nearest *n)
{
    return n->held < n->k ? INFINITY : n->distances[0];
}

#endif
