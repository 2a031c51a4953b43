/* In the library and in the file that is linked with libtorch: a call with a variable number of
 * arguments cannot be handed on as it is. */
#include <stdarg.h>
#include <stdio.h>

#include "bridge/tensor.h"

tensor *t_fail(imiad_status status, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return t_fail_with(status, message);
}
