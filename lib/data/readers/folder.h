/* Inside the reader of any folder: walking a tree by patterns, and the masks that it holds. */
#ifndef DATA_READERS_FOLDER_H
#define DATA_READERS_FOLDER_H

#include "data/dataset.h"
#include "data/readers/pattern.h"

/* Paths below the root; their text is the dataset's. */
typedef struct path_list {
    const char **paths;
    size_t count, room;
} path_list;
imiad_status path_list_add(path_list *list, imiad_dataset *dataset, const char *path);
void path_list_sort(path_list *list); /* bytewise, each once */
/* The place of a path in a sorted list, or of the first one behind where it would stand. */
size_t path_list_place(const path_list *list, const char *path);
bool path_list_has(const path_list *list, const char *path);

/* One look at a tree. */
typedef struct folder_tree {
    imiad_dataset *dataset;
    path_list looked; /* the folders whose names were held against a pattern */
    /* files that fit `masks`, and those that would without the `_mask` in it */
    path_list masks, plain_masks;
    path_list used; /* those that belong to an image */
} folder_tree;
void folder_tree_free(folder_tree *tree);

/* Called for every file that fits and is not excluded, with its path below the root. */
typedef struct visitor {
    imiad_status (*visit)(struct visitor *v, const char *path, const captures *c);
    folder_tree *tree;
} visitor;
/* Every pattern of an option in turn; they are separated by semicolons. One that is not the
 * option's default and fits nothing is a warning. */
imiad_status folder_walk(visitor *v, const char *option);
/* Adds to *found how many files fit. */
imiad_status folder_walk_pattern(visitor *v, const char *pattern, size_t *found);
bool folder_excludes(const folder_tree *tree, const char *path);

/* Fills masks and plain_masks. */
imiad_status folder_collect_masks(folder_tree *tree);
/* Gives the image its masks; c is what its own pattern remembered, `images` all images. The masks
 * that one pattern finds lie in one folder. Errors: IMIAD_FORMAT. */
imiad_status folder_find_masks(folder_tree *tree, sample *s, const captures *c,
                               const path_list *images);
/* Whether any pixel of the sample's masks reaches mask_threshold: reads them. */
imiad_status folder_mask_shows_defect(bool *out, const imiad_dataset *dataset, const sample *s);

#endif
