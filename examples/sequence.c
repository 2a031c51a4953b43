#include "sequence.h"
#include "checked.h"
#include "outputs.h"
#include "sequence_stage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void sequence_free(sequence *s)
{
    for (size_t i = 0; s->splits && i < s->tasks; ++i)
        imiad_split_free(s->splits[i]);
    for (size_t i = 0; s->last && i < s->tasks; ++i)
        measurement_release(&s->last[i]);
    for (int k = 0; k < METRICS; ++k)
        free(s->matrix[k]);
    free(s->splits);
    free(s->bytes);
    free(s->last);
}

static imiad_status sequence_make(sequence *s, experiment *b, uint64_t seed)
{
    *s = (sequence){.experiment = b, .seed = seed};
    s->tasks = arguments_category_count(&b->arguments, b->dataset);
    s->splits = calloc(s->tasks, sizeof *s->splits);
    s->last = calloc(s->tasks, sizeof *s->last);
    s->bytes = calloc(s->tasks, sizeof *s->bytes);
    measurement named = {.category = "continual", .value = "", .seed = seed};
    output_name(s->name, &named, b->arguments.repeats > 1);
    for (int k = 0; k < METRICS; ++k) {
        s->matrix[k] = malloc(s->tasks * s->tasks * sizeof *s->matrix[k]);
        for (size_t i = 0; s->matrix[k] && i < s->tasks * s->tasks; ++i)
            s->matrix[k][i] = NAN;
        if (!s->matrix[k])
            return IMIAD_NO_MEMORY;
    }
    imiad_status status = s->splits && s->last && s->bytes ? IMIAD_OK : IMIAD_NO_MEMORY;
    for (size_t i = 0; status == IMIAD_OK && i < s->tasks; ++i)
        status = arguments_split(&s->splits[i], &b->arguments, b->dataset,
                                 arguments_category(&b->arguments, b->dataset, i), "unsupervised",
                                 NULL, NULL, seed);
    return status;
}

/* What tells the sequence from others: in the record, and in what is kept of it. */
static imiad_status sequence_key(sequence *s, const imiad_detector *detector)
{
    imiad_cell cell;
    *s->key = '\0';
    if (!s->experiment->results)
        return IMIAD_OK;
    imiad_status status =
        experiment_describe(&cell, s->experiment, s->splits[s->tasks - 1], detector, s->seed);
    if (status == IMIAD_OK)
        output_key(s->key, &cell);
    return status;
}

/* ---- learning ---- */

static imiad_status measure_task(sequence *s, imiad_detector *detector, size_t i, size_t j)
{
    measurement r = {.value = "", .seed = s->seed};
    int keep = i + 1 == s->tasks;
    r.category = imiad_split_category(s->splits[j]);
    output_name(r.name, &r, s->experiment->arguments.repeats > 1);
    if (keep)
        output_begin(s->experiment, &r);
    imiad_status status = experiment_measure(&r, s->experiment, detector, s->splits[j], keep);
    for (int k = 0; status == IMIAD_OK && k < METRICS; ++k)
        s->matrix[k][i * s->tasks + j] = r.values[k];
    if (keep)
        s->last[j] = r;
    else
        measurement_release(&r);
    return status;
}

/* Learns the next task, then measures every task up to it. */
static imiad_status learn_and_measure(sequence *s, imiad_detector *detector)
{
    size_t i = s->learned;
    uint64_t bytes = 0;
    progress_line shown = {imiad_split_category(s->splits[i]), NULL, 0};
    imiad_status status =
        imiad_detector_fit_more(detector, s->splits[i], progress_line_show, &shown);
    for (size_t j = 0; status == IMIAD_OK && j <= i; ++j)
        status = measure_task(s, detector, i, j);
    if (status == IMIAD_OK)
        status = imiad_detector_bytes(&bytes, detector);
    s->bytes[i] = (double)bytes;
    if (status == IMIAD_OK && s->experiment->arguments.save)
        status = sequence_stage_keep(s, detector);
    s->learned += status == IMIAD_OK;
    return status;
}

