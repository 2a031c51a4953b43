#include "station/walk.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool is_image_name(const char *path)
{
    static const char *const extensions[] = {".png", ".jpg", ".jpeg", ".jpe",  ".jfif",
                                             ".bmp", ".dib", ".tif",  ".tiff", ".webp",
                                             ".pgm", ".ppm", ".pnm",  ".pbm",  ".gif"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && dot > name && i < sizeof extensions / sizeof *extensions; ++i)
        if (strcasecmp(dot, extensions[i]) == 0)
            return true;
    return false;
}

static int compare_names(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* What to tell of an entry; false where it is passed over. */
static bool classify(walk_kind *kind, const char **problem, const FTSENT *entry)
{
    *problem = NULL;
    *kind = WALK_PROBLEM;
    switch (entry->fts_info) {
    case FTS_DC:
        *problem = "it is a link to a folder that it lies in";
        return true;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        *problem = strerror(entry->fts_errno);
        return true;
    case FTS_SLNONE:
        *problem = "it is a link to nothing";
        return true;
    case FTS_F:
        *kind = is_image_name(entry->fts_path) ? WALK_IMAGE : WALK_OTHER;
        return true;
    case FTS_DEFAULT:
        *problem = "it is no regular file";
        return true;
    default:
        return false; /* a folder, before and after what it holds */
    }
}

bool walk_folder(const char *folder, walk_function function, void *user)
{
    char *copy = strdup(folder), *roots[] = {copy, NULL};
    FTS *tree = copy ? fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, compare_names) : NULL;
    bool go_on = true;
    if (!tree) {
        go_on = function(user, folder, WALK_PROBLEM, strerror(errno));
        free(copy);
        return go_on;
    }
    for (FTSENT *entry; go_on && (entry = fts_read(tree));) {
        walk_kind kind;
        const char *problem;
        if (entry->fts_level > 0 && entry->fts_name[0] == '.') {
            fts_set(tree, entry, FTS_SKIP);
            continue;
        }
        if (classify(&kind, &problem, entry))
            go_on = function(user, entry->fts_path, kind, problem);
    }
    fts_close(tree);
    free(copy);
    return go_on;
}

bool walk_list(FILE *list, char end, bool (*function)(void *user, const char *path), void *user)
{
    char *line = NULL;
    size_t room = 0;
    bool go_on = true;
    for (ssize_t length; go_on && (length = getdelim(&line, &room, end, list)) > 0;) {
        if (line[length - 1] == end)
            line[--length] = '\0';
        if (length > 0)
            go_on = function(user, line);
    }
    free(line);
    return go_on;
}
