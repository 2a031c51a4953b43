#include "base/file_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"

/* ---- temporary files ----
 *
 * ".imiad-HASH-SLOT.tmp" in the file's folder, HASH of the file's name. Whoever writes one holds
 * its lock (flock), which the kernel gives back when the process ends, however it ends: a temporary
 * file whose lock can be taken belongs to nobody any more. A name that can be foreseen is harmless,
 * because such a file is only ever made new (O_EXCL) and never followed as a link. */

enum {
    HASH_DIGITS = 16,
    SLOTS = 1000, /* writers of one file at the same time */
    SWEPT = 8     /* slots that are looked at for what was left behind */
};

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash + 1 - path) : 0;
}

/* Room for every slot's name; NULL where memory runs out. */
static char *temporary_room(const char *path)
{
    return malloc(folder_length(path) + sizeof ".imiad--1000.tmp" + HASH_DIGITS);
}

static void temporary_name(char *out, const char *path, int slot)
{
    const char *name = path + folder_length(path);
    char hash[65];
    bytes_digest(hash, name, strlen(name));
    sprintf(out, "%.*s.imiad-%.*s-%d.tmp", (int)(name - path), path, HASH_DIGITS, hash, slot);
}

/* Takes a temporary file away whose owner is dead. Returns whether its name is free now. */
static bool sweep(const char *temporary)
{
    int file = open(temporary, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return errno == ENOENT;
    struct stat info;
    bool removed = fstat(file, &info) == 0 && S_ISREG(info.st_mode) &&
                   flock(file, LOCK_EX | LOCK_NB) == 0 && unlink(temporary) == 0;
    close(file);
    return removed;
}

/* Takes the new file's lock; false where a sweeper was faster and takes the file for a dead one.
 * File systems without such locks have no sweepers either. */
static bool claim(int file)
{
    struct stat info;
    if (flock(file, LOCK_EX | LOCK_NB) != 0)
        return errno != EWOULDBLOCK;
    return fstat(file, &info) == 0 && info.st_nlink > 0;
}

/* The mode of what will be replaced, or what a new file gets. */
static mode_t wanted_mode(const char *path, bool *replaces)
{
    struct stat info;
    *replaces = stat(path, &info) == 0 && S_ISREG(info.st_mode);
    return *replaces ? info.st_mode & 0777 : 0666;
}

/* -1 with EEXIST where somebody else holds the slot. */
static int make_in_slot(const char *temporary, mode_t mode)
{
    enum { FLAGS = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW };
    int file = open(temporary, FLAGS, mode);
    if (file >= 0 || errno != EEXIST)
        return file;
    if (sweep(temporary))
        return open(temporary, FLAGS, mode);
    errno = EEXIST;
    return -1;
}

/* A new temporary file, open and locked; -1 with errno. */
static int make_temporary(char *temporary, const char *path)
{
    bool replaces;
    const mode_t mode = wanted_mode(path, &replaces);
    for (int slot = 0; slot < SLOTS; ++slot) {
        temporary_name(temporary, path, slot);
        int file = make_in_slot(temporary, mode);
        if (file < 0 && errno == EEXIST)
            continue;
        if (file < 0)
            return -1;
        if (!claim(file)) {
            close(file);
            continue;
        }
        if (!replaces || fchmod(file, mode) == 0)
            return file;
        int code = errno;
        unlink(temporary);
        close(file);
        errno = code;
        return -1;
    }
    errno = EBUSY;
    return -1;
}

static void sweep_all(const char *path, const char *mine)
{
    char *temporary = temporary_room(path);
    for (int slot = 0; temporary && slot < SWEPT; ++slot) {
        temporary_name(temporary, path, slot);
        if (strcmp(temporary, mine) != 0)
            sweep(temporary);
    }
    free(temporary);
}

/* ---- writing ---- */

static void clear(file_writer *writer)
{
    free(writer->path);
    free(writer->temporary);
    too_large_end(&writer->limit);
    *writer = (file_writer){.stream = NULL};
}

static imiad_status open_stream(file_writer *writer)
{
    int file = make_temporary(writer->temporary, writer->path);
    if (file < 0)
        return fail(errno == ENOMEM ? IMIAD_NO_MEMORY : IMIAD_IO, "cannot write %s: %s",
                    writer->path, strerror(errno));
    writer->stream = fdopen(file, "wb");
    if (!writer->stream) {
        unlink(writer->temporary);
        close(file);
        return fail_memory(writer->path, BUFSIZ);
    }
    return IMIAD_OK;
}

imiad_status file_write_begin(file_writer *out, const char *path)
{
    if (folder_exists(path)) /* rename() would put the file in the place of a link to a folder */
        return fail(IMIAD_IO, "cannot write %s: it is a folder", path);
    TRY(folder_make_above(path));
    file_writer writer = {.path = strdup(path), .temporary = temporary_room(path)};
    imiad_status status = writer.path && writer.temporary ? open_stream(&writer)
                                                          : fail_memory("a path", strlen(path));
    if (status != IMIAD_OK) {
        clear(&writer);
        return status;
    }
    sweep_all(path, writer.temporary);
    writer.limit = too_large_begin();
    *out = writer;
    return IMIAD_OK;
}

/* The folder's entries on the disk. File systems that cannot do that for a folder say EINVAL. */
static bool sync_folder(const char *path)
{
    char *folder = strndup(path, folder_length(path));
    if (!folder)
        return false;
    int file = open(*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    bool synced = file >= 0 && (fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP);
    if (file < 0)
        synced = errno == EACCES; /* a folder that may be written to and not read */
    else
        close(file);
    return synced;
}

static imiad_status commit(file_writer *writer, bool to_disk)
{
    bool written = fflush(writer->stream) == 0 && !ferror(writer->stream) &&
                   fsync(fileno(writer->stream)) == 0 &&
                   rename(writer->temporary, writer->path) == 0;
    bool renamed = written;
    if (written && to_disk)
        written = sync_folder(writer->path);
    imiad_status status = IMIAD_OK;
    if (!written) {
        status = fail(errno == ENOMEM ? IMIAD_NO_MEMORY : IMIAD_IO, "cannot write %s: %s",
                      writer->path, strerror(errno));
        if (!renamed)
            unlink(writer->temporary);
    }
    fclose(writer->stream); /* gives the lock back, so last */
    clear(writer);
    return status;
}

imiad_status file_write_commit(file_writer *writer)
{
    return commit(writer, false);
}

imiad_status file_write_commit_to_disk(file_writer *writer)
{
    return commit(writer, true);
}

void file_write_abandon(file_writer *writer)
{
    if (!writer->stream)
        return;
    unlink(writer->temporary);
    fclose(writer->stream);
    clear(writer);
}
