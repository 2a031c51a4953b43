/* Files of PyTorch's own making, in pth_files.h; make_pth.py states what is in them. */
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "weights/weights.h"
#include "pth_files.h"

typedef struct sample_file {
    const char *name;
    const uint8_t *bytes;
    size_t size;
} sample_file;

#define FILE_OF(array)                                                                             \
    {                                                                                              \
#array, array, sizeof array                                                                \
    }

static const sample_file every_kind[] = {FILE_OF(zip_every_kind), FILE_OF(legacy_every_kind),
                                         FILE_OF(deflated_every_kind)};

static const sample_file all_files[] = {FILE_OF(zip_every_kind),      FILE_OF(legacy_every_kind),
                                        FILE_OF(deflated_every_kind), FILE_OF(zip64_entries),
                                        FILE_OF(zip_checkpoint),      FILE_OF(legacy_model),
                                        FILE_OF(zip_two_networks)};

enum {
    EVERY_KIND_FILES = sizeof every_kind / sizeof *every_kind,
    ALL_FILES = sizeof all_files / sizeof *all_files
};

/* From an allocation of exactly that size, which the sanitizer watches. */
static imiad_status parse(weights **out, const uint8_t *bytes, size_t size, uint8_t **copy)
{
    *copy = malloc(size + !size);
    memcpy(*copy, bytes, size);
    return weights_parse(out, *copy, size, "made");
}

static const weight *expect(const weights *w, const char *name, dtype type, int rank,
                            const int64_t *shape)
{
    const weight *found = weights_find(w, name);
    ck_assert_msg(found != NULL, "no %s", name);
    ck_assert_int_eq(found->type, type);
    ck_assert_int_eq(found->rank, rank);
    size_t count = 1;
    for (int d = 0; d < rank; ++d) {
        ck_assert_int_eq(found->shape[d], shape[d]);
        count *= (size_t)shape[d];
    }
    ck_assert_uint_eq(found->bytes, count * dtype_bytes(type));
    ck_assert_uint_eq((uintptr_t)found->data % dtype_bytes(type), 0);
    return found;
}

#define EXPECT(name, type, rank, shape, ...)                                                       \
    do {                                                                                           \
        const __typeof__((__VA_ARGS__)[0]) *values_ = (__VA_ARGS__);                               \
        const weight *found_ = expect(w, name, type, rank, (const int64_t[])shape);                \
        ck_assert_mem_eq(found_->data, values_, found_->bytes);                                    \
    } while (0)
#define SHAPE(...)                                                                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

