/* Searches of a bank as callers ask for them. */
#include <inttypes.h>
#include <stdlib.h>

#include "bank/index.h"
#include "bank/search.h"
#include "base/error.h"

enum {
    FEWEST = 16, /* queries that are worth building an index */
    QUERIES_PER_REPORT = 2048,
};

/* The bank's index, made where there are enough queries; NULL for a plain search. Any number of
 * threads may ask. */
static const bank_index *find_index(const imiad_bank *bank, size_t queries, const kernels *k)
{
    index_slot *slot = bank->index;
    pthread_mutex_lock(&slot->lock);
    if (!slot->tried && queries >= FEWEST) {
        slot->tried = true;
        if (index_create(&slot->index, bank, k) != IMIAD_OK)
            log_message(IMIAD_LOG_WARNING, "searching without an index, which is slower: %s",
                        imiad_last_error());
    }
    const bank_index *index = slot->index;
    pthread_mutex_unlock(&slot->lock);
    return index;
}

typedef struct request {
    float *distances;
    int64_t *rows; /* count x k each */
    const float *queries;
    size_t count, k;
} request;

static imiad_status search_part(const imiad_bank *bank, const bank_index *index, const request *r,
                                size_t begin, size_t count, const kernels *kernel)
{
    float *distances = r->distances + begin * r->k;
    int64_t *rows = r->rows + begin * r->k;
    const float *queries = r->queries + begin * (size_t)bank->dimension;
    if (index)
        return search_indexed(distances, rows, bank, index, queries, count, r->k, kernel);
    search_plain(distances, rows, bank, queries, count, r->k, kernel);
    return IMIAD_OK;
}

static imiad_status search(const imiad_bank *bank, const request *r, const progress *p)
{
    const kernels *kernel = kernels_best();
    const bank_index *index = find_index(bank, r->count, kernel);
    size_t step = p->function ? QUERIES_PER_REPORT : r->count;
    for (size_t at = 0; at < r->count; at += step) {
        size_t count = r->count - at < step ? r->count - at : step;
        TRY(search_part(bank, index, r, at, count, kernel));
        TRY(progress_report(p, "search", (int64_t)(at + count), (int64_t)r->count));
    }
    return IMIAD_OK;
}

imiad_status search_check(const void *distances, const imiad_bank *bank, const float *queries,
                          int64_t count, int32_t k)
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
    TRY(bank_check_file(bank));
    int64_t row, column;
    if (find_not_finite(queries, count, bank->dimension, &row, &column))
        return fail(IMIAD_NOT_FINITE,
                    "searching a bank: query %" PRId64 ", column %" PRId64 " is %f", row, column,
                    (double)queries[row * bank->dimension + column]);
    return IMIAD_OK;
}

imiad_status imiad_bank_search_reporting(float *distances, int64_t *indices, const imiad_bank *bank,
                                         const float *queries, int64_t count, int32_t k,
                                         imiad_progress_function function, void *user)
{
    TRY(search_check(distances, bank, queries, count, k));
    size_t bytes = (size_t)count * (size_t)k * sizeof(int64_t);
    int64_t *rows = indices ? indices : malloc(bytes ? bytes : 1);
    if (!rows)
        return fail_memory("the neighbours of a search", bytes);
    progress p = {function, user};
    request r = {distances, rows, queries, (size_t)count, (size_t)k};
    imiad_status status = search(bank, &r, &p);
    if (!indices)
        free(rows);
    return status;
}

imiad_status imiad_bank_search(float *distances, int64_t *indices, const imiad_bank *bank,
                               const float *queries, int64_t count, int32_t k)
{
    return imiad_bank_search_reporting(distances, indices, bank, queries, count, k, NULL, NULL);
}
