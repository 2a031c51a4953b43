/* The training images of one fit. */
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "data/loaded_image.h"
#include "detectors/detector.h"
#include "detectors/made.h"

struct train_set {
    imiad_detector *detector;
    loader *images;
    image_source source;
    bool with_masks;
    train_maker maker; /* of this pass; no count: nothing is made */
    int64_t epoch;
    loader_maker hook;
    const imiad_image *batch[MOST_BATCH]; /* the one handed out */
    const imiad_image *masks[MOST_BATCH];
    train_image told[MOST_BATCH];
    size_t indices[MOST_BATCH];
};

/* Detectors that train have options of their own for steps and for keeping images. */
static int64_t option_or(const imiad_detector *self, const char *name, int64_t otherwise)
{
    return options_find(self->options, name) ? options_int(self->options, name) : otherwise;
}

imiad_status train_set_open(train_set **out, imiad_detector *detector, const image_source *source)
{
    train_set *set = calloc(1, sizeof *set);
    if (!set)
        return fail_memory("a training set", sizeof *set);
    set->detector = detector;
    set->source = *source;
    set->with_masks = detector->takes & (TAKES_MASKS | TAKES_SOME_MASKS);
    int64_t size = option_or(detector, "train_batch", detector_batch_size(detector));
    loader_settings settings = {.geometry = detector->preprocessing,
                                .batch = (size_t)size,
                                .with_masks = set->with_masks,
                                .cache_bytes =
                                    (uint64_t)option_or(detector, "image_cache", 0) * 1000000};
    imiad_status status = loader_open(&set->images, source, &settings);
    if (status != IMIAD_OK) {
        free(set);
        return status;
    }
    *out = set;
    return IMIAD_OK;
}

void train_set_close(train_set *set)
{
    loader_close(set->images);
    free(set);
}

size_t train_set_count(const train_set *set)
{
    return set->source.count;
}

static train_image told_of(const loaded *image)
{
    return (train_image){image->label, image->role, image->category};
}

train_image train_set_image(const train_set *set, size_t index)
{
    loaded known = loaded_describe(&set->source, index);
    return told_of(&known);
}

size_t train_set_count_label(const train_set *set, int32_t label)
{
    size_t count = 0;
    for (size_t i = 0; i < set->source.count; ++i)
        count += train_set_image(set, i).label == label;
    return count;
}

bool train_set_is_moved(const train_set *set)
{
    for (size_t i = 0; set->source.entries && i < set->source.count; ++i) {
        augment_kind kind = set->source.entries[i].augment.kind;
        if (kind != AUGMENT_NONE && kind != AUGMENT_COLOR_JITTER)
            return true;
    }
    return false;
}

imiad_status train_set_rewind(train_set *set, const size_t *order)
{
    train_set_rest(set);
    return loader_rewind(set->images, order);
}

/* ---- batches ---- */

static imiad_status fail_mask(const train_set *set, size_t position)
{
    const image_source *source = &set->source;
    const char *name = set->detector->ops->name;
    if (!source->dataset)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector %s learns from masks: defective image %zu has none", name, position);
    return fail(IMIAD_NOT_FOUND, "detector %s learns from masks: the defective image %s has none",
                name, source->dataset->samples[loaded_sample(source, position)].path);
}

static void add_masks(train_set *set, const loaded *items, batch *b)
{
    size_t plane = (size_t)(b->height * b->width);
    tensor *host = t_zeros(4, (int64_t[]){b->count, 1, b->height, b->width}, F32, CPU);
    float *values = t_data(host);
    for (int64_t i = 0; values && i < b->count; ++i) {
        const imiad_image *mask = items[i].mask;
        if (!mask && items[i].label) {
            t_try(fail_mask(set, items[i].position));
            return;
        }
        for (size_t p = 0; mask && p < plane; ++p)
            values[(size_t)i * plane + p] = mask->pixels[p] > 0;
    }
    b->masks = t_to_device(host, detector_device(set->detector));
}

bool train_set_next(train_set *set, batch *out)
{
    const loaded *items;
    size_t count = 0;
    if (t_failed())
        return false;
    imiad_status status = loader_next(&items, &count, set->images);
    if (status != IMIAD_OK) {
        t_fail(status, "%s", imiad_last_error());
        return false;
    }
    if (count == 0)
        return false;
    for (size_t i = 0; i < count; ++i) {
        set->batch[i] = items[i].image;
        set->masks[i] = items[i].mask;
        set->told[i] = told_of(&items[i]);
        set->indices[i] = items[i].position;
        detector_add_loading(set->detector, items[i].decode_seconds, items[i].resize_seconds);
    }
    detector_make_batch(out, set->detector, set->batch, count);
    out->told = set->told;
    out->indices = set->indices;
    out->mask_pixels = set->with_masks ? set->masks : NULL;
    if (set->detector->takes & TAKES_MASKS && !t_failed())
        add_masks(set, items, out);
    if (set->maker.count > 0 && !t_failed())
        made_collect(out, set->detector, &set->maker, items);
    return !t_failed();
}

