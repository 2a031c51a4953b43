/* Draws that prefer what was drawn least so far. */
#ifndef DETECTORS_PARTS_RARE_DRAW_H
#define DETECTORS_PARTS_RARE_DRAW_H

#include "base/random.h"
#include "imiad/common.h"

/* `count` numbers below n, each of them counted in `uses` (n entries). Different ones where there
 * are enough. With f the uses so far and w = 1 - f / max f, each has the weight (w - median w + 1)
 * to the power of 4 ln n; the first draw is uniform. The rule of the public code of SuperSimpleNet.
 */
imiad_status rare_draw(size_t *out, size_t count, int64_t *uses, size_t n, random_stream *stream);

#endif
