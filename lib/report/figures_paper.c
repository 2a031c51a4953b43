/* The paper's figures 2 and 4, and curves over noise, of what a store holds. */
#include <math.h>
#include <string.h>

#include "report/figures.h"
#include "report/markup.h"
#include "report/svg.h"

enum { MOST_SERIES = 24 };

/* ---- whose numbers are drawn ---- */

typedef struct series_list {
    const char *names[MOST_SERIES]; /* of detectors, kept texts */
    size_t count, left_out;
} series_list;

static void add_series(series_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; ++i)
        if (list->names[i] == name)
            return;
    if (list->count < MOST_SERIES)
        list->names[list->count++] = name;
    else
        list->left_out++;
}

/* Every detector of the store has its colour and shape in all figures. */
static series_list detectors_of(const report_data *data)
{
    series_list list = {0};
    for (size_t i = 0; i < data->count; ++i)
        add_series(&list, data->configurations[i].cell.detector);
    return list;
}

static series_list datasets_of(const report_data *data, const char *setting)
{
    series_list list = {0};
    for (size_t i = 0; i < data->count; ++i)
        if (strcmp(data->configurations[i].cell.setting, setting) == 0)
            add_series(&list, data->configurations[i].cell.dataset);
    return list;
}

static double published_of(const table_key *key)
{
    imiad_published p = IMIAD_PUBLISHED_INIT;
    imiad_status status = imiad_published_find(&p, key->setting, key->value, key->dataset,
                                               "average", key->method, key->metric);
    return status == IMIAD_OK && p.mark != IMIAD_MARK_WRONG ? p.figure : NAN;
}

static double ours_of(const report_page *page, table_key key, const char *metric)
{
    key.metric = metric;
    const report_value *value = grid_find(page->data, &key);
    return value ? value->mean : NAN;
}

