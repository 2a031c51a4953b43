/* NumPy's archives, and weights in several files. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build_pth.h"

/* ---- .npz ---- */

#define HEADER(text) "\x93NUMPY\1\0\x40\0" text
#define ROWS         "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }    \n"
#define COLUMNS      "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1), }     \n"

/* One array behind the header, under the name. */
static void make_npz(const char *name, const char *header, size_t header_size, size_t data_size)
{
    static uint8_t bytes[256];
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, header, header_size);
    memcpy(bytes + header_size, numbers, sizeof numbers);
    member m = member_of(name, bytes, header_size + data_size);
    make_zip(&m, 1);
}
#define MAKE_NPZ(header, data_size) make_npz("a.npy", header, sizeof(header) - 1, data_size)

START_TEST(arrays_of_an_archive_are_read)
{
    MAKE_NPZ(HEADER(ROWS), 8);
    accept_made(1);
    MAKE_NPZ(HEADER(COLUMNS), 8);
    accept_made(1);
    make_npz("Transformer/encoder_norm/scale.npy", HEADER(ROWS), sizeof(HEADER(ROWS)) - 1, 8);
    uint8_t *copy;
    weights *w;
    ck_ok(parse_made(&w, &copy));
    const weight *found = weights_find(w, "Transformer/encoder_norm/scale");
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(found->rank, 2);
    ck_assert_int_eq(found->shape[1], 2);
    weights_free(w);
    free(copy);
}
END_TEST

START_TEST(what_should_be_there_is_said_beside_what_is)
{
    static const struct {
        const char *name;
        dtype type;
        int rank;
        int64_t shape[2];
        const char *message; /* NULL: it is there */
    } cases[] = {
        {"a", F32, 2, {1, 2}, NULL},
        {"a", F32, 2, {ANY_SIZE, 2}, NULL},
        {"b", F32, 2, {ANY_SIZE, 2}, "there is no b, any x 2 of float32"},
        {"a", F64, 2, {1, 2}, "a is 1 x 2 of float32, and should be 1 x 2 of float64"},
        {"a", F32, 2, {1, 3}, "a is 1 x 2 of float32, and should be 1 x 3 of float32"},
        {"a", F32, 1, {2}, "a is 1 x 2 of float32, and should be 2 of float32"},
        {"a", F32, 0, {0}, "a is 1 x 2 of float32, and should be one number of float32"},
    };
    MAKE_NPZ(HEADER(ROWS), 8);
    uint8_t *copy;
    weights *w;
    ck_ok(parse_made(&w, &copy));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const weight *found = NULL;
        if (cases[i].message)
            ck_fails(weights_expect(&found, w, cases[i].name, cases[i].type, cases[i].rank,
                                    cases[i].shape),
                     IMIAD_FORMAT, cases[i].message);
        else
            ck_ok(weights_expect(&found, w, cases[i].name, cases[i].type, cases[i].rank,
                                 cases[i].shape));
        ck_assert_ptr_eq(found, cases[i].message ? NULL : weights_find(w, "a"));
    }
    weights_free(w);
    free(copy);
}
END_TEST

START_TEST(any_size_is_above_none)
{
    static const char empty[] =
        HEADER("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2), }    \n");
    MAKE_NPZ(empty, 0);
    uint8_t *copy;
    weights *w;
    ck_ok(parse_made(&w, &copy));
    ck_fails(weights_expect(NULL, w, "a", F32, 2, (int64_t[]){ANY_SIZE, 2}), IMIAD_FORMAT,
             "a is 0 x 2 of float32");
    ck_ok(weights_expect(NULL, w, "a", F32, 2, (int64_t[]){0, 2}));
    weights_free(w);
    free(copy);
}
END_TEST

