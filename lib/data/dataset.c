#include "data/dataset.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arrays.h"
#include "base/error.h"
#include "image/decode.h"

const option_spec dataset_common_options[] = {
    {"missing_mask", OPT_CHOICE, "error", "error|skip|empty",
     "a defective image without mask: fail when the mask is read, count in no pixel metric, or "
     "count as all good"},
    {"mask_threshold", OPT_INT, "1", "1..255",
     "mask pixels from this value on are defective; 128 for masks with soft edges"},
    {"orientation", OPT_CHOICE, "stored", "stored|exif",
     "images as they are stored, or turned upright as their cameras wrote"},
    {"range", OPT_TEXT, "", "",
     "values of images with more than 8 bits that become black and white, such as 0..4095; empty: "
     "0..65535"},
    {"categories", OPT_TEXT, "", "",
     "names separated by commas: list only these, in this order; empty lists all, sorted"},
    {0},
};

/* ---- memory that lives as long as the dataset ---- */

enum { TEXT_BLOCK_BYTES = 1 << 16 };

struct text_block {
    struct text_block *next;
    size_t used, room;
    _Alignas(max_align_t) char bytes[];
};

void *dataset_memory(imiad_dataset *dataset, size_t bytes)
{
    size_t wanted =
        (bytes + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
    struct text_block *block = dataset->text;
    if (!block || block->room - block->used < wanted) {
        size_t room = wanted > TEXT_BLOCK_BYTES ? wanted : TEXT_BLOCK_BYTES;
        block = malloc(sizeof *block + room);
        if (!block) {
            fail_memory("a dataset's listing", room);
            return NULL;
        }
        *block = (struct text_block){.next = dataset->text, .room = room};
        dataset->text = block;
    }
    void *memory = block->bytes + block->used;
    block->used += wanted;
    return memory;
}

const char *dataset_text(imiad_dataset *dataset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = dataset_memory(dataset, (size_t)length + 1);
    if (!text)
        return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

/* ---- names ---- */

const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

size_t stem_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

bool is_image_name(const char *name)
{
    return image_has_name(name);
}

/* Bytewise, folder by folder: a slash sorts before every other byte. */
static int compare_paths(const char *a, const char *b)
{
    while (*a && *a == *b)
        ++a, ++b;
    if (*a == *b)
        return 0;
    if (*a == '/' || *b == '/')
        return !*a ? -1 : !*b ? 1 : *a == '/' ? -1 : 1;
    return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int compare_samples(const void *left, const void *right)
{
    const sample *a = left, *b = right;
    if (a->category != b->category)
        return a->category < b->category ? -1 : 1;
    if (a->subset != b->subset)
        return a->subset < b->subset ? -1 : 1;
    return compare_paths(a->path, b->path);
}

/* ---- what readers fill in ---- */

static bool is_known(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; ++i)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static imiad_status add_category(imiad_dataset *dataset, const char *name)
{
    for (size_t i = 0; i < dataset->category_count; ++i)
        if (strcmp(dataset->categories[i].name, name) == 0)
            return fail(IMIAD_OUT_OF_RANGE, "dataset %s: option categories names %s twice",
                        dataset->ops->name, name);
    const char *copy = dataset_text(dataset, "%s", name);
    if (!copy)
        return IMIAD_NO_MEMORY;
    dataset->categories[dataset->category_count++] = (category_entry){.name = copy};
    return IMIAD_OK;
}

static imiad_status add_chosen_categories(imiad_dataset *dataset, char *chosen,
                                          const char *const *names, size_t count)
{
    char *rest = chosen;
    for (char *name; (name = strsep(&rest, ","));) {
        if (!is_known(names, count, name))
            return fail(IMIAD_NOT_FOUND, "dataset %s%s%s has no category \"%s\"",
                        dataset->ops->name, *dataset->root ? " at " : "", dataset->root, name);
        TRY(add_category(dataset, name));
    }
    return IMIAD_OK;
}

imiad_status dataset_set_categories(imiad_dataset *dataset, const char *const *names, size_t count)
{
    const char *option = options_text(dataset->options, "categories");
    dataset->categories = calloc(count + 1, sizeof *dataset->categories);
    if (!dataset->categories)
        return fail_memory("categories", count * sizeof *dataset->categories);
    if (*option) {
        char *chosen = strdup(option);
        if (!chosen)
            return fail_memory("categories", strlen(option));
        imiad_status status = add_chosen_categories(dataset, chosen, names, count);
        free(chosen);
        return status;
    }
    for (size_t i = 0; i < count; ++i)
        TRY(add_category(dataset, names[i]));
    return IMIAD_OK;
}

imiad_status dataset_list_each(imiad_dataset *dataset,
                               imiad_status (*list_one)(imiad_dataset *dataset, int32_t category,
                                                        const void *context),
                               const void *context)
{
    for (size_t i = 0; i < dataset->category_count; ++i) {
        size_t before = dataset->sample_count;
        category_entry *c = &dataset->categories[i];
        c->status = list_one(dataset, (int32_t)i, context);
        if (c->status == IMIAD_NO_MEMORY)
            return c->status;
        if (c->status != IMIAD_OK) {
            dataset->sample_count = before;
            c->problem = dataset_text(dataset, "%s", imiad_last_error());
            if (!c->problem)
                return IMIAD_NO_MEMORY;
            log_message(IMIAD_LOG_WARNING, "dataset %s: category %s is left empty: %s",
                        dataset->ops->name, c->name, c->problem);
        }
    }
    return IMIAD_OK;
}

imiad_status dataset_add(imiad_dataset *dataset, const sample *s)
{
    TRY(array_reserve(&dataset->samples, dataset->sample_count, &dataset->sample_room,
                      sizeof *dataset->samples, "a dataset's samples"));
    dataset->samples[dataset->sample_count++] = *s;
    return IMIAD_OK;
}

/* ---- the handle ---- */

/* "0..4095" */
static imiad_status read_range(imiad_decode_options *out, const char *owner, const char *text)
{
    char low[32];
    const char *dots = strstr(text, "..");
    size_t length = dots ? (size_t)(dots - text) : sizeof low;
    if (!*text)
        return IMIAD_OK;
    if (length < sizeof low) {
        memcpy(low, text, length);
        low[length] = '\0';
        if (real_parse(&out->low, low) && real_parse(&out->high, dots + 2) && out->low < out->high)
            return IMIAD_OK;
    }
    return fail(IMIAD_OUT_OF_RANGE,
                "%s: option range is \"%s\": it must be two numbers, the lower one first, such as "
                "0..4095",
                owner, text);
}

static imiad_status read_decoding(imiad_dataset *dataset, const char *owner)
{
    dataset->decoding = (imiad_decode_options)IMIAD_DECODE_OPTIONS_INIT;
    dataset->decoding.upright = strcmp(options_text(dataset->options, "orientation"), "exif") == 0;
    return read_range(&dataset->decoding, owner, options_text(dataset->options, "range"));
}

static imiad_status check_root(const dataset_ops *ops, const char *root)
{
    bool given = root && *root;
    if (!ops->needs_root && given)
        return fail(IMIAD_INVALID_ARGUMENT, "dataset %s takes no folder, but got %s", ops->name,
                    root);
    if (ops->needs_root && !given)
        return fail(IMIAD_INVALID_ARGUMENT, "dataset %s needs the folder that holds it", ops->name);
    if (given && !folder_exists(root))
        return fail(IMIAD_NOT_FOUND, "dataset %s: there is no folder %s", ops->name, root);
    return IMIAD_OK;
}

static imiad_status list(imiad_dataset *dataset)
{
    TRY(dataset->ops->list(dataset));
    if (dataset->category_count == 0)
        return fail(IMIAD_NOT_FOUND, "dataset %s: no category below %s; expected %s",
                    dataset->ops->name, dataset->root, dataset->ops->layout);
    if (dataset->sample_count > 1)
        qsort(dataset->samples, dataset->sample_count, sizeof *dataset->samples, compare_samples);
    return IMIAD_OK;
}

imiad_status dataset_open(imiad_dataset **out, const dataset_ops *ops, const char *root,
                          const imiad_option *options, size_t option_count)
{
    imiad_dataset *dataset = calloc(1, sizeof *dataset);
    if (!dataset) {
        if (ops->release)
            ops->release(ops);
        return fail_memory("a dataset", sizeof *dataset);
    }
    dataset->ops = ops;
    atomic_init(&dataset->references, 1);
    char owner[64];
    snprintf(owner, sizeof owner, "dataset %s", ops->name);
    imiad_status status =
        options_parse(&dataset->options, owner,
                      (const option_spec *const[]){dataset_common_options, ops->options, NULL},
                      options, option_count);
    if (status == IMIAD_OK)
        status = read_decoding(dataset, owner);
    if (status == IMIAD_OK)
        status = check_root(ops, root);
    if (status == IMIAD_OK && !(dataset->root = strdup(root ? root : "")))
        status = fail_memory("a path", root ? strlen(root) : 1);
    if (status == IMIAD_OK)
        status = list(dataset);
    if (status != IMIAD_OK) {
        imiad_dataset_free(dataset);
        return status;
    }
    *out = dataset;
    return IMIAD_OK;
}

imiad_dataset *dataset_retain(const imiad_dataset *dataset)
{
    imiad_dataset *mine = (imiad_dataset *)dataset; /* the count is all that ever changes */
    atomic_fetch_add_explicit(&mine->references, 1, memory_order_relaxed);
    return mine;
}

void imiad_dataset_free(imiad_dataset *dataset)
{
    if (!dataset || atomic_fetch_sub_explicit(&dataset->references, 1, memory_order_acq_rel) != 1)
        return;
    if (dataset->state && dataset->ops->unlist)
        dataset->ops->unlist(dataset);
    while (dataset->text) {
        struct text_block *next = dataset->text->next;
        free(dataset->text);
        dataset->text = next;
    }
    free(dataset->samples);
    free(dataset->categories);
    free(dataset->root);
    options_free(dataset->options);
    if (dataset->ops->release)
        dataset->ops->release(dataset->ops);
    free(dataset);
}

/* ---- looking at it ---- */

const char *imiad_dataset_name(const imiad_dataset *dataset)
{
    return dataset ? dataset->ops->name : NULL;
}

const char *imiad_dataset_root(const imiad_dataset *dataset)
{
    return dataset ? dataset->root : NULL;
}

const char *imiad_dataset_option(const imiad_dataset *dataset, const char *name)
{
    return dataset && name ? options_find(dataset->options, name) : NULL;
}

size_t imiad_dataset_category_count(const imiad_dataset *dataset)
{
    return dataset ? dataset->category_count : 0;
}

const char *imiad_dataset_category(const imiad_dataset *dataset, size_t index)
{
    return dataset && index < dataset->category_count ? dataset->categories[index].name : NULL;
}

imiad_status dataset_find_category(size_t *out, const imiad_dataset *dataset, const char *name)
{
    char known[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < dataset->category_count; ++i) {
        if (strcmp(dataset->categories[i].name, name) == 0) {
            *out = i;
            return IMIAD_OK;
        }
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, " %s",
                                     dataset->categories[i].name);
    }
    return fail(IMIAD_NOT_FOUND, "dataset %s%s%s has no category \"%s\"; it has:%s",
                dataset->ops->name, *dataset->root ? " at " : "", dataset->root, name, known);
}

static bool has_mask(const sample *s)
{
    return s->label == 0 || s->mask_count > 0 || s->mask_drawn;
}

imiad_status imiad_dataset_category_info(imiad_category_info *out, const imiad_dataset *dataset,
                                         size_t index)
{
    if (!out || out->struct_size < sizeof *out || !dataset)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "imiad_dataset_category_info: NULL, or struct_size is not set");
    if (index >= dataset->category_count)
        return fail(IMIAD_OUT_OF_RANGE, "category %zu of %zu", index, dataset->category_count);
    imiad_category_info info = {.struct_size = out->struct_size,
                                .name = dataset->categories[index].name};
    for (size_t i = 0; i < dataset->sample_count; ++i) {
        const sample *s = &dataset->samples[i];
        if ((size_t)s->category != index)
            continue;
        bool good = s->label == 0;
        info.train_good += s->subset == IMIAD_SUBSET_TRAIN && good;
        info.train_defective += s->subset == IMIAD_SUBSET_TRAIN && !good;
        info.validation += s->subset == IMIAD_SUBSET_VALIDATION;
        info.test_good += s->subset == IMIAD_SUBSET_TEST && good;
        info.test_defective += s->subset == IMIAD_SUBSET_TEST && !good;
        info.missing_masks += !has_mask(s);
    }
    *out = info;
    return IMIAD_OK;
}

size_t imiad_dataset_sample_count(const imiad_dataset *dataset)
{
    return dataset ? dataset->sample_count : 0;
}

imiad_status imiad_dataset_sample(imiad_sample *out, const imiad_dataset *dataset, size_t index)
{
    if (!out || out->struct_size < sizeof *out || !dataset)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "imiad_dataset_sample: NULL, or struct_size is not set");
    if (index >= dataset->sample_count)
        return fail(IMIAD_OUT_OF_RANGE, "sample %zu of %zu", index, dataset->sample_count);
    const sample *s = &dataset->samples[index];
    out->subset = s->subset;
    out->category = s->category;
    out->label = s->label;
    out->has_mask = has_mask(s);
    out->kind = s->kind;
    out->path = s->path;
    return IMIAD_OK;
}

const char *imiad_dataset_sample_group(const imiad_dataset *dataset, size_t index)
{
    return dataset && index < dataset->sample_count ? dataset->samples[index].group : NULL;
}
