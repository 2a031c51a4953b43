/* Describing, asking for and putting a cell. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/text.h"
#include "base/too_large.h"
#include "detectors/algorithm.h"
#include "report/store.h"

/* ---- describing ---- */

/* The options of a detector or a dataset, as its schema lists them. */
typedef const char *option_value(const void *owner, const char *name);
typedef imiad_status option_schema(imiad_option_info *out, const char *owner, size_t index);

static imiad_status list_options(imiad_option **out, size_t *count, const void *owner,
                                 const char *name, option_schema *schema, option_value *value)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    imiad_option *list = NULL;
    size_t total = 0;
    for (; schema(&info, name, total) == IMIAD_OK; ++total) {
        imiad_option *grown = realloc(list, (total + 1) * sizeof *grown);
        if (!grown) {
            free(list);
            return fail_memory("a list of options", (total + 1) * sizeof *grown);
        }
        list = grown;
        list[total] = (imiad_option){info.name, value(owner, info.name)};
    }
    free(*out);
    *out = list;
    *count = total;
    return IMIAD_OK;
}

static const char *detector_value(const void *owner, const char *name)
{
    return imiad_detector_option(owner, name);
}

static const char *dataset_value(const void *owner, const char *name)
{
    return imiad_dataset_option(owner, name);
}

/* The setting's first option, its number, and what differs from its default: "ratio=0.1". */
static imiad_status describe_value(char **out, const imiad_split *split)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    char *text = strdup("");
    bool first = true;
    for (size_t i = 0;
         text && imiad_setting_option_info(&info, imiad_split_setting(split), i) == IMIAD_OK; ++i) {
        const char *value = imiad_split_option(split, info.name);
        if (strcmp(info.name, "seed") == 0)
            continue;
        if (first || strcmp(value, info.default_value) != 0) {
            char *longer = NULL;
            if (asprintf(&longer, "%s%s%s=%s", text, *text ? " " : "", info.name, value) < 0)
                longer = NULL;
            free(text);
            text = longer;
        }
        first = false;
    }
    if (!text)
        return fail_memory("a setting's description", 256);
    free(*out);
    *out = text;
    return IMIAD_OK;
}

imiad_status imiad_results_describe(imiad_cell *cell, imiad_results *results,
                                    const imiad_split *split, const imiad_detector *detector)
{
    if (!cell || !results || !split || !detector)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_describe: an argument is NULL");
    if (cell->struct_size < offsetof(imiad_cell, fact_count) + sizeof(size_t))
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_describe: struct_size is not set");
    const imiad_dataset *dataset = imiad_split_dataset(split);
    const imiad_backbone *backbone = detector->backbone;
    cell_description *d = results->description;
    size_t option_count = 0, dataset_option_count = 0;
    TRY(list_options(&d->options, &option_count, detector, imiad_detector_name(detector),
                     imiad_detector_option_info, detector_value));
    TRY(list_options(&d->dataset_options, &dataset_option_count, dataset,
                     imiad_dataset_name(dataset), imiad_dataset_option_info, dataset_value));
    TRY(describe_value(&d->value, split));
    TRY(imiad_dataset_digest(d->dataset_digest, dataset));
    cell->setting = imiad_split_setting(split);
    cell->value = d->value;
    cell->dataset = imiad_dataset_name(dataset);
    cell->dataset_digest = d->dataset_digest;
    cell->category = imiad_split_category(split);
    cell->detector = imiad_detector_name(detector);
    cell->options = d->options;
    cell->option_count = option_count;
    cell->backbone = backbone ? imiad_backbone_name(backbone) : "";
    cell->weights = backbone ? imiad_backbone_weights(backbone) : "";
    cell->weights_digest = backbone ? imiad_backbone_digest(backbone) : "";
    cell->precision = backbone ? imiad_backbone_precision(backbone) : "";
    cell->device = backbone ? imiad_backbone_device(backbone) : "cpu";
    cell->dataset_root = imiad_dataset_root(dataset);
    cell->dataset_options = d->dataset_options;
    cell->dataset_option_count = dataset_option_count;
    return IMIAD_OK;
}

/* ---- asking ---- */

