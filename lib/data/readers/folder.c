/* Any tree of folders, described by patterns relative to its root:
 *   - `*` stands for any text within one name; {category} and {kind} too, and are remembered;
 *   - {stem} does the same, and is otherwise the image's name without its extension;
 *   - in `masks` the remembered texts are put back, and every file that then fits is a mask;
 *   - only image files count, an extension fits in any case, and several patterns are separated
 *     by `;`;
 *   - an image that an earlier option lists (train, validation, test_good, test_defective) is not
 *     listed again by a later one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arrays.h"
#include "base/error.h"
#include "data/dataset.h"

static const option_spec folder_options[] = {
    {"train", OPT_TEXT, "train/good/*", "", "good images that train"},
    {"validation", OPT_TEXT, "", "", "good images kept apart from training and test"},
    {"test_good", OPT_TEXT, "test/good/*", "", "good images that test"},
    {"test_defective", OPT_TEXT, "test/{kind}/*", "", "defective images that test"},
    {"train_defective", OPT_TEXT, "", "", "defective images that may train with their labels"},
    {"masks", OPT_TEXT, "", "",
     "ground truth of defective images, such as \"masks/{kind}/{stem}.png\""},
    {"category", OPT_TEXT, "all", "", "the category's name where no pattern has {category}"},
    {"missing_mask", OPT_CHOICE, "skip", "error|skip|empty",
     "a defective image without mask: fail when the mask is read, count in no pixel metric, or "
     "count as all good"},
    {0},
};

/* ---- patterns ---- */

enum { NAME_BYTES = 256 };

enum { CATEGORY, KIND, STEM, PLACEHOLDERS };
static const char *const placeholders[PLACEHOLDERS] = {"{category}", "{kind}", "{stem}"};

/* What the placeholders stand for; "" is not known yet. */
typedef struct captures {
    char text[PLACEHOLDERS][NAME_BYTES];
} captures;

static int placeholder_at(const char *pattern)
{
    for (int i = 0; i < PLACEHOLDERS; ++i)
        if (strncmp(pattern, placeholders[i], strlen(placeholders[i])) == 0)
            return i;
    return -1;
}

static bool fits(const char *pattern, const char *end, const char *name, captures *c);

/* A placeholder with the text that it already has, or with every text that it could have, the
 * longest first. */
static bool fits_placeholder(int which, const char *rest, const char *end, const char *name,
                             captures *c)
{
    char *text = c->text[which];
    size_t known = strlen(text);
    if (known > 0)
        return strncmp(name, text, known) == 0 && fits(rest, end, name + known, c);
    for (size_t length = strlen(name); length > 0; --length) {
        if (length >= NAME_BYTES)
            continue;
        memcpy(text, name, length);
        text[length] = '\0';
        if (fits(rest, end, name + length, c))
            return true;
    }
    text[0] = '\0';
    return false;
}

/* Whether the name fits the pattern's part up to `end`; remembers what the placeholders took. */
static bool fits(const char *pattern, const char *end, const char *name, captures *c)
{
    if (pattern == end)
        return *name == '\0';
    if (*pattern == '*') {
        for (const char *rest = name + strlen(name); rest >= name; --rest)
            if (fits(pattern + 1, end, rest, c))
                return true;
        return false;
    }
    int which = placeholder_at(pattern);
    if (which >= 0)
        return fits_placeholder(which, pattern + strlen(placeholders[which]), end, name, c);
    return *pattern == *name && fits(pattern + 1, end, name + 1, c);
}

/* The same for file names, whose extension fits in any case. */
static bool file_fits(const char *pattern, const char *name, captures *c)
{
    const char *dot = strrchr(pattern, '.');
    if (!is_image_name(name))
        return false;
    if (!dot || strpbrk(dot, "*{"))
        return fits(pattern, pattern + strlen(pattern), name, c);
    char stem[NAME_BYTES];
    size_t length = stem_length(name);
    if (length >= sizeof stem || strcasecmp(name + length, dot) != 0)
        return false;
    memcpy(stem, name, length);
    stem[length] = '\0';
    return fits(pattern, dot, stem, c);
}

/* ---- walking ---- */

/* Called for every image file that fits, with its path below the root. */
typedef struct visitor {
    imiad_status (*visit)(struct visitor *v, const char *path, const captures *c);
    imiad_dataset *dataset;
} visitor;

static imiad_status walk(visitor *v, const char *path, const char *pattern, const captures *known);

static imiad_status enter(visitor *v, const char *path, const char *name, const char *pattern,
                          const char *slash, captures *c)
{
    char *below;
    if (asprintf(&below, "%s%s%s", path, *path ? "/" : "", name) < 0)
        return fail_memory("a path", strlen(path));
    imiad_status status = slash ? walk(v, below, slash + 1, c) : v->visit(v, below, c);
    free(below);
    return status;
}

/* The names in root/path against the pattern's first part, and below them the rest. A path that is
 * no folder fits nothing. */
static imiad_status walk(visitor *v, const char *path, const char *pattern, const captures *known)
{
    char *whole = path_join(v->dataset->root, path);
    if (!whole)
        return fail_memory("a path", strlen(path));
    name_list names = {NULL, 0};
    imiad_status status = folder_exists(whole) ? folder_list(&names, whole) : IMIAD_OK;
    free(whole);
    const char *slash = strchr(pattern, '/');
    for (size_t i = 0; status == IMIAD_OK && i < names.count; ++i) {
        captures c = *known;
        if (slash ? fits(pattern, slash, names.names[i], &c)
                  : file_fits(pattern, names.names[i], &c))
            status = enter(v, path, names.names[i], pattern, slash, &c);
    }
    name_list_free(&names);
    return status;
}

