#include "data/readers/visa.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/reader.h"

enum { OBJECT, SPLIT, LABEL, IMAGE, MASK, COLUMNS };
static const char *const columns[COLUMNS] = {"object", "split", "label", "image", "mask"};

static imiad_status check_header(const table *t, const char *name)
{
    bool good = t->count > 0 && t->rows[0].count == COLUMNS;
    for (size_t i = 0; good && i < COLUMNS; ++i)
        good = strcmp(t->rows[0].fields[i], columns[i]) == 0;
    return good ? IMIAD_OK
                : fail(IMIAD_FORMAT, "%s: the first line must be object,split,label,image,mask",
                       name);
}

/* Which of two words a field is. */
static imiad_status choose(int *out, const char *const words[2], int column, const table_row *row,
                           const char *name)
{
    for (int i = 0; i < 2; ++i)
        if (strcmp(row->fields[column], words[i]) == 0) {
            *out = i;
            return IMIAD_OK;
        }
    return fail(IMIAD_FORMAT, "%s, line %zu: %s is \"%s\", neither %s nor %s", name, row->line,
                columns[column], row->fields[column], words[0], words[1]);
}

static imiad_status check_path(int column, const table_row *row, const char *name)
{
    const char *path = row->fields[column];
    if (!reader_path_is_inside(path) || !is_image_name(path))
        return fail(IMIAD_FORMAT, "%s, line %zu: %s \"%s\" is no path of an image below the root",
                    name, row->line, columns[column], path);
    return IMIAD_OK;
}

static imiad_status read_row(visa_row *out, const table_row *row, const char *name)
{
    static const char *const splits[2] = {"train", "test"}, *const labels[2] = {"normal",
                                                                                "anomaly"};
    if (row->count != COLUMNS)
        return fail(IMIAD_FORMAT, "%s, line %zu: %zu columns between commas instead of 5", name,
                    row->line, row->count);
    int split = 0, label = 0;
    TRY(choose(&split, splits, SPLIT, row, name));
    TRY(choose(&label, labels, LABEL, row, name));
    TRY(check_path(IMAGE, row, name));
    const char *object = row->fields[OBJECT], *image = row->fields[IMAGE];
    size_t length = strlen(object);
    if (length == 0 || strchr(object, '/') || strncmp(image, object, length) != 0 ||
        image[length] != '/')
        return fail(IMIAD_FORMAT, "%s, line %zu: the image %s does not lie below its object \"%s\"",
                    name, row->line, image, object);
    if (*row->fields[MASK])
        TRY(check_path(MASK, row, name));
    *out = (visa_row){.object = object,
                      .image = image,
                      .mask = *row->fields[MASK] ? row->fields[MASK] : NULL,
                      .subset = split ? IMIAD_SUBSET_TEST : IMIAD_SUBSET_TRAIN,
                      .label = label,
                      .line = row->line};
    return IMIAD_OK;
}

static int compare_rows(const void *left, const void *right)
{
    const visa_row *a = left, *b = right;
    int objects = strcmp(a->object, b->object);
    return objects ? objects : strcmp(a->image, b->image);
}

imiad_status visa_parse_split(visa_row *rows, size_t *count, const table *t, const char *name)
{
    TRY(check_header(t, name));
    for (size_t i = 1; i < t->count; ++i)
        TRY(read_row(&rows[i - 1], &t->rows[i], name));
    size_t found = t->count - 1;
    if (found == 0)
        return fail(IMIAD_FORMAT, "%s lists no image", name);
    qsort(rows, found, sizeof *rows, compare_rows);
    for (size_t i = 1; i < found; ++i)
        if (strcmp(rows[i - 1].image, rows[i].image) == 0)
            return fail(IMIAD_FORMAT, "%s, line %zu: %s is listed twice", name, rows[i].line,
                        rows[i].image);
    *count = found;
    return IMIAD_OK;
}
