/* Writing safetensors. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/arrays.h"
#include "base/error.h"
#include "base/file_writer.h"
#include "weights/weights_file.h"

typedef struct item {
    char *name;
    weight_layout layout;
    size_t bytes, order;
    const void *data;
} item;

struct weights_writer {
    item *items;
    size_t count, room;
    json_t *names; /* a set: what was added */
    json_t *metadata;
};

imiad_status weights_writer_create(weights_writer **out)
{
    weights_writer *w = calloc(1, sizeof *w);
    if (w) {
        w->names = json_object();
        w->metadata = json_object(); /* keeps the order of setting: the checksum stays first */
    }
    if (!w || !w->names ||
        json_object_set_new(w->metadata, CHECKSUM_KEY, json_string(CHECKSUM_ZEROS)) != 0) {
        weights_writer_free(w);
        return fail_memory("a weight file", sizeof *w);
    }
    *out = w;
    return IMIAD_OK;
}

uint64_t weights_writer_bytes(const weights_writer *w)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < w->count; ++i)
        sum += w->items[i].bytes;
    return sum;
}

void weights_writer_free(weights_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->count; ++i)
        free(w->items[i].name);
    free(w->items);
    json_decref(w->names);
    json_decref(w->metadata);
    free(w);
}

imiad_status weights_writer_metadata(weights_writer *w, const char *key, const char *value)
{
    if (!text_is_utf8(key, strlen(key)) || !text_is_utf8(value, strlen(value)))
        return fail(IMIAD_INVALID_ARGUMENT, "weight file metadata %s is not UTF-8", key);
    if (strcmp(key, CHECKSUM_KEY) == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "weight file metadata %s is set by the writer", key);
    if (json_object_set_new(w->metadata, key, json_string(value)) != 0)
        return fail_memory("weight file metadata", strlen(value));
    return IMIAD_OK;
}

static imiad_status check_name(const weights_writer *w, const char *name)
{
    if (!text_is_utf8(name, strlen(name)) || strcmp(name, "__metadata__") == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "a tensor cannot be named \"%s\"", name);
    if (json_object_get(w->names, name))
        return fail(IMIAD_INVALID_ARGUMENT, "two tensors of one file are named %s", name);
    return IMIAD_OK;
}

imiad_status weights_writer_add(weights_writer *w, const char *name, dtype type, int rank,
                                const int64_t *shape, const void *data)
{
    item new = {.layout = {.type = type, .rank = rank}, .order = w->count, .data = data};
    TRY(check_name(w, name));
    if (dtype_bytes(type) == 0 || rank < 0 || rank > WEIGHT_RANK)
        return fail(IMIAD_INVALID_ARGUMENT, "tensor %s: no such type or rank (%d, %d)", name,
                    (int)type, rank);
    if (rank > 0)
        memcpy(new.layout.shape, shape, (size_t)rank * sizeof *shape);
    if (layout_contiguous(&new.layout, &new.bytes, "a new weight file", name) != IMIAD_OK)
        return IMIAD_INVALID_ARGUMENT; /* with the message that stands */
    if (!data && new.bytes > 0)
        return fail(IMIAD_INVALID_ARGUMENT, "tensor %s has no data", name);
    TRY(array_reserve(&w->items, w->count, &w->room, sizeof *w->items, "a list of tensors"));
    new.name = strdup(name);
    if (!new.name || json_object_set_new(w->names, name, json_true()) != 0) {
        free(new.name);
        return fail_memory("a tensor's name", strlen(name));
    }
    w->items[w->count++] = new;
    return IMIAD_OK;
}

/* Falling element size keeps every array aligned behind the header's multiple of eight. */
static int compare_items(const void *a, const void *b)
{
    const item *x = a, *y = b;
    size_t bytes_x = dtype_bytes(x->layout.type), bytes_y = dtype_bytes(y->layout.type);
    if (bytes_x != bytes_y)
        return bytes_x > bytes_y ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static imiad_status add_to_header(json_t *header, const item *i, uint64_t begin)
{
    json_t *shape = json_array();
    for (int d = 0; d < i->layout.rank; ++d)
        json_array_append_new(shape, json_integer(i->layout.shape[d]));
    json_t *value =
        json_pack("{s:s, s:o, s:[I, I]}", "dtype", safetensors_type_name(i->layout.type), "shape",
                  shape, "data_offsets", (json_int_t)begin, (json_int_t)(begin + i->bytes));
    if (json_object_set_new(header, i->name, value) != 0)
        return fail_memory("a weight file's header", sizeof *i);
    return IMIAD_OK;
}

/* The header's text, padded with spaces to a multiple of eight. */
static imiad_status make_header(char **out, size_t *out_length, const weights_writer *w)
{
    json_t *header = json_object();
    uint64_t position = 0;
    imiad_status status = IMIAD_OK;
    if (json_object_set(header, "__metadata__", w->metadata) != 0)
        status = fail_memory("a weight file's header", 1);
    for (size_t i = 0; status == IMIAD_OK && i < w->count; ++i) {
        status = add_to_header(header, &w->items[i], position);
        if (__builtin_add_overflow(position, w->items[i].bytes, &position) || position > INT64_MAX)
            status = fail(IMIAD_INVALID_ARGUMENT, "a weight file cannot hold so much");
    }
    char *text = status == IMIAD_OK ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    TRY(status);
    size_t length = text ? strlen(text) : 0, padded = (length + 7) / 8 * 8;
    char *grown = text ? realloc(text, padded + 1) : NULL;
    if (!grown) {
        free(text);
        return fail_memory("a weight file's header", padded + 1);
    }
    memset(grown + length, ' ', padded - length);
    *out = grown;
    *out_length = padded;
    return IMIAD_OK;
}

static void put_checksum(char *header, uint64_t length, const weights_writer *w)
{
    uLong sum = crc32_z(0, (const Bytef *)&length, sizeof length);
    sum = crc32_z(sum, (const Bytef *)header, length);
    for (size_t i = 0; i < w->count; ++i)
        if (w->items[i].bytes > 0)
            sum = crc32_z(sum, w->items[i].data, w->items[i].bytes);
    char digits[sizeof CHECKSUM_ZEROS];
    snprintf(digits, sizeof digits, "%08lx", sum);
    memcpy(header + sizeof CHECKSUM_BEFORE - 1, digits, sizeof digits - 1);
}

static imiad_status write_file(const char *path, const char *header, uint64_t length,
                               const weights_writer *w)
{
    file_writer file;
    TRY(file_write_begin(&file, path));
    bool written = fwrite(&length, sizeof length, 1, file.stream) == 1 &&
                   fwrite(header, 1, length, file.stream) == length;
    for (size_t i = 0; written && i < w->count; ++i)
        if (w->items[i].bytes > 0)
            written = fwrite(w->items[i].data, w->items[i].bytes, 1, file.stream) == 1;
    if (written)
        return file_write_commit_to_disk(&file);
    imiad_status status = fail(IMIAD_IO, "cannot write %s: %m", path);
    file_write_abandon(&file);
    return status;
}

imiad_status weights_writer_commit(weights_writer *w, const char *path)
{
    char *header = NULL;
    size_t length = 0;
    if (w->count > 0)
        qsort(w->items, w->count, sizeof *w->items, compare_items);
    TRY(make_header(&header, &length, w));
    imiad_status status;
    if (length > SAFETENSORS_HEADER_LIMIT) {
        status =
            fail(IMIAD_INVALID_ARGUMENT, "cannot write %s: its header would be too large", path);
    } else {
        put_checksum(header, length, w);
        status = write_file(path, header, length, w);
    }
    free(header);
    return status;
}
