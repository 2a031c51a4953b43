#include "base/options.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { MOST_OPTIONS = 128 };

struct option_set {
    size_t count;
    option_spec specs[MOST_OPTIONS];
    char *values[MOST_OPTIONS];
};

/* strtod in the C locale: a host program's decimal comma must not change what "0.1" means. */
static locale_t plain_locale;

static void make_plain_locale(void)
{
    plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t plain(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_plain_locale);
    return plain_locale;
}

static double read_real(const char *text, char **end)
{
    return strtod_l(text, end, plain());
}

/* The locale of this thread alone changes, and only while it prints. */
void plain_print(char *out, size_t size, const char *format, ...)
{
    locale_t before = uselocale(plain());
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out, size, format, arguments);
    va_end(arguments);
    uselocale(before);
}

bool real_parse(double *out, const char *text)
{
    char *end;
    *out = read_real(text, &end);
    if (end == text || !isfinite(*out))
        return false;
    return end[strspn(end, " ")] == '\0';
}

/* The merged schema: order of first appearance, definition of the last. */
static size_t merge(option_spec merged[MOST_OPTIONS], const option_spec *const *tables)
{
    size_t count = 0;
    for (; *tables; ++tables)
        for (const option_spec *spec = *tables; spec->name; ++spec) {
            size_t i = 0;
            while (i < count && strcmp(merged[i].name, spec->name) != 0)
                ++i;
            if (i == MOST_OPTIONS)
                abort();
            if (i < count && !spec->range)
                merged[i].default_value = spec->default_value;
            else
                merged[i] = *spec;
            count += i == count;
        }
    return count;
}

/* "low..high", "low..", "..high", "low<..high" */
static bool in_range(const char *range, double value)
{
    const char *dots = strstr(range, "..");
    if (!dots)
        return true;
    bool open = dots > range && dots[-1] == '<';
    if (dots > range) {
        double low = read_real(range, NULL);
        if (open ? value <= low : value < low)
            return false;
    }
    return !dots[2] || value <= read_real(dots + 2, NULL);
}

static bool among(const char *choices, const char *value)
{
    size_t length = strlen(value);
    if (strchr(value, '|'))
        return false;
    for (const char *choice = choices; choice; choice = strchr(choice, '|')) {
        choice += *choice == '|';
        if (strncmp(choice, value, length) == 0 && (choice[length] == '|' || !choice[length]))
            return length > 0;
    }
    return false;
}

static imiad_status check(const char *owner, const option_spec *spec, const char *value)
{
    char *end = NULL;
    bool number = true, good = true;
    errno = 0;
    switch (spec->type) {
    case OPT_INT: {
        long long parsed = strtoll(value, &end, 10);
        number = end != value && !*end && errno == 0;
        good = in_range(spec->range, (double)parsed);
        break;
    }
    case OPT_REAL: {
        double parsed = read_real(value, &end);
        number = end != value && !*end && isfinite(parsed);
        good = in_range(spec->range, parsed);
        break;
    }
    case OPT_BOOL:
        good = among("true|false", value);
        break;
    case OPT_CHOICE:
        good = among(spec->range, value);
        break;
    }
    if (!number)
        return fail(IMIAD_OUT_OF_RANGE, "%s: option %s is \"%s\", which is not %s", owner,
                    spec->name, value, spec->type == OPT_INT ? "a whole number" : "a number");
    if (!good)
        return fail(IMIAD_OUT_OF_RANGE, "%s: option %s is \"%s\": it must be in %s", owner,
                    spec->name, value, spec->type == OPT_BOOL ? "true|false" : spec->range);
    return IMIAD_OK;
}

static imiad_status unknown(const char *owner, const option_set *set, const char *name)
{
    char known[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < set->count && used < sizeof known; ++i)
        used += (size_t)snprintf(known + used, sizeof known - used, " %s", set->specs[i].name);
    return fail(IMIAD_UNKNOWN_OPTION, "%s has no option \"%s\"; it has:%s", owner, name, known);
}

static imiad_status set_values(option_set *set, const char *owner, const imiad_option *given,
                               size_t given_count)
{
    for (size_t g = 0; g < given_count; ++g) {
        if (!given[g].name || !given[g].value)
            return fail(IMIAD_INVALID_ARGUMENT, "%s: option %zu has no name or no value", owner, g);
        size_t i = 0;
        while (i < set->count && strcmp(set->specs[i].name, given[g].name) != 0)
            ++i;
        if (i == set->count)
            return unknown(owner, set, given[g].name);
        TRY(check(owner, &set->specs[i], given[g].value));
        char *value = strdup(given[g].value);
        if (!value) /* the default must not take its place */
            return fail_memory("options", strlen(given[g].value));
        free(set->values[i]);
        set->values[i] = value;
    }
    for (size_t i = 0; i < set->count; ++i) {
        if (!set->values[i])
            set->values[i] = strdup(set->specs[i].default_value);
        if (!set->values[i])
            return fail_memory("options", strlen(set->specs[i].default_value));
    }
    return IMIAD_OK;
}

