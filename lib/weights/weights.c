#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "weights/weights_file.h"

enum { WIDEST_ELEMENT = 8 };

/* ---- filling, by the readers ---- */

imiad_status layout_contiguous(weight_layout *layout, size_t *bytes, const char *file,
                               const char *name)
{
    int64_t count = 1;
    bool overflow = false;
    for (int d = layout->rank - 1; d >= 0; --d) {
        if (layout->shape[d] < 0)
            return fail(IMIAD_FORMAT, "%s: tensor %s has a negative size", file, name);
        layout->stride[d] = count;
        overflow |= __builtin_mul_overflow(count, layout->shape[d], &count);
    }
    if (overflow || __builtin_mul_overflow((size_t)count, dtype_bytes(layout->type), bytes))
        return fail(IMIAD_FORMAT, "%s: tensor %s has an impossible shape", file, name);
    return IMIAD_OK;
}

/* Whether elements lie in memory as rows last, without gaps: strides of sizes 1 do not matter. */
static bool is_contiguous(const weight_layout *layout)
{
    int64_t expected = 1;
    for (int d = layout->rank - 1; d >= 0; --d) {
        if (layout->shape[d] != 1 && layout->stride[d] != expected)
            return false;
        expected *= layout->shape[d];
    }
    return true;
}

/* One past the highest element that is touched; strides may not be negative, and the storage must
 * reach so far. */
static imiad_status check_reach(const weight_layout *layout, size_t elements, const char *file,
                                const char *name)
{
    int64_t last = layout->offset;
    bool bad = last < 0;
    for (int d = 0; d < layout->rank; ++d) {
        int64_t step;
        bad |= layout->stride[d] < 0 ||
               __builtin_mul_overflow(layout->shape[d] - 1, layout->stride[d], &step) ||
               __builtin_add_overflow(last, step, &last);
    }
    if (bad || (size_t)last >= elements)
        return fail(IMIAD_FORMAT, "%s: tensor %s reaches outside its storage of %zu elements", file,
                    name, elements);
    return IMIAD_OK;
}

/* Gathers strided elements row by row, counting through all dimensions but the last. */
static void gather(uint8_t *into, const weight_layout *layout, const uint8_t *from, size_t element)
{
    int64_t index[WEIGHT_RANK] = {0};
    int last = layout->rank - 1;
    for (;;) {
        int64_t position = layout->offset;
        for (int d = 0; d < last; ++d)
            position += index[d] * layout->stride[d];
        const uint8_t *row = from + (size_t)position * element;
        size_t step = (size_t)layout->stride[last] * element;
        for (int64_t i = 0; i < layout->shape[last]; ++i, into += element)
            memcpy(into, row + (size_t)i * step, element);
        int d = last - 1;
        while (d >= 0 && ++index[d] == layout->shape[d])
            index[d--] = 0;
        if (d < 0)
            return;
    }
}

/* Points the weight at its data: in place where it can be used there, else a copy. */
static imiad_status place(weight *out, weights *w, const weight_layout *layout,
                          const uint8_t *storage, size_t storage_bytes)
{
    static const uint64_t nothing;
    size_t element = dtype_bytes(layout->type);
    out->data = &nothing; /* of an empty tensor: not NULL, never read */
    if (out->bytes == 0)
        return IMIAD_OK;
    TRY(check_reach(layout, storage_bytes / element, w->memory.owner,
                    show_text(out->name, strlen(out->name)).text));
    bool contiguous = is_contiguous(layout);
    const uint8_t *begin = storage + (size_t)layout->offset * element;
    if (contiguous && (uintptr_t)begin % element == 0) {
        out->data = begin;
        return IMIAD_OK;
    }
    uint8_t *copy;
    TRY(arena_take(&copy, &w->memory, out->bytes));
    if (contiguous)
        memcpy(copy, begin, out->bytes);
    else
        gather(copy, layout, storage, element);
    out->data = copy;
    return IMIAD_OK;
}

const uint8_t *weights_align(const weights *w, const uint8_t *data, size_t size)
{
    size_t ahead = (uintptr_t)data % WIDEST_ELEMENT;
    bool inside = w->own && data >= w->bytes + ahead && data + size <= w->bytes + w->size;
    if (!inside || ahead == 0)
        return data;
    return memmove(w->own + (data - w->bytes) - ahead, data, size);
}

