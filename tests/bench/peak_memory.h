/* The most memory that this process had above what it had at some point, in megabytes. */
#ifndef BENCH_PEAK_MEMORY_H
#define BENCH_PEAK_MEMORY_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline double status_megabytes(const char *key)
{
    char line[256];
    double kilobytes = NAN;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            kilobytes = strtod(line + strlen(key), NULL);
    if (file)
        fclose(file);
    return kilobytes / 1000;
}

/* Begins a new peak; returns what there is. */
static inline double peak_begin(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file) {
        fputs("5", file);
        fclose(file);
    }
    return status_megabytes("VmRSS:");
}

static inline double peak_since(double before)
{
    return status_megabytes("VmHWM:") - before;
}

#endif
