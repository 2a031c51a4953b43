#include "station/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "names.h"
#include "station/look.h"
#include "station/walk.h"

enum { UNREADABLE, UNLISTED, DOUBTFUL, KINDS };
static const char *const kind_names[KINDS] = {"unreadable", "unlisted", "doubtful"};

typedef struct found {
    char *path; /* below the folder */
    look look;
} found;

typedef struct checking {
    const command *command;
    const char *root;
    FILE *out; /* where lines go */
    bool has_layout;
    char **listed; /* sorted */
    size_t listed_count;
    char **masks; /* sorted */
    size_t mask_count;
    found *images;
    size_t count, room;
    json_t *lists[KINDS];
    imiad_decode_options reading;
} checking;

static void tell(checking *k, int kind, const char *path, const char *why)
{
    json_t *entry = json_object();
    fprintf(k->out, "%s: %s: %s\n", kind_names[kind], path, why);
    name_into(entry, "image", path);
    name_into(entry, "problem", why);
    json_array_append_new(k->lists[kind], entry);
}

/* ---- what the layout lists ---- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Adds the paths of a dataset's images to a list, which is sorted then. */
static bool add_paths(char ***list, size_t *count, const imiad_dataset *dataset)
{
    size_t more = imiad_dataset_sample_count(dataset);
    char **grown = realloc(*list, (*count + more + 1) * sizeof *grown);
    if (!grown)
        return false;
    *list = grown;
    for (size_t i = 0; i < more; ++i) {
        imiad_sample s = IMIAD_SAMPLE_INIT;
        imiad_dataset_sample(&s, dataset, i);
        char *path = strdup(s.path);
        if (path)
            grown[(*count)++] = path;
    }
    qsort(grown, *count, sizeof *grown, compare_texts);
    return true;
}

static bool has_path(char *const *list, size_t count, const char *path)
{
    return count > 0 && bsearch(&path, list, count, sizeof *list, compare_texts);
}

/* The files that fit `masks`, told by a folder whose images they are. */
static void list_masks(checking *k)
{
    for (size_t i = 0; i < k->command->dataset.count; ++i) {
        const imiad_option *o = &k->command->dataset.list[i];
        const imiad_option alone[] = {
            {"train", o->value}, {"test_good", ""}, {"test_defective", ""}};
        imiad_dataset *masks;
        if (strcmp(o->name, "masks") == 0 && *o->value &&
            imiad_dataset_open(&masks, "folder", k->root, alone, 3) == IMIAD_OK) {
            add_paths(&k->masks, &k->mask_count, masks);
            imiad_dataset_free(masks);
        }
    }
}

/* Without options, a folder that has not the usual layout is looked through as it is. */
static int list_layout(checking *k)
{
    imiad_dataset *dataset;
    const settings *s = &k->command->dataset;
    if (imiad_dataset_open(&dataset, "folder", k->root, s->list, s->count) != IMIAD_OK) {
        if (s->count > 0)
            return command_fail(k->command, "check");
        fprintf(k->out, "no image lies in train/good or test: every image below %s is looked at\n",
                k->root);
        return 0;
    }
    k->has_layout = true;
    k->reading = look_decoding(imiad_dataset_option(dataset, "range"),
                               imiad_dataset_option(dataset, "orientation"));
    bool good = add_paths(&k->listed, &k->listed_count, dataset);
    imiad_dataset_free(dataset);
    list_masks(k);
    return good ? 0 : SOME_FAILED;
}

/* ---- every file ---- */

static bool keep(checking *k, const char *path, const look *l)
{
    if (k->count == k->room) {
        size_t room = k->room ? 2 * k->room : 256;
        found *grown = realloc(k->images, room * sizeof *grown);
        if (!grown)
            return false;
        k->images = grown;
        k->room = room;
    }
    k->images[k->count] = (found){strdup(path), *l};
    return k->images[k->count++].path != NULL;
}

