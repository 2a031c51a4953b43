/* The types of numbers that tensors and weight files hold. */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

typedef enum dtype { F32 = 1, F64, F16, BF16, I64, I32, U8, BOOL } dtype;

#endif