imiad_status find_row(int64_t *id, const imiad_results *results, const char *table,
                      const checked_cell *cell)
{
    sqlite3_stmt *statement;
    char query[96];
    snprintf(query, sizeof query, "SELECT id FROM %s WHERE run = ? AND category = ?", table);
    TRY(store_prepare(&statement, results, query));
    sqlite3_bind_text(statement, 1, cell->run, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, cell->cell.category, -1, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    *id = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    imiad_status status =
        code == SQLITE_ROW || code == SQLITE_DONE ? IMIAD_OK : store_fail(results, "read");
    sqlite3_finalize(statement);
    return status;
}

imiad_status imiad_results_has(int *out, const imiad_results *results, const imiad_cell *cell)
{
    if (!out || !results)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_has: %s is NULL",
                    out ? "results" : "out");
    checked_cell checked;
    int64_t id;
    TRY(cell_check(&checked, cell));
    imiad_status status = find_row(&id, results, "cells", &checked);
    if (status == IMIAD_OK)
        *out = id != 0;
    checked_cell_free(&checked);
    return status;
}

imiad_status imiad_results_show(const imiad_results *results, const imiad_cell *cell,
                                imiad_finished_function function, void *user)
{
    if (!results || !function)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_show: %s is NULL",
                    results ? "function" : "results");
    checked_cell checked;
    int64_t id;
    bool found = false;
    TRY(cell_check(&checked, cell));
    imiad_status status = find_row(&id, results, "cells", &checked);
    checked_cell_free(&checked);
    if (status == IMIAD_OK && id != 0)
        status = show_cell(&found, results, id, function, user);
    if (status == IMIAD_OK && !found)
        return fail(IMIAD_NOT_FOUND, "%s has no such cell: %s, category %s, seed %llu",
                    results->path, cell->setting, cell->category, (unsigned long long)cell->seed);
    return status;
}

/* ---- putting ---- */

static imiad_status check_values(const char *const *names, const double *values, size_t count)
{
    if (count > 0 && (!names || !values))
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_put: %zu values, but %s is NULL", count,
                    names ? "values" : "names");
    for (size_t i = 0; i < count; ++i) {
        if (!names[i] || !*names[i])
            return fail(IMIAD_INVALID_ARGUMENT, "value %zu of a cell has no name", i);
        if (!text_is_utf8(names[i], strlen(names[i])))
            return fail(IMIAD_INVALID_ARGUMENT, "the name of value %zu of a cell is not UTF-8", i);
        if (isinf(values[i]))
            return fail(IMIAD_NOT_FINITE, "the value %s of a cell is infinite", names[i]);
        for (size_t j = 0; j < i; ++j)
            if (strcmp(names[i], names[j]) == 0)
                return fail(IMIAD_INVALID_ARGUMENT, "the value %s of a cell comes twice", names[i]);
    }
    return IMIAD_OK;
}

store_origin origin_now(char text[32])
{
    time_t seconds = time(NULL);
    struct tm utc;
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
    return (store_origin){text, imiad_version(), imiad_torch_version(), imiad_threads()};
}

/* In the place of row `id`, or in a new row where that is 0. */
static imiad_status insert_row(int64_t *id, const imiad_results *results, const char *table,
                               const checked_cell *checked, const store_origin *origin)
{
    sqlite3_stmt *row;
    char query[640];
    snprintf(query, sizeof query,
             "INSERT INTO %s (id, run, family, " CELL_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
             "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
             table);
    TRY(store_prepare(&row, results, query));
    enum { FIRST = 4 };
    if (*id)
        sqlite3_bind_int64(row, 1, *id);
    sqlite3_bind_text(row, 2, checked->run, -1, SQLITE_STATIC);
    sqlite3_bind_text(row, 3, checked->family, -1, SQLITE_STATIC);
    for (int i = 0; i < TEXT_COLUMNS; ++i)
        sqlite3_bind_text(row, FIRST + i, cell_text(&checked->cell, (size_t)i), -1, SQLITE_STATIC);
    for (int i = 0; i < LIST_COLUMNS; ++i)
        sqlite3_bind_text(row, FIRST + TEXT_COLUMNS + i, checked->lists[i], -1, SQLITE_STATIC);
    sqlite3_bind_int64(row, FIRST + CELL_SEED, (int64_t)checked->cell.seed);
    sqlite3_bind_int(row, FIRST + CELL_THREADS, origin->threads);
    const char *const texts[] = {origin->library_version, origin->torch_version, origin->time};
    for (int i = 0; i < 3; ++i)
        sqlite3_bind_text(row, FIRST + CELL_LIBRARY_VERSION + i, texts[i], -1, SQLITE_STATIC);
    TRY(store_finish(row, results));
    *id = sqlite3_last_insert_rowid(results->database);
    return IMIAD_OK;
}

