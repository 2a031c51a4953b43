#include "synthesis/defect_paste.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "synthesis/defect_changes.h"

/* ---- the object ---- */

static bool on_border(const imiad_image *image, int32_t x, int32_t y)
{
    return x == 0 || y == 0 || x == image->width - 1 || y == image->height - 1;
}

/* The median of each channel along the border. */
static void border_color(uint8_t out[3], const imiad_image *image)
{
    for (int c = 0; c < 3; ++c) {
        int64_t counts[256] = {0}, total = 0, below = 0;
        for (int32_t y = 0; y < image->height; ++y)
            for (int32_t x = 0; x < image->width; ++x)
                if (on_border(image, x, y)) {
                    counts[image_row(image, y)[3 * x + c]]++;
                    ++total;
                }
        int value = 0;
        while (2 * (below += counts[value]) < total)
            ++value;
        out[c] = (uint8_t)value;
    }
}

/* Otsu: the value that parts a histogram into the two classes that are furthest apart. */
static int part_histogram(const int64_t counts[256])
{
    double total = 0, sum = 0, below = 0, below_sum = 0, best = -1;
    int threshold = 0;
    for (int v = 0; v < 256; ++v) {
        total += (double)counts[v];
        sum += v * (double)counts[v];
    }
    for (int v = 0; v < 255; ++v) {
        below += (double)counts[v];
        below_sum += v * (double)counts[v];
        if (below == 0 || below == total)
            continue;
        double apart = below_sum / below - (sum - below_sum) / (total - below);
        double between = below * (total - below) * apart * apart;
        if (between > best) {
            best = between;
            threshold = v;
        }
    }
    return threshold;
}

static uint8_t difference(const uint8_t *a, const uint8_t *b)
{
    int most = 0;
    for (int c = 0; c < 3; ++c)
        most = abs(a[c] - b[c]) > most ? abs(a[c] - b[c]) : most;
    return (uint8_t)most;
}

imiad_status object_mask(imiad_image **out, const imiad_image *image)
{
    imiad_image *mask;
    uint8_t ground[3];
    int64_t counts[256] = {0}, border = 0, object = 0, object_border = 0;
    TRY(image_create(&mask, IMIAD_PIXEL_GRAY8, image->width, image->height));
    border_color(ground, image);
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x) {
            uint8_t apart = difference(image_row(image, y) + 3 * x, ground);
            image_row(mask, y)[x] = apart;
            counts[apart]++;
        }
    int threshold = part_histogram(counts);
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x) {
            uint8_t *value = image_row(mask, y) + x;
            bool edge = on_border(image, x, y);
            *value = *value > threshold ? 255 : 0;
            object += *value != 0;
            border += edge;
            object_border += edge && *value != 0;
        }
    if (100 * object < (int64_t)image->width * image->height || 4 * object_border > border)
        memset(mask->pixels, 255, mask->stride * (size_t)mask->height);
    *out = mask;
    return IMIAD_OK;
}

/* ---- regions of the defect ---- */

typedef struct region {
    double sum_x, sum_y;
    int64_t count;
    int32_t left, right, top, bottom;
} region;

/* Numbers the pixels that touch each other, corners included, from 1; 0 is outside. */
typedef struct regions {
    int32_t *labels, *stack;
    region *all;
    int32_t count;
} regions;

static void add_pixel(region *r, int32_t x, int32_t y)
{
    r->left = r->count == 0 || x < r->left ? x : r->left;
    r->right = r->count == 0 || x > r->right ? x : r->right;
    r->top = r->count == 0 || y < r->top ? y : r->top;
    r->bottom = r->count == 0 || y > r->bottom ? y : r->bottom;
    r->sum_x += x;
    r->sum_y += y;
    r->count++;
}

static void flood(regions *r, const imiad_image *mask, int32_t start)
{
    int32_t width = mask->width, used = 0;
    region *here = &r->all[r->count++];
    *here = (region){.count = 0};
    r->labels[start] = r->count;
    r->stack[used++] = start;
    while (used > 0) {
        int32_t at = r->stack[--used], x = at % width, y = at / width;
        add_pixel(here, x, y);
        for (int i = 0; i < 9; ++i) {
            int32_t to_x = x + i % 3 - 1, to_y = y + i / 3 - 1, to = to_y * width + to_x;
            if (to_x < 0 || to_y < 0 || to_x >= width || to_y >= mask->height ||
                image_row(mask, to_y)[to_x] == 0 || r->labels[to])
                continue;
            r->labels[to] = r->count;
            r->stack[used++] = to;
        }
    }
}

static void regions_free(regions *r)
{
    free(r->labels);
    free(r->stack);
    free(r->all);
}

static imiad_status regions_find(regions *r, const imiad_image *mask)
{
    size_t pixels = (size_t)mask->width * (size_t)mask->height;
    *r = (regions){.labels = calloc(pixels, sizeof *r->labels),
                   .stack = malloc(pixels * sizeof *r->stack),
                   .all = malloc(pixels * sizeof *r->all)};
    if (!r->labels || !r->stack || !r->all) {
        regions_free(r);
        return fail_memory("regions of a mask", pixels * sizeof *r->all);
    }
    for (int32_t i = 0; i < (int32_t)pixels; ++i)
        if (image_row(mask, i / mask->width)[i % mask->width] && !r->labels[i])
            flood(r, mask, i);
    return IMIAD_OK;
}

/* ---- pasting ---- */

static void put_pixel(imiad_image *out, imiad_image *mask, const imiad_image *defect, int32_t x,
                      int32_t y, int32_t right, int32_t down)
{
    int32_t to_x = x + right, to_y = y + down;
    if (to_x < 0 || to_y < 0 || to_x >= out->width || to_y >= out->height)
        return;
    memcpy(image_row(out, to_y) + 3 * to_x, image_row(defect, y) + 3 * x, 3);
    image_row(mask, to_y)[to_x] = 255;
}

