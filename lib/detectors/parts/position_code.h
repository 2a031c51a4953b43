/* Sines and cosines that tell a place of a grid, as BGAD gives them to its flows. */
#ifndef DETECTORS_PARTS_POSITION_CODE_H
#define DETECTORS_PARTS_POSITION_CODE_H

#include "bridge/tensor.h"

/* height * width rows of `size` numbers, a multiple of 4: the first half of them sines and cosines
 * in turn of the column, the second half of the row, at frequencies 10000^(-4 i / size). */
tensor *position_code(int64_t height, int64_t width, int64_t size, device d);

#endif
