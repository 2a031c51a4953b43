/* Lays what a result store holds beside what IM-IAD published: mean and deviation over seeds, the
 * published figure, the difference, and what is known against that figure. */
#include <errno.h>
#include <getopt.h>
#include <imiad/imiad.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checked.h"

static const char help[] =
    "Usage: %s --results FILE [options]\n\n"
    "Lays what a result store holds beside the figures that IM-IAD published.\n\n"
    "  --results FILE     the store that the protocol programs wrote\n"
    "  --setting NAME, --value TEXT, --dataset NAME, --category NAME, --detector NAME\n"
    "                     only these; --category average leaves the averages\n"
    "  --metric NAME      only this value, such as image_auroc\n"
    "  --all              also what has no published figure\n"
    "  --csv FILE, --json FILE\n"
    "                     write the comparison as well; - is standard output, instead of\n"
    "                     the table\n"
    "  --help, --version\n";

/* The columns of the CSV file, and the names in the JSON file. */
static const char *const columns[] = {
    "setting",   "value",      "dataset",    "category", "detector",  "options", "backbone",
    "precision", "evaluation", "metric",     "mean",     "deviation", "runs",    "categories",
    "undefined", "published",  "difference", "mark",     "reason",    "source",  "note"};
enum { COLUMNS = sizeof columns / sizeof *columns };

typedef struct comparison {
    imiad_results_filter filter;
    const char *metric;
    int all;
    json_t *rows; /* an object of the columns each */
} comparison;

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* The published AUPRO was sampled at 100 thresholds; whoever measured that variant, too, compares
 * like with like. */
static const char *published_metric(const char *name)
{
    return strcmp(name, "aupro_sampled") == 0 ? "aupro" : name;
}

/* The detector's options that differ from their defaults, as words; all of an unknown detector's.
 */
static void changed_options(char *out, size_t size, const imiad_cell *cell)
{
    size_t used = 0;
    snprintf(out, size, "%s", "");
    for (size_t i = 0; i < cell->option_count; ++i) {
        const imiad_option *option = &cell->options[i];
        imiad_option_info info = IMIAD_OPTION_INFO_INIT;
        int changed = strcmp(option->name, "seed") != 0;
        for (size_t j = 0; imiad_detector_option_info(&info, cell->detector, j) == IMIAD_OK; ++j)
            if (strcmp(info.name, option->name) == 0)
                changed = changed && strcmp(info.default_value, option->value) != 0;
        if (changed && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s=%s", used ? " " : "",
                                     option->name, option->value);
    }
}

/* What else keeps the two numbers from being the same thing; "" where nothing does. */
static void note(char *out, size_t size, const imiad_summary *s, const imiad_published *p)
{
    int average = strcmp(s->cell->category, "average") == 0;
    snprintf(out, size, "%s", "");
    if (p && average && s->categories != p->categories)
        snprintf(out, size, "average of %lld of the %d categories", (long long)s->categories,
                 (int)p->categories);
    else if (p && strcmp(s->name, "aupro") == 0)
        snprintf(out, size, "ours is exact, the published one sampled at 100 thresholds");
    else if (s->undefined > 0)
        snprintf(out, size, "%lld values do not exist and are left out", (long long)s->undefined);
    else if (s->incomplete > 0)
        snprintf(out, size, "%lld runs are not finished", (long long)s->incomplete);
}

/* Whether the published figure is one of the same thing, so that a difference means something. */
static int comparable(const imiad_summary *s, const imiad_published *p)
{
    int average = strcmp(s->cell->category, "average") == 0;
    return p->mark != IMIAD_MARK_CATEGORY && p->mark != IMIAD_MARK_WRONG &&
           (!average || s->categories == p->categories);
}

static imiad_status add_row(void *user, const imiad_summary *s)
{
    comparison *c = user;
    const imiad_cell *cell = s->cell;
    imiad_published p = IMIAD_PUBLISHED_INIT;
    int found = imiad_published_find(&p, cell->setting, cell->value, cell->dataset, cell->category,
                                     cell->detector, published_metric(s->name)) == IMIAD_OK;
    if ((c->metric && strcmp(c->metric, s->name) != 0) || (!found && !c->all))
        return IMIAD_OK;
    char words[128], options[1024];
    changed_options(options, sizeof options, cell);
    note(words, sizeof words, s, found ? &p : NULL);
    int same = found && comparable(s, &p);
    json_t *row = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:o, "
        "s:o, s:s, s:s, "
        "s:s, s:s}",
        "setting", cell->setting, "value", cell->value, "dataset", cell->dataset, "category",
        cell->category, "detector", cell->detector, "options", options, "backbone", cell->backbone,
        "precision", cell->precision, "evaluation", cell->evaluation, "metric", s->name, "mean",
        real(s->mean), "deviation", real(s->deviation), "runs", (json_int_t)s->runs, "categories",
        (json_int_t)s->categories, "undefined", (json_int_t)s->undefined, "published",
        real(found ? p.figure : NAN), "difference", real(same ? s->mean - p.figure : NAN), "mark",
        imiad_mark_name(p.mark), "reason", found ? p.reason : "", "source", found ? p.source : "",
        "note", words);
    json_array_append_new(c->rows, row);
    return IMIAD_OK;
}

