#include "bank/windows.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bank/nearest.h"
#include "bank/search.h"
#include "base/error.h"
#include "base/threads.h"

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

/* Places top..bottom - 1 down, left..right - 1 across. */
typedef struct window {
    int64_t top, bottom, left, right;
} window;

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Around places of a rectangle, within the grid. */
static window around(const bank_windows *w, const window *of, int64_t radius)
{
    return (window){larger(of->top - radius, 0), smaller(of->bottom + radius, w->height),
                    larger(of->left - radius, 0), smaller(of->right + radius, w->width)};
}

static window around_place(const bank_windows *w, int64_t place, int64_t radius)
{
    int64_t y = place / w->width, x = place % w->width;
    return around(w, &(window){y, y + 1, x, x + 1}, radius);
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
        const window in = around_place(w, place, radius);
        few += count_rows(w, &in) < k;
    }
    return few;
}

/* ---- searching ---- */

static void search_place(nearest *found, const imiad_bank *bank, const bank_windows *w,
                         const float *query, int64_t place, int64_t radius)
{
    const point_set points = bank_points(bank);
    const kernels *kernel = kernels_best();
    window in = around_place(w, place, radius);
    while (count_rows(w, &in) < (int64_t)found->k)
        in = around_place(w, place, ++radius);
    for (int64_t y = in.top; y < in.bottom; ++y)
        for (int64_t i = w->first[y * w->width + in.left]; i < w->first[y * w->width + in.right];
             ++i)
            offer(found,
                  kernel->distance_to[points.storage](query, point_row(&points, (size_t)w->rows[i]),
                                                      points.columns),
                  w->rows[i]);
    put_in_order(found);
}

imiad_status windows_search_at(float *distances, int64_t *rows, const imiad_bank *bank,
                               const bank_windows *w, const float *query, int64_t place,
                               int64_t radius, int32_t k)
{
    TRY(search_check(distances, bank, query, 1, k));
    nearest found = {distances, rows, 0, (size_t)k};
    search_place(&found, bank, w, query, place, radius);
    return IMIAD_OK;
}

typedef struct window_job {
    const imiad_bank *bank;
    const bank_windows *windows;
    const float *queries;
    int64_t images, radius, k;
    float *distances;
    int64_t *rows;
    int64_t side, across;        /* of a tile, in places; tiles across */
    const window_sources *among; /* NULL: all */
    const kernels *kernels;
    atomic_bool no_memory;
} window_job;

static int64_t query_number(const window_job *job, int64_t image, int64_t y, int64_t x)
{
    const bank_windows *w = job->windows;
    return (image * w->height + y) * w->width + x;
}

static nearest *found_at(const window_job *job, nearest *found, const window *tile, int64_t image,
                         int64_t y, int64_t x)
{
    return found + (image * job->side + y - tile->top) * job->side + x - tile->left;
}

static bool is_wanted(const window_job *job, int64_t image, int64_t row)
{
    const window_sources *a = job->among;
    return !a || a->wanted[image * a->sources + job->bank->sources[row]];
}

/* One row of the bank beside all queries of the tile in whose windows it lies. */
static void offer_row(const window_job *job, nearest *found, const window *tile, const window *near,
                      int64_t row)
{
    const point_set points = bank_points(job->bank);
    const void *point = point_row(&points, (size_t)row);
    for (int64_t image = 0; image < job->images; ++image) {
        if (!is_wanted(job, image, row))
            continue;
        for (int64_t y = larger(near->top, tile->top); y < smaller(near->bottom, tile->bottom); ++y)
            for (int64_t x = larger(near->left, tile->left); x < smaller(near->right, tile->right);
                 ++x) {
                const float *query =
                    job->queries + query_number(job, image, y, x) * job->bank->dimension;
                offer(found_at(job, found, tile, image, y, x),
                      job->kernels->distance_to[points.storage](query, point, points.columns), row);
            }
    }
}

