/* What is wrong with a plan is said with its file and the place in it. */
#include "check_suite.h"

#include "benchmark/jobs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A whole plan, in which one part is something else. */
#define PLAN(settings, more)                                                                       \
    "{\"plan\": 1, \"note\": \"a test\"" more ",\n"                                                \
    "\"datasets\": {\"synthetic\": {\"categories\": [\"fabric\", \"hex_nut\"]}},\n"                \
    "\"detectors\": {\"padim\": {\"weights\": \"random\", \"options\": {\"dimension\": 8}}},\n"    \
    "\"settings\": [" settings "]}"

static char said[4096];

/* Reads the text as the file plan.json; what it says stands in `said`. */
static plan *read_text(const char *text, const places *here)
{
    static char path[64]; /* the plan borrows it */
    char folder[] = "/tmp/imiad-plans-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/plan.json", folder);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    FILE *caught = tmpfile();
    int before = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(caught), STDERR_FILENO);
    plan *p = plan_read("benchmark", path, here);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(caught);
    said[fread(said, 1, sizeof said - 1, caught)] = '\0';
    fclose(caught);
    unlink(path);
    rmdir(folder);
    return p;
}

static const struct {
    const char *text, *said;
} mistakes[] = {
    {"{\"plan\": 1,\n \"datasets\": {},,}", "plan.json, line 2"},
    {"{\"plan\": 1, \"plan\": 1}", "duplicate"},
    {"[]", "it must be an object"},
    {"{\"plan\": 2}", "plan: it must be 1"},
    {"{\"plan\": 1}", "datasets: there must be 1 to"},
    {PLAN("", ""), "settings: there must be 1 to"},
    {PLAN("{\"setting\": \"noisy\", \"setings\": 1}", ""),
     "settings[0]: \"setings\" is no key here: these are setting, options, datasets"},
    {PLAN("{}", ""), "settings[0].setting: it is missing"},
    {PLAN("{\"setting\": \"nosy\"}", ""), "settings[0].setting: a plan has no setting called"},
    {PLAN("{\"setting\": \"transfer\"}", ""), "settings[0].options.source: it is missing"},
    {PLAN("{\"setting\": \"transfer\", \"options\": {\"target\": \"fabric\"}}", ""),
     "settings[0].options.target: the setting transfer has no option of that name"},
    {PLAN("{\"setting\": \"noisy\", \"options\": {\"source\": \"fabric\"}}", ""),
     "settings[0].options.source: the setting noisy has no option of that name"},
    {PLAN("{\"setting\": \"efficiency\", \"options\": {\"images\": [5, 0]}}", ""),
     "settings[0].options.images: \"0\" is no whole number from 1 on"},
    {PLAN("{\"setting\": \"efficiency\", \"options\": {\"warm-up\": \"3 times\"}}", ""),
     "settings[0].options.warm-up: \"3 times\" is no whole number from 0 on"},
    {PLAN("{\"setting\": \"noisy\"}, {\"setting\": \"fewshot\", \"options\": {\"shotz\": 1}}", ""),
     "settings[1].options.shotz: the setting fewshot has no option of that name"},
    {PLAN("{\"setting\": \"noisy\", \"options\": {\"ratio\": [0.1, null]}}", ""),
     "settings[0].options.ratio[1]: it must be a text, a number, true or false"},
    {PLAN("{\"setting\": \"noisy\", \"options\": {\"seed\": 1}}", ""), "it comes from \"seeds\""},
    {PLAN("{\"setting\": \"noisy\", \"detectors\": [\"pad\"]}", ""),
     "settings[0].detectors: the plan's detectors do not name \"pad\""},
    {PLAN("{\"setting\": \"noisy\", \"datasets\": [\"synthetic\", \"synthetic\"]}", ""),
     "settings[0].datasets[1]: \"synthetic\" comes twice"},
    {PLAN("{\"setting\": \"noisy\", \"seeds\": [1, -2]}", ""),
     "settings[0].seeds[1]: a seed is a whole number"},
    {PLAN("{\"setting\": \"noisy\"}", ", \"seeds\": 3"), "seeds: it must be a list"},
    {PLAN("{\"setting\": \"noisy\"}", ", \"evaluate\": \"everywhere\""), "no way to evaluate"},
    {PLAN("{\"setting\": \"noisy\"}", ", \"compat\": [\"all\"]"), "compat[0]: no way to agree"},
    {PLAN("{\"setting\": \"noisy\"}", ", \"defaults\": {\"backbon\": \"x\"}"),
     "defaults: \"backbon\" is no key here"},
    {PLAN("{\"setting\": \"noisy\"}", ", \"defaults\": {\"backbone\": \"x\"}"),
     "no backbone is called \"x\""},
    {PLAN("{\"setting\": \"noisy\"}", ", \"defaults\": {\"options\": {\"epochs\": 2}}"),
     "defaults.options.epochs: padim has no option of that name"},
    {"{\"plan\": 1, \"datasets\": {\"parts\": {}}, \"detectors\": {\"padim\": {}}, \"settings\": "
     "[]}",
     "datasets.parts.type: no dataset is called \"parts\""},
    {"{\"plan\": 1, \"datasets\": {\"synthetic\": {\"options\": {\"colour\": 1}}}}",
     "datasets.synthetic.options.colour: synthetic has no option of that name"},
    {"{\"plan\": 1, \"datasets\": {\"synthetic\": {}}, \"detectors\": {\"pathcore\": {}}}",
     "detectors.pathcore.type: no detector is called \"pathcore\""},
};

