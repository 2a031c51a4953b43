#include "benchmark/cost_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- samples ---- */

/* FNV-1a over the text and its NUL. */
static uint64_t add_text(uint64_t hash, const char *text)
{
    const char *at = text ? text : "";
    do
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    while (*at++);
    return hash;
}

uint64_t cost_kind(const imiad_cell *cell)
{
    static const uint64_t begin = 14695981039346656037u;
    uint64_t options = 0; /* a sum: stores and detectors list them in orders of their own */
    for (size_t i = 0; i < cell->option_count; ++i)
        if (strcmp(cell->options[i].name, "seed") != 0 &&
            strcmp(cell->options[i].name, "model") != 0)
            options += add_text(add_text(begin, cell->options[i].name), cell->options[i].value);
    const char *const texts[] = {cell->detector, cell->backbone, cell->precision, cell->device};
    uint64_t hash = begin ^ options;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i)
        hash = add_text(hash, texts[i]);
    return hash;
}

static double value_of(const imiad_finished *f, const char *name)
{
    for (size_t i = 0; i < f->count; ++i)
        if (strcmp(f->names[i], name) == 0)
            return f->values[i];
    return NAN;
}

/* The last cells of a sequence were measured after all its tasks, and those of a transfer after two
 * fits: they say nothing of one fit. */
static imiad_status take(void *user, const imiad_finished *f)
{
    cost_model *m = user;
    cost_sample s = {.kind = cost_kind(f->cell),
                     .threads = f->threads,
                     .train_images = value_of(f, "train_images"),
                     .fit_seconds = value_of(f, "fit_seconds"),
                     .seconds_per_image = 1 / value_of(f, "images_per_second"),
                     .peak_bytes = value_of(f, "peak_rss_bytes")};
    snprintf(s.dataset, sizeof s.dataset, "%s", f->cell->dataset);
    if (strcmp(f->cell->setting, "continual") == 0 || strcmp(f->cell->setting, "transfer") == 0 ||
        !(s.train_images > 0) || !(s.fit_seconds >= 0) || !(s.seconds_per_image > 0))
        return IMIAD_OK;
    if (m->count == m->room) {
        size_t room = m->room ? 2 * m->room : 256;
        cost_sample *grown = realloc(m->samples, room * sizeof *grown);
        if (!grown)
            return IMIAD_NO_MEMORY;
        m->samples = grown;
        m->room = room;
    }
    m->samples[m->count++] = s;
    return IMIAD_OK;
}

int cost_model_add(cost_model *m, const imiad_results *store)
{
    return imiad_results_each(store, NULL, take, m) == IMIAD_OK ? 0 : -1;
}

void cost_model_free(cost_model *m)
{
    free(m->samples);
}

/* ---- the model ---- */

/* How closely a sample is of the job: 0 not at all, more is closer. */
static int closeness(const cost_sample *s, const job *of, int threads)
{
    if (s->kind != of->kind)
        return 0;
    return 1 + 2 * (strcmp(s->dataset, of->dataset->type) == 0) + (s->threads == threads);
}

/* y = a n^p through the samples, by least squares of logarithms; p is `flat` where all have about
 * as many images, and stays within 0..most. */
typedef struct power {
    double sum_n, sum_y, sum_nn, sum_ny, count, least, greatest;
} power;

static void power_add(power *p, double n, double y)
{
    double x = log(n), z = log(y > 1e-6 ? y : 1e-6);
    p->least = p->count > 0 ? fmin(p->least, n) : n;
    p->greatest = p->count > 0 ? fmax(p->greatest, n) : n;
    p->sum_n += x;
    p->sum_y += z;
    p->sum_nn += x * x;
    p->sum_ny += x * z;
    p->count += 1;
}

static double power_at(const power *p, double n, double flat, double most)
{
    double x = p->sum_n / p->count, z = p->sum_y / p->count, exponent = flat;
    double spread = p->sum_nn / p->count - x * x;
    if (p->greatest > 1.5 * p->least && spread > 0)
        exponent = (p->sum_ny / p->count - x * z) / spread;
    exponent = fmin(fmax(exponent, 0), most);
    return exp(z + exponent * (log(n) - x));
}

/* A sequence fits each of its tasks, and measures all tasks so far after each. */
static double seconds_of(const job *of, double fit, double image)
{
    double tasks = (double)of->cells;
    if (of->category)
        return (fit + image * (double)of->test_images) * tasks;
    return tasks * fit + image * (double)of->test_images * (tasks + 1) / 2;
}

int cost_of(cost *out, const cost_model *m, const job *of, int threads)
{
    power fit = {0}, image = {0};
    int closest = 0;
    double bytes = 0, n = (double)of->train_images / (of->category ? 1 : (double)of->cells);
    for (size_t i = 0; i < m->count; ++i)
        closest = closeness(&m->samples[i], of, threads) > closest
                      ? closeness(&m->samples[i], of, threads)
                      : closest;
    if (closest == 0 || !(n > 0))
        return 0;
    for (size_t i = 0; i < m->count; ++i) {
        const cost_sample *s = &m->samples[i];
        if (closeness(s, of, threads) < closest)
            continue;
        power_add(&fit, s->train_images, s->fit_seconds);
        power_add(&image, s->train_images, s->seconds_per_image);
        bytes = fmax(bytes, s->peak_bytes * fmax(1, n / s->train_images > 1
                                                        ? 1 + 0.1 * (n / s->train_images - 1)
                                                        : 1));
    }
    *out = (cost){m->start_seconds +
                      seconds_of(of, power_at(&fit, n, 1, 2), power_at(&image, n, 0, 1)),
                  bytes};
    return 1;
}
