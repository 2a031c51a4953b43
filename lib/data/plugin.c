#include "data/plugin.h"

#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "base/registry.h"
#include "data/reader.h"
#include "image/pixels.h"

typedef struct adapter {
    dataset_ops ops; /* first: a pointer to it is one to the adapter */
    imiad_dataset_functions functions;
} adapter;

static const imiad_dataset_functions *functions_of(const dataset_ops *ops)
{
    return &((const adapter *)ops)->functions;
}

/* ---- listing ---- */

/* Samples whose category is the number of a name; text is the dataset's already. */
struct imiad_listing {
    imiad_dataset *dataset;
    name_list names;
    sample *samples;
    size_t count, room;
};

static imiad_status category_number(int32_t *out, imiad_listing *l, const char *name)
{
    for (size_t i = l->names.count; i-- > 0;) /* mostly that of the last sample */
        if (strcmp(l->names.names[i], name) == 0) {
            *out = (int32_t)i;
            return IMIAD_OK;
        }
    char **grown = realloc(l->names.names, (l->names.count + 1) * sizeof *grown);
    if (!grown)
        return fail_memory("categories", (l->names.count + 1) * sizeof *grown);
    l->names.names = grown;
    if (!(grown[l->names.count] = strdup(name)))
        return fail_memory("categories", strlen(name));
    *out = (int32_t)l->names.count++;
    return IMIAD_OK;
}

static imiad_status check_listed(const imiad_listing *l, const imiad_listed_sample *s)
{
    const imiad_dataset_functions *f = functions_of(l->dataset->ops);
    const char *owner = l->dataset->ops->name;
    if (!s->path || !*s->path)
        return fail(IMIAD_INVALID_ARGUMENT, "dataset %s: sample %zu has no path", owner, l->count);
    const char *wrong = NULL;
    if (!s->category || !*s->category)
        wrong = "has no category";
    else if (s->subset < IMIAD_SUBSET_TRAIN || s->subset > IMIAD_SUBSET_TEST)
        wrong = "is in no subset";
    else if (s->label != 0 && s->label != 1)
        wrong = "has a label other than 0 and 1";
    else if (s->has_mask && !f->read_mask)
        wrong = "has a mask, but there is no function read_mask";
    else if (s->mask_path && f->read_image)
        wrong = "has a mask file, but is no file itself";
    else if (!f->read_image && (!reader_path_is_inside(s->path) ||
                                (s->mask_path && !reader_path_is_inside(s->mask_path))))
        wrong = "does not stay below the root";
    return wrong ? fail(IMIAD_INVALID_ARGUMENT, "dataset %s: %s %s", owner, s->path, wrong)
                 : IMIAD_OK;
}

static imiad_status copy_sample(sample *out, imiad_listing *l, const imiad_listed_sample *s)
{
    imiad_dataset *dataset = l->dataset;
    const char *kind = s->kind ? s->kind : s->label ? "defect" : "good";
    *out = (sample){.subset = s->subset,
                    .label = s->label,
                    .kind = dataset_text(dataset, "%s", kind),
                    .path = dataset_text(dataset, "%s", s->path),
                    .mask_drawn = s->label == 1 && s->has_mask,
                    .key = s->key};
    if (!out->kind || !out->path)
        return IMIAD_NO_MEMORY;
    if (s->label == 1 && s->mask_path) {
        const char **paths = dataset_memory(dataset, sizeof *paths);
        if (!paths || !(*paths = dataset_text(dataset, "%s", s->mask_path)))
            return IMIAD_NO_MEMORY;
        out->mask_paths = paths;
        out->mask_count = 1;
    }
    return category_number(&out->category, l, s->category);
}

