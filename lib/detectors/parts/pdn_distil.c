#include "detectors/parts/pdn_distil.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "detectors/parts/channel_statistics.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/patch_embedding.h"
#include "image/preprocess.h"
#include "nn/optimizer.h"
#include "synthesis/color_jitter.h"

/* The paper's: neighbourhoods of 3 x 3, each layer to 1024 numbers, statistics over 10,000 images.
 */
enum { PATCH = 3, LEVEL_DIMENSION = 1024, MOST_STATISTICS = 10000, STATISTICS_BATCH = 8 };
enum { SECTIONS = 20 /* from one writing of the lesson's file to the next */ };
static const double gray_share = 0.1;

/* ---- images, on the loader's threads ---- */

void pdn_lesson_specs(made_spec out[PDN_LESSON_TENSORS], const pdn_lesson *l)
{
    const int32_t sides[PDN_LESSON_TENSORS] = {l->side, l->backbone_side};
    for (int i = 0; i < PDN_LESSON_TENSORS; ++i)
        out[i] =
            (made_spec){.kind = MADE_PLANES, .channels = 3, .height = sides[i], .width = sides[i]};
}

/* The same picture at one side and at the other. */
static imiad_status draw_pair(imiad_image *pair[2], const pdn_lesson *l, const made_from *from,
                              const preprocessing how[2], random_stream *s)
{
    const imiad_image *native;
    if (!l->folder)
        TRY(made_native(&native, from));
    const random_stream before = *s;
    for (int i = 0; i < PDN_LESSON_TENSORS; ++i) {
        *s = before;
        TRY(l->folder ? texture_draw(&pair[i], l->folder, how[i].resize, how[i].resize, NULL, s)
                      : preprocess_image(&pair[i], native, &how[i]));
    }
    return IMIAD_OK;
}

imiad_status pdn_lesson_make(const pdn_lesson *l, const made_from *from, made_output *out)
{
    random_stream s = made_stream(from, "distil");
    const imiad_backbone *b = from->detector->backbone;
    preprocessing how[2] = {{.squash = true, .resize = l->side},
                            {.squash = true, .resize = l->backbone_side}};
    imiad_image *pair[2] = {NULL, NULL};
    for (int c = 0; c < 3; ++c) {
        how[0].mean[c] = imagenet_mean[c];
        how[0].std[c] = imagenet_std[c];
        how[1].mean[c] = b->mean[c];
        how[1].std[c] = b->std[c];
    }
    imiad_status status = draw_pair(pair, l, from, how, &s);
    bool gray = random_real(&s) < gray_share;
    for (int i = 0; i < PDN_LESSON_TENSORS; ++i) {
        if (status == IMIAD_OK && gray)
            color_drop(pair[i]);
        if (status == IMIAD_OK)
            preprocess_normalize(out[i].values, pair[i], &how[i]);
        imiad_image_free(pair[i]);
    }
    return status;
}

/* ---- what is to be learned ---- */

struct pdn_target {
    layer_list layers;
    patch_embedding *embedding; /* NULL: the layers' means over all positions */
    int64_t outputs, positions;
    channel_statistics statistics;
    tensor *mean, *deviation; /* kept, 1 x outputs x 1 x 1 */
};

static imiad_status make_room(pdn_target *t, device d)
{
    const int64_t shape[] = {1, t->outputs, 1, 1};
    scope s = scope_begin();
    t->mean = t_keep(t_zeros(4, shape, F32, d));
    t->deviation = t_keep(t_zeros(4, shape, F32, d));
    return scope_end(&s);
}

static imiad_status parse_layers(layer_list *out, const imiad_detector *self, const char *layers)
{
    char owner[64];
    snprintf(owner, sizeof owner, "detector %s", self->ops->name);
    return layer_list_parse(out, owner, layers, self->backbone);
}

imiad_status pdn_target_create(pdn_target **out, imiad_detector *self, const pdn_lesson *l)
{
    pdn_target *t = calloc(1, sizeof *t);
    if (!t)
        return fail_memory("a teacher's target", sizeof *t);
    t->outputs = l->outputs;
    t->positions = l->pooled ? 1 : pdn_positions(l->side, true);
    imiad_status status = channel_statistics_open(&t->statistics, l->outputs);
    if (status == IMIAD_OK)
        status = parse_layers(&t->layers, self, l->layers);
    if (status == IMIAD_OK && !l->pooled)
        status = patch_embedding_create(&t->embedding, t->layers.count, t->layers.channels, PATCH,
                                        LEVEL_DIMENSION, l->outputs);
    if (status == IMIAD_OK)
        status = make_room(t, detector_device(self));
    if (status != IMIAD_OK) {
        pdn_target_free(t);
        return status;
    }
    *out = t;
    return IMIAD_OK;
}

