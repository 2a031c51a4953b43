/* Dinomaly: a decoder of linear attention learns to give back, from a bottleneck with dropout, what
 * a frozen transformer sees in normal images; layers are held against each other in two groups and
 * loosely, so that it does not learn to give back everything. Guo, Lu, Zhang, Chen, Li, Liao:
 * "Dinomaly: The Less Is More Philosophy in Multi-Class Unsupervised Anomaly Detection", CVPR 2025.
 * With version=2: Dinomaly2, arXiv 2510.17611. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/map_scores.h"
#include "detectors/parts/one_size.h"
#include "detectors/parts/token_decoder.h"
#include "detectors/parts/transformer.h"
#include "detectors/training/training.h"
#include "nn/schedule.h"

enum { NARROW = 256, KERNEL = 5 };
static const double kernel_sigma = 4;

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|official_single",
     "whose defaults: this library's, the authors' code for all categories together, for one"},
    {"version", OPT_CHOICE, "1", "1|2",
     "Dinomaly, or Dinomaly2: a narrower bottleneck, features seen from the class token, a "
     "constant "
     "learning rate"},
    {"layers", OPT_TEXT, "", "",
     "blocks of a transformer, an even number up to 8, in two groups; empty: blocks.2 to blocks.9 "
     "of 12, every second from blocks.4 to blocks.18 of 24"},
    {"dropout", OPT_REAL, "-1", "-1..0.95",
     "share that the bottleneck drops in training; -1: 0.2, of version 2 0.4"},
    {"easy_share", OPT_REAL, "0.9", "0..0.9999",
     "share of a step's points, those that are given back best, whose gradients are made smaller"},
    {"easy_gradient", OPT_REAL, "0.1", "0..1", "what their gradients are multiplied by"},
    {"easy_steps", OPT_INT, "1000", "1..1000000", "steps over which that share grows from 0"},
    {"initial", OPT_TEXT, "", "",
     "weight file of the first bottleneck and decoder; empty: random ones"},
    {"epochs", OPT_INT, "100", "0..1000000",
     "groups of steps, between which a checkpoint may be; 0 takes the initial weights as they are"},
    {"steps", OPT_INT, "0", "0..1000000",
     "steps of an epoch; 0: 50, with images of several categories 100, of version 2 400"},
    {"learning_rate", .default_value = "0.002"},
    {"final_rate", OPT_REAL, "-1", "-1..1",
     "share of the learning rate that is left at the end; -1: 0.1, of version 2 1"},
    {"warm_up", OPT_INT, "100", "0..1000000", "steps over which the learning rate grows from 0"},
    {"weight_decay", OPT_REAL, "0.0001", "0..", "weight decay of StableAdamW"},
    {"epsilon", OPT_REAL, "1e-10", "0<..1", "epsilon of StableAdamW"},
    {"train_batch", .default_value = "16"},
    {"drop_last", OPT_BOOL, "true", "",
     "leave the last images of a pass out where they fill no step; false: the next pass fills it"},
    {"gradient_clip", .default_value = "0.1"},
    {"map_side", OPT_INT, "256", "0..2048",
     "side of the square map that is smoothed and gives the image's score; 0: the image's"},
    {"map_border", OPT_CHOICE, "zero", "zero|reflect",
     "what lies around a map that is smoothed: nothing, as in the authors' code, or its "
     "reflection"},
    {"top_share", OPT_REAL, "0.01", "0..1",
     "share of the map whose mean is the image's score; 0: the largest"},
    {"resize", .default_value = "448"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "392"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "seed", "1"},
    {"official_single", "seed", "1"},
    {"official_single", "epsilon", "1e-8"},
    {0},
};

typedef struct dinomaly {
    training training; /* one store: by the names of the authors' checkpoints */
    layer_list layers;
    token_decoder_spec spec;
    token_decoder decoder;
    int version;
    int64_t grid; /* positions a side */
    int patch;    /* pixels of one */
} dinomaly;

static double or_default(const imiad_detector *self, const char *option, double of_1, double of_2)
{
    const dinomaly *m = self->state;
    double given = options_real(self->options, option);
    return given >= 0 ? given : m->version == 2 ? of_2 : of_1;
}

