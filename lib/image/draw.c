/* The picture for people: image, overlay and colour bar side by side, under a title. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "image/canvas.h"
#include "image/letters.h"

static const color paper = {255, 255, 255}, ink = {32, 32, 36}, frame = {150, 150, 156};
static const color fine = {18, 122, 62}, wrong = {190, 24, 36}; /* behind a verdict */

enum { TICKS_MAX = 24, LABEL_BYTES = 32, TITLE_BYTES = 400, SMALL = 200 };

typedef struct tick {
    double value;
    char label[LABEL_BYTES];
} tick;

typedef struct picture {
    const imiad_image *image;
    const float *map;
    int32_t map_width, map_height;
    float low, high, opacity;
    const imiad_image *mask;
    char *title;
    int32_t verdict;    /* IMIAD_VERDICT_... */
    bool has_threshold; /* to be marked on the bar */
    float threshold;
    color heat[256];
    tick ticks[TICKS_MAX];
    int tick_count;
    /* the layout, in pixels */
    int32_t scale; /* of the image */
    float cap;     /* height of a capital */
    int32_t panel_width, panel_height, panel_y;
    int32_t overlay_y; /* panel_y, or below the image where that is wide */
    int32_t image_x, overlay_x, bar_x, bar_y, bar_width, bar_height;
    int32_t thin; /* the width of frames and ticks */
    int32_t margin, title_y, width, height;
} picture;

/* ---- the scale ---- */

/* 1, 2 or 5 times a power of ten: the least such step that gives at most `count` steps. */
static double round_step(double range, int count)
{
    double power = pow(10, floor(log10(range / count)));
    static const double steps[] = {1, 2, 5};
    for (int i = 0; i < 3; ++i)
        if (range / (steps[i] * power) <= count + 1e-6)
            return steps[i] * power;
    return 10 * power;
}

/* 1.5e+06 becomes 1.5e6. */
static void shorten_exponent(char *label)
{
    char *from = strchr(label, 'e');
    if (!from)
        return;
    char *to = ++from;
    if (*from == '-')
        ++to;
    from += *from == '-' || *from == '+';
    while (*from == '0' && from[1])
        ++from;
    memmove(to, from, strlen(from) + 1);
}

static void label_tick(tick *t, double step)
{
    double size = fmax(fabs(t->value), step);
    int decimals = (int)ceil(-log10(step) - 1e-9);
    if (t->value == 0) {
        plain_print(t->label, LABEL_BYTES, "%.*f", decimals < 0 || decimals > 5 ? 0 : decimals,
                    0.0);
    } else if (size >= 1e5 || step < 1e-5) {
        int digits = (int)ceil(log10(size) - log10(step) - 1e-9);
        plain_print(t->label, LABEL_BYTES, "%.*e",
                    digits < 0   ? 0
                    : digits > 6 ? 6
                                 : digits,
                    t->value);
        shorten_exponent(t->label);
    } else {
        plain_print(t->label, LABEL_BYTES, "%.*f", decimals < 0 ? 0 : decimals, t->value);
    }
}

static void place_ticks(picture *p, double step)
{
    p->tick_count = 0;
    for (double i = ceil(p->low / step - 1e-6); i * step <= p->high + 1e-6 * step; ++i) {
        if (p->tick_count == TICKS_MAX)
            break;
        tick *t = &p->ticks[p->tick_count++];
        t->value = i == 0 ? 0 : i * step; /* no minus zero */
        label_tick(t, step);
    }
}

static void make_ticks(picture *p)
{
    double range = (double)p->high - p->low;
    int wanted = (int)((float)p->bar_height / (3 * p->cap));
    wanted = wanted < 3 ? 3 : wanted > 8 ? 8 : wanted;
    p->tick_count = 0;
    /* a scale without a range, or with one that its own numbers cannot tell apart */
    if (range <= 1e-6 * fmax(fabs(p->low), fabs(p->high))) {
        p->ticks[0].value = p->low;
        plain_print(p->ticks[0].label, LABEL_BYTES, "%.4g", p->low);
        shorten_exponent(p->ticks[0].label);
        p->tick_count = 1;
        return;
    }
    for (int count = wanted; p->tick_count < 2 && count < 3 * wanted; ++count)
        place_ticks(p, round_step(range, count));
}

static int heat_index(const picture *p, float value)
{
    double range = (double)p->high - p->low;
    double t = range > 0 ? ((double)value - p->low) / range : 0;
    return (int)lrint(255 * (t < 0 ? 0 : t > 1 ? 1 : t));
}

