/* VisA's split files. */
#ifndef DATA_READERS_VISA_H
#define DATA_READERS_VISA_H

#include "data/dataset.h"
#include "data/readers/text_table.h"

/* One line of a split file. Text points into the table. */
typedef struct visa_row {
    const char *object, *image;
    const char *mask; /* NULL where the line names none */
    imiad_subset subset;
    int32_t label;
    size_t line;
} visa_row;

/* The rows behind the header; rows has room for t->count. Sorted by image, and so by object. Every
 * path stays below the root, images below their object's folder; no image comes twice. Errors:
 * IMIAD_FORMAT (name and line). */
imiad_status visa_parse_split(visa_row *rows, size_t *count, const table *t, const char *name);

#endif
