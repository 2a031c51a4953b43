#include "bridge/small_products.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

enum {
    LANES = 16,
    WIDE = 2 * LANES, /* columns that are summed at once */
    HIGH = 4,         /* rows that share a load */
    DEEP = 128,       /* rows of the right matrix that lie packed: with WIDE columns, 16 KB */
    TALL = 256        /* rows of a part */
};
typedef float floats __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

/* WIDE columns of the right matrix one after the other, rows of zeros behind its last column. */
static void pack(float packed[DEEP][WIDE], const float *right, const small_products *p,
                 int64_t depth, int64_t width)
{
    for (int64_t l = 0; l < depth; ++l) {
        for (int64_t c = 0; c < width; ++c)
            packed[l][c] = right[l * p->right.row + c * p->right.column];
        memset(packed[l] + width, 0, (size_t)(WIDE - width) * sizeof(float));
    }
}

/* Adds the packed rows' part to WIDE columns of the sums, which have `stride` floats a row. */
CLONES static void add_block(float *out, int64_t stride, int64_t rows, int64_t width,
                             const float *left, int64_t row, int64_t column,
                             float packed[DEEP][WIDE], int64_t depth, int is_first)
{
    for (int64_t i = 0; i < rows; i += HIGH) {
        int64_t high = rows - i < HIGH ? rows - i : HIGH;
        const float *a[HIGH];
        float line[HIGH][WIDE] = {{0}};
        floats sums[HIGH][2];
        for (int64_t h = 0; h < HIGH; ++h) {
            int64_t at = i + (h < high ? h : 0);
            a[h] = left + at * row;
            if (!is_first)
                memcpy(line[h], out + at * stride, (size_t)width * sizeof(float));
            sums[h][0] = *(const floats *)line[h];
            sums[h][1] = *(const floats *)(line[h] + LANES);
        }
        for (int64_t l = 0; l < depth; ++l) {
            floats first = *(const floats *)packed[l],
                   second = *(const floats *)(packed[l] + LANES);
            for (int h = 0; h < HIGH; ++h) {
                float x = a[h][l * column];
                sums[h][0] += first * x;
                sums[h][1] += second * x;
            }
        }
        for (int64_t h = 0; h < high; ++h) {
            *(floats *)line[h] = sums[h][0];
            *(floats *)(line[h] + LANES) = sums[h][1];
            memcpy(out + (i + h) * stride, line[h], (size_t)width * sizeof(float));
        }
    }
}

static int64_t parts_of_one(const small_products *p)
{
    return (p->rows + TALL - 1) / TALL;
}

size_t small_products_parts(const small_products *p)
{
    return (size_t)(p->count * parts_of_one(p));
}

static void one_part(const small_products *p, int64_t index)
{
    int64_t matrix = index / parts_of_one(p), top = index % parts_of_one(p) * TALL;
    int64_t rows = p->rows - top < TALL ? p->rows - top : TALL;
    const float *left = p->left.numbers + p->left.begins[matrix] + top * p->left.row;
    const float *right = p->right.numbers + p->right.begins[matrix];
    float *out = p->out + (matrix * p->rows + top) * p->columns, packed[DEEP][WIDE];
    for (int64_t c = 0; c < p->columns; c += WIDE) {
        int64_t width = p->columns - c < WIDE ? p->columns - c : WIDE;
        for (int64_t l = 0; l < p->inner; l += DEEP) {
            int64_t depth = p->inner - l < DEEP ? p->inner - l : DEEP;
            pack(packed, right + l * p->right.row + c * p->right.column, p, depth, width);
            add_block(out + c, p->columns, rows, width, left + l * p->left.column, p->left.row,
                      p->left.column, packed, depth, l == 0);
        }
    }
}

void small_products_piece(void *products, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; ++i)
        one_part(products, (int64_t)i);
}
