/* Passes over the training images and the steps of each epoch. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "detectors/training/training_state.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- passes ---- */

/* Some images of the order, read together: they may end the training images and begin the others.
 */
typedef struct portion {
    int64_t begin, end; /* in the order */
    batch pixels;       /* .images is NULL where nobody needs them */
    tensor *masks, *made[MADE_TENSORS], *frozen[FROZEN_TENSORS]; /* of the step made of it last */
    train_image told[MOST_BATCH];
} portion;

static bool reads_pixels(const training_run *run)
{
    const training *t = run->training;
    return t->ops->pixels || t->maker || t->detector->takes & TAKES_MASKS ||
           (run->features && !feature_cache_complete(run->features));
}

tensor *training_mirror(tensor *rows, const uint8_t *mirrored, int64_t count)
{
    tensor *each[MOST_BATCH];
    bool any = false;
    for (int64_t i = 0; mirrored && i < count; ++i)
        any = any || mirrored[i];
    if (!rows || !any)
        return rows;
    for (int64_t i = 0; i < count; ++i) {
        each[i] = t_slice(rows, 0, i, i + 1);
        each[i] = mirrored[i] & MIRROR_DOWN ? t_flip(each[i], 2) : each[i];
        each[i] = mirrored[i] & MIRROR_ACROSS ? t_flip(each[i], 3) : each[i];
    }
    return t_cat(each, (int)count, 0);
}

/* Where the features of order[begin..end) lie in the cache: the mirrored ones behind all others. */
static void find_rows(size_t *rows, const training_run *run, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; ++i) {
        size_t image = run->order[i];
        uint8_t mirrored = run->mirrored ? run->mirrored[i] : 0;
        rows[i - begin] = image;
        if (mirrored)
            rows[i - begin] =
                (size_t)(run->count + run->ranks[image] * (TRAIN_MIRRORS - 1)) + mirrored - 1;
    }
}

/* Rows of a tensor that belong to order[begin..end); the whole of it as it is. */
static tensor *part_of(tensor *whole, const portion *read, int64_t begin, int64_t end)
{
    if (!whole || (begin == read->begin && end == read->end))
        return whole;
    return t_slice(whole, 0, begin - read->begin, end - read->begin);
}

/* The step of order[begin..end), which lies in the portion. */
static train_step make_step(training_run *run, portion *read, int64_t begin, int64_t end)
{
    const batch *whole = &read->pixels;
    const uint8_t *mirrored = run->mirrored ? run->mirrored + begin : NULL;
    batch b = {.images = part_of(whole->images, read, begin, end),
               .count = end - begin,
               .height = whole->height,
               .width = whole->width,
               .pixels = whole->pixels ? whole->pixels + (begin - read->begin) : NULL,
               .told = read->told,
               .masks = part_of(whole->masks, read, begin, end)};
    for (int64_t i = begin; i < end; ++i)
        read->told[i - begin] = train_set_image(run->images, run->order[i]);
    for (int k = 0; k < MADE_TENSORS; ++k)
        b.made[k] = read->made[k] = part_of(whole->made[k], read, begin, end);
    b.images = training_mirror(b.images, mirrored, b.count);
    b.masks = training_mirror(b.masks, mirrored, b.count);
    if (run->features) {
        size_t rows[MOST_BATCH];
        find_rows(rows, run, begin, end);
        feature_cache_get(run->features, rows, &b, read->frozen);
    }
    return (train_step){.count = b.count,
                        .images = run->order + begin,
                        .pixels = b,
                        .frozen = read->frozen,
                        .epoch = run->epoch,
                        .epochs = run->epochs,
                        .index = run->index,
                        .told = read->told,
                        .masks = b.masks,
                        .made = read->made,
                        .mirrored = mirrored};
}

