#include <math.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/arrays.h"
#include "base/error.h"
#include "base/file_writer.h"
#include "base/files.h"
#include "base/options.h"
#include "base/random.h"
#include "base/threads.h"
#include "check_suite.h"

/* Vectors published with the generator: Random123's kat_vectors, philox4x32 with 10 rounds. */
START_TEST(philox_gives_its_published_vectors)
{
    static const uint32_t cases[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (int i = 0; i < 3; ++i) {
        uint32_t out[4];
        philox4x32(out, cases[i], cases[i] + 4);
        ck_assert_mem_eq(out, cases[i] + 6, sizeof out);
    }
}
END_TEST

START_TEST(streams_repeat_and_differ_by_seed_and_purpose)
{
    random_stream a = random_open(7, "split"), b = random_open(7, "split");
    random_stream c = random_open(8, "split"), d = random_open(7, "spli");
    int same_c = 0, same_d = 0;
    for (int i = 0; i < 1000; ++i) {
        uint32_t x = random_u32(&a);
        ck_assert_uint_eq(x, random_u32(&b));
        same_c += x == random_u32(&c);
        same_d += x == random_u32(&d);
    }
    ck_assert_int_le(same_c, 1);
    ck_assert_int_le(same_d, 1);
}
END_TEST

START_TEST(bounded_draws_are_even_and_normals_are_normal)
{
    random_stream stream = random_open(1, "test");
    int counts[7] = {0};
    for (int i = 0; i < 70000; ++i)
        counts[random_below(&stream, 7)]++;
    for (int i = 0; i < 7; ++i) /* five standard deviations of a binomial */
        ck_assert_int_lt(abs(counts[i] - 10000), 470);
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; ++i) {
        double x = random_normal(&stream);
        sum += x;
        squares += x * x;
    }
    ck_assert_double_lt(fabs(sum / 100000), 5 / sqrt(100000));
    ck_assert_double_lt(fabs(squares / 100000 - 1), 5 * sqrt(2.0 / 100000));
}
END_TEST

/* In the last two draws are numbers whose float only the exact logarithm and cosine tell. */
START_TEST(many_numbers_are_those_drawn_one_by_one)
{
    enum { MOST = 50001 };
    static float many[MOST];
    static const struct {
        uint64_t first; /* block */
        size_t count;
        double mean, deviation;
    } draws[] = {{UINT64_C(0xFFFFFF00), MOST, 0, 1},
                 {0, MOST, 0.25, 0.01},
                 {0, MOST, -3, 1e-9},
                 {7, 1, 0, 1},
                 {7, 129, 1, 0},
                 {26026700, 200, 0, 1},
                 {52451000, 200, 0, 1}};
    for (size_t d = 0; d < sizeof draws / sizeof *draws; ++d) {
        double low = draws[d].mean - draws[d].deviation, high = draws[d].mean;
        random_stream stream = random_from(random_open(0, "many"), draws[d].first), s = stream;
        random_normals(many, draws[d].count, stream, draws[d].mean, draws[d].deviation);
        for (size_t i = 0; i < draws[d].count; ++i) {
            float one = (float)(draws[d].mean + draws[d].deviation * random_normal(&s));
            ck_assert_msg(memcmp(&many[i], &one, sizeof one) == 0, "draw %zu, normal %zu", d, i);
        }
        s = stream;
        random_uniforms(many, draws[d].count, stream, low, high);
        for (size_t i = 0; i < draws[d].count; ++i) {
            float one = (float)random_between(&s, low, high);
            ck_assert_msg(memcmp(&many[i], &one, sizeof one) == 0, "draw %zu, even %zu", d, i);
        }
    }
}
END_TEST

/* Also from a block that is begun, and the stream goes on as if they had been drawn one by one. */
START_TEST(many_choices_are_those_drawn_one_by_one)
{
    static float many[5000];
    const size_t counts[] = {1, 2, 5, 511, 512, 513, 2050, 4999, 0, 3};
    random_stream stream = random_open(0, "choices"), s = stream;
    for (size_t d = 0; d < sizeof counts / sizeof *counts; ++d) {
        double p = (double)d / 11;
        random_choices(many, counts[d], &stream, p, 1.5f);
        for (size_t i = 0; i < counts[d]; ++i)
            ck_assert(many[i] == (random_u32(&s) * 0x1p-32 < p ? 0 : 1.5f));
    }
    ck_assert_uint_eq(random_u32(&stream), random_u32(&s));
}
END_TEST

START_TEST(a_shuffle_is_a_permutation)
{
    size_t values[100];
    int seen[100] = {0};
    for (size_t i = 0; i < 100; ++i)
        values[i] = i;
    random_stream stream = random_open(3, "shuffle");
    random_shuffle(&stream, values, 100);
    for (size_t i = 0; i < 100; ++i)
        ck_assert_int_eq(seen[values[i]]++, 0);
}
END_TEST

