#include "metrics/scores.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"

/* Scores go through lanes, one for each thread that adds. A lane has a list for each page, where
 * low halves of keys wait. A list that has grown to LIST_MOST is emptied into the page's counts,
 * one byte a key: so counting finds its page in the cache, and a page where few scores fell never
 * becomes larger than they are. */
enum { LIST_FIRST = 128, LIST_MOST = 16384, LOCKS = 64, BLOCK = 1024 };

/* A key whose count passes 256 leaves a wrap; sorted wraps are merged into carries. */
enum { WRAPS_MOST = 4096, KEY_SHIFT = 48 };
#define CARRY_MASK ((UINT64_C(1) << KEY_SHIFT) - 1)

typedef struct score_list {
    uint16_t *keys;
    size_t room;
} score_list;

typedef struct score_lane {
    uint16_t *next[PAGE_COUNT]; /* where each list goes on */
    score_list lists[PAGE_COUNT];
    page_bits used;
    uint64_t total;
    bool starved;      /* memory ran out: scores are missing */
    uint16_t *nowhere; /* where they went: LIST_FIRST of them, again and again */
} score_lane;

typedef struct score_page {
    uint8_t *counts; /* modulo 256 */
    uint16_t *wraps;
    uint64_t *carries; /* key << 48 | times, ascending */
    uint32_t wrap_count, carry_count;
    uint64_t counted; /* what counts and carries hold */
} score_page;

struct score_set {
    score_lane *lanes[MOST_LANES];
    pthread_mutex_t locks[LOCKS]; /* of page % LOCKS */
    score_page pages[PAGE_COUNT];
};

imiad_status score_set_create(score_set **out)
{
    score_set *set = calloc(1, sizeof *set);
    if (!set)
        return fail_memory("the pages of a set of scores", sizeof *set);
    for (int i = 0; i < LOCKS; ++i)
        pthread_mutex_init(&set->locks[i], NULL);
    *out = set;
    return IMIAD_OK;
}

static void page_free(score_page *page)
{
    free(page->counts);
    free(page->wraps);
    free(page->carries);
}

void score_set_free(score_set *set)
{
    if (!set)
        return;
    uint32_t page;
    for (uint32_t word = 0; word < PAGE_COUNT / 64; ++word) {
        for (uint64_t bits = score_set_used(set, word); take_page(&page, &bits, word);)
            page_free(&set->pages[page]);
        for (size_t i = 0; i < MOST_LANES && set->lanes[i]; ++i)
            for (uint64_t bits = set->lanes[i]->used.words[word]; take_page(&page, &bits, word);)
                free(set->lanes[i]->lists[page].keys);
    }
    for (size_t i = 0; i < MOST_LANES && set->lanes[i]; ++i) {
        free(set->lanes[i]->nowhere);
        free(set->lanes[i]);
    }
    for (int i = 0; i < LOCKS; ++i)
        pthread_mutex_destroy(&set->locks[i]);
    free(set);
}

imiad_status score_set_open_lanes(score_set *set, size_t count)
{
    const size_t bytes = LIST_FIRST * sizeof(uint16_t);
    for (size_t i = 0; i < count; ++i) {
        if (!set->lanes[i] && !(set->lanes[i] = calloc(1, sizeof(score_lane))))
            return fail_memory("the lists of a set of scores", sizeof(score_lane));
        score_lane *lane = set->lanes[i];
        if (!lane->nowhere && !(lane->nowhere = aligned_alloc(bytes, bytes)))
            return fail_memory("the lists of a set of scores", bytes);
    }
    return IMIAD_OK;
}

