/* How the numbers of a bank's rows are stored, and rows that may be stored in any of these ways.
 *
 * Every bfloat16 and float16 is a float32: widening is exact. Narrowing rounds to the nearest, ties
 * to the even one. All arithmetic is that of the widened numbers. A bank holds finite numbers only;
 * in a damaged file float16's infinities and NaNs widen to numbers above 65504. */
#ifndef BANK_STORAGE_H
#define BANK_STORAGE_H

#include <stdbool.h>
#include <string.h>

#include "bridge/tensor.h" /* dtype only */
#include "imiad/bank.h"

enum { STORAGES = 4 }; /* tables are indexed by imiad_storage, which begins at 1 */

typedef struct storage_kind {
    const char *name;
    size_t bytes; /* of one number */
    dtype type;   /* in a file */
} storage_kind;
extern const storage_kind storage_kinds[STORAGES];

/* IMIAD_OUT_OF_RANGE for a number that names none. */
imiad_status storage_check(imiad_storage storage, const char *doing);
/* 0 where there is none of that type or name. */
imiad_storage storage_of_type(dtype type);
imiad_storage storage_named(const char *name);

/* false where a number overflows: *at is the index of the first one. */
bool storage_narrow(void *out, imiad_storage storage, const float *values, size_t count,
                    size_t *at);

typedef struct point_set {
    const void *rows; /* count x columns */
    size_t count, columns;
    imiad_storage storage;
} point_set;

static inline size_t point_bytes(const point_set *p) /* of a row */
{
    return p->columns * storage_kinds[p->storage].bytes;
}

static inline const void *point_row(const point_set *p, size_t row)
{
    return (const char *)p->rows + row * point_bytes(p);
}

/* ---- single numbers ---- */

static inline float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float widen_number(const void *row, size_t column, imiad_storage storage)
{
    if (storage == IMIAD_STORAGE_FLOAT32)
        return ((const float *)row)[column];
    uint32_t bits = ((const uint16_t *)row)[column];
    if (storage == IMIAD_STORAGE_BFLOAT16)
        return float_of_bits(bits << 16);
    /* float16's exponent is biased by 15, float32's by 127: the product is exact, also of the
     * subnormal ones */
    float size = float_of_bits((bits & 0x7fffu) << 13) * 0x1p112f;
    return bits & 0x8000u ? -size : size;
}

#endif