/* A pattern stays below the root, and its braces hold what there is. */
static imiad_status check_pattern(const char *option, const char *pattern)
{
    if (*pattern == '/' || strcmp(pattern, "..") == 0 || strncmp(pattern, "../", 3) == 0 ||
        strstr(pattern, "/../"))
        return fail(IMIAD_OUT_OF_RANGE,
                    "dataset folder: option %s is \"%s\", which leads out of the root", option,
                    pattern);
    for (const char *brace = pattern; (brace = strchr(brace, '{')); ++brace)
        if (strchr(brace, '}') && placeholder_at(brace) < 0)
            return fail(IMIAD_OUT_OF_RANGE,
                        "dataset folder: option %s is \"%s\": %.*s is none of {category}, {kind} "
                        "and {stem}",
                        option, pattern, (int)(strchr(brace, '}') + 1 - brace), brace);
    return IMIAD_OK;
}

/* Every pattern of an option in turn; they are separated by semicolons. */
static imiad_status walk_option(visitor *v, const char *option, const captures *known)
{
    char *patterns = strdup(options_text(v->dataset->options, option));
    if (!patterns)
        return fail_memory("a pattern", 1);
    imiad_status status = IMIAD_OK;
    char *rest = patterns;
    for (char *pattern; status == IMIAD_OK && (pattern = strsep(&rest, ";"));) {
        status = check_pattern(option, pattern);
        if (status == IMIAD_OK && *pattern)
            status = walk(v, "", pattern, known);
    }
    free(patterns);
    return status;
}

/* ---- masks ---- */

typedef struct mask_search {
    visitor visitor;
    const char *found[256];
    size_t count;
} mask_search;

static imiad_status take_mask(visitor *v, const char *path, const captures *c)
{
    mask_search *m = (mask_search *)v;
    if (m->count == sizeof m->found / sizeof *m->found)
        return fail(IMIAD_FORMAT, "dataset folder: more than %zu masks for one image, such as %s",
                    m->count, path);
    m->found[m->count] = dataset_text(v->dataset, "%s", path);
    return m->found[m->count++] ? IMIAD_OK : IMIAD_NO_MEMORY;
}

static imiad_status find_masks(imiad_dataset *dataset, sample *s, const captures *c)
{
    captures known = *c;
    if (!known.text[STEM][0]) {
        const char *name = base_name(s->path);
        snprintf(known.text[STEM], NAME_BYTES, "%.*s", (int)stem_length(name), name);
    }
    mask_search m = {.visitor = {take_mask, dataset}};
    TRY(walk_option(&m.visitor, "masks", &known));
    const char *patterns = options_text(dataset->options, "masks");
    s->mask_expected = *patterns ? dataset_text(dataset, "file that fits %s", patterns) : NULL;
    if (*patterns && !s->mask_expected)
        return IMIAD_NO_MEMORY;
    const char **paths = dataset_memory(dataset, (m.count + 1) * sizeof *paths);
    if (!paths)
        return IMIAD_NO_MEMORY;
    if (m.count > 0)
        memcpy(paths, m.found, m.count * sizeof *paths);
    s->mask_paths = paths;
    s->mask_count = m.count;
    return IMIAD_OK;
}

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
    size_t position; /* in the order of finding */
} found_image;

typedef struct finding {
    visitor visitor;
    size_t option;
    found_image *images;
    size_t count, room;
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
    imiad_dataset *dataset = v->dataset;
    int32_t label = listed[f->option].label;
    found_image image = {
        .sample = {.subset = listed[f->option].subset,
                   .label = label,
                   .kind = label ? captured(dataset, c, KIND, "defective") : "good",
                   .path = dataset_text(dataset, "%s", path)},
        .category = captured(dataset, c, CATEGORY, options_text(dataset->options, "category")),
        .position = f->count};
    if (!image.sample.kind || !image.sample.path || !image.category)
        return IMIAD_NO_MEMORY;
    TRY(array_reserve(&f->images, f->count, &f->room, sizeof *f->images, "a dataset's samples"));
    if (label)
        TRY(find_masks(dataset, &image.sample, c));
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

static imiad_status fail_empty(const imiad_dataset *dataset)
{
    const option_set *o = dataset->options;
    return fail(IMIAD_NOT_FOUND,
                "dataset folder: no image below %s fits train=%s, test_good=%s or "
                "test_defective=%s; these options describe where images lie",
                dataset->root, options_text(o, "train"), options_text(o, "test_good"),
                options_text(o, "test_defective"));
}

static imiad_status list(imiad_dataset *dataset)
{
    finding f = {.visitor = {take_image, dataset}};
    captures nothing = {0};
    imiad_status status = IMIAD_OK;
    for (f.option = 0; status == IMIAD_OK && f.option < LISTED; ++f.option)
        status = walk_option(&f.visitor, listed[f.option].option, &nothing);
    drop_doubles(&f);
    if (status == IMIAD_OK && f.count == 0)
        status = fail_empty(dataset);
    if (status == IMIAD_OK)
        status = set_categories(dataset, &f);
    if (status == IMIAD_OK)
        status = add_found(dataset, &f);
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
