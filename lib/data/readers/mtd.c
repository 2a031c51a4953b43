/* MTD, magnetic tile defects. Huang, Qiu, Guo, Wang, Yuan: Surface defect saliency of magnetic
 * tile, The Visual Computer 2018. Images (JPEG) and masks (PNG) lie side by side. The publisher has
 * no split: the one made here is ours, unless the tree is split already or a file gives one. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "data/readers/layout.h"
#include "data/reader.h"

static const option_spec mtd_options[] = {
    {"seed", OPT_INT, "0", "0..", "draws the split into training and test images"},
    {"train_share", OPT_REAL, "0.8", "0<..1", "share of the good images that train"},
    {"group", OPT_INT, "0", "0..1000000",
     "good images whose numbers lie at most this far apart train or test together: they may show "
     "the same tile; 100 is a good choice; 0 draws every image alone"},
    {"split_file", OPT_TEXT, "", "",
     "a text file of lines PATH<tab>train or PATH<tab>test, paths below the root, instead of a "
     "drawn split"},
    {"mask_threshold", OPT_INT, "128", "1..255",
     "mask pixels from this value on are defective; the masks have soft edges"},
    {0},
};

static const char good_folder[] = "MT_Free";

/* ---- images and masks of one folder ---- */

static bool is_mask_name(const char *name)
{
    return strcasecmp(name + stem_length(name), ".png") == 0;
}

static int compare_only_stems(const void *left, const void *right)
{
    const char *a = *(char *const *)left, *b = *(char *const *)right;
    size_t first = stem_length(a), second = stem_length(b);
    int order = memcmp(a, b, first < second ? first : second);
    return order || first == second ? order : first < second ? -1 : 1;
}

static int compare_stems(const void *left, const void *right)
{
    int order = compare_only_stems(left, right);
    return order ? order : strcmp(*(char *const *)left, *(char *const *)right);
}

/* FOLDER/Imgs: names of images, sorted by their stems, and of masks. */
typedef struct tile_folder {
    const char *path;
    name_list all, images, masks; /* the latter two borrow their names from the first */
} tile_folder;

static void close_folder(tile_folder *f)
{
    free(f->images.names);
    free(f->masks.names);
    name_list_free(&f->all);
}

static void log_unused_masks(const imiad_dataset *dataset, const tile_folder *f)
{
    for (size_t i = 0; i < f->masks.count; ++i)
        if (!bsearch(&f->masks.names[i], f->images.names, f->images.count, sizeof *f->images.names,
                     compare_only_stems))
            reader_left_out(dataset, f->path, f->masks.names[i], "it is no image's mask");
}

static imiad_status open_folder(tile_folder *f, imiad_dataset *dataset, const char *folder)
{
    *f = (tile_folder){.path = dataset_text(dataset, "%s/Imgs", folder)};
    if (!f->path)
        return IMIAD_NO_MEMORY;
    TRY(reader_list_files(&f->all, dataset, f->path));
    f->images.names = calloc(f->all.count + 1, sizeof *f->images.names);
    f->masks.names = calloc(f->all.count + 1, sizeof *f->masks.names);
    if (!f->images.names || !f->masks.names) {
        close_folder(f);
        return fail_memory("a folder's images", f->all.count * sizeof *f->images.names);
    }
    for (size_t i = 0; i < f->all.count; ++i) {
        char *name = f->all.names[i];
        if (is_mask_name(name))
            f->masks.names[f->masks.count++] = name;
        else if (is_image_name(name))
            f->images.names[f->images.count++] = name;
        else
            reader_left_out(dataset, f->path, name, "it is neither image nor mask");
    }
    if (f->images.count > 1)
        qsort(f->images.names, f->images.count, sizeof *f->images.names, compare_stems);
    log_unused_masks(dataset, f);
    return IMIAD_OK;
}

static imiad_status add_image(imiad_dataset *dataset, sample s, const tile_folder *f,
                              const char *name)
{
    s.path = dataset_text(dataset, "%s/%s", f->path, name);
    if (!s.path)
        return IMIAD_NO_MEMORY;
    if (s.label == 1) {
        size_t mask = reader_find_mask(&f->masks, name, "");
        if (mask < f->masks.count)
            TRY(reader_set_mask(dataset, &s, f->path, f->masks.names[mask]));
        else if (!(s.mask_expected =
                       dataset_text(dataset, "%s/%.*s.png", f->path, (int)stem_length(name), name)))
            return IMIAD_NO_MEMORY;
    }
    return dataset_add(dataset, &s);
}

/* ---- which images train ---- */

typedef struct listed_image {
    const char *path;
    imiad_subset subset;
    size_t line;
    bool found;
} listed_image;

