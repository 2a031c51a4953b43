/* The paper's tables III and V in the page. */
#include "report/markup.h"
#include "report/page.h"

static void write_cell(FILE *file, const setup_table *table, const char *const *texts)
{
    const char *ours = texts[SETUP_OURS], *published = texts[SETUP_PUBLISHED];
    fputs("<td>", file);
    if (ours)
        markup_text(file, ours);
    else if (published)
        fputs("<span class=\"none\">\u00b7<span class=\"hear\"> not in the store</span></span>",
              file);
    else
        fputs("\u2013", file);
    if (published)
        markup(file, " <span class=\"p\"><span class=\"hear\">published </span>%s</span>",
               published);
    if (texts[SETUP_HERE])
        markup(file, " <span class=\"d\">%s %s</span>", table->kinds[SETUP_HERE],
               texts[SETUP_HERE]);
    fputs("</td>", file);
}

static void write_line(FILE *file, const setup_table *table, const setup_line *line)
{
    fputs("<tr", file);
    markup_data(file, "dataset", line->dataset);
    markup(file, "><th scope=\"row\" class=\"first\">%s</th>", line->label);
    for (size_t k = 0; k < table->column_count; ++k)
        write_cell(file, table, line->texts[k]);
    fputs("</tr>\n", file);
}

static void write_head(FILE *file, const setup_table *table)
{
    const char *number = table->number;
    markup(
        file,
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"caption-%s\">"
        "<table class=\"sort\" id=\"setup-%s\"><caption id=\"caption-%s\">Table %s. "
        "%s</caption><thead><tr><th scope=\"col\" class=\"side first\" data-column=\"0\">%s</th>",
        number, number, number, number, table->title, table->first);
    for (size_t i = 0; i < table->column_count; ++i) {
        fprintf(file, "<th scope=\"col\" data-column=\"%zu\">", i + 1);
        markup(file, "%s</th>", table->columns[i]);
    }
    fputs("</tr></thead>\n<tbody>\n", file);
}

static void write_table(FILE *file, const setup_table *table)
{
    markup(file,
           "<section id=\"table-%s\" data-part=\"table\">\n<h3>Table %s</h3>\n"
           "<p>%s</p>\n",
           table->number, table->number, table->rule);
    write_head(file, table);
    for (size_t i = 0; i < table->line_count; ++i)
        write_line(file, table, &table->lines[i]);
    fputs("</tbody></table></div>\n</section>\n", file);
}

void page_setup(const report_page *page)
{
    fputs("<section id=\"setup\">\n<h2>Datasets and settings</h2>\n", page->file);
    for (size_t i = 0; i < SETUP_TABLES; ++i)
        write_table(page->file, &page->setup[i]);
    fputs("</section>\n", page->file);
}