/* ---- the table ---- */

static const char *text_of(const json_t *row, const char *column)
{
    const char *text = json_string_value(json_object_get(row, column));
    return text ? text : "";
}

static int same_text(const json_t *a, const json_t *b, const char *column)
{
    return a && strcmp(text_of(a, column), text_of(b, column)) == 0;
}

static void print_number(const json_t *row, const char *column, const char *format, int width)
{
    const json_t *value = json_object_get(row, column);
    if (json_is_real(value))
        printf(format, json_real_value(value));
    else
        printf(" %*s", width - 1, "-");
}

/* A heading where the configuration changes. */
static void print_heading(const json_t *last, const json_t *row)
{
    static const char *const parts[] = {"detector", "options", "backbone", "precision",
                                        "setting",  "value",   "dataset",  "evaluation"};
    int same = 1;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i)
        same = same && same_text(last, row, parts[i]);
    if (same)
        return;
    printf("\n%s on %s, %s%s%s\n", text_of(row, "detector"), text_of(row, "dataset"),
           text_of(row, "setting"), *text_of(row, "value") ? " " : "", text_of(row, "value"));
    if (*text_of(row, "options"))
        printf("%s\n", text_of(row, "options"));
    printf("%s %s, measured at %s\n\n", text_of(row, "backbone"), text_of(row, "precision"),
           *text_of(row, "evaluation") ? text_of(row, "evaluation") : "the default size");
    printf("%-20s %-24s %8s %8s %5s %10s %10s  %s\n", "category", "metric", "mean", "std", "runs",
           "published", "difference", "mark");
}

/* The number of a remark among the footnotes, new ones at the end; 0 for none. */
static size_t footnote(json_t *notes, const char *mark, const char *words)
{
    char text[512];
    if (!*words)
        return 0;
    snprintf(text, sizeof text, "%s%s%s", mark, *mark ? ": " : "", words);
    for (size_t i = 0; i < json_array_size(notes); ++i)
        if (strcmp(json_string_value(json_array_get(notes, i)), text) == 0)
            return i + 1;
    json_array_append_new(notes, json_string(text));
    return json_array_size(notes);
}

static void print_table(const json_t *rows)
{
    json_t *notes = json_array(), *row;
    const json_t *last = NULL;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        print_heading(last, row);
        printf("%-20s %-24s", text_of(row, "category"), text_of(row, "metric"));
        print_number(row, "mean", " %8.4f", 9);
        print_number(row, "deviation", " %8.4f", 9);
        printf(" %5lld", (long long)json_integer_value(json_object_get(row, "runs")));
        print_number(row, "published", " %10.3f", 11);
        print_number(row, "difference", " %+10.4f", 11);
        size_t reason = footnote(notes, text_of(row, "mark"), text_of(row, "reason"));
        size_t remark = footnote(notes, "", text_of(row, "note"));
        if (reason)
            printf("  %s [%zu]", text_of(row, "mark"), reason);
        if (remark)
            printf("%s[%zu]", reason ? " " : "  ", remark);
        printf("\n");
        last = row;
    }
    printf("\n");
    json_array_foreach(notes, i, row) printf("[%zu] %s\n", i + 1, json_string_value(row));
    json_decref(notes);
}

/* ---- files ---- */

static void write_field(FILE *file, const json_t *value)
{
    const char *text = json_string_value(value);
    if (json_is_real(value))
        fprintf(file, "%.17g", json_real_value(value));
    else if (json_is_integer(value))
        fprintf(file, "%lld", (long long)json_integer_value(value));
    if (!text)
        return;
    int formula = *text && strchr("=+-@\t\r", *text); /* which a spreadsheet would run */
    int quoted = formula || strpbrk(text, ",\"\r\n");
    fputs(formula ? "\"'" : quoted ? "\"" : "", file);
    for (; *text; ++text)
        fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, file);
    fputs(quoted ? "\"" : "", file);
}

