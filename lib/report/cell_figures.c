/* What a cell left to look at: the histogram of its scores with the threshold, curves, the images
 * on which it did worst, pictures. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/figures.h"
#include "report/markup.h"
#include "report/svg.h"

/* Of all cells together: more would make a page that no browser opens quickly. */
enum { MOST_LISTED = 20000, MOST_PICTURE_BYTES = 16 << 20 };

/* Rates are known behind the last of the images that score as much. */
static bool ends_tie(const cell_evidence *e, size_t i)
{
    return i + 1 == e->image_count || e->images[i + 1].score != e->images[i].score;
}

/* ---- the threshold ---- */

typedef struct verdicts {
    double threshold, f1; /* NAN where there is none */
    size_t false_alarms, missed;
} verdicts;

/* The largest F1 score, and the lowest threshold with it, as imiad_metrics_image_f1max has them:
 * what scores as much is called defective. Without defective images nothing is. */
static verdicts judge(const cell_evidence *e)
{
    verdicts v = {INFINITY, NAN, 0, 0};
    size_t found = 0;
    for (size_t i = 0; i < e->image_count && e->defective > 0; ++i) {
        found += e->images[i].defective;
        if (!ends_tie(e, i))
            continue;
        double f1 = 2 * (double)found / (double)(i + 1 + e->defective);
        if (isnan(v.f1) || f1 >= v.f1)
            v = (verdicts){e->images[i].score, f1, i + 1 - found, e->defective - found};
    }
    return v;
}

/* ---- panels side by side ---- */

enum { PANEL = 150, PANEL_HEIGHT = 120, GAP = 40, TOP = 24, BINS = 24 };

static int panel_left(int panel)
{
    return 24 + panel * (PANEL + GAP);
}

/* What is the same in all cells stands in the page once, and each refers to it. */
static void define_panel(FILE *file, int panel, const char *title, const char *low,
                         const char *high)
{
    int left = panel_left(panel), bottom = TOP + PANEL_HEIGHT;
    fprintf(file, "<g id=\"panel-%d\"><path class=\"axis\" d=\"M%d %dV%dH%d\"/>", panel, left, TOP,
            bottom, left + PANEL);
    svg_text(file, left, TOP - 8, "start", "", title);
    svg_text(file, left, bottom + 15, "start", "soft", low);
    svg_text(file, left + PANEL, bottom + 15, "end", "soft", high);
    fputs("</g>\n", file);
}

void figures_of_cells_begin(const report_page *page)
{
    FILE *file = page->file;
    fputs("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"hear\" aria-hidden=\"true\"><defs>\n",
          file);
    define_panel(file, 0, "images by score", "", "");
    define_panel(file, 1, "ROC", "0", "1");
    define_panel(file, 2, "precision by recall", "0", "1");
    define_panel(file, 3, "PRO", "0", "0.3");
    fputs("</defs></svg>\n", file);
}

static void begin_panel(FILE *file, int panel)
{
    fprintf(file, "<use href=\"#panel-%d\"/>", panel);
}

static int across(int panel, double share)
{
    return panel_left(panel) + (int)lround(PANEL * fmin(1, fmax(0, share)));
}

static int up(double share)
{
    return TOP + PANEL_HEIGHT - (int)lround(PANEL_HEIGHT * fmin(1, fmax(0, share)));
}

/* A line in whole pixels; points that fall on the last one are left out. */
typedef struct line {
    FILE *file;
    int x, y;
    bool open;
} line;

static line line_begin(FILE *file, int series)
{
    fprintf(file, "<path class=\"line l%d\" d=\"", series);
    return (line){.file = file};
}

static void line_to(line *l, int x, int y)
{
    if (!l->open)
        fprintf(l->file, "M%d %d", x, y);
    else if (x != l->x && y != l->y)
        fprintf(l->file, "L%d %d", x, y);
    else if (x != l->x)
        fprintf(l->file, "H%d", x);
    else if (y != l->y)
        fprintf(l->file, "V%d", y);
    l->x = x;
    l->y = y;
    l->open = true;
}

static void line_end(const line *l)
{
    fputs("\"/>\n", l->file);
}

/* ---- the histogram ---- */

typedef struct histogram {
    double low, high;
    size_t bins[2][BINS], most;
} histogram;

