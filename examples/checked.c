#include "checked.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- starting ---- */

/* libtorch makes its tables before a program's main begins. Where a limit of memory ends that, the
 * C++ runtime aborts the process: this says why, and exits as every failure does. */
static void say_no_start(int number)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    char words[200], least[64] = "";
    (void)number;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        snprintf(least, sizeof least, ": the limit is %llu kB (ulimit -v)",
                 (unsigned long long)limit.rlim_cur / 1024);
    int length = snprintf(words, sizeof words,
                          "the program cannot start, as memory ran out for libtorch%s\n", least);
    ssize_t written = write(STDERR_FILENO, words, (size_t)length);
    (void)written;
    _exit(2);
}

static void watch_start(void)
{
    signal(SIGABRT, say_no_start);
}

/* Before the constructors of all libraries; that of the program itself comes behind them. */
__attribute__((section(".preinit_array"),
               used)) static void (*const before_libraries)(void) = watch_start;
__attribute__((constructor)) static void started(void)
{
    signal(SIGABRT, SIG_DFL);
}

/* ---- what was typed ---- */

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
