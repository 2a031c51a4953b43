/* Cells that failed: what kept them from finishing, until they finish after all. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "report/store.h"

static imiad_status put(imiad_results *results, const checked_cell *checked, const char *message)
{
    char time[32];
    store_origin origin = origin_now(time);
    int64_t finished;
    TRY(find_row(&finished, results, "cells", checked));
    if (finished)
        return fail(IMIAD_WRONG_STATE, "%s: the cell is finished and cannot fail any more",
                    results->path);
    TRY(store_need(results, &store_failures));
    return store_put_failure(results, checked, &origin, message);
}

imiad_status imiad_results_put_failure(imiad_results *results, const imiad_cell *cell,
                                       const char *message)
{
    if (!results || !message)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_put_failure: %s is NULL",
                    results ? "message" : "results");
    if (!text_is_utf8(message, strlen(message)))
        return fail(IMIAD_INVALID_ARGUMENT, "the message of a failure is not UTF-8");
    checked_cell checked;
    TRY(cell_check(&checked, cell));
    store_change change;
    imiad_status status = change_begin(&change, results);
    if (status == IMIAD_OK)
        status = change_end(&change, put(results, &checked, message));
    checked_cell_free(&checked);
    return status;
}

static imiad_status show(bool *found, const imiad_results *results, int64_t id,
                         imiad_failed_function function, void *user)
{
    stored_cell stored;
    imiad_status status = stored_failure_load(&stored, found, results, id);
    if (status == IMIAD_OK && *found) {
        const imiad_failed failed = {
            .struct_size = sizeof failed,
            .cell = &stored.cell,
            .library_version = stored.finished.library_version,
            .torch_version = stored.finished.torch_version,
            .time = stored.finished.time,
            .threads = stored.finished.threads,
            .message = stored.message,
        };
        status = function(user, &failed);
    }
    stored_cell_free(&stored);
    return status;
}

imiad_status imiad_results_show_failure(const imiad_results *results, const imiad_cell *cell,
                                        imiad_failed_function function, void *user)
{
    if (!results || !function)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_show_failure: %s is NULL",
                    results ? "function" : "results");
    checked_cell checked;
    int64_t id = 0;
    bool found = false, failures;
    TRY(cell_check(&checked, cell));
    imiad_status status = store_has(&failures, results, &store_failures);
    if (status == IMIAD_OK && failures)
        status = find_row(&id, results, "failures", &checked);
    checked_cell_free(&checked);
    if (status == IMIAD_OK && id != 0)
        status = show(&found, results, id, function, user);
    if (status == IMIAD_OK && !found)
        return fail(IMIAD_NOT_FOUND, "%s knows of no failure of this cell: %s, category %s",
                    results->path, cell->setting, cell->category);
    return status;
}

imiad_status imiad_results_each_failure(const imiad_results *results,
                                        const imiad_results_filter *filter,
                                        imiad_failed_function function, void *user)
{
    if (!results || !function)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_results_each_failure: %s is NULL",
                    results ? "function" : "results");
    imiad_results_filter chosen;
    id_list list;
    bool failures;
    TRY(filter_check(&chosen, filter)); /* wrong in a store without failures too */
    TRY(store_has(&failures, results, &store_failures));
    if (!failures)
        return IMIAD_OK;
    TRY(filtered_ids(&list, results, "failures", &chosen));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; i < list.count && status == IMIAD_OK; ++i) {
        bool found; /* or gone in the meantime */
        status = show(&found, results, list.ids[i], function, user);
    }
    free(list.ids);
    return status;
}
