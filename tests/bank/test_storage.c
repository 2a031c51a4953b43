/* Rows of fewer bits: their numbers, and that a bank of them is in all it does the float32 bank of
 * what they stand for. */
#include "bank_data.h"

static const imiad_storage narrow_kinds[] = {IMIAD_STORAGE_BFLOAT16, IMIAD_STORAGE_FLOAT16};

/* IEEE 754 binary16 and its 8-bit-exponent cousin, from their definition. */
static double meaning(uint16_t bits, imiad_storage storage)
{
    int fraction_bits = storage == IMIAD_STORAGE_FLOAT16 ? 10 : 7;
    int bias = storage == IMIAD_STORAGE_FLOAT16 ? 15 : 127;
    int exponent = (bits & 0x7fff) >> fraction_bits;
    double fraction = ldexp(bits & ((1 << fraction_bits) - 1), -fraction_bits);
    double size = exponent ? ldexp(1 + fraction, exponent - bias) : ldexp(fraction, 1 - bias);
    return bits & 0x8000 ? -size : size;
}

static bool is_number(uint16_t bits, imiad_storage storage)
{
    uint16_t exponent = storage == IMIAD_STORAGE_FLOAT16 ? 0x7c00 : 0x7f80;
    return (bits & exponent) != exponent;
}

START_TEST(every_stored_number_means_what_the_format_says)
{
    imiad_storage storage = narrow_kinds[_i];
    static uint16_t bits[65536];
    static float wide[65536];
    size_t at;
    for (int i = 0; i < 65536; ++i)
        bits[i] = (uint16_t)i;
    for (int level = 0; level < KERNEL_LEVELS; ++level) {
        if (!kernels_at((kernel_level)level))
            continue;
        kernels_at((kernel_level)level)->widen[storage](wide, bits, 65536);
        for (int i = 0; i < 65536; ++i) {
            if (!is_number(bits[i], storage))
                continue;
            uint16_t back;
            ck_assert_double_eq((double)wide[i], meaning(bits[i], storage));
            ck_assert_float_eq(widen_number(bits, (size_t)i, storage), wide[i]);
            ck_assert(storage_narrow(&back, storage, wide + i, 1, &at));
            ck_assert_uint_eq(back, bits[i]);
        }
    }
}
END_TEST

/* Between two neighbouring numbers the nearer one is taken, in the middle the even one. */
START_TEST(rounding_goes_to_the_nearest_and_ties_to_even)
{
    imiad_storage storage = narrow_kinds[_i];
    size_t at;
    for (int i = 0; i < 0x7fff; ++i) {
        uint16_t low = (uint16_t)i, high = (uint16_t)(i + 1), found[3];
        if (!is_number(high, storage))
            break;
        float middle = (float)((meaning(low, storage) + meaning(high, storage)) / 2);
        float values[] = {nextafterf(middle, 0), middle, nextafterf(middle, INFINITY)};
        ck_assert(storage_narrow(found, storage, values, 3, &at));
        ck_assert_uint_eq(found[1], low % 2 ? high : low);
        /* below bfloat16's subnormal middles float32 itself has no number left in between */
        if (values[0] != middle && (double)values[0] > meaning(low, storage))
            ck_assert_uint_eq(found[0], low);
        if ((double)values[2] < meaning(high, storage))
            ck_assert_uint_eq(found[2], high);
        for (int j = 0; j < 3; ++j)
            values[j] = -values[j];
        ck_assert(storage_narrow(found, storage, values, 3, &at));
        ck_assert_uint_eq(found[1], 0x8000 | (low % 2 ? high : low));
    }
}
END_TEST

START_TEST(numbers_too_large_are_refused_by_name)
{
    imiad_bank *bank = NULL;
    float rows[8] = {0, 1, 2, 3, 4, 5, 65519.99f, 7}, back[8];
    ck_ok(imiad_bank_create_stored(&bank, 4, IMIAD_STORAGE_FLOAT16, 0));
    ck_ok(imiad_bank_add(bank, rows, 2));
    ck_ok(imiad_bank_read(back, bank, 0, 2));
    ck_assert_float_eq(back[6], 65504); /* the largest: below the middle to the next, 65536 */
    rows[6] = -65520;
    ck_fails(imiad_bank_add(bank, rows, 2), IMIAD_OUT_OF_RANGE,
             "row 1, column 2 is -65520: too large for float16");
    ck_assert_int_eq(imiad_bank_rows(bank), 2);
    imiad_bank_free(bank);
    ck_ok(imiad_bank_create_stored(&bank, 4, IMIAD_STORAGE_BFLOAT16, 0));
    rows[6] = 3.4e38f;
    ck_fails(imiad_bank_add(bank, rows, 2), IMIAD_OUT_OF_RANGE, "too large for bfloat16");
    imiad_bank_free(bank);
    ck_fails(imiad_bank_create_stored(&bank, 4, (imiad_storage)4, 0), IMIAD_OUT_OF_RANGE,
             "storage is 4");
    ck_fails(imiad_bank_create_stored(&bank, 4, (imiad_storage)0, 0), IMIAD_OUT_OF_RANGE,
             "storage is 0");
}
END_TEST

/* A bank of narrow rows, and the float32 bank of their meaning. */
typedef struct twins {
    imiad_bank *narrow, *wide;
} twins;

