/* Which files of a tree are masks, and of which images. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/readers/folder.h"
#include "image/pixels.h"

enum { PATTERN_BYTES = 1024, PATH_BYTES = 4096, MOST_MASKS = 256 };

static imiad_status take_mask(visitor *v, const char *path, const captures *c)
{
    return path_list_add(&v->tree->masks, v->tree->dataset, path);
}

static imiad_status take_plain_mask(visitor *v, const char *path, const captures *c)
{
    return path_list_add(&v->tree->plain_masks, v->tree->dataset, path);
}

/* The next of the patterns between semicolons; false behind the last. */
static bool next_pattern(char out[PATTERN_BYTES], const char **rest)
{
    while (**rest) {
        size_t length = strcspn(*rest, ";");
        snprintf(out, PATTERN_BYTES, "%.*s", (int)length, *rest);
        *rest += length + ((*rest)[length] == ';');
        if (*out)
            return true;
    }
    return false;
}

/* "{stem}_mask.png" without "_mask"; false where the pattern's last part has none. */
static bool without_suffix(char out[PATTERN_BYTES], const char *pattern)
{
    const char *suffix = strstr(base_name(pattern), "_mask");
    if (!suffix)
        return false;
    snprintf(out, PATTERN_BYTES, "%.*s%s", (int)(suffix - pattern), pattern, suffix + 5);
    return true;
}

imiad_status folder_collect_masks(folder_tree *tree)
{
    char pattern[PATTERN_BYTES], plain[PATTERN_BYTES];
    const char *rest = options_text(tree->dataset->options, "masks");
    TRY(folder_walk(&(visitor){take_mask, tree}, "masks"));
    while (next_pattern(pattern, &rest)) {
        size_t found = 0;
        if (without_suffix(plain, pattern))
            TRY(folder_walk_pattern(&(visitor){take_plain_mask, tree}, plain, &found));
    }
    path_list_sort(&tree->masks);
    path_list_sort(&tree->plain_masks);
    return IMIAD_OK;
}

typedef struct mask_search {
    folder_tree *tree;
    const sample *image;
    const char *found[MOST_MASKS];
    size_t count;
} mask_search;

static bool lies_beside(const char *path, const char *image)
{
    size_t length = (size_t)(base_name(image) - image);
    return (size_t)(base_name(path) - path) == length && strncmp(path, image, length) == 0;
}

/* Two masks of one image, where one pattern leads to both: their folders tell what the pattern
 * does not, such as another domain with the same names. */
static imiad_status check_same_folder(const mask_search *m, size_t first, const char *path)
{
    const option_set *options = m->tree->dataset->options;
    bool looked_at = m->image->label == 1 || strcmp(options_text(options, "label"), "mask") == 0;
    if (m->count == first || !looked_at) /* good images may share their names with anything */
        return IMIAD_OK;
    const char *other = m->found[first];
    if (lies_beside(path, other))
        return IMIAD_OK;
    return fail(IMIAD_FORMAT,
                "dataset folder: the image %s has masks in two folders, %s and %s: put {domain} "
                "where they differ into the patterns of images and of masks, or exclude one",
                m->image->path, other, path);
}

static imiad_status search(mask_search *m, const path_list *list, const char *pattern,
                           const captures *known, const path_list *images)
{
    char prefix[PATH_BYTES];
    size_t first = m->count;
    pattern_prefix(prefix, sizeof prefix, pattern, known);
    size_t length = strlen(prefix);
    for (size_t i = path_list_place(list, prefix); i < list->count; ++i) {
        const char *path = list->paths[i];
        captures c = *known;
        if (strncmp(path, prefix, length) != 0)
            break;
        if (!pattern_path_fits(pattern, path, &c) || (images && path_list_has(images, path)))
            continue;
        TRY(check_same_folder(m, first, path));
        if (m->count == MOST_MASKS)
            return fail(IMIAD_FORMAT,
                        "dataset folder: more than %d masks for one image, such as %s", MOST_MASKS,
                        path);
        m->found[m->count++] = path;
    }
    return IMIAD_OK;
}

/* Of masks of several patterns, one beside its image is not united with those of other folders,
 * where another image has the same name. */
static void prefer_beside(mask_search *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->count; ++i)
        if (lies_beside(m->found[i], m->image->path))
            m->found[kept++] = m->found[i];
    m->count = kept > 0 ? kept : m->count;
}

static imiad_status keep_masks(sample *s, const mask_search *m)
{
    imiad_dataset *dataset = m->tree->dataset;
    const char **paths = dataset_memory(dataset, (m->count + 1) * sizeof *paths);
    if (!paths)
        return IMIAD_NO_MEMORY;
    for (size_t i = 0; i < m->count; ++i) {
        paths[i] = m->found[i];
        TRY(path_list_add(&m->tree->used, dataset, paths[i]));
    }
    s->mask_paths = paths;
    s->mask_count = m->count;
    return IMIAD_OK;
}

/* Where no mask has the suffix in its name; an image of the listing is none. */
static imiad_status search_plain(mask_search *m, const captures *known, const path_list *images)
{
    char pattern[PATTERN_BYTES], plain[PATTERN_BYTES];
    const char *rest = options_text(m->tree->dataset->options, "masks");
    while (m->count == 0 && next_pattern(pattern, &rest))
        if (without_suffix(plain, pattern))
            TRY(search(m, &m->tree->plain_masks, plain, known, images));
    return IMIAD_OK;
}

imiad_status folder_find_masks(folder_tree *tree, sample *s, const captures *c,
                               const path_list *images)
{
    imiad_dataset *dataset = tree->dataset;
    const char *patterns = options_text(dataset->options, "masks"), *rest = patterns;
    char pattern[PATTERN_BYTES];
    captures known = *c;
    if (!known.text[IN_STEM][0]) {
        const char *name = base_name(s->path);
        snprintf(known.text[IN_STEM], PATTERN_TEXT_BYTES, "%.*s", (int)stem_length(name), name);
    }
    if (!*patterns)
        return IMIAD_OK;
    mask_search m = {.tree = tree, .image = s};
    while (next_pattern(pattern, &rest))
        TRY(search(&m, &tree->masks, pattern, &known, NULL));
    if (m.count == 0)
        TRY(search_plain(&m, &known, images));
    prefer_beside(&m);
    s->mask_expected = dataset_text(dataset, "file that fits %s", patterns);
    return s->mask_expected ? keep_masks(s, &m) : IMIAD_NO_MEMORY;
}

static bool reaches(const imiad_image *mask, int threshold)
{
    size_t row = (size_t)mask->width * (size_t)pixel_bytes(mask->format);
    for (int32_t y = 0; y < mask->height; ++y)
        for (size_t x = 0; x < row; ++x)
            if (mask->pixels[(size_t)y * mask->stride + x] >= threshold)
                return true;
    return false;
}

imiad_status folder_mask_shows_defect(bool *out, const imiad_dataset *dataset, const sample *s)
{
    int threshold = (int)options_int(dataset->options, "mask_threshold");
    *out = false;
    for (size_t i = 0; !*out && i < s->mask_count; ++i) {
        char *path = path_join(dataset->root, s->mask_paths[i]);
        imiad_image *mask;
        imiad_status status =
            path ? imiad_image_read(&mask, path) : fail_memory("a path", strlen(s->path));
        free(path);
        TRY(status);
        *out = reaches(mask, threshold);
        imiad_image_free(mask);
    }
    return IMIAD_OK;
}
