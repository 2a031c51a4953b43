#include "detectors/parts/bank_weight.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

static double square_between(const float *a, const float *b, int64_t columns)
{
    double square = 0;
    for (int64_t c = 0; c < columns; ++c) {
        double d = (double)a[c] - (double)b[c];
        square += d * d;
    }
    return square;
}

imiad_status bank_weight(double *out, const patch_memory *m, const float *patch, int64_t place,
                         int64_t nearest, float squared_distance, int64_t around, bool squared)
{
    int64_t columns = imiad_bank_dimension(m->bank);
    if (around > imiad_bank_rows(m->bank))
        around = imiad_bank_rows(m->bank);
    *out = 1;
    if (around < 2) /* one neighbour says nothing of the others: the weight would be zero */
        return IMIAD_OK;
    float squares[MOST_AROUND], *row = malloc((size_t)columns * sizeof *row);
    int64_t rows[MOST_AROUND];
    if (!row)
        return fail_memory("a row of the bank", (size_t)columns * sizeof *row);
    imiad_status status = imiad_bank_read(row, m->bank, nearest, 1);
    if (status == IMIAD_OK)
        status = patch_memory_nearest(squares, rows, m, row, place, (int32_t)around);
    double own = (double)squared_distance, sum = 0;
    for (int64_t i = 0; status == IMIAD_OK && i < around; ++i) {
        status = imiad_bank_read(row, m->bank, rows[i], 1);
        double square = square_between(patch, row, columns);
        /* the numerator's exponent is taken out: that term becomes 1 */
        sum += squared ? exp(square - own) : exp(sqrt(square) - sqrt(own));
    }
    free(row);
    *out = 1 - 1 / sum;
    return status;
}
