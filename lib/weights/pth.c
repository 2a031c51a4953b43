/* PyTorch's own files. Zip (1.6 and later): the pickle is the member <root>/data.pkl, every storage
 * a member <root>/data/<key>. Legacy: a stream of five pickles (magic number, version, system,
 * object, storage keys), then for each key a count and the storage. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "weights/npz.h"
#include "weights/pickle.h"

#define WRITTEN_BIG_ENDIAN "%s: written on a big-endian machine; only little-endian files are read"

/* Where storages come from; on success bytes has as many as the reference says. */
typedef struct storage_source {
    imiad_status (*read)(const uint8_t **bytes, void *context, const pickle_storage *storage);
    void *context;
} storage_source;

/* ---- the state dict ---- */

static const pickle_node *dict_value(const pickle_node *dict, const char *key)
{
    const pickle_items *items = &dict->items;
    for (size_t i = 0; i + 1 < items->count; i += 2)
        if (items->at[i]->kind == PICKLE_TEXT && text_equals(items->at[i]->text, key))
            return items->at[i + 1];
    return NULL;
}

/* Training scripts put it beside optimiser state and counters. */
static const pickle_node *find_state(const pickle_node *top, const char *file)
{
    static const char *const keys[] = {"state_dict", "model", "state_dict_ema", "model_ema"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i) {
        const pickle_node *value = dict_value(top, keys[i]);
        if (!value || value->kind != PICKLE_DICT)
            continue;
        log_message(IMIAD_LOG_INFO, "%s: the weights are its entry \"%s\"", file, keys[i]);
        return value;
    }
    return top;
}

static imiad_status add_tensor(weights *w, pickle_text name, const pickle_tensor *stored,
                               const storage_source *source)
{
    const pickle_storage *storage = stored->storage;
    weight_layout layout = stored->layout;
    layout.type = stored->kind->type;
    if (layout.type == 0)
        return fail(IMIAD_FORMAT, "%s: tensor %s is of type %s, which this library does not read",
                    w->memory.owner, show_text(name.bytes, name.length).text, stored->kind->name);
    const uint8_t *bytes;
    TRY(source->read(&bytes, source->context, storage));
    size_t element = storage->kind->bytes;
    return weights_add(w, name.bytes, name.length, &layout,
                       bytes + (size_t)storage->view_begin * element,
                       (size_t)storage->view_count * element);
}

/* "epoch (an int), args (a dict), ...": what a dict without tensors holds instead. */
static imiad_status fail_without_tensors(const weights *w, const pickle_node *dict)
{
    char found[300] = "";
    size_t length = 0, i = 0, total = dict->items.count / 2;
    for (; i < total && i < 6; ++i) {
        const pickle_node *key = dict->items.at[2 * i], *value = dict->items.at[2 * i + 1];
        pickle_text text = {"?", 1};
        if (key->kind == PICKLE_TEXT)
            text = key->text;
        length +=
            (size_t)snprintf(found + length, sizeof found - length, "%s%s (%s)", i ? ", " : "",
                             show_text(text.bytes, text.length < 30 ? text.length : 30).text,
                             pickle_kind_name(value->kind));
    }
    return fail(IMIAD_FORMAT,
                "%s: no state dict: neither the file nor its \"state_dict\" or \"model\" holds "
                "tensors, but %s%s",
                w->memory.owner, total ? found : "nothing", i < total ? ", ..." : "");
}

/* The tensors of a dict, by their keys behind the prefix. */
static imiad_status add_dict(weights *w, const pickle_node *dict, pickle_text prefix,
                             const storage_source *source)
{
    const pickle_items *items = &dict->items;
    for (size_t i = 0; i + 1 < items->count; i += 2) {
        const pickle_node *key = items->at[i], *value = items->at[i + 1];
        if (value->kind != PICKLE_TENSOR)
            continue;
        if (key->kind != PICKLE_TEXT)
            return fail(IMIAD_FORMAT, "%s: a tensor's name is %s, not a text", w->memory.owner,
                        pickle_kind_name(key->kind));
        char name[512];
        size_t length = prefix.length + key->text.length;
        if (prefix.length > 0 && length > sizeof name)
            return fail(IMIAD_FORMAT, "%s: the name of tensor %s is too long", w->memory.owner,
                        show_text(key->text.bytes, key->text.length).text);
        if (prefix.length > 0) {
            memcpy(name, prefix.bytes, prefix.length);
            memcpy(name + prefix.length, key->text.bytes, key->text.length);
        }
        pickle_text full = prefix.length > 0 ? (pickle_text){name, length} : key->text;
        TRY(add_tensor(w, full, value->tensor, source));
    }
    return IMIAD_OK;
}

