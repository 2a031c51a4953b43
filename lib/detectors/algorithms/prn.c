/* PRN: a segmentation network sees the features of a frozen backbone and how far they are from the
 * nearest map that stands for normal ones; it learns from normal images, labelled defects, the same
 * defects pasted into normal images, and drawn damage. Zhang, Wu, Wang, Chen, Jiang: "Prototypical
 * Residual Networks for Anomaly Detection and Localization", CVPR 2023. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/k_means.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/mixed_epoch.h"
#include "detectors/parts/one_size.h"
#include "detectors/parts/prn_network.h"
#include "detectors/training/training.h"
#include "synthesis/blend.h"
#include "synthesis/damage.h"

enum { LEVELS = PRN_LEVELS, MAPS = PRN_MAPS, USUAL_SIZES = 4 };

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official",
     "whose defaults: this library's, the public re-implementation's"},
    {"layers", OPT_TEXT, "", "",
     "four backbone layers, each half as large as the one before; empty: layer1 to layer4, or "
     "those that an EfficientNet has instead"},
    {"width", OPT_INT, "0", "0..4096",
     "channels of the first layer that are used, drawn by the seed, and twice as many of each "
     "further one; 0: all"},
    {"prototypes", OPT_REAL, "0.1", "0<..1",
     "maps that stand for normal ones, a share of the normal training images"},
    {"attention_blocks", OPT_INT, "3", "1..8", "blocks of attention in a row"},
    {"attention_sizes", OPT_INT, "0", "0..6",
     "sizes of patches that attend to each other: the whole map, its half and so on; 0: as many as "
     "the smallest map can be halved, at most 4"},
    {"focal", OPT_REAL, "5", "0..", "weight of the focal loss"},
    {"weight_decay", OPT_REAL, "0.01", "0..", "weight decay of Adam"},
    {"repeats", OPT_INT, "5", "0..1000",
     "how often an epoch sees each labelled defect as it is, before it pastes it"},
    {"foreground", OPT_CHOICE, "object", "object|all",
     "where defects are pasted: on what differs from the image's border, or anywhere"},
    {"textures", OPT_TEXT, "", "",
     "folder of texture images, such as the Describable Textures Dataset's; empty: the library "
     "draws its own"},
    {"top_pixels", OPT_INT, "100", "1..1000000",
     "largest pixels of the map whose mean is an image's score"},
    {"epochs", .default_value = "700"},
    {"learning_rate", .default_value = "0.0001"},
    {"train_batch", .default_value = "48"},
    {"drop_last", .default_value = "true"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "resize_mode", "shorter"},
    {"official", "crop", "256"},
    {0},
};

typedef struct prn {
    training training; /* stores: network; prototypes */
    layer_list layers;
    prn_shape shape;          /* of the network */
    tensor *chosen[MAPS];     /* kept: which channels; NULL: all */
    params *learned, *normal; /* the stores */
    prn_network network;
    tensor *prototypes[LEVELS]; /* the store's */
    /* while training */
    texture_source *textures;
    draem_options damage;
    bool anywhere;
    mixed_images images;
    uint8_t *slots; /* of an epoch's places: mixed_slot */
    int64_t steps, batch;
    char learned_from[600]; /* for the file */
} prn;

/* ---- features ---- */

static void read_features(imiad_detector *self, const batch *b, tensor **out)
{
    const prn *m = self->state;
    for (int i = 0; i < MAPS; ++i)
        out[i] = NULL;
    const int64_t size[] = {b->height, b->width}, made_for[] = {m->shape.side, m->shape.side};
    if (!t_try(one_size_check(self, "pixels", size, made_for)))
        return;
    detector_features(self, b, m->layers.names, MAPS, out);
    for (int i = 0; i < MAPS; ++i)
        if (m->chosen[i])
            out[i] = t_index_select(out[i], 1, m->chosen[i]);
}

/* ---- epochs ---- */

static imiad_status plan_epoch(imiad_detector *self, train_plan *plan)
{
    prn *m = self->state;
    int64_t items = mixed_epoch_items(&m->images);
    m->batch = plan->batch = items < plan->batch ? items : plan->batch;
    bool drops = options_bool(self->options, "drop_last");
    m->steps = plan->steps = drops ? items / plan->batch : (items + plan->batch - 1) / plan->batch;
    free(m->slots);
    m->slots = calloc((size_t)(m->steps * m->batch), sizeof *m->slots);
    return m->slots ? IMIAD_OK : fail_memory("an epoch", (size_t)(m->steps * m->batch));
}

