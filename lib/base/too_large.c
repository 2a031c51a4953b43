#include "base/too_large.h"

#include <time.h>

static sigset_t only_this(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    return set;
}

too_large too_large_begin(void)
{
    too_large limit = {.blocked = false};
    const sigset_t set = only_this();
    if (pthread_sigmask(SIG_BLOCK, &set, &limit.before) == 0)
        limit.blocked = !sigismember(&limit.before, SIGXFSZ);
    return limit;
}

void too_large_end(too_large *limit)
{
    if (!limit->blocked)
        return;
    limit->blocked = false;
    const sigset_t set = only_this();
    const struct timespec at_once = {0, 0};
    while (sigtimedwait(&set, NULL, &at_once) > 0) /* takes what our own write raised */
        ;
    pthread_sigmask(SIG_SETMASK, &limit->before, NULL);
}
