/* The continual setting of IM-IAD: one detector meets the categories as tasks, one after another,
 * and is tested on every task that it has met. */
#include "checked.h"
#include "outputs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A[i][j]: what task j measures after task i was learned; NAN above the diagonal. */
typedef struct sequence {
    bench *bench;
    uint64_t seed;
    size_t tasks;
    imiad_split **splits;
    double *matrix[METRICS];
    row *last; /* after the last task, by task */
} sequence;

static void sequence_free(sequence *s)
{
    for (size_t i = 0; s->splits && i < s->tasks; ++i)
        imiad_split_free(s->splits[i]);
    for (size_t i = 0; s->last && i < s->tasks; ++i)
        json_decref(s->last[i].images);
    for (int k = 0; k < METRICS; ++k)
        free(s->matrix[k]);
    free(s->splits);
    free(s->last);
}

static imiad_status sequence_make(sequence *s, bench *b, uint64_t seed)
{
    *s = (sequence){.bench = b, .seed = seed};
    s->tasks = front_category_count(&b->front, b->dataset);
    s->splits = calloc(s->tasks, sizeof *s->splits);
    s->last = calloc(s->tasks, sizeof *s->last);
    for (int k = 0; k < METRICS; ++k) {
        s->matrix[k] = malloc(s->tasks * s->tasks * sizeof *s->matrix[k]);
        for (size_t i = 0; s->matrix[k] && i < s->tasks * s->tasks; ++i)
            s->matrix[k][i] = NAN;
        if (!s->matrix[k])
            return IMIAD_NO_MEMORY;
    }
    imiad_status status = s->splits && s->last ? IMIAD_OK : IMIAD_NO_MEMORY;
    for (size_t i = 0; status == IMIAD_OK && i < s->tasks; ++i)
        status =
            front_split(&s->splits[i], &b->front, b->dataset,
                        front_category(&b->front, b->dataset, i), "unsupervised", NULL, NULL, seed);
    return status;
}

/* Learns task i, then measures every task up to it. */
static imiad_status learn_and_measure(sequence *s, imiad_detector *detector, size_t i)
{
    front_progress shown = {imiad_split_category(s->splits[i]), NULL, 0};
    imiad_status status =
        imiad_detector_fit_more(detector, s->splits[i], front_show_progress, &shown);
    for (size_t j = 0; status == IMIAD_OK && j <= i; ++j) {
        row r = {.value = "", .seed = s->seed};
        int keep = i + 1 == s->tasks;
        r.category = imiad_split_category(s->splits[j]);
        output_name(r.name, &r, s->bench->front.repeats > 1);
        if (keep)
            output_begin(s->bench, &r);
        status = bench_measure(&r, s->bench, detector, s->splits[j], keep);
        for (int k = 0; status == IMIAD_OK && k < METRICS; ++k)
            s->matrix[k][i * s->tasks + j] = r.values[k];
        if (keep)
            s->last[j] = r;
        else
            json_decref(r.images);
    }
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

static json_t *matrix_record(const sequence *s, int metric)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < s->tasks; ++i) {
        json_t *columns = json_array();
        for (size_t j = 0; j <= i; ++j) {
            double value = s->matrix[metric][i * s->tasks + j];
            json_array_append_new(columns, isnan(value) ? json_null() : json_real(value));
        }
        json_array_append_new(rows, columns);
    }
    return rows;
}

/* What tells the sequence from others in the record. */
static imiad_status sequence_key(char out[OUTPUT_KEY], const sequence *s,
                                 const imiad_detector *detector)
{
    imiad_cell cell;
    *out = '\0';
    if (!s->bench->results)
        return IMIAD_OK;
    imiad_status status =
        bench_describe(&cell, s->bench, s->splits[s->tasks - 1], detector, s->seed);
    if (status == IMIAD_OK)
        output_key(out, &cell);
    return status;
}

static json_t *sequence_record(const sequence *s, const char *key)
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
        json_array_append_new(last, row_record(&s->last[j]));
    return json_pack("{s:I, s:s, s:o, s:o, s:o, s:o, s:o}", "seed", (json_int_t)s->seed, "cell",
                     key, "categories", last, "matrices", matrices, "average", metrics_record(mean),
                     "forgetting", metrics_record(forgotten), "forgetting_as_published",
                     metrics_record(published));
}

/* The last task's measurements and each task's forgetting, one cell a task. */
static imiad_status put(sequence *s, const imiad_detector *detector)
{
    imiad_status status = IMIAD_OK;
    for (size_t j = 0; status == IMIAD_OK && j < s->tasks; ++j) {
        const char *names[LOCO + METRICS];
        char own[METRICS][32];
        double values[LOCO + METRICS];
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
        status = bench_describe(&cell, s->bench, s->splits[j], detector, s->seed);
        cell.setting = "continual";
        if (status == IMIAD_OK)
            status = imiad_results_put(s->bench->results, &cell, names, values, LOCO + METRICS);
    }
    return status;
}

