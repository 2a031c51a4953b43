#include "checked.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int checked_number(long long *out, const char *text, long long low, long long high)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < low || value > high)
        return -1;
    *out = value;
    return 0;
}

int checked_real(double *out, const char *text, double low, double high)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || errno || !(value >= low && value <= high))
        return -1;
    *out = value;
    return 0;
}

int checked_stdout(const char *program, int code, int failure)
{
    int problem = fflush(stdout) != 0 ? errno : ferror(stdout) ? EIO : 0;
    if (problem == 0)
        return code;
    fprintf(stderr, "%s: cannot write to standard output: %s\n", program, strerror(problem));
    return failure;
}