typedef struct split_list {
    table text;
    listed_image *images; /* sorted by path; NULL: the split is drawn */
    size_t count;
    const char *name;
} split_list;

static int compare_listed(const void *left, const void *right)
{
    const listed_image *a = left, *b = right;
    return strcmp(a->path, b->path);
}

static imiad_status read_listed(listed_image *image, const table_row *row, const char *name)
{
    if (row->count != 2)
        return fail(IMIAD_FORMAT, "%s, line %zu: it must be a path, a tab, and train or test", name,
                    row->line);
    bool train = strcmp(row->fields[1], "train") == 0;
    if (!train && strcmp(row->fields[1], "test") != 0)
        return fail(IMIAD_FORMAT, "%s, line %zu: \"%s\" is neither train nor test", name, row->line,
                    row->fields[1]);
    *image = (listed_image){.path = row->fields[0],
                            .subset = train ? IMIAD_SUBSET_TRAIN : IMIAD_SUBSET_TEST,
                            .line = row->line};
    return IMIAD_OK;
}

static imiad_status read_split(split_list *out, const char *name)
{
    *out = (split_list){.name = name};
    if (!*name)
        return IMIAD_OK;
    split_list list = {.name = name};
    TRY(table_read(&list.text, name, '\t'));
    list.images = calloc(list.text.count + 1, sizeof *list.images);
    imiad_status status =
        list.images ? IMIAD_OK : fail_memory("a split", list.text.count * sizeof *list.images);
    for (; status == IMIAD_OK && list.count < list.text.count; ++list.count)
        status = read_listed(&list.images[list.count], &list.text.rows[list.count], name);
    if (status == IMIAD_OK && list.count > 1)
        qsort(list.images, list.count, sizeof *list.images, compare_listed);
    for (size_t i = 1; status == IMIAD_OK && i < list.count; ++i)
        if (strcmp(list.images[i - 1].path, list.images[i].path) == 0)
            status = fail(IMIAD_FORMAT, "%s, line %zu: %s is listed twice", name,
                          list.images[i].line, list.images[i].path);
    if (status != IMIAD_OK) {
        free(list.images);
        table_free(&list.text);
        return status;
    }
    *out = list;
    return IMIAD_OK;
}

static imiad_status check_all_found(const split_list *list)
{
    for (size_t i = 0; i < list->count; ++i)
        if (!list->images[i].found)
            return fail(IMIAD_NOT_FOUND, "%s, line %zu: there is no image %s below the root",
                        list->name, list->images[i].line, list->images[i].path);
    return IMIAD_OK;
}

/* The images that the file lists; the others are left out. */
static imiad_status add_listed(imiad_dataset *dataset, sample s, const tile_folder *f,
                               const split_list *list)
{
    for (size_t i = 0; i < f->images.count; ++i) {
        const char *name = f->images.names[i];
        listed_image key = {.path = dataset_text(dataset, "%s/%s", f->path, name)};
        if (!key.path)
            return IMIAD_NO_MEMORY;
        listed_image *image = bsearch(&key, list->images, list->count, sizeof key, compare_listed);
        if (!image) {
            reader_left_out(dataset, f->path, name, "the split file does not list it");
            continue;
        }
        image->found = true;
        s.subset = image->subset;
        TRY(add_image(dataset, s, f, name));
    }
    return IMIAD_OK;
}

/* ---- groups of neighbouring numbers ---- */

/* The n of exp<k>_num_<n>; -1 for any other name. */
static int64_t number_of(const char *name)
{
    const char *digits = strstr(name, "_num_");
    size_t length = digits ? strspn(digits + 5, "0123456789") : 0;
    bool fits = length > 0 && length < 18 && digits + 5 + length == name + stem_length(name);
    return fits ? strtoll(digits + 5, NULL, 10) : -1;
}

typedef struct numbered {
    char *name;
    int64_t number;
} numbered;

static int compare_numbered(const void *left, const void *right)
{
    const numbered *a = left, *b = right;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return compare_stems(&a->name, &b->name);
}

/* Reorders the images by number and gives every run without a gap above `gap` a group. A name
 * without number is a group of its own. */
static imiad_status make_groups(size_t *groups, name_list *images, int64_t gap)
{
    numbered *order = malloc(images->count * sizeof *order + 1);
    if (!order)
        return fail_memory("groups of images", images->count * sizeof *order);
    for (size_t i = 0; i < images->count; ++i)
        order[i] = (numbered){images->names[i], number_of(images->names[i])};
    if (images->count > 1)
        qsort(order, images->count, sizeof *order, compare_numbered);
    for (size_t i = 0; i < images->count; ++i) {
        images->names[i] = order[i].name;
        bool apart = i == 0 || order[i].number < 0 || order[i - 1].number < 0 ||
                     order[i].number - order[i - 1].number > gap;
        groups[i] = i == 0 ? 0 : groups[i - 1] + apart;
    }
    free(order);
    return IMIAD_OK;
}

