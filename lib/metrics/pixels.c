#include "metrics/pixels.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/threads.h"

enum { LANE_PIXELS = 1 << 17, GROUPS_AT_ONCE = 512 };

imiad_status pixel_store_create(pixel_store **out)
{
    pixel_store *store = calloc(1, sizeof *store);
    if (!store)
        return fail_memory("pixel metrics", sizeof *store);
    imiad_status status = score_set_create(&store->normals);
    store->defects = calloc(1, sizeof *store->defects);
    if (status == IMIAD_OK && !store->defects)
        status = fail_memory("the scores of defective pixels", sizeof *store->defects);
    if (status != IMIAD_OK) {
        pixel_store_free(store);
        return status;
    }
    *out = store;
    return IMIAD_OK;
}

void pixel_store_free(pixel_store *store)
{
    if (!store)
        return;
    score_set_free(store->normals);
    if (store->defects)
        defect_set_free(store->defects);
    free(store->defects);
    free(store->areas);
    free(store->saturations);
    regions_free(&store->mask);
    free(store);
}

uint64_t pixel_store_normals(const pixel_store *store)
{
    return score_set_total(store->normals) + (store->shared ? score_set_total(store->shared) : 0);
}

size_t lanes_for(uint64_t pixels)
{
    uint64_t lanes = pixels / LANE_PIXELS, most = (uint64_t)imiad_threads();
    lanes = lanes < most ? lanes : most;
    return lanes < 1 ? 1 : lanes > MOST_LANES ? MOST_LANES : (size_t)lanes;
}

/* A page with defective pixels, and what lies below it. */
typedef struct page_span {
    uint32_t page;
    uint64_t positives_below, negatives_below;
} page_span;

typedef struct sweep_work {
    pixel_store *store;
    page_span *spans;
    size_t span_count, lanes;
    group_visitor *visit;
    void *context;
    bool good[MOST_LANES];
} sweep_work;

/* Walks over the same page of a store's own normals and of the shared ones. */
typedef struct normal_walks {
    page_walk own, shared;
} normal_walks;

static bool walks_begin(normal_walks *walks, pixel_store *store, uint32_t page)
{
    return page_walk_begin(&walks->own, store->normals, page) &&
           (!store->shared || page_walk_begin(&walks->shared, store->shared, page));
}

static uint64_t walks_to(uint64_t *below, normal_walks *walks, const pixel_store *store,
                         uint32_t key)
{
    uint64_t at = page_walk_to(below, &walks->own, key);
    if (store->shared) {
        uint64_t more_below;
        at += page_walk_to(&more_below, &walks->shared, key);
        *below += more_below;
    }
    return at;
}

static void sweep_span(const sweep_work *work, size_t lane, const page_span *span,
                       normal_walks *walks)
{
    const defect_page *page = &work->store->defects->pages[span->page];
    tie_group groups[GROUPS_AT_ONCE];
    size_t count = 0, seen = 0;
    for (size_t i = 0, next; i < page->count; i = next) {
        uint32_t key = defect_key(page->defects[i]);
        for (next = i + 1; next < page->count && defect_key(page->defects[next]) == key; ++next)
            ;
        uint64_t below, at = walks_to(&below, walks, work->store, key & (PAGE_KEYS - 1));
        groups[count++] = (tie_group){.score = key_score(key),
                                      .positives = next - i,
                                      .negatives = at,
                                      .positives_below = span->positives_below + i,
                                      .negatives_below = span->negatives_below + below};
        if (count == GROUPS_AT_ONCE || next == page->count) {
            work->visit(work->context, lane, groups, count, page->defects + seen);
            count = 0;
            seen = next;
        }
    }
}

/* The first span of a lane, so that all have as much to do: beginning a page takes about as long as
 * PAGE_COST of its defective pixels do (6.5 us and 15 ns in a profile of bench-metrics). */
