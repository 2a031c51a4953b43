/* A store's figures in one table for a page: a row for each detector and number of images that it
 * learned from, a column for each category, then what it costs. */
#include "benchmark/commands.h"
#include "benchmark/options.h"
#include "checked.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: benchmark table STORE... [options]\n\n"
    "Prints a table in Markdown: a row for each detector and each number of images that it learned "
    "from. A category's\ncolumn has image AUROC, pixel AUROC and AUPRO, a dash where nothing was "
    "measured. Then come the middle of the\nseconds of fitting and of the milliseconds an image in "
    "batches, the largest peak of memory, and, from cells of\nthe setting efficiency, the "
    "milliseconds of one image alone, median and 99th percentile, by number of threads.\n"
    "Where cells differ in nothing else, the first store's count.\n\n"
    "  --dataset NAME, --detector NAME\n"
    "                     only these\n";

enum { FIGURES = 3, MOST_THREADS = 4 };
static const char *const figure_names[FIGURES] = {"image_auroc", "pixel_auroc", "aupro"};

typedef struct found {
    char *detector, *way, *category;
    double figures[FIGURES], fit_seconds, image_seconds, peak_bytes;
    double median_seconds, percentile_seconds; /* of efficiency alone */
    int threads;                               /* 0: not of efficiency */
} found;

typedef struct table {
    found *list;
    size_t count;
} table;

static double value_of(const imiad_finished *f, const char *name)
{
    for (size_t i = 0; i < f->count; ++i)
        if (strcmp(f->names[i], name) == 0)
            return f->values[i];
    return NAN;
}

/* ---- collecting ---- */

/* "all", or the number of images or of labelled defects. */
static char *way_of(const imiad_cell *cell)
{
    char text[256];
    const char *number = strchr(cell->value, '=');
    size_t length = number ? strcspn(number + 1, " ") : 0;
    if (strcmp(cell->setting, "fewshot") == 0 && number)
        snprintf(text, sizeof text, "%.*s", (int)length, number + 1);
    else if (strcmp(cell->setting, "supervised") == 0 && number)
        snprintf(text, sizeof text, "all, %.*s defects", (int)length, number + 1);
    else if (strcmp(cell->setting, "unsupervised") == 0 || strcmp(cell->setting, "efficiency") == 0)
        snprintf(text, sizeof text, "all");
    else
        snprintf(text, sizeof text, "%.60s %.120s", cell->setting, cell->value);
    return strdup(text);
}

static int same(const found *a, const found *b)
{
    return strcmp(a->detector, b->detector) == 0 && strcmp(a->way, b->way) == 0 &&
           strcmp(a->category, b->category) == 0 && a->threads == b->threads;
}

static void found_free(found *f)
{
    free(f->detector);
    free(f->way);
    free(f->category);
}

static imiad_status collect(void *user, const imiad_finished *f)
{
    table *t = user;
    found one = {.detector = strdup(f->cell->detector),
                 .way = way_of(f->cell),
                 .category = strdup(f->cell->category),
                 .fit_seconds = value_of(f, "fit_seconds"),
                 .image_seconds = 1 / value_of(f, "images_per_second"),
                 .peak_bytes = value_of(f, "peak_rss_bytes")};
    found *grown = realloc(t->list, (t->count + 1) * sizeof *grown);
    if (grown)
        t->list = grown;
    if (!one.detector || !one.way || !one.category || !grown) {
        found_free(&one);
        return imiad_fail(IMIAD_NO_MEMORY, "out of memory for a table");
    }
    for (int i = 0; i < FIGURES; ++i)
        one.figures[i] = value_of(f, figure_names[i]);
    if (strcmp(f->cell->setting, "efficiency") == 0) {
        one.threads = f->threads;
        one.median_seconds = value_of(f, "image_seconds");
        one.percentile_seconds = value_of(f, "image_percentile_99_seconds");
    }
    for (size_t i = 0; i < t->count; ++i)
        if (same(&t->list[i], &one)) {
            found_free(&one);
            return IMIAD_OK;
        }
    t->list[t->count++] = one;
    return IMIAD_OK;
}

/* ---- printing ---- */

/* A few texts, each once, in the order in which they came. */
typedef struct texts {
    const char **list;
    size_t count;
} texts;

