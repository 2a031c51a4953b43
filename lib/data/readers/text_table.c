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

imiad_status table_parse(table *out, const void *bytes, size_t size, char separator,
                         const char *name)
{
    if (size > TABLE_BYTES_MAX)
        return fail(IMIAD_FORMAT, "%s has %zu bytes; tables of at most %d are read", name, size,
                    TABLE_BYTES_MAX);
    if (size > 0 && memchr(bytes, '\0', size))
        return fail(IMIAD_FORMAT, "%s is no text: it has a byte of value 0", name);
    size_t lines = size > 0 ? count_byte(bytes, size, '\n') + 1 : 1;
    size_t fields = size > 0 ? count_byte(bytes, size, separator) + lines : 1;
    table t = {.text = malloc(size + 1),
               .fields = malloc(fields * sizeof *t.fields),
               .rows = malloc(lines * sizeof *t.rows)};
    if (!t.text || !t.fields || !t.rows) {
        table_free(&t);
        return fail_memory("a table", size);
    }
    if (size > 0)
        memcpy(t.text, bytes, size);
    t.text[size] = '\0';
    cut(&t, strncmp(t.text, "\xEF\xBB\xBF", 3) == 0 ? t.text + 3 : t.text, separator);
    *out = t;
    return IMIAD_OK;
}

imiad_status table_read(table *out, const char *path, char separator)
{
    file_view view;
    TRY(file_map(&view, path));
    imiad_status status = table_parse(out, view.bytes, view.size, separator, path);
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