void pdn_target_free(pdn_target *t)
{
    if (!t)
        return;
    layer_list_free(&t->layers);
    patch_embedding_free(t->embedding);
    t_free(t->mean);
    t_free(t->deviation);
    channel_statistics_close(&t->statistics);
    free(t);
}

/* n x (channels of all layers) x 1 x 1. */
static tensor *pool(const pdn_target *t, tensor *features[MOST_LAYERS])
{
    tensor *means[MOST_LAYERS];
    for (int i = 0; i < t->layers.count; ++i)
        means[i] = t_adaptive_avg_pool2d(features[i], 1, 1);
    return t_cat(means, t->layers.count, 1);
}

tensor *pdn_target_of(pdn_target *t, imiad_detector *self, tensor *images)
{
    tensor *features[MOST_LAYERS];
    const batch b = {.images = images,
                     .count = t_size(images, 0),
                     .height = t_size(images, 2),
                     .width = t_size(images, 3)};
    detector_features(self, &b, t->layers.names, t->layers.count, features);
    if (!t->embedding)
        return pool(t, features);
    const int64_t shape[] = {b.count, t_size(features[0], 2), t_size(features[0], 3), t->outputs};
    tensor *rows = t_zeros(4, shape, F32, CPU);
    float *values = t_data(rows);
    if (!values)
        return NULL;
    patch_embedding_apply(values, t->embedding, features, false);
    tensor *maps = t_permute(t_to_device(rows, detector_device(self)), 4, (int[]){0, 3, 1, 2});
    if (shape[1] == t->positions && shape[2] == t->positions)
        return maps;
    return t_interpolate(maps, t->positions, t->positions, BILINEAR, false);
}

/* ---- passes ---- */

/* Images of an endless shuffled row. */
static size_t *draw_row(size_t count, size_t images, random_stream *s)
{
    size_t *row = malloc((count + images) * sizeof *row);
    for (size_t done = 0; row && done < count; done += images) {
        for (size_t i = 0; i < images; ++i)
            row[done + i] = i;
        random_shuffle(s, row + done, images);
    }
    return row;
}

typedef struct lesson_run {
    const void *network;
    const pdn_lesson *lesson;
    pdn_target *target;
    imiad_detector *detector;
    optimizer *adam;
    params *store; /* of the network */
    int64_t step;
    double last[2];      /* sum of the losses of the last tenth of the steps; how many there were */
    char identity[1024]; /* of the lesson, for its file */
} lesson_run;

static void look(lesson_run *run, const batch *b)
{
    tensor *target = pdn_target_of(run->target, run->detector, b->made[1]);
    channel_statistics_add(&run->target->statistics, target);
}

tensor *pdn_lesson_loss(const void *network, tensor *images, tensor *wanted)
{
    return t_mse_loss(pdn_run(network, images, true), wanted);
}

static void learn(lesson_run *run, const batch *b)
{
    const pdn_lesson *l = run->lesson;
    tensor *wanted = pdn_target_of(run->target, run->detector, b->made[1]);
    wanted = t_div(t_sub(wanted, run->target->mean), run->target->deviation);
    scope s = scope_begin_grad();
    tensor *loss = l->loss(run->network, b->made[0], wanted);
    double value = t_item(loss);
    if (!t_failed() && !isfinite(value))
        t_fail(IMIAD_NOT_FINITE, "detector %s: the loss of distilling is %g in step %lld of %lld",
               run->detector->ops->name, value, (long long)run->step + 1, (long long)l->steps);
    optimizer_zero_grad(run->adam);
    t_backward(loss);
    optimizer_step(run->adam, l->rate);
    scope_return(&s, NULL);
    ++run->step;
    if (run->step > l->steps - (l->steps + 9) / 10) {
        run->last[0] += value;
        run->last[1] += 1;
    }
    log_message(IMIAD_LOG_DEBUG, "%s: distilling: step %lld: loss %.9g", run->detector->ops->name,
                (long long)run->step, value);
}

static imiad_status finish_statistics(pdn_target *t)
{
    scope s = scope_begin();
    channel_statistics_finish(t->mean, t->deviation, &t->statistics);
    return scope_end(&s);
}

