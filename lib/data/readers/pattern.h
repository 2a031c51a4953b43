/* Patterns that describe where files lie below a root:
 *   - `*` stands for any text within one name, not across folders;
 *   - {category}, {kind}, {group}, {domain} and {stem} do too, and are remembered: where the same
 *     one stands again, it stands for the same text;
 *   - an extension fits in any case. */
#ifndef DATA_READERS_PATTERN_H
#define DATA_READERS_PATTERN_H

#include <stdbool.h>

#include "imiad/common.h"

enum { PATTERN_TEXT_BYTES = 256 };

enum { IN_CATEGORY, IN_KIND, IN_GROUP, IN_DOMAIN, IN_STEM, PLACEHOLDERS };

/* What the placeholders stand for; "" is not known yet. */
typedef struct captures {
    char text[PLACEHOLDERS][PATTERN_TEXT_BYTES];
} captures;

/* A pattern stays below the root, and its braces hold what there is. `option` names whose it is. */
imiad_status pattern_check(const char *option, const char *pattern);

/* Whether a folder's or a file's name fits the part from `pattern` to `end`; the captures are those
 * of one of the ways in which it fits, the one whose texts are longest. */
bool pattern_name_fits(const char *pattern, const char *end, const char *name, captures *c);
/* The same for the name of a file and the last part of a pattern. */
bool pattern_file_fits(const char *pattern, const char *name, captures *c);
/* The same for a path below the root, part by part. */
bool pattern_path_fits(const char *pattern, const char *path, captures *c);

/* The text that every path that fits must begin with, as far as the known captures tell: at most
 * `size` bytes with the NUL. */
void pattern_prefix(char *out, size_t size, const char *pattern, const captures *known);

#endif
