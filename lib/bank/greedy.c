/* Greedy k-center with the picks of greedy_plain, at a small part of its work. Two ideas:
 *
 * Late: a row's distance to its nearest pick only falls, so an old value is an upper bound, and a
 * row needs to be brought up to date only when its bound reaches the top. The work goes in rounds.
 * Each takes a threshold, brings the rows at or above it up to date, and picks among them until
 * none is left there; meanwhile no other row can be the maximum.
 *
 * Coarse: pairs whose sketches are far enough apart cannot lower a distance. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bank/sketch.h"
#include "bank/coreset.h"
#include "base/error.h"
#include "base/threads.h"

enum {
    CHUNK = 8, /* groups of picks between two looks at the threshold */
    PIECE = 64,
    SKETCH_PIECE = 1024,
    PICKS_PER_REPORT = 256,
};

typedef struct greedy {
    point_set points;
    float *distances;   /* of each row to the nearest of the picks that it has seen */
    uint32_t *seen;     /* how many of the picks those are */
    float *sketches;    /* of the rows, one after the other */
    float *pick_groups; /* of the picks, in groups; infinitely far where there is none yet */
    int64_t *picks;
    size_t picked, wanted;
    sketch_slack slack;
    const kernels *kernels;

    float threshold;
    uint32_t *active; /* rows that reach the threshold, rising */
    size_t active_count;
    float *groups, *limits, *tops; /* theirs: sketches, limits, and the maximum of each group */
    uint32_t *found;
} greedy;

static float distance(const greedy *g, size_t a, size_t b)
{
    const point_set *p = &g->points;
    return sqrtf(
        g->kernels->distance_between[p->storage](point_row(p, a), point_row(p, b), p->columns));
}

/* Until it has seen every pick, or has fallen below the threshold. */
static void bring_up_to_date(const greedy *g, size_t row)
{
    float m = g->distances[row];
    uint32_t found[CHUNK * LANES];
    float limits[LANES];
    size_t at = g->seen[row] / LANES, end = (g->picked + LANES - 1) / LANES;
    while (at < end && m >= g->threshold && m > 0) {
        size_t count = end - at < CHUNK ? end - at : CHUNK;
        for (size_t l = 0; l < LANES; ++l)
            limits[l] = sketch_limit(g->slack, m);
        size_t near = g->kernels->near(found, g->pick_groups + at * SKETCH * LANES, count,
                                       g->sketches + row * SKETCH, limits, 0);
        for (size_t i = 0; i < near; ++i) {
            float d = distance(g, (size_t)g->picks[at * LANES + found[i]], row);
            m = d < m ? d : m;
        }
        at += count;
    }
    g->distances[row] = m;
    g->seen[row] = (uint32_t)(at == end || m == 0 ? g->picked : at * LANES);
}

static void update_piece(void *context, size_t begin, size_t end)
{
    greedy *g = context;
    for (size_t i = begin; i < end; ++i)
        bring_up_to_date(g, g->active[i]);
}

static void measure_group(greedy *g, size_t group)
{
    float top = -1;
    size_t end = (group + 1) * LANES < g->active_count ? (group + 1) * LANES : g->active_count;
    for (size_t i = group * LANES; i < end; ++i) {
        float m = g->distances[g->active[i]];
        bool live = m >= g->threshold;
        g->limits[i] = live && m > 0 ? sketch_limit(g->slack, m) : -1;
        if (live && m > top)
            top = m;
    }
    for (size_t i = end; i < (group + 1) * LANES; ++i)
        g->limits[i] = -1;
    g->tops[group] = top;
}

