/* The format is stated by the documentation of the reference implementation: a length of eight
 * bytes, a JSON header, data whose ranges cover it without holes or overlap. */
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "check_suite.h"
#include "weights/weights.h"

/* A file in memory that ends where its allocation does, so that reading beyond it is seen. */
typedef struct made {
    uint8_t *bytes;
    size_t size;
} made;

static made make_file(const char *header, const void *data, size_t size)
{
    uint64_t length = strlen(header);
    made file = {malloc(8 + length + size), 8 + length + size};
    memcpy(file.bytes, &length, 8);
    memcpy(file.bytes + 8, header, length);
    memcpy(file.bytes + 8 + length, data, size);
    return file;
}

static char *temporary_path(char folder[])
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    return path_join(folder, "file");
}

static void remove_temporary(char *path, const char *folder)
{
    unlink(path);
    rmdir(folder);
    free(path);
}

START_TEST(arrays_are_read_in_the_order_of_their_data)
{
    static const float values[] = {1, 2, 3, 4, 5, 6};
    made file = make_file("{\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[8,24]},"
                          "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                          "\"__metadata__\":{\"format\":\"pt\"}}  ",
                          values, sizeof values);
    weights *w = NULL;
    ck_ok(weights_parse(&w, file.bytes, file.size, "made"));
    ck_assert_uint_eq(weights_count(w), 2);
    const weight *a = weights_get(w, 0), *b = weights_get(w, 1);
    ck_assert_str_eq(a->name, "a");
    ck_assert_int_eq(a->rank, 1);
    ck_assert_int_eq(a->shape[0], 2);
    ck_assert_mem_eq(a->data, values, 8);
    ck_assert_str_eq(b->name, "b");
    ck_assert_int_eq(b->type, F32);
    ck_assert_int_eq(b->shape[1], 2);
    ck_assert_uint_eq(b->bytes, 16);
    ck_assert_mem_eq(b->data, values + 2, 16);
    ck_assert_ptr_eq(weights_find(w, "b"), b);
    ck_assert_ptr_null(weights_find(w, "c"));
    ck_assert_ptr_null(weights_get(w, 2));
    ck_assert_str_eq(weights_metadata(w, "format"), "pt");
    ck_assert_ptr_null(weights_metadata(w, "other"));
    ck_fails(weights_verify(w), IMIAD_FORMAT, "made: carries no checksum");
    weights_free(w);
    free(file.bytes);
}
END_TEST

START_TEST(every_type_is_read_and_unaligned_data_is_aligned)
{
    static const struct {
        const char *name;
        dtype type;
        size_t bytes;
    } types[] = {{"F32", F32, 4}, {"F64", F64, 8}, {"F16", F16, 2}, {"BF16", BF16, 2},
                 {"I64", I64, 8}, {"I32", I32, 4}, {"U8", U8, 1},   {"BOOL", BOOL, 1}};
    static const uint8_t data[24] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
    char header[200];
    for (size_t i = 0; i < sizeof types / sizeof *types; ++i) {
        for (size_t shift = 0; shift < 8; ++shift) { /* the byte before shifts what follows */
            size_t n = types[i].bytes;
            ck_assert_uint_eq(dtype_bytes(types[i].type), n);
            snprintf(header, sizeof header,
                     "{\"shift\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]},"
                     "\"x\":{\"dtype\":\"%s\",\"shape\":[1,2],\"data_offsets\":[%zu,%zu]}}",
                     shift, shift, types[i].name, shift, shift + 2 * n);
            made file = make_file(header, data, shift + 2 * n);
            weights *w = NULL;
            ck_ok(weights_parse(&w, file.bytes, file.size, "made"));
            const weight *x = weights_find(w, "x");
            ck_assert_int_eq(x->type, types[i].type);
            ck_assert_uint_eq(x->bytes, 2 * n);
            ck_assert_uint_eq((uintptr_t)x->data % n, 0);
            ck_assert_mem_eq(x->data, data + shift, 2 * n);
            weights_free(w);
            free(file.bytes);
        }
    }
    ck_assert_uint_eq(dtype_bytes(0), 0);
    ck_assert_uint_eq(dtype_bytes(BOOL + 1), 0);
}
END_TEST

