#include "detectors/parts/gcad_images.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "image/preprocess.h"
#include "image/turn.h"
#include "synthesis/color_jitter.h"

static const double tiny = 1e-30; /* beside a product of two sums of squares */

/* ---- images of a step ---- */

bool gcad_changes_any(const gcad_changes *c)
{
    return c->rotation > 0 || c->jitter > 0 || c->across || c->down;
}

static void put(made_output *out, const imiad_image *image, bool across, bool down)
{
    for (int32_t y = 0; y < out->height; ++y) {
        const uint8_t *from = image_row(image, down ? out->height - 1 - y : y);
        uint8_t *to = out->bytes + 3 * (size_t)y * (size_t)out->width;
        for (int32_t x = 0; x < out->width; ++x)
            memcpy(to + 3 * (size_t)x, from + 3 * (size_t)(across ? out->width - 1 - x : x), 3);
    }
}

imiad_status gcad_make_changed(made_output *out, const made_from *from, const gcad_changes *c)
{
    random_stream s = made_stream(from, "change");
    double degrees = random_between(&s, -c->rotation, c->rotation);
    bool across = random_real(&s) < 0.5 && c->across, down = random_real(&s) < 0.5 && c->down;
    imiad_image *changed;
    TRY(c->rotation > 0 ? image_turn_smoothly(&changed, from->image, degrees)
                        : image_to_rgb(&changed, from->image));
    for (int kind = JITTER_BRIGHTNESS; c->jitter > 0 && kind < JITTER_HUE; ++kind)
        color_change(changed, (jitter_kind)kind, random_between(&s, 1 - c->jitter, 1 + c->jitter));
    put(out, changed, across, down);
    imiad_image_free(changed);
    return IMIAD_OK;
}

/* ---- patches ---- */

void gcad_lesson_file(char out[GCAD_LESSON_FILE], const imiad_detector *self, int field)
{
    const char *checkpoint = options_text(self->options, "checkpoint");
    out[0] = '\0';
    if (checkpoint[0])
        snprintf(out, GCAD_LESSON_FILE, "%s.p%d", checkpoint, field);
}

void gcad_lesson_read(gcad_lesson *l, char file[GCAD_LESSON_FILE], const imiad_detector *self,
                      int field, int64_t described)
{
    const option_set *o = self->options;
    gcad_lesson_file(file, self, field);
    l->lesson = (pdn_lesson){.layers = options_text(o, "layers"),
                             .folder = l->lesson.folder,
                             .steps = options_int(o, "distil_steps"),
                             .batch = options_int(o, "distil_batch"),
                             .outputs = described,
                             .side = field,
                             .backbone_side = (int32_t)options_int(o, "distil_size"),
                             .rate = options_real(o, "distil_rate"),
                             .weight_decay = options_real(o, "weight_decay"),
                             .seed = (uint64_t)options_int(o, "seed"),
                             .checkpoint = file};
}

static imiad_status cut(imiad_image **out, const imiad_image *image, int32_t side, random_stream *s)
{
    int32_t left = (int32_t)random_below(s, (uint64_t)(image->width - side + 1));
    int32_t top = (int32_t)random_below(s, (uint64_t)(image->height - side + 1));
    TRY(image_create(out, IMIAD_PIXEL_RGB8, side, side));
    for (int32_t y = 0; y < side; ++y)
        memcpy(image_row(*out, y), image_row(image, top + y) + 3 * (size_t)left, 3 * (size_t)side);
    return IMIAD_OK;
}

static imiad_status put_patch(made_output *out, const imiad_image *patch, const pdn_lesson *l,
                              const imiad_backbone *b)
{
    preprocessing how = {.squash = true};
    memcpy(how.mean, imagenet_mean, sizeof how.mean);
    memcpy(how.std, imagenet_std, sizeof how.std);
    preprocess_normalize(out[0].values, patch, &how);
    imiad_image *enlarged;
    TRY(imiad_image_resize(&enlarged, patch, l->backbone_side, l->backbone_side));
    memcpy(how.mean, b->mean, sizeof how.mean);
    memcpy(how.std, b->std, sizeof how.std);
    preprocess_normalize(out[1].values, enlarged, &how);
    imiad_image_free(enlarged);
    return IMIAD_OK;
}

