/* Markdown and LaTeX: a line for ours, one for the published figures, and one for the differences
 * or for what the store has. */
#include "report/grid_text.h"

#include <math.h>
#include <string.h>

#include "base/options.h"
#include "report/markup.h"

/* How a kind of file says things. */
typedef struct dialect {
    void (*text)(FILE *file, const char *text);
    const char *minus, *nothing, *not_run, *plus_minus;
    const char *best[2], *second[2];
    const char *between, *end; /* of columns, of a line */
    const char *begin;         /* of a line */
} dialect;

/* ---- texts ---- */

static void markdown_text(FILE *file, const char *text)
{
    for (uint32_t c; (c = next_character(&text)) != 0;) {
        if (c < 0x80 && strchr("\\`*_[]<>|&~$", (int)c))
            putc('\\', file);
        write_character(file, c == '\n' || c == '\t' ? ' ' : c);
    }
}

static void latex_text(FILE *file, const char *text)
{
    for (uint32_t c; (c = next_character(&text)) != 0;) {
        if (c == '\\')
            fputs("\\textbackslash{}", file);
        else if (c == '~')
            fputs("\\textasciitilde{}", file);
        else if (c == '^')
            fputs("\\textasciicircum{}", file);
        else if (c < 0x80 && strchr("#$%&_{}", (int)c))
            fprintf(file, "\\%c", (int)c);
        else if (c == '<' || c == '>' || c == '|')
            fprintf(file, "$%c$", (int)c);
        else if (c == 0xfffd)
            fputs("?", file);
        else
            write_character(file, c == '\n' || c == '\t' ? ' ' : c);
    }
}

static const dialect markdown = {markdown_text, "\u2212",   "\u2013", "\u00b7", " \u00b1 ",
                                 {"**", "**"},  {"_", "_"}, " | ",    " |\n",   "| "};
static const dialect latex = {latex_text,
                              "$-$",
                              "--",
                              "$\\cdot$",
                              "\\,{\\tiny$\\pm$",
                              {"\\textbf{", "}"},
                              {"\\underline{", "}"},
                              " & ",
                              " \\\\\n",
                              ""};

/* ---- numbers ---- */

static void write_number(FILE *file, const dialect *d, const char *format, double number)
{
    char text[REAL_BYTES];
    if (isnan(number)) {
        fputs(d->nothing, file);
        return;
    }
    plain_print(text, sizeof text, format, fabs(number) < 0.0005 ? 0.0 : number);
    fputs(*text == '-' ? d->minus : "", file);
    fputs(*text == '-' ? text + 1 : text, file);
}

static void write_pair(FILE *file, const dialect *d, double number, double forgotten,
                       int forgetting, grid_rank rank)
{
    const char *const none[2] = {"", ""};
    const char *const *around = rank == RANK_BEST     ? d->best
                                : rank == RANK_SECOND ? d->second
                                                      : none;
    fputs(around[0], file);
    write_number(file, d, "%.3f", number);
    if (forgetting) {
        fputs(" / ", file);
        write_number(file, d, "%.3f", forgotten);
    }
    fputs(around[1], file);
}

typedef enum line_kind { LINE_OURS, LINE_PUBLISHED, LINE_DIFFERENCE, LINE_KINDS } line_kind;

static void write_cell(FILE *file, const dialect *d, const grid *g, const grid_cell *cell,
                       line_kind kind)
{
    int forgetting = g->table->forgetting;
    if (kind == LINE_OURS && isnan(cell->mean)) {
        fputs(isnan(cell->published) ? d->nothing : d->not_run, file);
    } else if (kind == LINE_OURS) {
        write_pair(file, d, cell->mean, cell->forgotten, forgetting, cell->rank);
        if (!isnan(cell->deviation)) {
            fputs(d->plus_minus, file);
            write_number(file, d, "%.3f", cell->deviation);
            fputs(d == &latex ? "}" : "", file);
        }
    } else if (kind == LINE_PUBLISHED && isnan(cell->published)) {
        fputs(d->nothing, file);
    } else if (kind == LINE_PUBLISHED) {
        write_pair(file, d, cell->published, cell->published_forgotten, forgetting,
                   cell->published_rank);
        if (cell->mark != IMIAD_MARK_NONE)
            fprintf(file, d == &latex ? "\\textsuperscript{%c}" : " (%c)",
                    *imiad_mark_name(cell->mark));
    } else {
        write_number(file, d, "%+.3f", cell->difference);
    }
}

/* ---- tables ---- */

