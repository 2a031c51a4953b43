/* GCAD: of every pixel's surroundings a network learns what a fixed description says of them, and
 * cannot follow where a structure is new; of the whole image, squeezed through a few numbers, a
 * second pair agrees on a map as long as its parts belong together. Bergmann, Batzner, Fauser,
 * Sattlegger, Steger: "Beyond Dents and Scratches: Logical Constraints in Unsupervised Anomaly
 * Detection and Localization", IJCV 130, 2022. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/channel_statistics.h"
#include "detectors/parts/gcad_images.h"
#include "detectors/parts/gcad_networks.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/two_maps.h"
#include "detectors/training/training.h"

enum { SCALES = 2 /* sizes of patches */ };

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|compact",
     "the paper's numbers, or those that a CPU learns in minutes"},
    {"patches", OPT_CHOICE, "both", "17|33|both",
     "sides in pixels of the patches that are described: each has networks of its own"},
    {"networks", OPT_CHOICE, "both", "local|global|both",
     "what is trained and scores: the networks for new structures, for wrong compositions, or all"},
    {"width", OPT_INT, "64", "2..1024",
     "channels of a U-Net's first level, an even number; all others are multiples of it"},
    {"bottleneck", OPT_INT, "32", "1..4096", "numbers that the whole image is squeezed to"},
    {"squeezed_channels", OPT_INT, "10", "1..4096", "channels of the map that is made of them"},
    {"detach", OPT_BOOL, "false", "",
     "the network that restores this map does not move the one that makes it"},
    {"scaling", OPT_CHOICE, "deviation", "deviation|quantile",
     "good images' maps are brought to one scale by mean and deviation, or by two quantiles"},
    {"scale_images", OPT_TEXT, "", "",
     "folder of good images whose maps set the scale of all maps; empty: a share of the training "
     "images"},
    {"val_split", OPT_REAL, "0.1", "0..0.9",
     "share of the training images that are held out for that; 0: all of them train and serve"},
    {"rotation", OPT_REAL, "3", "0..180", "training images are turned by up to so many degrees"},
    {"jitter", OPT_REAL, "0.1", "0..1",
     "by how much brightness, contrast and saturation of training images change at most"},
    {"flips", OPT_CHOICE, "none", "none|horizontal|vertical|both",
     "training images are mirrored half of the time"},
    {"descriptors", OPT_TEXT, "", "",
     "file with the descriptions' weights: conv1 to conv4, or a saved GCAD; empty: the backbone is "
     "distilled into them"},
    {"layers", OPT_TEXT, "layer3", "", "backbone layers that a distilled description learns"},
    {"distil_images", OPT_TEXT, "", "",
     "folder of images whose patches are distilled; empty: the training images"},
    {"distil_steps", OPT_INT, "10000", "1..10000000", "steps of distilling a description"},
    {"distil_batch", OPT_INT, "64", "2..4096", "patches in a step of distilling"},
    {"distil_size", OPT_INT, "64", "8..8192",
     "side in pixels that a patch is enlarged to for the backbone"},
    {"distil_rate", OPT_REAL, "0.0002", "0<..", "learning rate of distilling"},
    {"weight_decay", OPT_REAL, "0.00001", "0..",
     "weight decay of Adam, added to the gradient of the sum over all pixels"},
    {"epochs", .default_value = "500"},
    {"learning_rate", .default_value = "0.0001"},
    {"train_batch", .default_value = "1"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {{"compact", "resize", "128"},
                                       {"compact", "patches", "33"},
                                       {"compact", "width", "16"},
                                       {"compact", "epochs", "50"},
                                       {"compact", "distil_steps", "400"},
                                       {"compact", "distil_batch", "32"},
                                       {"compact", "distil_rate", "0.001"},
                                       {"compact", "learning_rate", "0.001"},
                                       {0}};

typedef struct gcad {
    training training; /* stores p17 and p33, those that there are, and maps */
    training_ops learning;
    gcad_networks scales[SCALES];
    int count; /* of the scales */
    bool local, global;
    int64_t side, described; /* of the images; channels that a description learns */
    tensor *places;          /* map_place of each map; the buffer of the store maps */
    map_place maps[MOST_MAPS];
    gcad_changes changes;
    made_spec specs[PDN_LESSON_TENSORS];
    train_maker maker;
    gcad_lesson lesson; /* while fitting */
    char source[512];   /* of the descriptions of the last fit, for the file */
    /* While fitting: which training images set the scale of the maps. They do not train, unless
     * none can be spared. */
    bool *held, spared;
} gcad;

static bool option_is(const imiad_detector *self, const char *name, const char *value)
{
    return strcmp(options_text(self->options, name), value) == 0;
}

/* ---- training: section 4 ---- */

static imiad_status make(const made_from *from, made_output *out)
{
    const gcad *m = from->detector->state;
    return gcad_make_changed(out, from, &m->changes);
}

static imiad_status make_lesson(const made_from *from, made_output *out)
{
    const gcad *m = from->detector->state;
    return gcad_make_patch(out, from, &m->lesson);
}

/* What is kept of images that never change. */
static void describe(imiad_detector *self, const batch *b, tensor **out)
{
    const gcad *m = self->state;
    for (int i = 0; i < m->count; ++i)
        out[i] = patch_descriptor_dense(&m->scales[i].descriptor, t_channels_last(b->images));
}

/* The networks of one size of patches after those of the other. */
static tensor *loss(imiad_detector *self, const train_step *step)
{
    const gcad *m = self->state;
    const gcad_networks *n = &m->scales[step->turn];
    bool changed = m->training.maker != NULL;
    tensor *images = t_channels_last(changed ? step->made[0] : step->pixels.images);
    tensor *described =
        changed ? patch_descriptor_dense(&n->descriptor, images) : step->frozen[step->turn];
    double skips[SQUEEZING_LEVELS];
    squeezing_network_fade(skips, step->epoch, step->epochs);
    return gcad_loss(n, images, described, skips, step->epoch >= step->epochs / 10);
}

static bool trains(const gcad *m, size_t image)
{
    return !m->held[image] || !m->spared;
}

static imiad_status plan(imiad_detector *self, train_plan *p)
{
    const gcad *m = self->state;
    int64_t trained = 0;
    for (size_t i = 0; i < p->count; ++i)
        trained += trains(m, p->images[i]);
    bool drops = options_bool(self->options, "drop_last") && trained >= p->batch;
    p->steps = (trained + (drops ? 0 : p->batch - 1)) / p->batch;
    p->rest = drops ? 0 : trained % p->batch;
    return IMIAD_OK;
}

static imiad_status order_trained(size_t **out, size_t *trained, const gcad *m, size_t count)
{
    size_t *order = malloc(count * sizeof *order);
    if (!order)
        return fail_memory("an order of images", count * sizeof *order);
    *trained = 0;
    for (size_t i = 0; i < count; ++i)
        if (trains(m, i))
            order[(*trained)++] = i;
    *out = order;
    return IMIAD_OK;
}

/* The images that train, each once, shuffled. */
static imiad_status draw(imiad_detector *self, const train_plan *p, random_stream *stream,
                         size_t *out)
{
    size_t *row = NULL, trained = 0;
    TRY(order_trained(&row, &trained, self->state, p->count));
    random_shuffle(stream, row, trained);
    int64_t last = p->rest > 0 ? p->rest : p->batch;
    memcpy(out, row, (size_t)((p->steps - 1) * p->batch + last) * sizeof *row);
    free(row);
    return IMIAD_OK;
}

/* ---- the descriptions' channels to mean 0 and deviation 1 ---- */

static imiad_status look(channel_statistics s[SCALES], imiad_detector *self, train_set *images,
                         const progress *p)
{
    const gcad *m = self->state;
    size_t *order = NULL, count = 0;
    TRY(order_trained(&order, &count, m, train_set_count(images)));
    const train_pass pass = {.order = order, .count = count, .batch = 1};
    imiad_status status = train_set_begin(images, &pass);
    for (size_t i = 0; status == IMIAD_OK && i < count; ++i) {
        scope setting = scope_begin();
        batch b;
        tensor *described[SCALES];
        if (train_set_next(images, &b)) {
            describe(self, &b, described);
            for (int k = 0; k < m->count; ++k)
                channel_statistics_add(&s[k], described[k]);
        }
        status = scope_end(&setting);
        if (status == IMIAD_OK)
            status = progress_report(p, "statistics", (int64_t)i + 1, (int64_t)count);
    }
    train_set_rest(images);
    free(order);
    return status;
}

static imiad_status fold(const gcad *m, const channel_statistics s[SCALES], device d)
{
    scope setting = scope_begin();
    for (int i = 0; i < m->count; ++i) {
        const int64_t shape[] = {1, s[i].channels, 1, 1};
        tensor *mean = t_zeros(4, shape, F64, d), *deviation = t_zeros(4, shape, F64, d);
        channel_statistics_finish(mean, deviation, &s[i]);
        patch_descriptor_fold(&m->scales[i].descriptor, mean, deviation);
    }
    return scope_end(&setting);
}

static imiad_status normalise(imiad_detector *self, train_set *images, const progress *p)
{
    const gcad *m = self->state;
    channel_statistics s[SCALES] = {{NULL, NULL, 0, 0}};
    imiad_status status = IMIAD_OK;
    for (int i = 0; status == IMIAD_OK && i < m->count; ++i)
        status = channel_statistics_open(&s[i], gcad_descriptors(&m->scales[i].spec));
    if (status == IMIAD_OK)
        status = look(s, self, images, p);
    if (status == IMIAD_OK)
        status = fold(m, s, detector_device(self));
    for (int i = 0; i < m->count; ++i)
        channel_statistics_close(&s[i]);
    return status;
}

/* ---- maps and their scale: section 5 ---- */

static int maps_of_scale(const gcad *m)
{
    return m->local + m->global;
}

/* Scale after scale, of each the local map, then the global one. */
static void all_of(imiad_detector *self, tensor *images, tensor *out[MOST_MAPS])
{
    const gcad *m = self->state;
    images = t_channels_last(images);
    for (int i = 0, map = 0; i < m->count; ++i) {
        tensor *both[GCAD_MAPS];
        gcad_maps(&m->scales[i], images, both);
        for (int k = 0; k < GCAD_MAPS; ++k)
            if (k == 0 ? m->local : m->global)
                out[map++] = both[k];
    }
}

static imiad_status read_places(gcad *m)
{
    scope s = scope_begin();
    t_read(m->places, m->maps, sizeof m->maps);
    return scope_end(&s);
}

static imiad_status scale_maps(imiad_detector *self, train_set *images, const progress *p)
{
    gcad *m = self->state;
    const char *folder = options_text(self->options, "scale_images");
    map_values v = {.maps = all_of, .count = m->count * maps_of_scale(m), .channels = 1};
    map_place found[MOST_MAPS] = {{0, 1}, {0, 1}, {0, 1}, {0, 1}};
    imiad_status status = folder[0] ? map_values_of_folder(&v, self, folder, p)
                                    : map_values_of_set(&v, self, images, m->held, p);
    if (status == IMIAD_OK)
        status = map_values_places(found, &v, option_is(self, "scaling", "quantile"));
    map_values_free(&v);
    TRY(status);
    scope s = scope_begin();
    t_copy_(m->places, t_from(found, 2, (int64_t[]){MOST_MAPS, 2}, F32, CPU));
    TRY(scope_end(&s));
    return read_places(m);
}

/* ---- making ---- */

static imiad_status check_size(gcad *m, const imiad_detector *self)
{
    const preprocessing *p = &self->preprocessing;
    m->side = p->crop ? p->crop : p->resize;
    if (!p->crop && !p->squash)
        return fail(IMIAD_OUT_OF_RANGE, "detector gcad: its images must be square: set crop, or "
                                        "resize_mode=squash");
    if (m->side % SQUEEZING_MULTIPLE || m->side < 2 * SQUEEZING_MULTIPLE)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector gcad: images of %lld x %lld pixels: their side must be a multiple of "
                    "%d, at least %d",
                    (long long)m->side, (long long)m->side, SQUEEZING_MULTIPLE,
                    2 * SQUEEZING_MULTIPLE);
    return IMIAD_OK;
}

