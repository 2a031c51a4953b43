/* The paper's tables as HTML. */
#include <math.h>
#include <string.h>

#include "report/markup.h"
#include "report/page.h"

/* ---- remarks under a table ---- */

enum { MOST_REMARKS = 60 };

typedef struct remarks {
    const char *number; /* of the table */
    const char *marks[MOST_REMARKS], *words[MOST_REMARKS];
    size_t count;
    imiad_mark mark_of_all; /* said once where it is said of every published figure */
    const char *reason_of_all;
} remarks;

/* The number of a remark from 1, new ones at the end; 0 for none, or where there are too many. */
static size_t remark(remarks *r, const char *mark, const char *words)
{
    if (!*words)
        return 0;
    for (size_t i = 0; i < r->count; ++i)
        if (strcmp(r->marks[i], mark) == 0 && strcmp(r->words[i], words) == 0)
            return i + 1;
    if (r->count == MOST_REMARKS)
        return 0;
    r->marks[r->count] = mark;
    r->words[r->count] = words;
    return ++r->count;
}

/* A mark that every published figure of the table carries. */
static void find_mark_of_all(remarks *r, const grid *g)
{
    const grid_cell *first = NULL;
    for (size_t i = 0; i < g->rows * g->columns; ++i) {
        const grid_cell *cell = &g->cells[i];
        if (isnan(cell->published))
            continue;
        if (first && (cell->mark != first->mark || strcmp(cell->reason, first->reason) != 0))
            return;
        first = cell;
    }
    if (first) {
        r->mark_of_all = first->mark;
        r->reason_of_all = first->reason;
    }
}

static void write_remark(FILE *file, const remarks *r, size_t number)
{
    if (number > 0)
        fprintf(file, "<sup><a href=\"#note-%s-%zu\">%zu</a></sup>", r->number, number, number);
}

static void write_remarks(FILE *file, const remarks *r)
{
    if (r->mark_of_all != IMIAD_MARK_NONE)
        markup(file,
               "<p class=\"notes\">Every published figure of this table is marked "
               "<span class=\"mark\">%s</span>: %s.</p>\n",
               imiad_mark_name(r->mark_of_all), r->reason_of_all);
    if (r->count == 0)
        return;
    fputs("<ol class=\"notes\">\n", file);
    for (size_t i = 0; i < r->count; ++i) {
        fprintf(file, "<li id=\"note-%s-%zu\">", r->number, i + 1);
        if (*r->marks[i])
            markup(file, "published figure, <span class=\"mark\">%s</span>: ", r->marks[i]);
        markup(file, "%s</li>\n", r->words[i]);
    }
    fputs("</ol>\n", file);
}

/* ---- heads ---- */

static size_t side_count(const grid *g)
{
    return (g->table->outer_rows.count > 0) + (g->table->inner_rows.count > 0);
}

/* The filters' words for a line or a column. */
static void write_filter_words(FILE *file, const table_entry *const entries[2])
{
    const char *setting = NULL, *dataset = NULL, *metric = NULL;
    for (int i = 0; i < 2; ++i) {
        if (!entries[i])
            continue;
        setting = entries[i]->key.setting ? entries[i]->key.setting : setting;
        dataset = entries[i]->key.dataset ? entries[i]->key.dataset : dataset;
        metric = entries[i]->key.metric ? entries[i]->key.metric : metric;
    }
    markup_data(file, "setting", setting);
    markup_data(file, "dataset", dataset);
    markup_data(file, "metric", metric);
}

static void write_side_heads(FILE *file, const grid *g, int lines)
{
    const table_axis *const axes[] = {&g->table->outer_rows, &g->table->inner_rows};
    size_t column = 0;
    for (int i = 0; i < 2; ++i) {
        if (axes[i]->count == 0)
            continue;
        fprintf(file, "<th scope=\"col\" class=\"side%s\" data-column=\"%zu\"",
                column == 0 ? " first" : "", column);
        if (lines > 1)
            fprintf(file, " rowspan=\"%d\"", lines);
        markup(file, ">%s</th>", axes[i]->name);
        ++column;
    }
}

static void write_head(FILE *file, const grid *g)
{
    size_t sides = side_count(g);
    const table_axis *outer = &g->table->outer_columns;
    fputs("<thead>\n<tr>", file);
    write_side_heads(file, g, outer->count > 0 ? 2 : 1);
    if (outer->count > 0) {
        size_t width = g->columns / outer->count;
        for (size_t i = 0; i < outer->count; ++i) {
            fprintf(file,
                    "<th scope=\"colgroup\" colspan=\"%zu\" data-from=\"%zu\" data-to=\"%zu\">",
                    width, sides + i * width, sides + (i + 1) * width - 1);
            markup(file, "%s</th>", outer->entries[i].label);
        }
        fputs("</tr>\n<tr>", file);
    }
    for (size_t c = 0; c < g->columns; ++c) {
        const table_entry *entries[2];
        grid_column_entries(g, c, entries);
        fprintf(file, "<th scope=\"col\" data-column=\"%zu\"", sides + c);
        write_filter_words(file, entries);
        markup(file, ">%s</th>", entries[1]->label);
    }
    fputs("</tr>\n</thead>\n", file);
}

/* ---- cells ---- */

static const char *rank_class(grid_rank rank)
{
    return rank == RANK_BEST ? "best" : rank == RANK_SECOND ? "second" : "";
}

