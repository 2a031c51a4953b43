#include <sys/stat.h>
#include <unistd.h>

#include "bank_data.h"
#include "base/files.h"
#include "weights/weights.h"

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

/* Rows with sources, in one of the storages. */
static imiad_bank *sourced_bank(size_t rows, size_t columns, imiad_storage storage)
{
    imiad_bank *bank = NULL;
    float *values = random_rows(GRID, rows, columns, 1);
    int64_t *sources = malloc(rows * sizeof *sources);
    for (size_t i = 0; i < rows; ++i)
        sources[i] = (int64_t)i / 3 - 1;
    ck_ok(imiad_bank_create_stored(&bank, (int64_t)columns, storage, 0));
    ck_ok(imiad_bank_add_from(bank, values, (int64_t)rows, sources));
    free(sources);
    free(values);
    return bank;
}

static void check_same(const imiad_bank *a, const imiad_bank *b)
{
    char one[65], other[65];
    ck_ok(imiad_bank_digest(one, a));
    ck_ok(imiad_bank_digest(other, b));
    ck_assert_str_eq(one, other);
    ck_assert_int_eq(imiad_bank_rows(a), imiad_bank_rows(b));
    ck_assert_int_eq(imiad_bank_storage(a), imiad_bank_storage(b));
}

START_TEST(storage_and_sources_come_back_loaded_and_mapped)
{
    imiad_bank *bank = sourced_bank(70, 33, (imiad_storage)(1 + _i)), *loaded = NULL;
    make_path();
    ck_ok(imiad_bank_save(bank, path));
    for (int form = 0; form < 3; ++form) {
        ck_ok(form == 0 ? imiad_bank_load(&loaded, path)
                        : imiad_bank_map(&loaded, path, form == 1));
        check_same(loaded, bank);
        ck_assert_mem_eq(imiad_bank_sources(loaded), imiad_bank_sources(bank),
                         70 * sizeof(int64_t));
        imiad_bank_free(loaded);
    }
    imiad_bank_free(bank);
    unlink(path);
}
END_TEST

/* Every change, on a mapped bank and on one in memory: the same bank, and the file as it was. */
START_TEST(a_mapped_bank_is_searched_and_changed_like_any_other)
{
    enum { ROWS = 500, COLUMNS = 40, QUERIES = 30 };
    float *queries = random_rows(GRID, QUERIES, COLUMNS, 2), d[2][QUERIES];
    int64_t found[2][QUERIES];
    imiad_storage storage = (imiad_storage)(1 + _i % 3);
    imiad_bank *bank = sourced_bank(ROWS, COLUMNS, storage), *mapped = NULL, *again = NULL;
    make_path();
    ck_ok(imiad_bank_save(bank, path));
    ck_ok(imiad_bank_map(&mapped, path, _i % 2));
    imiad_recompression to = IMIAD_RECOMPRESSION_INIT;
    to.rows = 100;
    for (int change = 0; change < 6; ++change) {
        imiad_bank *both[] = {bank, mapped};
        for (int b = 0; b < 2; ++b) {
            ck_ok(imiad_bank_search(d[b], found[b], both[b], queries, QUERIES, 1));
            if (change == _i / 3)
                ck_ok(imiad_bank_add(both[b], queries, QUERIES));
            else if (change == (_i / 3 + 1) % 5)
                ck_ok(imiad_bank_forget(both[b], 7, NULL));
            else if (change == (_i / 3 + 2) % 5)
                ck_ok(imiad_bank_keep(both[b], (int64_t[]){9, 8, 7, 100, 120, 90}, 6));
            else if (change == (_i / 3 + 3) % 5)
                ck_ok(imiad_bank_merge(both[b], both[b]));
            else if (change == (_i / 3 + 4) % 5 && imiad_bank_rows(both[b]) > 100)
                ck_ok(imiad_bank_recompress(both[b], &to, NULL, NULL));
            if (change == (_i / 3 + 2) % 5) /* back to enough rows for the next change */
                ck_ok(imiad_bank_add(both[b], queries, QUERIES));
            if (change == (_i / 3 + 2) % 5)
                for (int i = 0; i < 4; ++i)
                    ck_ok(imiad_bank_merge(both[b], both[b]));
        }
        ck_assert_mem_eq(d[0], d[1], sizeof d[0]);
        ck_assert_mem_eq(found[0], found[1], sizeof found[0]);
        check_same(mapped, bank);
    }
    ck_ok(imiad_bank_load(&again, path));
    imiad_bank_free(bank);
    bank = sourced_bank(ROWS, COLUMNS, storage);
    check_same(again, bank);
    imiad_bank_free(again);
    imiad_bank_free(mapped);
    imiad_bank_free(bank);
    free(queries);
    unlink(path);
}
END_TEST

