/* Several stores become one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "report/store.h"

typedef struct merging {
    imiad_results *into;
    const imiad_results *from;
    imiad_conflict_function conflict; /* NULL: one is an error */
    void *user;
} merging;

/* ---- conflicts ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), bytes = strlen(end);
    return length >= bytes && strcmp(text + length - bytes, end) == 0;
}

/* What varies from run to run and says nothing about what was measured. */
static bool is_cost(const char *name)
{
    return ends_with(name, "_seconds") || ends_with(name, "_per_second") ||
           ends_with(name, "_bytes");
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* The next value from *at on that is no cost; NULL behind the last. */
static const char *next_name(const imiad_finished *f, size_t *at)
{
    while (*at < f->count && is_cost(f->names[*at]))
        ++*at;
    return *at < f->count ? f->names[*at] : NULL;
}

/* The first name whose values differ, or that only one has; NULL where nothing differs. Names are
 * in bytewise order. */
static const char *difference(const imiad_finished *a, const imiad_finished *b, double numbers[2])
{
    for (size_t i = 0, k = 0;; ++i, ++k) {
        const char *x = next_name(a, &i), *y = next_name(b, &k);
        int order = !x ? (y ? 1 : 0) : !y ? -1 : strcmp(x, y);
        if (!x && !y)
            return NULL;
        numbers[0] = order <= 0 ? a->values[i] : NAN;
        numbers[1] = order >= 0 ? b->values[k] : NAN;
        if (order != 0 || !same_number(numbers[0], numbers[1]))
            return order <= 0 ? x : y;
    }
}

typedef struct comparison {
    merging *m;
    const imiad_finished *brought;
} comparison;

/* What the store has of a cell that another one brings. */
static imiad_status compare(void *user, const imiad_finished *kept)
{
    const comparison *c = user;
    const imiad_cell *cell = kept->cell;
    double numbers[2];
    const char *name = difference(kept, c->brought, numbers);
    if (!name)
        return IMIAD_OK;
    if (c->m->conflict)
        return c->m->conflict(c->m->user, kept, c->brought, c->m->from->path, name);
    return fail(
        IMIAD_MISMATCH,
        "%s has another result for %s on %s of %s, %s %s, seed %llu: %s is %.17g, not %.17g",
        c->m->from->path, cell->detector, cell->category, cell->dataset, cell->setting, cell->value,
        (unsigned long long)cell->seed, name, numbers[1], numbers[0]);
}

/* ---- cells and failures ---- */

static store_origin origin_of(const stored_cell *stored)
{
    const imiad_finished *f = &stored->finished;
    return (store_origin){f->time, f->library_version, f->torch_version, f->threads};
}

/* What no put would have taken cannot come from another store either. */
static imiad_status check_stored(checked_cell *out, const merging *m, const stored_cell *stored)
{
    char why[512];
    imiad_status status = cell_check(out, &stored->cell);
    if (status == IMIAD_OK || status == IMIAD_NO_MEMORY)
        return status;
    snprintf(why, sizeof why, "%s", imiad_last_error());
    return fail(IMIAD_FORMAT, "the result store %s is damaged: %s", m->from->path, why);
}

static imiad_status check_numbers(const merging *m, const imiad_finished *f)
{
    for (size_t i = 0; i < f->count; ++i)
        if (isinf(f->values[i]) || !text_is_utf8(f->names[i], strlen(f->names[i])))
            return fail(IMIAD_FORMAT, "the result store %s is damaged: a value that is no number",
                        m->from->path);
    return IMIAD_OK;
}

static imiad_status take_cell(merging *m, stored_cell *stored)
{
    checked_cell checked;
    int64_t id;
    bool found;
    store_origin origin = origin_of(stored);
    comparison compared = {m, &stored->finished};
    TRY(check_numbers(m, &stored->finished));
    TRY(check_stored(&checked, m, stored));
    imiad_status status = find_row(&id, m->into, "cells", &checked);
    if (status == IMIAD_OK && id == 0)
        status = store_put_cell(m->into, &checked, &origin, stored->finished.names,
                                stored->finished.values, stored->finished.count);
    else if (status == IMIAD_OK)
        status = show_cell(&found, m->into, id, compare, &compared);
    checked_cell_free(&checked);
    return status;
}

/* A failure counts where the cell did not finish elsewhere, and the first one stays. */
static imiad_status take_failure(merging *m, stored_cell *stored)
{
    if (!text_is_utf8(stored->message, strlen(stored->message)))
        return fail(IMIAD_FORMAT, "the result store %s is damaged: a message that is no text",
                    m->from->path);
    checked_cell checked;
    int64_t finished, failed = 0;
    store_origin origin = origin_of(stored);
    TRY(check_stored(&checked, m, stored));
    imiad_status status = find_row(&finished, m->into, "cells", &checked);
    if (status == IMIAD_OK)
        status = find_row(&failed, m->into, "failures", &checked);
    if (status == IMIAD_OK && !finished && !failed)
        status = store_put_failure(m->into, &checked, &origin, stored->message);
    checked_cell_free(&checked);
    return status;
}

typedef imiad_status load_function(stored_cell *, bool *, const imiad_results *, int64_t);
typedef imiad_status take_function(merging *, stored_cell *);

static imiad_status take_all(merging *m, const char *query, load_function *load,
                             take_function *take)
{
    sqlite3_stmt *statement;
    id_list list;
    TRY(store_prepare(&statement, m->from, query));
    TRY(collect_ids(&list, statement, m->from));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < list.count; ++i) {
        stored_cell stored;
        bool found;
        status = load(&stored, &found, m->from, list.ids[i]);
        if (status != IMIAD_OK)
            break;
        stored.finished.struct_size = sizeof stored.finished;
        stored.finished.cell = &stored.cell;
        if (found)
            status = take(m, &stored);
        stored_cell_free(&stored);
    }
    free(list.ids);
    return status;
}

/* Both walks of one store see the same moment of it where nobody writes; a cell that finishes
 * between them is in neither or in both, and then the finished one wins. */
static imiad_status merge_one(merging *m, const char *path)
{
    imiad_results *from;
    bool failures;
    TRY(imiad_results_open_to_read(&from, path));
    m->from = from;
    imiad_status status =
        take_all(m, "SELECT id FROM cells ORDER BY id", stored_cell_load, take_cell);
    if (status == IMIAD_OK)
        status = store_has(&failures, from, &store_failures);
    if (status == IMIAD_OK && failures)
        status = store_need(m->into, &store_failures);
    if (status == IMIAD_OK && failures)
        status =
            take_all(m, "SELECT id FROM failures ORDER BY id", stored_failure_load, take_failure);
    imiad_results_free(from);
    return status;
}

imiad_status imiad_results_merge(imiad_results *results, const char *const *paths, size_t count,
                                 imiad_conflict_function conflict, void *user)
{
    if (!results || (count > 0 && !paths))
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_merge: %s is NULL",
                    results ? "paths" : "results");
    for (size_t i = 0; i < count; ++i)
        if (!paths[i])
            return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_merge: path %zu is NULL", i);
    merging m = {.into = results, .conflict = conflict, .user = user};
    store_change change;
    TRY(change_begin(&change, results));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < count; ++i)
        status = merge_one(&m, paths[i]);
    return change_end(&change, status);
}
