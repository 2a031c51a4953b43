#include "report/gather.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "report/published_data.h"
#include "report/store.h"

/* ---- copies ---- */

static imiad_status keep_options(const imiad_option **out, kept *k, const imiad_option *options,
                                 size_t count)
{
    imiad_option *copy;
    TRY(kept_take(&copy, k, (count + 1) * sizeof *copy));
    for (size_t i = 0; i < count; ++i) {
        TRY(kept_text(&copy[i].name, k, options[i].name));
        TRY(kept_text(&copy[i].value, k, options[i].value));
    }
    *out = copy;
    return IMIAD_OK;
}

static imiad_status keep_cell(imiad_cell *out, kept *k, const imiad_cell *cell)
{
    *out = *cell;
    for (size_t i = 0; i < TEXT_COLUMNS; ++i) {
        const char **text = (const char **)((char *)out + text_columns[i].offset);
        TRY(kept_text(text, k, cell_text(cell, i)));
    }
    for (size_t i = 0; i < LIST_COLUMNS; ++i) {
        const imiad_option **list = (const imiad_option **)((char *)out + list_columns[i].offset);
        size_t count = *(const size_t *)((const char *)cell + list_columns[i].count_offset);
        TRY(keep_options(list, k, *list, count));
    }
    return keep_options(&out->evidence, k, cell->evidence, cell->evidence_count);
}

/* ---- configurations ---- */

/* Whether the detector's option has its default value; an unknown detector's options have none. */
static bool is_default(const char *detector, const imiad_option *option)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t i = 0; imiad_detector_option_info(&info, detector, i) == IMIAD_OK; ++i)
        if (strcmp(info.name, option->name) == 0)
            return strcmp(info.default_value, option->value) == 0;
    return false;
}

static imiad_status note_changes(report_configuration *c, kept *k)
{
    char *words = NULL;
    size_t size;
    FILE *text = open_memstream(&words, &size);
    if (!text)
        return fail_memory("the options of a configuration", 1024);
    for (size_t i = 0; i < c->cell.option_count; ++i) {
        const imiad_option *option = &c->cell.options[i];
        if (strcmp(option->name, "seed") == 0 || is_default(c->cell.detector, option))
            continue;
        fprintf(text, "%s%s=%s", c->changed_count ? " " : "", option->name, option->value);
        c->changed_count++;
    }
    bool whole = !ferror(text);
    imiad_status status = fclose(text) == 0 && whole ? kept_text(&c->changed, k, words)
                                                     : fail_memory("a configuration", 1024);
    free(words);
    return status;
}

static imiad_status begin_configuration(report_data *data, const imiad_cell *cell, int64_t family)
{
    TRY(array_reserve(&data->configurations, data->count, &data->room, sizeof *data->configurations,
                      "the configurations of a report"));
    report_configuration *c = &data->configurations[data->count];
    *c = (report_configuration){.family = family};
    TRY(keep_cell(&c->cell, &data->kept, cell));
    const report_configuration *last = data->count > 0 ? c - 1 : NULL;
    if (last && last->cell.setting == c->cell.setting && last->cell.value == c->cell.value)
        c->paper_value = last->paper_value;
    else
        c->paper_value = published_value(c->cell.setting, c->cell.value);
    TRY(note_changes(c, &data->kept));
    data->count++;
    return IMIAD_OK;
}

static imiad_status begin_group(report_data *data, report_configuration *c, const char *category)
{
    TRY(array_reserve(&c->groups, c->count, &c->room, sizeof *c->groups,
                      "the categories of a report"));
    report_group *group = &c->groups[c->count];
    *group = (report_group){.average = true}; /* until another one follows */
    TRY(kept_text(&group->category, &data->kept, category));
    if (c->count > 0)
        c->groups[c->count - 1].average = false;
    c->count++;
    return IMIAD_OK;
}

typedef struct gatherer {
    report_data *data;
    int64_t group;
} gatherer;

