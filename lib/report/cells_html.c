/* Each configuration on each category: the values of every run, and how to run it again. */
#include <math.h>
#include <string.h>

#include "report/figures.h"
#include "report/markup.h"
#include "report/page.h"

enum { MOST_RUNS = 12 }; /* side by side */

static void write_fact(FILE *file, const char *name, const char *text)
{
    if (text && *text)
        markup(file, "<dt>%s</dt><dd><code>%s</code></dd>\n", name, text);
}

/* What most stores have the same in all cells. */
enum { COMMON = 4 };
static const char *const common_names[COMMON] = {"device", "machine", "libimiad", "libtorch"};

static const char *common_text(const report_cell *cell, int fact)
{
    const char *const texts[COMMON] = {cell->cell.device, cell->cell.machine, cell->library_version,
                                       cell->torch_version};
    return texts[fact];
}

/* Whether all cells of the report have the same: then it stands under Facts. */
static bool is_alike(const report_data *data, int fact)
{
    const char *text = NULL;
    for (size_t i = 0; i < data->count; ++i)
        for (size_t j = 0; j < data->configurations[i].count; ++j) {
            const report_group *group = &data->configurations[i].groups[j];
            for (size_t k = 0; k < group->cell_count; ++k) {
                const char *found = common_text(group->cells[k], fact);
                if (text && text != found) /* kept texts */
                    return false;
                text = found;
            }
        }
    return true;
}

static void write_facts(FILE *file, const report_cell *cell, const bool alike[COMMON])
{
    fputs("<dl class=\"facts\">\n", file);
    write_fact(file, "command", cell->cell.command);
    write_fact(file, "root of the dataset", cell->cell.dataset_root);
    for (int i = 0; i < COMMON; ++i)
        if (!alike[i])
            write_fact(file, common_names[i], common_text(cell, i));
    fprintf(file, "<dt>threads</dt><dd>%d</dd>\n", (int)cell->threads);
    write_fact(file, "finished", cell->time);
    for (size_t i = 0; i < cell->cell.fact_count; ++i)
        write_fact(file, cell->cell.facts[i].name, cell->cell.facts[i].value);
    fputs("</dl>\n", file);
}

static void write_run_value(FILE *file, const report_cell *cell, const char *name)
{
    for (size_t i = 0; i < cell->count; ++i)
        if (strcmp(cell->names[i], name) == 0) {
            fputs("<td>", file);
            markup_value(file, name, cell->values[i]);
            fputs("</td>", file);
            return;
        }
    fputs("<td>\u2013</td>", file);
}

static int exists(const report_group *group, const char *name)
{
    const report_value *value = report_value_of(group, name);
    return value && !isnan(value->mean);
}

static void write_values(FILE *file, const report_group *group)
{
    size_t runs = group->cell_count < MOST_RUNS ? group->cell_count : MOST_RUNS, missing = 0;
    fputs("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Values\"><table>"
          "<caption>Values by seed</caption><thead><tr><th scope=\"col\" class=\"side first\">value"
          "</th>",
          file);
    for (size_t i = 0; i < runs; ++i)
        fprintf(file, "<th scope=\"col\">seed %llu</th>",
                (unsigned long long)group->cells[i]->cell.seed);
    fputs("</tr></thead><tbody>\n", file);
    for (size_t i = 0; i < group->count; ++i) {
        const char *name = group->values[i].name;
        if (!exists(group, name)) {
            ++missing;
            continue;
        }
        markup(file, "<tr><th scope=\"row\" class=\"first\">%s</th>", name);
        for (size_t j = 0; j < runs; ++j)
            write_run_value(file, group->cells[j], name);
        fputs("</tr>\n", file);
    }
    fputs("</tbody></table></div>\n", file);
    if (missing > 0) {
        fputs("<p class=\"notes\">Does not exist here:", file);
        const char *before = " ";
        for (size_t i = 0; i < group->count; ++i)
            if (!exists(group, group->values[i].name)) {
                markup(file, "%s%s", before, group->values[i].name);
                before = ", ";
            }
        fputs(".</p>\n", file);
    }
    if (runs < group->cell_count)
        fprintf(file, "<p class=\"notes\">%zu more seeds are in the store.</p>\n",
                group->cell_count - runs);
}

static void write_cell(const report_page *page, const report_configuration *c, size_t at,
                       const bool alike[COMMON])
{
    FILE *file = page->file;
    const report_group *group = &c->groups[at];
    size_t number = page_number(page, c);
    fputs("<details data-part=\"cell\"", file);
    markup_data(file, "setting", c->cell.setting);
    markup_data(file, "dataset", c->cell.dataset);
    markup(file, "><summary>%s on %s, %s%s%s, %s</summary>\n", c->cell.detector, group->category,
           c->cell.setting, *c->cell.value ? " " : "", c->cell.value, c->cell.dataset);
    fprintf(file,
            "<div id=\"c%zu-%zu\">\n<p><a href=\"#k%zu\">The configuration and its other "
            "categories</a></p>\n",
            number, at + 1, number);
    write_values(file, group);
    figures_of_a_cell(page, group);
    if (group->cell_count > 0)
        write_facts(file, group->cells[0], alike);
    fputs("</div></details>\n", file);
}

void page_cells(const report_page *page)
{
    const report_data *data = page->data;
    fputs("<section id=\"cells\">\n<h2>Cells</h2>\n<p>One configuration on one category, with the "
          "values of each seed. Command, machine and versions are those of the first seed, and so "
          "are scores, curves and pictures, where the store has them. What all cells have the same "
          "stands under <a href=\"#facts\">Facts</a>. Good images are blue in "
          "the histogram, defective ones orange; the threshold is dashed.</p>\n",
          page->file);
    bool alike[COMMON];
    for (int i = 0; i < COMMON; ++i)
        alike[i] = is_alike(data, i);
    if (data->image_count > 0)
        figures_of_cells_begin(page);
    for (size_t i = 0; i < data->count; ++i)
        for (size_t j = 0; j + 1 < data->configurations[i].count; ++j)
            write_cell(page, &data->configurations[i], j, alike);
    if (data->pictures_left_out > 0)
        fprintf(page->file,
                "<p class=\"notes\">%zu pictures are left out, as the page would be too large; "
                "the store has them.</p>\n",
                data->pictures_left_out);
    fputs("</section>\n", page->file);
}