/* Infinities and no numbers, and the largest and smallest that are numbers. */
START_TEST(numbers_that_are_not_finite_are_found_in_every_type)
{
    static const struct {
        dtype type;
        uint64_t odd[2], fine[2];
    } cases[] = {
        {F32, {0x7f800000, 0xffc00000}, {0x7f7fffff, 0x80000001}},
        {F64, {0xfff0000000000000, 0x7ff8000000000000}, {0x7fefffffffffffff, 1}},
        {F16, {0x7c00, 0xfe00}, {0xfbff, 1}},
        {BF16, {0xff80, 0x7fc0}, {0x7f7f, 1}},
        {I32, {0}, {0x7f800000, 0xffffffff}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        for (int j = 0; j < 2; ++j) {
            size_t bytes = dtype_bytes(cases[i].type);
            uint8_t values[3 * sizeof(uint64_t)] = {0};
            weight w = {.type = cases[i].type, .data = values, .bytes = 3 * bytes};
            memcpy(values + 2 * bytes, &cases[i].fine[j], bytes); /* the last of three */
            ck_assert(weight_is_finite(&w));
            memcpy(values + 2 * bytes, &cases[i].odd[j], bytes);
            ck_assert_int_eq(weight_is_finite(&w), cases[i].type == I32);
        }
}
END_TEST

START_TEST(columns_first_are_turned)
{
    static const char header[] =
        HEADER("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }     \n");
    static const float columns[4] = {1, 2, 3, 4}, rows[4] = {1, 3, 2, 4};
    static uint8_t bytes[sizeof header - 1 + sizeof columns];
    memcpy(bytes, header, sizeof header - 1);
    memcpy(bytes + sizeof header - 1, columns, sizeof columns);
    member m = member_of("a.npy", bytes, sizeof bytes);
    make_zip(&m, 1);
    uint8_t *copy;
    weights *w;
    ck_ok(parse_made(&w, &copy));
    ck_assert_mem_eq(weights_find(w, "a")->data, rows, sizeof rows);
    weights_free(w);
    free(copy);
}
END_TEST

START_TEST(arrays_that_cannot_be_are_refused)
{
    MAKE_NPZ(HEADER(ROWS), 7);
    refuse_made("array a needs 8 bytes by its shape, but has 7");
    MAKE_NPZ(HEADER(ROWS), 9);
    refuse_made("1 bytes follow array a");
    MAKE_NPZ(HEADER("{'descr': '|O', 'fortran_order': False, 'shape': (1, 2), }     \n"), 8);
    refuse_made("array a is of type '|O'");
    MAKE_NPZ(HEADER("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1, 2), }    \n"), 8);
    refuse_made("the header of array a is damaged");
    MAKE_NPZ("\x93NUMPY\1\0\xff\x7f", 8);
    refuse_made("array a is truncated");
    MAKE_NPZ("nothing", 8);
    refuse_made("a is no NumPy array");
}
END_TEST

START_TEST(bytes_behind_an_archive_are_counted)
{
    MAKE_NPZ(HEADER(ROWS), 8);
    put("12345", 5);
    refuse_made("5 bytes follow the end of the zip archive");
    made.size -= 30;
    refuse_made("the zip archive has no end: it is truncated");
}
END_TEST

/* ---- shards ---- */

typedef struct folder {
    char path[64], index[96], first[96], second[96];
} folder;

static folder make_folder(const char *index)
{
    folder f = {.path = "/tmp/imiad-test-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(f.path));
    snprintf(f.index, sizeof f.index, "%s/model.safetensors.index.json", f.path);
    snprintf(f.first, sizeof f.first, "%s/m-1.safetensors", f.path);
    snprintf(f.second, sizeof f.second, "%s/m-2.safetensors", f.path);
    const char *const paths[2] = {f.first, f.second}, *const names[2] = {"a", "b"};
    for (int i = 0; i < 2; ++i) {
        weights_writer *w;
        ck_ok(weights_writer_create(&w));
        ck_ok(weights_writer_add(w, names[i], F32, 1, (int64_t[]){1}, &numbers[i]));
        ck_ok(weights_writer_commit(w, paths[i]));
        weights_writer_free(w);
    }
    FILE *file = fopen(f.index, "w");
    fputs(index, file);
    fclose(file);
    return f;
}

static void remove_folder(const folder *f)
{
    unlink(f->index);
    unlink(f->first);
    unlink(f->second);
    rmdir(f->path);
}

START_TEST(an_index_opens_the_files_beside_it)
{
    folder f = make_folder("{\"metadata\": {\"total_size\": 8}, \"weight_map\": {"
                           "\"a\": \"m-1.safetensors\", \"b\": \"m-2.safetensors\"}}");
    weights *w;
    char digest[2][65];
    ck_ok(weights_open(&w, f.index));
    ck_assert_uint_eq(weights_count(w), 2);
    ck_assert_mem_eq(weights_find(w, "a")->data, &numbers[0], 4);
    ck_assert_mem_eq(weights_find(w, "b")->data, &numbers[1], 4);
    weights_let_go(w); /* what was read comes back */
    ck_assert_mem_eq(weights_find(w, "b")->data, &numbers[1], 4);
    weights_free(w);
    ck_ok(weights_digest(digest[0], f.index));
    weights_writer *other;
    ck_ok(weights_writer_create(&other));
    ck_ok(weights_writer_add(other, "b", F32, 1, (int64_t[]){1}, &numbers[0]));
    ck_ok(weights_writer_commit(other, f.second));
    weights_writer_free(other);
    ck_ok(weights_digest(digest[1], f.index));
    ck_assert_str_ne(digest[0], digest[1]); /* of the files, not of the index alone */
    unlink(f.second);
    ck_fails(weights_open(&w, f.index), IMIAD_NOT_FOUND, "m-2.safetensors");
    remove_folder(&f);
}
END_TEST

START_TEST(an_index_that_lies_is_refused)
{
    static const struct {
        const char *index, *message;
    } cases[] = {
        {"{\"weight_map\": {\"a\": \"m-2.safetensors\"}}", "tensor a is not in m-2.safetensors"},
        {"{\"weight_map\": {\"a\": \"../m-1.safetensors\"}}", "is not in a file beside the index"},
        {"{\"weight_map\": {\"a\": 3}}", "is not in a file beside the index"},
        {"{\"weight_map\": {}}", "it has no weight_map"},
        {"{\"a\": 1}", "it has no weight_map"},
        {"{\"weight_map\": ", "the index, byte"},
    };
    folder f = make_folder(cases[_i].index);
    weights *w = NULL;
    ck_fails(weights_open(&w, f.index), IMIAD_FORMAT, cases[_i].message);
    ck_assert_ptr_null(w);
    remove_folder(&f);
}
END_TEST

SUITE("weights-containers", TEST(arrays_of_an_archive_are_read), TEST(columns_first_are_turned),
      TEST(what_should_be_there_is_said_beside_what_is), TEST(any_size_is_above_none),
      TEST(numbers_that_are_not_finite_are_found_in_every_type),
      TEST(arrays_that_cannot_be_are_refused), TEST(bytes_behind_an_archive_are_counted),
      TEST(an_index_opens_the_files_beside_it), LOOP_TEST(an_index_that_lies_is_refused, 6))