/* That the backbone has these layers. A loaded detector's has no weights any more, which matters
 * only where it is to be fitted anew. */
static imiad_status check_layers(gcad *m, const imiad_detector *self)
{
    layer_list layers = {0};
    if (options_text(self->options, "descriptors")[0])
        return IMIAD_OK;
    imiad_status status = layer_list_parse(&layers, "detector gcad",
                                           options_text(self->options, "layers"), self->backbone);
    m->described = 0;
    for (int i = 0; status == IMIAD_OK && i < layers.count; ++i)
        m->described += layers.channels[i];
    layer_list_free(&layers);
    return status == IMIAD_MISMATCH ? IMIAD_OK : status;
}

static void read_changes(gcad *m, const imiad_detector *self)
{
    bool both = option_is(self, "flips", "both");
    m->changes = (gcad_changes){.rotation = options_real(self->options, "rotation"),
                                .jitter = options_real(self->options, "jitter"),
                                .across = both || option_is(self, "flips", "horizontal"),
                                .down = both || option_is(self, "flips", "vertical")};
}

static imiad_status create(imiad_detector *self)
{
    gcad *m = self->state;
    int64_t width = options_int(self->options, "width");
    if (width % 2)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector gcad: option width is %lld: it must be an even number",
                    (long long)width);
    m->local = !option_is(self, "networks", "global");
    m->global = !option_is(self, "networks", "local");
    m->count = option_is(self, "patches", "both") ? SCALES : 1;
    TRY(check_size(m, self));
    TRY(check_layers(m, self));
    read_changes(m, self);
    memcpy(self->preprocessing.mean, imagenet_mean, sizeof imagenet_mean);
    memcpy(self->preprocessing.std, imagenet_std, sizeof imagenet_std);
    bool changes = gcad_changes_any(&m->changes);
    m->learning = (training_ops){.frozen = changes ? NULL : describe,
                                 .pixels = !changes,
                                 .loss = loss,
                                 .plan = plan,
                                 .draw = draw,
                                 .turns = m->count};
    training_begin(self, &m->learning);
    m->training.frozen_count = changes ? 0 : m->count;
    m->specs[0] = (made_spec){.kind = MADE_IMAGE};
    m->maker = (train_maker){m->specs, 1, make};
    return IMIAD_OK;
}