imiad_status options_parse(option_set **out, const char *owner, const option_spec *const *tables,
                           const imiad_option *given, size_t given_count)
{
    if (given_count > 0 && !given)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: options is NULL but their count is %zu", owner,
                    given_count);
    option_set *set = calloc(1, sizeof *set);
    if (!set)
        return fail_memory("options", sizeof *set);
    set->count = merge(set->specs, tables);
    imiad_status status = set_values(set, owner, given, given_count);
    if (status != IMIAD_OK) {
        options_free(set);
        return status;
    }
    *out = set;
    return IMIAD_OK;
}

void options_free(option_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; ++i)
        free(set->values[i]);
    free(set);
}

const char *options_find(const option_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; ++i)
        if (strcmp(set->specs[i].name, name) == 0)
            return set->values[i];
    return NULL;
}

const char *options_text(const option_set *set, const char *name)
{
    const char *value = options_find(set, name);
    if (!value) { /* a schema without a name that its own code reads */
        fprintf(stderr, "libimiad: the code reads option \"%s\", which its schema lacks\n", name);
        abort();
    }
    return value;
}

int64_t options_int(const option_set *set, const char *name)
{
    return strtoll(options_text(set, name), NULL, 10);
}

double options_real(const option_set *set, const char *name)
{
    return read_real(options_text(set, name), NULL);
}

bool options_bool(const option_set *set, const char *name)
{
    return strcmp(options_text(set, name), "true") == 0;
}

size_t options_count(const option_set *set)
{
    return set->count;
}

imiad_option options_get(const option_set *set, size_t index)
{
    return (imiad_option){set->specs[index].name, set->values[index]};
}

imiad_status options_info(imiad_option_info *out, const option_spec *const *tables, size_t index)
{
    option_spec merged[MOST_OPTIONS];
    size_t count = merge(merged, tables);
    if (!out || out->struct_size < sizeof *out)
        return fail(IMIAD_INVALID_ARGUMENT, "option info: struct_size is not set");
    if (index >= count)
        return fail(IMIAD_OUT_OF_RANGE, "option %zu of %zu", index, count);
    const option_spec *spec = &merged[index];
    out->type = (imiad_option_type)spec->type;
    out->name = spec->name;
    out->default_value = spec->default_value;
    out->range = spec->range;
    out->help = spec->help;
    return IMIAD_OK;
}

/* ---- schemas of the caller's ---- */

static char *copy_text(const char *text)
{
    return strdup(text ? text : "");
}

static imiad_status copy_spec(option_spec *out, const char *owner, const imiad_option_info *info)
{
    if (!info->name || !*info->name || !info->default_value)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: an option has no name or no default", owner);
    if (info->type < IMIAD_OPTION_INT || info->type > IMIAD_OPTION_TEXT)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: option %s is of type %d, which is none", owner,
                    info->name, (int)info->type);
    *out = (option_spec){copy_text(info->name), (int)info->type, copy_text(info->default_value),
                         copy_text(info->range), copy_text(info->help)};
    if (!out->name || !out->default_value || !out->range || !out->help)
        return fail_memory("options", sizeof *out);
    return check(owner, out, out->default_value);
}

imiad_status options_schema(option_spec **out, const char *owner, const imiad_option_info *infos,
                            size_t count)
{
    if (count > 0 && (!infos || infos->struct_size < sizeof *infos))
        return fail(IMIAD_INVALID_ARGUMENT, "%s: options is NULL, or struct_size is not set",
                    owner);
    if (count > MOST_OPTIONS / 2)
        return fail(IMIAD_OUT_OF_RANGE, "%s: %zu options; at most %d are allowed", owner, count,
                    MOST_OPTIONS / 2);
    option_spec *schema = calloc(count + 1, sizeof *schema);
    if (!schema)
        return fail_memory("options", (count + 1) * sizeof *schema);
    for (size_t i = 0; i < count; ++i) {
        /* an array of the caller's has the step that the caller was compiled with */
        const char *at = (const char *)infos + i * infos->struct_size;
        imiad_status status = copy_spec(&schema[i], owner, (const imiad_option_info *)at);
        if (status != IMIAD_OK) {
            options_schema_free(schema);
            return status;
        }
    }
    *out = schema;
    return IMIAD_OK;
}

void options_schema_free(option_spec *schema)
{
    for (option_spec *spec = schema; spec && spec->name; ++spec) {
        free((char *)spec->name);
        free((char *)spec->default_value);
        free((char *)spec->range);
        free((char *)spec->help);
    }
    free(schema);
}
