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

SUITE("search", LOOP_TEST(neighbours_are_those_of_brute_force, ROW_KINDS),
      TEST(a_batch_scores_as_each_query_alone_with_any_threads),
      LOOP_TEST(every_kernel_gives_the_same_bits, KERNEL_LEVELS),
      TEST(the_plain_kernel_adds_in_the_stated_order))
