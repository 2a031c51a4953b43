#include <sys/stat.h>
#include <unistd.h>

#include "bank_data.h"
#include "nn/weights.h"

static char path[64];

static void make_path(void)
{
    strcpy(path, "/tmp/imiad-bank-XXXXXX");
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
}

static size_t read_file(char **bytes)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    ck_assert_ptr_nonnull(file);
    fstat(fileno(file), &info);
    *bytes = malloc((size_t)info.st_size);
    ck_assert_uint_eq(fread(*bytes, 1, (size_t)info.st_size, file), (size_t)info.st_size);
    fclose(file);
    return (size_t)info.st_size;
}

static void write_file(const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

START_TEST(a_saved_bank_comes_back)
{
    static const size_t shapes[][2] = {{0, 3}, {1, 1}, {7, 1}, {600, 1024}};
    make_path();
    for (size_t i = 0; i < 4; ++i) {
        size_t rows = shapes[i][0], columns = shapes[i][1];
        float *values = random_rows(SPREAD, rows, columns, 1);
        imiad_bank *bank = bank_of(values, rows, columns), *loaded = NULL;
        ck_ok(imiad_bank_save(bank, path));
        ck_ok(imiad_bank_load(&loaded, path));
        ck_assert_int_eq(imiad_bank_rows(loaded), (int64_t)rows);
        ck_assert_int_eq(imiad_bank_dimension(loaded), (int64_t)columns);
        if (rows > 0)
            ck_assert_mem_eq(imiad_bank_data(loaded), values, rows * columns * sizeof *values);
        ck_ok(imiad_bank_add(loaded, values, (int64_t)rows)); /* it is a bank like any other */
        ck_assert_int_eq(imiad_bank_rows(loaded), 2 * (int64_t)rows);
        imiad_bank_free(loaded);
        imiad_bank_free(bank);
        free(values);
    }
    unlink(path);
}
END_TEST

START_TEST(every_flipped_byte_and_every_cut_is_noticed)
{
    float *values = random_rows(SPREAD, 5, 4, 1);
    imiad_bank *bank = bank_of(values, 5, 4), *loaded = NULL;
    make_path();
    ck_ok(imiad_bank_save(bank, path));
    char *bytes;
    size_t size = read_file(&bytes);
    for (size_t i = 0; i < size; ++i) {
        bytes[i] ^= (char)(1 << i % 8);
        write_file(bytes, size);
        ck_assert_int_ne(imiad_bank_load(&loaded, path), IMIAD_OK);
        ck_assert_ptr_null(loaded);
        bytes[i] ^= (char)(1 << i % 8);
        write_file(bytes, i);
        ck_fails(imiad_bank_load(&loaded, path), IMIAD_FORMAT, path);
    }
    write_file(bytes, size);
    ck_ok(imiad_bank_load(&loaded, path));
    imiad_bank_free(loaded);
    imiad_bank_free(bank);
    free(bytes);
    free(values);
    unlink(path);
}
END_TEST

START_TEST(other_files_are_named_and_refused)
{
    imiad_bank *loaded = NULL;
    make_path();
    write_file("hello", 5);
    ck_fails(imiad_bank_load(&loaded, path), IMIAD_FORMAT, path);
    unlink(path);
    ck_fails(imiad_bank_load(&loaded, path), IMIAD_NOT_FOUND, path);
    weights_writer *writer = NULL;
    float values[6] = {0, 1, 2, 3, 4, NAN};
    ck_ok(weights_writer_create(&writer));
    ck_ok(weights_writer_add(writer, "bank", F32, 2, (int64_t[]){2, 3}, values));
    ck_ok(weights_writer_commit(writer, path));
    ck_fails(imiad_bank_load(&loaded, path), IMIAD_FORMAT, "is no memory bank");
    weights_writer_free(writer);
    ck_ok(weights_writer_create(&writer));
    ck_ok(weights_writer_metadata(writer, "imiad.kind", "bank 1"));
    ck_ok(weights_writer_metadata(writer, "note", "one value is not a number"));
    ck_ok(weights_writer_add(writer, "bank", F32, 2, (int64_t[]){2, 3}, values));
    ck_ok(weights_writer_commit(writer, path));
    ck_fails(imiad_bank_load(&loaded, path), IMIAD_NOT_FINITE, path);
    weights_writer_free(writer);
    ck_assert_ptr_null(loaded);
    ck_fails(imiad_bank_save(NULL, path), IMIAD_INVALID_ARGUMENT, "bank");
    ck_fails(imiad_bank_load(NULL, path), IMIAD_INVALID_ARGUMENT, "out");
    unlink(path);
}
END_TEST

SUITE("bank_file", TEST(a_saved_bank_comes_back), TEST(every_flipped_byte_and_every_cut_is_noticed),
      TEST(other_files_are_named_and_refused))
