/* Rows of a bank by the place of a grid that they come from, and exact searches of what lies near a
 * place. */
#ifndef BANK_WINDOWS_H
#define BANK_WINDOWS_H

#include "bank/bank.h"

typedef struct bank_windows {
    int64_t height, width; /* of the grid */
    int64_t *first;        /* one a place, and one more: where its rows begin */
    int64_t *rows;         /* their numbers in the bank, by place, rising */
} bank_windows;

/* places: y * width + x of each row; IMIAD_OUT_OF_RANGE for one outside the grid. */
imiad_status windows_create(bank_windows **out, const int32_t *places, int64_t rows, int64_t height,
                            int64_t width);
void windows_free(bank_windows *w);

/* Which sources each image of queries may find rows of, a number of 0..sources - 1 for every row of
 * the bank: images x sources. */
typedef struct window_sources {
    const bool *wanted;
    int64_t sources;
} window_sources;

/* imiad_bank_search among the rows whose places are at most `radius` across and down from the
 * query's. Where these are fewer than k, the query's window grows by one on each side until they
 * are not. queries: images x height x width of the bank's dimension. A window over the whole grid
 * gives what imiad_bank_search gives, to the last bit. */
imiad_status windows_search(float *distances, int64_t *rows, const imiad_bank *bank,
                            const bank_windows *w, const float *queries, int64_t images,
                            int64_t radius, int32_t k);
/* The nearest row of the wanted sources alone. A window without any has no row: its distance is
 * infinite, its row -1. */
imiad_status windows_search_among(float *distances, int64_t *rows, const imiad_bank *bank,
                                  const bank_windows *w, const float *queries, int64_t images,
                                  int64_t radius, const window_sources *among);
/* The same for one query at a place. */
imiad_status windows_search_at(float *distances, int64_t *rows, const imiad_bank *bank,
                               const bank_windows *w, const float *query, int64_t place,
                               int64_t radius, int32_t k);
/* At how many places windows of this radius hold fewer than k rows. */
int64_t windows_short(const bank_windows *w, int64_t radius, int64_t k);

#endif