static int add(texts *t, const char *text)
{
    for (size_t i = 0; i < t->count; ++i)
        if (strcmp(t->list[i], text) == 0)
            return 0;
    const char **grown = realloc(t->list, (t->count + 1) * sizeof *grown);
    if (!grown)
        return -1;
    t->list = grown;
    t->list[t->count++] = text;
    return 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Texts first, in bytewise order, then numbers, the largest first. */
static int compare_texts(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    long m = strtol(x, NULL, 10), n = strtol(y, NULL, 10);
    if (m > 0 && n > 0)
        return (m < n) - (m > n);
    return m > 0 || n > 0 ? (m > 0) - (n > 0) : strcmp(x, y);
}

typedef struct row {
    const char *detector, *way;
} row;

static int is_of(const found *f, const row *r)
{
    return strcmp(f->detector, r->detector) == 0 && strcmp(f->way, r->way) == 0;
}

static void print_figures(const table *t, const row *r, const char *category)
{
    for (size_t i = 0; i < t->count; ++i) {
        const found *f = &t->list[i];
        if (!is_of(f, r) || f->threads > 0 || strcmp(f->category, category) != 0)
            continue;
        for (int v = 0; v < FIGURES; ++v) {
            fputs(v == 0 ? " " : " / ", stdout);
            if (isnan(f->figures[v]))
                putchar('-');
            else
                printf("%.3f", f->figures[v]);
        }
        fputs(" |", stdout);
        return;
    }
    fputs(" - |", stdout);
}

enum cost { FIT, IMAGE, PEAK };

/* The middle one of a row's cells, or of the peaks the largest; NAN where there is none. */
static double cost_of(const table *t, const row *r, enum cost which, double *room)
{
    size_t count = 0;
    for (size_t i = 0; i < t->count; ++i) {
        const found *f = &t->list[i];
        const double costs[] = {f->fit_seconds, f->image_seconds, f->peak_bytes};
        if (is_of(f, r) && f->threads == 0 && !isnan(costs[which]))
            room[count++] = costs[which];
    }
    qsort(room, count, sizeof *room, compare);
    return count == 0 ? NAN : room[which == PEAK ? count - 1 : count / 2];
}

static void print_cost(double value, const char *format)
{
    if (isnan(value))
        fputs(" - |", stdout);
    else
        printf(format, value);
}

/* One image alone; the first category that was timed with so many threads. */
static void print_alone(const table *t, const row *r, int threads)
{
    for (size_t i = 0; i < t->count; ++i) {
        const found *f = &t->list[i];
        if (!is_of(f, r) || f->threads != threads)
            continue;
        printf(" %.1f /", 1e3 * f->median_seconds);
        print_cost(1e3 * f->percentile_seconds, " %.1f |");
        return;
    }
    fputs(" - |", stdout);
}

static int has_threads(const table *t, int threads)
{
    for (size_t i = 0; i < t->count; ++i)
        if (t->list[i].threads == threads)
            return 1;
    return 0;
}

static void print_head(const table *t, const texts *categories)
{
    fputs("| detector | images |", stdout);
    for (size_t c = 0; c < categories->count; ++c)
        printf(" %s |", categories->list[c]);
    fputs(" fit, s | image, ms | peak, MB |", stdout);
    for (int n = 1; n <= MOST_THREADS; ++n)
        if (has_threads(t, n))
            printf(" alone, %d thread%s, ms |", n, n > 1 ? "s" : "");
    fputs("\n|---|---|", stdout);
    for (size_t c = 0; c < categories->count; ++c)
        fputs("---|", stdout);
    fputs("---|---|---|", stdout);
    for (int n = 1; n <= MOST_THREADS; ++n)
        if (has_threads(t, n))
            fputs("---|", stdout);
    putchar('\n');
}

static void print_row(const table *t, const row *r, const texts *categories, double *room)
{
    printf("| %s | %s |", r->detector, r->way);
    for (size_t c = 0; c < categories->count; ++c)
        print_figures(t, r, categories->list[c]);
    print_cost(cost_of(t, r, FIT, room), " %.1f |");
    print_cost(1e3 * cost_of(t, r, IMAGE, room), " %.1f |");
    print_cost(1e-6 * cost_of(t, r, PEAK, room), " %.0f |");
    for (int n = 1; n <= MOST_THREADS; ++n)
        if (has_threads(t, n))
            print_alone(t, r, n);
    putchar('\n');
}

static imiad_status print_table(const table *t)
{
    texts categories = {0}, detectors = {0}, ways = {0};
    double *room = malloc((t->count + 1) * sizeof *room);
    int failed = !room;
    for (size_t i = 0; i < t->count; ++i)
        failed |= (t->list[i].threads == 0 && add(&categories, t->list[i].category) != 0) ||
                  add(&detectors, t->list[i].detector) != 0 || add(&ways, t->list[i].way) != 0;
    if (detectors.count > 1)
        qsort(detectors.list, detectors.count, sizeof *detectors.list, compare_texts);
    if (ways.count > 1)
        qsort(ways.list, ways.count, sizeof *ways.list, compare_texts);
    if (!failed)
        print_head(t, &categories);
    for (size_t d = 0; !failed && d < detectors.count; ++d)
        for (size_t w = 0; w < ways.count; ++w)
            for (size_t i = 0; i < t->count; ++i) {
                const row r = {detectors.list[d], ways.list[w]};
                if (!is_of(&t->list[i], &r))
                    continue;
                print_row(t, &r, &categories, room);
                break;
            }
    free(categories.list);
    free(detectors.list);
    free(ways.list);
    free(room);
    return failed ? imiad_fail(IMIAD_NO_MEMORY, "out of memory for a table") : IMIAD_OK;
}

static imiad_status collect_all(table *t, const options *o)
{
    imiad_results_filter filter = IMIAD_RESULTS_FILTER_INIT;
    imiad_status status = IMIAD_OK;
    filter.dataset = o->filter.dataset;
    filter.detector = o->filter.detector;
    for (size_t i = 0; status == IMIAD_OK && i < o->word_count; ++i) {
        imiad_results *store;
        status = imiad_results_open_to_read(&store, o->words[i]);
        if (status != IMIAD_OK)
            break;
        status = imiad_results_each(store, &filter, collect, t);
        imiad_results_free(store);
    }
    return status;
}

int table_main(int argc, char **argv)
{
    options o;
    table t = {0};
    int go_on = options_read(&o, argc, argv, usage, " dataset detector ");
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    if (o.word_count == 0) {
        fprintf(stderr, "%s", usage);
        return 2;
    }
    imiad_status status = collect_all(&t, &o);
    if (status == IMIAD_OK)
        status = print_table(&t);
    if (status != IMIAD_OK)
        fprintf(stderr, "%s: %s\n", o.program, imiad_last_error());
    for (size_t i = 0; i < t.count; ++i)
        found_free(&t.list[i]);
    free(t.list);
    return checked_stdout(o.program, status == IMIAD_OK ? 0 : 2, 2);
}
