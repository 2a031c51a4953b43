/* A bounded choice from any number of rows, which come block by block: each block is thinned, and
 * blocks of one level are joined and thinned again, as a binary counter carries. Nothing is drawn.
 */
#ifndef BANK_MERGE_REDUCE_H
#define BANK_MERGE_REDUCE_H

#include <stdint.h>

#include "imiad/common.h"

/* Rows as distances are measured and, where a caller needs them, as they were before that. */
typedef struct row_block {
    int64_t count;
    float *measured, *given; /* count x columns each */
    int64_t *sources;
} row_block;
void row_block_free(row_block *b);

enum { MOST_LEVELS = 48 };

typedef struct merge_reduce {
    int64_t measured_columns, given_columns; /* given ones may be 0: then there are none */
    int64_t block_rows;                      /* that a level holds at most */
    row_block levels[MOST_LEVELS];           /* count 0: nothing */
} merge_reduce;

/* Takes over the block. */
imiad_status merge_reduce_add(merge_reduce *m, row_block *block);
/* The rows that wait for their block to be full, then all levels, from the lowest on, thinned to so
 * many rows; nothing changes. */
imiad_status merge_reduce_look(row_block *out, const merge_reduce *m, const row_block *waiting,
                               int64_t rows);
/* The same of all levels, which are empty then. */
imiad_status merge_reduce_finish(row_block *out, merge_reduce *m, int64_t rows);
void merge_reduce_free(merge_reduce *m);

/* Farthest first: the row farthest from the mean, then again and again the row that is farthest
 * from those that were picked, the first of several. With fewer rows than wanted, all in order.
 * picks: the smaller number. */
imiad_status farthest_first(int64_t *picks, const float *rows, int64_t count, int64_t columns,
                            int64_t wanted);

#endif
