/* Every width of vectors beside three plain loops: the same bytes. */
#include <string.h>

#include "base/random.h"
#include "bridge/ordered_products.h"
#include "check_suite.h"

enum { COUNT = 3, MOST = 300, ROOM = COUNT * MOST * MOST };

/* Shapes that fill no vector, no panel and no part, and one that fills them. */
static const int64_t shapes[][3] = {{1, 1, 1},   {5, 3, 7},      {257, 9, 33},
                                    {3, 300, 5}, {300, 130, 65}, {256, 128, 64}};

static double left[ROOM], right[ROOM], expected[ROOM], got[ROOM];
static float left_floats[ROOM], right_floats[ROOM], expected_floats[ROOM], got_floats[ROOM];

static void multiply_plainly(const int64_t shape[3])
{
    int64_t rows = shape[0], inner = shape[1], columns = shape[2];
    for (int64_t m = 0; m < COUNT; ++m)
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j) {
                double sum = 0;
                float sum_of_floats = 0;
                for (int64_t l = 0; l < inner; ++l) { /* the right one lies column by column */
                    int64_t a = (m * rows + i) * inner + l, b = (m * columns + j) * inner + l;
                    sum += left[a] * right[b];
                    sum_of_floats += left_floats[a] * right_floats[b];
                }
                expected[(m * rows + i) * columns + j] = sum;
                expected_floats[(m * rows + i) * columns + j] = sum_of_floats;
            }
}

START_TEST(every_width_gives_the_numbers_of_plain_loops)
{
    const int bytes = 16 << _i;
    random_stream random = random_open(9, "products");
    for (int i = 0; i < ROOM; ++i) {
        left_floats[i] = (float)(left[i] = random_normal(&random));
        right_floats[i] = (float)(right[i] = random_normal(&random));
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i) {
        const int64_t *shape = shapes[i], rows = shape[0], inner = shape[1], columns = shape[2];
        const int64_t lefts[COUNT] = {0, rows * inner, 2 * rows * inner};
        const int64_t rights[COUNT] = {0, columns * inner, 2 * columns * inner};
        ck_assert_int_le(COUNT * rows * inner, ROOM);
        multiply_plainly(shape);
        ordered_products p = {
            true,  got,    {left, lefts, inner, 1}, {right, rights, 1, inner}, COUNT, rows,
            inner, columns};
        if (!ordered_products_of_width(&p, bytes, 0, ordered_products_parts(&p))) {
            ck_assert_int_gt(bytes, 16);
            return; /* the machine has no such vectors */
        }
        ck_assert_mem_eq(got, expected, (size_t)(COUNT * rows * columns) * sizeof *got);
        p.doubles = false;
        p.out = got_floats;
        p.left.numbers = left_floats;
        p.right.numbers = right_floats;
        ordered_products_of_width(&p, bytes, 0, ordered_products_parts(&p));
        ck_assert_mem_eq(got_floats, expected_floats,
                         (size_t)(COUNT * rows * columns) * sizeof *got_floats);
    }
}
END_TEST

SUITE("ordered-products", LOOP_TEST(every_width_gives_the_numbers_of_plain_loops, 3))