START_TEST(every_kind_of_tensor_is_read)
{
    uint8_t *copy;
    weights *w = NULL;
    ck_ok(parse(&w, every_kind[_i].bytes, every_kind[_i].size, &copy));
    ck_assert_uint_eq(weights_count(w), 16);
    ck_assert_str_eq(weights_get(w, 0)->name, "base");
    ck_assert_str_eq(weights_get(w, 15)->name, "parameter");
    static const float counting[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    EXPECT("base", F32, 2, SHAPE(3, 4), counting);
    EXPECT("transposed", F32, 2, SHAPE(4, 3), (float[]){0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
    EXPECT("column", F32, 1, SHAPE(3), (float[]){1, 5, 9});
    EXPECT("row", F32, 1, SHAPE(4), (float[]){8, 9, 10, 11});
    EXPECT("image", F32, 4, SHAPE(1, 3, 2, 2), counting);
    EXPECT("spread", F32, 2, SHAPE(2, 3), (float[]){7, 7, 7, 7, 7, 7});
    EXPECT("empty", F32, 2, SHAPE(0, 3), (float[]){0});
    EXPECT("scalar", F32, 0, SHAPE(0), (float[]){2.5f});
    EXPECT("half", F16, 1, SHAPE(2), (uint16_t[]){0x3c00, 0xc000}); /* IEEE 754: 1, -2 */
    EXPECT("brain", BF16, 1, SHAPE(2), (uint16_t[]){0x3f80, 0xc000});
    EXPECT("double", F64, 1, SHAPE(1), (double[]){0.1});
    EXPECT("long", I64, 0, SHAPE(0), (int64_t[]){-5});
    EXPECT("int", I32, 1, SHAPE(2), (int32_t[]){1, -1});
    EXPECT("byte", U8, 1, SHAPE(2), (uint8_t[]){0, 255});
    EXPECT("bool", BOOL, 1, SHAPE(2), (uint8_t[]){1, 0});
    EXPECT("parameter", F32, 1, SHAPE(2), (float[]){1, 2});
    ck_assert_ptr_null(weights_metadata(w, "epoch"));
    ck_fails(weights_verify(w), IMIAD_FORMAT, "no checksum");
    weights_free(w);
    free(copy);
}
END_TEST

START_TEST(zip64_sizes_are_read)
{
    uint8_t *copy;
    weights *w = NULL;
    ck_ok(parse(&w, zip64_entries, sizeof zip64_entries, &copy));
    EXPECT("a", F32, 1, SHAPE(2), (float[]){1, 2});
    weights_free(w);
    free(copy);
}
END_TEST

/* A training checkpoint of DataParallel, and a model saved under "model". */
START_TEST(a_state_dict_is_found_where_training_scripts_put_it)
{
    static const sample_file files[] = {FILE_OF(zip_checkpoint), FILE_OF(legacy_model)};
    uint8_t *copy;
    weights *w = NULL;
    ck_ok(parse(&w, files[_i].bytes, files[_i].size, &copy));
    ck_assert_uint_eq(weights_count(w), 7);
    EXPECT("0.weight", F32, 4, SHAPE(2, 1, 1, 1), (float[]){0.25f, 0.25f});
    EXPECT("1.bias", F32, 1, SHAPE(2), (float[]){0.25f, 0.25f});
    EXPECT("1.running_var", F32, 1, SHAPE(2), (float[]){1, 1});
    EXPECT("1.num_batches_tracked", I64, 0, SHAPE(0), (int64_t[]){0});
    weights_free(w);
    free(copy);
}
END_TEST

/* A dict of state dicts: names begin with the entry's. */
START_TEST(networks_side_by_side_are_told_apart)
{
    static const sample_file file = FILE_OF(zip_two_networks);
    uint8_t *copy;
    weights *w = NULL;
    ck_ok(parse(&w, file.bytes, file.size, &copy));
    ck_assert_uint_eq(weights_count(w), 8);
    EXPECT("bn.0.weight", F32, 4, SHAPE(2, 1, 1, 1), (float[]){0.25f, 0.25f});
    EXPECT("decoder.w", F32, 1, SHAPE(1), (float[]){3});
    weights_free(w);
    free(copy);
}
END_TEST

START_TEST(what_holds_no_state_dict_says_what_it_holds)
{
    static const struct {
        sample_file file;
        const char *message;
    } cases[] = {
        {FILE_OF(zip_int8), "tensor q is of type CharStorage"},
        {FILE_OF(zip_whole_model), "asks for torch.nn.modules.linear.Linear"},
        {FILE_OF(zip_no_tensors), "holds tensors, but epoch (an int), args (a dict)"},
        {FILE_OF(zip_list), "holds a list, not a state dict"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        uint8_t *copy;
        weights *w = NULL;
        ck_fails(parse(&w, cases[i].file.bytes, cases[i].file.size, &copy), IMIAD_FORMAT,
                 cases[i].message);
        ck_assert_ptr_null(w);
        free(copy);
    }
}
END_TEST

START_TEST(no_truncation_is_taken_for_a_file)
{
    const sample_file *file = &all_files[_i];
    for (size_t size = 0; size < file->size; ++size) {
        uint8_t *copy;
        weights *w = NULL;
        ck_fails(parse(&w, file->bytes, size, &copy), IMIAD_FORMAT, "made: ");
        free(copy);
    }
}
END_TEST

/* A changed byte is an error or, where nothing depends on it, no difference; it is never a crash.
 */
START_TEST(no_changed_byte_breaks_the_reader)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    const sample_file *file = &all_files[_i];
    uint8_t *copy = malloc(file->size);
    for (size_t at = 0; at < file->size; ++at) {
        for (size_t i = 0; i < sizeof changes; ++i) {
            memcpy(copy, file->bytes, file->size);
            copy[at] ^= changes[i];
            weights *w = NULL;
            imiad_status status = weights_parse(&w, copy, file->size, "changed");
            ck_assert_msg(status == IMIAD_OK || status == IMIAD_FORMAT, "byte %zu: %s", at,
                          imiad_last_error());
            ck_assert_int_eq(status == IMIAD_OK, w != NULL);
            weights_free(w);
        }
    }
    free(copy);
}
END_TEST

/* Which moves what lies there between multiples of its size. */
START_TEST(a_file_is_read_as_its_bytes_are)
{
    const sample_file *sample = &all_files[_i];
    uint8_t *copy;
    weights *parsed = NULL, *opened = NULL;
    ck_ok(parse(&parsed, sample->bytes, sample->size, &copy));
    char path[] = "/tmp/imiad-pth-XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_eq(write(file, sample->bytes, sample->size), (ssize_t)sample->size);
    close(file);
    ck_ok(weights_open(&opened, path));
    unlink(path);
    ck_assert_uint_eq(weights_count(opened), weights_count(parsed));
    for (size_t i = 0; i < weights_count(parsed); ++i) {
        const weight *x = weights_get(opened, i), *y = weights_get(parsed, i);
        ck_assert_str_eq(x->name, y->name);
        ck_assert_uint_eq(x->bytes, y->bytes);
        ck_assert_uint_eq((uintptr_t)x->data % dtype_bytes(x->type), 0);
        ck_assert_mem_eq(x->data, y->data, x->bytes);
    }
    weights_free(opened);
    weights_free(parsed);
    free(copy);
}
END_TEST

SUITE("pth", LOOP_TEST(every_kind_of_tensor_is_read, EVERY_KIND_FILES), TEST(zip64_sizes_are_read),
      LOOP_TEST(a_state_dict_is_found_where_training_scripts_put_it, 2),
      LOOP_TEST(a_file_is_read_as_its_bytes_are, ALL_FILES),
      TEST(networks_side_by_side_are_told_apart), TEST(what_holds_no_state_dict_says_what_it_holds),
      LOOP_TEST(no_truncation_is_taken_for_a_file, ALL_FILES),
      LOOP_TEST(no_changed_byte_breaks_the_reader, ALL_FILES))
