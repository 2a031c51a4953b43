#include "pair.h"
#include "cells.h"
#include "checked.h"
#include "names.h"

#include <stdio.h>
#include <string.h>

typedef struct transfer {
    experiment experiment;
    own_option options[2]; /* source, shots */
    json_t *records;
} transfer;

/* Source, then target on top; the target before and after is what was gained. */
static imiad_status run_pair(measurement measurements[3], transfer *t, imiad_detector *detector,
                             const imiad_split *source, const imiad_split *target)
{
    progress_line shown = {imiad_split_category(target), NULL, 0};
    imiad_status status =
        experiment_fit_and_measure(&measurements[0], &t->experiment, detector, source);
    if (status == IMIAD_OK)
        status = experiment_measure(&measurements[1], &t->experiment, detector, target, 0);
    if (status == IMIAD_OK)
        status = imiad_detector_fit_more(detector, target, progress_line_show, &shown);
    return status == IMIAD_OK
               ? experiment_measure(&measurements[2], &t->experiment, detector, target, 1)
               : status;
}

static const char *const steps[] = {"source", "target before", "target after"};

static void print_step(const char *step, const measurement *m)
{
    printf("%-14s %-16s", step, m->category);
    for (int k = 0; k < METRICS; ++k)
        print_metric(m->values[k]);
    printf("\n");
}

/* The target after is the cell of a pair in the store. */
static imiad_status describe(imiad_cell *cell, char *value, transfer *t, const imiad_split *target,
                             const imiad_detector *detector, const char *source, uint64_t seed)
{
    imiad_status status = experiment_describe(cell, &t->experiment, target, detector, seed);
    if (status == IMIAD_OK)
        cell_add_word(cell, value, "source", source);
    return status;
}

/* Whether the store has the pair and nothing else is asked for; it is printed then. */
static int recall(measurement *after, transfer *t, const imiad_cell *cell, imiad_status *status)
{
    const arguments *f = &t->experiment.arguments;
    int finished = 0;
    if (!t->experiment.results || f->json || f->maps)
        return 0;
    *status = imiad_results_has(&finished, t->experiment.results, cell);
    if (*status == IMIAD_OK && finished)
        *status = experiment_recall(after, &t->experiment, cell);
    if (*status == IMIAD_OK && finished)
        print_step(steps[2], after);
    return finished;
}

static imiad_status keep(transfer *t, const measurement measurements[3], const imiad_cell *cell,
                         const char *source)
{
    for (int i = 0; i < 3; ++i) {
        print_step(steps[i], &measurements[i]);
        json_t *record = measurement_record(&measurements[i]);
        json_object_set_new(record, "step", json_string(steps[i]));
        name_into(record, "source", source);
        json_array_append_new(t->records, record);
    }
    return t->experiment.results ? experiment_put(&t->experiment, cell, &measurements[2])
                                 : IMIAD_OK;
}

static imiad_status run_target(transfer *t, const char *source, const char *category, uint64_t seed)
{
    experiment *b = &t->experiment;
    imiad_split *from = NULL, *to = NULL;
    imiad_detector *detector = NULL;
    measurement measurements[3];
    imiad_cell cell;
    char value[CELL_VALUE];
    for (int i = 0; i < 3; ++i)
        measurements[i] = (measurement){.category = category, .value = "", .seed = seed};
    imiad_status status = imiad_split_create(&from, b->dataset, source, "unsupervised", NULL, 0);
    if (status == IMIAD_OK)
        status = arguments_split(&to, &b->arguments, b->dataset, category, "transfer", "shots",
                                 t->options[1].values[0], seed);
    if (status == IMIAD_OK)
        status = arguments_detector(&detector, &b->arguments, b->backbone, seed);
    if (status == IMIAD_OK && !b->facts)
        b->facts = arguments_facts(&b->arguments, "transfer", b->dataset, b->backbone, detector);
    if (status == IMIAD_OK && b->results)
        status = describe(&cell, value, t, to, detector, source, seed);
    if (status == IMIAD_OK && !recall(&measurements[2], t, &cell, &status)) {
        status = run_pair(measurements, t, detector, from, to);
        if (status == IMIAD_OK)
            status = keep(t, measurements, &cell, source);
    }
    for (int i = 0; i < 3; ++i)
        measurement_release(&measurements[i]);
    imiad_detector_free(detector);
    imiad_split_free(to);
    imiad_split_free(from);
    return status;
}

static int run_all(transfer *t)
{
    const arguments *f = &t->experiment.arguments;
    int failures = 0;
    const char *source = t->options[0].count ? t->options[0].values[0]
                                             : imiad_dataset_category(t->experiment.dataset, 0);
    title_print(&t->experiment, "transfer");
    printf("\n%-31s", "");
    print_metric_heads();
    for (int k = 0; k < f->repeats; ++k)
        for (size_t i = 0; i < arguments_category_count(f, t->experiment.dataset); ++i) {
            const char *category = arguments_category(f, t->experiment.dataset, i);
            if (strcmp(category, source) != 0 &&
                run_target(t, source, category, f->seed + (uint64_t)k) != IMIAD_OK)
                failures += arguments_fail(f, category);
        }
    return failures ? 1 : 0;
}

int pair_main(int argc, char **argv)
{
    transfer t = {.options = {{.name = "source",
                               .argument = "NAME",
                               .help = "the category to learn first (default: the first one)",
                               .once = 1},
                              {.name = "shots",
                               .argument = "N",
                               .help = "images of the target that train (default: 8)",
                               .values = {"8"},
                               .count = 1,
                               .once = 1}}};
    int go_on = arguments_read(&t.experiment.arguments, argc, argv,
                               "Fits a detector on the source, then on a few images of each target "
                               "category on top, and measures\nthe target before and after.",
                               t.options, 2);
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    t.records = json_array();
    int code = experiment_open(&t.experiment);
    if (code == 0)
        code = run_all(&t);
    if (t.experiment.arguments.json && t.experiment.facts &&
        experiment_write_record(&t.experiment, "categories", t.records) != IMIAD_OK)
        code = 1;
    json_decref(t.records);
    code = checked_stdout(t.experiment.arguments.program, code, 1);
    experiment_close(&t.experiment);
    return code;
}
