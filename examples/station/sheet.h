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

typedef struct sheet {
    const char *file;  /* NULL: none is wanted */
    sheet_part *worst; /* by falling score */
    size_t count, most;
    bool changed;
} sheet;

/* Returns 0, or -1 with a message printed. */
int sheet_open(sheet *s, const char *file, size_t most);
void sheet_close(sheet *s);

/* Keeps the part if it is among the worst. */
void sheet_add(sheet *s, const char *path, bool anomalous, double score, double threshold);

/* Writes the page, whole or not at all, if there is something new; pictures are those of `folder`.
 * Returns 0, or -1 with a message printed. */
int sheet_write(sheet *s, const char *program, const char *folder, size_t inspected,
                size_t anomalous, size_t failed);

#endif
