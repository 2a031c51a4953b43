/* A small member of each family of backbones against the public implementations, whose values
 * tests/golden/make_backbones.py left in backbones.csv; dialects, prefixes, broken weights. The
 * weights are a formula of their names and places, which both sides compute. */
#include <math.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/files.h"
#include "check_suite.h"
#include "nn/network.h"
#include "relative_l2.h"

enum { SAMPLES = 16, LIST = 4000 };
#define GOLDEN "tests/golden/backbones.csv" /* made by tests/golden/make_backbones.py */

/* ---- the formula ---- */

/* Murmur3's last step over the place, begun by the name's CRC-32: in [-1, 1). */
static uint32_t beginning(const char *name)
{
    return (uint32_t)crc32(0, (const Bytef *)name, (uInt)strlen(name));
}

static double uniform(uint32_t begin, size_t place)
{
    uint32_t h = (uint32_t)place * 0x9E3779B9u + begin;
    h = (h ^ h >> 16) * 0x85EBCA6Bu;
    h = (h ^ h >> 13) * 0xC2B2AE35u;
    h ^= h >> 16;
    return h * 0x1p-31 - 1;
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void fill(float *values, size_t count, const char *name, int rank, double fan)
{
    double centre = 0, spread = sqrt(6 / fan);
    if (ends_in(name, "running_var")) {
        centre = 1;
        spread = 0.5;
    } else if (ends_in(name, "running_mean") || ends_in(name, "bias")) {
        spread = 0.1;
    } else if (rank == 1) {
        centre = 1;
        spread = 0.3;
    } else if (rank == 3) {
        spread = 0.5;
    }
    uint32_t begin = beginning(name);
    for (size_t i = 0; i < count; ++i)
        values[i] = (float)(centre + spread * uniform(begin, i));
}

static float *make_images(int64_t count, int32_t height, int32_t width)
{
    size_t numbers = (size_t)(count * 3 * height * width);
    float *images = malloc(numbers * sizeof *images);
    for (size_t i = 0; i < numbers; ++i)
        images[i] = (float)(1.5 * uniform(beginning("images"), i));
    return images;
}

/* ---- an architecture's tensors ---- */

/* The network up to a layer (NULL: all of it), its parameters by the formula. */
static network *make_network(params **store, const char *name, const char *deepest)
{
    const architecture *a;
    network *n;
    node_chain chain = {0};
    ck_ok(architecture_find(&a, name));
    ck_ok(a->build(&chain, a));
    const char *layer = deepest ? deepest : chain_last(&chain)->name;
    ck_ok(params_create(store));
    ck_ok(network_create(&n, a, &layer, 1, *store, "", 0, NULL, CPU));
    chain_free(&chain, true);
    for (size_t i = 0; i < params_count(*store); ++i) {
        const param *p = params_at(*store, i);
        scope s = scope_begin();
        int rank = t_rank(p->value);
        int64_t shape[4];
        for (int d = 0; d < rank; ++d)
            shape[d] = t_size(p->value, d);
        size_t count = (size_t)t_count(p->value);
        float *values = malloc(count * sizeof *values);
        fill(values, count, p->name, rank, (double)count / (double)shape[0]);
        t_copy_(p->value, t_from(values, rank, shape, F32, CPU));
        free(values);
        ck_ok(scope_end(&s));
    }
    return n;
}

/* Halves what the blocks of a deep network of inverted blocks add: with the formula's weights alone
 * it grows from block to block until single precision says nothing. */
static void calm(params *store)
{
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        const char *end = strstr(p->name, ".bn3.weight");
        if (end && strcmp(end, ".bn3.weight") == 0)
            t_copy_(p->value, t_mul_scalar(p->value, 0.5));
    }
    ck_ok(scope_end(&s));
}

