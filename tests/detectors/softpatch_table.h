/* What tests/golden/make_softpatch.py printed of SoftPatch's official code: lines
 * "kind,run,key,...".
 */
#ifndef TESTS_DETECTORS_SOFTPATCH_TABLE_H
#define TESTS_DETECTORS_SOFTPATCH_TABLE_H

#include <math.h>
#include <string.h>

#include "check_suite.h"

#define TABLE "tests/golden/softpatch.csv"

typedef struct table {
    char **lines;
    size_t count;
} table;

static inline table read_table(void)
{
    const char *source = getenv("IMIAD_SOURCE");
    char path[4096], line[1024];
    snprintf(path, sizeof path, "%s/%s", source ? source : ".", TABLE);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "no %s", path);
    table t = {NULL, 0};
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        t.lines = realloc(t.lines, (t.count + 1) * sizeof *t.lines);
        t.lines[t.count++] = strdup(line);
    }
    fclose(file);
    return t;
}

static inline void free_table(table *t)
{
    for (size_t i = 0; i < t->count; ++i)
        free(t->lines[i]);
    free(t->lines);
}

/* What follows "kind,run," in the next line that begins so; NULL after the last. */
static inline const char *next_line(const table *t, size_t *at, const char *kind, const char *run)
{
    char begin[128];
    size_t length = (size_t)snprintf(begin, sizeof begin, "%s,%s,", kind, run);
    while (*at < t->count)
        if (strncmp(t->lines[(*at)++], begin, length) == 0)
            return t->lines[*at - 1] + length;
    return NULL;
}

/* The number behind "kind,run,key,". */
static inline double stored(const table *t, const char *kind, const char *run, const char *key)
{
    size_t length = strlen(key);
    const char *line;
    for (size_t at = 0; (line = next_line(t, &at, kind, run));)
        if (strncmp(line, key, length) == 0 && line[length] == ',')
            return strtod(line + length + 1, NULL);
    ck_abort_msg("%s has no %s,%s,%s", TABLE, kind, run, key);
}

static inline void ck_near(double found, double wanted, double relative, int64_t row)
{
    ck_assert_msg(fabs(found - wanted) <= relative * fabs(wanted), "row %lld: %.9g, not %.9g",
                  (long long)row, found, wanted);
}

#endif
