/* The paper's figure 3: a good image, a defective one, its ground truth and the maps of the best
 * detectors; and the images on which each of these did best and worst. */
#include <math.h>
#include <string.h>

#include "report/figures.h"
#include "report/markup.h"

enum { SORTS = 2, MOST_SHOWN = 6, MOST_OF_A_SORT = 3 };

typedef struct picture_sort {
    const char *name, *image, *mask, *map;
} picture_sort;

static const picture_sort sorts[SORTS] = {
    {"structural", "picture structural image", "picture structural mask", "picture structural map"},
    {"logical", "picture logical image", "picture logical mask", "picture logical map"}};

/* A category in which a sort of defects is shown. */
typedef struct shown_column {
    const char *category;
    const picture_sort *sort;
} shown_column;

typedef struct gallery {
    const char *dataset;
    const report_configuration *lines[MOST_SHOWN]; /* one a detector, the best first */
    size_t line_count;
    shown_column columns[SORTS * MOST_OF_A_SORT];
    size_t column_count, counts[SORTS];
} gallery;

/* ---- what is shown ---- */

static const char *picture_of(const report_group *group, const char *name)
{
    for (size_t i = 0; group && i < group->cell_count; ++i) {
        const char *picture = evidence_picture(&group->cells[i]->cell, name);
        if (picture)
            return picture;
    }
    return NULL;
}

static bool has_pictures(const report_configuration *c)
{
    for (size_t i = 0; i + 1 < c->count; ++i)
        for (int k = 0; k < SORTS; ++k)
            if (picture_of(&c->groups[i], sorts[k].map))
                return true;
    return false;
}

static double auroc_of(const report_group *group)
{
    const report_value *value = report_value_of(group, "image_auroc");
    return value && !isnan(value->mean) ? value->mean : -1;
}

/* By image AUROC; of several configurations of a detector the best. */
static void add_line(gallery *g, const report_configuration *c)
{
    double auroc = auroc_of(report_average(c));
    size_t at = 0, end = g->line_count;
    for (size_t i = 0; i < end; ++i)
        if (g->lines[i]->cell.detector == c->cell.detector) {
            if (auroc_of(report_average(g->lines[i])) >= auroc)
                return;
            memmove(&g->lines[i], &g->lines[i + 1], (end - i - 1) * sizeof *g->lines);
            --end;
        }
    while (at < end && auroc_of(report_average(g->lines[at])) >= auroc)
        ++at;
    g->line_count = end;
    if (at == MOST_SHOWN)
        return;
    size_t moved = (end < MOST_SHOWN ? end : MOST_SHOWN - 1) - at;
    memmove(&g->lines[at + 1], &g->lines[at], moved * sizeof *g->lines);
    g->lines[at] = c;
    g->line_count = end < MOST_SHOWN ? end + 1 : MOST_SHOWN;
}

/* Of how many detectors a category has that picture. */
static size_t coverage(const gallery *g, const char *category, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < g->line_count; ++i)
        count += picture_of(report_category(g->lines[i], category), name) != NULL;
    return count;
}

static bool is_shown(const gallery *g, const char *category, const picture_sort *sort)
{
    for (size_t i = 0; i < g->column_count; ++i)
        if (g->columns[i].category == category && g->columns[i].sort == sort)
            return true;
    return false;
}

/* Categories of a sort that so many detectors have, structural ones from the first, logical ones
 * from the last. */
static void add_columns(gallery *g, const report_configuration *c, size_t k, size_t covered)
{
    for (size_t i = 0; i + 1 < c->count && g->counts[k] < MOST_OF_A_SORT; ++i) {
        const char *category = c->groups[k == 0 ? i : c->count - 2 - i].category;
        if (is_shown(g, category, &sorts[k]) || coverage(g, category, sorts[k].map) != covered)
            continue;
        g->columns[g->column_count++] = (shown_column){category, &sorts[k]};
        g->counts[k]++;
    }
}

/* Those that most detectors have come first. */
static void choose_columns(gallery *g)
{
    for (size_t k = 0; k < SORTS; ++k)
        for (size_t covered = g->line_count; covered > 0; --covered)
            for (size_t i = 0; i < g->line_count; ++i)
                add_columns(g, g->lines[i], k, covered);
}

static gallery gather(const report_data *data, const char *dataset)
{
    gallery g = {.dataset = dataset};
    for (size_t i = 0; i < data->count; ++i) {
        const report_configuration *c = &data->configurations[i];
        if (strcmp(c->cell.setting, "unsupervised") == 0 && c->cell.dataset == dataset &&
            has_pictures(c))
            add_line(&g, c);
    }
    if (g.line_count > 0)
        choose_columns(&g);
    return g;
}

/* ---- side by side ---- */

static void write_heads(FILE *file, const gallery *g)
{
    fputs("<thead><tr><th scope=\"col\" rowspan=\"2\" class=\"side first\">image</th>", file);
    for (size_t k = 0; k < SORTS; ++k)
        if (g->counts[k] > 0) {
            fprintf(file, "<th scope=\"colgroup\" colspan=\"%zu\" class=\"%s\">", g->counts[k],
                    sorts[k].name);
            markup(file, "%s defects</th>", sorts[k].name);
        }
    fputs("</tr>\n<tr>", file);
    for (size_t i = 0; i < g->column_count; ++i)
        markup(file, "<th scope=\"col\" class=\"side %s\">%s</th>", g->columns[i].sort->name,
               g->columns[i].category);
    fputs("</tr></thead>\n<tbody>\n", file);
}

