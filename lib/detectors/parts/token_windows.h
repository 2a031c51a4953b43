/* Windows that slide over a grid of tokens. */
#ifndef DETECTORS_PARTS_TOKEN_WINDOWS_H
#define DETECTORS_PARTS_TOKEN_WINDOWS_H

#include <stdint.h>

typedef struct token_windows {
    int64_t height, width; /* of the grid, in tokens */
    int64_t side[2];       /* of a window: down, across */
    int64_t stride;
    int64_t count[2]; /* of windows: down, across */
} token_windows;

/* Windows of side x side tokens, a stride apart, as many as cover the grid; the last ones may reach
 * beyond it. Side 0: one window, the grid's sides rounded up to the multiple. */
token_windows token_windows_over(int64_t height, int64_t width, int64_t side, int64_t stride,
                                 int64_t multiple);

static inline int64_t token_windows_count(const token_windows *w)
{
    return w->count[0] * w->count[1];
}

static inline int64_t token_windows_places(const token_windows *w)
{
    return w->side[0] * w->side[1];
}

/* The token at a place of a window: beyond the grid the nearest one's, as if it were replicated. */
int64_t token_windows_token(const token_windows *w, int64_t window, int64_t place);

/* out: height x width means over the windows that cover a token, of count x places values. What
 * lies beyond the grid is left out. */
void token_windows_average(float *out, const token_windows *w, const float *values);

#endif
