/* What makes verdicts doubtful: said loudly, and kept for the record. */
#ifndef STATION_WARNINGS_H
#define STATION_WARNINGS_H

#include <imiad/imiad.h>
#include <jansson.h>

typedef struct warnings {
    json_t *list; /* {"code", "message"} each */
} warnings;

/* Writes "WARNING: ..." to standard error and keeps it under a code such as "random_weights". */
void warn(warnings *w, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* That the network's weights are random. */
void warn_of_weights(warnings *w, const imiad_detector *detector);

/* Whether the detector's resize and crop leave a part of such an image out. */
int hides_border(const imiad_detector *detector, int32_t width, int32_t height);

#endif
