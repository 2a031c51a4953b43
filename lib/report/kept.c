#include "report/kept.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { BLOCK_BYTES = 1 << 16 };

typedef struct kept_block {
    struct kept_block *next;
    size_t used, size;
    max_align_t bytes[];
} kept_block;

void kept_free(kept *k)
{
    for (kept_block *block = k->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(k->texts);
    *k = (kept){0};
}

imiad_status kept_take(void *out, kept *k, size_t size)
{
    size_t rounded = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (!k->blocks || k->blocks->size - k->blocks->used < rounded) {
        size_t room = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        kept_block *block = calloc(1, sizeof *block + room);
        if (!block)
            return fail_memory("a report", sizeof *block + room);
        block->size = room;
        block->next = k->blocks;
        k->blocks = block;
    }
    void *found = (char *)k->blocks->bytes + k->blocks->used;
    k->blocks->used += rounded;
    memcpy(out, &found, sizeof found);
    return IMIAD_OK;
}

/* FNV-1a */
static uint64_t hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; ++text)
        h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h;
}

/* Where a text is, or would go. */
static const char **place(const char **texts, size_t room, const char *text)
{
    size_t at = (size_t)hash(text) & (room - 1);
    while (texts[at] && strcmp(texts[at], text) != 0)
        at = (at + 1) & (room - 1);
    return &texts[at];
}

static imiad_status grow(kept *k)
{
    size_t room = k->room ? 2 * k->room : 1024;
    const char **texts = calloc(room, sizeof *texts);
    if (!texts)
        return fail_memory("the texts of a report", room * sizeof *texts);
    for (size_t i = 0; i < k->room; ++i)
        if (k->texts[i])
            *place(texts, room, k->texts[i]) = k->texts[i];
    free(k->texts);
    k->texts = texts;
    k->room = room;
    return IMIAD_OK;
}

imiad_status kept_text(const char **out, kept *k, const char *text)
{
    text = text ? text : "";
    if (2 * (k->count + 1) > k->room)
        TRY(grow(k));
    const char **at = place(k->texts, k->room, text);
    if (!*at) {
        char *copy = NULL;
        TRY(kept_take(&copy, k, strlen(text) + 1));
        strcpy(copy, text);
        *at = copy;
        k->count++;
    }
    *out = *at;
    return IMIAD_OK;
}
