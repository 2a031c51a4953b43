#include "data/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/progress.h"
#include "image/pixels.h"

/* A finished image with its mask, and the whole of it where masks have a frame of their own. */
typedef struct ready_image {
    imiad_image *image, *mask, *framed;
    int32_t native_width, native_height;
} ready_image;

/* One place of the ring. Ticket t, the t-th image of the round, is always worked on in the place
 * t % places. */
typedef struct place {
    loaded result;
    imiad_status status;
    char *message; /* of a failure */
    bool done;
    bool cached; /* image and mask belong to the cache */
} place;

/* Workers draw tickets in order, but none beyond the window of `places` tickets that begins with
 * the batch handed out. All of it is guarded by `lock`, but for what a worker does with its own
 * ticket in between. */
struct loader {
    image_source source;
    preprocessing geometry;
    size_t batch, places_count;
    bool with_masks;
    mask_frame frame;
    preprocessing frame_geometry; /* of masks; a resize of 0 leaves them as they are */
    size_t *order;                /* ticket -> position */

    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    pthread_t *threads;
    size_t thread_count;
    size_t next;           /* ticket to draw */
    size_t lent, lent_end; /* tickets of the batch handed out */
    size_t busy;           /* tickets being worked on */
    bool paused, closing;
    imiad_status failure; /* of this round */
    char *failure_message;

    place *places;
    loaded *lent_results;
    ready_image *cache; /* by position, or NULL */
    uint64_t cache_left;
};

/* ---- one image, on a worker, without the lock ---- */

static uint64_t image_bytes(const imiad_image *image)
{
    return image ? (uint64_t)image->stride * (uint64_t)image->height + sizeof *image : 0;
}

static void free_ready(const ready_image *ready)
{
    imiad_image_free(ready->image);
    imiad_image_free(ready->mask);
    imiad_image_free(ready->framed);
}

static void show(loaded *result, const ready_image *ready)
{
    result->image = ready->image;
    result->mask = ready->mask;
    result->framed = ready->framed;
    result->native_width = ready->native_width;
    result->native_height = ready->native_height;
}

static ready_image ready_of(const loaded *result)
{
    return (ready_image){(imiad_image *)result->image, (imiad_image *)result->mask,
                         (imiad_image *)result->framed, result->native_width,
                         result->native_height};
}

static size_t sample_at(const image_source *source, size_t position)
{
    return source->entries ? source->entries[position].sample : source->samples[position];
}

static int32_t label_at(const image_source *source, size_t position)
{
    if (!source->dataset)
        return 0;
    int32_t told = source->entries ? split_roles[source->entries[position].role].label : -1;
    return told >= 0 ? told : source->dataset->samples[sample_at(source, position)].label;
}

/* Whoever is told that a defective image is good must not learn better from its mask. */
static imiad_status read_told_mask(imiad_image **out, const loader *l, size_t position,
                                   const imiad_image *image)
{
    if (label_at(&l->source, position) == 0)
        return image_create(out, IMIAD_PIXEL_GRAY8, image->width, image->height);
    return dataset_read_mask_of(out, l->source.dataset, sample_at(&l->source, position), image);
}

static imiad_status load_mask(imiad_image **out, const loader *l, size_t position,
                              const imiad_image *image)
{
    imiad_image *mask;
    TRY(read_told_mask(&mask, l, position, image));
    *out = NULL;
    if (!mask)
        return IMIAD_OK;
    if (l->frame == FRAME_WHOLE && l->frame_geometry.resize == 0) {
        *out = mask;
        return IMIAD_OK;
    }
    imiad_status status = l->frame == FRAME_OPENIAD
                              ? preprocess_mask_openiad(out, mask, &l->frame_geometry)
                              : preprocess_mask(out, mask, &l->frame_geometry);
    imiad_image_free(mask);
    return status;
}

