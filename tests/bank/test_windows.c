/* Searches near a place beside loops over all rows. */
#include "bank/coreset.h"
#include "bank/windows.h"
#include "bank_data.h"

enum { HIGH = 5, WIDE = 7, PLACES = HIGH * WIDE, IMAGES = 4, COLUMNS = 33, MOST = 9 };

typedef struct banked {
    float *values;
    int32_t *places;
    size_t rows;
    imiad_bank *bank;
    bank_windows *windows;
    window_sketches *sketches; /* of some banks */
} banked;

/* `each` rows of every place but those in empty..empty + 2, in an order that is not theirs. */
static banked make(enum row_kind kind, size_t each, int empty)
{
    banked b = {.rows = 0};
    b.places = malloc(each * PLACES * sizeof *b.places);
    for (size_t i = 0; i < each * PLACES; ++i) {
        int32_t place = (int32_t)(i * 11 % PLACES);
        if (place < empty || place > empty + 2)
            b.places[b.rows++] = place;
    }
    b.values = random_rows(kind, b.rows, COLUMNS, 8);
    b.bank = bank_of(b.values, b.rows, COLUMNS);
    ck_ok(windows_create(&b.windows, b.places, (int64_t)b.rows, HIGH, WIDE));
    window_sketches_create(&b.sketches, b.bank, b.windows);
    return b;
}

static void drop(banked *b)
{
    windows_free(b->windows);
    window_sketches_free(b->sketches);
    imiad_bank_free(b->bank);
    free(b->values);
    free(b->places);
}

static bool within(const banked *b, size_t row, int64_t place, int64_t radius)
{
    return llabs(b->places[row] / WIDE - place / WIDE) <= radius &&
           llabs(b->places[row] % WIDE - place % WIDE) <= radius;
}

/* The plain twin: the k best of all rows near the place, by the kernel's distance and the row. */
static int64_t by_loop(float *distances, int64_t *rows, const banked *b, const float *query,
                       int64_t place, int64_t radius, int64_t k)
{
    int64_t held = 0;
    for (size_t i = 0; i < b->rows; ++i) {
        if (!within(b, i, place, radius))
            continue;
        float d = kernels_best()->squared_distance(query, b->values + i * COLUMNS, COLUMNS);
        int64_t at = held < k ? held++ : k;
        for (; at > 0 && d < distances[at - 1]; --at)
            if (at < k) {
                distances[at] = distances[at - 1];
                rows[at] = rows[at - 1];
            }
        if (at < k) {
            distances[at] = d;
            rows[at] = (int64_t)i;
        }
    }
    return held;
}

static void agrees_with(const banked *b, const window_sketches *sketches, int64_t images,
                        int64_t radius, int64_t k)
{
    const window_search how = {b->bank, b->windows, sketches, radius, NULL};
    size_t count = (size_t)(images * PLACES);
    float *queries = random_rows(SPREAD, count, COLUMNS, 9), wanted[MOST], again[MOST];
    float *distances = malloc(count * (size_t)k * sizeof *distances);
    int64_t *rows = malloc(count * (size_t)k * sizeof *rows), right[MOST], single[MOST];
    memcpy(queries, b->values, COLUMNS * sizeof *queries); /* a row itself */
    ck_ok(windows_search(distances, rows, &how, queries, images, (int)k));
    for (size_t q = 0; q < count; ++q) {
        int64_t place = (int64_t)q % PLACES, r = radius;
        while (by_loop(wanted, right, b, queries + q * COLUMNS, place, r, k) < k)
            ++r;
        ck_ok(windows_search_at(again, single, &how, queries + q * COLUMNS, place, (int)k));
        for (int64_t j = 0; j < k; ++j) {
            ck_assert(distances[(int64_t)q * k + j] == wanted[j] && again[j] == wanted[j]);
            ck_assert(rows[(int64_t)q * k + j] == right[j] && single[j] == right[j]);
        }
    }
    free(queries);
    free(distances);
    free(rows);
}

/* By sketches where there are some, and without. */
static void agrees(const banked *b, int64_t images, int64_t radius, int64_t k)
{
    agrees_with(b, NULL, images, radius, k);
    agrees_with(b, b->sketches, images, radius, k);
}

