/* A report of what a result store holds: the tables of the IM-IAD paper with ours beside the
 * published figures, figures, comparisons and cells. Guide: docs/report.md.
 *
 *     imiad_report_options options = IMIAD_REPORT_OPTIONS_INIT;
 *     options.command = "benchmark report results.sqlite -o report.html";
 *     imiad_report_write(results, &options, "report.html"); */
#ifndef IMIAD_REPORT_H
#define IMIAD_REPORT_H

#include "imiad/common.h"
#include "imiad/results.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum imiad_report_format {
    IMIAD_REPORT_HTML = 0,     /* one file that needs no other and no script: everything */
    IMIAD_REPORT_CSV = 1,      /* the paper's tables, a line for each number */
    IMIAD_REPORT_MARKDOWN = 2, /* the paper's tables as tables */
    IMIAD_REPORT_LATEX = 3     /* likewise, with the package booktabs */
} imiad_report_format;

typedef struct imiad_report_options {
    uint32_t struct_size;
    imiad_report_format format;
    const imiad_results_filter *filter; /* which cells; NULL: all. It chooses no category: a report
                                         * is of whole configurations. */
    const char *title;                  /* NULL: "IM-IAD results" */
    const char *command;                /* what to type to make the report again; NULL: none */
} imiad_report_options;
#define IMIAD_REPORT_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(imiad_report_options), IMIAD_REPORT_HTML, 0, 0, 0                                   \
    }

/* Writes a report of the store to a file, whole or not at all; options may be NULL. All text of the
 * store is escaped: nothing in it can become markup, a formula or a command. The same store and
 * options give the same bytes. Errors: IMIAD_INVALID_ARGUMENT (a filter with a category, an unknown
 * format), IMIAD_IO (among others: its folder is not there, and none is made), and what reading the
 * store gives. */
IMIAD_API imiad_status imiad_report_write(const imiad_results *results,
                                          const imiad_report_options *options, const char *path);

#ifdef __cplusplus
}
#endif
#endif
