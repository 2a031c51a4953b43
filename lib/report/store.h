/* Inside the result store: one SQLite database, a row of `cells` for each finished cell and a row
 * of `measurements` for each of its values. docs/results.md describes it for people who query it.
 */
#ifndef REPORT_STORE_H
#define REPORT_STORE_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>

#include "base/too_large.h"
#include "imiad/results.h"

/* What imiad_results_describe fills in that nobody else holds. */
typedef struct cell_description {
    char dataset_digest[65];
    char *value;
    imiad_option *options, *dataset_options;
} cell_description;

/* How much longer the present statement may run. */
typedef struct store_guard {
    uint64_t looks_left;
} store_guard;

struct imiad_results {
    sqlite3 *database;
    char *path;
    bool to_read;
    cell_description *description;
    store_guard *guard;
};

/* ---- store_schema.c ---- */

typedef struct store_statement {
    const char *name, *text; /* what it makes */
} store_statement;
extern const store_statement store_statements[];
extern const size_t store_statement_count;
/* A table that is made when it is first needed; a file with it has at least that version. */
typedef struct store_addition {
    store_statement statement;
    int version;
} store_addition;
extern const store_addition store_failures, store_evidence;
/* Whether a statement of that name is the store's own; *addition: one that it may lack. */
bool store_knows(bool *addition, const char *name, const char *text);

/* ---- store.c: statements ---- */

/* IMIAD_FORMAT, IMIAD_IO and so on from what SQLite says, naming the file. */
imiad_status store_fail(const imiad_results *results, const char *doing);
imiad_status store_run(const imiad_results *results, const char *sql, const char *doing);
imiad_status store_prepare(sqlite3_stmt **out, const imiad_results *results, const char *sql);
/* Steps a statement that gives no rows, and finalizes it. */
imiad_status store_finish(sqlite3_stmt *statement, const imiad_results *results);
/* A change of the store, all or nothing: what happens between begin and end is kept where end is
 * given IMIAD_OK. End returns what it was given, or what kept it from the disk. */
typedef struct store_change {
    const imiad_results *results;
    too_large limit;
} store_change;
imiad_status change_begin(store_change *out, const imiad_results *results);
imiad_status change_end(store_change *change, imiad_status status);

imiad_status store_has(bool *out, const imiad_results *results, const store_addition *addition);
/* Within a transaction. */
imiad_status store_need(const imiad_results *results, const store_addition *addition);

/* ---- store_cell.c: cells as rows ---- */

/* The columns of `cells` that are fields of imiad_cell. */
typedef struct text_column {
    const char *name;
    size_t offset; /* of a const char * */
} text_column;
typedef struct list_column {
    const char *name;
    size_t offset, count_offset; /* of a const imiad_option * and a size_t */
} list_column;
enum { TEXT_COLUMNS = 15, LIST_COLUMNS = 3 };
extern const text_column text_columns[TEXT_COLUMNS];
extern const list_column list_columns[LIST_COLUMNS];

/* In the order of those tables, then the rest. */
#define CELL_COLUMNS                                                                               \
    "category, setting, value, dataset, dataset_digest, detector, backbone, weights, "             \
    "weights_digest, precision, evaluation, dataset_root, device, machine, command, options, "     \
    "dataset_options, facts, seed, threads, library_version, torch_version, time"
enum {
    CELL_SEED = TEXT_COLUMNS + LIST_COLUMNS,
    CELL_THREADS,
    CELL_LIBRARY_VERSION,
    CELL_TORCH_VERSION,
    CELL_TIME,
    CELL_COLUMN_COUNT
};
const char *cell_text(const imiad_cell *cell, size_t column);

/* A cell as given: whole, without NULLs, its lists as JSON objects with sorted keys. */
typedef struct checked_cell {
    imiad_cell cell;
    char *lists[LIST_COLUMNS];
    char machine[128];
    char family[65]; /* digest of the key without category, seeds and random weights: what may be
                      * compared or averaged */
    char run[65];    /* digest of the key without category */
} checked_cell;
imiad_status cell_check(checked_cell *out, const imiad_cell *given);
void checked_cell_free(checked_cell *cell);

/* A row of `cells` with its values, or of `failures` with its message. All text is borrowed from
 * `texts` and the lists. */
typedef struct stored_cell {
    imiad_finished finished;
    imiad_cell cell;
    json_t *texts, *lists[LIST_COLUMNS];
    imiad_option *options[LIST_COLUMNS], *evidence;
    const char **names;
    double *values;
    const char *message; /* of a failure */
} stored_cell;
/* *found is false where there is no such row (any more). */
imiad_status stored_cell_load(stored_cell *out, bool *found, const imiad_results *results,
                              int64_t id);
imiad_status stored_failure_load(stored_cell *out, bool *found, const imiad_results *results,
                                 int64_t id);
void stored_cell_free(stored_cell *cell);

/* ---- store_put.c ---- */

/* When and by what a cell was run. */
typedef struct store_origin {
    const char *time, *library_version, *torch_version;
    int threads;
} store_origin;
store_origin origin_now(char time[32]);

/* The row of `cells` or `failures`; *id is 0 where there is none. */
imiad_status find_row(int64_t *id, const imiad_results *results, const char *table,
                      const checked_cell *cell);
/* Within a transaction: makes the cell's row and values, in place of an earlier one, and takes its
 * failure away. */
imiad_status store_put_cell(const imiad_results *results, const checked_cell *checked,
                            const store_origin *origin, const char *const *names,
                            const double *values, size_t count);
/* Within a transaction, with the table there: the same for a failure. */
imiad_status store_put_failure(const imiad_results *results, const checked_cell *checked,
                               const store_origin *origin, const char *message);

/* ---- store_query.c ---- */

typedef struct id_list {
    int64_t *ids;
    size_t count, room;
} id_list;
/* The ids that a statement finds; finalizes it. ids is freed by the caller. */
imiad_status collect_ids(id_list *out, sqlite3_stmt *statement, const imiad_results *results);

/* Statements that choose among cells have this condition; the filter is bound to ?1 .. ?6. */
#define FILTER_CONDITION                                                                           \
    "(?1 IS NULL OR setting = ?1) AND (?2 IS NULL OR value = ?2) AND "                             \
    "(?3 IS NULL OR dataset = ?3) AND (?4 IS NULL OR category = ?4) AND "                          \
    "(?5 IS NULL OR detector = ?5) AND (?6 IS NULL OR backbone = ?6)"
#define CELL_ORDER                                                                                 \
    "setting, value, dataset, detector, options, backbone, weights_digest, precision, "            \
    "evaluation, family"
/* A copy as large as the library's; filter may be NULL. */
imiad_status filter_check(imiad_results_filter *out, const imiad_results_filter *filter);
void filter_bind(sqlite3_stmt *statement, const imiad_results_filter *filter);

/* Of the rows of `cells` or of `failures` that the filter admits, in the order of reports; NULL
 * admits all. */
imiad_status filtered_ids(id_list *out, const imiad_results *results, const char *table,
                          const imiad_results_filter *filter);

/* Loads and shows one cell; *found is false where it is not there. */
imiad_status show_cell(bool *found, const imiad_results *results, int64_t id,
                       imiad_finished_function function, void *user);

/* imiad_results_summarize, which also numbers the pairs of configuration and category from 0, and
 * names the configuration by the smallest id of its cells that the filter, but for its category,
 * admits. */
typedef imiad_status summary_visitor(void *user, const imiad_summary *summary, int64_t group,
                                     int64_t family);
imiad_status summarize(const imiad_results *results, const imiad_results_filter *filter,
                       summary_visitor *visit, void *user);

#endif
