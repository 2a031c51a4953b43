/* File names, which may hold any bytes: as JSON, and as the names of pictures. */
#ifndef EXAMPLES_NAMES_H
#define EXAMPLES_NAMES_H

#include <jansson.h>

/* Sets object[key] to the name. JSON holds UTF-8 only: where the name is none, what is not becomes
 * U+FFFD, and object["KEY_percent"] has every byte ("cass%E9.png"). Returns 0, -1 without memory.
 */
int name_into(json_t *object, const char *key, const char *name);

/* A text with U+FFFD for every byte that is no UTF-8. New memory, or NULL. */
char *name_readable(const char *text);

/* Every byte but letters, digits, "-._~/" as %XX: fit for an address. New memory, or NULL. */
char *name_percent(const char *name);

/* FOLDER/parts_bad_001.png for the image parts/bad/001.png, FOLDER/x.jpg.png for x.jpg. Different
 * images have different names whatever else is in the folder: where the plain name could be that of
 * another image too, or is long, a number made of the whole path follows ("~1f3a9c07"). New memory,
 * or NULL. */
char *name_picture(const char *folder, const char *path);

/* FOLDER/STEM.png, shortened where it is long; with a number made of `path` where it is, or where
 * `shared` says that the stem is another image's too. New memory, or NULL. */
char *name_unique(const char *folder, const char *stem, const char *path, int shared);

#endif
