/* Options: name/value pairs checked against a schema, a table of option_spec. The command line, the
 * bindings and the documentation come from the same tables. */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <stdbool.h>

#include "imiad/common.h"

enum {
    OPT_INT = IMIAD_OPTION_INT,
    OPT_REAL = IMIAD_OPTION_REAL,
    OPT_BOOL = IMIAD_OPTION_BOOL,
    OPT_CHOICE = IMIAD_OPTION_CHOICE,
    OPT_TEXT = IMIAD_OPTION_TEXT
};

typedef struct option_spec {
    const char *name; /* NULL ends a table */
    int type;         /* OPT_... */
    const char *default_value;
    const char *range; /* "1..100", "0..", "0<..1", "a|b|c", "", as imiad_option_type says */
    const char *help;  /* one line */
} option_spec;

/* The values of one schema: tables one after the other; the last definition of a name replaces
 * the earlier ones whole, or with range and help NULL only gives it another default. */
typedef struct option_set option_set;

/* owner names whose options these are in messages: "detector patchcore". tables ends in NULL. */
imiad_status options_parse(option_set **out, const char *owner, const option_spec *const *tables,
                           const imiad_option *given, size_t given_count);
void options_free(option_set *set);

/* Reading an option that the schema lacks is a programming error: says its name and aborts. */
int64_t options_int(const option_set *set, const char *name);
double options_real(const option_set *set, const char *name);
bool options_bool(const option_set *set, const char *name);
const char *options_text(const option_set *set, const char *name); /* any type; borrowed */

size_t options_count(const option_set *set);
imiad_option options_get(const option_set *set, size_t index);
const char *options_find(const option_set *set, const char *name); /* NULL where there is none */

/* A table made of a caller's descriptions, whose text is copied; every default must be within its
 * own range. `owner` names whose they are in messages. */
imiad_status options_schema(option_spec **out, const char *owner, const imiad_option_info *infos,
                            size_t count);
void options_schema_free(option_spec *schema);

/* A finite number in the C locale, whatever the program's own; false for anything else. */
bool real_parse(double *out, const char *text);

/* snprintf in the C locale, whatever the program's own. */
enum { REAL_BYTES = 40 }; /* room for any number that %.17g prints */
void plain_print(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The index-th option of the merged tables, for the public ..._option_info functions. */
imiad_status options_info(imiad_option_info *out, const option_spec *const *tables, size_t index);

#endif
