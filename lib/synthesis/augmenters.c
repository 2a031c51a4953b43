#include "synthesis/augmenters.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "synthesis/color_spaces.h"
#include "synthesis/warp.h"

const char *const augmenter_names[AUGMENTER_KINDS] = {
    [AUGMENTER_GAMMA] = "gamma",         [AUGMENTER_BRIGHTNESS] = "brightness",
    [AUGMENTER_SHARPNESS] = "sharpness", [AUGMENTER_HUE_SATURATION] = "hue and saturation",
    [AUGMENTER_SOLARIZE] = "solarize",   [AUGMENTER_POSTERIZE] = "posterize",
    [AUGMENTER_INVERT] = "invert",       [AUGMENTER_AUTOCONTRAST] = "autocontrast",
    [AUGMENTER_EQUALIZE] = "equalize",   [AUGMENTER_ROTATE] = "rotate",
};

/* ---- drawing ---- */

/* A whole number, both ends included. */
static double draw_whole(random_stream *s, int low, int high)
{
    return low + (double)random_below(s, (uint64_t)(high - low + 1));
}

augmenter augmenter_draw(augmenter_kind kind, random_stream *s)
{
    augmenter a = {.kind = kind};
    double *v = a.values;
    switch (kind) {
    case AUGMENTER_GAMMA:
        for (int c = 0; c < 3; ++c)
            v[c] = random_between(s, 0.5, 2);
        break;
    case AUGMENTER_BRIGHTNESS:
        v[0] = draw_whole(s, 0, COLOR_SPACES - 1);
        v[1] = random_between(s, 0.8, 1.2);
        v[2] = rint(random_between(s, -30, 30));
        v[3] = draw_whole(s, 0, 1);
        break;
    case AUGMENTER_SHARPNESS:
        v[0] = random_between(s, 0, 2);
        break;
    case AUGMENTER_HUE_SATURATION:
        v[0] = draw_whole(s, -50, 50);
        v[1] = draw_whole(s, -50, 50);
        break;
    case AUGMENTER_SOLARIZE:
        v[0] = floor(random_between(s, 32, 128));
        if (random_real(s) < 0.5)
            v[0] = 256;
        break;
    case AUGMENTER_POSTERIZE:
        v[0] = draw_whole(s, 1, 8);
        break;
    case AUGMENTER_AUTOCONTRAST:
        v[0] = draw_whole(s, 0, 20);
        break;
    case AUGMENTER_ROTATE:
        v[0] = random_between(s, -45, 45);
        break;
    default:
        break;
    }
    return a;
}

/* ---- values alone ---- */

typedef uint8_t value_tables[3][256];

static void apply_tables(imiad_image *image, value_tables tables)
{
    for (int32_t y = 0; y < image->height; ++y) {
        uint8_t *p = image_row(image, y);
        for (int32_t x = 0; x < image->width; ++x, p += 3)
            for (int c = 0; c < 3; ++c)
                p[c] = tables[c][p[c]];
    }
}

static uint8_t cut(double value)
{
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
}

static uint8_t change_value(const augmenter *a, int channel, int value)
{
    const double *v = a->values;
    switch (a->kind) {
    case AUGMENTER_GAMMA:
        return cut((double)(powf((float)value / 255.f, (float)v[channel]) * 255.f));
    case AUGMENTER_SOLARIZE:
        return (uint8_t)(value >= v[0] ? 255 - value : value);
    case AUGMENTER_POSTERIZE:
        return (uint8_t)(value & ~((1 << (8 - (int)v[0])) - 1));
    default:
        return (uint8_t)(255 - value);
    }
}

static void change_values(imiad_image *image, const augmenter *a)
{
    value_tables tables;
    for (int c = 0; c < 3; ++c)
        for (int value = 0; value < 256; ++value)
            tables[c][value] = change_value(a, c, value);
    apply_tables(image, tables);
}

/* ---- histograms ---- */

static void count_values(int64_t histogram[3][256], const imiad_image *image)
{
    memset(histogram, 0, 3 * sizeof *histogram);
    for (int32_t y = 0; y < image->height; ++y) {
        const uint8_t *p = image_row(image, y);
        for (int32_t x = 0; x < image->width; ++x, p += 3)
            for (int c = 0; c < 3; ++c)
                histogram[c][p[c]]++;
    }
}

/* Takes `pixels` away, from one end on. */
static void cut_off(int64_t h[256], int64_t pixels, int from, int step)
{
    for (int i = from; i >= 0 && i < 256; i += step) {
        int64_t taken = pixels > h[i] ? h[i] : pixels;
        h[i] -= taken;
        pixels -= taken;
        if (pixels <= 0)
            return;
    }
}

static void stretch(uint8_t table[256], int64_t h[256], int64_t pixels, int per_cent)
{
    int low = 0, high = 255;
    cut_off(h, pixels * per_cent / 100, 0, 1);
    cut_off(h, pixels * per_cent / 100, 255, -1);
    while (low < 255 && h[low] == 0)
        ++low;
    while (high > 0 && h[high] == 0)
        --high;
    double scale = high > low ? 255.0 / (high - low) : 1, offset = high > low ? -low * scale : 0;
    for (int i = 0; i < 256; ++i)
        table[i] = cut(i * scale + offset);
}