/* Corners and edges among them; ties go to the lower row. */
START_TEST(a_window_holds_what_loops_over_all_rows_find)
{
    static const int64_t radii[] = {0, 1, 3, 6, 100};
    banked b = make((enum row_kind)_i, 4, PLACES);
    ck_assert_ptr_nonnull(b.sketches);
    for (int r = 0; r < 5; ++r)
        for (int64_t images = 1; images <= IMAGES; images += 3) {
            agrees(&b, images, radii[r], 1);
            agrees(&b, images, radii[r], 3);
        }
    drop(&b);
}
END_TEST

START_TEST(a_window_with_too_few_rows_grows)
{
    banked b = make(SPREAD, 2, 16);
    ck_assert_int_eq(windows_short(b.windows, 0, 1), 3);
    ck_assert_int_eq(windows_short(b.windows, 0, 3), PLACES);
    ck_assert_int_eq(windows_short(b.windows, 1, 1), 0);
    ck_assert_int_eq(windows_short(b.windows, 6, (int64_t)b.rows), 0);
    agrees(&b, 2, 0, 1);
    agrees(&b, 2, 0, MOST);
    drop(&b);
}
END_TEST

START_TEST(a_window_over_the_grid_is_the_whole_search_in_every_storage)
{
    for (int storage = IMIAD_STORAGE_FLOAT32; storage <= IMIAD_STORAGE_FLOAT16; ++storage) {
        banked b = make(GRID, 20, PLACES);
        imiad_bank *bank;
        enum { COUNT = IMAGES * PLACES, K = 5 };
        float *queries = random_rows(SPREAD, COUNT, COLUMNS, 10), near[COUNT * K], far[COUNT * K];
        int64_t near_rows[COUNT * K], far_rows[COUNT * K];
        ck_ok(imiad_bank_create_stored(&bank, COLUMNS, (imiad_storage)storage, 0));
        ck_ok(imiad_bank_add(bank, b.values, (int64_t)b.rows));
        window_sketches *sketches;
        window_sketches_create(&sketches, bank, b.windows);
        ck_assert_ptr_nonnull(sketches);
        const window_search how = {bank, b.windows, sketches, WIDE - 1, NULL};
        ck_ok(windows_search(near, near_rows, &how, queries, IMAGES, K));
        window_sketches_free(sketches);
        ck_ok(imiad_bank_search(far, far_rows, bank, queries, COUNT, K));
        ck_assert_mem_eq(near, far, sizeof near);
        ck_assert_mem_eq(near_rows, far_rows, sizeof near_rows);
        imiad_bank_free(bank);
        free(queries);
        drop(&b);
    }
}
END_TEST

/* Two images of queries, each of which may look at other images of the bank. */
START_TEST(an_image_finds_rows_of_the_images_it_may_look_at)
{
    enum { SOURCES = 4, COUNT = 2 * PLACES };
    static const bool wanted[2 * SOURCES] = {true, false, false, true, false, false, true, false};
    const window_sources among = {wanted, SOURCES};
    banked b = make(SPREAD, SOURCES, 16);
    int64_t *sources = malloc(b.rows * sizeof *sources), rows[COUNT];
    float *queries = random_rows(SPREAD, COUNT, COLUMNS, 9), distances[COUNT];
    imiad_bank *bank = NULL;
    for (size_t i = 0; i < b.rows; ++i)
        sources[i] = (int64_t)(i * 7 % SOURCES);
    ck_ok(imiad_bank_create(&bank, COLUMNS, 0));
    ck_ok(imiad_bank_add_from(bank, b.values, (int64_t)b.rows, sources));
    window_sketches *sketches;
    window_sketches_create(&sketches, bank, b.windows);
    for (int64_t i = 0; i < 6; ++i) {
        int64_t radius = i / 2 * 3;
        const window_search how = {bank, b.windows, i % 2 ? sketches : NULL, radius, &among};
        ck_ok(windows_search(distances, rows, &how, queries, 2, 1));
        for (int q = 0; q < COUNT; ++q) {
            float least = INFINITY;
            for (size_t j = 0; j < b.rows; ++j)
                if (within(&b, j, q % PLACES, radius) && wanted[q / PLACES * SOURCES + sources[j]])
                    least =
                        fminf(least, kernels_best()->squared_distance(
                                         queries + q * COLUMNS, b.values + j * COLUMNS, COLUMNS));
            ck_assert(distances[q] == least);
            ck_assert_int_eq(rows[q] == -1, isinf(least) != 0);
        }
    }
    window_sketches_free(sketches);
    free(queries);
    free(sources);
    imiad_bank_free(bank);
    drop(&b);
}
END_TEST

/* ---- a coreset at each place ---- */

