/* Stores whose every text and number comes from the input, as reports and exports in all formats.
 * Nothing may crash, and nothing of a store may become markup of the page. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "imiad/report.h"

#define SEED(text)                                                                                 \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }
/* Pieces end with '~': "" leaves the column as it is. */
const fuzz_seed fuzz_seeds[] = {
    SEED("<script>alert(1)</script>~\"><img src=x onerror=alert(1)>~nan~1e308~-1e308~"),
    SEED("~~~~average~continual~ratio=0.1 together=a,b~mvtec_ad~patchcore~resnet18~"),
    SEED("[[1,1e308,\"a\",\"b\"],[0,-1e308,\"c\",\"d\"]]~[[0.001,0.5],[0.3,0.9]]~"),
    SEED("[[1,0.5,\"<b>\",\"&\"],[0,0.25,\"]]>\",\"'\"],[1,null],[],{},7]~[0.5,null,\"x\",1e400]~"),
    SEED("data:image/png;base64,iVBORw0KGgo=~data:image/svg+xml,<svg onload=alert(1)>~2~-3~"),
    SEED("\xff\xfe\x01\x1b[31m~\xe2\x80\xae~=cmd|'/c calc'!A1~\\input{/etc/passwd}%$_#~"),
    SEED("{\"normal\":1e99,\"defective\":-1,\"kinds\":99999999999999999999}~{\"epochs\":7}~"),
    {NULL, 0}};

/* ---- the store ---- */

static char folder[64], store[128], output[128];

static void remove_all(void)
{
    unlink(store);
    unlink(output);
    rmdir(folder);
}

static void need(int truth)
{
    if (!truth)
        abort();
}

/* Three cells of two configurations with evidence of all kinds, and a failure. */
static void make_store(void)
{
    static const imiad_option evidence[] = {
        {"scores", "[[1,0.5,\"a\",\"b\"],[0,0.25,\"good\",\"c\"]]"},
        {"aupro", "[[0.1,0.5],[0.3,0.7]]"},
        {"category", "{\"normal\":3}"},
        {"task", "1"},
        {"course of image_auroc", "[0.5,0.25]"},
        {"picture structural map", "data:image/png;base64,iVBORw0KGgo="},
        {"picture found", "data:image/png;base64,iVBORw0KGgo="}};
    static const char *const categories[] = {"bottle", "cable", "wood", "zipper"};
    static const char *const names[] = {"image_auroc", "peak_rss_bytes", "images_per_second"};
    imiad_results *results;
    strcpy(folder,
           access("/dev/shm", W_OK) == 0 ? "/dev/shm/imiad-fuzz-XXXXXX" : "/tmp/imiad-fuzz-XXXXXX");
    need(mkdtemp(folder) != NULL);
    snprintf(store, sizeof store, "%s/store.sqlite", folder);
    snprintf(output, sizeof output, "%s/output", folder);
    atexit(remove_all);
    need(imiad_results_open(&results, store) == IMIAD_OK);
    for (int i = 0; i < 4; ++i) {
        imiad_option option = {"epochs", "3"};
        imiad_cell cell = IMIAD_CELL_INIT;
        cell.setting = i == 2 ? "continual" : "unsupervised";
        cell.dataset = "mvtec_ad";
        cell.category = categories[i];
        cell.detector = "patchcore";
        cell.options = cell.facts = &option;
        cell.option_count = cell.fact_count = 1;
        cell.evidence = evidence;
        cell.evidence_count = sizeof evidence / sizeof *evidence;
        need((i < 3 ? imiad_results_put(results, &cell, names, (double[]){0.5, 1e9, 10}, 3)
                    : imiad_results_put_failure(results, &cell, "it went wrong")) == IMIAD_OK);
    }
    imiad_results_free(results);
}

/* ---- what the input makes of it ---- */

typedef struct pieces {
    const uint8_t *begin, *at, *end;
    uint64_t dice;
} pieces;

/* The bytes up to the next '~', from the first again after the last. Every second one is left out,
 * as the bytes themselves throw the dice, so that each piece comes to all columns. */
static const uint8_t *next_piece(pieces *p, size_t *size)
{
    *size = 0;
    p->dice = p->dice * 6364136223846793005u + 1442695040888963407u;
    if (p->begin == p->end || p->dice >> 63)
        return p->begin;
    p->at = p->at == p->end ? p->begin : p->at;
    const uint8_t *begin = p->at, *mark = memchr(begin, '~', (size_t)(p->end - begin));
    *size = (size_t)((mark ? mark : p->end) - begin);
    p->at = mark ? mark + 1 : p->end;
    return begin;
}