/* Writes the parameters under the names that `rename` gives them. */
static void write_weights(const char *path, const params *store,
                          void (*rename)(char out[LONGEST_NAME], const char *name))
{
    weights_writer *w;
    ck_ok(weights_writer_create(&w));
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        char name[LONGEST_NAME];
        rename(name, p->name);
        tensor *t = t_contiguous(p->value);
        int64_t shape[4];
        for (int d = 0; d < t_rank(t); ++d)
            shape[d] = t_size(t, d);
        ck_ok(weights_writer_add(w, name, F32, t_rank(t), shape, t_data(t)));
    }
    ck_ok(weights_writer_commit(w, path));
    ck_ok(scope_end(&s));
    weights_writer_free(w);
}

static void same_name(char out[LONGEST_NAME], const char *name)
{
    snprintf(out, LONGEST_NAME, "%s", name);
}

static imiad_status open_backbone(imiad_backbone **out, const char *name, const char *path)
{
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    options.weights = path;
    return imiad_backbone_create(out, name, &options);
}

typedef struct scratch {
    char path[64];
} scratch;

static scratch make_scratch(void)
{
    scratch s = {"/tmp/imiad-test-XXXXXX"};
    close(mkstemp(s.path));
    return s;
}

/* ---- golden values ---- */

enum { MOST_LINES = 64 };

typedef struct golden_layer {
    char name[64];
    int64_t shape[3];
    double norm, samples[SAMPLES];
} golden_layer;

typedef struct golden_run {
    int32_t height, width; /* of the image */
    golden_layer layers[MOST_LINES];
    const char *names[MOST_LINES];
    int count;
} golden_run;

static void read_layer(golden_run *run, const char *line)
{
    ck_assert_int_lt(run->count, MOST_LINES);
    golden_layer *g = &run->layers[run->count];
    int used = 0;
    long long shape[3];
    ck_assert_int_eq(sscanf(line, "%63[^,],%d,%d,%lld,%lld,%lld,%lf%n", g->name, &run->height,
                            &run->width, &shape[0], &shape[1], &shape[2], &g->norm, &used),
                     7);
    line += used;
    for (int i = 0; i < SAMPLES; ++i) {
        char *end;
        ck_assert_int_eq(*line, ',');
        g->samples[i] = strtod(line + 1, &end);
        line = end;
    }
    for (int i = 0; i < 3; ++i)
        g->shape[i] = shape[i];
    run->names[run->count++] = g->name;
}

static void read_golden(golden_run *run, const char *name)
{
    char line[1024], wanted[96];
    run->count = 0;
    int length = snprintf(wanted, sizeof wanted, "layer,%s,", name);
    FILE *file = fopen(GOLDEN, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, wanted, (size_t)length) == 0)
            read_layer(run, line + length);
    fclose(file);
    ck_assert_int_gt(run->count, 0);
}

/* The norm within 1e-5, the samples within 1e-4 of their largest, beside float32 there and here. */
static void check_layer(const golden_layer *g, tensor *found, const char *what)
{
    ck_assert_int_eq(t_rank(found), 4);
    for (int d = 0; d < 3; ++d)
        ck_assert_int_eq(t_size(found, d + 1), g->shape[d]);
    const float *values = t_data(t_contiguous(found));
    int64_t count = t_count(found);
    double norm = 0, largest = 0;
    for (int64_t i = 0; i < count; ++i) {
        norm += (double)values[i] * (double)values[i];
        largest = fmax(largest, fabs((double)values[i]));
    }
    ck_assert_msg(fabs(sqrt(norm) / g->norm - 1) < 1e-5, "%s %s: norm %.9g, not %.9g", what,
                  g->name, sqrt(norm), g->norm);
    for (int i = 0; i < SAMPLES; ++i) {
        double value = (double)values[i * (count - 1) / (SAMPLES - 1)];
        ck_assert_msg(fabs(value - g->samples[i]) < 1e-4 * largest,
                      "%s %s: sample %d is %g, not %g", what, g->name, i, value, g->samples[i]);
    }
}