static histogram count_scores(const cell_evidence *e)
{
    histogram h = {e->images[e->image_count - 1].score, e->images[0].score, {{0}}, 1};
    double width = h.high - h.low;
    for (size_t i = 0; i < e->image_count; ++i) {
        double share = width > 0 ? (e->images[i].score - h.low) / width : 0;
        size_t bin = (size_t)(share * BINS);
        size_t *counted = &h.bins[e->images[i].defective][bin < BINS ? bin : BINS - 1];
        h.most = ++*counted > h.most ? *counted : h.most;
    }
    return h;
}

/* Bars of good images in the left half of each step, of defective ones in the right half. */
static void draw_bars(FILE *file, const histogram *h, int defective)
{
    fprintf(file, "<path class=\"f%d\" d=\"", defective);
    for (int i = 0; i < BINS; ++i) {
        int left = across(0, (i + 0.5 * defective) / BINS);
        int right = across(0, (i + 0.5 * defective + 0.5) / BINS);
        int height = TOP + PANEL_HEIGHT - up((double)h->bins[defective][i] / (double)h->most);
        if (h->bins[defective][i] > 0)
            fprintf(file, "M%d %dv-%dh%dv%dz", left, TOP + PANEL_HEIGHT, height, right - left,
                    height);
    }
    fputs("\"/>\n", file);
}

static void draw_histogram(FILE *file, const cell_evidence *e, const verdicts *v)
{
    const histogram h = count_scores(e);
    int bottom = TOP + PANEL_HEIGHT, left = panel_left(0);
    begin_panel(file, 0);
    svg_number(file, left, bottom + 15, "start", "soft", h.low, 3);
    svg_number(file, left + PANEL, bottom + 15, "end", "soft", h.high, 3);
    draw_bars(file, &h, 0);
    draw_bars(file, &h, 1);
    if (h.high > h.low && isfinite(v->threshold)) {
        int x = across(0, (v->threshold - h.low) / (h.high - h.low));
        fprintf(file, "<path class=\"outline l7\" d=\"M%d %dV%d\"/>\n", x, TOP, bottom);
    }
}

/* ---- curves ---- */

static void draw_roc(FILE *file, const cell_evidence *e)
{
    size_t good = 0, found = 0;
    begin_panel(file, 1);
    line l = line_begin(file, 0);
    line_to(&l, across(1, 0), up(0));
    for (size_t i = 0; i < e->image_count; ++i) {
        found += e->images[i].defective;
        good += !e->images[i].defective;
        if (ends_tie(e, i))
            line_to(&l, across(1, (double)good / (double)e->good),
                    up((double)found / (double)e->defective));
    }
    line_end(&l);
}

static void draw_precision(FILE *file, const cell_evidence *e)
{
    size_t found = 0;
    begin_panel(file, 2);
    line l = line_begin(file, 0);
    for (size_t i = 0; i < e->image_count; ++i) {
        found += e->images[i].defective;
        if (ends_tie(e, i))
            line_to(&l, across(2, (double)found / (double)e->defective),
                    up((double)found / (double)(i + 1)));
    }
    line_end(&l);
}

static void draw_overlap(FILE *file, const cell_evidence *e)
{
    if (e->rates.count == 0)
        return;
    begin_panel(file, 3);
    line l = line_begin(file, 0);
    for (size_t i = 0; i < e->rates.count; ++i)
        line_to(&l, across(3, e->rates.numbers[i] / 0.3), up(e->overlaps.numbers[i]));
    line_end(&l);
}

static void draw_cell(FILE *file, const cell_evidence *e, const verdicts *v)
{
    fprintf(file,
            "<figure><svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" "
            "aria-label=\"Scores and curves\" viewBox=\"0 0 %d 170\">",
            panel_left(4));
    draw_histogram(file, e, v);
    if (e->good > 0 && e->defective > 0) {
        draw_roc(file, e);
        draw_precision(file, e);
    }
    draw_overlap(file, e);
    fputs("</svg></figure>\n", file);
}

/* ---- in words ---- */

static void write_verdicts(FILE *file, const cell_evidence *e, const verdicts *v)
{
    fputs("<p>Threshold ", file);
    markup_number(file, v->threshold, 4);
    fputs(", with the largest F1 score ", file);
    markup_number(file, v->f1, 3);
    fprintf(file, ": %zu of %zu good images above, %zu of %zu defective ones below.</p>\n",
            v->false_alarms, e->good, v->missed, e->defective);
}

enum { WORST = 2 };

