#include "nn/families/position_codes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Keys' cubic; libtorch takes -0.75 without antialiasing and -0.5 with it. */
static double cubic(double x, double a)
{
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static int64_t clamp(int64_t value, int64_t high)
{
    return value < 0 ? 0 : value > high ? high : value;
}

/* One row of weights over `in` old positions; taps beyond the ends count for the end. */
static void weigh(double *row, int64_t in, double position, bool linear)
{
    int64_t base = (int64_t)floor(position);
    double part = position - (double)base;
    if (linear) {
        row[clamp(base, in - 1)] += 1 - part;
        row[clamp(base + 1, in - 1)] += part;
        return;
    }
    for (int tap = -1; tap <= 2; ++tap)
        row[clamp(base + tap, in - 1)] += cubic(part - tap, -0.75);
}

static void weigh_antialiased(double *row, int64_t in, double center, double scale)
{
    double wide = scale > 1 ? scale : 1, support = 2 * wide, sum = 0;
    int64_t first = clamp((int64_t)(center - support + 0.5), in);
    int64_t end = clamp((int64_t)(center + support + 0.5), in);
    for (int64_t i = first; i < end; ++i)
        sum += row[i] = cubic(((double)i - center + 0.5) / wide, -0.5);
    for (int64_t i = first; i < end; ++i)
        row[i] /= sum;
}

/* out x in */
static void fill(double *matrix, int64_t out, int64_t in, position_rule rule)
{
    double scale = (double)in / (double)out;
    if (rule == POSITIONS_OFFSET)
        scale = 1 / (((double)out + 0.1) / (double)in);
    for (int64_t i = 0; i < out; ++i) {
        double *row = matrix + i * in;
        if (rule == POSITIONS_ANTIALIASED)
            weigh_antialiased(row, in, scale * ((double)i + 0.5), scale);
        else if (rule == POSITIONS_OFFSET)
            weigh(row, in, scale * ((double)i + 0.5) - 0.5, false);
        else
            weigh(row, in, out > 1 ? (double)(i * (in - 1)) / (double)(out - 1) : 0,
                  rule == POSITIONS_LINEAR);
    }
}

static tensor *make_matrix(int64_t out, int64_t in, position_rule rule, device d)
{
    double *values = calloc((size_t)(out * in), sizeof *values);
    if (!values)
        return t_fail(IMIAD_NO_MEMORY, "out of memory for position codes");
    fill(values, out, in, rule);
    tensor *t = t_from(values, 2, (int64_t[]){out, in}, F64, d);
    free(values);
    return t;
}

tensor *position_codes_resize(tensor *codes, int64_t height, int64_t width, position_rule rule)
{
    int64_t count = t_size(codes, 1), channels = t_size(codes, 2);
    int64_t side = (int64_t)lround(sqrt((double)count));
    if (t_failed() || (height == side && width == side))
        return codes;
    device d = t_device(codes);
    tensor *rows = make_matrix(height, side, rule, d), *columns = make_matrix(width, side, rule, d);
    tensor *grid = t_view(t_to(codes, F64), 2, (int64_t[]){side, side * channels});
    grid = t_view(t_matmul(rows, grid), 3, (int64_t[]){height, side, channels});
    grid = t_matmul(columns, grid); /* broadcast over the rows */
    return t_to(t_view(grid, 3, (int64_t[]){1, height * width, channels}), t_type(codes));
}
