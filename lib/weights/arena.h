/* Memory that is taken piece by piece, up to a limit, and given back at once. */
#ifndef WEIGHTS_ARENA_H
#define WEIGHTS_ARENA_H

#include "imiad/common.h"

typedef struct arena {
    struct arena_block *blocks;
    uint8_t *at;       /* free bytes of the newest small block */
    size_t left;       /* how many */
    size_t allowance;  /* bytes that may still be taken */
    const char *owner; /* for messages: the file that is read */
} arena;

/* Sixteen bytes aligned, contents undefined. Beyond the allowance: IMIAD_FORMAT, for it is the
 * file that asks for too much. */
imiad_status arena_take(void *out, arena *a, size_t bytes);
void arena_free(arena *a);

#endif
