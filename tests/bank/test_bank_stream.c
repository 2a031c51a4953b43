/* Banks of bounded size from rows that come block by block. */
#include "bank_data.h"

enum { COLUMNS = 12, ROWS = 2000 };

static imiad_bank_stream *stream_of(int64_t rows, int64_t block_rows, int64_t kept_rows)
{
    imiad_bank_stream_options o = IMIAD_BANK_STREAM_OPTIONS_INIT;
    imiad_bank_stream *s = NULL;
    o.rows = rows;
    o.block_rows = block_rows;
    o.kept_rows = kept_rows;
    ck_ok(imiad_bank_stream_create(&s, COLUMNS, &o));
    return s;
}

static imiad_bank *bank_now(const imiad_bank_stream *s)
{
    imiad_bank *bank = NULL;
    ck_ok(imiad_bank_stream_bank(&bank, s));
    return bank;
}

/* Row i comes from image i / 10. */
static void add(imiad_bank_stream *s, const float *rows, int64_t first, int64_t count)
{
    int64_t *sources = malloc((size_t)count * sizeof *sources + 1);
    for (int64_t i = 0; i < count; ++i)
        sources[i] = (first + i) / 10;
    ck_ok(imiad_bank_stream_add(s, rows + first * COLUMNS, count, sources));
    free(sources);
}

static void ck_same_bank(const imiad_bank *a, const imiad_bank *b)
{
    char one[65], other[65];
    ck_ok(imiad_bank_digest(one, a));
    ck_ok(imiad_bank_digest(other, b));
    ck_assert_str_eq(one, other);
}

START_TEST(few_rows_are_all_kept_in_their_order)
{
    float *rows = random_rows(SPREAD, 50, COLUMNS, 1);
    imiad_bank_stream *s = stream_of(50, 64, 0);
    add(s, rows, 0, 50);
    ck_assert_int_eq(imiad_bank_stream_rows(s), 50);
    imiad_bank *bank = bank_now(s);
    ck_assert_int_eq(imiad_bank_rows(bank), 50);
    ck_assert_mem_eq(imiad_bank_data(bank), rows, 50 * COLUMNS * sizeof *rows);
    for (int64_t i = 0; i < 50; ++i)
        ck_assert_int_eq(imiad_bank_sources(bank)[i], i / 10);
    imiad_bank_free(bank);
    imiad_bank_stream_free(s);
    free(rows);
}
END_TEST

/* On a line: blocks of four keep two, joined ones two, and the bank has two of what is left. */
START_TEST(blocks_are_thinned_and_merged_as_a_counter_carries)
{
    imiad_bank_stream_options o = IMIAD_BANK_STREAM_OPTIONS_INIT;
    imiad_bank_stream *s = NULL;
    o.rows = 4;
    o.block_rows = 4;
    o.kept_rows = 2;
    ck_ok(imiad_bank_stream_create(&s, 1, &o));
    /* {0, 1, 2, 9}: mean 3, keeps 9 and 0. {3, 4, 5, 20}: mean 8, keeps 20 and 3. Joined, the later
     * block second: mean 8, keeps 20 and 0. {7, 7, 7, 8}: keeps 8 and 7. 6 waits. */
    static const float rows[] = {0, 1, 2, 9, 3, 4, 5, 20, 7, 7, 7, 8, 6};
    ck_ok(imiad_bank_stream_add(s, rows, 13, NULL));
    imiad_bank *bank = bank_now(s);
    /* of 6, 8, 7, 20, 0: mean 8.2, farthest 20, then 0, then 8 (8 away), then 6 */
    static const float expected[] = {20, 0, 8, 6};
    ck_assert_int_eq(imiad_bank_rows(bank), 4);
    ck_assert_mem_eq(imiad_bank_data(bank), expected, sizeof expected);
    ck_assert_ptr_null(imiad_bank_sources(bank));
    imiad_bank_free(bank);
    imiad_bank_stream_free(s);
}
END_TEST

