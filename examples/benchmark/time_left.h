/* How much longer a run takes, from what it has seen. */
#ifndef BENCHMARK_TIME_LEFT_H
#define BENCHMARK_TIME_LEFT_H

#include "benchmark/jobs.h"

/* What cells of one detector on one dataset took. */
typedef struct timed_kind {
    const plan_detector *detector;
    const plan_dataset *dataset;
    double seconds; /* of all of them together */
    size_t cells;
} timed_kind;

typedef struct time_left {
    timed_kind *kinds;
    size_t count, room;
} time_left;

void time_left_add(time_left *t, const job *finished, double seconds);
/* "about 12 min left", or how much of it nothing is known of; "" where nothing is left. */
void time_left_text(char *out, size_t size, const time_left *t, const jobs *j, size_t workers);
void time_left_free(time_left *t);

#endif
