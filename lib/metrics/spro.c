/* The metrics of MVTec LOCO. Pixels of good, structural and logical images are kept in one store
 * each; the good ones' normals are shared by the other two. The area itself is pro.c's. */
#include <stdlib.h>

#include "base/error.h"
#include "base/options.h"
#include "imiad/metrics.h"
#include "metrics/sizes.h"

static const option_spec spro_options[] = {
    {"infinities", OPT_CHOICE, "reject", "reject|allow", "what to do with infinite scores"},
    {"sizes", OPT_CHOICE, "equal", "equal|map", SIZES_HELP},
    {0},
};
static const option_spec *const option_tables[] = {spro_options, NULL};

enum { GOOD, STRUCTURAL, LOGICAL, KINDS };
static const char *const kind_names[KINDS] = {"good", "structural", "logical"};

/* Asking changes nothing that can be seen, but sorts and counts; hence the extra pointer. */
typedef struct spro_state {
    pixel_rules rules;
    image_scores images; /* labelled by kind */
    pixel_store *stores[KINDS];
    uint64_t empty_channels[KINDS], raised_saturations[KINDS];
} spro_state;

struct imiad_spro {
    spro_state *state;
};

imiad_status imiad_spro_create(imiad_spro **out, const imiad_option *options, size_t option_count)
{
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_spro_create: out is NULL");
    option_set *set = NULL;
    TRY(options_parse(&set, "spro", option_tables, options, option_count));
    bool infinities = strcmp(options_text(set, "infinities"), "allow") == 0;
    size_rule sizes = size_rule_named(options_text(set, "sizes"));
    options_free(set);
    imiad_spro *spro = malloc(sizeof *spro);
    spro_state *state = calloc(1, sizeof *state);
    if (!spro || !state) {
        free(spro);
        free(state);
        return fail_memory("sPRO", sizeof *state);
    }
    spro->state = state;
    state->rules = (pixel_rules){.connectivity = 8, .infinities = infinities, .sizes = sizes};
    imiad_status status = IMIAD_OK;
    for (int i = 0; i < KINDS && status == IMIAD_OK; ++i)
        status = pixel_store_create(&state->stores[i]);
    if (status != IMIAD_OK) {
        imiad_spro_free(spro);
        return status;
    }
    state->stores[STRUCTURAL]->shared = state->stores[LOGICAL]->shared =
        state->stores[GOOD]->normals;
    *out = spro;
    return IMIAD_OK;
}

void imiad_spro_free(imiad_spro *spro)
{
    if (!spro)
        return;
    image_scores_free(&spro->state->images);
    for (int i = 0; i < KINDS; ++i)
        pixel_store_free(spro->state->stores[i]);
    free(spro->state);
    free(spro);
}

imiad_status imiad_spro_option_info(imiad_option_info *out, size_t index)
{
    return options_info(out, option_tables, index);
}

static imiad_status kind_of_image(int *out, imiad_spro_kind kind)
{
    if (kind < IMIAD_SPRO_GOOD || kind > IMIAD_SPRO_LOGICAL)
        return fail(IMIAD_OUT_OF_RANGE,
                    "kind is %d: that of an image is good (1), structural (2) or logical (3)",
                    (int)kind);
    *out = (int)kind - IMIAD_SPRO_GOOD;
    return IMIAD_OK;
}

imiad_status imiad_spro_add_image(imiad_spro *spro, imiad_spro_kind kind, double score)
{
    int label = GOOD;
    if (!spro)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_spro_add_image: spro is NULL");
    TRY(kind_of_image(&label, kind));
    return image_scores_add(&spro->state->images, label, score, spro->state->rules.infinities);
}

static imiad_status check_channel(const imiad_spro_channel *channel)
{
    if (!channel->mask)
        return fail(IMIAD_INVALID_ARGUMENT, "the mask is NULL");
    TRY(mask_check(channel->mask));
    if (!(channel->saturation >= 0) || (channel->relative && channel->saturation > 1))
        return fail(IMIAD_OUT_OF_RANGE, "the saturation is %g: it must be %s", channel->saturation,
                    channel->relative ? "in [0, 1], a share of the channel's area"
                                      : "a number of pixels");
    return IMIAD_OK;
}

static imiad_status check_map(const float *map, int32_t width, int32_t height, int kind,
                              const imiad_spro_channel *channels, size_t channel_count)
{
    if (!map)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_spro_add_map: map is NULL");
    if (width < 1 || height < 1)
        return fail(IMIAD_INVALID_ARGUMENT, "a map of %d x %d: both must be at least 1", (int)width,
                    (int)height);
    if (kind == GOOD && channel_count > 0)
        return fail(IMIAD_INVALID_ARGUMENT, "a good image with %zu channels of ground truth",
                    channel_count);
    if (kind != GOOD && (channel_count == 0 || !channels))
        return fail(IMIAD_INVALID_ARGUMENT, "a %s image without channels of ground truth",
                    kind_names[kind]);
    for (size_t i = 0; i < channel_count; ++i) {
        imiad_status status = check_channel(&channels[i]);
        if (status != IMIAD_OK)
            return fail_within(status, "channel %zu", i);
    }
    return IMIAD_OK;
}