START_TEST(how_rows_are_spread_over_calls_makes_no_difference)
{
    float *rows = random_rows(_i, ROWS, COLUMNS, 2);
    imiad_bank_stream *whole = stream_of(40, 100, 60), *pieces = stream_of(40, 100, 60);
    random_stream random = random_open(3, "pieces");
    add(whole, rows, 0, ROWS);
    for (int64_t at = 0; at < ROWS;) {
        int64_t count = (int64_t)random_below(&random, 230);
        count = count < ROWS - at ? count : ROWS - at;
        add(pieces, rows, at, count);
        at += count;
        imiad_bank_free(bank_now(pieces)); /* looking changes nothing */
    }
    imiad_bank *a = bank_now(whole), *b = bank_now(pieces);
    ck_assert_int_eq(imiad_bank_rows(a), 40);
    ck_same_bank(a, b);
    for (int64_t i = 0; i < 40; ++i) { /* each is a row that was added, with its source */
        const float *row = imiad_bank_data(a) + i * COLUMNS;
        int64_t image = imiad_bank_sources(a)[i];
        bool found = false;
        for (int64_t j = image * 10; j < image * 10 + 10; ++j)
            found = found || memcmp(row, rows + j * COLUMNS, COLUMNS * sizeof *row) == 0;
        ck_assert(found);
    }
    imiad_bank_free(a);
    imiad_bank_free(b);
    imiad_bank_stream_free(whole);
    imiad_bank_stream_free(pieces);
    free(rows);
}
END_TEST

/* The largest distance from a row to its nearest of the bank. */
static double radius(const imiad_bank *bank, const float *rows)
{
    float *squares = malloc(ROWS * sizeof *squares), most = 0;
    ck_ok(imiad_bank_search(squares, NULL, bank, rows, ROWS, 1));
    for (int i = 0; i < ROWS; ++i)
        most = squares[i] > most ? squares[i] : most;
    free(squares);
    return sqrt((double)most);
}

/* A greedy choice among all is at most twice the best radius; each level may add as much again. */
START_TEST(rows_are_covered_nearly_as_well_as_by_a_choice_among_all)
{
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 4);
    imiad_bank_stream *s = stream_of(100, 250, 0);
    add(s, rows, 0, ROWS);
    imiad_bank *streamed = bank_now(s), *greedy = bank_of(rows, ROWS, COLUMNS);
    imiad_recompression to = IMIAD_RECOMPRESSION_INIT;
    to.rows = 100;
    to.coreset.exact = 1;
    to.coreset.projection = 0;
    ck_ok(imiad_bank_recompress(greedy, &to, NULL, NULL));
    double whole = radius(greedy, rows), parts = radius(streamed, rows);
    ck_assert_msg(parts <= 1.5 * whole, "covered within %g, by a choice among all within %g", parts,
                  whole);
    imiad_bank_free(streamed);
    imiad_bank_free(greedy);
    imiad_bank_stream_free(s);
    free(rows);
}
END_TEST

