/* Weights in several files: an index, as Hugging Face writes it, says which file beside it holds
 * which tensor. {"weight_map": {"NAME": "model-00001-of-00002.safetensors", ...}} */
#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "weights/weights_file.h"

/* A file beside the index: a name from outside never leaves that folder. */
static bool is_plain_name(const char *name)
{
    return name && name[0] && name[0] != '.' && !strchr(name, '/');
}

/* "folder/name" for the index's "folder/index.json". */
static char *beside(const char *index, const char *name)
{
    const char *slash = strrchr(index, '/');
    char folder[4096];
    size_t length = slash ? (size_t)(slash - index) + 1 : 0;
    if (length >= sizeof folder)
        return NULL;
    memcpy(folder, index, length);
    folder[length] = '\0';
    return length > 0 ? path_join(folder, name) : strdup(name);
}

imiad_status shard_list_read(shard_list *out, const uint8_t *bytes, size_t size, const char *file)
{
    json_error_t error;
    *out = (shard_list){NULL, NULL};
    if (size > SAFETENSORS_HEADER_LIMIT)
        return fail(IMIAD_FORMAT, "%s: an index of %zu bytes is more than is read", file, size);
    out->root = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, &error);
    if (!out->root)
        return fail(IMIAD_FORMAT, "%s: the index, byte %d: %s", file, error.position, error.text);
    out->map = json_object_get(out->root, "weight_map");
    const char *name;
    json_t *shard;
    bool sound = json_object_size(out->map) > 0;
    json_object_foreach(out->map, name, shard)
    {
        if (!is_plain_name(json_string_value(shard))) {
            fail(IMIAD_FORMAT, "%s: tensor %s is not in a file beside the index", file,
                 show_text(name, strlen(name)).text);
            shard_list_free(out);
            return IMIAD_FORMAT;
        }
    }
    if (!sound)
        shard_list_free(out);
    return sound ? IMIAD_OK
                 : fail(IMIAD_FORMAT, "%s: JSON, but no index of weights: it has no weight_map",
                        file);
}

void shard_list_free(shard_list *list)
{
    json_decref(list->root);
    *list = (shard_list){NULL, NULL};
}

/* The opened shard; the first use opens it. `places` maps names to indices. */
static imiad_status open_shard(weights **out, weights *w, json_t *places, const char *name)
{
    const json_t *place = json_object_get(places, name);
    if (place) {
        *out = w->shards[json_integer_value(place)];
        return IMIAD_OK;
    }
    char *path = beside(w->memory.owner, name);
    if (!path)
        return fail_memory("a path", strlen(name));
    weights *shard = NULL;
    imiad_status status = array_reserve(&w->shards, w->shard_count, &w->shard_room,
                                        sizeof *w->shards, "a list of files");
    if (status == IMIAD_OK)
        status = w->open_beside(&shard, path);
    if (status != IMIAD_OK)
        fail_within(status, "%s", w->memory.owner);
    free(path);
    TRY(status);
    w->shards[w->shard_count] = shard;
    *out = shard;
    if (json_object_set_new(places, name, json_integer((json_int_t)w->shard_count++)) != 0)
        return fail_memory("a list of files", 0);
    return IMIAD_OK;
}

static imiad_status add_tensor(weights *w, json_t *places, const char *name, const char *file)
{
    weights *shard = NULL;
    TRY(open_shard(&shard, w, places, file));
    const weight *found = weights_find(shard, name);
    if (!found)
        return fail(IMIAD_FORMAT, "%s: tensor %s is not in %s, where the index says",
                    w->memory.owner, show_text(name, strlen(name)).text, file);
    TRY(array_reserve(&w->items, w->count, &w->room, sizeof *w->items, "a list of tensors"));
    w->items[w->count++] = *found; /* names and data are the shard's */
    return IMIAD_OK;
}

imiad_status shards_read(weights *w)
{
    shard_list list;
    TRY(shard_list_read(&list, w->bytes, w->size, w->memory.owner));
    if (!w->open_beside) {
        shard_list_free(&list);
        return fail(IMIAD_FORMAT, "%s: an index of weights in other files, which are not here",
                    w->memory.owner);
    }
    json_t *places = json_object();
    imiad_status status = places ? IMIAD_OK : fail_memory("a list of files", 0);
    const char *name;
    json_t *file;
    json_object_foreach(list.map, name, file)
    {
        if (status == IMIAD_OK)
            status = add_tensor(w, places, name, json_string_value(file));
    }
    json_decref(places);
    shard_list_free(&list);
    return status;
}

/* ---- the digest of weights in however many files ---- */

static imiad_status add_digest(json_t *digests, const char *index, const char *name)
{
    char digest[65];
    if (json_object_get(digests, name))
        return IMIAD_OK;
    char *path = beside(index, name);
    if (!path)
        return fail_memory("a path", strlen(name));
    imiad_status status = file_digest(digest, path);
    free(path);
    if (status == IMIAD_OK && json_object_set_new(digests, name, json_string(digest)) != 0)
        status = fail_memory("a digest", sizeof digest);
    return status;
}

static imiad_status digest_shards(char out[65], const file_view *index, const char *path)
{
    shard_list list;
    TRY(shard_list_read(&list, index->bytes, index->size, path));
    json_t *digests = json_object(), *file;
    const char *name;
    imiad_status status = IMIAD_OK;
    json_object_foreach(list.map, name, file)
    {
        if (status == IMIAD_OK)
            status = add_digest(digests, path, json_string_value(file));
    }
    char *text = status == IMIAD_OK ? json_dumps(digests, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    if (text)
        bytes_digest(out, text, strlen(text));
    else if (status == IMIAD_OK)
        status = fail_memory("a digest", 0);
    free(text);
    json_decref(digests);
    shard_list_free(&list);
    return status;
}

imiad_status weights_digest(char out[65], const char *path)
{
    file_view view;
    TRY(file_read_begin(&view, path, 1));
    bool index = view.size > 0 && view.bytes[0] == '{';
    file_unmap(&view);
    if (!index)
        return file_digest(out, path);
    TRY(file_read(&view, path));
    imiad_status status = digest_shards(out, &view, path);
    file_unmap(&view);
    return status;
}
