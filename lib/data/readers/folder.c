/* Any tree of folders, described by patterns relative to its root; pattern.h says what they mean.
 *   - In `masks` the remembered texts are put back, and every file that then fits is a mask of the
 *     image; a file that fits `masks` is never an image.
 *   - Only image files count, and several patterns are separated by `;`.
 *   - An image that an earlier option lists (train, validation, test_good, test_defective) is not
 *     listed again by a later one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arrays.h"
#include "base/error.h"
#include "data/reader.h"
#include "data/readers/folder.h"

static const option_spec folder_options[] = {
    {"train", OPT_TEXT, "train/good/*", "", "good images that train"},
    {"validation", OPT_TEXT, "", "", "good images kept apart from training and test"},
    {"test_good", OPT_TEXT, "test/good/*", "", "good images that test"},
    {"test_defective", OPT_TEXT, "test/{kind}/*", "", "defective images that test"},
    {"train_defective", OPT_TEXT, "", "", "defective images that may train with their labels"},
    {"masks", OPT_TEXT, "", "",
     "ground truth of defective images, such as \"masks/{kind}/{stem}.png\"; never images"},
    {"exclude", OPT_TEXT, "", "", "files and folders that are passed over, such as \"*/old\""},
    {"label", OPT_CHOICE, "folder", "folder|mask",
     "which images are defective: as the options say, or those whose mask is not empty"},
    {"category", OPT_TEXT, "all", "", "the category's name where no pattern has {category}"},
    {"missing_mask", OPT_CHOICE, "skip", "error|skip|empty",
     "a defective image without mask: fail when the mask is read, count in no pixel metric, or "
     "count as all good"},
    {0},
};

/* ---- listing ---- */

static const struct {
    const char *option;
    imiad_subset subset;
    int32_t label;
} listed[] = {
    {"train", IMIAD_SUBSET_TRAIN, 0},           {"validation", IMIAD_SUBSET_VALIDATION, 0},
    {"test_good", IMIAD_SUBSET_TEST, 0},        {"test_defective", IMIAD_SUBSET_TEST, 1},
    {"train_defective", IMIAD_SUBSET_TRAIN, 1},
};
enum { LISTED = sizeof listed / sizeof *listed };

/* An image as it was found. Which number its category gets is known at the end. */
typedef struct found_image {
    sample sample;
    const char *category;
    const captures *captures;
    size_t position; /* in the order of finding */
} found_image;

typedef struct finding {
    visitor visitor;
    size_t option;
    found_image *images;
    size_t count, room;
    size_t masks; /* that fitted the patterns of images too */
} finding;

static const char *captured(imiad_dataset *dataset, const captures *c, int which,
                            const char *otherwise)
{
    const char *text = c->text[which];
    return dataset_text(dataset, "%s", *text ? text : otherwise);
}

static imiad_status take_image(visitor *v, const char *path, const captures *c)
{
    finding *f = (finding *)v;
    imiad_dataset *dataset = v->tree->dataset;
    int32_t label = listed[f->option].label;
    if (path_list_has(&v->tree->masks, path)) {
        ++f->masks;
        return IMIAD_OK;
    }
    captures *kept = dataset_memory(dataset, sizeof *kept);
    found_image image = {
        .sample = {.subset = listed[f->option].subset,
                   .label = label,
                   .kind = captured(dataset, c, IN_KIND, "defective"),
                   .group = captured(dataset, c, IN_GROUP, ""),
                   .path = dataset_text(dataset, "%s", path)},
        .category = captured(dataset, c, IN_CATEGORY, options_text(dataset->options, "category")),
        .captures = kept,
        .position = f->count};
    if (!kept || !image.sample.kind || !image.sample.group || !image.sample.path || !image.category)
        return IMIAD_NO_MEMORY;
    *kept = *c;
    if (!*image.sample.group)
        image.sample.group = NULL;
    TRY(array_reserve(&f->images, f->count, &f->room, sizeof *f->images, "a dataset's samples"));
    f->images[f->count++] = image;
    return IMIAD_OK;
}

static int compare_found(const void *left, const void *right)
{
    const found_image *a = left, *b = right;
    int paths = strcmp(a->sample.path, b->sample.path);
    if (paths != 0)
        return paths;
    return a->position < b->position ? -1 : 1;
}

