#include "grid.h"
#include "checked.h"
#include "outputs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct grid {
    experiment experiment;
    const grid_setting *setting;
    own_option varied;   /* one value "" where the setting varies nothing */
    own_option together; /* --together, where the setting has it */
    own_option models;   /* --models, likewise */
    char text[4096];     /* what tells its cells from others */
    measurement *measurements;
    size_t count;
} grid;

static imiad_status write_record(const grid *g, size_t count);

/* Whether nothing is missing of a cell that the store has. Recalls its values and images then. */
static int recall(measurement *out, grid *g, const imiad_cell *cell, imiad_status *status)
{
    experiment *b = &g->experiment;
    json_t *images = json_object_get(output_recorded(b, "categories", out->key), "images");
    if (!output_maps_are_made(b, out) || !output_is_saved(b, out) ||
        (output_wants_record(b) && !json_is_array(images)))
        return 0;
    out->images = json_incref(images);
    *status = experiment_recall(out, b, cell);
    return 1;
}

/* Everything that the cell leaves behind, and last the store, which says that it is finished. */
static imiad_status keep(measurement *out, grid *g, const imiad_cell *cell,
                         const imiad_detector *detector)
{
    experiment *b = &g->experiment;
    imiad_status status = b->arguments.save ? output_save(b, detector, out) : IMIAD_OK;
    if (status == IMIAD_OK && b->results)
        status = output_end(b, out);
    if (status == IMIAD_OK && output_wants_record(b))
        status = write_record(g, g->count + 1);
    return status == IMIAD_OK && b->results ? experiment_put(b, cell, out) : status;
}

/* Runs the cell unless the store has it and its outputs are there; either way the measurement is
 * filled in.
 */
static imiad_status run_or_recall(measurement *out, grid *g, const imiad_split *split,
                                  imiad_detector *detector)
{
    experiment *b = &g->experiment;
    imiad_cell cell;
    int finished = 0;
    imiad_status status = IMIAD_OK;
    if (b->results) {
        status = experiment_describe(&cell, b, split, detector, out->seed);
        if (status == IMIAD_OK)
            status = imiad_results_has(&finished, b->results, &cell);
        if (status == IMIAD_OK)
            output_key(out->key, &cell);
    }
    if (status == IMIAD_OK && finished && recall(out, g, &cell, &status))
        return status;
    output_begin(b, out);
    if (status == IMIAD_OK)
        status = experiment_fit_and_measure(out, b, detector, split);
    return status == IMIAD_OK ? keep(out, g, &cell, detector) : status;
}

/* ---- one detector for all categories: --together ---- */

typedef struct crowd {
    imiad_split **splits; /* of each category */
    size_t count;
    imiad_detector *detector;
} crowd;

static void crowd_free(crowd *c)
{
    for (size_t i = 0; c->splits && i < c->count; ++i)
        imiad_split_free(c->splits[i]);
    free(c->splits);
    imiad_detector_free(c->detector);
}

static imiad_status crowd_make(crowd *out, grid *g, uint64_t seed)
{
    experiment *b = &g->experiment;
    size_t count = arguments_category_count(&b->arguments, b->dataset), length = 0;
    *out = (crowd){calloc(count, sizeof *out->splits), count, NULL};
    imiad_status status = out->splits ? IMIAD_OK : IMIAD_NO_MEMORY;
    for (size_t i = 0; status == IMIAD_OK && i < count; ++i) {
        const char *category = arguments_category(&b->arguments, b->dataset, i);
        status = arguments_split(&out->splits[i], &b->arguments, b->dataset, category,
                                 g->setting->setting, NULL, NULL, seed);
        if (length < sizeof g->text)
            length += (size_t)snprintf(g->text + length, sizeof g->text - length, "%s%s",
                                       i > 0 ? "," : "together=", category);
    }
    if (status == IMIAD_OK)
        status = arguments_detector(&out->detector, &b->arguments, b->backbone, seed);
    if (status == IMIAD_OK && !b->facts)
        b->facts = arguments_facts(&b->arguments, g->setting->setting, b->dataset, b->backbone,
                                   out->detector);
    if (status == IMIAD_OK)
        json_object_set_new(b->facts, "together", json_true());
    return status;
}