/* By the definition: the row that is farthest from those that were picked, the first of several. */
static void by_greed(int64_t *picks, int64_t wanted, const float *values, int64_t place,
                     int64_t rows, const bool *left_out)
{
    for (int64_t held = 1; held < wanted; ++held) {
        double most = -1;
        for (int64_t row = place; row < rows; row += PLACES) {
            double nearest = INFINITY;
            for (int64_t i = 0; i < held; ++i) {
                float d = kernels_best()->squared_distance(values + picks[i] * COLUMNS,
                                                           values + row * COLUMNS, COLUMNS);
                nearest = picks[i] == row ? -1 : fmin(nearest, (double)d);
                if (picks[i] == row)
                    break;
            }
            if (!(left_out && left_out[row]) && nearest > most) {
                most = nearest;
                picks[held] = row;
            }
        }
    }
}

/* Rows of 30 images; masked: every third of them is left out. */
static void coresets_agree(enum row_kind kind, double ratio, int64_t least, bool masked)
{
    enum { ROWS = 30 * PLACES };
    float *values = random_rows(kind, ROWS, COLUMNS, 12);
    bool left_out[ROWS];
    int64_t picks[ROWS], again[ROWS], wanted[30], count, same, at = 0;
    imiad_bank *bank = bank_of(values, ROWS, COLUMNS);
    for (int64_t i = 0; i < ROWS; ++i)
        left_out[i] = i / PLACES % 3 == 0;
    const place_coreset how = {ratio, least, masked ? left_out : NULL, 5};
    ck_ok(bank_select_places(picks, &count, bank, PLACES, &how));
    ck_ok(bank_select_places(again, &same, bank, PLACES, &how));
    ck_assert_int_eq(count, same);
    ck_assert_mem_eq(picks, again, (size_t)count * sizeof *picks);
    for (int64_t place = 0; place < PLACES; ++place) {
        int64_t there = masked ? 20 : 30, each = (int64_t)(ratio * 30);
        each = each < least ? least : each;
        each = each < there ? each : there;
        wanted[0] = picks[at];
        by_greed(wanted, each, values, place, ROWS, how.left_out);
        for (int64_t i = 0; i < each; ++i) {
            ck_assert_int_eq(picks[at + i] % PLACES, place);
            ck_assert(!masked || !left_out[picks[at + i]]);
            if (each < there)
                ck_assert_int_eq(picks[at + i], wanted[i]);
        }
        at += each;
    }
    ck_assert_int_eq(at, count);
    imiad_bank_free(bank);
    free(values);
}

START_TEST(each_place_has_a_greedy_coreset_of_its_own)
{
    coresets_agree((enum row_kind)_i, 0.1, 1, false);
    coresets_agree((enum row_kind)_i, 0.1, 8, true);
}
END_TEST

START_TEST(a_place_with_few_rows_keeps_them_all)
{
    coresets_agree(SPREAD, 0.1, 50, false);
    coresets_agree(SPREAD, 0.1, 50, true);
    coresets_agree(SPREAD, 1, 1, false);
}
END_TEST

START_TEST(what_cannot_be_searched_is_refused)
{
    banked b = make(SPREAD, 1, PLACES);
    const int32_t outside[] = {0, PLACES}, before[] = {-1};
    float distance = 0;
    int64_t row;
    bank_windows *w = NULL;
    ck_fails(windows_create(&w, outside, 2, HIGH, WIDE), IMIAD_OUT_OF_RANGE, "row 1");
    ck_fails(windows_create(&w, before, 1, HIGH, WIDE), IMIAD_OUT_OF_RANGE, "place -1");
    const window_search how = {b.bank, b.windows, NULL, 0, NULL};
    ck_fails(windows_search_at(&distance, &row, &how, b.values, 0, PLACES + 1), IMIAD_OUT_OF_RANGE,
             "k is 36");
    drop(&b);
}
END_TEST

SUITE("windows", LOOP_TEST(a_window_holds_what_loops_over_all_rows_find, ROW_KINDS),
      TEST(a_window_with_too_few_rows_grows),
      TEST(a_window_over_the_grid_is_the_whole_search_in_every_storage),
      TEST(an_image_finds_rows_of_the_images_it_may_look_at),
      LOOP_TEST(each_place_has_a_greedy_coreset_of_its_own, ROW_KINDS),
      TEST(a_place_with_few_rows_keeps_them_all), TEST(what_cannot_be_searched_is_refused))
