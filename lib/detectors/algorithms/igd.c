/* IGD: a decoder gives images back from a code that a frozen network's features are projected to;
 * the codes of normal images are drawn into a Gaussian, and a critic, which learns to tell how far
 * a code was interpolated between two images, teaches the decoder what lies between them. An image
 * is as anomalous as it is badly given back and its code far from the centre. Chen, Tian, Pang,
 * Carneiro: "Deep One-Class Classification via Interpolated Gaussian Descriptor", AAAI 2022. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "detectors/parts/ms_ssim.h"
#include "detectors/parts/resampling_block.h"
#include "detectors/training/training.h"
#include "nn/modules.h"

enum { HALVINGS = 64 /* pixels of a side to one of the first grid */, BLOCKS = 4 };

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the authors' code, the IM-IAD code"},
    {"layer", OPT_TEXT, "layer4", "", "backbone layer whose mean over all positions is the input"},
    {"latent", OPT_INT, "128", "1..4096", "numbers of the code"},
    {"width", OPT_INT, "64", "1..1024",
     "channels of the decoder's last block and the critic's first"},
    {"refresh", OPT_CHOICE, "epochs", "epochs|steps",
     "centre and spread are found anew: at the start and every refresh_epochs, or before each "
     "step"},
    {"refresh_epochs", OPT_INT, "10", "1..1000000", "epochs between two refreshes"},
    {"critic_loss", OPT_CHOICE, "pairs", "pairs|images",
     "each judgement of the critic is held against all shares of the batch, as the public codes "
     "do, "
     "or against its own image's"},
    {"flip", OPT_BOOL, "false", "", "mirror half of the training images at random"},
    {"schedule", OPT_CHOICE, "steps", "steps|epochs",
     "both rates fall with every step, or as the IM-IAD code counts, in stairs of epochs"},
    {"beta1", OPT_REAL, "0", "0..0.999999", "beta1 of both Adams"},
    {"beta2", OPT_REAL, "0.9", "0<..0.999999", "beta2 of both Adams"},
    {"weight_decay", OPT_REAL, "0.000001", "0..", "weight decay of the decoder's Adam"},
    {"critic_decay", OPT_REAL, "0", "0..", "weight decay of the critic's Adam"},
    {"map", OPT_CHOICE, "none", "none|ssim",
     "map of an image: none, or how unlike it is where it is given back"},
    {"initial", OPT_TEXT, "", "",
     "weight file of the first decoder and critic: a saved detector, or a state dict of the public "
     "generator; empty: random"},
    {"epochs", OPT_INT, "256", "1..1000000", "passes over the training images"},
    {"learning_rate", .default_value = "0.0001"},
    {"train_batch", .default_value = "16"},
    {"resize", .default_value = "256"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "flip", "true"},
    {"official", "resize_mode", "shorter"},
    {"official", "crop", "256"},
    {"open_iad", "refresh", "steps"},
    {"open_iad", "schedule", "epochs"},
    {"open_iad", "beta1", "0.9"},
    {"open_iad", "beta2", "0.999"},
    {"open_iad", "critic_decay", "0.000001"},
    {0},
};

/* ImageNet's normalised pixels lie within this range, from black to white. */
static const double range = 4.7579;

/* ---- the decoder and the critic: residual blocks that double sides or halve them ---- */

static const char *const block_names[BLOCKS] = {"rb1", "rb2", "rb3", "rb4"};

typedef struct generator {
    linear project, open; /* features to code, code to the first grid */
    conv2d first, last;
    up_block blocks[BLOCKS];
    batch_norm norm;
} generator;

typedef struct critic {
    conv2d first, last;
    down_block blocks[BLOCKS];
    linear judge;
} critic;

typedef struct igd {
    training training; /* the stores generator and critic, with the public code's names */
    const char *layer;
    int64_t features; /* channels of the layer */
    int side;
    generator generator;
    critic critic;
    tensor *centre, *spread; /* buffers of the generator's store: 1 x latent, 1 */
    tensor *all_features; /* of the train set, images x (1 or 2) x features; kept while training */
    tensor *mixed;        /* interpolated codes from the first turn to the second; kept */
} igd;

