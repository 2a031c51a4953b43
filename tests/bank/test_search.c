#include "bank/index.h"
#include "bank/search.h"
#include "bank_data.h"

typedef struct neighbour {
    double distance;
    int64_t row;
} neighbour;

static int compare(const void *a, const void *b)
{
    const neighbour *x = a, *y = b;
    return x->distance != y->distance ? (x->distance > y->distance) - (x->distance < y->distance)
                                      : (x->row > y->row) - (x->row < y->row);
}

/* Whole distances in double, sorted: distances within rounding, neighbours no farther than the
 * true ones, and in order. Rows on a grid have exact distances: there the rows must be equal too.
 */
static void check_against_brute_force(enum row_kind kind, size_t rows, size_t columns,
                                      size_t queries, size_t k)
{
    float *data = random_rows(kind, rows, columns, 5),
          *asked = random_rows(kind, queries, columns, 6);
    memcpy(asked, data + columns * (rows / 2), columns * sizeof *asked);
    imiad_bank *bank = bank_of(data, rows, columns);
    float *distances = malloc(queries * k * sizeof *distances);
    int64_t *indices = malloc(queries * k * sizeof *indices);
    neighbour *all = malloc(rows * sizeof *all);
    ck_ok(imiad_bank_search(distances, indices, bank, asked, (int64_t)queries, (int32_t)k));
    for (size_t q = 0; q < queries; ++q) {
        for (size_t i = 0; i < rows; ++i) {
            double d = distance_between(asked + q * columns, data + i * columns, columns);
            all[i] = (neighbour){d * d, (int64_t)i};
        }
        qsort(all, rows, sizeof *all, compare);
        for (size_t j = 0; j < k; ++j) {
            double found = (double)distances[q * k + j];
            ck_assert_double_le(fabs(found - all[j].distance), 1e-6 * all[j].distance + 1e-37);
            int64_t row = indices[q * k + j];
            double d = distance_between(asked + q * columns, data + (size_t)row * columns, columns);
            ck_assert_double_le(fabs(found - d * d), 1e-6 * found + 1e-37);
            if (kind == GRID || kind == CONSTANT)
                ck_assert_int_eq(row, all[j].row);
            if (j > 0 && distances[q * k + j - 1] == distances[q * k + j])
                ck_assert_int_lt(indices[q * k + j - 1], row);
            else if (j > 0)
                ck_assert_float_lt(distances[q * k + j - 1], distances[q * k + j]);
        }
    }
    free(all);
    free(indices);
    free(distances);
    imiad_bank_free(bank);
    free(asked);
    free(data);
}

START_TEST(neighbours_are_those_of_brute_force)
{
    static const size_t shapes[][4] = {/* rows, columns, queries, k */
                                       {1, 1, 3, 1},       {700, 3, 40, 1},   {700, 33, 21, 9},
                                       {300, 5, 7, 300},   {1500, 16, 1, 5},  {513, 130, 65, 3},
                                       {2000, 64, 20, 50}, {40, 1024, 12, 40}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i)
        check_against_brute_force((enum row_kind)_i, shapes[i][0], shapes[i][1], shapes[i][2],
                                  shapes[i][3]);
}
END_TEST

/* A thousand small sets whose numbers are exact in every arithmetic, full of ties: distances and
 * rows must be those of brute force to the bit, in each storage, with and without an index. */