static bool take_image(checking *k, const char *path, const char *below)
{
    imiad_image *image;
    look l;
    imiad_status status = imiad_image_read_with(&image, path, &k->reading);
    if (status == IMIAD_OK) {
        status = look_at(&l, image, path);
        imiad_image_free(image);
    }
    if (status != IMIAD_OK) {
        tell(k, UNREADABLE, below, imiad_last_error());
        return true;
    }
    if (has_path(k->masks, k->mask_count, below))
        return true;
    if (!k->has_layout || has_path(k->listed, k->listed_count, below))
        return keep(k, below, &l);
    tell(k, UNLISTED, below, "it fits none of the patterns: it is neither learned nor tested");
    return true;
}

static bool take(void *user, const char *path, walk_kind kind, const char *problem)
{
    checking *k = user;
    size_t root = strlen(k->root);
    const char *below = strncmp(path, k->root, root) == 0 && path[root] ? path + root : path;
    while (below != path && *below == '/')
        ++below;
    if (kind == WALK_IMAGE)
        return take_image(k, path, below);
    tell(k, kind == WALK_OTHER ? UNLISTED : UNREADABLE, below,
         problem ? problem : "it has not the name of an image");
    return true;
}

/* ---- all images together ---- */

static int compare_digests(const void *a, const void *b)
{
    const found *x = *(const found *const *)a, *y = *(const found *const *)b;
    if (x->look.digest != y->look.digest)
        return x->look.digest < y->look.digest ? -1 : 1;
    return strcmp(x->path, y->path);
}

static void tell_same(checking *k, const found *a, const found *b, const char *how)
{
    char *why;
    if (asprintf(&why, "%s %s", how, b->path) >= 0) {
        tell(k, DOUBTFUL, a->path, why);
        free(why);
    }
}

/* Each image that is another one again, and each that nearly is. */
static void find_duplicates(checking *k, found **sorted)
{
    enum { MOST_PAIRED = 4000 }; /* beyond, pairs are too many to look at */
    const look **looks = malloc((k->count + 1) * sizeof *looks);
    size_t kept = 0;
    for (size_t i = 0; i < k->count; ++i)
        if (i > 0 && sorted[i]->look.digest == sorted[i - 1]->look.digest)
            tell_same(k, sorted[i], sorted[i - 1], "it is the same image as");
        else
            sorted[kept++] = sorted[i];
    for (size_t i = 0; looks && i < kept; ++i)
        looks[i] = &sorted[i]->look;
    double near = looks && kept <= MOST_PAIRED ? look_near_limit(looks, kept) : 0;
    for (size_t i = 0; i < kept && near > 0; ++i)
        for (size_t j = 0; j < i; ++j)
            if (look_difference(looks[i], looks[j]) < near) {
                tell_same(k, sorted[i], sorted[j], "it is nearly the same image as");
                break;
            }
    free(looks);
}

/* The size that more than half of the images have; 0 x 0 where there is none. */
static void usual_size(int32_t size[2], const checking *k)
{
    size_t best = 0;
    for (size_t i = 0; i < k->count && 2 * best <= k->count; ++i) {
        size_t same = 0;
        for (size_t j = 0; j < k->count; ++j)
            same += k->images[j].look.width == k->images[i].look.width &&
                    k->images[j].look.height == k->images[i].look.height;
        if (same > best) {
            best = same;
            size[0] = k->images[i].look.width;
            size[1] = k->images[i].look.height;
        }
    }
    if (2 * best <= k->count)
        size[0] = size[1] = 0;
}

