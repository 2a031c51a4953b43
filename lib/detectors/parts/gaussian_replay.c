#include "detectors/parts/gaussian_replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "nn/weights_tensor.h"

/* ---- drawing ---- */

/* The symmetric root, which is one matrix whatever a library's eigenvectors are; rounding may have
 * taken eigenvalues below 0. */
static tensor *symmetric_root(tensor *covariance)
{
    tensor *vectors, *values = t_eigh(t_to(covariance, F64), &vectors);
    tensor *deviations = t_sqrt(t_clamp(values, 0, INFINITY));
    return t_matmul(t_mul(vectors, t_unsqueeze(deviations, 0)), t_transpose(vectors, 0, 1));
}

tensor *task_gaussian_draw(const task_gaussian *g, int64_t count, uint64_t seed,
                           const char *purpose)
{
    const int64_t shape[2] = {count, t_size(g->mean, 0)};
    tensor *noise = t_to(t_normal(2, shape, 0, 1, seed, purpose, CPU), F64);
    return t_add(t_matmul(noise, symmetric_root(g->covariance)), t_to(g->mean, F64));
}

/* The rows of this task and of those before it, each of length 1. */
static tensor *draw_all(const gaussian_replay *r, tensor *rows, uint64_t seed, const char *purpose)
{
    tensor *all = rows;
    for (int64_t i = 0; i < r->count; ++i) {
        char name[96];
        snprintf(name, sizeof name, "%s/%lld/%lld", purpose, (long long)r->count, (long long)i);
        tensor *drawn = task_gaussian_draw(&r->tasks[i], r->tasks[i].images, seed, name);
        all = t_cat((tensor *[]){all, drawn}, 2, 0);
    }
    return t_normalize(all, 1);
}

/* ---- tasks ---- */

static void free_task(task_gaussian *g)
{
    t_free(g->mean);
    t_free(g->covariance);
}

static void free_all(shrunk_gaussian *all)
{
    t_free(all->mean);
    t_free(all->precision);
    *all = (shrunk_gaussian){NULL, NULL};
}

static imiad_status make_room(gaussian_replay *r)
{
    size_t bytes = (size_t)(r->count + 1) * sizeof *r->tasks;
    task_gaussian *grown = realloc(r->tasks, bytes);
    if (!grown)
        return fail_memory("a task's Gaussian", bytes);
    r->tasks = grown;
    return IMIAD_OK;
}

imiad_status gaussian_replay_add(gaussian_replay *r, tensor *rows, uint64_t seed,
                                 const char *purpose, device d)
{
    TRY(make_room(r));
    scope s = scope_begin();
    tensor *mean, *exact = t_to(t_to_device(rows, CPU), F64);
    tensor *covariance = shrunk_covariance(exact, &mean, NULL);
    task_gaussian task = {t_keep(t_to(mean, F32)), t_keep(t_to(covariance, F32)), t_size(rows, 0)};
    if (r->count > 0) /* of the first task alone it is that task's own */
        covariance = shrunk_covariance(draw_all(r, exact, seed, purpose), &mean, NULL);
    shrunk_gaussian all = shrunk_gaussian_of(mean, covariance, d);
    all = (shrunk_gaussian){t_keep(all.mean), t_keep(all.precision)};
    imiad_status status = scope_end(&s);
    if (status != IMIAD_OK) {
        free_task(&task);
        free_all(&all);
        return status;
    }
    free_all(&r->all);
    r->all = all;
    r->tasks[r->count++] = task;
    return IMIAD_OK;
}

void gaussian_replay_clear(gaussian_replay *r)
{
    for (int64_t i = 0; i < r->count; ++i)
        free_task(&r->tasks[i]);
    free(r->tasks);
    free_all(&r->all);
    *r = (gaussian_replay){.tasks = NULL};
}

/* ---- file ---- */

imiad_status gaussian_replay_save(const gaussian_replay *r, weights_writer *writer)
{
    tensor *images = t_zeros(1, &r->count, I64, CPU);
    int64_t *counts = t_data(images);
    for (int64_t i = 0; i < r->count; ++i) {
        char name[48];
        if (counts)
            counts[i] = r->tasks[i].images;
        snprintf(name, sizeof name, "task.%lld.mean", (long long)i);
        TRY(weights_writer_add_tensor(writer, name, r->tasks[i].mean));
        snprintf(name, sizeof name, "task.%lld.covariance", (long long)i);
        TRY(weights_writer_add_tensor(writer, name, r->tasks[i].covariance));
    }
    TRY(weights_writer_add_tensor(writer, "task.images", images));
    TRY(weights_writer_add_tensor(writer, "density.mean", r->all.mean));
    return weights_writer_add_tensor(writer, "density.precision", r->all.precision);
}

/* A vector of that many values, or a matrix of as many rows. */
static imiad_status load_one(tensor **out, const weights *file, const char *name, int rank,
                             int64_t values, device d)
{
    TRY(weights_expect(NULL, file, name, F32, rank, (int64_t[]){values, values}));
    return weights_load_tensor(out, file, name, d);
}

static imiad_status load_task(gaussian_replay *r, const weights *file, int64_t values,
                              int64_t images)
{
    char name[48];
    TRY(make_room(r));
    task_gaussian *task = &r->tasks[r->count++];
    *task = (task_gaussian){.images = images};
    snprintf(name, sizeof name, "task.%lld.mean", (long long)r->count - 1);
    TRY(load_one(&task->mean, file, name, 1, values, CPU));
    snprintf(name, sizeof name, "task.%lld.covariance", (long long)r->count - 1);
    return load_one(&task->covariance, file, name, 2, values, CPU);
}

enum { MOST_TASK_IMAGES = 1000000 };

imiad_status gaussian_replay_load(gaussian_replay *r, const weights *file, int64_t values, device d)
{
    const weight *images;
    gaussian_replay_clear(r);
    TRY(weights_expect(&images, file, "task.images", I64, 1, (int64_t[]){ANY_SIZE}));
    for (int64_t i = 0; i < images->shape[0]; ++i) {
        int64_t count;
        memcpy(&count, (const char *)images->data + (size_t)i * sizeof count, sizeof count);
        if (count < 1 || count > MOST_TASK_IMAGES)
            return fail(IMIAD_FORMAT, "task.images: %lld", (long long)count);
        TRY(load_task(r, file, values, count));
    }
    TRY(load_one(&r->all.mean, file, "density.mean", 1, values, d));
    return load_one(&r->all.precision, file, "density.precision", 2, values, d);
}
