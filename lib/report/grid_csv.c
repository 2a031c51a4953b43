/* A line for each number of the paper's tables. */
#include <math.h>
#include <string.h>

#include "base/options.h"
#include "report/grid_text.h"

/* Quoted where it must be, and behind an apostrophe where a spreadsheet would run it. */
static void write_text(FILE *file, const char *text)
{
    int formula = *text && strchr("=+-@\t\r", *text);
    int quoted = formula || strpbrk(text, ",\"\r\n");
    fputs(formula ? "\"'" : quoted ? "\"" : "", file);
    for (; *text; ++text) {
        if (*text == '"')
            putc('"', file);
        putc(*text, file);
    }
    fputs(quoted ? "\"" : "", file);
}

static void write_real(FILE *file, double number)
{
    char text[REAL_BYTES];
    if (!isfinite(number))
        return;
    plain_print(text, sizeof text, "%.17g", number);
    fputs(text, file);
}

static const char *rank_name(grid_rank rank)
{
    return rank == RANK_BEST ? "best" : rank == RANK_SECOND ? "second" : "";
}

static void write_line(FILE *file, const grid *g, size_t row, size_t column)
{
    const grid_cell *cell = grid_at(g, row, column);
    const report_configuration *c = cell->configuration;
    const table_key *key = &cell->key;
    const char *const texts[] = {g->table->number,
                                 key->setting,
                                 key->value,
                                 key->dataset,
                                 key->category,
                                 key->method,
                                 key->metric,
                                 c ? c->cell.detector : "",
                                 c ? c->cell.value : "",
                                 c ? c->changed : "",
                                 c ? c->cell.backbone : "",
                                 rank_name(cell->rank),
                                 rank_name(cell->published_rank),
                                 imiad_mark_name(cell->mark),
                                 cell->reason,
                                 cell->source,
                                 cell->note};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        write_text(file, texts[i]);
        putc(',', file);
    }
    const double numbers[] = {cell->mean,      cell->deviation,           cell->forgotten,
                              cell->published, cell->published_forgotten, cell->difference};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        write_real(file, numbers[i]);
        putc(',', file);
    }
    if (cell->found)
        fprintf(file, "%lld,%lld\n", (long long)cell->found->runs,
                (long long)cell->found->categories);
    else
        fputs(",\n", file);
}

void grids_write_csv(FILE *file, const grid *grids, size_t count)
{
    fputs("table,setting,value,dataset,category,method,metric,detector,own_value,own_options,"
          "backbone,rank,published_rank,mark,reason,source,note,ours,deviation,forgotten,published,"
          "published_forgotten,difference,runs,categories\n",
          file);
    for (size_t i = 0; i < count; ++i)
        for (size_t row = 0; row < grids[i].rows; ++row)
            for (size_t column = 0; column < grids[i].columns; ++column)
                write_line(file, &grids[i], row, column);
}
