/* The parts of the page; each a file of its own. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include <stdio.h>

#include "report/gather.h"
#include "report/grid.h"
#include "report/text_tables.h"

/* What is known when the page is written. */
typedef struct report_page {
    FILE *file;
    report_data *data;
    const text_table *text_tables;
    size_t text_table_count;
    const grid *grids; /* of paper_tables, in their order */
    const char *title, *command;
} report_page;

/* text_tables_html.c: tables III and V. */
void page_text_tables(const report_page *page);

/* grid_html.c: the paper's tables of results. */
void page_tables(const report_page *page);

/* comparison_html.c: each setting, value and dataset with all that ran there. */
void page_comparisons(const report_page *page);

/* cells_html.c: each configuration on each category. */
void page_cells(const report_page *page);

/* facts_html.c */
void page_rules(const report_page *page); /* how to read the rest */
void page_facts(const report_page *page); /* versions, digests, definitions, doubts */

/* gallery_html.c: figure 3 of each dataset that has pictures. */
void page_gallery(const report_page *page);
/* cell_figures.c: a picture, as long as the page's are not too many. */
void page_picture(const report_page *page, const char *picture, const char *description);

/* The addresses of parts within the page. */
size_t page_number(const report_page *page, const report_configuration *c);

#endif
