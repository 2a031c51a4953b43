#include "data/readers/sample_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/reader.h"

static int compare_rows(const void *left, const void *right)
{
    const sample_row *a = left, *b = right;
    int categories = strcmp(a->category, b->category), paths = strcmp(a->path, b->path);
    return categories ? categories : paths ? paths : a->number < b->number ? -1 : 1;
}

static int compare_paths(const void *left, const void *right)
{
    const sample_row *a = left, *b = right;
    int paths = strcmp(a->path, b->path);
    return paths ? paths : a->number < b->number ? -1 : 1;
}

imiad_status rows_sort(sample_rows *rows)
{
    if (rows->count > 1)
        qsort(rows->rows, rows->count, sizeof *rows->rows, compare_paths);
    for (size_t i = 1; i < rows->count; ++i)
        if (strcmp(rows->rows[i - 1].path, rows->rows[i].path) == 0)
            return fail(IMIAD_FORMAT, "%s, %s %zu: %s was listed in %s %zu", rows->name, rows->unit,
                        rows->rows[i].number, rows->rows[i].path, rows->unit,
                        rows->rows[i - 1].number);
    if (rows->count > 1)
        qsort(rows->rows, rows->count, sizeof *rows->rows, compare_rows);
    return IMIAD_OK;
}

static const char *below(imiad_dataset *dataset, const char *folder, const char *path)
{
    return dataset_text(dataset, "%s%s%s", folder, *folder ? "/" : "", path);
}

static imiad_status set_masks(imiad_dataset *dataset, sample *s, const char *masks,
                              const char *folder)
{
    size_t count = 1;
    for (const char *at = masks; (at = strchr(at, '|')); ++at)
        ++count;
    const char **paths = dataset_memory(dataset, count * sizeof *paths);
    if (!paths)
        return IMIAD_NO_MEMORY;
    for (const char *at = masks; at; at = strchr(at, '|')) {
        at += *at == '|';
        const char *mask = dataset_text(dataset, "%.*s", (int)strcspn(at, "|"), at);
        if (!mask || !(mask = below(dataset, folder, mask)))
            return IMIAD_NO_MEMORY;
        if (reader_has_file(dataset, mask))
            paths[s->mask_count++] = mask;
        else
            s->mask_expected = mask;
    }
    if (s->mask_expected) /* a part of the ground truth is none */
        s->mask_count = 0;
    s->mask_paths = paths;
    return IMIAD_OK;
}

static imiad_status add_row(imiad_dataset *dataset, int32_t category, const sample_rows *rows,
                            const sample_row *row, const char *folder)
{
    sample s = {.subset = row->subset,
                .category = category,
                .label = row->label,
                .kind = row->label ? dataset_text(dataset, "%s", row->kind) : "good",
                .path = below(dataset, folder, row->path)};
    if (*row->group && !(s.group = dataset_text(dataset, "%s", row->group)))
        return IMIAD_NO_MEMORY;
    if (!s.kind || !s.path)
        return IMIAD_NO_MEMORY;
    if (!reader_has_file(dataset, s.path))
        return fail(IMIAD_NOT_FOUND, "%s, %s %zu: there is no image %s/%s", rows->name, rows->unit,
                    row->number, dataset->root, s.path);
    if (row->label && *row->masks)
        TRY(set_masks(dataset, &s, row->masks, folder));
    return dataset_add(dataset, &s);
}

imiad_status rows_add(imiad_dataset *dataset, int32_t category, const sample_rows *rows,
                      size_t first, size_t last, const char *folder)
{
    for (size_t i = first; i < last; ++i)
        TRY(add_row(dataset, category, rows, &rows->rows[i], folder));
    return IMIAD_OK;
}
