/* One line an image, fields separated by tabs; docs/settings.md describes the format. */
#include "data/selection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "base/file_writer.h"
#include "base/files.h"

static const char format_name[] = "imiad-selection-1";

enum { MOST_BYTES = 1 << 26, MOST_OPTIONS = 128, FIELDS = 3 };

/* ---- writing ---- */

static imiad_status write_fields(FILE *stream, const char *const *fields, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        if (fields[i][strcspn(fields[i], "\t\r\n")])
            return fail(IMIAD_UNSUPPORTED, "a tab or a line's end in \"%s\"", fields[i]);
        fprintf(stream, "%s%s", i > 0 ? "\t" : "", fields[i]);
    }
    fputc('\n', stream);
    return IMIAD_OK;
}

static imiad_status write_header(FILE *stream, const imiad_split *split)
{
    const char *const pairs[][2] = {{"format", format_name},
                                    {"dataset", imiad_dataset_name(split->dataset)},
                                    {"category", imiad_split_category(split)},
                                    {"setting", imiad_split_setting(split)}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; ++i)
        TRY(write_fields(stream, pairs[i], 2));
    for (size_t i = 0; i < options_count(split->options); ++i) {
        imiad_option option = options_get(split->options, i);
        TRY(write_fields(stream, (const char *const[]){"option", option.name, option.value}, 3));
    }
    return IMIAD_OK;
}

static imiad_status write_entries(FILE *stream, const imiad_split *split, const entry_list *list)
{
    char augment[AUGMENT_TEXT_BYTES];
    for (size_t i = 0; i < list->count; ++i) {
        const split_entry *entry = &list->entries[i];
        augment_print(augment, &entry->augment);
        const char *fields[FIELDS] = {split_roles[entry->role].name,
                                      split->dataset->samples[entry->sample].path, augment};
        TRY(write_fields(stream, fields, *augment ? 3 : 2));
    }
    return IMIAD_OK;
}

