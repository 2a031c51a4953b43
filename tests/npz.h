/* Reading NumPy's .npz in tests: a member's numbers, whatever their type, as doubles. */
#ifndef TESTS_NPZ_H
#define TESTS_NPZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/files.h"

typedef struct npy {
    size_t count;
    double *values;
} npy;

static inline uint32_t npz_u32(const uint8_t *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline double npz_number(const uint8_t *at, const char *type)
{
    float f4;
    double f8;
    int32_t i4;
    int64_t i8;
    if (strcmp(type, "<f4") == 0)
        return memcpy(&f4, at, 4), (double)f4;
    if (strcmp(type, "<f8") == 0)
        return memcpy(&f8, at, 8), f8;
    if (strcmp(type, "<i4") == 0)
        return memcpy(&i4, at, 4), (double)i4;
    if (strcmp(type, "<i8") == 0)
        return memcpy(&i8, at, 8), (double)i8;
    abort();
}

/* bytes: a whole .npy. Text arrays give count 0 values. */
static inline npy npy_parse(const uint8_t *bytes, size_t size)
{
    size_t header = 10u + bytes[8] + 256u * bytes[9];
    char type[4] = "", *text = calloc(header - 9, 1);
    memcpy(text, bytes + 10, header - 10);
    sscanf(strstr(text, "'descr': '") + 10, "%3[^']", type);
    free(text);
    size_t width = (size_t)(type[2] - '0');
    npy array = {(size - header) / width, NULL};
    array.values = malloc(array.count * sizeof *array.values + 1);
    for (size_t i = 0; i < array.count; ++i)
        array.values[i] = npz_number(bytes + header + i * width, type);
    return array;
}

/* A member's bytes by the central directory; NULL where there is none. */
static inline uint8_t *npz_member(const char *path, const char *name, size_t *size)
{
    file_view file;
    uint8_t *out = NULL;
    if (file_map(&file, path) != IMIAD_OK)
        return NULL;
    const uint8_t *end = file.bytes + file.size - 22;
    while (npz_u32(end) != 0x06054b50)
        --end;
    const uint8_t *entry = file.bytes + npz_u32(end + 16);
    for (; npz_u32(entry) == 0x02014b50 && !out;
         entry += 46 + entry[28] + 256 * entry[29] + entry[30] + 256 * entry[31]) {
        size_t length = entry[28] + 256u * entry[29];
        if (length != strlen(name) || memcmp(entry + 46, name, length) != 0)
            continue;
        const uint8_t *local = file.bytes + npz_u32(entry + 42);
        local += 30 + local[26] + 256 * local[27] + local[28] + 256 * local[29];
        *size = npz_u32(entry + 24);
        out = malloc(*size + 1);
        z_stream z = {.next_in = (uint8_t *)local,
                      .avail_in = npz_u32(entry + 20),
                      .next_out = out,
                      .avail_out = (uInt)*size};
        if (entry[10] == 0) {
            memcpy(out, local, *size);
        } else if (inflateInit2(&z, -MAX_WBITS) != Z_OK || inflate(&z, Z_FINISH) != Z_STREAM_END) {
            abort();
        }
        inflateEnd(&z);
    }
    file_unmap(&file);
    return out;
}

static inline npy npz_read(const char *path, const char *name)
{
    size_t size;
    uint8_t *bytes = npz_member(path, name, &size);
    if (!bytes)
        abort();
    npy array = npy_parse(bytes, size);
    free(bytes);
    return array;
}

/* A one-dimensional array of text ('<U25') as NUL-terminated ASCII: entry i at out + i * *width. */
static inline char *npz_read_text(const char *path, const char *name, size_t *count, size_t *width)
{
    size_t size;
    uint8_t *bytes = npz_member(path, name, &size);
    if (!bytes)
        abort();
    size_t header = 10u + bytes[8] + 256u * bytes[9];
    size_t letters = (size_t)atol(strstr((const char *)bytes + 10, "<U") + 2);
    *width = letters + 1;
    *count = (size - header) / (4 * letters);
    char *out = calloc(*count, *width);
    for (size_t i = 0; i < *count; ++i)
        for (size_t j = 0; j < letters; ++j)
            out[i * *width + j] = (char)bytes[header + 4 * (i * letters + j)];
    free(bytes);
    return out;
}

#endif
