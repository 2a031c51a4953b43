/* Every schema of the library: detectors, datasets, settings, metrics. A range in another syntax
 * would bound nothing, and a default is used without having been checked. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/options.h"
#include "check_suite.h"
#include "detectors/detector.h"
#include "detectors/registry.h"
#include "imiad/imiad.h"

#define WHOLE "-?[0-9]+"
#define REAL  "-?[0-9]+(\\.[0-9]+)?(e-?[0-9]+)?"

/* The syntax that imiad_option_type states, and that the parser reads. */
static bool well_formed(const option_spec *spec)
{
    static const char *const syntax[] = {[OPT_INT] = "^(" WHOLE ")?\\.\\.(" WHOLE ")?$",
                                         [OPT_REAL] = "^(" REAL "<?)?\\.\\.(" REAL ")?$",
                                         [OPT_BOOL] = "^$",
                                         [OPT_CHOICE] = "^[^|]+([|][^|]+)*$",
                                         [OPT_TEXT] = "^$"};
    regex_t expression;
    ck_assert_int_eq(regcomp(&expression, syntax[spec->type], REG_EXTENDED | REG_NOSUB), 0);
    bool matches = regexec(&expression, spec->range, 0, NULL, 0) == 0;
    regfree(&expression);
    return matches;
}

/* Given by a user, the default would be taken. */
static imiad_status accept_default(const char *owner, const option_spec *spec)
{
    const option_spec table[] = {*spec, {0}};
    const imiad_option given = {spec->name, spec->default_value};
    option_set *set;
    imiad_status status =
        options_parse(&set, owner, (const option_spec *const[]){table, NULL}, &given, 1);
    if (status == IMIAD_OK)
        options_free(set);
    return status;
}

static imiad_status metrics_option(imiad_option_info *out, const char *name, size_t index)
{
    return imiad_metrics_option_info(out, index);
}

static const struct {
    const char *what;
    const char *(*name)(size_t index); /* NULL: there is one schema */
    imiad_status (*option)(imiad_option_info *out, const char *name, size_t index);
} parts[] = {
    {"detector", imiad_detector_type_name, imiad_detector_option_info},
    {"dataset", imiad_dataset_type_name, imiad_dataset_option_info},
    {"setting", imiad_setting_name, imiad_setting_option_info},
    {"metrics", NULL, metrics_option},
};
enum { PARTS = sizeof parts / sizeof *parts };

START_TEST(defaults_lie_in_well_formed_ranges)
{
    const char *name = "";
    size_t options = 0;
    for (size_t n = 0; parts[_i].name ? (name = parts[_i].name(n)) != NULL : n == 0; ++n) {
        char owner[128];
        imiad_option_info info = IMIAD_OPTION_INFO_INIT;
        snprintf(owner, sizeof owner, "%s %s", parts[_i].what, name);
        size_t i = 0;
        for (; parts[_i].option(&info, name, i) == IMIAD_OK; ++i) {
            const option_spec spec = {info.name, (int)info.type, info.default_value, info.range,
                                      info.help};
            ck_assert_msg(spec.type >= OPT_INT && spec.type <= OPT_TEXT && spec.default_value &&
                              spec.range && spec.help && *spec.help,
                          "%s: option %s is not whole", owner, spec.name);
            ck_assert_msg(well_formed(&spec), "%s: option %s: its range \"%s\" is none", owner,
                          spec.name, spec.range);
            ck_ok(accept_default(owner, &spec));
        }
        ck_fails(parts[_i].option(&info, name, i), IMIAD_OUT_OF_RANGE, "option");
        options += i;
    }
    ck_assert_uint_gt(options, 0);
}
END_TEST

START_TEST(presets_set_options_that_there_are_within_their_ranges)
{
    for (const detector_ops *const *ops = detector_table; *ops; ++ops)
        for (const preset_value *row = (*ops)->presets; row && row->preset; ++row) {
            const imiad_option chosen = {"preset", row->preset};
            option_set *set;
            ck_ok(detector_parse_options(&set, *ops, &chosen, 1)); /* checks all that it sets */
            options_free(set);
        }
}
END_TEST

/* What the tests above are there to find. */
START_TEST(other_syntax_and_other_defaults_are_found)
{
    static const option_spec malformed[] = {
        {"a", OPT_INT, "1", "1-100", ""},   {"b", OPT_INT, "1", "[1, 100]", ""},
        {"c", OPT_INT, "1", "1...100", ""}, {"d", OPT_INT, "1", "0<..", ""},
        {"e", OPT_INT, "1", "", ""},        {"f", OPT_REAL, "1", "0..<1", ""},
        {"g", OPT_REAL, "1", ">0", ""},     {"h", OPT_BOOL, "true", "true|false", ""},
        {"i", OPT_CHOICE, "a", "a||b", ""}, {"j", OPT_CHOICE, "a", "", ""},
        {"k", OPT_TEXT, "a", "a|b", ""},    {0},
    };
    static const option_spec outside[] = {
        {"a", OPT_INT, "0", "1..100", ""}, {"b", OPT_INT, "1.5", "1..100", ""},
        {"c", OPT_REAL, "0", "0<..1", ""}, {"d", OPT_REAL, "", "0..", ""},
        {"e", OPT_BOOL, "1", "", ""},      {"f", OPT_CHOICE, "none", "max|mean", ""},
        {"g", OPT_INT, "1", "100..1", ""}, {0},
    };
    for (const option_spec *spec = malformed; spec->name; ++spec)
        ck_assert_msg(!well_formed(spec), "\"%s\"", spec->range);
    for (const option_spec *spec = outside; spec->name; ++spec) {
        ck_assert_msg(well_formed(spec), "\"%s\"", spec->range);
        ck_fails(accept_default("thing", spec), IMIAD_OUT_OF_RANGE, spec->name);
    }
}
END_TEST

START_TEST(a_misspelt_name_in_the_code_is_said_before_the_end)
{
    static const option_spec table[] = {{"layer", OPT_TEXT, "layer2", "", "layer"}, {0}};
    option_set *set;
    int ends[2], status;
    ck_ok(options_parse(&set, "thing", (const option_spec *const[]){table, NULL}, NULL, 0));
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        options_text(set, "layers");
        _exit(0);
    }
    close(ends[1]);
    char said[256] = "";
    ck_assert_int_gt(read(ends[0], said, sizeof said - 1), 0);
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_msg(strstr(said, "\"layers\""), "%s", said);
    options_free(set);
}
END_TEST

SUITE("options", LOOP_TEST(defaults_lie_in_well_formed_ranges, PARTS),
      TEST(presets_set_options_that_there_are_within_their_ranges),
      TEST(other_syntax_and_other_defaults_are_found),
      TEST(a_misspelt_name_in_the_code_is_said_before_the_end))
