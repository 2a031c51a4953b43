/* MVTec LOCO AD: structural and logical anomalies. Bergmann, Batzner, Fauser, Sattlegger, Steger:
 * IJCV 130, 2022. Every defect of an image has a mask of its own, whose pixel value names the entry
 * of defects_config.json that says from which area on it counts as found. */
#include "data/readers/mvtec_loco.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json_error.h"
#include "data/readers/layout.h"
#include "data/reader.h"

#define CONFIG "defects_config.json"

/* ---- defects_config.json ---- */

static imiad_status fail_entry(const char *name, size_t index, const char *what)
{
    return fail(IMIAD_FORMAT, "%s: entry %zu: %s", name, index, what);
}

/* A member by its type; a missing one is of no type. */
static imiad_status check_types(const json_t *entry, const char *name, size_t index)
{
    if (!json_is_object(entry))
        return fail_entry(name, index, "it is no object");
    if (!json_is_string(json_object_get(entry, "defect_name")))
        return fail_entry(name, index, "defect_name must be a string");
    if (!json_is_integer(json_object_get(entry, "pixel_value")))
        return fail_entry(name, index, "pixel_value must be a whole number");
    if (!json_is_number(json_object_get(entry, "saturation_threshold")))
        return fail_entry(name, index, "saturation_threshold must be a number");
    if (!json_is_boolean(json_object_get(entry, "relative_saturation")))
        return fail_entry(name, index, "relative_saturation must be true or false");
    return IMIAD_OK;
}

static imiad_status read_entry(loco_defects *d, const json_t *entry, const char *name, size_t index)
{
    TRY(check_types(entry, name, index));
    json_int_t value = json_integer_value(json_object_get(entry, "pixel_value"));
    double threshold = json_number_value(json_object_get(entry, "saturation_threshold"));
    bool relative = json_is_true(json_object_get(entry, "relative_saturation"));
    const char *defect = json_string_value(json_object_get(entry, "defect_name"));
    if (value < 1 || value > 255)
        return fail_entry(name, index, "pixel_value must be in 1..255");
    for (size_t i = 0; i < d->count; ++i)
        if (d->entries[i].pixel_value == value)
            return fail_entry(name, index, "an earlier entry has the same pixel_value");
    if (relative && !(threshold > 0 && threshold <= 1))
        return fail_entry(name, index, "a relative saturation_threshold must be in 0<..1");
    if (!relative && !(threshold >= 1 && threshold <= 0x1p53 && threshold == floor(threshold)))
        return fail_entry(name, index,
                          "an absolute saturation_threshold must be a number of pixels");
    char *copy = strdup(defect);
    if (!copy)
        return fail_memory("a defect's name", strlen(defect));
    d->entries[d->count++] = (imiad_defect_info){.struct_size = sizeof *d->entries,
                                                 .pixel_value = (int32_t)value,
                                                 .name = copy,
                                                 .saturation_threshold = threshold,
                                                 .relative_saturation = relative};
    return IMIAD_OK;
}

static imiad_status read_entries(loco_defects *d, const json_t *list, const char *name)
{
    if (!json_is_array(list))
        return fail(IMIAD_FORMAT, "%s: it must be a list of objects", name);
    size_t count = json_array_size(list);
    if (count > 255)
        return fail(IMIAD_FORMAT, "%s: %zu entries, but only 255 pixel values", name, count);
    d->entries = calloc(count + 1, sizeof *d->entries);
    if (!d->entries)
        return fail_memory("a dataset's defects", count * sizeof *d->entries);
    for (size_t i = 0; i < count; ++i)
        TRY(read_entry(d, json_array_get(list, i), name, i));
    return IMIAD_OK;
}

imiad_status loco_parse_defects(loco_defects *out, const void *bytes, size_t size, const char *name)
{
    if (size > LOCO_CONFIG_BYTES_MAX)
        return fail(IMIAD_FORMAT, "%s has %zu bytes; at most %d are read", name, size,
                    LOCO_CONFIG_BYTES_MAX);
    json_error_t error;
    json_t *list;
    imiad_status parsed = json_read(&list, bytes, size, JSON_REJECT_DUPLICATES, &error, name);
    if (parsed == IMIAD_NO_MEMORY)
        return parsed;
    if (parsed != IMIAD_OK)
        return fail(IMIAD_FORMAT, "%s, line %d, column %d: %s", name, error.line, error.column,
                    error.text);
    loco_defects d = {NULL, 0};
    imiad_status status = read_entries(&d, list, name);
    json_decref(list);
    if (status == IMIAD_OK)
        *out = d;
    else
        loco_free_defects(&d);
    return status;
}

void loco_free_defects(loco_defects *defects)
{
    for (size_t i = 0; i < defects->count; ++i)
        free((char *)defects->entries[i].name);
    free(defects->entries);
    *defects = (loco_defects){NULL, 0};
}

static imiad_status keep_defects(imiad_dataset *dataset, category_entry *c, const loco_defects *d)
{
    imiad_defect_info *kept = dataset_memory(dataset, (d->count + 1) * sizeof *kept);
    if (!kept)
        return IMIAD_NO_MEMORY;
    for (size_t i = 0; i < d->count; ++i) {
        kept[i] = d->entries[i];
        if (!(kept[i].name = dataset_text(dataset, "%s", d->entries[i].name)))
            return IMIAD_NO_MEMORY;
    }
    c->defects = kept;
    c->defect_count = d->count;
    return IMIAD_OK;
}

/* Images can be scored without it; what needs it will say where it was looked for. */
static imiad_status read_defects(imiad_dataset *dataset, category_entry *c)
{
    const char *path = dataset_text(dataset, "%s/%s/" CONFIG, dataset->root, c->name);
    if (!path)
        return IMIAD_NO_MEMORY;
    c->defects_expected = path;
    if (!file_exists(path)) {
        log_message(IMIAD_LOG_WARNING,
                    "dataset mvtec_loco: there is no %s, so sPRO cannot be computed", path);
        return IMIAD_OK;
    }
    file_view view;
    loco_defects defects;
    TRY(file_read(&view, path));
    imiad_status status = loco_parse_defects(&defects, view.bytes, view.size, path);
    file_unmap(&view);
    TRY(status);
    status = keep_defects(dataset, c, &defects);
    loco_free_defects(&defects);
    return status;
}

/* ---- listing ---- */

static const char *const known[] = {CONFIG, "license.txt", "readme.txt", NULL};
static const folder_layout layout = {.good = "good",
                                     .images = "",
                                     .masks = "ground_truth",
                                     .below_masks = "",
                                     .mask_suffix = "",
                                     .mask_folders = true,
                                     .known = known};

static imiad_status list_category(imiad_dataset *dataset, int32_t category, const void *context)
{
    category_entry *c = &dataset->categories[category];
    TRY(read_defects(dataset, c));
    return layout_list_category(dataset, &layout, category, c->name);
}

static imiad_status list(imiad_dataset *dataset)
{
    TRY(layout_set_categories(dataset, &layout));
    return dataset_list_each(dataset, list_category, NULL);
}

const dataset_ops mvtec_loco_ops = {
    .name = "mvtec_loco",
    .title = "MVTec LOCO AD: structural and logical anomalies",
    .needs_root = true,
    .layout = "CATEGORY/train/good, CATEGORY/test/KIND and CATEGORY/ground_truth/KIND/NAME/000.png",
    .list = list,
};
