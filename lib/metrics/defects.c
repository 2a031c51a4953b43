#include "metrics/defects.h"

#include <stdlib.h>

void defect_set_free(defect_set *set)
{
    for (uint32_t word = 0, page; word < PAGE_COUNT / 64; ++word)
        for (uint64_t bits = set->used.words[word]; take_page(&page, &bits, word);)
            free(set->pages[page].defects);
}

bool defect_set_add(defect_set *set, const float *scores, size_t count, uint32_t region)
{
    for (size_t i = 0; i < count; ++i) {
        uint32_t key = score_key(scores[i]);
        defect_page *page = &set->pages[key >> 16];
        if (page->count == page->room) {
            size_t room = page->room ? page->room + page->room / 2 : 16;
            uint64_t *grown = realloc(page->defects, room * sizeof *grown);
            if (!grown)
                return false;
            page->defects = grown;
            page->room = room;
            page_bits_set(&set->used, key >> 16);
        }
        page->defects[page->count++] = (uint64_t)key << 32 | region;
    }
    return true;
}

/* One pass of a radix sort, by the byte at `shift`. */
static void sort_byte(uint64_t *to, const uint64_t *from, size_t count, int shift)
{
    size_t starts[256] = {0};
    for (size_t i = 0; i < count; ++i)
        starts[from[i] >> shift & 255]++;
    for (size_t digit = 0, start = 0; digit < 256; ++digit) {
        size_t size = starts[digit];
        starts[digit] = start;
        start += size;
    }
    for (size_t i = 0; i < count; ++i)
        to[starts[from[i] >> shift & 255]++] = from[i];
}

bool defect_page_sort(defect_page *page, spare_room *spare)
{
    if (page->sorted == page->count)
        return true;
    if (spare->room < page->count) {
        free(spare->items);
        spare->items = malloc(page->count * sizeof *spare->items);
        spare->room = spare->items ? page->count : 0;
        if (!spare->items)
            return false;
    }
    sort_byte(spare->items, page->defects, page->count, 32);
    sort_byte(page->defects, spare->items, page->count, 40);
    page->sorted = page->count;
    return true;
}