/* The first of one label from either end of the list. */
static void write_worst(FILE *file, const cell_evidence *e, bool defective)
{
    size_t written = 0;
    for (size_t k = 0; k < e->image_count && written < WORST; ++k) {
        const scored_image *image = &e->images[defective ? e->image_count - 1 - k : k];
        if (image->defective != defective)
            continue;
        markup(file, "%s<code>%s</code> ", written > 0 ? ", " : "", image->path);
        markup_number(file, image->score, 4);
        ++written;
    }
}

static void write_all_worst(FILE *file, const cell_evidence *e)
{
    if (e->good == 0 || e->defective == 0)
        return;
    fputs("<p class=\"notes\">Good images with the highest scores: ", file);
    write_worst(file, e, false);
    fputs(". Defective ones with the lowest: ", file);
    write_worst(file, e, true);
    fputs(".</p>\n", file);
}

static void write_images(FILE *file, const cell_evidence *e, const verdicts *v)
{
    fprintf(
        file,
        "<details><summary>All %zu test images</summary><div class=\"scroll\" role=\"region\" "
        "tabindex=\"0\" aria-label=\"Test images\"><table class=\"sort\"><caption>Test images by "
        "score</caption><thead><tr><th scope=\"col\" class=\"side first\" data-column=\"0\">image"
        "</th><th scope=\"col\" class=\"side\" data-column=\"1\">kind</th><th scope=\"col\" "
        "data-column=\"2\">score</th><th scope=\"col\" class=\"side\" data-column=\"3\">verdict"
        "</th></tr></thead><tbody>\n",
        e->image_count);
    for (size_t i = 0; i < e->image_count; ++i) {
        const scored_image *image = &e->images[i];
        bool above = image->score >= v->threshold;
        markup(file, "<tr><th scope=\"row\" class=\"first\">%s</th><td class=\"text\">%s</td><td>",
               image->path, image->kind);
        markup_number(file, image->score, 4);
        markup(file, "</td><td class=\"text\">%s</td></tr>\n",
               above == image->defective ? "right"
               : above                   ? "false alarm"
                                         : "missed");
    }
    fputs("</tbody></table></div></details>\n", file);
}

/* ---- pictures ---- */

void page_picture(const report_page *page, const char *picture, const char *description)
{
    size_t bytes = strlen(picture);
    report_data *data = page->data;
    if (data->picture_bytes + bytes > MOST_PICTURE_BYTES) {
        data->pictures_left_out++;
        return;
    }
    data->picture_bytes += bytes;
    markup(page->file, "<img src=\"%s\" alt=\"%s\"/>", picture, description);
}

static void write_cases(const report_page *page, const imiad_cell *cell)
{
    static const struct {
        const char *name, *words;
    } cases[] = {{"picture found", "defective, the highest score"},
                 {"picture missed", "defective, the lowest score"},
                 {"picture false alarm", "good, the highest score"}};
    FILE *file = page->file;
    bool any = false;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const char *picture = evidence_picture(cell, cases[i].name);
        if (!picture)
            continue;
        fputs(any ? "" : "<div class=\"cases\">\n", file);
        any = true;
        fputs("<figure>", file);
        page_picture(page, picture, "");
        markup(file, "<figcaption>%s</figcaption></figure>\n", cases[i].words);
    }
    fputs(any ? "</div>\n" : "", file);
}

/* ---- all of it ---- */

void figures_of_a_cell(const report_page *page, const report_group *group)
{
    const report_cell *cell = NULL;
    for (size_t i = group->cell_count; i-- > 0;)
        if (group->cells[i]->evidence.image_count > 0)
            cell = group->cells[i];
    if (!cell)
        return;
    const cell_evidence *e = &cell->evidence;
    const verdicts v = judge(e);
    if (!isfinite(e->images[0].score - e->images[e->image_count - 1].score))
        return;
    fprintf(page->file, "<h4>Scores with seed %llu</h4>\n", (unsigned long long)cell->cell.seed);
    if (e->defective > 0)
        write_verdicts(page->file, e, &v);
    draw_cell(page->file, e, &v);
    write_all_worst(page->file, e);
    write_cases(page, &cell->cell);
    if (page->data->image_count <= MOST_LISTED)
        write_images(page->file, e, &v);
    else
        fputs("<p class=\"notes\">The store has the scores of all test images.</p>\n", page->file);
}
