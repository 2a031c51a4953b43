/* The types of numbers that tensors and weight files hold. */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum dtype { F32 = 1, F64, F16, BF16, I64, I32, U8, BOOL } dtype;

size_t dtype_bytes(dtype type); /* of one element */
/* "float32"; "another type" for what is none of them. */
const char *dtype_name(dtype type);

#ifdef __cplusplus
}
#endif
#endif
