/* The continual setting as a heat map: a line a configuration, a column a task. */
#include <math.h>
#include <string.h>

#include "report/figures.h"
#include "report/markup.h"
#include "report/svg.h"

enum { MOST_LINES = 30, MOST_TASKS = 20 };

typedef struct heat {
    const report_configuration *lines[MOST_LINES];
    size_t count;
    const char *tasks[MOST_TASKS];
    size_t task_count;
} heat;

static int is_continual(const report_configuration *c, const char *dataset)
{
    return strcmp(c->cell.setting, "continual") == 0 && c->cell.dataset == dataset;
}

static heat gather(const report_data *data, const char *dataset)
{
    heat h = {.count = 0};
    for (size_t i = 0; i < data->count && h.count < MOST_LINES; ++i) {
        const report_configuration *c = &data->configurations[i];
        if (!is_continual(c, dataset))
            continue;
        h.lines[h.count++] = c;
        for (size_t j = 0; j + 1 < c->count; ++j) {
            size_t at = 0;
            while (at < h.task_count && h.tasks[at] != c->groups[j].category)
                ++at;
            if (at == h.task_count && h.task_count < MOST_TASKS)
                h.tasks[h.task_count++] = c->groups[j].category;
        }
    }
    return h;
}

static double value_of(const report_group *group, const char *name)
{
    const report_value *value = report_value_of(group, name);
    return value ? value->mean : NAN;
}

static void draw_task(FILE *file, const report_group *group, double x, double y, double width)
{
    double value = value_of(group, "image_auroc"), forgotten = value_of(group, "image_auroc_fm");
    svg_rect(file, "cell", x, y, width, 40, 1);
    if (isnan(value))
        return;
    if (!isnan(forgotten))
        svg_rect(file, "heat", x, y, width, 40, fmin(1, fmax(0, forgotten)) * 0.55);
    svg_number(file, x + width / 2, y + 17, "middle", "", value, 3);
    svg_number(file, x + width / 2, y + 33, "middle", "", forgotten, 3);
}

static void draw_memory(FILE *file, const report_configuration *c, double x, double y)
{
    double most = NAN;
    for (size_t i = 0; i + 1 < c->count; ++i)
        most = fmax(most, value_of(&c->groups[i], "kept_bytes"));
    if (isnan(most))
        return;
    fputs("<g>", file);
    svg_number(file, x, y + 17, "start", "", most / 1e6, 1);
    svg_text(file, x, y + 33, "start", "soft", "MB kept");
    fputs("</g>\n", file);
}

static void draw(const report_page *page, const heat *h, const char *dataset, size_t number)
{
    FILE *file = page->file;
    char id[96], text[160];
    const double left = 130, top = 100, width = 58;
    snprintf(id, sizeof id, "figure-continual-%zu", number);
    snprintf(text, sizeof text, "What is left and what was forgotten of each task of %s", dataset);
    svg_begin(
        file, id, text,
        "A line a detector, a column a task: above the image AUROC after the last task, below "
        "what was forgotten of it. The comparisons have the numbers.",
        left + width * (double)h->task_count + 80, top + 40 * (double)h->count + 10);
    for (size_t t = 0; t < h->task_count; ++t) {
        char place[80];
        double x = left + width * ((double)t + 0.5);
        snprintf(place, sizeof place, "<g transform=\"translate(%d %d) rotate(-40)\">", (int)x,
                 (int)top - 8);
        fputs(place, file);
        svg_text(file, 0, 0, "start", "", h->tasks[t]);
        fputs("</g>\n", file);
    }
    for (size_t i = 0; i < h->count; ++i) {
        double y = top + 40 * (double)i;
        svg_text(file, left - 8, y + 24, "end", "", h->lines[i]->cell.detector);
        for (size_t t = 0; t < h->task_count; ++t)
            draw_task(file, report_category(h->lines[i], h->tasks[t]), left + width * (double)t, y,
                      width);
        draw_memory(file, h->lines[i], left + width * (double)h->task_count + 8, y);
    }
    snprintf(text, sizeof text,
             "Continual on %s: image AUROC after the last task, and what was forgotten; a stronger "
             "colour is more. At the right the most memory that was kept.",
             dataset);
    svg_end(file, text);
}

void figures_of_forgetting(const report_page *page)
{
    const report_data *data = page->data;
    const char *last = NULL;
    size_t number = 0;
    for (size_t i = 0; i < data->count; ++i) {
        const report_configuration *c = &data->configurations[i];
        if (!is_continual(c, c->cell.dataset) || c->cell.dataset == last)
            continue;
        last = c->cell.dataset;
        const heat h = gather(data, last);
        draw(page, &h, last, ++number);
    }
}
