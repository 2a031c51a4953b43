#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"

enum { MOST_THREADS = 256 };

/* One job at a time. Workers sleep on `wake` until `generation` moves; the caller sleeps on
 * `rested` until no worker is inside the job any more. */
static struct {
    pthread_mutex_t lock, users;
    pthread_cond_t wake, rested;
    pthread_t workers[MOST_THREADS];
    int started, wanted, inside;
    unsigned generation;
    pid_t owner;

    size_t count, grain;
    void (*body)(void *, size_t, size_t);
    void *context;
    atomic_size_t next;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .users = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER,
          .rested = PTHREAD_COND_INITIALIZER};

static _Thread_local bool inside_body;

static atomic_int thread_count;

/* Of the machine's cores, those that this process was given: by taskset, a container or a cluster.
 */
static int cores_at_hand(void)
{
    cpu_set_t given;
    long cores = sched_getaffinity(0, sizeof given, &given) == 0 ? CPU_COUNT(&given)
                                                                 : sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > MOST_THREADS ? MOST_THREADS : (int)cores;
}

int imiad_threads(void)
{
    int threads = atomic_load(&thread_count);
    return threads == 0 ? cores_at_hand() : threads;
}

imiad_status imiad_set_threads(int threads)
{
    if (threads < 0 || threads > MOST_THREADS)
        return fail(IMIAD_OUT_OF_RANGE, "threads is %d: it must be in 0..%d", threads,
                    MOST_THREADS);
    atomic_store(&thread_count, threads);
    return IMIAD_OK;
}

/* The job's own copy of what to do: the pool's body is taken back while the last pieces still run.
 */
static void take_pieces(void (*body)(void *, size_t, size_t))
{
    inside_body = true;
    for (;;) {
        size_t begin = atomic_fetch_add(&pool.next, pool.grain);
        if (begin >= pool.count)
            break;
        size_t end = pool.count - begin < pool.grain ? pool.count : begin + pool.grain;
        body(pool.context, begin, end);
    }
    inside_body = false;
}

static void *work(void *argument)
{
    int number = (int)(intptr_t)argument;
    unsigned seen = 0;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (pool.generation == seen)
            pthread_cond_wait(&pool.wake, &pool.lock);
        seen = pool.generation;
        if (number >= pool.wanted || !pool.body)
            continue;
        void (*body)(void *, size_t, size_t) = pool.body;
        pool.inside++;
        pthread_mutex_unlock(&pool.lock);
        take_pieces(body);
        pthread_mutex_lock(&pool.lock);
        if (--pool.inside == 0)
            pthread_cond_signal(&pool.rested);
    }
    return NULL;
}

/* Threads do not survive a fork: the child begins with an empty pool. */
static void start_workers(int wanted)
{
    if (pool.owner != getpid()) {
        pool.owner = getpid();
        pool.started = pool.inside = 0;
    }
    while (pool.started < wanted) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        int refused = pthread_create(&pool.workers[pool.started], &attributes, work,
                                     (void *)(intptr_t)pool.started);
        pthread_attr_destroy(&attributes);
        if (refused)
            break; /* fewer threads are slower, not wrong */
        pool.started++;
    }
}

void parallel_for(size_t count, size_t grain, void (*body)(void *context, size_t begin, size_t end),
                  void *context)
{
    if (count == 0)
        return;
    if (grain == 0)
        grain = 1;
    size_t pieces = (count - 1) / grain + 1;
    int helpers = imiad_threads() - 1;
    if ((size_t)helpers > pieces - 1)
        helpers = (int)(pieces - 1);
    if (helpers == 0 || inside_body || pthread_mutex_trylock(&pool.users) != 0) {
        for (size_t begin = 0; begin < count; begin += grain)
            body(context, begin, count - begin < grain ? count : begin + grain);
        return;
    }
    pthread_mutex_lock(&pool.lock);
    start_workers(helpers);
    pool.count = count;
    pool.grain = grain;
    pool.body = body;
    pool.context = context;
    pool.wanted = helpers;
    atomic_store(&pool.next, 0);
    pool.generation++;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);

    take_pieces(body);

    pthread_mutex_lock(&pool.lock);
    pool.body = NULL; /* a worker that wakes late finds nothing to do */
    while (pool.inside > 0)
        pthread_cond_wait(&pool.rested, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    pthread_mutex_unlock(&pool.users);
}
