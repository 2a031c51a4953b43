/* What the paper's tables VI to XIII have in their rows and columns, as data. */
#ifndef REPORT_PAPER_TABLES_H
#define REPORT_PAPER_TABLES_H

#include <stddef.h>

/* What a line or a column says of the numbers in it; NULL where it says nothing. */
typedef struct table_key {
    const char *setting, *value, *dataset, *category, *method, *metric;
    const char *own_setting; /* where ours is found, if not where it was published */
    const char *neighbours;  /* that PatchCore's score must be weighted with */
} table_key;

typedef struct table_entry {
    const char *label;
    table_key key;
} table_entry;

typedef struct table_axis {
    const char *name; /* of what the entries are: "Method" */
    const table_entry *entries;
    size_t count;
} table_axis;

/* Among which numbers the best and the second are marked. */
typedef enum table_contest {
    CONTEST_LINE,   /* across the columns of a line */
    CONTEST_COLUMN, /* down a column, within one entry of the outer rows */
    CONTEST_INNER   /* down a column, among lines with the same entry of the inner rows */
} table_contest;

/* Rows are the entries of the inner axis within each of the outer one, columns likewise. An axis
 * without entries counts as one that says nothing. */
typedef struct paper_table {
    const char *number, *title;
    const char *source; /* what is printed there; NULL: nothing, the table is ours */
    table_key base;
    table_axis outer_rows, inner_rows, outer_columns, inner_columns;
    table_contest contest;
    int forgetting; /* "value / FM" */
} paper_table;

extern const paper_table paper_tables[];
extern const size_t paper_table_count;

#endif