/* ---- what came out ---- */

static double accuracy(const sequence *s, int metric)
{
    double value = NAN;
    imiad_continual_average(&value, s->matrix[metric], s->tasks);
    return value;
}

static double forgetting(const sequence *s, int metric, imiad_forgetting_form form)
{
    double value = NAN;
    imiad_continual_forgetting_measure(&value, s->matrix[metric], s->tasks, form);
    return value;
}

/* As published, the last task counts as 0. */
static double forgetting_of(const sequence *s, int metric, size_t task)
{
    double value = task + 1 == s->tasks ? 0 : NAN;
    imiad_continual_forgetting(&value, s->matrix[metric], s->tasks, task);
    return value;
}

/* What a task added on average. */
static double growth(const sequence *s)
{
    return s->tasks > 1 ? (s->bytes[s->tasks - 1] - s->bytes[0]) / (double)(s->tasks - 1) : NAN;
}

static void print_memory(const sequence *s)
{
    printf("\nkept after each task, in bytes\n");
    for (size_t i = 0; i < s->tasks; ++i)
        printf("%-16s %14.0f\n", s->last[i].category, s->bytes[i]);
    if (s->tasks > 1)
        printf("%-16s %+14.0f a task\n", "growth", growth(s));
}

static void print_matrix(const sequence *s, int metric)
{
    printf("\n%s after each task\n%-16s", value_name(metric), "learned");
    for (size_t j = 0; j < s->tasks; ++j)
        printf(" %10.10s", s->last[j].category);
    for (size_t i = 0; i < s->tasks; ++i) {
        printf("\n%-16s", s->last[i].category);
        for (size_t j = 0; j <= i; ++j)
            printf(" %10.4f", s->matrix[metric][i * s->tasks + j]);
    }
    printf("\n");
}

static void print_signed(double value)
{
    if (isnan(value))
        printf("       -");
    else
        printf(" %+6.4f", value);
}

static void print_forgetting(const sequence *s)
{
    printf("\nforgetting, metrics in the order above\n");
    for (size_t j = 0; j < s->tasks; ++j) {
        printf("%-16s", s->last[j].category);
        for (int k = 0; k < METRICS; ++k)
            print_signed(forgetting_of(s, k, j));
        printf("\n");
    }
    printf("%-16s", "mean");
    for (int k = 0; k < METRICS; ++k)
        print_signed(forgetting(s, k, IMIAD_FORGETTING_STANDARD));
    printf("   over all tasks but the last\n%-16s", "as published");
    for (int k = 0; k < METRICS; ++k)
        print_signed(forgetting(s, k, IMIAD_FORGETTING_PUBLISHED));
    printf("   over all tasks\n");
}

/* Of the tasks that were learned. */
static json_t *matrix_record(const sequence *s, int metric)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < s->learned; ++i) {
        json_t *columns = json_array();
        for (size_t j = 0; j <= i; ++j)
            json_array_append_new(columns, number_record(s->matrix[metric][i * s->tasks + j]));
        json_array_append_new(rows, columns);
    }
    return rows;
}

static json_t *bytes_record(const sequence *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->learned; ++i)
        json_array_append_new(list, json_real(s->bytes[i]));
    return list;
}

static json_t *sequence_record(const sequence *s)
{
    json_t *matrices = json_object(), *last = json_array();
    double mean[VALUES], forgotten[VALUES], published[VALUES];
    for (int k = 0; k < VALUES; ++k)
        mean[k] = forgotten[k] = published[k] = NAN;
    for (int k = 0; k < METRICS; ++k) {
        json_object_set_new(matrices, value_name(k), matrix_record(s, k));
        mean[k] = accuracy(s, k);
        forgotten[k] = forgetting(s, k, IMIAD_FORGETTING_STANDARD);
        published[k] = forgetting(s, k, IMIAD_FORGETTING_PUBLISHED);
    }
    for (size_t j = 0; j < s->tasks; ++j)
        json_array_append_new(last, measurement_record(&s->last[j]));
    json_t *record =
        json_pack("{s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "seed", (json_int_t)s->seed, "cell",
                  s->key, "categories", last, "matrices", matrices, "average", metrics_record(mean),
                  "forgetting", metrics_record(forgotten), "forgetting_as_published",
                  metrics_record(published), "kept_bytes", bytes_record(s));
    if (s->tasks > 1)
        json_object_set_new(record, "growth_bytes", json_real(growth(s)));
    return record;
}

