/* SemiREST: patches that know their place are matched to a bank of good ones; a Swin transformer
 * judges the squared differences, token by token. It learns from good images, defects that are made
 * and, where there are some, labelled ones. Li, Wu, Chen, Wang, Shen: "Efficient Anomaly Detection
 * with Budget Annotation Using Semi-Supervised Residual Transformer", arXiv 2306.03492. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/residual_memory.h"
#include "detectors/parts/residual_swin.h"
#include "detectors/parts/token_losses.h"
#include "detectors/training/training.h"

enum {
    HEAD_WIDTH = 32,
    WINDOWS_AT_ONCE = 8,
    POOLED = 16, /* pixels a side */
    POOLED_STRIDE = 2,
    RAMP_STEPS = 400
};

/* How often a token takes its first, second, third neighbour's residual. */
static const double chances[RESIDUAL_NEIGHBOURS] = {0.5, 0.3, 0.2};

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|compact|official",
     "whose defaults: this library's; a smaller network on smaller images, for CPUs; the public "
     "code's"},
    RESIDUAL_MEMORY_OPTIONS,
    {"width", OPT_INT, "1024", "1..8192", "width of the network; a multiple of its heads"},
    {"heads", OPT_INT, "0", "0..256", "heads of attention; 0: one for 32 of the width"},
    {"blocks", OPT_INT, "4", "1..16", "blocks of the network"},
    {"attention_window", OPT_INT, "8", "1..64", "tokens a side that look at each other"},
    {"path_dropout", OPT_REAL, "0.1", "0..0.99", "how often the last block is left out"},
    {"window", OPT_INT, "32", "0..1024",
     "tokens a side that the network sees, a multiple of attention_window; 0: all of an image"},
    {"stride", OPT_INT, "8", "1..1024", "tokens from one window to the next"},
    {"window_share", OPT_REAL, "0.1", "0<..1", "share of its windows that a step learns from"},
    {"token_dropout", OPT_REAL, "0.5", "0..0.99", "largest share of tokens that a step blanks"},
    {"focal_alpha", OPT_REAL, "0.25", "0..1", "weight of anomalous tokens"},
    {"focal_gamma", OPT_REAL, "4", "1..100", "how little tokens count that are judged well"},
    {"weight_decay", OPT_REAL, "0.05", "0..", "weight decay of AdamW"},
    {"average", OPT_REAL, "0.999", "0..0.999999",
     "decay of the moving average of the weights, which scores; 0: the weights themselves"},
    {"copies", OPT_INT, "2", "1..16", "drawn forms of a window that guess unknown labels"},
    {"temperature", OPT_REAL, "0.5", "0<..100", "of the guess; below 1 sharpens it"},
    {"mixing", OPT_REAL, "0.75", "0<..1000", "parameter of the beta distribution of mixtures"},
    {"mixed_share", OPT_REAL, "0.5", "0..1", "share of labelled tokens that stay mixed"},
    {"unmixing", OPT_CHOICE, "labelled", "labelled|partners",
     "which of the others are taken back: themselves, or their partners, as the public code does"},
    {"unlabelled_alpha", OPT_REAL, "0.75", "0..1", "focal_alpha of guessed labels"},
    {"unlabelled_weight", OPT_REAL, "5", "0..",
     "weight of their loss after 400 steps; it grows from 0"},
    {"image_score", OPT_CHOICE, "pooled", "pooled|max",
     "largest mean of 16 x 16 pixels of the map, or largest pixel"},
    {"epochs", OPT_INT, "10", "1..1000000", "groups of steps, between which a checkpoint may be"},
    {"steps", OPT_INT, "100", "1..1000000", "steps of an epoch"},
    {"learning_rate", .default_value = "0.0001"},
    {"train_batch", .default_value = "8"},
    {"gradient_clip", .default_value = "1"},
    {"seed", .default_value = "0"},
    {"feature_cache", OPT_INT, "16000", "0..1000000",
     "megabytes of training patches that are kept at most; 0: no bound"},
    {"resize_mode", .default_value = "squash"},
    {"resize", .default_value = "512"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"compact", "resize", "256"},
    {"compact", "width", "256"},
    {"compact", "target_embed_dimension", "256"},
    {"compact", "window_share", "0.25"},
    {"compact", "synthetic", "1"},
    {"compact", "variants", "10"},
    {"compact", "steps", "40"},
    {"compact", "learning_rate", "0.0003"},
    {"compact", "average", "0.99"},
    {"official", "unmixing", "partners"},
    {0},
};

typedef struct semirest {
    training training; /* one store: net */
    residual_memory memory;
    residual_swin net;
    token_windows windows;
    /* While training. */
    int64_t *drawn; /* items of an epoch's steps */
    int64_t batch, shares[POOL_KINDS];
    bool guesses; /* ResMixMatch learns from what has no label */
} semirest;

