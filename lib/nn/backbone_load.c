/* Making a backbone: from a file in any dialect of its architecture, below any prefix, or from a
 * seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "nn/backbone.h"

static const float imagenet_mean_of_input[3] = {0.485f, 0.456f, 0.406f};
static const float imagenet_std_of_input[3] = {0.229f, 0.224f, 0.225f};

static const dialect own_names[] = {{.name = "torchvision"}, {.name = NULL}};

static const dialect *dialects_of(const architecture *a)
{
    return a->dialects ? a->dialects : own_names;
}

bool backbone_has_own_names(const imiad_backbone *b)
{
    return b->dialect == dialects_of(b->architecture);
}

/* ---- making ---- */

void backbone_destroy(imiad_backbone *b)
{
    chain_free(&b->chain, true);
    free(b->missing);
    free(b->weights);
    free(b);
}

static imiad_status parse_precision(dtype *out, const char *text)
{
    if (!text || strcmp(text, "float32") == 0)
        *out = F32;
    else if (strcmp(text, "bfloat16") == 0)
        *out = BF16;
    else
        return fail(IMIAD_UNKNOWN_OPTION, "precision \"%s\" is neither float32 nor bfloat16", text);
    return IMIAD_OK;
}

static void speak(imiad_backbone *b, const dialect *d)
{
    b->dialect = d;
    memcpy(b->mean, d->mean ? d->mean : imagenet_mean_of_input, sizeof b->mean);
    memcpy(b->std, d->std ? d->std : imagenet_std_of_input, sizeof b->std);
    if (d->adjust)
        d->adjust(&b->chain);
}

imiad_status backbone_make(imiad_backbone **out, const char *name, const char *device_text,
                           const char *precision)
{
    const architecture *a = NULL;
    dtype type = F32;
    device d = CPU;
    TRY(architecture_find(&a, name));
    TRY(parse_precision(&type, precision));
    TRY(device_parse(&d, device_text ? device_text : "cpu"));
    imiad_backbone *b = calloc(1, sizeof *b);
    if (!b)
        return fail_memory("a backbone", sizeof *b);
    b->architecture = a;
    b->device = d;
    b->precision = type;
    device_name(d, b->device_text);
    atomic_init(&b->references, 1);
    imiad_status status = a->build(&b->chain, a);
    if (status != IMIAD_OK) {
        backbone_destroy(b);
        return status;
    }
    *out = b;
    return IMIAD_OK;
}

/* ---- all tensors of an architecture ---- */

typedef struct tensor_place {
    size_t node;
    int index; /* of the unit in the node */
    int which; /* of its tensors */
    const unit *unit;
} tensor_place;
#define BEFORE_THE_FIRST                                                                           \
    {                                                                                              \
        .which = -1                                                                                \
    }

/* Goes from tensor to tensor. */
static bool next_tensor(tensor_place *p, const node_chain *chain)
{
    for (; p->node < chain->count; ++p->node, p->index = 0) {
        const node *n = &chain->nodes[p->node];
        for (; p->index < n->unit_count; ++p->index, p->which = -1) {
            p->unit = &n->units[p->index];
            while (++p->which < UNIT_TENSORS)
                if (unit_has(p->unit, p->which))
                    return true;
        }
    }
    return false;
}

static const weight *find_tensor(const weights_source *source, const unit *u, int which, int piece)
{
    char ours[LONGEST_NAME], theirs[LONGEST_NAME];
    unit_tensor_name(ours, u, which);
    return source_name(theirs, NULL, source, ours, u->block, piece)
               ? weights_find(source->file, theirs)
               : NULL;
}

/* ---- whose names, below which prefix ---- */

static size_t count_found(const imiad_backbone *b, const weights_source *source)
{
    size_t count = 0;
    for (tensor_place p = BEFORE_THE_FIRST; next_tensor(&p, &b->chain);)
        count += find_tensor(source, p.unit, p.which, 0) != NULL;
    return count;
}

