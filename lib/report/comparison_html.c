/* Each setting, value and dataset: the configurations that ran there, side by side; then each of
 * them by category. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/figures.h"
#include "report/markup.h"
#include "report/page.h"

size_t page_number(const report_page *page, const report_configuration *c)
{
    return (size_t)(c - page->data->configurations) + 1;
}

/* ---- which values a table shows ---- */

enum { MOST_NAMES = 40 };

typedef struct name_list {
    const char *names[MOST_NAMES];
    size_t count, left_out;
} name_list;

static const char *const first_names[] = {
    "image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro"};

static int place_of(const char *name)
{
    int count = sizeof first_names / sizeof *first_names;
    for (int i = 0; i < count; ++i)
        if (strcmp(first_names[i], name) == 0)
            return i;
    return count + is_cost(name) + 2 * is_count(name);
}

static int compare_names(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int order = place_of(x) - place_of(y);
    return order ? order : strcmp(x, y);
}

static void add_names(name_list *list, const report_group *group, int costs)
{
    for (size_t i = 0; i < group->count; ++i) {
        const char *name = group->values[i].name;
        size_t at = 0;
        if ((is_cost(name) || is_count(name)) != costs || isnan(group->values[i].mean))
            continue;
        while (at < list->count && strcmp(list->names[at], name) != 0)
            ++at;
        if (at < list->count)
            continue;
        if (list->count < MOST_NAMES)
            list->names[list->count++] = name;
        else
            list->left_out++;
    }
}

/* ---- tables of averages ---- */

static int same_comparison(const report_configuration *a, const report_configuration *b)
{
    return a->cell.setting == b->cell.setting && a->cell.value == b->cell.value &&
           a->cell.dataset == b->cell.dataset;
}

static void write_value(FILE *file, const report_value *value)
{
    if (!value || isnan(value->mean)) {
        fputs("<td><span class=\"none\">\u2013</span></td>", file);
        return;
    }
    fputs("<td>", file);
    markup_value(file, value->name, value->mean);
    if (!isnan(value->deviation)) {
        fputs(" <span class=\"d\">\u00b1 ", file);
        markup_value(file, value->name, value->deviation);
        fputs("</span>", file);
    }
    fputs("</td>", file);
}

static void write_heads(FILE *file, const char *first, const name_list *list)
{
    markup(file, "<thead><tr><th scope=\"col\" class=\"side first\" data-column=\"0\">%s</th>",
           first);
    for (size_t i = 0; i < list->count; ++i) {
        fprintf(file, "<th scope=\"col\" data-column=\"%zu\"", i + 1);
        markup_data(file, "metric", list->names[i]);
        markup(file, ">%s</th>", list->names[i]);
    }
    fputs("</tr></thead>\n<tbody>\n", file);
}

/* What tells it from others, behind the detector's name. */
static void describe_configuration(FILE *file, const report_configuration *c)
{
    if (*c->cell.backbone)
        markup(file, " <span class=\"d\">%s</span>", c->cell.backbone);
    if (*c->changed)
        markup(file, " <span class=\"d\">%s</span>", c->changed);
}