/* ---- the layout ---- */

/* Side by side, or one above the other where the image is more than twice as wide as high. */
static void place_panels(picture *p, int32_t top, int32_t gap)
{
    bool stacked = p->image->width / 2 > p->image->height;
    int32_t least = 8 * (int32_t)p->cap, used = p->panel_height;
    p->image_x = p->margin;
    p->overlay_x = stacked ? p->image_x : p->image_x + p->panel_width + gap;
    if (stacked)
        used = 2 * p->panel_height + gap;
    p->bar_height = used > least ? used : least;
    p->bar_y = top;
    p->panel_y = top + (p->bar_height - used) / 2;
    p->overlay_y = stacked ? p->panel_y + p->panel_height + gap : p->panel_y;
    p->bar_x = p->overlay_x + p->panel_width + gap;
}

static void lay_out(picture *p)
{
    int32_t longer = p->image->width > p->image->height ? p->image->width : p->image->height;
    p->scale = longer < SMALL ? (SMALL + longer - 1) / longer : 1;
    p->panel_width = p->image->width * p->scale;
    p->panel_height = p->image->height * p->scale;
    longer *= p->scale;
    p->cap = fminf(fmaxf(roundf((float)longer / 34), 9), 40);
    int32_t cap = (int32_t)p->cap, gap = cap + cap / 2;
    p->margin = gap;
    p->thin = cap / 12 > 1 ? cap / 12 : 1;
    p->title_y = gap;
    bool headed = p->title || p->verdict != IMIAD_VERDICT_NONE;
    int32_t top = headed ? gap + 2 * cap + cap / 2 : gap;
    p->bar_width = cap + cap / 2;
    place_panels(p, top, gap);
    make_ticks(p);
    float labels = 0;
    for (int i = 0; i < p->tick_count; ++i)
        labels = fmaxf(labels, text_width(p->cap, p->ticks[i].label));
    p->width = p->bar_x + p->bar_width + cap + (int32_t)ceilf(labels) + p->margin;
    p->height = top + p->bar_height + p->margin;
}

/* A title too long for the picture is drawn smaller, and cut when it would be too small to read. */
static float fit_title(char *title, float cap, float room)
{
    while (cap > 9 && text_width(cap, title) > room)
        cap -= 1;
    for (int length = (int)strlen(title); length > 3 && text_width(cap, title) > room;) {
        length = letters_within(title, length - 4);
        strcpy(title + length, "...");
        length += 3;
    }
    return cap;
}

/* ---- drawing ---- */

static void draw_image(imiad_image *canvas, const picture *p, int32_t left, int32_t top)
{
    size_t bytes = (size_t)pixel_bytes(p->image->format);
    for (int32_t y = 0; y < p->panel_height; ++y) {
        const uint8_t *source = image_row(p->image, y / p->scale);
        uint8_t *target = image_row(canvas, top + y) + 3 * (size_t)left;
        for (int32_t x = 0; x < p->panel_width; ++x)
            pixels_to_rgb(target + 3 * (size_t)x, source + (size_t)(x / p->scale) * bytes, 1,
                          p->image->format);
    }
}

/* Where a panel's pixel lies in the map: the two nearest values and how far it is to the second. */
typedef struct between {
    int32_t first, second;
    float share;
} between;

static between locate(int32_t at, int32_t panel, int32_t size)
{
    float position = ((float)at + 0.5f) * (float)size / (float)panel - 0.5f;
    position = fminf(fmaxf(position, 0), (float)(size - 1));
    int32_t first = (int32_t)position;
    return (between){first, first + 1 < size ? first + 1 : first, position - (float)first};
}

static void draw_overlay(imiad_image *canvas, const picture *p)
{
    for (int32_t y = 0; y < p->panel_height; ++y) {
        between v = locate(y, p->panel_height, p->map_height);
        const float *upper = p->map + (size_t)v.first * (size_t)p->map_width;
        const float *lower = p->map + (size_t)v.second * (size_t)p->map_width;
        for (int32_t x = 0; x < p->panel_width; ++x) {
            between h = locate(x, p->panel_width, p->map_width);
            float above = upper[h.first] * (1 - h.share) + upper[h.second] * h.share;
            float below = lower[h.first] * (1 - h.share) + lower[h.second] * h.share;
            float value = above * (1 - v.share) + below * v.share;
            canvas_blend(canvas, p->overlay_x + x, p->overlay_y + y, p->heat[heat_index(p, value)],
                         p->opacity);
        }
    }
}

