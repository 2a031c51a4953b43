/* Results: a store of finished cells in one file, what they add up to over seeds and categories,
 * and the figures that IM-IAD published to lay beside them. Guide: docs/results.md.
 *
 * A cell is one run of one detector on one category in one setting with one seed. Its key says what
 * was run; its values say what came out. A grid of runs asks before each cell whether it is
 * finished and puts it when it is: killed at any moment and started again, it goes on where it was.
 *
 *     imiad_results *results;
 *     imiad_results_open(&results, "results.sqlite");
 *     imiad_cell cell = IMIAD_CELL_INIT;
 *     imiad_results_describe(&cell, results, split, detector); -- setting "noisy", value
 * "ratio=0.1" cell.evaluation = "native"; cell.seed = 7; int finished;
 *     imiad_results_has(&finished, results, &cell);
 *     if (!finished) {
 *         ... fit, evaluate ...
 *         imiad_results_put(results, &cell, names, values, count);
 *     }
 *     imiad_results_free(results); */
#ifndef IMIAD_RESULTS_H
#define IMIAD_RESULTS_H

#include "imiad/common.h"
#include "imiad/detector.h"
#include "imiad/split.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One open file. Any number of processes may have the same file open and write to it at the same
 * time; they wait for each other. Not to be carried over a fork. */
typedef struct imiad_results imiad_results;

/* What was run, and how. Text that is NULL is taken as "". Spelling is the caller's but must not
 * vary: a cell is found again by the very same text. */
