/* Cells as rows: what is checked and digested on the way in, and how a row becomes a cell again. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/arrays.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json_error.h"
#include "base/text.h"
#include "report/store.h"

#define TEXT(field)                                                                                \
    {                                                                                              \
#field, offsetof(imiad_cell, field)                                                        \
    }
const text_column text_columns[TEXT_COLUMNS] = {
    TEXT(category),   TEXT(setting),      TEXT(value),   TEXT(dataset),        TEXT(dataset_digest),
    TEXT(detector),   TEXT(backbone),     TEXT(weights), TEXT(weights_digest), TEXT(precision),
    TEXT(evaluation), TEXT(dataset_root), TEXT(device),  TEXT(machine),        TEXT(command),
};
const list_column list_columns[LIST_COLUMNS] = {
    {"options", offsetof(imiad_cell, options), offsetof(imiad_cell, option_count)},
    {"dataset_options", offsetof(imiad_cell, dataset_options),
     offsetof(imiad_cell, dataset_option_count)},
    {"facts", offsetof(imiad_cell, facts), offsetof(imiad_cell, fact_count)},
};

static const char **text_field(imiad_cell *cell, size_t column)
{
    return (const char **)((char *)cell + text_columns[column].offset);
}

const char *cell_text(const imiad_cell *cell, size_t column)
{
    return *text_field((imiad_cell *)cell, column);
}

static const imiad_option **list_field(imiad_cell *cell, size_t column)
{
    return (const imiad_option **)((char *)cell + list_columns[column].offset);
}

static size_t *list_count_field(imiad_cell *cell, size_t column)
{
    return (size_t *)((char *)cell + list_columns[column].count_offset);
}

/* ---- in ---- */

/* {"name": "value", ...} as text, sorted by name. */
static imiad_status list_text(char **out, const imiad_option *list, size_t count, const char *what)
{
    if (count > 0 && !list)
        return fail(IMIAD_INVALID_ARGUMENT, "a cell with %zu %s that are NULL", count, what);
    json_t *object = json_object();
    if (!object)
        return fail_memory("a cell's options", 64);
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; i < count && status == IMIAD_OK; ++i) {
        if (!list[i].name || !list[i].value)
            status = fail(IMIAD_INVALID_ARGUMENT, "a cell's %s: number %zu has a NULL", what, i);
        else if (!text_is_utf8(list[i].name, strlen(list[i].name)))
            status = fail(IMIAD_INVALID_ARGUMENT, "a cell's %s: \"%s\" is not UTF-8", what,
                          list[i].name);
        else if (!json_put_text(object, list[i].name, list[i].value))
            status = fail_memory("a cell's options", 64);
    }
    char *text = status == IMIAD_OK ? json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    json_decref(object);
    if (status == IMIAD_OK && !text)
        status = fail_memory("a cell's options", 64);
    *out = text;
    return status;
}

/* The processor as the kernel names it, and how many of them. */
static void name_machine(char *out, size_t size)
{
    char line[256], name[96] = "";
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && !*name && fgets(line, sizeof line, file))
        sscanf(line, "model name : %95[^\n]", name);
    if (file)
        fclose(file);
    struct utsname kernel;
    if (!*name && uname(&kernel) == 0)
        snprintf(name, sizeof name, "%s", kernel.machine);
    snprintf(out, size, "%s, %ld cores", name, sysconf(_SC_NPROCESSORS_ONLN));
}

/* The digest of texts: of a JSON array, in which nothing runs together. */
static imiad_status digest_texts(char out[65], json_t *texts)
{
    char *text = texts ? json_dumps(texts, JSON_COMPACT) : NULL;
    json_decref(texts);
    if (!text)
        return fail_memory("a cell's digest", 1024);
    bytes_digest(out, text, strlen(text));
    free(text);
    return IMIAD_OK;
}