/* One column of one row; a number where the piece is one. */
static void set(sqlite3 *database, const char *table, const char *column, int row, pieces *p)
{
    char query[256], number[64];
    sqlite3_stmt *statement;
    size_t size;
    const uint8_t *piece = next_piece(p, &size);
    if (size == 0)
        return;
    snprintf(query, sizeof query,
             "update or ignore %s set %s = ? where rowid in (select rowid from %s limit 1 offset "
             "%d)",
             table, column, table, row);
    if (sqlite3_prepare_v2(database, query, -1, &statement, NULL) != SQLITE_OK)
        abort();
    char *end = number;
    if (size < sizeof number) {
        memcpy(number, piece, size);
        number[size] = '\0';
        strtod(number, &end);
    }
    if (end != number && *end == '\0')
        sqlite3_bind_double(statement, 1, strtod(number, NULL));
    else
        sqlite3_bind_text(statement, 1, (const char *)piece, (int)size, SQLITE_STATIC);
    sqlite3_step(statement); /* what the schema forbids stays as it is */
    sqlite3_finalize(statement);
}

static void fill(sqlite3 *database, pieces *p)
{
    static const char *const columns[] = {
        "category", "setting",   "value",           "dataset",        "detector",
        "options",  "backbone",  "weights",         "evaluation",     "dataset_digest",
        "command",  "machine",   "device",          "facts",          "dataset_root",
        "seed",     "threads",   "library_version", "time",           "weights_digest",
        "family",   "precision", "torch_version",   "dataset_options"};
    for (int row = 0; row < 7 * 3; ++row)
        set(database, "evidence", "text", row, p);
    for (int row = 0; row < 9; ++row)
        set(database, "measurements_", "number", row, p);
    for (int row = 0; row < 4; ++row)
        for (size_t i = 0; i < sizeof columns / sizeof *columns; ++i)
            set(database, row < 3 ? "cells" : "failures", columns[i], row % 3, p);
    set(database, "failures", "message", 0, p);
}

/* `measurements` has no rowid to number its rows by: a table of its own takes the numbers. */
static void change_store(const uint8_t *bytes, size_t size)
{
    sqlite3 *database;
    pieces p = {bytes, bytes, bytes + size, size};
    for (size_t i = 0; i < size; ++i)
        p.dice = (p.dice ^ bytes[i]) * 1099511628211u;
    need(sqlite3_open(store, &database) == SQLITE_OK);
    sqlite3_exec(database, "pragma synchronous = off; pragma foreign_keys = off", NULL, NULL, NULL);
    sqlite3_exec(database,
                 "begin; create temp table measurements_ as select * from measurements order by "
                 "cell, name",
                 NULL, NULL, NULL);
    fill(database, &p);
    sqlite3_exec(database,
                 "update or ignore measurements set number = (select m.number from measurements_ m "
                 "where m.cell = measurements.cell and m.name = measurements.name); commit",
                 NULL, NULL, NULL);
    sqlite3_close(database);
}

/* ---- what is made of it ---- */

static size_t count_of(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, word)); ++at)
        ++count;
    return count;
}

/* One script, ours, and no element that a store could want. */
static void check_page(void)
{
    FILE *file = fopen(output, "rb");
    if (!file)
        return;
    need(fseek(file, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(file);
    char *text = malloc(size + 1);
    need(text != NULL);
    rewind(file);
    need(fread(text, 1, size, file) == size);
    text[size] = '\0';
    fclose(file);
    need(strlen(text) == size);
    need(count_of(text, "<script") == 1 && count_of(text, "<iframe") == 0);
    need(count_of(text, "<img") == count_of(text, "<img src=\"data:image/png;base64,"));
    need(count_of(text, "<b>") == 0 && count_of(text, "<svg onload") == 0);
    free(text);
}

/* The same store again, from memory. */
static void restore_store(void)
{
    static char *kept;
    static size_t size;
    FILE *file;
    if (!kept) {
        make_store();
        need((file = fopen(store, "rb")) && fseek(file, 0, SEEK_END) == 0);
        size = (size_t)ftell(file);
        need((kept = malloc(size)) != NULL);
        rewind(file);
        need(fread(kept, 1, size, file) == size);
    } else {
        need((file = fopen(store, "wb")) && fwrite(kept, 1, size, file) == size);
    }
    need(fclose(file) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    imiad_results *results;
    restore_store();
    change_store(bytes, size);
    if (imiad_results_open_to_read(&results, store) != IMIAD_OK)
        return 0;
    for (int format = IMIAD_REPORT_HTML; format <= IMIAD_REPORT_LATEX; ++format) {
        imiad_report_options options = IMIAD_REPORT_OPTIONS_INIT;
        options.format = (imiad_report_format)format;
        unlink(output);
        if (imiad_report_write(results, &options, output) == IMIAD_OK &&
            format == IMIAD_REPORT_HTML)
            check_page();
    }
    imiad_results_write_csv(results, NULL, output);
    imiad_results_write_json(results, NULL, output);
    imiad_results_write_summary(results, NULL, output);
    imiad_results_free(results);
    return 0;
}
