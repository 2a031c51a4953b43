#include "data/readers/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/reader.h"

static const char no_place[] = "the layout has no place for it";

/* One folder of images that all have the same label. */
typedef struct image_folder {
    const folder_layout *layout;
    const char *path;       /* of the images */
    const char *masks_path; /* of their masks */
    name_list names, masks;
    bool *used; /* which of the masks belong to an image */
} image_folder;

static bool is_known(const folder_layout *layout, const char *name)
{
    static const char *const parts[] = {"train", "validation", "test", "ground_truth", NULL};
    for (const char *const *known = parts; *known; ++known)
        if (strcmp(*known, name) == 0)
            return true;
    for (const char *const *known = layout->known; known && *known; ++known)
        if (strcmp(*known, name) == 0)
            return true;
    return false;
}

/* "first/second", where either may be empty. */
static const char *joined(imiad_dataset *dataset, const char *first, const char *second)
{
    return dataset_text(dataset, "%s%s%s", first, *first && *second ? "/" : "", second);
}

/* ---- masks ---- */

/* masks/KIND/STEM is a folder: every image file in it is one channel. */
static imiad_status set_channels(imiad_dataset *dataset, sample *s, const char *folder)
{
    name_list names;
    TRY(reader_list_files(&names, dataset, folder));
    const char **paths = dataset_memory(dataset, (names.count + 1) * sizeof *paths);
    imiad_status status = paths ? IMIAD_OK : IMIAD_NO_MEMORY;
    s->mask_paths = paths;
    s->mask_count = 0;
    for (size_t i = 0; status == IMIAD_OK && i < names.count; ++i) {
        if (!is_image_name(names.names[i])) {
            reader_left_out(dataset, folder, names.names[i], reader_no_image(names.names[i]));
            continue;
        }
        paths[s->mask_count] = dataset_text(dataset, "%s/%s", folder, names.names[i]);
        if (!paths[s->mask_count++])
            status = IMIAD_NO_MEMORY;
    }
    name_list_free(&names);
    return status;
}

static imiad_status expect_mask(imiad_dataset *dataset, sample *s, const char *format_end,
                                const image_folder *f, const char *name)
{
    s->mask_count = 0;
    s->mask_expected = dataset_text(dataset, "%s/%.*s%s%s", f->masks_path, (int)stem_length(name),
                                    name, f->layout->mask_suffix, format_end);
    return s->mask_expected ? IMIAD_OK : IMIAD_NO_MEMORY;
}

static imiad_status set_mask_folder(imiad_dataset *dataset, sample *s, image_folder *f,
                                    const char *name)
{
    size_t length = stem_length(name);
    for (size_t i = 0; i < f->masks.count; ++i) {
        const char *folder = f->masks.names[i];
        if (strlen(folder) != length || strncmp(folder, name, length) != 0)
            continue;
        const char *path = dataset_text(dataset, "%s/%s", f->masks_path, folder);
        if (!path)
            return IMIAD_NO_MEMORY;
        f->used[i] = true;
        TRY(set_channels(dataset, s, path));
    }
    return s->mask_count > 0 ? IMIAD_OK : expect_mask(dataset, s, "/000.png", f, name);
}

static imiad_status set_mask(imiad_dataset *dataset, sample *s, image_folder *f, const char *name)
{
    s->mask_count = 0;
    if (f->layout->mask_folders)
        return set_mask_folder(dataset, s, f, name);
    size_t found = reader_find_mask(&f->masks, name, f->layout->mask_suffix);
    if (found == f->masks.count) /* converted copies often lack the suffix */
        found = reader_find_mask(&f->masks, name, "");
    if (found == f->masks.count)
        return expect_mask(dataset, s, ".png", f, name);
    f->used[found] = true;
    return reader_set_mask(dataset, s, f->masks_path, f->masks.names[found]);
}

static void log_unused_masks(const imiad_dataset *dataset, const image_folder *f)
{
    for (size_t i = 0; i < f->masks.count; ++i)
        if (!f->used[i])
            reader_left_out(dataset, f->masks_path, f->masks.names[i], "it is no image's mask");
}

/* ---- images ---- */

static imiad_status add_images(imiad_dataset *dataset, sample s, image_folder *f)
{
    for (size_t i = 0; i < f->names.count; ++i) {
        const char *name = f->names.names[i];
        if (!is_image_name(name)) {
            if (!is_known(f->layout, name))
                reader_left_out(dataset, f->path, name, reader_no_image(name));
            continue;
        }
        s.path = dataset_text(dataset, "%s/%s", f->path, name);
        if (!s.path)
            return IMIAD_NO_MEMORY;
        if (s.label == 1)
            TRY(set_mask(dataset, &s, f, name));
        TRY(dataset_add(dataset, &s));
    }
    return IMIAD_OK;
}

static imiad_status list_images(imiad_dataset *dataset, sample s, image_folder *f)
{
    imiad_status status = reader_list_files(&f->names, dataset, f->path);
    if (status == IMIAD_OK && s.label == 1)
        status = (f->layout->mask_folders ? reader_list : reader_list_files)(&f->masks, dataset,
                                                                             f->masks_path);
    if (status == IMIAD_OK) {
        f->used = calloc(f->masks.count + 1, sizeof *f->used);
        status = f->used ? IMIAD_OK : fail_memory("a folder's masks", f->masks.count);
    }
    if (status == IMIAD_OK)
        status = add_images(dataset, s, f);
    if (status == IMIAD_OK)
        log_unused_masks(dataset, f);
    free(f->used);
    name_list_free(&f->masks);
    name_list_free(&f->names);
    return status;
}

