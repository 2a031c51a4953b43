#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sha2.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arrays.h"
#include "base/error.h"
#include "base/limits.h"

static imiad_status fail_errno(const char *doing, const char *path)
{
    int code = errno;
    return fail(code == ENOENT || code == ENOTDIR ? IMIAD_NOT_FOUND : IMIAD_IO, "cannot %s %s: %s",
                doing, path, strerror(code));
}

/* Without O_NONBLOCK a FIFO that nobody writes to would be waited for; a regular file is read as
 * ever. */
static imiad_status open_regular(int *out, size_t *size, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return fail_errno("open", path);
    struct stat info;
    imiad_status status = IMIAD_OK;
    if (fstat(file, &info) != 0)
        status = fail_errno("read", path);
    else if (!S_ISREG(info.st_mode))
        status = fail(IMIAD_IO, "cannot read %s: it is not a regular file", path);
    if (status != IMIAD_OK) {
        close(file);
        return status;
    }
    *out = file;
    *size = (size_t)info.st_size;
    return IMIAD_OK;
}

/* As many bytes as the file had when it was opened, or an error. */
static imiad_status read_bytes(uint8_t *into, size_t size, int file, const char *path)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = read(file, into + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("read", path);
        if (got == 0)
            return fail(IMIAD_IO, "cannot read %s: it became shorter while it was read", path);
        done += (size_t)got;
    }
    return IMIAD_OK;
}

/* ---- memory that serves again ---- */

/* Up to four buffers are kept, as many as threads usually read at once. Smaller ones come from
 * malloc without faults; larger ones are too much to keep. An exchange is all that threads need of
 * each other, and nothing is held where a process forks. */
enum { KEPT = 4, KEEP_FROM = 128 << 10, KEEP_UP_TO = 32 << 20 };
typedef struct kept_buffer {
    size_t room;
    _Alignas(16) uint8_t bytes[];
} kept_buffer;
static _Atomic(kept_buffer *) kept[KEPT];

static bool is_kept(size_t size)
{
    return size >= KEEP_FROM && size <= KEEP_UP_TO;
}

/* NULL where memory runs out. One that is too small makes place for a larger one. */
static uint8_t *take_kept(size_t size)
{
    for (int i = 0; i < KEPT; ++i) {
        kept_buffer *found = atomic_exchange(&kept[i], NULL);
        if (found && found->room >= size)
            return found->bytes;
        free(found);
    }
    kept_buffer *made = malloc(sizeof *made + size);
    if (!made)
        return NULL;
    made->room = size;
    return made->bytes;
}

static void give_kept(const uint8_t *bytes)
{
    kept_buffer *buffer = (kept_buffer *)((uintptr_t)bytes - offsetof(kept_buffer, bytes));
    for (int i = 0; i < KEPT; ++i) {
        kept_buffer *none = NULL;
        if (atomic_compare_exchange_strong(&kept[i], &none, buffer))
            return;
    }
    free(buffer);
}

/* ---- reading ---- */

static void free_bytes(file_view *view)
{
    if (view->reused)
        give_kept(view->bytes);
    else
        free((void *)view->bytes);
}

static imiad_status read_up_to(file_view *out, const char *path, size_t most, bool briefly)
{
    int file;
    size_t size;
    TRY(open_regular(&file, &size, path));
    size = size < most ? size : most;
    if (size > limit_file_bytes()) {
        close(file);
        return fail(IMIAD_OVER_BUDGET,
                    "%s has %zu bytes; at most %" PRIu64 " are read (imiad_set_limits)", path, size,
                    limit_file_bytes());
    }
    file_view view = {.size = size, .reused = briefly && is_kept(size)};
    uint8_t *bytes = view.reused ? take_kept(size) : size > 0 ? malloc(size) : NULL;
    view.bytes = bytes;
    imiad_status status = IMIAD_OK;
    if (size > 0)
        status = bytes ? read_bytes(bytes, size, file, path) : fail_memory(path, size);
    close(file);
    if (status == IMIAD_OK)
        *out = view;
    else if (bytes)
        free_bytes(&view);
    return status;
}