/* The cell of one of the categories in the store. */
static imiad_status describe(imiad_cell *cell, measurement *r, grid *g, const crowd *c, size_t i)
{
    imiad_status status =
        experiment_describe(cell, &g->experiment, c->splits[i], c->detector, r->seed);
    cell->value = g->text;
    if (status == IMIAD_OK)
        output_key(r->key, cell);
    return status;
}

/* Whether the store has all of them, and nothing of their outputs is missing. */
static int recall_all(measurement *measurements, grid *g, const crowd *c, imiad_status *status)
{
    int finished = g->experiment.results != NULL;
    for (size_t i = 0; *status == IMIAD_OK && finished && i < c->count; ++i) {
        imiad_cell cell;
        *status = describe(&cell, &measurements[i], g, c, i);
        if (*status == IMIAD_OK)
            *status = imiad_results_has(&finished, g->experiment.results, &cell);
        finished = *status == IMIAD_OK && finished && recall(&measurements[i], g, &cell, status);
    }
    return finished;
}

static imiad_status fit_joined(const crowd *c)
{
    imiad_split *joined;
    progress_line shown = {"together", NULL, 0};
    imiad_status status =
        imiad_split_join(&joined, (const imiad_split *const *)c->splits, c->count);
    if (status != IMIAD_OK)
        return status;
    status = imiad_detector_fit(c->detector, joined, progress_line_show, &shown);
    imiad_split_free(joined);
    return status;
}

static imiad_status measure_all(measurement *measurements, grid *g, const crowd *c)
{
    imiad_status status = fit_joined(c);
    for (size_t i = 0; status == IMIAD_OK && i < c->count; ++i) {
        imiad_cell cell;
        /* Of a cell that was recalled before another was missing. */
        measurement_release(&measurements[i]);
        output_begin(&g->experiment, &measurements[i]);
        status = experiment_measure(&measurements[i], &g->experiment, c->detector, c->splits[i], 1);
        if (status == IMIAD_OK && g->experiment.results)
            status = describe(&cell, &measurements[i], g, c, i);
        if (status == IMIAD_OK)
            status = keep(&measurements[i], g, &cell, c->detector);
        g->count += status == IMIAD_OK;
    }
    return status;
}

static imiad_status run_crowd(measurement *measurements, grid *g, uint64_t seed)
{
    crowd c;
    imiad_status status = crowd_make(&c, g, seed);
    for (size_t i = 0; status == IMIAD_OK && i < c.count; ++i) {
        measurements[i] =
            (measurement){.category = imiad_split_category(c.splits[i]), .value = "", .seed = seed};
        output_name(measurements[i].name, &measurements[i], g->experiment.arguments.repeats > 1);
    }
    if (status == IMIAD_OK && recall_all(measurements, g, &c, &status))
        g->count += c.count;
    else if (status == IMIAD_OK)
        status = measure_all(measurements, g, &c);
    for (size_t i = 0; status == IMIAD_OK && i < c.count; ++i) /* the splits' names go */
        measurements[i].category =
            arguments_category(&g->experiment.arguments, g->experiment.dataset, i);
    crowd_free(&c);
    return status;
}

static int run_together(grid *g)
{
    const arguments *f = &g->experiment.arguments;
    size_t categories = arguments_category_count(f, g->experiment.dataset);
    int failures = 0;
    g->measurements = calloc((size_t)f->repeats * categories + 1, sizeof *g->measurements);
    for (int k = 0; g->measurements && k < f->repeats && failures == 0; ++k)
        if (run_crowd(g->measurements + (size_t)k * categories, g, f->seed + (uint64_t)k) !=
            IMIAD_OK)
            failures += arguments_fail(f, "together");
    return failures;
}

/* ---- a detector for each category ---- */

/* ---- what is learned once for all values and seeds of a category: --models ---- */

/* DIR/CATEGORY.imiad */
static void model_path(char out[4096], const grid *g, const char *category)
{
    char name[IMIAD_FILE_NAME_ROOM];
    imiad_file_name(name, category);
    snprintf(out, 4096, "%s/%s.imiad", g->models.values[0], name);
}

