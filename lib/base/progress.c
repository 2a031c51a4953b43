#include "base/progress.h"

#include <time.h>

#include "base/error.h"

imiad_status progress_report(const progress *p, const char *stage, int64_t done, int64_t total)
{
    if (!p || !p->function)
        return IMIAD_OK;
    imiad_progress now = {sizeof now, stage, done, total};
    if (p->function(p->user, &now) != 0)
        return fail(IMIAD_CANCELLED, "cancelled during %s, %lld of %lld done", stage,
                    (long long)done, (long long)total);
    return IMIAD_OK;
}

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