/* ---- features: section 2 ---- */

/* The mean of the first half of the layers, and that of the others: n x tokens x channels each. */
static void look(imiad_detector *self, const batch *b, tensor **out)
{
    const dinomaly *m = self->state;
    int each = m->layers.count / TOKEN_GROUPS;
    tensor *tokens[MOST_LAYERS];
    batch whole = *b;
    whole.images = transformer_whole_patches(&self->backbone->chain, b->images);
    /* also where the network's own code has another rule: so were all published figures made */
    detector_tokens(self, &whole, m->layers.names, m->layers.count, POSITIONS_OFFSET, tokens);
    for (int group = 0; group < TOKEN_GROUPS; ++group) {
        tensor *sum = NULL;
        for (int i = 0; i < each; ++i)
            sum = t_plus(sum, tokens[group * each + i]);
        out[group] = t_div_scalar(sum, each);
    }
}

/* Behind the class token and the registers. */
static tensor *patches_of(const dinomaly *m, tensor *tokens)
{
    int64_t count = t_size(tokens, 1);
    return t_slice(tokens, 1, count - m->grid * m->grid, count);
}

/* Both groups as they are to be given back, and as they are. */
static void give_back(const dinomaly *m, tensor *const *seen, bool learns, tensor **wanted,
                      tensor **given)
{
    tensor *mean = t_mul_scalar(t_add(seen[0], seen[1]), 0.5); /* of all layers */
    token_decoder_run(&m->decoder, mean, learns, given);
    for (int i = 0; i < TOKEN_GROUPS; ++i) {
        wanted[i] =
            m->version == 2 ? token_recenter(seen[i], m->grid * m->grid) : patches_of(m, seen[i]);
        given[i] = patches_of(m, given[i]);
    }
}

/* ---- training: section 4 ---- */

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const dinomaly *m = self->state;
    const option_set *o = self->options;
    double easy = options_real(o, "easy_share"), factor = options_real(o, "easy_gradient");
    double grown = easy * (double)step->index / (double)options_int(o, "easy_steps");
    tensor *wanted[TOKEN_GROUPS], *given[TOKEN_GROUPS], *total = NULL;
    give_back(m, step->frozen, true, wanted, given);
    for (int i = 0; i < TOKEN_GROUPS; ++i)
        total = t_plus(total, token_hard_cosine(wanted[i], given[i], fmin(grown, easy), factor));
    return t_div_scalar(total, TOKEN_GROUPS);
}

/* From 0 up, then along half a cosine. The first version's code reaches the rate a step earlier. */
static double rate_of(const imiad_detector *self, double rate, const train_step *step,
                      int64_t steps)
{
    const dinomaly *m = self->state;
    int64_t warm_up = options_int(self->options, "warm_up");
    int64_t ends = m->version == 2 || warm_up < 2 ? warm_up : warm_up - 1;
    if (step->index < warm_up)
        return rate * (double)step->index / (double)ends;
    return schedule_cosine(rate, rate * or_default(self, "final_rate", 0.1, 1),
                           step->index - warm_up, steps - warm_up);
}

static bool several_categories(const train_plan *plan)
{
    int32_t first = train_set_image(plan->set, plan->images[0]).category;
    for (size_t i = 1; i < plan->count; ++i)
        if (train_set_image(plan->set, plan->images[i]).category != first)
            return true;
    return false;
}

static imiad_status plan_epoch(imiad_detector *self, train_plan *plan)
{
    const dinomaly *m = self->state;
    int64_t steps = options_int(self->options, "steps");
    if (steps == 0)
        steps = m->version == 2 ? 400 : several_categories(plan) ? 100 : 50;
    plan->steps = steps;
    if (plan->batch > (int64_t)plan->count)
        plan->batch = (int64_t)plan->count;
    return IMIAD_OK;
}

/* Passes over the images in shuffled order, which an epoch's end does not cut: each pass has a
 * stream of its own. */
