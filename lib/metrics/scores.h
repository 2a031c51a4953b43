/* Scores as sortable keys, and the exact multiset of the normal pixels' scores.
 *
 * Every curve of the pixel metrics moves only where defective pixels are: between two of their
 * scores it is a straight line whatever the normal pixels do there. So the normal pixels are never
 * sorted; what is needed is how many of them lie below, and at, each score of a defective pixel.
 * Those scores are known only when the last image has come, so the normal scores are kept as
 * counts: one counter for each float32 value, in pages of 2^16 neighbouring values that exist only
 * where scores fell. That is exact, does not depend on the order of the scores, and takes less
 * than the scores themselves. */
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

enum { PAGE_KEYS = 1 << 16, PAGE_COUNT = 1 << 16 };

typedef struct score_set score_set;

imiad_status score_set_create(score_set **out);
void score_set_free(score_set *set);

/* The scores must not be NaN. On failure, which is only lack of memory, some may be missing. */
imiad_status score_set_add(score_set *set, const float *scores, size_t count);
uint64_t score_set_total(const score_set *set);

/* How many scores each page holds: PAGE_COUNT numbers, in the order of the keys. */
void score_set_page_totals(uint64_t *totals, const score_set *set);

/* One page, to be walked in the order of its keys. */
typedef struct page_walk {
    const uint8_t *counts;   /* of each key, modulo 256 */
    const uint64_t *carries; /* ascending: key << 48 | how often that key's count passed 256 */
    const uint64_t *carries_end;
    uint32_t next; /* keys below this one are counted */
    uint64_t below;
    uint8_t *owned_counts;
    uint64_t *owned_carries;
} page_walk;
imiad_status page_walk_begin(page_walk *walk, score_set *set, uint32_t page);
void page_walk_end(page_walk *walk);

/* Moves to `key` (the low 16 bits; never backwards): `below` becomes the number of the page's
 * scores below it; returns the number at it. */
uint64_t page_walk_to(page_walk *walk, uint32_t key);

/* The keys at the given ranks, 0 the smallest; ranks ascending, each below the total. */
imiad_status score_set_select(uint32_t *keys, score_set *set, const uint64_t *ranks, size_t count);

#endif
