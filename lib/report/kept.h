/* Memory that lives as long as a report is made: texts kept once each, and blocks. */
#ifndef REPORT_KEPT_H
#define REPORT_KEPT_H

#include <stddef.h>
#include <stdint.h>

#include "imiad/common.h"

typedef struct kept {
    struct kept_block *blocks;
    const char **texts; /* hashed, open addressing */
    size_t count, room;
} kept;

void kept_free(kept *k);

/* `size` bytes of zeros. */
imiad_status kept_take(void *out, kept *k, size_t size);

/* The one copy of a text: equal texts are the same pointer. NULL is "". */
imiad_status kept_text(const char **out, kept *k, const char *text);

#endif
