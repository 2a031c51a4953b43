/* The paper's tables as files for other programs. */
#ifndef REPORT_GRID_TEXT_H
#define REPORT_GRID_TEXT_H

#include <stdio.h>

#include "report/grid.h"

void grids_write_csv(FILE *file, const grid *grids, size_t count);
void grids_write_markdown(FILE *file, const grid *grids, size_t count, const char *title);
void grids_write_latex(FILE *file, const grid *grids, size_t count, const char *title);

#endif
