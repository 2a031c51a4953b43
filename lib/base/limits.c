#include "base/limits.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/error.h"

enum { PIXELS, FILE_BYTES, HEADER_BYTES, LIMITS };

static const struct {
    const char *name;
    uint64_t normal, highest;
} ranges[LIMITS] = {{"image_pixels", UINT64_C(1) << 27, UINT64_C(1) << 28},
                    {"file_bytes", UINT64_C(1) << 36, UINT64_MAX},
                    {"header_bytes", UINT64_C(1) << 22, 100000000}};

static _Atomic uint64_t given[LIMITS]; /* 0: the default */

static uint64_t limit(int which)
{
    uint64_t value = atomic_load_explicit(&given[which], memory_order_relaxed);
    return value ? value : ranges[which].normal;
}

int64_t limit_image_pixels(void)
{
    return (int64_t)limit(PIXELS);
}

uint64_t limit_file_bytes(void)
{
    return limit(FILE_BYTES);
}

uint64_t limit_header_bytes(void)
{
    return limit(HEADER_BYTES);
}

imiad_status imiad_set_limits(const imiad_limits *limits)
{
    imiad_limits known = IMIAD_LIMITS_INIT;
    TRY(struct_read(&known, sizeof known, limits,
                    offsetof(imiad_limits, header_bytes) + sizeof known.header_bytes,
                    "imiad_set_limits"));
    const uint64_t wanted[LIMITS] = {(uint64_t)known.image_pixels, known.file_bytes,
                                     known.header_bytes};
    for (int i = 0; i < LIMITS; ++i)
        if (wanted[i] > ranges[i].highest)
            return fail(IMIAD_OUT_OF_RANGE,
                        "imiad_set_limits: %s is %" PRIu64 ": it must be at most %" PRIu64,
                        ranges[i].name, wanted[i], ranges[i].highest);
    for (int i = 0; i < LIMITS; ++i)
        atomic_store_explicit(&given[i], wanted[i], memory_order_relaxed);
    return IMIAD_OK;
}
