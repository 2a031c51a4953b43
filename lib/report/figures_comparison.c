/* Figures of one comparison: spread over seeds, time by stage, ranks over categories. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/figures.h"
#include "report/markup.h"
#include "report/svg.h"

enum { MOST_LINES = 24, LINE = 32, LEFT = 190, WIDTH = 470, FULL = 760 };

static void begin(FILE *file, const char *kind, size_t number, const char *title,
                  const char *description, double height)
{
    char id[64];
    snprintf(id, sizeof id, "figure-%s-%zu", kind, number);
    svg_begin(file, id, title, description, FULL, height);
}

static void name_line(FILE *file, const report_configuration *c, double y)
{
    svg_text(file, LEFT - 10, *c->changed ? y - 1 : y + 4, "end", "", c->cell.detector);
    if (*c->changed) {
        char words[34]; /* the comparison has them in full */
        snprintf(words, sizeof words, "%.22s%s", c->changed,
                 strlen(c->changed) > 22 ? "\u2026" : "");
        svg_text(file, LEFT - 10, y + 12, "end", "soft", words);
    }
}

/* ---- spread over seeds ---- */

static double cell_value(const report_cell *cell, const char *name)
{
    for (size_t i = 0; i < cell->count; ++i)
        if (strcmp(cell->names[i], name) == 0)
            return cell->values[i];
    return NAN;
}

/* The mean over categories of the run with a seed; NAN where a category lacks it. */
static double run_mean(const report_configuration *c, uint64_t seed, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i + 1 < c->count; ++i) {
        double value = NAN;
        for (size_t j = 0; j < c->groups[i].cell_count; ++j)
            if (c->groups[i].cells[j]->cell.seed == seed)
                value = cell_value(c->groups[i].cells[j], name);
        sum += value;
    }
    return c->count > 1 ? sum / (double)(c->count - 1) : NAN;
}

static size_t run_count(const report_configuration *c)
{
    return c->count > 1 ? c->groups[0].cell_count : 0;
}

static void find_range(const report_configuration *all, size_t count, const char *name, double *low,
                       double *high)
{
    *low = 1;
    *high = 0;
    for (size_t i = 0; i < count; ++i)
        for (size_t j = 0; j < run_count(&all[i]); ++j) {
            double mean = run_mean(&all[i], all[i].groups[0].cells[j]->cell.seed, name);
            *low = fmin(*low, mean);
            *high = fmax(*high, mean);
        }
}

static void draw_spread(const report_page *page, const report_configuration *all, size_t count,
                        size_t number)
{
    static const char name[] = "image_auroc";
    FILE *file = page->file;
    double low, high;
    size_t most_runs = 0;
    for (size_t i = 0; i < count; ++i)
        most_runs = run_count(&all[i]) > most_runs ? run_count(&all[i]) : most_runs;
    find_range(all, count, name, &low, &high);
    if (most_runs < 2 || high < low)
        return;
    double margin = fmax(0.002, 0.06 * (high - low));
    const svg_field f = {LEFT, 20, WIDTH, LINE * (double)count, low - margin, high + margin, 0, 1};
    begin(file, "spread", number, "Spread over seeds",
          "A line a configuration, a mark a seed: image AUROC, mean over categories.",
          f.height + 70);
    svg_axis_x(file, &f, "image AUROC, mean over categories");
    for (size_t i = 0; i < count; ++i) {
        double y = f.top + LINE * ((double)i + 0.5);
        name_line(file, &all[i], y);
        for (size_t j = 0; j < run_count(&all[i]); ++j) {
            double mean = run_mean(&all[i], all[i].groups[0].cells[j]->cell.seed, name);
            if (!isnan(mean))
                svg_marker(file, i, svg_x(&f, mean), y);
        }
    }
    svg_end(file, "Spread over seeds: a mark is one seed with all its categories.");
}

/* ---- time by stage ---- */

enum { STAGES = 5 };
static const char *const stages[STAGES] = {"decode_seconds", "resize_seconds", "backbone_seconds",
                                           "score_seconds", "map_seconds"};

static double stage_of(const report_configuration *c, int stage)
{
    const report_value *value = report_value_of(report_average(c), stages[stage]);
    return value && value->mean > 0 && isfinite(value->mean) ? value->mean : 0;
}

static void draw_stage_legend(FILE *file, double y)
{
    static const char *const labels[STAGES] = {"decode", "resize", "backbone", "score", "map"};
    for (int s = 0; s < STAGES; ++s) {
        char class[4] = {'f', (char)('0' + s), '\0'};
        svg_rect(file, class, LEFT + 95 * s, y - 10, 12, 12, 1);
        svg_text(file, LEFT + 95 * s + 18, y, "start", "", labels[s]);
    }
}

static void draw_stages(const report_page *page, const report_configuration *all, size_t count,
                        size_t number)
{
    FILE *file = page->file;
    double most = 0;
    for (size_t i = 0; i < count; ++i) {
        double sum = 0;
        for (int s = 0; s < STAGES; ++s)
            sum += stage_of(&all[i], s);
        most = fmax(most, sum);
    }
    if (most <= 0)
        return;
    const svg_field f = {LEFT, 40, WIDTH, LINE * (double)count, 0, most * 1000, 0, 1};
    begin(file, "stages", number, "Time of an image by stage",
          "A bar a configuration: milliseconds to decode, resize, run the network, score and make "
          "the map of one image.",
          f.height + 90);
    draw_stage_legend(file, 22);
    svg_axis_x(file, &f, "milliseconds an image");
    for (size_t i = 0; i < count; ++i) {
        double y = f.top + LINE * ((double)i + 0.5), before = 0;
        name_line(file, &all[i], y);
        for (int s = 0; s < STAGES; ++s) {
            char class[4] = {'f', (char)('0' + s), '\0'};
            double own = stage_of(&all[i], s) * 1000;
            if (own > 0)
                svg_rect(file, class, svg_x(&f, before), y - 8,
                         svg_x(&f, before + own) - svg_x(&f, before), 16, 1);
            before += own;
        }
    }
    svg_end(file, "Time of an image by stage, mean over categories and seeds.");
}