/* imgaug's own: unlike Pillow's, it leaves out the pixels of 255 whether there are any or not. */
static void flatten(uint8_t table[256], const int64_t h[256], int64_t pixels)
{
    int used = 0;
    for (int i = 0; i < 256; ++i)
        used += h[i] != 0;
    int64_t step = used > 1 ? (pixels - h[255]) / 255 : 0, sum = step / 2;
    for (int i = 0; i < 256; ++i) {
        table[i] = step ? cut((double)(sum / step)) : (uint8_t)i;
        sum += h[i];
    }
}

static void change_histogram(imiad_image *image, const augmenter *a)
{
    int64_t histogram[3][256], pixels = (int64_t)image->width * image->height;
    value_tables tables;
    count_values(histogram, image);
    for (int c = 0; c < 3; ++c) {
        if (a->kind == AUGMENTER_EQUALIZE)
            flatten(tables[c], histogram[c], pixels);
        else
            stretch(tables[c], histogram[c], pixels, (int)a->values[0]);
    }
    apply_tables(image, tables);
}

/* ---- colours ---- */

static uint8_t brighten(uint8_t value, const augmenter *a)
{
    for (int i = 0; i < 2; ++i) {
        bool adds = (i == 0) == (a->values[3] != 0);
        value =
            adds ? cut(value + a->values[2]) : cut((double)((float)value * (float)a->values[1]));
    }
    return value;
}

/* In OpenCV's 180 steps of hue, cut towards zero as imgaug does. */
static void shift_hue_and_saturation(uint8_t hsv[3], const augmenter *a)
{
    int hue = (int)((float)a->values[0] / 255.f * 180.f);
    hsv[0] = (uint8_t)((hsv[0] + hue + 180) % 180);
    hsv[1] = cut(hsv[1] + a->values[1]);
}

static void change_colors(imiad_image *image, const augmenter *a)
{
    bool of_brightness = a->kind == AUGMENTER_BRIGHTNESS;
    color_space space = of_brightness ? (color_space)a->values[0] : COLOR_HSV;
    for (int32_t y = 0; y < image->height; ++y) {
        uint8_t *p = image_row(image, y);
        for (int32_t x = 0; x < image->width; ++x, p += 3) {
            uint8_t color[3];
            color_from_rgb(color, p, space);
            if (of_brightness)
                color[brightness_channel[space]] = brighten(color[brightness_channel[space]], a);
            else
                shift_hue_and_saturation(color, a);
            color_to_rgb(p, color, space);
        }
    }
}

/* ---- neighbourhoods ---- */

/* Pillow's SMOOTH: a pixel five times and its neighbours once; the border stays. */
static uint8_t smooth(const imiad_image *image, int32_t x, int32_t y, int channel)
{
    if (x == 0 || y == 0 || x == image->width - 1 || y == image->height - 1)
        return image_row(image, y)[3 * x + channel];
    int sum = 4 * image_row(image, y)[3 * x + channel];
    for (int i = -1; i <= 1; ++i)
        for (int j = -1; j <= 1; ++j)
            sum += image_row(image, y + i)[3 * (x + j) + channel];
    return (uint8_t)((2 * sum + 13) / 26);
}

static imiad_status sharpen(imiad_image **out, const imiad_image *image, double factor)
{
    TRY(image_create(out, IMIAD_PIXEL_RGB8, image->width, image->height));
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x)
            for (int c = 0; c < 3; ++c)
                image_row(*out, y)[3 * x + c] = pillow_blend(
                    smooth(image, x, y, c), image_row(image, y)[3 * x + c], (float)factor);
    return IMIAD_OK;
}

/* ---- all of them ---- */

imiad_status augmenter_apply(imiad_image **image, const augmenter *a)
{
    imiad_image *changed = NULL;
    switch (a->kind) {
    case AUGMENTER_AUTOCONTRAST:
    case AUGMENTER_EQUALIZE:
        change_histogram(*image, a);
        return IMIAD_OK;
    case AUGMENTER_BRIGHTNESS:
    case AUGMENTER_HUE_SATURATION:
        change_colors(*image, a);
        return IMIAD_OK;
    case AUGMENTER_SHARPNESS:
        TRY(sharpen(&changed, *image, a->values[0]));
        break;
    case AUGMENTER_ROTATE:
        TRY(warp_rotate(&changed, *image, a->values[0]));
        break;
    default:
        change_values(*image, a);
        return IMIAD_OK;
    }
    imiad_image_free(*image);
    *image = changed;
    return IMIAD_OK;
}

void augmenters_choose(augmenter_kind *out, int count, random_stream *s)
{
    size_t kinds[AUGMENTER_KINDS];
    for (size_t i = 0; i < AUGMENTER_KINDS; ++i)
        kinds[i] = i;
    random_shuffle(s, kinds, AUGMENTER_KINDS);
    for (int i = 0; i < count; ++i)
        out[i] = (augmenter_kind)kinds[i];
}

imiad_status augmenters_apply(imiad_image **image, const augmenter_kind *kinds, int count,
                              random_stream *s)
{
    for (int i = 0; i < count; ++i) {
        augmenter a = augmenter_draw(kinds[i], s);
        TRY(augmenter_apply(image, &a));
    }
    return IMIAD_OK;
}
