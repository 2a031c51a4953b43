/* The command line of the benchmark's commands. */
#ifndef BENCHMARK_OPTIONS_H
#define BENCHMARK_OPTIONS_H

#include "benchmark/jobs.h"

enum { MOST_WORDS = 4096, MOST_PLUGINS = 16 };

/* The help of options that commands about a plan share: where things lie, and which cells are
 * meant. */
#define HELP_OF_CELLS                                                                              \
    "  --root NAME=FOLDER        where a dataset of the plan lies, repeatable\n"                   \
    "  --weights BACKBONE=FILE   where a backbone's weights are, repeatable\n"                     \
    "  --setting, --dataset, --detector, --category NAME   only these cells\n"                     \
    "  --shard I/N               only every N-th cell, from the I-th on\n"

typedef struct options {
    const char *program;
    const char *words[MOST_WORDS]; /* what is no option: a plan, or stores */
    size_t word_count;
    const char *stores[MOST_PLACES]; /* --store */
    size_t store_count;
    const char *out; /* -o */
    places here;
    job_filter filter;
    const char *plugins[MOST_PLUGINS];
    size_t plugin_count;
    int workers, threads;
    int retry_failed, keep_first, cells, all;
    const char *folder; /* of slurm, as those below */
    int elements, limit, memory, hours, submit;
    char default_store[256]; /* of the plan */
} options;

/* Reads argv behind the command's name. Returns 1 to go on, 0 after --help, -1 after a mistake that
 * is printed. `usage` is what --help prints; `taken` the command's options by name, with a space on
 * either side. */
int options_read(options *o, int argc, char **argv, const char *usage, const char *taken);

/* How many threads each of --workers gets of --threads. */
int worker_threads(const options *o);

enum { MOST_STORES = MOST_PLACES };

/* What the commands about a plan open: the plan that is the one word, its jobs, the stores of
 * --store or the plan's default one, and which of the cells they have. */
typedef struct session {
    options options;
    plan *plan;
    jobs jobs;
    imiad_results *stores[MOST_STORES];
    size_t store_count;
} session;

/* Returns -1 to go on, or what main returns: 0 after --help, 2 after a mistake that is printed.
 * Stores that are not there are made where `make` says so, and left out otherwise. */
int session_open(session *s, int argc, char **argv, const char *usage, const char *taken, int make);
void session_close(session *s);

#endif
