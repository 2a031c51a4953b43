#include "data/readers/text_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"

static size_t count_byte(const char *text, size_t size, char byte)
{
    size_t count = 0;
    for (const char *at = text, *end = text + size; (at = memchr(at, byte, (size_t)(end - at)));
         ++at)
        ++count;
    return count;
}

/* Cuts one line, which ends in a NUL, into the next row. */
static void add_row(table *t, size_t *fields, char *line, size_t number, char separator)
{
    table_row *row = &t->rows[t->count++];
    *row = (table_row){t->fields + *fields, 0, number};
    for (char *field = line; field; ++row->count) {
        char *end = strchr(field, separator);
        if (end)
            *end = '\0';
        t->fields[(*fields)++] = field;
        field = end ? end + 1 : NULL;
    }
}

static void cut(table *t, char *text, char separator)
{
    size_t number = 1, fields = 0;
    for (char *line = text; line; ++number) {
        char *end = strchr(line, '\n');
        size_t length = end ? (size_t)(end - line) : strlen(line);
        line[length] = '\0';
        while (length > 0 && line[length - 1] == '\r')
            line[--length] = '\0';
        if (length > 0)
            add_row(t, &fields, line, number, separator);
        line = end ? end + 1 : NULL;
    }
}

/* ---- CSV ---- */

/* Takes a field between quotes, in place; *at is its first quote, and then what follows its last.
 * False where it is not closed. */
static bool cut_quoted(char **at, size_t *number)
{
    char *to = *at, *from = *at + 1;
    for (;; ++from) {
        if (*from == '\0')
            return false;
        if (*from == '"' && *++from != '"')
            break;
        *number += *from == '\n';
        *to++ = *from;
    }
    /* the text is at least one byte shorter than what it was cut from */
    *to = '\0';
    *at = from;
    return true;
}

/* Cuts one row; *at is its first byte, and then the first of the next line, or NULL at the end. */
static imiad_status cut_csv_row(table *t, size_t *fields, char **at, size_t *number, char separator,
                                const char *name)
{
    const char ends[] = {separator, '\n', '\0'};
    table_row *row = &t->rows[t->count++];
    *row = (table_row){t->fields + *fields, 0, *number};
    for (char end = separator; end == separator; ++row->count) {
        t->fields[(*fields)++] = *at;
        bool quoted = **at == '"';
        if (quoted && !cut_quoted(at, number))
            return fail(IMIAD_FORMAT, "%s, line %zu: a quote is not closed", name, row->line);
        size_t length = strcspn(*at, ends);
        end = (*at)[length];
        if (end != separator && length > 0 && (*at)[length - 1] == '\r')
            (*at)[--length] = '\0';
        if (quoted && length > 0)
            return fail(IMIAD_FORMAT, "%s, line %zu: something follows a closing quote", name,
                        row->line);
        *at += length;
        *at += **at == '\0' && end == '\n'; /* over the carriage return */
        **at = '\0';
        *at = end == '\0' ? NULL : *at + 1;
    }
    *number += 1;
    return IMIAD_OK;
}

static imiad_status cut_csv(table *t, char *text, char separator, const char *name)
{
    size_t number = 1, fields = 0;
    for (char *at = text; at && *at;) {
        size_t blank = strspn(at, "\r");
        if (at[blank] == '\n') {
            at += blank + 1;
            ++number;
            continue;
        }
        TRY(cut_csv_row(t, &fields, &at, &number, separator, name));
    }
    return IMIAD_OK;
}

static char separator_of(const char *text, size_t size)
{
    static const char separators[] = {',', ';', '\t'};
    const char *end = memchr(text, '\n', size);
    size_t length = end ? (size_t)(end - text) : size;
    for (size_t i = 0; i < sizeof separators; ++i)
        if (memchr(text, separators[i], length))
            return separators[i];
    return ',';
}

/* ---- either ---- */

static imiad_status prepare(table *out, const void *bytes, size_t size, char separator,
                            const char *name)
{
    if (size > TABLE_BYTES_MAX)
        return fail(IMIAD_FORMAT, "%s has %zu bytes; tables of at most %d are read", name, size,
                    TABLE_BYTES_MAX);
    if (size > 0 && memchr(bytes, '\0', size))
        return fail(IMIAD_FORMAT, "%s is no text: it has a byte of value 0", name);
    size_t lines = size > 0 ? count_byte(bytes, size, '\n') + 1 : 1;
    size_t fields = size > 0 ? count_byte(bytes, size, separator) + lines : 1;
    table t = {.text = malloc(size + 2),
               .fields = malloc(fields * sizeof *t.fields),
               .rows = malloc(lines * sizeof *t.rows)};
    if (!t.text || !t.fields || !t.rows) {
        table_free(&t);
        return fail_memory("a table", size);
    }
    if (size > 0)
        memcpy(t.text, bytes, size);
    t.text[size] = t.text[size + 1] = '\0';
    *out = t;
    return IMIAD_OK;
}

/* The text behind a byte-order mark. */
static char *first_of(const table *t)
{
    return strncmp(t->text, "\xEF\xBB\xBF", 3) == 0 ? t->text + 3 : t->text;
}

imiad_status table_parse(table *out, const void *bytes, size_t size, char separator,
                         const char *name)
{
    table t;
    TRY(prepare(&t, bytes, size, separator, name));
    cut(&t, first_of(&t), separator);
    *out = t;
    return IMIAD_OK;
}

imiad_status table_parse_csv(table *out, const void *bytes, size_t size, const char *name)
{
    table t;
    char separator = separator_of(size > 0 ? bytes : "", size);
    TRY(prepare(&t, bytes, size, separator, name));
    imiad_status status = cut_csv(&t, first_of(&t), separator, name);
    if (status == IMIAD_OK)
        *out = t;
    else
        table_free(&t);
    return status;
}

imiad_status table_read(table *out, const char *path, char separator)
{
    file_view view;
    TRY(file_read(&view, path));
    imiad_status status = table_parse(out, view.bytes, view.size, separator, path);
    file_unmap(&view);
    return status;
}

imiad_status table_read_csv(table *out, const char *path)
{
    file_view view;
    TRY(file_read(&view, path));
    imiad_status status = table_parse_csv(out, view.bytes, view.size, path);
    file_unmap(&view);
    return status;
}

void table_free(table *t)
{
    free(t->text);
    free(t->fields);
    free(t->rows);
    *t = (table){NULL, NULL, NULL, 0};
}
