/* Result stores from elsewhere: what they hold besides cells never runs, and nothing asked of them
 * lasts for ever. */
#include <sqlite3.h>

#include "../report/cells.h"
#include "imiad/imiad.h"

typedef struct hostile {
    const char *sql;
    imiad_status expected;
} hostile;

#define ENDLESS "with recursive r(x) as (select 1 union all select x + 1 from r) "

static const hostile stores[] = {
    {"create trigger t after insert on cells begin delete from cells where id <> new.id; end",
     IMIAD_FORMAT},
    {"create trigger t after insert on cells begin insert into measurements select new.id, 'x' || "
     "x, 1 from (" ENDLESS "select x from r); end",
     IMIAD_FORMAT},
    {"create trigger t after insert on cells begin select load_extension('evil.so'); end",
     IMIAD_FORMAT},
    {"drop view results; alter table cells rename to cells_; create view cells as " ENDLESS
     "select x as id, c.* from r, cells_ c",
     IMIAD_FORMAT},
    {"drop view results; create view results as " ENDLESS "select x from r", IMIAD_FORMAT},
    {"create index i on cells (upper(command))", IMIAD_FORMAT},
    {"create table more (x, y generated always as (hex(zeroblob(400000000))))", IMIAD_FORMAT},
    {"alter table cells add column zz text not null default 'x'", IMIAD_FORMAT},
    {"alter table measurements add column q integer check (q > 5) default 7", IMIAD_FORMAT},
    {"drop table measurements", IMIAD_FORMAT},
    {"drop index cells_of_family", IMIAD_FORMAT},
    {"pragma user_version = 4", IMIAD_UNSUPPORTED},
    {"drop table failures; create view failures as " ENDLESS "select x as id from r", IMIAD_FORMAT},
    {"alter table failures add column zz text not null default 'x'", IMIAD_FORMAT},
    {"update failures set message = hex(zeroblob(50000000))", IMIAD_FORMAT},
    {"update failures set options = '[1,2]'", IMIAD_FORMAT},
    {"update failures set message = x'00fffe', setting = x'fffe'", IMIAD_OK},
    {"update cells set command = hex(zeroblob(50000000))", IMIAD_FORMAT},
    {"update cells set options = '[1,2]'", IMIAD_FORMAT},
    {"update cells set options = hex(zeroblob(100000))", IMIAD_FORMAT},
    {"update cells set setting = x'00ff41', command = x'fffe00'", IMIAD_OK},
    {"update cells set options = '{\"a\":1,\"b\":null,\"seed\":[]}'", IMIAD_OK},
    {"update measurements set number = 'abc'", IMIAD_OK},
    {"update measurements set number = 9e999", IMIAD_OK},
    {"update cells set seed = -5, threads = 99999999999", IMIAD_OK},
    {"update cells set category = 'average' where id = 1", IMIAD_OK},
    {"pragma journal_mode = wal", IMIAD_OK},
    {"analyze", IMIAD_OK},
};

static imiad_status count_summaries(void *user, const imiad_summary *summary)
{
    ++*(int *)user;
    return IMIAD_OK;
}

static imiad_status count_failure(void *user, const imiad_failed *failed)
{
    ++*(int *)user;
    return IMIAD_OK;
}

