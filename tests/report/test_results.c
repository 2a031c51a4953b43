/* The result store: what is put is found, shown, added up and written out again; damage and misuse
 * are named. */
#include <jansson.h>
#include <stdbool.h>

#include "cells.h"
#include "imiad/imiad.h"

/* ---- putting and finding ---- */

START_TEST(a_cell_is_found_only_after_it_was_put)
{
    imiad_results *results = open_results("r.sqlite");
    imiad_cell cell = made_up_cell("bottle", 1);
    ck_assert_int_eq(has(results, &cell), 0);
    put_one(results, &cell, "image_auroc", 0.5);
    ck_assert_int_eq(has(results, &cell), 1);
    imiad_results_free(results);
    results = open_results("r.sqlite"); /* and after it was closed */
    ck_assert_int_eq(has(results, &cell), 1);
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(every_part_of_the_key_tells_cells_apart_and_no_circumstance_does)
{
    imiad_results *results = open_results("r.sqlite");
    imiad_cell cell = made_up_cell("bottle", 1);
    put_one(results, &cell, "image_auroc", 0.5);
    static const imiad_option other[] = {
        {"coreset_ratio", "0.2"}, {"layers", "layer2,layer3"}, {"seed", "7"}};
    static const imiad_option reseeded[] = {
        {"coreset_ratio", "0.1"}, {"layers", "layer2,layer3"}, {"seed", "8"}};
    static const imiad_option reordered[] = {
        {"seed", "7"}, {"layers", "layer2,layer3"}, {"coreset_ratio", "0.1"}};
#define DIFFERS(field, text)                                                                       \
    do {                                                                                           \
        imiad_cell changed = cell;                                                                 \
        changed.field = text;                                                                      \
        ck_assert_msg(!has(results, &changed), "another " #field " is another cell");              \
    } while (0)
    DIFFERS(setting, "unsupervised");
    DIFFERS(value, "ratio=0.2");
    DIFFERS(dataset, "mpdd");
    DIFFERS(dataset_digest, "d2");
    DIFFERS(category, "cable");
    DIFFERS(detector, "padim");
    DIFFERS(options, other);
    DIFFERS(options, reseeded);
    DIFFERS(option_count, 2);
    DIFFERS(backbone, "resnet50");
    DIFFERS(weights_digest, "w2");
    DIFFERS(precision, "bfloat16");
    DIFFERS(evaluation, "size=native");
    DIFFERS(evaluation, NULL);
    DIFFERS(seed, 2);
    imiad_cell same = cell;
    same.options = reordered;
    same.weights = "elsewhere/r.pth"; /* the digest says it all */
    same.dataset_root = "/data";
    same.device = "cuda:0";
    same.machine = "another one";
    same.command = "unsupervised --seed 1";
    same.facts = other;
    same.fact_count = 3;
    ck_assert_int_eq(has(results, &same), 1);
    same.weights_digest = "";
    put_one(results, &same, "image_auroc", 0.5);
    same.weights = "random weights, seed 1"; /* without a digest the words count */
    ck_assert_int_eq(has(results, &same), 0);
    imiad_results_free(results);
    clean_up();
}
END_TEST

typedef struct seen {
    int cells;
    char text[4096];
} seen;

/* Everything that a finished cell has, but for the time. */
static imiad_status write_down(void *user, const imiad_finished *f)
{
    seen *s = user;
    const imiad_cell *c = f->cell;
    size_t used = strlen(s->text);
#define SAY(...) used += (size_t)snprintf(s->text + used, sizeof s->text - used, __VA_ARGS__)
    SAY("%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%llu|%s|%s|%s|%s|%d\n", c->setting, c->value, c->dataset,
        c->dataset_digest, c->category, c->detector, c->backbone, c->weights, c->weights_digest,
        c->precision, c->evaluation, (unsigned long long)c->seed, c->dataset_root, c->device,
        c->machine, c->command, f->threads);
    for (size_t i = 0; i < c->option_count; ++i)
        SAY("%s=%s ", c->options[i].name, c->options[i].value);
    for (size_t i = 0; i < c->dataset_option_count; ++i)
        SAY("D %s=%s ", c->dataset_options[i].name, c->dataset_options[i].value);
    for (size_t i = 0; i < c->fact_count; ++i)
        SAY("F %s=%s ", c->facts[i].name, c->facts[i].value);
    SAY("\n");
    for (size_t i = 0; i < f->count; ++i)
        SAY("%s %g\n", f->names[i], f->values[i]);
    ck_assert_str_eq(f->library_version, imiad_version());
    ck_assert_str_eq(f->torch_version, imiad_torch_version());
    ck_assert_int_eq(strlen(f->time), strlen("2024-05-01T12:00:00Z"));
    ++s->cells;
    return IMIAD_OK;
}

START_TEST(a_finished_cell_shows_all_that_was_put)
{
    imiad_results *results = open_results("r.sqlite");
    static const imiad_option dataset_options[] = {{"mask_threshold", "0.5"}};
    static const imiad_option facts[] = {{"drawn", "20"}, {"\"quoted\", \xc3\xa4", "a\nb"}};
    imiad_cell cell = made_up_cell("bottle", INT64_MAX);
    cell.dataset_root = "/data/mvtec, all";
    cell.dataset_options = dataset_options;
    cell.dataset_option_count = 1;
    cell.device = "cpu";
    cell.machine = "a \"machine\"";
    cell.command = "noisy --set ratio=0.1";
    cell.facts = facts;
    cell.fact_count = 2;
    const char *const names[] = {"pixel_auroc", "image_auroc", "fit_seconds"};
    const double values[] = {NAN, 0.75, 1e-300};
    imiad_set_threads(3);
    ck_ok(imiad_results_put(results, &cell, names, values, 3));
    imiad_set_threads(2);
    seen s = {0, ""};
    ck_ok(imiad_results_each(results, NULL, write_down, &s));
    ck_assert_int_eq(s.cells, 1);
    ck_assert_str_eq(s.text,
                     "noisy|ratio=0.1|mvtec_ad|d1|bottle|patchcore|resnet18|r.pth|w1|float32|"
                     "size=256|9223372036854775807|/data/mvtec, all|cpu|a \"machine\"|"
                     "noisy --set ratio=0.1|3\n"
                     "coreset_ratio=0.1 layers=layer2,layer3 seed=7 D mask_threshold=0.5 "
                     "F \"quoted\", \xc3\xa4=a\nb F drawn=20 \n"
                     "fit_seconds 1e-300\nimage_auroc 0.75\npixel_auroc nan\n");
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(the_machine_is_recorded_where_nobody_names_one)
{
    imiad_results *results = open_results("r.sqlite");
    imiad_cell cell = made_up_cell("bottle", 1);
    put_one(results, &cell, "image_auroc", 0.5);
    seen s = {0, ""};
    ck_ok(imiad_results_each(results, NULL, write_down, &s));
    ck_assert_ptr_nonnull(strstr(s.text, " cores|"));
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(a_second_put_takes_the_place_of_the_first)
{
    imiad_results *results = open_results("r.sqlite");
    imiad_cell cell = made_up_cell("bottle", 1);
    const char *const names[] = {"image_auroc", "old"};
    const double values[] = {0.1, 0.2};
    ck_ok(imiad_results_put(results, &cell, names, values, 2));
    put_one(results, &cell, "image_auroc", 0.9);
    seen s = {0, ""};
    ck_ok(imiad_results_each(results, NULL, write_down, &s));
    ck_assert_int_eq(s.cells, 1);
    ck_assert_ptr_nonnull(strstr(s.text, "image_auroc 0.9"));
    ck_assert_ptr_null(strstr(s.text, "old"));
    imiad_results_free(results);
    clean_up();
}
END_TEST

static imiad_status note_category(void *user, const imiad_finished *f)
{
    sprintf((char *)user + strlen(user), "%s%llu ", f->cell->category,
            (unsigned long long)f->cell->seed);
    return IMIAD_OK;
}

static imiad_status stop(void *user, const imiad_finished *f)
{
    ++*(int *)user;
    return IMIAD_CANCELLED;
}

START_TEST(cells_are_shown_in_order_and_filters_choose_among_them)
{
    imiad_results *results = open_results("r.sqlite");
    static const char *const categories[] = {"wood", "bottle", "cable"};
    for (uint64_t seed = 3; seed-- > 0;)
        for (int i = 0; i < 3; ++i) {
            imiad_cell cell = made_up_cell(categories[i], seed);
            put_one(results, &cell, "image_auroc", 0.5);
        }
    char order[256] = "";
    ck_ok(imiad_results_each(results, NULL, note_category, order));
    ck_assert_str_eq(order, "bottle0 cable0 wood0 bottle1 cable1 wood1 bottle2 cable2 wood2 ");
    imiad_results_filter filter = IMIAD_RESULTS_FILTER_INIT;
    filter.category = "cable";
    filter.setting = "noisy";
    filter.value = "ratio=0.1";
    filter.dataset = "mvtec_ad";
    filter.detector = "patchcore";
    filter.backbone = "resnet18";
    strcpy(order, "");
    ck_ok(imiad_results_each(results, &filter, note_category, order));
    ck_assert_str_eq(order, "cable0 cable1 cable2 ");
    filter.backbone = "resnet50";
    strcpy(order, "");
    ck_ok(imiad_results_each(results, &filter, note_category, order));
    ck_assert_str_eq(order, "");
    int calls = 0;
    ck_assert_int_eq(imiad_results_each(results, NULL, stop, &calls), IMIAD_CANCELLED);
    ck_assert_int_eq(calls, 1);
    imiad_results_free(results);
    clean_up();
}
END_TEST

/* ---- adding up ---- */

static imiad_status write_summary(void *user, const imiad_summary *s)
{
    char *text = user;
    sprintf(text + strlen(text), "%s %s %.6g %.6g %lld %lld %lld %lld\n", s->cell->category,
            s->name, s->mean, s->deviation, (long long)s->runs, (long long)s->undefined,
            (long long)s->categories, (long long)s->incomplete);
    return IMIAD_OK;
}

START_TEST(means_and_deviations_over_seeds_and_categories_are_those_of_a_hand_calculation)
{
    imiad_results *results = open_results("r.sqlite");
    /* bottle .5 .7, cable .9 .5, wood .1 undefined; seed 2 has bottle alone so far */
    static const struct {
        const char *category;
        uint64_t seed;
        double value;
    } cells[] = {{"bottle", 0, .5}, {"bottle", 1, .7}, {"bottle", 2, .9}, {"cable", 0, .9},
                 {"cable", 1, .5},  {"wood", 0, .1},   {"wood", 1, NAN}};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; ++i) {
        imiad_cell cell = made_up_cell(cells[i].category, cells[i].seed);
        put_one(results, &cell, "image_auroc", cells[i].value);
    }
    imiad_cell another = made_up_cell("bottle", 0); /* another family */
    another.detector = "spade";
    put_one(results, &another, "image_auroc", 1);
    char text[1024] = "";
    ck_ok(imiad_results_summarize(results, NULL, write_summary, text));
    /* averages: seed 0 (.5 + .9 + .1) / 3 = .5, seed 1 (.7 + .5) / 2 = .6: deviation .1 / sqrt 2 */
    ck_assert_str_eq(text, "bottle image_auroc 0.7 0.2 3 0 1 0\n"
                           "cable image_auroc 0.7 0.282843 2 0 1 0\n"
                           "wood image_auroc 0.1 nan 1 1 1 0\n"
                           "average image_auroc 0.55 0.0707107 2 1 3 1\n"
                           "bottle image_auroc 1 nan 1 0 1 0\n"
                           "average image_auroc 1 nan 1 0 1 0\n");
    imiad_results_filter filter = IMIAD_RESULTS_FILTER_INIT;
    filter.category = "average";
    filter.detector = "patchcore";
    strcpy(text, "");
    ck_ok(imiad_results_summarize(results, &filter, write_summary, text));
    ck_assert_str_eq(text, "average image_auroc 0.55 0.0707107 2 1 3 1\n");
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(runs_that_differ_in_seeds_alone_are_repetitions)
{
    imiad_results *results = open_results("r.sqlite");
    for (uint64_t seed = 0; seed < 2; ++seed) {
        char text[16], words[64];
        sprintf(text, "%d", (int)seed);
        sprintf(words, "random weights, seed %d", (int)seed);
        const imiad_option options[] = {{"seed", text}, {"layers", "layer2"}};
        imiad_cell cell = made_up_cell("bottle", seed);
        cell.options = options;
        cell.option_count = 2;
        cell.weights = words;
        cell.weights_digest = "";
        put_one(results, &cell, "image_auroc", (double)seed);
    }
    char text[1024] = "";
    ck_ok(imiad_results_summarize(results, NULL, write_summary, text));
    ck_assert_str_eq(text, "bottle image_auroc 0.5 0.707107 2 0 1 0\n"
                           "average image_auroc 0.5 0.707107 2 0 1 0\n");
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(a_value_that_some_categories_lack_is_averaged_over_those_that_have_it)
{
    imiad_results *results = open_results("r.sqlite");
    imiad_cell bottle = made_up_cell("bottle", 0), wood = made_up_cell("wood", 0);
    const char *const names[] = {"image_auroc", "image_auroc_fm"};
    const double values[] = {0.8, 0.1};
    ck_ok(imiad_results_put(results, &bottle, names, values, 2));
    put_one(results, &wood, "image_auroc", 0.6);
    char text[1024] = "";
    ck_ok(imiad_results_summarize(results, NULL, write_summary, text));
    ck_assert_str_eq(text, "bottle image_auroc 0.8 nan 1 0 1 0\n"
                           "bottle image_auroc_fm 0.1 nan 1 0 1 0\n"
                           "wood image_auroc 0.6 nan 1 0 1 0\n"
                           "average image_auroc 0.7 nan 1 0 2 0\n"
                           "average image_auroc_fm 0.1 nan 1 0 1 0\n");
    imiad_results_free(results);
    clean_up();
}
END_TEST

/* ---- files for other programs ---- */

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    static char text[1 << 16];
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    return text;
}

static imiad_results *two_seeds(void)
{
    imiad_results *results = open_results("r.sqlite");
    const char *const names[] = {"image_auroc", "pixel_auroc", "score_seconds"};
    for (uint64_t seed = 0; seed < 2; ++seed) {
        imiad_cell cell = made_up_cell("bottle", seed);
        const double values[] = {0.25 + 0.5 * (double)seed, NAN, 2};
        cell.machine = "m, n";
        ck_ok(imiad_results_put(results, &cell, names, values, 3));
    }
    return results;
}

START_TEST(csv_has_a_line_for_each_value_and_quotes_what_needs_it)
{
    imiad_results *results = two_seeds();
    char path[256];
    strcpy(path, scratch_path("out/values.csv")); /* the folder is made */
    ck_ok(imiad_results_write_csv(results, NULL, path));
    char *text = read_text(path);
    const char *header = "category,setting,value,dataset,dataset_digest,detector,backbone,weights,"
                         "weights_digest,precision,evaluation,dataset_root,device,machine,command,"
                         "options,dataset_options,facts,seed,threads,library_version,torch_version,"
                         "time,name,number\n"
                         "bottle,noisy,ratio=0.1,mvtec_ad,d1,patchcore,resnet18,r.pth,w1,float32,"
                         "size=256,,,\"m, n\",,\"{\"\"coreset_ratio\"\":\"\"0.1\"\",\"\"layers\"\":"
                         "\"\"layer2,layer3\"\",\"\"seed\"\":\"\"7\"\"}\",{},{},0,";
    ck_assert_int_eq(strncmp(text, header, strlen(header)), 0);
    ck_assert_ptr_nonnull(strstr(text, "Z,image_auroc,0.25\n"));
    ck_assert_ptr_nonnull(strstr(text, "Z,pixel_auroc,\n"));
    int lines = 0;
    for (; *text; ++text)
        lines += *text == '\n';
    ck_assert_int_eq(lines, 1 + 2 * 3);
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(json_holds_every_cell_with_all_that_is_known)
{
    imiad_results *results = two_seeds();
    char path[256];
    strcpy(path, scratch_path("cells.json"));
    ck_ok(imiad_results_write_json(results, NULL, path));
    json_t *cells = json_load_file(path, 0, NULL);
    ck_assert_int_eq(json_array_size(cells), 2);
    json_t *cell = json_array_get(cells, 1), *values = json_object_get(cell, "values");
    ck_assert_int_eq(json_integer_value(json_object_get(cell, "seed")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(cell, "machine")), "m, n");
    ck_assert_str_eq(
        json_string_value(json_object_get(json_object_get(cell, "options"), "coreset_ratio")),
        "0.1");
    ck_assert_double_eq(json_real_value(json_object_get(values, "image_auroc")), 0.75);
    ck_assert(json_is_null(json_object_get(values, "pixel_auroc")));
    json_decref(cells);
    imiad_results_filter none = IMIAD_RESULTS_FILTER_INIT;
    none.setting = "nothing";
    ck_ok(imiad_results_write_json(results, &none, path));
    cells = json_load_file(path, 0, NULL);
    ck_assert(json_is_array(cells) && json_array_size(cells) == 0);
    json_decref(cells);
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(summary_and_points_are_tables_that_a_plot_can_read)
{
    imiad_results *results = two_seeds();
    char path[256];
    strcpy(path, scratch_path("points.csv"));
    static const char options[] =
        ",\"{\"\"coreset_ratio\"\":\"\"0.1\"\",\"\"layers\"\":\"\"layer2,layer3\"\",\"\"seed\"\":"
        "\"\"7\"\"}\",resnet18,w1,float32,size=256";
    char expected[2048];
    sprintf(expected,
            "setting,value,number,dataset,category,detector,options,backbone,weights_digest,"
            "precision,evaluation,score_seconds,score_seconds_deviation,image_auroc,"
            "image_auroc_deviation\n"
            "noisy,ratio=0.1,0.10000000000000001,mvtec_ad,bottle,patchcore%s,2,0,0.5,"
            "0.35355339059327379\n"
            "noisy,ratio=0.1,0.10000000000000001,mvtec_ad,average,patchcore%s,2,0,0.5,"
            "0.35355339059327379\n",
            options, options);
    const char *const names[] = {"score_seconds", "image_auroc"};
    ck_ok(imiad_results_write_points(results, NULL, names, 2, path));
    ck_assert_str_eq(read_text(path), expected);
    ck_ok(imiad_results_write_summary(results, NULL, path));
    ck_assert_ptr_nonnull(strstr(read_text(path), ",evaluation,name,mean,deviation,runs,undefined,"
                                                  "categories,incomplete\n"));
    ck_assert_ptr_nonnull(
        strstr(read_text(path), ",image_auroc,0.5,0.35355339059327379,2,0,1,0\n"));
    ck_assert_ptr_nonnull(strstr(read_text(path), ",pixel_auroc,,,0,2,1,0\n"));
    ck_fails(imiad_results_write_points(results, NULL, names, 0, path), IMIAD_INVALID_ARGUMENT,
             "at least one");
    ck_fails(imiad_results_write_csv(results, NULL, "/dev/null/x/y.csv"), IMIAD_IO, "/dev/null/x");
    imiad_results_free(results);
    clean_up();
}
END_TEST

/* ---- files that are no stores ---- */

static void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

START_TEST(a_foreign_file_is_named_and_left_alone)
{
    imiad_results *results = NULL;
    char path[256];
    strcpy(path, scratch_path("foreign"));
    write_bytes(path, "x", 1);
    ck_fails(imiad_results_open(&results, path), IMIAD_FORMAT, path);
    char text[4096];
    memset(text, 'a', sizeof text);
    write_bytes(path, text, sizeof text);
    ck_fails(imiad_results_open(&results, path), IMIAD_FORMAT, path);
    ck_fails(imiad_results_open_to_read(&results, path), IMIAD_FORMAT, "no SQLite database");
    ck_assert_mem_eq(read_text(path), text, sizeof text);
    char command[512];
    snprintf(command, sizeof command,
             "python3 -c \"import sqlite3; d = sqlite3.connect('%s'); "
             "d.execute('create table t (x)'); d.commit()\"",
             scratch_path("other.sqlite"));
    ck_assert_int_eq(system(command), 0);
    ck_fails(imiad_results_open(&results, scratch_path("other.sqlite")), IMIAD_FORMAT,
             "something else");
    ck_assert_ptr_null(results);
    clean_up();
}
END_TEST

START_TEST(a_store_of_a_newer_library_is_refused)
{
    imiad_results *results = two_seeds();
    imiad_results_free(results);
    char command[512];
    snprintf(command, sizeof command,
             "python3 -c \"import sqlite3; d = sqlite3.connect('%s'); "
             "d.execute('pragma user_version = 99')\"",
             scratch_path("r.sqlite"));
    ck_assert_int_eq(system(command), 0);
    ck_fails(imiad_results_open(&results, scratch_path("r.sqlite")), IMIAD_UNSUPPORTED,
             "version 99");
    clean_up();
}
END_TEST

START_TEST(a_damaged_store_is_named)
{
    imiad_results *results = open_results("r.sqlite");
    for (uint64_t seed = 0; seed < 200; ++seed) {
        imiad_cell cell = made_up_cell("bottle", seed);
        put_one(results, &cell, "image_auroc", 0.5);
    }
    imiad_results_free(results);
    results = NULL;
    char path[256];
    strcpy(path, scratch_path("r.sqlite"));
    static char whole[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t size = fread(whole, 1, sizeof whole, file);
    fclose(file);
    ck_assert(size > 32768 && size < sizeof whole);
    write_bytes(path, whole, size / 2); /* truncated */
    ck_fails(imiad_results_open(&results, path), IMIAD_FORMAT, path);
    write_bytes(path, whole, size / 2 + 100); /* in the middle of a page */
    ck_fails(imiad_results_open(&results, path), IMIAD_FORMAT, path);
    memset(whole + 8192, 0xff, 16384); /* pages overwritten */
    write_bytes(path, whole, size);
    ck_fails(imiad_results_open(&results, path), IMIAD_FORMAT, path);
    ck_fails(imiad_results_open_to_read(&results, path), IMIAD_FORMAT, "damaged");
    clean_up();
}
END_TEST

START_TEST(what_cannot_be_opened_says_why)
{
    imiad_results *results = NULL;
    ck_fails(imiad_results_open(&results, ""), IMIAD_INVALID_ARGUMENT, "empty");
    ck_fails(imiad_results_open(NULL, "x"), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_results_open(&results, "/dev/null/x/r.sqlite"), IMIAD_IO, "/dev/null/x");
    char path[256];
    strcpy(path, scratch_path(""));
    ck_fails(imiad_results_open(&results, path), IMIAD_IO, path); /* a folder */
    strcpy(path, scratch_path("nowhere.sqlite"));
    ck_fails(imiad_results_open_to_read(&results, path), IMIAD_NOT_FOUND, path);
    ck_assert_int_ne(access(path, F_OK), 0); /* and it was not made */
    write_bytes(path, "", 0);
    ck_fails(imiad_results_open_to_read(&results, path), IMIAD_FORMAT, "empty");
    ck_ok(imiad_results_open(&results, path)); /* an empty file becomes a store */
    imiad_results_free(results);
    imiad_results_free(NULL);
    clean_up();
}
END_TEST

START_TEST(names_that_mean_something_to_sqlite_are_plain_files_here)
{
    char old[4096];
    ck_assert_ptr_nonnull(getcwd(old, sizeof old));
    scratch_path("");
    ck_assert_int_eq(chdir(scratch_folder), 0);
    static const char *const names[] = {":memory:", "file:r?mode=memory", "a%20b"};
    for (int i = 0; i < 3; ++i) {
        imiad_results *results = NULL;
        imiad_cell cell = made_up_cell("bottle", 0);
        ck_ok(imiad_results_open(&results, names[i]));
        put_one(results, &cell, "image_auroc", 0.5);
        imiad_results_free(results);
        ck_assert_int_eq(access(names[i], F_OK), 0);
        ck_ok(imiad_results_open_to_read(&results, names[i]));
        ck_assert_int_eq(has(results, &cell), 1);
        imiad_results_free(results);
    }
    ck_assert_int_eq(chdir(old), 0);
    clean_up();
}
END_TEST

/* ---- misuse ---- */

START_TEST(bad_cells_and_values_are_refused_and_nothing_is_put)
{
    imiad_results *results = open_results("r.sqlite");
    const char *const name = "image_auroc", *const twice[] = {"a", "a"}, *const none = "";
    const double half = 0.5, infinite = INFINITY, two[] = {1, 2};
    imiad_cell cell = made_up_cell("bottle", 0);
#define REFUSED(change, status, text)                                                              \
    do {                                                                                           \
        cell = made_up_cell("bottle", 0);                                                          \
        change;                                                                                    \
        ck_fails(imiad_results_put(results, &cell, &name, &half, 1), status, text);                \
    } while (0)
    REFUSED(cell.setting = NULL, IMIAD_INVALID_ARGUMENT, "without setting");
    REFUSED(cell.dataset = "", IMIAD_INVALID_ARGUMENT, "without dataset");
    REFUSED(cell.category = NULL, IMIAD_INVALID_ARGUMENT, "without category");
    REFUSED(cell.detector = NULL, IMIAD_INVALID_ARGUMENT, "without detector");
    REFUSED(cell.category = "average", IMIAD_INVALID_ARGUMENT, "average");
    REFUSED(cell.struct_size = 0, IMIAD_INVALID_ARGUMENT, "struct_size");
    REFUSED(cell.seed = (uint64_t)INT64_MAX + 1, IMIAD_OUT_OF_RANGE, "9223372036854775808");
    REFUSED(cell.options = NULL, IMIAD_INVALID_ARGUMENT, "options");
    REFUSED(cell.dataset_root = "\xff", IMIAD_INVALID_ARGUMENT, "dataset_root is not UTF-8");
    const imiad_option hollow = {"x", NULL}, binary = {"\xff", "x"};
    REFUSED((cell.facts = &hollow, cell.fact_count = 1), IMIAD_INVALID_ARGUMENT, "facts");
    REFUSED((cell.facts = &binary, cell.fact_count = 1), IMIAD_INVALID_ARGUMENT, "not UTF-8");
    cell = made_up_cell("bottle", 0);
    ck_fails(imiad_results_put(results, &cell, &none, &half, 1), IMIAD_INVALID_ARGUMENT, "no name");
    ck_fails(imiad_results_put(results, &cell, twice, two, 2), IMIAD_INVALID_ARGUMENT, "twice");
    ck_fails(imiad_results_put(results, &cell, &name, &infinite, 1), IMIAD_NOT_FINITE, name);
    ck_fails(imiad_results_put(results, &cell, NULL, &half, 1), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_results_put(NULL, &cell, &name, &half, 1), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_results_each(results, NULL, NULL, NULL), IMIAD_INVALID_ARGUMENT, "function");
    ck_assert_int_eq(cell_count(results), 0);
    ck_ok(imiad_results_put(results, &cell, NULL, NULL, 0)); /* finished without any value */
    ck_assert_int_eq(cell_count(results), 1);
    imiad_results_free(results);
    ck_ok(imiad_results_open_to_read(&results, scratch_path("r.sqlite")));
    ck_fails(imiad_results_put(results, &cell, &name, &half, 1), IMIAD_WRONG_STATE, "read only");
    imiad_results_free(results);
    clean_up();
}
END_TEST

/* ---- describing ---- */

START_TEST(a_split_and_a_detector_describe_their_cell)
{
    imiad_dataset *dataset;
    imiad_split *split;
    imiad_backbone *backbone;
    imiad_detector *detector;
    const imiad_option small = {"train", "4"};
    const imiad_option few[] = {{"shots", "2"}, {"augmentation", "rotation"}, {"seed", "5"}};
    const imiad_option seed = {"seed", "5"};
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, &small, 1));
    ck_ok(imiad_split_create(&split, dataset, "fabric", "fewshot", few, 3));
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    ck_ok(imiad_detector_create(&detector, "patchcore", backbone, &seed, 1));
    imiad_results *results = open_results("r.sqlite");
    imiad_cell cell = IMIAD_CELL_INIT;
    cell.evaluation = "size=256";
    cell.seed = 5;
    ck_ok(imiad_results_describe(&cell, results, split, detector));
    ck_assert_str_eq(cell.setting, "fewshot");
    ck_assert_str_eq(cell.value, "shots=2 augmentation=rotation");
    ck_assert_str_eq(cell.dataset, "synthetic");
    ck_assert_int_eq(strlen(cell.dataset_digest), 64);
    ck_assert_str_eq(cell.category, "fabric");
    ck_assert_str_eq(cell.detector, "patchcore");
    ck_assert_str_eq(cell.backbone, "resnet18");
    ck_assert_str_eq(cell.weights, "random weights, seed 0");
    ck_assert_str_eq(cell.weights_digest, "");
    ck_assert_str_eq(cell.precision, "float32");
    ck_assert_str_eq(cell.device, "cpu");
    ck_assert_str_eq(cell.evaluation, "size=256");
    bool ratio = false, train = false;
    for (size_t i = 0; i < cell.option_count; ++i)
        ratio = ratio || (strcmp(cell.options[i].name, "coreset_ratio") == 0 &&
                          strcmp(cell.options[i].value, "0.1") == 0);
    for (size_t i = 0; i < cell.dataset_option_count; ++i)
        train = train || (strcmp(cell.dataset_options[i].name, "train") == 0 &&
                          strcmp(cell.dataset_options[i].value, "4") == 0);
    ck_assert(ratio && train);
    put_one(results, &cell, "image_auroc", 0.5);
    ck_ok(imiad_results_describe(&cell, results, split, detector));
    ck_assert_int_eq(has(results, &cell), 1);
    ck_fails(imiad_results_describe(&cell, results, NULL, detector), IMIAD_INVALID_ARGUMENT,
             "NULL");
    imiad_results_free(results);
    imiad_detector_free(detector);
    imiad_backbone_free(backbone);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
    clean_up();
}
END_TEST

SUITE("results", TEST(a_cell_is_found_only_after_it_was_put),
      TEST(every_part_of_the_key_tells_cells_apart_and_no_circumstance_does),
      TEST(a_finished_cell_shows_all_that_was_put),
      TEST(the_machine_is_recorded_where_nobody_names_one),
      TEST(a_second_put_takes_the_place_of_the_first),
      TEST(cells_are_shown_in_order_and_filters_choose_among_them),
      TEST(means_and_deviations_over_seeds_and_categories_are_those_of_a_hand_calculation),
      TEST(runs_that_differ_in_seeds_alone_are_repetitions),
      TEST(a_value_that_some_categories_lack_is_averaged_over_those_that_have_it),
      TEST(csv_has_a_line_for_each_value_and_quotes_what_needs_it),
      TEST(json_holds_every_cell_with_all_that_is_known),
      TEST(summary_and_points_are_tables_that_a_plot_can_read),
      TEST(a_foreign_file_is_named_and_left_alone), TEST(a_store_of_a_newer_library_is_refused),
      TEST(a_damaged_store_is_named), TEST(what_cannot_be_opened_says_why),
      TEST(names_that_mean_something_to_sqlite_are_plain_files_here),
      TEST(bad_cells_and_values_are_refused_and_nothing_is_put),
      TEST(a_split_and_a_detector_describe_their_cell))