static void add_up(void *context, size_t begin, size_t end)
{
    size_t *squares = context;
    for (size_t i = begin; i < end; ++i)
        squares[i] += i * i;
}

START_TEST(parallel_for_visits_everything_once)
{
    enum { COUNT = 10007 };
    static size_t squares[COUNT];
    memset(squares, 0, sizeof squares); /* where tests run in one process */
    ck_ok(imiad_set_threads(_i));
    for (int round = 1; round <= 50; ++round) {
        parallel_for(COUNT, 100, add_up, squares);
        for (size_t i = 0; i < COUNT; ++i)
            ck_assert_uint_eq(squares[i], (size_t)round * i * i);
    }
}
END_TEST

static void *use_pool(void *argument)
{
    for (int round = 0; round < 200; ++round)
        parallel_for(1000, 10, add_up, argument);
    return NULL;
}

START_TEST(several_threads_may_use_the_pool)
{
    static size_t squares[4][1000];
    pthread_t threads[4];
    ck_ok(imiad_set_threads(3));
    for (int i = 0; i < 4; ++i)
        pthread_create(&threads[i], NULL, use_pool, squares[i]);
    for (int i = 0; i < 4; ++i)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; ++i)
        for (size_t j = 0; j < 1000; ++j)
            ck_assert_uint_eq(squares[i][j], 200 * j * j);
}
END_TEST

static void *fail_here(void *argument)
{
    fail(IMIAD_IO, "from thread %d", *(int *)argument);
    return strdup(imiad_last_error());
}

START_TEST(the_last_error_belongs_to_its_thread)
{
    int number = 7;
    pthread_t thread;
    void *message;
    ck_assert_int_eq(fail(IMIAD_FORMAT, "here"), IMIAD_FORMAT);
    pthread_create(&thread, NULL, fail_here, &number);
    pthread_join(thread, &message);
    ck_assert_str_eq(message, "from thread 7");
    ck_assert_str_eq(imiad_last_error(), "here");
    free(message);
}
END_TEST

