/* NumPy's archives, in which Google's JAX programs keep weights: a zip of NAME.npy, each a header
 * (a Python dict in a fixed form) and the numbers. Arrays of objects are never read. */
#include "weights/npz.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { MAGIC_BYTES = 8 }; /* "\x93NUMPY" and the version */
#define SUFFIX ".npy"

/* What is left of a header's text. */
typedef struct header_text {
    const char *at, *end;
} header_text;

static void skip_spaces(header_text *h)
{
    while (h->at < h->end && isspace((unsigned char)*h->at))
        ++h->at;
}

static bool take(header_text *h, const char *text)
{
    skip_spaces(h);
    size_t length = strlen(text);
    if ((size_t)(h->end - h->at) < length || memcmp(h->at, text, length) != 0)
        return false;
    h->at += length;
    return true;
}

/* Little endian, or of one byte. */
static bool take_type(header_text *h, dtype *out)
{
    static const struct {
        const char *text;
        dtype type;
    } types[] = {{"'<f4'", F32}, {"'<f8'", F64}, {"'<f2'", F16}, {"'<i8'", I64},
                 {"'<i4'", I32}, {"'|u1'", U8},  {"'|b1'", BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof *types; ++i)
        if (take(h, types[i].text)) {
            *out = types[i].type;
            return true;
        }
    return false;
}

static bool take_size(header_text *h, int64_t *out)
{
    skip_spaces(h);
    int64_t value = 0;
    const char *first = h->at;
    for (; h->at < h->end && isdigit((unsigned char)*h->at); ++h->at)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *h->at - '0', &value))
            return false;
    *out = value;
    return h->at > first;
}

static bool take_shape(header_text *h, weight_layout *layout)
{
    if (!take(h, "("))
        return false;
    for (layout->rank = 0; !take(h, ")"); ++layout->rank)
        if (layout->rank == WEIGHT_RANK || !take_size(h, &layout->shape[layout->rank]) ||
            (!take(h, ",") && !(h->at < h->end && *h->at == ')')))
            return false;
    return true;
}

/* {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } and spaces: NumPy sorts the keys. */
static imiad_status read_header(weight_layout *out, bool *columns_first, header_text h,
                                const char *file, const char *name)
{
    header_text type = h;
    bool found = take(&type, "{") && take(&type, "'descr'") && take(&type, ":");
    skip_spaces(&type);
    h = type;
    if (found && !take_type(&h, &out->type)) {
        const char *comma = memchr(type.at, ',', (size_t)(type.end - type.at));
        const shown text = show_text(type.at, (size_t)((comma ? comma : type.end) - type.at));
        return fail(IMIAD_FORMAT, "%s: array %s is of type %s, which this library does not read",
                    file, name, text.text);
    }
    found = found && take(&h, ",") && take(&h, "'fortran_order'") && take(&h, ":");
    *columns_first = found && take(&h, "True");
    if (!found || !(*columns_first || take(&h, "False")) || !take(&h, ",") ||
        !take(&h, "'shape'") || !take(&h, ":") || !take_shape(&h, out))
        return fail(IMIAD_FORMAT, "%s: the header of array %s is damaged", file, name);
    return IMIAD_OK;
}

/* Columns first: the first dimension's elements are neighbours. */
static void turn(weight_layout *layout)
{
    int64_t stride = 1;
    for (int d = 0; d < layout->rank; ++d) {
        layout->stride[d] = stride;
        if (__builtin_mul_overflow(stride, layout->shape[d], &stride))
            stride = INT64_MAX; /* the array was too large before: its size is checked */
    }
}

static imiad_status add_array(weights *w, const char *name, size_t length, const uint8_t *bytes,
                              size_t size)
{
    const char *file = w->memory.owner;
    const shown text = show_text(name, length);
    if (size < MAGIC_BYTES + 2 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return fail(IMIAD_FORMAT, "%s: member %s is no NumPy array", file, text.text);
    size_t width = bytes[6] == 1 ? 2 : 4, header = 0, begin = MAGIC_BYTES + width;
    if (begin > size)
        return fail(IMIAD_FORMAT, "%s: array %s is truncated", file, text.text);
    memcpy(&header, bytes + MAGIC_BYTES, width);
    if (header > size - begin)
        return fail(IMIAD_FORMAT, "%s: array %s is truncated", file, text.text);
    weight_layout layout = {.type = 0};
    bool columns_first = false;
    size_t needed;
    const header_text h = {(const char *)bytes + begin, (const char *)bytes + begin + header};
    TRY(read_header(&layout, &columns_first, h, file, text.text));
    TRY(layout_contiguous(&layout, &needed, file, text.text));
    size_t left = size - begin - header;
    if (needed > left)
        return fail(IMIAD_FORMAT, "%s: array %s needs %zu bytes by its shape, but has %zu", file,
                    text.text, needed, left);
    if (needed < left)
        return fail(IMIAD_FORMAT, "%s: %zu bytes follow array %s", file, left - needed, text.text);
    if (columns_first)
        turn(&layout);
    const uint8_t *data = weights_align(w, bytes + begin + header, left); /* over the header */
    return weights_add(w, name, length, &layout, data, left);
}

static bool is_array(const zip_member *m)
{
    enum { LENGTH = sizeof SUFFIX - 1 };
    return m->name_length > LENGTH &&
           memcmp(m->name + m->name_length - LENGTH, SUFFIX, LENGTH) == 0;
}

bool npz_is(const zip_archive *zip)
{
    for (size_t i = 0; i < zip->count; ++i)
        if (!is_array(&zip->members[i]))
            return false;
    return zip->count > 0;
}

imiad_status npz_read(weights *w, const zip_archive *zip)
{
    for (size_t i = 0; i < zip->count; ++i) {
        zip_member *m = &zip->members[i];
        const uint8_t *bytes;
        TRY(zip_read_member(&bytes, zip, m));
        TRY(add_array(w, m->name, m->name_length - (sizeof SUFFIX - 1), bytes, (size_t)m->size));
    }
    return IMIAD_OK;
}
