/* What the example programs share: options, a progress line, tables, JSON. Made of nothing but the
 * public interface: copy from it what you need. */
#ifndef EXAMPLES_ARGUMENTS_H
#define EXAMPLES_ARGUMENTS_H

#include <imiad/imiad.h>
#include <jansson.h>
#include <stdio.h>

enum { MOST_CATEGORIES = 64, MOST_SETTINGS = 64, MOST_VALUES = 32 };

/* What --compat takes. */
enum { BINARISE_MAPS, MASK_GEOMETRY, AUPRO_SAMPLED, LOCO_AUC_ORDER, COMPATS };

/* An option that only this program has, such as --ratio. */
typedef struct own_option {
    const char *name, *argument, *help; /* argument NULL: it has none, and is given or not */
    const char *values[MOST_VALUES];    /* as given, or the defaults put here before */
    size_t count;
    int once;  /* the last one given counts; otherwise repeatable */
    int given; /* the defaults are gone */
} own_option;

/* The command line. */
typedef struct arguments {
    const char *program;
    const char *dataset, *root, *detector, *backbone, *weights, *device, *precision, *evaluate,
        *json, *maps, *save, *results, *of;
    const char *categories[MOST_CATEGORIES];
    size_t category_count;
    imiad_option settings[MOST_SETTINGS]; /* --set of the detector */
    size_t setting_count;
    imiad_option dataset_settings[MOST_SETTINGS]; /* --set-dataset */
    size_t dataset_setting_count;
    imiad_option split_settings[MOST_SETTINGS]; /* --set-split */
    size_t split_setting_count;
    FILE *json_stream; /* --json -: what standard output was; tables go to standard error then */
    char *command;     /* as it was typed, for the record; experiment_close frees it */
    uint64_t seed;
    int repeats, threads;
    int keep_pictures; /* for the report, in the store of --results */
    int list_detectors;
    imiad_evaluation_options evaluation;
    int compat[COMPATS];       /* measure as the IM-IAD code does, in this respect */
    char evaluation_text[128]; /* all of it in words: part of a result's key */
    own_option *own;
    size_t own_count;
} arguments;

/* Reads the command line; listings and help are printed here. Returns 1 to go on, 0 when all is
 * done, -1 after a mistake. `about` is one paragraph for --help; `own`, of own_count, may be NULL.
 * Where it returns 1, the command is to be freed. */
int arguments_read(arguments *a, int argc, char **argv, const char *about, own_option *own,
                   size_t own_count);

/* What --evaluate and --compat do with a value. Returns 1, or -1 with a message printed. */
int arguments_take_evaluation(arguments *a, const char *value);
int arguments_take_compat(arguments *a, const char *value);

/* Whether a detector, dataset or setting has an option of that name. */
typedef imiad_status (*option_schema)(imiad_option_info *out, const char *owner, size_t index);
int option_known(option_schema of, const char *owner, const char *name);

/* A number for a record; null for NAN. */
json_t *number_record(double value);

/* Once the dataset is open: what --evaluate is when nobody said, and the words for it. */
void arguments_settle_evaluation(arguments *a, const char *otherwise);

/* Before hours of work: that --json, --maps and --save can be written. Returns 0, or 1 with a
 * message printed. */
int arguments_check_outputs(const arguments *a);

/* "program: message", from imiad_last_error when the status says so. Returns 1, for main. */
int arguments_fail(const arguments *a, const char *doing);

/* Opens what the command line names. */
imiad_status arguments_dataset(imiad_dataset **out, const arguments *a);
imiad_status arguments_backbone(imiad_backbone **out, const arguments *a);
imiad_status arguments_detector(imiad_detector **out, const arguments *a, imiad_backbone *backbone,
                                uint64_t seed);
/* A split with the options of --set-split, one more where `name` is not NULL, and the seed. */
imiad_status arguments_split(imiad_split **out, const arguments *a, const imiad_dataset *dataset,
                             const char *category, const char *setting, const char *name,
                             const char *value, uint64_t seed);
/* The categories asked for, or all. */
size_t arguments_category_count(const arguments *a, const imiad_dataset *dataset);
const char *arguments_category(const arguments *a, const imiad_dataset *dataset, size_t index);

/* A progress function: a bar on a terminal, a line a quarter elsewhere. user: a progress_line. */
typedef struct progress_line {
    const char *title; /* the category */
    const char *stage;
    int64_t quarter;
} progress_line;
int progress_line_show(void *user, const imiad_progress *p);

/* Facts of the run for the record: version, options, seed, digests, device, threads. */
json_t *arguments_facts(const arguments *a, const char *setting, const imiad_dataset *dataset,
                        const imiad_backbone *backbone, const imiad_detector *detector);
/* Writes the document, whole or not at all; "-" is standard output. */
imiad_status arguments_write_json(const arguments *a, json_t *document);

/* Peak resident memory of this process in bytes. */
int64_t peak_memory(void);

#endif
