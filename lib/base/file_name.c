/* Names of files from texts of unknown origin. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"

enum { DIGITS = 8, MOST_KEPT = IMIAD_FILE_NAME_ROOM - 1 - DIGITS - 1 };

static bool may_stand(const char *text, size_t at)
{
    unsigned char c = (unsigned char)text[at];
    return c >= ' ' && c != 127 && c != '/' && !(c == '.' && at == 0);
}

static bool is_plain(const char *text)
{
    size_t length = strlen(text);
    bool plain = length > 0 && length < IMIAD_FILE_NAME_ROOM;
    for (size_t i = 0; plain && i < length; ++i)
        plain = may_stand(text, i);
    return plain;
}

/* Where a text of UTF-8 may be cut, at most after so many bytes. */
static size_t cut_at(const char *text, size_t most)
{
    size_t length = strnlen(text, most + 1);
    if (length <= most)
        return length;
    while (most > 0 && ((unsigned char)text[most] & 0xC0) == 0x80)
        --most;
    return most;
}

imiad_status imiad_file_name(char out[IMIAD_FILE_NAME_ROOM], const char *text)
{
    if (!out || !text)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_file_name: %s is NULL", out ? "text" : "out");
    if (is_plain(text)) {
        strcpy(out, text);
        return IMIAD_OK;
    }
    char digest[65];
    size_t kept = cut_at(text, MOST_KEPT);
    bytes_digest(digest, text, strlen(text));
    for (size_t i = 0; i < kept; ++i)
        out[i] = may_stand(text, i) ? text[i] : '_';
    snprintf(out + kept, (size_t)IMIAD_FILE_NAME_ROOM - kept, "%s%.*s", kept ? "-" : "", DIGITS,
             digest);
    return IMIAD_OK;
}

char *path_join_untrusted(const char *folder, const char *text)
{
    char name[IMIAD_FILE_NAME_ROOM];
    return imiad_file_name(name, text) == IMIAD_OK ? path_join(folder, name) : NULL;
}
