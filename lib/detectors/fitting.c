/* Fitting: anew, another task, images in memory; forgetting. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "detectors/calibration.h"
#include "detectors/detector.h"
#include "image/pixels.h"

/* Clones score with what their original learned: it must not change. */
static imiad_status check_alone(const imiad_detector *self, const char *before)
{
    if (!self->origin && atomic_load(&self->references) == 1)
        return IMIAD_OK;
    return fail(IMIAD_WRONG_STATE, "detector %s shares what it learned with clones: %s%s",
                self->ops->name, self->origin ? "this is one" : "free them before ",
                self->origin ? "" : before);
}

imiad_status imiad_detector_forget(imiad_detector *self, int64_t image, int64_t *removed)
{
    int64_t rows = 0;
    if (!self)
        return fail(IMIAD_INVALID_ARGUMENT, "forgetting an image: detector is NULL");
    if (!self->ops->forget)
        return fail(IMIAD_UNSUPPORTED, "detector %s cannot forget single images", self->ops->name);
    if (!self->fitted)
        return fail(IMIAD_WRONG_STATE, "detector %s has nothing to forget before fit or load",
                    self->ops->name);
    TRY(check_alone(self, "it forgets"));
    TRY(self->ops->forget(&rows, self, image));
    if (removed)
        *removed = rows;
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, const image_source *source, bool more,
                        const progress *p)
{
    train_set *set;
    TRY(check_alone(self, "another fit"));
    (void)imiad_torch_load(); /* its second is not the fit's; the first tensor tells a failure */
    double start = clock_seconds();
    TRY(train_set_open(&set, self, source));
    more &= self->fitted && self->ops->fit_more;
    free(self->calibration); /* of what is being replaced */
    self->calibration = NULL;
    self->tasks = more ? self->tasks : 0;
    self->fitted = more; /* only fit_more leaves what there was when it fails */
    imiad_status status = (more ? self->ops->fit_more : self->ops->fit)(self, set, p);
    train_set_close(set);
    self->fitted |= status == IMIAD_OK;
    self->tasks += status == IMIAD_OK;
    self->timings.fit_seconds = clock_seconds() - start;
    return status;
}

/* What the detector takes of a split, and of the dataset's other categories. */
static size_t choose_entries(split_entry *out, const imiad_detector *self, const imiad_split *split)
{
    const imiad_dataset *dataset = split->dataset;
    size_t count = 0;
    bool named = false; /* the split says which sources there are */
    for (size_t i = 0; i < split->train.count; ++i) {
        bool source = split->train.entries[i].role == ROLE_SOURCE;
        named |= source;
        if (source ? (self->takes & TAKES_SOURCES) != 0
                   : imiad_split_train_label(split, i) == 0 || self->takes & TAKES_ANOMALIES)
            out[count++] = split->train.entries[i];
    }
    for (size_t i = 0; !named && self->takes & TAKES_SOURCES && i < dataset->sample_count; ++i) {
        const sample *s = &dataset->samples[i];
        if (s->subset == IMIAD_SUBSET_TRAIN && s->label == 0 &&
            (size_t)s->category != split->category)
            out[count++] = (split_entry){.sample = i, .role = ROLE_SOURCE};
    }
    return count;
}

static bool has_normals(const split_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (entries[i].role != ROLE_SOURCE && split_roles[entries[i].role].label == 0)
            return true;
    return false;
}

static imiad_status fit_split(imiad_detector *self, const imiad_split *split, bool more,
                              const progress *p)
{
    if (!self || !split)
        return fail(IMIAD_INVALID_ARGUMENT, "fit: detector or split is NULL");
    size_t most = split->train.count;
    if (self->takes & TAKES_SOURCES)
        most += split->dataset->sample_count;
    split_entry *entries = malloc((most + 1) * sizeof *entries);
    if (!entries)
        return fail_memory("a split", most * sizeof *entries);
    size_t count = choose_entries(entries, self, split);
    image_source source = {.dataset = split->dataset, .entries = entries, .count = count};
    imiad_status status =
        has_normals(entries, count)
            ? fit(self, &source, more, p)
            : fail(IMIAD_INVALID_ARGUMENT, "fit: the split has no normal training images");
    free(entries);
    return status;
}

imiad_status imiad_detector_fit(imiad_detector *self, const imiad_split *split,
                                imiad_progress_function function, void *user)
{
    return fit_split(self, split, false, &(progress){function, user});
}