imiad_status imiad_spro_add_map(imiad_spro *spro, const float *map, int32_t width, int32_t height,
                                imiad_spro_kind kind, const imiad_spro_channel *channels,
                                size_t channel_count)
{
    int label = GOOD;
    if (!spro)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_spro_add_map: spro is NULL");
    TRY(kind_of_image(&label, kind));
    TRY(check_map(map, width, height, label, channels, channel_count));
    spro_state *state = spro->state;
    const ground_truth truth = {.channels = label == GOOD ? NULL : channels,
                                .channel_count = channel_count};
    TRY(add_sized(state->stores[label], map, width, height, truth, state->rules));
    if (label != GOOD) {
        state->empty_channels[label] += state->stores[label]->mask.empty_channels;
        state->raised_saturations[label] += state->stores[label]->mask.raised_saturations;
    }
    return IMIAD_OK;
}

imiad_status imiad_spro_count(imiad_spro_counts *out, const imiad_spro *spro)
{
    if (!out || !spro)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_spro_count: %s is NULL", out ? "spro" : "out");
    const spro_state *state = spro->state;
    imiad_spro_counts counts = {.struct_size = out->struct_size};
    for (size_t i = 0; i < state->images.count; ++i)
        counts.images[state->images.items[i].label]++;
    for (int i = 0; i < KINDS; ++i) {
        const pixel_store *store = state->stores[i];
        counts.maps[i] = (int64_t)store->map_count;
        counts.normal_pixels[i] = (int64_t)score_set_total(store->normals);
        counts.channels[i] = (int64_t)store->region_count;
        counts.empty_channels[i] = (int64_t)state->empty_channels[i];
        counts.raised_saturations[i] = (int64_t)state->raised_saturations[i];
    }
    memcpy(out, &counts, out->struct_size < sizeof counts ? out->struct_size : sizeof counts);
    return IMIAD_OK;
}

/* A result of one kind of defect; of both, half their sum. */
typedef imiad_status kind_result(double *out, const spro_state *state, int kind, double limit);

static imiad_status ask(double *out, const imiad_spro *spro, imiad_spro_kind kind,
                        kind_result *result, double limit)
{
    if (!out || !spro)
        return fail(IMIAD_INVALID_ARGUMENT, "%s is NULL", out ? "spro" : "out");
    if (kind < IMIAD_SPRO_STRUCTURAL || kind > IMIAD_SPRO_MEAN)
        return fail(IMIAD_OUT_OF_RANGE,
                    "kind is %d: that of a result is structural (2), logical (3) or their mean (4)",
                    (int)kind);
    if (kind != IMIAD_SPRO_MEAN)
        return result(out, spro->state, (int)kind - IMIAD_SPRO_GOOD, limit);
    double structural, logical;
    TRY(result(&structural, spro->state, STRUCTURAL, limit));
    TRY(result(&logical, spro->state, LOGICAL, limit));
    *out = 0.5 * (structural + logical);
    return IMIAD_OK;
}

static imiad_status area_of_kind(double *out, const spro_state *state, int kind, double limit)
{
    pixel_store *store = state->stores[kind];
    if (store->region_count == 0)
        return fail(IMIAD_UNDEFINED, "%s sPRO is undefined: no pixel of a %s defect was added",
                    kind_names[kind], kind_names[kind]);
    if (pixel_store_normals(store) == 0)
        return fail(IMIAD_UNDEFINED, "%s sPRO is undefined: no good pixel was added",
                    kind_names[kind]);
    if (state->stores[GOOD]->incomplete)
        return fail(IMIAD_NO_MEMORY, "sPRO lacks a map: memory ran out while it was added");
    return pro_area(out, store, limit);
}

imiad_status imiad_spro_area(double *out, const imiad_spro *spro, imiad_spro_kind kind,
                             double limit)
{
    if (!(limit > 0 && limit <= 1))
        return fail(IMIAD_OUT_OF_RANGE, "the limit of sPRO is %g: it must be in (0, 1]", limit);
    return ask(out, spro, kind, area_of_kind, limit);
}

/* Good images and those of a kind, with labels 0 and 1. */
static imiad_status images_of_kind(image_scores *out, const spro_state *state, int kind)
{
    image_scores list = {0};
    for (size_t i = 0; i < state->images.count; ++i) {
        const image_score *image = &state->images.items[i];
        if (image->label != GOOD && image->label != kind)
            continue;
        imiad_status status = image_scores_add(&list, image->label != GOOD, image->score, true);
        if (status != IMIAD_OK) {
            image_scores_free(&list);
            return status;
        }
    }
    *out = list;
    return IMIAD_OK;
}

static imiad_status auroc_of_kind(double *out, const spro_state *state, int kind, double limit)
{
    image_scores list;
    TRY(images_of_kind(&list, state, kind));
    ranking r = ranking_of_images(list.items, list.count);
    image_scores_free(&list);
    imiad_status status = ranking_auroc(out, &r, "image");
    return status == IMIAD_OK ? status : fail_within(status, "%s images", kind_names[kind]);
}

imiad_status imiad_spro_image_auroc(double *out, const imiad_spro *spro, imiad_spro_kind kind)
{
    return ask(out, spro, kind, auroc_of_kind, 0);
}

static imiad_status loco_order_of_kind(double *out, const spro_state *state, int kind, double limit)
{
    image_scores list;
    TRY(images_of_kind(&list, state, kind));
    imiad_status status = auroc_loco_order(out, &list);
    image_scores_free(&list);
    return status == IMIAD_OK ? status : fail_within(status, "%s images", kind_names[kind]);
}

imiad_status imiad_spro_image_auroc_loco_order(double *out, const imiad_spro *spro,
                                               imiad_spro_kind kind)
{
    return ask(out, spro, kind, loco_order_of_kind, 0);
}
