/* Results as CSV (RFC 4180, a header line, lines end in \n) and JSON. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file_writer.h"
#include "base/json_error.h"
#include "base/options.h"
#include "report/store.h"

/* ---- fields ---- */

/* A spreadsheet takes a field that begins so for a formula and runs it. */
static bool begins_like_a_formula(const char *text)
{
    return *text && strchr("=+-@\t\r", *text);
}

/* A text as one field: quoted where it has to be, and behind an apostrophe where it would be run.
 */
static void write_text(FILE *file, const char *text)
{
    bool formula = begins_like_a_formula(text);
    if (!formula && !strpbrk(text, ",\"\r\n")) {
        fputs(text, file);
        return;
    }
    fputs(formula ? "\"'" : "\"", file);
    for (; *text; ++text) {
        if (*text == '"')
            putc('"', file);
        putc(*text, file);
    }
    putc('"', file);
}

/* All digits; nothing for what does not exist. */
static void write_real(FILE *file, double value)
{
    char text[REAL_BYTES];
    if (isnan(value))
        return;
    plain_print(text, sizeof text, "%.17g", value);
    fputs(text, file);
}

/* The first number of a setting's value: the 4 of "shots=4"; nothing where there is none. */
static void write_number(FILE *file, const char *value)
{
    const char *sign = strchr(value, '=');
    double number;
    char text[REAL_BYTES];
    size_t length = sign ? strspn(sign + 1, "0123456789+-.eE") : 0;
    if (length == 0 || length >= sizeof text)
        return;
    memcpy(text, sign + 1, length);
    text[length] = '\0';
    if (real_parse(&number, text))
        write_real(file, number);
}

/* NULL where memory runs out. */
static json_t *list_object(const imiad_option *list, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < count; ++i)
        if (!json_put_text(object, list[i].name, list[i].value)) {
            json_decref(object);
            return NULL;
        }
    return object;
}

/* A list as the store keeps it: {"name":"value"} */
static imiad_status write_list(FILE *file, const imiad_option *list, size_t count)
{
    json_t *object = list_object(list, count);
    char *text = object ? json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return fail_memory("a cell's options", 1024);
    write_text(file, text);
    free(text);
    return IMIAD_OK;
}

/* ---- writing whole or not at all ---- */

/* Writes everything to the stream of its writer. */
typedef imiad_status write_all(file_writer *writer, const imiad_results *results,
                               const imiad_results_filter *filter, const void *how);

static imiad_status write_file(const imiad_results *results, const imiad_results_filter *filter,
                               const char *path, write_all *write, const void *how)
{
    if (!results || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "writing results: %s is NULL",
                    results ? "path" : "results");
    file_writer writer;
    TRY(file_write_begin(&writer, path));
    imiad_status status = write(&writer, results, filter, how);
    if (status == IMIAD_OK)
        return file_write_commit(&writer);
    file_write_abandon(&writer);
    return status;
}

/* ---- every value of every cell ---- */

static imiad_status write_cell(void *user, const imiad_finished *finished)
{
    FILE *file = user;
    const imiad_cell *cell = finished->cell;
    for (size_t i = 0; i < finished->count; ++i) {
        for (size_t column = 0; column < TEXT_COLUMNS; ++column) {
            write_text(file, cell_text(cell, column));
            putc(',', file);
        }
        TRY(write_list(file, cell->options, cell->option_count));
        putc(',', file);
        TRY(write_list(file, cell->dataset_options, cell->dataset_option_count));
        putc(',', file);
        TRY(write_list(file, cell->facts, cell->fact_count));
        fprintf(file, ",%llu,%d,%s,%s,%s,", (unsigned long long)cell->seed, (int)finished->threads,
                finished->library_version, finished->torch_version, finished->time);
        write_text(file, finished->names[i]);
        putc(',', file);
        write_real(file, finished->values[i]);
        putc('\n', file);
    }
    return IMIAD_OK;
}

