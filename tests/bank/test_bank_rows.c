/* Rows that come and go: sources, forgetting, merging, recompressing, and what it all takes. */
#include "bank/index.h"
#include "bank/coreset.h"
#include "bank_data.h"

static imiad_bank *bank_from(const float *rows, size_t count, size_t columns,
                             const int64_t *sources, imiad_storage storage)
{
    imiad_bank *bank = NULL;
    ck_ok(imiad_bank_create_stored(&bank, (int64_t)columns, storage, 0));
    ck_ok(imiad_bank_add_from(bank, rows, (int64_t)count, sources));
    return bank;
}

/* Row i of the bank must be row expected[i] of `rows`, from source sources[expected[i]]. */
static void check_rows(const imiad_bank *bank, const float *rows, size_t columns,
                       const int64_t *sources, const int64_t *expected, size_t count)
{
    float *read = malloc(count * columns * sizeof *read + 1);
    ck_assert_int_eq(imiad_bank_rows(bank), (int64_t)count);
    ck_ok(imiad_bank_read(read, bank, 0, (int64_t)count));
    for (size_t i = 0; i < count; ++i) {
        ck_assert_mem_eq(read + i * columns, rows + (size_t)expected[i] * columns,
                         columns * sizeof *read);
        ck_assert_int_eq(imiad_bank_sources(bank)[i], sources[expected[i]]);
    }
    free(read);
}

