#include "detectors/parts/mask_shapes.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { SMALL = 10 /* pixels that get no rotated box */ };

/* ---- components ---- */

void mask_components_free(mask_components *c)
{
    free(c->numbers);
    free(c->components);
    *c = (mask_components){.count = 0};
}

static void count_pixel(mask_component *c, int32_t x, int32_t y)
{
    const int32_t at[2] = {x, y};
    for (int i = 0; i < 2; ++i) {
        c->centre[i] += at[i];
        c->low[i] = at[i] < c->low[i] ? at[i] : c->low[i];
        c->high[i] = at[i] > c->high[i] ? at[i] : c->high[i];
    }
    c->pixels++;
}

/* Numbers everything that hangs together with a pixel; the stack has room for every pixel. */
static void flood(mask_components *c, const uint8_t *mask, int64_t first, int64_t *stack)
{
    mask_component found = {.low = {c->width, c->height}, .high = {-1, -1}};
    int64_t held = 0;
    c->numbers[first] = c->count + 1;
    stack[held++] = first;
    while (held > 0) {
        int64_t at = stack[--held];
        int32_t x = (int32_t)(at % c->width), y = (int32_t)(at / c->width);
        count_pixel(&found, x, y);
        for (int32_t down = y > 0 ? y - 1 : 0; down <= y + 1 && down < c->height; ++down)
            for (int32_t right = x > 0 ? x - 1 : 0; right <= x + 1 && right < c->width; ++right) {
                int64_t next = (int64_t)down * c->width + right;
                if (!mask[next] || c->numbers[next])
                    continue;
                c->numbers[next] = c->count + 1;
                stack[held++] = next;
            }
    }
    found.centre[0] /= (double)found.pixels;
    found.centre[1] /= (double)found.pixels;
    c->components[c->count++] = found;
}

static bool grow(mask_components *c)
{
    if (c->count & (c->count - 1)) /* room doubles at every power of two */
        return true;
    size_t room = c->count ? 2 * (size_t)c->count : 1;
    mask_component *grown = realloc(c->components, room * sizeof *grown);
    if (grown)
        c->components = grown;
    return grown;
}

imiad_status mask_components_find(mask_components *out, const uint8_t *mask, int32_t width,
                                  int32_t height)
{
    int64_t pixels = (int64_t)width * height;
    mask_components c = {.width = width, .height = height};
    c.numbers = calloc((size_t)pixels, sizeof *c.numbers);
    int64_t *stack = malloc((size_t)pixels * sizeof *stack);
    bool enough = c.numbers && stack;
    for (int64_t i = 0; i < pixels && enough; ++i)
        if (mask[i] && !c.numbers[i]) {
            enough = grow(&c);
            if (enough)
                flood(&c, mask, i, stack);
        }
    free(stack);
    if (!enough) {
        mask_components_free(&c);
        return fail_memory("the components of a mask", (size_t)pixels * sizeof *stack);
    }
    *out = c;
    return IMIAD_OK;
}

int64_t mask_components_smallest(const mask_components *c)
{
    int64_t least = 0;
    for (int32_t i = 0; i < c->count; ++i)
        if (i == 0 || c->components[i].pixels < least)
            least = c->components[i].pixels;
    return least;
}

/* ---- boxes ---- */

typedef struct point {
    double x, y;
} point;

/* A rectangle: its axis (a unit vector) and how far it reaches along it and across it. */
typedef struct rectangle {
    point axis;
    double low[2], high[2];
} rectangle;