static generator add_generator(const builder *b, const igd *m, int64_t latent, int64_t width)
{
    static const int falling[BLOCKS + 1] = {8, 8, 4, 2, 1};
    int64_t grid = m->side / HALVINGS;
    generator g = {.project = linear_add(b, "ln11", m->features, latent, true),
                   .open = linear_add(b, "ln1", latent, grid * grid * 8 * width, true),
                   .first = sided_conv(b, "up1.conv.conv", 8 * width, 8 * width, 3, 1, true)};
    for (int i = 0; i < BLOCKS; ++i)
        g.blocks[i] = up_block_add(b, block_names[i], falling[i] * width, falling[i + 1] * width);
    g.norm = batch_norm_add(b, "bn", width);
    g.last = sided_conv(b, "up2.conv.conv", width, 3, 5, 1, true);
    return g;
}

static critic add_critic(const builder *b, const igd *m, int64_t width)
{
    static const int rising[BLOCKS + 1] = {1, 2, 4, 8, 8};
    int64_t grid = m->side / HALVINGS;
    critic c = {.first = sided_conv(b, "conv1.conv", 3, width, 5, 2, true)};
    for (int i = 0; i < BLOCKS; ++i)
        c.blocks[i] = down_block_add(b, block_names[i], rising[i] * width, rising[i + 1] * width,
                                     m->side >> (i + 1));
    c.last = sided_conv(b, "conv2.conv", 8 * width, 8 * width, 3, 2, true);
    c.judge = linear_add(b, "ln1", grid * grid * 8 * width, 1, true);
    return c;
}

/* ---- running them ---- */

/* Codes to images. */
static tensor *generate(const igd *m, tensor *codes)
{
    const generator *g = &m->generator;
    const int64_t grid = m->side / HALVINGS;
    tensor *x = linear_run(&g->open, codes);
    x = t_channels_last(t_view(x, 4, (int64_t[]){t_size(codes, 0), -1, grid, grid}));
    x = conv2d_run(&g->first, double_sides(x));
    for (int i = 0; i < BLOCKS; ++i)
        x = up_block_run(&g->blocks[i], x);
    x = activate_(batch_norm_run(&g->norm, x, false), RELU);
    return conv2d_run(&g->last, double_sides(x));
}

/* Images to one number each. */
static tensor *judge(const igd *m, tensor *images)
{
    const critic *c = &m->critic;
    tensor *x = conv2d_run(&c->first, t_channels_last(images));
    for (int i = 0; i < BLOCKS; ++i)
        x = down_block_run(&c->blocks[i], x);
    x = t_flatten(conv2d_run(&c->last, x), 1, 3);
    return t_squeeze(linear_run(&c->judge, x), 1);
}

/* ---- the frozen features, mirrored ones too where training mirrors ---- */

static imiad_status check_images(const igd *m, const batch *b)
{
    if (b->height == m->side && b->width == m->side)
        return IMIAD_OK;
    return fail(IMIAD_MISMATCH, "detector igd: an image of %lld x %lld pixels, not %d x %d",
                (long long)b->width, (long long)b->height, m->side, m->side);
}

static tensor *pool(imiad_detector *self, const batch *b)
{
    const igd *m = self->state;
    tensor *found = NULL;
    detector_features(self, b, &m->layer, 1, &found);
    return t_flatten(t_adaptive_avg_pool2d(found, 1, 1), 1, 3);
}

static void freeze(imiad_detector *self, const batch *b, tensor **out)
{
    const igd *m = self->state;
    if (!t_try(check_images(m, b)))
        return;
    out[0] = pool(self, b);
    if (options_bool(self->options, "flip")) {
        batch mirrored = *b;
        mirrored.images = t_flip(b->images, 3);
        out[1] = pool(self, &mirrored);
    }
}