/* ---- a sequence ---- */

/* Whether the pictures of every task are there; marks them as there where `make` says so. */
static int pictures_are_made(sequence *s, const char *key, int make)
{
    int made = 1;
    for (size_t j = 0; j < s->tasks; ++j) {
        row r = {.value = "", .seed = s->seed, .category = imiad_split_category(s->splits[j])};
        output_name(r.name, &r, s->bench->front.repeats > 1);
        memcpy(r.key, key, sizeof r.key);
        if (make)
            made &= output_end(s->bench, &r) == IMIAD_OK;
        else
            made &= output_maps_are_made(s->bench, &r);
    }
    return made;
}

/* Whether the store has the sequence already: its last task is put last. */
static imiad_status is_finished(int *out, const sequence *s, const imiad_detector *detector)
{
    imiad_cell cell;
    *out = 0;
    if (!s->bench->results)
        return IMIAD_OK;
    imiad_status status =
        bench_describe(&cell, s->bench, s->splits[s->tasks - 1], detector, s->seed);
    cell.setting = "continual";
    return status == IMIAD_OK ? imiad_results_has(out, s->bench->results, &cell) : status;
}

static imiad_status write_record(const bench *b, json_t *records)
{
    json_t *document = json_pack("{s:O, s:O}", "run", b->facts, "sequences", records);
    imiad_status status = front_write_json(&b->front, document);
    json_decref(document);
    return status;
}

/* Everything that the sequence leaves behind, and last the store, which says that it is finished.
 */
static imiad_status keep(sequence *s, const imiad_detector *detector, const char *key,
                         json_t *records)
{
    bench *b = s->bench;
    json_array_append_new(records, sequence_record(s, key));
    if (!b->results)
        return IMIAD_OK;
    imiad_status status = pictures_are_made(s, key, 1) ? IMIAD_OK : IMIAD_IO;
    if (status == IMIAD_OK && output_wants_record(b))
        status = write_record(b, records);
    return status == IMIAD_OK ? put(s, detector) : status;
}

/* Nothing is missing of a sequence that the store has: its record comes from the earlier one. */
static int recall(sequence *s, const char *key, json_t *records)
{
    json_t *recorded = output_recorded(s->bench, "sequences", key);
    if (!pictures_are_made(s, key, 0) || (output_wants_record(s->bench) && !recorded))
        return 0;
    if (recorded)
        json_array_append(records, recorded);
    printf("seed %llu: in %s already\n", (unsigned long long)s->seed, s->bench->front.results);
    return 1;
}

static imiad_status run(sequence *s, json_t *records)
{
    bench *b = s->bench;
    imiad_detector *detector = NULL;
    char key[OUTPUT_KEY];
    int finished = 0;
    imiad_status status = front_detector(&detector, &b->front, b->backbone, s->seed);
    if (status == IMIAD_OK && !b->facts)
        b->facts = front_facts(&b->front, "continual", b->dataset, b->backbone, detector);
    if (status == IMIAD_OK)
        status = sequence_key(key, s, detector);
    if (status == IMIAD_OK)
        status = is_finished(&finished, s, detector);
    finished = status == IMIAD_OK && finished && recall(s, key, records);
    for (size_t i = 0; status == IMIAD_OK && !finished && i < s->tasks; ++i)
        status = learn_and_measure(s, detector, i);
    if (status == IMIAD_OK && !finished)
        status = keep(s, detector, key, records);
    if (status == IMIAD_OK && !finished) {
        rows_print(b, "continual, after the last task", s->last, s->tasks, NULL);
        print_forgetting(s);
        print_matrix(s, IMAGE_AUROC);
    }
    imiad_detector_free(detector);
    return status;
}

int main(int argc, char **argv)
{
    bench b = {.dataset = NULL};
    int go_on = front_read(&b.front, argc, argv,
                           "Fits one detector on the categories as tasks, one after another, and "
                           "measures it on every\ntask met so far: the last row is the accuracy, "
                           "what was lost on the way is the forgetting.",
                           NULL, 0);
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    int code = bench_open(&b);
    json_t *records = json_array();
    for (int k = 0; code == 0 && k < b.front.repeats; ++k) {
        sequence s;
        imiad_status status = sequence_make(&s, &b, b.front.seed + (uint64_t)k);
        if (status == IMIAD_OK)
            status = run(&s, records);
        if (status != IMIAD_OK)
            code = front_fail(&b.front, "continual");
        sequence_free(&s);
    }
    if (b.front.json && b.facts && write_record(&b, records) != IMIAD_OK)
        code = 1;
    json_decref(records);
    code = checked_stdout(b.front.program, code, 1);
    bench_close(&b);
    return code;
}
