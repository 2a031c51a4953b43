/* Searching by way of a device gives the bits of the search without one. "cpu" takes the same path
 * as a GPU, whose name IMIAD_TEST_DEVICE gives where there is one. */
#include <pthread.h>

#include "bank_data.h"
#include "bridge/tensor.h"

START_TEST(a_device_finds_the_same_bits)
{
    random_stream s = random_open((uint64_t)_i, "device");
    for (int set = 0; set < 3 * ROW_KINDS; ++set) {
        enum row_kind kind = (enum row_kind)(set % ROW_KINDS);
        size_t rows = 1 + (size_t)random_below(&s, 1500),
               columns = 1 + (size_t)random_below(&s, 90);
        size_t queries = 1 + (size_t)random_below(&s, 60);
        size_t k = 1 + (size_t)random_below(&s, set % 4 == 0 || rows < 12 ? rows : 12);
        float *data = random_rows(kind, rows, columns, (uint64_t)set);
        float *asked = random_rows(kind, queries, columns, (uint64_t)set + 1);
        memcpy(asked, data + columns * (rows / 2), columns * sizeof *asked);
        for (size_t j = 0; set % 5 == 0 && queries > 1 && j < columns; ++j)
            asked[columns + j] *= set % 2 ? 1e4f : 1e16f;
        imiad_bank *bank = NULL;
        ck_ok(imiad_bank_create_stored(&bank, (int64_t)columns,
                                       (imiad_storage)(kind == FAR_AWAY ? 1 : 1 + _i), 0));
        ck_ok(imiad_bank_add(bank, data, (int64_t)rows));
        float *expected = malloc(2 * queries * k * sizeof *expected), *d = expected + queries * k;
        int64_t *found = malloc(2 * queries * k * sizeof *found);
        ck_ok(imiad_bank_search(expected, found, bank, asked, (int64_t)queries, (int32_t)k));
        ck_ok(imiad_bank_search_on(d, found + queries * k, bank, test_device(), asked,
                                   (int64_t)queries, (int32_t)k));
        ck_assert_msg(memcmp(d, expected, queries * k * sizeof *d) == 0 &&
                          memcmp(found, found + queries * k, queries * k * sizeof *found) == 0,
                      "kind %d, %zu queries in %zu rows of %zu columns, k %zu", (int)kind, queries,
                      rows, columns, k);
        free(found);
        free(expected);
        imiad_bank_free(bank);
        free(asked);
        free(data);
    }
}
END_TEST

START_TEST(the_copy_on_the_device_follows_the_bank)
{
    enum { ROWS = 300, COLUMNS = 40 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 1), distances[20];
    int64_t found[20];
    size_t before = t_live();
    imiad_bank *bank = bank_of(rows, ROWS / 2, COLUMNS);
    const float *queries = rows + ROWS / 2 * COLUMNS;
    ck_ok(imiad_bank_search_on(distances, found, bank, test_device(), queries, 20, 1));
    ck_assert_float_gt(distances[0], 0);
    ck_ok(imiad_bank_add(bank, queries, ROWS / 2));
    ck_ok(imiad_bank_search_on(distances, found, bank, test_device(), queries, 20, 1));
    for (int i = 0; i < 20; ++i)
        ck_assert_int_eq(found[i], ROWS / 2 + i);
    ck_ok(imiad_bank_search_on(distances, NULL, bank, NULL, queries, 20, 1));
    ck_ok(imiad_bank_search_on(distances, NULL, bank, NULL, queries, 0, 1));
    ck_fails(imiad_bank_search_on(distances, NULL, bank, "tpu", queries, 1, 1), IMIAD_OUT_OF_RANGE,
             "tpu");
    ck_fails(imiad_bank_search_on(distances, NULL, bank, NULL, queries, 1, ROWS + 1),
             IMIAD_OUT_OF_RANGE, "k is 301");
    imiad_bank_free(bank);
    ck_assert_uint_eq(t_live(), before);
    free(rows);
}
END_TEST

typedef struct searcher {
    pthread_t thread;
    const imiad_bank *bank;
    const float *queries;
    bool on_device;
    imiad_status status;
    float distances[20];
    int64_t found[20];
} searcher;

static void *search_on_thread(void *argument)
{
    searcher *s = argument;
    s->status = s->on_device
                    ? imiad_bank_search_on(s->distances, s->found, s->bank, test_device(),
                                           s->queries, 20, 1)
                    : imiad_bank_search(s->distances, s->found, s->bank, s->queries, 20, 1);
    return NULL;
}

/* The first of them make the index and the copy on the device. */
START_TEST(threads_search_one_bank_at_once)
{
    enum { ROWS = 300, COLUMNS = 40, THREADS = 4 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 1);
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    searcher searchers[THREADS];
    for (int i = 0; i < THREADS; ++i) {
        searchers[i] = (searcher){.bank = bank, .queries = rows + 9 * COLUMNS, .on_device = i % 2};
        ck_assert_int_eq(
            pthread_create(&searchers[i].thread, NULL, search_on_thread, &searchers[i]), 0);
    }
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(searchers[i].thread, NULL);
        ck_assert_int_eq(searchers[i].status, IMIAD_OK);
        for (int j = 0; j < 20; ++j) {
            ck_assert_int_eq(searchers[i].found[j], 9 + j);
            ck_assert_float_eq(searchers[i].distances[j], 0);
        }
    }
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

SUITE("search_device", LOOP_TEST(a_device_finds_the_same_bits, 3),
      TEST(the_copy_on_the_device_follows_the_bank), TEST(threads_search_one_bank_at_once))
