/* The figures of the IM-IAD benchmark as its authors published them, with what is known against
 * them. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "report/published_data.h"

const char *imiad_mark_name(imiad_mark mark)
{
    switch (mark) {
    case IMIAD_MARK_NONE:
        return "";
    case IMIAD_MARK_TREND:
        return "trend";
    case IMIAD_MARK_CATEGORY:
        return "category";
    case IMIAD_MARK_DOUBTFUL:
        return "doubtful";
    case IMIAD_MARK_WRONG:
        return "wrong";
    }
    return "unknown";
}

/* Whether `text` is one of the names of "one|another". */
static bool listed(const char *names, const char *text)
{
    size_t length = strlen(text);
    for (const char *name = names; name; name = strchr(name, '|')) {
        name += *name == '|';
        if (strncmp(name, text, length) == 0 && (name[length] == '|' || name[length] == '\0'))
            return true;
    }
    return false;
}

static bool fits(const char *pattern, const char *text)
{
    if (strcmp(pattern, "*") == 0)
        return true;
    return *pattern == '!' ? !listed(pattern + 1, text) : listed(pattern, text);
}

void published_mark(imiad_published *p)
{
    const char *const fields[RULE_FIELDS] = {p->source,   p->setting, p->value, p->dataset,
                                             p->category, p->method,  p->metric};
    p->mark = IMIAD_MARK_NONE;
    p->reason = "";
    for (size_t i = 0; i < published_rule_count; ++i) {
        const published_rule *rule = &published_rules[i];
        size_t field = 0;
        while (field < RULE_FIELDS && fits(rule->patterns[field], fields[field]))
            ++field;
        if (field == RULE_FIELDS) {
            p->mark = rule->mark;
            p->reason = rule->reason;
            return;
        }
    }
}

static imiad_published describe(const published_row *row, const published_figure *figure)
{
    imiad_published p = {.source = published_names[row->source],
                         .setting = published_names[row->setting],
                         .value = published_names[row->value],
                         .dataset = published_names[row->dataset],
                         .category = published_names[figure->category],
                         .method = published_names[row->method],
                         .detector = published_names[row->detector],
                         .metric = published_names[row->metric],
                         .figure = (double)figure->scaled / PUBLISHED_UNIT,
                         .categories = row->categories};
    published_mark(&p);
    return p;
}

static imiad_status give(imiad_published *out, imiad_published p)
{
    p.struct_size = out->struct_size;
    memcpy(out, &p, out->struct_size < sizeof p ? out->struct_size : sizeof p);
    return IMIAD_OK;
}

size_t imiad_published_count(void)
{
    return published_figure_count;
}

imiad_status imiad_published_get(imiad_published *out, size_t index)
{
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_published_get: out is NULL");
    if (index >= published_figure_count)
        return fail(IMIAD_OUT_OF_RANGE, "published figure %zu: there are %zu", index,
                    published_figure_count);
    const published_figure *figure = &published_figures[index];
    return give(out, describe(&published_rows[figure->row], figure));
}

/* ---- values: "shots=4 augmentation=rotation" ---- */

/* The text behind "NAME=" among the words, and its length; an empty one where the name is missing
 * or "none". */
static const char *word_value(size_t *length, const char *words, const char *name,
                              size_t name_length)
{
    for (const char *word = words; *word; word += *word == ' ') {
        size_t size = strcspn(word, " ");
        if (size > name_length && strncmp(word, name, name_length) == 0 &&
            word[name_length] == '=') {
            *length = size - name_length - 1;
            const char *value = word + name_length + 1;
            if (*length == 4 && strncmp(value, "none", 4) == 0)
                *length = 0;
            return value;
        }
        word += size;
    }
    *length = 0;
    return "";
}

static bool read_value(double *out, const char *text, size_t length)
{
    char number[REAL_BYTES];
    if (length == 0 || length >= sizeof number)
        return false;
    memcpy(number, text, length);
    number[length] = '\0';
    return real_parse(out, number);
}

/* Numbers agree as numbers: 0.10 is 0.1. */
static bool same_value(const char *a, size_t a_length, const char *b, size_t b_length)
{
    double x, y;
    if (read_value(&x, a, a_length) && read_value(&y, b, b_length))
        return x == y;
    return a_length == b_length && strncmp(a, b, a_length) == 0;
}

