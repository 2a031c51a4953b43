/* A plan: what a benchmark runs, read from a JSON file. docs/benchmark.md describes the file. */
#ifndef BENCHMARK_PLAN_H
#define BENCHMARK_PLAN_H

#include "arguments.h"
#include "benchmark/settings.h"

enum {
    MOST_DATASETS = 32,
    MOST_DETECTORS = 128,
    MOST_PARTS = 64,
    MOST_VARIED = 8,
    MOST_SEEDS = 100,
    MOST_PLACES = 64
};

typedef struct plan_options {
    imiad_option list[MOST_SETTINGS];
    size_t count;
} plan_options;

typedef struct plan_dataset {
    const char *name, *type; /* in the plan; registered */
    char *root;              /* NULL where nobody said */
    plan_options options;
    const char *categories[MOST_CATEGORIES];
    size_t category_count; /* 0: all that there are */
} plan_dataset;

typedef struct plan_detector {
    const char *name, *type;
    const char *backbone, *precision; /* precision NULL: the library's default */
    char *weights;                    /* a file, "default", "random"; NULL where nobody said */
    plan_options options;
} plan_detector;

/* An option of a setting and the values that it takes one after the other. */
typedef struct plan_varied {
    const char *name;
    const char *values[MOST_VALUES];
    size_t count;
} plan_varied;

/* One of the plan's settings: every choice of values, dataset, detector and seed is a cell for each
 * category. */
typedef struct plan_part {
    const plan_setting *setting;
    plan_varied options[MOST_VARIED];
    size_t option_count;
    size_t datasets[MOST_DATASETS], dataset_count;
    size_t detectors[MOST_DETECTORS], detector_count;
    const char *categories[MOST_CATEGORIES]; /* of all its datasets */
    size_t category_count;                   /* 0: those of the dataset */
    uint64_t seeds[MOST_SEEDS];
    size_t seed_count;
    const char *models; /* begins the names of folders for what is learned once; NULL: none */
} plan_part;

typedef struct plan {
    const char *path, *name;
    const char *device, *evaluate; /* NULL: the programs' defaults */
    const char *compat[COMPATS];
    size_t compat_count;
    int pictures; /* kept for the report, of unsupervised cells with the first seed */
    plan_dataset datasets[MOST_DATASETS];
    size_t dataset_count;
    plan_detector detectors[MOST_DETECTORS];
    size_t detector_count;
    plan_part parts[MOST_PARTS];
    size_t part_count;
    json_t *document, *texts; /* what holds the text above */
    char *folder;             /* that relative paths in the plan start from, with a slash, or "" */
} plan;

/* Where things lie on this machine: --root NAME=PATH, --weights ARCHITECTURE=FILE. */
typedef struct places {
    const char *roots[MOST_PLACES], *weights[MOST_PLACES]; /* "NAME=PATH" */
    size_t root_count, weight_count;
    const char *device; /* NULL: the plan's */
} places;

/* Reads and checks the file. Returns NULL with a message on standard error that names the file and
 * the place in it. Freed with plan_free. */
plan *plan_read(const char *program, const char *path, const places *here);
void plan_free(plan *p);

#endif
