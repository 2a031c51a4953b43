#include "bank/index.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { MOST_COLUMNS = 1 << 20 };

imiad_status imiad_bank_create(imiad_bank **out, int64_t dimension, uint64_t budget_bytes)
{
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "creating a bank: out is NULL");
    if (dimension < 1 || dimension > MOST_COLUMNS)
        return fail(IMIAD_OUT_OF_RANGE,
                    "creating a bank: dimension is %" PRId64 ": it must be in 1..%d", dimension,
                    MOST_COLUMNS);
    imiad_bank *bank = calloc(1, sizeof *bank);
    index_slot *slot = calloc(1, sizeof *slot);
    if (!bank || !slot) {
        free(bank);
        free(slot);
        return fail_memory("a bank", sizeof *bank + sizeof *slot);
    }
    pthread_mutex_init(&slot->lock, NULL);
    bank->index = slot;
    bank->dimension = dimension;
    bank->budget = budget_bytes;
    *out = bank;
    return IMIAD_OK;
}

/* Rows change: what was made from them is out of date. */
static void drop_index(imiad_bank *bank)
{
    index_free(bank->index->index);
    bank->index->index = NULL;
    bank->index->tried = false;
}

void imiad_bank_free(imiad_bank *bank)
{
    if (!bank)
        return;
    pages_free(bank->data, bank->mapped);
    drop_index(bank);
    pthread_mutex_destroy(&bank->index->lock);
    free(bank->index);
    free(bank);
}

int64_t imiad_bank_rows(const imiad_bank *bank)
{
    return bank ? bank->rows : 0;
}

int64_t imiad_bank_dimension(const imiad_bank *bank)
{
    return bank ? bank->dimension : 0;
}

const float *imiad_bank_data(const imiad_bank *bank)
{
    return bank ? bank->data : NULL;
}

/* Exponent bits that are all set: on integers, so that the loop runs on whole vectors. */
static bool all_finite(const float *values, int64_t count)
{
    uint32_t found = 0;
    for (int64_t i = 0; i < count; ++i) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        found |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !found;
}

bool find_not_finite(const float *values, int64_t rows, int64_t columns, int64_t *row,
                     int64_t *column)
{
    for (int64_t i = 0; i < rows; ++i) {
        const float *v = values + i * columns;
        if (all_finite(v, columns))
            continue;
        *row = i;
        for (*column = 0; isfinite(v[*column]);)
            ++*column;
        return true;
    }
    return false;
}

imiad_status bank_within_budget(const imiad_bank *bank, const char *doing, uint64_t needed)
{
    if (bank->budget == 0 || needed <= bank->budget)
        return IMIAD_OK;
    return fail(IMIAD_OVER_BUDGET,
                "%s needs %" PRIu64 " bytes: the bank's budget is %" PRIu64 " bytes", doing, needed,
                bank->budget);
}

/* Room for so many rows. Capacity grows by an eighth at least; pages that no row has reached yet
 * take no memory. */
static imiad_status reserve(imiad_bank *bank, int64_t rows)
{
    size_t row_bytes = (size_t)bank->dimension * sizeof(float);
    if ((uint64_t)rows > (SIZE_MAX / 4) / row_bytes)
        return fail_memory("the rows of a bank", SIZE_MAX);
    size_t needed = (size_t)rows * row_bytes;
    if (needed <= bank->mapped)
        return IMIAD_OK;
    size_t room = bank->mapped + bank->mapped / 8;
    room = (room > needed ? room : needed);
    room = (room + PAGE_CHUNK - 1) / PAGE_CHUNK * PAGE_CHUNK;
    void *grown = bank->data ? pages_grow(bank->data, bank->mapped, room) : pages_take(room);
    if (!grown)
        return fail_memory("the rows of a bank", room);
    bank->data = grown;
    bank->mapped = room;
    return IMIAD_OK;
}

imiad_status imiad_bank_add(imiad_bank *bank, const float *rows, int64_t count)
{
    if (!bank || (!rows && count != 0))
        return fail(IMIAD_INVALID_ARGUMENT, "adding to a bank: %s is NULL", bank ? "rows" : "bank");
    if (count < 0 || count > INT64_MAX / 8 / bank->dimension - bank->rows)
        return fail(IMIAD_OUT_OF_RANGE, "adding to a bank: count is %" PRId64, count);
    if (count == 0)
        return IMIAD_OK;
    uint64_t needed = (uint64_t)(bank->rows + count) * (uint64_t)bank->dimension * sizeof(float);
    if (bank->budget != 0 && needed > bank->budget)
        return fail(IMIAD_OVER_BUDGET,
                    "a bank of %" PRId64 " rows of %" PRId64 " columns needs %" PRIu64
                    " bytes: its budget is %" PRIu64 " bytes",
                    bank->rows + count, bank->dimension, needed, bank->budget);
    int64_t row, column;
    if (find_not_finite(rows, count, bank->dimension, &row, &column))
        return fail(IMIAD_NOT_FINITE, "adding to a bank: row %" PRId64 ", column %" PRId64 " is %f",
                    row, column, (double)rows[row * bank->dimension + column]);
    /* a bank's own rows may be added again: they move with it */
    const float *own = bank->data;
    bool inside = own && rows >= own && rows < own + bank->rows * bank->dimension;
    ptrdiff_t offset = inside ? rows - own : 0;
    TRY(reserve(bank, bank->rows + count));
    memcpy(bank->data + bank->rows * bank->dimension, inside ? bank->data + offset : rows,
           (size_t)(count * bank->dimension) * sizeof *rows);
    bank->rows += count;
    drop_index(bank);
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
    size_t row_bytes = (size_t)bank->dimension * sizeof(float);
    TRY(bank_within_budget(bank, "keeping rows beside the bank they come from",
                           (uint64_t)(bank->rows + count) * row_bytes));
    imiad_bank kept = {
        .dimension = bank->dimension, .budget = bank->budget, .rows = count, .index = bank->index};
    TRY(reserve(&kept, count));
    for (int64_t i = 0; i < count; ++i)
        memcpy(kept.data + i * bank->dimension, bank->data + rows[i] * bank->dimension, row_bytes);
    drop_index(bank);
    pages_free(bank->data, bank->mapped);
    *bank = kept;
    return IMIAD_OK;
}
