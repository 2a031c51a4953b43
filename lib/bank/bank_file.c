/* A bank in a file: safetensors, with the checksum that weights_writer adds. */
#include <inttypes.h>
#include <string.h>

#include "bank/bank.h"
#include "base/error.h"
#include "weights/weights.h"

static const char rows_name[] = "bank", sources_name[] = "bank.sources", kind_key[] = "imiad.kind",
                  kind[] = "bank 1", digest_key[] = "imiad.content";

/* ---- writing ---- */

imiad_status bank_write(weights_writer *writer, const imiad_bank *bank)
{
    const int64_t shape[] = {bank->rows, bank->dimension};
    TRY(bank_check_file(bank));
    TRY(weights_writer_add(writer, rows_name, storage_kinds[bank->storage].type, 2, shape,
                           bank->data));
    if (!bank_has_sources(bank))
        return IMIAD_OK;
    return weights_writer_add(writer, sources_name, I64, 1, shape, bank->sources);
}

static imiad_status write_file(weights_writer *writer, const imiad_bank *bank, const char *path)
{
    char digest[65];
    TRY(bank_check_file(bank)); /* before the digest reads the rows */
    bank_digest(digest, bank);
    TRY(weights_writer_metadata(writer, kind_key, kind));
    TRY(weights_writer_metadata(writer, digest_key, digest));
    TRY(bank_write(writer, bank));
    return weights_writer_commit(writer, path);
}

imiad_status imiad_bank_save(const imiad_bank *bank, const char *path)
{
    if (!bank || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "saving a bank: %s is NULL", bank ? "path" : "bank");
    weights_writer *writer = NULL;
    TRY(weights_writer_create(&writer));
    imiad_status status = write_file(writer, bank, path);
    weights_writer_free(writer);
    return status;
}

/* ---- reading ---- */

/* Rows and sources where they lie. */
static imiad_status view_file(imiad_bank **out, const weights *file, const char *path)
{
    const weight *rows = weights_find(file, rows_name), *sources = NULL;
    imiad_storage storage = rows ? storage_of_type(rows->type) : (imiad_storage)0;
    imiad_bank *bank = NULL;
    if (!storage || rows->rank != 2)
        return fail(IMIAD_FORMAT,
                    "%s: a memory bank holds a matrix of float32, bfloat16 or float16 called %s",
                    path, rows_name);
    imiad_status status = IMIAD_OK;
    if (weights_find(file, sources_name)) /* one for each row */
        status = weights_expect(&sources, file, sources_name, I64, 1, rows->shape);
    if (status == IMIAD_OK)
        status = imiad_bank_create_stored(&bank, rows->shape[1], storage, 0);
    if (status != IMIAD_OK)
        return fail_within(status == IMIAD_NO_MEMORY ? status : IMIAD_FORMAT, "loading %s", path);
    bank->rows = rows->shape[0];
    bank->data = (void *)rows->data;
    bank->sources = sources ? (int64_t *)sources->data : NULL;
    *out = bank;
    return IMIAD_OK;
}

imiad_status bank_in_file(imiad_bank **out, weights *file, const char *path)
{
    TRY(view_file(out, file, path));
    (*out)->file = file;
    return IMIAD_OK;
}

imiad_status bank_copy_of_file(imiad_bank **out, const weights *file, const char *path)
{
    imiad_bank *view = NULL, *bank = NULL;
    TRY(view_file(&view, file, path));
    row_source from = {bank_points(view), view->sources, path};
    imiad_status status = imiad_bank_create_stored(&bank, view->dimension, view->storage, 0);
    if (status == IMIAD_OK)
        status = bank_append(bank, &from);
    view->data = NULL; /* the file's memory is not the view's to free */
    view->sources = NULL;
    imiad_bank_free(view);
    if (status != IMIAD_OK) {
        imiad_bank_free(bank);
        return status;
    }
    *out = bank;
    return IMIAD_OK;
}

static imiad_status check_kind(const weights *file, const char *path)
{
    const char *found = weights_metadata(file, kind_key);
    if (found && strcmp(found, kind) == 0)
        return IMIAD_OK;
    return fail(IMIAD_FORMAT, "%s is no memory bank: its %s is \"%s\", not \"%s\"", path, kind_key,
                found ? found : "", kind);
}

imiad_status bank_check_finite(const imiad_bank *bank, const char *path)
{
    const point_set points = bank_points(bank);
    int64_t row, column;
    if (!find_not_finite_point(&points, &row, &column))
        return IMIAD_OK;
    return fail(
        IMIAD_NOT_FINITE, "loading %s: row %" PRId64 ", column %" PRId64 " is %f", path, row,
        column,
        (double)widen_number(point_row(&points, (size_t)row), (size_t)column, points.storage));
}

static imiad_status verify_all(const imiad_bank *bank, const char *path)
{
    TRY(weights_verify(bank->file));
    return bank_check_finite(bank, path);
}

static imiad_status open_bank(imiad_bank **out, const char *path, bool map, bool verify)
{
    weights *file = NULL;
    TRY(map ? weights_map(&file, path, verify) : weights_open(&file, path));
    imiad_bank *bank = NULL;
    imiad_status status = check_kind(file, path);
    if (status == IMIAD_OK)
        status = bank_in_file(&bank, file, path);
    if (status != IMIAD_OK) {
        weights_free(file);
        return status;
    }
    if (verify)
        status = verify_all(bank, path);
    if (status != IMIAD_OK) {
        imiad_bank_free(bank);
        return status;
    }
    *out = bank;
    return IMIAD_OK;
}

imiad_status imiad_bank_map(imiad_bank **out, const char *path, int32_t verify)
{
    if (!out || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "mapping a bank: %s is NULL", out ? "path" : "out");
    return open_bank(out, path, true, verify != 0);
}

imiad_status imiad_bank_load(imiad_bank **out, const char *path)
{
    if (!out || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "loading a bank: %s is NULL", out ? "path" : "out");
    imiad_bank *bank = NULL;
    TRY(open_bank(&bank, path, false, true));
    imiad_status status = bank_own(bank);
    if (status != IMIAD_OK) {
        imiad_bank_free(bank);
        return status;
    }
    *out = bank;
    return IMIAD_OK;
}
