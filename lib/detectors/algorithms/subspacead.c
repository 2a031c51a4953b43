/* SubspaceAD: the features of normal images span a linear subspace that holds almost all of their
 * variance; a position is as anomalous as it is far from that subspace. Lendering, Akdag, Bondarev:
 * "SubspaceAD: Training-Free Few-Shot Anomaly Detection via Subspace Modeling", CVPR 2026. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/anomaly_map.h"
#include "detectors/parts/foreground.h"
#include "detectors/parts/map_scores.h"
#include "detectors/parts/random_rotation.h"
#include "detectors/parts/subspace.h"
#include "detectors/parts/transformer.h"
#include "detectors/parts/turned_copies.h"
#include "image/pixels.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official",
     "whose defaults: this library's, the authors' code for few images"},
    {"layers", OPT_TEXT, "", "",
     "backbone layers: those with + between are averaged, those with commas between stand side by "
     "side on the first one's grid; empty: middle blocks of a transformer, averaged, and "
     "layer2,layer3 of others"},
    {"explained_variance", OPT_REAL, "0.99", "0<..1",
     "share of the variance that the kept components hold"},
    {"components", OPT_INT, "0", "0..65536",
     "components to keep; 0: as many as explained_variance says"},
    {"rotations", OPT_INT, "0", "0..1000",
     "copies of each image, turned by up to 345 degrees, that are learned beside it"},
    ROTATE_UP_TO_OPTION,
    {"rotation_fill", OPT_CHOICE, "black", "black|mirror",
     "what a turned image shows where nothing was seen"},
    {"score", OPT_CHOICE, "residual", "residual|mahalanobis|energy|cosine",
     "squared distance to the subspace, distance from the mean within it with or without the "
     "variances, or the angle to the nearest point in it"},
    {"drop_first", OPT_INT, "0", "0..65536", "leading components that scores leave out"},
    {"blur", OPT_CHOICE, "3x3", "3x3|none", "a square of 3 x 3 pixels over the map (the code)"},
    {"image_score", OPT_CHOICE, "top", MAP_SCORES,
     "of the finished map: mean of the largest share, maximum, mean, 99th percentile, mean of the "
     "5 largest pixels"},
    {"top_share", OPT_REAL, "0.01", "0<..1", "share of the pixels that image_score=top averages"},
    {"more_tasks", OPT_CHOICE, "apart", "apart|merged",
     "a subspace for each task, the nearest of which counts, or one of all that was learned"},
    {"seed", OPT_INT, "0", "0..", "draws the angles"},
    {"foreground", OPT_CHOICE, "none", "none|pca",
     "scores are 0 outside the object, which the first principal component of the image's own "
     "tokens shows"},
    {"foreground_threshold", OPT_REAL, "10", "0..",
     "what that component exceeds where the object is"},
    {"interpolation", OPT_CHOICE, "bilinear", "bilinear|bicubic", "how images are resized"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "resize_mode", "squash"},
    {"official", "resize", "672"},
    {"official", "crop", "0"},
    {"official", "rotations", "30"},
    {0},
};

static const imiad_option later[] = {{"foreground", "none"},
                                     {"foreground_threshold", "10"},
                                     {"interpolation", "bilinear"},
                                     {NULL, NULL}};

enum { MOST_NAMES = 64, MOST_DEGREES = 345 };

typedef tensor *row_score(const subspace *s, tensor *rows, int64_t drop);

typedef struct subspacead {
    char *text; /* the names' memory */
    const char *names[MOST_NAMES];
    int groups[MOST_NAMES]; /* of each name: those of one group are averaged */
    int count;
    int64_t columns;
    row_score *measure;
    int64_t drop;
    bool masked; /* what is not the object scores 0 */
    bool merged;
    moments learned; /* with `merged`: of all tasks */
    subspace *tasks; /* with `merged` one */
    size_t task_count;
} subspacead;

/* ---- layers ---- */