static void put_away(gcad *m)
{
    texture_source_close(m->lesson.lesson.folder);
    free(m->held);
    m->lesson.lesson.folder = NULL;
    m->held = NULL;
}

static void destroy(imiad_detector *self)
{
    gcad *m = self->state;
    put_away(m);
    training_clear(&m->training);
}

static int field_of(const imiad_detector *self, int scale)
{
    return option_is(self, "patches", "33") || scale == 1 ? 33 : 17;
}

static void make_networks(gcad *m, const imiad_detector *self, params *const stores[SCALES + 1],
                          bool learning)
{
    const option_set *o = self->options;
    for (int i = 0; i < m->count; ++i) {
        char purpose[32];
        const gcad_spec spec = {.field = field_of(self, i),
                                .side = m->side,
                                .width = options_int(o, "width"),
                                .numbers = options_int(o, "bottleneck"),
                                .channels = options_int(o, "squeezed_channels"),
                                .local = m->local,
                                .global = m->global,
                                .detached = options_bool(o, "detach"),
                                .learning = learning};
        snprintf(purpose, sizeof purpose, "gcad/p%d/", spec.field);
        const builder b = {.store = stores[i],
                           .device = detector_device(self),
                           .seed = (uint64_t)options_int(o, "seed"),
                           .purpose = learning ? purpose : NULL};
        m->scales[i] = gcad_networks_add(&b, &spec);
    }
    const builder maps = {.store = stores[m->count], .device = CPU};
    m->places = buffer_add(&maps, "places", 2, (int64_t[]){MOST_MAPS, 2}, 1);
}

