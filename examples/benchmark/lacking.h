/* How many cells there are of which kind, and what keeps cells from being run here. */
#ifndef BENCHMARK_LACKING_H
#define BENCHMARK_LACKING_H

#include "benchmark/jobs.h"

/* Cells by state; a sequence counts as its tasks. */
void count_cells(size_t out[JOB_STATES], const jobs *j);
/* "96 cells: 12 finished, 0 failed, 80 open, 4 cannot be run here" */
void print_counts(FILE *out, const jobs *j);
/* Each reason once, with how many cells it keeps from running. Prints nothing where nothing lacks.
 */
void print_lacking(FILE *out, const jobs *j);

#endif