START_TEST(a_message_may_quote_the_last_one_and_is_cut_when_long)
{
    fail(IMIAD_IO, "inner");
    fail(IMIAD_IO, "outer (%s)", imiad_last_error());
    ck_assert_str_eq(imiad_last_error(), "outer (inner)");
    fail_within(IMIAD_IO, "category %s", "bottle");
    ck_assert_str_eq(imiad_last_error(), "category bottle: outer (inner)");
    char text[5000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    fail(IMIAD_IO, "%s", text);
    ck_assert_uint_eq(strlen(imiad_last_error()), 1023);
}
END_TEST

static const option_spec common[] = {{"batch", OPT_INT, "2", "1..64", "images at a time"},
                                     {"ratio", OPT_REAL, "0.1", "0<..1", "share to keep"},
                                     {0}};
static const option_spec own[] = {{"batch", OPT_INT, "8", "1..64", "images at a time"},
                                  {"ratio", .default_value = "0.5"},
                                  {"mode", OPT_CHOICE, "slow", "slow|fast", "how"},
                                  {"deep", OPT_BOOL, "false", "", "how far"},
                                  {0}};
static const option_spec *const tables[] = {common, own, NULL};

START_TEST(a_later_table_overrides_defaults)
{
    option_set *set = NULL;
    imiad_option given[] = {{"mode", "fast"}, {"ratio", "1"}, {"deep", "true"}};
    ck_ok(options_parse(&set, "thing", tables, given, 3));
    ck_assert_int_eq(options_int(set, "batch"), 8);
    ck_assert_double_eq(options_real(set, "ratio"), 1);
    ck_assert_str_eq(options_text(set, "mode"), "fast");
    ck_assert(options_bool(set, "deep"));
    ck_assert_uint_eq(options_count(set), 4);
    options_free(set);
    ck_ok(options_parse(&set, "thing", tables, NULL, 0));
    ck_assert_double_eq(options_real(set, "ratio"), 0.5);
    options_free(set);
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    ck_ok(options_info(&info, tables, 0));
    ck_assert_str_eq(info.default_value, "8");
    ck_ok(options_info(&info, tables, 1)); /* all but the default is the earlier table's */
    ck_assert_str_eq(info.default_value, "0.5");
    ck_assert_str_eq(info.range, "0<..1");
    ck_assert_str_eq(info.help, "share to keep");
    ck_fails(options_info(&info, tables, 4), IMIAD_OUT_OF_RANGE, "4 of 4");
}
END_TEST

START_TEST(wrong_options_are_named)
{
    static const struct {
        imiad_option given;
        imiad_status status;
        const char *text;
    } cases[] = {
        {{"batsh", "1"}, IMIAD_UNKNOWN_OPTION, "thing has no option \"batsh\"; it has: batch"},
        {{"batch", "0"}, IMIAD_OUT_OF_RANGE, "option batch is \"0\": it must be in 1..64"},
        {{"batch", "x"}, IMIAD_OUT_OF_RANGE, "not a whole number"},
        {{"batch", ""}, IMIAD_OUT_OF_RANGE, "not a whole number"},
        {{"batch", "99999999999999999999"}, IMIAD_OUT_OF_RANGE, "not a whole number"},
        {{"ratio", "0"}, IMIAD_OUT_OF_RANGE, "0<..1"},
        {{"ratio", "nan"}, IMIAD_OUT_OF_RANGE, "not a number"},
        {{"ratio", "1.5"}, IMIAD_OUT_OF_RANGE, "option ratio"},
        {{"mode", "medium"}, IMIAD_OUT_OF_RANGE, "slow|fast"},
        {{"mode", "slow|fast"}, IMIAD_OUT_OF_RANGE, "slow|fast"},
        {{"mode", ""}, IMIAD_OUT_OF_RANGE, "slow|fast"},
        {{"deep", "yes"}, IMIAD_OUT_OF_RANGE, "true|false"},
        {{"deep", NULL}, IMIAD_INVALID_ARGUMENT, "no value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        option_set *set = NULL;
        ck_fails(options_parse(&set, "thing", tables, &cases[i].given, 1), cases[i].status,
                 cases[i].text);
        ck_assert_ptr_null(set);
    }
}
END_TEST

START_TEST(a_write_is_whole_or_nothing)
{
    char folder[] = "/tmp/imiad-test-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *nested = path_join(folder, "a/b"), *path = path_join(folder, "a/b/file");
    ck_ok(folder_make(nested));
    ck_ok(folder_make(nested));
    file_writer writer;
    ck_ok(file_write_begin(&writer, path));
    fputs("half", writer.stream);
    file_write_abandon(&writer);
    name_list list;
    ck_ok(folder_list(&list, nested));
    ck_assert_uint_eq(list.count, 0);
    name_list_free(&list);
    ck_ok(file_write_begin(&writer, path));
    fputs("abc", writer.stream);
    ck_ok(file_write_commit(&writer));
    file_write_abandon(&writer);
    char digest[65];
    ck_ok(file_digest(digest, path));
    ck_assert_str_eq(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ck_ok(folder_list(&list, nested));
    ck_assert_uint_eq(list.count, 1);
    name_list_free(&list);
    char *below = path_join(path, "below");
    ck_fails(file_write_begin(&writer, below), IMIAD_IO, "a/b/file/below");
    ck_fails(folder_list(&list, below), IMIAD_NOT_FOUND, "a/b/file/below");
    ck_fails(folder_make(path), IMIAD_IO, "a/b/file");
    ck_fails(file_write_begin(&writer, nested), IMIAD_IO, "a/b: it is a folder");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(nested), 0); /* no temporary file is left either */
    *strrchr(nested, '/') = '\0';
    ck_assert_int_eq(rmdir(nested), 0);
    ck_assert_int_eq(rmdir(folder), 0);
    free(below);
    free(nested);
    free(path);
}
END_TEST

START_TEST(an_array_keeps_its_elements_as_it_grows)
{
    int64_t *values = NULL;
    size_t room = 0;
    for (size_t i = 0; i < 1000; ++i) {
        ck_ok(array_reserve(&values, i, &room, sizeof *values, "numbers"));
        ck_assert_uint_gt(room, i);
        values[i] = (int64_t)i;
    }
    for (size_t i = 0; i < 1000; ++i)
        ck_assert_int_eq(values[i], (int64_t)i);
    free(values);
}
END_TEST

SUITE("base", TEST(philox_gives_its_published_vectors),
      TEST(streams_repeat_and_differ_by_seed_and_purpose),
      TEST(bounded_draws_are_even_and_normals_are_normal),
      TEST(many_numbers_are_those_drawn_one_by_one), TEST(many_choices_are_those_drawn_one_by_one),
      TEST(a_shuffle_is_a_permutation), LOOP_TEST(parallel_for_visits_everything_once, 5),
      TEST(several_threads_may_use_the_pool), TEST(the_last_error_belongs_to_its_thread),
      TEST(a_message_may_quote_the_last_one_and_is_cut_when_long),
      TEST(a_later_table_overrides_defaults), TEST(wrong_options_are_named),
      TEST(a_write_is_whole_or_nothing), TEST(an_array_keeps_its_elements_as_it_grows))
