/* Files and folders: whole reads, sorted listings, digests. Messages name the path. Writing is in
 * base/file_writer.h. */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include <stdbool.h>
#include <stdio.h>

#include "base/file_writer.h"
#include "imiad/limits.h"

/* A file's bytes: a copy, or mapped. Only regular files are opened; a FIFO is an error at once. */
typedef struct file_view {
    const uint8_t *bytes; /* NULL for an empty file */
    size_t size;
    bool mapped;
    int descriptor; /* of a mapped file, kept open */
    bool reused;    /* the memory serves again */
} file_view;
/* The whole file as it is now. Another process that truncates it meanwhile makes an error. */
imiad_status file_read(file_view *out, const char *path);
/* The same in memory that earlier ones gave back, for what is soon done with: fresh memory costs a
 * page fault every 4096 bytes, which take longer than reading them. */
imiad_status file_read_briefly(file_view *out, const char *path);
/* Its first bytes, at most so many. */
imiad_status file_read_begin(file_view *out, const char *path, size_t most);
/* Mapped read-only, for what processes share. Whoever truncates the file afterwards makes reading
 * its lost pages fatal (SIGBUS): ask file_view_check before each use. */
imiad_status file_map(file_view *out, const char *path);
/* IMIAD_IO where a mapped file has become shorter than it was. */
imiad_status file_view_check(const file_view *view, const char *path);
void file_unmap(file_view *view); /* of either kind */
/* Takes the pages of a mapped file that were read out of the process's memory, until they are read
 * again. Nothing for a copy. */
void file_let_go(const file_view *view);
/* Gives the whole pages within this part of a view back; of a copy, their contents are lost. */
void file_forget(const uint8_t *bytes, size_t size);

bool file_exists(const char *path);
bool folder_exists(const char *path);
imiad_status file_size(uint64_t *out, const char *path);

/* "folder/name" in new memory; NULL only when memory runs out. */
char *path_join(const char *folder, const char *name);
/* The same for a name that a data set, a plug-in or a file gave: it cannot lead out of the folder
 * (imiad_file_name). */
char *path_join_untrusted(const char *folder, const char *text);

/* The names in a folder, sorted bytewise; dot files, "." and ".." and Thumbs.db left out. */
typedef struct name_list {
    char **names;
    size_t count;
} name_list;
imiad_status folder_list(name_list *out, const char *path);
/* The same without the folders in it of which `drop` says so. */
imiad_status folder_list_without(name_list *out, const char *path,
                                 bool (*drop)(const char *folder, void *context), void *context);
void name_list_free(name_list *list);

imiad_status folder_make(const char *path);       /* with its parents; no error where it exists */
imiad_status folder_make_above(const char *path); /* the folders that a file needs */
imiad_status folder_need_above(const char *path); /* IMIAD_IO where they are not there */

/* SHA-256 in lower-case hexadecimal. */
imiad_status file_digest(char out[65], const char *path);
void bytes_digest(char out[65], const void *bytes, size_t size);

#endif
