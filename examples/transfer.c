/* The transfer setting of open-iad: a detector learns one category and then, from a few images, the
 * next. */
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

static imiad_status keep(transfer *t, const measurement measurements[3], const imiad_split *target,
                         const imiad_detector *detector, const char *source)
{
    static const char *const steps[] = {"source", "target before", "target after"};
    imiad_status status = IMIAD_OK;
    for (int i = 0; i < 3; ++i) {
        printf("%-14s %-16s", steps[i], measurements[i].category);
        for (int k = 0; k < METRICS; ++k)
            print_metric(measurements[i].values[k]);
        printf("\n");
        json_t *record = measurement_record(&measurements[i]);
        json_object_set_new(record, "step", json_string(steps[i]));
        name_into(record, "source", source);
        json_array_append_new(t->records, record);
    }
    if (t->experiment.results) {
        imiad_cell cell;
        char value[256];
        status = experiment_describe(&cell, &t->experiment, target, detector, measurements[2].seed);
        snprintf(value, sizeof value, "%s source=%s", cell.value, source);
        cell.value = value;
        if (status == IMIAD_OK)
            status = experiment_put(&t->experiment, &cell, &measurements[2]);
    }
    return status;
}

static imiad_status run_target(transfer *t, const char *source, const char *category, uint64_t seed)
{
    experiment *b = &t->experiment;
    imiad_split *from = NULL, *to = NULL;
    imiad_detector *detector = NULL;
    measurement measurements[3];
    for (int i = 0; i < 3; ++i)
        measurements[i] = (measurement){.value = "", .seed = seed};
    imiad_status status = imiad_split_create(&from, b->dataset, source, "unsupervised", NULL, 0);
    if (status == IMIAD_OK)
        status = arguments_split(&to, &b->arguments, b->dataset, category, "transfer", "shots",
                                 t->options[1].values[0], seed);
    if (status == IMIAD_OK)
        status = arguments_detector(&detector, &b->arguments, b->backbone, seed);
    if (status == IMIAD_OK && !b->facts)
        b->facts = arguments_facts(&b->arguments, "transfer", b->dataset, b->backbone, detector);
    if (status == IMIAD_OK)
        status = run_pair(measurements, t, detector, from, to);
    if (status == IMIAD_OK)
        status = keep(t, measurements, to, detector, source);
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

int main(int argc, char **argv)
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
    if (t.experiment.arguments.json && t.experiment.facts) {
        json_t *document =
            json_pack("{s:O, s:O}", "run", t.experiment.facts, "categories", t.records);
        if (arguments_write_json(&t.experiment.arguments, document) != IMIAD_OK)
            code = 1;
        json_decref(document);
    }
    json_decref(t.records);
    code = checked_stdout(t.experiment.arguments.program, code, 1);
    experiment_close(&t.experiment);
    return code;
}
