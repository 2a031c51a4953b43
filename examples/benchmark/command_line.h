/* A job as the command line of a worker: `benchmark work SETTING` and the options of the setting's
 * program, with which anybody can run the cell again. */
#ifndef BENCHMARK_COMMAND_LINE_H
#define BENCHMARK_COMMAND_LINE_H

#include "benchmark/options.h"

typedef struct command_line {
    char **words; /* NULL last */
    size_t count, room;
    int bad; /* memory ran out */
} command_line;

void command_line_make(command_line *out, const jobs *j, const job *of, const options *o,
                       int threads);
void command_line_free(command_line *line);

#endif