/* The blocks that the authors average, and otherwise the upper half. */
static void middle_blocks(int *first, int *last, int depth)
{
    static const struct {
        int depth, first, last;
    } official[] = {{12, 7, 8}, {24, 13, 17}, {40, 22, 28}};
    *first = depth / 2;
    *last = depth - 1;
    for (size_t i = 0; i < sizeof official / sizeof *official; ++i)
        if (official[i].depth == depth) {
            *first = official[i].first;
            *last = official[i].last;
        }
}

static char *choose_layers(const imiad_detector *self)
{
    const char *given = options_text(self->options, "layers");
    int depth = transformer_depth(&self->backbone->chain), first, last;
    if (*given || depth == 0)
        return strdup(*given ? given : "layer2,layer3");
    middle_blocks(&first, &last, depth);
    size_t room = (size_t)(last - first + 1) * 16, used = 0;
    char *text = malloc(room);
    for (int block = first; text && block <= last; ++block)
        used += (size_t)snprintf(text + used, room - used, "%sblocks.%d", block > first ? "+" : "",
                                 block);
    return text;
}

static imiad_status add_layer(subspacead *m, const imiad_backbone *backbone, const char *name,
                              bool joins)
{
    chain_layer layer;
    if (m->count == MOST_NAMES)
        return fail(IMIAD_OUT_OF_RANGE, "detector subspacead: option layers names more than %d",
                    MOST_NAMES);
    TRY(backbone_require(backbone, name));
    TRY(layer_require(&layer, &backbone->chain, "detector subspacead", name));
    if (layer.class_token)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector subspacead needs layers with positions, not %s", name);
    if (!joins)
        m->columns += layer.node->channels;
    else if (node_find(&backbone->chain, m->names[m->count - 1])->channels != layer.node->channels)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector subspacead: option layers averages %s and %s, which have other "
                    "channels: put a comma between",
                    m->names[m->count - 1], name);
    m->groups[m->count] = m->count == 0 ? 0 : m->groups[m->count - 1] + !joins;
    m->names[m->count++] = name;
    return IMIAD_OK;
}

static imiad_status parse_layers(subspacead *m, const imiad_backbone *backbone)
{
    bool joins = false;
    for (char *name = m->text;;) {
        char *end = name + strcspn(name, "+,"), sign = *end;
        *end = 0;
        imiad_status status = add_layer(m, backbone, name, joins);
        if (status != IMIAD_OK)
            return fail_within(status, "detector subspacead: option layers");
        if (!sign)
            return IMIAD_OK;
        joins = sign == '+';
        name = end + 1;
    }
}

/* ---- making ---- */

static row_score *find_score(const char *name)
{
    static const struct {
        const char *name;
        row_score *score;
    } known[] = {{"residual", subspace_residual},
                 {"mahalanobis", subspace_mahalanobis},
                 {"energy", subspace_energy},
                 {"cosine", subspace_cosine}};
    size_t i = 0;
    while (strcmp(known[i].name, name) != 0)
        ++i;
    return known[i].score;
}

static imiad_status create(imiad_detector *self)
{
    subspacead *m = self->state;
    m->measure = find_score(options_text(self->options, "score"));
    m->drop = options_int(self->options, "drop_first");
    m->merged = strcmp(options_text(self->options, "more_tasks"), "merged") == 0;
    m->masked = strcmp(options_text(self->options, "foreground"), "none") != 0;
    if (m->masked && transformer_depth(&self->backbone->chain) == 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector subspacead: option foreground needs a transformer's tokens, not %s",
                    self->backbone->architecture->name);
    m->text = choose_layers(self);
    if (!m->text)
        return fail_memory("a list of layers", 1024);
    TRY(parse_layers(m, self->backbone));
    int64_t wanted = options_int(self->options, "components");
    if (wanted >= m->columns)
        return fail(
            IMIAD_OUT_OF_RANGE,
            "detector subspacead: option components is %lld: the layers have %lld channels, "
            "and something has to be left outside",
            (long long)wanted, (long long)m->columns);
    return IMIAD_OK;
}

