/* The nearest rows of a bank that came from other images than the patch that looks for them. */
#ifndef DETECTORS_PARTS_FOREIGN_SEARCH_H
#define DETECTORS_PARTS_FOREIGN_SEARCH_H

#include "bridge/tensor.h"
#include "imiad/bank.h"

/* rows: count x k, the nearest first, ties by lower row, of those whose source is another one;
 * IMIAD_NO_SOURCE leaves out none. Exact: as searching a bank without that source's rows, which
 * must have k rows left (IMIAD_OUT_OF_RANGE). On a GPU where the device is one. */
imiad_status foreign_search(int64_t *rows, const imiad_bank *bank, device d, const float *queries,
                            int64_t count, int32_t k, int64_t source);

/* How many rows of a bank have another source. */
int64_t foreign_rows(const imiad_bank *bank, int64_t source);

#endif
