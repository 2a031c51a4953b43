/* The inner loops of the bank: the same arithmetic on every CPU, so that picks and neighbours do
 * not depend on the machine. */
#ifndef BANK_KERNELS_H
#define BANK_KERNELS_H

#include "bank/storage.h"

/* Sums run in 16 interleaved parts, part l over the columns l, l + 16, ...; the parts are then
 * added in halves (0 + 8, ..., 7 + 15; and so on down to one). Nothing is fused. This order defines
 * what "the distance of two rows" is in this folder, to the last bit. */
enum { LANES = 16 };

enum { CODES = 4 };
enum { TILE_QUERIES = 64, TILE_ROWS = 12 }; /* codes of so many by so many are multiplied at once */
enum { SKETCH = 16 };                       /* numbers that stand for a row: see sketch.h */

typedef enum kernel_level { KERNEL_PLAIN, KERNEL_AVX2, KERNEL_AVX512, KERNEL_LEVELS } kernel_level;

/* What decides on the rows of a tile, for each of its queries: with the product p of its code and a
 * row's, |query - row| of the codes, squared, is square + row.square - row.scale * scale *
 * (p - offset). Once that is the square of reach + row.rest, the row is far. Squares of infinity
 * stand for no query. */
typedef struct tile_limits {
    double square[TILE_QUERIES], scale[TILE_QUERIES], offset[TILE_QUERIES], reach[TILE_QUERIES];
} tile_limits;

typedef struct kernels {
    const char *name;
    /* |a - b|^2 */
    float (*squared_distance)(const float *a, const float *b, size_t columns);
    /* the same of a stored row, and of two of them */
    float (*distance_to[STORAGES])(const float *a, const void *row, size_t columns);
    float (*distance_between[STORAGES])(const void *row, const void *other, size_t columns);
    void (*widen[STORAGES])(float *out, const void *row, size_t columns);
    /* out[i] = |point - rows[i]|^2; rows lie one after the other */
    void (*squared_distances)(float *out, const float *point, const float *rows, size_t count,
                              size_t columns);
    /* out[i * others + j] = rows[i] . other[j] */
    void (*products)(float *out, const float *rows, size_t count, const float *other, size_t others,
                     size_t columns);
    /* Sketches of SKETCH numbers, in groups of LANES with the numbers of one kind together: finds
     * those nearer to the point, squared, than the limit of their lane. limits moves on by `step`
     * from group to group. Writes their indices, rising, and returns how many. */
    size_t (*near)(uint32_t *found, const float *groups, size_t count, const float *point,
                   const float *limits, size_t step);
    /* the squared distances of these sketches from the point, one for each lane */
    void (*apart)(float *out, const float *groups, size_t count, const float *point);
    int code_most; /* the largest part of a stored row's code */
    /* out[r] = sum_i a[i] b[r][i], exactly, for CODES codes at once, of parts up to 127 in a and
     * 2 code_most + 1 in b; count is a multiple of 64 and at most 2^15 */
    void (*code_products)(int32_t *out, const int8_t *a, const uint8_t *const *b, size_t count);
    /* The same products, out[r * TILE_QUERIES + q], of TILE_ROWS rows with `groups` times LANES
     * queries. Each group of queries lies in fours: four parts of each one, the next four, and so
     * on. */
    void (*tile_products)(int32_t *out, const int8_t *queries, size_t groups,
                          const uint8_t *const *rows, size_t count);
    /* one bit for each of these queries that a row is not far from, by its products */
    uint64_t (*tile_near)(const int32_t *products, size_t groups, const tile_limits *limits,
                          double square, double scale, double rest);
    int crowd; /* how soon a tile is faster than rows alone: see search_indexed.c */
    void (*subtract)(float *out, const float *a, const float *b, size_t columns);
    void (*add_multiple)(float *out, float factor, const float *a, size_t columns);
    float (*largest)(const float *a, size_t columns); /* without its sign */
    /* code = values / scale, rounded; values become what is left of them */
    void (*encode)(int8_t *code, float *values, float scale, size_t columns);
    void (*code_sums)(int64_t *sum, int64_t *squares, const int8_t *code, size_t count);
} kernels;

/* The fastest that this CPU runs, and each one for the tests: NULL where this CPU cannot run it. */
const kernels *kernels_best(void);
const kernels *kernels_at(kernel_level level);

#endif
