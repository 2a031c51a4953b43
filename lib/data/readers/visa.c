/* VisA. Zou, Jeong, Pemula, Zhang, Dabeer: SPot-the-Difference, ECCV 2022. Two layouts: as it is
 * downloaded, where a file says which image trains and tests and masks hold the number of a class
 * of defects; and what the official converter makes of that. */
#include "data/readers/visa.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/readers/layout.h"
#include "data/reader.h"

static const option_spec visa_options[] = {
    {"split", OPT_CHOICE, "1cls", "1cls|2cls_highshot|2cls_fewshot",
     "which of the official splits: split_csv/NAME.csv; a converted tree has one already"},
    {0},
};

/* What the official converter calls them, so that both layouts have the same kinds. */
static const char defect_kind[] = "bad";

/* ---- as it is downloaded ---- */

typedef struct split_file {
    const char *path; /* below the root */
    visa_row *rows;
    size_t count;
} split_file;

static imiad_status add_row(imiad_dataset *dataset, int32_t category, const split_file *file,
                            const visa_row *row)
{
    sample s = {.subset = row->subset,
                .category = category,
                .label = row->label,
                .kind = row->label ? defect_kind : "good",
                .path = dataset_text(dataset, "%s", row->image)};
    if (!s.path)
        return IMIAD_NO_MEMORY;
    if (!reader_has_file(dataset, row->image))
        return fail(IMIAD_NOT_FOUND, "%s/%s, line %zu: there is no image %s/%s", dataset->root,
                    file->path, row->line, dataset->root, row->image);
    if (row->label && row->mask) {
        const char **paths = dataset_memory(dataset, sizeof *paths);
        if (!paths || !(*paths = dataset_text(dataset, "%s", row->mask)))
            return IMIAD_NO_MEMORY;
        if (reader_has_file(dataset, row->mask)) {
            s.mask_paths = paths;
            s.mask_count = 1;
        } else {
            s.mask_expected = *paths;
        }
    }
    return dataset_add(dataset, &s);
}

static int compare_with_row(const void *path, const void *row)
{
    return strcmp(path, ((const visa_row *)row)->image);
}

/* Images on disk that the split file does not list. */
static imiad_status log_unlisted(imiad_dataset *dataset, const visa_row *rows, size_t count,
                                 const char *folder)
{
    name_list names;
    TRY(reader_list(&names, dataset, folder));
    for (size_t i = 0; i < names.count; ++i) {
        char *path = path_join(folder, names.names[i]);
        if (path && !bsearch(path, rows, count, sizeof *rows, compare_with_row))
            reader_left_out(dataset, folder, names.names[i], "the split file does not list it");
        free(path);
    }
    name_list_free(&names);
    return IMIAD_OK;
}

static imiad_status list_object(imiad_dataset *dataset, int32_t category, const void *context)
{
    static const char *const folders[] = {"Normal", "Anomaly"};
    const split_file *file = context;
    const char *name = dataset->categories[category].name;
    size_t begin = 0, end;
    while (strcmp(file->rows[begin].object, name) != 0)
        ++begin;
    for (end = begin; end < file->count && strcmp(file->rows[end].object, name) == 0; ++end)
        TRY(add_row(dataset, category, file, &file->rows[end]));
    for (size_t i = 0; i < 2; ++i) {
        const char *folder = dataset_text(dataset, "%s/Data/Images/%s", name, folders[i]);
        if (!folder)
            return IMIAD_NO_MEMORY;
        TRY(log_unlisted(dataset, file->rows + begin, end - begin, folder));
    }
    return IMIAD_OK;
}

/* The file lists all objects; those of which a copy has no folder are not here. */
static imiad_status list_objects(imiad_dataset *dataset, const split_file *file)
{
    const char **names = calloc(file->count, sizeof *names);
    if (!names)
        return fail_memory("categories", file->count * sizeof *names);
    size_t count = 0;
    const char *last = "";
    for (size_t i = 0; i < file->count; ++i) {
        if (strcmp(last, file->rows[i].object) == 0)
            continue;
        last = file->rows[i].object;
        if (reader_has_folder(dataset, "", last))
            names[count++] = last;
    }
    imiad_status status = dataset_set_categories(dataset, names, count);
    free(names);
    TRY(status);
    return dataset_list_each(dataset, list_object, file);
}

