#include "checked.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

char *checked_command(int argc, char **argv)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (!stream)
        return NULL;
    for (int i = 0; i < argc; ++i) {
        int plain = argv[i][0] && !argv[i][strcspn(argv[i], " '\"\\$`*?[]()<>|&;\t\n")];
        fprintf(stream, plain ? "%s%s" : "%s'%s'", i ? " " : "", argv[i]);
    }
    fclose(stream);
    return text;
}

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *checked_score(char out[SCORE_TEXT], double score)
{
    bool whole = fabs(score) >= 1e3 && fabs(score) < 1e7;
    snprintf(out, SCORE_TEXT, whole ? "%.0f" : "%.4g", score);
    return out;
}

int checked_stdout(const char *program, int code, int failure)
{
    int problem = fflush(stdout) != 0 ? errno : ferror(stdout) ? EIO : 0;
    if (problem == 0)
        return code;
    fprintf(stderr, "%s: cannot write to standard output: %s\n", program, strerror(problem));
    return failure;
}

FILE *checked_take_stdout(const char *program)
{
    int copy = dup(STDOUT_FILENO);
    FILE *stream = copy >= 0 ? fdopen(copy, "w") : NULL;
    if (stream && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
        return stream;
    fprintf(stderr, "%s: cannot write to standard output: %s\n", program, strerror(errno));
    return NULL;
}
