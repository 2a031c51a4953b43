/* Reading safetensors: eight bytes of header length, a JSON header, the data. The rules are those
 * of the reference implementation: at most 100 MB of header; every tensor's range is exactly as
 * long as its shape and type say; ranges cover the data without holes or overlap. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "base/json_error.h"
#include "base/limits.h"
#include "weights/weights_file.h"

enum { LENGTH_BYTES = 8 };

static const char *const type_names[] = {
    [F32] = "F32", [F64] = "F64", [F16] = "F16", [BF16] = "BF16",
    [I64] = "I64", [I32] = "I32", [U8] = "U8",   [BOOL] = "BOOL"};

const char *safetensors_type_name(dtype type)
{
    return type_names[type];
}

static bool find_type(dtype *out, const char *name)
{
    for (size_t i = 1; i < sizeof type_names / sizeof *type_names; ++i) {
        if (strcmp(type_names[i], name) == 0) {
            *out = (dtype)i;
            return true;
        }
    }
    return false;
}

typedef struct entry {
    const char *name; /* of the header */
    weight_layout layout;
    size_t bytes;
    uint64_t begin, end; /* of the data */
} entry;

static imiad_status read_shape(weight_layout *layout, const json_t *shape, const char *file,
                               const char *name)
{
    if (!json_is_array(shape) || json_array_size(shape) > WEIGHT_RANK)
        return fail(IMIAD_FORMAT, "%s: tensor %s has no shape of at most %d dimensions", file, name,
                    WEIGHT_RANK);
    layout->rank = (int)json_array_size(shape);
    for (int d = 0; d < layout->rank; ++d) {
        const json_t *size = json_array_get(shape, (size_t)d);
        if (!json_is_integer(size))
            return fail(IMIAD_FORMAT, "%s: tensor %s has a size that is no whole number", file,
                        name);
        layout->shape[d] = json_integer_value(size);
    }
    return IMIAD_OK;
}

static imiad_status read_entry(entry *out, const char *full_name, const json_t *value,
                               const char *file)
{
    const shown short_name = show_text(full_name, strlen(full_name));
    const char *name = short_name.text;
    const json_t *offsets = json_object_get(value, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    const char *type = json_string_value(json_object_get(value, "dtype"));
    if (!type)
        return fail(IMIAD_FORMAT, "%s: tensor %s has no dtype", file, name);
    entry e = {.name = full_name};
    if (!find_type(&e.layout.type, type))
        return fail(IMIAD_FORMAT, "%s: tensor %s is of dtype %s, which this library does not read",
                    file, name, show_text(type, strlen(type)).text);
    TRY(read_shape(&e.layout, json_object_get(value, "shape"), file, name));
    TRY(layout_contiguous(&e.layout, &e.bytes, file, name));
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return fail(IMIAD_FORMAT, "%s: tensor %s has no data_offsets of begin and end", file, name);
    e.begin = (uint64_t)json_integer_value(begin);
    e.end = (uint64_t)json_integer_value(end);
    if (e.end - e.begin != e.bytes)
        return fail(IMIAD_FORMAT,
                    "%s: tensor %s needs %zu bytes by its shape, but its range has %" PRIu64, file,
                    name, e.bytes, e.end - e.begin);
    *out = e;
    return IMIAD_OK;
}

static int compare_ranges(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) /* empty tensors before the one that begins where they stand */
        return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

static imiad_status add_entries(weights *w, entry *entries, size_t count, const uint8_t *data,
                                size_t size)
{
    const char *file = w->memory.owner;
    uint64_t position = 0;
    qsort(entries, count, sizeof *entries, compare_ranges);
    for (size_t i = 0; i < count; ++i) {
        const entry *e = &entries[i];
        const shown name = show_text(e->name, strlen(e->name));
        if (e->begin != position)
            return fail(IMIAD_FORMAT, "%s: tensor %s %s the one before it", file, name.text,
                        e->begin < position ? "overlaps" : "leaves a hole after");
        if (e->end > size)
            return fail(IMIAD_FORMAT,
                        "%s: tensor %s ends at byte %" PRIu64 " of %zu: the file is truncated",
                        file, name.text, e->end, size);
        TRY(weights_add(w, e->name, strlen(e->name), &e->layout, data + e->begin, e->bytes));
        position = e->end;
    }
    if (position != size)
        return fail(IMIAD_FORMAT, "%s: %" PRIu64 " bytes follow the last tensor", file,
                    size - position);
    return IMIAD_OK;
}

static imiad_status read_metadata(weights *w, json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return fail(IMIAD_FORMAT, "%s: __metadata__ is not an object", w->memory.owner);
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return fail(IMIAD_FORMAT, "%s: __metadata__ %s is not a string", w->memory.owner,
                        show_text(key, strlen(key)).text);
    }
    w->metadata = json_incref(metadata);
    return IMIAD_OK;
}

