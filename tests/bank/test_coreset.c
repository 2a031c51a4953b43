#include "bank_data.h"

#include "bank/coreset.h"

static imiad_coreset_options options_of(double ratio, int exact, int projection, int starts)
{
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    o.ratio = ratio;
    o.exact = exact;
    o.projection = projection;
    o.starts = starts;
    return o;
}

/* The rule of the published code in double arithmetic, distances as a full matrix. */
static void brute_force(int64_t *picks, size_t wanted, const float *rows, size_t count,
                        size_t columns, const imiad_coreset_options *o)
{
    double *d = malloc(count * count * sizeof *d), *m = calloc(count, sizeof *m);
    for (size_t i = 0; i < count; ++i)
        for (size_t j = 0; j < count; ++j)
            d[i * count + j] = distance_between(rows + i * columns, rows + j * columns, columns);
    for (size_t i = 0; i < count; ++i) {
        if (o->exact) {
            for (size_t j = 0; j < count; ++j)
                m[i] += d[i * count + j] * d[i * count + j];
            m[i] = sqrt(m[i]);
        } else {
            for (int s = 0; s < o->starts; ++s)
                m[i] += d[i * count + (size_t)o->start_rows[s]] / o->starts;
        }
    }
    for (size_t p = 0; p < wanted; ++p) {
        size_t best = 0;
        for (size_t i = 1; i < count; ++i)
            if (m[i] > m[best])
                best = i;
        picks[p] = (int64_t)best;
        for (size_t i = 0; i < count; ++i)
            m[i] = fmin(m[i], d[best * count + i]);
    }
    free(d);
    free(m);
}

static double covering_radius(const int64_t *picks, size_t picked, const float *rows, size_t count,
                              size_t columns)
{
    double radius = 0;
    for (size_t i = 0; i < count; ++i) {
        double nearest = INFINITY;
        for (size_t p = 0; p < picked; ++p)
            nearest = fmin(nearest, distance_between(rows + i * columns,
                                                     rows + (size_t)picks[p] * columns, columns));
        radius = fmax(radius, nearest);
    }
    return radius;
}

START_TEST(sizes_are_the_floor_of_the_ratio)
{
    ck_assert_int_eq(imiad_coreset_size(166992, 0.1), 16699); /* the golden run's numbers */
    ck_assert_int_eq(imiad_coreset_size(166992, 0.01), 1669);
    ck_assert_int_eq(imiad_coreset_size(784, 1), 784);
    ck_assert_int_eq(imiad_coreset_size(9, 0.1), 0);
    ck_assert_int_eq(imiad_coreset_size(0, 0.5), 0);
}
END_TEST

