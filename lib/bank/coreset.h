/* Choosing a coreset: what selections take, whole selections, and the greedy one with its plain
 * twin. */
#ifndef BANK_CORESET_H
#define BANK_CORESET_H

#include "bank/bank.h"

/* Bytes that selection takes beside the bank. */
uint64_t bank_selection_bytes(int64_t rows, int64_t dimension, imiad_storage storage,
                              const imiad_coreset_options *options);
/* How many rows the options keep of so many: 0 where none or an impossible number. */
int64_t bank_selection_size(int64_t rows, const imiad_coreset_options *options);
/* The options of any age of the header; IMIAD_INVALID_ARGUMENT where struct_size is none. */
imiad_status coreset_options_read(imiad_coreset_options *out, const imiad_coreset_options *given,
                                  const char *doing);
imiad_status coreset_options_check(const imiad_coreset_options *o, int64_t rows);

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

/* A coreset of each place's own rows, where a bank holds whole images of so many places: rows
 * place, place + places, ... */
typedef struct place_coreset {
    double ratio;         /* of a place's rows, those left out too, rounded down */
    int64_t least;        /* so many at least, where there are so many */
    const bool *left_out; /* one for each row of the bank; NULL: none */
    uint64_t seed;        /* draws the first pick of each place */
} place_coreset;

/* Greedy: after the first, again and again the row that is farthest from those that were picked,
 * the first of several. out has room for all rows of the bank; picks come place by place. */
imiad_status bank_select_places(int64_t *out, int64_t *count, const imiad_bank *bank,
                                int64_t places, const place_coreset *how);

/* out: the bank's rows x columns, rows multiplied by `matrix`, columns x dimension, or where that
 * is NULL by one drawn from the seed and the purpose as PyTorch initialises a linear map: uniform
 * within 1 / sqrt(dimension). */
imiad_status bank_project(float *out, const imiad_bank *bank, int64_t columns, const float *matrix,
                          uint64_t seed, const char *purpose);

/* ---- greedy k-center ---- */

/* Repeats `wanted` times: pick the row with the largest distance, the first of several; then lower
 * every row's distance to its distance from the pick. distances holds the initial ones and is used
 * up; a row whose distance is below 0 stays behind all others. The plain twin evaluates every pair;
 * the other skips what cannot matter, with equal picks. */
imiad_status greedy_plain(int64_t *picks, size_t wanted, point_set points, float *distances,
                          const kernels *k, const progress *p);

imiad_status greedy_select(int64_t *picks, size_t wanted, point_set points, float *distances,
                           const kernels *k, const progress *p);
uint64_t greedy_bytes(size_t count, size_t columns, size_t wanted); /* that greedy_select takes */

#endif
