/* Scores as sortable keys, and the exact multiset of the normal pixels' scores.
 *
 * Every curve of the pixel metrics moves only where defective pixels are: between two of their
 * scores it is a straight line whatever the normal pixels do there. So the normal pixels are never
 * sorted; what is needed is how many of them lie below, and at, each score of a defective pixel.
 * Those scores are known only when the last image has come, so the normal scores are kept as
 * counts: one counter for each float32 value, in pages of 2^16 neighbouring values that exist only
 * where scores fell. That is exact, does not depend on the order of the scores or on who added
 * them, and takes less than the scores themselves. */
#ifndef METRICS_SCORES_H
#define METRICS_SCORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "imiad/common.h"

__extension__ typedef unsigned __int128 uint128;

/* Keys order as the scores do: key(a) < key(b) exactly when a < b. -0 becomes +0; never NaN. */
static inline uint32_t score_key(float score)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    bits = bits == 0x80000000u ? 0 : bits;
    return bits ^ ((uint32_t)((int32_t)bits >> 31) | 0x80000000u);
}

static inline float key_score(uint32_t key)
{
    uint32_t bits = key & 0x80000000u ? key ^ 0x80000000u : ~key;
    float score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

/* A key's page is its high half. */
enum { PAGE_KEYS = 1 << 16, PAGE_COUNT = 1 << 16, MOST_LANES = 8 };

/* Sets of pages: one bit each. */
typedef struct page_bits {
    uint64_t words[PAGE_COUNT / 64];
} page_bits;
static inline void page_bits_set(page_bits *bits, uint32_t page)
{
    bits->words[page / 64] |= UINT64_C(1) << page % 64;
}
/* Goes through a word's pages: for (uint32_t page; take_page(&page, &bits, word);) */
static inline bool take_page(uint32_t *page, uint64_t *bits, uint32_t word)
{
    if (*bits == 0)
        return false;
    *page = word * 64 + (uint32_t)__builtin_ctzll(*bits);
    *bits &= *bits - 1;
    return true;
}

typedef struct score_set score_set;

imiad_status score_set_create(score_set **out);
void score_set_free(score_set *set);

/* Makes lanes 0..count-1 usable; count is at most MOST_LANES. Each lane may add at the same time as
 * the others. */
imiad_status score_set_open_lanes(score_set *set, size_t count);
/* The scores must not be NaN. False when memory runs out; some scores may then be missing. */
bool score_set_add(score_set *set, size_t lane, const float *scores, size_t count);

uint64_t score_set_total(const score_set *set);
uint64_t score_set_page_total(const score_set *set, uint32_t page);
/* The pages that hold scores, as bits: of the pages 64 word .. 64 word + 63. */
uint64_t score_set_used(const score_set *set, uint32_t word);

/* One page after another, each looked at in the order of its keys. Begin with zeros. Several walks
 * may go on at the same time over different pages. */
enum { PAGE_WORDS = PAGE_KEYS / 8 };
typedef struct page_walk {
    const uint8_t *counts;   /* of each key, modulo 256; NULL for a page that is still lists */
    const uint64_t *carries; /* ascending: key << 48 | how often that key's count passed 256 */
    const uint64_t *carries_end;
    uint64_t carried;   /* of the carries passed */
    uint32_t *below;    /* of each word of eight keys: the counts before it */
    uint16_t *sorted;   /* the keys of a page that is still lists */
    uint16_t *unsorted; /* room for sorting them */
    size_t sorted_count, sorted_room, passed;
} page_walk;
bool page_walk_begin(page_walk *walk, score_set *set, uint32_t page); /* false: no memory */
void page_walk_free(page_walk *walk);

/* Looks at `key`, the low half; never backwards. Gives the number of the page's scores at it, and
 * below it. */
uint64_t page_walk_to(uint64_t *below, page_walk *walk, uint32_t key);

/* The keys at the given ranks, 0 the smallest; ranks ascending, each below the total. */
imiad_status score_set_select(uint32_t *keys, score_set *set, const uint64_t *ranks, size_t count);

#endif
