/* A greedy coreset at each place of a grid. Places are few rows each: the plain way is quick. */
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bank/coreset.h"
#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"

typedef struct places_job {
    const imiad_bank *bank;
    const place_coreset *how;
    int64_t places;
    int64_t *out;
    const int64_t *first; /* one a place, and one more: where its picks begin */
    const kernels *kernels;
    atomic_bool no_memory;
} places_job;

static int64_t wanted_of(const imiad_bank *bank, const place_coreset *how, int64_t places,
                         int64_t place)
{
    int64_t all = 0, left = 0;
    for (int64_t row = place; row < bank->rows; row += places) {
        left += !how->left_out || !how->left_out[row];
        ++all;
    }
    int64_t wanted = (int64_t)(how->ratio * (double)all);
    wanted = wanted < how->least ? how->least : wanted;
    return wanted < left ? wanted : left;
}

static int64_t draw_first(const place_coreset *how, int64_t place, int64_t rows)
{
    char purpose[64];
    snprintf(purpose, sizeof purpose, "coreset/place/%" PRId64, place);
    random_stream stream = random_open(how->seed, purpose);
    return (int64_t)random_below(&stream, (uint64_t)rows);
}

/* rows become the picks of all of them, the first `wanted`; distances is scratch. */
static void pick(int64_t *rows, float *distances, int64_t count, int64_t wanted, int64_t first,
                 const places_job *job)
{
    const point_set points = bank_points(job->bank);
    int64_t next = first;
    for (int64_t i = 0; i < count; ++i)
        distances[i] = INFINITY;
    for (int64_t held = 0; held < wanted; ++held) { /* what is picked stands in front */
        int64_t row = rows[next];
        rows[next] = rows[held];
        distances[next] = distances[held];
        rows[held] = row;
        next = held + 1;
        for (int64_t i = held + 1; i < count; ++i) {
            float d = job->kernels->distance_between[points.storage](
                point_row(&points, (size_t)row), point_row(&points, (size_t)rows[i]),
                points.columns);
            distances[i] = d < distances[i] ? d : distances[i];
            if (distances[i] > distances[next] ||
                (distances[i] == distances[next] && rows[i] < rows[next]))
                next = i;
        }
    }
}

static void pick_places(void *context, size_t begin, size_t end)
{
    places_job *job = context;
    const place_coreset *how = job->how;
    size_t most = (size_t)(job->bank->rows / job->places + 1);
    int64_t *rows = malloc(most * sizeof *rows);
    float *distances = malloc(most * sizeof *distances);
    if (!rows || !distances)
        atomic_store(&job->no_memory, true);
    for (int64_t place = (int64_t)begin; rows && distances && place < (int64_t)end; ++place) {
        int64_t count = 0, wanted = job->first[place + 1] - job->first[place];
        for (int64_t row = place; row < job->bank->rows; row += job->places)
            if (!how->left_out || !how->left_out[row])
                rows[count++] = row;
        if (wanted < count)
            pick(rows, distances, count, wanted, draw_first(how, place, count), job);
        for (int64_t i = 0; i < wanted; ++i)
            job->out[job->first[place] + i] = rows[i];
    }
    free(rows);
    free(distances);
}

imiad_status bank_select_places(int64_t *out, int64_t *count, const imiad_bank *bank,
                                int64_t places, const place_coreset *how)
{
    int64_t *first = malloc((size_t)(places + 1) * sizeof *first);
    if (!first)
        return fail_memory("the picks of places", (size_t)(places + 1) * sizeof *first);
    first[0] = 0;
    for (int64_t place = 0; place < places; ++place)
        first[place + 1] = first[place] + wanted_of(bank, how, places, place);
    places_job job = {bank, how, places, out, first, kernels_best(), false};
    parallel_for((size_t)places, 1, pick_places, &job);
    *count = first[places];
    free(first);
    if (atomic_load(&job.no_memory))
        return fail_memory("the coresets of places", (size_t)(bank->rows / places + 1) * 12);
    return *count > 0 ? IMIAD_OK
                      : fail(IMIAD_OUT_OF_RANGE,
                             "selecting a coreset: all %" PRId64 " rows are left out", bank->rows);
}