static int line_has_numbers(const grid *g, size_t row, line_kind kind)
{
    for (size_t c = 0; c < g->columns; ++c) {
        const grid_cell *cell = grid_at(g, row, c);
        if (!isnan(kind == LINE_OURS        ? cell->mean
                   : kind == LINE_PUBLISHED ? cell->published
                                            : cell->difference))
            return 1;
    }
    return 0;
}

static size_t side_count(const grid *g)
{
    return (g->table->outer_rows.count > 0) + (g->table->inner_rows.count > 0);
}

static void write_side(FILE *file, const dialect *d, const grid *g, size_t row)
{
    const table_entry *entries[2];
    grid_row_entries(g, row, entries);
    for (int i = 0; i < 2; ++i)
        if (entries[i]) {
            d->text(file, entries[i]->label);
            fputs(d->between, file);
        }
}

static void write_lines(FILE *file, const dialect *d, const grid *g, size_t row)
{
    static const char *const kinds[LINE_KINDS] = {"ours", "published", "difference"};
    for (line_kind kind = LINE_OURS; kind < LINE_KINDS; ++kind) {
        if (kind != LINE_OURS && !line_has_numbers(g, row, kind))
            continue;
        fputs(d->begin, file);
        write_side(file, d, g, row);
        fputs(kinds[kind], file);
        for (size_t c = 0; c < g->columns; ++c) {
            fputs(d->between, file);
            write_cell(file, d, g, grid_at(g, row, c), kind);
        }
        fputs(d->end, file);
    }
}

static void write_heads(FILE *file, const dialect *d, const grid *g)
{
    const table_axis *const axes[] = {&g->table->outer_rows, &g->table->inner_rows};
    fputs(d->begin, file);
    for (int i = 0; i < 2; ++i)
        if (axes[i]->count > 0) {
            d->text(file, axes[i]->name);
            fputs(d->between, file);
        }
    for (size_t c = 0; c < g->columns; ++c) {
        const table_entry *entries[2];
        grid_column_entries(g, c, entries);
        fputs(d->between, file);
        if (entries[0]) {
            d->text(file, entries[0]->label);
            fputs(", ", file);
        }
        d->text(file, entries[1]->label);
    }
    fputs(d->end, file);
}

/* ---- tables III and V ---- */

static int text_line_has(const text_table *table, const text_line *line, text_kind kind)
{
    for (size_t c = 0; c < table->column_count; ++c)
        if (line->texts[c][kind])
            return 1;
    return 0;
}

static void write_text_line(FILE *file, const dialect *d, const text_table *table,
                            const text_line *line, text_kind kind)
{
    fputs(d->begin, file);
    d->text(file, line->label);
    if (line->detail) {
        fputs(", ", file);
        d->text(file, line->detail);
    }
    fputs(d->between, file);
    if (table->note_name) {
        if (kind == TEXT_OURS)
            d->text(file, line->note);
        else
            fputs(d->nothing, file);
        fputs(d->between, file);
    }
    d->text(file, table->kinds[kind]);
    for (size_t c = 0; c < table->column_count; ++c) {
        const char *const *texts = line->texts[c];
        fputs(d->between, file);
        if (texts[kind])
            d->text(file, texts[kind]);
        else
            fputs(kind == TEXT_OURS && texts[TEXT_PUBLISHED] && table->of_store ? d->not_run
                                                                                : d->nothing,
                  file);
    }
    fputs(d->end, file);
}

static void write_text_lines(FILE *file, const dialect *d, const text_table *table)
{
    for (size_t i = 0; i < table->line_count; ++i)
        for (text_kind kind = TEXT_OURS; kind < TEXT_KINDS; ++kind)
            if (kind == TEXT_OURS || text_line_has(table, &table->lines[i], kind))
                write_text_line(file, d, table, &table->lines[i], kind);
}

static void write_text_heads(FILE *file, const dialect *d, const text_table *table)
{
    fputs(d->begin, file);
    d->text(file, table->first);
    fputs(d->between, file);
    if (table->note_name) {
        d->text(file, table->note_name);
        fputs(d->between, file);
    }
    for (size_t c = 0; c < table->column_count; ++c) {
        fputs(d->between, file);
        d->text(file, table->columns[c]);
    }
    fputs(d->end, file);
}

/* ---- reasons, once each ---- */

static int said_before(const grid *g, size_t at)
{
    for (size_t i = 0; i < at; ++i)
        if (g->cells[i].mark == g->cells[at].mark &&
            strcmp(g->cells[i].reason, g->cells[at].reason) == 0)
            return 1;
    return 0;
}

