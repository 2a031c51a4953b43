/* The page's figures. */
#ifndef REPORT_FIGURES_H
#define REPORT_FIGURES_H

#include "report/page.h"

/* figures_paper.c: speed against image AUROC, few-shot and noise curves. */
void figures_of_the_paper(const report_page *page);

/* figures_continual.c: what each task came to and what was forgotten of it; the whole matrices. */
void figures_of_forgetting(const report_page *page);

/* figures_comparison.c: of the configurations from `first` to before `end`, which are of one
 * setting, value and dataset: spread over seeds, time by stage, ranks over categories. */
void figures_of_a_comparison(const report_page *page, size_t first, size_t end, size_t number);

/* cell_figures.c: of the first seed that left something to look at; before the first of them what
 * they share. */
void figures_of_cells_begin(const report_page *page);
void figures_of_a_cell(const report_page *page, const report_group *group);

#endif
