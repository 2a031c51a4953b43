/* DAGM 2007, synthetic textures. Wieler and Hahn: Weakly supervised learning for industrial optical
 * inspection, DAGM symposium 2007. Two releases: the full one, where Labels.txt says which images
 * are defective and names their masks; and the older one of the competition, a folder of good and
 * one of defective images, whose text file gives one ellipse an image. */
#include "data/readers/dagm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "data/reader.h"
#include "image/pixels.h"

static const option_spec dagm_options[] = {
    {"seed", OPT_INT, "0", "0..", "draws the split; older release only, which has none of its own"},
    {"train_share", OPT_REAL, "0.8", "0<..1",
     "share of the good images that train; older release only"},
    {0},
};

/* ---- the full release ---- */

typedef struct part {
    const char *folder, *label_folder, *labels_path;
    sample like; /* what its samples share */
    name_list names, masks;
} part;

static imiad_status add_labelled(imiad_dataset *dataset, const part *p, const dagm_label *label)
{
    sample s = p->like;
    const char *name = reader_find(&p->names, label->image);
    if (!name)
        return fail(IMIAD_NOT_FOUND, "%s/%s, line %zu: there is no image %s/%s", dataset->root,
                    p->labels_path, label->line, p->folder, label->image);
    s.label = label->mask != NULL;
    s.kind = s.label ? "defective" : "good";
    s.path = dataset_text(dataset, "%s/%s", p->folder, name);
    if (!s.path)
        return IMIAD_NO_MEMORY;
    const char *mask = label->mask ? reader_find(&p->masks, label->mask) : NULL;
    if (mask)
        TRY(reader_set_mask(dataset, &s, p->label_folder, mask));
    else if (label->mask &&
             !(s.mask_expected = dataset_text(dataset, "%s/%s", p->label_folder, label->mask)))
        return IMIAD_NO_MEMORY;
    return dataset_add(dataset, &s);
}

static int compare_with_label(const void *name, const void *label)
{
    return strcasecmp(name, ((const dagm_label *)label)->image);
}

static bool is_mask_of(const dagm_label *labels, size_t count, const char *name)
{
    for (size_t i = 0; i < count; ++i)
        if (labels[i].mask && strcasecmp(labels[i].mask, name) == 0)
            return true;
    return false;
}

static void log_unlabelled(const imiad_dataset *dataset, const part *p, const dagm_label *labels,
                           size_t count)
{
    static const char why[] = "Labels.txt does not list it";
    for (size_t i = 0; i < p->names.count; ++i) {
        const char *name = p->names.names[i];
        bool listed =
            count > 0 && bsearch(name, labels, count, sizeof *labels, compare_with_label) != NULL;
        if (!listed && strcmp(name, "Label") != 0)
            reader_left_out(dataset, p->folder, name, why);
    }
    for (size_t i = 0; i < p->masks.count; ++i) {
        const char *name = p->masks.names[i];
        if (!is_mask_of(labels, count, name) && strcmp(name, "Labels.txt") != 0)
            reader_left_out(dataset, p->label_folder, name, why);
    }
}

static imiad_status add_part(imiad_dataset *dataset, const part *p, const table *t)
{
    char *path = path_join(dataset->root, p->labels_path);
    dagm_label *labels = calloc(t->count + 1, sizeof *labels);
    size_t count = 0;
    imiad_status status = path && labels ? dagm_parse_labels(labels, &count, t, path)
                                         : fail_memory("labels", t->count * sizeof *labels);
    for (size_t i = 0; status == IMIAD_OK && i < count; ++i)
        status = add_labelled(dataset, p, &labels[i]);
    if (status == IMIAD_OK)
        log_unlabelled(dataset, p, labels, count);
    free(labels);
    free(path);
    return status;
}

/* BASE/Train or BASE/Test */
static imiad_status list_part(imiad_dataset *dataset, int32_t category, const char *base,
                              const char *name, imiad_subset subset)
{
    part p = {.like = {.category = category, .subset = subset},
              .folder = dataset_text(dataset, "%s/%s", base, name),
              .label_folder = dataset_text(dataset, "%s/%s/Label", base, name)};
    if (!p.folder || !p.label_folder ||
        !(p.labels_path = dataset_text(dataset, "%s/Labels.txt", p.label_folder)))
        return IMIAD_NO_MEMORY;
    table t;
    TRY(reader_table(&t, dataset, p.labels_path, '\t'));
    imiad_status status = reader_list_files(&p.names, dataset, p.folder);
    if (status == IMIAD_OK)
        status = reader_list_files(&p.masks, dataset, p.label_folder);
    if (status == IMIAD_OK)
        status = add_part(dataset, &p, &t);
    name_list_free(&p.masks);
    name_list_free(&p.names);
    table_free(&t);
    return status;
}

