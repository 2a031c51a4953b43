#include "data/reader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/random.h"
#include "image/decode.h"

/* ---- looking below the root ---- */

typedef bool (*dropping)(const char *name, void *context);

static imiad_status list_without(name_list *out, const imiad_dataset *dataset, const char *folder,
                                 dropping drop, void *context)
{
    char *whole = path_join(dataset->root, folder);
    if (!whole)
        return fail_memory("a path", strlen(folder));
    imiad_status status = IMIAD_OK;
    *out = (name_list){NULL, 0};
    if (folder_exists(whole))
        status = folder_list_without(out, whole, drop, context);
    free(whole);
    return status;
}

imiad_status reader_list(name_list *out, const imiad_dataset *dataset, const char *folder)
{
    return list_without(out, dataset, folder, NULL, NULL);
}

typedef struct listed_folder {
    const imiad_dataset *dataset;
    const char *path;
} listed_folder;

static bool drop_named_as_image(const char *name, void *context)
{
    const listed_folder *listed = context;
    if (!is_image_name(name))
        return false;
    reader_left_out(listed->dataset, listed->path, name, "it is a folder, not an image");
    return true;
}

imiad_status reader_list_files(name_list *out, const imiad_dataset *dataset, const char *folder)
{
    listed_folder listed = {dataset, folder};
    return list_without(out, dataset, folder, drop_named_as_image, &listed);
}

bool reader_has_folder(const imiad_dataset *dataset, const char *folder, const char *name)
{
    char path[PATH_MAX]; /* a longer one cannot be opened either */
    int length = snprintf(path, sizeof path, "%s/%s/%s", dataset->root, folder, name);
    return length < PATH_MAX && folder_exists(path);
}

bool reader_has_file(const imiad_dataset *dataset, const char *path)
{
    char whole[PATH_MAX];
    int length = snprintf(whole, sizeof whole, "%s/%s", dataset->root, path);
    return length < PATH_MAX && file_exists(whole);
}

void reader_left_out(const imiad_dataset *dataset, const char *folder, const char *name,
                     const char *why)
{
    log_message(IMIAD_LOG_INFO, "dataset %s: left out %s/%s%s%s: %s", dataset->ops->name,
                dataset->root, folder, *folder ? "/" : "", name, why);
}

const char *reader_no_image(const char *name)
{
    return image_name_problem(name);
}

imiad_status reader_table(table *out, const imiad_dataset *dataset, const char *path,
                          char separator)
{
    char *whole = path_join(dataset->root, path);
    if (!whole)
        return fail_memory("a path", strlen(path));
    imiad_status status = table_read(out, whole, separator);
    free(whole);
    return status;
}

/* ---- names ---- */

static int compare_with_entry(const void *name, const void *entry)
{
    return strcmp(name, *(char *const *)entry);
}

const char *reader_find(const name_list *names, const char *name)
{
    if (names->count == 0)
        return NULL;
    char **found =
        bsearch(name, names->names, names->count, sizeof *names->names, compare_with_entry);
    if (found)
        return *found;
    for (size_t i = 0; i < names->count; ++i)
        if (strcasecmp(names->names[i], name) == 0)
            return names->names[i];
    return NULL;
}

static int format_rank(const char *name)
{
    static const char *const better_first[] = {".png", ".bmp", ".tif", ".tiff", ".pgm",
                                               ".ppm", ".pbm", ".pnm", ".webp", ".jpg"};
    int rank = 0, count = sizeof better_first / sizeof *better_first;
    while (rank < count && strcasecmp(name + stem_length(name), better_first[rank]) != 0)
        ++rank;
    return rank;
}

size_t reader_find_mask(const name_list *names, const char *name, const char *suffix)
{
    char key[1024]; /* what the mask's name begins with */
    size_t length =
        (size_t)snprintf(key, sizeof key, "%.*s%s.", (int)stem_length(name), name, suffix);
    size_t low = 0, high = names->count, best = names->count;
    while (low < high) { /* to the first name that is not before the key */
        size_t middle = low + (high - low) / 2;
        if (strcmp(names->names[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < names->count && strncmp(names->names[low], key, length) == 0; ++low) {
        const char *mask = names->names[low];
        if (stem_length(mask) + 1 == length && is_image_name(mask) &&
            (best == names->count || format_rank(mask) < format_rank(names->names[best])))
            best = low;
    }
    return best;
}

imiad_status reader_set_mask(imiad_dataset *dataset, sample *s, const char *folder,
                             const char *name)
{
    const char **paths = dataset_memory(dataset, sizeof *paths);
    if (!paths || !(*paths = dataset_text(dataset, "%s/%s", folder, name)))
        return IMIAD_NO_MEMORY;
    s->mask_paths = paths;
    s->mask_count = 1;
    s->mask_expected = NULL;
    return IMIAD_OK;
}

bool reader_path_is_inside(const char *path)
{
    if (strchr(path, '\\'))
        return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/' && part != path;
        if (*part == '/' || *part == '\0' || *part == '.')
            return false;
    }
    return true;
}

bool reader_name_is_plain(const char *name)
{
    return !strchr(name, '/') && reader_path_is_inside(name);
}

/* ---- splits of our own ---- */

imiad_status reader_draw_train(bool *train, const size_t *groups, size_t count, double share,
                               uint64_t seed, const char *purpose)
{
    if (count == 0)
        return IMIAD_OK;
    size_t group_count = groups ? groups[count - 1] + 1 : count;
    size_t *order = malloc(2 * group_count * sizeof *order);
    if (!order)
        return fail_memory("a split", 2 * group_count * sizeof *order);
    size_t *sizes = order + group_count;
    memset(sizes, 0, group_count * sizeof *sizes);
    for (size_t i = 0; i < count; ++i)
        ++sizes[groups ? groups[i] : i];
    for (size_t g = 0; g < group_count; ++g)
        order[g] = g;
    random_stream stream = random_open(seed, purpose);
    random_shuffle(&stream, order, group_count);
    /* shares such as 0.29 of 100 are meant exactly */
    size_t wanted = (size_t)(share * (double)count + 1e-9), taken = 0;
    for (size_t i = 0; i < group_count; ++i) {
        size_t *size = &sizes[order[i]];
        bool fits = *size <= wanted - taken;
        taken += fits ? *size : 0;
        *size = fits; /* from here on: whether the group trains */
    }
    for (size_t i = 0; i < count; ++i)
        train[i] = sizes[groups ? groups[i] : i] == 1;
    free(order);
    return IMIAD_OK;
}
