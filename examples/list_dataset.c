/* What a folder holds, as the library reads it: counts by category and kind of defect beside the
 * publisher's, missing masks, sizes, and every file that was left out with the reason.
 *   list_dataset [--sizes] DATASET [ROOT] [NAME=VALUE ...] */
#include <imiad/imiad.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checked.h"

enum { MOST_KINDS = 256, MOST_OPTIONS = 32 };

/* Warnings are few and told in full; of what was left out, the first ones. */
typedef struct log_counts {
    size_t left_out, shown;
} log_counts;

static void print_message(void *user, imiad_log_level level, const char *message)
{
    log_counts *counts = user;
    if (level >= IMIAD_LOG_WARNING) {
        fprintf(stderr, "warning: %s\n", message);
    } else if (++counts->left_out <= counts->shown) {
        fprintf(stderr, "%s\n", message);
    }
}

/* ---- counts ---- */

/* The official count beside the found one, marked where they differ. Returns whether they do. */
static int print_count(const char *what, size_t found, int known, size_t official)
{
    printf("  %-28s %6zu", what, found);
    if (known)
        printf("   official %6zu%s", official, found == official ? "" : " *");
    printf("\n");
    return known && found != official;
}

static const char *provenance(imiad_provenance p)
{
    return p == IMIAD_PROVENANCE_VERIFIED    ? "verified"
           : p == IMIAD_PROVENANCE_SECONDARY ? "counted by others"
                                             : "recalled from publications";
}

/* By subset where the publisher has a split; otherwise the totals are what can be compared. */
static int print_subsets(const imiad_category_info *i, const imiad_official_counts *o, int known)
{
    int split = known && o->has_split, differ = 0;
    differ += print_count("train good", i->train_good, split, o->train_good);
    if (i->train_defective || o->train_defective)
        differ += print_count("train defective", i->train_defective, split, o->train_defective);
    if (i->validation || o->validation)
        differ += print_count("validation", i->validation, split, o->validation);
    differ += print_count("test good", i->test_good, split, o->test_good);
    differ += print_count("test defective", i->test_defective, split, o->test_defective);
    if (!known || split)
        return differ;
    differ += print_count("good in all", i->train_good + i->validation + i->test_good, 1, o->good);
    return differ +
           print_count("defective in all", i->train_defective + i->test_defective, 1, o->defective);
}

/* ---- kinds and sizes ---- */

typedef struct contents {
    const char *kinds[MOST_KINDS];
    size_t counts[MOST_KINDS], kind_count;
    int32_t smallest[2], largest[2]; /* width, height; 0 before the first image */
    size_t unreadable;
} contents;

static void add_kind(contents *c, const char *kind)
{
    size_t k = 0;
    while (k < c->kind_count && strcmp(c->kinds[k], kind) != 0)
        ++k;
    if (k == MOST_KINDS)
        return;
    if (k == c->kind_count) {
        c->kinds[c->kind_count++] = kind;
        c->counts[k] = 0;
    }
    ++c->counts[k];
}

static void add_size(contents *c, const imiad_dataset *dataset, size_t index)
{
    int32_t size[2];
    if (imiad_dataset_image_size(&size[0], &size[1], dataset, index) != IMIAD_OK) {
        fprintf(stderr, "warning: %s\n", imiad_last_error());
        ++c->unreadable;
        return;
    }
    for (int i = 0; i < 2; ++i) {
        if (c->largest[i] == 0 || size[i] < c->smallest[i])
            c->smallest[i] = size[i];
        if (size[i] > c->largest[i])
            c->largest[i] = size[i];
    }
}

static void look(contents *c, const imiad_dataset *dataset, size_t category, int with_sizes)
{
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < imiad_dataset_sample_count(dataset); ++i) {
        imiad_sample s = IMIAD_SAMPLE_INIT;
        imiad_dataset_sample(&s, dataset, i);
        if ((size_t)s.category != category)
            continue;
        if (s.label == 1)
            add_kind(c, s.kind);
        if (with_sizes)
            add_size(c, dataset, i);
    }
}

static void print_sizes(const contents *c)
{
    if (c->largest[0] == 0)
        return;
    if (c->smallest[0] == c->largest[0] && c->smallest[1] == c->largest[1])
        printf("  %-28s %dx%d\n", "size", c->largest[0], c->largest[1]);
    else
        printf("  %-28s widths %d..%d, heights %d..%d\n", "sizes", c->smallest[0], c->largest[0],
               c->smallest[1], c->largest[1]);
}

static int print_kinds(const imiad_dataset *dataset, size_t category, const contents *c)
{
    int differ = 0;
    for (size_t k = 0; k < c->kind_count; ++k) {
        char name[64];
        size_t count = 0;
        snprintf(name, sizeof name, "  %s", c->kinds[k]);
        int counted =
            imiad_dataset_official_kind(&count, dataset, category, c->kinds[k]) == IMIAD_OK;
        differ += print_count(name, c->counts[k], counted, count);
    }
    return differ;
}