static imiad_status draw_epoch(imiad_detector *self, const train_plan *plan, random_stream *stream,
                               size_t *out)
{
    const prn *m = self->state;
    return mixed_epoch_draw(out, m->slots, (size_t)(plan->steps * plan->batch), &m->images,
                            options_int(self->options, "repeats"), stream);
}

/* ---- anomalies that are made, on the loader's threads ---- */

static const made_spec specs[] = {{.kind = MADE_IMAGE}, {.kind = MADE_MASK}};

static imiad_status damage(made_output *out, const made_from *from)
{
    const prn *m = from->detector->state;
    imiad_image *image;
    draem_damage d;
    random_stream s = made_stream(from, "damage");
    TRY(draem_draw(&d, from->image, m->textures, &m->damage, &s));
    imiad_status status = blend_texture(&image, d.clean, d.texture, d.mask, d.opacity);
    if (status == IMIAD_OK) {
        mixed_hand_over(out, image, d.mask);
        d.mask = NULL;
    }
    draem_damage_free(&d);
    return status;
}

static imiad_status make(const made_from *from, made_output *out)
{
    const prn *m = from->detector->state;
    switch ((mixed_slot)m->slots[from->place]) {
    case PASTED:
        return mixed_paste(out, from, &m->images, m->anywhere);
    case DAMAGED:
        return damage(out, from);
    default:
        return IMIAD_OK;
    }
}

static const train_maker maker = {specs, 2, make};

/* ---- loss ---- */

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const prn *m = self->state;
    tensor *features[MAPS] = {NULL}, *masks;
    const uint8_t *slots = m->slots + step->index % m->steps * m->batch;
    mixed_gather(features, &masks, self, step, slots, MAPS, read_features);
    tensor *logits = prn_network_run(&m->network, features, m->prototypes, true);
    return prn_loss(logits, masks, options_real(self->options, "focal"));
}

static const training_ops learning = {
    .frozen = read_features, .loss = loss, .plan = plan_epoch, .draw = draw_epoch};

/* ---- making ---- */

static const char *usual_layers(const imiad_backbone *backbone)
{
    if (backbone_require(backbone, "blocks.6") == IMIAD_OK)
        return "blocks.1,blocks.2,blocks.4,blocks.6";
    if (backbone_require(backbone, "features.7") == IMIAD_OK)
        return "features.2,features.3,features.5,features.7";
    return "layer1,layer2,layer3,layer4";
}

/* The channels that are used: all, or the first of a drawn order. */
static imiad_status choose_channels(prn *m, const imiad_detector *self, int i, int64_t all)
{
    int64_t width = options_int(self->options, "width") << i;
    m->shape.channels[i] = width == 0 || width > all ? all : width;
    if (m->shape.channels[i] == all)
        return IMIAD_OK;
    char purpose[32];
    snprintf(purpose, sizeof purpose, "prn/channels/%d", i);
    random_stream s = random_open((uint64_t)options_int(self->options, "seed"), purpose);
    size_t *order = malloc((size_t)all * sizeof *order);
    if (!order)
        return fail_memory("a list of channels", (size_t)all * sizeof *order);
    for (size_t k = 0; k < (size_t)all; ++k)
        order[k] = k;
    random_shuffle(&s, order, (size_t)all);
    scope within = scope_begin();
    tensor *drawn = t_from(order, 1, &m->shape.channels[i], I64, CPU);
    m->chosen[i] = t_keep(t_to_device(t_sort(drawn, 0, false, NULL), detector_device(self)));
    free(order);
    return scope_end(&within);
}

static imiad_status find_layers(imiad_detector *self)
{
    prn *m = self->state;
    const char *layers = options_text(self->options, "layers");
    TRY(layer_list_parse(&m->layers, "detector prn",
                         layers[0] ? layers : usual_layers(self->backbone), self->backbone));
    if (m->layers.count != MAPS)
        return fail(IMIAD_OUT_OF_RANGE, "detector prn: option layers names %d layers, it takes %d",
                    m->layers.count, MAPS);
    for (int i = 0; i < MAPS; ++i) {
        int64_t shape[3];
        TRY(backbone_layer_shape(shape, self->backbone, m->layers.names[i], m->shape.side,
                                 m->shape.side));
        m->shape.heights[i] = shape[1];
        m->shape.widths[i] = shape[2];
        if (i > 0 &&
            (2 * shape[1] != m->shape.heights[i - 1] || 2 * shape[2] != m->shape.widths[i - 1]))
            return fail(
                IMIAD_MISMATCH,
                "detector prn: %s has %lld x %lld positions of an input of %lld pixels, not "
                "half of the %lld x %lld of %s: set resize to a multiple of 32, or other "
                "layers",
                m->layers.names[i], (long long)shape[2], (long long)shape[1],
                (long long)m->shape.side, (long long)m->shape.widths[i - 1],
                (long long)m->shape.heights[i - 1], m->layers.names[i - 1]);
        TRY(choose_channels(m, self, i, shape[0]));
    }
    return IMIAD_OK;
}

