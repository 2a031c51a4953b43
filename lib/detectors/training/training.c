#include "detectors/training/training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "detectors/training/training_state.h"

/* Images that pass through a frozen network together while training. */
enum { FROZEN_GROUP = 8 };

const option_spec training_options[] = {
    {"epochs", OPT_INT, "100", "1..1000000", "passes over the training images"},
    {"learning_rate", OPT_REAL, "0.001", "0..", "of the optimiser"},
    {"train_batch", OPT_INT, "8", "1..256", "images in a step, at most those that there are"},
    {"drop_last", OPT_BOOL, "false", "",
     "leave an epoch's last step out where it has fewer images than the others"},
    {"gradient_clip", OPT_REAL, "0", "0..",
     "largest norm of a step's gradients, which are scaled down to it; 0: any"},
    {"seed", OPT_INT, "66", "0..", "of the first parameters, the order of images and noise"},
    {"checkpoint", OPT_TEXT, "", "", "file to continue from after an interruption; empty: none"},
    {"checkpoint_every", OPT_INT, "1", "1..1000000", "epochs from one checkpoint to the next"},
    {"loss_log", OPT_TEXT, "", "", "CSV file of each epoch's mean loss; empty: none"},
    {"feature_cache", OPT_INT, "2000", "0..1000000",
     "most megabytes of frozen features kept while training"},
    {"image_cache", OPT_INT, "1000", "0..1000000",
     "most megabytes of decoded images kept while training"},
    {0},
};

void training_purpose(char out[96], const imiad_detector *self, const char *what,
                      const train_step *step)
{
    snprintf(out, 96, "%s/%s/%lld", self->ops->name, what, (long long)step->index);
}

/* ---- opening ---- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Which images train: all, or a draw of them, the rest held out. */
static imiad_status choose_images(training_run *run)
{
    const training *t = run->training;
    for (int64_t i = 0; i < run->count; ++i)
        run->list[i] = (size_t)i;
    run->trained = run->count - (int64_t)floor(t->held_out * (double)run->count + 1e-9);
    if (run->trained == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "detector %s: no images are left to train with",
                    t->detector->ops->name);
    if (run->trained == run->count)
        return IMIAD_OK;
    char purpose[96];
    snprintf(purpose, sizeof purpose, "%s/held-out", t->detector->ops->name);
    uint64_t seed = (uint64_t)options_int(t->detector->options, "seed");
    random_stream stream = random_open(seed, purpose);
    random_shuffle(&stream, run->list, (size_t)run->count);
    return IMIAD_OK;
}

static imiad_status prepare(training_run *run)
{
    const training *t = run->training;
    const option_set *options = t->detector->options;
    run->count = (int64_t)train_set_count(run->images);
    if (run->count == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "detector %s: there are no training images",
                    t->detector->ops->name);
    run->epochs = options_int(options, "epochs");
    run->drop_last = options_bool(options, "drop_last");
    run->order = malloc((size_t)run->count * sizeof *run->order);
    run->list = malloc((size_t)run->count * sizeof *run->list);
    run->losses = malloc((size_t)run->epochs * sizeof *run->losses);
    if (!run->order || !run->list || !run->losses)
        return fail_memory("an order of training images",
                           (size_t)(2 * run->count + run->epochs) * sizeof *run->losses);
    TRY(choose_images(run));
    run->batch = options_int(options, "train_batch");
    if (!t->ops->frozen)
        return IMIAD_OK;
    return feature_cache_create(&run->features, t->detector, t->ops->frozen, t->frozen_count,
                                run->count, smaller(run->batch, FROZEN_GROUP),
                                (uint64_t)options_int(options, "feature_cache") * 1000000);
}

/* Fills the cache with the features of the first images, as many as it takes. */
static imiad_status keep_features(training_run *run)
{
    int64_t done = 0;
    if (!run->features || feature_cache_room(run->features) == 0)
        return IMIAD_OK;
    do {
        scope s = scope_begin();
        batch b = {NULL, 0, 0, 0, NULL};
        if (train_set_next(run->images, &b))
            feature_cache_add(run->features, &b);
        TRY(scope_end(&s));
        done += b.count;
        TRY(progress_report(run->progress, "features", done, run->count));
    } while (done < feature_cache_room(run->features));
    return IMIAD_OK;
}

imiad_status training_open(training_run **out, imiad_detector *self, train_set *images,
                           const progress *p)
{
    training_run *run = calloc(1, sizeof *run);
    if (!run)
        return fail_memory("a training run", sizeof *run);
    run->training = self->state;
    run->images = images;
    run->progress = p;
    imiad_status status = prepare(run);
    if (status == IMIAD_OK)
        status = keep_features(run);
    if (status != IMIAD_OK) {
        training_close(run);
        return status;
    }
    *out = run;
    return IMIAD_OK;
}

void training_close(training_run *run)
{
    if (!run)
        return;
    feature_cache_free(run->features);
    for (int i = 0; i < TRAINING_STORES; ++i)
        params_free(run->best.stores[i]);
    free(run->order);
    free(run->list);
    free(run->losses);
    free(run);
}

