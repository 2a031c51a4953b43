/* PyTorch's files: archives and legacy streams as they come, and pickles inside a sound archive. */
#include <string.h>
#include <zlib.h>

#include "../weights/pth_files.h"
#include "fuzz.h"
#include "weights_checks.h"

#define FILE_SEED(array)                                                                           \
    {                                                                                              \
        array, sizeof array                                                                        \
    }
#define PICKLE_SEED(text)                                                                          \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }
#define STORAGE                                                                                    \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                             \
    "0"                                                                                            \
    "X\3\0\0\0cpuK\2tQ"
#define UNTYPED                                                                                    \
    "(X\7\0\0\0storagectorch\nUntypedStorage\nX\1\0\0\0"                                           \
    "0"                                                                                            \
    "X\3\0\0\0cpuK\10tQ"

const fuzz_seed fuzz_seeds[] = {
    FILE_SEED(zip_every_kind),
    FILE_SEED(legacy_every_kind),
    FILE_SEED(deflated_every_kind),
    FILE_SEED(zip64_entries),
    FILE_SEED(zip_checkpoint),
    FILE_SEED(legacy_model),
    FILE_SEED(zip_list),
    PICKLE_SEED("\x80\2}X\1\0\0\0a"
                "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE "K\0K\2\x85K\1\x85\x89"
                "ccollections\nOrderedDict\n)RtRs."),
    PICKLE_SEED("\x80\2ccollections\nOrderedDict\n)Rq\0(X\1\0\0\0a"
                "ctorch._utils\n"
                "_rebuild_tensor_v3\n(" UNTYPED "K\0K\2K\1\x86K\1K\0\x86\x89}ctorch\n"
                "float32\ntRX\1\0\0\0bh\0u}X\1\0\0\0mNsb."),
    PICKLE_SEED("\x80\2ccollections\nOrderedDict\n](U\1a"
                "ctorch._utils\n_rebuild_parameter\n("
                "ctorch._utils\n_rebuild_tensor\n(" STORAGE "K\1))tR\x88}tRe\x85R."),
    PICKLE_SEED("\x80\2}(X\5\0\0\0model}X\1\0\0\0nctorch\nSize\nK\1\x85\x85RsX\1\0\0\0g"
                "](NG12345678\x8a\2\1\2J\1\2\3\4M\1\2\x87r\1\0\0\0j\1\0\0\0eu."),
    {NULL, 0},
};

static void put(uint8_t **at, const void *bytes, size_t size)
{
    memcpy(*at, bytes, size);
    *at += size;
}

static void put_number(uint8_t **at, uint64_t value, size_t bytes)
{
    put(at, &value, bytes);
}

/* A member as its local header says it, and again as the directory does. */
static void put_member(uint8_t **at, const char *name, const void *data, size_t size, bool listed,
                       size_t offset)
{
    size_t length = strlen(name);
    put(at, listed ? "PK\1\2\0\0\0\0\0\0\0\0\0\0\0\0" : "PK\3\4\0\0\0\0\0\0\0\0\0\0",
        listed ? 16 : 14);
    put_number(at, crc32_z(0, data, size), 4);
    put_number(at, size, 4);
    put_number(at, size, 4);
    put_number(at, length, 4);
    if (listed) {
        put_number(at, 0, 8);
        put_number(at, 0, 2);
        put_number(at, offset, 4);
    }
    put(at, name, length);
    if (!listed)
        put(at, data, size);
}

/* The pickle in an archive beside one storage of eight bytes. */
static void parse_pickle(const uint8_t *pickle, size_t size)
{
    static const uint8_t storage[8] = {0, 0, 0, 64, 1, 2, 3, 4};
    uint8_t *bytes = malloc(size + 300), *at = bytes;
    if (!bytes)
        abort();
    put_member(&at, "r/data.pkl", pickle, size, false, 0);
    size_t second = (size_t)(at - bytes);
    put_member(&at, "r/data/0", storage, sizeof storage, false, 0);
    size_t directory = (size_t)(at - bytes);
    put_member(&at, "r/data.pkl", pickle, size, true, 0);
    put_member(&at, "r/data/0", storage, sizeof storage, true, second);
    size_t end = (size_t)(at - bytes);
    put(&at, "PK\5\6\0\0\0\0\2\0\2\0", 12);
    put_number(&at, end - directory, 4);
    put_number(&at, directory, 4);
    put_number(&at, 0, 2);
    uint8_t *exact = realloc(bytes, (size_t)(at - bytes)); /* the sanitizer sees its end */
    if (!exact)
        abort();
    parse_and_check(exact, end + 22);
    free(exact);
}

/* Puts the checksums of stored members right, as far as the directory's entries make sense. */
static void repair_checksums(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + 46 <= size; ++at) {
        uint32_t packed, offset;
        uint16_t name, extra;
        if (memcmp(bytes + at, "PK\1\2", 4) != 0)
            continue;
        memcpy(&packed, bytes + at + 20, 4);
        memcpy(&offset, bytes + at + 42, 4);
        if (offset > size || size - offset < 30)
            continue;
        memcpy(&name, bytes + offset + 26, 2);
        memcpy(&extra, bytes + offset + 28, 2);
        size_t data = (size_t)offset + 30 + name + extra;
        if (data > size || packed > size - data)
            continue;
        uint32_t sum = (uint32_t)crc32_z(0, bytes + data, packed);
        memcpy(bytes + at + 16, &sum, 4);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0 || size > 1 << 16)
        return 0;
    parse_and_check(bytes, size);
    if (bytes[0] == 0x80)
        parse_pickle(bytes, size);
    if (bytes[0] != 'P')
        return 0;
    uint8_t *repaired = malloc(size);
    if (!repaired)
        abort();
    memcpy(repaired, bytes, size);
    repair_checksums(repaired, size);
    parse_and_check(repaired, size);
    free(repaired);
    return 0;
}