/* Every prefix before the name of the first tensor is tried. */
static void try_dialect(finding *best, const imiad_backbone *b, const weights *file,
                        const dialect *d)
{
    char ours[LONGEST_NAME], first[LONGEST_NAME];
    tensor_place p = BEFORE_THE_FIRST;
    weights_source plain = {file, "", d};
    if (!next_tensor(&p, &b->chain))
        return;
    unit_tensor_name(ours, p.unit, p.which);
    source_name(first, NULL, &plain, ours, p.unit->block, 0);
    size_t length = strlen(first);
    for (size_t i = 0; i < weights_count(file); ++i) {
        const char *name = weights_get(file, i)->name;
        size_t whole = strlen(name), before = whole - length;
        if (whole < length || before >= LONGEST_NAME || strcmp(name + before, first) != 0 ||
            (before > 0 && name[before - 1] != '.' && name[before - 1] != '/'))
            continue;
        finding found = {.dialect = d};
        snprintf(found.prefix, sizeof found.prefix, "%.*s", (int)before, name);
        weights_source source = {file, found.prefix, d};
        found.count = count_found(b, &source);
        if (found.count > best->count)
            *best = found;
        else if (found.count == best->count && d == best->dialect)
            log_message(IMIAD_LOG_WARNING,
                        "weights of backbone %s stand below \"%s\" and below \"%s\": the first are "
                        "taken",
                        b->architecture->name, best->prefix, found.prefix);
    }
}

void backbone_find_names(finding *out, const imiad_backbone *b, const weights *file)
{
    const dialect *all = dialects_of(b->architecture);
    *out = (finding){.dialect = &all[0]};
    for (const dialect *d = all; d->name; ++d)
        try_dialect(out, b, file, d);
}

/* ---- loading ---- */

/* The classifier behind the last node and what only training needs: part of many files, never used
 * here. */
static bool is_ignored(const char *name)
{
    static const char *const beginnings[] = {
        "fc.",   "classifier.", "head.",    "heads.",     "head_dist.", "_fc.",
        "head/", "pre_logits",  "fc_norm.", "mask_token", "dist_token", "prediction."};
    static const char counter[] = "num_batches_tracked";
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; ++i)
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    size_t length = strlen(name), tail = sizeof counter - 1;
    return length > tail && strcmp(name + length - tail, counter) == 0;
}

static void mark(bool *used, const weights *file, const weight *w)
{
    if (w)
        used[w - weights_get(file, 0)] = true;
}

/* A weight that the architecture has no place for means that the file is another architecture's. */
static imiad_status check_strangers(const imiad_backbone *b, const weights_source *source,
                                    bool *used)
{
    size_t length = strlen(source->prefix);
    for (tensor_place p = BEFORE_THE_FIRST; next_tensor(&p, &b->chain);) {
        for (int piece = 0; piece < 3; ++piece)
            mark(used, source->file, find_tensor(source, p.unit, p.which, piece));
        mark(used, source->file, find_tensor(source, p.unit, UNIT_BIAS, 0)); /* of a folded one */
    }
    for (size_t i = 0; i < weights_count(source->file); ++i) {
        const char *name = weights_get(source->file, i)->name;
        if (!used[i] && strncmp(name, source->prefix, length) == 0 && !is_ignored(name + length))
            return fail(IMIAD_MISMATCH, "weight %s is none of the architecture's", name);
    }
    return IMIAD_OK;
}

/* So does one of another shape, used or not. */
static imiad_status check_file(const imiad_backbone *b, const weights_source *source)
{
    size_t count = weights_count(source->file);
    bool *used = calloc(count + 1, sizeof *used);
    if (!used)
        return fail_memory("a list of weights", count);
    imiad_status status = check_strangers(b, source, used);
    free(used);
    TRY(status);
    for (size_t i = 0; i < b->chain.count; ++i)
        for (int j = 0; j < b->chain.nodes[i].unit_count; ++j)
            TRY(unit_check(&b->chain.nodes[i].units[j], source));
    return IMIAD_OK;
}

static imiad_status load_nodes(imiad_backbone *b, const weights_source *source)
{
    for (b->loaded = 0; b->loaded < b->chain.count; ++b->loaded) {
        node *n = &b->chain.nodes[b->loaded];
        char missing[LONGEST_NAME];
        for (int j = 0; j < n->unit_count; ++j)
            if (!unit_present(&n->units[j], source, missing)) {
                b->missing = strdup(missing);
                return b->missing ? IMIAD_OK : fail_memory("a name", strlen(missing));
            }
        for (int j = 0; j < n->unit_count; ++j)
            TRY(unit_load(&n->units[j], source, b->device, b->precision));
        weights_let_go(source->file);
    }
    return IMIAD_OK;
}