imiad_status imiad_detector_fit_more(imiad_detector *self, const imiad_split *split,
                                     imiad_progress_function function, void *user)
{
    return fit_split(self, split, true, &(progress){function, user});
}

imiad_status imiad_detector_fit_images(imiad_detector *self, const imiad_image *const *images,
                                       size_t count, imiad_progress_function function, void *user)
{
    if (!self || !images || count == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "fit: detector or images is NULL, or there are none");
    image_source source = {.images = images, .count = count};
    return fit(self, &source, false, &(progress){function, user});
}

/* ---- labelled images in memory ---- */

typedef struct memory_images {
    const imiad_image **images, **masks;
    int32_t *labels, *categories;
    size_t count, normals;
} memory_images;

static void free_memory_images(memory_images *m)
{
    free(m->images);
    free(m->masks);
    free(m->labels);
    free(m->categories);
}

static imiad_status check_labelled(const imiad_labelled_image *one, size_t index)
{
    char name[64];
    snprintf(name, sizeof name, "fit: image %zu", index);
    TRY(image_check(one->image, name));
    if (one->label != 0 && one->label != 1)
        return fail(IMIAD_INVALID_ARGUMENT, "%s has the label %d: 0 is good, 1 defective", name,
                    one->label);
    if (one->label == 1 && one->category != 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "%s is defective and of category %d: of other categories than 0 good images "
                    "alone are learned from",
                    name, one->category);
    if (!one->mask)
        return IMIAD_OK;
    snprintf(name, sizeof name, "fit: the mask of image %zu", index);
    TRY(image_check(one->mask, name));
    if (one->mask->format != IMIAD_PIXEL_GRAY8)
        return fail(IMIAD_INVALID_ARGUMENT, "%s must be GRAY8", name);
    if (one->mask->width != one->image->width || one->mask->height != one->image->height)
        return fail(IMIAD_MISMATCH, "%s is %d x %d, the image %d x %d", name, one->mask->width,
                    one->mask->height, one->image->width, one->image->height);
    return IMIAD_OK;
}

/* Takes over what the detector takes. */
static void add_labelled(memory_images *m, const imiad_detector *self,
                         const imiad_labelled_image *one)
{
    if ((one->label && !(self->takes & TAKES_ANOMALIES)) ||
        (one->category && !(self->takes & TAKES_SOURCES)))
        return;
    m->images[m->count] = one->image;
    m->masks[m->count] = one->mask;
    m->labels[m->count] = one->label;
    m->categories[m->count] = one->category;
    m->normals += one->label == 0 && one->category == 0;
    m->count++;
}

static imiad_status collect_labelled(memory_images *m, const imiad_detector *self,
                                     const imiad_labelled_image *images, size_t count)
{
    m->images = calloc(count, sizeof *m->images);
    m->masks = calloc(count, sizeof *m->masks);
    m->labels = calloc(count, sizeof *m->labels);
    m->categories = calloc(count, sizeof *m->categories);
    if (!m->images || !m->masks || !m->labels || !m->categories)
        return fail_memory("a list of images", count * sizeof *m->images);
    const uint8_t *at = (const uint8_t *)images;
    for (size_t i = 0; i < count; ++i, at += images->struct_size) {
        imiad_labelled_image one = IMIAD_LABELLED_IMAGE_INIT;
        TRY(struct_read(&one, sizeof one, at, sizeof one, "fit: a labelled image"));
        TRY(check_labelled(&one, i));
        add_labelled(m, self, &one);
    }
    return m->normals > 0 ? IMIAD_OK
                          : fail(IMIAD_INVALID_ARGUMENT, "fit: no image of category 0 is good");
}

imiad_status imiad_detector_fit_labelled(imiad_detector *self, const imiad_labelled_image *images,
                                         size_t count, imiad_progress_function function, void *user)
{
    if (!self || !images || count == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "fit: detector or images is NULL, or there are none");
    memory_images m = {.count = 0};
    imiad_status status = collect_labelled(&m, self, images, count);
    image_source source = {.images = m.images,
                           .count = m.count,
                           .labels = m.labels,
                           .masks = m.masks,
                           .categories = m.categories};
    if (status == IMIAD_OK)
        status = fit(self, &source, false, &(progress){function, user});
    free_memory_images(&m);
    return status;
}
