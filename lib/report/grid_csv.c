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

/* The columns of text, in the order of the file's head; NULL is an empty one. */
enum {
    TABLE,
    SETTING,
    VALUE,
    DATASET,
    CATEGORY,
    METHOD,
    METRIC,
    DETECTOR,
    OWN_VALUE,
    OWN_OPTIONS,
    BACKBONE,
    RANK,
    PUBLISHED_RANK,
    MARK,
    REASON,
    SOURCE,
    NOTE,
    TEXTS
};

static void write_texts(FILE *file, const char *const texts[TEXTS])
{
    for (size_t i = 0; i < TEXTS; ++i) {
        write_text(file, texts[i] ? texts[i] : "");
        putc(',', file);
    }
}

/* A figure of table III or V: its column is the metric. */
static void write_texts_of(FILE *file, const text_table *table, const text_line *line,
                           size_t column)
{
    const char *const *figure = line->texts[column];
    const report_configuration *c = line->configuration;
    char note[300] = "";
    if (figure[TEXT_HERE])
        snprintf(note, sizeof note, "%s %s", table->kinds[TEXT_HERE], figure[TEXT_HERE]);
    else if (table->note_name)
        snprintf(note, sizeof note, "%s %s", table->note_name, line->note);
    const char *const texts[TEXTS] = {[TABLE] = table->number,
                                      [DATASET] = line->dataset,
                                      [SETTING] = c ? c->cell.setting : NULL,
                                      [METHOD] = c                ? c->cell.detector
                                                 : line->detector ? line->label
                                                                  : NULL,
                                      [OWN_VALUE] = c ? c->cell.value : NULL,
                                      [OWN_OPTIONS] = c ? c->changed : NULL,
                                      [BACKBONE] = c ? c->cell.backbone : NULL,
                                      [METRIC] = table->columns[column],
                                      [DETECTOR] = line->detector,
                                      [NOTE] = note};
    write_texts(file, texts);
    write_text(file, figure[TEXT_OURS] ? figure[TEXT_OURS] : "");
    fputs(",,,", file);
    write_text(file, figure[TEXT_PUBLISHED] ? figure[TEXT_PUBLISHED] : "");
    fputs(",,,,\n", file);
}

static void write_line(FILE *file, const grid *g, size_t row, size_t column)
{
    const grid_cell *cell = grid_at(g, row, column);
    const report_configuration *c = cell->configuration;
    const table_key *key = &cell->key;
    const char *const texts[TEXTS] = {[TABLE] = g->table->number,
                                      [SETTING] = key->setting,
                                      [VALUE] = key->value,
                                      [DATASET] = key->dataset,
                                      [CATEGORY] = key->category,
                                      [METHOD] = key->method,
                                      [METRIC] = key->metric,
                                      [DETECTOR] = c ? c->cell.detector : NULL,
                                      [OWN_VALUE] = c ? c->cell.value : NULL,
                                      [OWN_OPTIONS] = c ? c->changed : NULL,
                                      [BACKBONE] = c ? c->cell.backbone : NULL,
                                      [RANK] = rank_name(cell->rank),
                                      [PUBLISHED_RANK] = rank_name(cell->published_rank),
                                      [MARK] = imiad_mark_name(cell->mark),
                                      [REASON] = cell->reason,
                                      [SOURCE] = cell->source,
                                      [NOTE] = cell->note};
    write_texts(file, texts);
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

void tables_write_csv(const report_page *page)
{
    FILE *file = page->file;
    fputs("table,setting,value,dataset,category,method,metric,detector,own_value,own_options,"
          "backbone,rank,published_rank,mark,reason,source,note,ours,deviation,forgotten,published,"
          "published_forgotten,difference,runs,categories\n",
          file);
    for (size_t i = 0; i < page->text_table_count; ++i)
        for (size_t k = 0; k < page->text_tables[i].line_count; ++k)
            for (size_t column = 0; column < page->text_tables[i].column_count; ++column)
                write_texts_of(file, &page->text_tables[i], &page->text_tables[i].lines[k], column);
    for (size_t i = 0; i < paper_table_count; ++i)
        for (size_t row = 0; row < page->grids[i].rows; ++row)
            for (size_t column = 0; column < page->grids[i].columns; ++column)
                write_line(file, &page->grids[i], row, column);
}
