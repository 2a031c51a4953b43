/* DRAEM: one network repairs what was damaged, another one compares the repaired image with what it
 * got and finds the damage. Both learn from damage that is drawn. Zavrtanik, Kristan, Skocaj:
 * "DRAEM - A Discriminatively Trained Reconstruction Embedding for Surface Anomaly Detection",
 * ICCV 2021. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/focal.h"
#include "detectors/parts/ssim_loss.h"
#include "detectors/training/training.h"
#include "image/preprocess.h"
#include "nn/modules.h"
#include "nn/schedule.h"
#include "synthesis/blend.h"
#include "synthesis/damage.h"

enum { MULTIPLE = 32 /* of an input's sides: the deepest grid's stride */ };

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the authors' code, the IM-IAD code"},
    {"textures", OPT_TEXT, "", "",
     "folder of texture images, such as the Describable Textures Dataset's; empty: the library "
     "draws its own"},
    {"import", OPT_TEXT, "", "",
     "checkpoint of the authors' reconstructive network to begin with; the other network's is the "
     "file of that name with _seg before its ending"},
    {"reconstruction_width", OPT_INT, "128", "1..1024",
     "channels of the repairing network's first layers"},
    {"discrimination_width", OPT_INT, "64", "1..1024",
     "channels of the comparing network's first layers"},
    {"target", OPT_CHOICE, "clean", "clean|damaged",
     "what repair is held against: the image, or what was made of it"},
    {"operations", OPT_CHOICE, "drawn", "drawn|fixed",
     "the three operations on a texture: drawn for each, or once for all"},
    {"sampling", OPT_CHOICE, "once", "once|replaced",
     "an epoch's images: each once, or as many drawn with replacement"},
    {"scaling", OPT_CHOICE, "unit", "unit|open_iad",
     "pixel values: 0 to 1, or normalised and, while training, divided by 255 once more"},
    {"image_score", OPT_CHOICE, "pooled", "pooled|max",
     "largest mean of 21 x 21 pixels of the map, or largest pixel"},
    {"weight_decay", OPT_REAL, "0", "0..", "weight decay of Adam"},
    {"epochs", OPT_INT, "700", "0..1000000",
     "passes over the training images; 0 takes the imported weights as they are"},
    {"learning_rate", .default_value = "0.0001"},
    {"train_batch", .default_value = "8"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "sampling", "replaced"},
    {"open_iad", "target", "damaged"},
    {"open_iad", "operations", "fixed"},
    {"open_iad", "scaling", "open_iad"},
    {"open_iad", "epochs", "50"},
    {"open_iad", "train_batch", "16"},
    {"open_iad", "weight_decay", "0.00003"},
    {0},
};

/* ---- the networks: section 3 ---- */

enum { REPAIR_LEVELS = 5, JUDGE_LEVELS = 6 };

typedef struct block {
    conv_block first, second;
} block;

/* Down four times and up again, nothing handed across. */
typedef struct repairer {
    block down[REPAIR_LEVELS], up[REPAIR_LEVELS - 1];
    conv_block widened[REPAIR_LEVELS - 1]; /* after each enlargement */
    conv2d out;
} repairer;

/* A U-Net. */
typedef struct judge {
    block down[JUDGE_LEVELS], up[JUDGE_LEVELS - 1];
    conv_block widened[JUDGE_LEVELS - 1];
    conv2d out;
} judge;

typedef struct networks {
    params *repairing, *judging; /* the parameters of each */
    repairer repairer;
    judge judge;
} networks;

typedef struct draem {
    training training; /* stores reconstruction and discrimination, names as in the checkpoints */
    networks learned, folded; /* the same; batch norms folded, for scoring */
    texture_source *textures; /* while training */
    char textures_name[512];  /* of the last training, for the file */
    draem_options damage;
    augmenter_kind operations[TEXTURE_OPERATIONS]; /* where they are fixed */
    bool to_clean, by_unit, pooled;
} draem;

/* N(1, 0.02) for the scale of a batch norm that was drawn. */
static void draw_scale(const builder *b, const batch_norm *n, const char *name)
{
    char purpose[256];
    if (!b->purpose)
        return;
    snprintf(purpose, sizeof purpose, "%s%s.%s.weight", b->purpose, b->path, name);
    tensor *drawn = t_normal(1, (int64_t[]){t_size(n->weight, 0)}, 1, 0.02, b->seed, purpose, CPU);
    t_copy_(n->weight, drawn);
}

