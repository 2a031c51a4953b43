#include "station/learn.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checked.h"
#include "arguments.h"
#include "names.h"
#include "station/judge.h"
#include "station/plan.h"
#include "torch_start.h"

typedef struct learning {
    command *command;
    warnings warnings;
    plan plan;
    imiad_backbone *backbone;
    imiad_detector *detector;
    imiad_calibration thresholds;
    size_t learned; /* images that the setting left to train on */
    /* the test images */
    size_t good, called_bad, bad, found;
    double auroc; /* NAN where it does not exist */
    json_t *false_alarms, *missed;
} learning;

/* ---- the detector ---- */

static bool is_given(const settings *s, const char *name)
{
    for (size_t i = 0; i < s->count; ++i)
        if (strcmp(s->list[i].name, name) == 0)
            return true;
    return false;
}

static void add_default(command *c, const char *name, const char *value)
{
    settings *s = &c->detector_options;
    if (option_known(imiad_detector_option_info, c->detector, name) && !is_given(s, name) &&
        s->count < MOST_WORDS)
        s->list[s->count++] = (imiad_option){name, value};
}

static bool may_be_zero(const char *detector, const char *name)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t i = 0; imiad_detector_option_info(&info, detector, i) == IMIAD_OK; ++i)
        if (strcmp(info.name, name) == 0)
            return strncmp(info.range, "0..", 3) == 0;
    return false;
}

/* The network of the default weights has narrow layers: averaging them to 1024 values would stretch
 * them. Kept as they are they find more, with a seventh of the memory. */
static void keep_narrow_layers(command *c)
{
    static const char *const widths[] = {"pretrain_embed_dimension", "target_embed_dimension"};
    bool narrow = (c->weights && strcmp(c->weights, "default") == 0) ||
                  (c->backbone && strcmp(c->backbone, "efficientnet_lite0") == 0);
    for (int i = 0; i < 2; ++i)
        narrow = narrow && may_be_zero(c->detector, widths[i]) &&
                 !is_given(&c->detector_options, widths[i]);
    for (int i = 0; narrow && i < 2; ++i)
        add_default(c, widths[i], "0");
}

/* A station looks at the whole image: it is squashed to the network's input, and nothing is cut
 * off, unless somebody asks for it. */
static int settle_options(command *c)
{
    bool crops = is_given(&c->detector_options, "crop");
    if (c->tile_side > 0 && crops) {
        fprintf(stderr, "%s: tiles are looked at as a whole: crop and --tiles exclude each other\n",
                c->program);
        return -1;
    }
    if (c->tile_side > 0 && strcmp(c->setting, "unsupervised") != 0) {
        fprintf(stderr, "%s: tiles are learned in the unsupervised setting only\n", c->program);
        return -1;
    }
    if (!crops) {
        add_default(c, "crop", "0");
        add_default(c, "resize_mode", "squash");
    }
    keep_narrow_layers(c);
    snprintf(c->seed_text, sizeof c->seed_text, "%lld", c->seed);
    add_default(c, "seed", c->seed_text);
    return 0;
}

static imiad_status make_detector(learning *l)
{
    command *c = l->command;
    imiad_backbone_options network = IMIAD_BACKBONE_OPTIONS_INIT;
    network.default_weights = c->weights && strcmp(c->weights, "default") == 0;
    network.weights = network.default_weights ? NULL : c->weights;
    network.seed = (uint64_t)c->seed;
    network.device = c->device;
    network.precision = c->precision;
    const char *otherwise = network.default_weights ? NULL : "resnet18";
    imiad_status status = torch_start();
    if (status == IMIAD_OK)
        status =
            imiad_backbone_create(&l->backbone, c->backbone ? c->backbone : otherwise, &network);
    if (status == IMIAD_OK)
        status = imiad_detector_create(&l->detector, c->detector, l->backbone,
                                       c->detector_options.list, c->detector_options.count);
    return status;
}

/* ---- scoring ---- */

static imiad_status score_sample(judged *out, learning *l, size_t index,
                                 const imiad_score_options *options)
{
    imiad_image *image;
    imiad_status status = imiad_dataset_read_deep_image(&image, l->plan.files, index);
    if (status != IMIAD_OK)
        return status;
    status = judge(out, l->detector, image, options);
    imiad_image_free(image);
    return status;
}

/* The scores of the held out images, and the highest values of their maps. *maps: whether there are
 * maps. */