static imiad_status list_full(imiad_dataset *dataset, int32_t category, const char *base)
{
    TRY(list_part(dataset, category, base, "Train", IMIAD_SUBSET_TRAIN));
    return list_part(dataset, category, base, "Test", IMIAD_SUBSET_TEST);
}

/* ---- the older release ---- */

/* ((dx cos a + dy sin a) / A)^2 + ((-dx sin a + dy cos a) / B)^2 <= 1 with y pointing down. The
 * file counts pixels from 1: drawn so, the ellipses are the full release's masks, pixel by pixel.
 */
static imiad_status draw_mask(imiad_image **out, const imiad_dataset *dataset, const sample *s,
                              const imiad_image *image)
{
    const dagm_ellipse *e = s->drawing;
    double cosine = cos(e->angle), sine = sin(e->angle);
    imiad_image *mask;
    TRY(image_create(&mask, IMIAD_PIXEL_GRAY8, image->width, image->height));
    for (int32_t y = 0; y < mask->height; ++y) {
        uint8_t *row = image_row(mask, y);
        for (int32_t x = 0; x < mask->width; ++x) {
            double dx = x - (e->x - 1), dy = y - (e->y - 1);
            double along = (dx * cosine + dy * sine) / e->major;
            double across = (dy * cosine - dx * sine) / e->minor;
            row[x] = along * along + across * across <= 1 ? 255 : 0;
        }
    }
    *out = mask;
    return IMIAD_OK;
}

static imiad_status add_good(imiad_dataset *dataset, int32_t category, const char *folder,
                             const name_list *names)
{
    const char *purpose =
        dataset_text(dataset, "dataset/dagm/%s", dataset->categories[category].name);
    bool *train = dataset_memory(dataset, names->count * sizeof *train + 1);
    if (!purpose || !train)
        return IMIAD_NO_MEMORY;
    TRY(reader_draw_train(train, NULL, names->count, options_real(dataset->options, "train_share"),
                          (uint64_t)options_int(dataset->options, "seed"), purpose));
    for (size_t i = 0; i < names->count; ++i) {
        sample s = {.category = category,
                    .kind = "good",
                    .subset = train[i] ? IMIAD_SUBSET_TRAIN : IMIAD_SUBSET_TEST,
                    .path = dataset_text(dataset, "%s/%s", folder, names->names[i])};
        if (!s.path)
            return IMIAD_NO_MEMORY;
        TRY(dataset_add(dataset, &s));
    }
    return IMIAD_OK;
}

/* The number that a name of digits and an extension is; -1 for any other name. */
static int64_t number_of(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    return digits > 0 && digits < 10 && digits == stem_length(name) ? strtoll(name, NULL, 10) : -1;
}

static imiad_status add_defective(imiad_dataset *dataset, int32_t category, const char *folder,
                                  const name_list *names, const char *labels,
                                  const dagm_ellipse *ellipses, size_t count)
{
    size_t matched = 0;
    for (size_t i = 0; i < names->count; ++i) {
        int64_t number = number_of(names->names[i]);
        sample s = {.category = category,
                    .kind = "defective",
                    .subset = IMIAD_SUBSET_TEST,
                    .label = 1,
                    .path = dataset_text(dataset, "%s/%s", folder, names->names[i]),
                    .mask_expected = labels};
        if (!s.path)
            return IMIAD_NO_MEMORY;
        for (size_t e = 0; e < count; ++e)
            if (ellipses[e].index == number) {
                s.drawing = &ellipses[e];
                s.mask_drawn = true;
                ++matched;
            }
        TRY(dataset_add(dataset, &s));
    }
    if (matched < count)
        return fail(IMIAD_FORMAT, "%s/%s: %zu of its %zu ellipses are of images that are not there",
                    dataset->root, labels, count - matched, count);
    return IMIAD_OK;
}

/* The ellipses, as memory of the dataset. */
static imiad_status read_ellipses(dagm_ellipse **out, size_t *count, imiad_dataset *dataset,
                                  const char *path)
{
    table t;
    TRY(reader_table(&t, dataset, path, '\t'));
    char *whole = path_join(dataset->root, path);
    dagm_ellipse *ellipses = dataset_memory(dataset, (t.count + 1) * sizeof *ellipses);
    imiad_status status = IMIAD_NO_MEMORY;
    if (whole && ellipses)
        status = dagm_parse_ellipses(ellipses, &t, whole);
    *out = ellipses;
    *count = t.count;
    free(whole);
    table_free(&t);
    return status;
}

/* Takes what is no image out of the listing. */
static void keep_images(name_list *names, const imiad_dataset *dataset, const char *folder,
                        const char *labels)
{
    size_t kept = 0;
    for (size_t i = 0; i < names->count; ++i) {
        if (is_image_name(names->names[i])) {
            names->names[kept++] = names->names[i];
            continue;
        }
        if (!labels || strcmp(names->names[i], base_name(labels)) != 0)
            reader_left_out(dataset, folder, names->names[i], reader_no_image(names->names[i]));
        free(names->names[i]);
    }
    names->count = kept;
}