static imiad_status list_downloaded(imiad_dataset *dataset, const char *path)
{
    table t;
    TRY(reader_table(&t, dataset, path, ','));
    char *whole = path_join(dataset->root, path);
    split_file file = {.path = path, .rows = calloc(t.count + 1, sizeof *file.rows)};
    imiad_status status = whole && file.rows
                              ? visa_parse_split(file.rows, &file.count, &t, whole)
                              : fail_memory("a split file", t.count * sizeof *file.rows);
    if (status == IMIAD_OK)
        status = list_objects(dataset, &file);
    free(file.rows);
    free(whole);
    table_free(&t);
    return status;
}

/* ---- either ---- */

/* Whether a folder of the root looks as it is downloaded; then a split of our own would only give
 * figures that nobody can compare. */
static imiad_status refuse_without_split(const imiad_dataset *dataset, const char *path)
{
    name_list names;
    TRY(reader_list(&names, dataset, ""));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < names.count; ++i)
        if (reader_has_folder(dataset, names.names[i], "Data/Images"))
            status = fail(IMIAD_NOT_FOUND,
                          "dataset visa: %s/%s has images as they are downloaded, but there is no "
                          "official split in %s/%s",
                          dataset->root, names.names[i], dataset->root, path);
    name_list_free(&names);
    return status;
}

/* Conversions of the two-class splits keep the masks of training and of test images apart. */
static bool has_two_classes(const imiad_dataset *dataset, const char *object)
{
    return reader_has_folder(dataset, object, "ground_truth/train") ||
           reader_has_folder(dataset, object, "ground_truth/test") ||
           reader_has_folder(dataset, object, "train/bad");
}

static imiad_status list_converted_object(imiad_dataset *dataset, int32_t category,
                                          const void *context)
{
    const char *name = dataset->categories[category].name;
    folder_layout layout = *(const folder_layout *)context;
    layout.masks_by_part = reader_has_folder(dataset, name, "ground_truth/train") ||
                           reader_has_folder(dataset, name, "ground_truth/test");
    return layout_list_category(dataset, &layout, category, name);
}

static imiad_status list_converted(imiad_dataset *dataset)
{
    static const char *const known[] = {"image_anno.csv", "LICENSE", "LICENSE-DATASET", NULL};
    const folder_layout layout = {.good = "good",
                                  .images = "",
                                  .masks = "ground_truth",
                                  .below_masks = "",
                                  .mask_suffix = "",
                                  .train_defective = true,
                                  .known = known};
    TRY(layout_set_categories(dataset, &layout));
    for (size_t i = 0; i < dataset->category_count; ++i)
        dataset->own_split |= has_two_classes(dataset, dataset->categories[i].name);
    return dataset_list_each(dataset, list_converted_object, &layout);
}

static imiad_status list(imiad_dataset *dataset)
{
    const char *split = options_text(dataset->options, "split");
    const char *path = dataset_text(dataset, "split_csv/%s.csv", split);
    if (!path)
        return IMIAD_NO_MEMORY;
    dataset->own_split = strcmp(split, "1cls") != 0; /* its counts are the published ones */
    if (reader_has_file(dataset, path))
        return list_downloaded(dataset, path);
    TRY(refuse_without_split(dataset, path));
    return list_converted(dataset);
}

const dataset_ops visa_ops = {
    .name = "visa",
    .title = "VisA: as downloaded with its split files, or converted",
    .options = visa_options,
    .needs_root = true,
    .layout = "OBJECT/Data/Images and split_csv, or OBJECT/train/good, OBJECT/test/KIND and "
              "OBJECT/ground_truth/KIND",
    .list = list,
};
