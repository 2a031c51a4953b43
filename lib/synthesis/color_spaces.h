/* Pixels of 8 bits into other colour spaces and back, as OpenCV and Pillow round them. */
#ifndef SYNTHESIS_COLOR_SPACES_H
#define SYNTHESIS_COLOR_SPACES_H

#include <stdint.h>

/* OpenCV's, from RGB: hue in 0..179, everything else in 0..255. CIELAB and CIELUV follow their
 * definitions and differ from OpenCV's tables by up to two steps. */
typedef enum color_space {
    COLOR_YCRCB,
    COLOR_HSV,
    COLOR_HLS,
    COLOR_LAB,
    COLOR_LUV,
    COLOR_YUV,
    COLOR_SPACES
} color_space;

/* The channel of the space that is brightness. */
extern const int brightness_channel[COLOR_SPACES];

void color_from_rgb(uint8_t out[3], const uint8_t rgb[3], color_space space);
void color_to_rgb(uint8_t rgb[3], const uint8_t color[3], color_space space);

/* Pillow's convert("HSV") and back: hue in 0..255. */
void pillow_hsv_from_rgb(uint8_t out[3], const uint8_t rgb[3]);
void pillow_hsv_to_rgb(uint8_t rgb[3], const uint8_t hsv[3]);
/* Pillow's convert("L"): ITU-R BT.601 in 16 bits. */
uint8_t pillow_luminance(const uint8_t rgb[3]);

/* Pillow's Image.blend from one value to another, beyond both where amount is outside 0..1. */
uint8_t pillow_blend(uint8_t from, uint8_t to, float amount);

#endif
