#include "detectors/parts/one_size.h"

#include "base/error.h"

imiad_status one_size_require(const imiad_detector *self)
{
    if (self->preprocessing.crop || self->preprocessing.squash)
        return IMIAD_OK;
    return fail(IMIAD_OUT_OF_RANGE,
                "detector %s needs images of one size: set crop, or resize_mode=squash",
                self->ops->name);
}

imiad_status one_size_check(const imiad_detector *self, const char *of, const int64_t size[2],
                            const int64_t before[2])
{
    if (size[0] == before[0] && size[1] == before[1])
        return IMIAD_OK;
    return fail(IMIAD_MISMATCH,
                "detector %s: an image of %lld x %lld %s beside others of %lld x %lld: set crop, "
                "or resize_mode=squash",
                self->ops->name, (long long)size[1], (long long)size[0], of, (long long)before[1],
                (long long)before[0]);
}