START_TEST(a_thousand_sets_with_ties_give_brute_forces_rows)
{
    random_stream s = random_open((uint64_t)_i, "ties");
    for (int set = 0; set < 250; ++set) {
        size_t rows = 1 + (size_t)random_below(&s, 150), columns = 1 + (size_t)random_below(&s, 50);
        size_t queries = 1 + (size_t)random_below(&s, 20), k = 1 + (size_t)random_below(&s, rows);
        enum row_kind kind = set % 8 == 7 ? CONSTANT : GRID;
        float *data = random_rows(kind, rows, columns, (uint64_t)(1000 * _i + set));
        float *asked = random_rows(kind, queries, columns, (uint64_t)(1000 * _i + set + 500));
        for (size_t i = 1; i < rows; ++i) /* repeated rows */
            if (random_below(&s, 3) == 0)
                memcpy(data + i * columns, data + random_below(&s, i) * columns,
                       columns * sizeof *data);
        imiad_bank *bank = NULL;
        ck_ok(imiad_bank_create_stored(&bank, (int64_t)columns, (imiad_storage)(1 + set % 3), 0));
        ck_ok(imiad_bank_add(bank, data, (int64_t)rows));
        float *distances = malloc(queries * k * sizeof *distances);
        int64_t *indices = malloc(queries * k * sizeof *indices);
        neighbour *all = malloc(rows * sizeof *all);
        ck_ok(imiad_bank_search(distances, indices, bank, asked, (int64_t)queries, (int32_t)k));
        for (size_t q = 0; q < queries; ++q) {
            for (size_t i = 0; i < rows; ++i) {
                double square = 0;
                for (size_t c = 0; c < columns; ++c) {
                    double d = (double)asked[q * columns + c] - (double)data[i * columns + c];
                    square += d * d;
                }
                all[i] = (neighbour){square, (int64_t)i};
            }
            qsort(all, rows, sizeof *all, compare);
            for (size_t j = 0; j < k; ++j) {
                ck_assert_double_eq((double)distances[q * k + j], all[j].distance);
                ck_assert_int_eq(indices[q * k + j], all[j].row);
            }
        }
        free(all);
        free(indices);
        free(distances);
        imiad_bank_free(bank);
        free(asked);
        free(data);
    }
}
END_TEST

typedef struct listener {
    int calls, stop_at;
    int64_t done;
} listener;

static int listen(void *user, const imiad_progress *state)
{
    listener *l = user;
    ck_assert_str_eq(state->stage, "search");
    ck_assert_int_eq(state->total, 5000);
    ck_assert_int_gt(state->done, l->done);
    l->done = state->done;
    return ++l->calls == l->stop_at;
}

START_TEST(a_search_reports_and_can_be_stopped)
{
    enum { ROWS = 200, COLUMNS = 40, QUERIES = 5000 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 1);
    float *queries = random_rows(SPREAD, QUERIES, COLUMNS, 2);
    float *whole = malloc(QUERIES * sizeof *whole), *part = malloc(QUERIES * sizeof *part);
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    ck_ok(imiad_bank_search(whole, NULL, bank, queries, QUERIES, 1));
    listener all = {0}, some = {.stop_at = 2};
    ck_ok(imiad_bank_search_reporting(part, NULL, bank, queries, QUERIES, 1, listen, &all));
    ck_assert_mem_eq(part, whole, QUERIES * sizeof *part);
    ck_assert_int_eq(all.done, QUERIES);
    memset(part, 0, QUERIES * sizeof *part);
    ck_fails(imiad_bank_search_reporting(part, NULL, bank, queries, QUERIES, 1, listen, &some),
             IMIAD_CANCELLED, "");
    ck_assert_int_lt(some.done, QUERIES);
    ck_assert_mem_eq(part, whole, (size_t)some.done * sizeof *part);
    imiad_bank_free(bank);
    free(part);
    free(whole);
    free(queries);
    free(rows);
}
END_TEST

/* Sizes around the ends of groups, blocks and pieces; queries near and far from the rows; every
 * kernel; one and three threads. */
START_TEST(passing_over_rows_gives_the_neighbours_of_the_plain_search)
{
    random_stream s = random_open((uint64_t)_i, "sets");
    for (int set = 0; set < 6 * ROW_KINDS; ++set) {
        enum row_kind kind = (enum row_kind)(set % ROW_KINDS);
        size_t rows = 64 + (size_t)random_below(&s, set < ROW_KINDS ? 3000 : 200);
        size_t columns = 32 + (size_t)random_below(&s, 150);
        size_t queries = 1 + (size_t)random_below(&s, 80);
        size_t k = 1 + (size_t)random_below(&s, set % 5 == 0 ? rows : 12);
        float *data = random_rows(kind, rows, columns, (uint64_t)set);
        float *asked = random_rows(kind, queries, columns, (uint64_t)set + 1);
        memcpy(asked, data + columns * (rows / 2), columns * sizeof *asked);
        for (size_t j = 0; set % 4 == 0 && queries > 1 && j < columns; ++j)
            asked[columns + j] *= set % 8 == 0 ? 1e4f : 1e16f; /* beyond the bank, beyond squares */
        imiad_bank *bank = bank_of(data, rows, columns);
        float *expected = malloc(2 * queries * k * sizeof *expected), *d = expected + queries * k;
        int64_t *neighbours = malloc(2 * queries * k * sizeof *neighbours);
        search_plain(expected, neighbours, bank, asked, queries, k, kernels_at(KERNEL_PLAIN));
        for (int level = 0; level < KERNEL_LEVELS; ++level) {
            const kernels *kernel = kernels_at((kernel_level)level);
            bank_index *index = NULL;
            if (!kernel)
                continue;
            ck_ok(imiad_set_threads(level % 2 ? 3 : 1));
            ck_ok(index_create(&index, bank, kernel));
            ck_assert_ptr_nonnull(index);
            ck_ok(search_indexed(d, neighbours + queries * k, bank, index, asked, queries, k,
                                 kernel));
            ck_assert_msg(memcmp(d, expected, queries * k * sizeof *d) == 0 &&
                              memcmp(neighbours, neighbours + queries * k,
                                     queries * k * sizeof *neighbours) == 0,
                          "kind %d, %zu queries in %zu rows of %zu columns, k %zu, %s", kind,
                          queries, rows, columns, k, kernel->name);
            index_free(index);
        }
        free(neighbours);
        free(expected);
        imiad_bank_free(bank);
        free(asked);
        free(data);
    }
}
END_TEST

