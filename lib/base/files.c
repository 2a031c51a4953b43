#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arrays.h"
#include "base/error.h"

static imiad_status fail_errno(const char *doing, const char *path)
{
    int code = errno;
    return fail(code == ENOENT || code == ENOTDIR ? IMIAD_NOT_FOUND : IMIAD_IO, "cannot %s %s: %s",
                doing, path, strerror(code));
}

imiad_status file_map(file_view *out, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fail_errno("open", path);
    struct stat info;
    imiad_status status = IMIAD_OK;
    file_view view = {NULL, 0};
    if (fstat(file, &info) != 0) {
        status = fail_errno("read", path);
    } else if (!S_ISREG(info.st_mode)) {
        status = fail(IMIAD_IO, "cannot read %s: it is not a regular file", path);
    } else if (info.st_size > 0) {
        view.size = (size_t)info.st_size;
        void *bytes = mmap(NULL, view.size, PROT_READ, MAP_PRIVATE, file, 0);
        if (bytes == MAP_FAILED)
            status = fail_errno("map", path);
        view.bytes = bytes;
    }
    close(file);
    if (status == IMIAD_OK)
        *out = view;
    return status;
}

void file_unmap(file_view *view)
{
    if (view->bytes)
        munmap((void *)view->bytes, view->size);
    *view = (file_view){NULL, 0};
}

void file_let_go(const file_view *view)
{
    if (view->bytes) /* only advice: a failure costs memory, nothing else */
        madvise((void *)view->bytes, view->size, MADV_DONTNEED);
}

bool file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool folder_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

imiad_status file_size(uint64_t *out, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return fail_errno("read", path);
    *out = (uint64_t)info.st_size;
    return IMIAD_OK;
}

char *path_join(const char *folder, const char *name)
{
    char *joined;
    size_t length = strlen(folder);
    const char *slash = length > 0 && folder[length - 1] == '/' ? "" : "/";
    return asprintf(&joined, "%s%s%s", folder, slash, name) < 0 ? NULL : joined;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

imiad_status folder_list(name_list *out, const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return fail_errno("list", path);
    name_list list = {NULL, 0};
    size_t room = 0;
    imiad_status status = IMIAD_OK;
    for (struct dirent *entry; status == IMIAD_OK && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' || strcasecmp(entry->d_name, "Thumbs.db") == 0)
            continue;
        char *name = strdup(entry->d_name);
        status = name ? array_reserve(&list.names, list.count, &room, sizeof *list.names,
                                      "a folder's listing")
                      : fail_memory("a file name", strlen(entry->d_name));
        if (status == IMIAD_OK)
            list.names[list.count++] = name;
        else
            free(name);
    }
    closedir(folder);
    if (status != IMIAD_OK) {
        name_list_free(&list);
        return status;
    }
    if (list.count > 0)
        qsort(list.names, list.count, sizeof *list.names, compare_names);
    *out = list;
    return IMIAD_OK;
}

void name_list_free(name_list *list)
{
    for (size_t i = 0; i < list->count; ++i)
        free(list->names[i]);
    free(list->names);
    *list = (name_list){NULL, 0};
}

imiad_status folder_make(const char *path)
{
    char *part = strdup(path);
    if (!part)
        return fail_memory("a path", strlen(path));
    imiad_status status = IMIAD_OK;
    for (char *slash = part + 1; status == IMIAD_OK && slash[-1]; ++slash) {
        char cut = *slash;
        if (cut != '/' && cut != '\0')
            continue;
        *slash = '\0';
        if (mkdir(part, 0777) != 0 && (errno != EEXIST || !folder_exists(part)))
            status = fail(IMIAD_IO, "cannot make folder %s: %s", part, strerror(errno));
        *slash = cut;
    }
    free(part);
    return status;
}

imiad_status folder_make_above(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return IMIAD_OK;
    char *folder = strndup(path, (size_t)(slash - path));
    if (!folder)
        return fail_memory("a path", strlen(path));
    imiad_status status = folder_exists(folder) ? IMIAD_OK : folder_make(folder);
    free(folder);
    return status == IMIAD_OK ? status : fail_within(status, "cannot write %s", path);
}

imiad_status file_write_begin(file_writer *out, const char *path)
{
    if (folder_exists(path)) /* rename() would put the file in the place of a link to a folder */
        return fail(IMIAD_IO, "cannot write %s: it is a folder", path);
    TRY(folder_make_above(path));
    file_writer writer = {NULL, strdup(path), NULL};
    if (!writer.path || asprintf(&writer.temporary, "%s.XXXXXX", path) < 0) {
        free(writer.path);
        return fail_memory("a path", strlen(path));
    }
    int file = mkstemp(writer.temporary);
    if (file >= 0) {
        mode_t mask = umask(0);
        umask(mask);
        if (fchmod(file, 0666 & ~mask) == 0)
            writer.stream = fdopen(file, "wb");
        if (!writer.stream) {
            int code = errno;
            close(file);
            unlink(writer.temporary);
            errno = code;
        }
    }
    if (!writer.stream) {
        imiad_status status = fail(IMIAD_IO, "cannot write %s: %s", path, strerror(errno));
        free(writer.path);
        free(writer.temporary);
        return status;
    }
    *out = writer;
    return IMIAD_OK;
}

imiad_status file_write_commit(file_writer *writer)
{
    bool written = fflush(writer->stream) == 0 && !ferror(writer->stream) &&
                   fsync(fileno(writer->stream)) == 0;
    written = fclose(writer->stream) == 0 && written;
    writer->stream = NULL;
    if (written)
        written = rename(writer->temporary, writer->path) == 0;
    imiad_status status = IMIAD_OK;
    if (!written) {
        status = fail(IMIAD_IO, "cannot write %s: %s", writer->path, strerror(errno));
        unlink(writer->temporary);
    }
    free(writer->path);
    free(writer->temporary);
    *writer = (file_writer){NULL, NULL, NULL};
    return status;
}

void file_write_abandon(file_writer *writer)
{
    if (!writer->stream)
        return;
    fclose(writer->stream);
    unlink(writer->temporary);
    free(writer->path);
    free(writer->temporary);
    *writer = (file_writer){NULL, NULL, NULL};
}

void bytes_digest(char out[65], const void *bytes, size_t size)
{
    SHA256Data(bytes, size, out);
}

imiad_status file_digest(char out[65], const char *path)
{
    file_view view = {NULL, 0};
    TRY(file_map(&view, path));
    bytes_digest(out, view.bytes ? view.bytes : (const uint8_t *)"", view.size);
    file_unmap(&view);
    return IMIAD_OK;
}