/* A white line in a black one across the bar and a little beyond. */
static void mark_threshold(imiad_image *canvas, const picture *p, float span)
{
    static const color white = {255, 255, 255}, black = {0, 0, 0};
    float share = (p->threshold - p->low) / (p->high - p->low);
    int32_t y = p->bar_y + (int32_t)lrintf(span * (1 - share)), half = p->thin;
    int32_t left = p->bar_x - 3 * half, width = p->bar_width + 6 * half;
    canvas_fill(canvas, left, y - 2 * half, width, 4 * half + 1, black);
    canvas_fill(canvas, left + half, y - half, width - 2 * half, 2 * half + 1, white);
}

static void draw_bar(imiad_image *canvas, const picture *p)
{
    float span = (float)(p->bar_height - 1);
    for (int32_t y = 0; y < p->bar_height; ++y)
        canvas_fill(canvas, p->bar_x, p->bar_y + y, p->bar_width, 1,
                    p->heat[p->high > p->low ? (int)lrintf(255 * (1 - (float)y / span)) : 0]);
    canvas_frame(canvas, p->bar_x, p->bar_y, p->bar_width, p->bar_height, p->thin, frame);
    if (p->has_threshold && p->threshold > p->low && p->threshold < p->high)
        mark_threshold(canvas, p, span);
    for (int i = 0; i < p->tick_count; ++i) {
        const tick *t = &p->ticks[i];
        double range = (double)p->high - p->low;
        double share = range > 0 ? (t->value - p->low) / range : 0.5;
        float y = (float)p->bar_y + span * (float)(1 - share);
        int32_t right = p->bar_x + p->bar_width + p->thin;
        canvas_fill(canvas, right, (int32_t)lrintf(y) - (p->thin - 1) / 2, (int32_t)(p->cap * 0.4f),
                    p->thin, ink);
        canvas_text(canvas, (float)right + roundf(p->cap * 0.8f), roundf(y - (p->cap - 1) / 2),
                    p->cap, ink, t->label);
    }
}

/* The verdict in white on its colour; returns how much room it took. */
static int32_t draw_verdict(imiad_image *canvas, const picture *p, float cap)
{
    static const color white = {255, 255, 255};
    bool anomalous = p->verdict == IMIAD_VERDICT_ANOMALOUS;
    const char *word = anomalous ? "NOT OK" : "OK";
    int32_t pad = (int32_t)(cap * 0.6f), width = (int32_t)ceilf(text_width(cap, word));
    canvas_fill(canvas, p->margin, p->title_y - pad, width + 2 * pad, (int32_t)cap + 2 * pad,
                anomalous ? wrong : fine);
    canvas_text(canvas, (float)(p->margin + pad), (float)p->title_y, cap, white, word);
    return width + 3 * pad;
}

static void draw_head(imiad_image *canvas, picture *p)
{
    float cap = roundf(p->cap * 1.25f);
    int32_t left = p->margin;
    if (p->verdict != IMIAD_VERDICT_NONE)
        left += draw_verdict(canvas, p, cap);
    if (!p->title)
        return;
    float smaller = fit_title(p->title, cap, (float)(p->width - p->margin - left));
    canvas_text(canvas, (float)left, (float)p->title_y + floorf((cap - smaller) / 2), smaller, ink,
                p->title);
}

static imiad_status draw(imiad_image **out, picture *p)
{
    imiad_image *canvas = NULL;
    imiad_status status = image_create(&canvas, IMIAD_PIXEL_RGB8, p->width, p->height);
    if (status != IMIAD_OK)
        return fail_within(status, "drawing a heat map");
    canvas_fill(canvas, 0, 0, p->width, p->height, paper);
    draw_image(canvas, p, p->image_x, p->panel_y);
    draw_image(canvas, p, p->overlay_x, p->overlay_y);
    draw_overlay(canvas, p);
    if (p->mask)
        status = canvas_outline(canvas, p->overlay_x, p->overlay_y, p->mask, p->scale,
                                fmaxf(1, p->cap / 8));
    canvas_frame(canvas, p->image_x, p->panel_y, p->panel_width, p->panel_height, p->thin, frame);
    canvas_frame(canvas, p->overlay_x, p->overlay_y, p->panel_width, p->panel_height, p->thin,
                 frame);
    draw_bar(canvas, p);
    draw_head(canvas, p);
    if (status == IMIAD_OK)
        *out = canvas;
    else
        imiad_image_free(canvas);
    return status;
}

/* ---- arguments ---- */