static bool is_chosen(const imiad_detector *self, const char *option, const char *value)
{
    return strcmp(options_text(self->options, option), value) == 0;
}

static void set_windows(imiad_detector *self)
{
    semirest *m = self->state;
    const option_set *o = self->options;
    const int64_t *grid = m->memory.grid;
    m->windows = token_windows_over(grid[0], grid[1], options_int(o, "window"),
                                    options_int(o, "stride"), options_int(o, "attention_window"));
    if (m->windows.side[0] > grid[0] || m->windows.side[1] > grid[1])
        log_message(IMIAD_LOG_INFO,
                    "semirest: a grid of %lld x %lld tokens is padded to windows of %lld x %lld",
                    (long long)grid[1], (long long)grid[0], (long long)m->windows.side[1],
                    (long long)m->windows.side[0]);
}

static imiad_status make(const made_from *from, made_output *out)
{
    const semirest *m = from->detector->state;
    return defect_make(out, from, &m->memory.labels, m->memory.textures);
}

/* ---- a step ---- */

static imiad_status plan_epoch(imiad_detector *self, train_plan *plan)
{
    semirest *m = self->state;
    plan->steps = options_int(self->options, "steps");
    m->batch = plan->batch;
    residual_pool_shares(m->shares, &m->memory.pool, m->batch);
    return IMIAD_OK;
}

static imiad_status draw_epoch(imiad_detector *self, const train_plan *plan, random_stream *stream,
                               size_t *out)
{
    semirest *m = self->state;
    int64_t count = plan->steps * plan->batch;
    free(m->drawn);
    m->drawn = malloc((size_t)count * sizeof *m->drawn);
    if (!m->drawn)
        return fail_memory("a draw of images", (size_t)count * sizeof *m->drawn);
    TRY(residual_pool_draw(m->drawn, &m->memory.pool, m->shares, plan->steps, stream));
    for (int64_t i = 0; i < count; ++i)
        out[i] = m->memory.pool.items[m->drawn[i]].image;
    return IMIAD_OK;
}

static random_stream step_stream(const imiad_detector *self, const char *what,
                                 const train_step *step)
{
    char purpose[96];
    training_purpose(purpose, self, what, step);
    return random_open((uint64_t)options_int(self->options, "seed"), purpose);
}

static tensor *embed(const semirest *m, tensor *tokens)
{
    double scale = m->memory.scale;
    return residual_swin_embed(&m->net, scale == 1 ? tokens : t_mul_scalar(tokens, scale));
}

static tensor *judge(const semirest *m, tensor *tokens, bool learns)
{
    tensor *x = embed(m, tokens);
    return residual_swin_judge(&m->net, x, m->windows.side[0], m->windows.side[1], learns);
}

/* Guesses what has no label, and mixes. In place of tokens and targets. */
static void mix_match(imiad_detector *self, const train_step *step, const pool_windows *w,
                      tensor **tokens, tensor **targets)
{
    const semirest *m = self->state;
    const option_set *o = self->options;
    int64_t rows = t_size(*targets, 0), width = m->memory.patches.dimension;
    random_stream stream = step_stream(self, "mixing", step);
    int64_t *partners = token_partners(rows, &stream);
    const token_mixing how = {.partners = partners,
                              .share = token_mixing_share(&stream, options_real(o, "mixing")),
                              .mixed = options_real(o, "mixed_share"),
                              .reference = is_chosen(self, "unmixing", "partners")};
    scope s = scope_begin(); /* the guess is a target: nothing learns through it */
    tensor *guess = token_guess(judge(m, *tokens, true), options_int(o, "copies"),
                                options_real(o, "temperature"));
    guess = scope_return(&s, guess);
    tensor *known = t_sum(*targets, 1, true);
    *targets = t_where(t_gt_scalar(known, 0), *targets, guess);
    *tokens = t_view(*tokens, 2, (int64_t[]){rows, width});
    if (partners)
        token_mix(tokens, targets, w->labels, &how);
    *tokens = t_view(*tokens, 3, (int64_t[]){w->count, rows / w->count, width});
    free(partners);
}