/* That a file was learned with the options that are asked for now. */
static imiad_status check_model(const char *path, const imiad_detector *wanted)
{
    imiad_detector *found;
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    const char *name = imiad_detector_name(wanted);
    imiad_status status = imiad_detector_load(&found, path, NULL);
    if (status != IMIAD_OK)
        return status;
    for (size_t i = 0; status == IMIAD_OK && imiad_detector_option_info(&info, name, i) == IMIAD_OK;
         ++i) {
        const char *had = imiad_detector_option(found, info.name);
        const char *wants = imiad_detector_option(wanted, info.name);
        char message[4608];
        if (had && wants && (strcmp(had, wants) == 0 || strcmp(info.name, "device") == 0))
            continue;
        snprintf(message, sizeof message,
                 "%s was learned with %s=%s, not %s: take another folder for --models", path,
                 info.name, had ? had : "?", wants ? wants : "?");
        status = imiad_fail(IMIAD_MISMATCH, message);
    }
    imiad_detector_free(found);
    return status;
}

static imiad_status learn_model(grid *g, const imiad_split *split, imiad_detector *detector,
                                const char *path)
{
    progress_line shown = {imiad_split_category(split), NULL, 0};
    if (mkdir(g->models.values[0], 0777) != 0 && errno != EEXIST) {
        char message[4352];
        snprintf(message, sizeof message, "cannot make the folder %s: %s", g->models.values[0],
                 strerror(errno));
        return imiad_fail(IMIAD_IO, message);
    }
    imiad_status status = imiad_detector_fit(detector, split, progress_line_show, &shown);
    return status == IMIAD_OK ? imiad_detector_save(detector, path) : status;
}

/* The file is there afterwards: learned with the first seed and the last value. */
static imiad_status need_model(const char *path, grid *g, const char *category)
{
    experiment *b = &g->experiment;
    imiad_split *split = NULL;
    imiad_detector *detector = NULL;
    const char *value = g->varied.values[g->varied.count - 1];
    imiad_status status =
        arguments_detector(&detector, &b->arguments, b->backbone, b->arguments.seed);
    if (status == IMIAD_OK && access(path, F_OK) == 0)
        status = check_model(path, detector);
    else if (status == IMIAD_OK)
        status = arguments_split(&split, &b->arguments, b->dataset, category, g->setting->setting,
                                 g->setting->option, value, b->arguments.seed);
    if (status == IMIAD_OK && split)
        status = learn_model(g, split, detector, path);
    imiad_split_free(split);
    imiad_detector_free(detector);
    return status;
}

/* The cell's detector; with --models it takes what was learned from its file. */
static imiad_status make_detector(imiad_detector **out, char path[4096], grid *g,
                                  const measurement *r)
{
    arguments f = g->experiment.arguments;
    if (!g->models.given)
        return arguments_detector(out, &f, g->experiment.backbone, r->seed);
    model_path(path, g, r->category);
    imiad_status status = need_model(path, g, r->category);
    if (status != IMIAD_OK)
        return status;
    if (f.setting_count == MOST_SETTINGS)
        return imiad_fail(IMIAD_OUT_OF_RANGE, "too many settings beside --models");
    f.settings[f.setting_count++] = (imiad_option){"model", path};
    return arguments_detector(out, &f, g->experiment.backbone, r->seed);
}

static imiad_status run_cell(measurement *out, grid *g)
{
    char path[4096];
    experiment *b = &g->experiment;
    imiad_split *split = NULL;
    imiad_detector *detector = NULL;
    imiad_status status =
        arguments_split(&split, &b->arguments, b->dataset, out->category, g->setting->setting,
                        g->setting->option, out->value, out->seed);
    if (status == IMIAD_OK)
        status = make_detector(&detector, path, g, out);
    if (status == IMIAD_OK && !b->facts)
        b->facts =
            arguments_facts(&b->arguments, g->setting->setting, b->dataset, b->backbone, detector);
    if (status == IMIAD_OK)
        status = run_or_recall(out, g, split, detector);
    imiad_detector_free(detector);
    imiad_split_free(split);
    return status;
}