/* The queries of a tile share the rows around it: each comes from memory once for all of them. */
static void search_tile(window_job *job, const window *tile, nearest *found)
{
    const bank_windows *w = job->windows;
    for (int64_t image = 0; image < job->images; ++image)
        for (int64_t y = tile->top; y < tile->bottom; ++y)
            for (int64_t x = tile->left; x < tile->right; ++x) {
                int64_t at = query_number(job, image, y, x) * job->k;
                *found_at(job, found, tile, image, y, x) =
                    (nearest){job->distances + at, job->rows + at, 0, (size_t)job->k};
            }
    const window all = around(w, tile, job->radius);
    for (int64_t y = all.top; y < all.bottom; ++y)
        for (int64_t x = all.left; x < all.right; ++x) {
            const window near = around_place(w, y * w->width + x, job->radius);
            for (int64_t i = w->first[y * w->width + x]; i < w->first[y * w->width + x + 1]; ++i)
                offer_row(job, found, tile, &near, w->rows[i]);
        }
}

static void finish_tile(const window_job *job, const window *tile, nearest *found)
{
    for (int64_t image = 0; image < job->images; ++image)
        for (int64_t y = tile->top; y < tile->bottom; ++y)
            for (int64_t x = tile->left; x < tile->right; ++x) {
                nearest *n = found_at(job, found, tile, image, y, x);
                if (job->among && n->held == 0) {
                    n->distances[0] = INFINITY;
                    n->rows[0] = -1;
                    continue;
                }
                if (n->held == n->k) {
                    put_in_order(n);
                    continue;
                }
                n->held = 0;
                search_place(n, job->bank, job->windows,
                             job->queries + query_number(job, image, y, x) * job->bank->dimension,
                             y * job->windows->width + x, job->radius + 1);
            }
}

static void search_tiles(void *context, size_t begin, size_t end)
{
    window_job *job = context;
    const bank_windows *w = job->windows;
    nearest *found = malloc((size_t)(job->images * job->side * job->side) * sizeof *found);
    if (!found) {
        atomic_store(&job->no_memory, true);
        return;
    }
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        int64_t top = i / job->across * job->side, left = i % job->across * job->side;
        const window tile = {top, smaller(top + job->side, w->height), left,
                             smaller(left + job->side, w->width)};
        search_tile(job, &tile, found);
        finish_tile(job, &tile, found);
    }
    free(found);
}

enum { QUERIES = 128 /* of a tile: they stay in the cache */ };

static imiad_status run(window_job *job)
{
    const bank_windows *w = job->windows;
    job->side = 1;
    while (4 * job->side * job->side * job->images <= QUERIES)
        job->side *= 2;
    job->across = (w->width + job->side - 1) / job->side;
    job->kernels = kernels_best();
    size_t tiles = (size_t)(job->across * ((w->height + job->side - 1) / job->side));
    parallel_for(tiles, 1, search_tiles, job);
    return atomic_load(&job->no_memory)
               ? fail_memory("a search",
                             (size_t)(job->images * job->side * job->side) * sizeof(nearest))
               : IMIAD_OK;
}

imiad_status windows_search(float *distances, int64_t *rows, const imiad_bank *bank,
                            const bank_windows *w, const float *queries, int64_t images,
                            int64_t radius, int32_t k)
{
    TRY(search_check(distances, bank, queries, images * w->height * w->width, k));
    window_job job = {.bank = bank,
                      .windows = w,
                      .queries = queries,
                      .images = images,
                      .radius = radius,
                      .k = k,
                      .distances = distances,
                      .rows = rows};
    return run(&job);
}

imiad_status windows_search_among(float *distances, int64_t *rows, const imiad_bank *bank,
                                  const bank_windows *w, const float *queries, int64_t images,
                                  int64_t radius, const window_sources *among)
{
    TRY(search_check(distances, bank, queries, images * w->height * w->width, 1));
    window_job job = {.bank = bank,
                      .windows = w,
                      .queries = queries,
                      .images = images,
                      .radius = radius,
                      .k = 1,
                      .distances = distances,
                      .rows = rows,
                      .among = among};
    return run(&job);
}