static conv_block add_conv(const builder *b, const char *conv, const char *norm, int64_t inputs,
                           int64_t outputs)
{
    conv2d_spec spec = {
        .inputs = inputs, .outputs = outputs, .kernel = 3, .padding = 1, .bias = true};
    conv_block c = conv_block_add(b, conv, norm, spec, RELU);
    draw_scale(b, &c.norm, norm);
    return c;
}

static block add_block(const builder *parent, const char *name, int64_t inputs, int64_t middle,
                       int64_t outputs)
{
    builder b = builder_below(parent, "%s", name);
    block made;
    made.first = add_conv(&b, "0", "1", inputs, middle);
    made.second = add_conv(&b, "3", "4", middle, outputs);
    return made;
}

static conv_block add_widened(const builder *parent, const char *name, int64_t inputs,
                              int64_t outputs)
{
    builder b = builder_below(parent, "%s", name);
    return add_conv(&b, "1", "2", inputs, outputs);
}

static conv2d add_out(const builder *parent, int64_t inputs, int64_t outputs)
{
    builder b = builder_below(parent, "fin_out");
    return conv2d_add(
        &b, "0",
        (conv2d_spec){
            .inputs = inputs, .outputs = outputs, .kernel = 3, .padding = 1, .bias = true});
}

static repairer add_repairer(const builder *root, int64_t w)
{
    static const int down[] = {1, 2, 4, 8, 8}, up[] = {4, 2, 1, 1};
    static const char *const downs[] = {"block1", "block2", "block3", "block4", "block5"};
    static const char *const ups[] = {"db1", "db2", "db3", "db4"};
    static const char *const widened[] = {"up1", "up2", "up3", "up4"};
    builder encoder = builder_below(root, "encoder"), decoder = builder_below(root, "decoder");
    repairer r;
    int64_t channels = 3;
    for (int i = 0; i < REPAIR_LEVELS; channels = down[i] * w, ++i)
        r.down[i] = add_block(&encoder, downs[i], channels, down[i] * w, down[i] * w);
    for (int i = 0; i < REPAIR_LEVELS - 1; channels = up[i] * w, ++i) {
        r.widened[i] = add_widened(&decoder, widened[i], channels, channels);
        r.up[i] = add_block(&decoder, ups[i], channels, channels, up[i] * w);
    }
    r.out = add_out(&decoder, channels, 3);
    return r;
}

static judge add_judge(const builder *root, int64_t w)
{
    static const int down[] = {1, 2, 4, 8, 8, 8}, up[] = {8, 4, 2, 1, 1};
    static const char *const downs[] = {"block1", "block2", "block3", "block4", "block5", "block6"};
    static const char *const ups[] = {"db_b", "db1", "db2", "db3", "db4"};
    static const char *const widened[] = {"up_b", "up1", "up2", "up3", "up4"};
    builder encoder = builder_below(root, "encoder_segment");
    builder decoder = builder_below(root, "decoder_segment");
    judge j;
    int64_t channels = 6;
    for (int i = 0; i < JUDGE_LEVELS; channels = down[i] * w, ++i)
        j.down[i] = add_block(&encoder, downs[i], channels, down[i] * w, down[i] * w);
    for (int i = 0; i < JUDGE_LEVELS - 1; channels = up[i] * w, ++i) {
        int64_t across = down[JUDGE_LEVELS - 2 - i] * w;
        j.widened[i] = add_widened(&decoder, widened[i], channels, up[i] * w);
        j.up[i] = add_block(&decoder, ups[i], up[i] * w + across, up[i] * w, up[i] * w);
    }
    j.out = add_out(&decoder, channels, 2);
    return j;
}

/* Parts of the networks run in scopes of their own: what they compute on the way dies with them,
 * but for what gradients need. At the default widths a map of the first layers takes 34 MB. */
static scope begin_part(bool learns)
{
    return learns ? scope_begin_grad() : scope_begin();
}

static tensor *run_block(const block *b, tensor *x, bool learns)
{
    scope s = begin_part(learns);
    x = conv_block_run(&b->second, conv_block_run(&b->first, x, learns), learns);
    return scope_return(&s, x);
}

static tensor *halve(tensor *x)
{
    return t_max_pool2d(x, 2, 2, 0, false);
}

/* Enlarged and convolved. */
static tensor *widen(const conv_block *c, tensor *x, bool learns)
{
    scope s = begin_part(learns);
    x = t_interpolate(x, 2 * t_size(x, 2), 2 * t_size(x, 3), BILINEAR, true);
    return scope_return(&s, conv_block_run(c, x, learns));
}

static tensor *encode(const repairer *r, tensor *x, bool learns)
{
    scope s = begin_part(learns);
    for (int i = 0; i < REPAIR_LEVELS; ++i)
        x = run_block(&r->down[i], i > 0 ? halve(x) : x, learns);
    return scope_return(&s, x);
}

