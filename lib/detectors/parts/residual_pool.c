#include "detectors/parts/residual_pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/foreign_search.h"

enum { REPORTED = 8 /* items from one report of progress to the next */ };

imiad_status residual_pool_create(residual_pool *out, const pool_shape *shape)
{
    residual_pool p = {.positions = shape->positions,
                       .dimension = shape->dimension,
                       .neighbours = shape->neighbours,
                       .room = shape->items};
    size_t places = (size_t)(shape->items * shape->positions);
    uint64_t width = shape->storage == IMIAD_STORAGE_FLOAT32 ? 4 : 2;
    uint64_t bytes = (uint64_t)places * (uint64_t)shape->dimension * width;
    if (shape->bytes && bytes > shape->bytes)
        return fail(IMIAD_OVER_BUDGET,
                    "the patches of %lld training images, those that are made among them, take "
                    "%llu bytes, and feature_cache allows %llu: raise it, or make fewer "
                    "(synthetic, variants), or smaller ones (resize, target_embed_dimension)",
                    (long long)shape->items, (unsigned long long)bytes,
                    (unsigned long long)shape->bytes);
    TRY(imiad_bank_create_stored(&p.patches, shape->dimension, shape->storage, 0));
    p.items = malloc((size_t)shape->items * sizeof *p.items);
    p.labels = malloc(places * sizeof *p.labels);
    p.nearest = malloc(places * (size_t)shape->neighbours * sizeof *p.nearest);
    if (!p.items || !p.labels || !p.nearest) {
        residual_pool_free(&p);
        return fail_memory("training patches", places * (size_t)shape->neighbours * 8);
    }
    *out = p;
    return IMIAD_OK;
}

void residual_pool_free(residual_pool *p)
{
    imiad_bank_free(p->patches);
    free(p->items);
    free(p->labels);
    free(p->nearest);
    *p = (residual_pool){.count = 0};
}

imiad_status residual_pool_add(residual_pool *p, const pool_item *item, const float *rows,
                               const int8_t *labels)
{
    if (p->count == p->room)
        return fail(IMIAD_INTERNAL, "more than %lld training items", (long long)p->room);
    TRY(imiad_bank_add(p->patches, rows, p->positions));
    p->items[p->count] = *item;
    memcpy(p->labels + p->count * p->positions, labels, (size_t)p->positions);
    p->count++;
    return IMIAD_OK;
}

imiad_status residual_pool_match(residual_pool *p, int64_t *own, const imiad_bank *bank, device d,
                                 const progress *report)
{
    size_t bytes = (size_t)(p->positions * p->dimension) * sizeof(float);
    float *rows = malloc(bytes);
    imiad_status status = rows ? IMIAD_OK : fail_memory("an image's patches", bytes);
    *own = 0;
    for (int64_t i = 0; i < p->count && status == IMIAD_OK; ++i) {
        int64_t source = p->items[i].source;
        if (source != IMIAD_NO_SOURCE && foreign_rows(bank, source) < p->neighbours) {
            source = IMIAD_NO_SOURCE;
            ++*own;
        }
        status = imiad_bank_read(rows, p->patches, i * p->positions, p->positions);
        if (status == IMIAD_OK)
            status = foreign_search(p->nearest + i * p->positions * p->neighbours, bank, d, rows,
                                    p->positions, p->neighbours, source);
        if (status == IMIAD_OK && ((i + 1) % REPORTED == 0 || i + 1 == p->count))
            status = progress_report(report, "match", i + 1, p->count);
    }
    free(rows);
    return status;
}

/* ---- drawing ---- */

int64_t residual_pool_count(const residual_pool *p, pool_kind kind)
{
    int64_t count = 0;
    for (int64_t i = 0; i < p->count; ++i)
        count += p->items[i].kind == kind;
    return count;
}

static int64_t at_least_one(int64_t share, int64_t batch)
{
    return share == 0 && batch > 1 ? 1 : share;
}

void residual_pool_shares(int64_t out[POOL_KINDS], const residual_pool *p, int64_t batch)
{
    bool labelled = residual_pool_count(p, POOL_LABELLED), made = residual_pool_count(p, POOL_MADE);
    out[POOL_LABELLED] = labelled ? at_least_one(batch / 4, batch) : 0;
    int64_t left = batch - out[POOL_LABELLED];
    out[POOL_MADE] = made ? at_least_one(left / 2, left) : 0;
    out[POOL_GOOD] = left - out[POOL_MADE];
}