/* New networks with nothing learned; for scoring alone, and without first weights, where a file has
 * others. */
static imiad_status begin(imiad_detector *self, bool learning)
{
    gcad *m = self->state;
    params *stores[SCALES + 1];
    training_clear(&m->training);
    for (int i = 0; i < m->count; ++i) {
        char name[16];
        snprintf(name, sizeof name, "p%d", field_of(self, i));
        TRY(training_store(&stores[i], &m->training, name));
    }
    TRY(training_store(&stores[m->count], &m->training, "maps"));
    scope s = scope_begin();
    make_networks(m, self, stores, learning);
    TRY(scope_end(&s));
    const optimizer_options adam = gcad_adam(options_real(self->options, "weight_decay"), m->side);
    for (int i = 0; learning && i < m->count; ++i) {
        params_set_trainable(stores[i], "descriptor.", false);
        const char *name = m->training.stores[i].name;
        training_rule *rule = training_optimizer(&m->training, name, name, NULL, &adam,
                                                 options_real(self->options, "learning_rate"));
        rule->turn = i;
    }
    return IMIAD_OK;
}

/* ---- fit ---- */

static imiad_status open_folder(texture_source **out, const imiad_detector *self,
                                const char *option)
{
    const char *folder = options_text(self->options, option);
    if (!folder[0])
        return IMIAD_OK;
    imiad_status status = texture_source_open(out, folder, 0);
    return status == IMIAD_OK ? status : fail_within(status, "detector gcad: %s", option);
}

