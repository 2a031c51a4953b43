#include "detectors/parts/episodes.h"

#include <stdlib.h>

#include "base/error.h"

typedef struct source {
    int32_t category;
    size_t place;
} source;

static int compare_sources(const void *left, const void *right)
{
    const source *a = left, *b = right;
    if (a->category != b->category)
        return a->category < b->category ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

/* Queries begin..begin+count-1 of the sources, of the category first..end-1. */
typedef struct chunk {
    size_t begin, count, first, end;
} chunk;

typedef struct chunk_list {
    size_t *places; /* sorted by category */
    chunk *chunks;
    size_t place_count, count;
} chunk_list;

static void chunks_free(chunk_list *list)
{
    free(list->places);
    free(list->chunks);
}

static void cut_category(chunk_list *out, size_t first, size_t end, size_t queries)
{
    for (size_t at = first; at < end; at += queries) {
        size_t left = end - at;
        out->chunks[out->count++] = (chunk){at, left < queries ? left : queries, first, end};
    }
}

static imiad_status list_chunks(chunk_list *out, const train_plan *plan, int64_t queries)
{
    *out = (chunk_list){malloc((plan->count + 1) * sizeof *out->places),
                        malloc((plan->count + 1) * sizeof *out->chunks), 0, 0};
    source *sources = malloc((plan->count + 1) * sizeof *sources);
    if (!out->places || !out->chunks || !sources) {
        chunks_free(out);
        free(sources);
        return fail_memory("a draw of images", plan->count * sizeof *sources);
    }
    size_t count = 0;
    for (size_t i = 0; i < plan->count; ++i) {
        train_image told = train_set_image(plan->set, plan->images[i]);
        if (told.role == ROLE_SOURCE)
            sources[count++] = (source){told.category, plan->images[i]};
    }
    qsort(sources, count, sizeof *sources, compare_sources);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first; end < count && sources[end].category == sources[first].category; ++end)
            out->places[end] = sources[end].place;
        cut_category(out, first, end, (size_t)queries);
    }
    out->place_count = count;
    free(sources);
    return IMIAD_OK;
}

/* Another image of the category; the same where it has one image alone. */
static size_t draw_support(const chunk_list *list, const chunk *c, size_t query,
                           random_stream *stream)
{
    size_t others = c->end - c->first - 1;
    if (others == 0)
        return list->places[query];
    size_t drawn = c->first + (size_t)random_below(stream, others);
    return list->places[drawn < query ? drawn : drawn + 1];
}

imiad_status episodes_plan(train_plan *plan, const episodes *shape)
{
    chunk_list list;
    TRY(list_chunks(&list, plan, shape->queries));
    plan->steps = (int64_t)list.count;
    plan->batch = shape->queries * (1 + shape->supports);
    chunks_free(&list);
    return IMIAD_OK;
}

imiad_status episodes_draw(const train_plan *plan, const episodes *shape, random_stream *stream,
                           size_t *out)
{
    size_t most = (size_t)shape->queries, k = (size_t)shape->supports;
    chunk_list list;
    TRY(list_chunks(&list, plan, (int64_t)most));
    size_t *order = malloc((list.count + 1) * sizeof *order);
    if (!order) {
        chunks_free(&list);
        return fail_memory("a draw of images", list.count * sizeof *order);
    }
    for (size_t i = 0; i < list.count; ++i) {
        const chunk *c = &list.chunks[i];
        order[i] = i;
        if (c->begin == c->first)
            random_shuffle(stream, list.places + c->first, c->end - c->first);
    }
    random_shuffle(stream, order, list.count);
    for (size_t i = 0; i < list.count; ++i, out += most * (1 + k)) {
        const chunk *c = &list.chunks[order[i]];
        for (size_t q = 0; q < most; ++q) {
            size_t query = c->begin + (q < c->count ? q : c->count - 1);
            out[q] = list.places[query];
            for (size_t j = 0; j < k; ++j)
                out[most + q * k + j] = draw_support(&list, c, query, stream);
        }
    }
    free(order);
    chunks_free(&list);
    return IMIAD_OK;
}

int64_t episode_queries(const size_t *images, int64_t most)
{
    int64_t count = 1;
    while (count < most && images[count] != images[count - 1])
        ++count;
    return count;
}
