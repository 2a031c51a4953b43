/* The recipes by name, for programs. */
#include "imiad/synthesis.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "synthesis/augmenters.h"
#include "synthesis/blend.h"
#include "synthesis/cut_paste.h"
#include "synthesis/damage.h"

/* What a recipe works with. */
typedef struct making {
    const imiad_image *image;
    const char *textures;
    random_stream stream;
    int kind; /* of a texture or an operation */
} making;

typedef struct recipe {
    const char *name;
    imiad_status (*make)(imiad_image **out, imiad_image **mask, making *m);
    int kind;
} recipe;

/* ---- whole recipes ---- */

static imiad_status make_perlin(imiad_image **out, imiad_image **mask, making *m)
{
    int64_t covered;
    imiad_image *noise;
    TRY(perlin_mask(&noise, &covered, m->image->width, m->image->height, &perlin_defaults,
                    &m->stream));
    imiad_status status = image_to_rgb(out, noise);
    if (status == IMIAD_OK)
        *mask = noise;
    else
        imiad_image_free(noise);
    return status;
}

static imiad_status make_patch(imiad_image **out, imiad_image **mask, making *m)
{
    return cut_mix(out, mask, m->image, &m->stream);
}

static imiad_status make_scar(imiad_image **out, imiad_image **mask, making *m)
{
    cut c = cut_paste_draw_scar(m->image->width, m->image->height, &cut_paste_defaults, &m->stream);
    return cut_paste_scar(out, mask, m->image, &c);
}

static imiad_status make_jitter(imiad_image **out, imiad_image **mask, making *m)
{
    (void)mask;
    color_jitter j = color_jitter_draw(0.1, &m->stream);
    TRY(image_to_rgb(out, m->image));
    color_jitter_apply(*out, &j);
    return IMIAD_OK;
}

/* Damaged in any case: half of what DRAEM trains with is whole. */
static imiad_status make_draem(imiad_image **out, imiad_image **mask, making *m)
{
    texture_source *textures;
    draem_damage d;
    draem_options o = draem_defaults;
    o.whole = 0;
    TRY(texture_source_open(&textures, m->textures, 0));
    imiad_status status = draem_draw(&d, m->image, textures, &o, &m->stream);
    texture_source_close(textures);
    TRY(status);
    status = blend_texture(out, d.clean, d.texture, d.mask, d.opacity);
    if (status == IMIAD_OK) {
        *mask = d.mask;
        d.mask = NULL;
    }
    draem_damage_free(&d);
    return status;
}

static imiad_status make_memseg(imiad_image **out, imiad_image **mask, making *m)
{
    texture_source *textures;
    TRY(texture_source_open(&textures, m->textures, 0));
    imiad_status status =
        memseg_damage(out, mask, m->image, textures, &memseg_defaults, &m->stream);
    texture_source_close(textures);
    return status;
}

static imiad_status make_foreground(imiad_image **out, imiad_image **mask, making *m)
{
    imiad_image *object;
    TRY(foreground_mask(&object, m->image, memseg_defaults.foreground, false));
    imiad_status status = image_to_rgb(out, object);
    if (status == IMIAD_OK)
        *mask = object;
    else
        imiad_image_free(object);
    return status;
}

/* ---- parts of them ---- */

static imiad_status make_texture(imiad_image **out, imiad_image **mask, making *m)
{
    (void)mask;
    return procedural_texture(out, (texture_kind)m->kind, m->image->width, m->image->height,
                              m->image, &m->stream);
}

static imiad_status make_operation(imiad_image **out, imiad_image **mask, making *m)
{
    (void)mask;
    const augmenter_kind kind = (augmenter_kind)m->kind;
    imiad_image *changed;
    TRY(image_to_rgb(&changed, m->image));
    imiad_status status = augmenters_apply(&changed, &kind, 1, &m->stream);
    if (status == IMIAD_OK)
        *out = changed;
    else
        imiad_image_free(changed);
    return status;
}

/* ---- all of them ---- */

static const recipe recipes[] = {
    {"perlin", make_perlin, 0},
    {"foreground", make_foreground, 0},
    {"color_jitter", make_jitter, 0},
    {"cut_paste_patch", make_patch, 0},
    {"cut_paste_scar", make_scar, 0},
    {"cut_mix", make_patch, 0},
    {"draem", make_draem, 0},
    {"memseg", make_memseg, 0},
    {"texture_clouds", make_texture, TEXTURE_CLOUDS},
    {"texture_gratings", make_texture, TEXTURE_GRATINGS},
    {"texture_cells", make_texture, TEXTURE_CELLS},
    {"texture_tiles", make_texture, TEXTURE_TILES},
    {"texture_blobs", make_texture, TEXTURE_BLOBS},
    {"texture_blocks", make_texture, TEXTURE_BLOCKS},
    {"operation_gamma", make_operation, AUGMENTER_GAMMA},
    {"operation_brightness", make_operation, AUGMENTER_BRIGHTNESS},
    {"operation_sharpness", make_operation, AUGMENTER_SHARPNESS},
    {"operation_hue_saturation", make_operation, AUGMENTER_HUE_SATURATION},
    {"operation_solarize", make_operation, AUGMENTER_SOLARIZE},
    {"operation_posterize", make_operation, AUGMENTER_POSTERIZE},
    {"operation_invert", make_operation, AUGMENTER_INVERT},
    {"operation_autocontrast", make_operation, AUGMENTER_AUTOCONTRAST},
    {"operation_equalize", make_operation, AUGMENTER_EQUALIZE},
    {"operation_rotate", make_operation, AUGMENTER_ROTATE},
};

enum { RECIPES = sizeof recipes / sizeof *recipes };

const char *imiad_synthesis_name(size_t index)
{
    return index < RECIPES ? recipes[index].name : NULL;
}

static imiad_status fail_unknown(const char *name)
{
    char all[1024];
    size_t used = 0;
    for (size_t i = 0; i < RECIPES; ++i)
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "",
                                 recipes[i].name);
    return fail(IMIAD_UNKNOWN_OPTION, "no synthesis is named \"%.64s\"; there are %s", name, all);
}

imiad_status imiad_synthesize(imiad_image **out, imiad_image **mask, const char *name,
                              const imiad_image *image, const char *textures, uint64_t seed,
                              const char *purpose)
{
    if (!out || !name || !image)
        return fail(IMIAD_INVALID_ARGUMENT, "synthesis: NULL");
    TRY(image_check(image, "synthesis: image"));
    if (image->format != IMIAD_PIXEL_RGB8)
        return fail(IMIAD_INVALID_ARGUMENT, "synthesis: the image is not RGB8");
    const recipe *found = recipes;
    while (found < recipes + RECIPES && strcmp(found->name, name) != 0)
        ++found;
    if (found == recipes + RECIPES)
        return fail_unknown(name);
    making m = {image, textures, random_open(seed, purpose ? purpose : ""), found->kind};
    imiad_image *made, *damaged = NULL;
    TRY(found->make(&made, &damaged, &m));
    *out = made;
    if (mask)
        *mask = damaged;
    else
        imiad_image_free(damaged);
    return IMIAD_OK;
}
