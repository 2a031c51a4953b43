/* Text for a terminal of 80 columns. */
#ifndef EXAMPLES_WRAPPED_H
#define EXAMPLES_WRAPPED_H

/* Prints the words of a text, each line behind `indent` blanks, where `printed` characters of the
 * first line are there already; a word that is longer than a line has one of its own. */
void print_wrapped(const char *text, int indent, int printed);

#endif
