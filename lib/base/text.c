#include "base/text.h"

#include <jansson.h>
#include <string.h>

bool text_is_utf8(const char *text, size_t length)
{
    if (memchr(text, '\0', length))
        return false;
    json_t *string = json_stringn(text, length); /* NULL for what is not UTF-8 */
    json_decref(string);
    return string != NULL;
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
