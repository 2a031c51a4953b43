/* Sines and cosines that tell a place of a grid. */
#ifndef DETECTORS_PARTS_POSITION_CODE_H
#define DETECTORS_PARTS_POSITION_CODE_H

#include "bridge/tensor.h"

/* As BGAD gives them to its flows: height * width rows of `size` numbers, a multiple of 4: the
 * first half of them sines and cosines in turn of the column, the second half of the row, at
 * frequencies 10000^(-4 i / size). */
tensor *position_code(int64_t height, int64_t width, int64_t size, device d);

/* The same numbers in the order of masked autoencoders (He et al., CVPR 2022), as SemiREST adds
 * them to patches: of the column all sines, then all cosines, then of the row; frequencies
 * 10000^(-4 i / size). Writes into host memory, for C. */
void position_code_apart(float *out, int64_t height, int64_t width, int64_t size);

#endif
