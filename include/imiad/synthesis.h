/* Synthetic defects: what self-supervised detectors damage their training images with, for looking
 * at and for detectors of one's own. docs/synthesis.md shows them. */
#ifndef IMIAD_SYNTHESIS_H
#define IMIAD_SYNTHESIS_H

#include "imiad/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The recipes by name: "draem", "cut_paste_patch", "texture_clouds", "operation_gamma", ... NULL
 * past the last. The texts live as long as the process. Any thread. */
IMIAD_API const char *imiad_synthesis_name(size_t index);

/* Makes one picture of an image by a recipe. It depends on nothing but the arguments, so that the
 * same seed and purpose give the same bytes, from any thread.
 *
 * image: RGB8. *out: RGB8 of its size (perlin: the mask itself). *mask: GRAY8 of its size, 255
 * where the picture is damaged and 0 elsewhere, NULL where the recipe has none (textures,
 * operations); the pointer itself may be NULL. Both belong to the caller: imiad_image_free.
 * textures: a folder of texture images, which "draem" and "memseg" draw from; NULL or "": the
 * library's own. purpose names the stream of random numbers, NULL stands for "".
 *
 * Errors: IMIAD_UNKNOWN_OPTION names all recipes; IMIAD_INVALID_ARGUMENT for NULL or another
 * format; IMIAD_NOT_FOUND and IMIAD_IO name the folder or the file. */
IMIAD_API imiad_status imiad_synthesize(imiad_image **out, imiad_image **mask, const char *name,
                                        const imiad_image *image, const char *textures,
                                        uint64_t seed, const char *purpose);

#ifdef __cplusplus
}
#endif
#endif
