/* What a store holds, as a report reads it: configurations, their categories, their cells. Texts
 * are kept once, so that equal ones are the same pointer within one report. */
#ifndef REPORT_GATHER_H
#define REPORT_GATHER_H

#include <stdbool.h>

#include "imiad/results.h"
#include "report/evidence.h"
#include "report/kept.h"

/* A value over repetitions; see imiad_summary. */
typedef struct report_value {
    const char *name;
    double mean, deviation;
    int64_t runs, undefined, categories, incomplete;
} report_value;

/* One finished cell. */
typedef struct report_cell {
    imiad_cell cell;
    const char *library_version, *torch_version, *time;
    int32_t threads;
    const char **names;
    double *values;
    size_t count;
    cell_evidence evidence;
} report_cell;

/* A cell that failed. */
typedef struct report_failure {
    imiad_cell cell;
    const char *message;
} report_failure;

/* A configuration on one category with all its repetitions, or its average over categories. */
typedef struct report_group {
    const char *category; /* "average" */
    bool average;
    report_value *values;
    size_t count, room;
    report_cell **cells; /* by seed; none of an average */
    size_t cell_count, cell_room;
} report_group;

/* Everything of a key but category and seed. */
typedef struct report_configuration {
    int64_t family;
    imiad_cell cell;         /* the first one's; its options are all of them */
    const char *paper_value; /* which published value that is, without words that were never
                              * published; NULL: none */
    const char *changed;     /* options that differ from their defaults, as words */
    size_t changed_count;
    const char *categories; /* the names of those that it has, one text */
    report_group *groups;   /* categories in bytewise order, then the average */
    size_t count, room;
} report_configuration;

typedef struct report_data {
    kept kept;
    report_configuration *configurations; /* by setting, value, dataset, detector, options */
    size_t count, room;
    size_t cell_count, image_count; /* of images with a score in the first cells of their groups */
    size_t picture_bytes, pictures_left_out; /* of the page so far */
    report_failure *failures;
    size_t failure_count, failure_room;
    const char *first_time, *last_time; /* of putting; NULL for an empty store */
} report_data;

imiad_status report_gather(report_data *out, const imiad_results *results,
                           const imiad_results_filter *filter);
void report_data_free(report_data *data);

/* Whether no configuration before it is of its dataset. */
bool report_begins_dataset(const report_data *data, size_t configuration);

const report_group *report_average(const report_configuration *c);
const report_group *report_category(const report_configuration *c, const char *category);
/* NULL where the group has no such value. */
const report_value *report_value_of(const report_group *group, const char *name);

/* The text behind NAME among the options, or NULL. */
const char *report_option(const report_configuration *c, const char *name);

#endif