static imiad_status draw_epoch(imiad_detector *self, const train_plan *plan, random_stream *stream,
                               size_t *out)
{
    int64_t count = (int64_t)plan->count, used = count, shuffled = -1;
    int64_t total = plan->steps * plan->batch, first = plan->epoch * total;
    uint64_t seed = (uint64_t)options_int(self->options, "seed");
    size_t *pass = malloc(plan->count * sizeof *pass);
    (void)stream;
    if (!pass)
        return fail_memory("an order of images", plan->count * sizeof *pass);
    if (options_bool(self->options, "drop_last"))
        used -= count % plan->batch;
    for (int64_t i = 0; i < total; ++i) {
        int64_t number = (first + i) / used;
        if (number != shuffled) {
            char purpose[96];
            snprintf(purpose, sizeof purpose, "dinomaly/order/%lld", (long long)number);
            random_stream order = random_open(seed, purpose);
            memcpy(pass, plan->images, plan->count * sizeof *pass);
            random_shuffle(&order, pass, plan->count);
            shuffled = number;
        }
        out[i] = pass[(first + i) % used];
    }
    free(pass);
    return IMIAD_OK;
}

/* Version 2 takes no step whose gradients are not finite: without any, the optimisers do nothing.
 */
static void leave_out(imiad_detector *self, const train_step *step)
{
    dinomaly *m = self->state;
    params *learned = m->training.stores[0].parameters;
    (void)step;
    if (m->version == 2 && !isfinite(params_clip_grad(learned, INFINITY)))
        params_clear_grad(learned);
}

static const training_ops learning = {.frozen = look,
                                      .loss = loss,
                                      .rate = rate_of,
                                      .plan = plan_epoch,
                                      .draw = draw_epoch,
                                      .clipped = leave_out};

/* ---- making ---- */

static imiad_status find_transformer(dinomaly *m, const imiad_detector *self)
{
    const node_chain *chain = &self->backbone->chain;
    int64_t side = self->preprocessing.crop ? self->preprocessing.crop : self->preprocessing.resize;
    if (transformer_depth(chain) == 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector dinomaly gives back the tokens of a vision transformer, which %s is "
                    "not: take a backbone dinov2_... or vit_...",
                    self->backbone->architecture->name);
    m->patch = chain->nodes[0].stride;
    m->grid = side / m->patch;
    if (m->grid < 1)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector dinomaly: an image of %lld pixels has no patch of %d",
                    (long long)side, m->patch);
    return one_size_require(self);
}

static imiad_status choose_layers(dinomaly *m, const imiad_detector *self)
{
    const node_chain *chain = &self->backbone->chain;
    const char *given = options_text(self->options, "layers");
    int every = transformer_depth(chain) >= 24 ? 2 : 1;
    char own[256] = "";
    for (int i = 0; !*given && i < MOST_LAYERS; ++i)
        snprintf(own + strlen(own), sizeof own - strlen(own), "%sblocks.%d", i ? "," : "",
                 every * (i + 2));
    TRY(layer_list_parse(&m->layers, "detector dinomaly", *given ? given : own, self->backbone));
    if (m->layers.count % TOKEN_GROUPS)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector dinomaly: option layers names %d blocks: it must be an even number",
                    m->layers.count);
    for (int i = 0; i < m->layers.count; ++i) {
        chain_layer found;
        TRY(layer_require(&found, chain, "detector dinomaly", m->layers.names[i]));
        if (found.class_token)
            return fail(IMIAD_INVALID_ARGUMENT,
                        "detector dinomaly needs layers with positions, not %s",
                        m->layers.names[i]);
    }
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    dinomaly *m = self->state;
    m->version = strcmp(options_text(self->options, "version"), "2") == 0 ? 2 : 1;
    TRY(find_transformer(m, self));
    TRY(choose_layers(m, self));
    if (options_int(self->options, "epochs") == 0 && !options_text(self->options, "initial")[0])
        return fail(IMIAD_OUT_OF_RANGE, "detector dinomaly: epochs=0 needs initial weights");
    m->spec = (token_decoder_spec){.channels = m->layers.channels[0],
                                   .narrow = m->version == 2 ? NARROW : 0,
                                   .blocks = m->layers.count,
                                   .dropout = or_default(self, "dropout", 0.2, 0.4)};
    training_begin(self, &learning);
    m->training.frozen_count = TOKEN_GROUPS;
    return IMIAD_OK;
}

