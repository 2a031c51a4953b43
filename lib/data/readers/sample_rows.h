/* Rows of a list that says what each image is, and making samples of them. */
#ifndef DATA_READERS_SAMPLE_ROWS_H
#define DATA_READERS_SAMPLE_ROWS_H

#include "data/dataset.h"
#include "data/readers/text_table.h"

enum { ROW_MASKS_MAX = 256 };

/* Text is borrowed from the list. */
typedef struct sample_row {
    imiad_subset subset;
    int32_t label;
    const char *path;
    const char *kind;     /* "good" where the label is 0 */
    const char *masks;    /* paths between `|`; "" where there are none */
    const char *category; /* "" where the list has none */
    const char *group;    /* "" where the image stands alone */
    size_t number;        /* a line, or an entry's place */
} sample_row;

typedef struct sample_rows {
    sample_row *rows;
    size_t count;
    const char *name; /* of the list, for messages */
    const char *unit; /* what `number` counts: "line" */
} sample_rows;

/* A CSV with a header: path, split, label, kind, mask, category, group, in any order. rows has room
 * for t->count; root is what absolute paths may begin with. Sorted by category, then path; every
 * path stays below the root and comes once. Errors: IMIAD_FORMAT (name and line). */
imiad_status list_parse(sample_rows *rows, const table *t, const char *root);

/* Sorts the rows and refuses a path that comes twice. */
imiad_status rows_sort(sample_rows *rows);
/* Adds the rows first..last-1 to a category; `folder` goes before their paths. Errors:
 * IMIAD_NOT_FOUND for an image that is not there. */
imiad_status rows_add(imiad_dataset *dataset, int32_t category, const sample_rows *rows,
                      size_t first, size_t last, const char *folder);

/* A JSON split of Real-IAD: new memory, to be freed with real_iad_free. Errors: IMIAD_FORMAT. */
typedef struct real_iad_split {
    sample_rows rows;
    void *json; /* what the text is borrowed from */
    char *text; /* what JSON does not hold in this form */
    const char *prefix;
} real_iad_split;
enum { REAL_IAD_BYTES_MAX = 1 << 26 };
imiad_status real_iad_parse(real_iad_split *out, const void *bytes, size_t size, const char *name);
void real_iad_free(real_iad_split *split);

#endif
