/* The continual setting: one model learns task after task, without being initialised again, and is
 * tested after each on all tasks so far. There is no split for it: it is a sequence of unsupervised
 * splits. What comes out is a matrix, and these are the numbers drawn from it.
 *
 * `matrix` is tasks x tasks, rows first: matrix[i * tasks + j] is the metric (AUROC, AP, ...) on
 * task j after training on task i. Only j <= i is read. NaN stands for a value that does not exist,
 * such as a pixel metric of a method without maps. All functions are pure.
 *
 * Errors of all: IMIAD_INVALID_ARGUMENT for NULL or no tasks; IMIAD_UNDEFINED where a value that is
 * needed is NaN; IMIAD_NOT_FINITE where one is infinite. The message names the cell. */
#ifndef IMIAD_CONTINUAL_H
#define IMIAD_CONTINUAL_H

#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ACC: the mean over all tasks after the last one, 1/T sum_j A[T][j]. */
IMIAD_API imiad_status imiad_continual_average(double *out, const double *matrix, size_t tasks);

/* What the end has lost on one task (counted from 0) against the best moment before:
 *     f_j = max_{j <= i < T} A[i][j] - A[T][j].
 * Negative where the end is the best of all. Not defined for the last task (IMIAD_UNDEFINED).
 * IMIAD_OUT_OF_RANGE for a task that there is not. */
IMIAD_API imiad_status imiad_continual_forgetting(double *out, const double *matrix, size_t tasks,
                                                  size_t task);

typedef enum imiad_forgetting_form {
    /* 1/(T-1) sum_{j < T} f_j: Chaudhry, Dokania, Ajanthan, Torr: ECCV 2018 */
    IMIAD_FORGETTING_STANDARD = 1,
    /* 1/T of the same sum, as the published IM-IAD tables have it: they count the last task as 0 */
    IMIAD_FORGETTING_PUBLISHED = 2
} imiad_forgetting_form;

/* FM: the forgetting of all tasks but the last, as one number. Not defined for a single task. */
IMIAD_API imiad_status imiad_continual_forgetting_measure(double *out, const double *matrix,
                                                          size_t tasks, imiad_forgetting_form form);

#ifdef __cplusplus
}
#endif
#endif
