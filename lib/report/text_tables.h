/* Tables whose figures are texts, ours beside the paper's: III, what the datasets hold; V, what the
 * methods are given; E, which is ours, what the detectors cost. */
#ifndef REPORT_TEXT_TABLES_H
#define REPORT_TEXT_TABLES_H

#include "report/gather.h"

/* Whose figure it is. */
typedef enum text_kind {
    TEXT_OURS,      /* counted or measured in what ran; the detector's default */
    TEXT_PUBLISHED, /* printed in the paper */
    TEXT_HERE,      /* what the store has, where it is something else; of table V */
    TEXT_KINDS
} text_kind;
enum { TEXT_COLUMNS = 7, TEXT_TABLES = 3 };

typedef struct text_line {
    const char *label, *detail; /* detail: what tells it from others of its label; NULL */
    const char *dataset, *detector, *note; /* what it is of, and what else there is to say; NULL */
    const report_configuration *configuration;   /* that it tells of; NULL */
    const char *texts[TEXT_COLUMNS][TEXT_KINDS]; /* NULL where there is none */
} text_line;

typedef struct text_table {
    const char *number, *title, *rule; /* rule: how to read it, in one sentence or two */
    const char *first;                 /* of what the lines are: "Dataset" */
    const char *kinds[TEXT_KINDS];     /* what a figure of the kind is called; NULL: none has it */
    bool of_store;                     /* ours is of the store, which may lack it */
    const char *const *columns;
    size_t column_count;
    const char *note_name; /* of the lines' notes; NULL: they have none */
    text_line *lines;      /* the report's kept memory */
    size_t line_count;
} text_table;

/* III and V, and E where there is anything in it. */
imiad_status text_tables_fill(text_table out[TEXT_TABLES], size_t *count, report_data *data);

/* efficiency_table.c */
imiad_status efficiency_table_fill(text_table *out, report_data *data);

#endif
