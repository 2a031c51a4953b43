/* Rows in memory of a bank's own: making room, taking them over from a file, appending. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bank/bank.h"
#include "base/error.h"
#include "weights/weights.h"

/* Room for `count` items of `bytes` each in pages that hold the items so far. Capacity grows by an
 * eighth at least; pages that nothing has reached yet take no memory. */
static imiad_status reserve(void **pages, size_t *mapped, size_t count, size_t bytes)
{
    if (count > (SIZE_MAX / 4) / bytes)
        return fail_memory("the rows of a bank", SIZE_MAX);
    size_t needed = count * bytes, room = *mapped + *mapped / 8;
    if (needed <= *mapped)
        return IMIAD_OK;
    room = (room > needed ? room : needed);
    room = (room + PAGE_CHUNK - 1) / PAGE_CHUNK * PAGE_CHUNK;
    void *grown = *pages ? pages_grow(*pages, *mapped, room) : pages_take(room);
    if (!grown)
        return fail_memory("the rows of a bank", room);
    *pages = grown;
    *mapped = room;
    return IMIAD_OK;
}

imiad_status bank_reserve_rows(imiad_bank *bank, size_t rows)
{
    const point_set points = bank_points(bank);
    return reserve(&bank->data, &bank->data_mapped, rows, point_bytes(&points));
}

imiad_status bank_reserve_sources(imiad_bank *bank, size_t rows)
{
    void *pages = bank->sources;
    bool first = !pages;
    TRY(reserve(&pages, &bank->sources_mapped, rows, sizeof *bank->sources));
    bank->sources = pages;
    for (int64_t i = 0; first && i < bank->rows; ++i)
        bank->sources[i] = IMIAD_NO_SOURCE;
    return IMIAD_OK;
}

imiad_status bank_check_file(const imiad_bank *bank)
{
    return bank->file ? weights_check(bank->file) : IMIAD_OK;
}

imiad_status bank_own(imiad_bank *bank)
{
    if (!bank->file)
        return IMIAD_OK;
    imiad_bank own = *bank;
    own.data = NULL;
    own.sources = NULL;
    own.file = NULL;
    size_t rows = (size_t)bank->rows;
    const point_set points = bank_points(bank);
    imiad_status status = bank_check_file(bank);
    if (status == IMIAD_OK && rows > 0)
        status = bank_reserve_rows(&own, rows);
    if (status == IMIAD_OK && rows > 0 && bank->sources)
        status = bank_reserve_sources(&own, rows);
    if (status != IMIAD_OK) {
        bank_release_rows(&own);
        return status;
    }
    if (own.data)
        memcpy(own.data, bank->data, rows * point_bytes(&points));
    if (own.sources)
        memcpy(own.sources, bank->sources, rows * sizeof *own.sources);
    bank_release_rows(bank);
    *bank = own;
    return IMIAD_OK;
}

/* ---- appending ---- */

static imiad_status fail_too_large(const row_source *from, imiad_storage storage, size_t row,
                                   size_t column)
{
    return fail(IMIAD_OUT_OF_RANGE, "%s: row %zu, column %zu is %g: too large for %s", from->doing,
                row, column,
                (double)widen_number(point_row(&from->points, row), column, from->points.storage),
                storage_kinds[storage].name);
}

/* Rows of one storage as rows of another, behind those that are there. */
static imiad_status convert_rows(imiad_bank *bank, const row_source *from)
{
    const point_set *points = &from->points;
    point_set own = bank_points(bank);
    own.count += points->count;
    size_t at = 0;
    if (points->storage == IMIAD_STORAGE_FLOAT32) {
        return storage_narrow((void *)point_row(&own, (size_t)bank->rows), bank->storage,
                              points->rows, points->count * points->columns, &at)
                   ? IMIAD_OK
                   : fail_too_large(from, bank->storage, at / points->columns,
                                    at % points->columns);
    }
    float *wide = malloc(points->columns * sizeof *wide);
    if (!wide)
        return fail_memory("a row of a bank", points->columns * sizeof *wide);
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < points->count; ++i) {
        kernels_best()->widen[points->storage](wide, point_row(points, i), points->columns);
        if (!storage_narrow((void *)point_row(&own, (size_t)bank->rows + i), bank->storage, wide,
                            points->columns, &at))
            status = fail_too_large(from, bank->storage, i, at);
    }
    free(wide);
    return status;
}

static imiad_status write_rows(imiad_bank *bank, const row_source *from)
{
    point_set own = bank_points(bank);
    if (from->points.storage != bank->storage)
        return convert_rows(bank, from);
    memcpy((char *)bank->data + (size_t)bank->rows * point_bytes(&own), from->points.rows,
           from->points.count * point_bytes(&own));
    return IMIAD_OK;
}