static imiad_status read_header(weights *w, json_t *header, const uint8_t *data, size_t size)
{
    const char *file = w->memory.owner, *name;
    json_t *value;
    if (!json_is_object(header))
        return fail(IMIAD_FORMAT, "%s: the header is not a JSON object", file);
    size_t count = 0, room = json_object_size(header);
    entry *entries = malloc((room + 1) * sizeof *entries);
    if (!entries)
        return fail_memory("a list of tensors", room * sizeof *entries);
    imiad_status status = IMIAD_OK;
    json_object_foreach(header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0)
            status = read_metadata(w, value);
        else
            status = read_entry(&entries[count++], name, value, file);
        if (status != IMIAD_OK)
            break;
    }
    if (status == IMIAD_OK && !weights_metadata(w, CHECKSUM_KEY)) /* which is over these bytes */
        data = weights_align(w, data, size);
    if (status == IMIAD_OK)
        status = add_entries(w, entries, count, data, size);
    free(entries);
    return status;
}

/* The checksum of weights_writer, where the metadata has one. Its digits stand at a fixed place. */
static imiad_status check_sum(weights *w)
{
    static const char before[] = CHECKSUM_BEFORE;
    enum { BEFORE = sizeof before - 1, DIGITS = sizeof CHECKSUM_ZEROS - 1 };
    const char *stored = weights_metadata(w, CHECKSUM_KEY);
    if (!stored)
        return IMIAD_OK;
    if (strlen(stored) != DIGITS || w->size < LENGTH_BYTES + BEFORE + DIGITS ||
        memcmp(w->bytes + LENGTH_BYTES, before, BEFORE) != 0)
        return fail(IMIAD_FORMAT,
                    "%s: its %s does not stand where it was written: the file is damaged, or was "
                    "rewritten by another program, which must leave that key out",
                    w->memory.owner, CHECKSUM_KEY);
    const size_t position = LENGTH_BYTES + BEFORE, after = position + DIGITS;
    uLong sum = crc32_z(0, w->bytes, position);
    sum = crc32_z(sum, (const Bytef *)CHECKSUM_ZEROS, DIGITS);
    sum = crc32_z(sum, w->bytes + after, w->size - after);
    char computed[DIGITS + 1];
    snprintf(computed, sizeof computed, "%08lx", sum);
    if (memcmp(w->bytes + position, computed, DIGITS) != 0)
        return fail(IMIAD_FORMAT, "%s: the file is damaged: its checksum is %s, not %s",
                    w->memory.owner, computed, show_text(stored, strlen(stored)).text);
    w->checksummed = true;
    return IMIAD_OK;
}

imiad_status safetensors_read(weights *w)
{
    const char *file = w->memory.owner;
    uint64_t length;
    memcpy(&length, w->bytes, sizeof length); /* the signature has shown that there is more */
    if (length > SAFETENSORS_HEADER_LIMIT)
        return fail(IMIAD_FORMAT,
                    "%s: a header of %" PRIu64 " bytes is more than the format allows", file,
                    length);
    if (length > w->size - LENGTH_BYTES)
        return fail(IMIAD_FORMAT, "%s: the header of %" PRIu64 " bytes is truncated", file, length);
    if (length > limit_header_bytes())
        return fail(IMIAD_FORMAT,
                    "%s: a header of %" PRIu64 " bytes; at most %" PRIu64
                    " are read (imiad_set_limits)",
                    file, length, limit_header_bytes());
    json_error_t error;
    json_t *header;
    imiad_status parsed =
        json_read(&header, w->bytes + LENGTH_BYTES, length, JSON_REJECT_DUPLICATES, &error, file);
    if (parsed == IMIAD_NO_MEMORY)
        return parsed;
    if (parsed != IMIAD_OK)
        return fail(IMIAD_FORMAT, "%s: the header, byte %d: %s", file, error.position, error.text);
    const size_t data = LENGTH_BYTES + (size_t)length;
    imiad_status status = read_header(w, header, w->bytes + data, w->size - data);
    json_decref(header);
    return status == IMIAD_OK && !w->unverified ? check_sum(w) : status;
}
