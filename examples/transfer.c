/* The transfer setting of open-iad: a detector learns one category and then, from a few images, the
 * next. */
#include "cells.h"
#include "checked.h"
#include "names.h"

#include <stdio.h>
#include <string.h>

typedef struct transfer {
    bench bench;
    front_own options[2]; /* source, shots */
    json_t *records;
} transfer;

/* Source, then target on top; the target before and after is what was gained. */
static imiad_status run_pair(row rows[3], transfer *t, imiad_detector *detector,
                             const imiad_split *source, const imiad_split *target)
{
    front_progress shown = {imiad_split_category(target), NULL, 0};
    imiad_status status = bench_fit_and_measure(&rows[0], &t->bench, detector, source);
    if (status == IMIAD_OK)
        status = bench_measure(&rows[1], &t->bench, detector, target, 0);
    if (status == IMIAD_OK)
        status = imiad_detector_fit_more(detector, target, front_show_progress, &shown);
    return status == IMIAD_OK ? bench_measure(&rows[2], &t->bench, detector, target, 1) : status;
}

static imiad_status keep(transfer *t, const row rows[3], const imiad_split *target,
                         const imiad_detector *detector, const char *source)
{
    static const char *const steps[] = {"source", "target before", "target after"};
    imiad_status status = IMIAD_OK;
    for (int i = 0; i < 3; ++i) {
        printf("%-14s %-16s", steps[i], rows[i].category);
        for (int k = 0; k < METRICS; ++k)
            print_metric(rows[i].values[k]);
        printf("\n");
        json_t *record = row_record(&rows[i]);
        json_object_set_new(record, "step", json_string(steps[i]));
        name_into(record, "source", source);
        json_array_append_new(t->records, record);
        json_decref(rows[i].images);
    }
    if (t->bench.results) {
        imiad_cell cell;
        char value[256];
        status = bench_describe(&cell, &t->bench, target, detector, rows[2].seed);
        snprintf(value, sizeof value, "%s source=%s", cell.value, source);
        cell.value = value;
        if (status == IMIAD_OK)
            status = bench_put(&t->bench, &cell, &rows[2]);
    }
    return status;
}

static imiad_status run_target(transfer *t, const char *source, const char *category, uint64_t seed)
{
    bench *b = &t->bench;
    imiad_split *from = NULL, *to = NULL;
    imiad_detector *detector = NULL;
    row rows[3];
    for (int i = 0; i < 3; ++i)
        rows[i] = (row){.value = "", .seed = seed};
    imiad_status status = imiad_split_create(&from, b->dataset, source, "unsupervised", NULL, 0);
    if (status == IMIAD_OK)
        status = front_split(&to, &b->front, b->dataset, category, "transfer", "shots",
                             t->options[1].values[0], seed);
    if (status == IMIAD_OK)
        status = front_detector(&detector, &b->front, b->backbone, seed);
    if (status == IMIAD_OK && !b->facts)
        b->facts = front_facts(&b->front, "transfer", b->dataset, b->backbone, detector);
    if (status == IMIAD_OK)
        status = run_pair(rows, t, detector, from, to);
    if (status == IMIAD_OK)
        status = keep(t, rows, to, detector, source);
    else
        for (int i = 0; i < 3; ++i)
            json_decref(rows[i].images);
    imiad_detector_free(detector);
    imiad_split_free(to);
    imiad_split_free(from);
    return status;
}

static int run_all(transfer *t)
{
    const front *f = &t->bench.front;
    int failures = 0;
    const char *source =
        t->options[0].count ? t->options[0].values[0] : imiad_dataset_category(t->bench.dataset, 0);
    title_print(&t->bench, "transfer");
    printf("\n%-31s", "");
    print_metric_heads();
    for (int k = 0; k < f->repeats; ++k)
        for (size_t i = 0; i < front_category_count(f, t->bench.dataset); ++i) {
            const char *category = front_category(f, t->bench.dataset, i);
            if (strcmp(category, source) != 0 &&
                run_target(t, source, category, f->seed + (uint64_t)k) != IMIAD_OK)
                failures += front_fail(f, category);
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
    int go_on = front_read(&t.bench.front, argc, argv,
                           "Fits a detector on the source, then on a few images of each target "
                           "category on top, and measures\nthe target before and after.",
                           t.options, 2);
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    t.records = json_array();
    int code = bench_open(&t.bench);
    if (code == 0)
        code = run_all(&t);
    if (t.bench.front.json && t.bench.facts) {
        json_t *document = json_pack("{s:O, s:O}", "run", t.bench.facts, "categories", t.records);
        if (front_write_json(&t.bench.front, document) != IMIAD_OK)
            code = 1;
        json_decref(document);
    }
    json_decref(t.records);
    code = checked_stdout(t.bench.front.program, code, 1);
    bench_close(&t.bench);
    return code;
}
