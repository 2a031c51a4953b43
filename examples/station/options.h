/* The station's command line. */
#ifndef STATION_OPTIONS_H
#define STATION_OPTIONS_H

#include <imiad/imiad.h>
#include <stdbool.h>

enum { MOST_WORDS = 64 };

typedef struct settings {
    imiad_option list[MOST_WORDS];
    size_t count;
} settings;

/* Exit statuses. */
enum { ALL_OK = 0, SOME_ANOMALOUS = 1, SOME_FAILED = 2 };

typedef struct command {
    const char *program;
    char *text;   /* as it was typed, for the record */
    char **words; /* what is no option: "learn", a folder, images */
    int word_count;
    settings dataset, detector_options, split;
    const char *detector, *backbone, *weights, *device, *precision, *setting, *category;
    char seed_text[32]; /* of the detector's option */
    long long seed, threads;
    long long tile_side; /* 0: whole images */
    double tile_overlap, quantile, share;
    bool skip_broken;
    const char *json; /* of check */
    imiad_sensitivity sensitivity;
    const char *pictures, *sheet;
    long long worst;
    bool null, watch, skip_existing;
    double settle; /* seconds */
} command;

/* Reads it; help and version are printed here. Returns 1 to go on, 0 when all is done, -1 after a
 * mistake, which was told. */
int command_read(command *c, int argc, char **argv);
void command_free(command *c);

/* Bare NAME=VALUE words: options of the dataset, the detector or the setting, wherever the name is
 * known. Returns 0, or -1 after a mistake. */
int command_sort_settings(command *c, int first);

/* "program: message" of the last error. Returns SOME_FAILED. */
int command_fail(const command *c, const char *doing);

#endif
