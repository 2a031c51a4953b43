/* The settings that a plan may name, and what their programs are given. */
#ifndef BENCHMARK_SETTINGS_H
#define BENCHMARK_SETTINGS_H

#include <stddef.h>

/* An option of a setting's program that its split does not have. It is part of the cell's value. */
typedef struct own_setting {
    const char *name;
    const char *usual; /* the program's default; NULL: a plan has to say it */
    long least;        /* a whole number from there on; -1: a text */
} own_setting;
enum { MOST_OWN = 2 };

typedef struct plan_setting {
    const char *name;
    const char *split;  /* the registered setting of its splits */
    const char *option; /* of the split's, which its program takes as an option of its own */
    own_setting own[MOST_OWN];
    size_t own_count;
    int sequence; /* all categories are one job */
    int (*run)(int argc, char **argv);
} plan_setting;

/* NULL for a name that is none. */
const plan_setting *plan_setting_find(const char *name);
/* The setting's own option of that name, or NULL. */
const own_setting *plan_setting_own(const plan_setting *s, const char *name);

#endif