/* Of the findings of one image the first option's stays. */
static void drop_doubles(finding *f)
{
    if (f->count > 1)
        qsort(f->images, f->count, sizeof *f->images, compare_found);
    size_t kept = 0;
    for (size_t i = 0; i < f->count; ++i)
        if (i == 0 || strcmp(f->images[i].sample.path, f->images[kept - 1].sample.path) != 0)
            f->images[kept++] = f->images[i];
    f->count = kept;
}

/* ---- masks and labels ---- */

static imiad_status set_masks(finding *f, found_image *image, const path_list *images)
{
    sample *s = &image->sample;
    imiad_dataset *dataset = f->visitor.tree->dataset;
    TRY(folder_find_masks(f->visitor.tree, s, image->captures, images));
    if (strcmp(options_text(dataset->options, "label"), "mask") == 0) {
        bool defective;
        TRY(folder_mask_shows_defect(&defective, dataset, s));
        s->label = defective;
    }
    if (s->label == 0) { /* its masks are its own, but nobody looks at them */
        s->kind = "good";
        s->mask_count = 0;
        s->mask_expected = NULL;
    }
    return IMIAD_OK;
}

/* Defective images have no place among those that are kept apart. */
static void drop_defective_validation(finding *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->count; ++i) {
        const sample *s = &f->images[i].sample;
        if (s->subset == IMIAD_SUBSET_VALIDATION && s->label == 1)
            reader_left_out(f->visitor.tree->dataset, "", s->path,
                            "its mask shows a defect, and validation images are good");
        else
            f->images[kept++] = f->images[i];
    }
    f->count = kept;
}

static imiad_status set_all_masks(finding *f)
{
    folder_tree *tree = f->visitor.tree;
    path_list images = {NULL, 0, 0};
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < f->count; ++i)
        status = path_list_add(&images, tree->dataset, f->images[i].sample.path);
    for (size_t i = 0; status == IMIAD_OK && i < f->count; ++i)
        status = set_masks(f, &f->images[i], &images);
    free(images.paths);
    path_list_sort(&tree->used);
    if (status == IMIAD_OK)
        drop_defective_validation(f);
    return status;
}

/* A folder of masks that no option speaks of would be a kind of defect. */
static void warn_of_masks(const finding *f)
{
    static const char *const names[] = {"mask",        "masks", "gt",    "ground_truth",
                                        "groundtruth", "label", "labels"};
    for (size_t n = 0; n < sizeof names / sizeof *names; ++n) {
        size_t count = 0;
        for (size_t i = 0; i < f->count; ++i)
            count += strcasecmp(f->images[i].sample.kind, names[n]) == 0;
        if (count > 0)
            log_message(IMIAD_LOG_WARNING,
                        "dataset folder: %zu images are of the kind of defect \"%s\"; if these are "
                        "masks, the option masks or exclude should name them",
                        count, names[n]);
    }
}

/* Where some defective images have masks, those without are a mistake or said so by missing_mask.
 */
static void warn_of_missing_masks(const finding *f)
{
    const imiad_dataset *dataset = f->visitor.tree->dataset;
    const sample *without = NULL;
    size_t defective = 0, missing = 0;
    for (size_t i = 0; i < f->count; ++i) {
        const sample *s = &f->images[i].sample;
        defective += s->label == 1;
        if (s->label == 1 && s->mask_count == 0 && missing++ == 0)
            without = s;
    }
    if (missing > 0 && missing < defective &&
        strcmp(options_text(dataset->options, "missing_mask"), "skip") == 0)
        log_message(
            IMIAD_LOG_WARNING,
            "dataset folder: %zu of %zu defective images have no mask and count in no pixel "
            "metric, such as %s",
            missing, defective, without->path);
}

/* ---- what is left out ---- */

static const char *reason_for(const finding *f, const char *path, const path_list *images)
{
    const folder_tree *tree = f->visitor.tree;
    if (path_list_has(images, path) || path_list_has(&tree->used, path) ||
        path_list_has(&tree->looked, path) || folder_excludes(tree, path))
        return NULL;
    if (path_list_has(&tree->masks, path))
        return "it is no image's mask";
    if (reader_has_folder(tree->dataset, "", path))
        return "no pattern looks into it";
    return is_image_name(path) ? "no pattern fits it" : reader_no_image(path);
}

