#include "report/grid.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "report/published_data.h"

/* ---- what a cell is of ---- */

static size_t length_of(const table_axis *axis)
{
    return axis->count > 0 ? axis->count : 1;
}

static void entries_at(const table_axis *outer, const table_axis *inner, size_t at,
                       const table_entry *out[2])
{
    size_t length = length_of(inner);
    out[0] = outer->count > 0 ? &outer->entries[at / length] : NULL;
    out[1] = inner->count > 0 ? &inner->entries[at % length] : NULL;
}

void grid_row_entries(const grid *g, size_t row, const table_entry *out[2])
{
    entries_at(&g->table->outer_rows, &g->table->inner_rows, row, out);
}

void grid_column_entries(const grid *g, size_t column, const table_entry *out[2])
{
    entries_at(&g->table->outer_columns, &g->table->inner_columns, column, out);
}

grid_cell *grid_at(const grid *g, size_t row, size_t column)
{
    return &g->cells[row * g->columns + column];
}

static void take(const char **field, const char *said)
{
    *field = said ? said : *field;
}

/* The words of both axes stand side by side: "shots=4 augmentation=flip". */
static void add_words(grid_cell *cell, const char *words)
{
    size_t used = strlen(cell->value);
    if (words && *words)
        snprintf(cell->value + used, sizeof cell->value - used, "%s%s", used ? " " : "", words);
}

static void add_entry(grid_cell *cell, const table_entry *entry)
{
    if (!entry)
        return;
    const table_key *said = &entry->key;
    table_key *key = &cell->key;
    take(&key->setting, said->setting);
    take(&key->dataset, said->dataset);
    take(&key->category, said->category);
    take(&key->method, said->method);
    take(&key->metric, said->metric);
    take(&key->own_setting, said->own_setting);
    take(&key->neighbours, said->neighbours);
    add_words(cell, said->value);
}

static void name_cell(grid *g, size_t row, size_t column)
{
    grid_cell *cell = grid_at(g, row, column);
    const table_entry *rows[2], *columns[2];
    *cell = (grid_cell){.key = g->table->base,
                        .note = "",
                        .reason = "",
                        .source = "",
                        .mean = NAN,
                        .deviation = NAN,
                        .forgotten = NAN,
                        .published = NAN,
                        .published_forgotten = NAN,
                        .difference = NAN};
    grid_row_entries(g, row, rows);
    grid_column_entries(g, column, columns);
    for (int i = 0; i < 2; ++i)
        add_entry(cell, rows[i]);
    for (int i = 0; i < 2; ++i)
        add_entry(cell, columns[i]);
    if (!*cell->value)
        add_words(cell, g->table->base.value);
    cell->key.value = cell->value;
    /* LOCO has the saturated overlap where the others have the overlap */
    if (strcmp(cell->key.dataset, "mvtec_loco") == 0 && strcmp(cell->key.metric, "aupro") == 0)
        cell->key.metric = "mean_spro_0.05";
}

/* ---- ours ---- */

/* "PatchCore neighborhood 3" is a detector with an option. */
static void detector_name(char out[64], const char *method)
{
    size_t i = 0;
    for (; method[i] && method[i] != ' ' && i < 63; ++i)
        out[i] = (char)tolower((unsigned char)method[i]);
    out[i] = '\0';
}

/* How many neighbours weigh PatchCore's score: one is the plain maximum. */
static const char *neighbours_of(const report_configuration *c)
{
    const char *score = report_option(c, "image_score");
    const char *neighbours = report_option(c, "reweight_neighbours");
    return score && strcmp(score, "reweighted") == 0 && neighbours ? neighbours : "1";
}

