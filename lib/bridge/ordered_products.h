/* Products of matrices whose numbers are summed in their order: of many small ones, where a BLAS or
 * oneDNN spends more time on being asked than on multiplying, and OpenBLAS rounds otherwise than
 * the reference BLAS; and of doubles, which the reference BLAS multiplies one by one. */
#ifndef BRIDGE_ORDERED_PRODUCTS_H
#define BRIDGE_ORDERED_PRODUCTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers of equal matrices: where each begins, and the steps from row to row and from column
 * to column. */
typedef struct ordered_matrices {
    const void *numbers;
    const int64_t *begins;
    int64_t row, column;
} ordered_matrices;

typedef struct ordered_products {
    bool doubles; /* or floats */
    void *out;    /* [count, rows, columns] */
    ordered_matrices left, right;
    int64_t count, rows, inner, columns;
} ordered_products;

/* How many parts the products have: a part is some rows of one. */
size_t ordered_products_parts(const ordered_products *p);
/* The parts begin..end-1, for parallel_for. Every number is summed in the order of `inner`,
 * products and sums rounded each, as the reference BLAS does: the same on every processor. `inner`
 * is at least 1. */
void ordered_products_piece(void *products, size_t begin, size_t end);
/* The same by vectors of 16, 32 or 64 bytes, which all give the same numbers; false, and nothing
 * done, where the machine has none of that width. */
bool ordered_products_of_width(const ordered_products *p, int bytes, size_t begin, size_t end);

#ifdef __cplusplus
}
#endif
#endif
