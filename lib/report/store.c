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
#include <sys/stat.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/too_large.h"

enum {
    APPLICATION_ID = 0x494d4144, /* "IMAD" in the file's header */
    SCHEMA_VERSION = 1,
    LAST_VERSION = 3, /* with every addition */
    WAIT_MILLISECONDS = 60000,
    STEPS_A_LOOK = 1 << 20, /* of SQLite's machine, between two looks at what is allowed */
};

/* ---- statements ---- */

imiad_status store_fail(const imiad_results *results, const char *doing)
{
    const char *why = sqlite3_errmsg(results->database);
    const int code = sqlite3_extended_errcode(results->database);
    if (code == SQLITE_IOERR_NOMEM)
        return fail(IMIAD_NO_MEMORY, "cannot %s the result store %s: out of memory", doing,
                    results->path);
    switch (code & 0xff) {
    case SQLITE_NOTADB:
        return fail(IMIAD_FORMAT, "%s is not a result store: it is no SQLite database",
                    results->path);
    case SQLITE_CORRUPT:
        return fail(IMIAD_FORMAT, "the result store %s is damaged: %s", results->path, why);
    case SQLITE_INTERRUPT:
    case SQLITE_TOOBIG:
        return fail(IMIAD_FORMAT,
                    "cannot %s the result store %s: it holds far more than a store should (%s)",
                    doing, results->path, why);
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

/* What a statement may take grows with the file: what does not end is ended. */
static void allow_steps(const imiad_results *results)
{
    uint64_t bytes = 0;
    if (file_size(&bytes, results->path) != IMIAD_OK)
        bytes = 0;
    results->guard->looks_left = 1000 + bytes / (1 << 10);
}

static int look(void *user)
{
    store_guard *guard = user;
    return guard->looks_left-- == 0;
}

imiad_status store_run(const imiad_results *results, const char *sql, const char *doing)
{
    allow_steps(results);
    if (sqlite3_exec(results->database, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_fail(results, doing);
    return IMIAD_OK;
}

imiad_status store_prepare(sqlite3_stmt **out, const imiad_results *results, const char *sql)
{
    allow_steps(results);
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

imiad_status store_finish(sqlite3_stmt *statement, const imiad_results *results)
{
    imiad_status status =
        sqlite3_step(statement) == SQLITE_DONE ? IMIAD_OK : store_fail(results, "write");
    sqlite3_finalize(statement);
    return status;
}

imiad_status change_begin(store_change *out, const imiad_results *results)
{
    if (results->to_read)
        return fail(IMIAD_WRONG_STATE, "the result store %s was opened to read only",
                    results->path);
    *out = (store_change){results, too_large_begin()};
    imiad_status status = store_run(results, "BEGIN IMMEDIATE", "write");
    if (status != IMIAD_OK)
        too_large_end(&out->limit);
    return status;
}

imiad_status change_end(store_change *change, imiad_status status)
{
    if (status == IMIAD_OK)
        status = store_run(change->results, "COMMIT", "write");
    if (status != IMIAD_OK)
        sqlite3_exec(change->results->database, "ROLLBACK", NULL, NULL, NULL);
    too_large_end(&change->limit);
    return status;
}

imiad_status store_has(bool *out, const imiad_results *results, const store_addition *addition)
{
    char query[96];
    int64_t count;
    snprintf(query, sizeof query, "SELECT count(*) FROM sqlite_master WHERE name = '%s'",
             addition->statement.name);
    TRY(read_integer(&count, results, query));
    *out = count > 0;
    return IMIAD_OK;
}

imiad_status store_need(const imiad_results *results, const store_addition *addition)
{
    char mark[64];
    int64_t version;
    bool there;
    TRY(store_has(&there, results, addition));
    if (there)
        return IMIAD_OK;
    TRY(read_integer(&version, results, "PRAGMA user_version"));
    TRY(store_run(results, addition->statement.text, "write"));
    if (version >= addition->version)
        return IMIAD_OK;
    snprintf(mark, sizeof mark, "PRAGMA user_version = %d", addition->version);
    return store_run(results, mark, "write");
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
    if (version > LAST_VERSION)
        return fail(IMIAD_UNSUPPORTED,
                    "the result store %s has version %d; this library reads up to %d",
                    results->path, (int)version, LAST_VERSION);
    return IMIAD_OK;
}

static imiad_status make_schema(const imiad_results *results)
{
    for (size_t i = 0; i < store_statement_count; ++i)
        TRY(store_run(results, store_statements[i].text, "create"));
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
        status = make_schema(results);
    if (status == IMIAD_OK && empty)
        status = store_run(results, mark, "create");
    if (status == IMIAD_OK)
        status = store_run(results, "COMMIT", "create");
    if (status != IMIAD_OK)
        sqlite3_exec(results->database, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* One look at the file: between two of its questions another process may make the store. */
static imiad_status identify_at_once(bool *empty, const imiad_results *results)
{
    TRY(store_run(results, "BEGIN", "open"));
    imiad_status status = identify(empty, results);
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
    else if (!sqlite3_column_text(statement, 0))
        status = fail_memory("a result store", 64);
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        status = fail(IMIAD_FORMAT, "the result store %s is damaged: %s", results->path,
                      (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return status;
}

/* A store from elsewhere may hold triggers, views and generated columns, which run when it is used.
 * Nothing is asked of it before every statement that made it is known to be ours. */
static imiad_status check_schema(const imiad_results *results)
{
    sqlite3_stmt *statement;
    TRY(store_prepare(&statement, results,
                      "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"));
    imiad_status status = IMIAD_OK;
    size_t found = 0;
    int code = SQLITE_ROW;
    while (status == IMIAD_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        const char *text = (const char *)sqlite3_column_text(statement, 1);
        bool addition;
        if (!name || !text)
            status = fail_memory("a result store's schema", 64);
        else if (store_knows(&addition, name, text))
            found += !addition;
        else if (strncmp(name, "sqlite_stat", 11) != 0) /* what ANALYZE leaves */
            status = fail(IMIAD_FORMAT,
                          "%s is not a result store: it holds \"%s\", which no store has, or has "
                          "otherwise",
                          results->path, show_text(name, strlen(name)).text);
    }
    if (status == IMIAD_OK && code != SQLITE_DONE)
        status = store_fail(results, "read");
    sqlite3_finalize(statement);
    if (status == IMIAD_OK && found != store_statement_count)
        return fail(IMIAD_FORMAT, "the result store %s is damaged: a part of its schema is missing",
                    results->path);
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
    char journal[4096];
    file_view view;
    struct stat info;
    if (stat(path, &info) != 0)
        return IMIAD_OK; /* there will be one, or SQLite says why not */
    if (!S_ISREG(info.st_mode))
        return fail(IMIAD_IO, "cannot read %s: it is not a regular file", path);
    TRY(file_read_begin(&view, path, sizeof signature));
    bool good = view.size == 0 || (view.size == sizeof signature &&
                                   memcmp(view.bytes, signature, sizeof signature) == 0);
    file_unmap(&view);
    snprintf(journal, sizeof journal, "%s-journal", path);
    if (good || file_exists(journal))
        return IMIAD_OK;
    return fail(IMIAD_FORMAT, "%s is not a result store: it is no SQLite database", path);
}

/* For a file that may come from anywhere. */
static imiad_status guard_database(imiad_results *results)
{
    static const int switches[][2] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},
                                      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                      {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                                      {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0}};
    static const int limits[][2] = {{SQLITE_LIMIT_LENGTH, 1 << 26},
                                    {SQLITE_LIMIT_SQL_LENGTH, 1 << 16},
                                    {SQLITE_LIMIT_EXPR_DEPTH, 64},
                                    {SQLITE_LIMIT_ATTACHED, 0},
                                    {SQLITE_LIMIT_TRIGGER_DEPTH, 1}};
    for (size_t i = 0; i < sizeof switches / sizeof *switches; ++i)
        sqlite3_db_config(results->database, switches[i][0], switches[i][1], NULL);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; ++i)
        sqlite3_limit(results->database, limits[i][0], limits[i][1]);
    sqlite3_progress_handler(results->database, STEPS_A_LOOK, look, results->guard);
    sqlite3_busy_timeout(results->database, WAIT_MILLISECONDS);
    return store_run(results, "PRAGMA foreign_keys = ON; PRAGMA synchronous = EXTRA", "open");
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
    TRY(guard_database(results));
    bool empty;
    TRY(identify_at_once(&empty, results));
    if (empty && results->to_read)
        return fail(IMIAD_FORMAT, "%s is not a result store: it is empty", results->path);
    if (empty)
        TRY(create_schema(results));
    TRY(check_schema(results));
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
    store_guard *guard = calloc(1, sizeof *guard);
    if (!results || !description || !guard) {
        free(results);
        free(description);
        free(guard);
        return fail_memory("a result store", sizeof *results + sizeof *description);
    }
    results->description = description;
    results->guard = guard;
    results->to_read = to_read;
    too_large limit = too_large_begin();
    imiad_status status = open_database(results, path);
    too_large_end(&limit);
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
    free(results->guard);
    free(results->path);
    free(results->description->value);
    free(results->description->options);
    free(results->description->dataset_options);
    free(results->description);
    free(results);
}
