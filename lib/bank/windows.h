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

/* What lets a search pass most rows of its windows over; see index.h. Out of date when the bank
 * changes. */
typedef struct window_sketches {
    struct bank_index *index;
    float *groups; /* its sketches in the order of bank_windows.rows, as kernels.near reads them */
    size_t bytes;  /* of these */
} window_sketches;

/* NULL where there is no gain (few rows or columns), the bank's budget or the memory leaves no
 * room, or numbers are too large: searches are as exact without, and slower. */
void window_sketches_create(window_sketches **out, const imiad_bank *bank, const bank_windows *w);
void window_sketches_free(window_sketches *s);

/* Which sources each image of queries may find rows of, a number of 0..sources - 1 for every row of
 * the bank: images x sources. */
typedef struct window_sources {
    const bool *wanted;
    int64_t sources;
} window_sources;

typedef struct window_search {
    const imiad_bank *bank;
    const bank_windows *windows;
    const window_sketches *sketches; /* of that bank; NULL: the plain search */
    int64_t radius;
    const window_sources *among; /* NULL: all */
} window_search;

/* imiad_bank_search among the rows whose places are at most `radius` across and down from the
 * query's. Where these are fewer than k, the query's window grows by one on each side until they
 * are not. queries: images x height x width of the bank's dimension. A window over the whole grid
 * gives what imiad_bank_search gives, to the last bit; and so do sketches.
 * Among some sources k is 1, and windows do not grow: one without any has an infinite distance and
 * the row -1. */
imiad_status windows_search(float *distances, int64_t *rows, const window_search *how,
                            const float *queries, int64_t images, int32_t k);
/* The same for one query at a place, among all. */
imiad_status windows_search_at(float *distances, int64_t *rows, const window_search *how,
                               const float *query, int64_t place, int32_t k);
/* At how many places windows of this radius hold fewer than k rows. */
int64_t windows_short(const bank_windows *w, int64_t radius, int64_t k);

#endif