static double turn(point a, point b, point c)
{
    return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

/* Andrew's chain over points that are sorted by y, then x; returns how many hull points there are.
 */
static int64_t find_hull(point *hull, const point *points, int64_t count)
{
    int64_t held = 0;
    for (int pass = 0; pass < 2; ++pass) {
        int64_t floor = held + 1;
        for (int64_t i = 0; i < count; ++i) {
            point next = points[pass ? count - 1 - i : i];
            while (held > floor && turn(hull[held - 2], hull[held - 1], next) <= 0)
                --held;
            hull[held++] = next;
        }
        --held; /* the next half begins with it */
    }
    return held > 0 ? held : 1;
}

static rectangle around(const point *hull, int64_t count, point axis)
{
    rectangle r = {axis, {INFINITY, INFINITY}, {-INFINITY, -INFINITY}};
    for (int64_t i = 0; i < count; ++i) {
        const double at[2] = {hull[i].x * axis.x + hull[i].y * axis.y,
                              hull[i].y * axis.x - hull[i].x * axis.y};
        for (int k = 0; k < 2; ++k) {
            r.low[k] = fmin(r.low[k], at[k]);
            r.high[k] = fmax(r.high[k], at[k]);
        }
    }
    return r;
}

static double area(const rectangle *r)
{
    return (r->high[0] - r->low[0]) * (r->high[1] - r->low[1]);
}

/* One of its sides lies on a side of the hull. */
static rectangle smallest_rectangle(const point *hull, int64_t count)
{
    rectangle best = around(hull, count, (point){1, 0});
    for (int64_t i = 0; i < count; ++i) {
        point from = hull[i], to = hull[(i + 1) % count];
        double length = hypot(to.x - from.x, to.y - from.y);
        if (length == 0)
            continue;
        rectangle r =
            around(hull, count, (point){(to.x - from.x) / length, (to.y - from.y) / length});
        if (area(&r) < area(&best))
            best = r;
    }
    return best;
}

static void fill_rectangle(uint8_t *mask, int32_t width, int32_t height, const rectangle *r)
{
    const double slack = 1e-6; /* pixels on the border belong to it */
    double reach[2][2];        /* of x and y: least and most corner */
    for (int k = 0; k < 2; ++k) {
        double a = k ? r->axis.y : r->axis.x, b = k ? r->axis.x : -r->axis.y;
        reach[k][0] = fmin(a * r->low[0], a * r->high[0]) + fmin(b * r->low[1], b * r->high[1]);
        reach[k][1] = fmax(a * r->low[0], a * r->high[0]) + fmax(b * r->low[1], b * r->high[1]);
    }
    int32_t left = (int32_t)fmax(ceil(reach[0][0] - slack), 0);
    int32_t right = (int32_t)fmin(floor(reach[0][1] + slack), width - 1);
    int32_t top = (int32_t)fmax(ceil(reach[1][0] - slack), 0);
    int32_t bottom = (int32_t)fmin(floor(reach[1][1] + slack), height - 1);
    for (int32_t y = top; y <= bottom; ++y)
        for (int32_t x = left; x <= right; ++x) {
            double along = x * r->axis.x + y * r->axis.y, across = y * r->axis.x - x * r->axis.y;
            if (along >= r->low[0] - slack && along <= r->high[0] + slack &&
                across >= r->low[1] - slack && across <= r->high[1] + slack)
                mask[(int64_t)y * width + x] = 255;
        }
}

static rectangle upright(const mask_component *c)
{
    return (rectangle){{1, 0}, {c->low[0], c->low[1]}, {c->high[0], c->high[1]}};
}

/* The component's pixels, sorted by y, then x. */
static int64_t gather(point *out, const mask_components *c, int32_t number)
{
    const mask_component *found = &c->components[number];
    int64_t count = 0;
    for (int32_t y = found->low[1]; y <= found->high[1]; ++y)
        for (int32_t x = found->low[0]; x <= found->high[0]; ++x)
            if (c->numbers[(int64_t)y * c->width + x] == number + 1)
                out[count++] = (point){x, y};
    return count;
}

static imiad_status fill_boxes(uint8_t *mask, const mask_components *c, box_kind kind)
{
    size_t pixels = (size_t)c->width * (size_t)c->height;
    point *points = malloc((3 * pixels + 3) * sizeof *points), *hull = points + pixels;
    if (!points)
        return fail_memory("the boxes of a mask", 3 * pixels * sizeof *points);
    memset(mask, 0, pixels);
    for (int32_t i = 0; i < c->count; ++i) {
        rectangle r = upright(&c->components[i]);
        if (kind == BOX_ROTATED && c->components[i].pixels <= SMALL)
            continue;
        if (kind == BOX_ROTATED)
            r = smallest_rectangle(hull, find_hull(hull, points, gather(points, c, i)));
        fill_rectangle(mask, c->width, c->height, &r);
    }
    free(points);
    return IMIAD_OK;
}

imiad_status mask_to_boxes(uint8_t *mask, int32_t width, int32_t height, box_kind kind)
{
    mask_components c;
    TRY(mask_components_find(&c, mask, width, height));
    imiad_status status = fill_boxes(mask, &c, kind);
    mask_components_free(&c);
    return status;
}

/* ---- blocks ---- */

void mask_block_shares(float *out, const uint8_t *mask, int32_t width, int32_t height, int64_t rows,
                       int64_t columns)
{
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < columns; ++column) {
            int64_t top = row * height / rows, bottom = ((row + 1) * height + rows - 1) / rows;
            int64_t left = column * width / columns;
            int64_t right = ((column + 1) * width + columns - 1) / columns, inside = 0;
            for (int64_t y = top; y < bottom; ++y)
                for (int64_t x = left; x < right; ++x)
                    inside += mask[y * width + x] > 0;
            *out++ = (float)((double)inside / (double)((bottom - top) * (right - left)));
        }
}
