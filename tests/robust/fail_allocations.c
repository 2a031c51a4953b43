/* Loaded before everything else (LD_PRELOAD): fails one allocation that the library makes, and
 * knows what the library holds. A caller belongs to it by the address that it returns to.
 *
 *     fail_find("libimiad:libjansson")  whose allocations are meant
 *     fail_at = n                       the n-th from now on fails; 0: none
 *     fail_seen                         how many there were
 *     fail_live                         how many blocks are held at present */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN  __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

SHOWN volatile long fail_at, fail_seen, fail_live;

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t), __libc_free(void *);

/* ---- whose ---- */

enum { MOST_PARTS = 16 };
static struct {
    uintptr_t begin, end;
} parts[MOST_PARTS];
static int part_count;
static char wanted[256];

static int add_library(struct dl_phdr_info *info, size_t size, void *user)
{
    char names[256];
    (void)size;
    (void)user;
    strcpy(names, wanted);
    for (char *name = strtok(names, ":"); name; name = strtok(NULL, ":"))
        for (int i = 0; strstr(info->dlpi_name, name) && i < info->dlpi_phnum; ++i) {
            const ElfW(Phdr) *p = &info->dlpi_phdr[i];
            if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || part_count == MOST_PARTS)
                continue;
            parts[part_count].begin = info->dlpi_addr + p->p_vaddr;
            parts[part_count++].end = info->dlpi_addr + p->p_vaddr + p->p_memsz;
        }
    return 0;
}

SHOWN void fail_find(const char *names)
{
    part_count = 0;
    snprintf(wanted, sizeof wanted, "%s", names);
    dl_iterate_phdr(add_library, NULL);
}

static bool is_ours(void *caller)
{
    for (int i = 0; i < part_count; ++i)
        if ((uintptr_t)caller >= parts[i].begin && (uintptr_t)caller < parts[i].end)
            return true;
    return false;
}

static bool fails(void *caller)
{
    if (fail_at == 0 || !is_ours(caller) || __sync_add_and_fetch(&fail_seen, 1) != fail_at)
        return false;
    errno = ENOMEM;
    return true;
}

/* ---- what is held: a set of addresses ---- */

enum { SLOTS = 1 << 20 };
static uintptr_t held[SLOTS];
static volatile int lock;

static size_t slot_of(uintptr_t address)
{
    return (size_t)((address >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 44) % SLOTS;
}

static void *hold(void *block, void *caller)
{
    if (!block || part_count == 0 || !is_ours(caller))
        return block;
    while (__sync_lock_test_and_set(&lock, 1))
        ;
    size_t at = slot_of((uintptr_t)block);
    for (int i = 0; i < 64; ++i, at = (at + 1) % SLOTS)
        if (held[at] <= 1) { /* empty, or a grave */
            held[at] = (uintptr_t)block;
            fail_live++;
            break;
        }
    __sync_lock_release(&lock);
    return block;
}

static void drop(void *block)
{
    if (!block || part_count == 0)
        return;
    while (__sync_lock_test_and_set(&lock, 1))
        ;
    size_t at = slot_of((uintptr_t)block);
    for (int i = 0; i < 64 && held[at] != 0; ++i, at = (at + 1) % SLOTS)
        if (held[at] == (uintptr_t)block) {
            held[at] = 1;
            fail_live--;
            break;
        }
    __sync_lock_release(&lock);
}

/* ---- what allocates ---- */

SHOWN void *malloc(size_t size)
{
    return fails(CALLER) ? NULL : hold(__libc_malloc(size), CALLER);
}

SHOWN void *calloc(size_t count, size_t size)
{
    return fails(CALLER) ? NULL : hold(__libc_calloc(count, size), CALLER);
}

SHOWN void *realloc(void *block, size_t size)
{
    if (size > 0 && fails(CALLER))
        return NULL;
    drop(block);
    void *grown = __libc_realloc(block, size);
    if (!grown && size > 0)
        return hold(block, CALLER), NULL;
    return hold(grown, CALLER);
}

SHOWN void free(void *block)
{
    drop(block);
    __libc_free(block);
}

SHOWN void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(CALLER) ? NULL : hold(__libc_memalign(alignment, size), CALLER);
}

SHOWN int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (fails(CALLER))
        return ENOMEM;
    void *block = hold(__libc_memalign(alignment, size), CALLER);
    if (block)
        *out = block;
    return block ? 0 : ENOMEM;
}

SHOWN char *strndup(const char *text, size_t most)
{
    if (fails(CALLER))
        return NULL;
    size_t length = strnlen(text, most);
    char *copy = hold(__libc_malloc(length + 1), CALLER);
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

SHOWN char *strdup(const char *text)
{
    if (fails(CALLER))
        return NULL;
    size_t bytes = strlen(text) + 1;
    char *copy = hold(__libc_malloc(bytes), CALLER);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

SHOWN int asprintf(char **out, const char *format, ...)
{
    if (fails(CALLER))
        return -1;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(out, format, arguments);
    va_end(arguments);
    if (length >= 0)
        hold(*out, CALLER);
    return length;
}

SHOWN FILE *fdopen(int file, const char *mode)
{
    FILE *(*real)(int, const char *) = (FILE * (*)(int, const char *)) dlsym(RTLD_NEXT, "fdopen");
    return fails(CALLER) ? NULL : real(file, mode);
}

SHOWN FILE *open_memstream(char **text, size_t *size)
{
    FILE *(*real)(char **, size_t *) =
        (FILE * (*)(char **, size_t *)) dlsym(RTLD_NEXT, "open_memstream");
    return fails(CALLER) ? NULL : real(text, size);
}
