/* What a detector is fitted on: the learned images of a plan as a dataset of their own, whole or
 * cut into tiles. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "station/plan.h"

typedef struct entry {
    size_t sample; /* of the folder */
    size_t tile;   /* of the image; 0 where images are whole */
} entry;

typedef struct source {
    const plan *plan;
    int32_t side; /* of tiles; 0: whole images */
    double overlap;
    entry *entries;
    size_t count;
    /* the image whose tiles are being asked for: they come in order */
    pthread_mutex_t lock;
    imiad_image *image;
    size_t image_sample;
} source;

static imiad_status add(source *s, imiad_listing *listing, size_t sample, size_t tile, size_t tiles)
{
    imiad_sample known = IMIAD_SAMPLE_INIT;
    imiad_listed_sample listed = IMIAD_LISTED_SAMPLE_INIT;
    char path[8192];
    imiad_dataset_sample(&known, s->plan->files, sample);
    snprintf(path, sizeof path, tiles > 1 ? "%s#%zu" : "%s", known.path, tile);
    listed.subset = IMIAD_SUBSET_TRAIN;
    listed.category = imiad_dataset_category(s->plan->files, s->plan->category);
    listed.label = known.label;
    listed.kind = known.kind;
    listed.path = path;
    listed.has_mask = known.label == 1 && known.has_mask;
    listed.key = s->count;
    s->entries[s->count++] = (entry){sample, tile};
    return imiad_listing_add(listing, &listed);
}

static size_t tile_count(const source *s, size_t sample)
{
    const look *l = &s->plan->looks[sample];
    return s->side == 0 ? 1 : imiad_image_tile_count(l->width, l->height, s->side, s->overlap);
}

static imiad_status refuse_small(const source *s, size_t sample)
{
    imiad_sample known = IMIAD_SAMPLE_INIT;
    char message[4600];
    imiad_dataset_sample(&known, s->plan->files, sample);
    snprintf(message, sizeof message, "%s is %d x %d: smaller than a tile of %d pixels", known.path,
             s->plan->looks[sample].width, s->plan->looks[sample].height, s->side);
    return imiad_fail(IMIAD_MISMATCH, message);
}

static imiad_status list(void *user, imiad_listing *listing, const imiad_dataset *dataset)
{
    (void)dataset;
    source *s = user;
    const index_list *learned = &s->plan->learned;
    size_t total = 0;
    for (size_t i = 0; i < learned->count; ++i) {
        size_t tiles = tile_count(s, learned->at[i]);
        if (tiles == 0)
            return refuse_small(s, learned->at[i]);
        total += tiles;
    }
    s->entries = calloc(total, sizeof *s->entries);
    if (!s->entries)
        return imiad_fail(IMIAD_NO_MEMORY, "out of memory for the list of what is learned");
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; i < learned->count; ++i) {
        size_t tiles = tile_count(s, learned->at[i]);
        for (size_t t = 0; status == IMIAD_OK && t < tiles; ++t)
            status = add(s, listing, learned->at[i], t, tiles);
    }
    return status;
}

/* ---- images ---- */

static imiad_status copy_tile(imiad_image **out, const imiad_image *image, const source *s,
                              size_t tile)
{
    imiad_image view = IMIAD_IMAGE_INIT;
    imiad_status status = imiad_image_tile(&view, image, s->side, s->overlap, tile);
    if (status == IMIAD_OK)
        status = imiad_image_create(out, view.format, view.width, view.height);
    size_t bytes = status == IMIAD_OK ? (*out)->stride / (size_t)view.width : 0; /* a pixel */
    for (int32_t y = 0; status == IMIAD_OK && y < view.height; ++y)
        memcpy((*out)->pixels + (size_t)y * (*out)->stride, view.pixels + (size_t)y * view.stride,
               (size_t)view.width * bytes);
    return status;
}