static const struct {
    const char *name, *deepest;
    bool calmed;
} small[] = {
    {"vgg11", NULL, false},
    {"vgg11_bn", NULL, false},
    {"efficientnet_b0", NULL, false},
    {"mobilenet_v2", NULL, false},
    {"tf_efficientnet_b0", NULL, false},
    {"efficientnet_lite0", NULL, false},
    {"densenet121", NULL, false},
    {"mobilenet_v3_small", NULL, false},
    {"dinov2_vits14_reg", NULL, false},
    {"vit_b_16", "blocks.1", false},
    {"resnext50_32x4d", NULL, false},
    {"dinov2_vits14", NULL, false},
    {"vig_ti_224_gelu", "backbone.4", false},
    {"tf_efficientnet_b6", "blocks.4", true}, /* what BGAD looks at */
};
enum { SMALL = sizeof small / sizeof *small };

/* Frozen, with its batch norms folded, and as a network that may be trained. */
START_TEST(every_layer_equals_the_public_implementation)
{
    params *store;
    network *n = make_network(&store, small[_i].name, small[_i].deepest);
    if (small[_i].calmed)
        calm(store);
    scratch file = make_scratch();
    write_weights(file.path, store, same_name);
    imiad_backbone *b = NULL;
    ck_ok(open_backbone(&b, small[_i].name, file.path));
    unlink(file.path);
    golden_run run;
    read_golden(&run, small[_i].name);
    float *images = make_images(1, run.height, run.width);
    scope s = scope_begin();
    tensor *frozen[MOST_LINES], *trained[MOST_LINES];
    tensor *x = t_from(images, 4, (int64_t[]){1, 3, run.height, run.width}, F32, CPU);
    backbone_features(b, x, run.names, run.count, frozen);
    network_features(n, x, run.names, run.count, trained, false);
    ck_ok(t_status());
    for (int i = 0; i < run.count; ++i) {
        int64_t shape[3];
        check_layer(&run.layers[i], frozen[i], "frozen");
        check_layer(&run.layers[i], trained[i], "trained");
        ck_ok(imiad_backbone_shape(shape, b, run.names[i], run.height, run.width));
        ck_assert_mem_eq(shape, run.layers[i].shape, sizeof shape);
    }
    ck_ok(scope_end(&s));
    free(images);
    network_free(n);
    params_free(store);
    imiad_backbone_free(b);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* ---- dialects ---- */

typedef struct name_set {
    char (*names)[LONGEST_NAME];
    size_t count;
} name_set;

static void add_names(name_set *set, const weights_source *source, const unit *u)
{
    for (int which = 0; which < UNIT_TENSORS; ++which) {
        char ours[LONGEST_NAME];
        if (!unit_has(u, which))
            continue;
        const name_rule *rule;
        unit_tensor_name(ours, u, which);
        ck_assert(source_name(set->names[set->count], &rule, source, ours, u->block, 0));
        bool joined = rule && strchr(rule->theirs, '*');
        for (int piece = 0; piece < (joined ? 3 : 1); ++piece)
            ck_assert(source_name(set->names[set->count++], NULL, source, ours, u->block, piece));
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void digest_names(char out[65], size_t *count, const architecture *a, const dialect *d)
{
    node_chain chain = {0};
    name_set set = {malloc(LIST * sizeof *set.names), 0};
    const weights_source source = {NULL, "", d};
    ck_ok(a->build(&chain, a));
    for (size_t i = 0; i < chain.count; ++i)
        for (int j = 0; j < chain.nodes[i].unit_count; ++j)
            add_names(&set, &source, &chain.nodes[i].units[j]);
    qsort(set.names, set.count, sizeof *set.names, compare_names);
    char *text = calloc(set.count, LONGEST_NAME), *end = text;
    for (size_t i = 0; i < set.count; ++i)
        end = stpcpy(stpcpy(end, set.names[i]), "\n");
    bytes_digest(out, text, (size_t)(end - text));
    *count = set.count;
    free(text);
    free(set.names);
    chain_free(&chain, true);
}

/* All names of a state dict that the public code makes, by their digest. */
START_TEST(dialects_have_the_names_that_their_programs_write)
{
    FILE *file = fopen(GOLDEN, "r");
    char line[1024], name[64], title[64], wanted[65], found[65];
    size_t count, listed;
    int checked = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "names,%63[^,],%63[^,],%zu,%64s", name, title, &listed, wanted) != 4)
            continue;
        const architecture *a;
        static const dialect own[] = {{.name = "torchvision"}, {.name = NULL}};
        ck_ok(architecture_find(&a, name));
        const dialect *d = a->dialects ? a->dialects : own;
        while (d->name && strcmp(d->name, title) != 0)
            ++d;
        ck_assert_msg(d->name, "%s has no dialect %s", name, title);
        digest_names(found, &count, a, d);
        ck_assert_msg(count == listed && strcmp(found, wanted) == 0,
                      "%s, %s: %zu names, not the %zu of the public code", name, title, count,
                      listed);
        ++checked;
    }
    fclose(file);
    ck_assert_int_ge(checked, 15);
}
END_TEST

