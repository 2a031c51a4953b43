/* The tables of texts in the page: III, V and E. */
#include "report/markup.h"
#include "report/page.h"

static void write_cell(FILE *file, const text_table *table, const char *const *texts)
{
    const char *ours = texts[TEXT_OURS], *published = texts[TEXT_PUBLISHED];
    fputs("<td>", file);
    if (ours)
        markup_text(file, ours);
    else if (published && table->of_store)
        fputs("<span class=\"none\">\u00b7<span class=\"hear\"> not in the store</span></span>",
              file);
    else
        fputs("\u2013", file);
    if (published)
        markup(file, " <span class=\"p\"><span class=\"hear\">published </span>%s</span>",
               published);
    if (texts[TEXT_HERE])
        markup(file, " <span class=\"d\">%s %s</span>", table->kinds[TEXT_HERE], texts[TEXT_HERE]);
    fputs("</td>", file);
}

static void write_label(const report_page *page, const text_line *line)
{
    FILE *file = page->file;
    if (line->configuration)
        fprintf(file, "<a href=\"#k%zu\">", page_number(page, line->configuration));
    markup_text(file, line->label);
    fputs(line->configuration ? "</a>" : "", file);
    if (line->detail)
        markup(file, " <span class=\"d\">%s</span>", line->detail);
}

static void write_line(const report_page *page, const text_table *table, const text_line *line)
{
    FILE *file = page->file;
    fputs("<tr", file);
    markup_data(file, "dataset", line->dataset);
    fputs("><th scope=\"row\" class=\"first\">", file);
    write_label(page, line);
    fputs("</th>", file);
    if (table->note_name)
        markup(file, "<td class=\"words\">%s</td>", line->note);
    for (size_t k = 0; k < table->column_count; ++k)
        write_cell(file, table, line->texts[k]);
    fputs("</tr>\n", file);
}

static void write_column(FILE *file, size_t column, const char *class, const char *name)
{
    fprintf(file, "<th scope=\"col\"%s data-column=\"%zu\">", class, column);
    markup(file, "%s</th>", name);
}

static void write_head(FILE *file, const text_table *table)
{
    const char *number = table->number;
    size_t column = 1;
    markup(
        file,
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"caption-%s\">"
        "<table class=\"sort\" id=\"setup-%s\"><caption id=\"caption-%s\">Table %s. "
        "%s</caption><thead><tr><th scope=\"col\" class=\"side first\" data-column=\"0\">%s</th>",
        number, number, number, number, table->title, table->first);
    if (table->note_name)
        write_column(file, column++, " class=\"side\"", table->note_name);
    for (size_t i = 0; i < table->column_count; ++i)
        write_column(file, column++, "", table->columns[i]);
    fputs("</tr></thead>\n<tbody>\n", file);
}

static void write_table(const report_page *page, const text_table *table)
{
    FILE *file = page->file;
    markup(file,
           "<section id=\"table-%s\" data-part=\"table\">\n<h3>Table %s</h3>\n"
           "<p>%s</p>\n",
           table->number, table->number, table->rule);
    write_head(file, table);
    for (size_t i = 0; i < table->line_count; ++i)
        write_line(page, table, &table->lines[i]);
    fputs("</tbody></table></div>\n</section>\n", file);
}

void page_text_tables(const report_page *page)
{
    fputs("<section id=\"setup\">\n<h2>Datasets, settings and costs</h2>\n", page->file);
    for (size_t i = 0; i < page->text_table_count; ++i)
        write_table(page, &page->text_tables[i]);
    fputs("</section>\n", page->file);
}