typedef struct imiad_cell {
    uint32_t struct_size;

    /* The key: two runs that agree in all of this are the same cell. */
    const char *setting;         /* imiad_split_setting: "unsupervised", "noisy" */
    const char *value;           /* the setting's own numbers, as NAME=VALUE words with one space
                                  * between: "ratio=0.1", "shots=4 augmentation=rotation"; "" */
    const char *dataset;         /* imiad_dataset_name */
    const char *dataset_digest;  /* imiad_dataset_digest */
    const char *category;        /* not "average", which is the name of the mean over categories */
    const char *detector;        /* imiad_detector_name */
    const imiad_option *options; /* every option of the detector, in any order. One named "seed"
                                  * tells cells apart, as the seed below does, but cells that
                                  * differ in nothing else are repetitions of one another. */
    size_t option_count;
    const char *backbone;       /* imiad_backbone_name; "" for a detector without one */
    const char *weights;        /* imiad_backbone_weights; part of the key where there is no digest:
                                 * cells with different random weights are repetitions too */
    const char *weights_digest; /* imiad_backbone_digest */
    const char *precision;      /* imiad_backbone_precision */
    const char *evaluation;     /* how it was measured, where that can be chosen: "native" */
    uint64_t seed;              /* of the run, its split and its detector; at most 2^63 - 1 */

    /* The circumstances: recorded, no part of the key. The versions of the library and of libtorch,
     * the number of threads and the time of putting are recorded without being asked. */
    const char *dataset_root;
    const imiad_option *dataset_options;
    size_t dataset_option_count;
    const char *device;        /* imiad_backbone_device */
    const char *machine;       /* the processor or GPU; NULL: this machine's processor */
    const char *command;       /* what to type to run the cell again */
    const imiad_option *facts; /* anything else worth keeping */
    size_t fact_count;

    /* What to look at beside the values: scores of single images, curves, pictures. Recorded, no
     * part of the key, in no export; docs/results.md lists what reports show. UTF-8, each name
     * once. With its first one the file becomes one of version 3, which libraries that do not know
     * evidence refuse. */
    const imiad_option *evidence;
    size_t evidence_count;
} imiad_cell;
#define IMIAD_CELL_INIT                                                                            \
    {                                                                                              \
        sizeof(imiad_cell), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/* Opens a store, and makes the file (and its folder) where there is none. `path` is a file on a
 * disk of this machine, or on a network file system whose locks work. Errors: IMIAD_FORMAT (a
 * damaged file, or one that is something else), IMIAD_UNSUPPORTED (written by a newer library),
 * IMIAD_IO, each with the file's name. */
IMIAD_API imiad_status imiad_results_open(imiad_results **out, const char *path);
/* The same for a store that exists, to read from it only. Errors: IMIAD_NOT_FOUND as well. */
IMIAD_API imiad_status imiad_results_open_to_read(imiad_results **out, const char *path);
IMIAD_API void imiad_results_free(imiad_results *results);

/* Fills in what a split and a detector know of a cell: all but evaluation, seed, machine, command
 * and facts, which keep what they are. `value` becomes the setting's first option and those that
 * differ from their defaults, without the seed. The text is borrowed from the arguments; what they
 * do not hold themselves is the store's until it is freed or asked to describe again. The detector
 * need not be fitted. */
IMIAD_API imiad_status imiad_results_describe(imiad_cell *cell, imiad_results *results,
                                              const imiad_split *split,
                                              const imiad_detector *detector);

/* 1 where the cell is in the store, else 0. */
IMIAD_API imiad_status imiad_results_has(int *out, const imiad_results *results,
                                         const imiad_cell *cell);

/* Puts a finished cell with its named values, in place of what the store had for its key: all of it
 * or nothing, whatever happens to the process or the machine; when this returns it is on the disk.
 * A value that does not exist (IMIAD_UNDEFINED) is NAN. Names are the caller's; docs/results.md
 * lists those of the metrics. Names of costs, which vary between runs, end in _seconds, _per_second
 * or _bytes. Errors: IMIAD_INVALID_ARGUMENT (no setting, dataset, category or detector; a name, of
 * a value or of evidence, that is empty or comes twice), IMIAD_NOT_FINITE (an infinity), IMIAD_IO
 * (among others: another process held the file for a minute). */
IMIAD_API imiad_status imiad_results_put(imiad_results *results, const imiad_cell *cell,
                                         const char *const *names, const double *values,
                                         size_t count);

/* Which cells: those whose text equals; NULL admits all. */
typedef struct imiad_results_filter {
    uint32_t struct_size;
    const char *setting, *value, *dataset, *category, *detector, *backbone;
} imiad_results_filter;
#define IMIAD_RESULTS_FILTER_INIT                                                                  \
    {                                                                                              \
        sizeof(imiad_results_filter), 0, 0, 0, 0, 0, 0                                             \
    }

/* A finished cell. All of it is borrowed for the duration of the call that shows it. */
typedef struct imiad_finished {
    uint32_t struct_size;
    const imiad_cell *cell; /* options in bytewise order of their names */
    const char *library_version, *torch_version;
    const char *time; /* of putting, UTC: "2024-05-01T12:00:00Z" */
    int32_t threads;
    const char *const *names; /* of the values, in bytewise order */
    const double *values;     /* NAN where one does not exist */
    size_t count;
} imiad_finished;

/* A status other than IMIAD_OK stops the walk and is returned by it. The function must not put. */
typedef imiad_status (*imiad_finished_function)(void *user, const imiad_finished *finished);

/* Shows the one finished cell that the key names. Errors: IMIAD_NOT_FOUND. */
IMIAD_API imiad_status imiad_results_show(const imiad_results *results, const imiad_cell *cell,
                                          imiad_finished_function function, void *user);

/* Shows the finished cells by setting, value, dataset, detector, options, seed and category; those
 * that are there when the walk begins. filter may be NULL. */
IMIAD_API imiad_status imiad_results_each(const imiad_results *results,
                                          const imiad_results_filter *filter,
                                          imiad_finished_function function, void *user);

/* Puts why a cell failed, in place of what the store had of an earlier failure of its key, as
 * safely as a finished cell. It is no result: none of the functions above or below that show or
 * summarise cells sees it. imiad_results_put takes it away once the cell has finished. `message` is
 * UTF-8. With its first failure the file becomes one of version 2 (docs/results.md), which
 * libraries that do not know failures refuse. Errors: those of imiad_results_put; IMIAD_WRONG_STATE
 * where the cell is finished. */
IMIAD_API imiad_status imiad_results_put_failure(imiad_results *results, const imiad_cell *cell,
                                                 const char *message);

/* A cell that failed. All of it is borrowed for the duration of the call that shows it. */
typedef struct imiad_failed {
    uint32_t struct_size;
    const imiad_cell *cell; /* options in bytewise order of their names */
    const char *library_version, *torch_version;
    const char *time; /* of putting, UTC: "2024-05-01T12:00:00Z" */
    int32_t threads;
    const char *message;
} imiad_failed;
/* As imiad_finished_function. */
typedef imiad_status (*imiad_failed_function)(void *user, const imiad_failed *failed);

/* Shows the failure of the cell that the key names. Errors: IMIAD_NOT_FOUND. */
IMIAD_API imiad_status imiad_results_show_failure(const imiad_results *results,
                                                  const imiad_cell *cell,
                                                  imiad_failed_function function, void *user);
/* Shows the failures in the order of imiad_results_each. filter may be NULL. */
IMIAD_API imiad_status imiad_results_each_failure(const imiad_results *results,
                                                  const imiad_results_filter *filter,
                                                  imiad_failed_function function, void *user);

/* Two stores have the same cell with values that differ: `name` is the first of them that is no
 * cost, `path` the store that brings it. The store keeps `kept` where the function returns
 * IMIAD_OK; any other status ends the merge and is returned by it. The function must not use the
 * store. */
typedef imiad_status (*imiad_conflict_function)(void *user, const imiad_finished *kept,
                                                const imiad_finished *brought, const char *path,
                                                const char *name);

/* Adds the cells and failures of the stores at `paths`, in that order, all of them or, after any
 * error, none. A cell that is there already stays as it is: costs and evidence may differ, other
 * values are a conflict. A failure is left out where the cell is finished or has failed already.
 * Time, versions and number of threads come along. Errors: IMIAD_MISMATCH for a conflict where
 * `conflict` is NULL, with the cell, the value and both numbers; those of opening and putting. */
IMIAD_API imiad_status imiad_results_merge(imiad_results *results, const char *const *paths,
                                           size_t count, imiad_conflict_function conflict,
                                           void *user);

/* What the repetitions of a cell came to, one value of it. Borrowed as above. */
typedef struct imiad_summary {
    uint32_t struct_size;
    const imiad_cell *cell; /* the first of them: seed and circumstances are that one's. Category
                             * "average": the mean over categories, run by run */
    const char *name;       /* of the value */
    double mean;            /* NAN where no run has the value */
    double deviation;       /* sample standard deviation over runs; NAN for fewer than two */
    int64_t runs;           /* that have the value */
    int64_t undefined;  /* values left out because they do not exist: of runs, or, in an average,
                         * of their categories */
    int64_t categories; /* averaged over: those that any run has; 1 otherwise */
    int64_t incomplete; /* runs left out of an average because they lack a category so far */
} imiad_summary;
typedef imiad_status (*imiad_summary_function)(void *user, const imiad_summary *summary);

/* Shows means and deviations over repetitions: for each configuration its categories in bytewise
 * order, then "average". A category filter chooses among these and does not change the average. */
IMIAD_API imiad_status imiad_results_summarize(const imiad_results *results,
                                               const imiad_results_filter *filter,
                                               imiad_summary_function function, void *user);

/* Files for other programs, written whole or not at all; numbers with all their digits, a value
 * that does not exist as an empty field, in JSON as null. docs/results.md describes the columns.
 *   csv: a line for each value of each cell
 *   json: an array of cells with all that is known of each
 *   summary: a line for each summary
 *   points: a line for each configuration and category with the means of the named values side by
 *     side: curves over "number", the first number in `value`, and scatter plots */
IMIAD_API imiad_status imiad_results_write_csv(const imiad_results *results,
                                               const imiad_results_filter *filter,
                                               const char *path);
IMIAD_API imiad_status imiad_results_write_json(const imiad_results *results,
                                                const imiad_results_filter *filter,
                                                const char *path);
IMIAD_API imiad_status imiad_results_write_summary(const imiad_results *results,
                                                   const imiad_results_filter *filter,
                                                   const char *path);
IMIAD_API imiad_status imiad_results_write_points(const imiad_results *results,
                                                  const imiad_results_filter *filter,
                                                  const char *const *names, size_t count,
                                                  const char *path);

/* How far a published figure can be trusted; larger is worse. */
typedef enum imiad_mark {
    IMIAD_MARK_NONE = 0,      /* nothing is known against it */
    IMIAD_MARK_TREND = 10,    /* made under other conditions than stated: compare trends only */
    IMIAD_MARK_CATEGORY = 20, /* belongs to another category of the same data set */
    IMIAD_MARK_DOUBTFUL = 30, /* contradicts other figures, or is improbable */
    IMIAD_MARK_WRONG = 40     /* a placeholder, a copy of another row, or impossible */
} imiad_mark;
/* "", "trend", "category", "doubtful", "wrong". Static text. */
IMIAD_API const char *imiad_mark_name(imiad_mark mark);

/* One figure of the IM-IAD results tables. All text is static. */
typedef struct imiad_published {
    uint32_t struct_size;
    const char *source;   /* "results tables" (README of M-3LAB/IM-IAD), "paper, table VIII"
                           * (arXiv 2301.13359) */
    const char *setting;  /* in this library's words, as those of a cell */
    const char *value;    /* likewise: "ratio=0.1" */
    const char *dataset;  /* likewise: "mvtec_ad" */
    const char *category; /* "average": as printed, over all categories of the data set */
    const char *method;   /* as printed: "PatchCore" */
    const char *detector; /* this library's name of it: "patchcore"; "" for a variant of one */
    const char *metric;   /* the name of a value: "image_auroc" */
    double figure;
    imiad_mark mark;
    const char *reason; /* why it is marked; "" */
    int32_t categories; /* that the table has, without the average */
} imiad_published;
#define IMIAD_PUBLISHED_INIT                                                                       \
    {                                                                                              \
        sizeof(imiad_published), 0, 0, 0, 0, 0, 0, 0, 0, 0, (imiad_mark)0, 0, 0                    \
    }

IMIAD_API size_t imiad_published_count(void);
/* Errors: IMIAD_OUT_OF_RANGE past the end. */
IMIAD_API imiad_status imiad_published_get(imiad_published *out, size_t index);

/* The figure for a summary or a cell; of several the one with the lowest mark, then the first.
 * `detector` may also be a method as printed. Of `value`, the words whose names the published
 * figures of the setting know must agree; a word that is missing, or says "none", is the same.
 * Where "together" says something, nothing was published; other words do not count. Errors:
 * IMIAD_NOT_FOUND. */
IMIAD_API imiad_status imiad_published_find(imiad_published *out, const char *setting,
                                            const char *value, const char *dataset,
                                            const char *category, const char *detector,
                                            const char *metric);

#ifdef __cplusplus
}
#endif
#endif
