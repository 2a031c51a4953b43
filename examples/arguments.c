#include "arguments.h"
#include "checked.h"
#include "names.h"
#include "torch_start.h"
#include "warnings_shown.h"
#include "wrapped.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- help and listings ---- */

static void print_help(const arguments *a, const char *about)
{
    printf("Usage: %s [options]\n\n%s\n\n", a->program, about);
    for (size_t i = 0; i < a->own_count; ++i) {
        char option[64];
        snprintf(option, sizeof option, "--%s %s", a->own[i].name,
                 a->own[i].argument ? a->own[i].argument : "");
        printf("  %-21s %s\n", option, a->own[i].help);
    }
    printf(
        "  --dataset NAME        which dataset (default: synthetic, drawn by the library)\n"
        "  --root DIR            its folder on disk\n"
        "  --category NAME       repeatable; default: all\n"
        "  --set-dataset N=V     an option of the dataset, repeatable\n"
        "  --detector NAME       which detector (default: patchcore)\n"
        "  --set N=V             an option of the detector, repeatable\n"
        "  --backbone NAME       which network extracts features (default: resnet18, or the one "
        "of\n"
        "                        the default weights)\n"
        "  --weights FILE        its weights, .safetensors or .pth; default: those that set-up\n"
        "                        fetched (without this option: random weights)\n"
        "  --set-split N=V       an option of the setting, repeatable\n"
        "  --seed N              of every random choice (default: 0)\n"
        "  --repeats K           runs with K seeds, N and those that follow (default: 1)\n"
        "  --device NAME         cpu, cuda, cuda:1 (default: cpu)\n"
        "  --precision NAME      float32 or bfloat16 (default: float32)\n"
        "  --threads N           0: one per core (default)\n"
        "  --evaluate HOW        where maps meet masks: input (the detector's own, default),\n"
        "                        native (each image's size) or a number (that square)\n"
        "  --compat WHAT         measure as the IM-IAD code does, repeatable: binarise_maps,\n"
        "                        mask_geometry, aupro_sampled100, loco_auc_order\n"
        "  --json FILE           write everything that was measured; - is standard output,\n"
        "                        and tables then go to standard error\n"
        "  --results FILE        keep finished cells in this SQLite store and skip those it has\n"
        "  --keep-pictures       keep a few pictures of each cell there, for the report\n"
        "  --maps DIR            draw a heat map of every test image\n"
        "  --save DIR            keep each category's fitted detector, to score with later\n"
        "  --plugin FILE         a shared object with detectors or datasets, repeatable; put it "
        "first\n"
        "  --list-datasets, --list-detectors\n"
        "  --of BENCHMARK        with --list-detectors: only those of a benchmark: imiad\n"
        "  --list-new-tasks      what each detector does with a new task: joins (it stays beside\n"
        "                        the earlier ones), goes on (learning), forgets\n"
        "  --describe NAME       the options of a dataset, detector or setting, the layers of a\n"
        "                        backbone\n"
        "  --help, --version\n");
}

static void list(size_t count, const char *(*name)(size_t), const char *(*title)(size_t))
{
    for (size_t i = 0; i < count; ++i)
        print_wrapped(title(i), 17, printf("%-16s ", name(i)));
}