static imiad_status score_held_out(float *scores, float *maxima, bool *maps, learning *l,
                                   const imiad_score_options *options)
{
    const index_list *held = &l->plan.held_out;
    progress_line shown = {imiad_dataset_category(l->plan.files, l->plan.category), NULL, 0};
    imiad_status status = IMIAD_OK;
    *maps = true;
    for (size_t i = 0; status == IMIAD_OK && i < held->count; ++i) {
        const imiad_progress at = {sizeof at, "threshold", (int64_t)i + 1, (int64_t)held->count};
        judged j;
        status = score_sample(&j, l, held->at[i], options);
        if (status != IMIAD_OK)
            break;
        scores[i] = j.score;
        maxima[i] = j.highest;
        *maps = *maps && j.map;
        judged_free(&j);
        progress_line_show(&shown, &at);
    }
    return status;
}

static void say_source(char out[256], const learning *l)
{
    const plan *p = &l->plan;
    if (p->official)
        snprintf(out, 256, "%zu validation images of the folder", p->held_out.count);
    else
        snprintf(out, 256, "%zu of %zu good images, held out, seed %lld", p->held_out.count,
                 p->held_out.count + p->learned.count, l->command->seed);
}

static imiad_status calibrate(learning *l)
{
    const command *c = l->command;
    size_t count = l->plan.held_out.count;
    float *scores = calloc(2 * count, sizeof *scores), *maxima = scores + count;
    imiad_calibration how = IMIAD_CALIBRATION_INIT;
    imiad_calibration_options options = IMIAD_CALIBRATION_OPTIONS_INIT;
    char source[256];
    bool maps = false;
    if (!scores)
        return imiad_fail(IMIAD_NO_MEMORY, "out of memory for scores");
    how.tile_side = (int32_t)c->tile_side;
    how.tile_overlap = c->tile_side > 0 ? c->tile_overlap : 0;
    imiad_score_options score = judge_options(&how);
    options.quantile = c->quantile;
    options.high_quantile = fmin(options.high_quantile, c->quantile);
    say_source(source, l);
    imiad_status status = score_held_out(scores, maxima, &maps, l, &score);
    if (status == IMIAD_OK)
        status = imiad_detector_calibrate(l->detector, scores, NULL, maps ? maxima : NULL, count,
                                          source, &options);
    free(scores);
    l->thresholds = (imiad_calibration)IMIAD_CALIBRATION_INIT;
    if (status == IMIAD_OK)
        status = imiad_detector_calibration(&l->thresholds, l->detector);
    if (status == IMIAD_OK && c->tile_side > 0) {
        l->thresholds.tile_side = how.tile_side;
        l->thresholds.tile_overlap = how.tile_overlap;
        status = imiad_detector_set_calibration(l->detector, &l->thresholds);
        if (status == IMIAD_OK)
            status = imiad_detector_calibration(&l->thresholds, l->detector);
    }
    return status;
}

/* ---- the test images ---- */

static void keep_name(json_t *list, const char *path)
{
    json_t *entry = json_object();
    name_into(entry, "image", path);
    json_array_append_new(list, entry);
}

static imiad_status measure_one(learning *l, imiad_metrics *metrics, size_t index,
                                const imiad_score_options *options)
{
    imiad_sample s = IMIAD_SAMPLE_INIT;
    judged j;
    imiad_dataset_sample(&s, l->plan.files, index);
    imiad_status status = score_sample(&j, l, index, options);
    if (status != IMIAD_OK)
        return status;
    bool anomalous = (double)j.score > l->thresholds.threshold;
    judged_free(&j);
    if (s.label == 1) {
        ++l->bad;
        l->found += anomalous;
    } else {
        ++l->good;
        l->called_bad += anomalous;
    }
    if (anomalous != (s.label == 1))
        keep_name(s.label == 1 ? l->missed : l->false_alarms, s.path);
    return imiad_metrics_add_image(metrics, s.label, (double)j.score);
}

static imiad_status measure(learning *l)
{
    const index_list *test = &l->plan.test;
    imiad_score_options options = judge_options(&l->thresholds);
    progress_line shown = {imiad_dataset_category(l->plan.files, l->plan.category), NULL, 0};
    imiad_metrics *metrics;
    l->auroc = NAN;
    l->false_alarms = json_array();
    l->missed = json_array();
    imiad_status status = imiad_metrics_create(&metrics, NULL, 0);
    if (status != IMIAD_OK)
        return status;
    for (size_t i = 0; status == IMIAD_OK && i < test->count; ++i) {
        const imiad_progress at = {sizeof at, "test", (int64_t)i + 1, (int64_t)test->count};
        status = measure_one(l, metrics, test->at[i], &options);
        progress_line_show(&shown, &at);
    }
    if (status == IMIAD_OK && l->good > 0 && l->bad > 0)
        imiad_metrics_image_auroc(&l->auroc, metrics);
    imiad_metrics_free(metrics);
    return status;
}

