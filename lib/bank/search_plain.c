/* Nearest neighbours by every distance of every row. */
#include "bank/bank.h"
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
    size_t columns = (size_t)job->bank->dimension, rows = (size_t)job->bank->rows;
    float squared[BLOCK];
    nearest found[PIECE];
    for (size_t q = begin; q < end; ++q)
        found[q - begin] =
            (nearest){job->distances + q * job->k, job->rows + q * job->k, 0, job->k};
    for (size_t i = 0; i < rows; i += BLOCK) {
        size_t count = rows - i < BLOCK ? rows - i : BLOCK;
        for (size_t q = begin; q < end; ++q) {
            job->kernels->squared_distances(squared, job->queries + q * columns,
                                            job->bank->data + i * columns, count, columns);
            for (size_t j = 0; j < count; ++j)
                offer(&found[q - begin], squared[j], (int64_t)(i + j));
        }
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
