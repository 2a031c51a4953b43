/* The published figures: all cells of the sources, under this library's names, with the marks that
 * the notes on them ask for. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "check_suite.h"
#include "imiad/results.h"

static imiad_published find(const char *setting, const char *value, const char *dataset,
                            const char *category, const char *detector, const char *metric)
{
    imiad_published p = IMIAD_PUBLISHED_INIT;
    ck_ok(imiad_published_find(&p, setting, value, dataset, category, detector, metric));
    return p;
}

/* ---- against the sources ---- */

/* The next field of a CSV line without quotes, cut off; *line moves on. */
static char *field(char **line)
{
    char *begin = *line, *end = begin + strcspn(begin, ",\r\n");
    *line = *end ? end + 1 : end;
    *end = '\0';
    return begin;
}

static void library_metric(char *out, const char *metric)
{
    strcpy(out, strncmp(metric, "pixel_pro", 9) == 0 ? "aupro" : metric);
    if (strncmp(metric, "pixel_pro", 9) == 0)
        strcat(out, metric + 9);
}

static void library_setting(const char **setting, char *value, const char *name, const char *number)
{
    static const struct {
        const char *name, *setting, *format;
    } table[] = {{"vanilla", "unsupervised", "%s"},
                 {"semi", "supervised", "anomalies=%s"},
                 {"fewshot", "fewshot", "shots=%s"},
                 {"fewshot_aug", "fewshot", "shots=%s augmentation=rotation"},
                 {"noisy", "noisy", "ratio=%s"},
                 {"continual", "continual", "%s"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; ++i)
        if (strcmp(table[i].name, name) == 0) {
            *setting = table[i].setting;
            sprintf(value, table[i].format, number);
            return;
        }
    ck_abort_msg("setting %s", name);
}

/* Every figure of the results tables, unless a better one replaces it, has its printed value. */
START_TEST(every_cell_of_the_results_tables_is_there)
{
    FILE *file = fopen(SHARED("reference/imiad_published.csv"), "r");
    ck_assert_ptr_nonnull(file);
    char line[256];
    int cells = 0, replaced = 0;
    ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file)) {
        char *at = line, metric[64], value[64];
        const char *setting, *name = field(&at), *number = field(&at), *dataset = field(&at);
        const char *category = field(&at), *method = field(&at);
        library_metric(metric, field(&at));
        library_setting(&setting, value, name, number);
        if (strcmp(dataset, "mtd") == 0)
            category = "average"; /* its only category */
        imiad_published p = find(setting, value, dataset, category, method, metric);
        if (strcmp(p.source, "results tables") != 0)
            ++replaced;
        else
            ck_assert_double_eq(p.figure, strtod(field(&at), NULL)); /* the very double */
        ++cells;
    }
    fclose(file);
    ck_assert_int_eq(cells, 16879);
    ck_assert_int_eq(replaced, 10); /* averages of the copied rows of the continual MPDD table */
}
END_TEST

START_TEST(every_figure_is_found_again_by_its_own_names)
{
    size_t results = 0, paper = 0;
    for (size_t i = 0; i < imiad_published_count(); ++i) {
        imiad_published p = IMIAD_PUBLISHED_INIT;
        ck_ok(imiad_published_get(&p, i));
        imiad_published q = find(p.setting, p.value, p.dataset, p.category, p.method, p.metric);
        ck_assert_int_le(q.mark, p.mark);
        if (q.mark == p.mark)
            ck_assert_double_eq(p.figure, q.figure);
        ck_assert_int_eq(*p.reason != '\0', p.mark != IMIAD_MARK_NONE);
        results += strcmp(p.source, "results tables") == 0;
        paper += strncmp(p.source, "paper, ", 7) == 0;
    }
    ck_assert_uint_eq(results, 16879);
    ck_assert_uint_eq(results + paper, imiad_published_count());
    imiad_published p = IMIAD_PUBLISHED_INIT;
    ck_fails(imiad_published_get(&p, imiad_published_count()), IMIAD_OUT_OF_RANGE, "there are");
    ck_fails(imiad_published_get(NULL, 0), IMIAD_INVALID_ARGUMENT, "NULL");
}
END_TEST

/* ---- finding ---- */