static int is_word_of(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; length > 0 && (at = strstr(at, word)); at += length)
        if ((at == text || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
            return 1;
    return 0;
}

/* Of a benchmark; NULL: all. Without any there is no such benchmark. */
static int list_detectors(const arguments *a)
{
    size_t listed = 0;
    for (size_t i = 0; i < imiad_detector_type_count(); ++i)
        if (!a->of || is_word_of(imiad_detector_type_benchmarks(i), a->of)) {
            print_wrapped(imiad_detector_type_title(i), 17,
                          printf("%-16s ", imiad_detector_type_name(i)));
            ++listed;
        }
    if (listed == 0)
        fprintf(stderr, "%s: no benchmark is called \"%s\": --of imiad\n", a->program, a->of);
    return listed == 0 ? -1 : 0;
}

/* A backbone's layers; its weights do not matter. */
static int describe_backbone(const char *name)
{
    imiad_backbone *backbone;
    imiad_backbone_layer layer = IMIAD_BACKBONE_LAYER_INIT;
    if (torch_start() != IMIAD_OK || imiad_backbone_create(&backbone, name, NULL) != IMIAD_OK)
        return -1;
    for (size_t i = 0; imiad_backbone_layer_info(&layer, backbone, i) == IMIAD_OK; ++i)
        if (layer.stride > 0)
            printf("%-32s %5lld channels, stride %d\n", layer.name, (long long)layer.channels,
                   (int)layer.stride);
        else
            printf("%-32s %5lld channels, one for the image\n", layer.name,
                   (long long)layer.channels);
    imiad_backbone_free(backbone);
    return 0;
}

static void describe_option(const imiad_option_info *info)
{
    const char *value = info->default_value[0] ? info->default_value : "\"\"";
    int printed = printf("%-26s default %s", info->name, value), length = (int)strlen(info->range);
    int pad = printed < 50 ? 50 - printed : 1;
    if (length > 0)
        printed + pad + length <= 80 ? printf("%*s%s", pad, "", info->range)
                                     : printf("\n    %s", info->range);
    printf("\n");
    print_wrapped(info->help, 4, 0);
}

static int describe(const char *name)
{
    static const option_schema schemas[] = {imiad_detector_option_info, imiad_dataset_option_info,
                                            imiad_setting_option_info};
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t k = 0; k < sizeof schemas / sizeof *schemas; ++k) {
        if (schemas[k](&info, name, 0) == IMIAD_UNKNOWN_OPTION)
            continue;
        for (size_t i = 0; schemas[k](&info, name, i) == IMIAD_OK; ++i)
            describe_option(&info);
        return 0;
    }
    for (size_t i = 0; i < imiad_backbone_architecture_count(); ++i)
        if (strcmp(imiad_backbone_architecture(i), name) == 0)
            return describe_backbone(name);
    fprintf(
        stderr,
        "no detector, dataset or setting is called \"%s\"; --list-detectors and --list-datasets "
        "name them\n",
        name);
    return -1;
}

/* ---- the command line ---- */

static int mistake(const arguments *a, const char *what, const char *value)
{
    fprintf(stderr, "%s: %s \"%s\"; --help lists the options\n", a->program, what, value);
    return -1;
}

static int add_setting(const arguments *a, imiad_option *settings, size_t *count, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return mistake(a, "not name=value:", text);
    if (*count == MOST_SETTINGS)
        return mistake(a, "too many settings at", text);
    *equals = '\0';
    settings[(*count)++] = (imiad_option){text, equals + 1};
    return 1;
}

static int read_number(const arguments *a, const char *option, const char *text, long long low,
                       long long high, long long *out)
{
    if (checked_number(out, text, low, high) == 0)
        return 1;
    fprintf(stderr, "%s: %s takes a whole number from %lld to %lld, not \"%s\"\n", a->program,
            option, low, high, text);
    return -1;
}

enum {
    ROOT = 256,
    DATASET,
    CATEGORY,
    SET_DATASET,
    DETECTOR,
    SET,
    BACKBONE,
    WEIGHTS,
    SET_SPLIT,
    SEED,
    REPEATS,
    EVALUATE,
    COMPAT,
    RESULTS,
    DEVICE,
    PRECISION,
    THREADS,
    JSON,
    KEEP_PICTURES,
    MAPS,
    SAVE,
    PLUGIN,
    LIST_DATASETS,
    LIST_DETECTORS,
    LIST_NEW_TASKS,
    OF,
    DESCRIBE,
    HELP,
    VERSION,
    OWN /* and those that follow: the program's own */
};

static const struct option long_options[] = {
    {"root", required_argument, NULL, ROOT},
    {"dataset", required_argument, NULL, DATASET},
    {"category", required_argument, NULL, CATEGORY},
    {"set-dataset", required_argument, NULL, SET_DATASET},
    {"detector", required_argument, NULL, DETECTOR},
    {"set", required_argument, NULL, SET},
    {"backbone", required_argument, NULL, BACKBONE},
    {"weights", required_argument, NULL, WEIGHTS},
    {"set-split", required_argument, NULL, SET_SPLIT},
    {"seed", required_argument, NULL, SEED},
    {"repeats", required_argument, NULL, REPEATS},
    {"evaluate", required_argument, NULL, EVALUATE},
    {"compat", required_argument, NULL, COMPAT},
    {"results", required_argument, NULL, RESULTS},
    {"device", required_argument, NULL, DEVICE},
    {"precision", required_argument, NULL, PRECISION},
    {"threads", required_argument, NULL, THREADS},
    {"json", required_argument, NULL, JSON},
    {"keep-pictures", no_argument, NULL, KEEP_PICTURES},
    {"maps", required_argument, NULL, MAPS},
    {"save", required_argument, NULL, SAVE},
    {"plugin", required_argument, NULL, PLUGIN},
    {"list-datasets", no_argument, NULL, LIST_DATASETS},
    {"list-detectors", no_argument, NULL, LIST_DETECTORS},
    {"list-new-tasks", no_argument, NULL, LIST_NEW_TASKS},
    {"of", required_argument, NULL, OF},
    {"describe", required_argument, NULL, DESCRIBE},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
};
enum { LONG_OPTIONS = sizeof long_options / sizeof *long_options, MOST_OWN = 8 };

