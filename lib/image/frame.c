#include "image/frame.h"

#include <math.h>

/* Between which two of `count` pixels a position lies, and how far along. */
typedef struct between {
    int32_t low, high;
    float share; /* of high */
    int outside;
} between;

/* The i-th of `points` along a side of `native` pixels, on the map that shows `extent` of them from
 * `start` on with `count` pixels. */
static between place(int32_t i, int32_t points, int32_t native, double start, double extent,
                     int32_t count)
{
    double seen = ((i + 0.5) * native / points - start) / extent; /* 0 to 1 within the map */
    double at = seen * count - 0.5;
    at = at < 0 ? 0 : at > count - 1 ? count - 1 : at;
    between b = {.low = (int32_t)at, .outside = seen < 0 || seen > 1};
    b.high = b.low + 1 < count ? b.low + 1 : b.low;
    b.share = (float)(at - b.low);
    return b;
}

/* Where a map lies on an image of this size, and what its cut off parts are given. */
typedef struct placement {
    preprocess_window window;
    int32_t native_width, native_height;
    float outside;
} placement;

static void read_map(float *out, int32_t out_width, int32_t out_height, const float *map,
                     int32_t width, int32_t height, const placement *p)
{
    const preprocess_window *window = &p->window;
    for (int32_t y = 0; y < out_height; ++y) {
        between v = place(y, out_height, p->native_height, window->top, window->height, height);
        const float *above = map + (int64_t)v.low * width, *below = map + (int64_t)v.high * width;
        for (int32_t x = 0; x < out_width; ++x) {
            between u = place(x, out_width, p->native_width, window->left, window->width, width);
            float upper = above[u.low] + u.share * (above[u.high] - above[u.low]);
            float lower = below[u.low] + u.share * (below[u.high] - below[u.low]);
            out[(int64_t)y * out_width + x] =
                u.outside || v.outside ? p->outside : upper + v.share * (lower - upper);
        }
    }
}

void frame_map(float *out, int32_t out_width, int32_t out_height, const float *map, int32_t width,
               int32_t height, const preprocessing *p, int32_t native_width, int32_t native_height)
{
    placement placed = {
        .native_width = native_width, .native_height = native_height, .outside = map[0]};
    preprocess_find_window(&placed.window, p, native_width, native_height);
    for (int64_t i = 1; i < (int64_t)width * height; ++i)
        placed.outside = map[i] < placed.outside ? map[i] : placed.outside;
    read_map(out, out_width, out_height, map, width, height, &placed);
}

void resize_map(float *out, int32_t out_width, int32_t out_height, const float *map, int32_t width,
                int32_t height)
{
    const placement whole = {.window = {.width = out_width, .height = out_height},
                             .native_width = out_width,
                             .native_height = out_height};
    read_map(out, out_width, out_height, map, width, height, &whole);
}
