/* Weight files: named arrays on the host. Readers are bounded and execute nothing. */
#ifndef WEIGHTS_WEIGHTS_H
#define WEIGHTS_WEIGHTS_H

#include <stdbool.h>

#include "base/dtype.h"
#include "imiad/common.h"

enum { WEIGHT_RANK = 8 };

typedef struct weight {
    const char *name;
    dtype type;
    int rank;
    int64_t shape[WEIGHT_RANK];
    const void *data; /* contiguous, rows last, little endian, aligned for its type; borrowed */
    size_t bytes;
    bool shared; /* another array of the file has some of these bytes too */
} weight;

typedef struct weights weights;

/* A safetensors file, an index of several beside it, a PyTorch .pth of either kind (zip, legacy
 * stream), or NumPy's .npz: told apart by content. A .pth holds a state dict: the file's top level,
 * or its "state_dict", "model", "state_dict_ema" or "model_ema" entry, the first of these that
 * there is; the log says which. Entries that are no tensors are passed over. Without a tensor
 * there, the state dicts of several networks side by side, each one's names behind its own and a
 * dot: "decoder.conv1.weight". A prefix "module." that all names share (DataParallel's) is dropped,
 * except in files that weights_writer made: these come back as they were written.
 *
 * The whole file must be sound: checksums that it carries (zip's, weights_writer's) are verified. A
 * tensor whose type is not among dtype's is refused by name when the file is opened.
 *
 * Arrays point into the file's bytes where they lie there contiguous and aligned, or can be moved
 * to where they are aligned, and are copied otherwise. The bytes are read once: what happens to the
 * file afterwards does not matter.
 *
 * Errors: IMIAD_NOT_FOUND, IMIAD_IO, IMIAD_NO_MEMORY, IMIAD_FORMAT (path and what was wrong). */
imiad_status weights_open(weights **out, const char *path);
/* The same with the file mapped. Do not overwrite it in place while the handle lives; replacing it
 * is fine. Without `verify` weights_writer's checksum is left out: the header alone is read, the
 * arrays' bytes are whatever they are, and weights_verify fails afterwards. */
imiad_status weights_map(weights **out, const char *path, bool verify);
/* IMIAD_IO where a mapped file has become shorter, so that its arrays must not be touched. */
imiad_status weights_check(const weights *w);
/* The same from memory, for fuzzing and embedding; bytes must outlive the result. */
imiad_status weights_parse(weights **out, const void *bytes, size_t size, const char *name);
/* SHA-256 in lower-case hexadecimal: of the file; of an index, of its files' own digests. */
imiad_status weights_digest(char out[65], const char *path);
void weights_free(weights *w);
/* Takes the pages of an opened file, as far as they were read, out of the process's memory; arrays
 * that are read again come back. A load that copies array by array so needs no memory twice. */
void weights_let_go(const weights *w);

/* The array was copied and is never read again: gives its pages back, which a large load would
 * otherwise hold twice. Its contents are lost; a shared one stays. */
void weights_spend(const weights *w, const weight *item);

size_t weights_count(const weights *w);
const weight *weights_get(const weights *w, size_t index);      /* in the file's order */
const weight *weights_find(const weights *w, const char *name); /* NULL where there is none */
/* The array that must be there: of that type, rank and shape, in which ANY_SIZE stands for any size
 * above 0. IMIAD_FORMAT otherwise, with what is there and what should be. `out` may be NULL. */
enum { ANY_SIZE = -1 };
imiad_status weights_expect(const weight **out, const weights *file, const char *name, dtype type,
                            int rank, const int64_t *shape);
/* Whether every number is; true of whole numbers. */
bool weight_is_finite(const weight *w);
/* A shape in words, "64 x 3 x any"; "one number" of rank 0. Returns `out`. */
enum { SHAPE_TEXT = 96 };
char *shape_describe(char out[SHAPE_TEXT], int rank, const int64_t *shape);
/* A string of safetensors' __metadata__, NULL where there is none. */
const char *weights_metadata(const weights *w, const char *key);
/* For files that must be weights_writer's own: IMIAD_FORMAT where no checksum came with the file.
 * After success, no byte of the file differs from what was written: CRC-32 finds every change of up
 * to 32 neighbouring bits, and others but for one in four thousand million. */
imiad_status weights_verify(const weights *w);

/* Writing safetensors: collect, then commit, whole or not at all. Data is borrowed until then.
 * The same calls give the same bytes. Arrays stand in the file by falling element size, in the
 * order of their adding within a size, which keeps each aligned. The metadata key "imiad.crc32" is
 * the writer's: CRC-32 of the whole file with that value's own eight digits read as zeros. */
typedef struct weights_writer weights_writer;
imiad_status weights_writer_create(weights_writer **out);
imiad_status weights_writer_metadata(weights_writer *w, const char *key, const char *value);
imiad_status weights_writer_add(weights_writer *w, const char *name, dtype type, int rank,
                                const int64_t *shape, const void *data);
uint64_t weights_writer_bytes(const weights_writer *w); /* of the data that was added */
imiad_status weights_writer_commit(weights_writer *w, const char *path);
void weights_writer_free(weights_writer *w);

#endif