/* ---- listing ---- */

static imiad_status add_drawn(imiad_dataset *dataset, sample s, tile_folder *f)
{
    const option_set *options = dataset->options;
    size_t count = f->images.count;
    int64_t gap = options_int(options, "group");
    bool *train = dataset_memory(dataset, count * sizeof *train + 1);
    size_t *groups = dataset_memory(dataset, count * sizeof *groups + 1);
    if (!train || !groups)
        return IMIAD_NO_MEMORY;
    if (gap > 0)
        TRY(make_groups(groups, &f->images, gap));
    TRY(reader_draw_train(train, gap > 0 ? groups : NULL, count,
                          options_real(options, "train_share"),
                          (uint64_t)options_int(options, "seed"), "dataset/mtd"));
    for (size_t i = 0; i < count; ++i) {
        s.subset = train[i] ? IMIAD_SUBSET_TRAIN : IMIAD_SUBSET_TEST;
        TRY(add_image(dataset, s, f, f->images.names[i]));
    }
    return IMIAD_OK;
}

static imiad_status add_folder(imiad_dataset *dataset, int32_t category, const char *name,
                               const split_list *list)
{
    bool good = strcmp(name, good_folder) == 0;
    sample s = {.category = category,
                .subset = IMIAD_SUBSET_TEST,
                .label = !good,
                .kind = good ? "good" : dataset_text(dataset, "%s", name)};
    tile_folder f;
    if (!s.kind)
        return IMIAD_NO_MEMORY;
    TRY(open_folder(&f, dataset, name));
    imiad_status status = IMIAD_OK;
    if (list->images)
        status = add_listed(dataset, s, &f, list);
    else if (good)
        status = add_drawn(dataset, s, &f);
    else
        for (size_t i = 0; status == IMIAD_OK && i < f.images.count; ++i)
            status = add_image(dataset, s, &f, f.images.names[i]);
    close_folder(&f);
    return status;
}

static imiad_status add_folders(imiad_dataset *dataset, int32_t category, const split_list *list)
{
    static const char *const known[] = {"README.md", "dataset.jpg"};
    name_list names;
    TRY(reader_list(&names, dataset, ""));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < names.count; ++i) {
        const char *name = names.names[i];
        if (reader_has_folder(dataset, name, "Imgs"))
            status = add_folder(dataset, category, name, list);
        else if (strcmp(name, known[0]) != 0 && strcmp(name, known[1]) != 0)
            reader_left_out(dataset, "", name, "the layout has no place for it");
    }
    name_list_free(&names);
    return status;
}

static imiad_status list_original(imiad_dataset *dataset, int32_t category, const void *context)
{
    split_list list;
    TRY(read_split(&list, options_text(dataset->options, "split_file")));
    imiad_status status = add_folders(dataset, category, &list);
    if (status == IMIAD_OK)
        status = check_all_found(&list);
    free(list.images);
    table_free(&list.text);
    return status;
}

static imiad_status list_split(imiad_dataset *dataset, int32_t category, const void *context)
{
    static const folder_layout layout = {.good = "good",
                                         .images = "",
                                         .masks = "ground_truth",
                                         .below_masks = "",
                                         .mask_suffix = ""};
    return layout_list_category(dataset, &layout, category, "");
}

static imiad_status list(imiad_dataset *dataset)
{
    static const char *const name[] = {"mtd"};
    bool original = reader_has_folder(dataset, good_folder, "Imgs");
    dataset->own_split = true;
    if (!original && !reader_has_folder(dataset, "train", "good"))
        return IMIAD_OK; /* no category: opening says what was expected */
    const char *file = options_text(dataset->options, "split_file");
    if (!original && *file)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "dataset mtd: %s is split already, so that option split_file (%s) has no use",
                    dataset->root, file);
    TRY(dataset_set_categories(dataset, name, 1));
    return dataset_list_each(dataset, original ? list_original : list_split, NULL);
}

const dataset_ops mtd_ops = {
    .name = "mtd",
    .title = "MTD: magnetic tiles, with a split of ours",
    .options = mtd_options,
    .needs_root = true,
    .layout = "MT_Free/Imgs beside MT_Blowhole/Imgs and others, or train/good, test/KIND and "
              "ground_truth/KIND",
    .list = list,
};
