/* A bank in a file: one safetensors array, with the checksum that weights_writer adds. */
#include <inttypes.h>
#include <string.h>

#include "bank/bank.h"
#include "base/error.h"
#include "base/files.h"
#include "nn/weights.h"

static const char array_name[] = "bank", kind_key[] = "imiad.kind", kind[] = "bank 1",
                  digest_key[] = "imiad.sha256"; /* of the array's bytes */

imiad_status imiad_bank_save(const imiad_bank *bank, const char *path)
{
    if (!bank || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "saving a bank: %s is NULL", bank ? "path" : "bank");
    const int64_t shape[] = {bank->rows, bank->dimension};
    char digest[65];
    bytes_digest(digest, bank->data ? bank->data : (const float *)(const void *)"",
                 (size_t)(bank->rows * bank->dimension) * sizeof(float));
    weights_writer *writer = NULL;
    TRY(weights_writer_create(&writer));
    imiad_status status = weights_writer_metadata(writer, kind_key, kind);
    if (status == IMIAD_OK)
        status = weights_writer_metadata(writer, digest_key, digest);
    if (status == IMIAD_OK)
        status = weights_writer_add(writer, array_name, F32, 2, shape, bank->data);
    if (status == IMIAD_OK)
        status = weights_writer_commit(writer, path);
    weights_writer_free(writer);
    return status;
}

static imiad_status read_bank(imiad_bank **out, const weights *file, const char *path)
{
    const char *found = weights_metadata(file, kind_key);
    if (!found || strcmp(found, kind) != 0)
        return fail(IMIAD_FORMAT, "%s is no memory bank: its %s is \"%s\", not \"%s\"", path,
                    kind_key, found ? found : "", kind);
    TRY(weights_verify(file));
    const weight *array = weights_find(file, array_name);
    if (!array || array->type != F32 || array->rank != 2)
        return fail(IMIAD_FORMAT, "%s: a memory bank holds a matrix of float32 called %s", path,
                    array_name);
    imiad_bank *bank = NULL;
    imiad_status status = imiad_bank_create(&bank, array->shape[1], 0);
    if (status == IMIAD_OK)
        status = imiad_bank_add(bank, array->data, array->shape[0]);
    if (status != IMIAD_OK) {
        imiad_bank_free(bank);
        return fail_within(status, "loading %s", path);
    }
    *out = bank;
    return IMIAD_OK;
}

imiad_status imiad_bank_load(imiad_bank **out, const char *path)
{
    if (!out || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "loading a bank: %s is NULL", out ? "path" : "out");
    weights *file = NULL;
    TRY(weights_open(&file, path));
    imiad_status status = read_bank(out, file, path);
    weights_free(file);
    return status;
}