static bool is_asked_for(const report_configuration *c, const table_key *key, const char *detector)
{
    const char *setting = key->own_setting ? key->own_setting : key->setting;
    const char *value = key->own_setting ? "" : key->value;
    return strcmp(c->cell.setting, setting) == 0 && strcmp(c->cell.dataset, key->dataset) == 0 &&
           strcmp(c->cell.detector, detector) == 0 && c->paper_value &&
           strcmp(c->paper_value, value) == 0 &&
           (!key->neighbours || strcmp(neighbours_of(c), key->neighbours) == 0);
}

static bool has_other_words(const report_configuration *c)
{
    return strcmp(c->cell.value, c->paper_value) != 0;
}

typedef struct candidate {
    const report_configuration *configuration;
    const report_group *group;
    const report_value *value;
} candidate;

/* Several configurations of a detector: the one that is run as published, over most categories,
 * with most runs, with the fewest options changed; then the first. */
static bool is_better(const candidate *a, const candidate *b)
{
    if (!b->value)
        return true;
    int words = has_other_words(b->configuration) - has_other_words(a->configuration);
    if (words != 0)
        return words > 0;
    if (a->value->categories != b->value->categories)
        return a->value->categories > b->value->categories;
    if (a->value->runs != b->value->runs)
        return a->value->runs > b->value->runs;
    return a->configuration->changed_count < b->configuration->changed_count;
}

static candidate find_ours(const report_data *data, const table_key *key, size_t *others)
{
    candidate best = {0};
    char detector[64];
    detector_name(detector, key->method);
    *others = 0;
    for (size_t i = 0; i < data->count; ++i) {
        candidate c = {.configuration = &data->configurations[i]};
        if (!is_asked_for(c.configuration, key, detector))
            continue;
        c.group = strcmp(key->category, "average") == 0
                      ? report_average(c.configuration)
                      : report_category(c.configuration, key->category);
        c.value = report_value_of(c.group, key->metric);
        if (!c.value || isnan(c.value->mean))
            continue;
        *others += best.value != NULL;
        if (is_better(&c, &best))
            best = c;
    }
    return best;
}

const report_value *grid_find(const report_data *data, const table_key *key)
{
    size_t others;
    return find_ours(data, key, &others).value;
}

static double forgotten_of(const report_group *group, const char *metric)
{
    char name[96];
    snprintf(name, sizeof name, "%s_fm", metric);
    const report_value *value = report_value_of(group, name);
    return value ? value->mean : NAN;
}

/* How many categories the dataset has in the published tables; 0: it is not among them. */
static int32_t category_count(const char *dataset)
{
    for (size_t i = 0; i < published_row_count; ++i)
        if (strcmp(published_names[published_rows[i].dataset], dataset) == 0)
            return published_rows[i].categories;
    return 0;
}

static imiad_status note_ours(grid_cell *cell, report_data *data, const candidate *c, size_t others)
{
    char words[512] = "";
    size_t used = 0;
    const report_value *v = c->value;
    int32_t all = category_count(cell->key.dataset);
    if (c->group->average && all > 0 && v->categories != all)
        used += (size_t)snprintf(words, sizeof words, "average of %lld of the %d categories; ",
                                 (long long)v->categories, (int)all);
    if (v->incomplete > 0)
        used += (size_t)snprintf(words + used, sizeof words - used,
                                 "%lld runs lack a category so far; ", (long long)v->incomplete);
    if (v->undefined > 0)
        used += (size_t)snprintf(words + used, sizeof words - used,
                                 "%lld values do not exist and are left out; ",
                                 (long long)v->undefined);
    if (has_other_words(c->configuration))
        used += (size_t)snprintf(words + used, sizeof words - used, "run with %.200s; ",
                                 c->configuration->cell.value);
    if (others > 0)
        used += (size_t)snprintf(words + used, sizeof words - used,
                                 "one of %zu configurations of the detector; ", others + 1);
    if (used > 2)
        words[used - 2] = '\0';
    return kept_text(&cell->note, &data->kept, words);
}

