/* How libtorch's idle threads wait for work.
 *
 * They are libgomp's, which wait by spinning for up to 300,000 pauses, some 10 ms: two programs on
 * one machine then keep each other from computing. libgomp spins far shorter as soon as it counts
 * more threads than processors, and that can be had without the environment, which it reads when it
 * is loaded, before any code of ours: one more team of two threads, which computes once and then
 * sleeps for good. A library other than libgomp loses nothing by it. */
#include "bridge/bridge.h"

#include <csignal>
#include <mutex>

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

namespace
{

/* libtorch computes with two threads from this many elements on: twice its grain. */
constexpr int64_t ENOUGH_FOR_TWO = 2 * 32768;

void *compute_once_and_sleep(void *computed)
{
    bool team = true;
    try {
        at::NoGradGuard none;
        at::ones({ENOUGH_FOR_TWO});
    } catch (const std::exception &) {
        team = false; /* idle threads then spin, as they do in any program */
    }
    sem_post(static_cast<sem_t *>(computed));
    while (team)
        pause(); /* a team lives as long as the thread that leads it */
    return nullptr;
}

/* Waits until the team has computed: a program that ended meanwhile would unload libtorch below it.
 */
void start_sleeping_team()
{
    sem_t computed;
    sigset_t all, before; /* signals are for the threads of the host program */
    pthread_attr_t detached;
    pthread_t leader;
    if (pthread_attr_init(&detached) != 0)
        return;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sem_init(&computed, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&leader, &detached, compute_once_and_sleep, &computed) == 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    while (started && sem_wait(&computed) != 0)
        continue; /* a signal came */
    pthread_attr_destroy(&detached);
}

} // namespace

void let_idle_threads_sleep() noexcept
{
    static std::once_flag started;
    std::call_once(started, start_sleeping_team);
}