START_TEST(detectors_and_methods_name_the_same_figures)
{
    imiad_published p =
        find("unsupervised", NULL, "mvtec_ad", "average", "patchcore", "image_auroc");
    ck_assert_str_eq(p.method, "PatchCore");
    ck_assert_str_eq(p.detector, "patchcore");
    ck_assert_str_eq(p.source, "results tables");
    ck_assert_int_eq(p.categories, 15);
    imiad_published q = find("unsupervised", "", "mvtec_ad", "average", "PatchCore", "image_auroc");
    ck_assert_double_eq(p.figure, q.figure);
    p = find("noisy", "ratio=0.15", "mvtec_ad", "average", "PatchCore neighborhood 3", "image_ap");
    ck_assert_str_eq(p.detector, ""); /* a variant is not the detector */
}
END_TEST

START_TEST(values_agree_word_by_word_and_number_by_number)
{
    imiad_published plain =
        find("fewshot", "shots=4", "mvtec_ad", "average", "patchcore", "image_auroc");
    imiad_published rotated = find("fewshot", "shots=4 augmentation=rotation", "mvtec_ad",
                                   "average", "patchcore", "image_auroc");
    ck_assert_str_eq(plain.value, "shots=4");
    ck_assert_str_eq(rotated.value, "shots=4 augmentation=rotation");
    static const char *const same[] = {"augmentation=none shots=4", "shots=4.0",
                                       "shots=4 augmentation_count=3 other=x"};
    for (int i = 0; i < 3; ++i)
        ck_assert_str_eq(
            find("fewshot", same[i], "mvtec_ad", "average", "patchcore", "image_auroc").value,
            "shots=4");
    ck_assert_str_eq(find("fewshot", "augmentation=rotation seed=3 shots=4", "mvtec_ad", "average",
                          "patchcore", "image_auroc")
                         .value,
                     "shots=4 augmentation=rotation");
    ck_assert_str_eq(
        find("noisy", "ratio=0.10 overlap=true", "mpdd", "average", "padim", "image_auroc").value,
        "ratio=0.1");
    ck_assert_str_eq(
        find("unsupervised", "whatever=1", "mpdd", "average", "padim", "image_auroc").value, "");
    imiad_published p = IMIAD_PUBLISHED_INIT;
    static const char *const others[] = {"shots=3", "", "shots=4 augmentation=blur", "shots=4x",
                                         "augmentation=rotation"};
    for (int i = 0; i < 5; ++i)
        ck_fails(imiad_published_find(&p, "fewshot", others[i], "mvtec_ad", "average", "patchcore",
                                      "image_auroc"),
                 IMIAD_NOT_FOUND, others[i]);
}
END_TEST

START_TEST(what_was_not_published_is_not_found)
{
    imiad_published p = IMIAD_PUBLISHED_INIT;
    ck_fails(imiad_published_find(&p, "unsupervised", "", "mvtec_ad", "average", "patchcore",
                                  "image_f1max"),
             IMIAD_NOT_FOUND, "image_f1max");
    ck_fails(imiad_published_find(&p, "unsupervised", "", "synthetic", "fabric", "patchcore",
                                  "image_auroc"),
             IMIAD_NOT_FOUND, "synthetic");
    ck_fails(imiad_published_find(&p, NULL, "", "mvtec_ad", "average", "patchcore", "image_auroc"),
             IMIAD_INVALID_ARGUMENT, "NULL");
    /* SPADE needs five neighbours: nothing for fewer shots */
    ck_fails(
        imiad_published_find(&p, "fewshot", "shots=1", "mpdd", "average", "spade", "image_auroc"),
        IMIAD_NOT_FOUND, "spade");
    ck_assert_double_eq(p.figure, 0);
}
END_TEST

/* ---- marks: sections B to E of the notes ---- */

typedef struct marked {
    const char *setting, *value, *dataset, *category, *method, *metric;
    imiad_mark mark;
    double figure; /* NAN: not looked at */
} marked;

