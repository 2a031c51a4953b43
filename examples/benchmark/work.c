/* One cell in a process of its own: what the program of its setting does with such a command line.
 */
#include "benchmark/commands.h"
#include "benchmark/settings.h"
#include "torch_start.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A worker whose runner is gone has nobody to tell: it ends with it. */
static void stay_with_parent(void)
{
    const char *parent = getenv("IMIAD_BENCHMARK_PARENT");
    if (!parent)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != (pid_t)strtol(parent, NULL, 10))
        exit(1);
}

int work_main(int argc, char **argv)
{
    const plan_setting *setting = argc > 1 ? plan_setting_find(argv[1]) : NULL;
    stay_with_parent();
    if (setting)
        return setting->run(argc - 1, argv + 1);
    fprintf(stderr, "Usage: benchmark work SETTING [the options of its program]\n");
    return 2;
}

/* What every cell does before it begins, for `estimate` to time. */
int start_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (torch_start() == IMIAD_OK)
        return 0;
    fprintf(stderr, "benchmark: %s\n", imiad_last_error());
    return 2;
}
