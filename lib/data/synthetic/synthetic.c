/* A dataset without files: products painted on demand. Every image has random streams of its own,
 * named by the seed and its path, so none depends on another, on the counts or on the order. */
#include "data/synthetic/synthetic.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static const option_spec synthetic_options[] = {
    {"seed", OPT_INT, "0", "0..", "another seed paints other images of the same products"},
    {"train", OPT_INT, "40", "1..100000", "good training images of each category"},
    {"test_good", OPT_INT, "20", "0..100000", "good test images of each category"},
    {"test_defective", OPT_INT, "20", "0..100000",
     "defective test images of each category, shared evenly among its kinds of defects"},
    {"size", OPT_INT, "256", "32..4096", "pixels along each side"},
    {0},
};

static const painter *const painters[] = {
    &circuit_painter,
    &fabric_painter,
    &fuse_box_painter,
    &hex_nut_painter,
};
enum { PAINTERS = sizeof painters / sizeof *painters };

static const painter *find_painter(const char *category)
{
    for (size_t i = 0; i < PAINTERS; ++i)
        if (strcmp(painters[i]->category, category) == 0)
            return painters[i];
    return NULL;
}

/* ---- listing ---- */

static imiad_status add_images(imiad_dataset *dataset, sample s, const char *part, int64_t count)
{
    for (int64_t i = 0; i < count; ++i) {
        s.path = dataset_text(dataset, "%s/%s/%s/%03lld.png", dataset->categories[s.category].name,
                              part, s.kind, (long long)i);
        if (!s.path)
            return IMIAD_NO_MEMORY;
        TRY(dataset_add(dataset, &s));
    }
    return IMIAD_OK;
}

static imiad_status list_category(imiad_dataset *dataset, int32_t index, const void *context)
{
    const painter *p = find_painter(dataset->categories[index].name);
    sample s = {.category = index, .kind = "good", .subset = IMIAD_SUBSET_TRAIN};
    TRY(add_images(dataset, s, "train", options_int(dataset->options, "train")));
    s.subset = IMIAD_SUBSET_TEST;
    TRY(add_images(dataset, s, "test", options_int(dataset->options, "test_good")));
    int64_t kinds = 0, wanted = options_int(dataset->options, "test_defective");
    while (p->kinds[kinds])
        ++kinds;
    for (int64_t k = 0; k < kinds; ++k) {
        s = (sample){.category = index,
                     .kind = p->kinds[k],
                     .subset = IMIAD_SUBSET_TEST,
                     .label = 1,
                     .mask_drawn = true,
                     .key = (uint64_t)k};
        TRY(add_images(dataset, s, "test", wanted / kinds + (k < wanted % kinds)));
    }
    return IMIAD_OK;
}

static imiad_status list(imiad_dataset *dataset)
{
    const char *names[PAINTERS];
    for (size_t i = 0; i < PAINTERS; ++i)
        names[i] = painters[i]->category;
    TRY(dataset_set_categories(dataset, names, PAINTERS));
    return dataset_list_each(dataset, list_category, NULL);
}

/* ---- painting ---- */

static random_stream open_stream(const imiad_dataset *dataset, const sample *s, const char *purpose)
{
    char name[256];
    snprintf(name, sizeof name, "synthetic/%s/%s", s->path, purpose);
    return random_open((uint64_t)options_int(dataset->options, "seed"), name);
}

static imiad_status paint(canvas *c, const imiad_dataset *dataset, const sample *s, bool damaged)
{
    TRY(canvas_create(c, (int)options_int(dataset->options, "size")));
    paint_plan plan = {.scene = open_stream(dataset, s, "scene"),
                       .defect = open_stream(dataset, s, "defect"),
                       .kind = damaged && s->label == 1 ? (int)s->key : NO_DEFECT};
    find_painter(dataset->categories[s->category].name)->paint(c, &plan);
    return IMIAD_OK;
}

static imiad_status photograph(imiad_image **out, const imiad_dataset *dataset, const sample *s,
                               bool damaged)
{
    canvas c;
    TRY(paint(&c, dataset, s, damaged));
    random_stream light = open_stream(dataset, s, "light");
    random_stream grain = open_stream(dataset, s, "grain");
    imiad_status status = canvas_photograph(out, &c, &light, &grain);
    canvas_free(&c);
    return status;
}

static imiad_status draw_image(imiad_image **out, const imiad_dataset *dataset, const sample *s)
{
    return photograph(out, dataset, s, true);
}

static imiad_status draw_mask(imiad_image **out, const imiad_dataset *dataset, const sample *s,
                              const imiad_image *image)
{
    canvas c;
    TRY(paint(&c, dataset, s, true));
    imiad_status status = canvas_mask(out, &c);
    canvas_free(&c);
    return status;
}

imiad_status synthetic_read_twin(imiad_image **out, const imiad_dataset *dataset, size_t index)
{
    return photograph(out, dataset, &dataset->samples[index], false);
}

const dataset_ops synthetic_ops = {
    .name = "synthetic",
    .title = "Procedural products: drawn in memory, no files needed",
    .options = synthetic_options,
    .list = list,
    .draw_image = draw_image,
    .draw_mask = draw_mask,
};
