#include "base/dtype.h"

#include <stdint.h>

size_t dtype_bytes(dtype type)
{
    static const uint8_t bytes[] = {
        [F32] = 4, [F64] = 8, [F16] = 2, [BF16] = 2, [I64] = 8, [I32] = 4, [U8] = 1, [BOOL] = 1};
    return (size_t)type < sizeof bytes ? bytes[type] : 0;
}

const char *dtype_name(dtype type)
{
    static const char *const names[] = {
        [0] = "another type", [F32] = "float32",   [F64] = "float64",
        [F16] = "float16",    [BF16] = "bfloat16", [I64] = "int64",
        [I32] = "int32",      [U8] = "uint8",      [BOOL] = "bool"};
    return names[(size_t)type < sizeof names / sizeof *names ? type : 0];
}