START_TEST(a_mapped_bank_outlives_its_file)
{
    imiad_bank *bank = sourced_bank(100, 8, IMIAD_STORAGE_FLOAT32), *mapped = NULL;
    make_path();
    ck_ok(imiad_bank_save(bank, path));
    ck_ok(imiad_bank_map(&mapped, path, 1));
    imiad_bank *other = sourced_bank(3, 8, IMIAD_STORAGE_BFLOAT16);
    ck_ok(imiad_bank_save(other, path)); /* a new file in its place */
    check_same(mapped, bank);
    ck_ok(imiad_bank_save(mapped, path));
    unlink(path);
    check_same(mapped, bank);
    imiad_bank_free(other);
    imiad_bank_free(mapped);
    imiad_bank_free(bank);
}
END_TEST

/* Without the check a changed number is what the file says; the header alone decides whether it
 * opens. Numbers that are none are refused only where all is read, and harm no search. */
START_TEST(without_verification_damaged_rows_go_unseen_and_do_no_harm)
{
    enum { ROWS = 100, COLUMNS = 40 };
    imiad_bank *bank = sourced_bank(ROWS, COLUMNS, (imiad_storage)(1 + _i)), *mapped = NULL;
    char *bytes;
    float distances[20 * 3];
    int64_t found[20 * 3], picks[10];
    make_path();
    ck_ok(imiad_bank_save(bank, path));
    size_t size = read_file(&bytes);
    memset(bytes + size - 1000, 0xff, 1000); /* not a number in any storage */
    write_file(bytes, size);
    ck_fails(imiad_bank_map(&mapped, path, 1), IMIAD_FORMAT, "damaged");
    ck_fails(imiad_bank_load(&mapped, path), IMIAD_FORMAT, "damaged");
    ck_ok(imiad_bank_map(&mapped, path, 0));
    float *queries = random_rows(GRID, 20, COLUMNS, 2);
    ck_ok(imiad_bank_search(distances, found, mapped, queries, 20, 3));
    for (int i = 0; i < 20 * 3; ++i)
        ck_assert(found[i] >= 0 && found[i] < ROWS);
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    o.projection = 8;
    if (_i < 2) /* widening takes float16's infinities for numbers */
        ck_fails(imiad_bank_select(picks, mapped, &o, NULL, NULL), IMIAD_NOT_FINITE, "row");
    o.projection = 0;
    ck_ok(imiad_bank_select(picks, mapped, &o, NULL, NULL));
    for (int i = 0; i < 10; ++i)
        ck_assert(picks[i] >= 0 && picks[i] < ROWS);
    ck_fails(imiad_bank_merge(bank, mapped), IMIAD_NOT_FINITE, "merging banks: row");
    write_file(bytes, size - 1);
    free(queries);
    imiad_bank_free(mapped);
    mapped = NULL;
    ck_fails(imiad_bank_map(&mapped, path, 0), IMIAD_FORMAT, path);
    imiad_bank_free(bank);
    free(bytes);
    unlink(path);
}
END_TEST

