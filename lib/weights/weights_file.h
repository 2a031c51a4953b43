/* Between the handle and the readers of single formats. */
#ifndef WEIGHTS_WEIGHTS_FILE_H
#define WEIGHTS_WEIGHTS_FILE_H

#include <jansson.h>

#include "base/files.h"
#include "base/text.h"
#include "weights/arena.h"
#include "weights/weights.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weight files are little endian");

struct weights {
    const uint8_t *bytes; /* the whole file */
    uint8_t *own;         /* the same where they may be changed; NULL: a caller's, or mapped */
    size_t size;
    file_view view; /* of a file that was opened here */
    arena memory;   /* names, and data that could not be left in place; .owner is the file's name */
    weight *items;
    size_t count, room;
    const weight **by_name; /* sorted */
    json_t *metadata;       /* NULL where there is none */
    weights **shards;       /* of an index: whose names and data the items are */
    size_t shard_count, shard_room;
    imiad_status (*open_beside)(weights **out, const char *path); /* NULL in memory */
    bool unverified;  /* the checksum is not to be looked at */
    bool checksummed; /* the file carried a checksum of its own, and it is right */
};

/* A reader fills items and metadata from bytes; on failure the caller frees what it left. */
imiad_status safetensors_read(weights *w);
imiad_status pth_zip_read(weights *w);
imiad_status pth_legacy_read(weights *w);

/* An index of shards: "weight_map" of the JSON, every file in it a plain name. */
typedef struct shard_list {
    json_t *root, *map;
} shard_list;
imiad_status shard_list_read(shard_list *out, const uint8_t *bytes, size_t size, const char *file);
void shard_list_free(shard_list *list);
imiad_status shards_read(weights *w);

/* What a legacy .pth begins with after its two bytes of PROTO: a pickled magic number. */
#define PTH_LEGACY_MAGIC "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."

/* Strided elements of a storage. */
typedef struct weight_layout {
    dtype type;
    int rank;
    int64_t shape[WEIGHT_RANK], stride[WEIGHT_RANK]; /* in elements */
    int64_t offset;
} weight_layout;

/* Fills the strides of a contiguous array and its size in bytes. IMIAD_FORMAT where a size is
 * negative or the product overflows. */
imiad_status layout_contiguous(weight_layout *layout, size_t *bytes, const char *file,
                               const char *name);
/* Adds an array, in place where it is contiguous and aligned, else copied. The storage outlives the
 * handle or belongs to its memory. The name is copied; it must be UTF-8 without NUL. */
imiad_status weights_add(weights *w, const char *name, size_t name_length,
                         const weight_layout *layout, const uint8_t *storage, size_t storage_bytes);

/* The same bytes at a multiple of 8, where the file is this handle's own: moved by up to 7 bytes,
 * over what stands before them, which is lost. Else where they are, and weights_add copies them. */
const uint8_t *weights_align(const weights *w, const uint8_t *data, size_t size);
/* Finds out which arrays are shared, once all are there. */
imiad_status weights_mark_shared(weights *w);
/* Sorts the names for weights_find, once all are there. IMIAD_FORMAT where two are the same. */
imiad_status weights_index_names(weights *w);

/* weights_writer's files begin their header with this and eight digits. */
#define CHECKSUM_KEY    "imiad.crc32"
#define CHECKSUM_ZEROS  "00000000"
#define CHECKSUM_BEFORE "{\"__metadata__\":{\"" CHECKSUM_KEY "\":\""

#define SAFETENSORS_HEADER_LIMIT 100000000 /* the reference implementation's */
const char *safetensors_type_name(dtype type);

#endif
