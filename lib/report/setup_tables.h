/* The paper's tables III and V filled: what the datasets hold and what the methods are given, ours
 * beside the paper's. */
#ifndef REPORT_SETUP_TABLES_H
#define REPORT_SETUP_TABLES_H

#include "report/gather.h"

/* Whose figure it is. */
typedef enum setup_kind {
    SETUP_OURS,      /* counted in what ran; the detector's default */
    SETUP_PUBLISHED, /* printed in the paper */
    SETUP_HERE,      /* what the store has, where it is something else; of table V */
    SETUP_KINDS
} setup_kind;
enum { SETUP_COLUMNS = 6, SETUP_TABLES = 2 };

typedef struct setup_line {
    const char *label;
    const char *dataset, *detector;                /* what it is of; NULL */
    const char *texts[SETUP_COLUMNS][SETUP_KINDS]; /* NULL where there is none */
} setup_line;

typedef struct setup_table {
    const char *number, *title, *rule; /* rule: how to read it, in one sentence or two */
    const char *first;                 /* of what the lines are: "Dataset" */
    const char *kinds[SETUP_KINDS];    /* what a figure of the kind is called; NULL: none has it */
    const char *const *columns;
    size_t column_count;
    setup_line *lines; /* the report's kept memory */
    size_t line_count;
} setup_table;

/* Both tables. */
imiad_status setup_tables_fill(setup_table out[SETUP_TABLES], report_data *data);

#endif