static void forget(subspacead *m)
{
    for (size_t i = 0; i < m->task_count; ++i)
        subspace_free(&m->tasks[i]);
    free(m->tasks);
    m->tasks = NULL;
    m->task_count = 0;
    moments_free(&m->learned);
}

static void destroy(imiad_detector *self)
{
    subspacead *m = self->state;
    forget(m);
    free(m->text);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const subspacead *m = self->state;
    *count = m->count;
    return m->names;
}

/* ---- features ---- */

/* n x height x width x columns. */
static tensor *embed(imiad_detector *self, const batch *b)
{
    const subspacead *m = self->state;
    tensor *features[MOST_NAMES], *parts[MOST_NAMES];
    int groups = m->groups[m->count - 1] + 1, used = 0;
    detector_features(self, b, m->names, m->count, features);
    for (int g = 0; g < groups && !t_failed(); ++g) {
        tensor *sum = NULL;
        int members = 0;
        for (; used < m->count && m->groups[used] == g; ++members)
            sum = t_plus(sum, features[used++]);
        sum = members > 1 ? t_div_scalar(sum, members) : sum;
        if (t_size(sum, 2) != t_size(features[0], 2) || t_size(sum, 3) != t_size(features[0], 3))
            sum =
                t_interpolate(sum, t_size(features[0], 2), t_size(features[0], 3), BILINEAR, false);
        parts[g] = t_permute(sum, 4, (int[]){0, 2, 3, 1});
    }
    return groups > 1 ? t_cat(parts, groups, 3) : t_contiguous(parts[0]);
}

/* Image i's positions as rows. */
static tensor *rows_of(const subspacead *m, tensor *embedded, int64_t i)
{
    return t_view(t_slice(embedded, 0, i, i + 1), 2, (int64_t[]){-1, m->columns});
}

/* ---- fit ---- */

/* The image itself, then its turned copies. */
static imiad_status make_copy(const made_from *from, made_output *out)
{
    const option_set *o = from->detector->options;
    size_t copies = 1 + (size_t)options_int(o, "rotations"), row = 3 * (size_t)out->width;
    if (from->place % copies > 0) {
        random_stream stream = made_stream(from, "rotation");
        return rotation_put(out, from->image, random_between(&stream, 0, MOST_DEGREES),
                            strcmp(options_text(o, "rotation_fill"), "mirror") == 0);
    }
    for (int32_t y = 0; y < out->height; ++y)
        memcpy(out->bytes + (size_t)y * row, image_row(from->image, y), row);
    return IMIAD_OK;
}

static const made_spec copy_spec = {.kind = MADE_IMAGE};
static const train_maker copy_maker = {&copy_spec, 1, make_copy};

static imiad_status add_batches(moments *out, imiad_detector *self, train_set *normals,
                                int64_t total, const progress *p)
{
    const subspacead *m = self->state;
    int64_t done = 0;
    for (bool more = true; more;) {
        scope s = scope_begin();
        batch b;
        more = train_set_next(normals, &b);
        if (more && total > (int64_t)train_set_count(normals))
            b.images = b.made[0];
        tensor *embedded = more ? embed(self, &b) : NULL;
        for (int64_t i = 0; more && i < b.count && !t_failed(); ++i)
            moments_add(out, rows_of(m, embedded, i));
        TRY(scope_end(&s));
        done += more ? b.count : 0;
        TRY(progress_report(p, "features", done, total));
    }
    return IMIAD_OK;
}

/* Of the given images alone. */
static imiad_status collect(moments *out, imiad_detector *self, train_set *normals,
                            const progress *p)
{
    size_t copies =
        turned_copies_of(self, normals, 1 + (size_t)options_int(self->options, "rotations"));
    *out = (moments){0};
    if (copies > 1)
        TRY(turned_copies_begin(normals, &copy_maker, copies, self->tasks));
    imiad_status status =
        add_batches(out, self, normals, (int64_t)(train_set_count(normals) * copies), p);
    train_set_rest(normals);
    if (status != IMIAD_OK)
        moments_free(out);
    return status;
}

