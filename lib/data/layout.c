#include "data/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

/* A listing of root/path; one that does not exist is empty. */
static imiad_status list_below(name_list *out, const imiad_dataset *dataset, const char *path)
{
    char *whole = path_join(dataset->root, path);
    if (!whole)
        return fail_memory("a path", strlen(path));
    imiad_status status = IMIAD_OK;
    *out = (name_list){NULL, 0};
    if (folder_exists(whole))
        status = folder_list(out, whole);
    free(whole);
    return status;
}

static bool is_folder(const imiad_dataset *dataset, const char *folder, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s/%s", dataset->root, folder, name) < 0)
        return false;
    bool found = folder_exists(path);
    free(path);
    return found;
}

static void log_left_out(const imiad_dataset *dataset, const char *folder, const char *name)
{
    log_message(IMIAD_LOG_INFO, "dataset %s: left out %s/%s%s%s: the layout has no place for it",
                dataset->ops->name, dataset->root, folder, *folder ? "/" : "", name);
}

/* The mask of the image `name`: the first name in the listing that is STEM + suffix + an image
 * extension. */
static const char *find_mask(const name_list *masks, const char *name, const char *suffix)
{
    size_t stem = stem_length(name), rest = strlen(suffix);
    for (size_t i = 0; i < masks->count; ++i) {
        const char *mask = masks->names[i];
        if (stem_length(mask) == stem + rest && strncmp(mask, name, stem) == 0 &&
            strncmp(mask + stem, suffix, rest) == 0 && is_image_name(mask))
            return mask;
    }
    return NULL;
}

static imiad_status set_mask(imiad_dataset *dataset, sample *s, const char *category,
                             const name_list *masks, const char *name, const char *suffix)
{
    const char *mask = find_mask(masks, name, suffix);
    if (mask) {
        const char **paths = dataset_memory(dataset, sizeof *paths);
        if (!paths ||
            !(*paths = dataset_text(dataset, "%s/ground_truth/%s/%s", category, s->kind, mask)))
            return IMIAD_NO_MEMORY;
        s->mask_paths = paths;
        s->mask_count = 1;
        return IMIAD_OK;
    }
    s->mask_expected = dataset_text(dataset, "%s/ground_truth/%s/%.*s%s.png", category, s->kind,
                                    (int)stem_length(name), name, suffix);
    return s->mask_expected ? IMIAD_OK : IMIAD_NO_MEMORY;
}

/* The images of one folder. */
static imiad_status add_images(imiad_dataset *dataset, const folder_layout *layout, sample s,
                               const char *folder, const name_list *names, const name_list *masks)
{
    const char *category = dataset->categories[s.category].name;
    for (size_t i = 0; i < names->count; ++i) {
        const char *name = names->names[i];
        if (!is_image_name(name)) {
            log_left_out(dataset, folder, name);
            continue;
        }
        s.path = dataset_text(dataset, "%s/%s", folder, name);
        if (!s.path)
            return IMIAD_NO_MEMORY;
        if (s.label == 1)
            TRY(set_mask(dataset, &s, category, masks, name, layout->mask_suffix));
        TRY(dataset_add(dataset, &s));
    }
    return IMIAD_OK;
}

/* CATEGORY/part/kind, one folder of images. */
static imiad_status list_images(imiad_dataset *dataset, const folder_layout *layout,
                                int32_t category, imiad_subset subset, const char *part,
                                const char *kind)
{
    const char *name = dataset->categories[category].name;
    bool good = strcmp(kind, layout->good) == 0;
    sample s = {.subset = subset,
                .category = category,
                .label = !good,
                .kind = good ? "good" : dataset_text(dataset, "%s", kind)};
    const char *folder = dataset_text(dataset, "%s/%s/%s", name, part, kind);
    const char *truth = dataset_text(dataset, "%s/ground_truth/%s", name, kind);
    if (!s.kind || !folder || !truth)
        return IMIAD_NO_MEMORY;
    name_list names = {NULL, 0}, masks = {NULL, 0};
    imiad_status status = list_below(&names, dataset, folder);
    if (status == IMIAD_OK && !good)
        status = list_below(&masks, dataset, truth);
    if (status == IMIAD_OK)
        status = add_images(dataset, layout, s, folder, &names, &masks);
    name_list_free(&masks);
    name_list_free(&names);
    return status;
}

/* The folders below CATEGORY/part: one a kind. Only the test set may hold defective ones. */
static imiad_status list_part(imiad_dataset *dataset, const folder_layout *layout, int32_t category,
                              imiad_subset subset, const char *part, bool only_good)
{
    const char *folder = dataset_text(dataset, "%s/%s", dataset->categories[category].name, part);
    if (!folder)
        return IMIAD_NO_MEMORY;
    name_list kinds;
    TRY(list_below(&kinds, dataset, folder));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < kinds.count; ++i) {
        const char *kind = kinds.names[i];
        bool welcome = !only_good || strcmp(kind, layout->good) == 0;
        if (welcome && is_folder(dataset, folder, kind))
            status = list_images(dataset, layout, category, subset, part, kind);
        else
            log_left_out(dataset, folder, kind);
    }
    name_list_free(&kinds);
    return status;
}

static void log_strangers(const imiad_dataset *dataset, const char *category)
{
    static const char *const known[] = {"train",        "validation",  "test",
                                        "ground_truth", "license.txt", "readme.txt"};
    name_list names;
    if (list_below(&names, dataset, category) != IMIAD_OK)
        return;
    for (size_t i = 0; i < names.count; ++i) {
        bool expected = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; ++k)
            expected |= strcmp(names.names[i], known[k]) == 0;
        if (!expected)
            log_left_out(dataset, category, names.names[i]);
    }
    name_list_free(&names);
}

static imiad_status list_category(imiad_dataset *dataset, int32_t category, const void *context)
{
    const folder_layout *layout = context;
    log_strangers(dataset, dataset->categories[category].name);
    TRY(list_part(dataset, layout, category, IMIAD_SUBSET_TRAIN, "train", true));
    TRY(list_part(dataset, layout, category, IMIAD_SUBSET_VALIDATION, "validation", true));
    return list_part(dataset, layout, category, IMIAD_SUBSET_TEST, "test", false);
}

imiad_status layout_list(imiad_dataset *dataset, const folder_layout *layout)
{
    name_list names;
    TRY(folder_list(&names, dataset->root));
    size_t count = 0;
    const char **found = calloc(names.count + 1, sizeof *found);
    for (size_t i = 0; found && i < names.count; ++i) {
        if (is_folder(dataset, names.names[i], "train") ||
            is_folder(dataset, names.names[i], "test"))
            found[count++] = names.names[i];
        else
            log_left_out(dataset, "", names.names[i]);
    }
    imiad_status status = found ? dataset_set_categories(dataset, found, count)
                                : fail_memory("categories", names.count * sizeof *found);
    free(found);
    name_list_free(&names);
    TRY(status);
    return dataset_list_each(dataset, list_category, layout);
}