/* The smallest map that attends must be cut into equal parts; the larger ones then are. */
static imiad_status find_sizes(imiad_detector *self)
{
    prn *m = self->state;
    int64_t height = m->shape.heights[LEVELS - 1], width = m->shape.widths[LEVELS - 1];
    int asked = (int)options_int(self->options, "attention_sizes"), fitting = 1;
    while (fitting < ATTENTION_SIZES && height % (1 << fitting) == 0 && width % (1 << fitting) == 0)
        ++fitting;
    if (asked > fitting)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector prn: attention_sizes=%d cuts %s, which has %lld x %lld positions, %d "
                    "times in half: set at most %d, or another resize",
                    asked, m->layers.names[LEVELS - 1], (long long)width, (long long)height,
                    asked - 1, fitting);
    m->shape.sizes = asked > 0 ? asked : fitting < USUAL_SIZES ? fitting : USUAL_SIZES;
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    prn *m = self->state;
    const preprocessing *p = &self->preprocessing;
    m->shape.side = p->crop ? p->crop : p->squash ? p->resize : 0;
    m->shape.blocks = (int)options_int(self->options, "attention_blocks");
    m->damage = draem_defaults;
    m->damage.whole = 0;
    m->anywhere = strcmp(options_text(self->options, "foreground"), "all") == 0;
    TRY(one_size_require(self));
    TRY(find_layers(self));
    TRY(find_sizes(self));
    training_begin(self, &learning);
    m->training.frozen_count = MAPS;
    m->training.maker = &maker;
    return IMIAD_OK;
}

/* What only training needs. */
static void leave_training(prn *m)
{
    texture_source_close(m->textures);
    free(m->slots);
    mixed_images_free(&m->images);
    m->textures = NULL;
    m->slots = NULL;
}

