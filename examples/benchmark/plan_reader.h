/* Reading a plan's JSON: what is wrong with it is told with the place in the file. */
#ifndef BENCHMARK_PLAN_READER_H
#define BENCHMARK_PLAN_READER_H

#include "benchmark/plan.h"

enum { PLACE = 512 };

typedef struct reader {
    const char *program;
    plan *plan;
    const json_t *defaults;
} reader;

/* Prints a mistake at a place; returns -1. */
__attribute__((format(printf, 3, 4))) int plan_wrong(const reader *r, const char *where,
                                                     const char *format, ...);
/* "settings[2]" and "detectors" make "settings[2].detectors"; "seeds" and 1 make "seeds[1]". */
const char *plan_below(char out[PLACE], const char *where, const char *key);
const char *plan_item(char out[PLACE], const char *where, size_t index);

/* Every key is one of `known`, NULL last, or "note", which is for people. */
int plan_check_keys(const reader *r, const char *where, json_t *object, const char *const *known);

/* A copy that lives as long as the plan. */
const char *plan_keep_text(reader *r, const char *text);
/* A text, or NULL where the key is not there. */
int plan_read_text(const reader *r, const char *where, const json_t *object, const char *key,
                   const char **out);
/* A list of texts. */
int plan_read_texts(const reader *r, const char *where, const json_t *object, const char *key,
                    const char **out, size_t *count, size_t most);
/* The value of an option: a text, a number or a truth as text; NULL with a message otherwise. */
const char *plan_value_text(reader *r, const char *where, const json_t *value);

#endif