static imiad_status add_summary(void *user, const imiad_summary *summary, int64_t group,
                                int64_t family)
{
    gatherer *g = user;
    report_data *data = g->data;
    if (data->count == 0 || data->configurations[data->count - 1].family != family)
        TRY(begin_configuration(data, summary->cell, family));
    report_configuration *c = &data->configurations[data->count - 1];
    if (c->count == 0 || g->group != group)
        TRY(begin_group(data, c, summary->cell->category));
    g->group = group;
    report_group *last = &c->groups[c->count - 1];
    TRY(array_reserve(&last->values, last->count, &last->room, sizeof *last->values,
                      "the values of a report"));
    report_value *value = &last->values[last->count];
    *value = (report_value){NULL,
                            summary->mean,
                            summary->deviation,
                            summary->runs,
                            summary->undefined,
                            summary->categories,
                            summary->incomplete};
    TRY(kept_text(&value->name, &data->kept, summary->name));
    last->count++;
    return IMIAD_OK;
}

/* The names of all categories, so that averages over the same ones are known. */
static imiad_status name_categories(report_configuration *c, kept *k)
{
    char *names = NULL;
    size_t size;
    FILE *text = open_memstream(&names, &size);
    if (!text)
        return fail_memory("the categories of a configuration", 1024);
    for (size_t i = 0; i + 1 < c->count; ++i)
        fprintf(text, "%s\n", c->groups[i].category);
    bool whole = !ferror(text);
    imiad_status status = fclose(text) == 0 && whole ? kept_text(&c->categories, k, names)
                                                     : fail_memory("a configuration", 1024);
    free(names);
    return status;
}

/* ---- cells ---- */

static imiad_status keep_finished(report_cell **out, kept *k, const imiad_finished *finished)
{
    report_cell *cell;
    TRY(kept_take(&cell, k, sizeof *cell));
    TRY(keep_cell(&cell->cell, k, finished->cell));
    TRY(kept_text(&cell->library_version, k, finished->library_version));
    TRY(kept_text(&cell->torch_version, k, finished->torch_version));
    TRY(kept_text(&cell->time, k, finished->time));
    cell->threads = finished->threads;
    cell->count = finished->count;
    TRY(kept_take(&cell->names, k, (cell->count + 1) * sizeof *cell->names));
    TRY(kept_take(&cell->values, k, (cell->count + 1) * sizeof *cell->values));
    for (size_t i = 0; i < cell->count; ++i) {
        TRY(kept_text(&cell->names[i], k, finished->names[i]));
        cell->values[i] = finished->values[i];
    }
    *out = cell;
    return evidence_read(&cell->evidence, k, &cell->cell);
}

typedef struct cell_visit {
    report_data *data;
    int64_t family;
} cell_visit;

static report_group *group_of(report_data *data, int64_t family, const char *category)
{
    for (size_t i = 0; i < data->count; ++i) {
        report_configuration *c = &data->configurations[i];
        for (size_t j = 0; c->family == family && j < c->count; ++j)
            if (!c->groups[j].average && strcmp(c->groups[j].category, category) == 0)
                return &c->groups[j];
    }
    return NULL; /* put after the summaries were read */
}

static imiad_status add_cell(void *user, const imiad_finished *finished)
{
    const cell_visit *visit = user;
    report_data *data = visit->data;
    report_group *group = group_of(data, visit->family, finished->cell->category);
    if (!group)
        return IMIAD_OK;
    TRY(array_reserve(&group->cells, group->cell_count, &group->cell_room, sizeof *group->cells,
                      "the cells of a report"));
    report_cell *cell;
    TRY(keep_finished(&cell, &data->kept, finished));
    data->image_count += group->cell_count == 0 ? cell->evidence.image_count : 0;
    group->cells[group->cell_count++] = cell;
    data->cell_count++;
    if (!data->first_time || strcmp(cell->time, data->first_time) < 0)
        data->first_time = cell->time;
    if (!data->last_time || strcmp(cell->time, data->last_time) > 0)
        data->last_time = cell->time;
    return IMIAD_OK;
}