static imiad_status find_subspace(subspace *out, const imiad_detector *self, const moments *from)
{
    const option_set *o = self->options;
    imiad_status status = subspace_find(out, from, options_real(o, "explained_variance"),
                                        options_int(o, "components"));
    return status == IMIAD_OK
               ? IMIAD_OK
               : fail_within(status, "detector subspacead: option %s",
                             options_int(o, "components") ? "components" : "explained_variance");
}

static imiad_status append(subspacead *m, subspace *one)
{
    subspace *grown = realloc(m->tasks, (m->task_count + 1) * sizeof *grown);
    if (!grown) {
        subspace_free(one);
        return fail_memory("a subspace", (m->task_count + 1) * sizeof *grown);
    }
    m->tasks = grown;
    grown[m->task_count++] = *one;
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    subspacead *m = self->state;
    moments found;
    subspace one;
    forget(m);
    TRY(collect(&found, self, normals, p));
    imiad_status status = find_subspace(&one, self, &found);
    if (status == IMIAD_OK)
        status = append(m, &one);
    if (status == IMIAD_OK && m->merged)
        m->learned = found;
    else
        moments_free(&found);
    return status;
}

/* The moments of all tasks take the place of those before. */
static imiad_status merge(subspacead *m, const imiad_detector *self, moments *found)
{
    subspace one;
    scope s = scope_begin();
    moments_merge(found, &m->learned);
    TRY(scope_end(&s));
    TRY(find_subspace(&one, self, found));
    moments all = *found;
    *found = (moments){0};
    forget(m);
    m->learned = all;
    return append(m, &one);
}

static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    subspacead *m = self->state;
    moments found;
    subspace one;
    TRY(collect(&found, self, normals, p));
    imiad_status status = m->merged ? merge(m, self, &found) : find_subspace(&one, self, &found);
    if (status == IMIAD_OK && !m->merged)
        status = append(m, &one);
    moments_free(&found);
    return status;
}

/* ---- score ---- */

/* The scores of an image's positions, 0 outside the object. */
static tensor *hide_background(tensor *found, tensor *rows, const imiad_detector *self,
                               int64_t height, int64_t width)
{
    const foreground_rule rule = {options_real(self->options, "foreground_threshold"), false};
    int64_t count = height * width;
    bool *shown = malloc((size_t)count * sizeof *shown);
    tensor *hidden = t_clone(t_contiguous(t_to_device(found, CPU)));
    float *values = t_data(hidden);
    if (!shown)
        t_fail(IMIAD_NO_MEMORY, "out of memory: the foreground of %lld places", (long long)count);
    if (shown && values)
        foreground_find(shown, rows, height, width, &rule);
    for (int64_t i = 0; shown && values && !t_failed() && i < count; ++i)
        values[i] = shown[i] ? values[i] : 0;
    free(shown);
    return hidden;
}