static imiad_status fill(imiad_backbone *b, const weights_source *source, const char *file_name)
{
    speak(b, source->dialect);
    TRY(check_file(b, source));
    TRY(load_nodes(b, source));
    if (b->loaded == 0)
        return fail(IMIAD_MISMATCH, "there is no weight %s", b->missing);
    b->weights = strdup(file_name);
    return b->weights ? IMIAD_OK : fail_memory("a path", strlen(file_name));
}

/* Hands the backbone over, or destroys it. */
static imiad_status finish(imiad_backbone **out, imiad_backbone *b, imiad_status status,
                           const char *file_name)
{
    if (status == IMIAD_OK) {
        *out = b;
        return IMIAD_OK;
    }
    fail_within(status, "%s as weights of %s", file_name, b->architecture->name);
    backbone_destroy(b);
    return status;
}

imiad_status backbone_from_weights(imiad_backbone **out, const char *architecture_name,
                                   const weights *file, const char *prefix, const char *file_name,
                                   const char *dialect_name, const char *device_text,
                                   const char *precision)
{
    imiad_backbone *b;
    TRY(backbone_make(&b, architecture_name, device_text, precision));
    const dialect *all = dialects_of(b->architecture), *first = all;
    weights_source source = {file, prefix, first};
    imiad_status status = fill(b, &source, file_name);
    for (const dialect *d = all; status == IMIAD_OK && dialect_name && d->name; ++d)
        if (strcmp(d->name, dialect_name) == 0)
            speak(b, d);
    return finish(out, b, status, file_name);
}

static void say_names(const imiad_backbone *b, const weights *file, const finding *found)
{
    if (found->dialect != dialects_of(b->architecture))
        log_message(IMIAD_LOG_INFO, "backbone %s: %s's names are read as %s's",
                    b->architecture->name, found->dialect->name,
                    dialects_of(b->architecture)->name);
    size_t length = strlen(found->prefix), others = 0;
    for (size_t i = 0; i < weights_count(file); ++i)
        others += strncmp(weights_get(file, i)->name, found->prefix, length) != 0;
    if (length > 0)
        log_message(IMIAD_LOG_INFO,
                    "backbone %s: its weights are those below \"%s\"; %zu others are left",
                    b->architecture->name, found->prefix, others);
}

static void normalize_as_asked(imiad_backbone *b, const imiad_backbone_options *options)
{
    if (options->deviation[0] == 0)
        return;
    memcpy(b->mean, options->mean, sizeof b->mean);
    memcpy(b->std, options->deviation, sizeof b->std);
}

imiad_status backbone_from_file(imiad_backbone **out, const char *name,
                                const imiad_backbone_options *options)
{
    imiad_backbone *b;
    weights *file;
    char digest[65];
    finding found;
    TRY(weights_digest(digest, options->weights)); /* before the file is mapped to be read */
    TRY(backbone_make(&b, name, options->device, options->precision));
    imiad_status status = weights_open(&file, options->weights);
    if (status != IMIAD_OK) {
        backbone_destroy(b);
        return status;
    }
    backbone_find_names(&found, b, file);
    say_names(b, file, &found);
    status = fill(b, &(weights_source){file, found.prefix, found.dialect}, options->weights);
    weights_free(file);
    memcpy(b->digest, digest, sizeof digest);
    normalize_as_asked(b, options);
    return finish(out, b, status, options->weights);
}

imiad_status backbone_from_seed(imiad_backbone **out, const char *name,
                                const imiad_backbone_options *options)
{
    imiad_backbone *b;
    TRY(backbone_make(&b, name, options->device, options->precision));
    speak(b, dialects_of(b->architecture));
    normalize_as_asked(b, options);
    imiad_status status = IMIAD_OK;
    for (b->loaded = 0; status == IMIAD_OK && b->loaded < b->chain.count; ++b->loaded) {
        node *n = &b->chain.nodes[b->loaded];
        for (int j = 0; status == IMIAD_OK && j < n->unit_count; ++j)
            status = unit_random(&n->units[j], options->seed, b->device, b->precision);
    }
    if (status == IMIAD_OK &&
        asprintf(&b->weights, "random weights, seed %llu", (unsigned long long)options->seed) < 0) {
        b->weights = NULL;
        status = fail_memory("a name", 64);
    }
    if (status != IMIAD_OK) {
        backbone_destroy(b);
        return status;
    }
    *out = b;
    return IMIAD_OK;
}
