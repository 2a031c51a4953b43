/* The file that is linked with libtorch: its entry, and the library's functions that it calls. */
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/threads.h"
#include "bridge/load.h"

extern "C" bridge_function *const bridge_functions[]; /* made by make_calls.py */

static const bridge_host *host;

extern "C" __attribute__((visibility("default"))) bridge_function *const *
imiad_bridge(const char *sign, const bridge_host *library)
{
    if (strcmp(sign, bridge_sign) != 0)
        return nullptr;
    host = library;
    return bridge_functions;
}

imiad_status fail(imiad_status status, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return host->fail(status, message);
}

void log_message(imiad_log_level level, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    host->log(level, message);
}

int imiad_threads(void)
{
    return host->threads();
}

const char *imiad_last_error(void)
{
    return host->last_error();
}

void parallel_for(size_t count, size_t grain, void (*body)(void *context, size_t begin, size_t end),
                  void *context)
{
    host->parallel_for(count, grain, body, context);
}
