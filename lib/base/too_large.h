/* Where a file may not grow further (RLIMIT_FSIZE), the kernel sends SIGXFSZ, which ends the
 * process. Between begin and end the calling thread's writes fail with EFBIG instead; no other
 * thread and no handler of the program's is touched. */
#ifndef BASE_TOO_LARGE_H
#define BASE_TOO_LARGE_H

#include <signal.h>
#include <stdbool.h>

typedef struct too_large {
    sigset_t before;
    bool blocked; /* by us: the thread let it through before */
} too_large;

too_large too_large_begin(void);
void too_large_end(too_large *limit);

#endif