static size_t first_span(const sweep_work *work, size_t lane)
{
    enum { PAGE_COST = 400 };
    const uint64_t all = work->store->defect_count + PAGE_COST * work->span_count;
    size_t low = 0, high = work->span_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (work->spans[middle].positives_below + PAGE_COST * middle < all / work->lanes * lane)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void sweep_lanes(void *context, size_t begin, size_t end)
{
    sweep_work *work = context;
    for (size_t lane = begin; lane < end; ++lane) {
        normal_walks walks = {0};
        spare_room spare = {0};
        bool good = true;
        size_t first = first_span(work, lane);
        size_t last = lane + 1 < work->lanes ? first_span(work, lane + 1) : work->span_count;
        for (size_t i = first; i < last && good; ++i) {
            const page_span *span = &work->spans[i];
            good = defect_page_sort(&work->store->defects->pages[span->page], &spare) &&
                   walks_begin(&walks, work->store, span->page);
            if (good)
                sweep_span(work, lane, span, &walks);
        }
        page_walk_free(&walks.own);
        page_walk_free(&walks.shared);
        free(spare.items);
        work->good[lane] = good;
    }
}

static size_t find_spans(page_span *spans, const pixel_store *store)
{
    const defect_set *defects = store->defects;
    size_t count = 0;
    uint64_t positives = 0, negatives = 0;
    for (uint32_t word = 0, page; word < PAGE_COUNT / 64; ++word) {
        uint64_t used = defects->used.words[word] | score_set_used(store->normals, word) |
                        (store->shared ? score_set_used(store->shared, word) : 0);
        while (take_page(&page, &used, word)) {
            if (defects->pages[page].count > 0)
                spans[count++] = (page_span){page, positives, negatives};
            positives += defects->pages[page].count;
            negatives += score_set_page_total(store->normals, page) +
                         (store->shared ? score_set_page_total(store->shared, page) : 0);
        }
    }
    return count;
}

imiad_status pixel_store_sweep(pixel_store *store, size_t lanes, group_visitor *visit,
                               void *context)
{
    if (store->incomplete)
        return fail(IMIAD_NO_MEMORY, "pixel metrics lack a map: memory ran out while it was added");
    page_span *spans = malloc(PAGE_COUNT * sizeof *spans);
    if (!spans)
        return fail_memory("the pages of scores", PAGE_COUNT * sizeof *spans);
    sweep_work work = {store, spans, find_spans(spans, store), lanes, visit, context, {0}};
    parallel_for(lanes, 1, sweep_lanes, &work);
    free(spans);
    for (size_t i = 0; i < lanes; ++i)
        if (!work.good[i])
            return fail_memory("a page of scores", PAGE_KEYS);
    return IMIAD_OK;
}

/* Sums of precisions are made page by page and added in the order of pages, so that the result does
 * not depend on the number of threads. */
typedef struct rank_work {
    ranking lanes[MOST_LANES];
    double precisions[PAGE_COUNT];
} rank_work;

static void rank_groups(void *context, size_t lane, const tie_group *groups, size_t count,
                        const uint64_t *defects)
{
    rank_work *work = context;
    work->lanes[lane].precisions = work->precisions[defects[0] >> 48];
    ranking_add(&work->lanes[lane], groups, count);
    work->precisions[defects[0] >> 48] = work->lanes[lane].precisions;
}

imiad_status pixel_store_rank(ranking *out, pixel_store *store)
{
    size_t lanes = lanes_for(store->defect_count);
    rank_work *work = calloc(1, sizeof *work);
    if (!work)
        return fail_memory("the pages of a ranking", sizeof *work);
    for (size_t i = 0; i < lanes; ++i)
        work->lanes[i] = ranking_begin(store->defect_count, score_set_total(store->normals));
    imiad_status status = pixel_store_sweep(store, lanes, rank_groups, work);
    if (status == IMIAD_OK) {
        *out = work->lanes[0];
        for (size_t i = 1; i < lanes; ++i)
            ranking_join(out, &work->lanes[i]);
        out->precisions = 0;
        for (uint32_t word = 0, page; word < PAGE_COUNT / 64; ++word)
            for (uint64_t bits = store->defects->used.words[word]; take_page(&page, &bits, word);)
                out->precisions += work->precisions[page];
    }
    free(work);
    return status;
}
