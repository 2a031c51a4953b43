/* What the drawing of pictures is made of: rectangles, text, a colour scale, an outline. */
#ifndef IMAGE_CANVAS_H
#define IMAGE_CANVAS_H

#include "image/pixels.h"

typedef struct color {
    uint8_t r, g, b;
} color;

/* Blends a colour into a pixel of an RGB8 canvas; opacity 0..1. Outside the canvas: nothing. */
void canvas_blend(imiad_image *canvas, int32_t x, int32_t y, color c, float opacity);
void canvas_fill(imiad_image *canvas, int32_t x, int32_t y, int32_t width, int32_t height, color c);
/* Lines of `thickness` pixels around, outside, a rectangle. */
void canvas_frame(imiad_image *canvas, int32_t x, int32_t y, int32_t width, int32_t height,
                  int32_t thickness, color c);

/* One line of UTF-8 text with an antialiased stroke font. cap is the height of a capital in pixels,
 * x and y are its top left. letters.h says which letters it has. */
void canvas_text(imiad_image *canvas, float x, float y, float cap, color c, const char *text);
float text_width(float cap, const char *text);

/* 256 colours from the least to the greatest score. */
void heat_colors(color out[256]);

/* Draws a line around the non-zero pixels of a GRAY8 mask, just outside them, onto the canvas with
 * the mask's corner at (x, y). Each mask pixel is `scale` pixels of the canvas. */
imiad_status canvas_outline(imiad_image *canvas, int32_t x, int32_t y, const imiad_image *mask,
                            int32_t scale, float thickness);

#endif