/* The whole image where masks show it whole. */
static imiad_status frame_image(imiad_image **out, const loader *l, const imiad_image *decoded)
{
    if (!l->with_masks || l->frame != FRAME_WHOLE)
        return IMIAD_OK;
    preprocessing as_it_is = {.squash = false,
                              .resize = decoded->width < decoded->height ? decoded->width
                                                                         : decoded->height};
    return preprocess_image(out, decoded,
                            l->frame_geometry.resize ? &l->frame_geometry : &as_it_is);
}

/* Failures to decode name their file; those of the geometry cannot. */
static imiad_status fail_geometry(imiad_status status, const loader *l, size_t position)
{
    if (!l->source.dataset)
        return fail_within(status, "image %zu in memory", position);
    return fail_within(status, "image %s",
                       l->source.dataset->samples[sample_at(&l->source, position)].path);
}

/* Puts what `change` makes of the image in its place. */
static imiad_status replace(imiad_image **image,
                            imiad_status (*change)(imiad_image **out, const imiad_image *image,
                                                   const augmentation *a),
                            const augmentation *a)
{
    imiad_image *changed;
    TRY(change(&changed, *image, a));
    imiad_image_free(*image);
    *image = changed;
    return IMIAD_OK;
}

static imiad_status augment(ready_image *ready, const image_source *source, size_t position)
{
    const augmentation *a = source->entries ? &source->entries[position].augment : NULL;
    if (!a || a->kind == AUGMENT_NONE)
        return IMIAD_OK;
    TRY(replace(&ready->image, augment_image, a));
    return ready->mask ? replace(&ready->mask, augment_mask, a) : IMIAD_OK;
}

static imiad_status finish_image(place *p, const loader *l, size_t position,
                                 const imiad_image *decoded)
{
    ready_image ready = {.native_width = decoded->width, .native_height = decoded->height};
    double before = clock_seconds();
    imiad_status status = preprocess_image(&ready.image, decoded, &l->geometry);
    if (status != IMIAD_OK)
        return fail_geometry(status, l, position);
    p->result.resize_seconds = clock_seconds() - before;
    if (l->with_masks && l->source.dataset)
        status = load_mask(&ready.mask, l, position, decoded);
    if (status == IMIAD_OK)
        status = augment(&ready, &l->source, position);
    if (status == IMIAD_OK)
        status = frame_image(&ready.framed, l, decoded);
    if (status != IMIAD_OK)
        free_ready(&ready);
    else
        show(&p->result, &ready);
    return status;
}

static imiad_status load_one(place *p, const loader *l, size_t position)
{
    if (!l->source.dataset)
        return finish_image(p, l, position, l->source.images[position]);
    imiad_image *decoded;
    double before = clock_seconds();
    TRY(imiad_dataset_read_image(&decoded, l->source.dataset, sample_at(&l->source, position)));
    p->result.decode_seconds = clock_seconds() - before;
    imiad_status status = finish_image(p, l, position, decoded);
    imiad_image_free(decoded);
    return status;
}

/* ---- workers ---- */

static void empty_place(place *p)
{
    ready_image ready = ready_of(&p->result);
    if (!p->cached)
        free_ready(&ready);
    free(p->message);
    *p = (place){.status = IMIAD_OK};
}

static bool take_from_cache(place *p, const loader *l, size_t position)
{
    if (!l->cache || !l->cache[position].image)
        return false;
    show(&p->result, &l->cache[position]);
    p->cached = true;
    return true;
}

static void give_to_cache(place *p, loader *l, size_t position)
{
    uint64_t bytes =
        image_bytes(p->result.image) + image_bytes(p->result.mask) + image_bytes(p->result.framed);
    if (!l->cache || p->status != IMIAD_OK || bytes > l->cache_left)
        return;
    l->cache_left -= bytes;
    l->cache[position] = ready_of(&p->result);
    p->cached = true;
}

static bool may_draw(const loader *l)
{
    return !l->paused && l->next < l->source.count && l->next < l->lent + l->places_count;
}