/* Of `count` images, 1 where one is mirrored: count x 1; NULL where none ever is. */
static tensor *draw_mirrored(const imiad_detector *self, int64_t count, const char *purpose)
{
    if (!options_bool(self->options, "flip"))
        return NULL;
    uint64_t seed = (uint64_t)options_int(self->options, "seed");
    tensor *drawn = t_uniform(2, (int64_t[]){count, 1}, 0, 1, seed, purpose, detector_device(self));
    return t_lt_scalar(drawn, 0.5);
}

static tensor *choose(tensor *mirrored_or_null, tensor *plain, tensor *mirrored)
{
    return mirrored_or_null ? t_where(mirrored_or_null, mirrored, plain) : plain;
}

/* ---- centre and spread ---- */

static void keep_features(imiad_detector *self, const train_step *step, void *context)
{
    igd *m = self->state;
    tensor *rows = t_stack(step->frozen, m->training.frozen_count, 1);
    tensor *all = m->all_features ? t_cat((tensor *[]){m->all_features, rows}, 2, 0) : rows;
    t_free(m->all_features);
    m->all_features = t_keep(t_clone(all));
}

/* The codes of all training images in their order, mirrored as drawn for this refresh. */
static tensor *encode_all(const imiad_detector *self, const char *purpose)
{
    const igd *m = self->state;
    tensor *plain = t_squeeze(t_slice(m->all_features, 1, 0, 1), 1), *mirrored = NULL;
    tensor *drawn = draw_mirrored(self, t_size(plain, 0), purpose);
    if (drawn)
        mirrored = t_squeeze(t_slice(m->all_features, 1, 1, 2), 1);
    return linear_run(&m->generator.project, choose(drawn, plain, mirrored));
}

/* The mean code; what is closer to 0 than 0.1 becomes 0.1 of its sign, for a unit that is 0 is
 * matched by weights that are 0. */
static void find_centre(const imiad_detector *self, tensor *codes)
{
    const igd *m = self->state;
    tensor *mean = t_mean(codes, 0, true);
    tensor *low = t_minimum(mean, t_full(0, NULL, -0.1, F32, t_device(mean)));
    tensor *high = t_maximum(mean, t_full(0, NULL, 0.1, F32, t_device(mean)));
    tensor *clear = t_where(t_lt_scalar(mean, 0), low, high);
    t_copy_(m->centre, t_where(t_eq_scalar(mean, 0), mean, clear));
}

static tensor *squared_distance(const igd *m, tensor *codes)
{
    return t_sum(t_square(t_sub(codes, m->centre)), 1, false);
}

/* The mean over batches of their mean squared distance from the centre, each at least 1. */
static void find_spread(const imiad_detector *self, tensor *codes)
{
    const igd *m = self->state;
    int64_t count = t_size(codes, 0), each = options_int(self->options, "train_batch");
    int64_t batches = (count + each - 1) / each;
    tensor *distances = squared_distance(m, codes), *sum = NULL;
    for (int64_t i = 0; i < count; i += each) {
        int64_t end = i + each < count ? i + each : count;
        tensor *one = t_mean_all(t_slice(distances, 0, i, end));
        sum = t_plus(sum, t_clamp(one, 1, INFINITY));
    }
    t_copy_(m->spread, t_view(t_div_scalar(sum, (double)batches), 1, (int64_t[]){1}));
}

/* ---- training ---- */

/* What is missing of an image given back: n. */
static tensor *reconstruction_error(tensor *images, tensor *found, tensor *maps[MS_SSIM_SCALES])
{
    tensor *similarity = t_mean(ms_ssim(images, found, range, maps), 1, false);
    tensor *unlike = t_add_scalar(t_neg(similarity), 1);
    tensor *apart = t_mean(t_flatten(t_abs(t_sub(images, found)), 1, 3), 1, false);
    return t_add(t_mul_scalar(unlike, 0.85), t_mul_scalar(apart, 0.15 / range));
}

/* 1 - exp(-|z - c|^2 / sigma): n. */
static tensor *gaussian_error(const igd *m, tensor *codes)
{
    tensor *exponent = t_neg(t_div(squared_distance(m, codes), m->spread));
    return t_add_scalar(t_neg(t_exp(exponent)), 1);
}

