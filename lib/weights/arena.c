#include "weights/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { BLOCK_BYTES = 1 << 14, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *next;
    _Alignas(ALIGNMENT) uint8_t bytes[];
};

static imiad_status add_block(uint8_t **out, arena *a, size_t bytes)
{
    struct arena_block *block = malloc(sizeof *block + bytes);
    if (!block)
        return fail_memory(a->owner, bytes);
    block->next = a->blocks;
    a->blocks = block;
    *out = block->bytes;
    return IMIAD_OK;
}

imiad_status arena_take(void *out, arena *a, size_t bytes)
{
    if (bytes > a->allowance)
        return fail(IMIAD_FORMAT, "%s: needs far more memory than a file of its size should",
                    a->owner);
    a->allowance -= bytes;
    uint8_t *taken = NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded < bytes || rounded > BLOCK_BYTES / 4) {
        TRY(add_block(&taken, a, bytes));
    } else {
        if (rounded > a->left) {
            TRY(add_block(&a->at, a, BLOCK_BYTES));
            a->left = BLOCK_BYTES;
        }
        taken = a->at;
        a->at += rounded;
        a->left -= rounded;
    }
    memcpy(out, &taken, sizeof taken);
    return IMIAD_OK;
}

void arena_free(arena *a)
{
    while (a->blocks) {
        struct arena_block *block = a->blocks;
        a->blocks = block->next;
        free(block);
    }
    *a = (arena){0};
}
