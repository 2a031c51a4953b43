#include "metrics/scores.h"

#include <stdlib.h>

#include "base/error.h"

/* A page begins as a list of its scores' low halves. When the list reaches LIST_MOST it becomes
 * counts of one byte each, and the list turns into a buffer before them, so that counting finds
 * its page in the cache. */
enum { LIST_FIRST = 16, LIST_MOST = 8192, WRAPS_MOST = 4096, KEY_SHIFT = 48 };

typedef struct score_page {
    uint16_t *list;
    uint32_t list_count, list_room;
    uint8_t *counts;   /* modulo 256 */
    uint16_t *wraps;   /* keys whose count passed 256, not yet in `carries` */
    uint64_t *carries; /* key << 48 | times, ascending */
    uint32_t wrap_count, carry_count;
    uint64_t counted; /* what counts and carries hold */
} score_page;

struct score_set {
    uint64_t total;
    score_page *pages[PAGE_COUNT]; /* NULL where no score fell */
};

imiad_status score_set_create(score_set **out)
{
    score_set *set = calloc(1, sizeof *set);
    if (!set)
        return fail_memory("the pages of a set of scores", sizeof *set);
    *out = set;
    return IMIAD_OK;
}

void score_set_free(score_set *set)
{
    for (size_t i = 0; set && i < PAGE_COUNT; ++i) {
        score_page *page = set->pages[i];
        if (!page)
            continue;
        free(page->list);
        free(page->counts);
        free(page->wraps);
        free(page->carries);
        free(page);
    }
    free(set);
}

static int compare_keys(const void *a, const void *b)
{
    return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

/* Merges the wraps into the carries. */
static bool fold_wraps(score_page *page)
{
    if (page->wrap_count == 0)
        return true;
    qsort(page->wraps, page->wrap_count, sizeof *page->wraps, compare_keys);
    uint64_t *merged =
        malloc(((size_t)page->carry_count + page->wrap_count) * sizeof *page->carries);
    if (!merged)
        return false;
    uint32_t i = 0, j = 0, count = 0;
    while (i < page->carry_count || j < page->wrap_count) {
        uint64_t wrap = j < page->wrap_count ? page->wraps[j] : PAGE_KEYS;
        uint64_t carry = i < page->carry_count ? page->carries[i] >> KEY_SHIFT : PAGE_KEYS;
        uint64_t entry = carry <= wrap ? page->carries[i++] : wrap << KEY_SHIFT;
        for (; j < page->wrap_count && page->wraps[j] == entry >> KEY_SHIFT; ++j)
            ++entry;
        merged[count++] = entry;
    }
    free(page->carries);
    page->carries = merged;
    page->carry_count = count;
    page->wrap_count = 0;
    return true;
}

static bool note_wrap(score_page *page, uint16_t key)
{
    if (!page->wraps && !(page->wraps = malloc(WRAPS_MOST * sizeof *page->wraps)))
        return false;
    if (page->wrap_count == WRAPS_MOST && !fold_wraps(page))
        return false;
    page->wraps[page->wrap_count++] = key;
    return true;
}

/* Moves the list into the counts. */
static bool count_list(score_page *page)
{
    if (!page->counts && !(page->counts = calloc(PAGE_KEYS, 1)))
        return false;
    uint8_t *counts = page->counts;
    for (uint32_t i = 0; i < page->list_count; ++i) {
        uint16_t key = page->list[i];
        if (++counts[key] == 0 && !note_wrap(page, key))
            return false;
    }
    page->counted += page->list_count;
    page->list_count = 0;
    return true;
}

static bool make_room(score_page *page)
{
    if (page->list_room == LIST_MOST)
        return count_list(page);
    uint32_t room = page->list_room ? 2 * page->list_room : LIST_FIRST;
    uint16_t *grown = realloc(page->list, room * sizeof *grown);
    if (!grown)
        return false;
    page->list = grown;
    page->list_room = room;
    return true;
}

imiad_status score_set_add(score_set *set, const float *scores, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        uint32_t key = score_key(scores[i]);
        score_page *page = set->pages[key >> 16];
        if (!page && !(page = set->pages[key >> 16] = calloc(1, sizeof *page)))
            return fail_memory("a page of scores", sizeof *page);
        if (page->list_count == page->list_room && !make_room(page))
            return fail_memory("a page of scores", PAGE_KEYS);
        page->list[page->list_count++] = (uint16_t)key;
    }
    set->total += count;
    return IMIAD_OK;
}

