/* Banks that lose rows: keeping, forgetting, recompressing. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bank/coreset.h"
#include "base/error.h"

/* ---- copies of some rows ---- */

static imiad_status copy_row(imiad_bank *made, int64_t to, const imiad_bank *bank, int64_t row,
                             float *wide)
{
    const point_set points = bank_points(bank), copy = bank_points(made);
    const void *from = point_row(&points, (size_t)row);
    void *into = (void *)point_row(&copy, (size_t)to);
    size_t column;
    if (made->sources)
        made->sources[to] = bank->sources[row];
    if (points.storage == copy.storage) {
        memcpy(into, from, point_bytes(&points));
        return IMIAD_OK;
    }
    kernels_best()->widen[points.storage](wide, from, points.columns);
    if (storage_narrow(into, copy.storage, wide, points.columns, &column))
        return IMIAD_OK;
    return fail(IMIAD_OUT_OF_RANGE,
                "recompressing a bank: row %" PRId64 ", column %zu is %g: too large for %s", row,
                column, (double)wide[column], storage_kinds[copy.storage].name);
}

/* The bank becomes the given rows of itself (NULL: all), rounded to the storage. */
static imiad_status become_rows(imiad_bank *bank, const int64_t *rows, int64_t count,
                                imiad_storage storage, const char *doing)
{
    TRY(bank_within_budget(bank, doing,
                           bank_bytes(bank) + bank_rows_bytes(count, bank->dimension, storage,
                                                              bank->sources != NULL)));
    imiad_bank made = {.dimension = bank->dimension,
                       .storage = storage,
                       .budget = bank->budget,
                       .index = bank->index};
    float *wide = malloc((size_t)bank->dimension * sizeof *wide);
    imiad_status status =
        wide ? IMIAD_OK : fail_memory("a row of a bank", (size_t)bank->dimension * sizeof *wide);
    if (status == IMIAD_OK && count > 0)
        status = bank_reserve_rows(&made, (size_t)count);
    if (status == IMIAD_OK && count > 0 && bank->sources)
        status = bank_reserve_sources(&made, (size_t)count);
    for (int64_t i = 0; status == IMIAD_OK && i < count; ++i)
        status = copy_row(&made, i, bank, rows ? rows[i] : i, wide);
    free(wide);
    if (status != IMIAD_OK) {
        bank_release_rows(&made);
        return status;
    }
    made.rows = count;
    bank_drop_index(bank);
    bank_release_rows(bank);
    *bank = made;
    return IMIAD_OK;
}

imiad_status imiad_bank_keep(imiad_bank *bank, const int64_t *rows, int64_t count)
{
    if (!bank || (!rows && count != 0))
        return fail(IMIAD_INVALID_ARGUMENT, "keeping rows of a bank: %s is NULL",
                    bank ? "rows" : "bank");
    if (count < 0)
        return fail(IMIAD_OUT_OF_RANGE, "keeping rows of a bank: count is %" PRId64, count);
    for (int64_t i = 0; i < count; ++i)
        if (rows[i] < 0 || rows[i] >= bank->rows)
            return fail(IMIAD_OUT_OF_RANGE, "keeping rows of a bank: row %" PRId64 " of %" PRId64,
                        rows[i], bank->rows);
    return become_rows(bank, rows, count, bank->storage,
                       "keeping rows beside the bank they come from");
}

/* ---- forgetting ---- */

static int64_t count_source(const imiad_bank *bank, int64_t source)
{
    int64_t count = 0;
    if (!bank->sources)
        return source == IMIAD_NO_SOURCE ? bank->rows : 0;
    for (int64_t i = 0; i < bank->rows; ++i)
        count += bank->sources[i] == source;
    return count;
}

/* In place: the rows that stay move up. */
static void drop_source(imiad_bank *bank, int64_t source)
{
    const point_set points = bank_points(bank);
    int64_t held = 0;
    for (int64_t i = 0; bank->sources && i < bank->rows; ++i) {
        if (bank->sources[i] == source)
            continue;
        bank->sources[held] = bank->sources[i];
        memmove((void *)point_row(&points, (size_t)held), point_row(&points, (size_t)i),
                point_bytes(&points));
        ++held;
    }
    bank->rows = held;
    bank_drop_index(bank);
}

imiad_status imiad_bank_forget(imiad_bank *bank, int64_t source, int64_t *removed)
{
    if (!bank)
        return fail(IMIAD_INVALID_ARGUMENT, "forgetting a source: bank is NULL");
    int64_t count = count_source(bank, source);
    if (count > 0) {
        TRY(bank_own(bank));
        drop_source(bank, source);
    }
    if (removed)
        *removed = count;
    return IMIAD_OK;
}

/* ---- recompressing ---- */

static int64_t rows_within(const imiad_bank *bank, const imiad_recompression *to,
                           imiad_storage storage)
{
    int64_t count = bank->rows;
    uint64_t row = bank_rows_bytes(1, bank->dimension, storage, bank->sources != NULL);
    if (to->bytes != 0 && to->bytes / row < (uint64_t)count)
        count = (int64_t)(to->bytes / row);
    return to->rows != 0 && to->rows < count ? to->rows : count;
}

static imiad_status thin_to(imiad_bank *bank, int64_t count, imiad_storage storage,
                            const imiad_coreset_options *coreset, const progress *p)
{
    static const char doing[] = "recompressing a bank";
    if (count == bank->rows)
        return storage == bank->storage ? IMIAD_OK : become_rows(bank, NULL, count, storage, doing);
    imiad_coreset_options options = *coreset;
    options.rows = count;
    int64_t *picks = malloc((size_t)count * sizeof *picks);
    if (!picks)
        return fail_memory("the picks of a coreset", (size_t)count * sizeof *picks);
    imiad_status status = bank_select(picks, &count, bank, &options, NULL, p);
    if (status == IMIAD_OK)
        status = become_rows(bank, picks, count, storage, doing);
    free(picks);
    return status;
}

imiad_status imiad_bank_recompress(imiad_bank *bank, const imiad_recompression *to,
                                   imiad_progress_function function, void *user)
{
    if (!bank || !to)
        return fail(IMIAD_INVALID_ARGUMENT, "recompressing a bank: %s is NULL",
                    bank ? "to" : "bank");
    if (to->struct_size < offsetof(imiad_recompression, coreset) + sizeof(uint32_t))
        return fail(IMIAD_INVALID_ARGUMENT,
                    "recompressing a bank: struct_size is %" PRIu32
                    ": set it with IMIAD_RECOMPRESSION_INIT",
                    to->struct_size);
    imiad_recompression r = IMIAD_RECOMPRESSION_INIT;
    memcpy(&r, to, to->struct_size < sizeof r ? to->struct_size : sizeof r);
    imiad_storage storage = r.storage ? r.storage : bank->storage;
    imiad_coreset_options coreset;
    TRY(storage_check(storage, "recompressing a bank"));
    TRY(coreset_options_read(&coreset, &r.coreset, "recompressing a bank"));
    if (r.rows < 0)
        return fail(IMIAD_OUT_OF_RANGE, "recompressing a bank: rows is %" PRId64, r.rows);
    int64_t count = rows_within(bank, &r, storage);
    if (count < 1 && bank->rows > 0)
        return fail(IMIAD_OUT_OF_RANGE,
                    "recompressing a bank to %" PRIu64 " bytes: one row takes %" PRIu64, r.bytes,
                    bank_rows_bytes(1, bank->dimension, storage, bank->sources != NULL));
    progress p = {function, user};
    return thin_to(bank, count, storage, &coreset, &p);
}
