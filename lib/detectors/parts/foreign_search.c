#include "detectors/parts/foreign_search.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { SPARE = 5, WIDEN = 4 };

int64_t foreign_rows(const imiad_bank *bank, int64_t source)
{
    const int64_t *sources = imiad_bank_sources(bank);
    int64_t rows = imiad_bank_rows(bank), foreign = rows;
    for (int64_t i = 0; sources && source != IMIAD_NO_SOURCE && i < rows; ++i)
        foreign -= sources[i] == source;
    return foreign;
}

/* Queries that still look for their rows, and what a search found for them. */
typedef struct hunt {
    const imiad_bank *bank;
    const int64_t *sources;
    int64_t source;
    int32_t k;
    int64_t *pending, left; /* which queries */
    float *queries, *distances;
    int64_t *found;
} hunt;

static imiad_status look(hunt *h, device d, int32_t wide)
{
    char name[16];
    return d.cuda ? imiad_bank_search_on(h->distances, h->found, h->bank, device_name(d, name),
                                         h->queries, h->left, wide)
                  : imiad_bank_search(h->distances, h->found, h->bank, h->queries, h->left, wide);
}

/* The first k foreign ones of `wide` found rows; false where there are fewer. */
static bool take_foreign(int64_t *rows, const hunt *h, const int64_t *found, int32_t wide)
{
    int32_t taken = 0;
    for (int32_t i = 0; i < wide && taken < h->k; ++i)
        if (!h->sources || h->source == IMIAD_NO_SOURCE || h->sources[found[i]] != h->source)
            rows[taken++] = found[i];
    return taken == h->k;
}

/* Keeps the queries that found too few. */
static void sift(int64_t *rows, hunt *h, int32_t wide, int64_t dimension)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < h->left; ++i) {
        int64_t query = h->pending[i];
        if (take_foreign(rows + query * h->k, h, h->found + i * wide, wide))
            continue;
        h->pending[kept] = query;
        memmove(h->queries + kept * dimension, h->queries + i * dimension,
                (size_t)dimension * sizeof *h->queries);
        kept++;
    }
    h->left = kept;
}

/* Room for what a search of so many rows for each query finds. */
static imiad_status make_room(hunt *h, int32_t wide)
{
    size_t places = (size_t)h->left * (size_t)wide;
    free(h->distances);
    free(h->found);
    h->distances = malloc(places * sizeof *h->distances);
    h->found = malloc(places * sizeof *h->found);
    return h->distances && h->found
               ? IMIAD_OK
               : fail_memory("neighbours", places * (sizeof *h->distances + sizeof *h->found));
}

static imiad_status run(int64_t *rows, hunt *h, device d)
{
    int64_t most = imiad_bank_rows(h->bank), dimension = imiad_bank_dimension(h->bank);
    int64_t wide = h->source == IMIAD_NO_SOURCE ? h->k : h->k + SPARE;
    for (; h->left > 0; wide *= WIDEN) {
        wide = wide < most ? wide : most;
        TRY(make_room(h, (int32_t)wide));
        TRY(look(h, d, (int32_t)wide));
        sift(rows, h, (int32_t)wide, dimension);
    }
    return IMIAD_OK;
}

imiad_status foreign_search(int64_t *rows, const imiad_bank *bank, device d, const float *queries,
                            int64_t count, int32_t k, int64_t source)
{
    int64_t foreign = foreign_rows(bank, source);
    if (k < 1 || k > foreign)
        return fail(IMIAD_OUT_OF_RANGE, "searching %d rows of %lld from other images", k,
                    (long long)foreign);
    size_t bytes = (size_t)(count * imiad_bank_dimension(bank)) * sizeof *queries;
    hunt h = {.bank = bank, .sources = imiad_bank_sources(bank), .source = source, .k = k};
    h.left = count;
    h.pending = malloc(((size_t)count + 1) * sizeof *h.pending);
    h.queries = malloc(bytes + 1);
    imiad_status status =
        h.pending && h.queries ? IMIAD_OK : fail_memory("patches to search for", bytes);
    if (status == IMIAD_OK) {
        memcpy(h.queries, queries, bytes);
        for (int64_t i = 0; i < count; ++i)
            h.pending[i] = i;
        status = run(rows, &h, d);
    }
    free(h.pending);
    free(h.queries);
    free(h.distances);
    free(h.found);
    return status;
}
