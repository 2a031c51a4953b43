/* Putting .pth files together byte by byte: pickles by the opcodes of Python's pickletools,
 * archives by PKWARE's APPNOTE. */
#ifndef TESTS_BUILD_PTH_H
#define TESTS_BUILD_PTH_H

#include <string.h>
#include <zlib.h>

#include "check_suite.h"
#include "weights/weights.h"

typedef struct builder {
    uint8_t bytes[1 << 18];
    size_t size;
} builder;

static builder made; /* tests run in processes of their own */

static void put(const void *bytes, size_t size)
{
    ck_assert_uint_le(made.size + size, sizeof made.bytes);
    memcpy(made.bytes + made.size, bytes, size);
    made.size += size;
}

static void put_number(uint64_t value, size_t bytes)
{
    put(&value, bytes);
}

typedef struct member {
    const char *name;
    const void *data;
    uint32_t size, packed, checksum, offset;
    uint16_t method, flags;
} member;

static member member_of(const char *name, const void *data, size_t size)
{
    return (member){.name = name,
                    .data = data,
                    .size = (uint32_t)size,
                    .packed = (uint32_t)size,
                    .checksum = (uint32_t)crc32(0, data, (uInt)size)};
}

static void put_entry(const member *m, bool in_directory)
{
    put(in_directory ? "PK\1\2\0\0" : "PK\3\4", in_directory ? 6 : 4);
    put_number(20, 2);
    put_number(m->flags, 2);
    put_number(m->method, 2);
    put_number(0, 4);
    put_number(m->checksum, 4);
    put_number(m->packed, 4);
    put_number(m->size, 4);
    put_number(strlen(m->name), 2);
    put_number(0, 2);
    if (in_directory) {
        put_number(0, 6);
        put_number(0, 4);
        put_number(m->offset, 4);
    }
    put(m->name, strlen(m->name));
}

static void put_end(size_t directory, size_t count)
{
    size_t size = made.size - directory;
    put("PK\5\6\0\0\0\0", 8);
    put_number(count, 2);
    put_number(count, 2);
    put_number(size, 4);
    put_number(directory, 4);
    put_number(0, 2);
}

static void make_zip(member *members, size_t count)
{
    made.size = 0;
    for (size_t i = 0; i < count; ++i) {
        members[i].offset = (uint32_t)made.size;
        put_entry(&members[i], false);
        put(members[i].data, members[i].packed);
    }
    size_t directory = made.size;
    for (size_t i = 0; i < count; ++i)
        put_entry(&members[i], true);
    put_end(directory, count);
}

static const float numbers[2] = {1.5f, -2};

/* What was made, from an allocation of exactly its size. */
static imiad_status parse_made(weights **out, uint8_t **copy)
{
    *copy = malloc(made.size);
    memcpy(*copy, made.bytes, made.size);
    return weights_parse(out, *copy, made.size, "made");
}

static void refuse_made(const char *message)
{
    uint8_t *copy;
    weights *w = NULL;
    ck_fails(parse_made(&w, &copy), IMIAD_FORMAT, message);
    ck_assert_ptr_null(w);
    free(copy);
}

static void accept_made(size_t count)
{
    uint8_t *copy;
    weights *w = NULL;
    ck_ok(parse_made(&w, &copy));
    ck_assert_uint_eq(weights_count(w), count);
    const weight *a = weights_find(w, "a");
    ck_assert_ptr_nonnull(a);
    ck_assert_mem_eq(a->data, numbers, a->bytes);
    weights_free(w);
    free(copy);
}

/* ---- pieces of pickles ---- */

#define TEXT(size, text) "X" size "\0\0\0" text
#define STORAGE_OF(type, key, count)                                                               \
    "(" TEXT("\7", "storage") type TEXT("\1", key) TEXT("\3", "cpu") count "tQ"
#define STORAGE STORAGE_OF("ctorch\nFloatStorage\n", "0", "K\2")
#define TENSOR(storage, offset, size, stride)                                                      \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage offset size stride "\x89})"                     \
    "tR"
#define GOOD_TENSOR                       TENSOR(STORAGE, "K\0", "K\2\x85", "K\1\x85")
#define HOLDING(value)                    "\x80\2}" TEXT("\1", "a") value "s."
#define WITH_STORAGE(storage)             HOLDING(TENSOR(storage, "K\0", "K\2\x85", "K\1\x85"))
#define WITH_LAYOUT(offset, size, stride) HOLDING(TENSOR(STORAGE, offset, size, stride))
#define MINUS_1                           "J\xff\xff\xff\xff"
#define HUGE_62                           "\x8a\x08\0\0\0\0\0\0\0\x40"
#define CASE(pickle, message)                                                                      \
    {                                                                                              \
        pickle, sizeof pickle - 1, message                                                         \
    }

typedef struct pickle_case {
    const char *pickle;
    size_t size;
    const char *message;
} pickle_case;

#define COUNT_OF(table) ((int)(sizeof table / sizeof *table))

#endif