/* Whether every word of `words` agrees with `others`. */
static bool words_agree(const char *words, const char *others)
{
    for (const char *word = words; *word; word += *word == ' ') {
        size_t name_length = strcspn(word, "= "), length, other_length;
        const char *value = word_value(&length, words, word, name_length);
        const char *other = word_value(&other_length, others, word, name_length);
        if (!same_value(value, length, other, other_length))
            return false;
        word += strcspn(word, " ");
    }
    return true;
}

/* One detector that learned several categories together: nobody published that. */
static bool learned_together(const char *given)
{
    size_t length;
    word_value(&length, given, "together", strlen("together"));
    return length > 0;
}

/* The words of `given` whose names are among those that rows of the setting have, checked one row's
 * names at a time: a name that no row knows is never looked for. */
static bool value_agrees(const published_row *row, const char *given)
{
    const char *value = published_names[row->value];
    uint16_t seen = row->value; /* rows of one value mostly follow one another */
    if (!words_agree(value, given) || learned_together(given))
        return false;
    for (size_t i = 0; i < published_row_count; ++i) {
        const published_row *other = &published_rows[i];
        if (other->setting != row->setting || other->value == row->value || other->value == seen)
            continue;
        seen = other->value;
        for (const char *word = published_names[other->value]; *word; word += *word == ' ') {
            size_t name_length = strcspn(word, "= "), length, given_length;
            const char *here = word_value(&length, value, word, name_length);
            const char *there = word_value(&given_length, given, word, name_length);
            if (!same_value(here, length, there, given_length))
                return false;
            word += strcspn(word, " ");
        }
    }
    return true;
}

/* ---- looking one up ---- */

static bool row_is(const published_row *row, const char *setting, const char *dataset,
                   const char *detector, const char *metric)
{
    const char *own = published_names[row->detector];
    return strcmp(published_names[row->setting], setting) == 0 &&
           strcmp(published_names[row->dataset], dataset) == 0 &&
           strcmp(published_names[row->metric], metric) == 0 &&
           (strcmp(published_names[row->method], detector) == 0 ||
            (*own && strcmp(own, detector) == 0));
}

imiad_status imiad_published_find(imiad_published *out, const char *setting, const char *value,
                                  const char *dataset, const char *category, const char *detector,
                                  const char *metric)
{
    if (!out || !setting || !dataset || !category || !detector || !metric)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_published_find: an argument is NULL");
    value = value ? value : "";
    imiad_published best = {.struct_size = 0};
    bool found = false;
    for (size_t i = 0; i < published_row_count; ++i) {
        const published_row *row = &published_rows[i];
        if (!row_is(row, setting, dataset, detector, metric) || !value_agrees(row, value))
            continue;
        for (uint32_t j = row->first; j < row->first + row->count; ++j) {
            if (strcmp(published_names[published_figures[j].category], category) != 0)
                continue;
            imiad_published p = describe(row, &published_figures[j]);
            if (!found || p.mark < best.mark)
                best = p;
            found = true;
        }
    }
    if (!found)
        return fail(IMIAD_NOT_FOUND, "nothing is published for setting %s %s, %s %s, %s, %s",
                    setting, value, dataset, category, detector, metric);
    return give(out, best);
}

const char *published_value(const char *setting, const char *given)
{
    enum { MOST = 64 };
    uint16_t seen[MOST]; /* values of the setting that were tried */
    size_t count = 0;
    for (size_t i = 0; i < published_row_count; ++i) {
        const published_row *row = &published_rows[i];
        size_t at = 0;
        if (strcmp(published_names[row->setting], setting) != 0)
            continue;
        while (at < count && seen[at] != row->value)
            ++at;
        if (at < count)
            continue;
        if (value_agrees(row, given))
            return published_names[row->value];
        if (count < MOST)
            seen[count++] = row->value;
    }
    return NULL;
}

/* ---- the paper's tables ---- */

bool printed_find(imiad_published *out, const char *source, const imiad_published *key)
{
    for (size_t i = 0; i < printed_row_count; ++i) {
        const published_row *row = &printed_rows[i];
        const uint16_t names[] = {row->source,  row->setting, row->value,
                                  row->dataset, row->method,  row->metric};
        const char *const wanted[] = {source,       key->setting, key->value,
                                      key->dataset, key->method,  key->metric};
        size_t n = 0;
        while (n < 6 && strcmp(published_names[names[n]], wanted[n]) == 0)
            ++n;
        for (uint32_t j = row->first; n == 6 && j < row->first + row->count; ++j)
            if (strcmp(published_names[printed_figures[j].category], key->category) == 0) {
                *out = describe(row, &printed_figures[j]);
                return true;
            }
    }
    return false;
}
