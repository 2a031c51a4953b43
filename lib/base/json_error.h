/* Why jansson gave no value: the text is wrong, or memory ran out. It does not say. */
#ifndef BASE_JSON_ERROR_H
#define BASE_JSON_ERROR_H

#include <jansson.h>
#include <stdbool.h>

#include "base/text.h"
#include "imiad/common.h"

/* Reads a text with jansson's flags. IMIAD_FORMAT, which records no message, where the text is
 * wrong: `error` says how. IMIAD_NO_MEMORY, with its message that names `what`. */
imiad_status json_read(json_t **out, const void *bytes, size_t size, size_t flags,
                       json_error_t *error, const char *what);

/* Puts a text into an object, as text_to_json makes it. False where memory runs out. */
bool json_put_text(json_t *object, const char *name, const char *text);

#endif