/* State dicts of several networks side by side: {"bn": {...}, "decoder": {...}}. */
static imiad_status add_parts(weights *w, const pickle_node *top, const storage_source *source)
{
    const pickle_items *items = &top->items;
    for (size_t i = 0; i + 1 < items->count; i += 2) {
        const pickle_node *key = items->at[i], *value = items->at[i + 1];
        char prefix[128];
        if (key->kind != PICKLE_TEXT || value->kind != PICKLE_DICT ||
            key->text.length >= sizeof prefix)
            continue;
        memcpy(prefix, key->text.bytes, key->text.length);
        prefix[key->text.length] = '.';
        TRY(add_dict(w, value, (pickle_text){prefix, key->text.length + 1}, source));
    }
    return IMIAD_OK;
}

static imiad_status add_state(weights *w, const pickle_node *top, const storage_source *source)
{
    if (top->kind != PICKLE_DICT)
        return fail(IMIAD_FORMAT, "%s: holds %s, not a state dict", w->memory.owner,
                    pickle_kind_name(top->kind));
    const pickle_node *state = find_state(top, w->memory.owner);
    TRY(add_dict(w, state, (pickle_text){"", 0}, source));
    if (w->count == 0)
        TRY(add_parts(w, state, source));
    return w->count > 0 ? IMIAD_OK : fail_without_tensors(w, state);
}

/* ---- zip ---- */

typedef struct zip_storages {
    zip_archive zip;
    const char *root; /* with its slash */
    size_t root_length;
} zip_storages;

static zip_member *find_below_root(const zip_storages *s, const char *name)
{
    return zip_find(&s->zip, s->root, s->root_length, name, strlen(name));
}

/* The root's name is free: it is what stands before data.pkl. */
static imiad_status find_root(zip_storages *s, const char *file)
{
    static const char wanted[] = "data.pkl";
    const size_t length = sizeof wanted - 1;
    s->root = NULL;
    for (size_t i = 0; i < s->zip.count; ++i) {
        const zip_member *m = &s->zip.members[i];
        if (m->name_length < length ||
            memcmp(m->name + m->name_length - length, wanted, length) != 0 ||
            (m->name_length > length && m->name[m->name_length - length - 1] != '/'))
            continue;
        if (s->root)
            return fail(IMIAD_FORMAT, "%s: holds more than one data.pkl", file);
        s->root = m->name;
        s->root_length = m->name_length - length;
    }
    if (!s->root)
        return fail(IMIAD_FORMAT, "%s: a zip archive without data.pkl: not a PyTorch file", file);
    if (find_below_root(s, "constants.pkl"))
        return fail(IMIAD_FORMAT,
                    "%s: a TorchScript archive, which holds a program; save the "
                    "model's state_dict() with torch.save instead",
                    file);
    return IMIAD_OK;
}

static imiad_status check_byte_order(zip_storages *s, const char *file)
{
    const uint8_t *bytes;
    zip_member *order = find_below_root(s, "byteorder");
    if (!order)
        return IMIAD_OK;
    TRY(zip_read_member(&bytes, &s->zip, order));
    if (order->size != 6 || memcmp(bytes, "little", 6) != 0)
        return fail(IMIAD_FORMAT, WRITTEN_BIG_ENDIAN, file);
    return IMIAD_OK;
}

