/* Included by ordered_products.c, once for each type and width of vectors: REAL, BYTES, TARGET, and
 * OF, which makes names of them. */
enum { OF(LANES) = BYTES / sizeof(REAL), OF(WIDE) = 2 * OF(LANES) };
typedef REAL OF(vector) __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));

/* WIDE columns of the right matrix one after the other, zeros behind its last column. */
TARGET static void OF(pack)(REAL packed[DEEP][OF(WIDE)], const REAL *right,
                            const ordered_products *p, int64_t depth, int64_t width)
{
    for (int64_t l = 0; l < depth; ++l) {
        for (int64_t c = 0; c < width; ++c)
            packed[l][c] = right[l * p->right.row + c * p->right.column];
        memset(packed[l] + width, 0, (size_t)(OF(WIDE) - width) * sizeof(REAL));
    }
}

/* Adds the packed rows' part to those columns of the sums, which have `stride` numbers a row. */
TARGET static void OF(add_block)(REAL *out, int64_t stride, int64_t rows, int64_t width,
                                 const REAL *left, int64_t row, int64_t column,
                                 REAL packed[DEEP][OF(WIDE)], int64_t depth, int is_first)
{
    for (int64_t i = 0; i < rows; i += HIGH) {
        int64_t high = rows - i < HIGH ? rows - i : HIGH;
        const REAL *a[HIGH];
        REAL line[HIGH][OF(WIDE)] = {{0}};
        OF(vector) sums[HIGH][2];
        for (int64_t h = 0; h < HIGH; ++h) {
            int64_t at = i + (h < high ? h : 0);
            a[h] = left + at * row;
            if (!is_first)
                memcpy(line[h], out + at * stride, (size_t)width * sizeof(REAL));
            sums[h][0] = *(const OF(vector) *)line[h];
            sums[h][1] = *(const OF(vector) *)(line[h] + OF(LANES));
        }
        for (int64_t l = 0; l < depth; ++l) {
            OF(vector)
            first = *(const OF(vector) *)packed[l],
            second = *(const OF(vector) *)(packed[l] + OF(LANES));
            for (int h = 0; h < HIGH; ++h) {
                REAL x = a[h][l * column];
                sums[h][0] += first * x;
                sums[h][1] += second * x;
            }
        }
        for (int64_t h = 0; h < high; ++h) {
            *(OF(vector) *)line[h] = sums[h][0];
            *(OF(vector) *)(line[h] + OF(LANES)) = sums[h][1];
            memcpy(out + (i + h) * stride, line[h], (size_t)width * sizeof(REAL));
        }
    }
}

TARGET static void OF(one_part)(const ordered_products *p, int64_t index)
{
    int64_t matrix = index / parts_of_one(p), top = index % parts_of_one(p) * TALL;
    int64_t rows = p->rows - top < TALL ? p->rows - top : TALL;
    const REAL *left = (const REAL *)p->left.numbers + p->left.begins[matrix] + top * p->left.row;
    const REAL *right = (const REAL *)p->right.numbers + p->right.begins[matrix];
    REAL *out = (REAL *)p->out + (matrix * p->rows + top) * p->columns, packed[DEEP][OF(WIDE)];
    for (int64_t c = 0; c < p->columns; c += OF(WIDE)) {
        int64_t width = p->columns - c < OF(WIDE) ? p->columns - c : OF(WIDE);
        for (int64_t l = 0; l < p->inner; l += DEEP) {
            int64_t depth = p->inner - l < DEEP ? p->inner - l : DEEP;
            OF(pack)(packed, right + l * p->right.row + c * p->right.column, p, depth, width);
            OF(add_block)
            (out + c, p->columns, rows, width, left + l * p->left.column, p->left.row,
             p->left.column, packed, depth, l == 0);
        }
    }
}
