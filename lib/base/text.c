#include "base/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The length of the character at `at`, 0 where there is none (RFC 3629, section 4). */
static size_t character_length(const unsigned char *at, size_t left)
{
    const unsigned char first = at[0];
    if (first < 0x80)
        return first != 0;
    size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; ++i)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (first == 0xE0 && at[1] < 0xA0) || (first == 0xF0 && at[1] < 0x90);
    bool surrogate = first == 0xED && at[1] > 0x9F, beyond = first == 0xF4 && at[1] > 0x8F;
    return overlong || surrogate || beyond ? 0 : length;
}

bool text_is_utf8(const char *text, size_t length)
{
    for (size_t i = 0, step; i < length; i += step) {
        step = character_length((const unsigned char *)text + i, length - i);
        if (step == 0)
            return false;
    }
    return true;
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
