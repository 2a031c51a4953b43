#include "data/readers/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"

/* ---- lists of paths ---- */

imiad_status path_list_add(path_list *list, imiad_dataset *dataset, const char *path)
{
    TRY(array_reserve(&list->paths, list->count, &list->room, sizeof *list->paths,
                      "a folder's listing"));
    list->paths[list->count] = dataset_text(dataset, "%s", path);
    return list->paths[list->count++] ? IMIAD_OK : IMIAD_NO_MEMORY;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void path_list_sort(path_list *list)
{
    if (list->count > 1)
        qsort(list->paths, list->count, sizeof *list->paths, compare_entries);
    size_t kept = 0;
    for (size_t i = 0; i < list->count; ++i)
        if (kept == 0 || strcmp(list->paths[kept - 1], list->paths[i]) != 0)
            list->paths[kept++] = list->paths[i];
    list->count = kept;
}

size_t path_list_place(const path_list *list, const char *path)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(list->paths[middle], path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool path_list_has(const path_list *list, const char *path)
{
    size_t place = path_list_place(list, path);
    return place < list->count && strcmp(list->paths[place], path) == 0;
}

void folder_tree_free(folder_tree *tree)
{
    free(tree->looked.paths);
    free(tree->masks.paths);
    free(tree->plain_masks.paths);
    free(tree->used.paths);
}

/* ---- walking ---- */

static imiad_status walk(visitor *v, const char *path, const char *pattern, const captures *known,
                         size_t *found);

/* Whether the path, a file or a folder, fits one of the patterns of `exclude`. */
bool folder_excludes(const folder_tree *tree, const char *path)
{
    const char *pattern = options_text(tree->dataset->options, "exclude");
    while (*pattern) {
        char one[1024];
        captures nothing = {0};
        size_t length = strcspn(pattern, ";");
        snprintf(one, sizeof one, "%.*s", (int)length, pattern);
        if (length > 0 && pattern_path_fits(one, path, &nothing))
            return true;
        pattern += length + (pattern[length] == ';');
    }
    return false;
}

static imiad_status enter(visitor *v, const char *path, const char *name, const char *slash,
                          captures *c, size_t *found)
{
    char *below;
    if (asprintf(&below, "%s%s%s", path, *path ? "/" : "", name) < 0)
        return fail_memory("a path", strlen(path));
    imiad_status status = IMIAD_OK;
    if (folder_excludes(v->tree, below)) {
        /* as if it were not there */
    } else if (slash) {
        status = walk(v, below, slash + 1, c, found);
    } else {
        ++*found;
        status = v->visit(v, below, c);
    }
    free(below);
    return status;
}

/* A folder that is called as an image is. */
static bool named_as_image(const char *folder, void *context)
{
    return is_image_name(folder);
}

/* The names in root/path against the pattern's first part, and below them the rest. A path that is
 * no folder fits nothing. */
static imiad_status walk(visitor *v, const char *path, const char *pattern, const captures *known,
                         size_t *found)
{
    char *whole = path_join(v->tree->dataset->root, path);
    if (!whole)
        return fail_memory("a path", strlen(path));
    const char *slash = strchr(pattern, '/');
    name_list names = {NULL, 0};
    imiad_status status = IMIAD_OK;
    if (folder_exists(whole)) {
        status = path_list_add(&v->tree->looked, v->tree->dataset, path);
        if (status == IMIAD_OK)
            status = folder_list_without(&names, whole, slash ? NULL : named_as_image, NULL);
    }
    free(whole);
    for (size_t i = 0; status == IMIAD_OK && i < names.count; ++i) {
        const char *name = names.names[i];
        captures c = *known;
        if (slash ? pattern_name_fits(pattern, slash, name, &c)
                  : is_image_name(name) && pattern_file_fits(pattern, name, &c))
            status = enter(v, path, name, slash, &c, found);
    }
    name_list_free(&names);
    return status;
}

/* An option that somebody set. */
static bool is_given(const imiad_dataset *dataset, const char *option)
{
    const char *value = options_text(dataset->options, option);
    for (const option_spec *spec = dataset->ops->options; spec->name; ++spec)
        if (strcmp(spec->name, option) == 0)
            return strcmp(spec->default_value, value) != 0;
    return false;
}

imiad_status folder_walk_pattern(visitor *v, const char *pattern, size_t *found)
{
    const captures nothing = {0};
    return walk(v, "", pattern, &nothing, found);
}

imiad_status folder_walk(visitor *v, const char *option)
{
    const imiad_dataset *dataset = v->tree->dataset;
    char *patterns = strdup(options_text(dataset->options, option));
    if (!patterns)
        return fail_memory("a pattern", 1);
    imiad_status status = IMIAD_OK;
    char *rest = patterns;
    for (char *pattern; status == IMIAD_OK && (pattern = strsep(&rest, ";"));) {
        size_t found = 0;
        status = pattern_check(option, pattern);
        if (status == IMIAD_OK && *pattern)
            status = folder_walk_pattern(v, pattern, &found);
        if (status == IMIAD_OK && *pattern && found == 0 && is_given(dataset, option))
            log_message(IMIAD_LOG_WARNING, "dataset folder: no image file below %s fits %s=%s",
                        dataset->root, option, pattern);
    }
    free(patterns);
    return status;
}