/* n x height x width: the least over the tasks' subspaces, an image at a time. */
static tensor *measure(const imiad_detector *self, tensor *embedded)
{
    const subspacead *m = self->state;
    int64_t count = t_size(embedded, 0);
    tensor **maps = malloc((size_t)count * sizeof(tensor *)), *all = NULL;
    if (!maps)
        t_fail(IMIAD_NO_MEMORY, "out of memory: maps of %lld images", (long long)count);
    for (int64_t i = 0; i < count && !t_failed(); ++i) {
        scope s = scope_begin();
        tensor *rows = rows_of(m, embedded, i), *least = NULL;
        for (size_t task = 0; task < m->task_count; ++task) {
            tensor *found = m->measure(&m->tasks[task], rows, m->drop);
            least = least ? t_minimum(least, found) : found;
        }
        if (m->masked)
            least = hide_background(least, rows, self, t_size(embedded, 1), t_size(embedded, 2));
        maps[i] = scope_return(&s, least);
    }
    if (!t_failed())
        all = t_stack(maps, (int)count, 0);
    free(maps);
    return t_view(all, 3, (int64_t[]){count, t_size(embedded, 1), t_size(embedded, 2)});
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    tensor *maps = t_to_device(measure(self, embed(self, b)), CPU);
    maps = map_upsample(maps, b->height, b->width);
    if (strcmp(options_text(self->options, "blur"), "3x3") == 0)
        maps = map_gaussian(maps, 3, 4, PAD_REFLECT); /* the code's, of OpenCV */
    tensor *pixels = map_smoothed(maps, options_real(self->options, "smoothing"));
    pixels = t_view(pixels, 2, (int64_t[]){b->count, b->height * b->width});
    *out = (scores){maps, map_image_scores(pixels, options_text(self->options, "image_score"),
                                           options_real(self->options, "top_share"))};
}

/* ---- file ---- */

static const char *task_name(char out[64], size_t task, const char *what)
{
    snprintf(out, 64, "task.%zu.%s", task, what);
    return out;
}

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const subspacead *m = self->state;
    char name[64];
    for (size_t i = 0; i < m->task_count; ++i) {
        const subspace *s = &m->tasks[i];
        TRY(weights_writer_add_tensor(writer, task_name(name, i, "mean"), s->mean));
        TRY(weights_writer_add_tensor(writer, task_name(name, i, "components"), s->components));
        TRY(weights_writer_add_tensor(writer, task_name(name, i, "variances"), s->variances));
        if (s->complement)
            TRY(weights_writer_add_tensor(writer, task_name(name, i, "complement"), s->complement));
    }
    return m->merged ? moments_save(&m->learned, writer) : IMIAD_OK;
}

static imiad_status load_task(subspacead *m, const imiad_detector *self, const weights *file)
{
    char mean[64], components[64], variances[64], complement[64];
    const weight *found;
    size_t task = m->task_count;
    device d = detector_device(self);
    subspace one = {NULL};
    task_name(mean, task, "mean");
    task_name(components, task, "components");
    task_name(variances, task, "variances");
    task_name(complement, task, "complement");
    TRY(weights_expect(NULL, file, mean, F32, 1, &m->columns));
    TRY(weights_expect(&found, file, components, F32, 2, (int64_t[]){m->columns, ANY_SIZE}));
    int64_t kept = found->shape[1], others = m->columns - kept;
    TRY(weights_expect(NULL, file, variances, F32, 1, &kept));
    bool narrow = weights_find(file, complement);
    if (narrow)
        TRY(weights_expect(NULL, file, complement, F32, 2, (int64_t[]){m->columns, others}));
    imiad_status status = weights_load_tensor(&one.mean, file, mean, d);
    if (status == IMIAD_OK)
        status = weights_load_tensor(&one.components, file, components, d);
    if (status == IMIAD_OK)
        status = weights_load_tensor(&one.variances, file, variances, d);
    if (status == IMIAD_OK && narrow)
        status = weights_load_tensor(&one.complement, file, complement, d);
    if (status != IMIAD_OK) {
        subspace_free(&one);
        return status;
    }
    return append(m, &one);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    subspacead *m = self->state;
    char name[64];
    do
        TRY(load_task(m, self, file));
    while (!m->merged && weights_find(file, task_name(name, m->task_count, "mean")));
    return m->merged ? moments_load(&m->learned, m->columns, file, detector_device(self))
                     : IMIAD_OK;
}

const detector_ops subspacead_ops = {
    .name = "subspacead",
    .title = "SubspaceAD (Lendering et al., CVPR 2026)",
    .joins_tasks = true,
    .options = options,
    .presets = presets,
    .later = later,
    .state_size = sizeof(subspacead),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