static twins twins_of(const float *rows, size_t count, size_t columns, imiad_storage storage)
{
    twins t;
    float *read = malloc(count * columns * sizeof *read);
    ck_ok(imiad_bank_create_stored(&t.narrow, (int64_t)columns, storage, 0));
    ck_ok(imiad_bank_add(t.narrow, rows, (int64_t)count));
    ck_assert_ptr_null(imiad_bank_data(t.narrow));
    ck_assert_int_eq(imiad_bank_storage(t.narrow), storage);
    ck_ok(imiad_bank_read(read, t.narrow, 0, (int64_t)count));
    t.wide = bank_of(read, count, columns);
    free(read);
    return t;
}

static void free_twins(twins t)
{
    imiad_bank_free(t.narrow);
    imiad_bank_free(t.wide);
}

START_TEST(a_narrow_bank_finds_the_neighbours_of_its_meaning)
{
    enum { QUERIES = 40, K = 7 };
    for (int kind = 0; kind < ROW_KINDS; ++kind) {
        static const size_t shapes[][2] = {{50, 3}, {700, 33}, {2100, 130}};
        for (size_t s = 0; s < 3; ++s) {
            size_t count = shapes[s][0], columns = shapes[s][1];
            float *rows = random_rows((enum row_kind)kind, count, columns, s);
            float *asked = random_rows((enum row_kind)kind, QUERIES, columns, s + 10);
            twins t = twins_of(rows, count, columns, narrow_kinds[_i]);
            float d[2][QUERIES * K];
            int64_t found[2][QUERIES * K];
            ck_ok(imiad_bank_search(d[0], found[0], t.narrow, asked, QUERIES, K));
            ck_ok(imiad_bank_search(d[1], found[1], t.wide, asked, QUERIES, K));
            ck_assert_mem_eq(d[0], d[1], sizeof d[0]);
            ck_assert_mem_eq(found[0], found[1], sizeof found[0]);
            ck_ok(imiad_bank_search(d[0], found[0], t.narrow, asked, 1, K)); /* without an index */
            ck_assert_mem_eq(found[0], found[1], K * sizeof *found[0]);
            free_twins(t);
            free(asked);
            free(rows);
        }
    }
}
END_TEST

START_TEST(a_narrow_bank_selects_the_coreset_of_its_meaning)
{
    enum { ROWS = 1500, COLUMNS = 70, WANTED = 300 };
    for (int form = 0; form < 4; ++form) { /* exact or from starts, projected or not */
        float *rows = random_rows(form % 2 ? CLUSTERS : SPREAD, ROWS, COLUMNS, (uint64_t)form);
        twins t = twins_of(rows, ROWS, COLUMNS, narrow_kinds[_i]);
        imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
        int64_t picks[2][WANTED];
        o.ratio = 0.2;
        o.exact = form / 2;
        o.projection = form % 2 ? 0 : 16;
        ck_ok(imiad_bank_select(picks[0], t.narrow, &o, NULL, NULL));
        ck_ok(imiad_bank_select(picks[1], t.wide, &o, NULL, NULL));
        ck_assert_mem_eq(picks[0], picks[1], sizeof picks[0]);
        free_twins(t);
        free(rows);
    }
}
END_TEST

START_TEST(every_kernel_measures_stored_rows_alike)
{
    enum { MOST = 70 };
    imiad_storage storage = narrow_kinds[_i];
    for (size_t columns = 1; columns <= MOST; ++columns) {
        float *rows = random_rows(SPREAD, 2, columns, columns), wide[2 * MOST];
        uint16_t stored[2 * MOST];
        size_t at;
        const kernels *plain = kernels_at(KERNEL_PLAIN);
        ck_assert(storage_narrow(stored, storage, rows, 2 * columns, &at));
        plain->widen[storage](wide, stored, 2 * columns);
        float expected = plain->squared_distance(wide, wide + columns, columns);
        for (int level = 0; level < KERNEL_LEVELS; ++level) {
            const kernels *k = kernels_at((kernel_level)level);
            if (!k)
                continue;
            ck_assert_float_eq(k->distance_to[storage](wide, stored + columns, columns), expected);
            ck_assert_float_eq(k->distance_between[storage](stored, stored + columns, columns),
                               expected);
        }
        free(rows);
    }
}
END_TEST

START_TEST(a_narrow_bank_takes_half_the_budget)
{
    float rows[40] = {0};
    imiad_bank *bank = NULL;
    ck_ok(imiad_bank_create_stored(&bank, 10, narrow_kinds[_i], 79));
    ck_fails(imiad_bank_add(bank, rows, 4), IMIAD_OVER_BUDGET,
             "a bank of 4 rows of 10 columns needs 80 bytes: its budget is 79 bytes");
    ck_ok(imiad_bank_add(bank, rows, 3));
    imiad_bank_free(bank);
}
END_TEST

SUITE("storage", LOOP_TEST(every_stored_number_means_what_the_format_says, 2),
      LOOP_TEST(rounding_goes_to_the_nearest_and_ties_to_even, 2),
      TEST(numbers_too_large_are_refused_by_name),
      LOOP_TEST(a_narrow_bank_finds_the_neighbours_of_its_meaning, 2),
      LOOP_TEST(a_narrow_bank_selects_the_coreset_of_its_meaning, 2),
      LOOP_TEST(every_kernel_measures_stored_rows_alike, 2),
      LOOP_TEST(a_narrow_bank_takes_half_the_budget, 2))