static void work_on(loader *l, size_t ticket)
{
    size_t position = l->order[ticket];
    place *p = &l->places[ticket % l->places_count];
    p->result.position = position;
    p->result.label = label_at(&l->source, position);
    if (!take_from_cache(p, l, position)) {
        l->busy++;
        pthread_mutex_unlock(&l->lock);
        p->status = load_one(p, l, position);
        if (p->status != IMIAD_OK)
            p->message = strdup(imiad_last_error());
        pthread_mutex_lock(&l->lock);
        l->busy--;
        give_to_cache(p, l, position);
    }
    p->done = true;
    pthread_cond_broadcast(&l->finished);
}

static void *work(void *argument)
{
    loader *l = argument;
    pthread_mutex_lock(&l->lock);
    while (!l->closing) {
        if (may_draw(l))
            work_on(l, l->next++);
        else
            pthread_cond_wait(&l->work, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- opening and closing ---- */

static imiad_status check_source(const image_source *source)
{
    if (source->dataset ? !source->samples == !source->entries
                        : !source->images && source->count > 0)
        return fail(IMIAD_INVALID_ARGUMENT, "loader: the source has neither samples nor images");
    for (size_t i = 0; source->dataset && i < source->count; ++i)
        if (sample_at(source, i) >= source->dataset->sample_count)
            return fail(IMIAD_OUT_OF_RANGE, "loader: sample %zu of %zu", sample_at(source, i),
                        source->dataset->sample_count);
    return IMIAD_OK;
}

static imiad_status set_order(loader *l, const size_t *order)
{
    size_t count = l->source.count;
    for (size_t i = 0; i < count; ++i)
        l->order[i] = SIZE_MAX;
    /* l->order serves to see doubles first: position p was seen where it holds p */
    for (size_t i = 0; order && i < count; ++i) {
        if (order[i] >= count || l->order[order[i]] == order[i])
            return fail(IMIAD_INVALID_ARGUMENT,
                        "loader: the order is no permutation: entry %zu is %zu", i, order[i]);
        l->order[order[i]] = order[i];
    }
    for (size_t i = 0; i < count; ++i)
        l->order[i] = order ? order[i] : i;
    return IMIAD_OK;
}

static imiad_status start_threads(loader *l)
{
    size_t wanted = (size_t)imiad_threads();
    if (wanted > l->source.count)
        wanted = l->source.count;
    while (l->thread_count < wanted &&
           pthread_create(&l->threads[l->thread_count], NULL, work, l) == 0)
        l->thread_count++;
    if (wanted > 0 && l->thread_count == 0) /* fewer threads are slower, none is a failure */
        return fail(IMIAD_NO_MEMORY, "loader: the system gives no thread");
    return IMIAD_OK;
}

static imiad_status make_room(loader *l, const loader_settings *s)
{
    size_t count = l->source.count, ahead = s->ahead ? s->ahead : 2;
    l->places_count = l->batch * (ahead + 1);
    l->order = calloc(count + 1, sizeof *l->order);
    l->threads = calloc((size_t)imiad_threads(), sizeof *l->threads);
    l->places = calloc(l->places_count, sizeof *l->places);
    l->lent_results = calloc(l->batch, sizeof *l->lent_results);
    if (s->cache_bytes > 0) {
        l->cache = calloc(count + 1, sizeof *l->cache);
        l->cache_left = s->cache_bytes;
    }
    if (!l->order || !l->threads || !l->places || !l->lent_results ||
        (s->cache_bytes > 0 && !l->cache))
        return fail_memory("a loader", count * sizeof *l->order);
    return IMIAD_OK;
}

static preprocessing frame_geometry(const loader_settings *settings)
{
    const preprocessing *p = &settings->geometry;
    int32_t side = p->crop ? p->crop : p->resize;
    switch (settings->frame) {
    case FRAME_WHOLE:
        return (preprocessing){.squash = true, .resize = settings->frame_size};
    case FRAME_OPENIAD:
        return (preprocessing){.squash = false, .resize = side, .crop = side};
    default:
        return *p;
    }
}

imiad_status loader_open(loader **out, const image_source *source, const loader_settings *settings)
{
    TRY(check_source(source));
    if (settings->batch < 1 || settings->batch > 1u << 20 || settings->ahead > 1u << 10)
        return fail(IMIAD_OUT_OF_RANGE, "loader: a batch of %zu images, %zu batches ahead",
                    settings->batch, settings->ahead);
    loader *l = calloc(1, sizeof *l);
    if (!l)
        return fail_memory("a loader", sizeof *l);
    l->source = *source;
    l->geometry = settings->geometry;
    l->batch = settings->batch;
    l->with_masks = settings->with_masks;
    l->frame = settings->frame;
    l->frame_geometry = frame_geometry(settings);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->finished, NULL);
    imiad_status status = make_room(l, settings);
    if (status == IMIAD_OK)
        status = set_order(l, settings->order);
    if (status == IMIAD_OK)
        status = start_threads(l);
    if (status != IMIAD_OK) {
        loader_close(l);
        return status;
    }
    *out = l;
    return IMIAD_OK;
}

static void close_threads(loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < l->thread_count; ++i)
        pthread_join(l->threads[i], NULL);
}

void loader_close(loader *l)
{
    if (!l)
        return;
    close_threads(l);
    for (size_t i = 0; l->places && i < l->places_count; ++i)
        empty_place(&l->places[i]);
    for (size_t i = 0; l->cache && i < l->source.count; ++i) {
        free_ready(&l->cache[i]);
    }
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->finished);
    free(l->failure_message);
    free(l->cache);
    free(l->lent_results);
    free(l->places);
    free(l->threads);
    free(l->order);
    free(l);
}