static imiad_status check_options(const imiad_heatmap_options *options, const imiad_image *image)
{
    if (!isfinite(options->low) || !isfinite(options->high))
        return fail(IMIAD_NOT_FINITE, "drawing a heat map: a scale from %g to %g", options->low,
                    options->high);
    if (options->low > options->high)
        return fail(IMIAD_INVALID_ARGUMENT, "drawing a heat map: a scale from %g down to %g",
                    options->low, options->high);
    if (!(options->opacity >= 0 && options->opacity <= 1))
        return fail(IMIAD_OUT_OF_RANGE, "drawing a heat map: opacity %g is not in 0..1",
                    options->opacity);
    if (options->has_threshold && !isfinite(options->threshold))
        return fail(IMIAD_NOT_FINITE, "drawing a heat map: a threshold of %g", options->threshold);
    if (options->verdict < IMIAD_VERDICT_NONE || options->verdict > IMIAD_VERDICT_ANOMALOUS)
        return fail(IMIAD_OUT_OF_RANGE, "drawing a heat map: %d is no verdict", options->verdict);
    const imiad_image *mask = options->mask;
    if (!mask)
        return IMIAD_OK;
    TRY(image_check(mask, "drawing a heat map: mask"));
    if (mask->width != image->width || mask->height != image->height)
        return fail(IMIAD_MISMATCH, "drawing a heat map: a mask of %d x %d on an image of %d x %d",
                    mask->width, mask->height, image->width, image->height);
    return IMIAD_OK;
}

/* The range of the map, and that it has one. */
static imiad_status map_range(float *low, float *high, const float *map, int32_t width,
                              int32_t height)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < (size_t)width * (size_t)height; ++i) {
        if (!isfinite(map[i]))
            return fail(IMIAD_NOT_FINITE,
                        "drawing a heat map: the map is %g at row %zu, column %zu", map[i],
                        i / (size_t)width, i % (size_t)width);
        *low = fminf(*low, map[i]);
        *high = fmaxf(*high, map[i]);
    }
    return IMIAD_OK;
}

/* Any mask as GRAY8, 255 where it is above zero in some colour. */
static imiad_status flatten_mask(imiad_image **out, const imiad_image *mask)
{
    int bytes = pixel_bytes(mask->format), colors = bytes == 4 ? 3 : bytes;
    TRY(image_create(out, IMIAD_PIXEL_GRAY8, mask->width, mask->height));
    for (int32_t y = 0; y < mask->height; ++y)
        for (int32_t x = 0; x < mask->width; ++x)
            for (int c = 0; c < colors; ++c)
                if (image_row(mask, y)[x * bytes + c] > 0)
                    image_row(*out, y)[x] = 255;
    return IMIAD_OK;
}

static imiad_status draw_with_options(imiad_image **out, picture *p,
                                      const imiad_heatmap_options *options)
{
    imiad_image *mask = NULL;
    if (options->mask)
        TRY(flatten_mask(&mask, options->mask));
    p->mask = mask;
    if (options->title && !(p->title = strndup(options->title, (size_t)letters_within(
                                                                   options->title, TITLE_BYTES)))) {
        imiad_image_free(mask);
        return fail_memory("a title", TITLE_BYTES);
    }
    if (options->low < options->high) {
        p->low = options->low;
        p->high = options->high;
    }
    p->opacity = options->opacity;
    p->verdict = options->verdict;
    p->has_threshold = options->has_threshold != 0;
    p->threshold = options->threshold;
    heat_colors(p->heat);
    lay_out(p);
    imiad_status status = draw(out, p);
    free(p->title);
    imiad_image_free(mask);
    return status;
}

imiad_status imiad_image_draw_heatmap(imiad_image **out, const imiad_image *image, const float *map,
                                      int32_t width, int32_t height,
                                      const imiad_heatmap_options *options)
{
    imiad_heatmap_options o = IMIAD_HEATMAP_OPTIONS_INIT;
    if (!out || !map)
        return fail(IMIAD_INVALID_ARGUMENT, "drawing a heat map: %s is NULL", out ? "map" : "out");
    TRY(image_check(image, "drawing a heat map: image"));
    if (width < 1 || height < 1)
        return fail(IMIAD_INVALID_ARGUMENT, "drawing a heat map: a map of %d x %d values", width,
                    height);
    TRY(struct_read(&o, sizeof o, options, offsetof(imiad_heatmap_options, has_threshold),
                    "heat map options"));
    TRY(check_options(&o, image));
    picture p = {.image = image, .map = map, .map_width = width, .map_height = height};
    TRY(map_range(&p.low, &p.high, map, width, height));
    return draw_with_options(out, &p, &o);
}