static imiad_status list_defective(imiad_dataset *dataset, int32_t category, const char *folder)
{
    name_list names;
    TRY(reader_list_files(&names, dataset, folder));
    const char *name = reader_find(&names, "labels.txt");
    const char *labels = dataset_text(dataset, "%s/%s", folder, name ? name : "labels.txt");
    dagm_ellipse *ellipses;
    size_t count;
    imiad_status status =
        labels ? read_ellipses(&ellipses, &count, dataset, labels) : IMIAD_NO_MEMORY;
    if (status == IMIAD_OK) {
        keep_images(&names, dataset, folder, labels);
        status = add_defective(dataset, category, folder, &names, labels, ellipses, count);
    }
    name_list_free(&names);
    return status;
}

static imiad_status list_older(imiad_dataset *dataset, int32_t category, const char *good,
                               const char *defective)
{
    dataset->own_split = true;
    name_list names;
    TRY(reader_list_files(&names, dataset, good));
    keep_images(&names, dataset, good, NULL);
    imiad_status status = add_good(dataset, category, good, &names);
    name_list_free(&names);
    TRY(status);
    return list_defective(dataset, category, defective);
}

/* ---- categories ---- */

/* Some archives hold the folder within a folder of the same name. */
static const char *innermost(imiad_dataset *dataset, const char *name)
{
    return reader_has_folder(dataset, name, name) ? dataset_text(dataset, "%s/%s", name, name)
                                                  : dataset_text(dataset, "%s", name);
}

static imiad_status list_category(imiad_dataset *dataset, int32_t category, const void *context)
{
    const char *name = dataset->categories[category].name;
    const char *base = innermost(dataset, name);
    const char *defective = dataset_text(dataset, "%s_def", name);
    if (!base || !defective)
        return IMIAD_NO_MEMORY;
    bool full =
        reader_has_folder(dataset, base, "Train") || reader_has_folder(dataset, base, "Test");
    if (full)
        return list_full(dataset, category, base);
    if (!reader_has_folder(dataset, "", defective))
        return fail(IMIAD_NOT_FOUND,
                    "%s/%s has neither a folder Train nor Test, and there is no folder %s/%s",
                    dataset->root, base, dataset->root, defective);
    defective = innermost(dataset, defective);
    return defective ? list_older(dataset, category, base, defective) : IMIAD_NO_MEMORY;
}

/* The k of Class<k>; -1 for any other name. */
static int64_t class_number(const char *name)
{
    size_t digits = strncmp(name, "Class", 5) == 0 ? strspn(name + 5, "0123456789") : 0;
    return digits > 0 && digits < 10 && name[5 + digits] == '\0' ? strtoll(name + 5, NULL, 10) : -1;
}

/* Class2 before Class10: the order that the classes are published in. */
static int compare_classes(const void *left, const void *right)
{
    const char *a = *(const char *const *)left, *b = *(const char *const *)right;
    int64_t first = class_number(a), second = class_number(b);
    return first != second ? (first < second ? -1 : 1) : strcmp(a, b);
}

static bool belongs_to_class(const char *name)
{
    size_t length = strlen(name);
    char stem[32];
    if (length < 4 || length - 4 >= sizeof stem || strcmp(name + length - 4, "_def") != 0)
        return false;
    memcpy(stem, name, length - 4);
    stem[length - 4] = '\0';
    return class_number(stem) >= 0;
}

static imiad_status list(imiad_dataset *dataset)
{
    name_list names;
    TRY(reader_list(&names, dataset, ""));
    size_t count = 0;
    const char **found = calloc(names.count + 1, sizeof *found);
    for (size_t i = 0; found && i < names.count; ++i) {
        if (class_number(names.names[i]) >= 0 && reader_has_folder(dataset, "", names.names[i]))
            found[count++] = names.names[i];
        else if (!belongs_to_class(names.names[i]))
            reader_left_out(dataset, "", names.names[i], "the layout has no place for it");
    }
    if (found && count > 1)
        qsort(found, count, sizeof *found, compare_classes);
    imiad_status status = found ? dataset_set_categories(dataset, found, count)
                                : fail_memory("categories", names.count * sizeof *found);
    free(found);
    name_list_free(&names);
    TRY(status);
    return dataset_list_each(dataset, list_category, NULL);
}

const dataset_ops dagm_ops = {
    .name = "dagm",
    .title = "DAGM 2007: ten synthetic textures",
    .options = dagm_options,
    .needs_root = true,
    .layout = "Class1/Train/Label/Labels.txt and Class1/Test/Label/Labels.txt, or Class1 and "
              "Class1_def/labels.txt",
    .list = list,
    .draw_mask = draw_mask,
};