static imiad_status log_left_out_of(const finding *f, const char *folder, const path_list *images)
{
    imiad_dataset *dataset = f->visitor.tree->dataset;
    name_list names;
    TRY(reader_list(&names, dataset, folder));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < names.count; ++i) {
        char *path = *folder ? path_join(folder, names.names[i]) : strdup(names.names[i]);
        const char *why = path ? reason_for(f, path, images) : NULL;
        if (why)
            reader_left_out(dataset, folder, names.names[i], why);
        status = path ? IMIAD_OK : fail_memory("a path", strlen(folder));
        free(path);
    }
    name_list_free(&names);
    return status;
}

/* Whatever lies in a folder that was looked into and became nothing. */
static imiad_status log_left_out(const finding *f)
{
    folder_tree *tree = f->visitor.tree;
    path_list images = {NULL, 0, 0};
    imiad_status status = IMIAD_OK;
    path_list_sort(&tree->looked);
    for (size_t i = 0; status == IMIAD_OK && i < f->count; ++i)
        status = path_list_add(&images, tree->dataset, f->images[i].sample.path);
    path_list_sort(&images);
    for (size_t i = 0; status == IMIAD_OK && i < tree->looked.count; ++i)
        status = log_left_out_of(f, tree->looked.paths[i], &images);
    free(images.paths);
    return status;
}

/* ---- the dataset ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static imiad_status set_categories(imiad_dataset *dataset, const finding *f)
{
    const char **names = calloc(f->count + 1, sizeof *names);
    if (!names)
        return fail_memory("categories", f->count * sizeof *names);
    for (size_t i = 0; i < f->count; ++i)
        names[i] = f->images[i].category;
    if (f->count > 1)
        qsort(names, f->count, sizeof *names, compare_names);
    size_t count = 0;
    for (size_t i = 0; i < f->count; ++i)
        if (count == 0 || strcmp(names[i], names[count - 1]) != 0)
            names[count++] = names[i];
    imiad_status status = dataset_set_categories(dataset, names, count);
    free(names);
    return status;
}

static imiad_status add_found(imiad_dataset *dataset, const finding *f)
{
    for (size_t i = 0; i < f->count; ++i) {
        sample s = f->images[i].sample;
        for (size_t c = 0; c < dataset->category_count; ++c)
            if (strcmp(dataset->categories[c].name, f->images[i].category) == 0) {
                s.category = (int32_t)c;
                TRY(dataset_add(dataset, &s));
            }
    }
    return IMIAD_OK;
}

static imiad_status fail_empty(const finding *f)
{
    const imiad_dataset *dataset = f->visitor.tree->dataset;
    const option_set *o = dataset->options;
    char masks[128] = "";
    if (f->masks > 0)
        snprintf(masks, sizeof masks, " (%zu files do, but fit masks too, and masks are no images)",
                 f->masks);
    return fail(IMIAD_NOT_FOUND,
                "dataset folder: no image below %s fits train=%s, test_good=%s or "
                "test_defective=%s%s; these options describe where images lie",
                dataset->root, options_text(o, "train"), options_text(o, "test_good"),
                options_text(o, "test_defective"), masks);
}

static imiad_status find_all(finding *f)
{
    TRY(folder_collect_masks(f->visitor.tree));
    for (f->option = 0; f->option < LISTED; ++f->option)
        TRY(folder_walk(&f->visitor, listed[f->option].option));
    drop_doubles(f);
    if (f->count == 0)
        return fail_empty(f);
    TRY(set_all_masks(f));
    warn_of_masks(f);
    warn_of_missing_masks(f);
    TRY(log_left_out(f));
    TRY(set_categories(f->visitor.tree->dataset, f));
    return add_found(f->visitor.tree->dataset, f);
}

static imiad_status list(imiad_dataset *dataset)
{
    folder_tree tree = {.dataset = dataset};
    finding f = {.visitor = {take_image, &tree}};
    imiad_status status = find_all(&f);
    folder_tree_free(&tree);
    free(f.images);
    return status;
}

const dataset_ops folder_ops = {
    .name = "folder",
    .title = "Any tree of image files, described by patterns",
    .options = folder_options,
    .needs_root = true,
    .may_lack_tests = true,
    .layout = "images that fit the options train, test_good and test_defective",
    .list = list,
};
