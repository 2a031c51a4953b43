/* Stores that hold what the paper prints: the converter from the file of its tables. */
#ifndef TESTS_REPORT_PAPER_STORE_H
#define TESTS_REPORT_PAPER_STORE_H

#include <ctype.h>

#include "cells.h"

/* A cell of such a store. */
typedef struct paper_cell {
    char setting[32], value[64], dataset[32], category[32], method[64];
    char names[16][40];
    double values[16];
    size_t count;
} paper_cell;

/* The next field of a CSV line without quotes, cut off; *line moves on. */
static inline char *next_field(char **line)
{
    char *begin = *line, *end = begin + strcspn(begin, ",\r\n");
    *line = *end ? end + 1 : end;
    *end = '\0';
    return begin;
}

static inline void paper_setting(paper_cell *cell, const char *name, const char *number)
{
    static const struct {
        const char *name, *setting, *format;
    } table[] = {{"vanilla", "unsupervised", "%s"},
                 {"semi", "supervised", "anomalies=%s"},
                 {"fewshot", "fewshot", "shots=%s"},
                 {"fewshot_aug_rotation", "fewshot", "shots=%s augmentation=rotation"},
                 {"fewshot_aug_flip", "fewshot", "shots=%s augmentation=flip"},
                 {"fewshot_aug_scale", "fewshot", "shots=%s augmentation=scale"},
                 {"fewshot_aug_translate", "fewshot", "shots=%s augmentation=translate"},
                 {"fewshot_aug_colorjitter", "fewshot", "shots=%s augmentation=color_jitter"},
                 {"fewshot_aug_perspective", "fewshot", "shots=%s augmentation=perspective"},
                 {"noisy", "noisy", "ratio=%s"},
                 {"continual", "continual", "%s"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; ++i)
        if (strcmp(table[i].name, name) == 0) {
            strcpy(cell->setting, table[i].setting);
            snprintf(cell->value, sizeof cell->value, table[i].format, number);
        }
    if (strcmp(cell->value, "anomalies=0") == 0) { /* PatchCore needs none */
        strcpy(cell->setting, "unsupervised");
        strcpy(cell->value, "");
    }
}

static inline int same_paper_cell(const paper_cell *a, const paper_cell *b)
{
    return strcmp(a->setting, b->setting) == 0 && strcmp(a->value, b->value) == 0 &&
           strcmp(a->dataset, b->dataset) == 0 && strcmp(a->category, b->category) == 0 &&
           strcmp(a->method, b->method) == 0;
}

static inline void add_figure(paper_cell *cells, size_t *count, const paper_cell *key,
                              const char *metric, double value)
{
    size_t at = 0;
    while (at < *count && !same_paper_cell(&cells[at], key))
        ++at;
    if (at == *count) {
        ck_assert_uint_lt(*count, 1000);
        cells[(*count)++] = *key;
    }
    paper_cell *cell = &cells[at];
    int overlap = strncmp(metric, "pixel_pro", 9) == 0;
    snprintf(cell->names[cell->count], sizeof cell->names[0], "%s%s", overlap ? "aupro" : "",
             overlap ? metric + 9 : metric);
    cell->values[cell->count++] = value;
}

/* Averages come as the only category of their dataset. */
static inline size_t read_paper_table(paper_cell *cells, const char *path, const char *table)
{
    FILE *file = fopen(path, "r");
    char line[256];
    size_t count = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file)) {
        char *at = line;
        paper_cell key = {.count = 0};
        if (strcmp(next_field(&at), table) != 0)
            continue;
        const char *setting = next_field(&at);
        paper_setting(&key, setting, next_field(&at));
        snprintf(key.dataset, sizeof key.dataset, "%s", next_field(&at));
        const char *category = next_field(&at);
        int average = strcmp(category, "average") == 0;
        snprintf(key.category, sizeof key.category, "%s", average ? "all" : category);
        snprintf(key.method, sizeof key.method, "%s", next_field(&at));
        const char *metric = next_field(&at);
        if (*key.setting && !(average && strcmp(table, "VIII") == 0)) /* VIII has the categories */
            add_figure(cells, &count, &key, metric, strtod(next_field(&at), NULL));
    }
    fclose(file);
    return count;
}

/* Of "PatchCore neighborhood 3" the detector and its options. */
static inline void put_paper_cell(imiad_results *results, const paper_cell *from)
{
    char detector[64];
    const char *names[16], *neighbours = strrchr(from->method, ' ');
    imiad_option options[] = {{"image_score", neighbours ? "reweighted" : "max"},
                              {"reweight_neighbours", neighbours ? neighbours + 1 : "9"}};
    imiad_cell cell = made_up_cell(from->category, 0);
    size_t i = 0;
    for (; from->method[i] && from->method[i] != ' '; ++i)
        detector[i] = (char)tolower((unsigned char)from->method[i]);
    detector[i] = '\0';
    cell.setting = from->setting;
    cell.value = from->value;
    cell.dataset = from->dataset;
    cell.detector = detector;
    cell.options = options;
    cell.option_count = strcmp(detector, "patchcore") == 0 ? 2 : 0;
    for (i = 0; i < from->count; ++i)
        names[i] = from->names[i];
    ck_ok(imiad_results_put(results, &cell, names, from->values, from->count));
}

#endif
