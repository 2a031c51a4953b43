/* Products of many small matrices, each by itself: a BLAS or oneDNN spends more time on being asked
 * than on multiplying, and OpenBLAS rounds otherwise than the reference BLAS. */
#ifndef BRIDGE_SMALL_PRODUCTS_H
#define BRIDGE_SMALL_PRODUCTS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The floats of equal matrices: where each begins, and the steps from row to row and from column to
 * column. */
typedef struct small_matrices {
    const float *numbers;
    const int64_t *begins;
    int64_t row, column;
} small_matrices;

typedef struct small_products {
    float *out; /* [count, rows, columns] */
    small_matrices left, right;
    int64_t count, rows, inner, columns;
} small_products;

/* How many parts the products have: a part is some rows of one. */
size_t small_products_parts(const small_products *p);
/* The parts begin..end-1, for parallel_for. Every number is summed in the order of `inner`,
 * products and sums rounded each, as the reference BLAS does: the same on every processor. `inner`
 * is at least 1. */
void small_products_piece(void *products, size_t begin, size_t end);

#ifdef __cplusplus
}
#endif
#endif
