/* Writing HTML that is well-formed XML too. Whatever comes from outside goes through here. */
#ifndef REPORT_MARKUP_H
#define REPORT_MARKUP_H

#include <stdint.h>
#include <stdio.h>

/* The next character of a text, which moves on; U+FFFD for bytes that are no UTF-8 and for what
 * must not stand in a page: controls and marks that turn the direction of writing. 0 at the end. */
uint32_t next_character(const char **text);
void write_character(FILE *file, uint32_t character);

/* As text of an element or of an attribute in double quotes. */
void markup_text(FILE *file, const char *text);

/* printf whose %s are escaped, in this order; every other directive is refused. Markup itself
 * stands in the format:
 *     markup(file, "<td title=\"%s\">%s</td>", title, text); */
void markup(FILE *file, const char *format, ...);

/* So many decimals, with a true minus sign; an en dash for NAN. */
void markup_number(FILE *file, double number, int decimals);
void markup_signed(FILE *file, double number, int decimals); /* "+0.012" */

/* Three decimals for a metric; costs as they are large: "12.3", "1.9 GB". */
void markup_value(FILE *file, const char *name, double number);

/* Whether a name is of a cost, which varies between runs; or of a count of images. */
int is_cost(const char *name);
int is_count(const char *name);

/* " data-NAME="TEXT"" where there is a text. */
void markup_data(FILE *file, const char *name, const char *text);

/* A word in letters that an address takes: what is none becomes '-'. */
void markup_word(FILE *file, const char *text);

#endif