static void write_averages(const report_page *page, size_t first, size_t end, int costs)
{
    FILE *file = page->file;
    const report_configuration *all = page->data->configurations;
    name_list list = {0};
    for (size_t i = first; i < end; ++i)
        add_names(&list, report_average(&all[i]), costs);
    if (list.count == 0)
        return;
    qsort(list.names, list.count, sizeof *list.names, compare_names);
    fputs("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"", file);
    fputs(costs ? "Costs" : "Averages", file);
    fputs("\"><table class=\"sort\"><caption>", file);
    fputs(costs ? "Costs, means over categories" : "Means over categories, deviation over runs",
          file);
    fputs("</caption>\n", file);
    write_heads(file, "Configuration", &list);
    for (size_t i = first; i < end; ++i) {
        fprintf(file, "<tr><th scope=\"row\" class=\"first\"><a href=\"#k%zu\">", i + 1);
        markup(file, "%s</a>", all[i].cell.detector);
        describe_configuration(file, &all[i]);
        fputs("</th>", file);
        for (size_t j = 0; j < list.count; ++j)
            write_value(file, report_value_of(report_average(&all[i]), list.names[j]));
        fputs("</tr>\n", file);
    }
    fputs("</tbody></table></div>\n", file);
    if (list.left_out > 0)
        fprintf(file, "<p class=\"notes\">%zu more kinds of values are in the cells.</p>\n",
                list.left_out);
}

/* ---- one configuration by category ---- */

static void write_beside(FILE *file, const report_configuration *c, const report_group *group,
                         const report_value *value)
{
    imiad_published p = IMIAD_PUBLISHED_INIT;
    if (imiad_published_find(&p, c->cell.setting, c->cell.value, c->cell.dataset, group->category,
                             c->cell.detector, value->name) != IMIAD_OK)
        return;
    fputs("<span class=\"p\"><span class=\"hear\">published </span>", file);
    markup_number(file, p.figure, 3);
    if (p.mark != IMIAD_MARK_NONE)
        markup(file, " <span class=\"mark\">%s</span>", imiad_mark_name(p.mark));
    fputs("</span>", file);
    int whole = !group->average || value->categories == p.categories;
    if (!whole || p.mark == IMIAD_MARK_CATEGORY || p.mark == IMIAD_MARK_WRONG)
        return;
    fputs("<span class=\"p\"><span class=\"hear\">difference </span>", file);
    markup_signed(file, value->mean - p.figure, 3);
    fputs("</span>", file);
}

static void write_group(const report_page *page, const report_configuration *c,
                        const report_group *group, const name_list *list)
{
    FILE *file = page->file;
    size_t number = page_number(page, c), at = (size_t)(group - c->groups);
    fputs("<tr><th scope=\"row\" class=\"first\">", file);
    if (group->average)
        fputs("average", file);
    else
        fprintf(file, "<a href=\"#c%zu-%zu\">", number, at + 1);
    if (!group->average)
        markup(file, "%s</a>", group->category);
    fputs("</th>", file);
    for (size_t i = 0; i < list->count; ++i) {
        const report_value *value = report_value_of(group, list->names[i]);
        if (!value || isnan(value->mean)) {
            write_value(file, NULL);
            continue;
        }
        fputs("<td>", file);
        markup_value(file, value->name, value->mean);
        if (!isnan(value->deviation)) {
            fputs("<span class=\"d\">\u00b1 ", file);
            markup_value(file, value->name, value->deviation);
            fputs("</span>", file);
        }
        write_beside(file, c, group, value);
        fputs("</td>", file);
    }
    fputs("</tr>\n", file);
}

static void write_fact(FILE *file, const char *name, const char *text)
{
    if (text && *text)
        markup(file, "<dt>%s</dt><dd><code>%s</code></dd>\n", name, text);
}

static void write_configuration(const report_page *page, const report_configuration *c)
{
    FILE *file = page->file;
    name_list list = {0};
    for (size_t i = 0; i < c->count; ++i)
        add_names(&list, &c->groups[i], 0);
    qsort(list.names, list.count, sizeof *list.names, compare_names);
    markup(file, "<details><summary>%s", c->cell.detector);
    describe_configuration(file, c);
    fprintf(file, ", %zu %s</summary>\n<div id=\"k%zu\">\n<dl class=\"facts\">\n", c->count - 1,
            c->count == 2 ? "category" : "categories", page_number(page, c));
    write_fact(file, "options that differ from their defaults", c->changed);
    write_fact(file, "backbone", c->cell.backbone);
    write_fact(file, "weights", c->cell.weights);
    write_fact(file, "digest of the weights", c->cell.weights_digest);
    write_fact(file, "precision", c->cell.precision);
    write_fact(file, "measured at", c->cell.evaluation);
    write_fact(file, "digest of the dataset", c->cell.dataset_digest);
    fputs("</dl>\n<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"By category\">"
          "<table class=\"sort\"><caption>",
          file);
    markup(file, "%s by category</caption>\n", c->cell.detector);
    write_heads(file, "Category", &list);
    for (size_t i = 0; i < c->count; ++i)
        write_group(page, c, &c->groups[i], &list);
    fputs("</tbody></table></div>\n</div></details>\n", file);
}

/* ---- all of them ---- */

static void write_comparison(const report_page *page, size_t first, size_t end, size_t number)
{
    FILE *file = page->file;
    const imiad_cell *cell = &page->data->configurations[first].cell;
    fprintf(file, "<section id=\"comparison-%zu\" data-part=\"comparison\"", number);
    markup_data(file, "setting", cell->setting);
    markup_data(file, "dataset", cell->dataset);
    markup(file, ">\n<h3>%s%s%s on %s</h3>\n", cell->setting, *cell->value ? " " : "", cell->value,
           cell->dataset);
    write_averages(page, first, end, 0);
    write_averages(page, first, end, 1);
    figures_of_a_comparison(page, first, end, number);
    for (size_t i = first; i < end; ++i)
        write_configuration(page, &page->data->configurations[i]);
    fputs("</section>\n", file);
}

void page_comparisons(const report_page *page)
{
    const report_data *data = page->data;
    size_t number = 0;
    fputs("<section id=\"comparisons\">\n<h2>Comparisons</h2>\n<p>Every setting and dataset of the "
          "store with all configurations that ran there. The name of a configuration leads to its "
          "categories, the name of a category to its cell.</p>\n",
          page->file);
    for (size_t i = 0, end; i < data->count; i = end) {
        for (end = i + 1; end < data->count &&
                          same_comparison(&data->configurations[i], &data->configurations[end]);
             ++end)
            ;
        write_comparison(page, i, end, ++number);
    }
    fputs("</section>\n", page->file);
}
