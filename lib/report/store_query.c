/* Going through finished cells, and what they add up to. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "report/store.h"

/* ---- filters ---- */

imiad_status filter_check(imiad_results_filter *out, const imiad_results_filter *filter)
{
    *out = (imiad_results_filter)IMIAD_RESULTS_FILTER_INIT;
    if (!filter)
        return IMIAD_OK;
    if (filter->struct_size < sizeof filter->struct_size)
        return fail(IMIAD_INVALID_ARGUMENT, "the filter's struct_size is not set");
    memcpy(out, filter, filter->struct_size < sizeof *out ? filter->struct_size : sizeof *out);
    return IMIAD_OK;
}

void filter_bind(sqlite3_stmt *statement, const imiad_results_filter *filter)
{
    const char *const texts[] = {filter->setting,  filter->value,    filter->dataset,
                                 filter->category, filter->detector, filter->backbone};
    for (int i = 0; i < 6; ++i)
        sqlite3_bind_text(statement, i + 1, texts[i], -1, SQLITE_STATIC); /* NULL binds NULL */
}

/* ---- cells, one by one ---- */

imiad_status collect_ids(id_list *out, sqlite3_stmt *statement, const imiad_results *results)
{
    id_list list = {0};
    imiad_status status = IMIAD_OK;
    int code = SQLITE_ROW;
    while (status == IMIAD_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        status =
            array_reserve(&list.ids, list.count, &list.room, sizeof *list.ids, "a list of cells");
        if (status == IMIAD_OK)
            list.ids[list.count++] = sqlite3_column_int64(statement, 0);
    }
    if (status == IMIAD_OK && code != SQLITE_DONE)
        status = store_fail(results, "read");
    sqlite3_finalize(statement);
    if (status != IMIAD_OK)
        free(list.ids);
    else
        *out = list;
    return status;
}

imiad_status show_cell(bool *found, const imiad_results *results, int64_t id,
                       imiad_finished_function function, void *user)
{
    stored_cell cell;
    imiad_status status = stored_cell_load(&cell, found, results, id);
    if (status == IMIAD_OK && *found) {
        cell.finished.struct_size = sizeof cell.finished;
        cell.finished.cell = &cell.cell;
        status = function(user, &cell.finished);
    }
    stored_cell_free(&cell);
    return status;
}

imiad_status filtered_ids(id_list *out, const imiad_results *results, const char *table,
                          const imiad_results_filter *filter)
{
    imiad_results_filter chosen;
    sqlite3_stmt *statement;
    char text[1024];
    TRY(filter_check(&chosen, filter));
    snprintf(text, sizeof text,
             "SELECT id FROM %s WHERE " FILTER_CONDITION " ORDER BY " CELL_ORDER
             ", seed, run, category",
             table);
    TRY(store_prepare(&statement, results, text));
    filter_bind(statement, &chosen);
    return collect_ids(out, statement, results);
}

/* No lock is held while the function runs: the ids come first, then each cell on its own. */
imiad_status imiad_results_each(const imiad_results *results, const imiad_results_filter *filter,
                                imiad_finished_function function, void *user)
{
    if (!results || !function)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_each: %s is NULL",
                    results ? "function" : "results");
    id_list list;
    TRY(filtered_ids(&list, results, "cells", filter));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; i < list.count && status == IMIAD_OK; ++i) {
        bool found; /* or gone in the meantime */
        status = show_cell(&found, results, list.ids[i], function, user);
    }
    free(list.ids);
    return status;
}

/* ---- summaries ---- */

/* One value of one cell of a family. */
typedef struct entry {
    int64_t cell;
    int32_t category, run; /* their ranks in the family */
    char *name;
    double value; /* NAN where it does not exist */
} entry;

/* A family, by category, then name, then run; and the visitor it is shown to. */
typedef struct family_walk {
    const imiad_results *results;
    imiad_results_filter filter;
    summary_visitor *visit;
    void *user;
    int64_t group, family;
    entry *entries;
    size_t count, room;
} family_walk;