static int take_own(const arguments *a, own_option *own, const char *value)
{
    if (!own->given || own->once)
        own->count = 0;
    if (own->count == MOST_VALUES)
        return mistake(a, "too many values at", value);
    own->given = 1;
    own->values[own->count++] = value;
    return 1;
}

int arguments_take_evaluation(arguments *a, const char *value)
{
    long long size = 0;
    a->evaluate = value;
    if (strcmp(value, "input") == 0)
        a->evaluation.size = IMIAD_EVALUATE_INPUT;
    else if (strcmp(value, "native") == 0)
        a->evaluation.size = IMIAD_EVALUATE_NATIVE;
    else if (checked_number(&size, value, 1, 16384) != 0)
        return mistake(a, "--evaluate takes input, native or a number of pixels, not", value);
    else
        a->evaluation.size = (int32_t)size;
    return 1;
}

static const char *const compat_names[COMPATS] = {"binarise_maps", "mask_geometry",
                                                  "aupro_sampled100", "loco_auc_order"};

int arguments_take_compat(arguments *a, const char *value)
{
    for (int i = 0; i < COMPATS; ++i)
        if (strcmp(value, compat_names[i]) == 0) {
            a->compat[i] = 1;
            return 1;
        }
    return mistake(a,
                   "--compat takes binarise_maps, mask_geometry, aupro_sampled100 or "
                   "loco_auc_order, not",
                   value);
}

void arguments_settle_evaluation(arguments *a, const char *otherwise)
{
    a->evaluate = a->evaluate ? a->evaluate : otherwise;
    if (strcmp(a->evaluate, "native") == 0)
        a->evaluation.size = IMIAD_EVALUATE_NATIVE;
    a->evaluation.binarise_maps = a->compat[BINARISE_MAPS];
    a->evaluation.openiad_masks = a->compat[MASK_GEOMETRY];
    snprintf(a->evaluation_text, sizeof a->evaluation_text, "%s", a->evaluate);
    for (int i = 0; i < COMPATS; ++i)
        if (a->compat[i]) {
            size_t length = strlen(a->evaluation_text);
            snprintf(a->evaluation_text + length, sizeof a->evaluation_text - length, " %s",
                     compat_names[i]);
        }
}

