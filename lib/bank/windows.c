#include "bank/windows.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bank/window.h"
#include "base/error.h"

/* ---- rows by place ---- */

/* Counting sort: a place's rows keep their order. */
static void sort_rows(bank_windows *w, const int32_t *places, int64_t rows)
{
    int64_t count = w->height * w->width;
    for (int64_t i = 0; i < rows; ++i)
        w->first[places[i] + 1]++;
    for (int64_t p = 0; p < count; ++p)
        w->first[p + 1] += w->first[p];
    for (int64_t i = 0; i < rows; ++i)
        w->rows[w->first[places[i]]++] = i;
    for (int64_t p = count; p > 0; --p) /* each is where the next one begins now */
        w->first[p] = w->first[p - 1];
    w->first[0] = 0;
}

imiad_status windows_create(bank_windows **out, const int32_t *places, int64_t rows, int64_t height,
                            int64_t width)
{
    for (int64_t i = 0; i < rows; ++i)
        if (places[i] < 0 || places[i] >= height * width)
            return fail(IMIAD_OUT_OF_RANGE,
                        "row %" PRId64 " of a bank has the place %" PRId32 " of a grid of %" PRId64
                        " x %" PRId64,
                        i, places[i], width, height);
    bank_windows *w = calloc(1, sizeof *w);
    if (!w)
        return fail_memory("the places of a bank", sizeof *w);
    *w = (bank_windows){height, width, calloc((size_t)(height * width) + 2, sizeof *w->first),
                        malloc((size_t)(rows ? rows : 1) * sizeof *w->rows)};
    if (!w->first || !w->rows) {
        windows_free(w);
        return fail_memory("the places of a bank", (size_t)(height * width + rows) * 8);
    }
    sort_rows(w, places, rows);
    *out = w;
    return IMIAD_OK;
}

void windows_free(bank_windows *w)
{
    if (!w)
        return;
    free(w->first);
    free(w->rows);
    free(w);
}

/* ---- windows ---- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

window window_around(const bank_windows *w, int64_t place, int64_t radius)
{
    int64_t y = place / w->width, x = place % w->width;
    return (window){larger(y - radius, 0), smaller(y + radius + 1, w->height),
                    larger(x - radius, 0), smaller(x + radius + 1, w->width)};
}

static int64_t count_rows(const bank_windows *w, const window *in)
{
    int64_t count = 0;
    for (int64_t y = in->top; y < in->bottom; ++y)
        count += w->first[y * w->width + in->right] - w->first[y * w->width + in->left];
    return count;
}

int64_t windows_short(const bank_windows *w, int64_t radius, int64_t k)
{
    int64_t few = 0;
    for (int64_t place = 0; place < w->height * w->width; ++place) {
        const window in = window_around(w, place, radius);
        few += count_rows(w, &in) < k;
    }
    return few;
}

window window_of(const window_search *how, int64_t place, size_t k)
{
    int64_t radius = how->radius;
    window in = window_around(how->windows, place, radius);
    while (!how->among && count_rows(how->windows, &in) < (int64_t)k)
        in = window_around(how->windows, place, ++radius);
    return in;
}

float window_measure(const window_search *how, const float *query, int64_t row)
{
    const point_set points = bank_points(how->bank);
    return kernels_best()->distance_to[points.storage](query, point_row(&points, (size_t)row),
                                                       points.columns);
}
