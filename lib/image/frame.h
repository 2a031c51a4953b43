/* Where an anomaly map lies on the image that it was made of. */
#ifndef IMAGE_FRAME_H
#define IMAGE_FRAME_H

#include "image/preprocess.h"

/* The map of a detector's input, whose geometry is `p`, laid over the whole image of native_width x
 * native_height and read at out_width x out_height points: bilinear between the centres of the
 * map's pixels, as torch.nn.functional.interpolate reads without align_corners. What the crop cut
 * off was never looked at: it takes the map's lowest value. */
void frame_map(float *out, int32_t out_width, int32_t out_height, const float *map, int32_t width,
               int32_t height, const preprocessing *p, int32_t native_width, int32_t native_height);

/* The same for a map of the whole image: to another size. */
void resize_map(float *out, int32_t out_width, int32_t out_height, const float *map, int32_t width,
                int32_t height);

#endif
