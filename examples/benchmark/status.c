#include "benchmark/commands.h"
#include "benchmark/lacking.h"
#include "benchmark/options.h"
#include "checked.h"

#include <string.h>

static const char usage[] =
    "Usage: benchmark status PLAN [options]\n\n"
    "Counts a plan's cells by setting and detector, and says why cells failed and what this "
    "machine "
    "lacks.\n\n"
    "  --store FILE              where finished cells are kept, repeatable (default: NAME.sqlite "
    "for\n"
    "                            NAME.json); a cell counts where any store has it\n" HELP_OF_CELLS
    "  --device NAME             instead of the plan's\n"
    "  --plugin FILE             a shared object with detectors or datasets, repeatable\n";

static void add(size_t counts[JOB_STATES], const jobs *j, const char *setting,
                const plan_detector *detector)
{
    for (size_t i = 0; i < j->count; ++i)
        if (j->list[i].detector == detector && strcmp(j->list[i].part->setting->name, setting) == 0)
            counts[j->list[i].state] += j->list[i].cells;
}

static void print_setting(const jobs *j, const char *setting)
{
    for (size_t d = 0; d < j->plan->detector_count; ++d) {
        size_t counts[JOB_STATES] = {0};
        add(counts, j, setting, &j->plan->detectors[d]);
        if (counts[JOB_OPEN] + counts[JOB_FINISHED] + counts[JOB_FAILED] + counts[JOB_LACKING])
            printf("%-14s %-20s %9zu %7zu %7zu %8zu\n", setting, j->plan->detectors[d].name,
                   counts[JOB_FINISHED], counts[JOB_FAILED], counts[JOB_OPEN], counts[JOB_LACKING]);
    }
}

/* Settings in the plan's order, each once. */
static void print_table(const jobs *j)
{
    const plan *p = j->plan;
    printf("%-14s %-20s %9s %7s %7s %8s\n", "setting", "detector", "finished", "failed", "open",
           "lacking");
    for (size_t i = 0; i < p->part_count; ++i) {
        size_t k = 0;
        while (p->parts[k].setting != p->parts[i].setting)
            ++k;
        if (k == i)
            print_setting(j, p->parts[i].setting->name);
    }
}

static void print_failures(const jobs *j)
{
    for (size_t i = 0; i < j->count; ++i) {
        char title[1024];
        if (j->list[i].state != JOB_FAILED)
            continue;
        job_title(title, sizeof title, &j->list[i]);
        printf("failed: %s\n    %s\n", title, j->list[i].reason ? j->list[i].reason : "");
    }
}

int status_main(int argc, char **argv)
{
    session s;
    int code = session_open(&s, argc, argv, usage,
                            " store root weights setting dataset detector category shard device "
                            "plugin ",
                            0);
    if (code >= 0)
        return code;
    print_table(&s.jobs);
    print_counts(stdout, &s.jobs);
    print_failures(&s.jobs);
    print_lacking(stdout, &s.jobs);
    session_close(&s);
    return checked_stdout("benchmark", 0, 2);
}
