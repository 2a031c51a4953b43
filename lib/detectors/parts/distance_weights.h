/* Masks of defects as a training takes them: dilated, and with weights that fall towards the edge.
 * Masks are bytes, rows without gaps; above zero is inside. */
#ifndef DETECTORS_PARTS_DISTANCE_WEIGHTS_H
#define DETECTORS_PARTS_DISTANCE_WEIGHTS_H

#include "imiad/common.h"

/* Dilated by a square of side x side, odd, in place: 255 where the square around a pixel meets the
 * mask, 0 elsewhere. */
imiad_status mask_dilate(uint8_t *mask, int32_t width, int32_t height, int32_t side);

/* Inside each component of pixels that touch by sides or corners peak (d / d_max)^power, with d the
 * Euclidean distance to the nearest pixel outside, from centre to centre, and d_max the component's
 * largest; 1 outside. What lies beyond the image is not outside: a component without an outside has
 * `peak` everywhere. Bozic, Tabernik, Skocaj: Computers in Industry 2021. */
imiad_status distance_weights(float *out, const uint8_t *mask, int32_t width, int32_t height,
                              double peak, double power);

#endif
