/* Weight files: named arrays on the host. Readers are bounded and execute nothing. */
#ifndef NN_WEIGHTS_H
#define NN_WEIGHTS_H

#include <stdbool.h>

#include "bridge/tensor.h" /* dtype only: reading a file needs no libtorch */

enum { WEIGHT_RANK = 8 };

typedef struct weight {
    const char *name;
    dtype type;
    int rank;
    int64_t shape[WEIGHT_RANK];
    const void *data; /* contiguous, rows last, little endian; borrowed from the file */
    size_t bytes;
} weight;

typedef struct weights weights;

/* A safetensors file, or a PyTorch .pth of either kind (zip, legacy stream): told apart by content.
 * Holding a state dict: the file's top level, or its "state_dict" or "model" entry; a common prefix
 * "module." is dropped. Errors: IMIAD_NOT_FOUND, IMIAD_IO, IMIAD_FORMAT (path and what was wrong).
 */
imiad_status weights_open(weights **out, const char *path);
/* The same from memory, for fuzzing and embedding; bytes must outlive the result. */
imiad_status weights_parse(weights **out, const void *bytes, size_t size, const char *name);
void weights_free(weights *w);

size_t weights_count(const weights *w);
const weight *weights_get(const weights *w, size_t index);      /* in the file's order */
const weight *weights_find(const weights *w, const char *name); /* NULL where there is none */
/* A string of safetensors' __metadata__, NULL where there is none. */
const char *weights_metadata(const weights *w, const char *key);

/* Writing safetensors: collect, then commit, whole or not at all. Data is borrowed until then. */
typedef struct weights_writer weights_writer;
imiad_status weights_writer_create(weights_writer **out);
imiad_status weights_writer_metadata(weights_writer *w, const char *key, const char *value);
imiad_status weights_writer_add(weights_writer *w, const char *name, dtype type, int rank,
                                const int64_t *shape, const void *data);
imiad_status weights_writer_commit(weights_writer *w, const char *path);
void weights_writer_free(weights_writer *w);

size_t dtype_bytes(dtype type);

#endif
