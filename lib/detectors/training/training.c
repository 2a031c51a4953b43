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
    {"learning_rate", OPT_REAL, "0.001", "0..", "learning rate of the optimiser"},
    {"train_batch", OPT_INT, "8", "1..256", "images in a step, at most those that there are"},
    {"drop_last", OPT_BOOL, "false", "",
     "leave an epoch's last step out where it has fewer images than the others"},
    {"gradient_clip", OPT_REAL, "0", "0..",
     "largest norm of a step's gradients, which are scaled down to it; 0: any"},
    {"accumulate", OPT_INT, "1", "1..1000",
     "steps whose gradients are averaged for one step of the optimisers"},
    {"seed", OPT_INT, "66", "0..", "draws the first parameters, the order of images and noise"},
    {"checkpoint", OPT_TEXT, "", "", "file to continue from after an interruption; empty: none"},
    {"checkpoint_every", OPT_INT, "1", "1..1000000", "epochs from one checkpoint to the next"},
    {"loss_log", OPT_TEXT, "", "", "CSV file of each epoch's mean loss; empty: none"},
    {"feature_cache", OPT_INT, "2000", "0..1000000",
     "megabytes of frozen features that are kept at most while training"},
    {"image_cache", OPT_INT, "1000", "0..1000000",
     "megabytes of decoded images that are kept at most while training"},
    {0},
};

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

/* Steps and images of an epoch: passes over the images, or what the detector plans. */
static imiad_status plan_epochs(training_run *run)
{
    const training *t = run->training;
    const option_set *options = t->detector->options;
    int64_t size = options_int(options, "train_batch");
    bool drops = options_bool(options, "drop_last") && run->trained >= size;
    train_plan plan = {.steps = (run->trained + (drops ? 0 : size - 1)) / size,
                       .batch = size,
                       .images = run->list,
                       .count = (size_t)run->trained,
                       .set = run->images};
    if (t->ops->plan)
        TRY(t->ops->plan(t->detector, &plan));
    if (plan.steps < 1 || plan.batch < 1 || plan.batch > MOST_BATCH || plan.steps > INT32_MAX ||
        plan.rest < 0 || plan.rest > plan.batch)
        return fail(IMIAD_OUT_OF_RANGE, "detector %s plans %lld steps of %lld images an epoch",
                    t->detector->ops->name, (long long)plan.steps, (long long)plan.batch);
    run->batch = plan.batch;
    run->steps = plan.steps;
    run->rest = plan.rest;
    int64_t last = plan.rest > 0 ? plan.rest : plan.batch;
    run->drawn = t->ops->draw ? (plan.steps - 1) * plan.batch + last : run->trained;
    run->length = run->drawn + run->count - run->trained;
    return IMIAD_OK;
}

static imiad_status make_room(training_run *run)
{
    int64_t most = run->length > run->count ? run->length : run->count;
    run->order = malloc((size_t)most * sizeof *run->order);
    run->losses = calloc((size_t)(run->epochs * run->turns), sizeof *run->losses);
    if (!run->order || !run->losses)
        return fail_memory("an order of training images",
                           (size_t)(most + run->epochs * run->turns) * sizeof *run->losses);
    return IMIAD_OK;
}

/* For detectors that draw mirrored images: which places are defective. */
static imiad_status list_defective(training_run *run)
{
    if (!run->training->ops->mirrors)
        return IMIAD_OK;
    int64_t most = run->length > run->count ? run->length : run->count;
    run->mirrored = calloc((size_t)most, sizeof *run->mirrored);
    run->ranks = calloc((size_t)run->count, sizeof *run->ranks);
    if (!run->mirrored || !run->ranks)
        return fail_memory("a list of training images", (size_t)run->count * sizeof *run->ranks);
    for (int64_t i = 0; i < run->count; ++i)
        run->ranks[i] = train_set_image(run->images, (size_t)i).label == 1 ? run->defective++ : -1;
    return IMIAD_OK;
}

static imiad_status check_ops(const training_run *run)
{
    const training *t = run->training;
    int64_t accumulated = options_int(t->detector->options, "accumulate");
    if (run->turns > TRAINING_TURNS)
        return fail(IMIAD_INTERNAL, "detector %s has %d losses; at most %d", t->detector->ops->name,
                    run->turns, TRAINING_TURNS);
    if (run->turns > 1 && accumulated > 1)
        return fail(IMIAD_UNSUPPORTED,
                    "detector %s: accumulate=%lld: a detector with several losses a step cannot "
                    "accumulate",
                    t->detector->ops->name, (long long)accumulated);
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
    run->turns = t->ops->turns > 0 ? t->ops->turns : 1;
    run->list = malloc((size_t)run->count * sizeof *run->list);
    if (!run->list)
        return fail_memory("a list of training images", (size_t)run->count * sizeof *run->list);
    TRY(check_ops(run));
    TRY(choose_images(run));
    TRY(plan_epochs(run));
    TRY(make_room(run));
    TRY(list_defective(run));
    if (!t->ops->frozen)
        return IMIAD_OK;
    return feature_cache_create(&run->features, t->detector, t->ops->frozen, t->frozen_count,
                                run->count + (TRAIN_MIRRORS - 1) * run->defective,
                                smaller(run->batch, FROZEN_GROUP),
                                (uint64_t)options_int(options, "feature_cache") * 1000000);
}

