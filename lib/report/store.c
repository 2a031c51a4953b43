/* The result store's file: opening, its schema, what SQLite's failures mean.
 *
 * How a put is all or nothing. Each is one transaction with SQLite's rollback journal: before a
 * page changes, its old content is in the journal and the journal on the disk; the commit is the
 * deletion of the journal. A process that is killed leaves the old pages, or the new ones with no
 * journal, or a journal that whoever opens the file next plays back. synchronous=EXTRA also puts
 * the deletion itself on the disk before the commit returns, so that a power cut cannot undo a cell
 * that was reported finished. The write-ahead log would write faster, but it is two more files
 * beside the one, and it needs shared memory, which network file systems of clusters lack; a cell
 * takes seconds to hours and its put a few milliseconds.
 *
 * Several processes: a put takes the write lock at its beginning (BEGIN IMMEDIATE), so it never has
 * to give up a transaction half-way; others wait for it. */
#include "report/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"

enum {
    APPLICATION_ID = 0x494d4144, /* "IMAD" in the file's header */
    SCHEMA_VERSION = 1,
    WAIT_MILLISECONDS = 60000,
};

/* New metrics are new rows of `measurements`; a change of columns is a new version. */
static const char schema[] =
    "CREATE TABLE cells ("
    "  id INTEGER PRIMARY KEY,"
    "  run TEXT NOT NULL,"
    "  family TEXT NOT NULL,"
    "  category TEXT NOT NULL,"
    "  setting TEXT NOT NULL,"
    "  value TEXT NOT NULL,"
    "  dataset TEXT NOT NULL,"
    "  dataset_digest TEXT NOT NULL,"
    "  detector TEXT NOT NULL,"
    "  backbone TEXT NOT NULL,"
    "  weights TEXT NOT NULL,"
    "  weights_digest TEXT NOT NULL,"
    "  precision TEXT NOT NULL,"
    "  evaluation TEXT NOT NULL,"
    "  dataset_root TEXT NOT NULL,"
    "  device TEXT NOT NULL,"
    "  machine TEXT NOT NULL,"
    "  command TEXT NOT NULL,"
    "  options TEXT NOT NULL,"
    "  dataset_options TEXT NOT NULL,"
    "  facts TEXT NOT NULL,"
    "  seed INTEGER NOT NULL,"
    "  threads INTEGER NOT NULL,"
    "  library_version TEXT NOT NULL,"
    "  torch_version TEXT NOT NULL,"
    "  time TEXT NOT NULL,"
    "  UNIQUE (run, category)"
    ");"
    "CREATE INDEX cells_of_family ON cells (family);"
    "CREATE TABLE measurements ("
    "  cell INTEGER NOT NULL REFERENCES cells (id) ON DELETE CASCADE,"
    "  name TEXT NOT NULL,"
    "  number REAL," /* NULL: it does not exist for this cell */
    "  PRIMARY KEY (cell, name)"
    ") WITHOUT ROWID;"
    "CREATE VIEW results AS"
    "  SELECT setting, value, dataset, category, detector, backbone, precision, evaluation, seed,"
    "    name, number, options, weights, device, machine, threads, library_version, torch_version,"
    "    time, family, cells.id AS cell"
    "  FROM cells JOIN measurements ON measurements.cell = cells.id;";

/* ---- statements ---- */

imiad_status store_fail(const imiad_results *results, const char *doing)
{
    const char *why = sqlite3_errmsg(results->database);
    switch (sqlite3_errcode(results->database) & 0xff) {
    case SQLITE_NOTADB:
        return fail(IMIAD_FORMAT, "%s is not a result store: it is no SQLite database",
                    results->path);
    case SQLITE_CORRUPT:
        return fail(IMIAD_FORMAT, "the result store %s is damaged: %s", results->path, why);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail(IMIAD_IO, "cannot %s the result store %s: another process has held it for %d s",
                    doing, results->path, WAIT_MILLISECONDS / 1000);
    case SQLITE_NOMEM:
        return fail(IMIAD_NO_MEMORY, "cannot %s the result store %s: out of memory", doing,
                    results->path);
    default:
        return fail(IMIAD_IO, "cannot %s the result store %s: %s", doing, results->path, why);
    }
}