static void write_csv(FILE *file, const json_t *rows)
{
    size_t i;
    json_t *row;
    for (int c = 0; c < COLUMNS; ++c)
        fprintf(file, "%s%c", columns[c], c + 1 < COLUMNS ? ',' : '\n');
    json_array_foreach(rows, i, row)
    {
        for (int c = 0; c < COLUMNS; ++c) {
            write_field(file, json_object_get(row, columns[c]));
            putc(c + 1 < COLUMNS ? ',' : '\n', file);
        }
    }
}

static void write_json(FILE *file, const json_t *rows)
{
    json_dumpf(rows, file, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    putc('\n', file);
}

static int write_file(const char *path, const json_t *rows, void (*write)(FILE *, const json_t *))
{
    if (!path)
        return 0;
    FILE *file = strcmp(path, "-") == 0 ? checked_take_stdout("compare") : fopen(path, "w");
    if (file)
        write(file, rows);
    if (!file || ferror(file) + fclose(file) != 0) {
        fprintf(stderr, "compare: cannot write %s: %s\n", path, strerror(errno));
        return 1;
    }
    return 0;
}

/* ---- all of it ---- */

static int compare(comparison *c, const char *store, const char *csv, const char *json)
{
    imiad_results *results = NULL;
    imiad_status status = imiad_results_open_to_read(&results, store);
    if (status == IMIAD_OK)
        status = imiad_results_summarize(results, &c->filter, add_row, c);
    imiad_results_free(results);
    if (status != IMIAD_OK) {
        fprintf(stderr, "compare: %s\n", imiad_last_error());
        return 1;
    }
    if (json_array_size(c->rows) == 0) {
        fprintf(stderr, "compare: %s holds nothing of that kind%s\n", store,
                c->all ? "" : " with a published figure; --all shows the rest");
        return 1;
    }
    int taken = (csv && strcmp(csv, "-") == 0) + (json && strcmp(json, "-") == 0);
    if (taken == 2) {
        fprintf(stderr, "compare: only one of --csv and --json can be standard output\n");
        return 2;
    }
    if (taken == 0)
        print_table(c->rows);
    return write_file(csv, c->rows, write_csv) | write_file(json, c->rows, write_json);
}

typedef struct request {
    comparison comparison;
    const char *store, *csv, *json;
} request;

static const char *program_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Returns 1 to go on, 0 when all is done, -1 after a mistake. */
static int read_options(request *r, int argc, char **argv)
{
    imiad_results_filter *f = &r->comparison.filter;
    enum { ALL = 9, HELP, VERSION };
    const char **const values[ALL] = {
        &r->store,    &f->setting,           &f->value, &f->dataset, &f->category,
        &f->detector, &r->comparison.metric, &r->csv,   &r->json};
    const struct option options[] = {{"results", 1, 0, 0},
                                     {"setting", 1, 0, 1},
                                     {"value", 1, 0, 2},
                                     {"dataset", 1, 0, 3},
                                     {"category", 1, 0, 4},
                                     {"detector", 1, 0, 5},
                                     {"metric", 1, 0, 6},
                                     {"csv", 1, 0, 7},
                                     {"json", 1, 0, 8},
                                     {"all", 0, 0, ALL},
                                     {"help", 0, 0, HELP},
                                     {"version", 0, 0, VERSION},
                                     {0}};
    for (int code; (code = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (code == HELP)
            return printf(help, program_name(argv[0])), 0;
        if (code == VERSION)
            return printf("libimiad %s\n", imiad_version()), 0;
        if (code == '?') {
            fprintf(stderr, "compare --help lists the options\n");
            return -1;
        }
        if (code == ALL)
            r->comparison.all = 1;
        else
            *values[code] = optarg;
    }
    if (r->store && optind == argc)
        return 1;
    fprintf(stderr, "compare: %s\n\n", r->store ? "a stray word" : "--results is missing");
    fprintf(stderr, help, program_name(argv[0]));
    return -1;
}

int main(int argc, char **argv)
{
    request r = {.comparison = {.filter = IMIAD_RESULTS_FILTER_INIT}};
    int go_on = read_options(&r, argc, argv);
    if (go_on <= 0)
        return checked_stdout("compare", go_on < 0 ? 2 : 0, 1);
    r.comparison.rows = json_array();
    int code = compare(&r.comparison, r.store, r.csv, r.json);
    json_decref(r.comparison.rows);
    return checked_stdout("compare", code, 1);
}
