/* The continual setting as a heat map: a line a configuration, a column a task. */
#include <math.h>
#include <string.h>

#include "report/figures.h"
#include "report/markup.h"
#include "report/svg.h"

enum { MOST_LINES = 30, MOST_TASKS = 20, FULL = 760 };

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

static void name_column(FILE *file, double x, double y, const char *name)
{
    char place[80];
    snprintf(place, sizeof place, "<g transform=\"translate(%d %d) rotate(-40)\">", (int)x, (int)y);
    fputs(place, file);
    svg_text(file, 0, 0, "start", "", name);
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
        fmax(FULL, left + width * (double)h->task_count + 80), top + 40 * (double)h->count + 10);
    for (size_t t = 0; t < h->task_count; ++t) {
        name_column(file, left + width * ((double)t + 0.5), top - 8, h->tasks[t]);
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

/* ---- one sequence whole ---- */

/* The first run of a task that tells its course; NULL. */
static const report_cell *course_of(const report_configuration *c, size_t task)
{
    for (size_t i = 0; i + 1 < c->count; ++i)
        if (c->groups[i].cell_count > 0 && c->groups[i].cells[0]->evidence.task == (double)task &&
            c->groups[i].cells[0]->evidence.course.count > 0)
            return c->groups[i].cells[0];
    return NULL;
}

static double kept_after(const report_cell *cell)
{
    for (size_t i = 0; i < cell->count; ++i)
        if (strcmp(cell->names[i], "kept_bytes") == 0)
            return cell->values[i];
    return NAN;
}

/* A line each task that was learned, a column each task that was measured then. */
static void draw_matrix(const report_page *page, const report_configuration *c, size_t number)
{
    FILE *file = page->file;
    const report_cell *tasks[MOST_TASKS];
    size_t count = 0;
    char id[96], text[256];
    const double left = 130, top = 100, width = 58, height = 28;
    while (count < MOST_TASKS && (tasks[count] = course_of(c, count + 1)))
        ++count;
    if (count < 2)
        return;
    snprintf(id, sizeof id, "figure-matrix-%zu", number);
    snprintf(text, sizeof text, "What %.60s measures after each task of %.60s", c->cell.detector,
             c->cell.dataset);
    svg_begin(file, id, text,
              "A line a task that was learned, a column a task that was measured after it: image "
              "AUROC. At the right what is kept then.",
              fmax(FULL, left + width * (double)count + 90), top + height * (double)count + 10);
    for (size_t i = 0; i < count; ++i) {
        double y = top + height * (double)i;
        name_column(file, left + width * ((double)i + 0.5), top - 8, tasks[i]->cell.category);
        svg_text(file, left - 8, y + 19, "end", "", tasks[i]->cell.category);
        for (size_t j = 0; j <= i; ++j) {
            const number_list *course = &tasks[j]->evidence.course;
            double value = i - j < course->count ? course->numbers[i - j] : NAN;
            double x = left + width * (double)j;
            svg_rect(file, "cell", x, y, width, height, 1);
            svg_rect(file, "heat", x, y, width, height,
                     isnan(value) ? 0 : 1.1 * fmin(0.5, fmax(0, value - 0.5)));
            svg_number(file, x + width / 2, y + 19, "middle", "", value, 3);
        }
        double bytes = kept_after(tasks[i]);
        double x = left + width * (double)count + 8;
        svg_number(file, x + 44, y + 19, "end", "", bytes / 1e6, 1);
        svg_text(file, x + 48, y + 19, "start", "soft", isnan(bytes) ? "" : "MB");
    }
    snprintf(text, sizeof text,
             "Continual, %.60s on %.60s: image AUROC of each task after each task, stronger from "
             "0.5 to 1, and what is kept then.",
             c->cell.detector, c->cell.dataset);
    svg_end(file, text);
}

static void draw_matrices(const report_page *page)
{
    const report_data *data = page->data;
    size_t number = 0;
    for (size_t i = 0; i < data->count && number < MOST_LINES; ++i)
        if (is_continual(&data->configurations[i], data->configurations[i].cell.dataset))
            draw_matrix(page, &data->configurations[i], ++number);
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
    draw_matrices(page);
}