/* The digest's definition, put together here. */
START_TEST(the_digest_is_that_of_the_stated_bytes)
{
    enum { HEAD = 11 + 4 * 8, ROWS = 2 * 3 * 4, SOURCES = 2 * 8 };
    static const float rows[6] = {1, 2, 3, 4, 5, 6};
    static const int64_t sources[2] = {-1, 5}, none[2] = {IMIAD_NO_SOURCE, IMIAD_NO_SOURCE};
    char bytes[HEAD + ROWS + SOURCES] = "imiad bank\n", expected[65], found[65];
    imiad_bank *bank = NULL;
    ck_ok(imiad_bank_create(&bank, 3, 0));
    ck_ok(imiad_bank_add_from(bank, rows, 2, _i ? sources : none));
    memcpy(bytes + 11, (int64_t[]){1, 3, 2, _i}, 32);
    memcpy(bytes + HEAD, rows, ROWS);
    memcpy(bytes + HEAD + ROWS, sources, SOURCES);
    bytes_digest(expected, bytes, _i ? sizeof bytes : HEAD + ROWS);
    ck_ok(imiad_bank_digest(found, bank));
    ck_assert_str_eq(found, expected);
    ck_fails(imiad_bank_digest(NULL, bank), IMIAD_INVALID_ARGUMENT, "out");
    imiad_bank_free(bank);
}
END_TEST

START_TEST(every_flipped_byte_and_every_cut_is_noticed)
{
    imiad_bank *bank = sourced_bank(5, 4, (imiad_storage)(1 + _i)), *loaded = NULL;
    make_path();
    ck_ok(imiad_bank_save(bank, path));
    char *bytes;
    size_t size = read_file(&bytes);
    for (size_t i = 0; i < size; ++i) {
        bytes[i] ^= (char)(1 << i % 8);
        write_file(bytes, size);
        ck_assert_int_ne(imiad_bank_load(&loaded, path), IMIAD_OK);
        ck_assert_int_ne(imiad_bank_map(&loaded, path, 1), IMIAD_OK);
        ck_assert_ptr_null(loaded);
        bytes[i] ^= (char)(1 << i % 8);
        write_file(bytes, i);
        ck_fails(imiad_bank_load(&loaded, path), IMIAD_FORMAT, path);
        ck_fails(imiad_bank_map(&loaded, path, 0), IMIAD_FORMAT, path);
    }
    write_file(bytes, size);
    ck_ok(imiad_bank_load(&loaded, path));
    imiad_bank_free(loaded);
    imiad_bank_free(bank);
    free(bytes);
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
    static const int64_t sources[] = {1, 2, 3};
    const char *const wrong[] = {"bank.sources is 3 of int64, and should be 2 of int64", "holds a matrix of float32"};
    for (int i = 0; i < 2; ++i) {
        values[5] = 5;
        ck_ok(weights_writer_create(&writer));
        ck_ok(weights_writer_metadata(writer, "imiad.kind", "bank 1"));
        ck_ok(weights_writer_add(writer, "bank", i ? I32 : F32, 2, (int64_t[]){2, 3}, values));
        ck_ok(weights_writer_add(writer, "bank.sources", I64, 1, (int64_t[]){3}, sources));
        ck_ok(weights_writer_commit(writer, path));
        ck_fails(imiad_bank_load(&loaded, path), IMIAD_FORMAT, wrong[i]);
        ck_fails(imiad_bank_map(&loaded, path, 0), IMIAD_FORMAT, wrong[i]);
        weights_writer_free(writer);
    }
    ck_fails(imiad_bank_save(NULL, path), IMIAD_INVALID_ARGUMENT, "bank");
    ck_fails(imiad_bank_map(NULL, path, 1), IMIAD_INVALID_ARGUMENT, "out");
    ck_fails(imiad_bank_load(NULL, path), IMIAD_INVALID_ARGUMENT, "out");
    unlink(path);
}
END_TEST

SUITE("bank_file", TEST(a_saved_bank_comes_back),
      LOOP_TEST(storage_and_sources_come_back_loaded_and_mapped, 3),
      LOOP_TEST(a_mapped_bank_is_searched_and_changed_like_any_other, 15),
      TEST(a_mapped_bank_outlives_its_file),
      LOOP_TEST(without_verification_damaged_rows_go_unseen_and_do_no_harm, 3),
      LOOP_TEST(the_digest_is_that_of_the_stated_bytes, 2),
      LOOP_TEST(every_flipped_byte_and_every_cut_is_noticed, 3),
      TEST(other_files_are_named_and_refused))