imiad_status imiad_listing_add(imiad_listing *listing, const imiad_listed_sample *given)
{
    imiad_listed_sample s = IMIAD_LISTED_SAMPLE_INIT;
    if (!listing || !given)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_listing_add: NULL");
    TRY(struct_read(&s, sizeof s, given, sizeof s, "a listed sample"));
    TRY(check_listed(listing, &s));
    TRY(array_reserve(&listing->samples, listing->count, &listing->room, sizeof *listing->samples,
                      "a dataset's samples"));
    TRY(copy_sample(&listing->samples[listing->count], listing, &s));
    ++listing->count;
    return IMIAD_OK;
}

static int compare_by_path(const void *a, const void *b)
{
    return strcmp(((const sample *)a)->path, ((const sample *)b)->path);
}

static imiad_status check_unique(imiad_listing *l)
{
    if (l->count > 1)
        qsort(l->samples, l->count, sizeof *l->samples, compare_by_path);
    for (size_t i = 1; i < l->count; ++i)
        if (strcmp(l->samples[i - 1].path, l->samples[i].path) == 0)
            return fail(IMIAD_INVALID_ARGUMENT, "dataset %s: two samples have the path %s",
                        l->dataset->ops->name, l->samples[i].path);
    return IMIAD_OK;
}

/* The samples of the categories that the dataset has, which its options choose. */
static imiad_status add_samples(imiad_listing *l)
{
    imiad_dataset *dataset = l->dataset;
    TRY(check_unique(l));
    TRY(dataset_set_categories(dataset, (const char *const *)l->names.names, l->names.count));
    for (size_t c = 0; c < dataset->category_count; ++c)
        for (size_t i = 0; i < l->count; ++i) {
            sample s = l->samples[i];
            if (strcmp(l->names.names[s.category], dataset->categories[c].name) != 0)
                continue;
            s.category = (int32_t)c;
            TRY(dataset_add(dataset, &s));
        }
    return IMIAD_OK;
}

static imiad_status list(imiad_dataset *dataset)
{
    const imiad_dataset_functions *f = functions_of(dataset->ops);
    imiad_listing l = {.dataset = dataset};
    imiad_status status = f->list(f->user, &l, dataset);
    if (status == IMIAD_OK)
        status = add_samples(&l);
    name_list_free(&l.names);
    free(l.samples);
    return status;
}

/* ---- pixels ---- */

static imiad_sample describe(const sample *s)
{
    return (imiad_sample){.struct_size = sizeof(imiad_sample),
                          .subset = s->subset,
                          .category = s->category,
                          .label = s->label,
                          .has_mask = s->label == 0 || s->mask_drawn,
                          .kind = s->kind,
                          .path = s->path};
}

/* Takes the image where it is not what it should be. */
static imiad_status check_made(imiad_image **image, imiad_status status, const char *what,
                               const imiad_dataset *dataset, const sample *s)
{
    if (status == IMIAD_OK)
        status = image_check(*image, what);
    if (status == IMIAD_OK)
        return status;
    imiad_image_free(*image);
    return fail_within(status, "dataset %s: %s", dataset->ops->name, s->path);
}

static imiad_status draw_image(imiad_image **out, const imiad_dataset *dataset, const sample *s)
{
    const imiad_dataset_functions *f = functions_of(dataset->ops);
    imiad_sample shown = describe(s);
    imiad_image *image = NULL;
    imiad_status status = f->read_image(f->user, &image, dataset, &shown, s->key);
    TRY(check_made(&image, status, "its image", dataset, s));
    *out = image;
    return IMIAD_OK;
}

static imiad_status check_mask(const imiad_image *mask, const imiad_image *image)
{
    if (mask->format != IMIAD_PIXEL_GRAY8)
        return fail(IMIAD_MISMATCH, "its mask must be GRAY8, one byte a pixel");
    if (mask->width != image->width || mask->height != image->height)
        return fail(IMIAD_MISMATCH, "its mask is %dx%d pixels, but its image is %dx%d", mask->width,
                    mask->height, image->width, image->height);
    return IMIAD_OK;
}

