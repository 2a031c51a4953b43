/* Folders and lists of images. */
#ifndef STATION_WALK_H
#define STATION_WALK_H

#include <stdbool.h>
#include <stdio.h>

/* Whether the name ends as an image file's does, whatever this library can read of them. */
bool is_image_name(const char *path);

typedef enum walk_kind {
    WALK_IMAGE,  /* a file with the name of an image */
    WALK_OTHER,  /* any other file */
    WALK_PROBLEM /* what cannot be looked into: a folder that may not be read, a link in a circle */
} walk_kind;

/* Called for each; `problem` says what is wrong, else NULL. false stops the walk. */
typedef bool (*walk_function)(void *user, const char *path, walk_kind kind, const char *problem);

/* Every file below a folder, in the order of the names' bytes, folder by folder; links are
 * followed. What begins with a dot is left out. false where the function stopped it. */
bool walk_folder(const char *folder, walk_function function, void *user);

/* Every path of a list, one behind each `end` ('\n' or '\0'), as soon as it is there. Empty ones
 * are left out. false where the function stopped it. */
bool walk_list(FILE *list, char end, bool (*function)(void *user, const char *path), void *user);

#endif
