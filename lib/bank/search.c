/* Exact nearest neighbours: squared distances ascending, ties by lower row. */
#include "bank/bank.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/threads.h"

enum { BLOCK = 512 };

/* Whether (distance a, row i) stands behind (distance b, row j). */
static bool behind(float a, int64_t i, float b, int64_t j)
{
    return a > b || (a == b && i > j);
}

/* The k best so far, a heap with the last of them on top. */
typedef struct nearest {
    float *distances;
    int64_t *rows;
    size_t held, k;
} nearest;

static void sink(nearest *n, size_t held)
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

static void offer(nearest *n, float distance, int64_t row)
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
static void put_in_order(nearest *n)
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

typedef struct search_job {
    const imiad_bank *bank;
    const float *queries;
    size_t k;
    float *distances;
    int64_t *rows;
    const kernels *kernels;
} search_job;

static void search_piece(void *context, size_t begin, size_t end)
{
    search_job *job = context;
    size_t columns = (size_t)job->bank->dimension, rows = (size_t)job->bank->rows;
    float squared[BLOCK];
    for (size_t q = begin; q < end; ++q) {
        nearest n = {job->distances + q * job->k, job->rows + q * job->k, 0, job->k};
        for (size_t i = 0; i < rows; i += BLOCK) {
            size_t count = rows - i < BLOCK ? rows - i : BLOCK;
            job->kernels->squared_distances(squared, job->queries + q * columns,
                                            job->bank->data + i * columns, count, columns);
            for (size_t j = 0; j < count; ++j)
                offer(&n, squared[j], (int64_t)(i + j));
        }
        put_in_order(&n);
    }
}

void search_plain(float *distances, int64_t *indices, const imiad_bank *bank, const float *queries,
                  size_t count, size_t k, const kernels *kernel)
{
    search_job job = {bank, queries, k, distances, indices, kernel};
    parallel_for(count, 8, search_piece, &job);
}

imiad_status imiad_bank_search(float *distances, int64_t *indices, const imiad_bank *bank,
                               const float *queries, int64_t count, int32_t k)
{
    if (!bank || !distances || !queries)
        return fail(IMIAD_INVALID_ARGUMENT, "searching a bank: %s is NULL",
                    !bank        ? "bank"
                    : !distances ? "distances"
                                 : "queries");
    if (count < 0 || count > INT64_MAX / 8 / bank->dimension)
        return fail(IMIAD_OUT_OF_RANGE, "searching a bank: count is %" PRId64, count);
    if (k < 1 || k > bank->rows)
        return fail(IMIAD_OUT_OF_RANGE, "searching a bank of %" PRId64 " rows: k is %" PRId32,
                    bank->rows, k);
    int64_t row, column;
    if (find_not_finite(queries, count, bank->dimension, &row, &column))
        return fail(IMIAD_NOT_FINITE,
                    "searching a bank: query %" PRId64 ", column %" PRId64 " is %f", row, column,
                    (double)queries[row * bank->dimension + column]);
    size_t bytes = (size_t)count * (size_t)k * sizeof(int64_t);
    int64_t *rows = indices ? indices : malloc(bytes ? bytes : 1);
    if (!rows)
        return fail_memory("the neighbours of a search", bytes);
    search_plain(distances, rows, bank, queries, (size_t)count, (size_t)k, kernels_best());
    if (!indices)
        free(rows);
    return IMIAD_OK;
}