static void lukemelas_name(char out[LONGEST_NAME], const char *name)
{
    const architecture *a;
    ck_ok(architecture_find(&a, "efficientnet_lite0"));
    node_chain chain = {0};
    ck_ok(a->build(&chain, a));
    const weights_source source = {NULL, "module.encoder.", &a->dialects[1]};
    for (size_t i = 0; i < chain.count; ++i)
        for (int j = 0; j < chain.nodes[i].unit_count; ++j)
            for (int which = 0; which < UNIT_TENSORS; ++which) {
                char ours[LONGEST_NAME];
                const unit *u = &chain.nodes[i].units[j];
                if (unit_has(u, which) && strcmp(unit_tensor_name(ours, u, which), name) == 0)
                    ck_assert(source_name(out, NULL, &source, ours, u->block, 0));
            }
    chain_free(&chain, true);
}

static char said[4096];

static void listen(void *user, imiad_log_level level, const char *message)
{
    (void)user, (void)level;
    strncat(said, message, sizeof said - strlen(said) - 1);
}

/* The prefix is dropped where all names share it; "module." then is gone before the search. */
START_TEST(other_names_below_a_prefix_give_the_same_features_and_are_said)
{
    params *store;
    network *n = make_network(&store, "efficientnet_lite0", "blocks.1");
    scratch plain = make_scratch(), other = make_scratch();
    write_weights(plain.path, store, same_name);
    write_weights(other.path, store, lukemelas_name);
    imiad_backbone *backbones[2] = {NULL, NULL};
    ck_ok(open_backbone(&backbones[0], "efficientnet_lite0", plain.path));
    said[0] = '\0';
    imiad_set_log(listen, NULL);
    ck_ok(open_backbone(&backbones[1], "efficientnet_lite0", other.path));
    imiad_set_log(NULL, NULL);
    ck_assert_ptr_nonnull(strstr(said, "lukemelas's names are read as timm's"));
    ck_assert_ptr_nonnull(strstr(said, "below \"module.encoder.\""));
    ck_assert_str_eq(imiad_backbone_dialect(backbones[0]), "timm");
    ck_assert_str_eq(imiad_backbone_dialect(backbones[1]), "lukemelas");
    enum { SIDE = 32, COUNT = 24 * 8 * 8 };
    float features[2][COUNT], *images = make_images(1, SIDE, SIDE);
    for (int i = 0; i < 2; ++i)
        ck_ok(imiad_backbone_features(features[i], COUNT, backbones[i], "blocks.1", images, 1, SIDE,
                                      SIDE));
    ck_assert_mem_eq(features[0], features[1], sizeof features[0]);
    /* lukemelas pads every image as one of 224 pixels, where TensorFlow looks at the image */
    int64_t shape[3];
    ck_ok(imiad_backbone_shape(shape, backbones[0], "bn1", 33, 33));
    ck_assert_int_eq(shape[1], 17);
    ck_ok(imiad_backbone_shape(shape, backbones[1], "bn1", 33, 33));
    ck_assert_int_eq(shape[1], 16);
    /* and a network that is trained begins with them */
    network *copy;
    params *copied;
    const char *const layer = "blocks.1";
    ck_ok(params_create(&copied));
    ck_ok(network_create(&copy, backbones[1]->architecture, &layer, 1, copied, "", 0, NULL, CPU));
    ck_ok(network_copy(copy, backbones[1]));
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(store); ++i)
        ck_assert_double_eq(t_item(t_max_all(t_abs(
                                t_sub(params_at(copied, i)->value, params_at(store, i)->value)))),
                            0);
    ck_ok(scope_end(&s));
    free(images);
    network_free(n);
    network_free(copy);
    params_free(store);
    params_free(copied);
    for (int i = 0; i < 2; ++i)
        imiad_backbone_free(backbones[i]);
    unlink(plain.path);
    unlink(other.path);
}
END_TEST