/* Which family each cell is of, as summarize numbers them. */
static imiad_status list_cells(int64_t **ids, size_t *count, const imiad_results *results,
                               const imiad_results_filter *filter)
{
    sqlite3_stmt *rows;
    size_t room = 0;
    TRY(store_prepare(&rows, results,
                      "SELECT id, min(id) OVER (PARTITION BY family) FROM cells "
                      "WHERE " FILTER_CONDITION " ORDER BY 2, category, seed, run"));
    filter_bind(rows, filter);
    imiad_status status = IMIAD_OK;
    int code = SQLITE_ROW;
    while (status == IMIAD_OK && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        status = array_reserve(ids, *count, &room, 2 * sizeof **ids, "a list of cells");
        if (status == IMIAD_OK) {
            (*ids)[2 * *count] = sqlite3_column_int64(rows, 0);
            (*ids)[2 * *count + 1] = sqlite3_column_int64(rows, 1);
            ++*count;
        }
    }
    if (status == IMIAD_OK && code != SQLITE_DONE)
        status = store_fail(results, "read");
    sqlite3_finalize(rows);
    return status;
}

static imiad_status gather_cells(report_data *data, const imiad_results *results,
                                 const imiad_results_filter *filter)
{
    int64_t *ids = NULL;
    size_t count = 0;
    imiad_status status = list_cells(&ids, &count, results, filter);
    for (size_t i = 0; status == IMIAD_OK && i < count; ++i) {
        cell_visit visit = {data, ids[2 * i + 1]};
        bool found; /* or gone in the meantime */
        status = show_cell(&found, results, ids[2 * i], add_cell, &visit);
    }
    free(ids);
    return status;
}

static imiad_status add_failure(void *user, const imiad_failed *failed)
{
    report_data *data = user;
    TRY(array_reserve(&data->failures, data->failure_count, &data->failure_room,
                      sizeof *data->failures, "the failures of a report"));
    report_failure *failure = &data->failures[data->failure_count];
    TRY(keep_cell(&failure->cell, &data->kept, failed->cell));
    TRY(kept_text(&failure->message, &data->kept, failed->message));
    data->failure_count++;
    return IMIAD_OK;
}

/* ---- all of it ---- */

imiad_status report_gather(report_data *out, const imiad_results *results,
                           const imiad_results_filter *filter)
{
    *out = (report_data){0};
    gatherer g = {out, -1};
    imiad_results_filter chosen;
    TRY(filter_check(&chosen, filter));
    imiad_status status = summarize(results, &chosen, add_summary, &g);
    for (size_t i = 0; status == IMIAD_OK && i < out->count; ++i)
        status = name_categories(&out->configurations[i], &out->kept);
    if (status == IMIAD_OK)
        status = gather_cells(out, results, &chosen);
    if (status == IMIAD_OK)
        status = imiad_results_each_failure(results, &chosen, add_failure, out);
    if (status != IMIAD_OK)
        report_data_free(out);
    return status;
}

void report_data_free(report_data *data)
{
    for (size_t i = 0; i < data->count; ++i) {
        report_configuration *c = &data->configurations[i];
        for (size_t j = 0; j < c->count; ++j) {
            free(c->groups[j].values);
            free(c->groups[j].cells);
        }
        free(c->groups);
    }
    free(data->configurations);
    free(data->failures);
    kept_free(&data->kept);
    *data = (report_data){0};
}

bool report_begins_dataset(const report_data *data, size_t configuration)
{
    for (size_t i = 0; i < configuration; ++i)
        if (data->configurations[i].cell.dataset ==
            data->configurations[configuration].cell.dataset)
            return false;
    return true;
}

const report_group *report_average(const report_configuration *c)
{
    return c->count > 0 ? &c->groups[c->count - 1] : NULL;
}

const report_group *report_category(const report_configuration *c, const char *category)
{
    for (size_t i = 0; i + 1 < c->count; ++i)
        if (strcmp(c->groups[i].category, category) == 0)
            return &c->groups[i];
    return NULL;
}

const report_value *report_value_of(const report_group *group, const char *name)
{
    for (size_t i = 0; group && i < group->count; ++i)
        if (strcmp(group->values[i].name, name) == 0)
            return &group->values[i];
    return NULL;
}

const char *report_option(const report_configuration *c, const char *name)
{
    for (size_t i = 0; i < c->cell.option_count; ++i)
        if (strcmp(c->cell.options[i].name, name) == 0)
            return c->cell.options[i].value;
    return NULL;
}
