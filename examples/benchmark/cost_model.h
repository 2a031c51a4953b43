/* What a cell costs, from what finished cells cost. */
#ifndef BENCHMARK_COST_MODEL_H
#define BENCHMARK_COST_MODEL_H

#include "benchmark/jobs.h"

/* One finished cell. */
typedef struct cost_sample {
    uint64_t kind; /* of cost_kind */
    char dataset[64];
    int threads;
    double train_images, fit_seconds, seconds_per_image, peak_bytes;
} cost_sample;

typedef struct cost_model {
    cost_sample *samples;
    size_t count, room;
    double start_seconds; /* of a process before it does anything */
} cost_model;

typedef struct cost {
    double seconds, bytes;
} cost;

/* What cells have in common that cost alike: detector, its options without the seed, backbone,
 * precision, device. */
uint64_t cost_kind(const imiad_cell *cell);

/* Takes a store's cells. Returns 0, or -1 where memory ran out or the store cannot be read. */
int cost_model_add(cost_model *m, const imiad_results *store);
void cost_model_free(cost_model *m);

/* Returns 1, or 0 where nothing like the job was measured. */
int cost_of(cost *out, const cost_model *m, const job *of, int threads);

#endif