/* ---- the report and the record ---- */

static void report_names(const char *what, const json_t *list)
{
    enum { SHOWN = 10 };
    for (size_t i = 0; i < json_array_size(list) && i < SHOWN; ++i)
        printf("  %s: %s\n", what,
               json_string_value(json_object_get(json_array_get(list, i), "image")));
    if (json_array_size(list) > SHOWN)
        printf("  ... and %zu more, all in the record\n", json_array_size(list) - SHOWN);
}

static void report(const learning *l)
{
    const plan *p = &l->plan;
    const char *path = l->command->words[2];
    printf("%s: %zu learned, threshold %g from %zu held out", path, l->learned,
           l->thresholds.threshold, p->held_out.count);
    if (p->test.count == 0)
        printf("; there are no test images to measure it with\n");
    else
        printf(", %zu of %zu good called bad, %zu of %zu bad found\n", l->called_bad, l->good,
               l->found, l->bad);
    if (!isnan(l->auroc))
        printf("  image AUROC %.4f\n", l->auroc);
    report_names("good, called bad", l->false_alarms);
    report_names("bad, not found", l->missed);
    size_t doubts = json_array_size(l->warnings.list);
    if (doubts > 0)
        printf("  %zu %s, in the record too: %s.json\n", doubts,
               doubts == 1 ? "warning" : "warnings", path);
}

static json_t *options_record(const learning *l)
{
    json_t *object = json_object();
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t i = 0; imiad_detector_option_info(&info, l->command->detector, i) == IMIAD_OK; ++i)
        json_object_set_new(object, info.name,
                            json_string(imiad_detector_option(l->detector, info.name)));
    return object;
}

static json_t *weights_record(const learning *l)
{
    json_t *object = json_pack("{s:s, s:s, s:s}", "backbone", imiad_backbone_name(l->backbone),
                               "digest", imiad_backbone_digest(l->backbone), "provenance",
                               imiad_backbone_provenance(l->backbone));
    name_into(object, "weights", imiad_backbone_weights(l->backbone));
    return object;
}

static json_t *thresholds_record(const imiad_calibration *c)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:s, s:i, s:f}", "threshold", c->threshold,
                     "low_threshold", c->low_threshold, "high_threshold", c->high_threshold,
                     "map_threshold", c->map_threshold, "quantile", c->quantile, "source",
                     c->source, "tile_side", (int)c->tile_side, "tile_overlap", c->tile_overlap);
}

static json_t *range_record(const learned_range *r)
{
    return json_pack("{s:[i, i], s:[i, i], s:b, s:b}", "width", r->width[0], r->width[1], "height",
                     r->height[0], r->height[1], "gray", r->gray, "color", r->color);
}

/* Inspection reads images as they were learned. */
static json_t *reading_record(const imiad_dataset *files)
{
    return json_pack("{s:s, s:s}", "range", imiad_dataset_option(files, "range"), "orientation",
                     imiad_dataset_option(files, "orientation"));
}

static json_t *make_record(const learning *l)
{
    const plan *p = &l->plan;
    char digest[65] = "";
    imiad_dataset_digest(digest, p->files);
    json_t *record = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:s, s:O}", "libimiad_version",
        imiad_version(), "libtorch_version", imiad_torch_version(), "detector",
        l->command->detector, "options", options_record(l), "network", weights_record(l), "learned",
        (json_int_t)l->learned, "held_out", (json_int_t)p->held_out.count, "thresholds",
        thresholds_record(&l->thresholds), "images", range_record(&p->range), "reading",
        reading_record(p->files), "dataset_digest", digest, "warnings", l->warnings.list);
    json_t *test =
        json_pack("{s:I, s:I, s:I, s:I, s:O, s:O}", "good", (json_int_t)l->good, "called_bad",
                  (json_int_t)l->called_bad, "bad", (json_int_t)l->bad, "found",
                  (json_int_t)l->found, "false_alarms", l->false_alarms, "missed", l->missed);
    json_object_set_new(test, "image_auroc", number_record(l->auroc));
    json_object_set_new(record, "test", test);
    name_into(record, "folder", l->command->words[1]);
    name_into(record, "command", l->command->text);
    return record;
}

static char *record_path(const char *detector_path)
{
    char *path;
    return asprintf(&path, "%s.json", detector_path) < 0 ? NULL : path;
}