START_TEST(rows_carry_their_sources)
{
    enum { COLUMNS = 3 };
    float *rows = random_rows(GRID, 10, COLUMNS, 1);
    imiad_bank *bank = bank_of(rows, 4, COLUMNS);
    ck_assert_ptr_null(imiad_bank_sources(bank));
    static const int64_t none[] = {IMIAD_NO_SOURCE, IMIAD_NO_SOURCE};
    ck_ok(imiad_bank_add_from(bank, rows + 4 * COLUMNS, 2, none));
    ck_assert_ptr_null(imiad_bank_sources(bank));
    ck_ok(imiad_bank_add_from(bank, rows + 6 * COLUMNS, 3, (int64_t[]){-7, 0, INT64_MAX}));
    ck_ok(imiad_bank_add(bank, rows + 9 * COLUMNS, 1));
    static const int64_t all[] = {IMIAD_NO_SOURCE,
                                  IMIAD_NO_SOURCE,
                                  IMIAD_NO_SOURCE,
                                  IMIAD_NO_SOURCE,
                                  IMIAD_NO_SOURCE,
                                  IMIAD_NO_SOURCE,
                                  -7,
                                  0,
                                  INT64_MAX,
                                  IMIAD_NO_SOURCE};
    static const int64_t order[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, kept[] = {8, 2, 6};
    check_rows(bank, rows, COLUMNS, all, order, 10);
    ck_ok(imiad_bank_keep(bank, kept, 3));
    check_rows(bank, rows, COLUMNS, all, kept, 3);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(a_bank_with_sources_may_be_added_to_itself)
{
    enum { ROWS = 3000, COLUMNS = 10 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 1);
    int64_t sources[ROWS], order[4 * ROWS];
    for (int i = 0; i < ROWS; ++i)
        sources[i] = i / 7;
    for (int i = 0; i < 4 * ROWS; ++i)
        order[i] = i % ROWS;
    imiad_bank *bank = bank_from(rows, ROWS, COLUMNS, sources, IMIAD_STORAGE_FLOAT32);
    ck_ok(imiad_bank_merge(bank, bank));
    ck_ok(imiad_bank_add_from(bank, imiad_bank_data(bank), 2 * ROWS, imiad_bank_sources(bank)));
    check_rows(bank, rows, COLUMNS, sources, order, 4 * ROWS);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

/* Forgetting against a list of what should stay; searches see the change. */
START_TEST(forgetting_removes_a_source_and_nothing_else)
{
    enum { ROWS = 500, COLUMNS = 40, SOURCES = 9 };
    random_stream s = random_open((uint64_t)_i, "forget");
    float *rows = random_rows(GRID, ROWS, COLUMNS, 1);
    int64_t sources[ROWS], stay[ROWS], removed = -1, went = 0;
    size_t count = 0;
    for (int i = 0; i < ROWS; ++i) {
        sources[i] =
            random_below(&s, 10) == 0 ? IMIAD_NO_SOURCE : (int64_t)random_below(&s, SOURCES);
        if (sources[i] == _i)
            ++went;
        else
            stay[count++] = i;
    }
    imiad_bank *bank = bank_from(rows, ROWS, COLUMNS, sources, (imiad_storage)(1 + _i % 3));
    float distances[20], after[20];
    ck_ok(imiad_bank_search(distances, NULL, bank, rows, 20, 1));
    ck_ok(imiad_bank_forget(bank, _i, &removed));
    ck_assert_int_eq(removed, went);
    check_rows(bank, rows, COLUMNS, sources, stay, count);
    ck_ok(imiad_bank_search(after, NULL, bank, rows, 20, 1));
    for (int i = 0; i < 20; ++i)
        ck_assert(sources[i] == _i ? after[i] >= 0 : after[i] == 0);
    ck_ok(imiad_bank_forget(bank, _i, &removed));
    ck_assert_int_eq(removed, 0);
    ck_ok(imiad_bank_forget(bank, IMIAD_NO_SOURCE, NULL));
    for (int64_t i = 0; i < imiad_bank_rows(bank); ++i)
        ck_assert_int_ge(imiad_bank_sources(bank)[i], 0);
    imiad_bank_free(bank);
    bank = bank_of(rows, 5, COLUMNS);
    ck_ok(imiad_bank_forget(bank, 0, &removed));
    ck_assert_int_eq(removed, 0);
    ck_ok(imiad_bank_forget(bank, IMIAD_NO_SOURCE, &removed));
    ck_assert_int_eq(removed, 5);
    ck_assert_int_eq(imiad_bank_rows(bank), 0);
    ck_fails(imiad_bank_forget(NULL, 0, NULL), IMIAD_INVALID_ARGUMENT, "bank");
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

/* GRID's small whole numbers are the same in every storage. */
START_TEST(merging_appends_in_the_storage_of_the_taker)
{
    enum { ROWS = 30, COLUMNS = 5 };
    float *rows = random_rows(GRID, 2 * ROWS, COLUMNS, 1);
    int64_t sources[2 * ROWS], order[2 * ROWS];
    for (int i = 0; i < 2 * ROWS; ++i) {
        order[i] = i;
        sources[i] = i < ROWS ? IMIAD_NO_SOURCE : i;
    }
    imiad_storage into = (imiad_storage)(1 + _i % 3), from = (imiad_storage)(1 + _i / 3);
    imiad_bank *bank = bank_from(rows, ROWS, COLUMNS, NULL, into);
    imiad_bank *other = bank_from(rows + ROWS * COLUMNS, ROWS, COLUMNS, sources + ROWS, from);
    imiad_bank *odd = NULL;
    ck_ok(imiad_bank_merge(bank, other));
    ck_assert_int_eq(imiad_bank_storage(bank), into);
    check_rows(bank, rows, COLUMNS, sources, order, 2 * ROWS);
    ck_assert_int_eq(imiad_bank_rows(other), ROWS);
    ck_ok(imiad_bank_create(&odd, COLUMNS + 1, 0));
    ck_fails(imiad_bank_merge(bank, odd), IMIAD_MISMATCH, "one has 5 columns, the other 6");
    ck_fails(imiad_bank_merge(bank, NULL), IMIAD_INVALID_ARGUMENT, "other");
    imiad_bank_free(odd);
    imiad_bank_free(other);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(a_failed_merge_leaves_the_bank_as_it_was)
{
    float large[6] = {1, 2, 3, 4, 5, 1e5f}, read[6];
    imiad_bank *bank = bank_from(large, 1, 3, NULL, IMIAD_STORAGE_FLOAT16);
    imiad_bank *other = bank_from(large, 2, 3, (int64_t[]){1, 2}, IMIAD_STORAGE_BFLOAT16);
    ck_fails(imiad_bank_merge(bank, other), IMIAD_OUT_OF_RANGE,
             "merging banks: row 1, column 2 is 99840: too large for float16");
    ck_assert_int_eq(imiad_bank_rows(bank), 1);
    ck_assert_ptr_null(imiad_bank_sources(bank));
    ck_ok(imiad_bank_read(read, bank, 0, 1));
    ck_assert_mem_eq(read, large, 3 * sizeof *read);
    ck_fails(imiad_bank_read(read, bank, 0, 2), IMIAD_OUT_OF_RANGE, "2 rows from row 0");
    ck_fails(imiad_bank_read(read, bank, 2, 0), IMIAD_OUT_OF_RANGE, "from row 2");
    ck_ok(imiad_bank_set_budget(bank, 6));
    ck_fails(imiad_bank_merge(bank, bank), IMIAD_OVER_BUDGET, "needs 12 bytes: its budget is 6");
    ck_fails(imiad_bank_set_budget(bank, 5), IMIAD_OVER_BUDGET, "to 5 bytes: its 1 rows take 6");
    imiad_bank_free(other);
    imiad_bank_free(bank);
}
END_TEST

/* The picks of imiad_bank_select in its order, rounded to the storage. */
START_TEST(recompressing_keeps_the_coreset_that_fits)
{
    enum { ROWS = 600, COLUMNS = 8, LEFT = 50 };
    float *rows = random_rows(GRID, ROWS, COLUMNS, 3);
    int64_t sources[ROWS], picks[LEFT];
    for (int i = 0; i < ROWS; ++i)
        sources[i] = i;
    imiad_storage narrow = (imiad_storage)(1 + _i);
    imiad_bank *bank = bank_from(rows, ROWS, COLUMNS, sources, IMIAD_STORAGE_FLOAT32);
    imiad_recompression to = IMIAD_RECOMPRESSION_INIT;
    to.storage = narrow;
    to.bytes = LEFT * bank_rows_bytes(1, COLUMNS, narrow, true) + 7;
    to.coreset.projection = 0;
    to.coreset.seed = 5;
    to.coreset.rows = LEFT;
    ck_ok(imiad_bank_select(picks, bank, &to.coreset, NULL, NULL));
    to.coreset.rows = 0;
    ck_ok(imiad_bank_recompress(bank, &to, NULL, NULL));
    ck_assert_int_eq(imiad_bank_storage(bank), narrow);
    check_rows(bank, rows, COLUMNS, sources, picks, LEFT);
    to.rows = LEFT;
    ck_ok(imiad_bank_recompress(bank, &to, NULL, NULL)); /* nothing is left to do */
    check_rows(bank, rows, COLUMNS, sources, picks, LEFT);
    to.storage = (imiad_storage)0;
    to.bytes = 0;
    to.rows = 20;
    ck_ok(imiad_bank_recompress(bank, &to, NULL, NULL));
    ck_assert_int_eq(imiad_bank_rows(bank), 20);
    to.bytes = 3;
    ck_fails(imiad_bank_recompress(bank, &to, NULL, NULL), IMIAD_OUT_OF_RANGE, "to 3 bytes");
    to.bytes = 0;
    to.rows = -1;
    ck_fails(imiad_bank_recompress(bank, &to, NULL, NULL), IMIAD_OUT_OF_RANGE, "rows is -1");
    to.struct_size = 8;
    ck_fails(imiad_bank_recompress(bank, &to, NULL, NULL), IMIAD_INVALID_ARGUMENT, "struct_size");
    ck_assert_int_eq(imiad_bank_rows(bank), 20);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

static int stop_at_once(void *user, const imiad_progress *state)
{
    return 1;
}

START_TEST(a_recompression_that_fails_changes_nothing)
{
    enum { ROWS = 300, COLUMNS = 4 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 3);
    rows[ROWS * COLUMNS - 1] = 1e6f;
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    imiad_recompression to = IMIAD_RECOMPRESSION_INIT;
    char before[65], after[65];
    ck_ok(imiad_bank_digest(before, bank));
    to.storage = IMIAD_STORAGE_FLOAT16;
    ck_fails(imiad_bank_recompress(bank, &to, NULL, NULL), IMIAD_OUT_OF_RANGE, "row 299, column 3");
    to.rows = 100;
    ck_fails(imiad_bank_recompress(bank, &to, stop_at_once, NULL), IMIAD_CANCELLED, "");
    ck_ok(imiad_bank_set_budget(bank, ROWS * COLUMNS * 4 + 100));
    ck_fails(imiad_bank_recompress(bank, &to, NULL, NULL), IMIAD_OVER_BUDGET, "selecting");
    ck_ok(imiad_bank_digest(after, bank));
    ck_assert_str_eq(before, after);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

/* Every row as often as its share says: 4000 draws of 5 in 20, a row's count is binomial of mean
 * 1000 and deviation sqrt(4000 / 4 * 3 / 4) = 27; five deviations. */
START_TEST(random_selections_are_distinct_rising_and_fair)
{
    enum { ROWS = 20, WANTED = 5, DRAWS = 4000 };
    float *rows = random_rows(SPREAD, ROWS, 2, 3);
    imiad_bank *bank = bank_of(rows, ROWS, 2);
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    int64_t picks[WANTED], again[WANTED], counts[ROWS] = {0};
    o.method = IMIAD_CORESET_RANDOM;
    o.rows = WANTED;
    for (int draw = 0; draw < DRAWS; ++draw) {
        o.seed = (uint64_t)draw;
        ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
        for (int i = 0; i < WANTED; ++i) {
            ck_assert(picks[i] >= 0 && picks[i] < ROWS && (i == 0 || picks[i] > picks[i - 1]));
            ++counts[picks[i]];
        }
    }
    ck_ok(imiad_bank_select(again, bank, &o, NULL, NULL));
    ck_assert_mem_eq(again, picks, sizeof picks);
    for (int i = 0; i < ROWS; ++i)
        ck_assert_int_le(llabs(counts[i] - DRAWS * WANTED / ROWS), 137);
    o.rows = ROWS + 1;
    ck_fails(imiad_bank_select(picks, bank, &o, NULL, NULL), IMIAD_OUT_OF_RANGE, "21 rows of 20");
    o.rows = -1;
    ck_fails(imiad_bank_select(picks, bank, &o, NULL, NULL), IMIAD_OUT_OF_RANGE, "-1 rows of 20");
    o.rows = 0;
    o.method = (imiad_coreset_method)2;
    ck_fails(imiad_bank_select(picks, bank, &o, NULL, NULL), IMIAD_OUT_OF_RANGE, "method is 2");
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

/* A budget of what was estimated suffices for each step; one byte less is refused, with both. */
START_TEST(the_estimate_is_what_the_refusals_compare)
{
    enum { ROWS = 900, COLUMNS = 48 };
    imiad_storage storage = (imiad_storage)(1 + _i % 3);
    float *rows = random_rows(GRID, ROWS, COLUMNS, 3);
    int64_t sources[ROWS] = {0}, picks[ROWS];
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    o.ratio = 0.3;
    o.projection = _i / 3 % 2 ? 16 : 0;
    o.exact = _i / 6;
    imiad_bank_needs needs = IMIAD_BANK_NEEDS_INIT;
    ck_ok(imiad_bank_estimate(&needs, ROWS, COLUMNS, storage, 1, &o));
    ck_assert_uint_eq(needs.bank, ROWS * (COLUMNS * (storage == 1 ? 4 : 2) + 8));
    ck_assert_uint_eq(needs.coreset, 270 * (COLUMNS * (storage == 1 ? 4 : 2) + 8));
    imiad_bank *bank = bank_from(rows, 0, COLUMNS, NULL, storage);
    char both[80];
    ck_ok(imiad_bank_set_budget(bank, needs.bank - 1));
    snprintf(both, sizeof both, "needs %llu bytes: its budget is %llu bytes",
             (unsigned long long)needs.bank, (unsigned long long)needs.bank - 1);
    ck_fails(imiad_bank_add_from(bank, rows, ROWS, sources), IMIAD_OVER_BUDGET, both);
    ck_ok(imiad_bank_set_budget(bank, needs.bank));
    ck_ok(imiad_bank_add_from(bank, rows, ROWS, sources));
    uint64_t selecting = needs.bank + needs.selection;
    snprintf(both, sizeof both, "needs %llu bytes: the bank's budget is %llu bytes",
             (unsigned long long)selecting, (unsigned long long)selecting - 1);
    ck_ok(imiad_bank_set_budget(bank, selecting - 1));
    ck_fails(imiad_bank_select(picks, bank, &o, NULL, NULL), IMIAD_OVER_BUDGET, both);
    ck_ok(imiad_bank_set_budget(bank, selecting));
    ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
    ck_ok(imiad_bank_set_budget(bank, needs.bank + needs.coreset - 1));
    ck_fails(imiad_bank_keep(bank, picks, 270), IMIAD_OVER_BUDGET, "keeping rows");
    ck_ok(imiad_bank_set_budget(bank, needs.bank + needs.coreset));
    ck_ok(imiad_bank_keep(bank, picks, 270));
    bank_index *index = NULL;
    ck_ok(imiad_bank_set_budget(bank, needs.coreset + needs.index - 1));
    ck_ok(index_create(&index, bank, kernels_best()));
    ck_assert_ptr_null(index);
    ck_ok(imiad_bank_set_budget(bank, needs.coreset + needs.index));
    ck_ok(index_create(&index, bank, kernels_best()));
    ck_assert_ptr_nonnull(index);
    ck_assert_uint_ge(needs.peak, selecting);
    index_free(index);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(estimates_name_wrong_arguments)
{
    imiad_bank_needs needs = IMIAD_BANK_NEEDS_INIT;
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    ck_fails(imiad_bank_estimate(NULL, 1, 1, IMIAD_STORAGE_FLOAT32, 0, NULL),
             IMIAD_INVALID_ARGUMENT, "out");
    ck_fails(imiad_bank_estimate(&needs, -1, 1, IMIAD_STORAGE_FLOAT32, 0, NULL), IMIAD_OUT_OF_RANGE,
             "rows is -1");
    ck_fails(imiad_bank_estimate(&needs, INT64_MAX, 1, IMIAD_STORAGE_FLOAT32, 0, NULL),
             IMIAD_OUT_OF_RANGE, "rows is");
    ck_fails(imiad_bank_estimate(&needs, 1, 0, IMIAD_STORAGE_FLOAT32, 0, NULL), IMIAD_OUT_OF_RANGE,
             "dimension is 0");
    ck_fails(imiad_bank_estimate(&needs, 1, 1, (imiad_storage)7, 0, NULL), IMIAD_OUT_OF_RANGE,
             "storage is 7");
    ck_fails(imiad_bank_estimate(&needs, 9, 1, IMIAD_STORAGE_FLOAT32, 0, &o), IMIAD_OUT_OF_RANGE,
             "keeps none");
    needs.struct_size = 0;
    ck_fails(imiad_bank_estimate(&needs, 1, 1, IMIAD_STORAGE_FLOAT32, 0, NULL),
             IMIAD_INVALID_ARGUMENT, "struct_size");
    needs.struct_size = 16; /* an older caller's: nothing behind it is written */
    needs.selection = 77;
    ck_ok(imiad_bank_estimate(&needs, 10, 10, IMIAD_STORAGE_FLOAT32, 0, NULL));
    ck_assert_uint_eq(needs.bank, 400);
    ck_assert_uint_eq(needs.selection, 77);
}
END_TEST

SUITE("bank_rows", TEST(rows_carry_their_sources), TEST(a_bank_with_sources_may_be_added_to_itself),
      LOOP_TEST(forgetting_removes_a_source_and_nothing_else, 6),
      LOOP_TEST(merging_appends_in_the_storage_of_the_taker, 9),
      TEST(a_failed_merge_leaves_the_bank_as_it_was),
      LOOP_TEST(recompressing_keeps_the_coreset_that_fits, 3),
      TEST(a_recompression_that_fails_changes_nothing),
      TEST(random_selections_are_distinct_rising_and_fair),
      LOOP_TEST(the_estimate_is_what_the_refusals_compare, 12),
      TEST(estimates_name_wrong_arguments))
