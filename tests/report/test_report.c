/* The report: the paper's tables from a store that holds the paper's figures, texts that equal the
 * store's values, and nothing of a store that becomes markup. tests/report/check_report.py reads
 * the files. */
#include "imiad/report.h"
#include "paper_store.h"

static const char *const extensions[] = {"html", "csv", "md", "tex"};

/* A store of many cells waits for the disk at each: these lie in memory. */
static void use_memory(void)
{
    const char *folder = getenv("IMIAD_REPORT_FOLDER");
    if (folder) {
        snprintf(scratch_folder, sizeof scratch_folder, "%s", folder);
        return;
    }
    strcpy(scratch_folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/imiad-report-XXXXXX"
                                                         : "/tmp/imiad-report-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch_folder));
}

/* Files of the formats up to the last one, beside the store that they are of. */
static void write_reports_to(const imiad_results *results, const char *stem,
                             imiad_report_format last)
{
    for (int format = IMIAD_REPORT_HTML; format <= (int)last; ++format) {
        char name[64];
        imiad_report_options options = IMIAD_REPORT_OPTIONS_INIT;
        options.format = (imiad_report_format)format;
        snprintf(name, sizeof name, "%s.%s", stem, extensions[format]);
        ck_ok(imiad_report_write(results, &options, scratch_path(name)));
    }
}

static void write_reports(const imiad_results *results, const char *stem)
{
    write_reports_to(results, stem, IMIAD_REPORT_LATEX);
}

/* Runs the Python script on the files of the scratch folder. */
static void check_reports(const char *what, const char *stem, const char *more)
{
    char command[8192];
    const char *source = getenv("IMIAD_SOURCE");
    snprintf(command, sizeof command, "python3 '%s/tests/report/check_report.py' %s '%s/%s' '%s'",
             source ? source : ".", what, scratch_folder, stem, more);
    ck_assert_int_eq(system(command), 0);
}

/* ---- the paper's tables ---- */

static const char *const tables[] = {"VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII"};

START_TEST(a_store_of_the_papers_figures_gives_the_papers_table)
{
    static paper_cell cells[1000];
    char paper[4096], name[64];
    strcpy(paper, SHARED("reference/imiad_paper.csv"));
    use_memory();
    size_t count = read_paper_table(cells, paper, tables[_i]);
    snprintf(name, sizeof name, "%s.sqlite", tables[_i]);
    imiad_results *results = open_results(name);
    for (size_t i = 0; i < count; ++i)
        put_paper_cell(results, &cells[i]);
    write_reports_to(results, tables[_i], IMIAD_REPORT_CSV);
    imiad_results_free(results);
    check_reports("paper", tables[_i], paper);
    clean_up();
}
END_TEST

/* ---- a store of runs ---- */

/* Two detectors, three seeds and an unfinished fourth, two datasets, costs, a value that does not
 * exist, a configuration that differs in an option. */
static void put_runs(imiad_results *results)
{
    static const char *const categories[] = {"bottle", "cable", "capsule", "grid", "transistor"};
    static const char *const names[] = {"image_auroc", "pixel_ap",       "aupro",
                                        "fit_seconds", "peak_rss_bytes", "images_per_second",
                                        "test_images", "score_seconds"};
    for (uint64_t seed = 0; seed < 4; ++seed)
        for (int i = 0; i < 5; ++i)
            for (int d = 0; d < 3; ++d) {
                imiad_cell cell = made_up_cell(categories[i], seed);
                imiad_option options[] = {{"coreset_ratio", d == 2 ? "0.25" : "0.1"}};
                cell.setting = "unsupervised";
                cell.value = "";
                cell.detector = d == 1 ? "padim" : "patchcore";
                cell.options = options;
                cell.option_count = d != 1;
                cell.command = "unsupervised --dataset mvtec_ad";
                const double values[] = {0.9 + 0.01 * i + 0.0012 * (double)seed - 0.02 * d,
                                         i == 1 ? NAN : 0.5 + 0.1 * i,
                                         0.8 + 0.0004 * (double)seed,
                                         12.5 + i,
                                         1.5e9,
                                         20.0 + d,
                                         100,
                                         0.01 * (d + 1)};
                if (seed < 3 || i == 0)
                    ck_ok(imiad_results_put(results, &cell, names, values, 8));
            }
}

START_TEST(the_texts_of_every_table_equal_the_stores_values)
{
    use_memory();
    imiad_results *results = open_results("runs.sqlite");
    put_runs(results);
    write_reports(results, "runs");
    imiad_results_free(results);
    check_reports("store", "runs", "");
    clean_up();
}
END_TEST

/* Two categories of a dataset that the paper has, and one of a dataset that it lacks. */
START_TEST(what_datasets_hold_and_methods_are_given_stands_in_every_file)
{
    static const struct {
        const char *dataset, *category, *epochs, *counts;
    } cells[] = {
        {"btad", "01", "50",
         "{\"normal\": 20, \"defective\": 3, \"kinds\": 1, \"shortest_side\": 600, "
         "\"longest_side\": 1600}"},
        {"btad", "02", "2",
         "{\"normal\": 30, \"defective\": 4, \"kinds\": 2, \"shortest_side\": 500, "
         "\"longest_side\": 800}"},
        {"own", "part", "7", "{\"normal\": 5, \"defective\": 6, \"kinds\": 7}"},
    };
    use_memory();
    imiad_results *results = open_results("setup.sqlite");
    for (size_t i = 0; i < sizeof cells / sizeof *cells; ++i) {
        imiad_cell cell = made_up_cell(cells[i].category, 0);
        const imiad_option options[] = {{"epochs", cells[i].epochs}, {"train_batch", "4"}};
        const imiad_option evidence[] = {{"category", cells[i].counts}};
        cell.dataset = cells[i].dataset;
        cell.detector = "cfa";
        cell.options = options;
        cell.option_count = 2;
        cell.evidence = evidence;
        cell.evidence_count = 1;
        put_one(results, &cell, "image_auroc", 0.5);
    }
    write_reports(results, "setup");
    imiad_results_free(results);
    check_reports("setup", "setup", "");
    clean_up();
}
END_TEST

/* PaDiM was measured with its metrics and alone, SPADE with its metrics only. */
START_TEST(what_detectors_cost_stands_in_a_table)
{
    static const struct {
        const char *setting, *value, *detector, *category, *names[3];
        double values[3];
    } cells[] = {
        {"unsupervised", "", "padim", "bottle", {"fit_seconds", "peak_rss_bytes"}, {99, 9e9}},
        {"unsupervised", "", "spade", "bottle", {"fit_seconds", "images_per_second"}, {3, 7}},
        {"noisy", "ratio=0.1", "spade", "bottle", {"fit_seconds"}, {55}},
        {"supervised", "anomalies=1", "bgad", "bottle", {"fit_seconds"}, {4}},
        {"supervised", "anomalies=2", "bgad", "bottle", {"fit_seconds"}, {5}},
        {"supervised", "anomalies=1", "spade", "bottle", {"fit_seconds"}, {66}},
        {"efficiency",
         "images=5 warm-up=1",
         "padim",
         "bottle",
         {"fit_seconds", "image_seconds", "saved_bytes"},
         {1, 0.25, 5e6}},
        {"efficiency",
         "images=5 warm-up=1",
         "padim",
         "cable",
         {"fit_seconds", "image_seconds", "saved_bytes"},
         {2, 0.35, 7e6}},
    };
    use_memory();
    imiad_results *results = open_results("costs.sqlite");
    for (size_t i = 0; i < sizeof cells / sizeof *cells; ++i) {
        imiad_cell cell = made_up_cell(cells[i].category, 0);
        size_t count = 0;
        cell.setting = cells[i].setting;
        cell.value = cells[i].value;
        cell.detector = cells[i].detector;
        cell.device = "cpu";
        cell.option_count = 0;
        while (count < 3 && cells[i].names[count])
            ++count;
        ck_ok(imiad_results_put(results, &cell, cells[i].names, cells[i].values, count));
    }
    write_reports(results, "costs");
    imiad_results_free(results);
    check_reports("costs", "costs", "");
    clean_up();
}
END_TEST

START_TEST(what_failed_stands_in_the_page_with_its_message)
{
    use_memory();
    imiad_results *results = open_results("failed.sqlite");
    imiad_cell cell = made_up_cell("bottle", 3);
    cell.command = "noisy --category bottle";
    ck_ok(imiad_results_put_failure(results, &cell, "cannot read <a>.png: gone & lost"));
    write_reports(results, "failed");
    imiad_results_free(results);
    check_reports("failures", "failed", "");
    clean_up();
}
END_TEST

START_TEST(the_same_store_gives_the_same_bytes)
{
    use_memory();
    imiad_results *results = open_results("runs.sqlite");
    char command[512];
    put_runs(results);
    write_reports(results, "one");
    imiad_results_free(results);
    ck_ok(imiad_results_open_to_read(&results, scratch_path("runs.sqlite")));
    write_reports(results, "two");
    imiad_results_free(results);
    snprintf(command, sizeof command,
             "cd %s && for e in html csv md tex; do cmp one.$e two.$e || exit 1; done",
             scratch_folder);
    ck_assert_int_eq(system(command), 0);
    clean_up();
}
END_TEST

START_TEST(an_empty_store_has_a_report_of_published_figures)
{
    use_memory();
    imiad_results *results = open_results("empty.sqlite");
    write_reports(results, "empty");
    imiad_results_free(results);
    check_reports("page", "empty", "");
    clean_up();
}
END_TEST

START_TEST(a_filter_chooses_what_is_shown)
{
    use_memory();
    imiad_results *results = open_results("runs.sqlite");
    imiad_results_filter filter = IMIAD_RESULTS_FILTER_INIT;
    imiad_report_options options = IMIAD_REPORT_OPTIONS_INIT;
    char command[512];
    put_runs(results);
    filter.detector = "padim";
    options.filter = &filter;
    options.title = "Only <PaDiM>";
    options.command = "make 'it' again";
    ck_ok(imiad_report_write(results, &options, scratch_path("some.html")));
    snprintf(command, sizeof command,
             "cd %s && grep -q 'Only &lt;PaDiM&gt;</h1>' some.html && "
             "grep -q 'make &#39;it&#39; again' some.html && "
             "grep -q '16 finished cells of 1 configurations' some.html && "
             "! grep -q '>patchcore' some.html",
             scratch_folder);
    ck_assert_int_eq(system(command), 0);
    filter.category = "cable";
    ck_fails(imiad_report_write(results, &options, scratch_path("some.html")),
             IMIAD_INVALID_ARGUMENT, "category");
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(mistakes_are_told_and_leave_no_file)
{
    use_memory();
    imiad_results *results = open_results("runs.sqlite");
    imiad_report_options options = IMIAD_REPORT_OPTIONS_INIT;
    options.format = (imiad_report_format)9;
    ck_fails(imiad_report_write(results, &options, scratch_path("x.html")), IMIAD_INVALID_ARGUMENT,
             "format");
    ck_assert_int_ne(access(scratch_path("x.html"), F_OK), 0);
    options = (imiad_report_options){0};
    ck_fails(imiad_report_write(results, &options, scratch_path("x.html")), IMIAD_INVALID_ARGUMENT,
             "struct_size");
    ck_fails(imiad_report_write(NULL, NULL, "x.html"), IMIAD_INVALID_ARGUMENT, "results");
    ck_fails(imiad_report_write(results, NULL, NULL), IMIAD_INVALID_ARGUMENT, "path");
    ck_fails(imiad_report_write(results, NULL, "/dev/null/y.html"), IMIAD_IO, "/dev/null/y.html");
    imiad_results_free(results);
    clean_up();
}
END_TEST

/* ---- what comes from outside ---- */

static const char *const hostile_names[] = {
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "a' onmouseover='alert(1)",
    "&amp; &lt;b&gt; &#0;",
    "]]> --> </style></details></section>",
    "javascript:alert(1)",
    "=cmd|'/c calc'!A1",
    "| `x` | \\input{/etc/passwd} % $a_b^c$ ~ # {}",
    "\xe2\x80\xae"
    "turned \xe2\x81\xa6 round",
    "\x01\x02\x1b[31m\x7f",
    "\xef\xbf\xbf\xef\xbf\xbe",
    "Gl\xc3\xbchlampe \xe7\x93\xb6 \xf0\x9f\x92\xa1",
    "two\nlines\tand a tab",
};

START_TEST(no_text_of_a_store_becomes_markup)
{
    use_memory();
    imiad_results *results = open_results("hostile.sqlite");
    for (size_t i = 0; i < sizeof hostile_names / sizeof *hostile_names; ++i) {
        const char *evil = hostile_names[i];
        imiad_cell cell = made_up_cell(evil, i);
        imiad_option option = {"option", evil};
        cell.dataset_root = cell.command = cell.machine = cell.device = evil;
        put_one(results, &cell, "image_auroc", 0.5); /* as a category of a known detector */
        cell.dataset = cell.detector = cell.setting = cell.value = evil;
        cell.backbone = cell.weights = cell.weights_digest = cell.precision = evil;
        cell.evaluation = cell.dataset_digest = evil;
        cell.options = cell.facts = &option;
        cell.option_count = cell.fact_count = 1;
        ck_ok(imiad_results_put(results, &cell, &evil, &(double){0.5}, 1));
    }
    write_reports(results, "hostile");
    imiad_results_free(results);
    check_reports("hostile", "hostile", "");
    clean_up();
}
END_TEST

/* ---- size ---- */

START_TEST(two_thousand_cells_stay_below_ten_megabytes)
{
    static const char *const names[] = {
        "image_auroc",      "image_ap",      "image_f1max", "pixel_auroc",       "pixel_ap",
        "pixel_f1max",      "aupro",         "fit_seconds", "decode_seconds",    "resize_seconds",
        "backbone_seconds", "score_seconds", "map_seconds", "images_per_second", "peak_rss_bytes",
        "train_images",     "drawn_images",  "test_images"};
    enum { VALUES = sizeof names / sizeof *names };
    use_memory();
    imiad_results *results = open_results("large.sqlite");
    double values[VALUES];
    struct stat info;
    char scores[4096] = "[";
    for (int i = 0; i < 60; ++i) {
        size_t length = strlen(scores);
        snprintf(scores + length, sizeof scores - length,
                 "%s[%d,0.%d,\"kind\",\"category/test/kind/%03d.png\"]", i ? "," : "", i % 3 != 0,
                 100 + i * 37 % 100, i);
    }
    strcat(scores, "]");
    const imiad_option evidence[] = {
        {"scores", scores},
        {"aupro", "[[0.001,0.1],[0.01,0.3],[0.05,0.5],[0.1,0.6],[0.2,0.7],[0.3,0.75]]"}};
    for (int i = 0; i < 2000; ++i) {
        char category[32], detector[32];
        snprintf(category, sizeof category, "category_%d", i % 15);
        snprintf(detector, sizeof detector, "detector_%d", i / 15);
        imiad_cell cell = made_up_cell(category, 0);
        cell.detector = detector;
        cell.command = "build/examples/noisy --dataset mvtec_ad --root /data/mvtec_ad --detector "
                       "detector --weights /data/weights/wide_resnet50_2-95faca4d.pth --ratio 0.1";
        cell.evidence = evidence;
        cell.evidence_count = 2;
        for (int j = 0; j < VALUES; ++j)
            values[j] = (i * 37 + j * 101) % 1000 / 1000.0;
        ck_ok(imiad_results_put(results, &cell, names, values, VALUES));
    }
    ck_ok(imiad_report_write(results, NULL, scratch_path("large.html")));
    imiad_results_free(results);
    ck_assert_int_eq(stat(scratch_path("large.html"), &info), 0);
    ck_assert_msg(info.st_size < 10000000, "%lld bytes", (long long)info.st_size);
    clean_up();
}
END_TEST

SUITE("report", LOOP_TEST(a_store_of_the_papers_figures_gives_the_papers_table, 8),
      TEST(the_texts_of_every_table_equal_the_stores_values),
      TEST(what_datasets_hold_and_methods_are_given_stands_in_every_file),
      TEST(what_detectors_cost_stands_in_a_table),
      TEST(what_failed_stands_in_the_page_with_its_message),
      TEST(the_same_store_gives_the_same_bytes),
      TEST(an_empty_store_has_a_report_of_published_figures), TEST(a_filter_chooses_what_is_shown),
      TEST(mistakes_are_told_and_leave_no_file), TEST(no_text_of_a_store_becomes_markup),
      TEST(two_thousand_cells_stay_below_ten_megabytes))