static void destroy(imiad_detector *self)
{
    dinomaly *m = self->state;
    training_clear(&m->training);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const dinomaly *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

static void add_optimizers(imiad_detector *self)
{
    dinomaly *m = self->state;
    const option_set *o = self->options;
    double rate = options_real(o, "learning_rate");
    optimizer_options stable = {.kind = OPTIMIZER_STABLE_ADAMW,
                                .weight_decay = options_real(o, "weight_decay"),
                                .eps = options_real(o, "epsilon"),
                                .amsgrad = m->version == 1};
    if (m->version == 1) {
        training_optimizer(&m->training, "stable_adamw", "reconstruction", NULL, &stable, rate);
        return;
    }
    training_optimizer(&m->training, "narrow", "reconstruction", "bottleneck.0.", &stable,
                       0.1 * rate);
    training_optimizer(&m->training, "wide", "reconstruction", "bottleneck.1.", &stable, rate);
    training_optimizer(&m->training, "decoder", "reconstruction", "decoder.", &stable, rate);
}

/* A new decoder with nothing learned; without its first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    dinomaly *m = self->state;
    params *store;
    training_clear(&m->training);
    TRY(training_store(&store, &m->training, "reconstruction"));
    const builder b = {.store = store,
                       .device = detector_device(self),
                       .seed = (uint64_t)options_int(self->options, "seed"),
                       .purpose = drawn ? "dinomaly/" : NULL};
    scope s = scope_begin();
    token_decoder_add(&m->decoder, &b, &m->spec);
    TRY(scope_end(&s));
    add_optimizers(self);
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    dinomaly *m = self->state;
    const char *initial = options_text(self->options, "initial");
    TRY(begin(self, !initial[0]));
    if (initial[0])
        /* the authors' checkpoint has the frozen network too, which is passed over */
        TRY(params_load_initial(m->training.stores[0].parameters, initial, "reconstruction.",
                                "decoder.0.norm1.weight", "detector dinomaly"));
    if (options_int(self->options, "epochs") == 0)
        return IMIAD_OK;
    return training_fit(self, normals, p);
}

/* ---- score: section 5 ---- */

/* n x height x width of distances, n x positions. */
static tensor *finish_map(const imiad_detector *self, tensor *distances)
{
    const dinomaly *m = self->state;
    int64_t side = options_int(self->options, "map_side"), looked_at = m->grid * m->patch;
    bool reflects = strcmp(options_text(self->options, "map_border"), "reflect") == 0;
    tensor *maps = t_view(distances, 4, (int64_t[]){t_size(distances, 0), 1, m->grid, m->grid});
    maps = t_interpolate(maps, looked_at, looked_at, BILINEAR, true);
    if (side > 0)
        maps = t_interpolate(maps, side, side, BILINEAR, false);
    return map_gaussian(t_squeeze(maps, 1), KERNEL, kernel_sigma,
                        reflects && t_size(maps, 3) > KERNEL / 2 ? PAD_REFLECT : PAD_ZERO);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const dinomaly *m = self->state;
    tensor *seen[TOKEN_GROUPS], *wanted[TOKEN_GROUPS], *given[TOKEN_GROUPS], *sum = NULL;
    look(self, b, seen);
    give_back(m, seen, false, wanted, given);
    for (int i = 0; i < TOKEN_GROUPS; ++i)
        sum = t_plus(sum, token_cosine_distances(wanted[i], given[i]));
    out->maps = finish_map(self, t_div_scalar(sum, TOKEN_GROUPS));
    out->image = map_image_scores(t_flatten(out->maps, 1, 2), "top",
                                  options_real(self->options, "top_share"));
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    TRY(begin(self, false));
    return training_load(self, file);
}

const detector_ops dinomaly_ops = {
    .name = "dinomaly",
    .title = "Dinomaly (Guo et al., CVPR 2025)",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(dinomaly),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = training_fit_more,
    .score = score,
    .save = training_save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