/* What is labelled, and with ResMixMatch what was guessed. */
static tensor *losses_of(imiad_detector *self, const train_step *step, tensor *logits,
                         tensor *targets, const int8_t *labels)
{
    const semirest *m = self->state;
    const option_set *o = self->options;
    double gamma = options_real(o, "focal_gamma"), most = options_real(o, "unlabelled_weight");
    tensor *sum =
        token_focal(logits, targets, labels, TOKEN_LABELLED, options_real(o, "focal_alpha"), gamma);
    if (m->guesses) {
        tensor *guessed = token_focal(logits, targets, labels, TOKEN_UNLABELLED,
                                      options_real(o, "unlabelled_alpha"), gamma);
        if (guessed)
            sum = t_plus(sum, t_mul_scalar(guessed, most * (double)step->index / RAMP_STEPS));
    }
    return sum ? sum : t_mul_scalar(t_sum_all(logits), 0);
}

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const semirest *m = self->state;
    const option_set *o = self->options;
    random_stream stream = step_stream(self, "windows", step);
    const window_choice choice = {.windows = &m->windows,
                                  .items =
                                      m->drawn + step->index % options_int(o, "steps") * m->batch,
                                  .count = m->batch,
                                  .share = options_real(o, "window_share"),
                                  .copies = m->guesses ? options_int(o, "copies") : 1,
                                  .chances = chances};
    pool_windows w =
        residual_pool_windows(&m->memory.pool, m->memory.patches.bank, &choice, &stream);
    int64_t rows = w.count * token_windows_places(&m->windows);
    device d = detector_device(self);
    tensor *tokens = t_to_device(w.tokens, d), *loss = NULL;
    if (!t_failed()) {
        tensor *targets = token_targets(w.labels, rows, d);
        if (m->guesses)
            mix_match(self, step, &w, &tokens, &targets);
        random_stream blanks = step_stream(self, "token_dropout", step);
        double share = random_real(&blanks) * options_real(o, "token_dropout");
        tokens = token_blank(tokens, w.labels, share, &blanks);
        tensor *logits = t_view(judge(m, tokens, true), 2, (int64_t[]){rows, 2});
        loss = losses_of(self, step, logits, targets, w.labels);
    }
    free(w.labels);
    return loss;
}

static const training_ops learning = {.loss = loss, .plan = plan_epoch, .draw = draw_epoch};

/* ---- making ---- */

static imiad_status check_options(const imiad_detector *self)
{
    const option_set *o = self->options;
    int64_t width = options_int(o, "width"), heads = options_int(o, "heads");
    int64_t window = options_int(o, "window"), around = options_int(o, "attention_window");
    if (window % around)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector semirest: option window is %lld: it must be a multiple of "
                    "attention_window, %lld",
                    (long long)window, (long long)around);
    if (window > 0 && options_int(o, "stride") > window)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector semirest: option stride is %lld: windows of %lld would leave gaps",
                    (long long)options_int(o, "stride"), (long long)window);
    if (width % (heads ? heads : width > HEAD_WIDTH ? HEAD_WIDTH : 1))
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector semirest: option width is %lld: it must be a multiple of heads, or "
                    "without them of %d",
                    (long long)width, HEAD_WIDTH);
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    semirest *m = self->state;
    training_begin(self, &learning);
    TRY(check_options(self));
    TRY(residual_memory_create(&m->memory, self));
    set_windows(self);
    self->takes = TAKES_ANOMALIES | (m->memory.labels.mode == LABELS_TAGS ? 0 : TAKES_MASKS);
    return IMIAD_OK;
}

static void forget(semirest *m)
{
    residual_memory_forget(&m->memory);
    training_clear(&m->training);
}

static void destroy(imiad_detector *self)
{
    semirest *m = self->state;
    forget(m);
    residual_memory_free(&m->memory);
}

/* A new network; without its first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    semirest *m = self->state;
    const option_set *o = self->options;
    int64_t width = options_int(o, "width"), heads = options_int(o, "heads");
    int64_t around = options_int(o, "attention_window"), usual = width / HEAD_WIDTH;
    const int64_t *side = m->windows.side;
    const residual_swin_spec spec = {.inputs = m->memory.patches.dimension,
                                     .width = width,
                                     .heads = (int)(heads   ? heads
                                                    : usual ? usual
                                                            : 1),
                                     .blocks = (int)options_int(o, "blocks"),
                                     .attention = around,
                                     .shift = side[0] > around && side[1] > around ? around / 2 : 0,
                                     .path_dropout = options_real(o, "path_dropout")};
    builder b = {.device = detector_device(self),
                 .seed = (uint64_t)options_int(o, "seed"),
                 .purpose = drawn ? "semirest/" : NULL};
    TRY(training_store(&b.store, &m->training, "net"));
    scope s = scope_begin();
    m->net = residual_swin_add(&b, &spec);
    TRY(scope_end(&s));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAMW,
                                    .weight_decay = options_real(o, "weight_decay")};
    training_optimizer(&m->training, "adam", "net", NULL, &adam, options_real(o, "learning_rate"));
    training_average(&m->training, "net", options_real(o, "average"));
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *set, const progress *p)
{
    semirest *m = self->state;
    forget(m);
    imiad_status status = residual_memory_fill(&m->memory, self, set, make, p);
    m->guesses = m->memory.labels.mode != LABELS_MASKS && train_set_count_label(set, 1) > 0;
    if (status == IMIAD_OK)
        status = begin(self, true);
    if (status == IMIAD_OK)
        status = training_fit(self, set, p);
    train_set_rest(set);
    residual_memory_put_away(&m->memory);
    free(m->drawn);
    m->drawn = NULL;
    return status;
}

/* ---- score ---- */