static int write_record(const learning *l)
{
    char *path = record_path(l->command->words[2]);
    json_t *record = make_record(l);
    int code = path && json_dump_file(record, path, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) == 0
                   ? 0
                   : SOME_FAILED;
    if (code)
        fprintf(stderr, "%s: cannot write %s: %s\n", l->command->program, path ? path : "a record",
                strerror(errno));
    json_decref(record);
    free(path);
    return code;
}

bool learn_recall(learned_range *out, imiad_decode_options *reading, const char *detector_path)
{
    const char *stated = "", *orientation = "";
    char *path = record_path(detector_path);
    json_t *record = path ? json_load_file(path, 0, NULL) : NULL;
    int gray = 0, color = 0;
    learned_range r = {0};
    bool known = record && json_unpack(record, "{s:{s:[i, i], s:[i, i], s:b, s:b}}", "images",
                                       "width", &r.width[0], &r.width[1], "height", &r.height[0],
                                       &r.height[1], "gray", &gray, "color", &color) == 0;
    r.gray = gray;
    r.color = color;
    if (record) /* one that an earlier version wrote says nothing of it */
        json_unpack(record, "{s:{s:s, s:s}}", "reading", "range", &stated, "orientation",
                    &orientation);
    *reading = look_decoding(stated, orientation);
    if (known)
        *out = r;
    json_decref(record);
    free(path);
    return known;
}

/* ---- all of it ---- */

/* Before an hour of work: that the file can be written. */
static int check_output(const command *c)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", c->words[2]);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    if (access(slash ? folder : ".", W_OK | X_OK) == 0)
        return 0;
    fprintf(stderr, "%s: cannot write %s: %s\n", c->program, c->words[2], strerror(errno));
    return SOME_FAILED;
}

/* Of all sizes that were learned, whether one loses its border. */
static void warn_of_border(learning *l)
{
    for (size_t i = 0; i < l->plan.learned.count && l->command->tile_side == 0; ++i) {
        const look *at = &l->plan.looks[l->plan.learned.at[i]];
        if (hides_border(l->detector, at->width, at->height)) {
            warn(&l->warnings, "border",
                 "resize=%s and crop=%s cut off a part of images of %d x %d: what lies at their "
                 "border is not looked at",
                 imiad_detector_option(l->detector, "resize"),
                 imiad_detector_option(l->detector, "crop"), at->width, at->height);
            return;
        }
    }
}

static int fit(learning *l)
{
    progress_line shown = {imiad_dataset_category(l->plan.files, l->plan.category), NULL, 0};
    imiad_split *split = NULL;
    warn_of_weights(&l->warnings, l->detector);
    warn_of_border(l);
    imiad_status status = plan_split(&split, &l->plan, l->command);
    if (status == IMIAD_OK) {
        l->learned = plan_learned_count(&l->plan, split);
        status = imiad_detector_fit(l->detector, split, progress_line_show, &shown);
    }
    if (status == IMIAD_OK)
        status = calibrate(l);
    if (status == IMIAD_OK)
        status = imiad_detector_save(l->detector, l->command->words[2]);
    if (status == IMIAD_OK)
        status = measure(l);
    imiad_split_free(split);
    return status == IMIAD_OK ? 0 : command_fail(l->command, "learn");
}

static void learning_free(learning *l)
{
    json_decref(l->false_alarms);
    json_decref(l->missed);
    json_decref(l->warnings.list);
    imiad_detector_free(l->detector);
    imiad_backbone_free(l->backbone);
    plan_free(&l->plan);
}

/* An old DETECTOR [WEIGHTS] and then NAME=VALUE. */
static int read_words(command *c)
{
    int first = 3;
    if (c->word_count > 3 && !strchr(c->words[3], '=')) {
        c->weights = c->words[3];
        first = 4;
    }
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    if (imiad_detector_option_info(&info, c->detector, 0) == IMIAD_UNKNOWN_OPTION) {
        command_fail(c, "--detector");
        return -1;
    }
    return command_sort_settings(c, first);
}

int learn(command *c)
{
    learning l = {.command = c};
    if (read_words(c) != 0 || settle_options(c) != 0 || check_output(c) != 0)
        return SOME_FAILED;
    l.warnings.list = json_array();
    int code = make_detector(&l) == IMIAD_OK ? 0 : command_fail(c, "learn");
    if (code == 0)
        code = plan_make(&l.plan, c, &l.warnings);
    if (code == 0)
        code = fit(&l);
    if (code == 0) {
        report(&l);
        code = write_record(&l);
    }
    learning_free(&l);
    return code;
}