static char *make_store(const char *sql)
{
    imiad_results *results = open_results("hostile.sqlite");
    const imiad_cell one = made_up_cell("bottle", 1), two = made_up_cell("cable", 1),
                     three = made_up_cell("wood", 1);
    ck_ok(imiad_results_put_failure(results, &three, "it went wrong"));
    put_one(results, &one, "image_auroc", 0.5);
    put_one(results, &two, "image_auroc", 0.75);
    imiad_results_free(results);
    char *path = strdup(scratch_path("hostile.sqlite"));
    sqlite3 *database;
    ck_assert_int_eq(sqlite3_open(path, &database), SQLITE_OK);
    if (sql) {
        char *message = NULL;
        sqlite3_exec(database, "pragma legacy_alter_table = on", NULL, NULL, NULL);
        ck_assert_msg(sqlite3_exec(database, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", sql,
                      message);
    }
    sqlite3_close(database);
    return path;
}

/* Everything that can be asked of a store; the first failure. */
static imiad_status use_all(const char *path)
{
    imiad_results *results = NULL;
    int count = 0;
    const imiad_cell another = made_up_cell("screw", 2);
    const char *name = "image_auroc";
    const double value = 0.25;
    imiad_status status = imiad_results_open(&results, path);
    if (status == IMIAD_OK)
        status = imiad_results_each(results, NULL, count_cells, &count);
    if (status == IMIAD_OK)
        status = imiad_results_summarize(results, NULL, count_summaries, &count);
    if (status == IMIAD_OK)
        status = imiad_results_each_failure(results, NULL, count_failure, &count);
    if (status == IMIAD_OK)
        status = imiad_results_put(results, &another, &name, &value, 1);
    if (status == IMIAD_OK)
        status = imiad_results_write_csv(results, NULL, scratch_path("out.csv"));
    if (status == IMIAD_OK)
        status = imiad_results_write_json(results, NULL, scratch_path("out.json"));
    if (status == IMIAD_OK)
        status = imiad_report_write(results, NULL, scratch_path("out.html"));
    imiad_results_free(results);
    return status;
}

START_TEST(a_store_from_elsewhere_runs_nothing)
{
    const hostile *h = &stores[_i];
    char *path = make_store(h->sql);
    alarm(60);
    imiad_status status = use_all(path);
    alarm(0);
    ck_assert_msg(status == h->expected, "%s: %s (%s)", h->sql, imiad_status_name(status),
                  status == IMIAD_OK ? "" : imiad_last_error());
    free(path);
    clean_up();
}
END_TEST

/* Whatever it holds: it is taken whole, or not at all with a message that names it. */
START_TEST(a_store_from_elsewhere_is_merged_or_refused)
{
    const char *path = make_store(stores[_i].sql);
    imiad_results *results = open_results("into.sqlite");
    alarm(60);
    imiad_status status = imiad_results_merge(results, &path, 1, NULL, NULL);
    alarm(0);
    ck_assert_int_eq(cell_count(results), status == IMIAD_OK ? 2 : 0);
    ck_assert_msg(status == IMIAD_OK || strstr(imiad_last_error(), "hostile.sqlite"), "%s",
                  imiad_last_error());
    imiad_results_free(results);
    free((char *)path);
    clean_up();
}
END_TEST

START_TEST(a_store_that_an_earlier_version_made_is_read)
{
    char *path = make_store(NULL);
    ck_ok(use_all(path));
    free(path);
    clean_up();
}
END_TEST

START_TEST(a_field_that_looks_like_a_formula_is_not_run_by_a_spreadsheet)
{
    imiad_results *results = open_results("formula.sqlite");
    imiad_cell cell = made_up_cell("=cmd|'/c calc'!A1", 1);
    cell.command = "@x, \"y\"";
    cell.dataset = "-1+2";
    put_one(results, &cell, "image_auroc", -0.5);
    ck_ok(imiad_results_write_csv(results, NULL, scratch_path("out.csv")));
    char text[4096];
    FILE *file = fopen(scratch_path("out.csv"), "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    ck_assert_ptr_nonnull(strstr(text, "\n\"'=cmd|'/c calc'!A1\","));
    ck_assert_ptr_nonnull(strstr(text, ",\"'-1+2\","));
    ck_assert_ptr_nonnull(strstr(text, ",\"'@x, \"\"y\"\"\","));
    ck_assert_ptr_nonnull(strstr(text, ",image_auroc,-0.5\n"));
    imiad_results_free(results);
    clean_up();
}
END_TEST

SUITE("hostile-stores",
      LOOP_TEST(a_store_from_elsewhere_runs_nothing, sizeof stores / sizeof *stores),
      LOOP_TEST(a_store_from_elsewhere_is_merged_or_refused, sizeof stores / sizeof *stores),
      TEST(a_store_that_an_earlier_version_made_is_read),
      TEST(a_field_that_looks_like_a_formula_is_not_run_by_a_spreadsheet))