static void write_ranked(FILE *file, double number, double forgotten, int with_forgotten,
                         grid_rank rank)
{
    if (rank != RANK_NONE)
        fprintf(file, "<span class=\"%s\">", rank_class(rank));
    markup_number(file, number, 3);
    if (with_forgotten) {
        fputs(" / ", file);
        markup_number(file, forgotten, 3);
    }
    if (rank != RANK_NONE)
        fprintf(file, "</span><span class=\"hear\"> (%s)</span>", rank_class(rank));
}

static void write_ours(const report_page *page, const grid *g, const grid_cell *cell, remarks *r)
{
    FILE *file = page->file;
    if (isnan(cell->mean)) {
        if (isnan(cell->published))
            fputs("<span class=\"none\">\u2013</span>", file);
        else
            fputs("<span class=\"none\">\u00b7<span class=\"hear\"> not run</span></span>", file);
        return;
    }
    if (cell->configuration)
        fprintf(file, "<a href=\"#k%zu\">", page_number(page, cell->configuration));
    write_ranked(file, cell->mean, cell->forgotten, g->table->forgetting, cell->rank);
    if (cell->configuration)
        fputs("</a>", file);
    write_remark(file, r, remark(r, "", cell->note));
    if (!isnan(cell->deviation)) {
        fputs(" <span class=\"d\">\u00b1 ", file);
        markup_number(file, cell->deviation, 3);
        fputs("</span>", file);
    }
}

static void write_published(FILE *file, const grid *g, const grid_cell *cell, remarks *r)
{
    if (isnan(cell->published))
        return;
    fputs(" <span class=\"p\"><span class=\"hear\">published </span>", file);
    write_ranked(file, cell->published, cell->published_forgotten, g->table->forgetting,
                 cell->published_rank);
    if (cell->mark != IMIAD_MARK_NONE && r->mark_of_all == IMIAD_MARK_NONE)
        write_remark(file, r, remark(r, imiad_mark_name(cell->mark), cell->reason));
    fputs("</span>", file);
    if (isnan(cell->difference))
        return;
    fputs(" <span class=\"p\"><span class=\"hear\">difference </span>", file);
    markup_signed(file, cell->difference, 3);
    fputs("</span>", file);
}

static void write_line(const report_page *page, const grid *g, size_t row, remarks *r)
{
    FILE *file = page->file;
    const table_entry *entries[2];
    grid_row_entries(g, row, entries);
    size_t inner = g->table->inner_rows.count;
    fprintf(file, "<tr%s",
            g->table->outer_rows.count > 0 && inner > 0 && row % inner == 0 ? " class=\"group\""
                                                                            : "");
    write_filter_words(file, entries);
    fputs(">", file);
    int first = 1;
    for (int i = 0; i < 2; ++i) {
        if (!entries[i])
            continue;
        markup(file,
               first ? "<th scope=\"row\" class=\"first\">%s</th>" : "<th scope=\"row\">%s</th>",
               entries[i]->label);
        first = 0;
    }
    for (size_t c = 0; c < g->columns; ++c) {
        const grid_cell *cell = grid_at(g, row, c);
        fputs("<td>", file);
        write_ours(page, g, cell, r);
        write_published(file, g, cell, r);
        fputs("</td>", file);
    }
    fputs("</tr>\n", file);
}

/* ---- tables ---- */

static void write_table(const report_page *page, const grid *g)
{
    FILE *file = page->file;
    remarks r = {.number = g->table->number};
    find_mark_of_all(&r, g);
    markup(
        file,
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"caption-%s\">"
        "<table class=\"sort\" id=\"grid-%s\"><caption id=\"caption-%s\">Table %s. %s</caption>\n",
        g->table->number, g->table->number, g->table->number, g->table->number, g->table->title);
    write_head(file, g);
    fputs("<tbody>\n", file);
    for (size_t row = 0; row < g->rows; ++row)
        write_line(page, g, row, &r);
    fputs("</tbody>\n</table></div>\n", file);
    write_remarks(file, &r);
}

static void write_section(const report_page *page, const grid *g)
{
    FILE *file = page->file;
    markup(file, "<section id=\"table-%s\" data-part=\"table\"", g->table->number);
    markup_data(file, "setting", g->table->base.setting);
    markup_data(file, "dataset", g->table->base.dataset);
    markup_data(file, "metric", g->table->base.metric);
    markup(file, ">\n<h3>Table %s</h3>\n", g->table->number);
    fprintf(file, "<p>Ours: %zu of %zu numbers that were published.</p>\n", g->ours,
            g->all_published);
    if (g->ours == 0)
        fputs("<details><summary>This store has nothing of this table: show the published figures"
              "</summary>\n",
              file);
    write_table(page, g);
    if (g->ours == 0)
        fputs("</details>\n", file);
    fputs("</section>\n", file);
}

void page_tables(const report_page *page)
{
    fputs("<section id=\"tables\">\n<h2>The paper\u2019s tables</h2>\n", page->file);
    size_t ours = 0;
    for (size_t i = 0; i < paper_table_count; ++i)
        ours += page->grids[i].ours;
    if (ours == 0 && page->data->count > 0)
        fputs(
            "<p>They are of the paper\u2019s datasets, settings and methods, of which this store "
            "has "
            "nothing: what it has is below, under <a href=\"#comparisons\">Comparisons</a>.</p>\n",
            page->file);
    for (size_t i = 0; i < paper_table_count; ++i)
        write_section(page, &page->grids[i]);
    fputs("</section>\n", page->file);
}
