/* Text that came from outside. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Text from a file as a message may show it: cut, and what is not printable ASCII as '?'. */
typedef struct shown {
    char text[80];
} shown;
shown show_text(const char *text, size_t length);

bool text_is_utf8(const char *text, size_t length); /* and free of NUL */

/* Text as JSON holds it: a path may be any bytes, and those that are no UTF-8 become U+FFFD, the
 * mark of what cannot be shown. NULL only when memory runs out. */
struct json_t;
struct json_t *text_to_json(const char *text);

#endif
