/* Files and folders: whole reads, atomic writes, sorted listings, digests. Messages name the path.
 */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include <stdbool.h>
#include <stdio.h>

#include "imiad/common.h"

/* A file's bytes, mapped read-only. */
typedef struct file_view {
    const uint8_t *bytes; /* NULL for an empty file */
    size_t size;
} file_view;
imiad_status file_map(file_view *out, const char *path);
void file_unmap(file_view *view);
/* Takes the pages that were read out of the process's memory, until they are read again. */
void file_let_go(const file_view *view);

bool file_exists(const char *path);
bool folder_exists(const char *path);
imiad_status file_size(uint64_t *out, const char *path);

/* "folder/name" in new memory; NULL only when memory runs out. */
char *path_join(const char *folder, const char *name);

/* The names in a folder, sorted bytewise; dot files, "." and ".." and Thumbs.db left out. */
typedef struct name_list {
    char **names;
    size_t count;
} name_list;
imiad_status folder_list(name_list *out, const char *path);
void name_list_free(name_list *list);

imiad_status folder_make(const char *path);       /* with its parents; no error where it exists */
imiad_status folder_make_above(const char *path); /* the folders that a file needs */

/* Writing whole or not at all: the bytes go to a temporary file beside `path`, which takes its
 * place at the commit. Without a commit nothing is left behind. */
typedef struct file_writer {
    FILE *stream;
    char *path, *temporary;
} file_writer;
imiad_status file_write_begin(file_writer *out, const char *path);
imiad_status file_write_commit(file_writer *writer);
void file_write_abandon(file_writer *writer); /* no effect after a commit */

/* SHA-256 in lower-case hexadecimal. */
imiad_status file_digest(char out[65], const char *path);
void bytes_digest(char out[65], const void *bytes, size_t size);

#endif
