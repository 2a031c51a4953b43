#include "pictures.h"
#include "checked.h"
#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct picture {
    imiad_image image, mask; /* mask.pixels NULL: none */
    float *map;
    int width, height;
    float score;
    const char *kind, *path; /* the dataset's */
} picture;

struct pictures {
    const char *folder;
    picture *kept;
    size_t count, room;
};

pictures *pictures_open(const char *folder)
{
    pictures *p = calloc(1, sizeof *p);
    if (p)
        p->folder = folder;
    return p;
}

static int copy_image(imiad_image *out, const imiad_image *from)
{
    *out = *from;
    size_t size = from->stride * (size_t)from->height;
    out->pixels = malloc(size);
    if (!out->pixels)
        return -1;
    memcpy(out->pixels, from->pixels, size);
    return 0;
}

static void drop(picture *q)
{
    free(q->image.pixels);
    free(q->mask.pixels);
    free(q->map);
}

imiad_status pictures_add(pictures *p, const imiad_scored *scored)
{
    if (!scored->map)
        return IMIAD_OK;
    if (p->count == p->room) {
        size_t room = p->room ? 2 * p->room : 64;
        picture *grown = realloc(p->kept, room * sizeof *grown);
        if (!grown)
            return IMIAD_NO_MEMORY;
        p->kept = grown;
        p->room = room;
    }
    size_t size = (size_t)scored->width * (size_t)scored->height;
    picture q = {.map = malloc(size * sizeof *q.map),
                 .width = scored->width,
                 .height = scored->height,
                 .score = scored->score,
                 .kind = scored->info.kind,
                 .path = scored->info.path};
    if (!q.map || copy_image(&q.image, scored->image) != 0 ||
        (scored->mask && copy_image(&q.mask, scored->mask) != 0)) {
        drop(&q);
        return IMIAD_NO_MEMORY;
    }
    memcpy(q.map, scored->map, size * sizeof *q.map);
    p->kept[p->count++] = q;
    return IMIAD_OK;
}

/* KIND_NAME without its extension and what leads to it. New memory. */
static char *plain_name(const picture *q)
{
    const char *slash = strrchr(q->path, '/'), *name = slash ? slash + 1 : q->path;
    const char *dot = strrchr(name, '.');
    char *plain;
    return asprintf(&plain, "%s_%.*s", q->kind, dot ? (int)(dot - name) : (int)strlen(name), name) <
                   0
               ? NULL
               : plain;
}

/* FOLDER/KIND_NAME.png, with a number of the path's where another image would have that, too. */
static char *name_in_folder(const pictures *p, const picture *q, const char *folder)
{
    char *plain = plain_name(q);
    int shared = 0;
    for (size_t i = 0; plain && !shared && i < p->count; ++i) {
        char *other = &p->kept[i] == q ? NULL : plain_name(&p->kept[i]);
        shared = other && strcmp(other, plain) == 0;
        free(other);
    }
    char *path = plain ? name_unique(folder, plain, q->path, shared) : NULL;
    free(plain);
    return path;
}

static imiad_status draw(const pictures *p, const picture *q, const char *folder, float low,
                         float high)
{
    char title[256], score[SCORE_TEXT];
    const char *name = strrchr(q->path, '/');
    name = name ? name + 1 : q->path;
    const char *dot = strrchr(name, '.');
    int stem = dot ? (int)(dot - name) : (int)strlen(name);
    snprintf(title, sizeof title, "%s %.*s   score %s", q->kind, stem, name,
             checked_score(score, (double)q->score));
    char *path = name_in_folder(p, q, folder);
    if (!path)
        return IMIAD_NO_MEMORY;
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    options.low = low;
    options.high = high;
    options.title = title;
    options.mask = q->mask.pixels ? &q->mask : NULL;
    imiad_image *drawn;
    imiad_status status =
        imiad_image_draw_heatmap(&drawn, &q->image, q->map, q->width, q->height, &options);
    if (status == IMIAD_OK) {
        status = imiad_image_write_png(drawn, path);
        imiad_image_free(drawn);
    }
    free(path);
    return status;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* One scale for all, so that a good part looks good beside a bad one: from the median of all pixels
 * to the value that one in a thousand exceeds. Every 16th pixel is looked at. */
static imiad_status find_scale(const pictures *p, float *low, float *high)
{
    size_t count = 0, room = 0;
    for (size_t i = 0; i < p->count; ++i)
        room += (size_t)p->kept[i].width * (size_t)p->kept[i].height / 16 + 1;
    float *values = malloc(room * sizeof *values);
    if (!values)
        return IMIAD_NO_MEMORY;
    for (size_t i = 0; i < p->count; ++i) {
        size_t size = (size_t)p->kept[i].width * (size_t)p->kept[i].height;
        for (size_t j = 0; j < size; j += 16)
            values[count++] = p->kept[i].map[j];
    }
    qsort(values, count, sizeof *values, compare_floats);
    *low = values[count / 2];
    *high = values[count - 1 - count / 1000];
    free(values);
    return IMIAD_OK;
}

imiad_status pictures_draw(pictures *p, const char *name)
{
    char folder[2048];
    imiad_status status = IMIAD_OK;
    snprintf(folder, sizeof folder, "%s/%s", p->folder, name);
    if (p->count > 0) {
        float low, high;
        status = find_scale(p, &low, &high);
        for (size_t i = 0; status == IMIAD_OK && i < p->count; ++i)
            status = draw(p, &p->kept[i], folder, low, high);
    }
    for (size_t i = 0; i < p->count; ++i)
        drop(&p->kept[i]);
    p->count = 0;
    return status;
}

void pictures_close(pictures *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; ++i)
        drop(&p->kept[i]);
    free(p->kept);
    free(p);
}
