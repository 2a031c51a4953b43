#include "benchmark/plan_reader.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- mistakes ---- */

__attribute__((format(printf, 3, 4))) int plan_wrong(const reader *r, const char *where,
                                                     const char *format, ...)
{
    va_list list;
    fprintf(stderr, "%s: %s: %s%s", r->program, r->plan->path, where, *where ? ": " : "");
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return -1;
}

/* What does not fit is left out: it is only said where something is wrong. */
static void append(char out[PLACE], const char *text)
{
    size_t length = strlen(out), more = strlen(text), room = PLACE - 1 - length;
    more = more < room ? more : room;
    memcpy(out + length, text, more);
    out[length + more] = '\0';
}

/* "settings[2]" and "detectors" make "settings[2].detectors". */
const char *plan_below(char out[PLACE], const char *where, const char *key)
{
    *out = '\0';
    append(out, where);
    append(out, *where ? "." : "");
    append(out, key);
    return out;
}

const char *plan_item(char out[PLACE], const char *where, size_t index)
{
    char number[32];
    snprintf(number, sizeof number, "[%zu]", index);
    *out = '\0';
    append(out, where);
    append(out, number);
    return out;
}

/* Every key is one of `known`, NULL last, or "note", which is for people. */
int plan_check_keys(const reader *r, const char *where, json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;
    char list[PLACE] = "";
    if (!json_is_object(object))
        return plan_wrong(r, where, "it must be an object, {...}");
    for (const char *const *k = known; *k; ++k) {
        append(list, k == known ? "" : ", ");
        append(list, *k);
    }
    json_object_foreach(object, key, value)
    {
        const char *const *k = known;
        while (*k && strcmp(*k, key) != 0)
            ++k;
        if (!*k && strcmp(key, "note") != 0)
            return plan_wrong(r, where, "\"%s\" is no key here: these are %s, note", key, list);
    }
    return 0;
}

/* ---- texts ---- */

const char *plan_keep_text(reader *r, const char *text)
{
    json_t *kept = json_string_nocheck(text);
    return json_array_append_new(r->plan->texts, kept) == 0 ? json_string_value(kept) : "";
}

/* A text, or NULL where the key is not there. */
int plan_read_text(const reader *r, const char *where, const json_t *object, const char *key,
                   const char **out)
{
    char place[PLACE];
    const json_t *value = json_object_get(object, key);
    if (!value)
        return 0;
    if (!json_is_string(value) || !*json_string_value(value))
        return plan_wrong(r, plan_below(place, where, key), "it must be a text that is not empty");
    *out = json_string_value(value);
    return 0;
}

/* The shortest decimal number that is the same: 0.1, not 0.10000000000000001. */
static const char *number_text(reader *r, double value)
{
    char text[40];
    for (int digits = 1; digits <= 17; ++digits) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (strchr(text, 'e')) /* as people write options: 0.00001 */
        for (int digits = 0; digits <= 30; ++digits) {
            char plain[40];
            snprintf(plain, sizeof plain, "%.*f", digits, value);
            if (strtod(plain, NULL) == value)
                return plan_keep_text(r, plain);
        }
    return plan_keep_text(r, text);
}

/* An option's value: texts, numbers and truths are all text in the end. NULL after a mistake. */
const char *plan_value_text(reader *r, const char *where, const json_t *value)
{
    char text[32];
    switch (json_typeof(value)) {
    case JSON_STRING:
        return json_string_value(value);
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_INTEGER:
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        return plan_keep_text(r, text);
    case JSON_REAL:
        return number_text(r, json_real_value(value));
    default:
        plan_wrong(r, where, "it must be a text, a number, true or false");
        return NULL;
    }
}

/* A list of texts, or nothing where the key is not there. */
int plan_read_texts(const reader *r, const char *where, const json_t *object, const char *key,
                    const char **out, size_t *count, size_t most)
{
    char place[PLACE], at[PLACE];
    const json_t *list = json_object_get(object, key);
    plan_below(place, where, key);
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > most)
        return plan_wrong(r, place, "it must be a list of 1 to %zu texts, [...]", most);
    for (size_t i = 0; i < json_array_size(list); ++i) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || !*text)
            return plan_wrong(r, plan_item(at, place, i), "it must be a text that is not empty");
        for (size_t k = 0; k < *count; ++k)
            if (strcmp(out[k], text) == 0)
                return plan_wrong(r, plan_item(at, place, i), "\"%s\" comes twice", text);
        out[(*count)++] = text;
    }
    return 0;
}
