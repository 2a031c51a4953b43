#include "names.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- UTF-8 ---- */

/* The length of the UTF-8 character at `text`, 0 where there is none (RFC 3629). */
static size_t character_length(const char *text)
{
    const unsigned char *b = (const unsigned char *)text;
    size_t length = b[0] < 0x80 ? 1 : b[0] < 0xC2 ? 0 : b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
    if (length == 0 || b[0] > 0xF4)
        return 0;
    for (size_t i = 1; i < length; ++i)
        if ((b[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (b[0] == 0xE0 && b[1] < 0xA0) || (b[0] == 0xF0 && b[1] < 0x90);
    bool surrogate = b[0] == 0xED && b[1] >= 0xA0, beyond = b[0] == 0xF4 && b[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

static bool is_utf8(const char *text)
{
    while (*text) {
        size_t length = character_length(text);
        if (length == 0)
            return false;
        text += length;
    }
    return true;
}

char *name_readable(const char *name)
{
    char *out = malloc(3 * strlen(name) + 1), *to = out;
    while (out && *name) {
        size_t length = character_length(name);
        memcpy(to, length ? name : "\357\277\275", length ? length : 3);
        to += length ? length : 3;
        name += length ? length : 1;
    }
    if (out)
        *to = '\0';
    return out;
}

char *name_percent(const char *name)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    char *out = malloc(3 * strlen(name) + 1), *to = out;
    for (; out && *name; ++name)
        to += strchr(plain, *name) ? sprintf(to, "%c", *name)
                                   : sprintf(to, "%%%02X", (unsigned char)*name);
    if (out)
        *to = '\0';
    return out;
}

int name_into(json_t *object, const char *key, const char *name)
{
    if (is_utf8(name))
        return json_object_set_new(object, key, json_string(name));
    char *readable = name_readable(name), *percent = name_percent(name), second[64];
    snprintf(second, sizeof second, "%s_percent", key);
    int status = readable && percent &&
                         json_object_set_new(object, key, json_string(readable)) == 0 &&
                         json_object_set_new(object, second, json_string(percent)) == 0
                     ? 0
                     : -1;
    free(readable);
    free(percent);
    return status;
}

/* ---- pictures ---- */

enum { LONGEST = 200 }; /* bytes of a picture's name before its number */

static bool ends_with(const char *text, size_t length, const char *end)
{
    size_t bytes = strlen(end);
    return length >= bytes && strncasecmp(text + length - bytes, end, bytes) == 0;
}

/* Whether no other image has the same plain name: slashes became underlines, other formats than PNG
 * got an extension more, and what leads out of the working folder was cut off. */
static bool name_tells_all(const char *path, size_t stem, bool png)
{
    static const char *const formats[] = {".jpg", ".jpeg", ".jpe",  ".jfif", ".bmp",
                                          ".tif", ".tiff", ".webp", ".pgm",  ".ppm",
                                          ".pnm", ".pbm",  ".gif"};
    if ((strchr(path, '/') && strchr(path, '_')) || strlen(path) > LONGEST + 4)
        return false;
    for (size_t i = 0; png && i < sizeof formats / sizeof *formats; ++i)
        if (ends_with(path, stem, formats[i]))
            return false;
    return true;
}

/* FNV-1a. */
static uint32_t number_of(const char *path)
{
    uint64_t hash = 14695981039346656037u;
    for (; *path; ++path)
        hash = (hash ^ (unsigned char)*path) * 1099511628211u;
    return (uint32_t)(hash ^ hash >> 32);
}

char *name_picture(const char *folder, const char *path)
{
    const char *name = path;
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    bool inside = *name != '/' && strncmp(name, "../", 3) != 0;
    while (*name == '/' || strncmp(name, "../", 3) == 0 || strncmp(name, "./", 2) == 0)
        name += *name == '/' ? 1 : *name == '.' && name[1] == '.' ? 3 : 2;
    size_t length = strlen(name);
    bool png = ends_with(name, length, ".png");
    char *stem = strndup(name, png ? length - 4 : length);
    if (!stem)
        return NULL;
    bool plain = inside && name_tells_all(name, strlen(stem), png);
    char *out = name_unique(folder, stem, inside ? name : path, !plain);
    free(stem);
    return out;
}

char *name_unique(const char *folder, const char *stem, const char *path, int shared)
{
    size_t length = strlen(stem);
    if (length > LONGEST) {
        shared = 1;
        length = LONGEST;
        while (length > LONGEST - 4 && ((unsigned char)stem[length] & 0xC0) == 0x80)
            --length;
    }
    char *out, number[16] = "";
    if (shared)
        snprintf(number, sizeof number, "~%08x", number_of(path));
    if (asprintf(&out, "%s/%.*s%s.png", folder, (int)length, stem, number) < 0)
        return NULL;
    for (char *at = out + strlen(folder) + 1; *at; ++at)
        *at = *at == '/' ? '_' : *at;
    return out;
}
