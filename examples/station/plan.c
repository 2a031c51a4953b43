#include "station/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"

/* ---- the folder ---- */

/* Patterns that were typed and that no file fits, each on its own: several are separated by
 * semicolons. */
static void warn_of_pattern(warnings *w, const char *root, const char *name, const char *patterns)
{
    char *copy = strdup(patterns), *rest = copy;
    for (char *pattern; rest && (pattern = strsep(&rest, ";"));) {
        const imiad_option alone[] = {{"train", pattern},
                                      {"test_good", ""},
                                      {"test_defective", ""},
                                      {"missing_mask", "skip"}};
        imiad_dataset *found;
        if (!*pattern || imiad_dataset_open(&found, "folder", root, alone, 4) == IMIAD_OK) {
            if (*pattern)
                imiad_dataset_free(found);
            continue;
        }
        warn(w, "pattern", "no file below %s fits %s=%s", root, name, pattern);
    }
    free(copy);
}

static void warn_of_patterns(warnings *w, const command *c)
{
    static const char *const names[] = {"train",          "validation",      "test_good",
                                        "test_defective", "train_defective", "masks"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        for (size_t k = 0; k < c->dataset.count; ++k)
            if (strcmp(c->dataset.list[k].name, names[i]) == 0)
                warn_of_pattern(w, c->words[1], names[i], c->dataset.list[k].value);
}

static int choose_category(plan *p, const command *c)
{
    size_t count = imiad_dataset_category_count(p->files);
    for (p->category = 0; p->category < count; ++p->category)
        if (c->category && strcmp(imiad_dataset_category(p->files, p->category), c->category) == 0)
            return 0;
    p->category = 0;
    if (count == 1 && !c->category)
        return 0;
    fprintf(stderr, "%s: --category takes one of", c->program);
    for (size_t i = 0; i < count; ++i)
        fprintf(stderr, "%s %s", i ? "," : "", imiad_dataset_category(p->files, i));
    fprintf(stderr, "\n");
    return SOME_FAILED;
}

/* ---- looking ---- */

static char *path_of(const plan *p, const imiad_sample *s)
{
    char *path;
    return asprintf(&path, "%s/%s", imiad_dataset_root(p->files), s->path) < 0 ? NULL : path;
}

static imiad_status look_at_sample(plan *p, size_t index, const imiad_sample *s)
{
    imiad_image *image;
    imiad_status status = imiad_dataset_read_deep_image(&image, p->files, index);
    if (status != IMIAD_OK)
        return status;
    char *path = path_of(p, s);
    status = look_at(&p->looks[index], image, path);
    free(path);
    imiad_image_free(image);
    return status;
}

static void look_at_all(plan *p)
{
    size_t count = imiad_dataset_sample_count(p->files);
    progress_line shown = {imiad_dataset_category(p->files, p->category), NULL, 0};
    for (size_t i = 0; i < count; ++i) {
        imiad_sample s = IMIAD_SAMPLE_INIT;
        const imiad_progress at = {sizeof at, "looking", (int64_t)i + 1, (int64_t)count};
        imiad_dataset_sample(&s, p->files, i);
        if ((size_t)s.category != p->category)
            continue;
        p->broken[i] = look_at_sample(p, i, &s) != IMIAD_OK;
        if (p->broken[i]) {
            fprintf(stderr, "unreadable: %s\n", imiad_last_error());
            ++p->broken_count;
        }
        progress_line_show(&shown, &at);
    }
}

/* ---- dividing ---- */

typedef struct drawn {
    uint64_t number;
    size_t sample;
} drawn;

static int compare_drawn(const void *a, const void *b)
{
    const drawn *x = a, *y = b;
    return x->number != y->number ? (x->number > y->number) - (x->number < y->number)
                                  : (x->sample > y->sample) - (x->sample < y->sample);
}

static int compare_indices(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* A number for a path that the seed makes: its order does not depend on the other images. */
static uint64_t draw_number(const char *path, uint64_t seed)
{
    uint64_t hash = 14695981039346656037u ^ seed * 0x9E3779B97F4A7C15u;
    for (; *path; ++path)
        hash = (hash ^ (unsigned char)*path) * 1099511628211u;
    hash = (hash ^ hash >> 31) * 0xBF58476D1CE4E5B9u;
    return hash ^ hash >> 29;
}

/* A share of the good images that would be learned, at least one. */
static int hold_out(plan *p, const command *c)
{
    drawn *order = malloc((p->learned.count + 1) * sizeof *order);
    if (!order)
        return -1;
    size_t good = 0, kept = 0;
    for (size_t i = 0; i < p->learned.count; ++i) {
        imiad_sample s = IMIAD_SAMPLE_INIT;
        imiad_dataset_sample(&s, p->files, p->learned.at[i]);
        if (s.label == 0)
            order[good++] = (drawn){draw_number(s.path, (uint64_t)c->seed), p->learned.at[i]};
        else
            p->learned.at[kept++] = p->learned.at[i];
    }
    qsort(order, good, sizeof *order, compare_drawn);
    size_t wanted = (size_t)(c->share * (double)good + 0.5);
    wanted = wanted < 1 ? 1 : wanted;
    for (size_t i = 0; i < good; ++i)
        if (i < wanted && good > 1)
            p->held_out.at[p->held_out.count++] = order[i].sample;
        else
            p->learned.at[kept++] = order[i].sample;
    p->learned.count = kept;
    qsort(p->learned.at, kept, sizeof *p->learned.at, compare_indices);
    qsort(p->held_out.at, p->held_out.count, sizeof *p->held_out.at, compare_indices);
    free(order);
    return 0;
}

static void divide(plan *p)
{
    for (size_t i = 0; i < imiad_dataset_sample_count(p->files); ++i) {
        imiad_sample s = IMIAD_SAMPLE_INIT;
        imiad_dataset_sample(&s, p->files, i);
        if ((size_t)s.category != p->category || p->broken[i])
            continue;
        index_list *list = s.subset == IMIAD_SUBSET_TRAIN        ? &p->learned
                           : s.subset == IMIAD_SUBSET_VALIDATION ? &p->held_out
                                                                 : &p->test;
        list->at[list->count++] = i;
    }
    p->official = p->held_out.count > 0;
}

/* ---- warnings ---- */

enum { FEW_HELD_OUT = 20, NAMED = 5 };

static const char *sample_path(const plan *p, size_t index)
{
    imiad_sample s = IMIAD_SAMPLE_INIT;
    imiad_dataset_sample(&s, p->files, index);
    return s.path;
}

/* The first few of what is doubtful for one reason, in one warning. */
static void warn_of_doubt(warnings *w, const plan *p, int bit)
{
    size_t count = 0, total = imiad_dataset_sample_count(p->files), used = 0;
    char names[1024] = "";
    for (size_t i = 0; i < total; ++i)
        if (p->looks[i].doubts & 1u << bit && count++ < NAMED)
            used += (size_t)snprintf(names + used, used < sizeof names ? sizeof names - used : 0,
                                     "%s%s", count > 1 ? ", " : "", sample_path(p, i));
    if (count > 0)
        warn(w, doubt_name(bit), "%zu images, of each of which %s: %s%s", count, doubt_words(bit),
             names, count > NAMED ? ", ..." : "");
}

/* Of a list, the images that are learned ones too, and those that are nearly so; the first pair of
 * each. */
typedef struct copies {
    size_t same, alike;
    char same_pair[1024], alike_pair[1024];
} copies;

static copies find_copies(const plan *p, const index_list *list, double near)
{
    copies found = {0};
    for (size_t i = 0; i < list->count; ++i) {
        const look *at = &p->looks[list->at[i]];
        for (size_t k = 0; k < p->learned.count; ++k) {
            const look *learned = &p->looks[p->learned.at[k]];
            bool equal = at->digest == learned->digest;
            if (!equal && look_difference(at, learned) >= near)
                continue;
            char *pair = equal ? found.same_pair : found.alike_pair;
            if ((equal ? found.same++ : found.alike++) == 0)
                snprintf(pair, sizeof found.same_pair, "%s and %s", sample_path(p, list->at[i]),
                         sample_path(p, p->learned.at[k]));
            break;
        }
    }
    return found;
}

static double near_limit(const plan *p)
{
    const look **looks = malloc((p->learned.count + 1) * sizeof *looks);
    for (size_t i = 0; looks && i < p->learned.count; ++i)
        looks[i] = &p->looks[p->learned.at[i]];
    double near = looks ? look_near_limit(looks, p->learned.count) : 0;
    free(looks);
    return near;
}

/* Images that copy learned ones, and what comes of it. */
static void warn_of_copies(warnings *w, const copies *c, size_t count, const char *same_code,
                           const char *alike_code, const char *images, const char *outcome)
{
    if (c->same > 0)
        warn(w, same_code, "%zu of the %zu %s are learned as well, such as %s: %s", c->same, count,
             images, c->same_pair, outcome);
    if (c->alike > 0)
        warn(w, alike_code, "%zu of the %zu %s are nearly the same as learned ones, such as %s: %s",
             c->alike, count, images, c->alike_pair, outcome);
}

static void warn_of_duplicates(warnings *w, const plan *p)
{
    double near = near_limit(p);
    copies held = find_copies(p, &p->held_out, near), test = find_copies(p, &p->test, near);
    warn_of_copies(w, &held, p->held_out.count, "duplicates", "near_duplicates",
                   "images that choose the threshold",
                   "the threshold will be too low; take one of each pair away");
    warn_of_copies(w, &test, p->test.count, "test_duplicates", "near_test_duplicates",
                   "test images", "the report will be too good");
}

/* Held out and test images unlike the learned ones in size or channels. */
static void mark_unlike(plan *p)
{
    for (size_t i = 0; i < p->learned.count; ++i)
        range_add(&p->range, &p->looks[p->learned.at[i]]);
    const index_list *others[] = {&p->held_out, &p->test};
    for (int l = 0; l < 2; ++l)
        for (size_t i = 0; i < others[l]->count; ++i) {
            look *at = &p->looks[others[l]->at[i]];
            at->doubts |= range_doubts(&p->range, at);
        }
}

static void warn_of_images(warnings *w, plan *p)
{
    mark_unlike(p);
    for (int bit = 0; bit < DOUBTS; ++bit)
        warn_of_doubt(w, p, bit);
    warn_of_duplicates(w, p);
    if (p->held_out.count < FEW_HELD_OUT)
        warn(w, "few_held_out",
             "the threshold comes from %zu images; with fewer than %d it is a guess",
             p->held_out.count, FEW_HELD_OUT);
}

/* ---- the plan ---- */

static int make_lists(plan *p)
{
    size_t count = imiad_dataset_sample_count(p->files) + 1;
    p->looks = calloc(count, sizeof *p->looks);
    p->broken = calloc(count, sizeof *p->broken);
    p->learned.at = calloc(count, sizeof *p->learned.at);
    p->held_out.at = calloc(count, sizeof *p->held_out.at);
    p->test.at = calloc(count, sizeof *p->test.at);
    return p->looks && p->broken && p->learned.at && p->held_out.at && p->test.at ? 0 : -1;
}

static int divide_what_was_found(plan *p, const command *c, warnings *w)
{
    if (make_lists(p) != 0) {
        fprintf(stderr, "%s: out of memory for the list of images\n", c->program);
        return SOME_FAILED;
    }
    look_at_all(p);
    if (p->broken_count > 0 && !c->skip_broken) {
        fprintf(stderr,
                "%s: %zu images cannot be read; take them away, or learn without them with "
                "--skip-broken\n",
                c->program, p->broken_count);
        return SOME_FAILED;
    }
    if (p->broken_count > 0)
        warn(w, "unreadable", "%zu images cannot be read and are left out", p->broken_count);
    divide(p);
    if (!p->official && hold_out(p, c) != 0)
        return SOME_FAILED;
    if (p->learned.count == 0 || p->held_out.count == 0) {
        fprintf(stderr,
                "%s: %zu images to learn and %zu to choose a threshold are too few: it takes two "
                "good images or more\n",
                c->program, p->learned.count, p->held_out.count);
        return SOME_FAILED;
    }
    warn_of_images(w, p);
    return 0;
}

int plan_make(plan *p, const command *c, warnings *w)
{
    *p = (plan){0};
    if (imiad_dataset_open(&p->files, "folder", c->words[1], c->dataset.list, c->dataset.count) !=
        IMIAD_OK)
        return command_fail(c, "learn");
    warn_of_patterns(w, c);
    int code = choose_category(p, c);
    return code ? code : divide_what_was_found(p, c, w);
}

void plan_free(plan *p)
{
    imiad_dataset_free(p->files);
    free(p->looks);
    free(p->broken);
    free(p->learned.at);
    free(p->held_out.at);
    free(p->test.at);
}
