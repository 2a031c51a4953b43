/* Numbers as people type and read them, a standard output that is looked after, and a clock. */
#ifndef EXAMPLES_CHECKED_H
#define EXAMPLES_CHECKED_H

#include <stdio.h>

/* The whole text as a number within low..high. Returns 0, or -1 and leaves *out alone: text behind
 * the number, an empty text and numbers that do not fit are refused. */
int checked_number(long long *out, const char *text, long long low, long long high);
int checked_real(double *out, const char *text, double low, double high);

/* The command line as one text, quoted where a shell would need it. New memory, or NULL. */
char *checked_command(int argc, char **argv);

/* Of a clock that nobody sets. */
double seconds_now(void);

/* A score as people read it: four digits, and no exponent from a thousandth to ten million. */
enum { SCORE_TEXT = 32 };
const char *checked_score(char out[SCORE_TEXT], double score);

/* For the end of main: writes out what standard output still holds. Returns `code`, or `failure`
 * with a message where something could not be written. */
int checked_stdout(const char *program, int code, int failure);

/* For "-" as an output file: a stream to what standard output was, while everything else that is
 * printed goes to standard error from now on. NULL with a message where that fails. */
FILE *checked_take_stdout(const char *program);

#endif
