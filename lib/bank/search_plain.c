/* Nearest neighbours by every distance of every row. */
#include "bank/search.h"
#include "bank/nearest.h"
#include "base/threads.h"

enum { BLOCK = 64 /* rows that stay in the cache */, PIECE = 16 /* queries */ };

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
    const point_set rows = bank_points(job->bank);
    nearest found[PIECE];
    for (size_t q = begin; q < end; ++q)
        found[q - begin] =
            (nearest){job->distances + q * job->k, job->rows + q * job->k, 0, job->k};
    for (size_t block = 0; block < rows.count; block += BLOCK) {
        size_t after = rows.count - block < BLOCK ? rows.count : block + BLOCK;
        for (size_t q = begin; q < end; ++q)
            for (size_t i = block; i < after; ++i)
                offer(&found[q - begin],
                      job->kernels->distance_to[rows.storage](job->queries + q * rows.columns,
                                                              point_row(&rows, i), rows.columns),
                      (int64_t)i);
    }
    for (size_t q = begin; q < end; ++q)
        put_in_order(&found[q - begin]);
}

void search_plain(float *distances, int64_t *indices, const imiad_bank *bank, const float *queries,
                  size_t count, size_t k, const kernels *kernel)
{
    search_job job = {bank, queries, k, distances, indices, kernel};
    parallel_for(count, PIECE, search_piece, &job);
}