static imiad_status fill_ours(grid_cell *cell, report_data *data, bool forgetting)
{
    size_t others;
    candidate c = find_ours(data, &cell->key, &others);
    if (!c.value)
        return IMIAD_OK;
    cell->configuration = c.configuration;
    cell->found = c.value;
    cell->category = c.group->category;
    cell->mean = c.value->mean;
    cell->deviation = c.value->deviation;
    if (forgetting)
        cell->forgotten = forgotten_of(c.group, cell->key.metric);
    return note_ours(cell, data, &c, others);
}

/* The mean of the four settings to the left, where all four are there. */
static void fill_mean(grid *g, size_t row, size_t column)
{
    enum { SETTINGS = 4 };
    grid_cell *cell = grid_at(g, row, column);
    double sum = 0;
    if (strcmp(cell->key.setting, "mean_of_settings") != 0 || column < SETTINGS)
        return;
    for (size_t i = 1; i <= SETTINGS; ++i) {
        const grid_cell *one = grid_at(g, row, column - i);
        sum += one->mean;
        if (*one->note)
            cell->note = one->note;
    }
    cell->mean = sum / SETTINGS;
    if (isnan(cell->mean))
        cell->note = "";
}

/* ---- published ---- */

/* The paper cuts here and there where the results tables round. */
static const double same_figure = 0.00151;

/* What is known against a printed figure: what is said of the paper's tables, or else of the same
 * figure in the results tables. */
static void mark_printed(grid_cell *cell, const imiad_published *printed,
                         const imiad_published *tables)
{
    cell->mark = printed->mark;
    cell->reason = printed->reason;
    if (printed->mark != IMIAD_MARK_NONE || !tables)
        return;
    if (fabs(tables->figure - printed->figure) <= same_figure) {
        cell->mark = tables->mark;
        cell->reason = tables->reason;
    } else {
        cell->mark = IMIAD_MARK_DOUBTFUL;
        cell->reason = "the paper's table and the results tables print different figures";
    }
}

static void fill_published(grid_cell *cell, const paper_table *table)
{
    const table_key *key = &cell->key;
    imiad_published wanted = {.setting = key->setting,
                              .value = key->value,
                              .dataset = key->dataset,
                              .category = key->category,
                              .method = key->method,
                              .metric = key->metric};
    imiad_published printed, tables = IMIAD_PUBLISHED_INIT;
    const char *setting = key->own_setting ? key->own_setting : key->setting;
    bool is_printed = table->source && printed_find(&printed, table->source, &wanted);
    bool in_tables =
        imiad_published_find(&tables, setting, key->own_setting ? "" : key->value, key->dataset,
                             key->category, key->method, key->metric) == IMIAD_OK;
    if (is_printed) {
        cell->published = printed.figure;
        cell->source = table->source;
        mark_printed(cell, &printed, in_tables ? &tables : NULL);
    } else if (in_tables) {
        cell->published = tables.figure;
        cell->source = tables.source;
        cell->mark = tables.mark;
        cell->reason = tables.reason;
    }
}

static void fill_published_forgotten(grid_cell *cell, const paper_table *table)
{
    char metric[96];
    grid_cell other = *cell;
    snprintf(metric, sizeof metric, "%s_fm", cell->key.metric);
    other.key.value = cell->value;
    other.key.metric = metric;
    other.published = NAN;
    other.mark = IMIAD_MARK_NONE;
    other.reason = "";
    fill_published(&other, table);
    cell->published_forgotten = other.published;
    if (other.mark > cell->mark) {
        cell->mark = other.mark;
        cell->reason = other.reason;
    }
}

/* Only of the same thing: not where the figure is known to be of something else, nor between
 * averages over other categories. */
static void fill_difference(grid_cell *cell)
{
    bool average = strcmp(cell->key.category, "average") == 0;
    bool whole =
        !cell->found || !average || cell->found->categories == category_count(cell->key.dataset);
    if (whole && cell->mark != IMIAD_MARK_CATEGORY && cell->mark != IMIAD_MARK_WRONG)
        cell->difference = cell->mean - cell->published;
}