/* What the task measured after each task from its own on. */
static void add_course(sequence *s, size_t task)
{
    static const int metrics[] = {IMAGE_AUROC, PIXEL_AP};
    measurement *r = &s->last[task];
    if (!r->evidence)
        r->evidence = json_object();
    json_object_set_new(r->evidence, "task", json_integer((json_int_t)task + 1));
    for (size_t k = 0; k < sizeof metrics / sizeof *metrics; ++k) {
        char name[64];
        json_t *values = json_array();
        for (size_t i = task; i < s->tasks; ++i)
            json_array_append_new(values,
                                  number_record(s->matrix[metrics[k]][i * s->tasks + task]));
        snprintf(name, sizeof name, "course of %s", value_name(metrics[k]));
        json_object_set_new(r->evidence, name, values);
    }
}

/* The last task's measurements and each task's forgetting, one cell a task. */
static imiad_status put(sequence *s, const imiad_detector *detector)
{
    imiad_status status = IMIAD_OK;
    for (size_t j = 0; status == IMIAD_OK && j < s->tasks; ++j) {
        const char *names[LOCO + METRICS + 1];
        char own[METRICS][32];
        double values[LOCO + METRICS + 1];
        imiad_cell cell;
        for (int i = 0; i < LOCO; ++i) {
            names[i] = value_name(i);
            values[i] = s->last[j].values[i];
        }
        for (int k = 0; k < METRICS; ++k) {
            snprintf(own[k], sizeof own[k], "%s_fm", value_name(k));
            names[LOCO + k] = own[k];
            values[LOCO + k] = forgetting_of(s, k, j);
        }
        names[LOCO + METRICS] = "kept_bytes";
        values[LOCO + METRICS] = s->bytes[j];
        status = experiment_describe(&cell, s->experiment, s->splits[j], detector, s->seed);
        cell.setting = "continual";
        add_course(s, j);
        if (status == IMIAD_OK)
            status = experiment_put_values(s->experiment, &cell, &s->last[j], names, values,
                                           LOCO + METRICS + 1);
    }
    return status;
}

/* ---- a sequence ---- */

/* Whether the pictures of every task are there; marks them as there where `make` says so. */
static int pictures_are_made(sequence *s, int make)
{
    int made = 1;
    for (size_t j = 0; j < s->tasks; ++j) {
        measurement r = {
            .value = "", .seed = s->seed, .category = imiad_split_category(s->splits[j])};
        output_name(r.name, &r, s->experiment->arguments.repeats > 1);
        memcpy(r.key, s->key, sizeof r.key);
        if (make)
            made &= output_end(s->experiment, &r) == IMIAD_OK;
        else
            made &= output_maps_are_made(s->experiment, &r);
    }
    return made;
}

/* Whether the store has the sequence already: its last task is put last. */
static imiad_status is_finished(int *out, const sequence *s, const imiad_detector *detector)
{
    imiad_cell cell;
    *out = 0;
    if (!s->experiment->results)
        return IMIAD_OK;
    imiad_status status =
        experiment_describe(&cell, s->experiment, s->splits[s->tasks - 1], detector, s->seed);
    cell.setting = "continual";
    return status == IMIAD_OK ? imiad_results_has(out, s->experiment->results, &cell) : status;
}

/* Everything that the sequence leaves behind, and last the store, which says that it is finished.
 */
