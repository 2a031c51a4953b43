/* NumPy's archives: the arrays' own bytes, inside an archive that is sound. */
#include <string.h>
#include <zlib.h>

#include "fuzz.h"
#include "weights_checks.h"

#define HEADER(length, text) "\x93NUMPY\1\0" length "\0" text
#define SEED_OF(text)                                                                              \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

const fuzz_seed fuzz_seeds[] = {
    SEED_OF(HEADER(
        "\x42",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }      \n") "1234567812345678123"
                                                                               "45678"),
    SEED_OF(HEADER(
        "\x40",
        "{'descr': '<f8', 'fortran_order': True, 'shape': (1, 2), }     \n") "1234567812345678"),
    SEED_OF(HEADER("\x3b", "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), } \n") "123"),
    SEED_OF(
        HEADER("\x39", "{'descr': '<i8', 'fortran_order': False, 'shape': ()}\n   ") "12345678"),
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

static void put_member(uint8_t **at, const uint8_t *data, size_t size, bool listed)
{
    put(at, listed ? "PK\1\2\0\0\0\0\0\0\0\0\0\0\0\0" : "PK\3\4\0\0\0\0\0\0\0\0\0\0",
        listed ? 16 : 14);
    put_number(at, crc32_z(0, data, size), 4);
    put_number(at, size, 4);
    put_number(at, size, 4);
    put_number(at, 5, 4);
    if (listed) {
        put_number(at, 0, 8);
        put_number(at, 0, 2);
        put_number(at, 0, 4);
    }
    put(at, "a.npy", 5);
    if (!listed)
        put(at, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0 || size > 1 << 16)
        return 0;
    uint8_t *archive = malloc(size + 200), *at = archive;
    if (!archive)
        abort();
    put_member(&at, bytes, size, false);
    size_t directory = (size_t)(at - archive);
    put_member(&at, bytes, size, true);
    size_t end = (size_t)(at - archive);
    put(&at, "PK\5\6\0\0\0\0\1\0\1\0", 12);
    put_number(&at, end - directory, 4);
    put_number(&at, directory, 4);
    put_number(&at, 0, 2);
    uint8_t *exact = realloc(archive, (size_t)(at - archive)); /* the sanitizer sees its end */
    if (!exact)
        abort();
    parse_and_check(exact, end + 22);
    free(exact);
    return 0;
}
