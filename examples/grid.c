#include "grid.h"
#include "cells.h"
#include "checked.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct grid {
    bench bench;
    const grid_setting *setting;
    front_own varied; /* one value "" where the setting varies nothing */
    row *rows;
    size_t count;
} grid;

/* DIR/CATEGORY.imiad, or DIR/CATEGORY-VALUE-SEED.imiad where there are several. */
static imiad_status save(const grid *g, const imiad_detector *detector, const row *r)
{
    char path[4096];
    if (g->varied.count > 1 || g->bench.front.repeats > 1)
        snprintf(path, sizeof path, "%s/%s%s%s-%llu.imiad", g->bench.front.save, r->category,
                 *r->value ? "-" : "", r->value, (unsigned long long)r->seed);
    else
        snprintf(path, sizeof path, "%s/%s.imiad", g->bench.front.save, r->category);
    return imiad_detector_save(detector, path);
}

/* Runs the cell unless the store has it; either way the row is filled in. */
static imiad_status run_or_recall(row *out, grid *g, const imiad_split *split,
                                  imiad_detector *detector)
{
    bench *b = &g->bench;
    imiad_cell cell;
    int finished = 0;
    imiad_status status = IMIAD_OK;
    if (b->results) {
        status = bench_describe(&cell, b, split, detector, out->seed);
        if (status == IMIAD_OK)
            status = imiad_results_has(&finished, b->results, &cell);
    }
    if (status == IMIAD_OK && finished)
        return bench_recall(out, b, &cell);
    if (status == IMIAD_OK)
        status = bench_fit_and_measure(out, b, detector, split);
    if (status == IMIAD_OK && b->results)
        status = bench_put(b, &cell, out);
    if (status == IMIAD_OK && b->front.save)
        status = save(g, detector, out);
    return status;
}

static imiad_status run_cell(row *out, grid *g)
{
    bench *b = &g->bench;
    imiad_split *split = NULL;
    imiad_detector *detector = NULL;
    imiad_status status =
        front_split(&split, &b->front, b->dataset, out->category, g->setting->setting,
                    g->setting->option, out->value, out->seed);
    if (status == IMIAD_OK)
        status = front_detector(&detector, &b->front, b->backbone, out->seed);
    if (status == IMIAD_OK && !b->facts)
        b->facts = front_facts(&b->front, g->setting->setting, b->dataset, b->backbone, detector);
    if (status == IMIAD_OK)
        status = run_or_recall(out, g, split, detector);
    imiad_detector_free(detector);
    imiad_split_free(split);
    return status;
}

/* Returns how many cells failed. */
static int run_all(grid *g)
{
    const front *f = &g->bench.front;
    size_t categories = front_category_count(f, g->bench.dataset);
    size_t most = g->varied.count * (size_t)f->repeats * categories;
    int failures = 0;
    g->rows = calloc(most ? most : 1, sizeof *g->rows);
    for (size_t i = 0; g->rows && i < most; ++i) {
        row *r = &g->rows[g->count];
        *r = (row){.category = front_category(f, g->bench.dataset, i % categories),
                   .value = g->varied.values[i / categories / (size_t)f->repeats],
                   .seed = f->seed + i / categories % (size_t)f->repeats};
        if (run_cell(r, g) == IMIAD_OK)
            ++g->count;
        else
            failures += front_fail(f, r->category);
    }
    return failures;
}

static json_t *averages_record(const grid *g)
{
    json_t *list = json_array();
    for (size_t i = 0; i < g->varied.count; ++i) {
        double mean[VALUES], deviation[VALUES];
        rows_average(mean, deviation, g->rows, g->count, g->varied.values[i]);
        json_t *average = metrics_record(mean);
        json_object_set_new(average, "value", json_string(g->varied.values[i]));
        if (g->bench.front.repeats > 1)
            json_object_set_new(average, "deviation", metrics_record(deviation));
        json_array_append_new(list, average);
    }
    return list;
}

static int write_record(grid *g)
{
    json_t *cells = json_array();
    for (size_t i = 0; i < g->count; ++i)
        json_array_append_new(cells, row_record(&g->rows[i]));
    json_t *document = json_pack("{s:O, s:o, s:o}", "run", g->bench.facts, "categories", cells,
                                 "averages", averages_record(g));
    int failed = front_write_json(&g->bench.front, document) != IMIAD_OK;
    json_decref(document);
    return failed;
}

static void print_tables(const grid *g)
{
    for (size_t i = 0; i < g->varied.count; ++i) {
        char heading[128];
        snprintf(heading, sizeof heading, "%s%s%s%s%s", g->setting->setting,
                 g->setting->option ? ", " : "", g->setting->option ? g->setting->option : "",
                 g->setting->option ? " " : "", g->varied.values[i]);
        rows_print(&g->bench, heading, g->rows, g->count, g->varied.values[i]);
    }
}

int grid_main(int argc, char **argv, const grid_setting *s)
{
    grid g = {.setting = s};
    g.varied = (front_own){.name = s->option, .argument = s->argument, .help = s->help};
    for (; s->published && s->published[g.varied.count]; ++g.varied.count)
        g.varied.values[g.varied.count] = s->published[g.varied.count];
    if (!s->option) {
        g.varied.values[0] = "";
        g.varied.count = 1;
    }
    int go_on = front_read(&g.bench.front, argc, argv, s->about, &g.varied, s->option ? 1 : 0);
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    int code = bench_open(&g.bench);
    if (code == 0)
        code = run_all(&g) ? 1 : 0;
    if (g.count > 0) {
        print_tables(&g);
        if (g.bench.front.json && write_record(&g))
            code = 1;
    }
    for (size_t i = 0; !g.bench.front.json && i < g.count; ++i) /* else the record took them */
        json_decref(g.rows[i].images);
    free(g.rows);
    code = checked_stdout(g.bench.front.program, code, 1);
    bench_close(&g.bench);
    return code;
}