static imiad_status read_zip_storage(const uint8_t **bytes, void *context,
                                     const pickle_storage *storage)
{
    zip_storages *s = context;
    const char *file = s->zip.memory->owner;
    char name[200];
    int length =
        snprintf(name, sizeof name, "data/%.*s", (int)storage->key.length, storage->key.bytes);
    zip_member *member = length < (int)sizeof name
                             ? zip_find(&s->zip, s->root, s->root_length, name, (size_t)length)
                             : NULL;
    if (!member)
        return fail(IMIAD_FORMAT, "%s: no zip member for storage %s", file,
                    show_text(storage->key.bytes, storage->key.length).text);
    size_t expected;
    if (__builtin_mul_overflow((size_t)storage->count, storage->kind->bytes, &expected) ||
        member->size != expected)
        return fail(IMIAD_FORMAT, "%s: storage %s has %" PRIu64 " bytes, not %" PRId64 " of %s",
                    file, show_text(storage->key.bytes, storage->key.length).text, member->size,
                    storage->count, storage->kind->name);
    return zip_read_member(bytes, &s->zip, member);
}

imiad_status pth_zip_read(weights *w)
{
    const char *file = w->memory.owner;
    zip_storages storages;
    storage_source source = {read_zip_storage, &storages};
    TRY(zip_read_directory(&storages.zip, w->bytes, w->size, &w->memory));
    if (npz_is(&storages.zip))
        return npz_read(w, &storages.zip);
    TRY(find_root(&storages, file));
    TRY(check_byte_order(&storages, file));
    zip_member *member = find_below_root(&storages, "data.pkl");
    const uint8_t *bytes;
    TRY(zip_read_member(&bytes, &storages.zip, member));
    arena nodes = {.allowance = w->memory.allowance, .owner = file};
    pickle read;
    imiad_status status = pickle_read(&read, &nodes, bytes, (size_t)member->size);
    if (status == IMIAD_OK)
        status = add_state(w, read.top, &source);
    arena_free(&nodes);
    return status;
}

/* ---- legacy ---- */

typedef struct legacy_storage {
    const pickle_storage *reference; /* one of them; all agree */
    const uint8_t *bytes;            /* NULL until it is found in the stream */
} legacy_storage;

typedef struct legacy {
    const char *file;
    const uint8_t *at, *end; /* what is not yet read */
    arena nodes;
    legacy_storage *storages; /* sorted by key */
    size_t count;
} legacy;

static int compare_keys(const void *a, const void *b)
{
    const pickle_text x = ((const legacy_storage *)a)->reference->key;
    const pickle_text y = ((const legacy_storage *)b)->reference->key;
    int order = memcmp(x.bytes, y.bytes, x.length < y.length ? x.length : y.length);
    return order != 0 ? order : (x.length > y.length) - (x.length < y.length);
}

static legacy_storage *find_legacy(const legacy *l, pickle_text key)
{
    pickle_storage reference = {.key = key};
    legacy_storage wanted = {&reference, NULL};
    return l->count ? bsearch(&wanted, l->storages, l->count, sizeof wanted, compare_keys) : NULL;
}

static imiad_status next_pickle(pickle *out, legacy *l, pickle_kind kind)
{
    TRY(pickle_read(out, &l->nodes, l->at, (size_t)(l->end - l->at)));
    if (out->top->kind != kind)
        return fail(IMIAD_FORMAT, "%s: the legacy stream has %s where %s should be", l->file,
                    pickle_kind_name(out->top->kind), pickle_kind_name(kind));
    l->at += out->size;
    return IMIAD_OK;
}

/* Version and system, between the magic number and the object. */
static imiad_status check_legacy_head(legacy *l)
{
    enum { VERSION = 1001 };
    pickle version, system;
    TRY(next_pickle(&version, l, PICKLE_INT));
    if (version.top->integer != VERSION)
        return fail(IMIAD_FORMAT, "%s: version %" PRId64 " of the legacy format is not known",
                    l->file, version.top->integer);
    TRY(next_pickle(&system, l, PICKLE_DICT));
    const pickle_node *little = dict_value(system.top, "little_endian");
    if (!little || little->kind != PICKLE_BOOL || !little->integer)
        return fail(IMIAD_FORMAT, WRITTEN_BIG_ENDIAN, l->file);
    return IMIAD_OK;
}