uint64_t score_set_total(const score_set *set)
{
    return set->total;
}

void score_set_page_totals(uint64_t *totals, const score_set *set)
{
    for (size_t i = 0; i < PAGE_COUNT; ++i) {
        const score_page *page = set->pages[i];
        totals[i] = page ? page->counted + page->list_count : 0;
    }
}

imiad_status page_walk_begin(page_walk *walk, score_set *set, uint32_t number)
{
    static const uint8_t nothing[PAGE_KEYS];
    *walk = (page_walk){.counts = nothing};
    score_page *page = set->pages[number];
    if (!page)
        return IMIAD_OK;
    score_page listed = *page; /* what is still a list is counted for the walk only */
    bool lasting = page->counts != NULL;
    if (!lasting)
        page = &listed;
    bool good = count_list(page) && fold_wraps(page);
    *walk = (page_walk){.counts = page->counts,
                        .carries = page->carries,
                        .carries_end = page->carries + page->carry_count};
    if (!lasting) {
        walk->owned_counts = listed.counts;
        walk->owned_carries = listed.carries;
        free(listed.wraps);
    }
    if (!good)
        page_walk_end(walk);
    return good ? IMIAD_OK : fail_memory("a page of scores", PAGE_KEYS);
}

void page_walk_end(page_walk *walk)
{
    free(walk->owned_counts);
    free(walk->owned_carries);
    *walk = (page_walk){0};
}

/* The multiples of 256 that belong to keys below `end`, once. */
static uint64_t take_carries(page_walk *walk, uint64_t end)
{
    uint64_t sum = 0;
    for (; walk->carries < walk->carries_end && *walk->carries >> KEY_SHIFT < end; ++walk->carries)
        sum += 256 * (*walk->carries & ((UINT64_C(1) << KEY_SHIFT) - 1));
    return sum;
}

uint64_t page_walk_to(page_walk *walk, uint32_t key)
{
    uint32_t sum = 0;
    for (uint32_t i = walk->next; i < key; ++i)
        sum += walk->counts[i];
    walk->below += sum + take_carries(walk, key);
    walk->next = key;
    uint64_t at = walk->counts[key];
    if (walk->carries < walk->carries_end && *walk->carries >> KEY_SHIFT == key)
        at += 256 * (*walk->carries & ((UINT64_C(1) << KEY_SHIFT) - 1));
    return at;
}

/* The page's keys at ranks from..; `below` scores lie in the pages before. Returns how many ranks
 * were in this page. */
static size_t select_in_page(uint32_t *keys, page_walk *walk, uint32_t number, uint64_t total,
                             uint64_t below, const uint64_t *ranks, size_t count)
{
    size_t found = 0;
    uint32_t key = 0;
    uint64_t at = page_walk_to(walk, key);
    while (found < count && ranks[found] < below + total) {
        while (below + walk->below + at <= ranks[found])
            at = page_walk_to(walk, ++key);
        keys[found++] = number << 16 | key;
    }
    return found;
}

imiad_status score_set_select(uint32_t *keys, score_set *set, const uint64_t *ranks, size_t count)
{
    uint64_t *totals = malloc(PAGE_COUNT * sizeof *totals), below = 0;
    if (!totals)
        return fail_memory("the totals of pages", PAGE_COUNT * sizeof *totals);
    score_set_page_totals(totals, set);
    imiad_status status = IMIAD_OK;
    size_t found = 0;
    for (uint32_t i = 0; i < PAGE_COUNT && found < count && status == IMIAD_OK; ++i) {
        if (ranks[found] < below + totals[i]) {
            page_walk walk;
            status = page_walk_begin(&walk, set, i);
            if (status == IMIAD_OK) {
                found += select_in_page(keys + found, &walk, i, totals[i], below, ranks + found,
                                        count - found);
                page_walk_end(&walk);
            }
        }
        below += totals[i];
    }
    free(totals);
    return status;
}
