#include "torch_start.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void say_no_memory(int number)
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

imiad_status torch_start(void)
{
    struct sigaction ours = {.sa_handler = say_no_memory}, theirs;
    sigaction(SIGABRT, &ours, &theirs);
    imiad_status status = imiad_torch_load();
    sigaction(SIGABRT, &theirs, NULL);
    return status;
}