/* `before` images of `total` were seen by the passes before this one. */
typedef struct stage {
    const char *name;
    int64_t before, total;
    const progress *progress;
} stage;

static imiad_status pass_over(lesson_run *run, train_set *images, const train_pass *pass,
                              void (*visit)(lesson_run *run, const batch *b), const stage *of)
{
    TRY(train_set_begin(images, pass));
    for (size_t done = 0; done < pass->count;) {
        scope s = scope_begin();
        batch b = {.count = 0};
        if (train_set_next(images, &b))
            visit(run, &b);
        TRY(scope_end(&s));
        done += (size_t)b.count;
        TRY(progress_report(of->progress, of->name, of->before + (int64_t)done, of->total));
    }
    return IMIAD_OK;
}

/* ---- the file that a lesson continues from ---- */

static void identify(char out[1024], const lesson_run *run, const char *images)
{
    const pdn_lesson *l = run->lesson;
    const imiad_backbone *b = run->detector->backbone;
    snprintf(out, 1024,
             "%s of %s %s %s; %lld steps of %lld at %.17g, decay %.17g, seed %llu; "
             "%lld outputs of %d pixels, %d for the backbone; %s",
             l->layers, imiad_backbone_name(b),
             imiad_backbone_digest(b)[0] ? imiad_backbone_digest(b) : imiad_backbone_weights(b),
             imiad_backbone_precision(b), (long long)l->steps, (long long)l->batch, l->rate,
             l->weight_decay, (unsigned long long)l->seed, (long long)l->outputs, l->side,
             l->backbone_side, l->folder ? texture_source_name(l->folder) : images);
}

static bool name_file(char out[4200], const char *checkpoint)
{
    snprintf(out, 4200, "%s.teacher", checkpoint);
    return checkpoint[0];
}

static imiad_status write_all(const lesson_run *run, weights_writer *w)
{
    TRY(weights_writer_metadata(w, "lesson", run->identity));
    TRY(weights_writer_add(w, "step", I64, 1, (int64_t[]){1}, &run->step));
    TRY(weights_writer_add(w, "last", F64, 1, (int64_t[]){2}, run->last));
    TRY(weights_writer_add_tensor(w, "target.mean", run->target->mean));
    TRY(weights_writer_add_tensor(w, "target.deviation", run->target->deviation));
    TRY(params_save(run->store, "teacher.", w));
    return params_save(optimizer_state(run->adam), "adam.", w);
}

static imiad_status write_lesson(const lesson_run *run)
{
    char path[4200];
    weights_writer *w;
    if (!name_file(path, run->lesson->checkpoint))
        return IMIAD_OK;
    TRY(weights_writer_create(&w));
    scope s = scope_begin(); /* holds what the writer borrows */
    imiad_status status = write_all(run, w);
    if (status == IMIAD_OK && !t_failed())
        status = weights_writer_commit(w, path);
    imiad_status failure = scope_end(&s);
    weights_writer_free(w);
    return failure != IMIAD_OK ? failure : status;
}

static imiad_status read_tensor(tensor *into, const weights *file, const char *name)
{
    const int64_t shape[] = {1, t_size(into, 1), 1, 1};
    tensor *read;
    TRY(weights_expect(NULL, file, name, F32, 4, shape));
    TRY(weights_load_tensor(&read, file, name, t_device(into)));
    scope s = scope_begin();
    t_copy_(into, read);
    imiad_status status = scope_end(&s);
    t_free(read);
    return status;
}

static imiad_status read_all(lesson_run *run, const weights *file)
{
    const char *identity = weights_metadata(file, "lesson");
    const weight *step, *last;
    if (!identity || strcmp(identity, run->identity) != 0)
        return fail(IMIAD_MISMATCH,
                    "it is of another lesson: \"%s\", not \"%s\"; name another checkpoint, or "
                    "delete it to begin anew",
                    identity ? identity : "", run->identity);
    TRY(weights_expect(&step, file, "step", I64, 1, (int64_t[]){1}));
    TRY(weights_expect(&last, file, "last", F64, 1, (int64_t[]){2}));
    memcpy(&run->step, step->data, sizeof run->step);
    memcpy(run->last, last->data, sizeof run->last);
    if (run->step < 0 || run->step > run->lesson->steps)
        return fail(IMIAD_FORMAT, "its counter is damaged");
    TRY(read_tensor(run->target->mean, file, "target.mean"));
    TRY(read_tensor(run->target->deviation, file, "target.deviation"));
    TRY(params_load(run->store, file, "teacher.", PARAMS_EXACT));
    return params_load(optimizer_state(run->adam), file, "adam.", PARAMS_EXACT);
}