/* ---- ranks over categories ---- */

/* Quantiles of the studentized range at 0.05 over the square root of two, for 2, 3, ... methods
 * (scipy.stats.studentized_range). */
static const double nemenyi[] = {1.960, 2.344, 2.569, 2.728, 2.850, 2.948, 3.031, 3.102,
                                 3.164, 3.219, 3.268, 3.313, 3.354, 3.391, 3.426, 3.458,
                                 3.489, 3.517, 3.544, 3.569, 3.593, 3.616, 3.637};
enum { MOST_RANKED = sizeof nemenyi / sizeof *nemenyi + 1, LEAST_RANKED = 3, LEAST_CATEGORIES = 4 };

typedef struct ranking {
    const report_configuration *lines[MOST_RANKED];
    double ranks[MOST_RANKED]; /* mean over categories */
    size_t count, categories;
} ranking;

/* Those that have the categories of the one with most. */
static void find_ranked(ranking *r, const report_configuration *all, size_t count)
{
    const report_configuration *largest = &all[0];
    for (size_t i = 1; i < count; ++i)
        largest = all[i].count > largest->count ? &all[i] : largest;
    for (size_t i = 0; i < count && r->count < MOST_RANKED; ++i)
        if (all[i].categories == largest->categories)
            r->lines[r->count++] = &all[i];
}

static double category_value(const report_configuration *c, size_t category)
{
    const report_value *value = report_value_of(&c->groups[category], "image_auroc");
    return value ? value->mean : NAN;
}

/* Adds each one's rank on a category, 1 for the best, equal ones share; nothing where one lacks it.
 */
static void add_ranks(ranking *r, size_t category)
{
    double values[MOST_RANKED];
    for (size_t i = 0; i < r->count; ++i) {
        values[i] = category_value(r->lines[i], category);
        if (isnan(values[i]))
            return;
    }
    for (size_t i = 0; i < r->count; ++i) {
        double rank = 0.5;
        for (size_t j = 0; j < r->count; ++j)
            rank += values[j] > values[i] ? 1 : values[j] == values[i] ? 0.5 : 0;
        r->ranks[i] += rank;
    }
    r->categories++;
}

static void sort_ranks(ranking *r)
{
    for (size_t i = 1; i < r->count; ++i)
        for (size_t j = i; j > 0 && r->ranks[j] < r->ranks[j - 1]; --j) {
            const report_configuration *line = r->lines[j];
            double rank = r->ranks[j];
            r->lines[j] = r->lines[j - 1];
            r->ranks[j] = r->ranks[j - 1];
            r->lines[j - 1] = line;
            r->ranks[j - 1] = rank;
        }
}

static void draw_rank_lines(FILE *file, const ranking *r, const svg_field *f, double difference)
{
    for (size_t i = 0; i < r->count; ++i) {
        double y = f->top + LINE * ((double)i + 0.5), rank = r->ranks[i];
        name_line(file, r->lines[i], y);
        double from = fmax(f->x_low, rank - difference / 2);
        double to = fmin(f->x_high, rank + difference / 2);
        svg_rect(file, "f0", svg_x(f, from), y - 3, svg_x(f, to) - svg_x(f, from), 6, 0.45);
        svg_marker(file, 0, svg_x(f, rank), y);
        svg_number(file, LEFT + WIDTH + 12, y + 4, "start", "soft", rank, 2);
    }
}

static void draw_ranks(const report_page *page, const report_configuration *all, size_t count,
                       size_t number)
{
    FILE *file = page->file;
    ranking r = {.count = 0};
    char caption[256];
    find_ranked(&r, all, count);
    if (r.count < LEAST_RANKED)
        return;
    for (size_t i = 0; i + 1 < r.lines[0]->count; ++i)
        add_ranks(&r, i);
    if (r.categories < LEAST_CATEGORIES)
        return;
    for (size_t i = 0; i < r.count; ++i)
        r.ranks[i] /= (double)r.categories;
    sort_ranks(&r);
    double k = (double)r.count;
    double difference = nemenyi[r.count - 2] * sqrt(k * (k + 1) / (6 * (double)r.categories));
    const svg_field f = {LEFT, 20, WIDTH, LINE * k, 0.5, k + 0.5, 0, 1};
    begin(
        file, "ranks", number, "Ranks over categories",
        "A line a configuration, best first: its mean rank in image AUROC over categories, with a "
        "bar as long as the critical difference.",
        f.height + 70);
    svg_axis_x(file, &f, "mean rank, 1 is best");
    draw_rank_lines(file, &r, &f, difference);
    snprintf(
        caption, sizeof caption,
        "Ranks in image AUROC over %zu categories. Bars are as long as the critical difference "
        "(Nemenyi, 5 percent): where two overlap, the difference is not significant.",
        r.categories);
    svg_end(file, caption);
}

void figures_of_a_comparison(const report_page *page, size_t first, size_t end, size_t number)
{
    const report_configuration *all = &page->data->configurations[first];
    size_t count = end - first < MOST_LINES ? end - first : MOST_LINES;
    draw_ranks(page, all, end - first, number);
    draw_spread(page, all, count, number);
    draw_stages(page, all, count, number);
}