static bool any_source(const int64_t *sources, int64_t count)
{
    int64_t i = 0;
    while (sources && i < count && sources[i] == IMIAD_NO_SOURCE)
        ++i;
    return sources && i < count;
}

bool bank_has_sources(const imiad_bank *bank)
{
    return any_source(bank->sources, bank->rows);
}

static imiad_status check_rows(const imiad_bank *bank, const row_source *from, bool sources)
{
    int64_t count = (int64_t)from->points.count, row, column;
    uint64_t needed = bank_rows_bytes(bank->rows + count, bank->dimension, bank->storage, sources);
    if (bank->budget != 0 && needed > bank->budget)
        return fail(IMIAD_OVER_BUDGET,
                    "a bank of %" PRId64 " rows of %" PRId64 " columns needs %" PRIu64
                    " bytes: its budget is %" PRIu64 " bytes",
                    bank->rows + count, bank->dimension, needed, bank->budget);
    if (find_not_finite_point(&from->points, &row, &column))
        return fail(IMIAD_NOT_FINITE, "%s: row %" PRId64 ", column %" PRId64 " is %f", from->doing,
                    row, column,
                    (double)widen_number(point_row(&from->points, (size_t)row), (size_t)column,
                                         from->points.storage));
    return IMIAD_OK;
}

/* A pointer into memory that moves, by its distance from the beginning; -1 outside. */
static ptrdiff_t offset_in(const void *begin, size_t bytes, const void *pointer)
{
    const char *first = begin, *p = pointer;
    return first && p >= first && p < first + bytes ? p - first : -1;
}

imiad_status bank_append(imiad_bank *bank, const row_source *given)
{
    row_source from = *given;
    int64_t count = (int64_t)from.points.count;
    if (count < 0 || count > INT64_MAX / 8 / bank->dimension - bank->rows)
        return fail(IMIAD_OUT_OF_RANGE, "%s: count is %" PRId64, from.doing, count);
    if (count == 0)
        return IMIAD_OK;
    bool sources = bank->sources || any_source(from.sources, count);
    TRY(check_rows(bank, &from, sources));
    /* a bank's own rows and sources may be added again: they move with it */
    point_set own = bank_points(bank);
    ptrdiff_t row_at = offset_in(own.rows, own.count * point_bytes(&own), from.points.rows);
    ptrdiff_t source_at = offset_in(bank->sources, own.count * sizeof(int64_t), from.sources);
    TRY(bank_own(bank));
    TRY(bank_reserve_rows(bank, (size_t)(bank->rows + count)));
    if (row_at >= 0)
        from.points.rows = (char *)bank->data + row_at;
    TRY(write_rows(bank, &from));
    if (sources) {
        TRY(bank_reserve_sources(bank, (size_t)(bank->rows + count)));
        if (source_at >= 0)
            from.sources = (int64_t *)(void *)((char *)bank->sources + source_at);
        for (int64_t i = 0; i < count; ++i)
            bank->sources[bank->rows + i] = from.sources ? from.sources[i] : IMIAD_NO_SOURCE;
    }
    bank->rows += count;
    bank_drop_index(bank);
    return IMIAD_OK;
}

imiad_status imiad_bank_add(imiad_bank *bank, const float *rows, int64_t count)
{
    return imiad_bank_add_from(bank, rows, count, NULL);
}

imiad_status imiad_bank_add_from(imiad_bank *bank, const float *rows, int64_t count,
                                 const int64_t *sources)
{
    if (!bank || (!rows && count != 0))
        return fail(IMIAD_INVALID_ARGUMENT, "adding to a bank: %s is NULL", bank ? "rows" : "bank");
    row_source from = {
        {rows, (size_t)count, (size_t)bank->dimension, IMIAD_STORAGE_FLOAT32},
        sources,
        "adding to a bank",
    };
    return bank_append(bank, &from);
}

imiad_status imiad_bank_merge(imiad_bank *bank, const imiad_bank *other)
{
    if (!bank || !other)
        return fail(IMIAD_INVALID_ARGUMENT, "merging banks: %s is NULL", bank ? "other" : "bank");
    if (bank->dimension != other->dimension)
        return fail(IMIAD_MISMATCH,
                    "merging banks: one has %" PRId64 " columns, the other %" PRId64,
                    bank->dimension, other->dimension);
    row_source from = {bank_points(other), other->sources, "merging banks"};
    return bank_append(bank, &from);
}
