/* Text tables as datasets carry them: one row a line, fields between separators. */
#ifndef DATA_READERS_TEXT_TABLE_H
#define DATA_READERS_TEXT_TABLE_H

#include <stddef.h>

#include "imiad/common.h"

/* No table of more bytes is read: the largest official one, VisA's, has less than one MiB. */
enum { TABLE_BYTES_MAX = 1 << 26 };

typedef struct table_row {
    const char *const *fields;
    size_t count; /* of fields, at least 1 */
    size_t line;  /* in the file, from 1 */
} table_row;

typedef struct table {
    char *text; /* what the fields point into */
    const char **fields;
    table_row *rows;
    size_t count; /* of rows */
} table;

/* A byte-order mark, carriage returns at the ends of lines and empty lines are dropped; nothing is
 * quoted. name is what messages call the file. Errors: IMIAD_FORMAT (a NUL, or too long). */
imiad_status table_parse(table *out, const void *bytes, size_t size, char separator,
                         const char *name);
imiad_status table_read(table *out, const char *path, char separator);

/* The same with CSV's quotes: a field between them may hold separators, ends of lines, and quotes
 * written twice. The separator is the first of comma, semicolon and tab that the first line has.
 * Errors: also IMIAD_FORMAT for a quote that is not closed (the line). */
imiad_status table_parse_csv(table *out, const void *bytes, size_t size, const char *name);
imiad_status table_read_csv(table *out, const char *path);
void table_free(table *t);

#endif
