/* Exact nearest neighbours in a bank: the fast search and its plain twin. */
#ifndef BANK_SEARCH_H
#define BANK_SEARCH_H

#include "bank/bank.h"

/* The arguments of every search. */
imiad_status search_check(const void *distances, const imiad_bank *bank, const float *queries,
                          int64_t count, int32_t k);

/* Every distance, every row: what the fast search must equal. */
void search_plain(float *distances, int64_t *indices, const imiad_bank *bank, const float *queries,
                  size_t count, size_t k, const kernels *kernel);

/* The same results by way of an index of the bank: see index.h. */
imiad_status search_indexed(float *distances, int64_t *rows, const imiad_bank *bank,
                            const struct bank_index *index, const float *queries, size_t count,
                            size_t k, const kernels *kernel);

#endif
