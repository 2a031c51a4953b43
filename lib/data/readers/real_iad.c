/* Real-IAD: thirty objects, each sample seen from five sides; JSON files say which image trains and
 * tests. Wang, Zhu, Gao, Gan, Zhang, Gu, Qian, Chen, Ma: Real-IAD, CVPR 2024. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json_error.h"
#include "data/reader.h"
#include "data/readers/sample_rows.h"

static const option_spec real_iad_options[] = {
    {"split", OPT_TEXT, "realiad_jsons", "", "the folder of the JSON files below the root"},
    {"images", OPT_TEXT, "", "",
     "the folder of the objects below the root; empty: the first of realiad_1024, realiad_512, "
     "realiad_256 and realiad_raw that is there, or else the root"},
    {0},
};

/* ---- the JSON file ---- */

static imiad_status fail_entry(const sample_rows *rows, size_t number, const char *what)
{
    return fail(IMIAD_FORMAT, "%s, image %zu: %s", rows->name, number, what);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* All views of a sample lie in one folder, which is the group's name. */
static const char *folder_of(char **text, const char *path)
{
    size_t length = (size_t)(base_name(path) - path);
    char *folder = *text;
    *text += length + 1;
    memcpy(folder, path, length);
    folder[length > 0 ? length - 1 : 0] = '\0';
    return folder;
}

static imiad_status read_entry(sample_rows *rows, char **text, const json_t *entry,
                               imiad_subset subset, const char *normal)
{
    size_t number = rows->count + 1;
    const char *path = text_of(entry, "image_path"), *mask = text_of(entry, "mask_path");
    const char *kind = text_of(entry, "anomaly_class");
    if (!*path || !*kind)
        return fail_entry(rows, number, "image_path or anomaly_class is missing, or is no text");
    if (!reader_path_is_inside(path) || !is_image_name(path))
        return fail_entry(rows, number, "image_path is no path of an image below its folder");
    if (*mask && (!reader_path_is_inside(mask) || !is_image_name(mask) || strchr(mask, '|')))
        return fail_entry(rows, number, "mask_path is no path of an image below its folder");
    bool good = strcmp(kind, normal) == 0;
    rows->rows[rows->count++] = (sample_row){.subset = subset,
                                             .label = !good,
                                             .path = path,
                                             .kind = good ? "good" : kind,
                                             .masks = mask,
                                             .category = "",
                                             .group = folder_of(text, path),
                                             .number = number};
    return IMIAD_OK;
}

/* Bytes that the folders of all paths take. */
static size_t text_bytes(const json_t *list)
{
    size_t bytes = 0;
    for (size_t i = 0; i < json_array_size(list); ++i)
        bytes += strlen(text_of(json_array_get(list, i), "image_path")) + 1;
    return bytes;
}

static imiad_status read_lists(real_iad_split *split, const json_t *train, const json_t *test)
{
    sample_rows *rows = &split->rows;
    const json_t *meta = json_object_get(split->json, "meta");
    const char *normal = text_of(meta, "normal_class");
    split->prefix = text_of(meta, "prefix");
    size_t length = strlen(split->prefix);
    if (!*normal)
        return fail(IMIAD_FORMAT, "%s: meta has no text normal_class", rows->name);
    if (length > 0 && (split->prefix[0] == '/' || strstr(split->prefix, "..")))
        return fail(IMIAD_FORMAT, "%s: prefix \"%s\" leads out of the folder of the images",
                    rows->name, split->prefix);
    rows->rows = calloc(json_array_size(train) + json_array_size(test) + 1, sizeof *rows->rows);
    split->text = malloc(text_bytes(train) + text_bytes(test) + 1);
    if (!rows->rows || !split->text)
        return fail_memory("a split", json_array_size(test) * sizeof *rows->rows);
    char *text = split->text;
    for (size_t i = 0; i < json_array_size(train); ++i)
        TRY(read_entry(rows, &text, json_array_get(train, i), IMIAD_SUBSET_TRAIN, normal));
    for (size_t i = 0; i < json_array_size(test); ++i)
        TRY(read_entry(rows, &text, json_array_get(test, i), IMIAD_SUBSET_TEST, normal));
    return rows_sort(rows);
}

imiad_status real_iad_parse(real_iad_split *out, const void *bytes, size_t size, const char *name)
{
    if (size > REAL_IAD_BYTES_MAX)
        return fail(IMIAD_FORMAT, "%s has %zu bytes; at most %d are read", name, size,
                    REAL_IAD_BYTES_MAX);
    json_error_t error;
    real_iad_split split = {.rows = {.name = name, .unit = "image"}};
    json_t *json;
    imiad_status parsed = json_read(&json, bytes, size, JSON_REJECT_DUPLICATES, &error, name);
    split.json = json;
    if (parsed == IMIAD_NO_MEMORY)
        return parsed;
    if (parsed != IMIAD_OK)
        return fail(IMIAD_FORMAT, "%s, line %d, column %d: %s", name, error.line, error.column,
                    error.text);
    const json_t *train = json_object_get(split.json, "train");
    const json_t *test = json_object_get(split.json, "test");
    imiad_status status =
        json_is_array(train) && json_is_array(test)
            ? read_lists(&split, train, test)
            : fail(IMIAD_FORMAT, "%s: it must be an object with the lists train and test", name);
    if (status == IMIAD_OK)
        *out = split;
    else
        real_iad_free(&split);
    return status;
}

void real_iad_free(real_iad_split *split)
{
    json_decref(split->json);
    free(split->rows.rows);
    free(split->text);
    *split = (real_iad_split){.json = NULL};
}

/* ---- listing ---- */

typedef struct folders {
    const char *splits, *images;
} folders;

static const char *find_images(imiad_dataset *dataset)
{
    static const char *const known[] = {"realiad_1024", "realiad_512", "realiad_256", "realiad_raw",
                                        NULL};
    const char *given = options_text(dataset->options, "images");
    if (*given)
        return given;
    for (const char *const *name = known; *name; ++name)
        if (reader_has_folder(dataset, "", *name))
            return *name;
    return "";
}

/* images/prefix without a slash at its end */
static const char *folder_of_images(imiad_dataset *dataset, const char *images, const char *prefix)
{
    size_t length = strlen(prefix);
    while (length > 0 && prefix[length - 1] == '/')
        --length;
    return dataset_text(dataset, "%s%s%.*s", images, *images && length > 0 ? "/" : "", (int)length,
                        prefix);
}

static imiad_status list_object(imiad_dataset *dataset, int32_t category, const void *context)
{
    const folders *f = context;
    const char *name = dataset->categories[category].name;
    const char *path = dataset_text(dataset, "%s/%s/%s.json", dataset->root, f->splits, name);
    file_view view;
    real_iad_split split;
    if (!path)
        return IMIAD_NO_MEMORY;
    TRY(file_read(&view, path));
    imiad_status status = real_iad_parse(&split, view.bytes, view.size, path);
    file_unmap(&view);
    TRY(status);
    const char *images = folder_of_images(dataset, f->images, *split.prefix ? split.prefix : name);
    status = images ? rows_add(dataset, category, &split.rows, 0, split.rows.count, images)
                    : IMIAD_NO_MEMORY;
    real_iad_free(&split);
    return status;
}

/* Objects with a JSON file; those of which a copy has no folder are not here. */
static imiad_status list_objects(imiad_dataset *dataset, const folders *f)
{
    name_list names;
    TRY(reader_list(&names, dataset, f->splits));
    size_t count = 0;
    const char **found = calloc(names.count + 1, sizeof *found);
    for (size_t i = 0; found && i < names.count; ++i) {
        char *name = names.names[i];
        size_t length = stem_length(name);
        if (strcmp(name + length, ".json") != 0) {
            reader_left_out(dataset, f->splits, name, "it is no .json file");
            continue;
        }
        name[length] = '\0';
        if (reader_has_folder(dataset, f->images, name))
            found[count++] = name;
    }
    imiad_status status = found ? dataset_set_categories(dataset, found, count)
                                : fail_memory("categories", names.count * sizeof *found);
    free(found);
    name_list_free(&names);
    TRY(status);
    return dataset_list_each(dataset, list_object, f);
}

static imiad_status list(imiad_dataset *dataset)
{
    const char *split = options_text(dataset->options, "split");
    folders f = {split, find_images(dataset)};
    if (!reader_path_is_inside(split) || (*f.images && !reader_path_is_inside(f.images)))
        return fail(IMIAD_OUT_OF_RANGE,
                    "dataset real_iad: split=%s or images=%s leads out of the root", split,
                    f.images);
    if (reader_has_folder(dataset, split, base_name(split))) /* as archives hold it */
        f.splits = dataset_text(dataset, "%s/%s", split, base_name(split));
    if (!f.splits)
        return IMIAD_NO_MEMORY;
    return list_objects(dataset, &f);
}

const dataset_ops real_iad_ops = {
    .name = "real_iad",
    .title = "Real-IAD: thirty objects from five sides, by its JSON splits",
    .options = real_iad_options,
    .needs_root = true,
    .layout = "realiad_jsons/OBJECT.json and realiad_1024/OBJECT/OK/S0001",
    .list = list,
};
