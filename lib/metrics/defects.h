/* The scores of all defective pixels, each with its region. They are kept by page as they come, and
 * sorted within a page when somebody looks. */
#ifndef METRICS_DEFECTS_H
#define METRICS_DEFECTS_H

#include "metrics/scores.h"

typedef struct defect_page {
    uint64_t *defects; /* score key << 32 | region */
    size_t count, room, sorted;
} defect_page;

typedef struct defect_set {
    defect_page pages[PAGE_COUNT];
    page_bits used;
} defect_set;

static inline uint32_t defect_key(uint64_t defect)
{
    return (uint32_t)(defect >> 32);
}

static inline uint32_t defect_region(uint64_t defect)
{
    return (uint32_t)defect;
}

void defect_set_free(defect_set *set); /* the set itself is the caller's */

/* The scores must not be NaN. False when memory runs out. */
bool defect_set_add(defect_set *set, const float *scores, size_t count, uint32_t region);

/* Sorts a page by key, if it is not. `spare` is grown as needed. False when memory runs out. */
typedef struct spare_room {
    uint64_t *items;
    size_t room;
} spare_room;
bool defect_page_sort(defect_page *page, spare_room *spare);

#endif
