/* The inside of a memory bank, and the parts of the coreset selection that tests hold against each
 * other. */
#ifndef BANK_BANK_H
#define BANK_BANK_H

#include <pthread.h>
#include <stdbool.h>

#include "bank/kernels.h"
#include "base/progress.h"
#include "imiad/bank.h"

struct bank_index;

/* Made by the first search that it pays for. */
typedef struct index_slot {
    pthread_mutex_t lock;
    bool tried;
    struct bank_index *index; /* NULL where there is no gain */
} index_slot;

struct imiad_bank {
    float *data; /* rows x dimension; a mapping of its own, grown in place */
    int64_t rows, dimension;
    size_t mapped; /* bytes */
    uint64_t budget;
    index_slot *index;
};

/* `doing` begins the message and names what needs the bytes. */
imiad_status bank_within_budget(const imiad_bank *bank, const char *doing, uint64_t needed);

/* Bytes that selection takes beside the bank. */
uint64_t bank_selection_bytes(int64_t rows, int64_t dimension,
                              const imiad_coreset_options *options);

enum { PAGE_CHUNK = 1 << 20 }; /* bytes by which mappings grow */

/* Rows that a selection passes over. */
typedef struct coreset_mask {
    const bool *left_out; /* one for each row of the bank */
    bool first_anywhere;  /* the first pick is nevertheless made among all rows */
} coreset_mask;

/* imiad_bank_select, whose arguments were checked, among the rows that are not left out; NULL
 * leaves out none. *count: how many were picked, fewer than the ratio asks for where too few are
 * left. The ratio, the projection and the starts are of all rows. */
imiad_status bank_select(int64_t *out, int64_t *count, const imiad_bank *bank,
                         const imiad_coreset_options *options, const coreset_mask *mask,
                         const progress *p);

/* out: the bank's rows x columns, rows multiplied by `matrix`, columns x dimension, or where that
 * is NULL by one drawn from the seed and the purpose as PyTorch initialises a linear map: uniform
 * within 1 / sqrt(dimension). */
imiad_status bank_project(float *out, const imiad_bank *bank, int64_t columns, const float *matrix,
                          uint64_t seed, const char *purpose);

/* Large zeroed memory in pages of its own; NULL when there is none. */
void *pages_take(size_t bytes);
/* Moves the pages, not the bytes: there are never two copies. Old memory stays on failure. */
void *pages_grow(void *pages, size_t from, size_t to);
void pages_free(void *pages, size_t bytes);

/* The first row and column that is not a finite number; false where all are. */
bool find_not_finite(const float *values, int64_t rows, int64_t columns, int64_t *row,
                     int64_t *column);

/* ---- greedy k-center ---- */

typedef struct point_set {
    const float *rows; /* count x columns */
    size_t count, columns;
} point_set;

/* Repeats `wanted` times: pick the row with the largest distance, the first of several; then lower
 * every row's distance to its distance from the pick. distances holds the initial ones and is used
 * up; a row whose distance is below 0 stays behind all others. The plain twin evaluates every pair;
 * the other skips what cannot matter, with equal picks. */
imiad_status greedy_plain(int64_t *picks, size_t wanted, point_set points, float *distances,
                          const kernels *k, const progress *p);

imiad_status greedy_select(int64_t *picks, size_t wanted, point_set points, float *distances,
                           const kernels *k, const progress *p);
uint64_t greedy_bytes(size_t count, size_t wanted); /* that greedy_select takes */

/* ---- nearest neighbours ---- */

/* Every distance, every row: what the fast search must equal. */
void search_plain(float *distances, int64_t *indices, const imiad_bank *bank, const float *queries,
                  size_t count, size_t k, const kernels *kernel);

/* The same results by way of an index of the bank: see index.h. */
imiad_status search_indexed(float *distances, int64_t *rows, const imiad_bank *bank,
                            const struct bank_index *index, const float *queries, size_t count,
                            size_t k, const kernels *kernel);

#endif