imiad_status residual_pool_draw(int64_t *out, const residual_pool *p,
                                const int64_t shares[POOL_KINDS], int64_t steps,
                                random_stream *stream)
{
    size_t *rows = malloc(((size_t)p->count + 1) * sizeof *rows), count = 0;
    int64_t batch = shares[POOL_GOOD] + shares[POOL_MADE] + shares[POOL_LABELLED], before = 0;
    if (!rows)
        return fail_memory("a draw of images", (size_t)p->count * sizeof *rows);
    for (int kind = 0; kind < POOL_KINDS; before += shares[kind++]) {
        size_t next = count = 0;
        for (int64_t i = 0; i < p->count; ++i)
            if (p->items[i].kind == (pool_kind)kind)
                rows[count++] = (size_t)i;
        for (int64_t n = 0; n < steps * shares[kind]; ++n, next = (next + 1) % count) {
            if (next == 0)
                random_shuffle(stream, rows, count);
            int64_t step = n / shares[kind];
            out[step * batch + before + n % shares[kind]] = (int64_t)rows[next];
        }
    }
    free(rows);
    return IMIAD_OK;
}

/* ---- windows ---- */

/* Which neighbour each token of an item takes. */
static void choose_neighbours(uint8_t *out, const residual_pool *p, const double *chances,
                              random_stream *stream)
{
    double sum = 0;
    for (int32_t k = 0; k < p->neighbours; ++k)
        sum += chances[k];
    for (int64_t i = 0; i < p->positions; ++i) {
        double drawn = sum * random_real(stream);
        int32_t k = 0;
        while (k + 1 < p->neighbours && drawn >= chances[k])
            drawn -= chances[k++];
        out[i] = (uint8_t)k;
    }
}

/* The squared differences of a patch and one of its nearest rows; `row` is room for one. */
static imiad_status find_residual(float *out, const residual_pool *p, const imiad_bank *bank,
                                  int64_t place, int32_t neighbour, float *row)
{
    TRY(imiad_bank_read(out, p->patches, place, 1));
    TRY(imiad_bank_read(row, bank, p->nearest[place * p->neighbours + neighbour], 1));
    for (int64_t c = 0; c < p->dimension; ++c) {
        float difference = row[c] - out[c];
        out[c] = difference * difference;
    }
    return IMIAD_OK;
}

/* Memory of a choice. */
typedef struct choosing {
    size_t *chosen;  /* windows of all items, shuffled */
    uint8_t *nearby; /* items x copies x positions */
    float *row;
} choosing;

static bool open_choosing(choosing *c, const residual_pool *p, const window_choice *choice,
                          random_stream *stream)
{
    size_t all = (size_t)(choice->count * token_windows_count(choice->windows));
    size_t forms = (size_t)(choice->count * choice->copies), tokens = (size_t)p->positions;
    c->chosen = malloc(all * sizeof *c->chosen);
    c->nearby = malloc(forms * tokens);
    c->row = malloc((size_t)p->dimension * sizeof *c->row);
    if (!c->chosen || !c->nearby || !c->row)
        return false;
    for (size_t i = 0; i < all; ++i)
        c->chosen[i] = i;
    random_shuffle(stream, c->chosen, all);
    for (size_t i = 0; i < forms; ++i)
        choose_neighbours(c->nearby + i * tokens, p, choice->chances, stream);
    return true;
}

/* One copy of a window: its residuals and labels. */
static imiad_status fill_window(float *tokens, int8_t *labels, const residual_pool *p,
                                const imiad_bank *bank, const window_choice *choice,
                                const choosing *c, size_t window, int64_t copy)
{
    int64_t windows = token_windows_count(choice->windows), at = (int64_t)window / windows;
    int64_t places = token_windows_places(choice->windows);
    const uint8_t *nearby = c->nearby + (at * choice->copies + copy) * p->positions;
    for (int64_t i = 0; i < places; ++i) {
        int64_t token = token_windows_token(choice->windows, (int64_t)window % windows, i);
        int64_t place = choice->items[at] * p->positions + token;
        labels[i] = p->labels[place];
        TRY(find_residual(tokens + i * p->dimension, p, bank, place, nearby[token], c->row));
    }
    return IMIAD_OK;
}

pool_windows residual_pool_windows(const residual_pool *p, const imiad_bank *bank,
                                   const window_choice *choice, random_stream *stream)
{
    int64_t all = choice->count * token_windows_count(choice->windows);
    int64_t chosen = (int64_t)((double)all * choice->share), copies = choice->copies;
    int64_t places = token_windows_places(choice->windows), size = places * p->dimension;
    choosing c = {NULL, NULL, NULL};
    chosen = chosen > 0 ? chosen : 1;
    pool_windows out = {.count = chosen * copies};
    out.labels = malloc((size_t)(out.count * places));
    out.tokens = t_zeros(3, (int64_t[]){out.count, places, p->dimension}, F32, CPU);
    float *tokens = t_data(out.tokens);
    if (!out.labels || !open_choosing(&c, p, choice, stream))
        t_fail(IMIAD_NO_MEMORY, "out of memory for %lld windows", (long long)out.count);
    for (int64_t i = 0; i < out.count && !t_failed(); ++i)
        t_try(fill_window(tokens + i * size, out.labels + i * places, p, bank, choice, &c,
                          c.chosen[i / copies], i % copies));
    free(c.chosen);
    free(c.nearby);
    free(c.row);
    return out;
}
