/* Exact searches of what lies near a place: by sketches where there are some, else row after row.
 */
#include <math.h>

#include "bank/search.h"
#include "bank/window.h"
#include "base/error.h"
#include "base/threads.h"

/* Every row of the window. */
static void search_plain_window(nearest *found, const window_search *how, const float *query,
                                int64_t image, int64_t place)
{
    const bank_windows *w = how->windows;
    const window in = window_of(how, place, found->k);
    for (int64_t y = in.top; y < in.bottom; ++y)
        for (int64_t i = w->first[y * w->width + in.left]; i < w->first[y * w->width + in.right];
             ++i)
            if (window_wants(how, image, w->rows[i]))
                offer(found, window_measure(how, query, w->rows[i]), w->rows[i]);
}

typedef struct window_job {
    const window_search *how;
    const float *queries;
    size_t k;
    float *distances;
    int64_t *rows;
} window_job;

static void search_queries(void *context, size_t begin, size_t end)
{
    const window_job *job = context;
    int64_t places = job->how->windows->height * job->how->windows->width;
    for (size_t q = begin; q < end; ++q) {
        nearest found = {job->distances + q * job->k, job->rows + q * job->k, 0, job->k};
        const float *query = job->queries + q * (size_t)job->how->bank->dimension;
        int64_t image = (int64_t)q / places, place = (int64_t)q % places;
        if (!window_search_sketched(&found, job->how, query, image, place))
            search_plain_window(&found, job->how, query, image, place);
        put_in_order(&found);
        if (found.held == 0) { /* there was none among those that were wanted */
            found.distances[0] = INFINITY;
            found.rows[0] = -1;
        }
    }
}

enum { PIECE = 16 /* queries, neighbours of each other: they share rows in the cache */ };

imiad_status windows_search(float *distances, int64_t *rows, const window_search *how,
                            const float *queries, int64_t images, int32_t k)
{
    int64_t count = images * how->windows->height * how->windows->width;
    TRY(search_check(distances, how->bank, queries, count, k));
    window_job job = {how, queries, (size_t)k, distances, rows};
    parallel_for((size_t)count, PIECE, search_queries, &job);
    return IMIAD_OK;
}

imiad_status windows_search_at(float *distances, int64_t *rows, const window_search *how,
                               const float *query, int64_t place, int32_t k)
{
    TRY(search_check(distances, how->bank, query, 1, k));
    nearest found = {distances, rows, 0, (size_t)k};
    if (!window_search_sketched(&found, how, query, 0, place))
        search_plain_window(&found, how, query, 0, place);
    put_in_order(&found);
    return IMIAD_OK;
}