/* Of the defective images, each mirrored in every way, as many as there is room for. */
static imiad_status keep_mirrored(training_run *run)
{
    enum { WAYS = TRAIN_MIRRORS - 1 };
    int64_t left = feature_cache_room(run->features) - run->count;
    size_t *order = malloc((size_t)(WAYS * run->defective + 1) * sizeof *order), used = 0;
    if (!order)
        return fail_memory("a list of training images", (size_t)run->defective * sizeof *order);
    for (int64_t i = 0; i < run->count; ++i)
        for (int k = 0; run->ranks[i] >= 0 && k < WAYS; ++k)
            order[used++] = (size_t)i;
    const train_pass pass = {.order = order, .count = used};
    imiad_status status = train_set_begin(run->images, &pass);
    for (int64_t done = 0; status == IMIAD_OK && done < left;) {
        uint8_t mirrored[MOST_BATCH];
        scope s = scope_begin();
        batch b = {.count = 0};
        train_set_next(run->images, &b);
        for (int64_t i = 0; i < b.count; ++i)
            mirrored[i] = (uint8_t)(1 + (done + i) % WAYS);
        b.images = training_mirror(b.images, mirrored, b.count);
        if (!t_failed())
            feature_cache_add(run->features, &b);
        done += b.count;
        status = scope_end(&s);
        if (status == IMIAD_OK)
            status = progress_report(run->progress, "features", run->count + done,
                                     run->count + (int64_t)used);
    }
    free(order);
    return status;
}

/* Fills the cache with the features of the first images, as many as it takes. */
static imiad_status keep_features(training_run *run)
{
    int64_t done = 0;
    if (!run->features || feature_cache_room(run->features) == 0)
        return IMIAD_OK;
    do {
        scope s = scope_begin();
        batch b = {.count = 0};
        if (train_set_next(run->images, &b))
            feature_cache_add(run->features, &b);
        TRY(scope_end(&s));
        if (b.count == 0)
            return fail(IMIAD_INTERNAL,
                        "detector %s read its training images to their end before its training "
                        "opens, and did not rewind them",
                        run->training->detector->ops->name);
        done += b.count;
        TRY(progress_report(run->progress, "features", done, run->count));
    } while (done < smaller(feature_cache_room(run->features), run->count));
    return feature_cache_room(run->features) > run->count ? keep_mirrored(run) : IMIAD_OK;
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
    train_set_rest(run->images);
    feature_cache_free(run->features);
    for (int i = 0; i < TRAINING_STORES; ++i)
        params_free(run->best.stores[i]);
    free(run->order);
    free(run->mirrored);
    free(run->ranks);
    free(run->list);
    free(run->losses);
    free(run);
}

/* ---- running ---- */

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
    if (t->averaged) /* another task goes on from what was learned last */
        TRY(training_swap_averages(t));
    t->averaged = false;
    training_note_threads(t);
    TRY(training_checksum(run->start, t));
    TRY(checkpoint_resume(run));
    TRY(loss_log_write(run));
    TRY(training_run_epochs(run));
    TRY(training_swap_averages(t));
    t->averaged = true;
    TRY(take_best(run));
    TRY(training_add_losses(t, run->losses, (size_t)(run->epochs * run->turns)));
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

imiad_status training_go_on(imiad_detector *self, train_set *images, const progress *p,
                            imiad_status (*learn)(imiad_detector *self, train_set *images,
                                                  const progress *p))
{
    training *t = self->state;
    training_copy before;
    char threads[sizeof t->threads];
    memcpy(threads, t->threads, sizeof threads);
    TRY(training_make_optimizers(t));
    TRY(training_copy_make(&before, t));
    imiad_status status = learn(self, images, p), undone = IMIAD_OK;
    if (status != IMIAD_OK) {
        undone = training_copy_restore(t, &before);
        memcpy(t->threads, threads, sizeof threads);
    }
    training_copy_free(&before);
    return undone != IMIAD_OK ? undone : status;
}

imiad_status training_fit_more(imiad_detector *self, train_set *images, const progress *p)
{
    return training_go_on(self, images, p, training_fit);
}