static const marked marks[] = {
    /* safe: averages, LOCO, MPDD, the four exceptions of section B */
    {"unsupervised", "", "mvtec_ad", "average", "CFA", "image_auroc", IMIAD_MARK_NONE, NAN},
    {"unsupervised", "", "mvtec_ad", "bottle", "DRAEM", "image_auroc", IMIAD_MARK_NONE, NAN},
    {"unsupervised", "", "mvtec_ad", "bottle", "PatchCore", "aupro", IMIAD_MARK_NONE, NAN},
    {"unsupervised", "", "mvtec_ad", "bottle", "RD4AD", "image_ap", IMIAD_MARK_NONE, NAN},
    {"fewshot", "shots=8", "mvtec_ad", "bottle", "RegAD", "image_ap", IMIAD_MARK_NONE, NAN},
    {"unsupervised", "", "mvtec_loco", "pushpins", "CFA", "logical_spro_0.05", IMIAD_MARK_NONE,
     NAN},
    {"unsupervised", "", "mpdd", "connector", "PaDiM", "image_auroc", IMIAD_MARK_NONE, NAN},
    {"fewshot", "shots=1", "mpdd", "tubes", "CFA", "image_auroc", IMIAD_MARK_NONE, NAN},
    {"continual", "", "mpdd", "tubes", "SPADE", "image_auroc_fm", IMIAD_MARK_NONE, NAN},
    /* columns in another order */
    {"unsupervised", "", "mvtec_ad", "bottle", "CFA", "image_auroc", IMIAD_MARK_CATEGORY, 1},
    {"fewshot", "shots=2", "mvtec_ad", "wood", "PatchCore", "image_ap", IMIAD_MARK_CATEGORY, NAN},
    {"continual", "", "mvtec_ad", "carpet", "DRAEM", "image_ap", IMIAD_MARK_CATEGORY, NAN},
    {"noisy", "ratio=0.1", "mvtec_ad", "tile", "CFA", "image_ap", IMIAD_MARK_CATEGORY, NAN},
    {"supervised", "anomalies=10", "mvtec_ad", "tile", "DRA", "image_ap", IMIAD_MARK_CATEGORY, NAN},
    {"unsupervised", "", "visa", "macaroni1", "SPADE", "image_ap", IMIAD_MARK_CATEGORY, NAN},
    /* copies, placeholders, impossible values */
    {"unsupervised", "", "dagm", "Class1", "CSFlow", "image_auroc", IMIAD_MARK_WRONG, NAN},
    {"unsupervised", "", "btad", "01", "CutPaste", "aupro", IMIAD_MARK_WRONG, 0},
    {"unsupervised", "", "mtd", "average", "CSFlow", "pixel_ap", IMIAD_MARK_WRONG, 0},
    {"continual", "", "mpdd", "connector", "DRAEM", "aupro_fm", IMIAD_MARK_WRONG, 2.558},
    {"continual", "", "mpdd", "average", "DRAEM", "aupro_fm", IMIAD_MARK_WRONG, 0.981},
    {"continual", "", "mpdd", "tubes", "CFA", "image_auroc", IMIAD_MARK_WRONG, NAN},
    {"unsupervised", "", "mvtec_ad", "average", "PatchCore", "pixel_auroc", IMIAD_MARK_WRONG,
     0.994},
    /* doubtful */
    {"unsupervised", "", "mvtec_ad", "average", "RD4AD", "image_auroc", IMIAD_MARK_DOUBTFUL, 0.986},
    {"unsupervised", "", "mtd", "average", "PaDiM", "pixel_ap", IMIAD_MARK_DOUBTFUL, 0.768},
    {"noisy", "ratio=0.05", "mpdd", "tubes", "CSFlow", "image_ap", IMIAD_MARK_DOUBTFUL, NAN},
    {"fewshot", "shots=1", "mpdd", "tubes", "FastFlow", "aupro", IMIAD_MARK_DOUBTFUL, 0},
    {"noisy", "ratio=0.1", "mvtec_ad", "metal_nut", "DRAEM", "aupro", IMIAD_MARK_DOUBTFUL, NAN},
    {"continual", "", "mvtec_ad", "average", "DNE", "image_auroc", IMIAD_MARK_DOUBTFUL, 0.595},
    {"unsupervised", "", "mvtec_loco", "average", "PatchCore", "image_auroc", IMIAD_MARK_DOUBTFUL,
     0.835},
    /* trends */
    {"noisy", "ratio=0.2", "mvtec_ad", "average", "CFA", "image_auroc", IMIAD_MARK_TREND, NAN},
    {"noisy", "ratio=0.2", "mpdd", "connector", "CFA", "image_auroc", IMIAD_MARK_TREND, NAN},
    {"supervised", "anomalies=4", "mpdd", "connector", "DRA", "image_auroc", IMIAD_MARK_TREND, NAN},
    {"supervised", "anomalies=10", "mvtec_ad", "average", "PRN", "aupro", IMIAD_MARK_TREND, NAN},
    {"fewshot", "shots=4 augmentation=color_jitter", "mvtec_ad", "average", "STPM", "image_auroc",
     IMIAD_MARK_TREND, NAN},
    {"unsupervised", "", "mvtec_ad", "average", "STPM", "images_per_second", IMIAD_MARK_TREND, 37},
};

