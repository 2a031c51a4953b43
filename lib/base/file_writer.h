/* Writing a file whole or not at all: the bytes go to a temporary file beside it, which takes its
 * place at the commit. Without a commit nothing is left behind, and what a killed process left
 * there, the next writer of the same file removes.
 *
 * Nothing of the process's is touched: a new file gets the mode that the umask allows, as open()
 * gives it; a file that is there keeps its mode. */
#ifndef BASE_FILE_WRITER_H
#define BASE_FILE_WRITER_H

#include <stdio.h>

#include "base/too_large.h"
#include "imiad/common.h"

typedef struct file_writer {
    FILE *stream;
    char *path, *temporary;
    too_large limit;
} file_writer;

/* Begin, write and commit on one thread. */
imiad_status file_write_begin(file_writer *out, const char *path);
/* The content is on the disk before the name shows it. */
imiad_status file_write_commit(file_writer *writer);
/* The name too: after success a power cut takes nothing back. */
imiad_status file_write_commit_to_disk(file_writer *writer);
void file_write_abandon(file_writer *writer); /* no effect after a commit */

#endif