imiad_status file_read_begin(file_view *out, const char *path, size_t most)
{
    return read_up_to(out, path, most, false);
}

imiad_status file_read(file_view *out, const char *path)
{
    return read_up_to(out, path, SIZE_MAX, false);
}

imiad_status file_read_briefly(file_view *out, const char *path)
{
    return read_up_to(out, path, SIZE_MAX, true);
}

imiad_status file_map(file_view *out, const char *path)
{
    int file;
    size_t size;
    TRY(open_regular(&file, &size, path));
    void *bytes = size > 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0) : NULL;
    if (bytes == MAP_FAILED) {
        imiad_status status = fail_errno("map", path);
        close(file);
        return status;
    }
    *out = (file_view){.bytes = bytes, .size = size, .mapped = true, .descriptor = file};
    return IMIAD_OK;
}

imiad_status file_view_check(const file_view *view, const char *path)
{
    struct stat info;
    if (!view->mapped ||
        (fstat(view->descriptor, &info) == 0 && (size_t)info.st_size >= view->size))
        return IMIAD_OK;
    return fail(IMIAD_IO,
                "%s became shorter while it was mapped: replace such a file, never write "
                "over it",
                path);
}

void file_unmap(file_view *view)
{
    if (view->mapped) {
        if (view->bytes)
            munmap((void *)view->bytes, view->size);
        close(view->descriptor);
    } else {
        free_bytes(view);
    }
    *view = (file_view){.bytes = NULL};
}

void file_let_go(const file_view *view)
{
    if (view->mapped) /* only advice: a failure costs memory, nothing else */
        madvise((void *)view->bytes, view->size, MADV_DONTNEED);
}

void file_forget(const uint8_t *bytes, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)bytes + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)bytes + size) / page * page;
    if (end > begin) /* only advice, as above */
        madvise((void *)begin, end - begin, MADV_DONTNEED);
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

/* Most file systems say it beside the name. */
static bool is_folder(DIR *listed, const struct dirent *entry)
{
    struct stat info;
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(listed), entry->d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
}

imiad_status folder_list(name_list *out, const char *path)
{
    return folder_list_without(out, path, NULL, NULL);
}

imiad_status folder_list_without(name_list *out, const char *path,
                                 bool (*drop)(const char *folder, void *context), void *context)
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
        if (drop && is_folder(folder, entry) && drop(entry->d_name, context))
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

/* *out is NULL for a name in the current folder or the root. */
static imiad_status folder_above(char **out, const char *path)
{
    const char *slash = strrchr(path, '/');
    *out = NULL;
    if (!slash || slash == path)
        return IMIAD_OK;
    *out = strndup(path, (size_t)(slash - path));
    return *out ? IMIAD_OK : fail_memory("a path", strlen(path));
}

imiad_status folder_make_above(const char *path)
{
    char *folder;
    TRY(folder_above(&folder, path));
    imiad_status status = !folder || folder_exists(folder) ? IMIAD_OK : folder_make(folder);
    free(folder);
    return status == IMIAD_OK ? status : fail_within(status, "cannot write %s", path);
}

imiad_status folder_need_above(const char *path)
{
    char *folder;
    TRY(folder_above(&folder, path));
    bool there = !folder || folder_exists(folder);
    free(folder);
    return there ? IMIAD_OK : fail(IMIAD_IO, "cannot write %s: there is no such folder", path);
}

void bytes_digest(char out[65], const void *bytes, size_t size)
{
    SHA256Data(bytes, size, out);
}

imiad_status file_digest(char out[65], const char *path)
{
    int file;
    size_t size;
    TRY(open_regular(&file, &size, path));
    SHA2_CTX hash;
    uint8_t piece[1 << 16];
    imiad_status status = IMIAD_OK;
    SHA256Init(&hash);
    for (size_t done = 0, step; status == IMIAD_OK && done < size; done += step) {
        step = size - done < sizeof piece ? size - done : sizeof piece;
        status = read_bytes(piece, step, file, path);
        if (status == IMIAD_OK)
            SHA256Update(&hash, piece, step);
    }
    close(file);
    SHA256End(&hash, out);
    return status;
}