START_TEST(figures_carry_the_marks_that_the_notes_ask_for)
{
    for (size_t i = 0; i < sizeof marks / sizeof *marks; ++i) {
        const marked *m = &marks[i];
        imiad_published p =
            find(m->setting, m->value, m->dataset, m->category, m->method, m->metric);
        ck_assert_msg(p.mark == m->mark, "%s %s %s %s %s %s is marked \"%s\" (%s), not \"%s\"",
                      m->setting, m->value, m->dataset, m->category, m->method, m->metric,
                      imiad_mark_name(p.mark), p.reason, imiad_mark_name(m->mark));
        if (!isnan(m->figure))
            ck_assert_double_eq(p.figure, m->figure);
    }
}
END_TEST

START_TEST(the_paper_stands_in_where_the_results_tables_repeat_another_row)
{
    imiad_published p = find("continual", "", "mpdd", "average", "CFA", "image_auroc");
    ck_assert_str_eq(p.source, "paper, table XI");
    ck_assert_double_eq(p.figure, 0.506);
    ck_assert_int_eq(p.mark, IMIAD_MARK_NONE);
    /* but not where it repeats the same mistake */
    p = find("unsupervised", "", "dagm", "average", "CSFlow", "image_auroc");
    ck_assert_str_eq(p.source, "results tables");
}
END_TEST

START_TEST(marks_have_names)
{
    ck_assert_str_eq(imiad_mark_name(IMIAD_MARK_NONE), "");
    ck_assert_str_eq(imiad_mark_name(IMIAD_MARK_TREND), "trend");
    ck_assert_str_eq(imiad_mark_name(IMIAD_MARK_CATEGORY), "category");
    ck_assert_str_eq(imiad_mark_name(IMIAD_MARK_DOUBTFUL), "doubtful");
    ck_assert_str_eq(imiad_mark_name(IMIAD_MARK_WRONG), "wrong");
    ck_assert_str_eq(imiad_mark_name((imiad_mark)77), "unknown");
}
END_TEST

/* The committed tables are what the script makes of its sources. */
START_TEST(the_tables_are_those_of_the_script)
{
    char results[4096], paper[4096], command[16384];
    strcpy(results, SHARED("reference/imiad_published.csv"));
    strcpy(paper, SHARED("reference/imiad_paper.csv"));
    const char *source = getenv("IMIAD_SOURCE");
    snprintf(command, sizeof command,
             "folder=$(mktemp -d) && cp '%s/lib/report/make_published.py' $folder && "
             "python3 $folder/make_published.py '%s' '%s' && "
             "for made in published published_marks printed; do "
             "cmp $folder/$made.tsv '%s/lib/report/'$made.tsv || exit 1; done; rm -r $folder",
             source ? source : ".", results, paper, source ? source : ".");
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(nothing_was_published_of_a_detector_that_learned_categories_together)
{
    imiad_published p = IMIAD_PUBLISHED_INIT;
    find("unsupervised", "", "mvtec_ad", "average", "patchcore", "image_auroc");
    find("unsupervised", "together=none", "mvtec_ad", "average", "patchcore", "image_auroc");
    ck_assert_int_eq(imiad_published_find(&p, "unsupervised", "together=bottle,cable", "mvtec_ad",
                                          "average", "patchcore", "image_auroc"),
                     IMIAD_NOT_FOUND);
}
END_TEST

SUITE("published", TEST(every_cell_of_the_results_tables_is_there),
      TEST(every_figure_is_found_again_by_its_own_names),
      TEST(detectors_and_methods_name_the_same_figures),
      TEST(values_agree_word_by_word_and_number_by_number),
      TEST(what_was_not_published_is_not_found),
      TEST(figures_carry_the_marks_that_the_notes_ask_for),
      TEST(the_paper_stands_in_where_the_results_tables_repeat_another_row), TEST(marks_have_names),
      TEST(the_tables_are_those_of_the_script),
      TEST(nothing_was_published_of_a_detector_that_learned_categories_together))