static imiad_status read_tile(imiad_image **out, source *s, const entry *e)
{
    imiad_status status = IMIAD_OK;
    pthread_mutex_lock(&s->lock);
    if (!s->image || s->image_sample != e->sample) {
        imiad_image_free(s->image);
        s->image = NULL;
        status = imiad_dataset_read_deep_image(&s->image, s->plan->files, e->sample);
        s->image_sample = e->sample;
    }
    if (status == IMIAD_OK)
        status = copy_tile(out, s->image, s, e->tile);
    pthread_mutex_unlock(&s->lock);
    return status;
}

static imiad_status read_image(void *user, imiad_image **out, const imiad_dataset *dataset,
                               const imiad_sample *sample, uint64_t key)
{
    (void)dataset, (void)sample;
    source *s = user;
    const entry *e = &s->entries[key];
    return s->side > 0 ? read_tile(out, s, e)
                       : imiad_dataset_read_deep_image(out, s->plan->files, e->sample);
}

static imiad_status read_mask(void *user, imiad_image **out, const imiad_dataset *dataset,
                              const imiad_sample *sample, uint64_t key)
{
    (void)dataset, (void)sample;
    const source *s = user;
    return imiad_dataset_read_mask(out, s->plan->files, s->entries[key].sample);
}

static void release(void *user)
{
    source *s = user;
    imiad_image_free(s->image);
    pthread_mutex_destroy(&s->lock);
    free(s->entries);
    free(s);
}

/* Named as the folder's dataset is, so that a setting draws from both alike. */
imiad_status plan_split(imiad_split **out, const plan *p, const command *c)
{
    imiad_dataset_functions functions = IMIAD_DATASET_FUNCTIONS_INIT;
    source *s = calloc(1, sizeof *s);
    if (!s)
        return imiad_fail(IMIAD_NO_MEMORY, "out of memory for the list of what is learned");
    s->plan = p;
    s->side = (int32_t)c->tile_side;
    s->overlap = c->tile_overlap;
    pthread_mutex_init(&s->lock, NULL);
    functions.name = "folder";
    functions.title = "What a station learns";
    functions.user = s;
    functions.list = list;
    functions.read_image = read_image;
    functions.read_mask = read_mask;
    functions.release = release;
    imiad_dataset *learned;
    imiad_status status = imiad_dataset_open_functions(&learned, &functions, NULL, NULL, 0);
    if (status != IMIAD_OK)
        return status;
    status = imiad_split_create(out, learned, imiad_dataset_category(p->files, p->category),
                                c->setting, c->split.list, c->split.count);
    imiad_dataset_free(learned);
    return status;
}

/* ---- how many ---- */

/* Of an image's name, all; of a tile's, what stands before "#12". Images have extensions. */
static size_t image_length(const char *path)
{
    const char *mark = strrchr(path, '#');
    bool tile = mark && mark[1] && mark[1 + strspn(mark + 1, "0123456789")] == '\0';
    return tile ? (size_t)(mark - path) : strlen(path);
}

static int compare_images(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    size_t left = image_length(x), right = image_length(y);
    int order = strncmp(x, y, left < right ? left : right);
    return order ? order : (left > right) - (left < right);
}

size_t plan_learned_count(const plan *p, const imiad_split *split)
{
    size_t trained = imiad_split_train_count(split), count = 0;
    const char **paths = malloc((trained + 1) * sizeof *paths);
    if (!paths)
        return p->learned.count;
    for (size_t i = 0; i < trained; ++i) {
        imiad_sample s = IMIAD_SAMPLE_INIT;
        imiad_dataset_sample(&s, imiad_split_dataset(split), imiad_split_train(split, i));
        paths[i] = s.path;
    }
    qsort(paths, trained, sizeof *paths, compare_images);
    for (size_t i = 0; i < trained; ++i)
        count += i == 0 || compare_images(&paths[i - 1], &paths[i]) != 0;
    free(paths);
    return count;
}
