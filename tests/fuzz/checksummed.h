/* What targets for safetensors files of ours share: a checksum in the header. */
#ifndef TESTS_FUZZ_CHECKSUMMED_H
#define TESTS_FUZZ_CHECKSUMMED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "fuzz.h"

/* A length of less than 256 and a header, then the data. */
#define SEED(length, header, data)                                                                 \
    {                                                                                              \
        length "\0\0\0\0\0\0\0" header data, sizeof(header data) + 7                               \
    }
#define CHECKSUMMED "{\"__metadata__\":{\"imiad.crc32\":\""

static inline void repair_checksum(uint8_t *bytes, size_t size)
{
    const size_t at = 8 + sizeof CHECKSUMMED - 1;
    char digits[9] = "00000000";
    if (size < at + 8 || memcmp(bytes + 8, CHECKSUMMED, sizeof CHECKSUMMED - 1) != 0)
        return;
    memcpy(bytes + at, digits, 8);
    snprintf(digits, sizeof digits, "%08lx", crc32_z(0, bytes, size));
    memcpy(bytes + at, digits, 8);
}

/* A changed file of our own fails at its checksum: with that put right, what lies behind is
 * reached. */
static inline void try_repaired_too(const uint8_t *bytes, size_t size,
                                    void (*try)(const uint8_t *bytes, size_t size))
{
    try(bytes, size);
    uint8_t *repaired = malloc(size + 1);
    if (!repaired)
        abort();
    memcpy(repaired, bytes, size);
    repair_checksum(repaired, size);
    try(repaired, size);
    free(repaired);
}

#endif