/* The step's images and codes, both mirrored or not. */
typedef struct shown {
    tensor *images, *codes;
} shown;

static shown show(imiad_detector *self, const train_step *step)
{
    const igd *m = self->state;
    char purpose[96];
    training_purpose(purpose, self, "flip", step);
    tensor *drawn = draw_mirrored(self, step->count, purpose), *images = step->pixels.images;
    tensor *features = choose(drawn, step->frozen[0], drawn ? step->frozen[1] : NULL);
    if (drawn) {
        drawn = t_view(drawn, 4, (int64_t[]){step->count, 1, 1, 1});
        images = choose(drawn, images, t_flip(images, 3));
    }
    return (shown){images, linear_run(&m->generator.project, features)};
}

/* How much of itself each code keeps: n x 1, between 0 and a half. */
static tensor *draw_shares(const imiad_detector *self, const train_step *step)
{
    char purpose[96];
    training_purpose(purpose, self, "share", step);
    return t_uniform(2, (int64_t[]){step->count, 1}, 0, 0.5,
                     (uint64_t)options_int(self->options, "seed"), purpose, detector_device(self));
}

static void refresh_before_step(imiad_detector *self, const train_step *step)
{
    char purpose[96];
    if (strcmp(options_text(self->options, "refresh"), "steps") != 0)
        return;
    training_purpose(purpose, self, "refresh", step);
    scope s = scope_begin();
    tensor *codes = encode_all(self, purpose);
    find_centre(self, codes);
    find_spread(self, codes);
    scope_return(&s, NULL);
}

/* The decoder's turn: give back, stay near the centre, and pass interpolated codes off as none. */
static tensor *generator_loss(imiad_detector *self, const train_step *step)
{
    igd *m = self->state;
    refresh_before_step(self, step);
    shown x = show(self, step);
    tensor *lost = t_mean_all(reconstruction_error(x.images, generate(m, x.codes), NULL));
    tensor *shares = draw_shares(self, step);
    tensor *others = t_flip(x.codes, 0);
    tensor *mixed = t_add(others, t_mul(shares, t_sub(x.codes, others)));
    t_free(m->mixed);
    m->mixed = t_keep(t_clone(t_detach(mixed)));
    tensor *betrayed = t_mean_all(t_square(judge(m, generate(m, mixed))));
    lost = t_add(lost, t_mean_all(gaussian_error(m, x.codes)));
    return t_add(lost, t_mul_scalar(betrayed, 0.1));
}

/* The critic's turn: tell the shares of the same codes, as the decoder now shows them, and 0 of
 * what is given back with a fifth of the image in it. */
static tensor *critic_loss(imiad_detector *self, const train_step *step)
{
    const igd *m = self->state;
    scope s = scope_begin();
    shown x = show(self, step);
    tensor *mixed = generate(m, m->mixed), *plain = generate(m, x.codes);
    plain = t_add(plain, t_mul_scalar(t_sub(x.images, plain), 0.2));
    tensor *both = scope_return(&s, t_cat((tensor *[]){mixed, plain}, 2, 0));
    tensor *judged = judge(m, both), *shares = draw_shares(self, step);
    tensor *of_mixed = t_slice(judged, 0, 0, step->count);
    if (strcmp(options_text(self->options, "critic_loss"), "images") == 0)
        shares = t_squeeze(shares, 1); /* otherwise n x 1 against n: every pair */
    tensor *told = t_mean_all(t_square(t_sub(of_mixed, shares)));
    tensor *zero = t_mean_all(t_square(t_slice(judged, 0, step->count, 2 * step->count)));
    return t_add(told, zero);
}

static tensor *loss(imiad_detector *self, const train_step *step)
{
    return step->turn == 0 ? generator_loss(self, step) : critic_loss(self, step);
}