static tensor *repair(const repairer *r, tensor *x, bool learns)
{
    scope s = begin_part(learns);
    x = encode(r, x, learns);
    for (int i = 0; i < REPAIR_LEVELS - 1; ++i)
        x = run_block(&r->up[i], widen(&r->widened[i], x, learns), learns);
    return scope_return(&s, conv2d_run(&r->out, x));
}

/* Joins what came up and what is handed across. */
static tensor *join(const block *b, tensor *x, tensor *across, bool learns)
{
    scope s = begin_part(learns);
    return scope_return(&s, run_block(b, t_cat((tensor *[]){x, across}, 2, 1), learns));
}

/* Logits: normal, damaged. */
static tensor *compare(const judge *j, tensor *repaired, tensor *given, bool learns)
{
    scope s = begin_part(learns);
    tensor *levels[JUDGE_LEVELS], *x = t_cat((tensor *[]){repaired, given}, 2, 1);
    for (int i = 0; i < JUDGE_LEVELS; ++i)
        levels[i] = x = run_block(&j->down[i], i > 0 ? halve(x) : x, learns);
    for (int i = 0; i < JUDGE_LEVELS - 1; ++i)
        x = join(&j->up[i], widen(&j->widened[i], x, learns), levels[JUDGE_LEVELS - 2 - i], learns);
    return scope_return(&s, conv2d_run(&j->out, x));
}

/* ---- damage: section 3.3, on the loader's threads ---- */

static const made_spec specs[] = {
    {.kind = MADE_PLANES, .channels = 3}, /* the image, perhaps rotated */
    {.kind = MADE_PLANES, .channels = 3}, /* the same damaged */
    {.kind = MADE_MASK},
};

static void scale_planes(float *out, const imiad_image *image, const imiad_detector *self)
{
    const draem *m = self->state;
    preprocess_normalize(out, image, &self->preprocessing);
    for (int64_t i = 0; !m->by_unit && i < 3 * (int64_t)image->width * image->height; ++i)
        out[i] /= 255.f;
}

static imiad_status make_damaged(const made_from *from, made_output *out)
{
    const draem *m = from->detector->state;
    draem_damage d;
    random_stream s = made_stream(from, "damage");
    TRY(draem_draw(&d, from->image, m->textures, &m->damage, &s));
    scale_planes(out[0].values, d.clean, from->detector);
    blend_texture_planes(out[1].values, out[0].values, d.texture, d.mask, d.opacity);
    memcpy(out[2].bytes, d.mask->pixels, (size_t)d.mask->width * (size_t)d.mask->height);
    draem_damage_free(&d);
    return IMIAD_OK;
}

static const train_maker maker = {specs, 3, make_damaged};

/* ---- losses: section 3.2 ---- */

/* Exponent 2, no weights of the classes. */
static tensor *focal_loss(tensor *logits, tensor *mask)
{
    tensor *right = probability_of_truth(t_softmax(logits, 1), mask);
    tensor *wrong = t_add_scalar(t_neg(right), 1);
    return t_neg(t_mean_all(t_mul(t_square(wrong), t_log(right))));
}

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const draem *m = self->state;
    tensor *clean = step->made[0], *damaged = step->made[1], *mask = step->made[2];
    tensor *target = m->to_clean ? clean : damaged;
    tensor *repaired = repair(&m->learned.repairer, damaged, true);
    tensor *logits = compare(&m->learned.judge, repaired, damaged, true);
    tensor *unlike = t_add(t_mse_loss(repaired, target), ssim_loss(repaired, target));
    return t_add(unlike, focal_loss(logits, mask));
}

/* A fifth from four fifths of the epochs on, and again from nine tenths. */
static double schedule_rate(const imiad_detector *self, double rate, const train_step *step,
                            int64_t steps)
{
    const int64_t milestones[] = {llround(0.8 * (double)step->epochs),
                                  llround(0.9 * (double)step->epochs)};
    (void)steps;
    return schedule_multistep(rate, step->epoch, milestones, 2, 0.2);
}

static imiad_status draw_replaced(imiad_detector *self, const train_plan *plan,
                                  random_stream *stream, size_t *out)
{
    (void)self;
    return training_draw_replaced(plan, stream, out);
}

static const training_ops learning = {.loss = loss, .rate = schedule_rate};
static const training_ops learning_by_draws = {
    .loss = loss, .rate = schedule_rate, .draw = draw_replaced};

/* ---- making ---- */

