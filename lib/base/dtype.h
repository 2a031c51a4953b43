/* The types of numbers that tensors and weight files hold. */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum dtype { F32 = 1, F64, F16, BF16, I64, I32, U8, BOOL } dtype;

size_t dtype_bytes(dtype type); /* of one element */

#ifdef __cplusplus
}
#endif
#endif
