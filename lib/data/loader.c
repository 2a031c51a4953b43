#include "data/loaded_image.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"

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
    loading loading;
    size_t batch, ahead, places_count;
    size_t usual_batch; /* of the settings */
    size_t *order;      /* ticket -> position */
    size_t order_count, order_room;
    const loader_maker *maker; /* of this round, or NULL */

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
    loaded *cache; /* by position, or NULL */
    uint64_t cache_left;
};

/* ---- workers ---- */

static void empty_place(place *p)
{
    if (!p->cached)
        loaded_free(&p->result);
    free((void *)p->result.made);
    free(p->message);
    *p = (place){.status = IMIAD_OK};
}

static bool take_from_cache(loaded *result, const loader *l)
{
    if (!l->cache || !l->cache[result->position].image)
        return false;
    *result = l->cache[result->position];
    result->decode_seconds = result->resize_seconds = 0;
    return true;
}

/* Whether the cache has room for it, and owns it from now on. */
static bool give_to_cache(const loaded *result, loader *l)
{
    uint64_t bytes = loaded_bytes(result);
    if (!l->cache || bytes > l->cache_left || l->cache[result->position].image)
        return false;
    l->cache_left -= bytes;
    l->cache[result->position] = *result;
    return true;
}

static bool may_draw(const loader *l)
{
    return !l->paused && l->next < l->order_count && l->next < l->lent + l->places_count;
}

/* Under the lock, which it gives up while it reads. */
static imiad_status obtain(loaded *result, bool *cached, loader *l)
{
    *cached = take_from_cache(result, l);
    if (*cached)
        return IMIAD_OK;
    pthread_mutex_unlock(&l->lock);
    imiad_status status = loaded_read(result, &l->loading);
    pthread_mutex_lock(&l->lock);
    if (status == IMIAD_OK)
        *cached = give_to_cache(result, l);
    return status;
}

/* What a maker looked at beside its own image. */
typedef struct borrowed_image {
    loaded image;
    bool cached;
    imiad_image *shown; /* bytes of an image of 16 bits; NULL: the image itself */
    struct borrowed_image *next;
} borrowed_image;

/* What a maker is shown of an image; *copy is freed after it. */
static imiad_status show_bytes(loaded *shown, imiad_image **copy)
{
    if (shown->image->format != IMIAD_PIXEL_GRAY16)
        return IMIAD_OK;
    TRY(image_to_rgb(copy, shown->image));
    shown->image = *copy;
    return IMIAD_OK;
}

imiad_status loader_other(loaded *out, making *m, size_t position)
{
    loader *l = m->loader;
    if (position >= l->loading.source.count)
        return fail(IMIAD_OUT_OF_RANGE, "loader: image %zu of %zu", position,
                    l->loading.source.count);
    borrowed_image *other = calloc(1, sizeof *other);
    if (!other)
        return fail_memory("an image", sizeof *other);
    other->image = loaded_describe(&l->loading.source, position);
    pthread_mutex_lock(&l->lock);
    imiad_status status = obtain(&other->image, &other->cached, l);
    pthread_mutex_unlock(&l->lock);
    if (status != IMIAD_OK) {
        free(other);
        return status;
    }
    other->next = m->others;
    m->others = other; /* which frees it, whatever comes */
    *out = other->image;
    return show_bytes(out, &other->shown);
}

imiad_status loader_native(const imiad_image **out, making *m)
{
    borrowed_image *native = calloc(1, sizeof *native);
    if (!native)
        return fail_memory("an image", sizeof *native);
    imiad_status status =
        loaded_read_native(&native->shown, &m->loader->loading, m->image->position);
    if (status != IMIAD_OK) {
        free(native);
        return status;
    }
    native->next = m->others;
    m->others = native;
    *out = native->shown;
    return IMIAD_OK;
}

static void give_back_others(borrowed_image *others)
{
    while (others) {
        borrowed_image *next = others->next;
        if (!others->cached)
            loaded_free(&others->image);
        imiad_image_free(others->shown);
        free(others);
        others = next;
    }
}

/* Without the lock. */
static imiad_status make_more(loaded *result, loader *l, size_t ticket)
{
    const loader_maker *maker = l->maker;
    size_t bytes = maker->bytes(maker->context, result->image->width, result->image->height);
    void *made = malloc(bytes ? bytes : 1);
    if (!made)
        return fail_memory("what is made of an image", bytes);
    loaded shown = *result;
    imiad_image *copy = NULL;
    making m = {.image = &shown, .place = ticket, .loader = l};
    imiad_status status = show_bytes(&shown, &copy);
    if (status == IMIAD_OK)
        status = maker->make(maker->context, &m, made);
    give_back_others(m.others);
    imiad_image_free(copy);
    if (status == IMIAD_OK)
        result->made = made;
    else
        free(made);
    return status;
}

static void work_on(loader *l, size_t ticket)
{
    place *p = &l->places[ticket % l->places_count];
    p->result = loaded_describe(&l->loading.source, l->order[ticket]);
    l->busy++;
    p->status = obtain(&p->result, &p->cached, l);
    if (p->status == IMIAD_OK && l->maker) {
        pthread_mutex_unlock(&l->lock);
        p->status = make_more(&p->result, l, ticket);
        pthread_mutex_lock(&l->lock);
    }
    if (p->status != IMIAD_OK)
        p->message = strdup(imiad_last_error());
    l->busy--;
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
        if (loaded_sample(source, i) >= source->dataset->sample_count)
            return fail(IMIAD_OUT_OF_RANGE, "loader: sample %zu of %zu", loaded_sample(source, i),
                        source->dataset->sample_count);
    return IMIAD_OK;
}