static void put_where_it_is(imiad_image *out, imiad_image *mask, const imiad_image *defect,
                            const imiad_image *defect_mask)
{
    for (int32_t y = 0; y < out->height; ++y)
        for (int32_t x = 0; x < out->width; ++x)
            if (image_row(defect_mask, y)[x])
                put_pixel(out, mask, defect, x, y, 0, 0);
}

static bool lies_within(const imiad_image *defect_mask, const imiad_image *foreground)
{
    int64_t all = 0, inside = 0;
    for (int32_t y = 0; y < defect_mask->height; ++y)
        for (int32_t x = 0; x < defect_mask->width; ++x)
            if (image_row(defect_mask, y)[x]) {
                ++all;
                inside += image_row(foreground, y)[x] != 0;
            }
    return inside > 2 * all / 3;
}

/* The n-th foreground pixel far enough from the edges for half of the largest region; with n beyond
 * them all, how many there are. */
static int64_t find_place(int32_t *x, int32_t *y, const imiad_image *foreground, int32_t aside,
                          int32_t above, int64_t n)
{
    int64_t found = 0;
    for (int32_t at_y = above; at_y < foreground->height - above; ++at_y)
        for (int32_t at_x = aside; at_x < foreground->width - aside; ++at_x)
            if (image_row(foreground, at_y)[at_x] && found++ == n) {
                *x = at_x;
                *y = at_y;
                return found;
            }
    return found;
}

static void scatter(imiad_image *out, imiad_image *mask, const imiad_image *defect,
                    const regions *r, const imiad_image *foreground, int32_t aside, int32_t above,
                    int64_t places, random_stream *s)
{
    int32_t width = out->width;
    for (int32_t k = 0; k < r->count; ++k) {
        const region *one = &r->all[k];
        int32_t x = 0, y = 0;
        find_place(&x, &y, foreground, aside, above, (int64_t)random_below(s, (uint64_t)places));
        int32_t right = x - (int32_t)(one->sum_x / (double)one->count);
        int32_t down = y - (int32_t)(one->sum_y / (double)one->count);
        for (int32_t at_y = one->top; at_y <= one->bottom; ++at_y)
            for (int32_t at_x = one->left; at_x <= one->right; ++at_x)
                if (r->labels[at_y * width + at_x] == k + 1)
                    put_pixel(out, mask, defect, at_x, at_y, right, down);
    }
}

static imiad_status put(imiad_image *out, imiad_image *mask, const imiad_image *defect,
                        const imiad_image *defect_mask, const imiad_image *foreground,
                        random_stream *s)
{
    regions r;
    int32_t aside = 0, above = 0, x, y;
    if (!foreground || lies_within(defect_mask, foreground)) {
        put_where_it_is(out, mask, defect, defect_mask);
        return IMIAD_OK;
    }
    TRY(regions_find(&r, defect_mask));
    for (int32_t k = 0; k < r.count; ++k) {
        int32_t half_width = (r.all[k].right - r.all[k].left) / 2;
        int32_t half_height = (r.all[k].bottom - r.all[k].top) / 2;
        aside = half_width > aside ? half_width : aside;
        above = half_height > above ? half_height : above;
    }
    int64_t places = find_place(&x, &y, foreground, aside, above, INT64_MAX);
    if (places > 0)
        scatter(out, mask, defect, &r, foreground, aside, above, places, s);
    else
        put_where_it_is(out, mask, defect, defect_mask);
    regions_free(&r);
    return IMIAD_OK;
}

imiad_status defect_paste(imiad_image **out, imiad_image **mask, const imiad_image *normal,
                          const imiad_image *defect, const imiad_image *defect_mask,
                          const imiad_image *foreground, random_stream *s)
{
    imiad_image *pasted, *place;
    TRY(image_to_rgb(&pasted, normal));
    imiad_status status = image_create(&place, IMIAD_PIXEL_GRAY8, normal->width, normal->height);
    if (status != IMIAD_OK) {
        imiad_image_free(pasted);
        return status;
    }
    status = put(pasted, place, defect, defect_mask, foreground, s);
    if (status != IMIAD_OK) {
        imiad_image_free(pasted);
        imiad_image_free(place);
        return status;
    }
    *out = pasted;
    *mask = place;
    return IMIAD_OK;
}

static imiad_status copy_mask(imiad_image **out, const imiad_image *mask)
{
    TRY(image_create(out, IMIAD_PIXEL_GRAY8, mask->width, mask->height));
    for (int32_t y = 0; y < mask->height; ++y)
        memcpy(image_row(*out, y), image_row(mask, y), (size_t)mask->width);
    return IMIAD_OK;
}

imiad_status defect_paste_changed(imiad_image **out, imiad_image **mask, const imiad_image *normal,
                                  const imiad_image *defect, const imiad_image *defect_mask,
                                  bool anywhere, random_stream *s)
{
    imiad_image *changed = NULL, *changed_mask = NULL, *object = NULL;
    imiad_status status = image_to_rgb(&changed, defect);
    if (status == IMIAD_OK)
        status = copy_mask(&changed_mask, defect_mask);
    if (status == IMIAD_OK)
        status = defect_change_some(&changed, &changed_mask, s);
    if (status == IMIAD_OK && !anywhere)
        status = object_mask(&object, normal);
    if (status == IMIAD_OK)
        status = defect_paste(out, mask, normal, changed, changed_mask, object, s);
    imiad_image_free(changed);
    imiad_image_free(changed_mask);
    imiad_image_free(object);
    return status;
}