START_TEST(the_prefix_of_data_parallel_is_dropped_where_all_share_it)
{
    static const char all[] =
        "{\"module.a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
        "\"module.b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]}}";
    static const char some[] =
        "{\"module.a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]}}";
    made file = make_file(all, "xy", 2);
    weights *w = NULL;
    ck_ok(weights_parse(&w, file.bytes, file.size, "made"));
    ck_assert_str_eq(weights_get(w, 0)->name, "a");
    ck_assert_ptr_nonnull(weights_find(w, "b"));
    weights_free(w);
    free(file.bytes);
    file = make_file(some, "xy", 2);
    ck_ok(weights_parse(&w, file.bytes, file.size, "made"));
    ck_assert_ptr_nonnull(weights_find(w, "module.a"));
    weights_free(w);
    free(file.bytes);
}
END_TEST

#define U8_TENSOR(name, shape, begin, end)                                                         \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

/* The data section is eight bytes long. */
static const struct {
    const char *header, *message;
} hostile[] = {
    {"", "neither safetensors"},
    {"[]", "neither safetensors"},
    {"{", "the header, byte"},
    {"{}", "8 bytes follow the last tensor"},
    {"{} x", "the header, byte"},
    {"{\"a\":1}", "tensor a has no dtype"},
    {"{\"a\":{}}", "tensor a has no dtype"},
    {"{\"a\":{\"dtype\":8,\"shape\":[8],\"data_offsets\":[0,8]}}", "tensor a has no dtype"},
    {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}",
     "tensor a is of dtype F8_E4M3"},
    {"{\"a\":{\"dtype\":\"u8\",\"shape\":[8],\"data_offsets\":[0,8]}}", "tensor a is of dtype u8"},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,8]}}", "tensor a has no shape"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":8,\"data_offsets\":[0,8]}}", "tensor a has no shape"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8]}}", "tensor a has no data_offsets"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[8]}}", "no data_offsets"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8,8]}}", "no data_offsets"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[\"0\",8]}}", "no data_offsets"},
    {"{" U8_TENSOR("a", "8.0", 0, 8) "}", "no whole number"},
    {"{" U8_TENSOR("a", "8", 0.0, 8) "}", "no data_offsets"},
    {"{" U8_TENSOR("a", "8", 8, 0) "}", "no data_offsets"},
    {"{" U8_TENSOR("a", "-8", 0, 8) "}", "tensor a has a negative size"},
    {"{" U8_TENSOR("a", "-2,-4", 0, 8) "}", "tensor a has a negative size"},
    {"{" U8_TENSOR("a", "8", -8, 0) "}", "no data_offsets"},
    {"{" U8_TENSOR("a", "1,1,1,1,1,1,1,1,8", 0, 8) "}", "at most 8 dimensions"},
    {"{" U8_TENSOR("a", "7", 0, 8) "}", "tensor a needs 7 bytes by its shape, but its range has 8"},
    {"{" U8_TENSOR("a", "4294967296,4294967296", 0, 0) "}", "impossible shape"},
    {"{" U8_TENSOR("a", "4294967296,4294967297", 0, 8) "}", "impossible shape"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}",
     "impossible shape"},
    {"{" U8_TENSOR("a", "9223372036854775807", 0, 9223372036854775807) "}",
     "tensor a ends at byte 9223372036854775807 of 8"},
    {"{" U8_TENSOR("a", "9223372036854775808", 0, 8) "}", "the header, byte"},
    {"{" U8_TENSOR("a", "4", 0, 4) "}", "4 bytes follow the last tensor"},
    {"{" U8_TENSOR("a", "4", 4, 8) "}", "tensor a leaves a hole"},
    {"{" U8_TENSOR("a", "4", 0, 4) "," U8_TENSOR("b", "3", 5, 8) "}", "tensor b leaves a hole"},
    {"{" U8_TENSOR("a", "5", 0, 5) "," U8_TENSOR("b", "4", 4, 8) "}", "tensor b overlaps"},
    {"{" U8_TENSOR("a", "8", 0, 8) "," U8_TENSOR("b", "8", 0, 8) "}", "tensor b overlaps"},
    {"{" U8_TENSOR("a", "8", 0, 8) "," U8_TENSOR("b", "0", 4, 4) "}", "tensor b overlaps"},
    {"{" U8_TENSOR("a", "4", 0, 4) "," U8_TENSOR("a", "4", 4, 8) "}", "duplicate"},
    {"{" U8_TENSOR("a\xff", "8", 0, 8) "}", "the header, byte"},
    {"{" U8_TENSOR("a\\u0000", "8", 0, 8) "}", "the header, byte"},
    {"{" U8_TENSOR("a", "8", 0, 8) ",\"__metadata__\":1}", "__metadata__ is not an object"},
    {"{" U8_TENSOR("a", "8", 0, 8) ",\"__metadata__\":{\"k\":1}}", "__metadata__ k is not a str"},
    {"{" U8_TENSOR("a", "8", 0, 8) ",\"__metadata__\":{\"imiad.crc32\":\"00000000\"}}",
     "does not stand where it was written"},
    {"{\"__metadata__\":{\"imiad.crc32\":\"00000000\"}," U8_TENSOR("a", "8", 0, 8) "}",
     "the file is damaged: its checksum is"},
};