imiad_status imiad_split_write(const imiad_split *split, const char *path)
{
    if (!split || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_split_write: split or path is NULL");
    file_writer writer;
    TRY(file_write_begin(&writer, path));
    imiad_status status = write_header(writer.stream, split);
    if (status == IMIAD_OK)
        status = write_entries(writer.stream, split, &split->train);
    if (status == IMIAD_OK)
        status = write_entries(writer.stream, split, &split->test);
    if (status == IMIAD_OK)
        status = write_fields(writer.stream, (const char *const[]){"end"}, 1);
    if (status == IMIAD_OK)
        return file_write_commit(&writer);
    file_write_abandon(&writer);
    return fail_within(status, "cannot write %s", path);
}

/* ---- reading: lines ---- */

/* What was read of an image, to find it said twice; augmented copies may coincide. */
typedef struct mention {
    size_t sample, line;
    bool test, original;
} mention;

typedef struct path_index {
    const char *path;
    size_t sample;
} path_index;

typedef struct reader {
    const char *name;
    char *text, *at, *end; /* a copy that fields are cut out of */
    size_t line;
    const char *fields[FIELDS];
    size_t field_count;

    imiad_split *split;
    path_index *paths; /* of all samples, sorted */
    size_t path_count;
    mention *mentions;
    size_t mention_count, mention_room;
} reader;

static imiad_status fail_line(const reader *r, size_t line, imiad_status status, const char *format,
                              ...) __attribute__((format(printf, 4, 5), cold));

static imiad_status fail_line(const reader *r, size_t line, imiad_status status, const char *format,
                              ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return fail(status, "selection %s, line %zu: %s", r->name, line, message);
}

/* Cuts the next line into fields. */
static imiad_status read_line(reader *r)
{
    r->line++;
    if (r->at >= r->end)
        return fail_line(r, r->line, IMIAD_FORMAT, "the file ends before its line \"end\"");
    char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    char *stop = newline ? newline : r->end;
    *stop = '\0';
    if (strlen(r->at) != (size_t)(stop - r->at))
        return fail_line(r, r->line, IMIAD_FORMAT, "a NUL byte");
    if (stop > r->at && stop[-1] == '\r')
        stop[-1] = '\0';
    char *rest = r->at;
    r->at = stop + 1;
    for (r->field_count = 0; rest && r->field_count < FIELDS; r->field_count++)
        r->fields[r->field_count] = strsep(&rest, "\t");
    if (rest)
        return fail_line(r, r->line, IMIAD_FORMAT, "more than %d fields", FIELDS);
    return IMIAD_OK;
}

static imiad_status read_pair(const char **value, reader *r, const char *name)
{
    TRY(read_line(r));
    if (r->field_count != 2 || strcmp(r->fields[0], name) != 0)
        return fail_line(r, r->line, IMIAD_FORMAT, "expected \"%s\", a tab and a value", name);
    *value = r->fields[1];
    return IMIAD_OK;
}

/* ---- reading: the header ---- */

/* Leaves the reader at the first line that is no option. */
static imiad_status read_options(imiad_option options[MOST_OPTIONS], size_t *count, reader *r)
{
    for (*count = 0;; ++*count) {
        TRY(read_line(r));
        if (strcmp(r->fields[0], "option") != 0)
            return IMIAD_OK;
        if (r->field_count != 3 || *count == MOST_OPTIONS)
            return fail_line(r, r->line, IMIAD_FORMAT,
                             "expected \"option\", a name and a value, at most %d times",
                             MOST_OPTIONS);
        options[*count] = (imiad_option){r->fields[1], r->fields[2]};
    }
}

static imiad_status read_header(reader *r, const imiad_dataset *dataset)
{
    const char *format = "", *dataset_name = "", *category = "", *setting = "";
    TRY(read_pair(&format, r, "format"));
    if (strcmp(format, format_name) != 0)
        return fail_line(r, r->line, IMIAD_FORMAT, "the format is \"%s\", not %s", format,
                         format_name);
    TRY(read_pair(&dataset_name, r, "dataset"));
    if (strcmp(dataset_name, imiad_dataset_name(dataset)) != 0)
        return fail_line(r, r->line, IMIAD_MISMATCH, "it selects from dataset %s, not from %s",
                         dataset_name, imiad_dataset_name(dataset));
    TRY(read_pair(&category, r, "category"));
    TRY(read_pair(&setting, r, "setting"));
    imiad_option options[MOST_OPTIONS];
    size_t count;
    TRY(read_options(options, &count, r));
    const setting_ops *ops;
    imiad_status status = setting_find(&ops, setting);
    if (status == IMIAD_OK)
        status = split_begin(&r->split, dataset, category, ops, options, count);
    return status == IMIAD_OK ? status : fail_within(status, "selection %s", r->name);
}

/* ---- reading: the images ---- */

static int compare_paths(const void *left, const void *right)
{
    return strcmp(((const path_index *)left)->path, ((const path_index *)right)->path);
}

static imiad_status index_paths(reader *r)
{
    const imiad_dataset *dataset = r->split->dataset;
    r->path_count = dataset->sample_count;
    r->paths = malloc((r->path_count + 1) * sizeof *r->paths);
    if (!r->paths)
        return fail_memory("a selection", r->path_count * sizeof *r->paths);
    for (size_t i = 0; i < r->path_count; ++i)
        r->paths[i] = (path_index){dataset->samples[i].path, i};
    qsort(r->paths, r->path_count, sizeof *r->paths, compare_paths);
    return IMIAD_OK;
}

/* Sources are of other categories, all else of the split's own. */
static imiad_status find_sample(size_t *out, const reader *r, const char *path, split_role role)
{
    const path_index *found =
        bsearch(&(path_index){path, 0}, r->paths, r->path_count, sizeof *found, compare_paths);
    if (!found)
        return fail_line(r, r->line, IMIAD_NOT_FOUND, "the dataset has no image %s", path);
    const imiad_dataset *dataset = r->split->dataset;
    size_t category = (size_t)dataset->samples[found->sample].category;
    if ((category != r->split->category) != (role == ROLE_SOURCE))
        return fail_line(r, r->line, IMIAD_MISMATCH, "%s is of category %s", path,
                         dataset->categories[category].name);
    *out = found->sample;
    return IMIAD_OK;
}

static imiad_status find_role(split_role *out, const reader *r)
{
    for (int role = 0; role < ROLE_COUNT; ++role)
        if (strcmp(split_roles[role].name, r->fields[0]) == 0) {
            *out = (split_role)role;
            return IMIAD_OK;
        }
    return fail_line(r, r->line, IMIAD_FORMAT, "no role is named \"%.64s\"", r->fields[0]);
}

/* Noise may be told anything; every other role says the truth. */
static imiad_status check_role(const reader *r, const split_entry *entry)
{
    int32_t label = r->split->dataset->samples[entry->sample].label;
    const role_info *role = &split_roles[entry->role];
    if (entry->role != ROLE_NOISE && role->label >= 0 && role->label != label)
        return fail_line(r, r->line, IMIAD_MISMATCH, "%s is %s, which contradicts %s", r->fields[1],
                         label ? "defective" : "good", role->name);
    if (entry->role == ROLE_TEST && entry->augment.kind != AUGMENT_NONE)
        return fail_line(r, r->line, IMIAD_FORMAT, "a test image cannot be augmented");
    return IMIAD_OK;
}

static imiad_status add_mention(reader *r, const split_entry *entry)
{
    TRY(array_reserve(&r->mentions, r->mention_count, &r->mention_room, sizeof *r->mentions,
                      "a selection"));
    r->mentions[r->mention_count++] = (mention){entry->sample, r->line, entry->role == ROLE_TEST,
                                                entry->augment.kind == AUGMENT_NONE};
    return IMIAD_OK;
}

static imiad_status read_entry(reader *r)
{
    split_entry entry = {.sample = 0};
    TRY(find_role(&entry.role, r));
    if (r->field_count < 2)
        return fail_line(r, r->line, IMIAD_FORMAT, "expected a role, a tab and a path");
    TRY(find_sample(&entry.sample, r, r->fields[1], entry.role));
    if (r->field_count == 3) {
        imiad_status status = augment_parse(&entry.augment, r->fields[2]);
        if (status != IMIAD_OK)
            return fail_within(status, "selection %s, line %zu", r->name, r->line);
    }
    TRY(check_role(r, &entry));
    TRY(add_mention(r, &entry));
    return split_add(entry.role == ROLE_TEST ? &r->split->test : &r->split->train, entry);
}

/* After the header the first of these lines is read already. */
static imiad_status read_entries(reader *r)
{
    while (strcmp(r->fields[0], "end") != 0) {
        TRY(read_entry(r));
        TRY(read_line(r));
    }
    if (r->field_count != 1 || r->at < r->end)
        return fail_line(r, r->line, IMIAD_FORMAT, "something follows \"end\"");
    return IMIAD_OK;
}

/* ---- reading: the whole ---- */

/* By sample, training before testing, originals before copies, line. */
static int compare_mentions(const void *left, const void *right)
{
    const mention *a = left, *b = right;
    if (a->sample != b->sample)
        return a->sample < b->sample ? -1 : 1;
    if (a->test != b->test)
        return a->test ? 1 : -1;
    if (a->original != b->original)
        return a->original ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

static imiad_status check_mentions(reader *r)
{
    const char *option = imiad_split_option(r->split, "overlap");
    bool overlap = option && strcmp(option, "true") == 0;
    if (r->mention_count > 1)
        qsort(r->mentions, r->mention_count, sizeof *r->mentions, compare_mentions);
    for (size_t i = 1; i < r->mention_count; ++i) {
        const mention *a = &r->mentions[i - 1], *b = &r->mentions[i];
        const char *path = r->split->dataset->samples[b->sample].path;
        if (a->sample != b->sample)
            continue;
        if (a->test == b->test && b->original)
            return fail_line(r, b->line, IMIAD_FORMAT, "%s was selected in line %zu", path,
                             a->line);
        if (a->test != b->test && !overlap)
            return fail_line(r, b->line, IMIAD_FORMAT,
                             "%s trains in line %zu, and the setting is not one with overlap=true",
                             path, a->line);
    }
    return IMIAD_OK;
}

static imiad_status read_all(reader *r, const imiad_dataset *dataset)
{
    TRY(read_header(r, dataset));
    TRY(index_paths(r));
    TRY(read_entries(r));
    TRY(check_mentions(r));
    imiad_status status = split_finish(r->split);
    return status == IMIAD_OK ? status : fail_within(status, "selection %s", r->name);
}

imiad_status selection_parse(imiad_split **out, const imiad_dataset *dataset, const void *bytes,
                             size_t size, const char *name)
{
    if (size > MOST_BYTES)
        return fail(IMIAD_FORMAT, "selection %s has %zu bytes: at most %d are read", name, size,
                    MOST_BYTES);
    reader r = {.name = name, .text = malloc(size + 1)};
    if (!r.text)
        return fail_memory("a selection", size);
    memcpy(r.text, size > 0 ? bytes : "", size);
    r.text[size] = '\0';
    r.at = r.text;
    r.end = r.text + size;
    imiad_status status = read_all(&r, dataset);
    free(r.mentions);
    free(r.paths);
    free(r.text);
    if (status == IMIAD_OK)
        *out = r.split;
    else
        imiad_split_free(r.split);
    return status;
}

imiad_status imiad_split_read(imiad_split **out, const imiad_dataset *dataset, const char *path)
{
    if (!out || !dataset || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_split_read: out, dataset or path is NULL");
    file_view view;
    TRY(file_read(&view, path));
    imiad_status status = selection_parse(out, dataset, view.bytes, view.size, path);
    file_unmap(&view);
    return status;
}