imiad_status weights_add(weights *w, const char *name, size_t name_length,
                         const weight_layout *layout, const uint8_t *storage, size_t storage_bytes)
{
    if (!text_is_utf8(name, name_length))
        return fail(IMIAD_FORMAT, "%s: the name of tensor %zu is not UTF-8", w->memory.owner,
                    w->count);
    TRY(array_reserve(&w->items, w->count, &w->room, sizeof *w->items, "a list of tensors"));
    char *copy;
    TRY(arena_take(&copy, &w->memory, name_length + 1));
    memcpy(copy, name, name_length);
    copy[name_length] = '\0';
    weight item = {.name = copy, .type = layout->type, .rank = layout->rank};
    memcpy(item.shape, layout->shape, (size_t)layout->rank * sizeof *item.shape);
    weight_layout contiguous = *layout;
    TRY(layout_contiguous(&contiguous, &item.bytes, w->memory.owner,
                          show_text(name, name_length).text));
    TRY(place(&item, w, layout, storage, storage_bytes));
    w->items[w->count++] = item;
    return IMIAD_OK;
}

static int compare_places(const void *a, const void *b)
{
    const weight *x = *(weight *const *)a, *y = *(weight *const *)b;
    uintptr_t first = (uintptr_t)x->data, second = (uintptr_t)y->data;
    return (first > second) - (first < second);
}

imiad_status weights_mark_shared(weights *w)
{
    if (w->count == 0)
        return IMIAD_OK;
    weight **places = malloc(w->count * sizeof(weight *)), *reaching = NULL;
    if (!places)
        return fail_memory("an index of tensors", w->count * sizeof *places);
    for (size_t i = 0; i < w->count; ++i)
        places[i] = &w->items[i];
    qsort(places, w->count, sizeof *places, compare_places);
    for (size_t i = 0; i < w->count; ++i) { /* against the one before that reaches farthest */
        weight *here = places[i];
        uintptr_t end = reaching ? (uintptr_t)reaching->data + reaching->bytes : 0;
        if ((uintptr_t)here->data < end && here->bytes > 0)
            here->shared = reaching->shared = true;
        if ((uintptr_t)here->data + here->bytes > end)
            reaching = here;
    }
    free(places);
    return IMIAD_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const weight *const *)a)->name, (*(const weight *const *)b)->name);
}

imiad_status weights_index_names(weights *w)
{
    if (w->count == 0)
        return IMIAD_OK;
    w->by_name = malloc(w->count * sizeof *w->by_name);
    if (!w->by_name)
        return fail_memory("an index of tensors", w->count * sizeof *w->by_name);
    for (size_t i = 0; i < w->count; ++i)
        w->by_name[i] = &w->items[i];
    qsort(w->by_name, w->count, sizeof *w->by_name, compare_names);
    for (size_t i = 1; i < w->count; ++i)
        if (compare_names(&w->by_name[i - 1], &w->by_name[i]) == 0)
            return fail(IMIAD_FORMAT, "%s: two tensors are named %s", w->memory.owner,
                        show_text(w->by_name[i]->name, strlen(w->by_name[i]->name)).text);
    return IMIAD_OK;
}

imiad_status weights_check(const weights *w)
{
    return file_view_check(&w->view, w->memory.owner);
}

void weights_free(weights *w)
{
    if (!w)
        return;
    char *owner = (char *)w->memory.owner;
    arena_free(&w->memory);
    free(owner);
    free(w->items);
    free(w->by_name);
    for (size_t i = 0; i < w->shard_count; ++i)
        weights_free(w->shards[i]);
    free(w->shards);
    json_decref(w->metadata);
    file_unmap(&w->view);
    free(w);
}

void weights_let_go(const weights *w)
{
    file_let_go(&w->view);
    for (size_t i = 0; i < w->shard_count; ++i)
        weights_let_go(w->shards[i]);
}

void weights_spend(const weights *w, const weight *item)
{
    for (size_t i = 0; i < w->shard_count; ++i)
        weights_spend(w->shards[i], item);
    const uint8_t *data = item->data;
    if (!item->shared && w->view.bytes && data >= w->view.bytes &&
        data + item->bytes <= w->view.bytes + w->view.size)
        file_forget(data, item->bytes);
}

size_t weights_count(const weights *w)
{
    return w->count;
}

const weight *weights_get(const weights *w, size_t index)
{
    return index < w->count ? &w->items[index] : NULL;
}

const weight *weights_find(const weights *w, const char *name)
{
    weight wanted = {.name = name};
    const weight *key = &wanted;
    const weight **found =
        w->count ? bsearch(&key, w->by_name, w->count, sizeof *w->by_name, compare_names) : NULL;
    return found ? *found : NULL;
}

const char *weights_metadata(const weights *w, const char *key)
{
    return json_string_value(json_object_get(w->metadata, key));
}

imiad_status weights_verify(const weights *w)
{
    if (w->checksummed)
        return IMIAD_OK;
    return fail(IMIAD_FORMAT, "%s: carries no checksum: damaged, or not written by this library",
                w->memory.owner);
}