imiad_status store_run(const imiad_results *results, const char *sql, const char *doing)
{
    if (sqlite3_exec(results->database, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_fail(results, doing);
    return IMIAD_OK;
}

imiad_status store_prepare(sqlite3_stmt **out, const imiad_results *results, const char *sql)
{
    if (sqlite3_prepare_v2(results->database, sql, -1, out, NULL) != SQLITE_OK)
        return store_fail(results, "read");
    return IMIAD_OK;
}

/* The one row of a query of one integer. */
static imiad_status read_integer(int64_t *out, const imiad_results *results, const char *sql)
{
    sqlite3_stmt *statement;
    TRY(store_prepare(&statement, results, sql));
    imiad_status status =
        sqlite3_step(statement) == SQLITE_ROW ? IMIAD_OK : store_fail(results, "read");
    if (status == IMIAD_OK)
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return status;
}

/* ---- opening ---- */

/* *empty: a database in which nobody has made anything yet. */
static imiad_status identify(bool *empty, const imiad_results *results)
{
    int64_t application, version, objects;
    TRY(read_integer(&application, results, "PRAGMA application_id"));
    TRY(read_integer(&version, results, "PRAGMA user_version"));
    TRY(read_integer(&objects, results, "SELECT count(*) FROM sqlite_master"));
    *empty = application == 0 && version == 0 && objects == 0;
    if (*empty)
        return IMIAD_OK;
    if (application != APPLICATION_ID)
        return fail(IMIAD_FORMAT,
                    "%s is not a result store but an SQLite database of something "
                    "else",
                    results->path);
    if (version > SCHEMA_VERSION)
        return fail(IMIAD_UNSUPPORTED,
                    "the result store %s has version %d; this library reads up to %d",
                    results->path, (int)version, SCHEMA_VERSION);
    return IMIAD_OK;
}

/* Two processes may come here at once: the second finds the work done. */
static imiad_status create_schema(const imiad_results *results)
{
    char mark[128];
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             APPLICATION_ID, SCHEMA_VERSION);
    TRY(store_run(results, "BEGIN IMMEDIATE", "create"));
    bool empty;
    imiad_status status = identify(&empty, results);
    if (status == IMIAD_OK && empty)
        status = store_run(results, schema, "create");
    if (status == IMIAD_OK && empty)
        status = store_run(results, mark, "create");
    if (status == IMIAD_OK)
        status = store_run(results, "COMMIT", "create");
    if (status != IMIAD_OK)
        sqlite3_exec(results->database, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* Looks at every page, so that damage is found here and not in the middle of a grid. */
static imiad_status check_pages(const imiad_results *results)
{
    sqlite3_stmt *statement;
    TRY(store_prepare(&statement, results, "PRAGMA quick_check(1)"));
    imiad_status status = IMIAD_OK;
    if (sqlite3_step(statement) != SQLITE_ROW)
        status = store_fail(results, "read");
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        status = fail(IMIAD_FORMAT, "the result store %s is damaged: %s", results->path,
                      (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return status;
}

/* SQLite takes ":memory:" and "file:..." for something else than the files of these names. */
static char *plain_path(const char *path)
{
    char *plain = malloc(strlen(path) + 3);
    if (plain)
        sprintf(plain, "%s%s", path[strcspn(path, ":/")] == ':' ? "./" : "", path);
    return plain;
}

/* SQLite would write over a file that is shorter than its own header. Beside a journal the file may
 * be half-written; SQLite mends it. */
static imiad_status check_signature(const char *path)
{
    static const char signature[16] = "SQLite format 3";
    char begin[16] = "", journal[4096];
    snprintf(journal, sizeof journal, "%s-journal", path);
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(begin, 1, sizeof begin, file) : 0;
    if (file)
        fclose(file);
    if (size == 0 || file_exists(journal) || memcmp(begin, signature, sizeof begin) == 0)
        return IMIAD_OK;
    return fail(IMIAD_FORMAT, "%s is not a result store: it is no SQLite database", path);
}

static imiad_status open_database(imiad_results *results, const char *path)
{
    results->path = plain_path(path);
    if (!results->path)
        return fail_memory("a path", strlen(path));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (!results->to_read) {
        TRY(folder_make_above(results->path));
        flags |= SQLITE_OPEN_CREATE;
    } else if (!file_exists(results->path)) {
        return fail(IMIAD_NOT_FOUND, "there is no result store %s", results->path);
    }
    TRY(check_signature(results->path));
    int code = sqlite3_open_v2(results->path, &results->database, flags, NULL);
    if (!results->database)
        return fail_memory("a result store", 1 << 16);
    if (code != SQLITE_OK)
        return store_fail(results, "open");
    sqlite3_busy_timeout(results->database, WAIT_MILLISECONDS);
    TRY(store_run(results, "PRAGMA foreign_keys = ON; PRAGMA synchronous = EXTRA", "open"));
    bool empty;
    TRY(identify(&empty, results));
    if (empty && results->to_read)
        return fail(IMIAD_FORMAT, "%s is not a result store: it is empty", results->path);
    if (empty)
        return create_schema(results);
    if (results->to_read)
        TRY(store_run(results, "PRAGMA query_only = ON", "open"));
    return check_pages(results);
}

static imiad_status open_store(imiad_results **out, const char *path, bool to_read)
{
    if (!out || !path || !*path)
        return fail(IMIAD_INVALID_ARGUMENT, "result store: out or path is NULL, or path is empty");
    imiad_results *results = calloc(1, sizeof *results);
    cell_description *description = calloc(1, sizeof *description);
    if (!results || !description) {
        free(results);
        free(description);
        return fail_memory("a result store", sizeof *results + sizeof *description);
    }
    results->description = description;
    results->to_read = to_read;
    imiad_status status = open_database(results, path);
    if (status != IMIAD_OK) {
        imiad_results_free(results);
        return status;
    }
    *out = results;
    return IMIAD_OK;
}

imiad_status imiad_results_open(imiad_results **out, const char *path)
{
    return open_store(out, path, false);
}

imiad_status imiad_results_open_to_read(imiad_results **out, const char *path)
{
    return open_store(out, path, true);
}

void imiad_results_free(imiad_results *results)
{
    if (!results)
        return;
    sqlite3_close(results->database);
    free(results->path);
    free(results->description->value);
    free(results->description->options);
    free(results->description->dataset_options);
    free(results->description);
    free(results);
}