static imiad_status add_entry(family_walk *walk, sqlite3_stmt *row)
{
    TRY(array_reserve(&walk->entries, walk->count, &walk->room, sizeof *walk->entries,
                      "the values of cells"));
    bool exists = sqlite3_column_type(row, 4) != SQLITE_NULL;
    const char *text = (const char *)sqlite3_column_text(row, 3);
    char *name = text ? strdup(text) : NULL;
    if (!name)
        return fail_memory("the name of a value", 64);
    walk->entries[walk->count++] = (entry){.cell = sqlite3_column_int64(row, 0),
                                           .category = sqlite3_column_int(row, 1),
                                           .run = sqlite3_column_int(row, 2),
                                           .name = name,
                                           .value = exists ? sqlite3_column_double(row, 4) : NAN};
    return IMIAD_OK;
}

static void clear_entries(family_walk *walk)
{
    for (size_t i = 0; i < walk->count; ++i)
        free(walk->entries[i].name);
    walk->count = 0;
}

/* The family of a cell. */
static imiad_status collect_entries(family_walk *walk, int64_t id)
{
    sqlite3_stmt *rows;
    TRY(store_prepare(&rows, walk->results,
                      "SELECT id, dense_rank() OVER (ORDER BY category), "
                      "dense_rank() OVER (ORDER BY seed, run), name, number "
                      "FROM cells JOIN measurements ON cell = id "
                      "WHERE family = (SELECT family FROM cells WHERE id = ?) "
                      "ORDER BY category, name, seed, run"));
    sqlite3_bind_int64(rows, 1, id);
    imiad_status status = IMIAD_OK;
    int code = SQLITE_ROW;
    clear_entries(walk);
    while (status == IMIAD_OK && (code = sqlite3_step(rows)) == SQLITE_ROW)
        status = add_entry(walk, rows);
    if (status == IMIAD_OK && code != SQLITE_DONE)
        status = store_fail(walk->results, "read");
    sqlite3_finalize(rows);
    return status;
}

/* Mean and sample standard deviation of the values that exist; the others are left out. */
static void add_up(imiad_summary *out, const double *values, size_t count)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; ++i) {
        out->runs += !isnan(values[i]);
        sum += isnan(values[i]) ? 0 : values[i];
    }
    out->mean = out->runs > 0 ? sum / (double)out->runs : NAN;
    for (size_t i = 0; i < count; ++i)
        squares += isnan(values[i]) ? 0 : (values[i] - out->mean) * (values[i] - out->mean);
    out->deviation = out->runs > 1 ? sqrt(squares / (double)(out->runs - 1)) : NAN;
}

/* The repetitions of one cell, one value of them. */
static imiad_status show_category(family_walk *walk, const imiad_cell *cell, const entry *entries,
                                  size_t count)
{
    imiad_summary summary = {sizeof summary, cell, entries->name, NAN, NAN, 0, 0, 1, 0};
    double *values = malloc(count * sizeof *values);
    if (!values)
        return fail_memory("the values of cells", count * sizeof *values);
    for (size_t i = 0; i < count; ++i) {
        values[i] = entries[i].value;
        summary.undefined += isnan(values[i]);
    }
    add_up(&summary, values, count);
    free(values);
    return walk->visit(walk->user, &summary, walk->group, walk->family);
}

static int compare_for_average(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    order = order ? order : (x->run > y->run) - (x->run < y->run);
    return order ? order : (x->category > y->category) - (x->category < y->category);
}

static int64_t count_categories(const entry *entries, size_t count)
{
    int32_t last = 0;
    for (size_t i = 0; i < count; ++i)
        last = entries[i].category > last ? entries[i].category : last;
    bool *seen = calloc((size_t)last + 1, sizeof *seen);
    int64_t categories = 0;
    for (size_t i = 0; seen && i < count; ++i) {
        categories += !seen[entries[i].category];
        seen[entries[i].category] = true;
    }
    bool counted = seen != NULL;
    free(seen);
    return counted ? categories : 0;
}