/* ---- broken weights ---- */

static void set_number(params *store, const char *name, int64_t place, float value)
{
    const param *p = params_find(store, name);
    ck_assert_msg(p, "no %s", name);
    scope s = scope_begin();
    tensor *changed = t_clone(t_contiguous(p->value));
    ((float *)t_data(changed))[place] = value;
    t_copy_(p->value, changed);
    ck_ok(scope_end(&s));
}

START_TEST(weights_that_cannot_be_are_refused_by_name)
{
    static const struct {
        const char *name;
        float value;
        const char *message;
    } cases[] = {
        {"blocks.0.0.bn1.running_var", NAN, "blocks.0.0.bn1.running_var holds a number"},
        {"blocks.0.0.conv_dw.weight", INFINITY, "blocks.0.0.conv_dw.weight holds a number"},
        {"bn1.running_var", -1e-3f, "bn1.running_var is a variance below zero"}};
    params *store;
    network *n = make_network(&store, "efficientnet_lite0", "blocks.0");
    scratch file = make_scratch();
    imiad_backbone *b = NULL;
    set_number(store, cases[_i].name, 3, cases[_i].value);
    write_weights(file.path, store, same_name);
    ck_fails(open_backbone(&b, "efficientnet_lite0", file.path), IMIAD_FORMAT, cases[_i].message);
    ck_fails(open_backbone(&b, "efficientnet_lite0", file.path), IMIAD_FORMAT, file.path);
    ck_assert_ptr_null(b);
    unlink(file.path);
    network_free(n);
    params_free(store);
}
END_TEST

/* ---- layers and sizes ---- */

START_TEST(a_backbone_lists_its_layers)
{
    imiad_backbone *b = NULL;
    ck_ok(imiad_backbone_create(&b, "tf_efficientnet_b0", NULL));
    size_t count = imiad_backbone_layer_count(b), seen = 0;
    imiad_backbone_layer layer = IMIAD_BACKBONE_LAYER_INIT;
    for (size_t i = 0; i < count; ++i) {
        int64_t shape[3];
        ck_ok(imiad_backbone_layer_info(&layer, b, i));
        ck_ok(imiad_backbone_shape(shape, b, layer.name, 320, 320));
        ck_assert_int_eq(shape[0], layer.channels);
        ck_assert_int_eq(shape[1] * layer.stride, 320);
        ck_assert_int_eq(layer.loaded, 1);
        seen += strcmp(layer.name, "blocks.5.3") == 0 || strcmp(layer.name, "blocks.5") == 0;
    }
    ck_assert_uint_eq(count, 2 + 16 + 7);
    ck_assert_uint_eq(seen, 2);
    ck_fails(imiad_backbone_layer_info(&layer, b, count), IMIAD_INVALID_ARGUMENT, "past the last");
    int64_t shape[3];
    ck_fails(imiad_backbone_shape(shape, b, "features.2", 64, 64), IMIAD_UNKNOWN_OPTION,
             "tf_efficientnet_b0 has no layer \"features.2\"; it has bn1, blocks.0, blocks.1");
    imiad_backbone_free(b);
}
END_TEST

