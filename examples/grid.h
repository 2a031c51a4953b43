/* A grid of cells: every value that a setting varies, every category, every seed. */
#ifndef EXAMPLES_GRID_H
#define EXAMPLES_GRID_H

/* Which setting, the option that it varies (NULL: none) with the published values, NULL last. */
typedef struct grid_setting {
    const char *setting, *option, *argument, *help;
    const char *const *published;
    const char *about; /* for --help */
    const char
        *together;      /* help of --together: one detector for all categories; NULL: it has none */
    const char *models; /* help of --models: learned once for all values; NULL: it has none */
} grid_setting;

/* unsupervised, supervised, fewshot, noisy; NULL for others. */
const grid_setting *grid_setting_find(const char *name);

/* The whole program: reads the command line, runs what is not in the store yet, prints a table for
 * each value, writes the record. Finished cells stay when a later one fails. */
int grid_main(int argc, char **argv, const grid_setting *s);

#endif