/* What a search makes of codes: each pair's bounds hold what is measured, and a row that is as far
 * as what still matters is not passed over. */
START_TEST(bounds_of_codes_hold_what_is_measured)
{
    enum { ROWS = 150, COLUMNS = 75, STRIDE = 128 };
    const kernels *kernel = kernels_best();
    float *rows = random_rows((enum row_kind)_i, ROWS, COLUMNS, 3), scratch[COLUMNS];
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    bank_index *index = NULL;
    ck_ok(index_create(&index, bank, kernel));
    ck_assert_uint_eq(index->stride, STRIDE);
    for (int i = 0; i < ROWS; i += 5) {
        int8_t code[STRIDE];
        index_probe probe;
        ck_assert(index_probe_make(&probe, code, scratch, index, rows + i * COLUMNS, kernel));
        for (size_t j = 0; j < ROWS; ++j) {
            const uint8_t *other = index->codes + j * STRIDE;
            int32_t products[CODES];
            kernel->code_products(products, code, (const uint8_t *[]){other, other, other, other},
                                  STRIDE);
            double apart = index_apart(&probe, index, j, products[0]);
            float measured =
                kernel->squared_distance(rows + i * COLUMNS, rows + j * COLUMNS, COLUMNS);
            ck_assert_float_ge(index_row_most(&probe, index, j, apart), measured);
            index_probe_limit(&probe, measured);
            ck_assert(!index_row_is_far(&probe, index, j, apart));
        }
    }
    index_free(index);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

/* Rows that bounds have trouble with. */
enum trouble { NOISE, EQUAL, OUTLIER, DENORMAL, HUGE_AND_TINY, ZEROS, BEYOND, TROUBLES };

static float *troubled_rows(enum trouble kind, size_t rows, size_t columns, uint64_t seed)
{
    float *values = malloc(rows * columns * sizeof *values);
    random_stream s = random_open(seed, "trouble");
    for (size_t i = 0; i < rows; ++i)
        for (size_t j = 0; j < columns; ++j) {
            double x = random_normal(&s), size = kind == DENORMAL ? 1e-42
                                                 : kind == BEYOND ? 1e30
                                                                  : 1;
            if (kind == EQUAL)
                x = 0.1 * (double)(j % 5);
            else if (kind == OUTLIER && j == columns / 2)
                size = 1e6;
            else if (kind == HUGE_AND_TINY)
                size = i % 3 == 0 ? 1e13 : i % 3 == 1 ? 1 : 1e-20;
            else if (kind == ZEROS && i % 2 == 0)
                size = 0;
            values[i * columns + j] = (float)(size * x);
        }
    return values;
}

static void check_index(const imiad_bank *bank, const float *asked, size_t queries, size_t k,
                        const kernels *kernel)
{
    float *expected = malloc(2 * queries * k * sizeof *expected), *d = expected + queries * k;
    int64_t *neighbours = malloc(2 * queries * k * sizeof *neighbours);
    bank_index *index = NULL;
    search_plain(expected, neighbours, bank, asked, queries, k, kernels_at(KERNEL_PLAIN));
    ck_ok(index_create(&index, bank, kernel));
    if (index)
        ck_ok(search_indexed(d, neighbours + queries * k, bank, index, asked, queries, k, kernel));
    else
        ck_ok(imiad_bank_search(d, neighbours + queries * k, bank, asked, (int64_t)queries,
                                (int32_t)k));
    ck_assert_mem_eq(d, expected, queries * k * sizeof *d);
    ck_assert_mem_eq(neighbours, neighbours + queries * k, queries * k * sizeof *neighbours);
    index_free(index);
    free(neighbours);
    free(expected);
}

/* Every storage and kernel; rows alone, in tiles, and as the kernel chooses. */
START_TEST(troubled_rows_have_the_neighbours_of_the_plain_search)
{
    static const size_t widths[] = {1, 2, 31, 64, 65, 300};
    random_stream s = random_open((uint64_t)_i, "troubled sets");
    for (size_t w = 0; w < sizeof widths / sizeof *widths; ++w) {
        size_t rows = 64 + (size_t)random_below(&s, w == 2 ? 2500 : 300), columns = widths[w];
        size_t queries = 16 + (size_t)random_below(&s, 70);
        size_t k = 1 + (size_t)random_below(&s, w == 1 ? rows : 12);
        float *data = troubled_rows((enum trouble)_i, rows, columns, w);
        float *asked = troubled_rows((enum trouble)_i, queries, columns, w + 100);
        memcpy(asked, data + columns * (rows / 2), columns * sizeof *asked);
        imiad_bank *bank = NULL;
        imiad_storage storage = (imiad_storage)(1 + w % 3);
        if (storage == IMIAD_STORAGE_FLOAT16 &&
            (_i == HUGE_AND_TINY || _i == BEYOND || _i == OUTLIER))
            storage = IMIAD_STORAGE_FLOAT32; /* too large for it */
        ck_ok(imiad_bank_create_stored(&bank, (int64_t)columns, storage, 0));
        ck_ok(imiad_bank_add(bank, data, (int64_t)rows));
        for (int level = 0; level < KERNEL_LEVELS; ++level)
            for (int crowd = 0; kernels_at((kernel_level)level) && crowd < 3; ++crowd) {
                kernels kernel = *kernels_at((kernel_level)level);
                kernel.crowd = crowd == 0 ? kernel.crowd : crowd == 1 ? 0 : 10000;
                check_index(bank, asked, queries, k, &kernel);
            }
        asked[columns / 2] = NAN;
        ck_fails(imiad_bank_search(asked, NULL, bank, asked, (int64_t)queries, 1), IMIAD_NOT_FINITE,
                 "query 0");
        imiad_bank_free(bank);
        free(asked);
        free(data);
    }
}
END_TEST

/* The bound that lets codes pass a row over, against distances in double. */
START_TEST(codes_never_prove_too_much)
{
    enum { ROWS = 200, COLUMNS = 100 };
    const kernels *kernel = kernels_best();
    float *rows = random_rows((enum row_kind)_i, ROWS, COLUMNS, 3), centred[COLUMNS];
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    bank_index *index = NULL;
    ck_ok(index_create(&index, bank, kernel));
    int8_t code[128];
    double slack = (double)sketch_slack_of(COLUMNS, index->reach).absolute;
    for (int i = 0; i < ROWS; i += 7) {
        code_size a = index_code(code, QUERY_CODE_MOST, centred, index, rows + i * COLUMNS, kernel);
        for (int j = 0; j < ROWS; ++j) {
            double d = distance_between(rows + i * COLUMNS, rows + j * COLUMNS, COLUMNS);
            double square = 0;
            for (int c = 0; c < COLUMNS; ++c) {
                int other = index->codes[(size_t)j * index->stride + (size_t)c] - index->offset;
                double apart = (double)a.scale * code[c] - (double)index->sizes[j].scale * other;
                square += apart * apart;
            }
            double rests = (double)a.rest + (double)index->sizes[j].rest;
            ck_assert_double_ge(d + rests + slack, sqrt(square));
            ck_assert_double_le(d - rests - slack, sqrt(square));
        }
    }
    index_free(index);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

static void *search_again(void *argument)
{
    const imiad_bank *bank = argument;
    float distances[100];
    for (int i = 0; i < 5; ++i)
        ck_ok(imiad_bank_search(distances, NULL, bank, imiad_bank_data(bank), 100, 1));
    for (int i = 0; i < 100; ++i)
        ck_assert_float_eq(distances[i], 0);
    return NULL;
}

START_TEST(several_threads_may_search_one_bank)
{
    float *rows = random_rows(SPREAD, 2000, 64, 1);
    imiad_bank *bank = bank_of(rows, 2000, 64);
    pthread_t threads[4];
    for (int i = 0; i < 4; ++i)
        pthread_create(&threads[i], NULL, search_again, bank);
    for (int i = 0; i < 4; ++i)
        pthread_join(threads[i], NULL);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(a_bank_that_changes_is_searched_as_it_is_now)
{
    enum { ROWS = 300, COLUMNS = 40 };
    float *rows = random_rows(SPREAD, ROWS, COLUMNS, 1), distances[20];
    int64_t found[20];
    imiad_bank *bank = bank_of(rows, ROWS / 2, COLUMNS);
    const float *queries = rows + ROWS / 2 * COLUMNS;
    ck_ok(imiad_bank_search(distances, found, bank, queries, 20, 1));
    ck_assert_float_gt(distances[0], 0);
    ck_ok(imiad_bank_add(bank, queries, ROWS / 2));
    ck_ok(imiad_bank_search(distances, found, bank, queries, 20, 1));
    for (int i = 0; i < 20; ++i)
        ck_assert_int_eq(found[i], ROWS / 2 + i);
    ck_ok(imiad_bank_keep(bank, (int64_t[]){ROWS / 2 + 3}, 1));
    ck_ok(imiad_bank_search(distances, found, bank, queries, 20, 1));
    for (int i = 0; i < 20; ++i)
        ck_assert_int_eq(found[i], 0);
    ck_assert_float_eq(distances[3], 0);
    imiad_bank_free(bank);
    free(rows);
}
END_TEST

START_TEST(a_budget_without_room_for_an_index_changes_no_result)
{
    enum { ROWS = 500, COLUMNS = 40, QUERIES = 60 };
    float *rows = random_rows(CLUSTERS, ROWS, COLUMNS, 1), first[QUERIES], second[QUERIES];
    imiad_bank *rich = bank_of(rows, ROWS, COLUMNS), *poor = NULL;
    bank_index *index = (void *)rows;
    ck_ok(imiad_bank_create(&poor, COLUMNS, ROWS * COLUMNS * sizeof *rows + 100));
    ck_ok(imiad_bank_add(poor, rows, ROWS));
    ck_ok(index_create(&index, poor, kernels_best()));
    ck_assert_ptr_null(index);
    ck_ok(imiad_bank_search(first, NULL, rich, rows, QUERIES, 1));
    ck_ok(imiad_bank_search(second, NULL, poor, rows, QUERIES, 1));
    ck_assert_mem_eq(first, second, sizeof first);
    imiad_bank_free(rich);
    imiad_bank_free(poor);
    free(rows);
}
END_TEST

START_TEST(a_batch_scores_as_each_query_alone_with_any_threads)
{
    enum { ROWS = 3000, COLUMNS = 90, QUERIES = 70, K = 4 };
    float *rows = random_rows(CLUSTERS, ROWS, COLUMNS, 1);
    float *queries = random_rows(CLUSTERS, QUERIES, COLUMNS, 2);
    imiad_bank *bank = bank_of(rows, ROWS, COLUMNS);
    float whole[QUERIES * K], part[QUERIES * K];
    int64_t whole_rows[QUERIES * K], part_rows[QUERIES * K];
    ck_ok(imiad_set_threads(1));
    ck_ok(imiad_bank_search(whole, whole_rows, bank, queries, QUERIES, K));
    for (int batch = 1; batch <= QUERIES; batch += 23) {
        ck_ok(imiad_set_threads(batch % 4 + 1));
        for (int at = 0; at < QUERIES; at += batch)
            ck_ok(imiad_bank_search(part + at * K, part_rows + at * K, bank, queries + at * COLUMNS,
                                    at + batch > QUERIES ? QUERIES - at : batch, K));
        ck_assert_mem_eq(part, whole, sizeof whole);
        ck_assert_mem_eq(part_rows, whole_rows, sizeof whole_rows);
    }
    ck_ok(imiad_bank_search(part, NULL, bank, queries, QUERIES, K));
    ck_assert_mem_eq(part, whole, sizeof whole);
    imiad_bank_free(bank);
    free(queries);
    free(rows);
}
END_TEST

START_TEST(every_kernel_gives_the_same_bits)
{
    enum { ROWS = 37, MOST = 70 };
    const kernels *k = kernels_at((kernel_level)_i), *plain = kernels_at(KERNEL_PLAIN);
    if (!k)
        SKIP("this CPU lacks the instructions of kernel level %d", _i);
    for (size_t columns = 1; columns <= MOST; ++columns) {
        float *rows = random_rows(SPREAD, ROWS, columns, columns);
        float expected[ROWS * ROWS], found[ROWS * ROWS];
        plain->squared_distances(expected, rows, rows, ROWS, columns);
        k->squared_distances(found, rows, rows, ROWS, columns);
        ck_assert_mem_eq(found, expected, ROWS * sizeof *found);
        ck_assert_float_eq(k->squared_distance(rows, rows + columns, columns), expected[1]);
        plain->products(expected, rows, ROWS, rows, ROWS, columns);
        k->products(found, rows, ROWS, rows, ROWS, columns);
        ck_assert_mem_eq(found, expected, sizeof found);
        ck_assert_float_eq(k->largest(rows, columns), plain->largest(rows, columns));
        plain->subtract(expected, rows, rows + columns, columns);
        k->subtract(found, rows, rows + columns, columns);
        ck_assert_mem_eq(found, expected, columns * sizeof *found);
        plain->add_multiple(expected, 0.3f, rows, columns);
        k->add_multiple(found, 0.3f, rows, columns);
        ck_assert_mem_eq(found, expected, columns * sizeof *found);
        free(rows);
    }
}
END_TEST

/* Parts of 16, halves added: written down from the definition in kernels.h. */
START_TEST(the_plain_kernel_adds_in_the_stated_order)
{
    enum { COLUMNS = 53 };
    float *rows = random_rows(SPREAD, 2, COLUMNS, 1), part[16] = {0};
    for (int j = 0; j < COLUMNS; ++j) {
        float d = rows[j] - rows[COLUMNS + j];
        float square = d * d;
        part[j % 16] += square;
    }
    for (int half = 8; half > 0; half /= 2)
        for (int l = 0; l < half; ++l)
            part[l] += part[l + half];
    ck_assert_float_eq(kernels_at(KERNEL_PLAIN)->squared_distance(rows, rows + COLUMNS, COLUMNS),
                       part[0]);
    free(rows);
}
END_TEST

START_TEST(products_of_codes_are_exact)
{
    const kernels *k = kernels_at((kernel_level)_i);
    if (!k)
        SKIP("this CPU lacks the instructions of kernel level %d", _i);
    enum { COUNT = 1 << 15 };
    int8_t *a = malloc(COUNT);
    uint8_t *b = malloc(COUNT), *zeros = calloc(COUNT, 1);
    int largest = 2 * k->code_most + 1;
    random_stream s = random_open(1, "codes");
    for (size_t count = 64; count <= COUNT; count *= 2) {
        int64_t product = 0, sum = 0, squares = 0, found_sum, found_squares;
        for (size_t i = 0; i < count; ++i) {
            bool extreme = count > COUNT / 4; /* the largest sums that there can be */
            a[i] = (int8_t)(extreme ? -127 : (int)random_below(&s, 255) - 127);
            b[i] = (uint8_t)(extreme ? largest : (int)random_below(&s, (uint64_t)largest + 1));
            product += a[i] * b[i];
            sum += a[i];
            squares += a[i] * a[i];
        }
        const uint8_t *codes[CODES] = {b, b, zeros, b};
        int32_t products[CODES];
        k->code_products(products, a, codes, count);
        for (int r = 0; r < CODES; ++r)
            ck_assert_int_eq(products[r], r == 2 ? 0 : product);
        k->code_sums(&found_sum, &found_squares, a, count);
        ck_assert_int_eq(found_sum, sum);
        ck_assert_int_eq(found_squares, squares);
    }
    free(a);
    free(b);
    free(zeros);
}
END_TEST

/* Sums of whole numbers, so that any order gives them: those of the definition. */
START_TEST(products_of_tiles_are_exact)
{
    const kernels *k = kernels_at((kernel_level)_i);
    if (!k)
        SKIP("this CPU lacks the instructions of kernel level %d", _i);
    enum { MOST = 1 << 15 };
    static const size_t counts[] = {64, 192, 1024, MOST};
    int8_t *queries = malloc((size_t)TILE_QUERIES * MOST);
    uint8_t *rows = malloc((size_t)TILE_ROWS * MOST);
    int32_t products[TILE_ROWS * TILE_QUERIES];
    random_stream s = random_open(1, "tiles");
    for (size_t c = 0; c < sizeof counts / sizeof *counts; ++c) {
        size_t count = counts[c], groups = c + 1;
        const uint8_t *codes[TILE_ROWS];
        bool extreme = count == MOST; /* the largest sums that there can be */
        for (size_t i = 0; i < groups * LANES * count; ++i)
            queries[i] = (int8_t)(extreme ? -127 : (int)random_below(&s, 255) - 127);
        for (size_t i = 0; i < TILE_ROWS * count; ++i)
            rows[i] = (uint8_t)(extreme ? 2 * k->code_most + 1
                                        : (int)random_below(&s, 2 * (uint64_t)k->code_most + 2));
        for (size_t r = 0; r < TILE_ROWS; ++r)
            codes[r] = rows + (r == 5 ? 0 : r) * count; /* a row may stand twice */
        k->tile_products(products, queries, groups, codes, count);
        for (size_t r = 0; r < TILE_ROWS; ++r)
            for (size_t q = 0; q < groups * LANES; ++q) {
                const int8_t *fours = queries + q / LANES * LANES * count + q % LANES * 4;
                int32_t product = 0;
                for (size_t i = 0; i < count; ++i)
                    product += fours[i / 4 * 4 * LANES + i % 4] * codes[r][i];
                ck_assert_int_eq(products[r * TILE_QUERIES + q], product);
            }
    }
    free(rows);
    free(queries);
}
END_TEST

START_TEST(rows_of_tiles_are_near_as_defined)
{
    const kernels *k = kernels_at((kernel_level)_i), *plain = kernels_at(KERNEL_PLAIN);
    if (!k)
        SKIP("this CPU lacks the instructions of kernel level %d", _i);
    random_stream s = random_open(1, "near tiles");
    for (int round = 0; round < 2000; ++round) {
        int32_t products[TILE_QUERIES];
        tile_limits l;
        size_t groups = 1 + (size_t)round % 4;
        double square = random_between(&s, 0, 100), scale = random_between(&s, 0, 0.1), rest = 0.3;
        uint64_t expected = 0;
        for (size_t q = 0; q < TILE_QUERIES; ++q) {
            products[q] = (int32_t)random_below(&s, 200000) - 100000;
            l.square[q] = random_below(&s, 8) ? random_between(&s, 0, 100) : INFINITY;
            l.scale[q] = random_between(&s, 0, 0.1);
            l.offset[q] = (double)random_below(&s, 1000);
            l.reach[q] = random_below(&s, 8) ? random_between(&s, 0, 30) : INFINITY;
            double apart = l.square[q] + square - scale * l.scale[q] * (products[q] - l.offset[q]);
            double needed = l.reach[q] + rest;
            if (q < groups * LANES && apart < needed * needed)
                expected |= (uint64_t)1 << q;
        }
        ck_assert(k->tile_near(products, groups, &l, square, scale, rest) == expected);
        ck_assert(plain->tile_near(products, groups, &l, square, scale, rest) == expected);
    }
}
END_TEST

SUITE("search", LOOP_TEST(neighbours_are_those_of_brute_force, ROW_KINDS),
      LOOP_TEST(a_thousand_sets_with_ties_give_brute_forces_rows, 4),
      TEST(a_search_reports_and_can_be_stopped),
      LOOP_TEST(passing_over_rows_gives_the_neighbours_of_the_plain_search, 3),
      LOOP_TEST(troubled_rows_have_the_neighbours_of_the_plain_search, TROUBLES),
      LOOP_TEST(bounds_of_codes_hold_what_is_measured, ROW_KINDS),
      LOOP_TEST(products_of_tiles_are_exact, KERNEL_LEVELS),
      LOOP_TEST(rows_of_tiles_are_near_as_defined, KERNEL_LEVELS),
      LOOP_TEST(codes_never_prove_too_much, ROW_KINDS), TEST(several_threads_may_search_one_bank),
      TEST(a_bank_that_changes_is_searched_as_it_is_now),
      TEST(a_budget_without_room_for_an_index_changes_no_result),
      TEST(a_batch_scores_as_each_query_alone_with_any_threads),
      LOOP_TEST(products_of_codes_are_exact, KERNEL_LEVELS),
      LOOP_TEST(every_kernel_gives_the_same_bits, KERNEL_LEVELS),
      TEST(the_plain_kernel_adds_in_the_stated_order))
