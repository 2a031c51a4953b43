#include "detectors/training/feature_cache.h"

#include <stdlib.h>

#include "base/error.h"
#include "detectors/training/training.h"

struct feature_cache {
    imiad_detector *detector;
    feature_function compute;
    int count;
    int64_t images, group, room, filled;
    uint64_t bytes;
    /* [room, ...] each; of rank-4 features the channels last, as the network makes them */
    tensor *kept[FROZEN_TENSORS];
    bool planes[FROZEN_TENSORS];
};

imiad_status feature_cache_create(feature_cache **out, imiad_detector *self, feature_function f,
                                  int count, int64_t images, int64_t group, uint64_t bytes)
{
    feature_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return fail_memory("a feature cache", sizeof *cache);
    *cache = (feature_cache){.detector = self,
                             .compute = f,
                             .count = count,
                             .images = images,
                             .group = group < images ? group : images,
                             .room = bytes > 0 ? images : 0,
                             .bytes = bytes};
    *out = cache;
    return IMIAD_OK;
}

void feature_cache_free(feature_cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < cache->count; ++i)
        t_free(cache->kept[i]);
    free(cache);
}

int64_t feature_cache_room(const feature_cache *cache)
{
    return cache->room;
}

bool feature_cache_complete(const feature_cache *cache)
{
    return cache->filled == cache->images;
}

/* ---- computing ---- */

static tensor *indices(const int64_t *values, int64_t count, device d)
{
    return t_to_device(t_from(values, 1, &count, I64, CPU), d);
}

/* One group, filled up with copies of its first image. */
static void compute_group(const feature_cache *cache, const batch *b, int64_t begin, int64_t end,
                          tensor **out)
{
    int64_t rows[MOST_BATCH];
    for (int64_t i = 0; i < cache->group; ++i)
        rows[i] = begin + i < end ? begin + i : begin;
    tensor *index = indices(rows, cache->group, t_device(b->images));
    batch group = {.images = t_index_select(b->images, 0, index),
                   .count = cache->group,
                   .height = b->height,
                   .width = b->width};
    cache->compute(cache->detector, &group, out);
    for (int i = 0; i < cache->count && end - begin < cache->group; ++i)
        out[i] = t_slice(out[i], 0, 0, end - begin);
}

static void compute(const feature_cache *cache, const batch *b, tensor **out)
{
    enum { MOST_GROUPS = MOST_BATCH };
    tensor *parts[FROZEN_TENSORS][MOST_GROUPS], *group[FROZEN_TENSORS];
    int groups = 0;
    for (int64_t begin = 0; begin < b->count && !t_failed(); begin += cache->group, ++groups) {
        int64_t end = begin + cache->group < b->count ? begin + cache->group : b->count;
        compute_group(cache, b, begin, end, group);
        for (int i = 0; i < cache->count; ++i)
            parts[i][groups] = group[i];
    }
    for (int i = 0; i < cache->count; ++i)
        out[i] = groups == 1 ? parts[i][0] : t_cat(parts[i], groups, 0);
}

/* ---- keeping ---- */

static tensor *channels_to_last(tensor *t)
{
    return t_permute(t, 4, (int[]){0, 2, 3, 1});
}

static tensor *channels_to_second(tensor *t)
{
    return t_permute(t, 4, (int[]){0, 3, 1, 2});
}

/* What the first features of a batch say about the size of all. */
static void make_room(feature_cache *cache, tensor *const *features, int64_t count)
{
    uint64_t each = 0;
    for (int i = 0; i < cache->count; ++i)
        each += (uint64_t)(t_count(features[i]) / count) * dtype_bytes(t_type(features[i]));
    if (t_failed())
        return;
    uint64_t most = each ? cache->bytes / each : 0;
    cache->room = most < (uint64_t)cache->images ? (int64_t)most : cache->images;
    for (int i = 0; i < cache->count && cache->room > 0; ++i) {
        int64_t shape[8];
        int rank = t_rank(features[i]);
        cache->planes[i] = rank == 4;
        tensor *stored = cache->planes[i] ? channels_to_last(features[i]) : features[i];
        for (int d = 0; d < rank; ++d)
            shape[d] = t_size(stored, d);
        shape[0] = cache->room;
        tensor *kept = t_zeros(rank, shape, t_type(stored), t_device(stored));
        if (t_failed())
            return;
        cache->kept[i] = t_keep(kept);
    }
}

void feature_cache_add(feature_cache *cache, const batch *b)
{
    tensor *features[FROZEN_TENSORS] = {NULL};
    compute(cache, b, features);
    if (t_failed())
        return;
    if (cache->filled == 0)
        make_room(cache, features, b->count);
    int64_t left = cache->room - cache->filled, added = b->count < left ? b->count : left;
    for (int i = 0; i < cache->count && added > 0; ++i) {
        tensor *rows = t_slice(features[i], 0, 0, added);
        t_copy_(t_slice(cache->kept[i], 0, cache->filled, cache->filled + added),
                cache->planes[i] ? channels_to_last(rows) : rows);
    }
    if (!t_failed())
        cache->filled += added;
}

/* ---- giving ---- */

/* The kept rows of tensor i, then the computed ones, in the order of `place`. */
static tensor *gather(const feature_cache *cache, int i, const int64_t *rows, int64_t count,
                      tensor *computed, const int64_t *place)
{
    device d = t_device(cache->kept[i]);
    tensor *all = t_index_select(cache->kept[i], 0, indices(rows, count, d));
    if (computed) {
        int64_t total = count + t_size(computed, 0);
        tensor *rest = cache->planes[i] ? channels_to_last(computed) : computed;
        all = t_cat((tensor *[]){all, rest}, 2, 0);
        all = t_index_select(all, 0, indices(place, total, d));
    }
    return cache->planes[i] ? channels_to_second(all) : all;
}

void feature_cache_get(feature_cache *cache, const size_t *images, const batch *b, tensor **out)
{
    int64_t kept[MOST_BATCH], missing[MOST_BATCH], place[MOST_BATCH], keeps = 0, misses = 0;
    tensor *computed[FROZEN_TENSORS] = {NULL};
    for (int64_t i = 0; i < b->count; ++i) {
        if ((int64_t)images[i] < cache->filled)
            kept[keeps++] = (int64_t)images[i];
        else
            missing[misses++] = i;
    }
    if (keeps == 0) {
        compute(cache, b, out);
        return;
    }
    if (misses > 0) {
        tensor *index = indices(missing, misses, t_device(b->images));
        batch rest = {.images = t_index_select(b->images, 0, index),
                      .count = misses,
                      .height = b->height,
                      .width = b->width};
        compute(cache, &rest, computed);
    }
    for (int64_t i = 0, k = 0, m = keeps; i < b->count; ++i)
        place[i] = (int64_t)images[i] < cache->filled ? k++ : m++;
    for (int i = 0; i < cache->count; ++i)
        out[i] = gather(cache, i, kept, keeps, computed[i], place);
}
