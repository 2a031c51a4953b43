/* Windows by sketches: a row is passed over only where its sketch proves that it is no nearer than
 * what was found. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bank/window.h"
#include "base/error.h"
#include "base/threads.h"

enum { PIECE = 256, FEWEST_ROWS = 64, FEWEST_COLUMNS = 32 };

/* ---- making ---- */

typedef struct sketch_job {
    window_sketches *sketches;
    const imiad_bank *bank;
    const bank_windows *windows;
    float *reach; /* per piece */
} sketch_job;

static void sketch_piece(void *context, size_t begin, size_t end)
{
    const sketch_job *job = context;
    float sketch[SKETCH], reach = 0;
    for (size_t i = begin; i < end; ++i) {
        float far = sketch_rows(sketch, &job->sketches->sketcher, bank_points(job->bank),
                                (size_t)job->windows->rows[i], 1, kernels_best());
        reach = far > reach ? far : reach;
        sketch_place(job->sketches->groups, i, sketch);
    }
    job->reach[begin / PIECE] = reach;
}

static bool fill(window_sketches *s, const imiad_bank *bank, const bank_windows *w)
{
    size_t rows = (size_t)bank->rows, pieces = (rows + PIECE - 1) / PIECE;
    float *reach = malloc(pieces * sizeof *reach);
    if (!reach)
        return false;
    for (size_t i = 0; i < s->bytes / sizeof *s->groups; ++i)
        s->groups[i] = INFINITY;
    sketch_job job = {s, bank, w, reach};
    parallel_for(rows, PIECE, sketch_piece, &job);
    for (size_t i = 0; i < pieces; ++i)
        s->reach = reach[i] > s->reach ? reach[i] : s->reach;
    free(reach);
    return s->reach < SKETCH_REACH;
}

void window_sketches_create(window_sketches **out, const imiad_bank *bank, const bank_windows *w)
{
    size_t groups = ((size_t)bank->rows + LANES - 1) / LANES,
           bytes = groups * LANES * SKETCH * sizeof(float);
    *out = NULL;
    if (bank->rows < FEWEST_ROWS || bank->dimension < FEWEST_COLUMNS ||
        (bank->budget != 0 && bank_bytes(bank) + bytes > bank->budget))
        return;
    window_sketches *s = calloc(1, sizeof *s);
    float *values = pages_take(bytes);
    if (!s || !values ||
        sketcher_create(&s->sketcher, bank_points(bank), kernels_best()) != IMIAD_OK) {
        pages_free(values, bytes);
        free(s);
        return;
    }
    s->groups = values;
    s->bytes = bytes;
    if (fill(s, bank, w))
        *out = s;
    else
        window_sketches_free(s);
}

void window_sketches_free(window_sketches *s)
{
    if (!s)
        return;
    sketcher_free(&s->sketcher);
    pages_free(s->groups, s->bytes);
    free(s);
}

/* ---- searching ---- */

enum { GROUPS = 8 /* between two looks at what was found */ };

typedef struct sketched {
    const window_search *how;
    const float *query;
    int64_t image;
    nearest *found;
    sketch_slack slack;
    float sketch[SKETCH], limits[LANES];
} sketched;

/* Rows come in no order: one that is as far as the k-th may stand before it. Two steps up, as roots
 * of neighbouring numbers are one. */
static void set_limit(sketched *s)
{
    float most = nearest_limit(s->found);
    float root = nextafterf(nextafterf(sqrtf(most), INFINITY), INFINITY);
    float limit = sketch_limit(s->slack, root);
    for (size_t l = 0; l < LANES; ++l)
        s->limits[l] = limit;
}

static void offer_row(sketched *s, int64_t row)
{
    float before = nearest_limit(s->found);
    if (!window_wants(s->how, s->image, row))
        return;
    offer(s->found, window_measure(s->how, s->query, row), row);
    if (nearest_limit(s->found) < before)
        set_limit(s);
}

/* Of the rows begin..end - 1 in the order of places. */
static void search_run(sketched *s, int64_t begin, int64_t end)
{
    const float *groups = s->how->sketches->groups;
    uint32_t near[GROUPS * LANES];
    for (int64_t g = begin / LANES; g * LANES < end; g += GROUPS) {
        int64_t left = (end + LANES - 1) / LANES - g, count = left < GROUPS ? left : GROUPS;
        size_t held = kernels_best()->near(near, groups + g * LANES * SKETCH, (size_t)count,
                                           s->sketch, s->limits, 0);
        for (size_t i = 0; i < held; ++i) {
            int64_t at = g * LANES + near[i];
            if (at >= begin && at < end)
                offer_row(s, s->how->windows->rows[at]);
        }
    }
}

/* The row whose sketch is nearest among some: a first bound. */
static void offer_likely(sketched *s, int64_t begin, int64_t end)
{
    float apart[LANES], least = INFINITY;
    int64_t likely = -1;
    for (int64_t g = begin / LANES; g * LANES < end; ++g) {
        kernels_best()->apart(apart, s->how->sketches->groups + g * LANES * SKETCH, 1, s->sketch);
        for (int64_t at = g * LANES; at < (g + 1) * LANES; ++at)
            if (at >= begin && at < end && apart[at % LANES] < least &&
                window_wants(s->how, s->image, s->how->windows->rows[at])) {
                least = apart[at % LANES];
                likely = s->how->windows->rows[at];
            }
    }
    if (likely >= 0)
        offer_row(s, likely);
}

bool window_search_sketched(nearest *found, const window_search *how, const float *query,
                            int64_t image, int64_t place)
{
    const bank_windows *w = how->windows;
    const window_sketches *of = how->sketches;
    if (!of)
        return false;
    sketched s = {.how = how, .query = query, .image = image, .found = found};
    const point_set alone = {query, 1, (size_t)how->bank->dimension, IMIAD_STORAGE_FLOAT32};
    float reach = sketch_rows(s.sketch, &of->sketcher, alone, 0, 1, kernels_best());
    if (!(reach < SKETCH_REACH))
        return false;
    s.slack = sketch_slack_of(alone.columns, reach > of->reach ? reach : of->reach);
    set_limit(&s);
    const window in = window_of(how, place, found->k);
    if (found->k == 1) /* it is met again, and is then no nearer than itself */
        offer_likely(&s, w->first[place], w->first[place + 1]);
    for (int64_t i = in.top; i < in.bottom; ++i) {
        int64_t y = place / w->width + i - in.top; /* from the query's own line on */
        y = y < in.bottom ? y : y - (in.bottom - in.top);
        search_run(&s, w->first[y * w->width + in.left], w->first[y * w->width + in.right]);
    }
    return true;
}