static int take_option(arguments *a, int option, char *value, const char *about)
{
    long long number;
    if (option >= OWN)
        return take_own(a, &a->own[option - OWN], value);
    switch (option) {
    case ROOT:
        a->root = value;
        return 1;
    case DATASET:
        a->dataset = value;
        return 1;
    case DETECTOR:
        a->detector = value;
        return 1;
    case BACKBONE:
        a->backbone = value;
        return 1;
    case WEIGHTS:
        a->weights = value;
        return 1;
    case DEVICE:
        a->device = value;
        return 1;
    case PRECISION:
        a->precision = value;
        return 1;
    case JSON:
        a->json = value;
        return 1;
    case KEEP_PICTURES:
        a->keep_pictures = 1;
        return 1;
    case MAPS:
        a->maps = value;
        return 1;
    case SAVE:
        a->save = value;
        return 1;
    case CATEGORY:
        if (a->category_count == MOST_CATEGORIES)
            return mistake(a, "too many categories at", value);
        a->categories[a->category_count++] = value;
        return 1;
    case SET:
        return add_setting(a, a->settings, &a->setting_count, value);
    case SET_DATASET:
        return add_setting(a, a->dataset_settings, &a->dataset_setting_count, value);
    case SET_SPLIT:
        return add_setting(a, a->split_settings, &a->split_setting_count, value);
    case RESULTS:
        a->results = value;
        return 1;
    case EVALUATE:
        return arguments_take_evaluation(a, value);
    case COMPAT:
        return arguments_take_compat(a, value);
    case REPEATS:
        if (read_number(a, "--repeats", value, 1, 1000, &number) < 0)
            return -1;
        a->repeats = (int)number;
        return 1;
    case SEED:
        if (read_number(a, "--seed", value, 0, INT64_MAX, &number) < 0)
            return -1;
        a->seed = (uint64_t)number;
        return 1;
    case THREADS:
        if (read_number(a, "--threads", value, 0, 256, &number) < 0)
            return -1;
        a->threads = (int)number;
        return 1;
    case PLUGIN:
        return imiad_plugin_load(value) == IMIAD_OK ? 1 : -arguments_fail(a, "plug-in");
    case LIST_DATASETS:
        list(imiad_dataset_type_count(), imiad_dataset_type_name, imiad_dataset_type_title);
        return 0;
    case LIST_DETECTORS: /* once --of is known, which may come behind it */
        a->list_detectors = 1;
        return 1;
    case LIST_NEW_TASKS:
        list(imiad_detector_type_count(), imiad_detector_type_name, imiad_detector_type_new_task);
        return 0;
    case OF:
        a->of = value;
        return 1;
    case DESCRIBE:
        return describe(value);
    case HELP:
        print_help(a, about);
        return 0;
    case VERSION:
        printf("libimiad %s, libtorch %s\n", imiad_version(), imiad_torch_version());
        return 0;
    default:
        fprintf(stderr, "%s --help lists the options\n", a->program);
        return -1;
    }
}

/* What --help and the listings wrote must have arrived. */
static int stop_reading(arguments *a, int outcome)
{
    free(a->command);
    a->command = NULL;
    return outcome < 0 ? outcome : checked_stdout(a->program, outcome, -1);
}

/* With --json - the record has standard output for itself. */
static int part_outputs(arguments *a)
{
    if (!a->json || strcmp(a->json, "-") != 0)
        return 1;
    a->json_stream = checked_take_stdout(a->program);
    return a->json_stream ? 1 : -1;
}

int arguments_read(arguments *a, int argc, char **argv, const char *about, own_option *own,
                   size_t own_count)
{
    const char *slash = strrchr(argv[0], '/');
    *a = (arguments){.program = slash ? slash + 1 : argv[0],
                     .dataset = "synthetic",
                     .detector = "patchcore",
                     .evaluation = IMIAD_EVALUATION_OPTIONS_INIT,
                     .command = checked_command(argc, argv),
                     .repeats = 1,
                     .own = own,
                     .own_count = own_count};
    show_warnings();
    struct option all[LONG_OPTIONS + MOST_OWN + 1] = {{0}};
    memcpy(all, long_options, sizeof long_options);
    for (size_t i = 0; i < own_count && i < MOST_OWN; ++i)
        all[LONG_OPTIONS + i] = (struct option){
            own[i].name, own[i].argument ? required_argument : no_argument, NULL, OWN + (int)i};
    for (int option; (option = getopt_long(argc, argv, "", all, NULL)) != -1;) {
        int outcome = take_option(a, option, optarg, about);
        if (outcome <= 0)
            return stop_reading(a, outcome);
    }
    if (optind < argc)
        return stop_reading(a, mistake(a, "what is", argv[optind]));
    if (a->list_detectors)
        return stop_reading(a, list_detectors(a));
    if (a->root && strcmp(a->dataset, "synthetic") == 0)
        return stop_reading(a, mistake(a, "--dataset must say what lies in", a->root));
    if (imiad_set_threads(a->threads) != IMIAD_OK)
        return stop_reading(a, mistake(a, imiad_last_error(), "--threads"));
    return part_outputs(a) > 0 ? 1 : stop_reading(a, -1);
}

static int check_folder(const arguments *a, const char *path)
{
    if (!path || ((mkdir(path, 0777) == 0 || errno == EEXIST) && access(path, W_OK | X_OK) == 0))
        return 0;
    fprintf(stderr, "%s: cannot write to folder %s: %s\n", a->program, path, strerror(errno));
    return 1;
}

/* That the file's folder can be written to; the file itself is left alone until there is something
 * to write. */
static int check_file(const arguments *a, const char *path)
{
    if (!path || strcmp(path, "-") == 0)
        return 0;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    if (access(slash ? folder : ".", W_OK | X_OK) == 0)
        return 0;
    fprintf(stderr, "%s: cannot write %s: %s\n", a->program, path, strerror(errno));
    return 1;
}