static bool option_is(const imiad_detector *self, const char *name, const char *value)
{
    return strcmp(options_text(self->options, name), value) == 0;
}

static imiad_status check_size(int64_t height, int64_t width)
{
    if (height % MULTIPLE == 0 && width % MULTIPLE == 0)
        return IMIAD_OK;
    return fail(IMIAD_MISMATCH,
                "detector draem: an input of %lld x %lld pixels: both must be multiples of %d; set "
                "crop, or resize with resize_mode=squash",
                (long long)width, (long long)height, MULTIPLE);
}

static imiad_status create(imiad_detector *self)
{
    draem *m = self->state;
    preprocessing *p = &self->preprocessing;
    training_begin(self, option_is(self, "sampling", "once") ? &learning : &learning_by_draws);
    m->training.maker = &maker;
    m->to_clean = option_is(self, "target", "clean");
    m->by_unit = option_is(self, "scaling", "unit");
    m->pooled = option_is(self, "image_score", "pooled");
    m->damage = draem_defaults;
    if (option_is(self, "operations", "fixed")) {
        uint64_t seed = (uint64_t)options_int(self->options, "seed");
        random_stream s = random_open(seed, "draem/operations");
        augmenters_choose(m->operations, TEXTURE_OPERATIONS, &s);
        m->damage.operations = m->operations;
    }
    for (int c = 0; m->by_unit && c < 3; ++c) {
        p->mean[c] = 0;
        p->std[c] = 1;
    }
    if (options_int(self->options, "epochs") == 0 && !options_text(self->options, "import")[0])
        return fail(IMIAD_OUT_OF_RANGE, "detector draem: epochs=0 needs a checkpoint to import");
    int32_t side = p->crop ? p->crop : p->squash ? p->resize : MULTIPLE;
    return check_size(side, side);
}

static void forget_folded(draem *m)
{
    params_free(m->folded.repairing);
    params_free(m->folded.judging);
    m->folded = (networks){.repairing = NULL};
}

static void destroy(imiad_detector *self)
{
    draem *m = self->state;
    forget_folded(m);
    texture_source_close(m->textures);
    training_clear(&m->training);
}

/* Both networks into stores that are there. `drawn`: with first parameters. */
static imiad_status add_networks(networks *n, const imiad_detector *self, bool drawn)
{
    builder b = {.device = detector_device(self),
                 .seed = (uint64_t)options_int(self->options, "seed"),
                 .weights = INIT_NORMAL,
                 .biases = INIT_DEFAULT};
    scope s = scope_begin();
    b.store = n->repairing;
    b.purpose = drawn ? "draem/reconstruction/" : NULL;
    n->repairer = add_repairer(&b, options_int(self->options, "reconstruction_width"));
    b.store = n->judging;
    b.purpose = drawn ? "draem/discrimination/" : NULL;
    n->judge = add_judge(&b, options_int(self->options, "discrimination_width"));
    return scope_end(&s);
}

/* New networks with nothing learned. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    draem *m = self->state;
    networks *n = &m->learned;
    forget_folded(m);
    training_clear(&m->training);
    TRY(training_store(&n->repairing, &m->training, "reconstruction"));
    TRY(training_store(&n->judging, &m->training, "discrimination"));
    TRY(add_networks(n, self, drawn));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM,
                                    .weight_decay = options_real(self->options, "weight_decay")};
    double rate = options_real(self->options, "learning_rate");
    training_optimizer(&m->training, "reconstruction", "reconstruction", NULL, &adam, rate);
    training_optimizer(&m->training, "discrimination", "discrimination", NULL, &adam, rate);
    return IMIAD_OK;
}

static void fold_block(block *b, params *store)
{
    conv_block_fold(&b->first, store);
    conv_block_fold(&b->second, store);
}

/* What was learned once more, with the batch norms in the convolutions before them. */
static imiad_status fold(imiad_detector *self)
{
    draem *m = self->state;
    networks *n = &m->folded;
    forget_folded(m);
    TRY(params_create(&n->repairing));
    TRY(params_create(&n->judging));
    TRY(add_networks(n, self, false));
    TRY(params_copy(n->repairing, m->learned.repairing));
    TRY(params_copy(n->judging, m->learned.judging));
    scope s = scope_begin();
    for (int i = 0; i < REPAIR_LEVELS; ++i)
        fold_block(&n->repairer.down[i], n->repairing);
    for (int i = 0; i < REPAIR_LEVELS - 1; ++i) {
        conv_block_fold(&n->repairer.widened[i], n->repairing);
        fold_block(&n->repairer.up[i], n->repairing);
    }
    for (int i = 0; i < JUDGE_LEVELS; ++i)
        fold_block(&n->judge.down[i], n->judging);
    for (int i = 0; i < JUDGE_LEVELS - 1; ++i) {
        conv_block_fold(&n->judge.widened[i], n->judging);
        fold_block(&n->judge.up[i], n->judging);
    }
    return scope_end(&s);
}

