/* Cells for the tests of the result store. Their values are made up. */
#ifndef TESTS_REPORT_CELLS_H
#define TESTS_REPORT_CELLS_H

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "imiad/results.h"

static const imiad_option made_up_options[] = {
    {"coreset_ratio", "0.1"}, {"layers", "layer2,layer3"}, {"seed", "7"}};

static inline imiad_cell made_up_cell(const char *category, uint64_t seed)
{
    imiad_cell cell = IMIAD_CELL_INIT;
    cell.setting = "noisy";
    cell.value = "ratio=0.1";
    cell.dataset = "mvtec_ad";
    cell.dataset_digest = "d1";
    cell.category = category;
    cell.detector = "patchcore";
    cell.options = made_up_options;
    cell.option_count = 3;
    cell.backbone = "resnet18";
    cell.weights = "r.pth";
    cell.weights_digest = "w1";
    cell.precision = "float32";
    cell.evaluation = "size=256";
    cell.seed = seed;
    return cell;
}

/* A path in a new folder; static text. The folder is removed with clean_up. */
static char scratch_folder[64];
static inline const char *scratch_path(const char *name)
{
    static char path[256];
    if (!*scratch_folder) {
        strcpy(scratch_folder, "/tmp/imiad-results-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(scratch_folder));
    }
    snprintf(path, sizeof path, "%s/%s", scratch_folder, name);
    return path;
}

static inline void clean_up(void)
{
    char command[128];
    if (getenv("IMIAD_REPORT_FOLDER")) /* browser.sh looks at what is there */
        return;
    snprintf(command, sizeof command, "rm -rf '%s'", scratch_folder);
    ck_assert_int_eq(system(command), 0);
    *scratch_folder = '\0';
}

static inline imiad_results *open_results(const char *name)
{
    imiad_results *results = NULL;
    ck_ok(imiad_results_open(&results, scratch_path(name)));
    return results;
}

static inline void put_one(imiad_results *results, const imiad_cell *cell, const char *name,
                           double value)
{
    ck_ok(imiad_results_put(results, cell, &name, &value, 1));
}

static inline int has(const imiad_results *results, const imiad_cell *cell)
{
    int out = -1;
    ck_ok(imiad_results_has(&out, results, cell));
    return out;
}

static inline imiad_status count_cells(void *user, const imiad_finished *finished)
{
    ++*(int *)user;
    return IMIAD_OK;
}

static inline int cell_count(const imiad_results *results)
{
    int count = 0;
    ck_ok(imiad_results_each(results, NULL, count_cells, &count));
    return count;
}

#endif