/* The options are part of the key whole, but for the seed, which tells repetitions apart. */
static imiad_status digest_key(checked_cell *checked)
{
    const imiad_cell *c = &checked->cell;
    json_t *options = json_loads(checked->lists[0], 0, NULL);
    char *others = NULL, seed[64] = "";
    if (options) {
        const char *own = json_string_value(json_object_get(options, "seed"));
        snprintf(seed, sizeof seed, "%s", own ? own : "");
        json_object_del(options, "seed");
        others = json_dumps(options, JSON_SORT_KEYS | JSON_COMPACT);
    }
    json_decref(options);
    if (!others)
        return fail_memory("a cell's options", 64);
    imiad_status status = digest_texts(
        checked->family, json_pack("[s,s,s,s,s,s,s,s,s,s]", c->setting, c->value, c->dataset,
                                   c->dataset_digest, c->detector, others, c->backbone,
                                   c->weights_digest, c->precision, c->evaluation));
    free(others);
    TRY(status);
    return digest_texts(checked->run, json_pack("[s,I,s,s]", checked->family, (json_int_t)c->seed,
                                                seed, *c->weights_digest ? "" : c->weights));
}

static imiad_status check_text(const char *text, const char *name)
{
    if (!text_is_utf8(text, strlen(text)))
        return fail(IMIAD_INVALID_ARGUMENT, "a cell's %s is not UTF-8: %s", name, text);
    return IMIAD_OK;
}

static imiad_status check_texts(imiad_cell *cell)
{
    for (size_t i = 0; i < TEXT_COLUMNS; ++i) {
        const char **text = text_field(cell, i);
        *text = *text ? *text : "";
        TRY(check_text(*text, text_columns[i].name));
    }
    const struct {
        const char *name, *text;
    } needed[] = {{"setting", cell->setting},
                  {"dataset", cell->dataset},
                  {"category", cell->category},
                  {"detector", cell->detector}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; ++i)
        if (!*needed[i].text)
            return fail(IMIAD_INVALID_ARGUMENT, "a cell without %s", needed[i].name);
    if (strcmp(cell->category, "average") == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "a cell's category cannot be \"average\": that is the "
                                            "mean over categories");
    if (cell->seed > INT64_MAX)
        return fail(IMIAD_OUT_OF_RANGE, "a cell's seed is %llu: it must be at most 2^63 - 1",
                    (unsigned long long)cell->seed);
    return IMIAD_OK;
}

static imiad_status check_evidence(const imiad_cell *cell)
{
    if (cell->evidence_count > 0 && !cell->evidence)
        return fail(IMIAD_INVALID_ARGUMENT, "a cell with %zu pieces of evidence that are NULL",
                    cell->evidence_count);
    for (size_t i = 0; i < cell->evidence_count; ++i) {
        const char *name = cell->evidence[i].name, *text = cell->evidence[i].value;
        if (!name || !*name || !text)
            return fail(IMIAD_INVALID_ARGUMENT, "a cell's evidence: number %zu has no %s", i,
                        name && *name ? "text" : "name");
        if (!text_is_utf8(name, strlen(name)) || !text_is_utf8(text, strlen(text)))
            return fail(IMIAD_INVALID_ARGUMENT, "a cell's evidence: number %zu is not UTF-8", i);
        for (size_t k = 0; k < i; ++k)
            if (strcmp(cell->evidence[k].name, name) == 0)
                return fail(IMIAD_INVALID_ARGUMENT, "a cell's evidence: %s comes twice", name);
    }
    return IMIAD_OK;
}

imiad_status cell_check(checked_cell *out, const imiad_cell *given)
{
    if (!given || given->struct_size < offsetof(imiad_cell, fact_count) + sizeof(size_t))
        return fail(IMIAD_INVALID_ARGUMENT, "the cell is NULL, or struct_size is not set");
    checked_cell checked = {.run = ""};
    memcpy(&checked.cell, given,
           given->struct_size < sizeof *given ? given->struct_size : sizeof *given);
    if (!given->machine) {
        name_machine(checked.machine, sizeof checked.machine);
        checked.cell.machine = checked.machine;
    }
    imiad_status status = check_texts(&checked.cell);
    if (status == IMIAD_OK)
        status = check_evidence(&checked.cell);
    for (size_t i = 0; i < LIST_COLUMNS && status == IMIAD_OK; ++i)
        status = list_text(&checked.lists[i], *list_field(&checked.cell, i),
                           *list_count_field(&checked.cell, i), list_columns[i].name);
    if (status == IMIAD_OK)
        status = digest_key(&checked);
    if (status != IMIAD_OK) {
        checked_cell_free(&checked);
        return status;
    }
    *out = checked;
    if (!given->machine)
        out->cell.machine = out->machine;
    return IMIAD_OK;
}

void checked_cell_free(checked_cell *cell)
{
    for (size_t i = 0; i < LIST_COLUMNS; ++i)
        free(cell->lists[i]);
}

