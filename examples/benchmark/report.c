#include "benchmark/commands.h"
#include "benchmark/options.h"
#include "checked.h"
#include "temporary.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "Usage: benchmark report STORE... -o FILE\n\n"
    "Writes a report of stores: the tables of the IM-IAD paper with ours beside the published "
    "figures, figures,\ncomparisons and cells. The end of the file's name says what it is:\n\n"
    "  .html              one page with everything, which needs no other file\n"
    "  .csv, .md, .tex    the paper's tables alone\n\n"
    "Several stores count as one. Where two have the same cell with different values, the first "
    "one's are shown and\nthe conflict is named.\n\n"
    "  -o, --out FILE     the file to write\n"
    "  --setting NAME, --dataset NAME, --detector NAME\n"
    "                     only these\n";

/* The format that the end of a name asks for; -1 for none. */
static int format_of(const char *path)
{
    static const struct {
        const char *end;
        imiad_report_format format;
    } formats[] = {{".html", IMIAD_REPORT_HTML},
                   {".htm", IMIAD_REPORT_HTML},
                   {".csv", IMIAD_REPORT_CSV},
                   {".md", IMIAD_REPORT_MARKDOWN},
                   {".tex", IMIAD_REPORT_LATEX}};
    const char *end = strrchr(path, '.');
    for (size_t i = 0; end && i < sizeof formats / sizeof *formats; ++i)
        if (strcmp(end, formats[i].end) == 0)
            return (int)formats[i].format;
    return -1;
}

static imiad_status name_conflict(void *user, const imiad_finished *kept,
                                  const imiad_finished *brought, const char *path, const char *name)
{
    const options *o = user;
    const imiad_cell *cell = kept->cell;
    fprintf(stderr, "%s: conflict: %s has another %s for %s on %s of %s, %s, seed %llu\n",
            o->program, path, name, cell->detector, cell->category, cell->dataset, cell->setting,
            (unsigned long long)cell->seed);
    return IMIAD_OK;
}

/* A store of all of them in a file of its own, which is gone when it is closed. */
static imiad_status merge_all(imiad_results **out, options *o)
{
    char path[TEMPORARY_PATH];
    if (temporary_file(path, "report") != IMIAD_OK)
        return IMIAD_IO;
    imiad_status status = imiad_results_open(out, path);
    if (status == IMIAD_OK)
        status = imiad_results_merge(*out, o->words, o->word_count, name_conflict, o);
    unlink(path);
    return status;
}

/* What to type to make it again. */
static char *command_line(const options *o)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return NULL;
    fputs("benchmark report", file);
    for (size_t i = 0; i < o->word_count; ++i)
        fprintf(file, " %s", o->words[i]);
    const char *const chosen[][2] = {{"setting", o->filter.setting},
                                     {"dataset", o->filter.dataset},
                                     {"detector", o->filter.detector}};
    for (size_t i = 0; i < 3; ++i)
        if (chosen[i][1])
            fprintf(file, " --%s %s", chosen[i][0], chosen[i][1]);
    fprintf(file, " -o %s", o->out);
    if (fclose(file) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int report(options *o, int format)
{
    imiad_results *results = NULL;
    imiad_report_options how = IMIAD_REPORT_OPTIONS_INIT;
    char *command = command_line(o);
    imiad_status status = o->word_count == 1 ? imiad_results_open_to_read(&results, o->words[0])
                                             : merge_all(&results, o);
    how.format = (imiad_report_format)format;
    how.command = command;
    imiad_results_filter filter = IMIAD_RESULTS_FILTER_INIT;
    filter.setting = o->filter.setting;
    filter.dataset = o->filter.dataset;
    filter.detector = o->filter.detector;
    how.filter = &filter;
    if (status == IMIAD_OK)
        status = imiad_report_write(results, &how, o->out);
    imiad_results_free(results);
    free(command);
    if (status != IMIAD_OK)
        return fprintf(stderr, "%s: %s\n", o->program, imiad_last_error()), 2;
    printf("%s\n", o->out);
    return 0;
}

int report_main(int argc, char **argv)
{
    options o;
    int go_on = options_read(&o, argc, argv, usage, " out setting dataset detector ");
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    if (!o.out || o.word_count == 0) {
        fprintf(stderr, "%s", usage);
        return 2;
    }
    int format = format_of(o.out);
    if (format < 0) {
        fprintf(stderr, "%s: %s: the name ends in none of .html .csv .md .tex\n", o.program, o.out);
        return 2;
    }
    return checked_stdout(o.program, report(&o, format), 2);
}
