#include "benchmark/commands.h"
#include "benchmark/lacking.h"
#include "benchmark/options.h"
#include "checked.h"

static const char usage[] =
    "Usage: benchmark list PLAN [options]\n\n"
    "Prints each cell of a plan: its key, whether it is open, finished, failed or lacking "
    "something "
    "here, and\nwhat it is; then what this machine lacks.\n\n"
    "  --store FILE              where finished cells are kept, repeatable (default: NAME.sqlite "
    "for\n"
    "                            NAME.json)\n" HELP_OF_CELLS
    "  --device NAME             instead of the plan's\n"
    "  --plugin FILE             a shared object with detectors or datasets, repeatable\n";

int list_main(int argc, char **argv)
{
    session s;
    int code = session_open(&s, argc, argv, usage,
                            " store root weights setting dataset detector category shard device "
                            "plugin ",
                            0);
    if (code >= 0)
        return code;
    for (size_t i = 0; i < s.jobs.count; ++i) {
        const job *one = &s.jobs.list[i];
        char title[1024];
        job_title(title, sizeof title, one);
        printf("%-16s  %-8s  %s\n", *one->key ? one->key : "-", job_state_name(one->state), title);
    }
    print_counts(stdout, &s.jobs);
    print_lacking(stdout, &s.jobs);
    session_close(&s);
    return checked_stdout("benchmark", 0, 2);
}
