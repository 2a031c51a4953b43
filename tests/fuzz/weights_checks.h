/* What every readable weight file must hold to, whatever its bytes. */
#ifndef TESTS_WEIGHTS_CHECKS_H
#define TESTS_WEIGHTS_CHECKS_H

#include <stdlib.h>

#include "weights/weights.h"

static inline void check_weight(const weights *w, const weight *item)
{
    size_t element = dtype_bytes(item->type), bytes = element;
    if (element == 0 || item->rank < 0 || item->rank > WEIGHT_RANK)
        abort();
    for (int d = 0; d < item->rank; ++d)
        bytes *= (size_t)item->shape[d];
    if (bytes != item->bytes || (uintptr_t)item->data % element != 0)
        abort();
    if (weights_find(w, item->name) != item)
        abort();
    volatile uint8_t sum = 0; /* every byte can be read */
    for (size_t i = 0; i < item->bytes; ++i)
        sum ^= ((const uint8_t *)item->data)[i];
    (void)sum;
}

static inline void parse_and_check(const uint8_t *bytes, size_t size)
{
    weights *w = NULL;
    imiad_status status = weights_parse(&w, bytes, size, "fuzzed");
    if ((status == IMIAD_OK) != (w != NULL) || (!w && status != IMIAD_FORMAT))
        abort();
    for (size_t i = 0; w && i < weights_count(w); ++i)
        check_weight(w, weights_get(w, i));
    weights_free(w);
}

#endif