/* Returns how many cells failed. */
static int run_all(grid *g)
{
    const arguments *f = &g->experiment.arguments;
    size_t categories = arguments_category_count(f, g->experiment.dataset);
    size_t most = g->varied.count * (size_t)f->repeats * categories;
    int failures = 0;
    g->measurements = calloc(most ? most : 1, sizeof *g->measurements);
    for (size_t i = 0; g->measurements && i < most; ++i) {
        measurement *r = &g->measurements[g->count];
        *r = (measurement){.category = arguments_category(f, g->experiment.dataset, i % categories),
                           .value = g->varied.values[i / categories / (size_t)f->repeats],
                           .seed = f->seed + i / categories % (size_t)f->repeats};
        output_name(r->name, r, g->varied.count > 1 || f->repeats > 1);
        if (run_cell(r, g) == IMIAD_OK)
            ++g->count;
        else
            failures += arguments_fail(f, r->category);
    }
    return failures;
}

static json_t *averages_record(const grid *g, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < g->varied.count; ++i) {
        double mean[VALUES], deviation[VALUES];
        measurements_average(mean, deviation, g->measurements, count, g->varied.values[i]);
        json_t *average = metrics_record(mean);
        json_object_set_new(average, "value", json_string(g->varied.values[i]));
        if (g->experiment.arguments.repeats > 1)
            json_object_set_new(average, "deviation", metrics_record(deviation));
        json_array_append_new(list, average);
    }
    return list;
}

/* Of the first `count` measurements. */
static imiad_status write_record(const grid *g, size_t count)
{
    json_t *cells = json_array();
    for (size_t i = 0; i < count; ++i)
        json_array_append_new(cells, measurement_record(&g->measurements[i]));
    json_t *document = json_pack("{s:O, s:o, s:o}", "run", g->experiment.facts, "categories", cells,
                                 "averages", averages_record(g, count));
    imiad_status status = arguments_write_json(&g->experiment.arguments, document);
    json_decref(document);
    return status;
}

static void print_tables(const grid *g)
{
    for (size_t i = 0; i < g->varied.count; ++i) {
        char heading[128];
        snprintf(heading, sizeof heading, "%s%s%s%s%s%s", g->setting->setting,
                 g->together.given ? ", together" : "", g->setting->option ? ", " : "",
                 g->setting->option ? g->setting->option : "", g->setting->option ? " " : "",
                 g->varied.values[i]);
        measurements_print(&g->experiment, heading, g->measurements, g->count, g->varied.values[i]);
    }
}

int grid_main(int argc, char **argv, const grid_setting *s)
{
    grid g = {.setting = s};
    g.varied = (own_option){.name = s->option, .argument = s->argument, .help = s->help};
    for (; s->published && s->published[g.varied.count]; ++g.varied.count)
        g.varied.values[g.varied.count] = s->published[g.varied.count];
    if (!s->option) {
        g.varied.values[0] = "";
        g.varied.count = 1;
    }
    own_option own[3] = {g.varied};
    size_t count = s->option ? 1 : 0;
    if (s->together)
        own[count++] = (own_option){.name = "together", .help = s->together};
    if (s->models)
        own[count++] =
            (own_option){.name = "models", .argument = "DIR", .help = s->models, .once = 1};
    int go_on = arguments_read(&g.experiment.arguments, argc, argv, s->about, own, count);
    if (s->option)
        g.varied = own[0];
    if (s->together)
        g.together = own[s->option ? 1 : 0];
    if (s->models)
        g.models = own[count - 1];
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    int code = experiment_open(&g.experiment);
    if (code == 0)
        code = (g.together.given ? run_together(&g) : run_all(&g)) ? 1 : 0;
    if (g.count > 0) {
        print_tables(&g);
        if (g.experiment.arguments.json && write_record(&g, g.count) != IMIAD_OK)
            code = 1;
    }
    for (size_t i = 0; i < g.count; ++i)
        measurement_release(&g.measurements[i]);
    free(g.measurements);
    code = checked_stdout(g.experiment.arguments.program, code, 1);
    experiment_close(&g.experiment);
    return code;
}
