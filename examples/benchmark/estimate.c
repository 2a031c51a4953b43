#include "benchmark/commands.h"
#include "benchmark/cost_model.h"
#include "benchmark/lacking.h"
#include "benchmark/options.h"
#include "checked.h"

#include <math.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "Usage: benchmark estimate PLAN [options]\n\n"
    "Says how many hours and how much memory the cells take that are still to be run, from what "
    "the "
    "finished cells\nin the stores took. Where a store has none of a kind, run some first: run "
    "PLAN "
    "--shard 1/50.\n\n"
    "  --cells                   a line for each cell\n"
    "  --store FILE              where finished cells are kept, repeatable (default: NAME.sqlite "
    "for\n"
    "                            NAME.json)\n"
    "  --all                     all cells, and not only those that are still to be run\n"
    "  --workers N               cells that run at the same time (default: 1)\n"
    "  --threads N               of all workers together; 0: one a core (default)\n" HELP_OF_CELLS
    "  --device NAME             instead of the plan's\n"
    "  --plugin FILE             a shared object with detectors or datasets, repeatable\n";

typedef struct total {
    size_t known, unknown; /* cells */
    double seconds, bytes; /* of the known ones: in all; of the largest */
} total;

static void add(total *t, const job *of, const cost *c)
{
    if (!c) {
        t->unknown += of->cells;
        return;
    }
    t->known += of->cells;
    t->seconds += c->seconds;
    t->bytes = fmax(t->bytes, c->bytes);
}

/* How long a process takes until it could begin. */
static double measure_start(void)
{
    extern char **environ;
    char *words[] = {(char *)"benchmark", (char *)"start", NULL};
    posix_spawn_file_actions_t actions;
    pid_t process;
    double begin = seconds_now();
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", 1, 0);
    if (posix_spawn(&process, "/proc/self/exe", &actions, NULL, words, environ) == 0)
        waitpid(process, NULL, 0);
    posix_spawn_file_actions_destroy(&actions);
    return seconds_now() - begin;
}

static int counts(const session *s, const job *j)
{
    return j->state == JOB_OPEN || (s->options.all && j->state != JOB_LACKING);
}

static void print_row(const char *setting, const char *detector, const total *t)
{
    printf("%-14s %-20s %7zu %9.2f %9.1f %9zu\n", setting, detector, t->known, t->seconds / 3600,
           t->bytes / 1e9, t->unknown);
}

/* By setting and detector, in the plan's order. */
static void print_table(const session *s, const cost_model *m, int threads, total *all)
{
    const plan *p = s->plan;
    printf("%-14s %-20s %7s %9s %9s %9s\n", "setting", "detector", "cells", "hours", "GB",
           "not known");
    for (size_t i = 0; i < p->part_count; ++i)
        for (size_t d = 0; d < p->detector_count; ++d) {
            total t = {0};
            for (size_t k = 0; k < s->jobs.count; ++k) {
                const job *j = &s->jobs.list[k];
                cost c;
                if (j->part != &p->parts[i] || j->detector != &p->detectors[d] || !counts(s, j))
                    continue;
                int known = cost_of(&c, m, j, threads);
                add(&t, j, known ? &c : NULL);
                add(all, j, known ? &c : NULL);
            }
            if (t.known + t.unknown > 0)
                print_row(p->parts[i].setting->name, p->detectors[d].name, &t);
        }
}

static void print_cells(const session *s, const cost_model *m, int threads)
{
    for (size_t i = 0; i < s->jobs.count; ++i) {
        const job *j = &s->jobs.list[i];
        char title[1024];
        cost c;
        if (!counts(s, j))
            continue;
        job_title(title, sizeof title, j);
        if (cost_of(&c, m, j, threads))
            printf("%10.1f s %7.2f GB  %s\n", c.seconds, c.bytes / 1e9, title);
        else
            printf("%12s %10s  %s\n", "?", "?", title);
    }
}

/* Of a cell in the stores; about 10 kB where there is none yet. */
static double bytes_a_cell(const session *s, size_t cells)
{
    double bytes = 0;
    struct stat file;
    for (size_t i = 0; i < s->options.store_count; ++i)
        if (stat(s->options.stores[i], &file) == 0)
            bytes += (double)file.st_size;
    return cells > 0 ? bytes / (double)cells : 10e3;
}

static void print_total(const session *s, const cost_model *m, const total *all)
{
    double each = bytes_a_cell(s, m->count);
    printf("\n%zu cells: %.2f hours one after the other", all->known, all->seconds / 3600);
    if (s->options.workers > 1)
        printf(", about %.2f with %d workers", all->seconds / 3600 / s->options.workers,
               s->options.workers);
    printf("; at most %.1f GB of memory a worker; %.1f MB in the store\n", all->bytes / 1e9,
           each * (double)(all->known + all->unknown) / 1e6);
    if (all->unknown > 0)
        printf("%zu cells are of kinds that no store has measured\n", all->unknown);
}

int estimate_main(int argc, char **argv)
{
    session s;
    cost_model m = {.samples = NULL};
    total all = {0};
    int code = session_open(&s, argc, argv, usage,
                            " store cells all workers threads root weights setting dataset "
                            "detector category shard device plugin ",
                            0);
    if (code >= 0)
        return code;
    int threads = worker_threads(&s.options);
    code = 0;
    for (size_t i = 0; i < s.store_count && code == 0; ++i)
        code = cost_model_add(&m, s.stores[i]) == 0 ? 0 : 2;
    m.start_seconds = measure_start();
    if (code != 0)
        fprintf(stderr, "%s: %s\n", s.options.program, imiad_last_error());
    else if (s.options.cells)
        print_cells(&s, &m, threads);
    if (code == 0) {
        print_table(&s, &m, threads, &all);
        print_total(&s, &m, &all);
        print_lacking(stdout, &s.jobs);
    }
    cost_model_free(&m);
    session_close(&s);
    return checked_stdout("benchmark", code, 2);
}
