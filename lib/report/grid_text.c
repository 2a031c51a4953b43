/* Markdown and LaTeX: a line for ours, one for the published figures and one for the differences.
 */
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

void grids_write_markdown(FILE *file, const grid *grids, size_t count, const char *title)
{
    fputs("# ", file);
    markdown_text(file, title);
    fputs("\n\n", file);
    fprintf(file, rule_of_missing, "in italics");
    for (size_t i = 0; i < count; ++i) {
        const grid *g = &grids[i];
        fprintf(file, "\n\n## Table %s. %s\n\n", g->table->number, g->table->title);
        write_heads(file, &markdown, g);
        fputs("|", file);
        for (size_t c = 0; c < side_count(g) + 1; ++c)
            fputs(" --- |", file);
        for (size_t c = 0; c < g->columns; ++c)
            fputs(" ---: |", file);
        fputs("\n", file);
        for (size_t row = 0; row < g->rows; ++row)
            write_lines(file, &markdown, g, row);
        fputs("\n", file);
        write_reasons(file, &markdown, g, "- ", ".\n");
    }
}

void grids_write_latex(FILE *file, const grid *grids, size_t count, const char *title)
{
    fputs("% ", file);
    latex_text(file, title);
    fputs("\n% \\usepackage{booktabs,graphicx}\n% ", file);
    fprintf(file, rule_of_missing, "underlined");
    fputs("\n", file);
    for (size_t i = 0; i < count; ++i) {
        const grid *g = &grids[i];
        fprintf(file,
                "\n\\begin{table*}\n\\centering\n\\caption{%s (table %s)}\n"
                "\\resizebox{\\textwidth}{!}{%%\n\\begin{tabular}{",
                g->table->title, g->table->number);
        for (size_t c = 0; c < side_count(g) + 1; ++c)
            putc('l', file);
        for (size_t c = 0; c < g->columns; ++c)
            putc('r', file);
        fputs("}\n\\toprule\n", file);
        write_heads(file, &latex, g);
        fputs("\\midrule\n", file);
        for (size_t row = 0; row < g->rows; ++row)
            write_lines(file, &latex, g, row);
        fputs("\\bottomrule\n\\end{tabular}}\n", file);
        write_reasons(file, &latex, g, "\\par\\footnotesize ", ".\n");
        fputs("\\end{table*}\n", file);
    }
}