static imiad_status distil(imiad_detector *self, int scale, train_set *images, const progress *p)
{
    gcad *m = self->state;
    const gcad_networks *n = &m->scales[scale];
    pdn_lesson *l = &m->lesson.lesson;
    char file[GCAD_LESSON_FILE], said[512];
    gcad_lesson_read(&m->lesson, file, self, n->spec.field, m->described);
    m->lesson.image_side = (int32_t)m->side;
    made_spec specs[PDN_LESSON_TENSORS];
    pdn_lesson_specs(specs, l);
    const train_maker maker = {specs, PDN_LESSON_TENSORS, make_lesson};
    TRY(gcad_distil(said, &n->descriptor, gcad_descriptors(&n->spec), l, self, images, &maker, p));
    size_t used = strlen(m->source);
    snprintf(m->source + used, sizeof m->source - used, "%sp%d: %s", used ? "; " : "",
             n->spec.field, said);
    return IMIAD_OK;
}

static imiad_status find_descriptions(imiad_detector *self, train_set *images, const progress *p)
{
    gcad *m = self->state;
    const char *path = options_text(self->options, "descriptors");
    m->source[0] = '\0';
    TRY(open_folder(&m->lesson.lesson.folder, self, "distil_images"));
    for (int i = 0; i < m->count; ++i) {
        if (path[0]) {
            imiad_status status = patch_descriptor_import(&m->scales[i].descriptor, path);
            if (status != IMIAD_OK)
                return fail_within(status, "detector gcad: descriptors");
        } else {
            TRY(distil(self, i, images, p));
        }
    }
    if (path[0])
        snprintf(m->source, sizeof m->source, "%s", path);
    log_message(IMIAD_LOG_INFO, "gcad: descriptions: %s", m->source);
    return IMIAD_OK;
}

/* What only training needs leaves the networks: the skips, and what blows up the squeezed map. */
static void drop_helpers(gcad *m)
{
    for (int i = 0; i < m->training.rule_count; ++i)
        optimizer_free(m->training.rules[i].optimizer);
    m->training.rule_count = 0;
    for (int i = 0; i < m->count; ++i)
        gcad_networks_finish(&m->scales[i], m->training.stores[i].parameters);
}

static imiad_status end_lessons(const imiad_detector *self)
{
    const gcad *m = self->state;
    for (int i = 0; i < m->count; ++i) {
        char file[GCAD_LESSON_FILE];
        gcad_lesson_file(file, self, m->scales[i].spec.field);
        TRY(pdn_lesson_end(file));
    }
    return IMIAD_OK;
}

static imiad_status learn(imiad_detector *self, train_set *images, const progress *p)
{
    gcad *m = self->state;
    bool elsewhere = options_text(self->options, "scale_images")[0];
    TRY(begin(self, true));
    TRY(map_values_choose(&m->held, &m->spared, self, images,
                          elsewhere ? 0 : options_real(self->options, "val_split")));
    m->training.maker = NULL;
    TRY(find_descriptions(self, images, p));
    TRY(normalise(self, images, p));
    m->training.maker = gcad_changes_any(&m->changes) ? &m->maker : NULL;
    TRY(train_set_rewind(images, NULL));
    TRY(training_fit(self, images, p));
    drop_helpers(m);
    TRY(scale_maps(self, images, p));
    return end_lessons(self);
}

static imiad_status fit(imiad_detector *self, train_set *images, const progress *p)
{
    put_away(self->state);
    imiad_status status = learn(self, images, p);
    put_away(self->state);
    return status;
}

/* ---- score ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const gcad *m = self->state;
    tensor *maps[MOST_MAPS], *sum = NULL;
    if (b->height != m->side || b->width != m->side) {
        t_fail(IMIAD_MISMATCH, "detector gcad: an image of %lld x %lld pixels, not %lld",
               (long long)b->width, (long long)b->height, (long long)m->side);
        return;
    }
    all_of(self, b->images, maps);
    for (int i = 0; i < m->count * maps_of_scale(m); ++i) {
        double width = (double)m->maps[i].width * m->count;
        sum = t_plus(sum, t_mul_scalar(t_add_scalar(maps[i], -(double)m->maps[i].low), 1 / width));
    }
    out->maps = sum;
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const gcad *m = self->state;
    TRY(weights_writer_metadata(writer, "descriptors", m->source));
    return training_save(self, writer);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    gcad *m = self->state;
    const char *source = weights_metadata(file, "descriptors");
    snprintf(m->source, sizeof m->source, "%s", source ? source : "");
    TRY(begin(self, false));
    TRY(training_load(self, file));
    return read_places(m);
}

/* The descriptions stand in for the backbone: scoring uses none of its layers. */
static const char *const *used_layers(const imiad_detector *self, int *count)
{
    (void)self;
    *count = 0;
    return NULL;
}

const detector_ops gcad_ops = {
    .name = "gcad",
    .title = "GCAD (Bergmann et al., IJCV 2022)",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(gcad),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