/* Every so many epochs, spread first, by the old centre, as the authors' code does. */
static void refresh_after_step(imiad_detector *self, const train_step *step)
{
    const igd *m = self->state;
    char purpose[96];
    int64_t epochs = options_int(self->options, "refresh_epochs");
    int64_t each = t_size(m->all_features, 0) * epochs / options_int(self->options, "train_batch");
    if (strcmp(options_text(self->options, "refresh"), "epochs") != 0 || step->index == 0 ||
        step->index % (each > 0 ? each : 1))
        return;
    training_purpose(purpose, self, "refresh", step);
    tensor *codes = encode_all(self, purpose);
    find_spread(self, codes);
    find_centre(self, codes);
}

/* The rate (1 - i / end)^0.9. The IM-IAD code counts batches where images are meant. */
static double cool_down(const imiad_detector *self, double rate, const train_step *step,
                        int64_t steps)
{
    double index = (double)step->index, end = (double)steps;
    if (strcmp(options_text(self->options, "schedule"), "epochs") == 0) {
        double share = (double)steps / (double)step->epochs;
        share /= (double)options_int(self->options, "train_batch");
        index = floor(share * (double)step->epoch);
        end = floor(share * (double)step->epochs);
        end = end < 1 ? 1 : end;
    }
    return index < end ? rate * pow(1 - index / end, 0.9) : 0;
}

static const training_ops learning = {.frozen = freeze,
                                      .pixels = true,
                                      .loss = loss,
                                      .rate = cool_down,
                                      .turns = 2,
                                      .after = refresh_after_step};

/* ---- making ---- */

static imiad_status check_side(igd *m, const imiad_detector *self)
{
    const preprocessing *p = &self->preprocessing;
    m->side = p->crop ? p->crop : p->resize;
    if (!p->crop && !p->squash)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector igd: its images must be square: set crop, or resize_mode=squash");
    if (m->side % HALVINGS)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector igd: images of %d x %d pixels: a side must be a multiple of %d",
                    m->side, m->side, HALVINGS);
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    igd *m = self->state;
    int64_t shape[3];
    TRY(check_side(m, self));
    m->layer = options_text(self->options, "layer");
    TRY(backbone_require(self->backbone, m->layer));
    TRY(backbone_layer_shape(shape, self->backbone, m->layer, m->side, m->side));
    m->features = shape[0];
    training_begin(self, &learning);
    m->training.frozen_count = options_bool(self->options, "flip") ? 2 : 1;
    return IMIAD_OK;
}

static void forget_images(igd *m)
{
    t_free(m->all_features);
    t_free(m->mixed);
    m->all_features = m->mixed = NULL;
}

static void destroy(imiad_detector *self)
{
    igd *m = self->state;
    forget_images(m);
    training_clear(&m->training);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const igd *m = self->state;
    *count = 1;
    return &m->layer;
}

/* Adam with a first moment that forgets at once; the optimiser takes 0 for its default. */
static optimizer_options adam(const imiad_detector *self, const char *decay)
{
    double beta1 = options_real(self->options, "beta1");
    return (optimizer_options){.kind = OPTIMIZER_ADAM,
                               .beta1 = beta1 > 0 ? beta1 : 1e-30,
                               .beta2 = options_real(self->options, "beta2"),
                               .weight_decay = options_real(self->options, decay)};
}

static imiad_status begin(imiad_detector *self, bool drawn)
{
    igd *m = self->state;
    params *decoding, *judging;
    int64_t latent = options_int(self->options, "latent"), one = 1;
    int64_t width = options_int(self->options, "width");
    training_clear(&m->training);
    TRY(training_store(&decoding, &m->training, "generator"));
    TRY(training_store(&judging, &m->training, "critic"));
    builder b = {.store = decoding,
                 .device = detector_device(self),
                 .seed = (uint64_t)options_int(self->options, "seed"),
                 .purpose = drawn ? "igd/generator/" : NULL};
    scope s = scope_begin();
    m->generator = add_generator(&b, m, latent, width);
    m->centre = buffer_add(&b, "c", 2, (int64_t[]){1, latent}, 0);
    m->spread = buffer_add(&b, "sigma", 1, &one, 1);
    b.store = judging;
    b.purpose = drawn ? "igd/critic/" : NULL;
    m->critic = add_critic(&b, m, width);
    TRY(scope_end(&s));
    const optimizer_options decoders = adam(self, "weight_decay"),
                            critics = adam(self, "critic_decay");
    double rate = options_real(self->options, "learning_rate");
    training_optimizer(&m->training, "generator", "generator", NULL, &decoders, rate);
    training_optimizer(&m->training, "critic", "critic", NULL, &critics, rate)->turn = 1;
    return IMIAD_OK;
}