/* One value of the whole family, sorted by run: means over categories, run by run. */
static imiad_status show_average(family_walk *walk, const imiad_cell *cell, const entry *entries,
                                 size_t count)
{
    imiad_summary summary = {sizeof summary, cell, entries->name, NAN, NAN, 0, 0, 0, 0};
    summary.categories = count_categories(entries, count);
    double *means = malloc(count * sizeof *means);
    if (!means || summary.categories == 0) {
        free(means);
        return fail_memory("the values of cells", count * sizeof *means);
    }
    size_t runs = 0;
    for (size_t i = 0, next; i < count; i = next) {
        double sum = 0;
        int64_t defined = 0, all = 0;
        for (next = i; next < count && entries[next].run == entries[i].run; ++next, ++all) {
            defined += !isnan(entries[next].value);
            sum += isnan(entries[next].value) ? 0 : entries[next].value;
        }
        if (all < summary.categories) {
            summary.incomplete++;
            continue;
        }
        summary.undefined += all - defined;
        means[runs++] = defined > 0 ? sum / (double)defined : NAN;
    }
    add_up(&summary, means, runs);
    free(means);
    return walk->visit(walk->user, &summary, walk->group, walk->family);
}

/* Shows a stretch of entries name by name. */
typedef imiad_status show_value(family_walk *walk, const imiad_cell *cell, const entry *entries,
                                size_t count);

static imiad_status show_names(family_walk *walk, const char *category, const entry *entries,
                               size_t count, show_value *show)
{
    stored_cell stored;
    bool found;
    TRY(stored_cell_load(&stored, &found, walk->results, entries->cell));
    if (!found) /* gone meanwhile */
        return IMIAD_OK;
    if (category)
        stored.cell.category = category;
    imiad_status status = IMIAD_OK;
    const char *wanted = walk->filter.category;
    if (!wanted || strcmp(wanted, stored.cell.category) == 0) {
        for (size_t i = 0, next; i < count && status == IMIAD_OK; i = next) {
            for (next = i; next < count && strcmp(entries[next].name, entries[i].name) == 0; ++next)
                ;
            status = show(walk, &stored.cell, entries + i, next - i);
        }
        walk->group++;
    }
    stored_cell_free(&stored);
    return status;
}

static imiad_status show_family(family_walk *walk)
{
    for (size_t i = 0, next; i < walk->count; i = next) {
        for (next = i;
             next < walk->count && walk->entries[next].category == walk->entries[i].category;
             ++next)
            ;
        TRY(show_names(walk, NULL, walk->entries + i, next - i, show_category));
    }
    if (walk->count == 0)
        return IMIAD_OK;
    qsort(walk->entries, walk->count, sizeof *walk->entries, compare_for_average);
    return show_names(walk, "average", walk->entries, walk->count, show_average);
}

imiad_status summarize(const imiad_results *results, const imiad_results_filter *filter,
                       summary_visitor *visit, void *user)
{
    family_walk walk = {.results = results, .visit = visit, .user = user};
    TRY(filter_check(&walk.filter, filter));
    imiad_results_filter cells = walk.filter;
    cells.category = NULL; /* an average needs them all */
    sqlite3_stmt *statement;
    id_list list;
    TRY(store_prepare(&statement, results,
                      "SELECT min(id) FROM cells WHERE " FILTER_CONDITION
                      " GROUP BY family ORDER BY " CELL_ORDER));
    filter_bind(statement, &cells);
    TRY(collect_ids(&list, statement, results));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; i < list.count && status == IMIAD_OK; ++i) {
        walk.family = list.ids[i];
        status = collect_entries(&walk, list.ids[i]);
        if (status == IMIAD_OK)
            status = show_family(&walk);
    }
    clear_entries(&walk);
    free(walk.entries);
    free(list.ids);
    return status;
}

typedef struct public_visit {
    imiad_summary_function function;
    void *user;
} public_visit;

static imiad_status visit_public(void *user, const imiad_summary *summary, int64_t group,
                                 int64_t family)
{
    const public_visit *visit = user;
    return visit->function(visit->user, summary);
}

imiad_status imiad_results_summarize(const imiad_results *results,
                                     const imiad_results_filter *filter,
                                     imiad_summary_function function, void *user)
{
    if (!results || !function)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_summarize: %s is NULL",
                    results ? "function" : "results");
    public_visit visit = {function, user};
    return summarize(results, filter, visit_public, &visit);
}