/* Windows first..end-1 of embedded tokens, positions x width, as n x places x width. */
static tensor *cut_windows(const semirest *m, tensor *x, int64_t first, int64_t end)
{
    int64_t places = token_windows_places(&m->windows), count = (end - first) * places;
    int64_t *tokens = malloc((size_t)count * sizeof *tokens);
    if (!tokens)
        return t_fail(IMIAD_NO_MEMORY, "detector semirest: out of memory for %lld tokens",
                      (long long)count);
    for (int64_t i = 0; i < count; ++i)
        tokens[i] = token_windows_token(&m->windows, first + i / places, i % places);
    tensor *index = t_to_device(t_from(tokens, 1, &count, I64, CPU), t_device(x));
    free(tokens);
    const int64_t shape[3] = {end - first, places, t_size(x, 1)};
    return t_view(t_index_select(x, 0, index), 3, shape);
}

/* positions probabilities of one image from its embedded tokens. */
static void judge_image(float *out, const semirest *m, tensor *x)
{
    int64_t windows = token_windows_count(&m->windows);
    int64_t places = token_windows_places(&m->windows);
    float *p = malloc((size_t)(windows * places) * sizeof *p);
    if (!p) {
        t_fail(IMIAD_NO_MEMORY, "detector semirest: out of memory for %lld windows",
               (long long)windows);
        return;
    }
    for (int64_t first = 0; first < windows; first += WINDOWS_AT_ONCE) {
        int64_t end = first + WINDOWS_AT_ONCE < windows ? first + WINDOWS_AT_ONCE : windows;
        scope s = scope_begin();
        tensor *logits = residual_swin_judge(&m->net, cut_windows(m, x, first, end),
                                             m->windows.side[0], m->windows.side[1], false);
        tensor *bad = t_contiguous(t_slice(t_softmax(logits, -1), 2, 1, 2));
        t_read(t_to_device(bad, CPU), p + first * places,
               (size_t)((end - first) * places) * sizeof *p);
        scope_return(&s, NULL);
    }
    token_windows_average(out, &m->windows, p);
    free(p);
}

/* The largest mean of 16 x 16 pixels of the finished map. */
static tensor *pooled_scores(tensor *maps, const batch *b)
{
    int64_t side = b->height < b->width ? b->height : b->width;
    tensor *whole = t_interpolate(t_unsqueeze(maps, 1), b->height, b->width, BILINEAR, false);
    whole = t_avg_pool2d(whole, (int)(side < POOLED ? side : POOLED), POOLED_STRIDE, 0, true);
    return t_amax(t_flatten(whole, 1, 3), 1, false);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const semirest *m = self->state;
    int64_t positions = residual_memory_positions(&m->memory);
    const int64_t shape[2] = {positions, m->memory.patches.dimension};
    float *rows = residual_memory_residuals(&m->memory, self, b);
    out->maps = t_zeros(3, (int64_t[]){b->count, m->memory.grid[0], m->memory.grid[1]}, F32, CPU);
    float *values = t_data(out->maps);
    for (int64_t n = 0; n < b->count && !t_failed(); ++n) {
        scope s = scope_begin();
        tensor *x = t_from(rows + n * positions * shape[1], 2, shape, F32, CPU);
        x = embed(m, t_to_device(x, detector_device(self)));
        judge_image(values + n * positions, m, x);
        scope_return(&s, NULL);
    }
    free(rows);
    if (is_chosen(self, "image_score", "pooled"))
        out->image = pooled_scores(out->maps, b);
}

/* ---- file ---- */

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const semirest *m = self->state;
    *count = m->memory.patches.layers.count;
    return m->memory.patches.layers.names;
}

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const semirest *m = self->state;
    TRY(residual_memory_save(&m->memory, writer));
    return training_save(self, writer);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    semirest *m = self->state;
    forget(m);
    TRY(begin(self, false));
    TRY(training_load(self, file));
    return residual_memory_load(&m->memory, file);
}

static const imiad_bank *bank(const imiad_detector *self)
{
    return ((const semirest *)self->state)->memory.patches.bank;
}

const detector_ops semirest_ops = {
    .name = "semirest",
    .title = "SemiREST (Li et al., arXiv 2306.03492)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(semirest),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .bank = bank,
    .layers = used_layers,
};