/* Keeps the active rows that still reach the threshold. */
static void gather(greedy *g)
{
    size_t held = 0;
    for (size_t i = 0; i < g->active_count; ++i)
        if (g->distances[g->active[i]] >= g->threshold)
            g->active[held++] = g->active[i];
    g->active_count = held;
    for (size_t i = 0; i < held; ++i)
        sketch_place(g->groups, i, g->sketches + (size_t)g->active[i] * SKETCH);
    for (size_t group = 0; group * LANES < held; ++group)
        measure_group(g, group);
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* The value that about `count` rows reach; exact quantiles are not needed. */
static float threshold_of(const greedy *g, size_t count)
{
    enum { SAMPLES = 8192 };
    float sample[SAMPLES];
    size_t stride = (g->points.count + SAMPLES - 1) / SAMPLES, held = 0;
    float top = 0;
    for (size_t i = 0; i < g->points.count; ++i)
        top = g->distances[i] > top ? g->distances[i] : top;
    for (size_t i = 0; i < g->points.count; i += stride)
        sample[held++] = g->distances[i];
    qsort(sample, held, sizeof *sample, compare_floats);
    size_t at = count / stride;
    float value = sample[at < held ? at : held - 1];
    return value < top ? value : top;
}

/* The first row with the largest distance, or false where none reaches the threshold. */
static bool find_top(const greedy *g, uint32_t *row)
{
    size_t groups = (g->active_count + LANES - 1) / LANES, best = 0;
    for (size_t group = 1; group < groups; ++group)
        if (g->tops[group] > g->tops[best])
            best = group;
    if (groups == 0 || g->tops[best] < g->threshold)
        return false;
    const uint32_t *first = g->active + best * LANES;
    while (g->distances[*first] != g->tops[best])
        ++first;
    *row = *first;
    return true;
}

/* Lowers the active rows to their distance from the pick; those that fall below the threshold have
 * seen the picks up to this one. */
static void pick_row(greedy *g, uint32_t row)
{
    const float *sketch = g->sketches + (size_t)row * SKETCH;
    sketch_place(g->pick_groups, g->picked, sketch);
    g->picks[g->picked++] = row;
    size_t groups = (g->active_count + LANES - 1) / LANES;
    size_t near = g->kernels->near(g->found, g->groups, groups, sketch, g->limits, LANES);
    for (size_t i = 0; i < near; ++i) {
        size_t other = g->active[g->found[i]];
        float d = distance(g, row, other);
        if (d >= g->distances[other])
            continue;
        g->distances[other] = d;
        measure_group(g, g->found[i] / LANES);
        if (d < g->threshold)
            g->seen[other] = (uint32_t)g->picked;
    }
}

static imiad_status pick_active(greedy *g, const progress *p)
{
    uint32_t row;
    while (g->picked < g->wanted && find_top(g, &row)) {
        if (g->distances[row] == 0) { /* all are: it stays the first maximum for ever */
            while (g->picked < g->wanted)
                g->picks[g->picked++] = row;
            break;
        }
        if (g->picked % PICKS_PER_REPORT == 0)
            TRY(progress_report(p, "coreset", (int64_t)g->picked, (int64_t)g->wanted));
        pick_row(g, row);
    }
    return IMIAD_OK;
}

static imiad_status run(greedy *g, const progress *p)
{
    while (g->picked < g->wanted) {
        g->threshold = threshold_of(g, g->points.count / 16 + 1024);
        g->active_count = 0;
        for (size_t i = 0; i < g->points.count; ++i)
            if (g->distances[i] >= g->threshold)
                g->active[g->active_count++] = (uint32_t)i;
        parallel_for(g->active_count, PIECE, update_piece, g);
        gather(g);
        TRY(pick_active(g, p));
        for (size_t i = 0; i < g->active_count; ++i)
            if (g->distances[g->active[i]] >= g->threshold)
                g->seen[g->active[i]] = (uint32_t)g->picked;
    }
    return IMIAD_OK;
}

/* ---- beginning and end ---- */

typedef struct sketch_job {
    greedy *g;
    const sketcher *sketcher;
    float *reach; /* per piece */
} sketch_job;

static void sketch_piece(void *context, size_t begin, size_t end)
{
    sketch_job *job = context;
    job->reach[begin / SKETCH_PIECE] =
        sketch_rows(job->g->sketches + begin * SKETCH, job->sketcher, job->g->points, begin,
                    end - begin, job->g->kernels);
}

static imiad_status make_sketches(greedy *g, float *reach)
{
    size_t pieces = (g->points.count - 1) / SKETCH_PIECE + 1;
    sketcher s;
    TRY(sketcher_create(&s, g->points, g->kernels));
    float *reaches = malloc(pieces * sizeof *reaches);
    if (!reaches) {
        sketcher_free(&s);
        return fail_memory("the sketches", pieces * sizeof *reaches);
    }
    sketch_job job = {g, &s, reaches};
    parallel_for(g->points.count, SKETCH_PIECE, sketch_piece, &job);
    *reach = 0;
    for (size_t i = 0; i < pieces; ++i)
        *reach = reaches[i] > *reach ? reaches[i] : *reach;
    free(reaches);
    sketcher_free(&s);
    return IMIAD_OK;
}

/* The next bytes of a block, or only their count where there is no block yet. */
static void *cut(char *block, size_t *at, size_t bytes)
{
    char *piece = block ? block + *at : NULL;
    *at += (bytes + 63) / 64 * 64;
    return piece;
}

static size_t lay_out(greedy *g, char *block)
{
    size_t n = g->points.count, groups = n / LANES + 1, pick_groups = g->wanted / LANES + 1, at = 0;
    g->sketches = cut(block, &at, n * SKETCH * sizeof(float));
    g->pick_groups = cut(block, &at, pick_groups * LANES * SKETCH * sizeof(float));
    g->groups = cut(block, &at, groups * LANES * SKETCH * sizeof(float));
    g->limits = cut(block, &at, groups * LANES * sizeof(float));
    g->tops = cut(block, &at, groups * sizeof(float));
    g->seen = cut(block, &at, n * sizeof(uint32_t));
    g->active = cut(block, &at, n * sizeof(uint32_t));
    g->found = cut(block, &at, groups * LANES * sizeof(uint32_t));
    return at;
}

uint64_t greedy_bytes(size_t count, size_t columns, size_t wanted)
{
    greedy g = {.points = {.count = count}, .wanted = wanted};
    return lay_out(&g, NULL) + sketcher_bytes(count, columns);
}

imiad_status greedy_select(int64_t *picks, size_t wanted, point_set points, float *distances,
                           const kernels *k, const progress *p)
{
    greedy g = {
        .points = points, .distances = distances, .picks = picks, .wanted = wanted, .kernels = k};
    if (points.count > UINT32_MAX)
        return greedy_plain(picks, wanted, points, distances, k, p);
    size_t bytes = lay_out(&g, NULL);
    char *block = pages_take(bytes);
    if (!block)
        return fail_memory("the coreset selection", bytes);
    lay_out(&g, block);
    float reach = 0;
    imiad_status status = make_sketches(&g, &reach);
    if (status == IMIAD_OK && reach < SKETCH_REACH) {
        for (size_t i = 0; i < (wanted / LANES + 1) * LANES * SKETCH; ++i)
            g.pick_groups[i] = INFINITY;
        g.slack = sketch_slack_of(points.columns, reach);
        status = run(&g, p);
    } else if (status == IMIAD_OK) {
        status = greedy_plain(picks, wanted, points, distances, k, p);
    }
    pages_free(block, bytes);
    return status;
}
