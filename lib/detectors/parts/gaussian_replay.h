/* What is kept of tasks that were learned one after another: of each the mean and the covariance of
 * its embeddings, and one Gaussian of all, for which embeddings of the past tasks are drawn from
 * theirs. Li et al.: "Towards Continual Adaptation in Industrial Anomaly Detection", ACM MM 2022.
 */
#ifndef DETECTORS_PARTS_GAUSSIAN_REPLAY_H
#define DETECTORS_PARTS_GAUSSIAN_REPLAY_H

#include "detectors/parts/shrunk_gaussian.h"

typedef struct weights weights; /* weights/weights.h */
typedef struct weights_writer weights_writer;

typedef struct task_gaussian {
    tensor *mean;       /* values, float32, kept, on the CPU */
    tensor *covariance; /* values x values, likewise, drawn as shrunk_covariance says */
    int64_t images;     /* that it is made of, and so many are drawn */
} task_gaussian;

typedef struct gaussian_replay {
    task_gaussian *tasks;
    int64_t count;
    shrunk_gaussian all; /* kept, on the detector's device: what scores */
} gaussian_replay;

/* Another task's embeddings, rows of length 1. What is drawn comes from the streams PURPOSE/T/I:
 * of task I for task T. After a failure everything is as it was. Opens a scope of its own. */
imiad_status gaussian_replay_add(gaussian_replay *r, tensor *rows, uint64_t seed,
                                 const char *purpose, device d);
void gaussian_replay_clear(gaussian_replay *r);

/* `count` rows of a task's Gaussian, not of length 1: count x values, float64. */
tensor *task_gaussian_draw(const task_gaussian *g, int64_t count, uint64_t seed,
                           const char *purpose);

/* Into and out of a detector's file: "task.I.mean", "task.I.covariance", "task.images",
 * "density.mean", "density.precision". IMIAD_FORMAT names what does not fit. */
imiad_status gaussian_replay_save(const gaussian_replay *r, weights_writer *writer);
imiad_status gaussian_replay_load(gaussian_replay *r, const weights *file, int64_t values,
                                  device d);

#endif
