/* Images turned about their middle, smoothly. */
#ifndef IMAGE_TURN_H
#define IMAGE_TURN_H

#include "imiad/image.h"

/* An RGB8 image turned counter-clockwise about (width / 2, height / 2) on its own canvas, bilinear,
 * with what lies around it reflected at its border pixels: to the byte what OpenCV 4.10 makes with
 * getRotationMatrix2D and warpAffine (INTER_LINEAR, BORDER_REFLECT_101). That point is half a pixel
 * off the middle of the pixels. */
imiad_status image_turn_smoothly(imiad_image **out, const imiad_image *rgb, double degrees);

#endif