static imiad_status find_first_centre(imiad_detector *self, training_run *run)
{
    igd *m = self->state;
    forget_images(m);
    TRY(training_visit(run, keep_features, NULL));
    scope s = scope_begin();
    tensor *codes = encode_all(self, "igd/refresh");
    find_centre(self, codes);
    find_spread(self, codes);
    return scope_end(&s);
}

static imiad_status take_initial(igd *m, const char *path)
{
    weights *file;
    TRY(weights_open(&file, path));
    bool own = weights_find(file, "generator.ln11.weight") != NULL;
    int allowed = PARAMS_EXTRA_ALLOWED | PARAMS_MISSING_ALLOWED;
    imiad_status status =
        params_load(m->training.stores[0].parameters, file, own ? "generator." : "", allowed);
    if (status == IMIAD_OK && own)
        status = params_load(m->training.stores[1].parameters, file, "critic.", allowed);
    weights_free(file);
    return status == IMIAD_OK ? status
                              : fail_within(status, "detector igd: initial weights %s", path);
}

static imiad_status learn(imiad_detector *self, train_set *normals, const progress *p)
{
    igd *m = self->state;
    training_run *run;
    TRY(training_open(&run, self, normals, p));
    imiad_status status = find_first_centre(self, run);
    if (status == IMIAD_OK)
        status = training_steps(run);
    training_close(run);
    forget_images(m);
    return status;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    const char *initial = options_text(self->options, "initial");
    TRY(begin(self, true));
    if (initial[0])
        TRY(take_initial(self->state, initial));
    return learn(self, normals, p);
}

/* From the same networks and optimisers; centre and spread are the new task's. */
static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    return training_go_on(self, normals, p, learn);
}

/* ---- score ---- */

/* How unlike the images are, pixel by pixel: the scales' similarity resized to the image, colours
 * weighed as the eye does. */
static tensor *draw_map(const igd *m, tensor *images, tensor *found, tensor *const *maps)
{
    static const float colours[3] = {0.2989F, 0.5870F, 0.1140F};
    tensor *sum = t_mul_scalar(t_abs(t_sub(images, found)), 0.15 / range);
    int scales = ms_ssim_scales(m->side);
    for (int i = 0; i < scales; ++i) {
        tensor *unlike = t_add_scalar(t_neg(t_relu(maps[i])), 1);
        unlike = t_interpolate(unlike, m->side, m->side, NEAREST, false);
        sum = t_add(sum, t_mul_scalar(unlike, 0.85 * ms_ssim_weight(i, scales)));
    }
    tensor *eye = t_from(colours, 4, (int64_t[]){1, 3, 1, 1}, F32, CPU);
    return t_sum(t_mul(t_relu(sum), t_to_device(eye, t_device(sum))), 1, false);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const igd *m = self->state;
    if (!t_try(check_images(m, b)))
        return;
    bool mapped = strcmp(options_text(self->options, "map"), "ssim") == 0;
    tensor *maps[MS_SSIM_SCALES], *codes = linear_run(&m->generator.project, pool(self, b));
    tensor *found = generate(m, codes);
    tensor *lost = reconstruction_error(b->images, found, maps);
    out->image = t_mul_scalar(t_add(lost, gaussian_error(m, codes)), 0.5);
    if (mapped)
        out->maps = draw_map(m, b->images, found, maps);
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    TRY(begin(self, false));
    return training_load(self, file);
}

const detector_ops igd_ops = {
    .name = "igd",
    .title = "IGD (Chen et al., AAAI 2022)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(igd),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .score = score,
    .save = training_save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