/* *found: there was such a file. */
static imiad_status read_lesson(bool *found, lesson_run *run)
{
    char path[4200];
    weights *file;
    *found = name_file(path, run->lesson->checkpoint) && file_exists(path);
    if (!*found)
        return IMIAD_OK;
    TRY(weights_open(&file, path));
    imiad_status status = weights_verify(file);
    if (status == IMIAD_OK)
        status = read_all(run, file);
    weights_free(file);
    return status == IMIAD_OK ? status : fail_within(status, "%s", path);
}

imiad_status pdn_lesson_end(const char *checkpoint)
{
    char path[4200];
    if (name_file(path, checkpoint) && unlink(path) != 0 && errno != ENOENT)
        return fail(IMIAD_IO, "cannot remove the finished %s: %s", path, strerror(errno));
    return IMIAD_OK;
}

/* ---- the whole lesson ---- */

/* The steps in sections, each a pass of its own: what is made of an image depends on the section
 * and on its place there, however often the lesson was interrupted. */
static imiad_status learn_sections(lesson_run *run, train_set *images, const train_maker *maker,
                                   const size_t *row, const progress *p)
{
    const pdn_lesson *l = run->lesson;
    int64_t length = (l->steps + SECTIONS - 1) / SECTIONS;
    while (run->step < l->steps) {
        int64_t left = l->steps - run->step, steps = left < length ? left : length;
        const train_pass pass = {.order = row + run->step * l->batch,
                                 .count = (size_t)(steps * l->batch),
                                 .batch = (size_t)l->batch,
                                 .maker = maker,
                                 .epoch = 1 + run->step / length};
        const stage of = {"distil", run->step * l->batch, l->steps * l->batch, p};
        TRY(pass_over(run, images, &pass, learn, &of));
        TRY(write_lesson(run));
    }
    return IMIAD_OK;
}

static imiad_status run_passes(lesson_run *run, train_set *images, const train_maker *maker,
                               const progress *p)
{
    const pdn_lesson *l = run->lesson;
    size_t known = train_set_count(images), all = (size_t)(l->steps * l->batch);
    size_t different = l->folder ? texture_source_count(l->folder) : known;
    size_t counted = different < MOST_STATISTICS ? different : MOST_STATISTICS;
    char purpose[96];
    snprintf(purpose, sizeof purpose, "%s/distil/order", run->detector->ops->name);
    random_stream s = random_open(l->seed, purpose);
    size_t *row = draw_row(all > counted ? all : counted, known, &s);
    bool found = false;
    if (!row)
        return fail_memory("an order of images", all * sizeof *row);
    const train_pass looking = {.order = row,
                                .count = counted < all ? counted : all,
                                .batch = STATISTICS_BATCH,
                                .maker = maker};
    imiad_status status = read_lesson(&found, run);
    if (status == IMIAD_OK && !found)
        status = pass_over(run, images, &looking, look,
                           &(stage){"statistics", 0, (int64_t)looking.count, p});
    if (status == IMIAD_OK && !found)
        status = finish_statistics(run->target);
    if (status == IMIAD_OK && !found)
        status = write_lesson(run);
    if (status == IMIAD_OK)
        status = learn_sections(run, images, maker, row, p);
    train_set_rest(images);
    free(row);
    return status;
}

imiad_status pdn_distil(char said[512], const void *network, params *store, const pdn_lesson *l,
                        imiad_detector *self, train_set *images, const train_maker *maker,
                        const progress *p)
{
    lesson_run run = {.network = network, .lesson = l, .detector = self, .store = store};
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM, .weight_decay = l->weight_decay};
    char digest[65];
    TRY(train_set_digest(digest, images));
    identify(run.identity, &run, digest);
    TRY(pdn_target_create(&run.target, self, l));
    imiad_status status = optimizer_create(&run.adam, store, NULL, &adam);
    if (status == IMIAD_OK)
        status = run_passes(&run, images, maker, p);
    params_clear_grad(store);
    optimizer_free(run.adam);
    pdn_target_free(run.target);
    snprintf(said, 512, "distilled from %s's %s in %lld steps of %lld, %s, last loss %.4g",
             imiad_backbone_name(self->backbone), l->layers, (long long)l->steps,
             (long long)l->batch,
             l->folder ? texture_source_name(l->folder) : "the training images",
             run.last[0] / run.last[1]);
    return status;
}
