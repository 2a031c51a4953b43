#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 };

static _Thread_local char last_error[MESSAGE_BYTES];

static imiad_log_function log_function;
static void *log_user;

const char *imiad_last_error(void)
{
    return last_error;
}

imiad_status fail(imiad_status status, const char *format, ...)
{
    char message[MESSAGE_BYTES]; /* the arguments may point into the old message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    memcpy(last_error, message, sizeof message);
    return status;
}

imiad_status imiad_fail(imiad_status status, const char *message)
{
    return fail(status, "%s", message ? message : "");
}

imiad_status fail_within(imiad_status status, const char *format, ...)
{
    char context[MESSAGE_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    return fail(status, "%s: %s", context, last_error);
}

imiad_status fail_memory(const char *what, size_t bytes)
{
    return fail(IMIAD_NO_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}

imiad_status struct_read(void *out, size_t size, const void *given, size_t least, const char *what)
{
    uint32_t known;
    if (!given)
        return IMIAD_OK;
    memcpy(&known, given, sizeof known);
    if (known < least)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: struct_size is not set", what);
    memcpy(out, given, known < size ? known : size);
    return IMIAD_OK;
}

imiad_status struct_write(void *out, size_t size, const void *found, size_t least, const char *what)
{
    uint32_t known;
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: NULL", what);
    memcpy(&known, out, sizeof known);
    if (known < least)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: struct_size is not set", what);
    size_t after = sizeof known; /* the caller's struct_size stays */
    memcpy((char *)out + after, (const char *)found + after, (known < size ? known : size) - after);
    return IMIAD_OK;
}

const char *imiad_status_name(imiad_status status)
{
    switch (status) {
#define NAME(status)                                                                               \
    case status:                                                                                   \
        return #status
        NAME(IMIAD_OK);
        NAME(IMIAD_INVALID_ARGUMENT);
        NAME(IMIAD_UNKNOWN_OPTION);
        NAME(IMIAD_OUT_OF_RANGE);
        NAME(IMIAD_NOT_FOUND);
        NAME(IMIAD_IO);
        NAME(IMIAD_FORMAT);
        NAME(IMIAD_MISMATCH);
        NAME(IMIAD_NO_MEMORY);
        NAME(IMIAD_OVER_BUDGET);
        NAME(IMIAD_WRONG_STATE);
        NAME(IMIAD_UNDEFINED);
        NAME(IMIAD_NOT_FINITE);
        NAME(IMIAD_UNSUPPORTED);
        NAME(IMIAD_CANCELLED);
        NAME(IMIAD_INTERNAL);
#undef NAME
    }
    return "unknown status";
}

void imiad_set_log(imiad_log_function function, void *user)
{
    log_function = function;
    log_user = user;
}

void log_message(imiad_log_level level, const char *format, ...)
{
    if (!log_function)
        return;
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    log_function(log_user, level, message);
}

const char *imiad_version(void)
{
#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
    return TEXT(IMIAD_VERSION_MAJOR) "." TEXT(IMIAD_VERSION_MINOR) "." TEXT(IMIAD_VERSION_PATCH);
#undef TEXT
#undef TEXT_
}