START_TEST(what_breaks_the_format_is_refused)
{
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; ++i) {
        made file = make_file(hostile[i].header, "12345678", 8);
        weights *w = NULL;
        ck_fails(weights_parse(&w, file.bytes, file.size, "made"), IMIAD_FORMAT,
                 hostile[i].message);
        ck_assert_ptr_null(w);
        ck_assert(strncmp(imiad_last_error(), "made: ", 6) == 0);
        free(file.bytes);
    }
}
END_TEST

START_TEST(a_header_may_not_be_longer_than_the_file_or_the_limit)
{
    static const uint64_t lengths[] = {3, 100000000, 100000001, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; ++i) {
        made file = make_file("{}", "", 0);
        memcpy(file.bytes, &lengths[i], 8);
        weights *w = NULL;
        ck_fails(weights_parse(&w, file.bytes, file.size, "made"), IMIAD_FORMAT,
                 lengths[i] > 100000000 ? "more than the format allows" : "truncated");
        free(file.bytes);
    }
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    char header[100001] = "{\"a\":";
    memset(header + 5, '[', sizeof header - 6);
    made file = make_file(header, "", 0);
    weights *w = NULL;
    ck_fails(weights_parse(&w, file.bytes, file.size, "made"), IMIAD_FORMAT, "the header, byte");
    free(file.bytes);
}
END_TEST

START_TEST(other_files_are_called_by_their_name)
{
    static const struct {
        const char *bytes, *message;
    } cases[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS pointer"},
        {"<!DOCTYPE html><html></html>", "web page"},
        {"\x80\x02}q.", "bare pickle"},
        {"\x93NUMPY\x01", "NumPy"},
        {"x", "neither safetensors nor a PyTorch .pth nor an .npz (1 bytes, the first is 0x78)"},
    };
    weights *w = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        ck_fails(weights_parse(&w, cases[i].bytes, strlen(cases[i].bytes), "made"), IMIAD_FORMAT,
                 cases[i].message);
    char tar[512] = "pickle";
    memcpy(tar + 257, "ustar", 5);
    ck_fails(weights_parse(&w, tar, sizeof tar, "made"), IMIAD_FORMAT, "before 0.1.10");
    ck_fails(weights_parse(&w, "", 0, "made"), IMIAD_FORMAT, "empty");
    ck_fails(weights_open(&w, "/nowhere/at/all"), IMIAD_NOT_FOUND, "/nowhere/at/all");
    ck_fails(weights_open(&w, "/"), IMIAD_IO, "regular file");
}
END_TEST

