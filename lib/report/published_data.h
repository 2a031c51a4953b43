/* The published figures as constant tables. embed_published.py writes them at build time from
 * published.tsv, published_marks.tsv and printed.tsv. */
#ifndef REPORT_PUBLISHED_DATA_H
#define REPORT_PUBLISHED_DATA_H

#include <stdbool.h>

#include "imiad/results.h"

/* A line of a table: one metric of one method over the categories of a dataset. Texts are indices
 * into published_names. */
typedef struct published_row {
    uint16_t source, setting, value, dataset, method, metric, detector;
    uint16_t categories;   /* of the table, without the average */
    uint32_t first, count; /* of its figures */
} published_row;

enum { PUBLISHED_UNIT = 10000 };
typedef struct published_figure {
    uint16_t row, category; /* category: a name */
    int32_t scaled;         /* in 1/PUBLISHED_UNIT, which all printed digits fit */
} published_figure;

/* What is known against the figures whose source, setting, value, dataset, category, method and
 * metric fit these patterns: "*", "one|another", "!neither|nor". The first rule that fits counts;
 * they are sorted from the gravest. */
enum { RULE_FIELDS = 7 };
typedef struct published_rule {
    imiad_mark mark;
    const char *patterns[RULE_FIELDS];
    const char *reason;
} published_rule;

extern const char *const published_names[];
extern const published_row published_rows[];
extern const size_t published_row_count;
extern const published_figure published_figures[];
extern const size_t published_figure_count;
extern const published_rule published_rules[];
extern const size_t published_rule_count;
/* The paper's tables VI to XIII as they are printed; some print one quantity in two ways. */
extern const published_row printed_rows[];
extern const size_t printed_row_count;
extern const published_figure printed_figures[];
extern const size_t printed_figure_count;

/* ---- published.c ---- */

/* Fills in mark and reason from all the rest. */
void published_mark(imiad_published *p);

/* What a table of the paper prints, such as "paper, table XI"; the names are its own. False where
 * it prints nothing. */
bool printed_find(imiad_published *out, const char *source, const imiad_published *key);

/* The value among those that were published for the setting with which `given` agrees, as
 * imiad_published_find takes it; NULL where there is none. */
const char *published_value(const char *setting, const char *given);

#endif
