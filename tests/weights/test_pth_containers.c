/* What stands around the pickle: zip archives and the legacy stream, damaged in one place each. */
#include <unistd.h>

#include "build_pth.h"

/* ---- archives ---- */

static const char good_pickle[] = HOLDING(GOOD_TENSOR);

/* The good archive, one member of which is then changed in local header and directory alike. */
enum { PICKLE, NUMBERS, EXTRA };
static void good_members(member members[3])
{
    members[PICKLE] = member_of("r/data.pkl", good_pickle, sizeof good_pickle - 1);
    members[NUMBERS] = member_of("r/data/0", numbers, sizeof numbers);
    members[EXTRA] = member_of("r/byteorder", "little", 6);
}

START_TEST(members_are_checked)
{
    member m[3];
    good_members(m);
    make_zip(m, 3);
    accept_made(1);
    m[NUMBERS].checksum ^= 1;
    make_zip(m, 3);
    refuse_made("zip member r/data/0 is damaged: its CRC-32");
    good_members(m);
    m[PICKLE].flags = 1;
    make_zip(m, 3);
    refuse_made("zip member r/data.pkl is encrypted");
    good_members(m);
    m[NUMBERS].method = 12;
    make_zip(m, 3);
    refuse_made("zip member r/data/0 is packed by method 12");
    good_members(m);
    m[NUMBERS].size = 7;
    make_zip(m, 3);
    refuse_made("storage 0 has 7 bytes");
    good_members(m);
    m[EXTRA].name = "r/data/0";
    make_zip(m, 3);
    refuse_made("two zip members are named r/data/0");
    m[EXTRA].name = "s/data.pkl";
    make_zip(m, 3);
    refuse_made("more than one data.pkl");
    m[EXTRA].name = "r/constants.pkl";
    make_zip(m, 3);
    refuse_made("a TorchScript archive");
    m[EXTRA] = member_of("r/byteorder", "big", 3);
    make_zip(m, 3);
    refuse_made("big-endian");
    good_members(m);
    m[PICKLE].name = "r/other.pkl";
    make_zip(m, 3);
    refuse_made("without data.pkl");
    m[PICKLE].name = "r/notdata.pkl";
    make_zip(m, 3);
    refuse_made("without data.pkl");
}
END_TEST

START_TEST(names_are_only_compared)
{
    static const char *const roots[][2] = {{"data.pkl", "data/0"},
                                           {"/data.pkl", "/data/0"},
                                           {"../../etc/data.pkl", "../../etc/data/0"},
                                           {"a b/c/data.pkl", "a b/c/data/0"}};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; ++i) {
        member m[3];
        good_members(m);
        m[PICKLE].name = roots[i][0];
        m[NUMBERS].name = roots[i][1];
        make_zip(m, 2);
        accept_made(1);
    }
}
END_TEST

static size_t find_last(const char *signature)
{
    for (size_t at = made.size - 3; at-- > 0;)
        if (memcmp(made.bytes + at, signature, 4) == 0)
            return at;
    ck_abort_msg("no such record");
}

