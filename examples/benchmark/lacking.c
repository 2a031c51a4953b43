#include "benchmark/lacking.h"

#include <string.h>

void count_cells(size_t out[JOB_STATES], const jobs *j)
{
    memset(out, 0, JOB_STATES * sizeof *out);
    for (size_t i = 0; i < j->count; ++i)
        out[j->list[i].state] += j->list[i].cells;
}

void print_counts(FILE *out, const jobs *j)
{
    size_t counts[JOB_STATES];
    count_cells(counts, j);
    fprintf(out, "%zu cells: %zu finished, %zu failed, %zu open, %zu cannot be run here\n",
            j->cells, counts[JOB_FINISHED], counts[JOB_FAILED], counts[JOB_OPEN],
            counts[JOB_LACKING]);
}

static int says(const char *text, const char *reason)
{
    return text && strcmp(text, reason) == 0;
}

/* Prints a reason with all cells that it keeps from running, where job `first` is the first of
 * them. */
static void print_reason(FILE *out, const jobs *j, size_t first, const char *reason)
{
    size_t cells = 0;
    for (size_t i = 0; reason && i < j->count; ++i) {
        const job *one = &j->list[i];
        if (one->state != JOB_LACKING || !(says(one->reason, reason) || says(one->also, reason)))
            continue;
        if (i < first)
            return;
        cells += one->cells;
    }
    if (reason)
        fprintf(out, "lacking for %zu cells: %s\n", cells, reason);
}

void print_lacking(FILE *out, const jobs *j)
{
    for (size_t i = 0; i < j->count; ++i)
        if (j->list[i].state == JOB_LACKING) {
            print_reason(out, j, i, j->list[i].reason);
            print_reason(out, j, i, j->list[i].also);
        }
}