START_TEST(rows_are_rounded_to_the_storage_of_the_bank)
{
    imiad_bank_stream_options o = IMIAD_BANK_STREAM_OPTIONS_INIT;
    imiad_bank_stream *s = NULL;
    o.storage = IMIAD_STORAGE_BFLOAT16;
    ck_ok(imiad_bank_stream_create(&s, 1, &o));
    ck_ok(imiad_bank_stream_add(s, (const float[]){1.001f}, 1, NULL));
    imiad_bank *bank = bank_now(s);
    float read;
    ck_assert_int_eq(imiad_bank_storage(bank), IMIAD_STORAGE_BFLOAT16);
    ck_ok(imiad_bank_read(&read, bank, 0, 1));
    ck_assert_float_eq(read, 1.0f);
    imiad_bank_free(bank);
    imiad_bank_stream_free(s);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_and_changes_nothing)
{
    imiad_bank_stream_options o = IMIAD_BANK_STREAM_OPTIONS_INIT;
    imiad_bank_stream *s = NULL;
    imiad_bank *bank = NULL;
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 5);
    o.rows = 10;
    o.block_rows = 100;
    ck_ok(imiad_bank_stream_estimate(&o.budget_bytes, 1000, COLUMNS, &o));
    ck_ok(imiad_bank_stream_create(&s, COLUMNS, &o));
    ck_ok(imiad_bank_stream_add(s, rows, 1000, NULL));
    imiad_bank *before = bank_now(s);
    ck_fails(imiad_bank_stream_add(s, rows, 1000, NULL), IMIAD_OVER_BUDGET, "2000 rows need");
    rows[3 * COLUMNS + 2] = NAN;
    ck_fails(imiad_bank_stream_add(s, rows, 5, NULL), IMIAD_NOT_FINITE, "row 3, column 2");
    ck_fails(imiad_bank_stream_add(s, NULL, 1, NULL), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_bank_stream_add(s, rows, -1, NULL), IMIAD_INVALID_ARGUMENT, "-1 rows");
    ck_fails(imiad_bank_stream_bank(&bank, NULL), IMIAD_INVALID_ARGUMENT, "stream is NULL");
    ck_assert_int_eq(imiad_bank_stream_rows(s), 1000);
    imiad_bank *after = bank_now(s);
    ck_same_bank(before, after);
    imiad_bank_free(before);
    imiad_bank_free(after);
    imiad_bank_stream_free(s);
    imiad_bank_stream_free(NULL);
    free(rows);
    static const struct {
        int64_t rows, block_rows, kept_rows;
        const char *said;
    } wrong[] = {{0, 1, 0, "rows is 0"},
                 {1, 0, 0, "block_rows is 0"},
                 {1, 1, -1, "kept_rows is -1"},
                 {INT64_MAX, 1, 0, "rows is 9223372036854775807"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        o = (imiad_bank_stream_options)IMIAD_BANK_STREAM_OPTIONS_INIT;
        o.rows = wrong[i].rows;
        o.block_rows = wrong[i].block_rows;
        o.kept_rows = wrong[i].kept_rows;
        ck_fails(imiad_bank_stream_create(&s, COLUMNS, &o), IMIAD_OUT_OF_RANGE, wrong[i].said);
    }
    ck_fails(imiad_bank_stream_create(&s, 0, NULL), IMIAD_OUT_OF_RANGE, "dimension");
}
END_TEST

/* Twice the rows take one more level, whatever their number. */
START_TEST(memory_grows_with_the_logarithm_of_the_rows)
{
    imiad_bank_stream_options o = IMIAD_BANK_STREAM_OPTIONS_INIT;
    uint64_t bytes[4], level = 10000 * (128 * sizeof(float) + sizeof(int64_t));
    for (int i = 0; i < 4; ++i)
        ck_ok(imiad_bank_stream_estimate(&bytes[i], (int64_t)10000000 << i, 128, &o));
    ck_assert_uint_lt(bytes[0], 500000000);
    for (int i = 1; i < 4; ++i) {
        ck_assert_uint_ge(bytes[i] - bytes[i - 1], level);
        ck_assert_uint_le(bytes[i] - bytes[i - 1], 3 * level);
    }
}
END_TEST

SUITE("bank_stream", TEST(few_rows_are_all_kept_in_their_order),
      TEST(blocks_are_thinned_and_merged_as_a_counter_carries),
      LOOP_TEST(how_rows_are_spread_over_calls_makes_no_difference, ROW_KINDS),
      TEST(rows_are_covered_nearly_as_well_as_by_a_choice_among_all),
      TEST(rows_are_rounded_to_the_storage_of_the_bank),
      TEST(what_does_not_fit_is_refused_and_changes_nothing),
      TEST(memory_grows_with_the_logarithm_of_the_rows))