static int compare_keys(const void *a, const void *b)
{
    return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

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

static bool count_keys(score_page *page, const uint16_t *keys, size_t count)
{
    uint8_t *counts = page->counts;
    for (size_t i = 0; i < count; ++i)
        if (++counts[keys[i]] == 0 && !note_wrap(page, keys[i]))
            return false;
    page->counted += count;
    return true;
}

static bool empty_list(score_set *set, score_lane *lane, uint32_t number)
{
    score_page *page = &set->pages[number];
    pthread_mutex_t *lock = &set->locks[number % LOCKS];
    pthread_mutex_lock(lock);
    bool good = page->counts || (page->counts = calloc(PAGE_KEYS, 1));
    for (size_t i = 0; good && i < PAGE_KEYS; i += 64) /* keys ask for its lines in no order */
        __builtin_prefetch(page->counts + i, 1);
    good = good && count_keys(page, lane->lists[number].keys, LIST_MOST);
    pthread_mutex_unlock(lock);
    lane->next[number] = lane->lists[number].keys;
    return good;
}

static bool grow_list(score_lane *lane, uint32_t number)
{
    score_list *list = &lane->lists[number];
    size_t room = list->room ? 2 * list->room : LIST_FIRST;
    uint16_t *grown = aligned_alloc(LIST_FIRST * sizeof *grown, room * sizeof *grown);
    if (!grown) {
        lane->next[number] = list->room ? list->keys : lane->nowhere;
        return false;
    }
    if (list->room)
        memcpy(grown, list->keys, list->room * sizeof *grown);
    free(list->keys);
    lane->next[number] = grown + list->room;
    page_bits_set(&lane->used, number);
    *list = (score_list){grown, room};
    return true;
}

/* Lists begin and end at multiples of LIST_FIRST, so putting looks here only at those. */
static __attribute__((noinline)) void make_room(score_set *set, score_lane *lane, uint32_t number)
{
    const score_list *list = &lane->lists[number];
    if (!list->keys || lane->next[number] == list->keys + list->room) {
        if (!(list->room == LIST_MOST ? empty_list(set, lane, number) : grow_list(lane, number)))
            lane->starved = true;
    }
    for (size_t i = 0; i < LIST_FIRST; i += 32) /* a cache line each */
        __builtin_prefetch(lane->next[number] + i, 1);
}

static inline void put(score_set *set, score_lane *lane, uint32_t key)
{
    uint32_t page = key >> 16;
    const uintptr_t inside = LIST_FIRST * sizeof(uint16_t) - 1;
    uint16_t *next = lane->next[page];
    if (__builtin_expect(((uintptr_t)next & inside) == 0, 0)) {
        make_room(set, lane, page);
        next = lane->next[page];
    }
    *next = (uint16_t)key;
    lane->next[page] = next + 1;
}

bool score_set_add(score_set *set, size_t number, const float *scores, size_t count)
{
    score_lane *lane = set->lanes[number];
    uint32_t keys[BLOCK];
    lane->total += count;
    for (size_t size; count > 0; scores += size, count -= size) {
        size = count < BLOCK ? count : BLOCK;
        for (size_t i = 0; i < size; ++i)
            keys[i] = score_key(scores[i]);
        for (size_t i = size; i < 2 * size && i < count; i += 16) /* the next block's lines */
            __builtin_prefetch(scores + i);
        /* neighbours often share a page and would wait for its list: follow four places at once */
        size_t quarter = size / 4;
        const uint32_t *a = keys, *b = a + quarter, *c = b + quarter, *d = c + quarter;
        for (size_t i = 0; i < quarter; ++i) {
            put(set, lane, a[i]);
            put(set, lane, b[i]);
            put(set, lane, c[i]);
            put(set, lane, d[i]);
        }
        for (size_t i = 4 * quarter; i < size; ++i)
            put(set, lane, keys[i]);
    }
    return !lane->starved;
}

uint64_t score_set_total(const score_set *set)
{
    uint64_t total = 0;
    for (size_t i = 0; i < MOST_LANES && set->lanes[i]; ++i)
        total += set->lanes[i]->total;
    return total;
}

static size_t waiting(const score_lane *lane, uint32_t page)
{
    const uint16_t *keys = lane->lists[page].keys;
    return keys ? (size_t)(lane->next[page] - keys) : 0;
}

uint64_t score_set_used(const score_set *set, uint32_t word)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < MOST_LANES && set->lanes[i]; ++i)
        bits |= set->lanes[i]->used.words[word];
    return bits;
}

uint64_t score_set_page_total(const score_set *set, uint32_t page)
{
    uint64_t total = set->pages[page].counted;
    for (size_t i = 0; i < MOST_LANES && set->lanes[i]; ++i)
        total += waiting(set->lanes[i], page);
    return total;
}

/* Counts what waits in the lists of a page that has counts. */
static bool count_waiting(score_set *set, uint32_t number)
{
    score_page *page = &set->pages[number];
    for (size_t i = 0; i < MOST_LANES && set->lanes[i]; ++i) {
        score_lane *lane = set->lanes[i];
        size_t count = waiting(lane, number);
        if (count > 0 && !count_keys(page, lane->lists[number].keys, count))
            return false;
        if (count > 0)
            lane->next[number] = lane->lists[number].keys;
    }
    return fold_wraps(page);
}

static void sort_byte(uint16_t *to, const uint16_t *from, size_t count, int shift)
{
    size_t starts[257] = {0};
    for (size_t i = 0; i < count; ++i)
        starts[(from[i] >> shift & 255) + 1]++;
    for (size_t digit = 1; digit < 256; ++digit)
        starts[digit] += starts[digit - 1];
    for (size_t i = 0; i < count; ++i)
        to[starts[from[i] >> shift & 255]++] = from[i];
}

/* Sorts what waits in the lists of a page that has no counts, and leaves it waiting. */
static bool sort_waiting(page_walk *walk, const score_set *set, uint32_t number)
{
    size_t total = (size_t)score_set_page_total(set, number), count = 0;
    if (total > walk->sorted_room) {
        free(walk->sorted);
        free(walk->unsorted);
        walk->sorted = malloc(total * sizeof *walk->sorted);
        walk->unsorted = malloc(total * sizeof *walk->unsorted);
        walk->sorted_room = walk->sorted && walk->unsorted ? total : 0;
        if (walk->sorted_room == 0)
            return false;
    }
    for (size_t i = 0; i < MOST_LANES && set->lanes[i]; ++i) {
        size_t here = waiting(set->lanes[i], number);
        if (here > 0)
            memcpy(walk->sorted + count, set->lanes[i]->lists[number].keys,
                   here * sizeof *walk->sorted);
        count += here;
    }
    sort_byte(walk->unsorted, walk->sorted, count, 0);
    sort_byte(walk->sorted, walk->unsorted, count, 8);
    walk->sorted_count = count;
    walk->passed = 0;
    return true;
}