/* ---- passes ---- */

/* Some images of the order, read together: they may end the training images and begin the others.
 */
typedef struct portion {
    int64_t begin, end; /* in the order */
    batch pixels;       /* .images is NULL where nobody needs them */
} portion;

static bool reads_pixels(const training_run *run)
{
    return run->training->ops->pixels || (run->features && !feature_cache_complete(run->features));
}

/* The step of order[begin..end), which lies in the portion. */
static train_step make_step(training_run *run, const portion *read, int64_t begin, int64_t end,
                            tensor **frozen)
{
    batch b = {NULL, end - begin, read->pixels.height, read->pixels.width, NULL};
    if (read->pixels.images)
        b.images = begin == read->begin && end == read->end
                       ? read->pixels.images
                       : t_slice(read->pixels.images, 0, begin - read->begin, end - read->begin);
    if (run->features)
        feature_cache_get(run->features, run->order + begin, &b, frozen);
    return (train_step){.count = b.count,
                        .images = run->order + begin,
                        .pixels = b,
                        .frozen = frozen,
                        .epoch = run->epoch,
                        .epochs = run->epochs,
                        .index = run->index};
}

/* Calls `look` for the portions of the order in turn, each in a scope. */
static imiad_status each_portion(training_run *run,
                                 imiad_status (*look)(training_run *run, const portion *read,
                                                      void *context),
                                 void *context)
{
    bool reading = reads_pixels(run);
    if (reading)
        TRY(train_set_rewind(run->images, run->order));
    for (int64_t begin = 0; begin < run->count; begin += run->batch) {
        portion read = {begin, smaller(begin + run->batch, run->count), {NULL, 0, 0, 0, NULL}};
        scope s = scope_begin();
        if (reading)
            train_set_next(run->images, &read.pixels);
        imiad_status status = t_failed() ? IMIAD_OK : look(run, &read, context);
        imiad_status failure = scope_end(&s);
        TRY(failure);
        TRY(status);
    }
    return IMIAD_OK;
}

typedef struct visitor {
    void (*visit)(imiad_detector *self, const train_step *step, void *context);
    void *context;
} visitor;

static imiad_status visit_portion(training_run *run, const portion *read, void *context)
{
    const visitor *v = context;
    tensor *frozen[FROZEN_TENSORS] = {NULL};
    train_step step = make_step(run, read, read->begin, read->end, frozen);
    if (!t_failed())
        v->visit(run->training->detector, &step, v->context);
    return IMIAD_OK;
}

imiad_status training_visit(training_run *run,
                            void (*visit)(imiad_detector *self, const train_step *step,
                                          void *context),
                            void *context)
{
    for (int64_t i = 0; i < run->count; ++i)
        run->order[i] = (size_t)i;
    return each_portion(run, visit_portion, &(visitor){visit, context});
}

/* ---- steps ---- */

/* Sums over one epoch. */
typedef struct epoch_sums {
    double losses, held_out;
    int64_t steps;
} epoch_sums;

static int64_t steps_an_epoch(const training_run *run)
{
    bool drops = run->drop_last && run->trained >= run->batch;
    return (run->trained + (drops ? 0 : run->batch - 1)) / run->batch;
}

static void fail_not_finite(const training_run *run, double value)
{
    t_fail(IMIAD_NOT_FINITE,
           "detector %s: the loss is %g in epoch %lld of %lld, step %lld of %lld: try a smaller "
           "learning_rate, a gradient_clip, a larger train_batch or another seed",
           run->training->detector->ops->name, value, (long long)run->epoch + 1,
           (long long)run->epochs, (long long)(run->index % steps_an_epoch(run)) + 1,
           (long long)steps_an_epoch(run));
}

/* Down the gradients that backward left. */
static void update(training_run *run, const train_step *step)
{
    training *t = run->training;
    double clip = options_real(t->detector->options, "gradient_clip");
    int64_t steps = run->epochs * steps_an_epoch(run);
    for (int i = 0; clip > 0 && i < t->store_count; ++i)
        params_clip_grad(t->stores[i].parameters, clip);
    for (int i = 0; i < t->rule_count; ++i) {
        double rate = t->rules[i].rate;
        if (t->ops->rate)
            rate = t->ops->rate(t->detector, rate, step, steps);
        optimizer_step(t->rules[i].optimizer, rate);
    }
}

static void clear_gradients(training *t)
{
    for (int i = 0; i < t->store_count; ++i)
        params_clear_grad(t->stores[i].parameters);
}

/* One step of order[read->begin..end); the loss before it. */
static imiad_status learn(double *loss, training_run *run, const portion *read, int64_t end)
{
    training *t = run->training;
    tensor *frozen[FROZEN_TENSORS] = {NULL};
    char purpose[96];
    scope s = scope_begin_grad();
    train_step step = make_step(run, read, read->begin, end, frozen);
    training_purpose(purpose, t->detector, "dropout", &step);
    t_seed((uint64_t)options_int(t->detector->options, "seed"), purpose);
    tensor *objective = t_failed() ? NULL : t->ops->loss(t->detector, &step);
    *loss = t_item(objective);
    if (!t_failed() && !isfinite(*loss))
        fail_not_finite(run, *loss);
    t_backward(objective);
    if (!t_failed())
        update(run, &step);
    imiad_status status = scope_end(&s);
    clear_gradients(t);
    return status;
}

