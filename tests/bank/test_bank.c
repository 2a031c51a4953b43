#include <inttypes.h>
#include <limits.h>

#include "bank_data.h"

START_TEST(a_bank_grows_and_keeps_what_it_was_given)
{
    enum { ROWS = 5000, COLUMNS = 257 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 1);
    imiad_bank *bank = NULL;
    ck_ok(imiad_bank_create(&bank, COLUMNS, 0));
    ck_assert_int_eq(imiad_bank_rows(bank), 0);
    for (int64_t at = 0, step = 1; at < ROWS; at += step, step = step * 2 % 701 + 1) {
        if (step > ROWS - at)
            step = ROWS - at;
        ck_ok(imiad_bank_add(bank, rows + at * COLUMNS, step));
    }
    ck_assert_int_eq(imiad_bank_rows(bank), ROWS);
    ck_assert_int_eq(imiad_bank_dimension(bank), COLUMNS);
    ck_assert_mem_eq(imiad_bank_data(bank), rows, ROWS * COLUMNS * sizeof *rows);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(a_bank_may_be_added_to_itself)
{
    enum { ROWS = 3000, COLUMNS = 100 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 1);
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    ck_ok(imiad_bank_add(bank, imiad_bank_data(bank) + COLUMNS, ROWS - 1));
    ck_assert_mem_eq(imiad_bank_data(bank) + ROWS * COLUMNS, rows + COLUMNS,
                     (ROWS - 1) * COLUMNS * sizeof *rows);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(a_budget_is_kept_and_named)
{
    float rows[20] = {0};
    imiad_bank *bank = NULL;
    ck_ok(imiad_bank_create(&bank, 2, 60));
    ck_ok(imiad_bank_add(bank, rows, 7));
    ck_fails(imiad_bank_add(bank, rows, 1), IMIAD_OVER_BUDGET,
             "a bank of 8 rows of 2 columns needs 64 bytes: its budget is 60 bytes");
    ck_assert_int_eq(imiad_bank_rows(bank), 7);
    int64_t picks[7] = {-1};
    imiad_coreset_options options = IMIAD_CORESET_OPTIONS_INIT;
    options.ratio = 0.5;
    options.projection = 0;
    ck_fails(imiad_bank_select(picks, bank, &options, NULL, NULL), IMIAD_OVER_BUDGET, "60 bytes");
    ck_assert_int_eq(picks[0], -1);
    ck_fails(imiad_bank_keep(bank, (int64_t[]){0, 1}, 2), IMIAD_OVER_BUDGET, "needs 72 bytes");
    ck_assert_int_eq(imiad_bank_rows(bank), 7);
    imiad_bank_free(bank);
}
END_TEST

START_TEST(numbers_that_are_none_are_refused)
{
    float rows[300] = {0};
    imiad_bank *bank = NULL;
    ck_ok(imiad_bank_create(&bank, 30, 0));
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    rows[4 * 30 + 17] = bad[_i];
    ck_fails(imiad_bank_add(bank, rows, 10), IMIAD_NOT_FINITE, "row 4, column 17");
    ck_assert_int_eq(imiad_bank_rows(bank), 0);
    ck_ok(imiad_bank_add(bank, rows, 4));
    float distance;
    ck_fails(imiad_bank_search(&distance, NULL, bank, rows + 120, 1, 1), IMIAD_NOT_FINITE,
             "query 0, column 17");
    imiad_bank_free(bank);
}
END_TEST

START_TEST(keeping_keeps_the_given_order)
{
    enum { COLUMNS = 3 };
    float *rows = random_rows(SPREAD, 10, COLUMNS, 4);
    imiad_bank *bank = bank_of(rows, 10, COLUMNS);
    static const int64_t kept[] = {7, 0, 7, 3};
    ck_fails(imiad_bank_keep(bank, (int64_t[]){0, 10}, 2), IMIAD_OUT_OF_RANGE, "row 10 of 10");
    ck_fails(imiad_bank_keep(bank, (int64_t[]){-1}, 1), IMIAD_OUT_OF_RANGE, "row -1 of 10");
    ck_assert_int_eq(imiad_bank_rows(bank), 10);
    ck_ok(imiad_bank_keep(bank, kept, 4));
    ck_assert_int_eq(imiad_bank_rows(bank), 4);
    for (int i = 0; i < 4; ++i)
        ck_assert_mem_eq(imiad_bank_data(bank) + i * COLUMNS, rows + kept[i] * COLUMNS,
                         COLUMNS * sizeof *rows);
    ck_ok(imiad_bank_keep(bank, NULL, 0));
    ck_assert_int_eq(imiad_bank_rows(bank), 0);
    ck_ok(imiad_bank_add(bank, rows, 10));
    ck_assert_mem_eq(imiad_bank_data(bank), rows, 10 * COLUMNS * sizeof *rows);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(wrong_arguments_are_named)
{
    imiad_bank *bank = NULL;
    float value = 0;
    int64_t row = 0;
    imiad_coreset_options options = IMIAD_CORESET_OPTIONS_INIT;
    ck_fails(imiad_bank_create(NULL, 1, 0), IMIAD_INVALID_ARGUMENT, "out");
    ck_fails(imiad_bank_create(&bank, 0, 0), IMIAD_OUT_OF_RANGE, "dimension is 0");
    ck_fails(imiad_bank_create(&bank, INT64_MAX, 0), IMIAD_OUT_OF_RANGE, "dimension is");
    ck_assert_ptr_null(bank);
    ck_ok(imiad_bank_create(&bank, 1, 0));
    ck_fails(imiad_bank_add(NULL, &value, 1), IMIAD_INVALID_ARGUMENT, "bank");
    ck_fails(imiad_bank_add(bank, NULL, 1), IMIAD_INVALID_ARGUMENT, "rows");
    ck_fails(imiad_bank_add(bank, &value, -1), IMIAD_OUT_OF_RANGE, "count is -1");
    ck_fails(imiad_bank_add(bank, &value, INT64_MAX), IMIAD_OUT_OF_RANGE, "count is");
    ck_fails(imiad_bank_search(&value, NULL, bank, &value, 1, 1), IMIAD_OUT_OF_RANGE, "k is 1");
    ck_fails(imiad_bank_select(&row, bank, &options, NULL, NULL), IMIAD_OUT_OF_RANGE, "keeps none");
    ck_ok(imiad_bank_add(bank, &value, 1));
    ck_fails(imiad_bank_search(&value, NULL, bank, &value, 1, 0), IMIAD_OUT_OF_RANGE, "k is 0");
    ck_fails(imiad_bank_search(&value, NULL, bank, &value, 1, 2), IMIAD_OUT_OF_RANGE, "k is 2");
    ck_fails(imiad_bank_search(NULL, NULL, bank, &value, 1, 1), IMIAD_INVALID_ARGUMENT,
             "distances");
    ck_fails(imiad_bank_select(&row, bank, NULL, NULL, NULL), IMIAD_INVALID_ARGUMENT, "options");
    options.ratio = 1.5;
    ck_fails(imiad_bank_select(&row, bank, &options, NULL, NULL), IMIAD_OUT_OF_RANGE, "ratio");
    options.ratio = NAN;
    ck_fails(imiad_bank_select(&row, bank, &options, NULL, NULL), IMIAD_OUT_OF_RANGE, "ratio");
    options.ratio = 1;
    options.starts = 0;
    ck_fails(imiad_bank_select(&row, bank, &options, NULL, NULL), IMIAD_OUT_OF_RANGE, "starts");
    options.starts = 1;
    options.projection = -1;
    ck_fails(imiad_bank_select(&row, bank, &options, NULL, NULL), IMIAD_OUT_OF_RANGE, "projection");
    options.projection = 1;
    options.start_rows = (int64_t[]){1};
    ck_fails(imiad_bank_select(&row, bank, &options, NULL, NULL), IMIAD_OUT_OF_RANGE, "start 1");
    options.struct_size = 0;
    ck_fails(imiad_bank_select(&row, bank, &options, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "struct_size");
    imiad_bank_free(bank);
    imiad_bank_free(NULL);
}
END_TEST

SUITE("bank", TEST(a_bank_grows_and_keeps_what_it_was_given), TEST(a_bank_may_be_added_to_itself),
      TEST(a_budget_is_kept_and_named), LOOP_TEST(numbers_that_are_none_are_refused, 3),
      TEST(keeping_keeps_the_given_order), TEST(wrong_arguments_are_named))
