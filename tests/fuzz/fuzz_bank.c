/* Bank files: whatever the bytes, loading and mapping end, and what they give can be searched,
 * thinned and saved. What is mapped without verification may hold any numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bank/coreset.h"
#include "checksummed.h"

#define METADATA CHECKSUMMED "00000000\",\"imiad.kind\":\"bank 1\"},"

const fuzz_seed fuzz_seeds[] = {
    SEED("\x80",
         METADATA "\"bank\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]}}    ",
         "\0\0\x80?\0\0\0@\0\0@@\0\0\x80@\0\0\xa0@\0\0\xc0@"),
    SEED("\xc0",
         METADATA "\"bank.sources\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},"
                  "\"bank\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[16,28]}} ",
         "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\x80?\0@@@\x80@\xa0@\xc0@"),
    SEED("\x80",
         METADATA "\"bank\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]}}    ",
         "\0<\0@\0B\0D\0E\0F"),
    {NULL, 0},
};

static void check_picks(const imiad_bank *bank)
{
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    int64_t picks[2];
    o.rows = imiad_bank_rows(bank) > 1 ? 2 : 1;
    o.projection = 0;
    for (o.exact = 0; o.exact < 2; ++o.exact)
        if (imiad_bank_select(picks, bank, &o, NULL, NULL) == IMIAD_OK)
            for (int64_t i = 0; i < o.rows; ++i)
                if (picks[i] < 0 || picks[i] >= imiad_bank_rows(bank))
                    abort();
}

static void check_search(const imiad_bank *bank)
{
    enum { QUERIES = 16 };
    const size_t columns = (size_t)imiad_bank_dimension(bank);
    float *queries = calloc(QUERIES * columns, sizeof *queries), distances[QUERIES];
    int64_t found[QUERIES];
    if (!queries || imiad_bank_search(distances, found, bank, queries, QUERIES, 1) != IMIAD_OK)
        abort();
    for (int i = 0; i < QUERIES; ++i)
        if (found[i] < 0 || found[i] >= imiad_bank_rows(bank))
            abort();
    free(queries);
}

static void use(imiad_bank *bank)
{
    char digest[65], again[65];
    if (imiad_bank_rows(bank) > 0 && imiad_bank_dimension(bank) < 1 << 16) {
        check_search(bank);
        check_picks(bank);
    }
    if (imiad_bank_digest(digest, bank) != IMIAD_OK)
        abort();
    int64_t rows = imiad_bank_rows(bank), gone = 0;
    const int64_t *sources = imiad_bank_sources(bank);
    if (rows > 0 && imiad_bank_forget(bank, sources ? sources[0] : 1, &gone) != IMIAD_OK)
        abort();
    if (imiad_bank_rows(bank) != rows - gone || imiad_bank_digest(again, bank) != IMIAD_OK ||
        (gone > 0) != (strcmp(digest, again) != 0))
        abort();
}

static void try_file(const uint8_t *bytes, size_t size)
{
    char path[64];
    int file = memfd_create("bank", MFD_CLOEXEC);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    for (int form = 0; form < 3; ++form) {
        imiad_bank *bank = NULL;
        imiad_status status =
            form == 2 ? imiad_bank_load(&bank, path) : imiad_bank_map(&bank, path, form);
        if ((status == IMIAD_OK) != (bank != NULL))
            abort();
        if (bank)
            use(bank);
        imiad_bank_free(bank);
    }
    close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > 1 << 16)
        return 0;
    try_repaired_too(bytes, size, try_file);
    return 0;
}