static imiad_status hold_against(double *sum, training_run *run, const portion *read, int64_t begin)
{
    const training *t = run->training;
    tensor *frozen[FROZEN_TENSORS] = {NULL};
    scope s = scope_begin();
    train_step step = make_step(run, read, begin, read->end, frozen);
    tensor *mean = t_failed() ? NULL : t->ops->validate(t->detector, &step);
    *sum += t_item(mean) * (double)step.count;
    return scope_end(&s);
}

static imiad_status epoch_portion(training_run *run, const portion *read, void *context)
{
    epoch_sums *sums = context;
    int64_t end = smaller(read->end, run->trained), steps = steps_an_epoch(run);
    if (end > read->begin && sums->steps < steps) {
        double loss = 0;
        TRY(learn(&loss, run, read, end));
        log_message(IMIAD_LOG_DEBUG, "%s: step %lld: loss %.9g", run->training->detector->ops->name,
                    (long long)run->index, loss);
        sums->losses += loss;
        sums->steps++;
        run->index++;
        TRY(progress_report(run->progress, "train", run->index, run->epochs * steps));
    }
    int64_t begin = read->begin > run->trained ? read->begin : run->trained;
    return begin < read->end ? hold_against(&sums->held_out, run, read, begin) : IMIAD_OK;
}

/* ---- epochs ---- */

static void shuffle(training_run *run)
{
    const imiad_detector *self = run->training->detector;
    char purpose[96];
    snprintf(purpose, sizeof purpose, "%s/order/%lld", self->ops->name, (long long)run->epoch);
    random_stream stream = random_open((uint64_t)options_int(self->options, "seed"), purpose);
    memcpy(run->order, run->list, (size_t)run->count * sizeof *run->order);
    random_shuffle(&stream, run->order, (size_t)run->trained);
}

static imiad_status keep_best(training_run *run, double value)
{
    training *t = run->training;
    if (!isfinite(value))
        return fail(IMIAD_NOT_FINITE, "detector %s: the held-out images came to %g in epoch %lld",
                    t->detector->ops->name, value, (long long)run->epoch + 1);
    if (run->best.stores[0] && value >= run->best.value)
        return IMIAD_OK;
    for (int i = 0; i < t->store_count; ++i) {
        params_free(run->best.stores[i]);
        run->best.stores[i] = NULL;
        TRY(params_clone(&run->best.stores[i], t->stores[i].parameters));
    }
    run->best.value = value;
    run->best.epoch = run->epoch;
    return IMIAD_OK;
}

static imiad_status run_epoch(training_run *run)
{
    const training *t = run->training;
    epoch_sums sums = {0, 0, 0};
    shuffle(run);
    TRY(each_portion(run, epoch_portion, &sums));
    run->losses[run->epoch] = sums.losses / (double)sums.steps;
    log_message(IMIAD_LOG_INFO, "%s: epoch %lld of %lld: loss %.6g", t->detector->ops->name,
                (long long)run->epoch + 1, (long long)run->epochs, run->losses[run->epoch]);
    if (run->trained < run->count)
        TRY(keep_best(run, sums.held_out / (double)(run->count - run->trained)));
    run->epoch++;
    TRY(loss_log_write(run));
    int64_t every = options_int(t->detector->options, "checkpoint_every");
    return run->epoch % every == 0 && run->epoch < run->epochs ? checkpoint_write(run) : IMIAD_OK;
}

static imiad_status take_best(training_run *run)
{
    training *t = run->training;
    for (int i = 0; run->best.stores[0] && i < t->store_count; ++i)
        TRY(params_copy(t->stores[i].parameters, run->best.stores[i]));
    return IMIAD_OK;
}

imiad_status training_steps(training_run *run)
{
    training *t = run->training;
    TRY(training_make_optimizers(t));
    TRY(training_checksum(run->start, t));
    TRY(checkpoint_resume(run));
    TRY(loss_log_write(run));
    while (run->epoch < run->epochs)
        TRY(run_epoch(run));
    TRY(take_best(run));
    TRY(training_add_losses(t, run->losses, (size_t)run->epochs));
    t->tasks++;
    return checkpoint_remove(run);
}

imiad_status training_fit(imiad_detector *self, train_set *images, const progress *p)
{
    training_run *run;
    TRY(training_open(&run, self, images, p));
    imiad_status status = training_steps(run);
    training_close(run);
    return status;
}

imiad_status training_fit_more(imiad_detector *self, train_set *images, const progress *p)
{
    training *t = self->state;
    training_copy before;
    TRY(training_make_optimizers(t));
    TRY(training_copy_make(&before, t));
    imiad_status status = training_fit(self, images, p), undone = IMIAD_OK;
    if (status != IMIAD_OK)
        undone = training_copy_restore(t, &before);
    training_copy_free(&before);
    return undone != IMIAD_OK ? undone : status;
}