/* ---- the authors' checkpoints, whose channels are blue, green, red ---- */

/* Turns the channels of each image around that lie along a dimension of three or six. */
static void turn_channels(tensor *values, int dim)
{
    tensor *parts[2];
    int images = (int)(t_size(values, dim) / 3);
    for (int i = 0; i < images; ++i)
        parts[i] = t_flip(t_slice(values, dim, 3 * i, 3 * i + 3), dim);
    t_copy_(values, t_cat(parts, images, dim));
}

static imiad_status import_one(params *into, const char *path)
{
    weights *file;
    TRY(weights_open(&file, path));
    imiad_status status = params_load(into, file, "", PARAMS_EXACT);
    weights_free(file);
    return status == IMIAD_OK ? status : fail_within(status, "detector draem: import %s", path);
}

static imiad_status import_networks(networks *n, const char *path)
{
    char other[4096];
    const char *name = strrchr(path, '/'), *ending = strrchr(name ? name : path, '.');
    size_t stem = ending ? (size_t)(ending - path) : strlen(path);
    if (stem + 8 + strlen(path + stem) > sizeof other)
        return fail(IMIAD_INVALID_ARGUMENT, "detector draem: import %s: the name is too long",
                    path);
    snprintf(other, sizeof other, "%.*s_seg%s", (int)stem, path, path + stem);
    TRY(import_one(n->repairing, path));
    TRY(import_one(n->judging, other));
    scope s = scope_begin();
    turn_channels(n->repairer.down[0].first.conv.weight, 1);
    turn_channels(n->repairer.out.weight, 0);
    turn_channels(n->repairer.out.bias, 0);
    turn_channels(n->judge.down[0].first.conv.weight, 1);
    return scope_end(&s);
}

/* ---- training ---- */

static imiad_status train(imiad_detector *self, train_set *normals, const progress *p,
                          imiad_status (*run)(imiad_detector *, train_set *, const progress *))
{
    draem *m = self->state;
    uint64_t room = (uint64_t)options_int(self->options, "image_cache") * 1000000;
    TRY(texture_source_open(&m->textures, options_text(self->options, "textures"), room));
    snprintf(m->textures_name, sizeof m->textures_name, "%s", texture_source_name(m->textures));
    log_message(IMIAD_LOG_INFO, "draem: textures: %s", m->textures_name);
    imiad_status status = run(self, normals, p);
    texture_source_close(m->textures);
    m->textures = NULL;
    TRY(status);
    return fold(self);
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    draem *m = self->state;
    const char *import = options_text(self->options, "import");
    m->textures_name[0] = '\0';
    TRY(begin(self, !import[0]));
    if (import[0])
        TRY(import_networks(&m->learned, import));
    if (options_int(self->options, "epochs") == 0)
        return fold(self);
    return train(self, normals, p, training_fit);
}

static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    if (options_int(self->options, "epochs") == 0)
        return IMIAD_OK;
    return train(self, normals, p, training_fit_more);
}

/* ---- score ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const draem *m = self->state;
    if (!t_try(check_size(b->height, b->width)))
        return;
    tensor *repaired = repair(&m->folded.repairer, b->images, false);
    tensor *logits = compare(&m->folded.judge, repaired, b->images, false);
    /* softmax over two classes is the sigmoid of their difference */
    tensor *map = t_sigmoid(t_sub(t_slice(logits, 1, 1, 2), t_slice(logits, 1, 0, 1)));
    tensor *means = m->pooled ? t_avg_pool2d(map, 21, 1, 10, true) : map;
    out->maps = t_squeeze(map, 1);
    out->image = t_amax(t_flatten(means, 1, 3), 1, false);
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const draem *m = self->state;
    TRY(weights_writer_metadata(writer, "textures", m->textures_name));
    return training_save(self, writer);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    draem *m = self->state;
    const char *name = weights_metadata(file, "textures");
    snprintf(m->textures_name, sizeof m->textures_name, "%s", name ? name : "");
    TRY(begin(self, false));
    TRY(training_load(self, file));
    return fold(self);
}

const detector_ops draem_ops = {
    .name = "draem",
    .title = "DRAEM (Zavrtanik et al., ICCV 2021)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(draem),
    .needs_backbone = false,
    .own_device = true,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
};