/* ---- out ---- */

/* The texts of a row, in the order of CELL_COLUMNS. */
static imiad_status take_texts(stored_cell *out, sqlite3_stmt *row)
{
    out->texts = json_array();
    for (int i = 0; i <= CELL_COLUMN_COUNT; ++i) /* and the message */
        if (json_array_append_new(out->texts,
                                  json_stringn_nocheck((const char *)sqlite3_column_text(row, i),
                                                       (size_t)sqlite3_column_bytes(row, i))) != 0)
            return fail_memory("a stored cell", 1024);
    for (size_t i = 0; i < TEXT_COLUMNS; ++i)
        *text_field(&out->cell, i) = json_string_value(json_array_get(out->texts, i));
    out->cell.seed = (uint64_t)sqlite3_column_int64(row, CELL_SEED);
    out->finished.threads = sqlite3_column_int(row, CELL_THREADS);
    const char **const others[] = {&out->finished.library_version, &out->finished.torch_version,
                                   &out->finished.time};
    for (size_t i = 0; i < 3; ++i)
        *others[i] = json_string_value(json_array_get(out->texts, CELL_LIBRARY_VERSION + i));
    out->message = json_string_value(json_array_get(out->texts, CELL_COLUMN_COUNT));
    return IMIAD_OK;
}

static imiad_status take_list(stored_cell *out, size_t column, const char *path)
{
    const char *text = json_string_value(json_array_get(out->texts, TEXT_COLUMNS + column));
    json_error_t error;
    json_t *object;
    if (json_read(&object, text, strlen(text), 0, &error, "a stored cell") == IMIAD_NO_MEMORY)
        return IMIAD_NO_MEMORY;
    out->lists[column] = object;
    if (!json_is_object(object))
        return fail(IMIAD_FORMAT, "the result store %s is damaged: a cell's %s are no JSON object",
                    path, list_columns[column].name);
    imiad_option *list = calloc(json_object_size(object) + 1, sizeof *list);
    if (!list)
        return fail_memory("a stored cell", 1024);
    out->options[column] = list;
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        list[count].name = name;
        list[count++].value = json_is_string(value) ? json_string_value(value) : "";
    }
    *list_field(&out->cell, column) = list;
    *list_count_field(&out->cell, column) = count;
    return IMIAD_OK;
}

static imiad_status take_values(stored_cell *out, const imiad_results *results, int64_t id)
{
    sqlite3_stmt *rows;
    TRY(store_prepare(&rows, results,
                      "SELECT name, number FROM measurements WHERE cell = ? ORDER BY name"));
    sqlite3_bind_int64(rows, 1, id);
    json_t *names = json_array();
    imiad_status status = IMIAD_OK;
    if (json_array_append_new(out->texts, names) != 0) /* names is gone then */
        status = fail_memory("a stored cell's values", 64);
    size_t count = 0, room = 0;
    int code = SQLITE_ROW;
    while (status == IMIAD_OK && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        status = array_reserve(&out->values, count, &room, sizeof *out->values,
                               "a stored cell's values");
        if (status == IMIAD_OK) {
            bool exists = sqlite3_column_type(rows, 1) != SQLITE_NULL;
            out->values[count++] = exists ? sqlite3_column_double(rows, 1) : NAN;
            json_array_append_new(names,
                                  json_string_nocheck((const char *)sqlite3_column_text(rows, 0)));
        }
    }
    if (status == IMIAD_OK && code != SQLITE_DONE)
        status = store_fail(results, "read");
    sqlite3_finalize(rows);
    TRY(status);
    if (!(out->names = calloc(count + 1, sizeof *out->names)) || json_array_size(names) != count)
        return fail_memory("a stored cell's values", count * sizeof *out->names);
    for (size_t i = 0; i < count; ++i)
        out->names[i] = json_string_value(json_array_get(names, i));
    out->finished.names = out->names;
    out->finished.values = out->values;
    out->finished.count = count;
    return IMIAD_OK;
}

/* A row of evidence: its texts go into a list that holds them. */
static imiad_status take_evidence_row(json_t *texts, sqlite3_stmt *row, const char *path)
{
    for (int i = 0; i < 2; ++i) {
        const char *text = (const char *)sqlite3_column_text(row, i);
        if (!text)
            return fail(IMIAD_FORMAT, "the result store %s is damaged: evidence without text",
                        path);
        if (json_array_append_new(
                texts, json_stringn_nocheck(text, (size_t)sqlite3_column_bytes(row, i))) != 0)
            return fail_memory("a stored cell's evidence", strlen(text));
    }
    return IMIAD_OK;
}