static imiad_status write_cells(file_writer *writer, const imiad_results *results,
                                const imiad_results_filter *filter, const void *how)
{
    for (const char *c = CELL_COLUMNS; *c; ++c)
        if (*c != ' ')
            putc(*c, writer->stream);
    fputs(",name,number\n", writer->stream);
    return imiad_results_each(results, filter, write_cell, writer->stream);
}

imiad_status imiad_results_write_csv(const imiad_results *results,
                                     const imiad_results_filter *filter, const char *path)
{
    return write_file(results, filter, path, write_cells, NULL);
}

/* ---- cells as JSON ---- */

/* NULL where memory runs out. */
static json_t *cell_object(const imiad_finished *finished)
{
    const imiad_cell *cell = finished->cell;
    json_t *object = json_object(), *values = json_object();
    int failed = !object || !values;
    for (size_t i = 0; i < TEXT_COLUMNS; ++i)
        failed |= !json_put_text(object, text_columns[i].name, cell_text(cell, i));
    failed |=
        json_object_set_new(object, "options", list_object(cell->options, cell->option_count));
    failed |= json_object_set_new(object, "dataset_options",
                                  list_object(cell->dataset_options, cell->dataset_option_count));
    failed |= json_object_set_new(object, "facts", list_object(cell->facts, cell->fact_count));
    failed |= json_object_set_new(object, "seed", json_integer((json_int_t)cell->seed));
    failed |= json_object_set_new(object, "threads", json_integer(finished->threads));
    failed |= !json_put_text(object, "library_version", finished->library_version);
    failed |= !json_put_text(object, "torch_version", finished->torch_version);
    failed |= !json_put_text(object, "time", finished->time);
    for (size_t i = 0; i < finished->count; ++i)
        failed |= json_object_set_new(
            values, finished->names[i],
            !isfinite(finished->values[i]) ? json_null() : json_real(finished->values[i]));
    failed |= json_object_set_new(object, "values", values);
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

typedef struct json_writer {
    FILE *file;
    bool begun;
} json_writer;

static imiad_status write_object(void *user, const imiad_finished *finished)
{
    json_writer *writer = user;
    fputs(writer->begun ? ",\n" : "\n", writer->file);
    writer->begun = true;
    json_t *object = cell_object(finished);
    int failed =
        !object || json_dumpf(object, writer->file, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    json_decref(object);
    return failed ? fail_memory("a cell as JSON", 4096) : IMIAD_OK;
}

static imiad_status write_objects(file_writer *writer, const imiad_results *results,
                                  const imiad_results_filter *filter, const void *how)
{
    json_writer json = {writer->stream, false};
    putc('[', writer->stream);
    TRY(imiad_results_each(results, filter, write_object, &json));
    fputs("\n]\n", writer->stream);
    return IMIAD_OK;
}

imiad_status imiad_results_write_json(const imiad_results *results,
                                      const imiad_results_filter *filter, const char *path)
{
    return write_file(results, filter, path, write_objects, NULL);
}

/* ---- summaries and points ---- */

#define CONFIGURATION_HEADER                                                                       \
    "setting,value,number,dataset,category,detector,options,backbone,weights_digest,precision,"    \
    "evaluation"

static imiad_status write_configuration(FILE *file, const imiad_cell *cell)
{
    write_text(file, cell->setting);
    putc(',', file);
    write_text(file, cell->value);
    putc(',', file);
    write_number(file, cell->value);
    const char *const before[] = {cell->dataset, cell->category, cell->detector};
    for (size_t i = 0; i < 3; ++i) {
        putc(',', file);
        write_text(file, before[i]);
    }
    putc(',', file);
    TRY(write_list(file, cell->options, cell->option_count));
    const char *const behind[] = {cell->backbone, cell->weights_digest, cell->precision,
                                  cell->evaluation};
    for (size_t i = 0; i < 4; ++i) {
        putc(',', file);
        write_text(file, behind[i]);
    }
    return IMIAD_OK;
}

static imiad_status write_summary(void *user, const imiad_summary *summary)
{
    FILE *file = user;
    TRY(write_configuration(file, summary->cell));
    putc(',', file);
    write_text(file, summary->name);
    putc(',', file);
    write_real(file, summary->mean);
    putc(',', file);
    write_real(file, summary->deviation);
    fprintf(file, ",%lld,%lld,%lld,%lld\n", (long long)summary->runs, (long long)summary->undefined,
            (long long)summary->categories, (long long)summary->incomplete);
    return IMIAD_OK;
}

static imiad_status write_summaries(file_writer *writer, const imiad_results *results,
                                    const imiad_results_filter *filter, const void *how)
{
    fputs(CONFIGURATION_HEADER ",name,mean,deviation,runs,undefined,categories,incomplete\n",
          writer->stream);
    return imiad_results_summarize(results, filter, write_summary, writer->stream);
}

imiad_status imiad_results_write_summary(const imiad_results *results,
                                         const imiad_results_filter *filter, const char *path)
{
    return write_file(results, filter, path, write_summaries, NULL);
}

/* The named values of one configuration and category, until the line is written. */
typedef struct point_line {
    FILE *file;
    const char *const *names;
    size_t count;
    int64_t group; /* -1: no line is open */
    char *configuration;
    bool any;
    struct {
        double mean, deviation;
    } * values;
} point_line;

static void end_line(point_line *line)
{
    if (line->group >= 0 && line->any) {
        fputs(line->configuration, line->file);
        for (size_t i = 0; i < line->count; ++i) {
            putc(',', line->file);
            write_real(line->file, line->values[i].mean);
            putc(',', line->file);
            write_real(line->file, line->values[i].deviation);
        }
        putc('\n', line->file);
    }
    free(line->configuration);
    line->configuration = NULL;
    line->group = -1;
}

static imiad_status begin_line(point_line *line, const imiad_summary *summary, int64_t group)
{
    size_t size;
    FILE *text = open_memstream(&line->configuration, &size);
    if (!text)
        return fail_memory("a line of points", 1024);
    imiad_status status = write_configuration(text, summary->cell);
    bool whole = !ferror(text);
    if ((fclose(text) != 0 || !whole) && status == IMIAD_OK)
        status = fail_memory("a line of points", 1024);
    TRY(status);
    line->group = group;
    line->any = false;
    for (size_t i = 0; i < line->count; ++i)
        line->values[i].mean = line->values[i].deviation = NAN;
    return IMIAD_OK;
}

static imiad_status add_point(void *user, const imiad_summary *summary, int64_t group,
                              int64_t family)
{
    point_line *line = user;
    if (group != line->group) {
        end_line(line);
        TRY(begin_line(line, summary, group));
    }
    for (size_t i = 0; i < line->count; ++i)
        if (strcmp(line->names[i], summary->name) == 0) {
            line->values[i].mean = summary->mean;
            line->values[i].deviation = summary->deviation;
            line->any = true;
        }
    return IMIAD_OK;
}

static imiad_status write_points(file_writer *writer, const imiad_results *results,
                                 const imiad_results_filter *filter, const void *how)
{
    point_line line = *(const point_line *)how;
    line.file = writer->stream;
    line.values = calloc(line.count, sizeof *line.values);
    if (!line.values)
        return fail_memory("a line of points", line.count * sizeof *line.values);
    fputs(CONFIGURATION_HEADER, line.file);
    for (size_t i = 0; i < line.count; ++i) {
        char deviation[256];
        snprintf(deviation, sizeof deviation, "%s_deviation", line.names[i]);
        putc(',', line.file);
        write_text(line.file, line.names[i]);
        putc(',', line.file);
        write_text(line.file, deviation);
    }
    putc('\n', line.file);
    imiad_status status = summarize(results, filter, add_point, &line);
    if (status == IMIAD_OK)
        end_line(&line);
    free(line.configuration);
    free(line.values);
    return status;
}

imiad_status imiad_results_write_points(const imiad_results *results,
                                        const imiad_results_filter *filter,
                                        const char *const *names, size_t count, const char *path)
{
    if (!names || count == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "points need the name of at least one value");
    const point_line how = {.names = names, .count = count, .group = -1};
    return write_file(results, filter, path, write_points, &how);
}