/* One entry for each key that the object refers to. */
static imiad_status list_storages(legacy *l, const pickle_storage *references)
{
    size_t count = 0, kept = 0;
    for (const pickle_storage *s = references; s; s = s->next)
        ++count;
    TRY(arena_take(&l->storages, &l->nodes, (count + 1) * sizeof *l->storages));
    for (const pickle_storage *s = references; s; s = s->next)
        l->storages[l->count++] = (legacy_storage){s, NULL};
    qsort(l->storages, count, sizeof *l->storages, compare_keys);
    for (size_t i = 0; i < count; ++i) {
        const legacy_storage *last = kept > 0 ? &l->storages[kept - 1] : NULL;
        const pickle_storage *s = l->storages[i].reference;
        if (!last || compare_keys(last, &l->storages[i]) != 0)
            l->storages[kept++] = l->storages[i];
        else if (s->count != last->reference->count || s->kind != last->reference->kind)
            return fail(IMIAD_FORMAT, "%s: storage %s is described in two ways", l->file,
                        show_text(s->key.bytes, s->key.length).text);
    }
    l->count = kept;
    return IMIAD_OK;
}

/* A count of elements, which must be the one that the object knows, and the elements. */
static imiad_status place_storage(const weights *w, legacy *l, const pickle_node *key)
{
    if (key->kind != PICKLE_TEXT)
        return fail(IMIAD_FORMAT, "%s: a storage's key is %s", l->file,
                    pickle_kind_name(key->kind));
    const shown name = show_text(key->text.bytes, key->text.length);
    legacy_storage *storage = find_legacy(l, key->text);
    if (!storage || storage->bytes)
        return fail(IMIAD_FORMAT, "%s: storage %s stands in the file %s", l->file, name.text,
                    storage ? "twice" : "but is not used");
    const pickle_storage *expected = storage->reference;
    size_t left = (size_t)(l->end - l->at), bytes;
    uint64_t count;
    if (left < sizeof count)
        return fail(IMIAD_FORMAT, "%s: storage %s is truncated", l->file, name.text);
    memcpy(&count, l->at, sizeof count);
    if (count != (uint64_t)expected->count)
        return fail(IMIAD_FORMAT, "%s: storage %s has %" PRIu64 " elements, not %" PRId64, l->file,
                    name.text, count, expected->count);
    left -= sizeof count;
    if (__builtin_mul_overflow((size_t)count, expected->kind->bytes, &bytes) || bytes > left)
        return fail(IMIAD_FORMAT, "%s: storage %s is truncated", l->file, name.text);
    l->at += sizeof count;
    storage->bytes = weights_align(w, l->at, bytes); /* over the count at most */
    l->at += bytes;
    return IMIAD_OK;
}

static imiad_status read_legacy_storage(const uint8_t **bytes, void *context,
                                        const pickle_storage *storage)
{
    const legacy *l = context;
    *bytes = find_legacy(l, storage->key)->bytes;
    if (!*bytes)
        return fail(IMIAD_FORMAT, "%s: storage %s is missing", l->file,
                    show_text(storage->key.bytes, storage->key.length).text);
    return IMIAD_OK;
}

static imiad_status read_stream(weights *w, legacy *l)
{
    pickle object, keys;
    TRY(check_legacy_head(l));
    TRY(pickle_read(&object, &l->nodes, l->at, (size_t)(l->end - l->at)));
    l->at += object.size;
    TRY(list_storages(l, object.storages));
    TRY(next_pickle(&keys, l, PICKLE_LIST));
    for (size_t i = 0; i < keys.top->items.count; ++i)
        TRY(place_storage(w, l, keys.top->items.at[i]));
    if (l->at != l->end)
        return fail(IMIAD_FORMAT, "%s: %zu bytes follow the last storage", l->file,
                    (size_t)(l->end - l->at));
    storage_source source = {read_legacy_storage, l};
    return add_state(w, object.top, &source);
}

imiad_status pth_legacy_read(weights *w)
{
    const size_t head = 2 + sizeof PTH_LEGACY_MAGIC - 1;
    legacy l = {.file = w->memory.owner,
                .at = w->bytes + head,
                .end = w->bytes + w->size,
                .nodes = {.allowance = w->memory.allowance, .owner = w->memory.owner}};
    imiad_status status = read_stream(w, &l);
    arena_free(&l.nodes);
    return status;
}