static imiad_status keep(sequence *s, const imiad_detector *detector, json_t *records)
{
    experiment *b = s->experiment;
    json_array_append_new(records, sequence_record(s));
    if (!b->results)
        return IMIAD_OK;
    imiad_status status = pictures_are_made(s, 1) ? IMIAD_OK : IMIAD_IO;
    if (status == IMIAD_OK && output_wants_record(b))
        status = experiment_write_record(b, "sequences", records);
    return status == IMIAD_OK ? put(s, detector) : status;
}

/* Nothing is missing of a sequence that the store has: its record comes from the earlier one. */
static int recall(sequence *s, json_t *records)
{
    json_t *recorded = output_recorded(s->experiment, "sequences", s->key);
    if (!pictures_are_made(s, 0) || (output_wants_record(s->experiment) && !recorded))
        return 0;
    if (recorded)
        json_array_append(records, recorded);
    printf("seed %llu: in %s already\n", (unsigned long long)s->seed,
           s->experiment->arguments.results);
    return 1;
}

/* Every task that an earlier run did not finish. */
static imiad_status learn_all(sequence *s, imiad_detector **detector)
{
    imiad_status status =
        s->experiment->arguments.save ? sequence_stage_recall(s, detector) : IMIAD_OK;
    while (status == IMIAD_OK && s->learned < s->tasks)
        status = learn_and_measure(s, *detector);
    return status;
}

static imiad_status run(sequence *s, json_t *records)
{
    experiment *b = s->experiment;
    imiad_detector *detector = NULL;
    int finished = 0;
    imiad_status status = arguments_detector(&detector, &b->arguments, b->backbone, s->seed);
    if (status == IMIAD_OK && !b->facts)
        b->facts = arguments_facts(&b->arguments, "continual", b->dataset, b->backbone, detector);
    if (status == IMIAD_OK)
        status = sequence_key(s, detector);
    if (status == IMIAD_OK)
        status = is_finished(&finished, s, detector);
    finished = status == IMIAD_OK && finished && recall(s, records);
    if (status == IMIAD_OK && !finished)
        status = learn_all(s, &detector);
    if (status == IMIAD_OK && !finished)
        status = keep(s, detector, records);
    if (status == IMIAD_OK && !finished) {
        measurements_print(b, "continual, after the last task", s->last, s->tasks, NULL);
        print_forgetting(s);
        print_memory(s);
        print_matrix(s, IMAGE_AUROC);
    }
    imiad_detector_free(detector);
    return status;
}

int sequence_main(int argc, char **argv)
{
    experiment b = {.dataset = NULL};
    int go_on = arguments_read(
        &b.arguments, argc, argv,
        "Fits one detector on the categories as tasks, one after another, and "
        "measures it on every\ntask met so far: the last row is the accuracy, "
        "what was lost on the way is the forgetting.\nWith --results FILE, --save DIR keeps what "
        "was learned and measured after every task; the same command goes\non "
        "from there after an interruption.",
        NULL, 0);
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    if (b.arguments.save && !b.arguments.results) {
        fprintf(stderr, "%s: --save goes on with a sequence that --results knows: give both\n",
                b.arguments.program);
        free(b.arguments.command);
        return 2;
    }
    int code = experiment_open(&b);
    json_t *records = json_array();
    for (int k = 0; code == 0 && k < b.arguments.repeats; ++k) {
        sequence s;
        imiad_status status = sequence_make(&s, &b, b.arguments.seed + (uint64_t)k);
        if (status == IMIAD_OK)
            status = run(&s, records);
        if (status != IMIAD_OK)
            code = arguments_fail(&b.arguments, "continual");
        sequence_free(&s);
    }
    if (b.arguments.json && b.facts &&
        experiment_write_record(&b, "sequences", records) != IMIAD_OK)
        code = 1;
    json_decref(records);
    code = checked_stdout(b.arguments.program, code, 1);
    experiment_close(&b);
    return code;
}
