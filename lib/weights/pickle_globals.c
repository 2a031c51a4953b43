/* The only names that a pickle may mention. None is ever looked up. */
#include <string.h>

#include "weights/pickle.h"

static const pickle_global globals[] = {
    {"collections", "OrderedDict", GLOBAL_ORDERED_DICT, 0, 0},
    {"torch", "Size", GLOBAL_SIZE, 0, 0},
    {"torch._utils", "_rebuild_tensor", GLOBAL_TENSOR, 0, 0},
    {"torch._utils", "_rebuild_tensor_v2", GLOBAL_TENSOR, 0, 0},
    {"torch._utils", "_rebuild_tensor_v3", GLOBAL_TENSOR_V3, 0, 0},
    {"torch._utils", "_rebuild_parameter", GLOBAL_PARAMETER, 0, 0},
    {"torch._utils", "_rebuild_parameter_with_state", GLOBAL_PARAMETER, 0, 0},
    {"torch", "FloatStorage", GLOBAL_STORAGE, 4, F32},
    {"torch", "DoubleStorage", GLOBAL_STORAGE, 8, F64},
    {"torch", "HalfStorage", GLOBAL_STORAGE, 2, F16},
    {"torch", "BFloat16Storage", GLOBAL_STORAGE, 2, BF16},
    {"torch", "LongStorage", GLOBAL_STORAGE, 8, I64},
    {"torch", "IntStorage", GLOBAL_STORAGE, 4, I32},
    {"torch", "ByteStorage", GLOBAL_STORAGE, 1, U8},
    {"torch", "BoolStorage", GLOBAL_STORAGE, 1, BOOL},
    {"torch", "CharStorage", GLOBAL_STORAGE, 1, 0},
    {"torch", "ShortStorage", GLOBAL_STORAGE, 2, 0},
    {"torch", "ComplexFloatStorage", GLOBAL_STORAGE, 8, 0},
    {"torch", "ComplexDoubleStorage", GLOBAL_STORAGE, 16, 0},
    {"torch", "UntypedStorage", GLOBAL_STORAGE, 1, U8},
    {"torch.storage", "UntypedStorage", GLOBAL_STORAGE, 1, U8},
    {"torch", "float32", GLOBAL_TYPE, 4, F32},
    {"torch", "float64", GLOBAL_TYPE, 8, F64},
    {"torch", "float16", GLOBAL_TYPE, 2, F16},
    {"torch", "bfloat16", GLOBAL_TYPE, 2, BF16},
    {"torch", "int64", GLOBAL_TYPE, 8, I64},
    {"torch", "int32", GLOBAL_TYPE, 4, I32},
    {"torch", "uint8", GLOBAL_TYPE, 1, U8},
    {"torch", "bool", GLOBAL_TYPE, 1, BOOL},
    {"torch", "int8", GLOBAL_TYPE, 1, 0},
    {"torch", "int16", GLOBAL_TYPE, 2, 0},
    {"torch", "uint16", GLOBAL_TYPE, 2, 0},
    {"torch", "uint32", GLOBAL_TYPE, 4, 0},
    {"torch", "uint64", GLOBAL_TYPE, 8, 0},
    {"torch", "complex64", GLOBAL_TYPE, 8, 0},
    {"torch", "float8_e4m3fn", GLOBAL_TYPE, 1, 0},
    {"torch", "float8_e5m2", GLOBAL_TYPE, 1, 0},
};

bool text_equals(pickle_text text, const char *literal)
{
    return text.length == strlen(literal) && memcmp(text.bytes, literal, text.length) == 0;
}

const char *pickle_kind_name(pickle_kind kind)
{
    static const char *const names[] = {"None",     "a bool",    "an int",  "a float",
                                        "a text",   "a tuple",   "a list",  "a dict",
                                        "a global", "a storage", "a tensor"};
    return names[kind];
}

const pickle_global *pickle_find_global(pickle_text module, pickle_text name)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; ++i)
        if (text_equals(module, globals[i].module) && text_equals(name, globals[i].name))
            return &globals[i];
    return NULL;
}