/* ---- categories ---- */

/* FOLDER/part/kind */
static imiad_status list_kind(imiad_dataset *dataset, const folder_layout *layout, sample s,
                              const char *folder, const char *part, const char *kind)
{
    s.label = strcmp(kind, layout->good) != 0;
    s.kind = s.label ? dataset_text(dataset, "%s", kind) : "good";
    const char *parts = joined(dataset, folder, part);
    const char *masks = joined(dataset, folder, layout->masks);
    if (masks && layout->masks_by_part)
        masks = joined(dataset, masks, part);
    if (!s.kind || !parts || !masks)
        return IMIAD_NO_MEMORY;
    const char *images = dataset_text(dataset, "%s/%s", parts, kind);
    const char *kind_masks = dataset_text(dataset, "%s/%s", masks, kind);
    if (!images || !kind_masks)
        return IMIAD_NO_MEMORY;
    image_folder f = {.layout = layout,
                      .path = joined(dataset, images, layout->images),
                      .masks_path = joined(dataset, kind_masks, layout->below_masks)};
    return f.path && f.masks_path ? list_images(dataset, s, &f) : IMIAD_NO_MEMORY;
}

/* The folders below FOLDER/part: one a kind. */
static imiad_status list_part(imiad_dataset *dataset, const folder_layout *layout, sample s,
                              const char *folder, const char *part)
{
    const char *path = joined(dataset, folder, part);
    if (!path)
        return IMIAD_NO_MEMORY;
    bool defective = s.subset == IMIAD_SUBSET_TEST ||
                     (s.subset == IMIAD_SUBSET_TRAIN && layout->train_defective);
    name_list kinds;
    TRY(reader_list(&kinds, dataset, path));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < kinds.count; ++i) {
        const char *kind = kinds.names[i];
        if (!reader_has_folder(dataset, path, kind))
            reader_left_out(dataset, path, kind, no_place);
        else if (defective || strcmp(kind, layout->good) == 0)
            status = list_kind(dataset, layout, s, folder, part, kind);
        else
            reader_left_out(dataset, path, kind, "only good images belong there");
    }
    name_list_free(&kinds);
    return status;
}

/* Masks of kinds that have no images. */
static imiad_status log_strange_masks(imiad_dataset *dataset, const folder_layout *layout,
                                      const char *folder, const char *part)
{
    const char *masks = joined(dataset, folder, layout->masks);
    const char *images = joined(dataset, folder, part);
    if (masks && layout->masks_by_part)
        masks = joined(dataset, masks, part);
    if (!masks || !images)
        return IMIAD_NO_MEMORY;
    name_list names;
    TRY(reader_list(&names, dataset, masks));
    for (size_t i = 0; i < names.count; ++i)
        if (!reader_has_folder(dataset, images, names.names[i]))
            reader_left_out(dataset, masks, names.names[i], "it is no image's mask");
    name_list_free(&names);
    return IMIAD_OK;
}

/* Entries of a category's folder, and masks of kinds, that nothing was made of. */
static imiad_status log_strangers(imiad_dataset *dataset, const folder_layout *layout,
                                  const char *folder)
{
    name_list names;
    TRY(reader_list(&names, dataset, folder));
    for (size_t i = 0; i < names.count; ++i)
        if (!is_known(layout, names.names[i]))
            reader_left_out(dataset, folder, names.names[i], no_place);
    name_list_free(&names);
    if (layout->masks_by_part)
        TRY(log_strange_masks(dataset, layout, folder, "train"));
    return log_strange_masks(dataset, layout, folder, "test");
}

imiad_status layout_list_category(imiad_dataset *dataset, const folder_layout *layout,
                                  int32_t category, const char *folder)
{
    sample s = {.category = category, .subset = IMIAD_SUBSET_TRAIN};
    TRY(log_strangers(dataset, layout, folder));
    TRY(list_part(dataset, layout, s, folder, "train"));
    s.subset = IMIAD_SUBSET_VALIDATION;
    TRY(list_part(dataset, layout, s, folder, "validation"));
    s.subset = IMIAD_SUBSET_TEST;
    return list_part(dataset, layout, s, folder, "test");
}

imiad_status layout_set_categories(imiad_dataset *dataset, const folder_layout *layout)
{
    name_list names;
    TRY(reader_list(&names, dataset, ""));
    size_t count = 0;
    const char **found = calloc(names.count + 1, sizeof *found);
    for (size_t i = 0; found && i < names.count; ++i) {
        if (reader_has_folder(dataset, names.names[i], "train") ||
            reader_has_folder(dataset, names.names[i], "test"))
            found[count++] = names.names[i];
        else if (!is_known(layout, names.names[i]))
            reader_left_out(dataset, "", names.names[i], no_place);
    }
    imiad_status status = found ? dataset_set_categories(dataset, found, count)
                                : fail_memory("categories", names.count * sizeof *found);
    free(found);
    name_list_free(&names);
    return status;
}

static imiad_status list_category(imiad_dataset *dataset, int32_t category, const void *context)
{
    return layout_list_category(dataset, context, category, dataset->categories[category].name);
}

imiad_status layout_list(imiad_dataset *dataset, const folder_layout *layout)
{
    TRY(layout_set_categories(dataset, layout));
    return dataset_list_each(dataset, list_category, layout);
}