/* ---- what is made of each image ---- */

static size_t made_size(void *context, int32_t width, int32_t height)
{
    const train_set *set = context;
    return made_bytes(&set->maker, width, height);
}

static imiad_status make_one(void *context, making *m, void *out)
{
    const train_set *set = context;
    const imiad_detector *self = set->detector;
    char purpose[128];
    snprintf(purpose, sizeof purpose, "%s/make/%lld/%zu", self->ops->name, (long long)set->epoch,
             m->place);
    made_from from = {.detector = self,
                      .image = m->image->image,
                      .mask = m->image->mask,
                      .told = told_of(m->image),
                      .index = m->image->position,
                      .set = set,
                      .making = m,
                      .purpose = purpose,
                      .place = m->place};
    made_output outputs[MADE_TENSORS];
    made_lay_out(outputs, &set->maker, m->image->image, out);
    return set->maker.make(&from, outputs);
}

random_stream made_stream(const made_from *from, const char *what)
{
    char purpose[160];
    snprintf(purpose, sizeof purpose, "%s/%s", from->purpose, what);
    return random_open((uint64_t)option_or(from->detector, "seed", 0), purpose);
}

imiad_status made_other(const imiad_image **image, const imiad_image **mask, const made_from *from,
                        size_t index)
{
    loaded other;
    TRY(loader_other(&other, from->making, index));
    *image = other.image;
    if (mask)
        *mask = other.mask;
    return IMIAD_OK;
}

imiad_status made_native(const imiad_image **image, const made_from *from)
{
    return loader_native(image, from->making);
}

imiad_status train_set_begin(train_set *set, const train_pass *pass)
{
    if (pass->batch > MOST_BATCH)
        return fail(IMIAD_OUT_OF_RANGE, "detector %s draws batches of %zu images; at most %d",
                    set->detector->ops->name, pass->batch, MOST_BATCH);
    loader_pause(set->images); /* nobody uses the maker now */
    set->maker = pass->maker ? *pass->maker : (train_maker){NULL, 0, NULL};
    set->epoch = pass->epoch;
    set->hook = (loader_maker){set, made_size, make_one};
    loader_round round = {.order = pass->order,
                          .count = pass->count,
                          .batch = pass->batch,
                          .maker = set->maker.count > 0 ? &set->hook : NULL};
    return loader_begin(set->images, &round);
}

void train_set_rest(train_set *set)
{
    loader_pause(set->images);
    set->maker.count = 0;
}

/* ---- identity ---- */

/* Every text with its NUL: no two lists can run together into the same bytes. */
static void digest_text(SHA2_CTX *hash, const char *text)
{
    SHA256Update(hash, (const uint8_t *)text, strlen(text) + 1);
}

static void digest_entry(SHA2_CTX *hash, const image_source *source, size_t i)
{
    char augmented[AUGMENT_TEXT_BYTES] = "";
    size_t index = source->entries ? source->entries[i].sample : source->samples[i];
    const sample *s = &source->dataset->samples[index];
    digest_text(hash, source->dataset->categories[s->category].name);
    digest_text(hash, s->path);
    if (source->entries) {
        augment_print(augmented, &source->entries[i].augment);
        digest_text(hash, split_roles[source->entries[i].role].name);
    }
    digest_text(hash, augmented);
}

static void digest_pixels(SHA2_CTX *hash, const imiad_image *image)
{
    const int32_t shape[3] = {(int32_t)image->format, image->width, image->height};
    SHA256Update(hash, (const uint8_t *)shape, sizeof shape);
    for (int32_t y = 0; y < image->height; ++y)
        SHA256Update(hash, image->pixels + (size_t)y * image->stride,
                     (size_t)image->width * (size_t)pixel_bytes(image->format));
}

static void digest_memory(SHA2_CTX *hash, const image_source *source, size_t i)
{
    digest_pixels(hash, source->images[i]);
    if (!source->labels)
        return;
    const int32_t told[2] = {source->labels[i], source->categories ? source->categories[i] : 0};
    SHA256Update(hash, (const uint8_t *)told, sizeof told);
    if (source->masks && source->masks[i])
        digest_pixels(hash, source->masks[i]);
}

imiad_status train_set_digest(char out[65], const train_set *set)
{
    const image_source *source = &set->source;
    SHA2_CTX hash;
    SHA256Init(&hash);
    if (source->dataset) {
        const option_set *options = source->dataset->options;
        digest_text(&hash, source->dataset->ops->name);
        for (size_t i = 0; i < options_count(options); ++i) {
            digest_text(&hash, options_get(options, i).name);
            digest_text(&hash, options_get(options, i).value);
        }
    }
    for (size_t i = 0; i < source->count; ++i) {
        if (source->dataset)
            digest_entry(&hash, source, i);
        else
            digest_memory(&hash, source, i);
    }
    SHA256End(&hash, out);
    return IMIAD_OK;
}
