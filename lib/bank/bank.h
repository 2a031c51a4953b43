/* The inside of a memory bank: its rows, its files, the memory they lie in. */
#ifndef BANK_BANK_H
#define BANK_BANK_H

#include <pthread.h>
#include <stdbool.h>

#include "bank/kernels.h"
#include "base/progress.h"
#include "imiad/bank.h"

struct bank_index;
struct weights;
struct weights_writer;

/* Made by the first search that it pays for. */
typedef struct index_slot {
    pthread_mutex_t lock;
    bool tried;
    struct bank_index *index; /* NULL where there is no gain */

    /* What searches on a device made. Only search_device.c knows the bridge: who uses banks without
     * it needs no libtorch. */
    pthread_mutex_t device_lock;
    void *device_rows;
    void (*free_device_rows)(void *rows);
} index_slot;

struct imiad_bank {
    void *data;       /* rows x dimension; a mapping of its own, grown in place */
    int64_t *sources; /* one a row, likewise; NULL where no row has one */
    int64_t rows, dimension;
    imiad_storage storage;
    size_t data_mapped, sources_mapped; /* bytes */
    struct weights *file; /* not NULL: rows and sources lie in it, not to be written */
    uint64_t budget;
    index_slot *index;
};

static inline point_set bank_points(const imiad_bank *bank)
{
    return (point_set){bank->data, (size_t)bank->rows, (size_t)bank->dimension, bank->storage};
}

/* ---- rows ---- */

/* Rows of a bank, or of a caller: what is appended. */
typedef struct row_source {
    point_set points;
    const int64_t *sources; /* NULL: none */
    const char *doing;      /* begins messages */
} row_source;
imiad_status bank_append(imiad_bank *bank, const row_source *from);
/* Room for so many rows, or sources, in all; sources begin as none. */
imiad_status bank_reserve_rows(imiad_bank *bank, size_t rows);
imiad_status bank_reserve_sources(imiad_bank *bank, size_t rows);
/* Rows that lie in a file come into memory of the bank's own, which can be written. */
imiad_status bank_own(imiad_bank *bank);
void bank_release_rows(imiad_bank *bank);      /* the memory; rows stays */
void bank_drop_index(imiad_bank *bank);        /* rows change: it is out of date */
bool bank_has_sources(const imiad_bank *bank); /* that are not IMIAD_NO_SOURCE */
void bank_digest(char out[65], const imiad_bank *bank);

/* Banks inside files, a detector's among them: the arrays "bank" and, where rows have sources,
 * "bank.sources". Memory is borrowed until the writer's commit. The bank that comes back lies in
 * the file, which it frees with itself or with bank_own; on failure the file is the caller's still.
 */
imiad_status bank_write(struct weights_writer *writer, const imiad_bank *bank);
imiad_status bank_in_file(imiad_bank **out, struct weights *file, const char *path);
/* A copy of the bank in a file that somebody else keeps; bank_in_file's and bank_append's errors.
 */
imiad_status bank_copy_of_file(imiad_bank **out, const struct weights *file, const char *path);
/* IMIAD_IO where the bank lies in a mapped file that has become shorter. */
imiad_status bank_check_file(const imiad_bank *bank);
imiad_status bank_check_finite(const imiad_bank *bank, const char *path);

/* ---- sizes ---- */

imiad_status bank_check_shape(const char *doing, int64_t dimension, imiad_storage storage);
uint64_t bank_rows_bytes(int64_t rows, int64_t dimension, imiad_storage storage, bool sources);
static inline uint64_t bank_bytes(const imiad_bank *bank)
{
    return bank_rows_bytes(bank->rows, bank->dimension, bank->storage, bank->sources != NULL);
}

/* `doing` begins the message and names what needs the bytes. */
imiad_status bank_within_budget(const imiad_bank *bank, const char *doing, uint64_t needed);

enum { PAGE_CHUNK = 1 << 20 }; /* bytes by which mappings grow */

/* Large zeroed memory in pages of its own; NULL when there is none. */
void *pages_take(size_t bytes);
/* Moves the pages, not the bytes: there are never two copies. Old memory stays on failure. */
void *pages_grow(void *pages, size_t from, size_t to);
void pages_free(void *pages, size_t bytes);

/* The first row and column that is not a finite number; false where all are. */
bool find_not_finite(const float *values, int64_t rows, int64_t columns, int64_t *row,
                     int64_t *column);
bool find_not_finite_point(const point_set *points, int64_t *row, int64_t *column);

#endif
