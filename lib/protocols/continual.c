#include "imiad/continual.h"

#include <math.h>

#include "base/error.h"

static imiad_status check(const double *out, const double *matrix, size_t tasks)
{
    if (!out || !matrix || tasks == 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "continual: out or matrix is NULL, or there are no tasks");
    return IMIAD_OK;
}

static imiad_status read_cell(double *out, const double *matrix, size_t tasks, size_t after,
                              size_t on)
{
    double value = matrix[after * tasks + on];
    if (isnan(value))
        return fail(IMIAD_UNDEFINED, "continual: there is no value on task %zu after task %zu", on,
                    after);
    if (isinf(value))
        return fail(IMIAD_NOT_FINITE, "continual: the value on task %zu after task %zu is infinite",
                    on, after);
    *out = value;
    return IMIAD_OK;
}

imiad_status imiad_continual_average(double *out, const double *matrix, size_t tasks)
{
    TRY(check(out, matrix, tasks));
    double sum = 0;
    for (size_t j = 0; j < tasks; ++j) {
        double value = 0;
        TRY(read_cell(&value, matrix, tasks, tasks - 1, j));
        sum += value;
    }
    *out = sum / (double)tasks;
    return IMIAD_OK;
}

imiad_status imiad_continual_forgetting(double *out, const double *matrix, size_t tasks,
                                        size_t task)
{
    TRY(check(out, matrix, tasks));
    if (task >= tasks)
        return fail(IMIAD_OUT_OF_RANGE, "continual: task %zu of %zu", task, tasks);
    if (task == tasks - 1)
        return fail(IMIAD_UNDEFINED, "continual: nothing was learned after the last task, %zu",
                    task);
    double best = -INFINITY, value = 0, last = 0;
    for (size_t i = task; i < tasks - 1; ++i) {
        TRY(read_cell(&value, matrix, tasks, i, task));
        best = fmax(best, value);
    }
    TRY(read_cell(&last, matrix, tasks, tasks - 1, task));
    *out = best - last;
    return IMIAD_OK;
}

imiad_status imiad_continual_forgetting_measure(double *out, const double *matrix, size_t tasks,
                                                imiad_forgetting_form form)
{
    TRY(check(out, matrix, tasks));
    if (form != IMIAD_FORGETTING_STANDARD && form != IMIAD_FORGETTING_PUBLISHED)
        return fail(IMIAD_INVALID_ARGUMENT, "continual: %d is no form of the forgetting measure",
                    (int)form);
    if (tasks == 1)
        return fail(IMIAD_UNDEFINED, "continual: a single task cannot be forgotten");
    double sum = 0;
    for (size_t j = 0; j < tasks - 1; ++j) {
        double forgetting = 0;
        TRY(imiad_continual_forgetting(&forgetting, matrix, tasks, j));
        sum += forgetting;
    }
    *out = sum / (double)(form == IMIAD_FORGETTING_PUBLISHED ? tasks : tasks - 1);
    return IMIAD_OK;
}