static imiad_status insert_values(const imiad_results *results, int64_t id,
                                  const char *const *names, const double *values, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        sqlite3_stmt *row;
        TRY(store_prepare(&row, results, "INSERT INTO measurements VALUES (?, ?, ?)"));
        sqlite3_bind_int64(row, 1, id);
        sqlite3_bind_text(row, 2, names[i], -1, SQLITE_STATIC);
        if (!isnan(values[i]))
            sqlite3_bind_double(row, 3, values[i]);
        TRY(store_finish(row, results));
    }
    return IMIAD_OK;
}

static imiad_status insert_evidence(const imiad_results *results, int64_t id,
                                    const imiad_cell *cell)
{
    if (cell->evidence_count > 0)
        TRY(store_need(results, &store_evidence));
    for (size_t i = 0; i < cell->evidence_count; ++i) {
        sqlite3_stmt *row;
        TRY(store_prepare(&row, results, "INSERT INTO evidence VALUES (?, ?, ?)"));
        sqlite3_bind_int64(row, 1, id);
        sqlite3_bind_text(row, 2, cell->evidence[i].name, -1, SQLITE_STATIC);
        sqlite3_bind_text(row, 3, cell->evidence[i].value, -1, SQLITE_STATIC);
        TRY(store_finish(row, results));
    }
    return IMIAD_OK;
}

/* Deletes the row of the same key; *id is its number then, 0 otherwise. */
static imiad_status clear_row(int64_t *id, const imiad_results *results, const char *table,
                              const checked_cell *checked)
{
    sqlite3_stmt *statement;
    char query[64];
    TRY(find_row(id, results, table, checked));
    if (!*id)
        return IMIAD_OK;
    snprintf(query, sizeof query, "DELETE FROM %s WHERE id = ?", table);
    TRY(store_prepare(&statement, results, query));
    sqlite3_bind_int64(statement, 1, *id);
    return store_finish(statement, results);
}

imiad_status store_put_cell(const imiad_results *results, const checked_cell *checked,
                            const store_origin *origin, const char *const *names,
                            const double *values, size_t count)
{
    int64_t id;
    bool failures;
    TRY(store_has(&failures, results, &store_failures));
    if (failures)
        TRY(clear_row(&id, results, "failures", checked));
    TRY(clear_row(&id, results, "cells", checked));
    TRY(insert_row(&id, results, "cells", checked, origin));
    TRY(insert_values(results, id, names, values, count));
    return insert_evidence(results, id, &checked->cell);
}

imiad_status store_put_failure(const imiad_results *results, const checked_cell *checked,
                               const store_origin *origin, const char *message)
{
    int64_t id;
    sqlite3_stmt *row;
    TRY(clear_row(&id, results, "failures", checked));
    TRY(insert_row(&id, results, "failures", checked, origin));
    TRY(store_prepare(&row, results, "UPDATE failures SET message = ? WHERE id = ?"));
    sqlite3_bind_text(row, 1, message, -1, SQLITE_STATIC);
    sqlite3_bind_int64(row, 2, id);
    return store_finish(row, results);
}

imiad_status imiad_results_put(imiad_results *results, const imiad_cell *cell,
                               const char *const *names, const double *values, size_t count)
{
    if (!results)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_put: results is NULL");
    TRY(check_values(names, values, count));
    checked_cell checked;
    char time[32];
    TRY(cell_check(&checked, cell));
    store_origin origin = origin_now(time);
    store_change change;
    imiad_status status = change_begin(&change, results);
    if (status == IMIAD_OK)
        status =
            change_end(&change, store_put_cell(results, &checked, &origin, names, values, count));
    checked_cell_free(&checked);
    return status;
}
