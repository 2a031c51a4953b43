#include "data/readers/pattern.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "data/dataset.h"

static const char *const placeholders[PLACEHOLDERS] = {
    [IN_CATEGORY] = "{category}", [IN_KIND] = "{kind}", [IN_GROUP] = "{group}",
    [IN_DOMAIN] = "{domain}",     [IN_STEM] = "{stem}",
};

static int placeholder_at(const char *pattern)
{
    for (int i = 0; i < PLACEHOLDERS; ++i)
        if (strncmp(pattern, placeholders[i], strlen(placeholders[i])) == 0)
            return i;
    return -1;
}

/* A placeholder with the text that it already has, or with every text that it could have, the
 * longest first. */
static bool placeholder_fits(int which, const char *rest, const char *end, const char *name,
                             captures *c)
{
    char *text = c->text[which];
    size_t known = strlen(text);
    if (known > 0)
        return strncmp(name, text, known) == 0 && pattern_name_fits(rest, end, name + known, c);
    for (size_t length = strlen(name); length > 0; --length) {
        if (length >= PATTERN_TEXT_BYTES)
            continue;
        memcpy(text, name, length);
        text[length] = '\0';
        if (pattern_name_fits(rest, end, name + length, c))
            return true;
    }
    text[0] = '\0';
    return false;
}

bool pattern_name_fits(const char *pattern, const char *end, const char *name, captures *c)
{
    if (pattern == end)
        return *name == '\0';
    if (*pattern == '*') {
        for (const char *rest = name + strlen(name); rest >= name; --rest)
            if (pattern_name_fits(pattern + 1, end, rest, c))
                return true;
        return false;
    }
    int which = placeholder_at(pattern);
    if (which >= 0)
        return placeholder_fits(which, pattern + strlen(placeholders[which]), end, name, c);
    return *pattern == *name && pattern_name_fits(pattern + 1, end, name + 1, c);
}

/* The extension that a pattern's last part ends in; NULL where a wildcard may stand for it. */
static const char *extension_of(const char *pattern)
{
    const char *dot = strrchr(pattern, '.');
    return dot && !strpbrk(dot, "*{/") ? dot : NULL;
}

bool pattern_file_fits(const char *pattern, const char *name, captures *c)
{
    const char *dot = extension_of(pattern);
    if (!dot)
        return pattern_name_fits(pattern, pattern + strlen(pattern), name, c);
    char stem[PATTERN_TEXT_BYTES];
    size_t length = stem_length(name);
    if (length >= sizeof stem || strcasecmp(name + length, dot) != 0)
        return false;
    memcpy(stem, name, length);
    stem[length] = '\0';
    return pattern_name_fits(pattern, dot, stem, c);
}

bool pattern_path_fits(const char *pattern, const char *path, captures *c)
{
    for (;;) {
        const char *part = strchr(pattern, '/'), *slash = strchr(path, '/');
        if (!part || !slash)
            return !part && !slash && pattern_file_fits(pattern, path, c);
        char name[PATTERN_TEXT_BYTES];
        size_t length = (size_t)(slash - path);
        if (length >= sizeof name)
            return false;
        memcpy(name, path, length);
        name[length] = '\0';
        if (!pattern_name_fits(pattern, part, name, c))
            return false;
        pattern = part + 1;
        path = slash + 1;
    }
}

void pattern_prefix(char *out, size_t size, const char *pattern, const captures *known)
{
    const char *end = extension_of(pattern);
    size_t used = 0;
    while (*pattern && *pattern != '*' && pattern != end) {
        int which = placeholder_at(pattern);
        const char *text = which >= 0 ? known->text[which] : pattern;
        size_t length = which >= 0 ? strlen(text) : 1;
        if (length == 0 || used + length >= size)
            break;
        memcpy(out + used, text, length);
        used += length;
        pattern += which >= 0 ? strlen(placeholders[which]) : 1;
    }
    out[used] = '\0';
}

imiad_status pattern_check(const char *option, const char *pattern)
{
    if (*pattern == '/' || strcmp(pattern, "..") == 0 || strncmp(pattern, "../", 3) == 0 ||
        strstr(pattern, "/../"))
        return fail(IMIAD_OUT_OF_RANGE,
                    "dataset folder: option %s is \"%s\", which leads out of the root", option,
                    pattern);
    for (const char *brace = pattern; (brace = strchr(brace, '{')); ++brace)
        if (strchr(brace, '}') && placeholder_at(brace) < 0)
            return fail(IMIAD_OUT_OF_RANGE,
                        "dataset folder: option %s is \"%s\": %.*s is none of {category}, {kind}, "
                        "{group}, {domain} and {stem}",
                        option, pattern, (int)(strchr(brace, '}') + 1 - brace), brace);
    return IMIAD_OK;
}
