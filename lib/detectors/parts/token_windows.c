#include "detectors/parts/token_windows.h"

#include <stdbool.h>

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t windows_along(int64_t length, int64_t side, int64_t stride)
{
    return length <= side ? 1 : (length - side + stride - 1) / stride + 1;
}

token_windows token_windows_over(int64_t height, int64_t width, int64_t side, int64_t stride,
                                 int64_t multiple)
{
    token_windows w = {.height = height, .width = width, .stride = stride};
    const int64_t lengths[2] = {height, width};
    for (int i = 0; i < 2; ++i) {
        w.side[i] = side ? side : (lengths[i] + multiple - 1) / multiple * multiple;
        w.count[i] = windows_along(lengths[i], w.side[i], stride);
    }
    return w;
}

/* The row and column of a place, which may lie beyond the grid. */
static void locate(int64_t at[2], const token_windows *w, int64_t window, int64_t place)
{
    at[0] = window / w->count[1] * w->stride + place / w->side[1];
    at[1] = window % w->count[1] * w->stride + place % w->side[1];
}

int64_t token_windows_token(const token_windows *w, int64_t window, int64_t place)
{
    int64_t at[2];
    locate(at, w, window, place);
    return smaller(at[0], w->height - 1) * w->width + smaller(at[1], w->width - 1);
}

/* How many windows reach over a row or a column. */
static int64_t cover(const token_windows *w, int dim, int64_t at)
{
    int64_t first = at < w->side[dim] ? 0 : (at - w->side[dim]) / w->stride + 1;
    int64_t last = smaller(at / w->stride, w->count[dim] - 1);
    return last - first + 1;
}

void token_windows_average(float *out, const token_windows *w, const float *values)
{
    int64_t windows = token_windows_count(w), places = token_windows_places(w);
    for (int64_t i = 0; i < w->height * w->width; ++i)
        out[i] = 0;
    for (int64_t n = 0; n < windows; ++n)
        for (int64_t p = 0; p < places; ++p, ++values) {
            int64_t at[2];
            locate(at, w, n, p);
            if (at[0] < w->height && at[1] < w->width)
                out[at[0] * w->width + at[1]] += *values;
        }
    for (int64_t i = 0; i < w->height * w->width; ++i)
        out[i] /= (float)(cover(w, 0, i / w->width) * cover(w, 1, i % w->width));
}