/* ---- the consumer's side ---- */

/* Takes the batch that was handed out back, which moves the window on. */
static void take_back(loader *l)
{
    for (size_t t = l->lent; t < l->lent_end; ++t)
        empty_place(&l->places[t % l->places_count]);
    l->lent = l->lent_end;
    pthread_cond_broadcast(&l->work);
}

/* Waits for the batch's images in turn; the first failure among them is the round's. */
static imiad_status await_batch(loader *l, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        place *p = &l->places[(l->lent + i) % l->places_count];
        while (!p->done)
            pthread_cond_wait(&l->finished, &l->lock);
        if (p->status != IMIAD_OK) {
            l->failure = p->status;
            l->failure_message = p->message;
            p->message = NULL;
            return l->failure;
        }
        l->lent_results[i] = p->result;
    }
    return IMIAD_OK;
}

imiad_status loader_next(const loaded **out, size_t *count, loader *l)
{
    pthread_mutex_lock(&l->lock);
    if (l->failure == IMIAD_OK) {
        take_back(l);
        size_t left = l->source.count - l->lent;
        size_t wanted = left < l->batch ? left : l->batch;
        if (await_batch(l, wanted) == IMIAD_OK) {
            l->lent_end = l->lent + wanted;
            *out = l->lent_results;
            *count = wanted;
        }
    }
    imiad_status status = l->failure;
    if (status != IMIAD_OK)
        fail(status, "%s", l->failure_message ? l->failure_message : "an image could not be read");
    pthread_mutex_unlock(&l->lock);
    return status;
}

imiad_status loader_rewind(loader *l, const size_t *order)
{
    pthread_mutex_lock(&l->lock);
    l->paused = true;
    while (l->busy > 0)
        pthread_cond_wait(&l->finished, &l->lock);
    for (size_t i = 0; i < l->places_count; ++i)
        empty_place(&l->places[i]);
    imiad_status status = set_order(l, order);
    l->next = l->lent = l->lent_end = 0;
    free(l->failure_message);
    l->failure_message = NULL;
    l->failure = IMIAD_OK;
    l->paused = status != IMIAD_OK; /* a refused order leaves nothing to load */
    if (status != IMIAD_OK) {
        l->failure = status;
        l->failure_message = strdup(imiad_last_error());
    }
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    return status;
}
