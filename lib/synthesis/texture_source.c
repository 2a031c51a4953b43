#include "synthesis/texture_source.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/files.h"
#include "image/pixels.h"
#include "image/resize.h"

enum { MOST_FILES = 1000000, DEEPEST = 2 };

struct texture_source {
    char *name;
    char **paths; /* NULL: procedural */
    size_t count, room;
    pthread_mutex_t lock; /* of the cache */
    imiad_image **cache;  /* by path; of the first size asked for */
    uint64_t cache_left;
};

/* ---- the list ---- */

static bool is_image_name(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".bmp"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; ++i) {
        size_t end = strlen(endings[i]);
        if (length > end && strcasecmp(name + length - end, endings[i]) == 0)
            return true;
    }
    return false;
}

/* Takes the path over, also on failure. */
static imiad_status add_path(texture_source *t, char *path)
{
    if (t->count == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        char **grown = realloc(t->paths, room * sizeof *grown);
        if (!grown) {
            free(path);
            return fail_memory("a list of textures", room * sizeof *grown);
        }
        t->paths = grown;
        t->room = room;
    }
    t->paths[t->count++] = path;
    return IMIAD_OK;
}

static imiad_status list_below(texture_source *t, const char *folder, int depth)
{
    name_list names;
    TRY(folder_list(&names, folder));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < names.count && t->count < MOST_FILES; ++i) {
        char *path = path_join(folder, names.names[i]);
        if (!path)
            status = fail_memory("a path", strlen(folder));
        else if (folder_exists(path)) {
            if (depth < DEEPEST)
                status = list_below(t, path, depth + 1);
            free(path);
        } else if (is_image_name(names.names[i]))
            status = add_path(t, path);
        else
            free(path);
    }
    name_list_free(&names);
    return status;
}

/* ---- opening ---- */

static imiad_status name_source(texture_source *t, const char *folder)
{
    int length = t->paths ? asprintf(&t->name, "%zu images of %s", t->count, folder)
                          : asprintf(&t->name, "procedural");
    if (length < 0) {
        t->name = NULL;
        return fail_memory("a name", strlen(folder));
    }
    return IMIAD_OK;
}

static imiad_status find_textures(texture_source *t, const char *folder)
{
    TRY(list_below(t, folder, 0));
    if (t->count == 0)
        return fail(IMIAD_NOT_FOUND,
                    "textures: %s holds no image (JPEG, PNG or BMP), nor do the folders up to two "
                    "below it",
                    folder);
    t->cache = calloc(t->count, sizeof *t->cache);
    return t->cache ? IMIAD_OK : fail_memory("a cache of textures", t->count * sizeof *t->cache);
}

imiad_status texture_source_open(texture_source **out, const char *folder, uint64_t cache_bytes)
{
    texture_source *t = calloc(1, sizeof *t);
    if (!t)
        return fail_memory("a source of textures", sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    t->cache_left = cache_bytes;
    imiad_status status = folder && *folder ? find_textures(t, folder) : IMIAD_OK;
    if (status == IMIAD_OK)
        status = name_source(t, folder);
    if (status != IMIAD_OK) {
        texture_source_close(t);
        return status;
    }
    *out = t;
    return IMIAD_OK;
}

void texture_source_close(texture_source *source)
{
    if (!source)
        return;
    for (size_t i = 0; i < source->count; ++i) {
        free(source->paths[i]);
        if (source->cache)
            imiad_image_free(source->cache[i]);
    }
    pthread_mutex_destroy(&source->lock);
    free(source->paths);
    free(source->cache);
    free(source->name);
    free(source);
}

const char *texture_source_name(const texture_source *source)
{
    return source->name;
}

size_t texture_source_count(const texture_source *source)
{
    return source->count;
}

const char *texture_source_path(const texture_source *source, size_t index)
{
    return source->paths[index];
}

/* ---- drawing ---- */

static imiad_status read_texture(imiad_image **out, const char *path, int32_t width, int32_t height)
{
    imiad_image *read, *rgb, *resized;
    TRY(imiad_image_read(&read, path));
    imiad_status status = image_to_rgb(&rgb, read);
    imiad_image_free(read);
    TRY(status);
    status = image_create(&resized, IMIAD_PIXEL_RGB8, width, height);
    const resize_region all = {width, height, 0, 0, width, height};
    if (status == IMIAD_OK) {
        status = resize_image(resized->pixels, resized->stride, rgb, &all, RESIZE_BILINEAR);
        if (status == IMIAD_OK)
            *out = resized;
        else
            imiad_image_free(resized);
    }
    imiad_image_free(rgb);
    return status;
}

/* A copy of what is kept, if anything of that size is. */
static imiad_status take_kept(imiad_image **out, texture_source *t, size_t i, int32_t width,
                              int32_t height)
{
    imiad_status status = IMIAD_OK;
    *out = NULL;
    pthread_mutex_lock(&t->lock);
    const imiad_image *kept = t->cache[i];
    if (kept && kept->width == width && kept->height == height)
        status = image_to_rgb(out, kept);
    pthread_mutex_unlock(&t->lock);
    return status;
}

/* Without room for it, or without memory, it is read again next time. */
static void keep(texture_source *t, size_t i, const imiad_image *texture)
{
    uint64_t bytes = texture->stride * (uint64_t)texture->height;
    pthread_mutex_lock(&t->lock);
    if (!t->cache[i] && bytes <= t->cache_left && image_to_rgb(&t->cache[i], texture) == IMIAD_OK)
        t->cache_left -= bytes;
    pthread_mutex_unlock(&t->lock);
}

imiad_status texture_draw(imiad_image **out, texture_source *source, int32_t width, int32_t height,
                          const imiad_image *image, random_stream *s)
{
    if (!source->paths)
        return procedural_texture(out, (texture_kind)random_below(s, TEXTURE_KINDS), width, height,
                                  image, s);
    size_t i = (size_t)random_below(s, source->count);
    TRY(take_kept(out, source, i, width, height));
    if (*out)
        return IMIAD_OK;
    TRY(read_texture(out, source->paths[i], width, height));
    keep(source, i, *out);
    return IMIAD_OK;
}
