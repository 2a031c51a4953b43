/* Windows by an index: a row is passed over only where its sketch, or then its code, proves that it
 * is farther than what was found. */
#include <math.h>
#include <stdlib.h>

#include "bank/index.h"
#include "bank/window.h"

/* ---- making ---- */

/* The index has them in the order of rows. */
static void sort_sketches(float *groups, const bank_index *index, const bank_windows *w,
                          int64_t rows)
{
    for (int64_t i = 0; i < rows; ++i) {
        float sketch[SKETCH];
        const size_t row = (size_t)w->rows[i];
        const float *lane = index->groups + row / LANES * (SKETCH * LANES) + row % LANES;
        for (size_t c = 0; c < SKETCH; ++c)
            sketch[c] = lane[c * LANES];
        sketch_place(groups, (size_t)i, sketch);
    }
}

void window_sketches_create(window_sketches **out, const imiad_bank *bank, const bank_windows *w)
{
    size_t groups = ((size_t)bank->rows + LANES - 1) / LANES,
           bytes = groups * LANES * SKETCH * sizeof(float);
    bank_index *index = NULL;
    *out = NULL;
    if (bank->budget != 0 &&
        bank_bytes(bank) + index_bytes(bank->rows, bank->dimension) + bytes > bank->budget)
        return;
    if (index_create(&index, bank, kernels_best()) != IMIAD_OK || !index)
        return;
    window_sketches *s = malloc(sizeof *s);
    float *values = pages_take(bytes);
    if (!s || !values) {
        pages_free(values, bytes);
        index_free(index);
        free(s);
        return;
    }
    for (size_t i = 0; i < groups * LANES * SKETCH; ++i)
        values[i] = INFINITY;
    sort_sketches(values, index, w, bank->rows);
    *s = (window_sketches){index, values, bytes};
    *out = s;
}

void window_sketches_free(window_sketches *s)
{
    if (!s)
        return;
    index_free(s->index);
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
    index_probe probe;
    const int8_t *code;
    float limits[LANES]; /* the probe's */
} sketched;

/* Rows come in no order: one that is as far as the k-th may stand before it. */
static void set_limit(sketched *s)
{
    index_probe_limit(&s->probe, nearest_limit(s->found));
    for (size_t l = 0; l < LANES; ++l)
        s->limits[l] = s->probe.limit;
}

static void offer_row(sketched *s, int64_t row)
{
    float before = nearest_limit(s->found);
    offer(s->found, window_measure(s->how, s->query, row), row);
    if (nearest_limit(s->found) < before)
        set_limit(s);
}

/* CODES rows at once; the last ones may be the same. */
static void offer_near(sketched *s, const int64_t *rows, size_t count)
{
    const bank_index *index = s->how->sketches->index;
    for (size_t i = 0; i < count; i += CODES) {
        const uint8_t *codes[CODES];
        int32_t products[CODES];
        for (size_t r = 0; r < CODES; ++r)
            codes[r] = index->codes + (size_t)rows[i + r < count ? i + r : i] * index->stride;
        kernels_best()->code_products(products, s->code, codes, index->stride);
        for (size_t r = 0; r < CODES && i + r < count; ++r) {
            size_t row = (size_t)rows[i + r];
            double apart = index_apart(&s->probe, index, row, products[r]);
            if (!index_row_is_far(&s->probe, index, row, apart))
                offer_row(s, rows[i + r]);
        }
    }
}

/* Of the rows begin..end - 1 in the order of places. */
static void search_run(sketched *s, int64_t begin, int64_t end)
{
    const float *groups = s->how->sketches->groups;
    uint32_t near[GROUPS * LANES];
    int64_t rows[GROUPS * LANES];
    for (int64_t g = begin / LANES; g * LANES < end; g += GROUPS) {
        int64_t left = (end + LANES - 1) / LANES - g, count = left < GROUPS ? left : GROUPS;
        size_t held = 0, all = kernels_best()->near(near, groups + g * LANES * SKETCH,
                                                    (size_t)count, s->probe.sketch, s->limits, 0);
        for (size_t i = 0; i < all; ++i) {
            int64_t at = g * LANES + near[i];
            if (at >= begin && at < end &&
                window_wants(s->how, s->image, s->how->windows->rows[at]))
                rows[held++] = s->how->windows->rows[at];
        }
        offer_near(s, rows, held);
    }
}

/* The row whose sketch is nearest among some: a first bound. */
static void offer_likely(sketched *s, int64_t begin, int64_t end)
{
    float apart[LANES], least = INFINITY;
    int64_t likely = -1;
    for (int64_t g = begin / LANES; g * LANES < end; ++g) {
        kernels_best()->apart(apart, s->how->sketches->groups + g * LANES * SKETCH, 1,
                              s->probe.sketch);
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

static void search_window(sketched *s, int64_t place)
{
    const bank_windows *w = s->how->windows;
    const window in = window_of(s->how, place, s->found->k);
    set_limit(s);
    if (s->found->k == 1) /* it is met again, and is then no nearer than itself */
        offer_likely(s, w->first[place], w->first[place + 1]);
    for (int64_t i = in.top; i < in.bottom; ++i) {
        int64_t y = place / w->width + i - in.top; /* from the query's own line on */
        y = y < in.bottom ? y : y - (in.bottom - in.top);
        search_run(s, w->first[y * w->width + in.left], w->first[y * w->width + in.right]);
    }
}

bool window_search_sketched(nearest *found, const window_search *how, const float *query,
                            int64_t image, int64_t place)
{
    if (!how->sketches)
        return false;
    const bank_index *index = how->sketches->index;
    size_t columns = (size_t)how->bank->dimension;
    sketched s = {.how = how, .query = query, .image = image, .found = found};
    float *scratch = malloc(columns * sizeof *scratch + index->stride);
    if (!scratch)
        return false;
    int8_t *code = (int8_t *)(scratch + columns);
    if (!index_probe_make(&s.probe, code, scratch, index, query, kernels_best())) {
        free(scratch);
        return false;
    }
    s.code = code;
    search_window(&s, place);
    free(scratch);
    return true;
}
