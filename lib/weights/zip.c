/* By PKWARE's APPNOTE.TXT 6.3.x; section numbers are its. */
#include "weights/zip.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "weights/weights_file.h"

enum {
    END_BYTES = 22,     /* 4.3.16, and a comment of up to 65535 */
    END64_BYTES = 56,   /* 4.3.14 */
    LOCATOR_BYTES = 20, /* 4.3.15 */
    ENTRY_BYTES = 46,   /* 4.3.12 */
    LOCAL_BYTES = 30,   /* 4.3.7 */
    ENCRYPTED = 1,      /* flag, 4.4.4 */
    STORED = 0,         /* methods, 4.4.5 */
    DEFLATED = 8,
    EXTRA_ZIP64 = 1, /* 4.5.3 */
};

static uint64_t number(const uint8_t *at, size_t bytes) /* little endian */
{
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

static bool is_signature(const uint8_t *at, const char signature[3])
{
    return at[0] == 'P' && at[1] == 'K' && memcmp(at + 2, signature, 2) == 0;
}

static shown member_name(const zip_member *m)
{
    return show_text(m->name, m->name_length);
}

typedef struct directory {
    uint64_t offset, size, count;
} directory;

/* The end record, whose comment reaches exactly to the end of the file. */
static const uint8_t *find_end(const uint8_t *bytes, size_t size)
{
    if (size < END_BYTES)
        return NULL;
    size_t lowest = size > END_BYTES + UINT16_MAX ? size - END_BYTES - UINT16_MAX : 0;
    for (size_t at = size - END_BYTES + 1; at-- > lowest;)
        if (is_signature(bytes + at, "\5\6") && number(bytes + at + 20, 2) == size - END_BYTES - at)
            return bytes + at;
    return NULL;
}

/* The bytes behind the last end record without a comment; 0 where there is none. */
static size_t count_trailing(const uint8_t *bytes, size_t size)
{
    for (size_t at = size < END_BYTES ? 0 : size - END_BYTES + 1; at-- > 0;)
        if (is_signature(bytes + at, "\5\6") && number(bytes + at + 20, 2) == 0)
            return size - END_BYTES - at;
    return 0;
}

/* ZIP64's end record takes the plain one's place where a locator stands before that. */
static imiad_status find_directory(directory *out, const uint8_t *bytes, size_t size,
                                   const char *file)
{
    const uint8_t *end = find_end(bytes, size);
    if (!end) {
        size_t trailing = count_trailing(bytes, size);
        return trailing > 0
                   ? fail(IMIAD_FORMAT, "%s: %zu bytes follow the end of the zip archive", file,
                          trailing)
                   : fail(IMIAD_FORMAT, "%s: the zip archive has no end: it is truncated", file);
    }
    size_t end_at = (size_t)(end - bytes);
    bool one_disk = number(end + 4, 4) == 0;
    *out = (directory){number(end + 16, 4), number(end + 12, 4), number(end + 10, 2)};
    if (end_at >= LOCATOR_BYTES && is_signature(end - LOCATOR_BYTES, "\6\7")) {
        uint64_t at = number(end - LOCATOR_BYTES + 8, 8);
        end_at -= LOCATOR_BYTES;
        if (at > end_at || end_at - at < END64_BYTES || !is_signature(bytes + at, "\6\6"))
            return fail(IMIAD_FORMAT, "%s: the zip archive's ZIP64 end is not where it should be",
                        file);
        const uint8_t *end64 = bytes + at;
        end_at = (size_t)at;
        one_disk = one_disk && number(end64 + 16, 8) == 0;
        *out = (directory){number(end64 + 48, 8), number(end64 + 40, 8), number(end64 + 32, 8)};
    }
    if (!one_disk)
        return fail(IMIAD_FORMAT, "%s: a zip archive in several parts", file);
    if (out->offset > end_at || out->size > end_at - out->offset ||
        out->count > out->size / ENTRY_BYTES)
        return fail(IMIAD_FORMAT, "%s: the zip archive's directory reaches outside the file", file);
    return IMIAD_OK;
}

/* Sizes and offset that do not fit 32 bits stand in the extra field, in this order. */
static imiad_status read_extra(zip_member *m, const uint8_t *extra, size_t length, const char *file)
{
    uint64_t *const wide[] = {&m->size, &m->packed, &m->header};
    size_t needed = 0;
    for (size_t i = 0; i < 3; ++i)
        needed += *wide[i] == UINT32_MAX ? 8 : 0;
    while (needed > 0 && length >= 4) {
        uint64_t id = number(extra, 2), bytes = number(extra + 2, 2);
        if (bytes > length - 4)
            break;
        if (id == EXTRA_ZIP64 && bytes >= needed) {
            const uint8_t *at = extra + 4;
            for (size_t i = 0; i < 3; ++i) {
                if (*wide[i] == UINT32_MAX) {
                    *wide[i] = number(at, 8);
                    at += 8;
                }
            }
            return IMIAD_OK;
        }
        extra += 4 + bytes;
        length -= 4 + (size_t)bytes;
    }
    return needed == 0 ? IMIAD_OK
                       : fail(IMIAD_FORMAT, "%s: a zip member lacks its ZIP64 sizes", file);
}

static imiad_status read_entry(zip_member *out, const uint8_t **at, const uint8_t *end,
                               const char *file)
{
    const uint8_t *entry = *at;
    if (end - entry < ENTRY_BYTES || !is_signature(entry, "\1\2"))
        return fail(IMIAD_FORMAT, "%s: the zip archive's directory is damaged", file);
    size_t name = number(entry + 28, 2), extra = number(entry + 30, 2);
    size_t comment = number(entry + 32, 2), rest = (size_t)(end - entry) - ENTRY_BYTES;
    if (name + extra + comment > rest)
        return fail(IMIAD_FORMAT, "%s: the zip archive's directory is damaged", file);
    *out = (zip_member){.name = (const char *)entry + ENTRY_BYTES,
                        .name_length = name,
                        .method = (uint16_t)number(entry + 10, 2),
                        .checksum = (uint32_t)number(entry + 16, 4),
                        .packed = number(entry + 20, 4),
                        .size = number(entry + 24, 4),
                        .header = number(entry + 42, 4)};
    if (number(entry + 8, 2) & ENCRYPTED)
        return fail(IMIAD_FORMAT, "%s: zip member %s is encrypted", file, member_name(out).text);
    *at = entry + ENTRY_BYTES + name + extra + comment;
    return read_extra(out, entry + ENTRY_BYTES + name, extra, file);
}

static int compare_text(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_members(const void *a, const void *b)
{
    const zip_member *x = a, *y = b;
    return compare_text(x->name, x->name_length, y->name, y->name_length);
}

imiad_status zip_read_directory(zip_archive *out, const uint8_t *bytes, size_t size, arena *memory)
{
    const char *file = memory->owner;
    directory where = {0, 0, 0};
    TRY(find_directory(&where, bytes, size, file));
    zip_archive zip = {.bytes = bytes,
                       .size = size,
                       .directory = (size_t)where.offset,
                       .count = (size_t)where.count,
                       .memory = memory};
    TRY(arena_take(&zip.members, memory, (zip.count + 1) * sizeof *zip.members));
    const uint8_t *at = bytes + where.offset, *end = at + where.size;
    for (size_t i = 0; i < zip.count; ++i)
        TRY(read_entry(&zip.members[i], &at, end, file));
    if (at != end)
        return fail(IMIAD_FORMAT, "%s: the zip archive's directory has more than its %zu members",
                    file, zip.count);
    qsort(zip.members, zip.count, sizeof *zip.members, compare_members);
    for (size_t i = 1; i < zip.count; ++i)
        if (compare_members(&zip.members[i - 1], &zip.members[i]) == 0)
            return fail(IMIAD_FORMAT, "%s: two zip members are named %s", file,
                        member_name(&zip.members[i]).text);
    *out = zip;
    return IMIAD_OK;
}

zip_member *zip_find(const zip_archive *zip, const char *prefix, size_t prefix_length,
                     const char *name, size_t name_length)
{
    size_t low = 0, high = zip->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const zip_member *m = &zip->members[middle];
        size_t head = m->name_length < prefix_length ? m->name_length : prefix_length;
        int order = compare_text(m->name, head, prefix, prefix_length);
        if (order == 0)
            order = compare_text(m->name + head, m->name_length - head, name, name_length);
        if (order == 0)
            return &zip->members[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* The member's packed bytes: its local header must be there and carry the same name. */
static imiad_status locate(const uint8_t **out, const zip_archive *zip, const zip_member *m)
{
    const size_t end = zip->directory;
    size_t data = 0;
    bool found = m->header <= end && end - m->header >= LOCAL_BYTES;
    if (found) {
        const uint8_t *local = zip->bytes + m->header;
        size_t room = end - (size_t)m->header - LOCAL_BYTES;
        size_t name = number(local + 26, 2), extra = number(local + 28, 2);
        data = (size_t)m->header + LOCAL_BYTES + name + extra;
        found = is_signature(local, "\3\4") && name == m->name_length && name + extra <= room &&
                memcmp(local + LOCAL_BYTES, m->name, name) == 0 && m->packed <= end - data;
    }
    if (!found)
        return fail(IMIAD_FORMAT, "%s: zip member %s is not where the directory says",
                    zip->memory->owner, member_name(m).text);
    *out = zip->bytes + data;
    return IMIAD_OK;
}

/* Exactly `size` bytes must come out, and all of the input go in. */
static bool inflate_all(uint8_t *out, uint64_t size, const uint8_t *in, uint64_t packed)
{
    enum { PIECE = 1 << 30 }; /* zlib counts in 32 bits */
    z_stream stream = {.next_in = (Bytef *)in, .next_out = out};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return false;
    int result = Z_OK;
    do {
        if (stream.avail_in == 0) {
            stream.avail_in = packed < PIECE ? (uInt)packed : PIECE;
            packed -= stream.avail_in;
        }
        if (stream.avail_out == 0) {
            stream.avail_out = size < PIECE ? (uInt)size : PIECE;
            size -= stream.avail_out;
        }
        result = inflate(&stream, Z_NO_FLUSH);
    } while (result == Z_OK);
    inflateEnd(&stream);
    return result == Z_STREAM_END && packed + stream.avail_in == 0 && size + stream.avail_out == 0;
}

imiad_status zip_read_member(const uint8_t **out, const zip_archive *zip, zip_member *m)
{
    const char *file = zip->memory->owner;
    if (!m->data) {
        const uint8_t *data = NULL;
        uint8_t *unpacked;
        TRY(locate(&data, zip, m));
        if (m->method == DEFLATED) {
            TRY(arena_take(&unpacked, zip->memory, m->size));
            if (!inflate_all(unpacked, m->size, data, m->packed))
                return fail(IMIAD_FORMAT, "%s: zip member %s does not unpack to %" PRIu64 " bytes",
                            file, member_name(m).text, m->size);
            data = unpacked;
        } else if (m->method != STORED) {
            return fail(IMIAD_FORMAT, "%s: zip member %s is packed by method %d, which is not read",
                        file, member_name(m).text, m->method);
        } else if (m->packed != m->size) {
            return fail(IMIAD_FORMAT,
                        "%s: zip member %s is stored, but in %" PRIu64 " bytes, not %" PRIu64, file,
                        member_name(m).text, m->packed, m->size);
        }
        if (crc32_z(0, data, m->size) != m->checksum)
            return fail(IMIAD_FORMAT, "%s: zip member %s is damaged: its CRC-32 is wrong", file,
                        member_name(m).text);
        m->data = data;
    }
    *out = m->data;
    return IMIAD_OK;
}
