/* The paper's tables as files for other programs. */
#ifndef REPORT_GRID_TEXT_H
#define REPORT_GRID_TEXT_H

#include "report/page.h"

void tables_write_csv(const report_page *page);
void tables_write_markdown(const report_page *page);
void tables_write_latex(const report_page *page);

#endif