int arguments_check_outputs(const arguments *a)
{
    return check_folder(a, a->maps) || check_folder(a, a->save) || check_file(a, a->json) ||
           check_file(a, a->results);
}

int arguments_fail(const arguments *a, const char *doing)
{
    fprintf(stderr, "%s: %s: %s\n", a->program, doing, imiad_last_error());
    return 1;
}

/* ---- progress ---- */

static void draw_bar(const progress_line *shown, const imiad_progress *p)
{
    enum { WIDTH = 32 };
    int filled = p->total > 0 ? (int)(p->done * WIDTH / p->total) : 0;
    char bar[WIDTH + 1];
    memset(bar, '.', WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r%-14s %-10s [%s] %lld/%lld\033[K", shown->title, p->stage, bar,
            (long long)p->done, (long long)p->total);
    if (p->done >= p->total)
        fprintf(stderr, "\r\033[K");
}

int progress_line_show(void *user, const imiad_progress *p)
{
    progress_line *shown = user;
    if (isatty(STDERR_FILENO)) {
        draw_bar(shown, p);
        return 0;
    }
    int64_t quarter = p->total > 0 ? 4 * p->done / p->total : 0;
    if (!shown->stage || strcmp(shown->stage, p->stage) != 0 || quarter > shown->quarter) {
        fprintf(stderr, "%s: %s %lld/%lld\n", shown->title, p->stage, (long long)p->done,
                (long long)p->total);
        shown->stage = p->stage;
        shown->quarter = quarter;
    }
    return 0;
}

/* ---- the record ---- */

static json_t *settings_record(const imiad_detector *detector, const char *name)
{
    json_t *object = json_object();
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t i = 0; imiad_detector_option_info(&info, name, i) == IMIAD_OK; ++i)
        name_into(object, info.name, imiad_detector_option(detector, info.name));
    return object;
}

json_t *arguments_facts(const arguments *a, const char *setting, const imiad_dataset *dataset,
                        const imiad_backbone *backbone, const imiad_detector *detector)
{
    char digest[65] = "";
    imiad_dataset_digest(digest, dataset);
    /* what may hold any bytes has its place here, and its value below */
    json_t *facts = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:I, s:i, s:s, "
        "s:s, s:s, s:i, s:s}",
        "libimiad_version", imiad_version(), "libtorch_version", imiad_torch_version(), "setting",
        setting, "dataset", a->dataset, "dataset_root", "", "dataset_digest", digest, "detector",
        a->detector, "options", settings_record(detector, a->detector), "backbone",
        imiad_backbone_name(backbone), "weights", "", "weights_digest",
        imiad_backbone_digest(backbone), "weights_provenance", imiad_backbone_provenance(backbone),
        "seed", (json_int_t)a->seed, "repeats", a->repeats, "evaluate", a->evaluate, "device",
        imiad_backbone_device(backbone), "precision", imiad_backbone_precision(backbone), "threads",
        imiad_threads(), "command", "");
    name_into(facts, "dataset_root", a->root ? a->root : "");
    name_into(facts, "weights", imiad_backbone_weights(backbone));
    name_into(facts, "command", a->command ? a->command : "");
    return facts;
}

static int write_stream(FILE *stream, const json_t *document)
{
    int bad = json_dumpf(document, stream, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) != 0;
    bad |= fputs("\n", stream) < 0;
    return fflush(stream) != 0 || bad;
}

imiad_status arguments_write_json(const arguments *a, json_t *document)
{
    if (a->json_stream) {
        if (write_stream(a->json_stream, document) == 0)
            return IMIAD_OK;
        fprintf(stderr, "%s: cannot write to standard output: %s\n", a->program, strerror(errno));
        return IMIAD_IO;
    }
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.part", a->json);
    unlink(temporary); /* what a killed run left, or a link that somebody laid there */
    int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    int written =
        file >= 0 && json_dumpfd(document, file, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) == 0;
    if (file >= 0)
        written = close(file) == 0 && written;
    if (written && rename(temporary, a->json) == 0)
        return IMIAD_OK;
    fprintf(stderr, "%s: cannot write %s: %s\n", a->program, a->json, strerror(errno));
    if (file >= 0)
        unlink(temporary);
    return IMIAD_IO;
}

int64_t peak_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}
