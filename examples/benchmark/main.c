/* A whole benchmark from one plan: which cells it has, running them, how far they are. Guide:
 * docs/benchmark.md. */
#include "benchmark/commands.h"
#include "checked.h"

#include <imiad/imiad.h>
#include <string.h>

static const struct {
    const char *name, *about; /* about NULL: not for people */
    int (*run)(int argc, char **argv);
} commands[] = {
    {"list", "a plan's cells with their keys, and what this machine lacks", list_main},
    {"estimate", "hours and memory of the cells still to be run, from those in the store",
     estimate_main},
    {"run", "run the cells that the store lacks, each in a process of its own", run_main},
    {"status", "how many cells are finished, failed and open, and why they failed", status_main},
    {"merge", "make one store of several", merge_main},
    {"report", "a page with the paper's tables, ours beside the published figures", report_main},
    {"table", "a table of a store's figures for a page, a row a detector", table_main},
    {"slurm", "a job array for Slurm, whose elements run a shard each", slurm_main},
    {"work", NULL, work_main},
    {"start", NULL, start_main},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static int list(const char *program)
{
    printf("Usage: %s COMMAND [options]\n\n"
           "Runs a whole benchmark from a plan. \"%s COMMAND --help\" tells more of each:\n\n",
           program, program);
    for (int i = 0; i < COMMANDS; ++i)
        if (commands[i].about)
            printf("  %-10s %s\n", commands[i].name, commands[i].about);
    printf("\n  --help, --version\n");
    return checked_stdout(program, 0, 2);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *program = slash ? slash + 1 : argv[0];
    if (argc < 2 || strcmp(argv[1], "--help") == 0)
        return list(program);
    if (strcmp(argv[1], "--version") == 0) {
        printf("libimiad %s, libtorch %s\n", imiad_version(), imiad_torch_version());
        return checked_stdout(program, 0, 2);
    }
    for (int i = 0; i < COMMANDS; ++i)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "%s: there is no command \"%s\"; --help lists them\n", program, argv[1]);
    return 2;
}
