/* A report of a result store: gathers what it holds, fills the paper's tables, writes the file. */
#include "imiad/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file_writer.h"
#include "base/files.h"
#include "report/figures.h"
#include "report/grid_text.h"
#include "report/markup.h"
#include "report/page.h"
#include "report/page_data.h"

/* ---- the page ---- */

static void write_top(const report_page *page)
{
    FILE *file = page->file;
    const report_data *data = page->data;
    markup(file,
           "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
           "<meta charset=\"utf-8\"/>\n<title>%s</title>\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; "
           "img-src data:; style-src &#39;sha256-%s&#39;; script-src &#39;sha256-%s&#39;\"/>\n"
           "<style>",
           page->title, page_style_digest, page_script_digest);
    fputs(page_style, file);
    markup(file,
           "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">To the tables</a>\n"
           "<header>\n<h1>%s</h1>\n",
           page->title);
    fprintf(file,
            "<p>%zu finished cells of %zu configurations, beside the figures that IM-IAD "
            "published (arXiv 2301.13359).",
            data->cell_count, data->count);
    if (data->failure_count > 0)
        fprintf(file, " <a href=\"#failures\">%zu cells failed.</a>", data->failure_count);
    fputs("</p>\n</header>\n", file);
}

static void write_contents(const report_page *page)
{
    FILE *file = page->file;
    fputs("<nav aria-label=\"Contents\"><ul>\n<li><a href=\"#reading\">How to read</a></li>\n",
          file);
    for (size_t i = 0; i < page->text_table_count; ++i)
        markup(file, "<li><a href=\"#table-%s\">Table %s</a></li>\n", page->text_tables[i].number,
               page->text_tables[i].number);
    for (size_t i = 0; i < paper_table_count; ++i)
        markup(file, "<li><a href=\"#table-%s\">Table %s</a></li>\n", paper_tables[i].number,
               paper_tables[i].number);
    fputs("<li><a href=\"#figures\">Figures</a></li>\n"
          "<li><a href=\"#comparisons\">Comparisons</a></li>\n"
          "<li><a href=\"#cells\">Cells</a></li>\n<li><a href=\"#facts\">Facts</a></li>\n"
          "</ul></nav>\n",
          file);
}

/* Shown by the script, which alone can make use of it. */
static void write_filter(FILE *file)
{
    static const char *const kinds[][2] = {
        {"dataset", "Dataset"}, {"setting", "Setting"}, {"metric", "Metric"}};
    fputs("<form id=\"filter\" hidden=\"hidden\" aria-label=\"Show only\">\n", file);
    for (size_t i = 0; i < 3; ++i)
        markup(file,
               "<label>%s <select name=\"%s\"><option value=\"\">all</option></select></label>\n",
               kinds[i][1], kinds[i][0]);
    fputs("<button type=\"reset\">Show everything</button>\n</form>\n", file);
}

static void write_figures(const report_page *page)
{
    fputs(
        "<section id=\"figures\">\n<h2>Figures</h2>\n<p>Only what the store has is drawn; spread, "
        "ranks and times are in the comparisons.</p>\n",
        page->file);
    figures_of_the_paper(page);
    figures_of_forgetting(page);
    page_gallery(page);
    fputs("</section>\n", page->file);
}

static void write_page(const report_page *page)
{
    write_top(page);
    write_contents(page);
    write_filter(page->file);
    fputs("<main id=\"main\">\n", page->file);
    page_rules(page);
    page_text_tables(page);
    page_tables(page);
    write_figures(page);
    page_comparisons(page);
    page_cells(page);
    page_facts(page);
    fputs("</main>\n<script>", page->file);
    fputs(page_script, page->file);
    fputs("</script>\n</body>\n</html>\n", page->file);
}

/* ---- all formats ---- */

static imiad_status fill_all(grid **out, report_data *data)
{
    TRY(kept_take(out, &data->kept, paper_table_count * sizeof **out));
    for (size_t i = 0; i < paper_table_count; ++i)
        TRY(grid_fill(&(*out)[i], data, &paper_tables[i]));
    return IMIAD_OK;
}

static imiad_status write_report(FILE *file, report_data *data, const imiad_report_options *options)
{
    grid *grids;
    text_table text_tables[TEXT_TABLES];
    size_t text_table_count;
    TRY(fill_all(&grids, data));
    TRY(text_tables_fill(text_tables, &text_table_count, data));
    const char *title = options->title ? options->title : "IM-IAD results";
    const report_page page = {file,  data,  text_tables,     text_table_count,
                              grids, title, options->command};
    switch (options->format) {
    case IMIAD_REPORT_HTML:
        write_page(&page);
        return IMIAD_OK;
    case IMIAD_REPORT_CSV:
        tables_write_csv(&page);
        return IMIAD_OK;
    case IMIAD_REPORT_MARKDOWN:
        tables_write_markdown(&page);
        return IMIAD_OK;
    case IMIAD_REPORT_LATEX:
        tables_write_latex(&page);
        return IMIAD_OK;
    }
    return fail(IMIAD_INVALID_ARGUMENT, "imiad_report_write: no format has the number %d",
                (int)options->format);
}

imiad_status imiad_report_write(const imiad_results *results, const imiad_report_options *options,
                                const char *path)
{
    imiad_report_options chosen = IMIAD_REPORT_OPTIONS_INIT;
    if (!results || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_report_write: %s is NULL",
                    results ? "path" : "results");
    TRY(struct_read(&chosen, sizeof chosen, options, sizeof chosen, "imiad_report_options"));
    if (chosen.filter && chosen.filter->category)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "a report is of whole configurations: its filter can have no category");
    /* Other writers make the folders that a file needs; this path is typed by hand, and a mistake
     * in it would not be seen. */
    TRY(folder_need_above(path));
    report_data data;
    TRY(report_gather(&data, results, chosen.filter));
    file_writer writer;
    imiad_status status = file_write_begin(&writer, path);
    if (status == IMIAD_OK) {
        status = write_report(writer.stream, &data, &chosen);
        if (status == IMIAD_OK)
            status = file_write_commit(&writer);
        else
            file_write_abandon(&writer);
    }
    report_data_free(&data);
    return status;
}