START_TEST(a_mistake_is_told_with_its_place)
{
    places here = {.device = NULL};
    plan *p = read_text(mistakes[_i].text, &here);
    ck_assert_msg(!p, "nothing was wrong with %s", mistakes[_i].text);
    ck_assert_msg(strstr(said, mistakes[_i].said) && strstr(said, "plan.json"), "said \"%s\"",
                  said);
    ck_assert_msg(strchr(said, '\n') + 1 == said + strlen(said) || strstr(said, "no way to"),
                  "more than one line: %s", said);
}
END_TEST

START_TEST(every_choice_of_a_plan_is_a_job_once)
{
    places here = {.device = NULL};
    job_filter all = {.setting = NULL}, second = {.shard = 2, .shards = 3},
               noisy = {.setting = "noisy", .category = "fabric"};
    plan *p = read_text(PLAN("{\"setting\": \"unsupervised\", \"seeds\": [0, 7]},"
                             "{\"setting\": \"noisy\", \"options\": {\"ratio\": [0.05, 0.10], "
                             "\"overlap\": true}}, {\"setting\": \"continual\"}",
                             ", \"seeds\": [3]"),
                        &here);
    ck_assert_msg(p != NULL, "%s", said);
    jobs j;
    char title[256], value[64];
    ck_assert_int_eq(jobs_make(&j, p, &all), 0);
    ck_assert_uint_eq(j.count, 4 + 4 + 1);
    ck_assert_uint_eq(j.cells, 4 + 4 + 2);
    job_title(title, sizeof title, &j.list[1]);
    ck_assert_str_eq(title, "padim on fabric of synthetic, unsupervised, seed 7");
    job_value(value, sizeof value, &j.list[3]);
    ck_assert_str_eq(value, "ratio=0.1 overlap=true");
    job_title(title, sizeof title, &j.list[8]);
    ck_assert_str_eq(title, "padim on synthetic, continual, seed 3");
    jobs_free(&j);
    ck_assert_int_eq(jobs_make(&j, p, &second), 0);
    ck_assert_uint_eq(j.count, 3);
    jobs_free(&j);
    ck_assert_int_eq(jobs_make(&j, p, &noisy), 0);
    ck_assert_uint_eq(j.count, 2);
    jobs_free(&j);
    plan_free(p);
}
END_TEST

START_TEST(a_transfer_has_a_job_for_each_target_of_each_source)
{
    places here = {.device = NULL};
    job_filter all = {.setting = NULL};
    plan *p = read_text(PLAN("{\"setting\": \"transfer\", \"options\": {\"source\": [\"fabric\", "
                             "\"hex_nut\"], \"shots\": [2, 4]}}, {\"setting\": \"efficiency\"}",
                             ""),
                        &here);
    ck_assert_msg(p != NULL, "%s", said);
    jobs j;
    char title[256];
    ck_assert_int_eq(jobs_make(&j, p, &all), 0);
    ck_assert_uint_eq(j.count, 4 + 2);
    job_title(title, sizeof title, &j.list[0]);
    ck_assert_str_eq(title,
                     "padim on fabric of synthetic, transfer source=hex_nut shots=2, seed 0");
    job_title(title, sizeof title, &j.list[2]);
    ck_assert_str_eq(title, "padim on fabric of synthetic, efficiency, seed 0");
    const plan_setting *efficiency = plan_setting_find("efficiency");
    ck_assert_str_eq(job_own(&j.list[0], plan_setting_own(plan_setting_find("transfer"), "source")),
                     "hex_nut");
    ck_assert_str_eq(job_own(&j.list[2], plan_setting_own(efficiency, "images")), "50");
    jobs_free(&j);
    plan_free(p);
}
END_TEST