static imiad_status take_evidence(stored_cell *out, const imiad_results *results, int64_t id)
{
    sqlite3_stmt *rows;
    bool there;
    TRY(store_has(&there, results, &store_evidence));
    if (!there)
        return IMIAD_OK;
    json_t *texts = json_array();
    if (json_array_append_new(out->texts, texts) != 0) /* texts is gone then */
        return fail_memory("a stored cell's evidence", 64);
    TRY(store_prepare(&rows, results,
                      "SELECT name, text FROM evidence WHERE cell = ? ORDER BY name"));
    sqlite3_bind_int64(rows, 1, id);
    imiad_status status = IMIAD_OK;
    int code = SQLITE_ROW;
    while (status == IMIAD_OK && (code = sqlite3_step(rows)) == SQLITE_ROW)
        status = take_evidence_row(texts, rows, results->path);
    if (status == IMIAD_OK && code != SQLITE_DONE)
        status = store_fail(results, "read");
    sqlite3_finalize(rows);
    TRY(status);
    size_t count = json_array_size(texts) / 2;
    if (!(out->evidence = calloc(count + 1, sizeof *out->evidence)))
        return fail_memory("a stored cell's evidence", count * sizeof *out->evidence);
    for (size_t i = 0; i < count; ++i)
        out->evidence[i] = (imiad_option){json_string_value(json_array_get(texts, 2 * i)),
                                          json_string_value(json_array_get(texts, 2 * i + 1))};
    out->cell.evidence = out->evidence;
    out->cell.evidence_count = count;
    return IMIAD_OK;
}

static imiad_status take_row(stored_cell *out, sqlite3_stmt *row, const imiad_results *results)
{
    TRY(take_texts(out, row));
    for (size_t i = 0; i < LIST_COLUMNS; ++i)
        TRY(take_list(out, i, results->path));
    return IMIAD_OK;
}

static imiad_status load(stored_cell *out, bool *found, const imiad_results *results, int64_t id,
                         const char *query, bool with_values)
{
    *out = (stored_cell){.cell = IMIAD_CELL_INIT};
    *found = false;
    /* row and values in one transaction: another process may replace them in between */
    const bool own = sqlite3_get_autocommit(results->database) != 0;
    if (own)
        TRY(store_run(results, "BEGIN", "read"));
    sqlite3_stmt *row = NULL;
    imiad_status status = store_prepare(&row, results, query);
    sqlite3_bind_int64(row, 1, id);
    int code = status == IMIAD_OK ? sqlite3_step(row) : SQLITE_DONE;
    if (code == SQLITE_ROW) {
        *found = true;
        status = take_row(out, row, results);
        if (status == IMIAD_OK && with_values)
            status = take_values(out, results, id);
        if (status == IMIAD_OK && with_values)
            status = take_evidence(out, results, id);
    } else if (code != SQLITE_DONE) {
        status = store_fail(results, "read");
    }
    sqlite3_finalize(row);
    if (own && sqlite3_exec(results->database, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        sqlite3_exec(results->database, "ROLLBACK", NULL, NULL, NULL);
    if (status != IMIAD_OK)
        stored_cell_free(out);
    return status;
}

imiad_status stored_cell_load(stored_cell *out, bool *found, const imiad_results *results,
                              int64_t id)
{
    return load(out, found, results, id, "SELECT " CELL_COLUMNS ", '' FROM cells WHERE id = ?",
                true);
}

imiad_status stored_failure_load(stored_cell *out, bool *found, const imiad_results *results,
                                 int64_t id)
{
    return load(out, found, results, id,
                "SELECT " CELL_COLUMNS ", message FROM failures WHERE id = ?", false);
}

void stored_cell_free(stored_cell *cell)
{
    json_decref(cell->texts);
    for (size_t i = 0; i < LIST_COLUMNS; ++i) {
        json_decref(cell->lists[i]);
        free(cell->options[i]);
    }
    free(cell->evidence);
    free(cell->names);
    free(cell->values);
    *cell = (stored_cell){.cell = IMIAD_CELL_INIT};
}