static void tell_doubts(checking *k)
{
    int32_t usual[2] = {0, 0};
    size_t gray = 0;
    usual_size(usual, k);
    for (size_t i = 0; i < k->count; ++i)
        gray += k->images[i].look.channels == 1;
    for (size_t i = 0; i < k->count; ++i) {
        const look *l = &k->images[i].look;
        char why[128];
        for (int bit = 0; bit < DOUBTS; ++bit)
            if (l->doubts & 1u << bit)
                tell(k, DOUBTFUL, k->images[i].path, doubt_words(bit));
        snprintf(why, sizeof why, "it is %d x %d, while most images are %d x %d", l->width,
                 l->height, usual[0], usual[1]);
        if (usual[0] > 0 && (l->width != usual[0] || l->height != usual[1]))
            tell(k, DOUBTFUL, k->images[i].path, why);
        if (l->channels == 1 && 2 * gray < k->count)
            tell(k, DOUBTFUL, k->images[i].path, "it is grey, while most images are in colour");
        if (l->channels == 3 && 2 * gray > k->count)
            tell(k, DOUBTFUL, k->images[i].path, "it is in colour, while most images are grey");
    }
}

static void look_at_all(checking *k)
{
    found **sorted = malloc((k->count + 1) * sizeof *sorted);
    tell_doubts(k);
    for (size_t i = 0; sorted && i < k->count; ++i)
        sorted[i] = &k->images[i];
    if (sorted && k->count > 0) {
        qsort(sorted, k->count, sizeof *sorted, compare_digests);
        find_duplicates(k, sorted);
    }
    free(sorted);
}

/* ---- the result ---- */

static int write_json(const checking *k)
{
    json_t *document = json_object();
    name_into(document, "folder", k->root);
    json_object_set_new(document, "images", json_integer((json_int_t)k->count));
    for (int kind = 0; kind < KINDS; ++kind)
        json_object_set(document, kind_names[kind], k->lists[kind]);
    bool to_stdout = strcmp(k->command->json, "-") == 0;
    int failed = to_stdout ? json_dumpf(document, stdout, JSON_INDENT(1)) != 0 || puts("") < 0
                           : json_dump_file(document, k->command->json, JSON_INDENT(1)) != 0;
    if (failed)
        fprintf(stderr, "%s: cannot write %s\n", k->command->program, k->command->json);
    json_decref(document);
    return failed ? SOME_FAILED : 0;
}

static void checking_free(checking *k)
{
    for (size_t i = 0; i < k->listed_count; ++i)
        free(k->listed[i]);
    for (size_t i = 0; i < k->mask_count; ++i)
        free(k->masks[i]);
    free(k->masks);
    for (size_t i = 0; i < k->count; ++i)
        free(k->images[i].path);
    for (int kind = 0; kind < KINDS; ++kind)
        json_decref(k->lists[kind]);
    free(k->listed);
    free(k->images);
}

int check(command *c)
{
    checking k = {
        .command = c, .root = c->words[1], .out = stdout, .reading = look_decoding("", "")};
    struct stat info;
    if (command_sort_settings(c, 2) != 0)
        return SOME_FAILED;
    if (stat(k.root, &info) != 0 || !S_ISDIR(info.st_mode)) {
        fprintf(stderr, "%s: %s is no folder\n", c->program, k.root);
        return SOME_FAILED;
    }
    if (c->json && strcmp(c->json, "-") == 0)
        k.out = stderr;
    for (int kind = 0; kind < KINDS; ++kind)
        k.lists[kind] = json_array();
    int code = list_layout(&k);
    if (code == 0) {
        walk_folder(k.root, take, &k);
        look_at_all(&k);
        size_t unreadable = json_array_size(k.lists[UNREADABLE]);
        size_t others = json_array_size(k.lists[UNLISTED]) + json_array_size(k.lists[DOUBTFUL]);
        fprintf(k.out, "%zu images, %zu unreadable, %zu unlisted, %zu doubtful\n", k.count,
                unreadable, json_array_size(k.lists[UNLISTED]), json_array_size(k.lists[DOUBTFUL]));
        code = unreadable > 0 || k.count == 0 ? SOME_FAILED : others > 0 ? SOME_ANOMALOUS : ALL_OK;
        if (c->json && write_json(&k) != 0)
            code = SOME_FAILED;
    }
    checking_free(&k);
    return code;
}