/* A file with one array of each size, an empty one and a scalar. */
static void write_sample(const char *path)
{
    static const uint8_t bytes[3] = {1, 2, 3};
    static const float reals[6] = {1.5f, -2, 3, 0, 5, 6};
    static const int64_t count = -7;
    static const uint16_t halves[2] = {0x3c00, 0xc000};
    weights_writer *writer = NULL;
    ck_ok(weights_writer_create(&writer));
    ck_ok(weights_writer_metadata(writer, "kind", "first"));
    ck_ok(weights_writer_metadata(writer, "note", "caf\xc3\xa9 \"quoted\"\n"));
    ck_ok(weights_writer_metadata(writer, "kind", "sample"));
    ck_ok(weights_writer_add(writer, "bytes", U8, 1, (int64_t[]){3}, bytes));
    ck_ok(weights_writer_add(writer, "module.reals", F32, 2, (int64_t[]){2, 3}, reals));
    ck_ok(weights_writer_add(writer, "empty", F64, 2, (int64_t[]){0, 5}, NULL));
    ck_ok(weights_writer_add(writer, "count", I64, 0, NULL, &count));
    ck_ok(weights_writer_add(writer, "halves", F16, 1, (int64_t[]){2}, halves));
    ck_ok(weights_writer_add(writer, "more", F32, 1, (int64_t[]){1}, reals));
    ck_ok(weights_writer_commit(writer, path));
    weights_writer_free(writer);
}

/* The first byte of a file is its header's length modulo 256, and so may look like a pickle (0x80),
 * a web page (0x3c) or gzip (0x1f): every one of them must read. */
