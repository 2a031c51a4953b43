#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "weights/weights_file.h"

/* Memory that a file may make the reader take: for copies of data, its own size several times over;
 * for names, a floor. */
enum { MEMORY_FLOOR = 64 << 20, MEMORY_FACTOR = 16 };

size_t dtype_bytes(dtype type)
{
    static const uint8_t bytes[] = {
        [F32] = 4, [F64] = 8, [F16] = 2, [BF16] = 2, [I64] = 8, [I32] = 4, [U8] = 1, [BOOL] = 1};
    return (size_t)type < sizeof bytes ? bytes[type] : 0;
}

bool text_is_utf8(const char *text, size_t length)
{
    if (memchr(text, '\0', length))
        return false;
    json_t *string = json_stringn(text, length); /* NULL for what is not UTF-8 */
    json_decref(string);
    return string != NULL;
}

shown show_text(const char *text, size_t length)
{
    shown s;
    size_t room = sizeof s.text - 1, kept = length <= room ? length : room;
    for (size_t i = 0; i < kept; ++i)
        s.text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    if (kept < length)
        memcpy(s.text + kept - 3, "...", 3);
    s.text[kept] = '\0';
    return s;
}

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

/* ---- formats ---- */

typedef struct signature {
    size_t offset;
    const char *bytes;
    size_t length;
    imiad_status (*read)(weights *w);
    const char *what; /* why not, where it cannot be read */
} signature;

#define BYTES(text) text, sizeof text - 1

/* The first that matches decides. safetensors has no magic but eight bytes of length and an opening
 * brace. Its low bytes may look like any other signature, so a length that can be real (below 2^32,
 * which no other format's bytes 4 to 8 look like) comes first; a hostile one comes last, for its
 * own message. */
static const signature signatures[] = {
    {4, BYTES("\0\0\0\0{"), safetensors_read, NULL},
    {0, BYTES("PK\3\4"), pth_zip_read, NULL},
    {2, BYTES(PTH_LEGACY_MAGIC), pth_legacy_read, NULL},
    {257, BYTES("ustar"), NULL,
     "a tar archive, as PyTorch wrote before 0.1.10; open it in a current PyTorch and save its "
     "state_dict() again"},
    {0, BYTES("\x80"), NULL,
     "a bare pickle, not a PyTorch file; save the state dict with torch.save or as safetensors"},
    {0, BYTES("version https://git-lfs"), NULL,
     "a Git LFS pointer, not the weights themselves; fetch them with git lfs pull"},
    {0, BYTES("\x93NUMPY"), NULL, "a NumPy array; save a state dict as safetensors instead"},
    {0, BYTES("\x89HDF"), NULL, "an HDF5 file; convert it to safetensors"},
    {0, BYTES("\x1f\x8b"), NULL, "compressed by gzip; unpack it first"},
    {0, BYTES("<"), NULL, "a web page or XML, not weights; check what was downloaded"},
    {8, BYTES("{"), safetensors_read, NULL},
};

static imiad_status read_content(weights *w)
{
    if (w->size == 0)
        return fail(IMIAD_FORMAT, "%s: the file is empty", w->memory.owner);
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; ++i) {
        const signature *s = &signatures[i];
        if (w->size < s->offset + s->length ||
            memcmp(w->bytes + s->offset, s->bytes, s->length) != 0)
            continue;
        if (s->read)
            return s->read(w);
        return fail(IMIAD_FORMAT, "%s: this is %s", w->memory.owner, s->what);
    }
    return fail(IMIAD_FORMAT,
                "%s: neither safetensors nor a PyTorch .pth (%zu bytes, the first is 0x%02x)",
                w->memory.owner, w->size, w->bytes[0]);
}

/* ---- the handle ---- */

static void drop_shared_prefix(weights *w)
{
    static const char prefix[] = "module.";
    enum { LENGTH = sizeof prefix - 1 };
    for (size_t i = 0; i < w->count; ++i)
        if (strncmp(w->items[i].name, prefix, LENGTH) != 0)
            return;
    for (size_t i = 0; i < w->count; ++i)
        w->items[i].name += LENGTH;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const weight *const *)a)->name, (*(const weight *const *)b)->name);
}

static imiad_status index_names(weights *w)
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

static imiad_status read_all(weights *w)
{
    TRY(read_content(w));
    if (!w->checksummed)
        drop_shared_prefix(w);
    return index_names(w);
}

static imiad_status parse(weights **out, const void *bytes, size_t size, const char *name,
                          bool unverified)
{
    weights *w = calloc(1, sizeof *w);
    char *owner = strdup(name);
    if (!w || !owner) {
        free(w);
        free(owner);
        return fail_memory("a weight file", sizeof *w);
    }
    w->bytes = bytes;
    w->size = size;
    w->memory.owner = owner;
    w->unverified = unverified;
    if (__builtin_mul_overflow(size, MEMORY_FACTOR, &w->memory.allowance) ||
        __builtin_add_overflow(w->memory.allowance, MEMORY_FLOOR, &w->memory.allowance))
        w->memory.allowance = SIZE_MAX;
    imiad_status status = read_all(w);
    if (status != IMIAD_OK) {
        weights_free(w);
        return status;
    }
    *out = w;
    return IMIAD_OK;
}

imiad_status weights_parse(weights **out, const void *bytes, size_t size, const char *name)
{
    return parse(out, bytes, size, name, false);
}

static imiad_status open_file(weights **out, const char *path, bool unverified)
{
    file_view view = {NULL, 0};
    weights *w = NULL;
    TRY(file_map(&view, path));
    imiad_status status = parse(&w, view.bytes, view.size, path, unverified);
    if (status != IMIAD_OK) {
        file_unmap(&view);
        return status;
    }
    w->view = view;
    *out = w;
    return IMIAD_OK;
}

imiad_status weights_open(weights **out, const char *path)
{
    return open_file(out, path, false);
}

imiad_status weights_open_unverified(weights **out, const char *path)
{
    return open_file(out, path, true);
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
    json_decref(w->metadata);
    file_unmap(&w->view);
    free(w);
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
