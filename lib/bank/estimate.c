/* What banks take: the numbers that refusals compare, and that a caller can ask for beforehand. */
#include <inttypes.h>
#include <string.h>

#include "bank/index.h"
#include "bank/coreset.h"
#include "base/error.h"

static const int64_t most_rows = (int64_t)1 << 40;

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

imiad_status imiad_bank_estimate(imiad_bank_needs *out, int64_t rows, int64_t dimension,
                                 imiad_storage storage, int32_t sources,
                                 const imiad_coreset_options *coreset)
{
    static const char doing[] = "estimating a bank";
    if (!out || out->struct_size < sizeof out->struct_size)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: %s", doing,
                    out ? "struct_size is 0: set it with IMIAD_BANK_NEEDS_INIT" : "out is NULL");
    TRY(bank_check_shape(doing, dimension, storage));
    if (rows < 0 || rows > most_rows)
        return fail(IMIAD_OUT_OF_RANGE, "%s: rows is %" PRId64 ": it must be in 0..%" PRId64, doing,
                    rows, most_rows);
    imiad_bank_needs needs = {.struct_size = out->struct_size};
    int64_t kept = rows;
    needs.bank = bank_rows_bytes(rows, dimension, storage, sources != 0);
    if (coreset) {
        imiad_coreset_options options;
        TRY(coreset_options_read(&options, coreset, doing));
        TRY(coreset_options_check(&options, rows));
        kept = bank_selection_size(rows, &options);
        needs.selection = bank_selection_bytes(rows, dimension, storage, &options);
        needs.coreset = bank_rows_bytes(kept, dimension, storage, sources != 0);
    }
    needs.index = index_bytes(kept, dimension);
    needs.peak = larger(needs.bank + larger(needs.selection, needs.coreset),
                        bank_rows_bytes(kept, dimension, storage, sources != 0) + needs.index);
    memcpy(out, &needs, out->struct_size < sizeof needs ? out->struct_size : sizeof needs);
    return IMIAD_OK;
}
