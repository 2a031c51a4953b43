/* What a cell leaves to look at beside its values. */
#include "cells.h"

typedef struct found {
    size_t count;
    char names[4][32], texts[4][64];
} found;

static imiad_status look(void *user, const imiad_finished *f)
{
    found *out = user;
    *out = (found){.count = f->cell->evidence_count};
    ck_assert_uint_le(out->count, 4);
    for (size_t i = 0; i < out->count; ++i) {
        snprintf(out->names[i], sizeof out->names[i], "%s", f->cell->evidence[i].name);
        snprintf(out->texts[i], sizeof out->texts[i], "%s", f->cell->evidence[i].value);
    }
    return IMIAD_OK;
}

static found evidence_of(const imiad_results *results, const imiad_cell *cell)
{
    found f;
    ck_ok(imiad_results_show(results, cell, look, &f));
    return f;
}

static imiad_cell cell_with(const imiad_option *evidence, size_t count)
{
    imiad_cell cell = made_up_cell("bottle", 0);
    cell.evidence = evidence;
    cell.evidence_count = count;
    return cell;
}

static const imiad_option two[] = {{"scores", "[[1,0.5]]"}, {"picture", "gl\xc3\xbch"}};

START_TEST(evidence_is_kept_with_its_cell_and_replaced_with_it)
{
    imiad_results *results = open_results("r.sqlite");
    const imiad_option other[] = {{"curve", ""}};
    imiad_cell cell = cell_with(two, 2), again = cell_with(other, 1), none = cell_with(NULL, 0);
    put_one(results, &none, "image_auroc", 0.5);
    ck_assert_uint_eq(evidence_of(results, &none).count, 0);
    put_one(results, &cell, "image_auroc", 0.5);
    found f = evidence_of(results, &none); /* it is no part of the key */
    ck_assert_uint_eq(f.count, 2);
    ck_assert_str_eq(f.names[0], "picture");
    ck_assert_str_eq(f.texts[0], "gl\xc3\xbch");
    ck_assert_str_eq(f.texts[1], "[[1,0.5]]");
    put_one(results, &again, "image_auroc", 0.5);
    f = evidence_of(results, &cell);
    ck_assert_uint_eq(f.count, 1);
    ck_assert_str_eq(f.names[0], "curve");
    imiad_results_free(results);
    ck_ok(imiad_results_open_to_read(&results, scratch_path("r.sqlite")));
    ck_assert_uint_eq(evidence_of(results, &cell).count, 1);
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(a_merge_brings_evidence_and_failures_along)
{
    imiad_cell cell = cell_with(two, 2), failed = made_up_cell("wood", 1);
    imiad_results *from = open_results("from.sqlite"), *into = open_results("into.sqlite");
    char path[256];
    strcpy(path, scratch_path("from.sqlite"));
    put_one(from, &cell, "image_auroc", 0.5);
    ck_ok(imiad_results_put_failure(from, &failed, "why"));
    imiad_results_free(from);
    const char *const paths[] = {path};
    ck_ok(imiad_results_merge(into, paths, 1, NULL, NULL));
    ck_ok(imiad_results_merge(into, paths, 1, NULL, NULL));
    ck_assert_uint_eq(evidence_of(into, &cell).count, 2);
    imiad_results_free(into);
    ck_ok(imiad_results_open_to_read(&into, scratch_path("into.sqlite")));
    ck_assert_uint_eq(evidence_of(into, &cell).count, 2);
    imiad_results_free(into);
    clean_up();
}
END_TEST

START_TEST(wrong_evidence_is_refused_and_nothing_is_put)
{
    static const imiad_option wrong[][2] = {{{"a", "x"}, {"a", "y"}},
                                            {{"", "x"}, {"b", "y"}},
                                            {{"a", NULL}, {"b", "y"}},
                                            {{"a", "\xff"}, {"b", "y"}}};
    imiad_results *results = open_results("r.sqlite");
    const char *name = "image_auroc";
    for (size_t i = 0; i < 4; ++i) {
        imiad_cell cell = cell_with(wrong[i], 2);
        ck_assert_int_eq(imiad_results_put(results, &cell, &name, &(double){0}, 1),
                         IMIAD_INVALID_ARGUMENT);
    }
    ck_assert_int_eq(cell_count(results), 0);
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(a_program_that_knows_no_evidence_puts_none)
{
    imiad_results *results = open_results("r.sqlite");
    imiad_cell cell = cell_with((const imiad_option *)1, 7); /* what lies behind its structure */
    cell.struct_size = offsetof(imiad_cell, evidence);
    put_one(results, &cell, "image_auroc", 0.5);
    ck_assert_uint_eq(evidence_of(results, &cell).count, 0);
    imiad_results_free(results);
    clean_up();
}
END_TEST

SUITE("evidence", TEST(evidence_is_kept_with_its_cell_and_replaced_with_it),
      TEST(a_merge_brings_evidence_and_failures_along),
      TEST(wrong_evidence_is_refused_and_nothing_is_put),
      TEST(a_program_that_knows_no_evidence_puts_none))