static void write_reasons(FILE *file, const dialect *d, const grid *g, const char *before,
                          const char *behind)
{
    for (size_t i = 0; i < g->rows * g->columns; ++i) {
        const grid_cell *cell = &g->cells[i];
        if (cell->mark == IMIAD_MARK_NONE || said_before(g, i))
            continue;
        fprintf(file, "%s(%c) %s: ", before, *imiad_mark_name(cell->mark),
                imiad_mark_name(cell->mark));
        d->text(file, cell->reason);
        fputs(behind, file);
    }
}

/* ---- files ---- */

static const char rule_of_missing[] =
    "A dash exists in neither, a centred dot was published and is not in the store; best is bold, "
    "second is %s; behind a published figure: (t) trend, (c) category, (d) doubtful, (w) wrong.";

static void markdown_title(FILE *file, const char *number, const char *title)
{
    fprintf(file, "\n\n## Table %s. %s\n\n", number, title);
}

/* Under the heads; columns of text, then columns of numbers. */
static void markdown_rule(FILE *file, size_t texts, size_t numbers)
{
    fputs("|", file);
    for (size_t c = 0; c < texts; ++c)
        fputs(" --- |", file);
    for (size_t c = 0; c < numbers; ++c)
        fputs(" ---: |", file);
    fputs("\n", file);
}

void tables_write_markdown(const report_page *page)
{
    FILE *file = page->file;
    fputs("# ", file);
    markdown_text(file, page->title);
    fputs("\n\n", file);
    fprintf(file, rule_of_missing, "in italics");
    for (size_t i = 0; i < page->text_table_count; ++i) {
        const text_table *table = &page->text_tables[i];
        markdown_title(file, table->number, table->title);
        markdown_text(file, table->rule);
        fputs("\n\n", file);
        write_text_heads(file, &markdown, table);
        markdown_rule(file, table->note_name ? 3 : 2, table->column_count);
        write_text_lines(file, &markdown, table);
    }
    for (size_t i = 0; i < paper_table_count; ++i) {
        const grid *g = &page->grids[i];
        markdown_title(file, g->table->number, g->table->title);
        write_heads(file, &markdown, g);
        markdown_rule(file, side_count(g) + 1, g->columns);
        for (size_t row = 0; row < g->rows; ++row)
            write_lines(file, &markdown, g, row);
        fputs("\n", file);
        write_reasons(file, &markdown, g, "- ", ".\n");
    }
}

static void latex_begin(FILE *file, const char *number, const char *title, size_t texts,
                        size_t numbers)
{
    fprintf(file,
            "\n\\begin{table*}\n\\centering\n\\caption{%s (table %s)}\n"
            "\\resizebox{\\textwidth}{!}{%%\n\\begin{tabular}{",
            title, number);
    for (size_t c = 0; c < texts; ++c)
        putc('l', file);
    for (size_t c = 0; c < numbers; ++c)
        putc('r', file);
    fputs("}\n\\toprule\n", file);
}

static void latex_texts(FILE *file, const text_table *table)
{
    latex_begin(file, table->number, table->title, table->note_name ? 3 : 2, table->column_count);
    write_text_heads(file, &latex, table);
    fputs("\\midrule\n", file);
    write_text_lines(file, &latex, table);
    fputs("\\bottomrule\n\\end{tabular}}\n\\par\\footnotesize ", file);
    latex_text(file, table->rule);
    fputs("\n\\end{table*}\n", file);
}

static void latex_grid(FILE *file, const grid *g)
{
    latex_begin(file, g->table->number, g->table->title, side_count(g) + 1, g->columns);
    write_heads(file, &latex, g);
    fputs("\\midrule\n", file);
    for (size_t row = 0; row < g->rows; ++row)
        write_lines(file, &latex, g, row);
    fputs("\\bottomrule\n\\end{tabular}}\n", file);
    write_reasons(file, &latex, g, "\\par\\footnotesize ", ".\n");
    fputs("\\end{table*}\n", file);
}

void tables_write_latex(const report_page *page)
{
    FILE *file = page->file;
    fputs("% ", file);
    latex_text(file, page->title);
    fputs("\n% \\usepackage{booktabs,graphicx}\n% ", file);
    fprintf(file, rule_of_missing, "underlined");
    fputs("\n", file);
    for (size_t i = 0; i < page->text_table_count; ++i)
        latex_texts(file, &page->text_tables[i]);
    for (size_t i = 0; i < paper_table_count; ++i)
        latex_grid(file, &page->grids[i]);
}
