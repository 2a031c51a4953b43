#include "bank/storage.h"

#include <inttypes.h>

#include "base/error.h"

const storage_kind storage_kinds[STORAGES] = {
    [IMIAD_STORAGE_FLOAT32] = {"float32", 4, F32},
    [IMIAD_STORAGE_BFLOAT16] = {"bfloat16", 2, BF16},
    [IMIAD_STORAGE_FLOAT16] = {"float16", 2, F16},
};

imiad_status storage_check(imiad_storage storage, const char *doing)
{
    if ((int)storage > 0 && (int)storage < STORAGES)
        return IMIAD_OK;
    return fail(IMIAD_OUT_OF_RANGE,
                "%s: storage is %d: it must be one of IMIAD_STORAGE_FLOAT32, _BFLOAT16, _FLOAT16",
                doing, (int)storage);
}

imiad_storage storage_of_type(dtype type)
{
    int s = STORAGES - 1;
    while (s > 0 && storage_kinds[s].type != type)
        --s;
    return (imiad_storage)s;
}

imiad_storage storage_named(const char *name)
{
    int s = STORAGES - 1;
    while (s > 0 && strcmp(storage_kinds[s].name, name) != 0)
        --s;
    return (imiad_storage)s;
}

/* ---- narrowing, without branches so that the loops run on whole vectors ---- */

enum { FLOAT16_INFINITY = 0x7c00, BFLOAT16_INFINITY = 0x7f80 }; /* their bits */

static inline uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline uint16_t to_bfloat16(float value)
{
    uint32_t bits = bits_of(value);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static inline uint16_t to_float16(float value)
{
    uint32_t bits = bits_of(value), size = bits & 0x7fffffffu;
    /* next to 0.5 floats are 2^-24 apart, as float16's subnormal numbers are: the sum rounds */
    uint32_t subnormal = bits_of(float_of_bits(size) + 0.5f) - bits_of(0.5f);
    uint32_t normal = (size + 0xfffu + (size >> 13 & 1) - (112u << 23)) >> 13;
    normal = size >= bits_of(0x1p16f) ? (uint32_t)FLOAT16_INFINITY : normal;
    return (uint16_t)(bits >> 16 & 0x8000u) |
           (uint16_t)(size < bits_of(0x1p-14f) ? subnormal : normal);
}

/* Whether all stay below the bits of infinity; a loop of its own for each `to`. */
static inline __attribute__((always_inline)) bool
narrow(uint16_t *out, const float *values, size_t count, uint16_t (*to)(float), uint16_t infinity)
{
    uint32_t overflow = 0;
    for (size_t i = 0; i < count; ++i) {
        out[i] = to(values[i]);
        overflow |= (out[i] & 0x7fffu) >= infinity;
    }
    return !overflow;
}

bool storage_narrow(void *out, imiad_storage storage, const float *values, size_t count, size_t *at)
{
    if (storage == IMIAD_STORAGE_FLOAT32) {
        memcpy(out, values, count * sizeof *values);
        return true;
    }
    bool half = storage == IMIAD_STORAGE_FLOAT16;
    if (half ? narrow(out, values, count, to_float16, FLOAT16_INFINITY)
             : narrow(out, values, count, to_bfloat16, BFLOAT16_INFINITY))
        return true;
    const uint16_t *narrowed = out, infinity = half ? FLOAT16_INFINITY : BFLOAT16_INFINITY;
    for (*at = 0; (narrowed[*at] & 0x7fffu) < infinity;)
        ++*at;
    return false;
}

enum { MOST_COLUMNS = 1 << 20 };

imiad_status bank_check_shape(const char *doing, int64_t dimension, imiad_storage storage)
{
    if (dimension < 1 || dimension > MOST_COLUMNS)
        return fail(IMIAD_OUT_OF_RANGE, "%s: dimension is %" PRId64 ": it must be in 1..%d", doing,
                    dimension, MOST_COLUMNS);
    return storage_check(storage, doing);
}

uint64_t bank_rows_bytes(int64_t rows, int64_t dimension, imiad_storage storage, bool sources)
{
    uint64_t row = (uint64_t)dimension * storage_kinds[storage].bytes;
    return (uint64_t)rows * (row + (sources ? sizeof(int64_t) : 0));
}