START_TEST(a_transformer_names_the_multiple_that_it_needs)
{
    imiad_backbone *b = NULL;
    int64_t shape[3];
    ck_ok(imiad_backbone_create(&b, "dinov2_vits14", NULL));
    ck_fails(imiad_backbone_shape(shape, b, "blocks.11", 224, 256), IMIAD_INVALID_ARGUMENT,
             "must be multiples of 14");
    ck_ok(imiad_backbone_shape(shape, b, "blocks.11", 224, 280));
    ck_assert_mem_eq(shape, ((int64_t[]){384, 16, 20}), sizeof shape);
    ck_ok(imiad_backbone_shape(shape, b, "blocks.11.cls_token", 224, 280));
    ck_assert_mem_eq(shape, ((int64_t[]){384, 1, 1}), sizeof shape);
    float images[3] = {0}, out[1];
    ck_fails(imiad_backbone_features(out, 1, b, "norm", images, 1, 1, 1), IMIAD_INVALID_ARGUMENT,
             "must be multiples of 14");
    imiad_backbone_free(b);
}
END_TEST

START_TEST(too_small_an_image_is_refused)
{
    imiad_backbone *b = NULL;
    int64_t shape[3];
    ck_ok(imiad_backbone_create(&b, "vgg11", NULL));
    ck_ok(imiad_backbone_shape(shape, b, "features.20", 32, 33));
    ck_fails(imiad_backbone_shape(shape, b, "features.20", 31, 33), IMIAD_INVALID_ARGUMENT,
             "leave nothing of layer features.20");
    imiad_backbone_free(b);
}
END_TEST

/* In double, where a difference quotient is good: all parameters of a family at once. */
START_TEST(gradients_reach_every_parameter)
{
    static const struct {
        const char *name, *deepest;
    } cases[] = {{"vgg11_bn", "features.6"},
                 {"efficientnet_b0", "features.2"},
                 {"mobilenet_v3_small", "features.2"},
                 {"dinov2_vits14_reg", "blocks.1"}};
    params *store;
    network *n = make_network(&store, cases[_i].name, cases[_i].deepest);
    float *images = make_images(2, 28, 28);
    scope s = scope_begin_grad();
    tensor *out, *x = t_from(images, 4, (int64_t[]){2, 3, 28, 28}, F32, CPU);
    network_features(n, x, &cases[_i].deepest, 1, &out, true);
    t_backward(t_mean_all(t_mul(t_cos(out), t_sin(t_mul_scalar(out, 0.7)))));
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        tensor *gradient = p->trainable ? t_grad(p->value) : NULL;
        ck_assert_msg(!p->trainable || gradient, "no gradient of %s", p->name);
        if (gradient)
            ck_assert_msg(t_item(t_max_all(t_abs(gradient))) > 0, "none of %s", p->name);
    }
    ck_ok(scope_end(&s));
    free(images);
    network_free(n);
    params_free(store);
}
END_TEST

SUITE("families", LOOP_TEST(every_layer_equals_the_public_implementation, SMALL),
      TEST(dialects_have_the_names_that_their_programs_write),
      TEST(other_names_below_a_prefix_give_the_same_features_and_are_said),
      LOOP_TEST(weights_that_cannot_be_are_refused_by_name, 3), TEST(a_backbone_lists_its_layers),
      TEST(a_transformer_names_the_multiple_that_it_needs), TEST(too_small_an_image_is_refused),
      LOOP_TEST(gradients_reach_every_parameter, 4))