/* The sum of a word's eight bytes. */
static inline uint32_t sum_bytes(uint64_t word)
{
    const uint64_t even = 0x00ff00ff00ff00ffu;
    return (uint32_t)(((word & even) + (word >> 8 & even)) * 0x0001000100010001u >> 48);
}

static inline uint64_t counts_word(const page_walk *walk, uint32_t word)
{
    uint64_t bytes;
    memcpy(&bytes, walk->counts + 8 * (size_t)word, sizeof bytes);
    return bytes;
}

static void add_up(page_walk *walk)
{
    uint32_t below = 0;
    for (uint32_t word = 0; word < PAGE_WORDS; ++word) {
        walk->below[word] = below;
        below += sum_bytes(counts_word(walk, word));
    }
}

bool page_walk_begin(page_walk *walk, score_set *set, uint32_t number)
{
    score_page *page = &set->pages[number];
    walk->counts = page->counts;
    if (!page->counts)
        return sort_waiting(walk, set, number);
    if (!walk->below && !(walk->below = malloc(PAGE_WORDS * sizeof *walk->below)))
        return false;
    if (!count_waiting(set, number))
        return false;
    walk->carries = page->carries;
    walk->carries_end = page->carries + page->carry_count;
    walk->carried = 0;
    add_up(walk);
    return true;
}

void page_walk_free(page_walk *walk)
{
    free(walk->below);
    free(walk->sorted);
    free(walk->unsorted);
    *walk = (page_walk){0};
}

static uint64_t walk_sorted_to(uint64_t *below, page_walk *walk, uint32_t key)
{
    size_t i = walk->passed;
    while (i < walk->sorted_count && walk->sorted[i] < key)
        ++i;
    *below = walk->passed = i;
    while (i < walk->sorted_count && walk->sorted[i] == key)
        ++i;
    return i - walk->passed;
}

uint64_t page_walk_to(uint64_t *below, page_walk *walk, uint32_t key)
{
    if (!walk->counts)
        return walk_sorted_to(below, walk, key);
    for (; walk->carries < walk->carries_end && *walk->carries >> KEY_SHIFT < key; ++walk->carries)
        walk->carried += 256 * (*walk->carries & CARRY_MASK);
    uint64_t word = counts_word(walk, key / 8);
    /* the bytes of the keys before; low addresses first, whatever the byte order */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word &= (UINT64_C(1) << 8 * (key % 8)) - 1;
#else
    word &= ~(~UINT64_C(0) >> 8 * (key % 8));
#endif
    *below = walk->below[key / 8] + sum_bytes(word) + walk->carried;
    uint64_t at = walk->counts[key];
    if (walk->carries < walk->carries_end && *walk->carries >> KEY_SHIFT == key)
        at += 256 * (*walk->carries & CARRY_MASK);
    return at;
}

/* The key of the page's score at a rank, not below that of the last call. */
static uint32_t key_at(page_walk *walk, uint64_t rank, uint32_t last)
{
    if (!walk->counts)
        return walk->sorted[rank];
    uint64_t below;
    uint32_t key = last;
    for (page_walk probe = *walk; (key | 7) + 1 < PAGE_KEYS; key = (key | 7) + 1, *walk = probe) {
        page_walk_to(&below, &probe, (key | 7) + 1); /* the next word's first */
        if (below > rank)
            break;
    }
    for (uint64_t at = page_walk_to(&below, walk, key); below + at <= rank;)
        at = page_walk_to(&below, walk, ++key);
    return key;
}

imiad_status score_set_select(uint32_t *keys, score_set *set, const uint64_t *ranks, size_t count)
{
    page_walk walk = {0};
    uint64_t before = 0;
    bool good = true;
    size_t found = 0;
    for (uint32_t word = 0, page; word < PAGE_COUNT / 64; ++word)
        for (uint64_t bits = score_set_used(set, word); take_page(&page, &bits, word);) {
            uint64_t total = score_set_page_total(set, page);
            if (good && found < count && ranks[found] < before + total)
                good = page_walk_begin(&walk, set, page);
            for (uint32_t key = 0; good && found < count && ranks[found] < before + total;
                 ++found) {
                key = key_at(&walk, ranks[found] - before, key);
                keys[found] = page << 16 | key;
            }
            before += total;
        }
    page_walk_free(&walk);
    return good ? IMIAD_OK : fail_memory("a page of scores", PAGE_KEYS);
}