static void name_figure(char id[96], const char *kind, size_t number)
{
    snprintf(id, 96, "figure-%s-%zu", kind, number);
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* ---- figure 2: speed against image AUROC ---- */

typedef struct bubble {
    double speed, auroc, bytes, published_speed, published_auroc;
} bubble;

static bubble bubble_of(const report_page *page, const char *dataset, const char *detector)
{
    table_key key = {.setting = "unsupervised",
                     .value = "",
                     .dataset = dataset,
                     .category = "average",
                     .method = detector};
    const char *auroc = strcmp(dataset, "mvtec_loco") == 0 ? "mean_image_auroc" : "image_auroc";
    bubble b = {ours_of(page, key, "images_per_second"), ours_of(page, key, auroc),
                ours_of(page, key, "peak_rss_bytes"), NAN, NAN};
    key.metric = "images_per_second";
    b.published_speed = published_of(&key);
    key.metric = auroc;
    b.published_auroc = published_of(&key);
    return b;
}

/* The machine of the cells, where there is one. */
static const char *machine_of(const report_data *data, const char *dataset)
{
    const char *machine = NULL;
    for (size_t i = 0; i < data->count; ++i) {
        const report_configuration *c = &data->configurations[i];
        if (strcmp(c->cell.setting, "unsupervised") != 0 || c->cell.dataset != dataset)
            continue;
        if (machine && machine != c->cell.machine)
            return "several machines";
        machine = c->cell.machine;
    }
    return machine && *machine ? machine : "a machine that is not named";
}

static int is_drawn(const bubble *b)
{
    return !isnan(b->speed) && !isnan(b->auroc);
}

static int has_outline(const bubble *b)
{
    return is_drawn(b) && !isnan(b->published_speed) && !isnan(b->published_auroc);
}

/* Where numbers stand so far: the next one moves down until it covers none. */
typedef struct label_list {
    double x[2 * MOST_SERIES], y[2 * MOST_SERIES];
    size_t count;
} label_list;

static void place_label(FILE *file, label_list *labels, double x, double y, const char *class,
                        const char *text)
{
    for (size_t i = 0; i < labels->count; ++i)
        if (fabs(labels->x[i] - x) < 15 && fabs(labels->y[i] - y) < 11) {
            y = labels->y[i] + 11;
            i = (size_t)-1; /* from the first again */
        }
    labels->x[labels->count] = x;
    labels->y[labels->count++] = y;
    svg_text(file, x, y + 4, "middle", class, text);
}

static void draw_bubble(FILE *file, const svg_field *f, const bubble *b, size_t series,
                        double most_bytes, label_list *labels)
{
    char number[24];
    snprintf(number, sizeof number, "%zu", series + 1);
    double x = svg_x(f, b->speed), y = svg_y(f, b->auroc);
    double radius = isnan(b->bytes) ? 6 : clamp(26 * sqrt(b->bytes / most_bytes), 6, 26);
    if (has_outline(b)) {
        double px = svg_x(f, b->published_speed), py = svg_y(f, b->published_auroc);
        svg_outline(file, series, px, py, 8);
        place_label(file, labels, px, py, "soft", number);
    }
    svg_bubble(file, series, x, y, radius);
    place_label(file, labels, x, y, "", number);
}

static void draw_bubble_legend(FILE *file, const bubble *bubbles, const series_list *detectors,
                               double x, double y)
{
    int outlines = 0;
    for (size_t i = 0; i < detectors->count; ++i) {
        char number[24];
        outlines |= has_outline(&bubbles[i]);
        if (!is_drawn(&bubbles[i]))
            continue;
        snprintf(number, sizeof number, "%zu", i + 1);
        svg_bubble(file, i, x, y - 4, 8);
        svg_text(file, x, y, "middle", "", number);
        svg_text(file, x + 16, y, "start", "", detectors->names[i]);
        y += 20;
    }
    if (!outlines)
        return;
    svg_outline(file, 7, x, y + 6, 8);
    svg_text(file, x + 16, y + 10, "start", "soft", "published");
}

static svg_field bubble_field(const bubble *bubbles, size_t count)
{
    svg_field f = {60, 40, 500, 330, 0, 10, 0.6, 1};
    for (size_t i = 0; i < count; ++i) {
        if (!is_drawn(&bubbles[i]))
            continue;
        f.x_high = fmax(f.x_high, ceil(bubbles[i].speed / 10) * 10);
        f.y_low = fmin(f.y_low, floor(bubbles[i].auroc * 10) / 10);
        if (has_outline(&bubbles[i])) {
            f.x_high = fmax(f.x_high, ceil(bubbles[i].published_speed / 10) * 10);
            f.y_low = fmin(f.y_low, floor(bubbles[i].published_auroc * 10) / 10);
        }
    }
    return f;
}

static void draw_efficiency(const report_page *page, const char *dataset,
                            const series_list *detectors, size_t number)
{
    FILE *file = page->file;
    bubble bubbles[MOST_SERIES];
    double most_bytes = 1;
    size_t count = 0, outlines = 0;
    label_list labels = {.count = 0};
    char id[96], title[512];
    for (size_t i = 0; i < detectors->count; ++i) {
        bubbles[i] = bubble_of(page, dataset, detectors->names[i]);
        count += (size_t)is_drawn(&bubbles[i]);
        outlines += (size_t)has_outline(&bubbles[i]);
        if (is_drawn(&bubbles[i]) && bubbles[i].bytes > most_bytes)
            most_bytes = bubbles[i].bytes;
    }
    if (count == 0)
        return;
    const svg_field f = bubble_field(bubbles, detectors->count);
    name_figure(id, "speed", number);
    snprintf(title, sizeof title, "Speed against image AUROC on %s", dataset);
    svg_begin(file, id, title,
              "Each detector is a numbered disc: to the right is faster, up is better, a larger "
              "disc took more memory. The comparisons have the numbers.",
              760, fmax(430, 70 + 20 * (double)count));
    svg_axis_x(file, &f, "images per second");
    svg_axis_y(file, &f, "image AUROC");
    for (size_t i = 0; i < detectors->count; ++i)
        if (is_drawn(&bubbles[i]))
            draw_bubble(file, &f, &bubbles[i], i, most_bytes, &labels);
    draw_bubble_legend(file, bubbles, detectors, 590, 50);
    snprintf(title, sizeof title, "Figure 2 on %s: area is the peak of memory. Ours on %.200s.%s",
             dataset, machine_of(page->data, dataset),
             outlines ? " Published speeds were read off a plot; their machine is not known." : "");
    svg_end(file, title);
}

/* ---- figure 4 and noise: curves ---- */

enum { MOST_STEPS = 5 };

typedef struct curve_kind {
    const char *name, *title, *axis, *caption;
    size_t count;
    struct {
        const char *label, *setting, *value;
    } steps[MOST_STEPS];
} curve_kind;

static const curve_kind few_shot = {"shots",
                                    "few-shot",
                                    "shots",
                                    "Figure 4",
                                    4,
                                    {{"1", "fewshot", "shots=1"},
                                     {"2", "fewshot", "shots=2"},
                                     {"4", "fewshot", "shots=4"},
                                     {"8", "fewshot", "shots=8"}}};
static const curve_kind noise = {"noise",
                                 "noise",
                                 "share of noise",
                                 "Noise",
                                 5,
                                 {{"0", "unsupervised", ""},
                                  {"0.05", "noisy", "ratio=0.05"},
                                  {"0.10", "noisy", "ratio=0.1"},
                                  {"0.15", "noisy", "ratio=0.15"},
                                  {"0.20", "noisy", "ratio=0.2"}}};

typedef struct curve {
    double ours[MOST_STEPS], published[MOST_STEPS];
    size_t count, published_count;
} curve;

static curve curve_of(const report_page *page, const curve_kind *kind, const char *dataset,
                      const char *metric, const char *detector)
{
    curve c = {.count = 0};
    for (size_t i = 0; i < kind->count; ++i) {
        table_key key = {.setting = kind->steps[i].setting,
                         .value = kind->steps[i].value,
                         .dataset = dataset,
                         .category = "average",
                         .method = detector,
                         .metric = metric};
        c.ours[i] = ours_of(page, key, metric);
        c.published[i] = published_of(&key);
        c.count += !isnan(c.ours[i]);
        c.published_count += !isnan(c.published[i]);
    }
    return c;
}

static void draw_curve(FILE *file, const svg_field *f, const curve *c, size_t steps, size_t series)
{
    double x[MOST_STEPS] = {0}, published[MOST_STEPS] = {0};
    double x_ours[MOST_STEPS] = {0}, ours[MOST_STEPS] = {0};
    size_t count = 0; /* of ours: the line joins those that there are */
    for (size_t i = 0; i < steps; ++i) {
        x[i] = svg_x(f, (double)i);
        published[i] = svg_y(f, c->published[i]);
        if (isnan(c->ours[i]))
            continue;
        x_ours[count] = x[i];
        ours[count++] = svg_y(f, c->ours[i]);
    }
    svg_curve(file, series, 1, x, published, steps);
    svg_curve(file, series, 0, x_ours, ours, count);
    for (size_t i = 0; i < count; ++i)
        svg_marker(file, series, x_ours[i], ours[i]);
}

static svg_field curve_field(const curve *curves, size_t count, size_t steps)
{
    svg_field f = {60, 40, 500, 330, -0.2, (double)steps - 0.8, 1, 0};
    for (size_t i = 0; i < count; ++i)
        for (size_t j = 0; j < steps && curves[i].count > 1; ++j) {
            f.y_low = fmin(f.y_low, fmin(curves[i].ours[j], curves[i].published[j]));
            f.y_high = fmax(f.y_high, fmax(curves[i].ours[j], curves[i].published[j]));
        }
    f.y_low = fmax(0, floor(f.y_low * 20 - 0.2) / 20);
    f.y_high = fmin(1, ceil(f.y_high * 20 + 0.2) / 20);
    if (f.y_high <= f.y_low)
        f.y_high = f.y_low + 0.05;
    return f;
}

static void draw_steps(FILE *file, const svg_field *f, const curve_kind *kind)
{
    double bottom = f->top + f->height;
    for (size_t i = 0; i < kind->count; ++i)
        svg_text(file, svg_x(f, (double)i), bottom + 16, "middle", "soft", kind->steps[i].label);
    svg_line(file, "axis", f->left, bottom, f->left + f->width, bottom);
    svg_text(file, f->left + f->width / 2, bottom + 36, "middle", "", kind->axis);
}

static void draw_curves(const report_page *page, const curve_kind *kind, const char *dataset,
                        const char *metric, const char *metric_label, const series_list *detectors,
                        size_t number)
{
    FILE *file = page->file;
    curve curves[MOST_SERIES];
    char id[96], title[200];
    size_t count = 0;
    for (size_t i = 0; i < detectors->count; ++i) {
        curves[i] = curve_of(page, kind, dataset, metric, detectors->names[i]);
        count += curves[i].count > 1;
    }
    if (count == 0)
        return;
    const svg_field f = curve_field(curves, detectors->count, kind->count);
    name_figure(id, kind->name, number);
    snprintf(title, sizeof title, "%s against %s on %s", metric_label, kind->axis, dataset);
    svg_begin(file, id, title, "One line a detector; the tables have the numbers.", 760,
              fmax(430, 80 + 20 * (double)count));
    svg_axis_y(file, &f, metric_label);
    draw_steps(file, &f, kind);
    size_t published = 0;
    double y = 50;
    for (size_t i = 0; i < detectors->count; ++i) {
        if (curves[i].count < 2)
            continue;
        draw_curve(file, &f, &curves[i], kind->count, i);
        published += curves[i].published_count;
        svg_marker(file, i, 590, y - 4);
        svg_text(file, 606, y, "start", "", detectors->names[i]);
        y += 20;
    }
    if (published > 0) {
        svg_line(file, "outline l7", 582, y + 6, 598, y + 6);
        svg_text(file, 606, y + 10, "start", "soft", "published");
    }
    snprintf(title, sizeof title, "%s: %s on %s.", kind->caption, metric_label, dataset);
    svg_end(file, title);
}

static void draw_all_curves(const report_page *page, const curve_kind *kind,
                            const series_list *datasets, const series_list *detectors)
{
    static const char *const metrics[][2] = {{"image_auroc", "image AUROC"},
                                             {"pixel_ap", "pixel AP"}};
    size_t number = 0;
    for (size_t i = 0; i < datasets->count; ++i)
        for (size_t m = 0; m < 2; ++m)
            draw_curves(page, kind, datasets->names[i], metrics[m][0], metrics[m][1], detectors,
                        ++number);
}

void figures_of_the_paper(const report_page *page)
{
    const series_list detectors = detectors_of(page->data);
    series_list datasets = datasets_of(page->data, "unsupervised");
    for (size_t i = 0; i < datasets.count; ++i)
        draw_efficiency(page, datasets.names[i], &detectors, i + 1);
    datasets = datasets_of(page->data, "fewshot");
    draw_all_curves(page, &few_shot, &datasets, &detectors);
    datasets = datasets_of(page->data, "noisy");
    draw_all_curves(page, &noise, &datasets, &detectors);
}
