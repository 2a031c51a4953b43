#include "metrics/pixels.h"

#include <stdlib.h>

#include "base/error.h"

imiad_status pixel_store_create(pixel_store **out)
{
    pixel_store *store = calloc(1, sizeof *store);
    if (!store)
        return fail_memory("pixel metrics", sizeof *store);
    imiad_status status = score_set_create(&store->normals);
    if (status != IMIAD_OK) {
        free(store);
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
    free(store->defects);
    free(store->areas);
    regions_free(&store->mask);
    free(store);
}

static imiad_status reserve(uint64_t **array, size_t *room, size_t needed, const char *what)
{
    if (needed <= *room)
        return IMIAD_OK;
    size_t grown_room = *room ? 2 * *room : 1024;
    if (grown_room < needed)
        grown_room = needed;
    uint64_t *grown = realloc(*array, grown_room * sizeof *grown);
    if (!grown)
        return fail_memory(what, grown_room * sizeof *grown);
    *array = grown;
    *room = grown_room;
    return IMIAD_OK;
}

/* Room for the mask's defective pixels and regions, so that adding them cannot fail. */
static imiad_status reserve_defects(pixel_store *store)
{
    const mask_regions *mask = &store->mask;
    uint64_t pixels = 0;
    for (size_t i = 0; i < mask->region_count; ++i)
        pixels += mask->areas[i];
    if (store->region_count + mask->region_count > UINT32_MAX)
        return fail(IMIAD_UNSUPPORTED, "more than 2^32 - 1 defective regions");
    TRY(reserve(&store->defects, &store->defect_room, store->defect_count + pixels,
                "the scores of defective pixels"));
    return reserve(&store->areas, &store->region_room, store->region_count + mask->region_count,
                   "the areas of defective regions");
}

static void add_defects(pixel_store *store, const float *map, int32_t width)
{
    const mask_regions *mask = &store->mask;
    for (size_t i = 0; i < mask->run_count; ++i) {
        const mask_run *run = &mask->runs[i];
        const float *row = map + (size_t)run->row * width;
        uint64_t region = store->region_count + run->region;
        for (int32_t x = run->begin; x < run->end; ++x)
            store->defects[store->defect_count++] = (uint64_t)score_key(row[x]) << 32 | region;
    }
    if (mask->region_count > 0) {
        memcpy(store->areas + store->region_count, mask->areas,
               mask->region_count * sizeof *mask->areas);
        store->region_count += mask->region_count;
        store->defective_map_count++;
        store->sorted = false;
    }
}

/* What lies between the runs, rows taken as one line. */
static imiad_status add_normals(pixel_store *store, const float *map, int32_t width, int32_t height)
{
    const mask_regions *mask = &store->mask;
    size_t done = 0;
    for (size_t i = 0; i < mask->run_count; ++i) {
        const mask_run *run = &mask->runs[i];
        size_t begin = (size_t)run->row * width + run->begin;
        TRY(score_set_add(store->normals, map + done, begin - done));
        done = begin + (size_t)(run->end - run->begin);
    }
    return score_set_add(store->normals, map + done, (size_t)width * height - done);
}

imiad_status pixel_store_add(pixel_store *store, const float *map, int32_t width, int32_t height,
                             const imiad_image *mask, int connectivity)
{
    store->mask.run_count = store->mask.region_count = 0;
    if (mask)
        TRY(regions_find(&store->mask, mask, connectivity));
    TRY(reserve_defects(store));
    imiad_status status = add_normals(store, map, width, height);
    if (status != IMIAD_OK) {
        store->incomplete = true;
        return status;
    }
    add_defects(store, map, width);
    store->map_count++;
    return IMIAD_OK;
}

/* Radix sort by the key, a byte at a time; bytes that are all the same cost one pass of reading. */
static imiad_status sort_defects(pixel_store *store)
{
    size_t count = store->defect_count;
    if (store->sorted || count == 0)
        return IMIAD_OK;
    uint64_t *spare = malloc(count * sizeof *spare);
    if (!spare)
        return fail_memory("sorting the scores of defective pixels", count * sizeof *spare);
    uint64_t *from = store->defects, *to = spare;
    for (int shift = 32; shift < 64; shift += 8) {
        size_t starts[256] = {0};
        for (size_t i = 0; i < count; ++i)
            starts[from[i] >> shift & 255]++;
        if (starts[from[0] >> shift & 255] == count)
            continue;
        for (size_t digit = 0, start = 0; digit < 256; ++digit) {
            size_t size = starts[digit];
            starts[digit] = start;
            start += size;
        }
        for (size_t i = 0; i < count; ++i)
            to[starts[from[i] >> shift & 255]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != store->defects)
        memcpy(store->defects, from, count * sizeof *from);
    free(spare);
    store->sorted = true;
    return IMIAD_OK;
}

enum { GROUPS_AT_ONCE = 512 };

/* The groups of one page, whose defects are first..end-1. */
static imiad_status sweep_page(pixel_store *store, size_t first, size_t end, uint64_t below,
                               group_visitor *visit, void *context)
{
    const uint64_t *defects = store->defects;
    tie_group groups[GROUPS_AT_ONCE];
    page_walk walk;
    TRY(page_walk_begin(&walk, store->normals, (uint32_t)(defects[first] >> 48)));
    size_t count = 0, seen = first;
    for (size_t i = first, next; i < end; i = next) {
        uint32_t key = (uint32_t)(defects[i] >> 32);
        for (next = i + 1; next < end && (uint32_t)(defects[next] >> 32) == key; ++next)
            ;
        uint64_t at = page_walk_to(&walk, key & (PAGE_KEYS - 1));
        groups[count++] = (tie_group){key_score(key), next - i, at, i, below + walk.below};
        if (count == GROUPS_AT_ONCE || next == end) {
            visit(context, groups, count, defects + seen);
            count = 0;
            seen = next;
        }
    }
    page_walk_end(&walk);
    return IMIAD_OK;
}

imiad_status pixel_store_sweep(pixel_store *store, group_visitor *visit, void *context)
{
    if (store->incomplete)
        return fail(IMIAD_NO_MEMORY, "pixel metrics lack a map: memory ran out while it was added");
    TRY(sort_defects(store));
    uint64_t *totals = malloc(PAGE_COUNT * sizeof *totals), below = 0;
    if (!totals)
        return fail_memory("the totals of pages", PAGE_COUNT * sizeof *totals);
    score_set_page_totals(totals, store->normals);
    imiad_status status = IMIAD_OK;
    size_t page = 0;
    for (size_t i = 0, next; i < store->defect_count && status == IMIAD_OK; i = next) {
        size_t here = store->defects[i] >> 48;
        for (; page < here; ++page)
            below += totals[page];
        for (next = i + 1; next < store->defect_count && store->defects[next] >> 48 == here; ++next)
            ;
        status = sweep_page(store, i, next, below, visit, context);
    }
    free(totals);
    return status;
}