/* ---- best and second ---- */

static bool competes(const grid *g, size_t row, size_t column, size_t other_row,
                     size_t other_column)
{
    size_t inner = length_of(&g->table->inner_rows);
    switch (g->table->contest) {
    case CONTEST_LINE:
        return row == other_row;
    case CONTEST_COLUMN:
        return column == other_column && row / inner == other_row / inner;
    case CONTEST_INNER:
        return column == other_column && row % inner == other_row % inner;
    }
    return false;
}

/* Averages compare only over the same categories: those of the one that has most. */
static const char *largest_set(const grid *g, size_t row, size_t column)
{
    const grid_cell *largest = NULL;
    for (size_t r = 0; r < g->rows; ++r)
        for (size_t c = 0; c < g->columns; ++c) {
            const grid_cell *cell = grid_at(g, r, c);
            if (competes(g, row, column, r, c) && cell->found &&
                (!largest || cell->found->categories > largest->found->categories))
                largest = cell;
        }
    return largest ? largest->configuration->categories : NULL;
}

static bool takes_part(const grid_cell *cell, bool published, const char *categories)
{
    if (published)
        return !isnan(cell->published) && cell->mark != IMIAD_MARK_WRONG;
    bool average = strcmp(cell->key.category, "average") == 0;
    return !isnan(cell->mean) &&
           (!average || !cell->configuration || cell->configuration->categories == categories);
}

static long long thousandths(const grid_cell *cell, bool published)
{
    return llround((published ? cell->published : cell->mean) * 1000);
}

/* Among several: best, second by what is shown, three decimals. */
static grid_rank rank_of(const grid *g, size_t row, size_t column, bool published)
{
    const grid_cell *cell = grid_at(g, row, column);
    const char *categories = published ? NULL : largest_set(g, row, column);
    long long own = thousandths(cell, published), above[2];
    size_t better = 0, all = 0; /* different better numbers; who takes part */
    if (!takes_part(cell, published, categories))
        return RANK_NONE;
    for (size_t r = 0; r < g->rows && better < 2; ++r)
        for (size_t c = 0; c < g->columns && better < 2; ++c) {
            const grid_cell *other = grid_at(g, r, c);
            if (!competes(g, row, column, r, c) || !takes_part(other, published, categories))
                continue;
            ++all;
            long long number = thousandths(other, published);
            if (number > own && (better == 0 || above[0] != number))
                above[better++] = number;
        }
    return better > 1 || all < 2 ? RANK_NONE : better == 0 ? RANK_BEST : RANK_SECOND;
}

/* ---- all of it ---- */

imiad_status grid_fill(grid *out, report_data *data, const paper_table *table)
{
    *out = (grid){.table = table,
                  .rows = length_of(&table->outer_rows) * length_of(&table->inner_rows),
                  .columns = length_of(&table->outer_columns) * length_of(&table->inner_columns)};
    TRY(kept_take(&out->cells, &data->kept, out->rows * out->columns * sizeof *out->cells));
    for (size_t i = 0; i < out->rows * out->columns; ++i) {
        grid_cell *cell = &out->cells[i];
        name_cell(out, i / out->columns, i % out->columns);
        TRY(fill_ours(cell, data, table->forgetting));
        fill_mean(out, i / out->columns, i % out->columns);
        fill_published(cell, table);
        if (table->forgetting)
            fill_published_forgotten(cell, table);
        fill_difference(cell);
        out->ours += !isnan(cell->mean);
        out->all_published += !isnan(cell->published);
    }
    for (size_t i = 0; i < out->rows * out->columns; ++i) {
        grid_cell *cell = &out->cells[i];
        cell->rank = rank_of(out, i / out->columns, i % out->columns, false);
        cell->published_rank = rank_of(out, i / out->columns, i % out->columns, true);
    }
    return IMIAD_OK;
}
