/* The zip archives that PyTorch writes: stored members, ZIP64, and deflated ones from other tools.
 * No name in an archive ever becomes a path. */
#ifndef WEIGHTS_ZIP_H
#define WEIGHTS_ZIP_H

#include "weights/arena.h"

typedef struct zip_member {
    const char *name; /* not ending in NUL */
    size_t name_length;
    uint16_t method;
    uint32_t checksum;
    uint64_t packed, size, header; /* bytes in the archive, bytes unpacked, where it stands */
    const uint8_t *data;           /* once read */
} zip_member;

typedef struct zip_archive {
    const uint8_t *bytes;
    size_t size, directory; /* members lie before the directory */
    zip_member *members;    /* sorted by name */
    size_t count;
    arena *memory; /* unpacked members; its owner is the name for messages */
} zip_archive;

/* Reads the directory. Names must be unique. Members are freed with `memory`. */
imiad_status zip_read_directory(zip_archive *out, const uint8_t *bytes, size_t size, arena *memory);
/* "prefix" + "name"; NULL where there is none. */
zip_member *zip_find(const zip_archive *zip, const char *prefix, size_t prefix_length,
                     const char *name, size_t name_length);
/* Its bytes, checked against size and CRC-32 once: in the archive where it is stored, else
 * unpacked.
 */
imiad_status zip_read_member(const uint8_t **out, const zip_archive *zip, zip_member *member);

#endif