static imiad_status draw_mask(imiad_image **out, const imiad_dataset *dataset, const sample *s,
                              const imiad_image *image)
{
    const imiad_dataset_functions *f = functions_of(dataset->ops);
    imiad_sample shown = describe(s);
    imiad_image *mask = NULL;
    imiad_status status = f->read_mask(f->user, &mask, dataset, &shown, s->key);
    TRY(check_made(&mask, status, "its mask", dataset, s));
    TRY(check_made(&mask, check_mask(mask, image), "its mask", dataset, s));
    int64_t threshold = options_int(dataset->options, "mask_threshold");
    for (int32_t y = 0; y < mask->height; ++y)
        for (int32_t x = 0; x < mask->width; ++x)
            image_row(mask, y)[x] = image_row(mask, y)[x] >= threshold ? 255 : 0;
    *out = mask;
    return IMIAD_OK;
}

/* ---- the table ---- */

void dataset_plugin_abandon(dataset_ops *ops)
{
    options_schema_free((option_spec *)ops->options);
    free((char *)ops->name);
    free((char *)ops->title);
    free(ops);
}

static void release(const dataset_ops *ops)
{
    const imiad_dataset_functions *f = functions_of(ops);
    if (f->release)
        f->release(f->user);
    dataset_plugin_abandon((dataset_ops *)ops);
}

static imiad_status check_functions(const imiad_dataset_functions *f)
{
    if (!registry_is_name(f->name))
        return fail(IMIAD_INVALID_ARGUMENT,
                    "dataset functions: \"%s\" is no name of letters, digits and underscores",
                    f->name ? f->name : "");
    if (!f->list)
        return fail(IMIAD_INVALID_ARGUMENT, "dataset %s: there is no function list", f->name);
    if (!f->read_image && !f->needs_root)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "dataset %s: without a root there must be a function read_image", f->name);
    return IMIAD_OK;
}

imiad_status dataset_plugin_adapt(dataset_ops **out, const imiad_dataset_functions *functions)
{
    imiad_dataset_functions f = IMIAD_DATASET_FUNCTIONS_INIT;
    if (!functions)
        return fail(IMIAD_INVALID_ARGUMENT, "dataset functions: NULL");
    TRY(struct_read(&f, sizeof f, functions, sizeof f, "dataset functions"));
    TRY(check_functions(&f));
    adapter *a = calloc(1, sizeof *a);
    if (!a)
        return fail_memory("a dataset", sizeof *a);
    a->functions = f;
    a->ops = (dataset_ops){.name = strdup(f.name),
                           .title = strdup(f.title ? f.title : f.name),
                           .needs_root = f.needs_root != 0,
                           .may_lack_tests = true,
                           .layout = "what its function list adds",
                           .list = list,
                           .draw_image = f.read_image ? draw_image : NULL,
                           .draw_mask = f.read_mask ? draw_mask : NULL,
                           .release = release};
    option_spec *options = NULL;
    imiad_status status = a->ops.name && a->ops.title
                              ? options_schema(&options, f.name, f.options, f.option_count)
                              : fail_memory("a dataset", sizeof *a);
    a->ops.options = options;
    if (status != IMIAD_OK) {
        dataset_plugin_abandon(&a->ops);
        return status;
    }
    *out = &a->ops;
    return IMIAD_OK;
}

imiad_status imiad_dataset_open_functions(imiad_dataset **out,
                                          const imiad_dataset_functions *functions,
                                          const char *root, const imiad_option *options,
                                          size_t option_count)
{
    dataset_ops *ops = NULL;
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_dataset_open_functions: out is NULL");
    imiad_status status = dataset_plugin_adapt(&ops, functions);
    if (status == IMIAD_OK)
        return dataset_open(out, ops, root, options, option_count);
    if (functions && functions->struct_size >= sizeof *functions && functions->release)
        functions->release(functions->user);
    return status;
}