/* A plan's settings are the registered ones, a sequence, and what costs: none is forgotten. */
START_TEST(a_plan_has_every_registered_setting)
{
    for (size_t i = 0; i < imiad_setting_count(); ++i) {
        const plan_setting *s = plan_setting_find(imiad_setting_name(i));
        imiad_option_info info = IMIAD_OPTION_INFO_INIT;
        ck_assert_msg(s != NULL, "%s", imiad_setting_name(i));
        ck_assert_str_eq(s->split, s->name);
        ck_assert(!s->option || option_known(imiad_setting_option_info, s->split, s->option));
        for (size_t k = 0; imiad_setting_option_info(&info, s->split, k) == IMIAD_OK; ++k)
            ck_assert_msg(!plan_setting_own(s, info.name), "%s twice", info.name);
    }
}
END_TEST

START_TEST(the_command_line_says_where_things_lie)
{
    places here = {.roots = {"synthetic=/elsewhere", "mtd=/x", "mtd=/data/mtd"},
                   .root_count = 3,
                   .weights = {"resnet18=/data/r.pth", "resnet50=/data/s.pth"},
                   .weight_count = 2};
    plan *p = read_text("{\"plan\": 1, \"datasets\": {\"mtd\": {\"root\": \"/no\"}, \"btad\": "
                        "{\"root\": \"here\"}}, \"detectors\": {\"padim\": {}, \"spade\": "
                        "{\"weights\": \"random\"}, \"cfa\": {\"backbone\": \"vgg11\"}, "
                        "\"a\": {\"type\": \"stpm\", \"backbone\": \"resnet50\", \"weights\": "
                        "\"w.pth\"}, \"b\": {\"type\": \"stpm\", \"backbone\": \"resnet34\", "
                        "\"weights\": \"w.pth\"}}, \"settings\": [{\"setting\": \"noisy\"}]}",
                        &here);
    ck_assert_msg(p != NULL, "%s", said);
    ck_assert_str_eq(p->datasets[0].root, "/data/mtd");
    ck_assert(strncmp(p->datasets[1].root, "/tmp/imiad-plans-", 17) == 0);
    ck_assert(strcmp(p->datasets[1].root + strlen(p->datasets[1].root) - 5, "/here") == 0);
    ck_assert_str_eq(p->detectors[0].weights, "/data/r.pth");
    ck_assert_str_eq(p->detectors[1].weights, "random");
    ck_assert(p->detectors[2].weights == NULL);
    ck_assert_str_eq(p->detectors[3].weights, "/data/s.pth");
    ck_assert_ptr_nonnull(strstr(p->detectors[4].weights, "/w.pth"));
    plan_free(p);
}
END_TEST

/* The plans that come with the library name nothing that is not there. */
START_TEST(the_plans_of_the_library_are_plans)
{
    static const struct {
        const char *path;
        size_t cells;
    } plans[] = {{"quick", 115},   {"imiad", 7385},  {"table6", 572},    {"table7", 55},
                 {"table8", 90},   {"table9", 4620}, {"table10", 1008},  {"table11", 252},
                 {"table12", 300}, {"table13", 924}, {"procedural", 28}, {"labelled", 56}};
    places here = {.device = NULL};
    job_filter all = {.setting = NULL};
    for (size_t i = 0; i < sizeof plans / sizeof *plans; ++i) {
        char path[256];
        jobs j;
        snprintf(path, sizeof path, "examples/plans/%s.json", plans[i].path);
        plan *p = plan_read("benchmark", path, &here);
        ck_assert_msg(p != NULL, "%s", path);
        ck_assert_int_eq(jobs_make(&j, p, &all), 0);
        ck_assert_msg(j.cells == plans[i].cells, "%s has %zu cells", path, j.cells);
        jobs_free(&j);
        plan_free(p);
    }
}
END_TEST

SUITE("plans", LOOP_TEST(a_mistake_is_told_with_its_place, sizeof mistakes / sizeof *mistakes),
      TEST(every_choice_of_a_plan_is_a_job_once),
      TEST(a_transfer_has_a_job_for_each_target_of_each_source),
      TEST(a_plan_has_every_registered_setting), TEST(the_command_line_says_where_things_lie),
      TEST(the_plans_of_the_library_are_plans))
