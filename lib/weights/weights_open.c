/* Opening a weight file: which format its content has, and what all formats need afterwards. */
#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "weights/weights_file.h"

/* Memory that a file may make the reader take: for copies of data, its own size several times over;
 * for names, a floor. */
enum { MEMORY_FLOOR = 64 << 20, MEMORY_FACTOR = 16 };

/* ---- formats ---- */

typedef struct signature {
    size_t offset;
    const char *bytes;
    size_t length;
    imiad_status (*read)(weights *w);
    const char *what; /* why not, where it cannot be read */
} signature;

#define BYTES(text) text, sizeof text - 1

/* The first that matches decides. safetensors has no magic but eight bytes of length and an opening
 * brace. Its low bytes may look like any other signature, so a length that can be real (below 2^32,
 * which no other format's bytes 4 to 8 look like) comes first; a hostile one comes last, for its
 * own message. */
static const signature signatures[] = {
    {4, BYTES("\0\0\0\0{"), safetensors_read, NULL},
    {0, BYTES("PK\3\4"), pth_zip_read, NULL},
    {2, BYTES(PTH_LEGACY_MAGIC), pth_legacy_read, NULL},
    {257, BYTES("ustar"), NULL,
     "a tar archive, as PyTorch wrote before 0.1.10; open it in a current PyTorch and save its "
     "state_dict() again"},
    {0, BYTES("\x80"), NULL,
     "a bare pickle, not a PyTorch file; save the state dict with torch.save or as safetensors"},
    {0, BYTES("version https://git-lfs"), NULL,
     "a Git LFS pointer, not the weights themselves; fetch them with git lfs pull"},
    {0, BYTES("\x93NUMPY"), NULL, "a NumPy array; save a state dict as safetensors instead"},
    {0, BYTES("\x89HDF"), NULL, "an HDF5 file; convert it to safetensors"},
    {0, BYTES("\x1f\x8b"), NULL, "compressed by gzip; unpack it first"},
    {0, BYTES("<"), NULL, "a web page or XML, not weights; check what was downloaded"},
    {0, BYTES("{"), shards_read, NULL},
    {8, BYTES("{"), safetensors_read, NULL},
};

static imiad_status read_content(weights *w)
{
    if (w->size == 0)
        return fail(IMIAD_FORMAT, "%s: the file is empty", w->memory.owner);
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; ++i) {
        const signature *s = &signatures[i];
        if (w->size < s->offset + s->length ||
            memcmp(w->bytes + s->offset, s->bytes, s->length) != 0)
            continue;
        if (s->read)
            return s->read(w);
        return fail(IMIAD_FORMAT, "%s: this is %s", w->memory.owner, s->what);
    }
    return fail(
        IMIAD_FORMAT,
        "%s: neither safetensors nor a PyTorch .pth nor an .npz (%zu bytes, the first is 0x%02x)",
        w->memory.owner, w->size, w->bytes[0]);
}

/* ---- the handle ---- */

static void drop_shared_prefix(weights *w)
{
    static const char prefix[] = "module.";
    enum { LENGTH = sizeof prefix - 1 };
    for (size_t i = 0; i < w->count; ++i)
        if (strncmp(w->items[i].name, prefix, LENGTH) != 0)
            return;
    for (size_t i = 0; i < w->count; ++i)
        w->items[i].name += LENGTH;
}

static imiad_status read_all(weights *w)
{
    TRY(read_content(w));
    if (!w->checksummed)
        drop_shared_prefix(w);
    TRY(weights_mark_shared(w));
    return weights_index_names(w);
}

/* `open_beside` opens the files that an index names; NULL where there are none to open. `own` is
 * the view's bytes where they may be changed. */
static imiad_status parse(weights **out, file_view view, uint8_t *own, const char *name,
                          imiad_status (*open_beside)(weights **out, const char *path),
                          bool unverified)
{
    weights *w = calloc(1, sizeof *w);
    char *owner = strdup(name);
    if (!w || !owner) {
        free(w);
        free(owner);
        return fail_memory("a weight file", sizeof *w);
    }
    w->bytes = view.bytes;
    w->size = view.size;
    w->own = own;
    w->memory.owner = owner;
    w->open_beside = open_beside;
    w->unverified = unverified;
    if (__builtin_mul_overflow(view.size, MEMORY_FACTOR, &w->memory.allowance) ||
        __builtin_add_overflow(w->memory.allowance, MEMORY_FLOOR, &w->memory.allowance))
        w->memory.allowance = SIZE_MAX;
    imiad_status status = read_all(w);
    if (status != IMIAD_OK) {
        weights_free(w);
        return status;
    }
    *out = w;
    return IMIAD_OK;
}

imiad_status weights_parse(weights **out, const void *bytes, size_t size, const char *name)
{
    return parse(out, (file_view){.bytes = bytes, .size = size}, NULL, name, NULL, false);
}

typedef imiad_status take_file(file_view *out, const char *path);

static imiad_status open_file(weights **out, const char *path, take_file *take, bool unverified)
{
    file_view view;
    weights *w = NULL;
    TRY(take(&view, path));
    uint8_t *own = view.mapped ? NULL : (uint8_t *)view.bytes; /* a copy, which nobody else has */
    imiad_status status = parse(&w, view, own, path, weights_open, unverified);
    if (status != IMIAD_OK) {
        file_unmap(&view);
        return status;
    }
    w->view = view;
    weights_let_go(w);
    *out = w;
    return IMIAD_OK;
}

imiad_status weights_open(weights **out, const char *path)
{
    return open_file(out, path, file_read, false);
}

imiad_status weights_map(weights **out, const char *path, bool verify)
{
    return open_file(out, path, file_map, !verify);
}