static const char *name_in(const picture_sort *sort, int line)
{
    return line == 0   ? "picture good"
           : line == 1 ? sort->image
           : line == 2 ? sort->mask
                       : sort->map;
}

/* Of the detector, or of the first one that has it where that is NULL. */
static const char *find_picture(const gallery *g, const report_configuration *c,
                                const char *category, const char *name)
{
    const char *picture = c ? picture_of(report_category(c, category), name) : NULL;
    for (size_t i = 0; !c && !picture && i < g->line_count; ++i)
        picture = picture_of(report_category(g->lines[i], category), name);
    return picture;
}

/* A dash where there is no picture. */
static void write_picture(const report_page *page, const char *picture, const char *sort,
                          const char *words)
{
    markup(page->file, "<td class=\"%s\">", sort);
    if (picture)
        page_picture(page, picture, words);
    else
        fputs("\u2013", page->file);
    fputs("</td>", page->file);
}

/* Line 0 to 2 are of the category, 3 is a detector's map. */
static void write_line(const report_page *page, const gallery *g, const report_configuration *c,
                       int line, const char *name)
{
    FILE *file = page->file;
    markup(file, "<tr><th scope=\"row\" class=\"first\">%s</th>", name);
    for (size_t i = 0; i < g->column_count; ++i) {
        const shown_column *column = &g->columns[i];
        char words[256];
        snprintf(words, sizeof words, "%.60s, %.60s, %s", name, column->category,
                 column->sort->name);
        write_picture(page, find_picture(g, c, column->category, name_in(column->sort, line)),
                      column->sort->name, words);
    }
    fputs("</tr>\n", file);
}

static void write_side_by_side(const report_page *page, const gallery *g)
{
    FILE *file = page->file;
    fputs("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Gallery\"><table "
          "class=\"gallery\">",
          file);
    markup(file, "<caption>Maps side by side on %s</caption>", g->dataset);
    write_heads(file, g);
    static const char *const names[] = {"good", "defective", "ground truth"};
    for (int line = 0; line < 3; ++line)
        write_line(page, g, NULL, line, names[line]);
    for (size_t i = 0; i < g->line_count; ++i)
        write_line(page, g, g->lines[i], 3, g->lines[i]->cell.detector);
    fputs("</tbody></table></div>\n", file);
}

/* ---- best and worst ---- */

/* The category with pictures whose image AUROC is highest, or lowest. */
static const report_group *extreme(const report_configuration *c, bool lowest)
{
    const report_group *found = NULL;
    for (size_t i = 0; i + 1 < c->count; ++i) {
        const report_group *group = &c->groups[i];
        if (!picture_of(group, "picture found") || auroc_of(group) < 0)
            continue;
        double gain = found ? auroc_of(group) - auroc_of(found) : 0;
        if (!found || (lowest ? gain < 0 : gain > 0))
            found = group;
    }
    return found;
}

static void write_case(const report_page *page, const report_group *group, const char *name,
                       const char *words)
{
    write_picture(page, picture_of(group, name), "case", words);
}

static void write_category(FILE *file, const report_group *group)
{
    markup(file, "<td class=\"text\">%s<span class=\"d\">image AUROC ", group->category);
    markup_number(file, auroc_of(group), 3);
    fputs("</span></td>", file);
}

static void write_extremes(const report_page *page, const gallery *g)
{
    FILE *file = page->file;
    fputs("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Best and worst\">"
          "<table class=\"gallery\">",
          file);
    markup(file,
           "<caption>Best and worst on %s</caption><thead><tr><th scope=\"col\" class=\"side "
           "first\">detector</th><th scope=\"col\" class=\"side\">best category</th><th "
           "scope=\"col\" class=\"side\">highest score</th><th scope=\"col\" class=\"side\">worst "
           "category</th><th scope=\"col\" class=\"side\">defective, lowest score</th><th "
           "scope=\"col\" class=\"side\">good, highest score</th></tr></thead><tbody>\n",
           g->dataset);
    for (size_t i = 0; i < g->line_count; ++i) {
        const report_group *best = extreme(g->lines[i], false), *worst = extreme(g->lines[i], true);
        if (!best)
            continue;
        markup(file, "<tr><th scope=\"row\" class=\"first\">%s</th>", g->lines[i]->cell.detector);
        write_category(file, best);
        write_case(page, best, "picture found", "found");
        write_category(file, worst);
        write_case(page, worst, "picture missed", "missed");
        write_case(page, worst, "picture false alarm", "false alarm");
        fputs("</tr>\n", file);
    }
    fputs("</tbody></table></div>\n", file);
}

void page_gallery(const report_page *page)
{
    const report_data *data = page->data;
    for (size_t i = 0; i < data->count; ++i) {
        const char *dataset = data->configurations[i].cell.dataset;
        if (!report_begins_dataset(data, i))
            continue;
        const gallery g = gather(data, dataset);
        if (g.column_count == 0)
            continue;
        fputs("<section class=\"wide\" data-part=\"gallery\"", page->file);
        markup_data(page->file, "dataset", dataset);
        markup(page->file, ">\n<h3>Figure 3 on %s</h3>\n", dataset);
        fputs("<p>The detectors with the highest image AUROC. Blue is low, red is high: from the "
              "median of all values of a detector's maps of the category to the value that one in "
              "a thousand exceeds. The ground truth is outlined in white.</p>\n",
              page->file);
        write_side_by_side(page, &g);
        write_extremes(page, &g);
        fputs("</section>\n", page->file);
    }
}
