/* Where the textures of synthetic defects come from: a folder of the caller's, or the library's own
 * procedural ones. One source serves any number of threads. */
#ifndef SYNTHESIS_TEXTURE_SOURCE_H
#define SYNTHESIS_TEXTURE_SOURCE_H

#include "base/random.h"
#include "imiad/image.h"

typedef struct texture_source texture_source;

/* The image files (JPEG, PNG, BMP) in the folder and up to two folders below it, which is how the
 * Describable Textures Dataset lies, sorted; NULL or "": procedural textures. At most cache_bytes
 * of read textures are kept. IMIAD_IO and IMIAD_NOT_FOUND name the folder. */
imiad_status texture_source_open(texture_source **out, const char *folder, uint64_t cache_bytes);
void texture_source_close(texture_source *source);

/* "procedural", or "5640 images of FOLDER": for messages and records. */
const char *texture_source_name(const texture_source *source);
/* How many images the folder holds, 0 of procedural textures; where each lies. */
size_t texture_source_count(const texture_source *source);
const char *texture_source_path(const texture_source *source, size_t index);

/* A texture as RGB8 of width x height. `image`, RGB8, is what the texture is for: some procedural
 * ones are made of it. A file that cannot be read is a failure that names it. */
imiad_status texture_draw(imiad_image **out, texture_source *source, int32_t width, int32_t height,
                          const imiad_image *image, random_stream *s);

/* ---- procedural ones ---- */

typedef enum texture_kind {
    TEXTURE_CLOUDS,   /* noise of three to six octaves through a palette */
    TEXTURE_GRATINGS, /* one to three warped waves */
    TEXTURE_CELLS,    /* distances to the nearest of scattered points */
    TEXTURE_TILES,    /* checks, bricks or stripes with uneven edges */
    TEXTURE_BLOBS,    /* two colours and grain */
    TEXTURE_BLOCKS,   /* the image's own blocks, shuffled */
    TEXTURE_KINDS
} texture_kind;

extern const char *const texture_kind_names[TEXTURE_KINDS];

imiad_status procedural_texture(imiad_image **out, texture_kind kind, int32_t width, int32_t height,
                                const imiad_image *image, random_stream *s);

#endif
