#include "synthesis/color_jitter.h"

#include <string.h>

#include "image/pixels.h"
#include "synthesis/color_spaces.h"

color_jitter color_jitter_draw(double range, random_stream *s)
{
    color_jitter j;
    size_t order[JITTER_KINDS] = {JITTER_BRIGHTNESS, JITTER_CONTRAST, JITTER_SATURATION,
                                  JITTER_HUE};
    random_shuffle(s, order, JITTER_KINDS);
    for (int i = 0; i < JITTER_KINDS; ++i) {
        j.order[i] = (jitter_kind)order[i];
        j.amounts[i] = (i == JITTER_HUE ? 0 : 1) + random_between(s, -range, range);
    }
    return j;
}

static uint8_t mean_luminance(const imiad_image *image)
{
    uint64_t sum = 0;
    for (int32_t y = 0; y < image->height; ++y) {
        const uint8_t *p = image_row(image, y);
        for (int32_t x = 0; x < image->width; ++x, p += 3)
            sum += pillow_luminance(p);
    }
    return (uint8_t)((double)sum / ((double)image->width * image->height) + 0.5);
}

/* The hue goes round in 256 steps. */
static void turn_hue(uint8_t *pixel, int steps)
{
    uint8_t hsv[3];
    pillow_hsv_from_rgb(hsv, pixel);
    hsv[0] = (uint8_t)(hsv[0] + steps);
    pillow_hsv_to_rgb(pixel, hsv);
}

static void change_pixel(uint8_t *pixel, jitter_kind kind, double amount, uint8_t mean)
{
    if (kind == JITTER_HUE) {
        turn_hue(pixel, (int)(amount * 255));
        return;
    }
    uint8_t from = kind == JITTER_SATURATION ? pillow_luminance(pixel)
                   : kind == JITTER_CONTRAST ? mean
                                             : 0;
    for (int c = 0; c < 3; ++c)
        pixel[c] = pillow_blend(from, pixel[c], (float)amount);
}

void color_change(imiad_image *image, jitter_kind kind, double amount)
{
    uint8_t mean = kind == JITTER_CONTRAST ? mean_luminance(image) : 0;
    for (int32_t y = 0; y < image->height; ++y) {
        uint8_t *pixel = image_row(image, y);
        for (int32_t x = 0; x < image->width; ++x, pixel += 3)
            change_pixel(pixel, kind, amount, mean);
    }
}

void color_jitter_apply(imiad_image *image, const color_jitter *j)
{
    for (int i = 0; i < JITTER_KINDS; ++i)
        color_change(image, j->order[i], j->amounts[j->order[i]]);
}

void color_drop(imiad_image *image)
{
    for (int32_t y = 0; y < image->height; ++y) {
        uint8_t *pixel = image_row(image, y);
        for (int32_t x = 0; x < image->width; ++x, pixel += 3)
            memset(pixel, pillow_luminance(pixel), 3);
    }
}