START_TEST(a_header_of_any_length_is_read)
{
    static const float value = 7;
    char header[2048];
    for (int length = 100; length < 2000; ++length) {
        snprintf(header, sizeof header, "%-*s", length,
                 "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
        ck_assert_uint_eq(strlen(header), (size_t)length);
        made file = make_file(header, &value, sizeof value);
        weights *w = NULL;
        ck_ok(weights_parse(&w, file.bytes, file.size, "made"));
        ck_assert_mem_eq(weights_get(w, 0)->data, &value, sizeof value);
        weights_free(w);
        free(file.bytes);
    }
}
END_TEST

/* An array of eight-byte numbers begins anywhere in a file whose header is not padded. */
START_TEST(a_file_whose_header_is_not_padded_is_read)
{
    static const double values[] = {1.5, -2, 3};
    char header[128], folder[] = "/tmp/imiad-safetensors-XXXXXX";
    char *path = temporary_path(folder);
    for (int length = 80; length < 88; ++length) {
        snprintf(header, sizeof header, "%-*s", length,
                 "{\"a\":{\"dtype\":\"F64\",\"shape\":[3],\"data_offsets\":[0,24]}}");
        made file = make_file(header, values, sizeof values);
        FILE *stream = fopen(path, "wb");
        ck_assert_uint_eq(fwrite(file.bytes, 1, file.size, stream), file.size);
        fclose(stream);
        weights *w = NULL;
        ck_ok(weights_open(&w, path));
        ck_assert_uint_eq((uintptr_t)weights_get(w, 0)->data % 8, 0);
        ck_assert_mem_eq(weights_get(w, 0)->data, values, sizeof values);
        weights_free(w);
        free(file.bytes);
    }
    remove_temporary(path, folder);
}
END_TEST

START_TEST(what_is_written_is_read)
{
    char folder[] = "/tmp/imiad-test-XXXXXX", *path = temporary_path(folder);
    static const char *const order[] = {"empty", "count",  "module.reals",
                                        "more",  "halves", "bytes"};
    write_sample(path);
    weights *w = NULL;
    ck_ok(weights_open(&w, path));
    ck_ok(weights_verify(w));
    ck_assert_uint_eq(weights_count(w), 6);
    file_view view;
    ck_ok(file_map(&view, path));
    for (size_t i = 0; i < 6; ++i)
        ck_assert_str_eq(weights_get(w, i)->name, order[i]);
    ck_assert_double_eq(((const float *)weights_find(w, "module.reals")->data)[1], -2);
    ck_assert_int_eq(weights_find(w, "module.reals")->shape[1], 3);
    ck_assert_int_eq(weights_find(w, "count")->rank, 0);
    ck_assert_int_eq(*(const int64_t *)weights_find(w, "count")->data, -7);
    ck_assert_uint_eq(weights_find(w, "empty")->bytes, 0);
    ck_assert_int_eq(weights_find(w, "empty")->shape[1], 5);
    ck_assert_uint_eq(((const uint16_t *)weights_find(w, "halves")->data)[1], 0xc000);
    ck_assert_str_eq(weights_metadata(w, "kind"), "sample");
    ck_assert_str_eq(weights_metadata(w, "note"), "caf\xc3\xa9 \"quoted\"\n");
    weights_free(w);
    /* the data begins at a multiple of eight, so nothing had to be copied */
    uint64_t length;
    memcpy(&length, view.bytes, 8);
    ck_assert_uint_eq(length % 8, 0);
    file_unmap(&view);
    remove_temporary(path, folder);
}
END_TEST

START_TEST(the_same_calls_write_the_same_bytes)
{
    char folder[] = "/tmp/imiad-test-XXXXXX", *path = temporary_path(folder);
    char first[65], second[65];
    write_sample(path);
    ck_ok(file_digest(first, path));
    write_sample(path);
    ck_ok(file_digest(second, path));
    ck_assert_str_eq(first, second);
    remove_temporary(path, folder);
}
END_TEST

START_TEST(no_changed_byte_of_our_own_files_goes_unseen)
{
    char folder[] = "/tmp/imiad-test-XXXXXX", *path = temporary_path(folder);
    write_sample(path);
    file_view view;
    ck_ok(file_map(&view, path));
    uint8_t *copy = malloc(view.size);
    for (size_t at = 0; at < view.size; ++at) {
        for (int flip = 1; flip < 256; flip += at < 300 ? 1 : 37) {
            memcpy(copy, view.bytes, view.size);
            copy[at] ^= (uint8_t)flip;
            weights *w = NULL;
            imiad_status status = weights_parse(&w, copy, view.size, "damaged");
            if (status == IMIAD_OK) /* only where the checksum's key is no longer there */
                status = weights_verify(w);
            ck_assert_msg(status == IMIAD_FORMAT, "byte %zu ^ %d: %s", at, flip,
                          imiad_status_name(status));
            weights_free(w);
        }
    }
    free(copy);
    file_unmap(&view);
    remove_temporary(path, folder);
}
END_TEST

START_TEST(no_truncation_is_taken_for_a_file)
{
    char folder[] = "/tmp/imiad-test-XXXXXX", *path = temporary_path(folder);
    write_sample(path);
    file_view view;
    ck_ok(file_map(&view, path));
    for (size_t size = 0; size < view.size; ++size) {
        uint8_t *cut = malloc(size + !size); /* exact, for the sanitizer */
        memcpy(cut, view.bytes, size);
        weights *w = NULL;
        ck_fails(weights_parse(&w, cut, size, "cut"), IMIAD_FORMAT, "cut: ");
        free(cut);
    }
    file_unmap(&view);
    remove_temporary(path, folder);
}
END_TEST

START_TEST(the_writer_refuses_what_it_could_not_read)
{
    static const float x;
    weights_writer *w = NULL;
    ck_ok(weights_writer_create(&w));
    ck_ok(weights_writer_add(w, "x", F32, 0, NULL, &x));
    ck_fails(weights_writer_add(w, "x", F32, 0, NULL, &x), IMIAD_INVALID_ARGUMENT, "named x");
    ck_fails(weights_writer_add(w, "\xff", F32, 0, NULL, &x), IMIAD_INVALID_ARGUMENT, "be named");
    ck_fails(weights_writer_add(w, "__metadata__", F32, 0, NULL, &x), IMIAD_INVALID_ARGUMENT,
             "be named");
    ck_fails(weights_writer_add(w, "y", 0, 0, NULL, &x), IMIAD_INVALID_ARGUMENT, "tensor y");
    ck_fails(weights_writer_add(w, "y", F32, 9, NULL, &x), IMIAD_INVALID_ARGUMENT, "tensor y");
    ck_fails(weights_writer_add(w, "y", F32, 1, (int64_t[]){-1}, &x), IMIAD_INVALID_ARGUMENT,
             "tensor y");
    ck_fails(weights_writer_add(w, "y", F32, 2, (int64_t[]){INT64_MAX, 2}, &x),
             IMIAD_INVALID_ARGUMENT, "tensor y");
    ck_fails(weights_writer_add(w, "y", F32, 1, (int64_t[]){1}, NULL), IMIAD_INVALID_ARGUMENT,
             "tensor y has no data");
    ck_fails(weights_writer_metadata(w, "imiad.crc32", "0"), IMIAD_INVALID_ARGUMENT, "imiad.crc32");
    ck_fails(weights_writer_metadata(w, "k", "\xff"), IMIAD_INVALID_ARGUMENT, "not UTF-8");
    ck_fails(weights_writer_commit(w, "/proc/nowhere/all"), IMIAD_IO, "/proc/nowhere/all");
    weights_writer_free(w);
    weights_writer_free(NULL);
    weights_free(NULL);
}
END_TEST

START_TEST(a_file_of_nothing_is_a_file)
{
    char folder[] = "/tmp/imiad-test-XXXXXX", *path = temporary_path(folder);
    weights_writer *writer = NULL;
    ck_ok(weights_writer_create(&writer));
    ck_ok(weights_writer_commit(writer, path));
    weights_writer_free(writer);
    weights *w = NULL;
    ck_ok(weights_open(&w, path));
    ck_ok(weights_verify(w));
    ck_assert_uint_eq(weights_count(w), 0);
    ck_assert_ptr_null(weights_find(w, ""));
    weights_free(w);
    remove_temporary(path, folder);
}
END_TEST

/* The ResNet-18 whose digest the golden values cite; shapes by torchvision's definition of it. */
START_TEST(a_real_resnet18_loads)
{
    const char *path = SHARED("data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors");
    static const struct {
        const char *name;
        int rank;
        int64_t shape[4];
    } some[] = {{"conv1.weight", 4, {64, 3, 7, 7}},
                {"bn1.running_var", 1, {64}},
                {"layer1.1.conv2.weight", 4, {64, 64, 3, 3}},
                {"layer2.0.downsample.0.weight", 4, {128, 64, 1, 1}},
                {"layer3.1.conv2.weight", 4, {256, 256, 3, 3}},
                {"fc.weight", 2, {1000, 512}}};
    char digest[65];
    ck_ok(file_digest(digest, path));
    ck_assert_str_eq(digest, "a5e0efdaa7e5373c76ed62763f3d45a060091185056b944fae15211371526f64");
    weights *w = NULL;
    ck_ok(weights_open(&w, path));
    ck_assert_uint_eq(weights_count(w), 82);
    for (size_t i = 0; i < sizeof some / sizeof *some; ++i) {
        const weight *found = weights_find(w, some[i].name);
        ck_assert_msg(found != NULL, "%s", some[i].name);
        ck_assert_int_eq(found->type, F32);
        ck_assert_int_eq(found->rank, some[i].rank);
        ck_assert_mem_eq(found->shape, some[i].shape, (size_t)found->rank * sizeof(int64_t));
    }
    ck_assert_ptr_null(weights_find(w, "layer4.0.conv1.weight"));
    ck_assert_ptr_nonnull(weights_metadata(w, "missing"));
    const float *variance = weights_find(w, "bn1.running_var")->data; /* of an identity: 1 - eps */
    for (int i = 0; i < 64; ++i)
        ck_assert_float_eq_tol(variance[i], 1 - 1e-5f, 1e-7f);
    weights_free(w);
}
END_TEST

SUITE("safetensors", TEST(arrays_are_read_in_the_order_of_their_data),
      TEST(every_type_is_read_and_unaligned_data_is_aligned),
      TEST(the_prefix_of_data_parallel_is_dropped_where_all_share_it),
      TEST(what_breaks_the_format_is_refused),
      TEST(a_header_may_not_be_longer_than_the_file_or_the_limit), TEST(deep_nesting_is_refused),
      TEST(other_files_are_called_by_their_name), TEST(a_header_of_any_length_is_read),
      TEST(a_file_whose_header_is_not_padded_is_read), TEST(what_is_written_is_read),
      TEST(the_same_calls_write_the_same_bytes), TEST(no_changed_byte_of_our_own_files_goes_unseen),
      TEST(no_truncation_is_taken_for_a_file), TEST(the_writer_refuses_what_it_could_not_read),
      TEST(a_file_of_nothing_is_a_file), TEST(a_real_resnet18_loads))