/* Returns how many counts differ from the official ones. */
static int print_category(const imiad_dataset *dataset, size_t category, int with_sizes)
{
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    imiad_official_counts official = IMIAD_OFFICIAL_COUNTS_INIT;
    imiad_dataset_category_info(&info, dataset, category);
    int known = imiad_dataset_official_counts(&official, dataset, category) == IMIAD_OK;
    contents c;
    look(&c, dataset, category, with_sizes);
    printf("%s (official counts: %s)\n", info.name,
           known ? provenance(official.provenance) : "none known");
    int differ = print_subsets(&info, &official, known);
    differ += print_kinds(dataset, category, &c);
    printf("  %-28s %6zu\n", "defective without mask", info.missing_masks);
    size_t defects = imiad_dataset_defect_count(dataset, category);
    if (defects > 0)
        printf("  %-28s %6zu\n", "described defects", defects);
    print_sizes(&c);
    if (c.unreadable > 0)
        printf("  %-28s %6zu\n", "images without a header", c.unreadable);
    return differ;
}

/* Official categories that are not there, unless only some were asked for. */
static void print_absent(const imiad_dataset *dataset)
{
    if (*imiad_dataset_option(dataset, "categories"))
        return;
    int absent = 0;
    for (size_t o = 0; imiad_dataset_official_category(dataset, o); ++o) {
        const char *name = imiad_dataset_official_category(dataset, o);
        size_t i = 0, count = imiad_dataset_category_count(dataset);
        while (i < count && strcmp(imiad_dataset_category(dataset, i), name) != 0)
            ++i;
        if (i == count)
            printf("%s %s", absent++ ? "," : "not here:", name);
    }
    if (absent)
        printf("\n");
}

/* ---- the command line ---- */

typedef struct command {
    const char *names[2]; /* dataset, root */
    imiad_option options[MOST_OPTIONS];
    size_t option_count;
    int with_sizes, all;
} command;

static const char usage[] =
    "Usage: %s [--sizes] [--all] DATASET [ROOT] [NAME=VALUE ...]\n\n"
    "Counts what a dataset's folder holds, as the library reads it, beside the publisher's counts, "
    "and names\nwhat was left out.\n\n"
    "  --sizes     read the header of every image\n"
    "  --all       name every file that was left out, not only the first 20\n"
    "  NAME=VALUE  an option of the dataset\n"
    "  --help, --version\n";

/* Returns 1 to go on, 0 when all is done, -1 after a mistake. */
static int read_command(command *c, int argc, char **argv)
{
    int named = 0;
    for (int i = 1; i < argc; ++i) {
        char *equals = strchr(argv[i], '=');
        if (strcmp(argv[i], "--help") == 0)
            return printf(usage, argv[0]), 0;
        if (strcmp(argv[i], "--version") == 0)
            return printf("libimiad %s\n", imiad_version()), 0;
        if (strcmp(argv[i], "--sizes") == 0) {
            c->with_sizes = 1;
        } else if (strcmp(argv[i], "--all") == 0) {
            c->all = 1;
        } else if (named >= 1 && equals && c->option_count < MOST_OPTIONS) {
            *equals = '\0';
            c->options[c->option_count++] = (imiad_option){argv[i], equals + 1};
        } else if (named < 2 && argv[i][0] != '-') {
            c->names[named++] = argv[i];
        } else {
            fprintf(stderr, "%s: what is \"%s\"?\n", argv[0], argv[i]);
            return -1;
        }
    }
    if (named == 0)
        fprintf(stderr, usage, argv[0]);
    return named > 0 ? 1 : -1;
}

int main(int argc, char **argv)
{
    command c = {{NULL, NULL}, {{NULL, NULL}}, 0, 0, 0};
    const char *slash = strrchr(argv[0], '/');
    argv[0] = slash ? argv[0] + (slash + 1 - argv[0]) : argv[0];
    int go_on = read_command(&c, argc, argv);
    if (go_on <= 0)
        return checked_stdout(argv[0], go_on < 0 ? 2 : 0, 1);
    log_counts log = {0, c.all ? (size_t)-1 : 20};
    imiad_set_log(print_message, &log);
    imiad_dataset *dataset = NULL;
    if (imiad_dataset_open(&dataset, c.names[0], c.names[1], c.options, c.option_count) !=
        IMIAD_OK) {
        fprintf(stderr, "%s: %s\n", argv[0], imiad_last_error());
        return 1;
    }
    int differ = 0;
    for (size_t i = 0; i < imiad_dataset_category_count(dataset); ++i)
        differ += print_category(dataset, i, c.with_sizes);
    print_absent(dataset);
    printf("%zu categories, %zu images, %zu files or folders left out, %d counts differ%s\n",
           imiad_dataset_category_count(dataset), imiad_dataset_sample_count(dataset), log.left_out,
           differ, differ ? " (*)" : "");
    imiad_dataset_free(dataset);
    return checked_stdout(argv[0], 0, 1);
}
