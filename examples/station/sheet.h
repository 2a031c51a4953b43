/* A contact sheet: the worst parts on one HTML page. */
#ifndef STATION_SHEET_H
#define STATION_SHEET_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sheet_part {
    char *path;
    bool anomalous;
    double score, threshold;
} sheet_part;

typedef struct sheet_failure {
    char *path, *problem;
} sheet_failure;

typedef struct sheet {
    const char *file;  /* NULL: none is wanted */
    sheet_part *worst; /* by falling score */
    size_t count, most;
    sheet_failure *failures; /* the first ones, at most `most` */
    size_t failure_count;
    bool changed;
} sheet;

/* Returns 0, or -1 with a message printed. */
int sheet_open(sheet *s, const char *file, size_t most);
void sheet_close(sheet *s);

/* Keeps the part if it is among the worst. */
void sheet_add(sheet *s, const char *path, bool anomalous, double score, double threshold);

/* Keeps an image that could not be inspected, if there are not too many already. */
void sheet_add_failure(sheet *s, const char *path, const char *problem);

/* Writes the page, whole or not at all, if there is something new; pictures are those of `folder`.
 * Returns 0, or -1 with a message printed. */
int sheet_write(sheet *s, const char *program, const char *folder, size_t inspected,
                size_t anomalous, size_t failed);

#endif
