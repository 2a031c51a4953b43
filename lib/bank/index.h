/* What a bank keeps beside its rows so that search can pass most of them over. */
#ifndef BANK_INDEX_H
#define BANK_INDEX_H

#include "bank/sketch.h"

/* A row's difference from the mean, rounded to one byte a column: scale * code. `rest` is the
 * length of what rounding left out, so that |x - y| >= |scale_x code_x - scale_y code_y| - rest_x -
 * rest_y; `square` is scale^2 |code|^2; `sum` is that of the code. The bank's rows keep
 * code + offset, without a sign, as the instructions want it. */
typedef struct code_size {
    double square;
    float scale, rest;
    int32_t sum;
} code_size;

enum { QUERY_CODE_MOST = 127 }; /* the largest part of a query's code; of rows' see kernels.h */
enum { CODE_MOST_COLUMNS = 1 << 15 }; /* products of codes fit 32 bits */

typedef struct bank_index {
    sketcher sketcher;
    float reach;
    size_t stride; /* bytes of a code: columns, filled up with zeros */
    int offset;    /* of the kernels that the index is made with and searched by */
    float *groups; /* sketches, as kernels.near reads them; infinitely far after the last row */
    uint8_t *codes;
    code_size *sizes;
    size_t bytes; /* of the block that holds these three */
} bank_index;

/* NULL where there is no gain (few rows, very many columns), the budget leaves no room, or a
 * distance would leave the range of squares: the plain search does it then. */
imiad_status index_create(bank_index **out, const imiad_bank *bank, const kernels *k);
void index_free(bank_index *index);
uint64_t index_bytes(int64_t rows, int64_t dimension); /* 0 where there is no gain */

/* A query as an index sees it: its sketch, its code beside it, and the distance from which on rows
 * do not matter: sketches are then `limit` apart, squared, or codes so far that the rest of the row
 * cannot bring them below `reach`. */
typedef struct index_probe {
    float sketch[SKETCH];
    sketch_slack slack;
    code_size size;
    float limit;
    double reach;
} index_probe;

/* `code` takes stride bytes; `scratch` is of the columns' size. False where the index serves no
 * such query: a distance would leave the range of squares. */
bool index_probe_make(index_probe *out, int8_t *code, float *scratch, const bank_index *index,
                      const float *query, const kernels *k);
/* Rows that are farther than this, squared, do not matter from here on; those as far do. */
void index_probe_limit(index_probe *p, float most);
/* The squared distance of the query's code from the row's, by their product. */
static inline double index_apart(const index_probe *p, const bank_index *index, size_t row,
                                 int32_t product)
{
    const code_size *size = &index->sizes[row];
    product -= index->offset * p->size.sum;
    return p->size.square + size->square -
           2 * (double)p->size.scale * (double)size->scale * (double)product;
}
static inline bool index_row_is_far(const index_probe *p, const bank_index *index, size_t row,
                                    double apart)
{
    double needed = p->reach + (double)index->sizes[row].rest;
    return apart >= needed * needed;
}
/* No squared_distance of the row is larger. */
float index_row_most(const index_probe *p, const bank_index *index, size_t row, double apart);

/* Writes stride bytes, of parts up to `most`; `centred` is scratch of the columns' size. */
code_size index_code(int8_t *code, int most, float *centred, const bank_index *index,
                     const float *row, const kernels *k);

#endif