/* A permutation of all positions; NULL: as they are. */
static imiad_status set_permutation(loader *l, const size_t *order)
{
    size_t count = l->loading.source.count;
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
    l->order_count = count;
    return IMIAD_OK;
}

static imiad_status set_drawn(loader *l, const size_t *order, size_t count)
{
    if (count > l->order_room) {
        size_t *grown = realloc(l->order, (count + 1) * sizeof *grown);
        if (!grown)
            return fail_memory("an order of images", count * sizeof *grown);
        l->order = grown;
        l->order_room = count;
    }
    for (size_t i = 0; i < count; ++i) {
        if (order[i] >= l->loading.source.count)
            return fail(IMIAD_OUT_OF_RANGE, "loader: image %zu of %zu", order[i],
                        l->loading.source.count);
        l->order[i] = order[i];
    }
    l->order_count = count;
    return IMIAD_OK;
}

/* The ring for batches of this size; its places are empty. */
static imiad_status set_batch(loader *l, size_t batch)
{
    size_t count = batch * (l->ahead + 1);
    if (batch == l->batch)
        return IMIAD_OK;
    if (batch < 1 || batch > 1u << 20)
        return fail(IMIAD_OUT_OF_RANGE, "loader: a batch of %zu images", batch);
    place *places = calloc(count, sizeof *places);
    loaded *lent = calloc(batch, sizeof *lent);
    if (!places || !lent) {
        free(places);
        free(lent);
        return fail_memory("a loader", count * sizeof *places);
    }
    free(l->places);
    free(l->lent_results);
    l->places = places;
    l->lent_results = lent;
    l->places_count = count;
    l->batch = batch;
    return IMIAD_OK;
}

static imiad_status start_threads(loader *l)
{
    size_t wanted = (size_t)imiad_threads();
    if (wanted > l->loading.source.count)
        wanted = l->loading.source.count;
    while (l->thread_count < wanted &&
           pthread_create(&l->threads[l->thread_count], NULL, work, l) == 0)
        l->thread_count++;
    if (wanted > 0 && l->thread_count == 0) /* fewer threads are slower, none is a failure */
        return fail(IMIAD_NO_MEMORY, "loader: the system gives no thread");
    return IMIAD_OK;
}

static imiad_status make_room(loader *l, const loader_settings *s)
{
    size_t count = l->loading.source.count;
    l->ahead = s->ahead ? s->ahead : 2;
    l->usual_batch = l->batch;
    l->places_count = l->batch * (l->ahead + 1);
    l->order = calloc(count + 1, sizeof *l->order);
    l->order_room = count;
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
    l->loading.source = *source;
    l->loading.geometry = settings->geometry;
    l->batch = settings->batch;
    l->loading.with_masks = settings->with_masks;
    l->loading.frame = settings->frame;
    l->loading.frame_geometry = frame_geometry(settings);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->finished, NULL);
    imiad_status status = make_room(l, settings);
    if (status == IMIAD_OK)
        status = set_permutation(l, settings->order);
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
    for (size_t i = 0; l->cache && i < l->loading.source.count; ++i) {
        loaded_free(&l->cache[i]);
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
        size_t left = l->order_count - l->lent;
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

/* Waits until nobody works, with everything taken back; the caller holds the lock. */
static void pause_round(loader *l)
{
    l->paused = true;
    while (l->busy > 0)
        pthread_cond_wait(&l->finished, &l->lock);
    for (size_t i = 0; i < l->places_count; ++i)
        empty_place(&l->places[i]);
    l->next = l->lent = l->lent_end = 0;
    free(l->failure_message);
    l->failure_message = NULL;
    l->failure = IMIAD_OK;
}

/* A refused order leaves nothing to load. */
static imiad_status resume_round(loader *l, imiad_status status)
{
    l->paused = status != IMIAD_OK;
    if (status != IMIAD_OK) {
        l->failure = status;
        l->failure_message = strdup(imiad_last_error());
    }
    pthread_cond_broadcast(&l->work);
    return status;
}

imiad_status loader_rewind(loader *l, const size_t *order)
{
    pthread_mutex_lock(&l->lock);
    pause_round(l);
    l->maker = NULL;
    imiad_status status = set_batch(l, l->usual_batch);
    if (status == IMIAD_OK)
        status = set_permutation(l, order);
    status = resume_round(l, status);
    pthread_mutex_unlock(&l->lock);
    return status;
}

imiad_status loader_begin(loader *l, const loader_round *round)
{
    pthread_mutex_lock(&l->lock);
    pause_round(l);
    l->maker = round->maker;
    imiad_status status = set_batch(l, round->batch ? round->batch : l->usual_batch);
    if (status == IMIAD_OK)
        status = set_drawn(l, round->order, round->count);
    status = resume_round(l, status);
    pthread_mutex_unlock(&l->lock);
    return status;
}

void loader_pause(loader *l)
{
    pthread_mutex_lock(&l->lock);
    pause_round(l);
    pthread_mutex_unlock(&l->lock);
}