static void destroy(imiad_detector *self)
{
    prn *m = self->state;
    leave_training(m);
    training_clear(&m->training);
    layer_list_free(&m->layers);
    for (int i = 0; i < MAPS; ++i)
        t_free(m->chosen[i]);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const prn *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

/* A network with nothing learned, without prototypes; without first weights where a file has
 * others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    prn *m = self->state;
    training_clear(&m->training);
    TRY(training_store(&m->learned, &m->training, "network"));
    TRY(training_store(&m->normal, &m->training, "prototypes"));
    const builder b = {.store = m->learned,
                       .device = detector_device(self),
                       .seed = (uint64_t)options_int(self->options, "seed"),
                       .purpose = drawn ? "prn/" : NULL};
    scope s = scope_begin();
    m->network = prn_network_add(&b, &m->shape);
    TRY(scope_end(&s));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM,
                                    .weight_decay = options_real(self->options, "weight_decay")};
    training_optimizer(&m->training, "adam", "network", NULL, &adam,
                       options_real(self->options, "learning_rate"));
    return IMIAD_OK;
}

static void add_prototypes(prn *m, int i, tensor *maps)
{
    char name[24];
    snprintf(name, sizeof name, "layer%d", i + 1);
    m->prototypes[i] = params_add(m->normal, name, maps, false);
}

/* ---- prototypes ---- */

/* Maps of one level, a row for each normal image. */
typedef struct map_rows {
    int level;
    int64_t count, dimension;
    float *values;
} map_rows;

static void copy_maps(imiad_detector *self, const train_step *step, void *context)
{
    map_rows *rows = context;
    (void)self;
    for (int64_t k = 0; k < step->count; ++k) {
        if (step->told[k].label == 1)
            continue;
        tensor *map = t_contiguous(t_slice(step->frozen[rows->level], 0, k, k + 1));
        t_read(map, rows->values + rows->count++ * rows->dimension,
               (size_t)rows->dimension * sizeof(float));
    }
}

static imiad_status cluster(imiad_detector *self, const map_rows *rows, const progress *p)
{
    prn *m = self->state;
    int i = rows->level;
    int64_t clusters = (int64_t)(options_real(self->options, "prototypes") * (double)rows->count);
    clusters = clusters > 1 ? clusters : 1;
    size_t bytes = (size_t)(clusters * rows->dimension) * sizeof(float);
    float *centres = malloc(bytes);
    if (!centres)
        return fail_memory("prototypes", bytes);
    char purpose[32];
    snprintf(purpose, sizeof purpose, "prn/prototypes/%d", i);
    imiad_status status = k_means(centres, clusters, rows->values, rows->count, rows->dimension,
                                  (uint64_t)options_int(self->options, "seed"), purpose, p);
    if (status == IMIAD_OK) {
        const int64_t shape[] = {clusters, m->shape.channels[i], m->shape.heights[i],
                                 m->shape.widths[i]};
        scope s = scope_begin();
        add_prototypes(m, i,
                       t_to_device(t_from(centres, 4, shape, F32, CPU), detector_device(self)));
        status = scope_end(&s);
    }
    free(centres);
    return status;
}

/* One level after the other: a level's maps of all images are large. */
static imiad_status find_prototypes(imiad_detector *self, training_run *run, const progress *p)
{
    const prn *m = self->state;
    for (int i = 0; i < LEVELS; ++i) {
        map_rows rows = {.level = i,
                         .dimension =
                             m->shape.channels[i] * m->shape.heights[i] * m->shape.widths[i]};
        size_t bytes = m->images.normal_count * (size_t)rows.dimension * sizeof *rows.values;
        rows.values = malloc(bytes);
        if (!rows.values)
            return fail_memory("maps of the training images", bytes);
        imiad_status status = training_visit(run, copy_maps, &rows);
        if (status == IMIAD_OK)
            status = cluster(self, &rows, p);
        free(rows.values);
        TRY(status);
    }
    return IMIAD_OK;
}

/* ---- training ---- */

static imiad_status prepare(imiad_detector *self, const train_set *images)
{
    prn *m = self->state;
    uint64_t room = (uint64_t)options_int(self->options, "image_cache") * 1000000;
    TRY(mixed_images_list(&m->images, images));
    if (m->images.normal_count == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "detector prn: no training image is normal");
    TRY(texture_source_open(&m->textures, options_text(self->options, "textures"), room));
    if (m->images.defective_count > 0)
        snprintf(m->learned_from, sizeof m->learned_from,
                 "labelled anomalies (%zu), as they are and pasted; drawn damage; textures: %s",
                 m->images.defective_count, texture_source_name(m->textures));
    else
        snprintf(m->learned_from, sizeof m->learned_from,
                 "no labelled anomalies: drawn damage alone; textures: %s",
                 texture_source_name(m->textures));
    log_message(IMIAD_LOG_INFO, "prn: learns from %s", m->learned_from);
    return IMIAD_OK;
}

static imiad_status learn(imiad_detector *self, train_set *images, const progress *p)
{
    training_run *run;
    TRY(prepare(self, images));
    TRY(training_open(&run, self, images, p));
    imiad_status status = find_prototypes(self, run, p);
    if (status == IMIAD_OK)
        status = training_steps(run);
    training_close(run);
    return status;
}

static imiad_status fit(imiad_detector *self, train_set *images, const progress *p)
{
    TRY(begin(self, true));
    imiad_status status = learn(self, images, p);
    leave_training(self->state);
    return status;
}

/* ---- score ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const prn *m = self->state;
    tensor *features[MAPS];
    read_features(self, b, features);
    tensor *map =
        t_sigmoid(t_squeeze(prn_network_run(&m->network, features, m->prototypes, false), 1));
    int64_t most = options_int(self->options, "top_pixels"),
            all = (int64_t)m->shape.side * m->shape.side;
    tensor *largest = t_topk(t_flatten(map, 1, 2), most < all ? most : all, 1, true, NULL);
    out->maps = map;
    out->image = t_mean(largest, 1, false);
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const prn *m = self->state;
    TRY(weights_writer_metadata(writer, "learned_from", m->learned_from));
    return training_save(self, writer);
}

static imiad_status make_room(const imiad_detector *self, const weights *file, int i)
{
    prn *m = self->state;
    char name[32];
    snprintf(name, sizeof name, "prototypes.layer%d", i + 1);
    const weight *w;
    const int64_t shape[] = {ANY_SIZE, m->shape.channels[i], m->shape.heights[i],
                             m->shape.widths[i]};
    TRY(weights_expect(&w, file, name, F32, 4, shape));
    scope s = scope_begin();
    add_prototypes(m, i, t_zeros(4, w->shape, F32, detector_device(self)));
    return scope_end(&s);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    prn *m = self->state;
    const char *from = weights_metadata(file, "learned_from");
    snprintf(m->learned_from, sizeof m->learned_from, "%s", from ? from : "");
    TRY(begin(self, false));
    for (int i = 0; i < LEVELS; ++i)
        TRY(make_room(self, file, i));
    return training_load(self, file);
}

const detector_ops prn_ops = {
    .name = "prn",
    .title = "PRN (Zhang et al., CVPR 2023)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(prn),
    .needs_backbone = true,
    .takes = TAKES_ANOMALIES | TAKES_MASKS,
    .create = create,
    .fit = fit,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
