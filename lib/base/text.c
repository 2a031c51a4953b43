#include "base/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

bool text_is_utf8(const char *text, size_t length)
{
    if (memchr(text, '\0', length))
        return false;
    json_t *string = json_stringn(text, length); /* NULL for what is not UTF-8 */
    json_decref(string);
    return string != NULL;
}

/* The bytes of the UTF-8 sequence that the text begins with; 0 where it is none. */
static size_t sequence_length(const char *text)
{
    for (size_t length = 1; length <= 4 && text[length - 1]; ++length)
        if (text_is_utf8(text, length))
            return length;
    return 0;
}

struct json_t *text_to_json(const char *text)
{
    static const char unknown[] = "\xEF\xBF\xBD";
    json_t *string = json_string(text);
    char *copy = string ? NULL : malloc(3 * strlen(text) + 1), *to = copy;
    if (!copy)
        return string;
    while (*text) {
        size_t length = sequence_length(text);
        memcpy(to, length > 0 ? text : unknown, length > 0 ? length : 3);
        to += length > 0 ? length : 3;
        text += length > 0 ? length : 1;
    }
    *to = '\0';
    string = json_string(copy);
    free(copy);
    return string;
}

shown show_text(const char *text, size_t length)
{
    shown s;
    size_t room = sizeof s.text - 1, kept = length <= room ? length : room;
    for (size_t i = 0; i < kept; ++i)
        s.text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    if (kept < length)
        memcpy(s.text + kept - 3, "...", 3);
    s.text[kept] = '\0';
    return s;
}
