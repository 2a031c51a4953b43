/* Progress of long work, and its cancellation. */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include "imiad/common.h"

typedef struct progress {
    imiad_progress_function function; /* NULL: nobody listens */
    void *user;
} progress;

/* IMIAD_CANCELLED when the listener asks to stop. p may be NULL. */
imiad_status progress_report(const progress *p, const char *stage, int64_t done, int64_t total);

/* Seconds of a clock that never goes back. */
double clock_seconds(void);

#endif
