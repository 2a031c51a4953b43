#include "bank/index.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "weights/weights.h"

imiad_status imiad_bank_create(imiad_bank **out, int64_t dimension, uint64_t budget_bytes)
{
    return imiad_bank_create_stored(out, dimension, IMIAD_STORAGE_FLOAT32, budget_bytes);
}

imiad_status imiad_bank_create_stored(imiad_bank **out, int64_t dimension, imiad_storage storage,
                                      uint64_t budget_bytes)
{
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "creating a bank: out is NULL");
    TRY(bank_check_shape("creating a bank", dimension, storage));
    imiad_bank *bank = calloc(1, sizeof *bank);
    index_slot *slot = calloc(1, sizeof *slot);
    if (!bank || !slot) {
        free(bank);
        free(slot);
        return fail_memory("a bank", sizeof *bank + sizeof *slot);
    }
    pthread_mutex_init(&slot->lock, NULL);
    pthread_mutex_init(&slot->device_lock, NULL);
    bank->index = slot;
    bank->dimension = dimension;
    bank->storage = storage;
    bank->budget = budget_bytes;
    *out = bank;
    return IMIAD_OK;
}

/* Rows change: what was made from them is out of date. */
void bank_drop_index(imiad_bank *bank)
{
    index_free(bank->index->index);
    bank->index->index = NULL;
    bank->index->tried = false;
    if (bank->index->device_rows)
        bank->index->free_device_rows(bank->index->device_rows);
    bank->index->device_rows = NULL;
}

void bank_release_rows(imiad_bank *bank)
{
    if (bank->file) {
        weights_free(bank->file);
    } else {
        pages_free(bank->data, bank->data_mapped);
        pages_free(bank->sources, bank->sources_mapped);
    }
    bank->file = NULL;
    bank->data = NULL;
    bank->sources = NULL;
    bank->data_mapped = bank->sources_mapped = 0;
}

void imiad_bank_free(imiad_bank *bank)
{
    if (!bank)
        return;
    bank_release_rows(bank);
    bank_drop_index(bank);
    pthread_mutex_destroy(&bank->index->lock);
    pthread_mutex_destroy(&bank->index->device_lock);
    free(bank->index);
    free(bank);
}

/* ---- looking ---- */

int64_t imiad_bank_rows(const imiad_bank *bank)
{
    return bank ? bank->rows : 0;
}

int64_t imiad_bank_dimension(const imiad_bank *bank)
{
    return bank ? bank->dimension : 0;
}

imiad_storage imiad_bank_storage(const imiad_bank *bank)
{
    return bank ? bank->storage : (imiad_storage)0;
}

const float *imiad_bank_data(const imiad_bank *bank)
{
    return bank && bank->storage == IMIAD_STORAGE_FLOAT32 ? bank->data : NULL;
}

const int64_t *imiad_bank_sources(const imiad_bank *bank)
{
    return bank ? bank->sources : NULL;
}

imiad_status imiad_bank_read(float *out, const imiad_bank *bank, int64_t first, int64_t count)
{
    if (!bank || (!out && count != 0))
        return fail(IMIAD_INVALID_ARGUMENT, "reading a bank: %s is NULL", bank ? "out" : "bank");
    if (first < 0 || count < 0 || first > bank->rows || count > bank->rows - first)
        return fail(IMIAD_OUT_OF_RANGE,
                    "reading a bank of %" PRId64 " rows: %" PRId64 " rows from row %" PRId64,
                    bank->rows, count, first);
    const point_set points = bank_points(bank);
    if (count > 0)
        kernels_best()->widen[points.storage](out, point_row(&points, (size_t)first),
                                              (size_t)count * points.columns);
    return IMIAD_OK;
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

bool find_not_finite_point(const point_set *points, int64_t *row, int64_t *column)
{
    if (points->storage == IMIAD_STORAGE_FLOAT32)
        return find_not_finite(points->rows, (int64_t)points->count, (int64_t)points->columns, row,
                               column);
    const uint16_t *numbers = points->rows;
    uint16_t exponent = points->storage == IMIAD_STORAGE_FLOAT16 ? 0x7c00 : 0x7f80;
    for (size_t i = 0; i < points->count; ++i, numbers += points->columns) {
        uint32_t found = 0;
        for (size_t j = 0; j < points->columns; ++j)
            found |= (numbers[j] & exponent) == exponent;
        if (!found)
            continue;
        *row = (int64_t)i;
        for (*column = 0; (numbers[*column] & exponent) != exponent;)
            ++*column;
        return true;
    }
    return false;
}

/* ---- room ---- */

imiad_status bank_within_budget(const imiad_bank *bank, const char *doing, uint64_t needed)
{
    if (bank->budget == 0 || needed <= bank->budget)
        return IMIAD_OK;
    return fail(IMIAD_OVER_BUDGET,
                "%s needs %" PRIu64 " bytes: the bank's budget is %" PRIu64 " bytes", doing, needed,
                bank->budget);
}

imiad_status imiad_bank_set_budget(imiad_bank *bank, uint64_t budget_bytes)
{
    if (!bank)
        return fail(IMIAD_INVALID_ARGUMENT, "setting a bank's budget: bank is NULL");
    if (budget_bytes != 0 && bank_bytes(bank) > budget_bytes)
        return fail(IMIAD_OVER_BUDGET,
                    "setting a bank's budget to %" PRIu64 " bytes: its %" PRId64
                    " rows take %" PRIu64,
                    budget_bytes, bank->rows, bank_bytes(bank));
    bank->budget = budget_bytes;
    bank_drop_index(bank);
    return IMIAD_OK;
}
