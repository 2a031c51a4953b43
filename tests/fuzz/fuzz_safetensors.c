/* safetensors: whatever the bytes, reading ends, and what it gives can be worked with. */
#include "checksummed.h"
#include "weights_checks.h"

const fuzz_seed fuzz_seeds[] = {
    SEED("\x38", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}  ", "12345678"),
    SEED("\x78",
         "{\"a\":{\"dtype\":\"U8\",\"shape\":[3,1],\"data_offsets\":[0,3]},"
         "\"module.b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[3,11]}}     ",
         "12345678901"),
    SEED("\x70",
         CHECKSUMMED "00000000\",\"k\":\"v\"},"
                     "\"a\":{\"dtype\":\"BF16\",\"shape\":[0,2],\"data_offsets\":[0,0]}}     ",
         ""),
    SEED("\x02", "{}", ""),
    {NULL, 0},
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > 1 << 16)
        return 0;
    try_repaired_too(bytes, size, parse_and_check);
    return 0;
}
