/* One window of a search: what the plain search and the one by sketches share. */
#ifndef BANK_WINDOW_H
#define BANK_WINDOW_H

#include "bank/nearest.h"
#include "bank/windows.h"

/* Places top..bottom - 1 down, left..right - 1 across. */
typedef struct window {
    int64_t top, bottom, left, right;
} window;

window window_around(const bank_windows *w, int64_t place, int64_t radius);
/* Grown until it holds k rows, unless they are looked for among some sources. */
window window_of(const window_search *how, int64_t place, size_t k);

/* Whether a query of the image may find the row. */
static inline bool window_wants(const window_search *how, int64_t image, int64_t row)
{
    const window_sources *a = how->among;
    return !a || a->wanted[image * a->sources + how->bank->sources[row]];
}

float window_measure(const window_search *how, const float *query, int64_t row);

/* False where there are no sketches, or none for this query: nothing was offered then. */
bool window_search_sketched(nearest *found, const window_search *how, const float *query,
                            int64_t image, int64_t place);

#endif
