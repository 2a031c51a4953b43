/* A pool of threads that wait passively. */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include <stddef.h>

#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs body(context, begin, end) over [0, count) in pieces of at most `grain`, on the calling
 * thread and the pool's. Returns when all is done. Pieces are the same whatever the number of
 * threads, so a body that writes per piece gives the same result everywhere. A call from inside a
 * body, or while another thread uses the pool, runs on the calling thread alone. */
void parallel_for(size_t count, size_t grain, void (*body)(void *context, size_t begin, size_t end),
                  void *context);

#ifdef __cplusplus
}
#endif
#endif