imiad_status gcad_make_patch(made_output *out, const made_from *from, const gcad_lesson *l)
{
    random_stream s = made_stream(from, "distil");
    imiad_image *drawn = NULL, *patch;
    if (l->lesson.folder)
        TRY(texture_draw(&drawn, l->lesson.folder, l->image_side, l->image_side, NULL, &s));
    imiad_status status = cut(&patch, drawn ? drawn : from->image, l->lesson.side, &s);
    imiad_image_free(drawn);
    TRY(status);
    status = put_patch(out, patch, &l->lesson, from->detector->backbone);
    imiad_image_free(patch);
    return status;
}

/* ---- distilling ---- */

/* The squares of all correlations of two different channels; rows are patches. */
static tensor *correlations(tensor *rows)
{
    tensor *centred = t_sub(rows, t_mean(rows, 0, true));
    tensor *products = t_matmul(t_transpose(centred, 0, 1), centred);
    tensor *squares = t_sum(t_square(centred), 0, true); /* 1 x channels: the diagonal */
    tensor *scales = t_matmul(t_transpose(squares, 0, 1), squares);
    tensor *all = t_div(t_square(products), t_add_scalar(scales, tiny));
    tensor *own = t_div(t_square(squares), t_add_scalar(t_square(squares), tiny));
    return t_sub(t_sum_all(all), t_sum_all(own));
}

tensor *gcad_lesson_loss(const void *network, tensor *patches, tensor *wanted)
{
    const described_patches *d = network;
    tensor *described = patch_descriptor_patches(&d->descriptor, t_channels_last(patches));
    tensor *squares = t_square(t_sub(conv2d_run(&d->decoder, described), wanted));
    tensor *error = t_mean_all(t_sum(squares, 1, false));
    return t_add(error, correlations(t_flatten(described, 1, 3)));
}

/* A learner with the description's first weights: they are in the lesson's own store, for the
 * description's holds much that is not to be learned now. */
static imiad_status make_learner(described_patches *out, params *store, const patch_descriptor *d,
                                 int64_t outputs, const pdn_lesson *l, device place)
{
    char purpose[48];
    snprintf(purpose, sizeof purpose, "gcad/p%d/decoder/", d->field);
    const builder b = {.store = store, .device = place},
                  drawn = {.store = store, .device = place, .seed = l->seed, .purpose = purpose};
    scope s = scope_begin();
    out->descriptor = patch_descriptor_add(&b, d->field, outputs);
    out->decoder = conv2d_add(
        &drawn, "decoder",
        (conv2d_spec){.inputs = outputs, .outputs = l->outputs, .kernel = 1, .bias = true});
    for (int i = 0; i < DESCRIPTOR_LAYERS; ++i) {
        t_copy_(out->descriptor.convolutions[i].weight, d->convolutions[i].weight);
        t_copy_(out->descriptor.convolutions[i].bias, d->convolutions[i].bias);
    }
    return scope_end(&s);
}

static imiad_status take_back(const patch_descriptor *d, const described_patches *learned)
{
    scope s = scope_begin();
    for (int i = 0; i < DESCRIPTOR_LAYERS; ++i) {
        t_copy_(d->convolutions[i].weight, learned->descriptor.convolutions[i].weight);
        t_copy_(d->convolutions[i].bias, learned->descriptor.convolutions[i].bias);
    }
    return scope_end(&s);
}

imiad_status gcad_distil(char said[512], const patch_descriptor *d, int64_t outputs, pdn_lesson *l,
                         imiad_detector *self, train_set *images, const train_maker *maker,
                         const progress *p)
{
    params *store;
    described_patches learner;
    l->loss = gcad_lesson_loss;
    l->pooled = true;
    TRY(params_create(&store));
    imiad_status status = make_learner(&learner, store, d, outputs, l, detector_device(self));
    if (status == IMIAD_OK)
        status = pdn_distil(said, &learner, store, l, self, images, maker, p);
    if (status == IMIAD_OK)
        status = take_back(d, &learner);
    params_free(store);
    return status;
}