START_TEST(picks_follow_the_published_rule)
{
    enum { ROWS = 400, COLUMNS = 19, STARTS = 10 };
    static const int64_t starts[STARTS] = {3, 399, 17, 80, 81, 200, 250, 300, 310, 0};
    imiad_coreset_options o = options_of(0.25, _i % 2, 0, STARTS);
    o.start_rows = starts;
    float *rows = random_rows(_i / 2 == 0 ? SPREAD : CLUSTERS, ROWS, COLUMNS, (uint64_t)_i);
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    int64_t expected[100], picks[100];
    brute_force(expected, 100, rows, ROWS, COLUMNS, &o);
    ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
    ck_assert_mem_eq(picks, expected, sizeof picks);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

/* The exact selection begins with the row farthest from all others; by hand: rows on a line. */
START_TEST(the_exact_selection_begins_with_the_most_remote_row)
{
    static const float line[] = {0, 1, 2, 3, 4, 5, -20, 6, 7, 9};
    imiad_bank *bank = bank_of(line, 10, 1);
    imiad_coreset_options o = options_of(0.4, 1, 0, 0);
    int64_t picks[4];
    ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
    ck_assert_int_eq(picks[0], 6); /* -20 */
    ck_assert_int_eq(picks[1], 9); /* 9, 29 away */
    ck_assert_int_eq(picks[2], 0); /* 0, 9 away from 9 */
    ck_assert_int_eq(picks[3], 4); /* 4, as far from 0 as 5 is from 9: the first */
    imiad_bank_free(bank);
}
END_TEST

START_TEST(the_radius_is_that_of_the_rule_and_picks_differ)
{
    enum { ROWS = 500, COLUMNS = 12 };
    float *rows = random_rows((enum row_kind)_i, ROWS, COLUMNS, (uint64_t)_i);
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    imiad_coreset_options o = options_of(0.2, 1, 0, 0);
    int64_t expected[100], picks[100];
    brute_force(expected, 100, rows, ROWS, COLUMNS, &o);
    ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
    double radius = covering_radius(expected, 100, rows, ROWS, COLUMNS);
    ck_assert_double_le(fabs(covering_radius(picks, 100, rows, ROWS, COLUMNS) - radius),
                        1e-5 * radius + 1e-20); /* GRID's ties and TINY's squares are rounded */
    for (int i = 0; i < 100 && _i != CONSTANT; ++i)
        for (int j = 0; j < i; ++j)
            ck_assert_int_ne(picks[i], picks[j]);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

/* Small sets of all kinds: the picks cover as the rule's do, and the row that the selection begins
 * with, the farthest from the starts or from all, is among them. */
START_TEST(small_sets_have_brute_forces_radius_and_their_seed)
{
    random_stream s = random_open((uint64_t)_i, "small sets");
    for (int set = 0; set < 40; ++set) {
        size_t rows = 2 + (size_t)random_below(&s, 60), columns = 1 + (size_t)random_below(&s, 20);
        size_t wanted = 1 + (size_t)random_below(&s, rows - 1);
        int64_t starts[3], expected[61], picks[61];
        for (int i = 0; i < 3; ++i)
            starts[i] = (int64_t)random_below(&s, rows);
        imiad_coreset_options o = options_of(1, set % 2, 0, 3);
        o.start_rows = starts;
        o.rows = (int64_t)wanted;
        float *data = random_rows((enum row_kind)_i, rows, columns, (uint64_t)set);
        imiad_bank *bank = bank_of(data, rows, columns);
        brute_force(expected, wanted, data, rows, columns, &o);
        ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
        double radius = covering_radius(expected, wanted, data, rows, columns);
        double found = covering_radius(picks, wanted, data, rows, columns);
        if (_i == GRID) /* rounded ties: greedy's guarantee instead, twice the optimum either way */
            ck_assert(found <= 2 * radius + 1e-6 && radius <= 2 * found + 1e-6);
        else
            ck_assert_double_le(fabs(found - radius), 1e-5 * radius + 1e-20);
        double far = 0, first = 0;
        for (size_t i = 0; i < rows; ++i) {
            double sum = 0;
            for (size_t j = 0; j < (o.exact ? rows : 3); ++j) {
                double d =
                    distance_between(data + i * columns,
                                     data + (o.exact ? j : (size_t)starts[j]) * columns, columns);
                sum += o.exact ? d * d : d;
            }
            far = fmax(far, sum);
            first = (int64_t)i == picks[0] ? sum : first;
        }
        ck_assert_double_ge(first, far * (1 - 1e-6));
        imiad_bank_free(bank);
        free(data);
    }
}
END_TEST

/* Many sets, sizes around the vectors' and pieces' ends, every kernel, one and three threads. */
START_TEST(skipping_gives_the_picks_of_the_plain_selection)
{
    random_stream s = random_open((uint64_t)_i, "sets");
    for (int set = 0; set < 10 * ROW_KINDS; ++set) {
        int kind = set % ROW_KINDS;
        size_t count = 1 + (size_t)random_below(&s, _i == 0 && set < ROW_KINDS ? 6000 : 300);
        size_t columns = 1 + (size_t)random_below(&s, 150);
        size_t wanted = 1 + (size_t)random_below(&s, count > 3000 ? 400 : count);
        float *rows = random_rows((enum row_kind)kind, count, columns, (uint64_t)set);
        float *start = malloc(count * sizeof *start), *m = malloc(count * sizeof *m);
        for (size_t i = 0; i < count; ++i)
            start[i] = (float)distance_between(rows, rows + i * columns, columns) *
                       (set % 3 == 0 ? 20.f : 1.f);
        for (size_t i = 0; i < count && set % 2; ++i) /* some rows stay behind all others */
            if (random_below(&s, 6) == 0)
                start[i] = -1;
        int64_t *expected = malloc(wanted * sizeof *expected);
        int64_t *picks = malloc(wanted * sizeof *picks);
        point_set points = {rows, count, columns, IMIAD_STORAGE_FLOAT32};
        memcpy(m, start, count * sizeof *m);
        ck_ok(greedy_plain(expected, wanted, points, m, kernels_at(KERNEL_PLAIN), NULL));
        for (int level = 0; level < KERNEL_LEVELS; ++level) {
            if (!kernels_at((kernel_level)level))
                continue;
            ck_ok(imiad_set_threads(level % 2 ? 3 : 1));
            memcpy(m, start, count * sizeof *m);
            ck_ok(greedy_select(picks, wanted, points, m, kernels_at((kernel_level)level), NULL));
            ck_assert_msg(memcmp(picks, expected, wanted * sizeof *picks) == 0,
                          "kind %d, %zu of %zu rows, %zu columns, %s", kind, wanted, count, columns,
                          kernels_at((kernel_level)level)->name);
        }
        free(picks);
        free(expected);
        free(m);
        free(start);
        free(rows);
    }
}
END_TEST

START_TEST(numbers_too_large_for_squares_are_selected_plainly)
{
    enum { ROWS = 100, COLUMNS = 4 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 1), m[ROWS], again[ROWS];
    int64_t expected[20], picks[20];
    for (int i = 0; i < ROWS * COLUMNS; ++i)
        rows[i] *= 1e19f;
    for (int i = 0; i < ROWS; ++i)
        m[i] = again[i] = 1e30f;
    point_set points = {rows, ROWS, COLUMNS, IMIAD_STORAGE_FLOAT32};
    ck_ok(greedy_plain(expected, 20, points, m, kernels_best(), NULL));
    ck_ok(greedy_select(picks, 20, points, again, kernels_best(), NULL));
    ck_assert_mem_eq(picks, expected, sizeof picks);
    free(rows);
}
END_TEST

/* Where every distance is zero the rule picks the first row again and again. */
START_TEST(equal_rows_force_repetitions)
{
    float *rows = random_rows(CONSTANT, 50, 8, 1);
    imiad_bank *bank = bank_of(rows, 50, 8);
    imiad_coreset_options o = options_of(0.2, _i, 0, 3);
    int64_t picks[10];
    ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
    for (int i = 0; i < 10; ++i)
        ck_assert_int_eq(picks[i], 0);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(a_given_projection_and_given_starts_are_honoured)
{
    enum { ROWS = 300, COLUMNS = 40, TO = 5 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 9),
          *matrix = random_rows(GRID, TO, COLUMNS, 8);
    float projected[ROWS * TO];
    for (int i = 0; i < ROWS; ++i)
        for (int t = 0; t < TO; ++t) {
            double sum = 0;
            for (int j = 0; j < COLUMNS; ++j)
                sum += (double)rows[i * COLUMNS + j] * (double)matrix[t * COLUMNS + j];
            projected[i * TO + t] = (float)sum;
        }
    static const int64_t starts[] = {5, 250};
    imiad_coreset_options o = options_of(0.1, 0, TO, 2);
    o.projection_matrix = matrix;
    o.start_rows = starts;
    int64_t expected[30], picks[30];
    brute_force(expected, 30, projected, ROWS, TO, &o);
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
    ck_assert_mem_eq(picks, expected, sizeof picks);
    imiad_bank_free(bank);
    free(rows);
    free(matrix);
}
END_TEST

START_TEST(the_seed_decides_and_threads_do_not)
{
    enum { ROWS = 9000, COLUMNS = 70, WANTED = 90 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 2);
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    imiad_coreset_options o = options_of(0.01, 0, 32, 10);
    int64_t first[WANTED], picks[WANTED];
    ck_ok(imiad_set_threads(1));
    ck_ok(imiad_bank_select(first, bank, &o, NULL, NULL));
    for (int threads = 2; threads <= 5; ++threads) {
        ck_ok(imiad_set_threads(threads));
        ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
        ck_assert_mem_eq(picks, first, sizeof picks);
    }
    o.seed = 1;
    ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
    ck_assert_mem_ne(picks, first, sizeof picks);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

static int stop_later(void *user, const imiad_progress *state)
{
    ck_assert_str_eq(state->stage, "coreset");
    ck_assert_int_eq(state->total, 1000);
    return ++*(int *)user == 3;
}

START_TEST(a_cancelled_selection_changes_nothing)
{
    float *rows = random_rows(SPREAD, 2000, 8, 2);
    imiad_bank *bank = bank_of(rows, 2000, 8);
    imiad_coreset_options o = options_of(0.5, 0, 4, 10);
    int64_t picks[1000];
    memset(picks, 0x5a, sizeof picks);
    int calls = 0;
    ck_fails(imiad_bank_select(picks, bank, &o, stop_later, &calls), IMIAD_CANCELLED, "");
    ck_assert_int_eq(calls, 3);
    for (int i = 0; i < 1000; ++i)
        ck_assert_int_eq(picks[i], 0x5a5a5a5a5a5a5a5a);
    ck_assert_mem_eq(imiad_bank_data(bank), rows, 2000 * 8 * sizeof *rows);
    ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

/* SoftPatch's published sampler in double: each new distance is multiplied by 0 for rows left out
 * and by 1 for the others, the initial ones are not. */
static void brute_force_masked(int64_t *picks, size_t wanted, const float *rows, size_t count,
                               size_t columns, const int64_t *starts, size_t start_count,
                               const bool *left_out)
{
    double *m = calloc(count, sizeof *m);
    for (size_t i = 0; i < count; ++i)
        for (size_t s = 0; s < start_count; ++s)
            m[i] +=
                distance_between(rows + i * columns, rows + (size_t)starts[s] * columns, columns) /
                (double)start_count;
    for (size_t p = 0; p < wanted; ++p) {
        size_t best = 0;
        for (size_t i = 1; i < count; ++i)
            if (m[i] > m[best])
                best = i;
        picks[p] = (int64_t)best;
        for (size_t i = 0; i < count; ++i)
            m[i] = fmin(m[i], left_out[i] ? 0
                                          : distance_between(rows + best * columns,
                                                             rows + i * columns, columns));
    }
    free(m);
}

START_TEST(rows_left_out_are_not_picked_but_may_begin)
{
    enum { ROWS = 400, COLUMNS = 19, WANTED = 100 };
    static const int64_t starts[] = {3, 399, 17, 80};
    float *rows = random_rows(_i == 0 ? SPREAD : CLUSTERS, ROWS, COLUMNS, 3);
    bool left_out[ROWS];
    int64_t expected[WANTED], picks[WANTED], count;
    random_stream s = random_open((uint64_t)_i, "left out");
    for (int i = 0; i < ROWS; ++i)
        left_out[i] = random_below(&s, 5) == 0;
    imiad_coreset_options o = options_of(0.25, 0, 0, 4);
    o.start_rows = starts;
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    coreset_mask mask = {left_out, false};
    ck_ok(bank_select(picks, &count, bank, &o, NULL, NULL));
    left_out[picks[0]] = true; /* the row that the selection begins with, in either form */
    brute_force_masked(expected, WANTED, rows, ROWS, COLUMNS, starts, 4, left_out);

    mask.first_anywhere = true;
    ck_ok(bank_select(picks, &count, bank, &o, &mask, NULL));
    ck_assert_int_eq(count, WANTED);
    ck_assert_mem_eq(picks, expected, sizeof picks);
    ck_assert(left_out[picks[0]]);
    for (int i = 1; i < WANTED; ++i)
        ck_assert(!left_out[picks[i]]);

    mask.first_anywhere = false;
    ck_ok(bank_select(picks, &count, bank, &o, &mask, NULL));
    ck_assert_int_eq(count, WANTED);
    for (int i = 0; i < WANTED; ++i)
        ck_assert(!left_out[picks[i]]);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(a_coreset_is_never_larger_than_what_is_left)
{
    enum { ROWS = 50, COLUMNS = 8 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 5);
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    bool left_out[ROWS];
    int64_t picks[ROWS], count = -1;
    coreset_mask mask = {left_out, false};
    for (int i = 0; i < ROWS; ++i)
        left_out[i] = i % 5 == 1; /* 40 stay */
    imiad_coreset_options all = options_of(1, 0, 0, 4), most = options_of(0.9, 0, 0, 4);
    ck_ok(bank_select(picks, &count, bank, &all, &mask, NULL));
    ck_assert_int_eq(count, 40);
    for (int i = 0, row = 0; row < ROWS; ++row)
        if (!left_out[row])
            ck_assert_int_eq(picks[i++], row);
    ck_ok(bank_select(picks, &count, bank, &most, &mask, NULL));
    ck_assert_int_eq(count, 40);
    bool picked[ROWS] = {false};
    for (int i = 0; i < 40; ++i) {
        ck_assert(!left_out[picks[i]] && !picked[picks[i]]);
        picked[picks[i]] = true;
    }
    memset(left_out, true, sizeof left_out);
    ck_fails(bank_select(picks, &count, bank, &all, &mask, NULL), IMIAD_OUT_OF_RANGE,
             "all 50 rows are left out");
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(a_ratio_of_one_keeps_everything_in_order)
{
    float *rows = random_rows(SPREAD, 20, 8, 2);
    imiad_bank *bank = bank_of(rows, 20, 8);
    imiad_coreset_options o = options_of(1, 0, 4, 10);
    int64_t picks[20];
    ck_ok(imiad_bank_select(picks, bank, &o, NULL, NULL));
    for (int i = 0; i < 20; ++i)
        ck_assert_int_eq(picks[i], i);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

SUITE("coreset", TEST(sizes_are_the_floor_of_the_ratio),
      LOOP_TEST(picks_follow_the_published_rule, 4),
      TEST(the_exact_selection_begins_with_the_most_remote_row),
      LOOP_TEST(the_radius_is_that_of_the_rule_and_picks_differ, ROW_KINDS),
      LOOP_TEST(small_sets_have_brute_forces_radius_and_their_seed, ROW_KINDS),
      LOOP_TEST(skipping_gives_the_picks_of_the_plain_selection, 4),
      TEST(numbers_too_large_for_squares_are_selected_plainly),
      LOOP_TEST(equal_rows_force_repetitions, 2),
      TEST(a_given_projection_and_given_starts_are_honoured),
      TEST(the_seed_decides_and_threads_do_not), TEST(a_cancelled_selection_changes_nothing),
      LOOP_TEST(rows_left_out_are_not_picked_but_may_begin, 2),
      TEST(a_coreset_is_never_larger_than_what_is_left),
      TEST(a_ratio_of_one_keeps_everything_in_order))