START_TEST(the_directory_is_checked)
{
    static const struct {
        const char *record;
        size_t offset;
        uint8_t value;
        const char *message;
    } cases[] = {
        {"PK\5\6", 4, 1, "in several parts"},
        {"PK\5\6", 6, 1, "in several parts"},
        {"PK\5\6", 8, 9, NULL}, /* the count on this disk is not used */
        {"PK\5\6", 10, 1, "more than its 1 members"},
        {"PK\5\6", 10, 4, "reaches outside the file"},
        {"PK\5\6", 11, 255, "reaches outside the file"},
        {"PK\5\6", 12, 1, "reaches outside the file"},
        {"PK\5\6", 15, 255, "reaches outside the file"},
        {"PK\5\6", 16, 0, "directory is damaged"},
        {"PK\5\6", 19, 255, "reaches outside the file"},
        {"PK\5\6", 20, 1, "has no end"},
        {"PK\1\2", 28, 255, "directory is damaged"},
        {"PK\1\2", 30, 255, "directory is damaged"},
        {"PK\1\2", 32, 255, "directory is damaged"},
        {"PK\1\2", 42, 1, "is not where the directory says"},
        {"PK\1\2", 45, 127, "is not where the directory says"},
        {"PK\3\4", 0, 'p', "is not where the directory says"},
        {"PK\3\4", 26, 255, "is not where the directory says"},
        {"PK\3\4", 28, 255, "is not where the directory says"},
        {"PK\3\4", 30, 'x', "is not where the directory says"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        member m[3];
        good_members(m);
        make_zip(m, 3);
        made.bytes[find_last(cases[i].record) + cases[i].offset] = cases[i].value;
        if (!cases[i].message)
            accept_made(1);
        else
            refuse_made(cases[i].message);
    }
}
END_TEST

/* Sizes marked as ZIP64 whose field is missing, and sizes beyond the file. */
START_TEST(impossible_sizes_are_refused)
{
    static const struct {
        size_t offset; /* in the directory's entry of the last member, made the only storage */
        uint32_t value;
        const char *message;
    } cases[] = {
        {20, UINT32_MAX, "lacks its ZIP64 sizes"},
        {24, UINT32_MAX, "lacks its ZIP64 sizes"},
        {42, UINT32_MAX, "lacks its ZIP64 sizes"},
        {20, UINT32_MAX - 1, "is not where the directory says"},
        {20, 7, "is stored, but in 7 bytes, not 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        member m[3];
        good_members(m);
        make_zip(m, 2);
        memcpy(made.bytes + find_last("PK\1\2") + cases[i].offset, &cases[i].value, 4);
        refuse_made(cases[i].message);
    }
}
END_TEST

static member deflated(member m, uint8_t *room, size_t size)
{
    z_stream stream = {
        .next_in = (Bytef *)m.data, .avail_in = m.size, .next_out = room, .avail_out = (uInt)size};
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    m.packed = (uint32_t)stream.total_out;
    deflateEnd(&stream);
    m.data = room;
    m.method = 8;
    return m;
}

START_TEST(what_is_unpacked_is_bounded)
{
    uint8_t room[1000];
    member m[3];
    good_members(m);
    const member packed = m[PICKLE] = deflated(m[PICKLE], room, sizeof room);
    make_zip(m, 2);
    accept_made(1);
    m[PICKLE].size = packed.size - 1;
    make_zip(m, 2);
    refuse_made("does not unpack to");
    m[PICKLE].size = packed.size + 1;
    make_zip(m, 2);
    refuse_made("does not unpack to");
    m[PICKLE].size = 0;
    make_zip(m, 2);
    refuse_made("does not unpack to");
    m[PICKLE].size = UINT32_MAX - 1;
    make_zip(m, 2);
    refuse_made("far more memory");
    m[PICKLE] = packed;
    m[PICKLE].packed -= 1;
    make_zip(m, 2);
    refuse_made("does not unpack to");
    m[PICKLE] = packed;
    m[PICKLE].packed += 1; /* a byte after the end of the compressed data */
    make_zip(m, 2);
    refuse_made("does not unpack to");
    m[PICKLE] = packed;
    m[PICKLE].checksum ^= 1;
    make_zip(m, 2);
    refuse_made("its CRC-32 is wrong");
}
END_TEST

/* ---- the legacy stream ---- */

#define MAGIC                       "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
#define VERSION                     "\x80\2M\xe9\3."
#define LITTLE                      "\x80\2}" TEXT("\x0d", "little_endian") "\x88s."
#define KEYS                        "\x80\2]" TEXT("\1", "0") "a."
#define TWO                         "\2\0\0\0\0\0\0\0"
#define STREAM(object, keys, count) MAGIC VERSION LITTLE object keys count
#define LEGACY(view)                                                                               \
    "(" TEXT("\7", "storage") "ctorch\nFloatStorage\n" TEXT("\1", "0")                             \
        TEXT("\3", "cpu") "K\2" view "tQ"
#define GOOD HOLDING(TENSOR(LEGACY("N"), "K\0", "K\2\x85", "K\1\x85"))
#define VIEWED(begin, count, size)                                                                 \
    HOLDING(TENSOR(LEGACY(TEXT("\1", "v") begin count "\x87"), "K\0", size "\x85", "K\1\x85"))

/* What comes before the two floats of the storage. */
static const pickle_case streams[] = {
    CASE(STREAM(GOOD, KEYS, TWO), NULL),
    CASE(STREAM(VIEWED("K\0", "K\1", "K\1"), KEYS, TWO), NULL),
    CASE(STREAM(VIEWED("K\0", "K\1", "K\2"), KEYS, TWO), "outside its storage of 1 elements"),
    CASE(STREAM(VIEWED("K\1", "K\2", "K\1"), KEYS, TWO), "a storage of impossible size"),
    CASE(STREAM(VIEWED(MINUS_1, "K\1", "K\1"), KEYS, TWO), "a storage of impossible size"),
    CASE(STREAM(VIEWED("K\1", MINUS_1, "K\1"), KEYS, TWO), "a storage of impossible size"),
    CASE(MAGIC "\x80\2M\xea\3." LITTLE GOOD KEYS TWO, "version 1002"),
    CASE(MAGIC "\x80\2N." LITTLE GOOD KEYS TWO, "has None where an int should be"),
    CASE(MAGIC VERSION "\x80\2}" TEXT("\x0d", "little_endian") "\x89s." GOOD KEYS TWO,
         "big-endian"),
    CASE(MAGIC VERSION "\x80\2}." GOOD KEYS TWO, "big-endian"),
    CASE(STREAM(GOOD, "\x80\2).", TWO), "has a tuple where a list should be"),
    CASE(STREAM(GOOD, "\x80\2].", ""), "bytes follow the last storage"),
    CASE(STREAM(GOOD, "\x80\2]" TEXT("\1", "1") "a.", TWO), "storage 1 stands in the file but is"),
    CASE(STREAM(GOOD, "\x80\2]K\0a.", TWO), "a storage's key is an int"),
    CASE(STREAM(GOOD, "\x80\2](" TEXT("\1", "0") TEXT("\1", "0") "e.", TWO),
         "storage 0 stands in the file twice"),
    CASE(STREAM(GOOD, KEYS, "\3\0\0\0\0\0\0\0"), "storage 0 has 3 elements, not 2"),
    CASE(STREAM(GOOD, KEYS, "\2\0\0\0\0\0\0\x80"), "storage 0 has 9223372036854775810 elements"),
    CASE(STREAM(GOOD, KEYS, TWO "\0"), "1 bytes follow the last storage"),
    CASE(STREAM("}(" TEXT("\1", "a") LEGACY("N") TEXT("\1", "b")
                    STORAGE_OF("ctorch\nIntStorage\n", "0", "K\2") "u.",
                KEYS, TWO),
         "storage 0 is described in two ways"),
};

START_TEST(legacy_streams_are_checked)
{
    for (int i = 0; i < COUNT_OF(streams); ++i) {
        made.size = 0;
        put(streams[i].pickle, streams[i].size);
        put(numbers, sizeof numbers);
        if (streams[i].message)
            refuse_made(streams[i].message);
        else
            accept_made(1);
    }
}
END_TEST

START_TEST(a_storage_must_be_in_the_stream)
{
    static const char stream[] = STREAM(GOOD, "\x80\2].", "");
    made.size = 0;
    put(stream, sizeof stream - 1);
    refuse_made("storage 0 is missing");
    static const char cut[] = STREAM(GOOD, KEYS, TWO);
    made.size = 0;
    put(cut, sizeof cut - 1);
    put(numbers, sizeof numbers - 1);
    refuse_made("storage 0 is truncated");
}
END_TEST

/* ---- giving memory back ---- */

#define MANY      "M\0\x10" /* 4096 */
#define MANY_LEFT "\0\x10\0\0\0\0\0\0"
#define ALL_OF_IT                                                                                  \
    TENSOR("(" TEXT("\7", "storage") "ctorch\nFloatStorage\n" TEXT("\1", "0") TEXT("\3", "cpu")    \
               MANY "NtQ",                                                                         \
           "K\0", MANY "\x85", "K\1\x85")

/* Two names for one storage, as networks have that use a layer twice. */
START_TEST(a_tensor_that_another_shares_is_not_given_back)
{
    static const char stream[] = STREAM(
        "\x80\2}(" TEXT("\1", "a") ALL_OF_IT TEXT("\1", "b") ALL_OF_IT "u.", KEYS, MANY_LEFT);
    float values[4096];
    for (int i = 0; i < 4096; ++i)
        values[i] = (float)(i + 1);
    made.size = 0;
    put(stream, sizeof stream - 1);
    put(values, sizeof values);
    char path[] = "/tmp/imiad-shared-XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_eq(write(file, made.bytes, made.size), (ssize_t)made.size);
    close(file);
    weights *w = NULL;
    ck_ok(weights_open(&w, path));
    unlink(path);
    const weight *a = weights_find(w, "a"), *b = weights_find(w, "b");
    ck_assert_ptr_eq(a->data, b->data);
    ck_assert_mem_eq(a->data, values, sizeof values);
    weights_spend(w, a);
    ck_assert_mem_eq(b->data, values, sizeof values);
    weights_free(w);
}
END_TEST

SUITE("pth-containers", TEST(members_are_checked), TEST(names_are_only_compared),
      TEST(the_directory_is_checked), TEST(impossible_sizes_are_refused),
      TEST(what_is_unpacked_is_bounded), TEST(legacy_streams_are_checked),
      TEST(a_storage_must_be_in_the_stream), TEST(a_tensor_that_another_shares_is_not_given_back))
