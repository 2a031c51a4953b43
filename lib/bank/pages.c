#include <stdint.h>
#include <sys/mman.h>

#include "bank/bank.h"

void *pages_take(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    madvise(pages, bytes, MADV_HUGEPAGE); /* rows are read in any order: fewer, larger pages */
    return pages;
}

void *pages_grow(void *pages, size_t from, size_t to)
{
    void *grown = mremap(pages, from, to, MREMAP_MAYMOVE);
    if (grown == MAP_FAILED)
        return NULL;
    madvise(grown, to, MADV_HUGEPAGE);
    return grown;
}

void pages_free(void *pages, size_t bytes)
{
    if (pages)
        munmap(pages, bytes);
}