/* Calls `look` for the portions of the first `length` places of the order, each in a scope. */
static imiad_status
each_portion(training_run *run, int64_t length, const train_maker *maker,
             imiad_status (*look)(training_run *run, portion *read, void *context), void *context)
{
    bool reading = reads_pixels(run);
    const train_pass pass = {.order = run->order,
                             .count = (size_t)length,
                             .batch = (size_t)run->batch,
                             .maker = maker,
                             .epoch = run->epoch};
    if (reading)
        TRY(train_set_begin(run->images, &pass));
    for (int64_t begin = 0; begin < length; begin += run->batch) {
        portion read = {.begin = begin, .end = smaller(begin + run->batch, length)};
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

static imiad_status visit_portion(training_run *run, portion *read, void *context)
{
    const visitor *v = context;
    train_step step = make_step(run, read, read->begin, read->end);
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
    if (run->mirrored)
        memset(run->mirrored, 0, (size_t)run->count);
    return each_portion(run, run->count, NULL, visit_portion, &(visitor){visit, context});
}

/* ---- steps ---- */

/* Sums over one epoch. */
typedef struct epoch_sums {
    double losses[TRAINING_TURNS], held_out;
    int64_t counts[TRAINING_TURNS]; /* of losses */
    int64_t steps;
} epoch_sums;

static void fail_not_finite(const training_run *run, double value)
{
    t_fail(IMIAD_NOT_FINITE,
           "detector %s: the loss is %g in epoch %lld of %lld, step %lld of %lld: try a smaller "
           "learning_rate, a gradient_clip, a larger train_batch or another seed",
           run->training->detector->ops->name, value, (long long)run->epoch + 1,
           (long long)run->epochs, (long long)(run->index % run->steps) + 1, (long long)run->steps);
}

static void clear_gradients(training *t)
{
    for (int i = 0; i < t->store_count; ++i)
        params_clear_grad(t->stores[i].parameters);
}

static void step_rule(training_run *run, training_rule *rule, const train_step *step)
{
    const training *t = run->training;
    training_schedule schedule = rule->schedule ? rule->schedule : t->ops->rate;
    double rate = rule->rate;
    if (schedule)
        rate = schedule(t->detector, rate, step, run->epochs * run->steps);
    if (rule->clip > 0)
        optimizer_clip_grad(rule->optimizer, rule->clip);
    optimizer_step(rule->optimizer, rate);
}

/* Down the gradients that backward left, and everything that follows from it. */
static void update(training_run *run, const train_step *step)
{
    training *t = run->training;
    double clip = options_real(t->detector->options, "gradient_clip");
    for (int i = 0; clip > 0 && i < t->store_count; ++i)
        params_clip_grad(t->stores[i].parameters, clip);
    if (t->ops->clipped)
        t->ops->clipped(t->detector, step);
    for (int i = 0; i < t->rule_count; ++i)
        if (t->rules[i].turn == step->turn)
            step_rule(run, &t->rules[i], step);
}

/* After the last turn of a step that moved the parameters. */
static void follow(training *t, const train_step *step)
{
    scope s = scope_begin();
    if (t->ops->after)
        t->ops->after(t->detector, step);
    for (int i = 0; i < t->store_count && !t_failed(); ++i)
        if (t->stores[i].average)
            t_try(
                params_average(t->stores[i].average, t->stores[i].parameters, t->stores[i].decay));
    scope_return(&s, NULL);
}

/* How many steps' gradients the optimisers take together at this one; 0: it is not the last of
 * them. An epoch's last group may be smaller. */
static int64_t group_size(const training_run *run, int64_t step, bool *last)
{
    int64_t most = options_int(run->training->detector->options, "accumulate");
    int64_t begin = step / most * most, end = smaller(begin + most, run->steps);
    *last = step + 1 == end;
    return end - begin;
}

static void seed_dropout(const training *t, const train_step *step)
{
    char purpose[96];
    training_purpose(purpose, t->detector, "dropout", step);
    size_t length = strlen(purpose);
    if (step->turn > 0)
        snprintf(purpose + length, sizeof purpose - length, "/%d", step->turn);
    t_seed((uint64_t)options_int(t->detector->options, "seed"), purpose);
}

/* One of the losses of a step. */
static void take_turn(training_run *run, const train_step *step, epoch_sums *sums)
{
    training *t = run->training;
    bool last;
    int64_t group = group_size(run, sums->steps, &last);
    seed_dropout(t, step);
    tensor *objective = t_failed() ? NULL : t->ops->loss(t->detector, step);
    if (t_failed() || (!objective && run->turns > 1))
        return;
    double value = t_item(objective);
    if (!t_failed() && !isfinite(value))
        fail_not_finite(run, value);
    t_backward(group > 1 ? t_mul_scalar(objective, 1.0 / (double)group) : objective);
    if (!t_failed() && last)
        update(run, step);
    if (last)
        clear_gradients(t);
    sums->losses[step->turn] += value;
    sums->counts[step->turn]++;
    log_message(IMIAD_LOG_DEBUG,
                run->turns > 1 ? "%s: step %lld: loss %.9g of turn %d" : "%s: step %lld: loss %.9g",
                t->detector->ops->name, (long long)run->index, value, step->turn + 1);
}

/* One step of order[read->begin..end). */
static imiad_status learn(training_run *run, portion *read, int64_t end, epoch_sums *sums)
{
    training *t = run->training;
    bool last;
    group_size(run, sums->steps, &last);
    scope s = scope_begin_grad();
    train_step step = make_step(run, read, read->begin, end);
    for (step.turn = 0; step.turn < run->turns && !t_failed(); ++step.turn)
        take_turn(run, &step, sums);
    if (last && !t_failed())
        follow(t, &step);
    imiad_status status = scope_end(&s);
    if (status != IMIAD_OK)
        clear_gradients(t);
    return status;
}

static imiad_status hold_against(double *sum, training_run *run, portion *read, int64_t begin)
{
    const training *t = run->training;
    scope s = scope_begin();
    train_step step = make_step(run, read, begin, read->end);
    tensor *mean = t_failed() ? NULL : t->ops->validate(t->detector, &step);
    *sum += t_item(mean) * (double)step.count;
    return scope_end(&s);
}

static imiad_status judge(double *sum, training_run *run, portion *read, int64_t begin)
{
    TRY(training_swap_averages(run->training));
    imiad_status status = hold_against(sum, run, read, begin);
    imiad_status back = training_swap_averages(run->training);
    return status != IMIAD_OK ? status : back;
}

static imiad_status epoch_portion(training_run *run, portion *read, void *context)
{
    epoch_sums *sums = context;
    int64_t end = smaller(read->end, run->drawn);
    if (end > read->begin && sums->steps < run->steps) {
        TRY(learn(run, read, end, sums));
        sums->steps++;
        run->index++;
        TRY(progress_report(run->progress, "train", run->index, run->epochs * run->steps));
    }
    int64_t begin = read->begin > run->drawn ? read->begin : run->drawn;
    return begin < read->end ? judge(&sums->held_out, run, read, begin) : IMIAD_OK;
}

/* ---- epochs ---- */

static random_stream epoch_stream(const training_run *run, const char *what)
{
    const imiad_detector *self = run->training->detector;
    char purpose[96];
    snprintf(purpose, sizeof purpose, "%s/%s/%lld", self->ops->name, what, (long long)run->epoch);
    return random_open((uint64_t)options_int(self->options, "seed"), purpose);
}

static imiad_status draw(training_run *run)
{
    const training *t = run->training;
    random_stream stream = epoch_stream(run, "draw");
    const train_plan plan = {.steps = run->steps,
                             .batch = run->batch,
                             .rest = run->rest,
                             .images = run->list,
                             .count = (size_t)run->trained,
                             .set = run->images,
                             .epoch = run->epoch};
    TRY(t->ops->draw(t->detector, &plan, &stream, run->order));
    for (int64_t i = 0; i < run->drawn; ++i) {
        size_t image = run->order[i] % (size_t)run->count, way = run->order[i] / (size_t)run->count;
        if (way > 0 && (!run->mirrored || way >= TRAIN_MIRRORS || run->ranks[image] < 0))
            return fail(IMIAD_INTERNAL, "detector %s draws image %zu of %lld",
                        t->detector->ops->name, run->order[i], (long long)run->count);
        run->order[i] = image;
        if (run->mirrored)
            run->mirrored[i] = (uint8_t)way;
    }
    return IMIAD_OK;
}

/* The images of an epoch, the held-out ones last. */
static imiad_status order_epoch(training_run *run)
{
    int64_t held_out = run->count - run->trained;
    memcpy(run->order + run->drawn, run->list + run->trained,
           (size_t)held_out * sizeof *run->order);
    if (run->training->ops->draw)
        return draw(run);
    random_stream stream = epoch_stream(run, "order");
    memcpy(run->order, run->list, (size_t)run->trained * sizeof *run->order);
    random_shuffle(&stream, run->order, (size_t)run->trained);
    return IMIAD_OK;
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
        const training_store_entry *entry = &t->stores[i];
        params_free(run->best.stores[i]);
        run->best.stores[i] = NULL;
        TRY(params_clone(&run->best.stores[i],
                         entry->average ? entry->average : entry->parameters));
    }
    run->best.value = value;
    run->best.epoch = run->epoch;
    return IMIAD_OK;
}

static void keep_losses(training_run *run, const epoch_sums *sums)
{
    double *losses = run->losses + run->epoch * run->turns;
    for (int turn = 0; turn < run->turns; ++turn)
        losses[turn] = sums->counts[turn] ? sums->losses[turn] / (double)sums->counts[turn] : 0;
    log_message(IMIAD_LOG_INFO, "%s: epoch %lld of %lld: loss %.6g",
                run->training->detector->ops->name, (long long)run->epoch + 1,
                (long long)run->epochs, losses[0]);
}

static imiad_status run_epoch(training_run *run)
{
    const training *t = run->training;
    epoch_sums sums = {.steps = 0};
    TRY(order_epoch(run));
    TRY(each_portion(run, run->length, t->maker, epoch_portion, &sums));
    keep_losses(run, &sums);
    if (run->trained < run->count)
        TRY(keep_best(run, sums.held_out / (double)(run->count - run->trained)));
    run->epoch++;
    TRY(loss_log_write(run));
    int64_t every = options_int(t->detector->options, "checkpoint_every");
    return run->epoch % every == 0 && run->epoch < run->epochs ? checkpoint_write(run) : IMIAD_OK;
}

imiad_status training_run_epochs(training_run *run)
{
    while (run->epoch < run->epochs)
        TRY(run_epoch(run));
    return IMIAD_OK;
}
