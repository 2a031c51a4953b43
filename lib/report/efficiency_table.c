/* Time and memory of each detector, in one line each. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "report/text_tables.h"

enum { COSTS = 7 };
static const char *const cost_names[COSTS] = {"fit, s",   "alone, ms",  "5 %, ms",  "95 %, ms",
                                              "images/s", "memory, MB", "saved, MB"};
/* Of the store, and what one of the column's units is. */
static const struct {
    const char *name;
    double unit;
} cost_values[COSTS] = {{"fit_seconds", 1},
                        {"image_seconds", 1e-3},
                        {"image_percentile_5_seconds", 1e-3},
                        {"image_percentile_95_seconds", 1e-3},
                        {"images_per_second", 1},
                        {"peak_rss_bytes", 1e6},
                        {"saved_bytes", 1e6}};
enum { SPEED = 4 }; /* the only cost that was published */

enum { PLACES = 3 };
static const char *const places[PLACES] = {"efficiency", "unsupervised", "supervised"};

/* Whose costs are shown, the first that there are: measured image by image, with the metrics of all
 * images, with those of a detector that learns from labelled defects. PLACES for other
 * settings. */
static size_t place_of(const report_configuration *c)
{
    size_t i = 0;
    while (i < PLACES && strcmp(places[i], c->cell.setting) != 0)
        ++i;
    return i;
}

static bool same_detector(const report_configuration *a, const report_configuration *b)
{
    return a->cell.detector == b->cell.detector && a->cell.dataset == b->cell.dataset &&
           a->cell.backbone == b->cell.backbone && a->cell.device == b->cell.device &&
           a->cell.precision == b->cell.precision && a->changed == b->changed;
}

/* Whether another one of the same detector comes before it. */
static bool is_outdone(const report_data *data, const report_configuration *c)
{
    for (size_t i = 0; i < data->count; ++i) {
        const report_configuration *other = &data->configurations[i];
        if (same_detector(other, c) &&
            (place_of(other) < place_of(c) || (place_of(other) == place_of(c) && other < c)))
            return true;
    }
    return false;
}

static imiad_status keep_number(const char **out, report_data *data, double number)
{
    char text[REAL_BYTES];
    if (!isfinite(number))
        return IMIAD_OK;
    plain_print(text, sizeof text, fabs(number) >= 100 ? "%.0f" : "%.2f", number);
    return kept_text(out, &data->kept, text);
}

static double published_speed(const report_configuration *c)
{
    imiad_published p = IMIAD_PUBLISHED_INIT;
    imiad_status status = imiad_published_find(&p, "unsupervised", "", c->cell.dataset, "average",
                                               c->cell.detector, "images_per_second");
    return status == IMIAD_OK && p.mark != IMIAD_MARK_WRONG ? p.figure : NAN;
}

static imiad_status keep_words(text_line *line, report_data *data)
{
    const report_configuration *c = line->configuration;
    const report_cell *cell = c->groups[0].cell_count > 0 ? c->groups[0].cells[0] : NULL;
    char text[1024], threads[32] = "";
    snprintf(text, sizeof text, "%s on %s", c->cell.detector, c->cell.dataset);
    TRY(kept_text(&line->label, &data->kept, text));
    if (cell && cell->threads > 0)
        snprintf(threads, sizeof threads, "%d thread%s", (int)cell->threads,
                 cell->threads == 1 ? "" : "s");
    const char *const parts[] = {c->cell.device, threads, c->cell.backbone};
    size_t length = 0;
    *text = '\0';
    for (size_t i = 0; i < 3 && length < sizeof text; ++i)
        if (*parts[i])
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
                                       length > 0 ? ", " : "", parts[i]);
    return kept_text(&line->note, &data->kept, text);
}

static imiad_status fill_line(text_line *line, report_data *data, const report_configuration *c)
{
    *line =
        (text_line){.dataset = c->cell.dataset, .detector = c->cell.detector, .configuration = c};
    for (size_t k = 0; k < COSTS; ++k) {
        const report_value *value = report_value_of(report_average(c), cost_values[k].name);
        if (value)
            TRY(keep_number(&line->texts[k][TEXT_OURS], data, value->mean / cost_values[k].unit));
    }
    TRY(keep_number(&line->texts[SPEED][TEXT_PUBLISHED], data, published_speed(c)));
    return keep_words(line, data);
}

static void say_options(text_line *line)
{
    if (*line->configuration->changed)
        line->detail = line->configuration->changed;
}

/* Lines that are called the same say their options. */
static void tell_apart(text_table *t)
{
    for (size_t i = 0; i < t->line_count; ++i)
        for (size_t k = i + 1; k < t->line_count; ++k)
            if (t->lines[k].label == t->lines[i].label) { /* kept texts */
                say_options(&t->lines[i]);
                say_options(&t->lines[k]);
            }
}

imiad_status efficiency_table_fill(text_table *out, report_data *data)
{
    *out = (text_table){.number = "E",
                        .title = "Time and memory of each detector",
                        .rule = "Means over categories. A detector that the setting efficiency "
                                "measured has the time of one image alone, from file to map: "
                                "median, 5 % and 95 %. The others have what their unsupervised "
                                "cells took, with the metrics, or else their supervised ones. "
                                "Images a second are of a whole test "
                                "set in batches; published ones were read off a plot, and their "
                                "machine is not known.",
                        .first = "Detector",
                        .kinds = {"ours", "published"},
                        .of_store = true,
                        .columns = cost_names,
                        .column_count = COSTS,
                        .note_name = "measured on"};
    TRY(kept_take(&out->lines, &data->kept, (data->count + 1) * sizeof *out->lines));
    for (size_t i = 0; i < data->count; ++i) {
        const report_configuration *c = &data->configurations[i];
        if (place_of(c) < PLACES && c->count > 0 && !is_outdone(data, c))
            TRY(fill_line(&out->lines[out->line_count++], data, c));
    }
    tell_apart(out);
    return IMIAD_OK;
}
