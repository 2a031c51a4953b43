/* Images that a CSV lists: one line says what each is, wherever it lies below the root. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/reader.h"
#include "data/readers/sample_rows.h"

static const option_spec list_options[] = {
    {"file", OPT_TEXT, "list.csv", "",
     "the list: below the root, or anywhere where it begins with a slash"},
    {"category", OPT_TEXT, "all", "", "the category's name where a line has none"},
    {"missing_mask", OPT_CHOICE, "skip", "error|skip|empty",
     "a defective image without mask: fail when the mask is read, count in no pixel metric, or "
     "count as all good"},
    {0},
};

static imiad_status list_category(imiad_dataset *dataset, int32_t category, const void *context)
{
    const sample_rows *rows = context;
    const char *name = dataset->categories[category].name;
    size_t first = 0, last;
    while (strcmp(rows->rows[first].category, name) != 0)
        ++first;
    for (last = first; last < rows->count && strcmp(rows->rows[last].category, name) == 0;)
        ++last;
    return rows_add(dataset, category, rows, first, last, "");
}

static imiad_status list_rows(imiad_dataset *dataset, sample_rows *rows)
{
    for (size_t i = 0; i < rows->count; ++i)
        if (!*rows->rows[i].category)
            rows->rows[i].category = options_text(dataset->options, "category");
    TRY(rows_sort(rows));
    const char **names = calloc(rows->count, sizeof *names);
    if (!names)
        return fail_memory("categories", rows->count * sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < rows->count; ++i)
        if (count == 0 || strcmp(names[count - 1], rows->rows[i].category) != 0)
            names[count++] = rows->rows[i].category;
    imiad_status status = dataset_set_categories(dataset, names, count);
    free(names);
    TRY(status);
    return dataset_list_each(dataset, list_category, rows);
}

static imiad_status list_file(imiad_dataset *dataset, const char *path)
{
    table t;
    TRY(table_read_csv(&t, path));
    char *root = realpath(dataset->root, NULL);
    sample_rows rows = {
        .rows = calloc(t.count + 1, sizeof *rows.rows), .name = path, .unit = "line"};
    imiad_status status = rows.rows ? list_parse(&rows, &t, root ? root : dataset->root)
                                    : fail_memory("a list", t.count * sizeof *rows.rows);
    if (status == IMIAD_OK)
        status = list_rows(dataset, &rows);
    free(rows.rows);
    free(root);
    table_free(&t);
    return status;
}

static imiad_status list(imiad_dataset *dataset)
{
    const char *file = options_text(dataset->options, "file");
    char *path = *file == '/' ? strdup(file) : path_join(dataset->root, file);
    if (!path)
        return fail_memory("a path", strlen(file));
    imiad_status status = list_file(dataset, path);
    free(path);
    return status;
}

const dataset_ops list_ops = {
    .name = "list",
    .title = "Images that a CSV lists: path, split, label, kind, mask, category, group",
    .options = list_options,
    .needs_root = true,
    .may_lack_tests = true,
    .layout = "lines of train and test images in the list",
    .list = list,
};
