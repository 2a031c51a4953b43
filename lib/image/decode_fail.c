/* What is said of an image that cannot be decoded. */
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/limits.h"
#include "image/decode.h"
#include "image/pixels.h"

imiad_status fail_decoding(const encoded_image *e, const char *format, ...)
{
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return fail(IMIAD_FORMAT, "cannot decode %s: %s", e->name, reason);
}

imiad_status check_encoded_size(const encoded_image *e, int64_t width, int64_t height)
{
    if (width < 1 || height < 1)
        return fail_decoding(e, "its header says %lld x %lld pixels", (long long)width,
                             (long long)height);
    const int64_t most = limit_image_pixels();
    if (width > most / height)
        return fail_decoding(e,
                             "its header says %lld x %lld pixels; at most %lld are read "
                             "(imiad_set_limits)",
                             (long long)width, (long long)height, (long long)most);
    return IMIAD_OK;
}
