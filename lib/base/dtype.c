#include "base/dtype.h"

#include <stdint.h>

size_t dtype_bytes(dtype type)
{
    static const uint8_t bytes[] = {
        [F32] = 4, [F64] = 8, [F16] = 2, [BF16] = 2, [I64] = 8, [I32] = 4, [U8] = 1, [BOOL] = 1};
    return (size_t)type < sizeof bytes ? bytes[type] : 0;
}
