/* The thread's last error, and the log. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Records the message and returns the status, so that a failure is one line:
 *     return fail(IMIAD_IO, "cannot read %s: %s", path, strerror(errno));
 * Never allocates: the message is cut at the buffer's end. */
imiad_status fail(imiad_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Puts context before the message of a failure that is being passed on: "category bottle: ...". */
imiad_status fail_within(imiad_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

imiad_status fail_memory(const char *what, size_t bytes) __attribute__((cold));

/* Structures that begin with struct_size and may have grown since the caller was compiled. `least`
 * is the size of the structure's first version. Reading: over defaults in `out`, as far as the
 * caller's own goes; `given` may be NULL. Writing: no further than the caller's has room. */
imiad_status struct_read(void *out, size_t size, const void *given, size_t least, const char *what);
imiad_status struct_write(void *out, size_t size, const void *found, size_t least,
                          const char *what);

void log_message(imiad_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns from the calling function when the expression is not IMIAD_OK. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        imiad_status try_status_ = (expression);                                                   \
        if (try_status_ != IMIAD_OK)                                                               \
            return try_status_;                                                                    \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
