#include "front.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- help and listings ---- */

static void print_help(const front *f, const char *about)
{
    printf("usage: %s [options]\n\n%s\n\n"
           "  --dataset NAME        which dataset (default: synthetic, drawn by the library)\n"
           "  --root DIR            its folder on disk\n"
           "  --category NAME       repeatable; default: all\n"
           "  --set-dataset N=V     an option of the dataset, repeatable\n"
           "  --detector NAME       which detector (default: patchcore)\n"
           "  --set N=V             an option of the detector, repeatable\n"
           "  --backbone NAME       which network extracts features (default: resnet18)\n"
           "  --weights FILE        its weights, .safetensors or .pth (default: random weights)\n"
           "  --seed N              of every random choice (default: 0)\n"
           "  --device NAME         cpu, cuda, cuda:1 (default: cpu)\n"
           "  --precision NAME      float32 or bfloat16 (default: float32)\n"
           "  --threads N           0: one per core (default)\n"
           "  --json FILE           write everything that was measured\n"
           "  --maps DIR            draw a heat map of every test image\n"
           "  --save DIR            keep each category's fitted detector, to score with later\n"
           "  --list-datasets, --list-detectors\n"
           "  --describe NAME       the options of a dataset or detector\n"
           "  --help, --version\n",
           f->program, about);
}

static void list(size_t count, const char *(*name)(size_t), const char *(*title)(size_t))
{
    for (size_t i = 0; i < count; ++i)
        printf("%-16s %s\n", name(i), title(i));
}

static int describe(const char *name)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    imiad_status (*look)(imiad_option_info *, const char *, size_t) = imiad_detector_option_info;
    if (look(&info, name, 0) == IMIAD_UNKNOWN_OPTION)
        look = imiad_dataset_option_info;
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; (status = look(&info, name, i)) == IMIAD_OK; ++i)
        printf("%-26s default %-14s %-18s %s\n", info.name,
               info.default_value[0] ? info.default_value : "\"\"", info.range, info.help);
    if (status == IMIAD_UNKNOWN_OPTION) {
        fprintf(stderr, "no detector and no dataset is called \"%s\"\n", name);
        return -1;
    }
    return 0;
}

/* ---- the command line ---- */

static int mistake(const front *f, const char *what, const char *value)
{
    fprintf(stderr, "%s: %s \"%s\"; --help lists the options\n", f->program, what, value);
    return -1;
}

static int add_setting(const front *f, imiad_option *settings, size_t *count, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return mistake(f, "not name=value:", text);
    if (*count == MOST_SETTINGS)
        return mistake(f, "too many settings at", text);
    *equals = '\0';
    settings[(*count)++] = (imiad_option){text, equals + 1};
    return 1;
}

static int read_number(const front *f, const char *text, long long most, long long *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < 0 || value > most)
        return mistake(f, "not a number that fits:", text);
    *out = value;
    return 1;
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
    SEED,
    DEVICE,
    PRECISION,
    THREADS,
    JSON,
    MAPS,
    SAVE,
    LIST_DATASETS,
    LIST_DETECTORS,
    DESCRIBE,
    HELP,
    VERSION
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
    {"seed", required_argument, NULL, SEED},
    {"device", required_argument, NULL, DEVICE},
    {"precision", required_argument, NULL, PRECISION},
    {"threads", required_argument, NULL, THREADS},
    {"json", required_argument, NULL, JSON},
    {"maps", required_argument, NULL, MAPS},
    {"save", required_argument, NULL, SAVE},
    {"list-datasets", no_argument, NULL, LIST_DATASETS},
    {"list-detectors", no_argument, NULL, LIST_DETECTORS},
    {"describe", required_argument, NULL, DESCRIBE},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {0},
};

static int take_option(front *f, int option, char *value, const char *about)
{
    long long number;
    switch (option) {
    case ROOT:
        f->root = value;
        return 1;
    case DATASET:
        f->dataset = value;
        return 1;
    case DETECTOR:
        f->detector = value;
        return 1;
    case BACKBONE:
        f->backbone = value;
        return 1;
    case WEIGHTS:
        f->weights = value;
        return 1;
    case DEVICE:
        f->device = value;
        return 1;
    case PRECISION:
        f->precision = value;
        return 1;
    case JSON:
        f->json = value;
        return 1;
    case MAPS:
        f->maps = value;
        return 1;
    case SAVE:
        f->save = value;
        return 1;
    case CATEGORY:
        if (f->category_count == MOST_CATEGORIES)
            return mistake(f, "too many categories at", value);
        f->categories[f->category_count++] = value;
        return 1;
    case SET:
        return add_setting(f, f->settings, &f->setting_count, value);
    case SET_DATASET:
        return add_setting(f, f->dataset_settings, &f->dataset_setting_count, value);
    case SEED:
        if (read_number(f, value, INT64_MAX, &number) < 0)
            return -1;
        f->seed = (uint64_t)number;
        return 1;
    case THREADS:
        if (read_number(f, value, 256, &number) < 0)
            return -1;
        f->threads = (int)number;
        return 1;
    case LIST_DATASETS:
        list(imiad_dataset_type_count(), imiad_dataset_type_name, imiad_dataset_type_title);
        return 0;
    case LIST_DETECTORS:
        list(imiad_detector_type_count(), imiad_detector_type_name, imiad_detector_type_title);
        return 0;
    case DESCRIBE:
        return describe(value);
    case HELP:
        print_help(f, about);
        return 0;
    case VERSION:
        printf("libimiad %s, libtorch %s\n", imiad_version(), imiad_torch_version());
        return 0;
    default:
        fprintf(stderr, "%s --help lists the options\n", f->program);
        return -1;
    }
}

int front_read(front *f, int argc, char **argv, const char *about)
{
    const char *slash = strrchr(argv[0], '/');
    *f = (front){.program = slash ? slash + 1 : argv[0],
                 .dataset = "synthetic",
                 .detector = "patchcore",
                 .backbone = "resnet18"};
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        int outcome = take_option(f, option, optarg, about);
        if (outcome <= 0)
            return outcome;
    }
    if (optind < argc)
        return mistake(f, "what is", argv[optind]);
    snprintf(f->seed_text, sizeof f->seed_text, "%llu", (unsigned long long)f->seed);
    if (imiad_set_threads(f->threads) != IMIAD_OK)
        return mistake(f, imiad_last_error(), "--threads");
    return 1;
}

static int check_folder(const front *f, const char *path)
{
    if (!path || ((mkdir(path, 0777) == 0 || errno == EEXIST) && access(path, W_OK | X_OK) == 0))
        return 0;
    fprintf(stderr, "%s: cannot write to folder %s: %s\n", f->program, path, strerror(errno));
    return 1;
}

/* That the file's folder can be written to; the file itself is left alone until there is something to
 * write. */
static int check_file(const front *f, const char *path)
{
    if (!path)
        return 0;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    if (access(slash ? folder : ".", W_OK | X_OK) == 0)
        return 0;
    fprintf(stderr, "%s: cannot write %s: %s\n", f->program, path, strerror(errno));
    return 1;
}

int front_check_outputs(const front *f)
{
    return check_folder(f, f->maps) || check_folder(f, f->save) || check_file(f, f->json);
}

int front_fail(const front *f, const char *doing)
{
    fprintf(stderr, "%s: %s: %s\n", f->program, doing, imiad_last_error());
    return 1;
}

/* ---- opening what was named ---- */

imiad_status front_dataset(imiad_dataset **out, const front *f)
{
    return imiad_dataset_open(out, f->dataset, f->root, f->dataset_settings,
                              f->dataset_setting_count);
}

imiad_status front_backbone(imiad_backbone **out, const front *f)
{
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    options.weights = f->weights;
    options.seed = f->seed;
    options.device = f->device;
    options.precision = f->precision;
    return imiad_backbone_create(out, f->backbone, &options);
}

/* Whether the detector has a seed of its own; --seed goes there, ahead of what --set says. */
static int has_seed(const char *detector)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t i = 0; imiad_detector_option_info(&info, detector, i) == IMIAD_OK; ++i)
        if (strcmp(info.name, "seed") == 0)
            return 1;
    return 0;
}

imiad_status front_detector(imiad_detector **out, const front *f, imiad_backbone *backbone)
{
    imiad_option options[MOST_SETTINGS + 1];
    size_t count = 0;
    if (has_seed(f->detector))
        options[count++] = (imiad_option){"seed", f->seed_text};
    memcpy(options + count, f->settings, f->setting_count * sizeof *options);
    return imiad_detector_create(out, f->detector, backbone, options, count + f->setting_count);
}

size_t front_category_count(const front *f, const imiad_dataset *dataset)
{
    return f->category_count ? f->category_count : imiad_dataset_category_count(dataset);
}

const char *front_category(const front *f, const imiad_dataset *dataset, size_t index)
{
    return f->category_count ? f->categories[index] : imiad_dataset_category(dataset, index);
}

/* ---- progress ---- */

static void draw_bar(const front_progress *shown, const imiad_progress *p)
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

int front_show_progress(void *user, const imiad_progress *p)
{
    front_progress *shown = user;
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
        json_object_set_new(object, info.name,
                            json_string(imiad_detector_option(detector, info.name)));
    return object;
}

json_t *front_facts(const front *f, const imiad_dataset *dataset, const imiad_backbone *backbone,
                    const imiad_detector *detector)
{
    char digest[65] = "";
    imiad_dataset_digest(digest, dataset);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:I, s:s, s:s, s:i}",
                     "libimiad_version", imiad_version(), "libtorch_version", imiad_torch_version(),
                     "setting", f->program, "dataset", f->dataset, "dataset_root",
                     f->root ? f->root : "", "dataset_digest", digest, "detector", f->detector,
                     "options", settings_record(detector, f->detector), "backbone",
                     imiad_backbone_name(backbone), "weights", imiad_backbone_weights(backbone),
                     "weights_digest", imiad_backbone_digest(backbone), "seed", (json_int_t)f->seed,
                     "device", imiad_backbone_device(backbone), "precision",
                     imiad_backbone_precision(backbone), "threads", imiad_threads());
}

imiad_status front_write_json(const front *f, json_t *document)
{
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.part", f->json);
    if (json_dump_file(document, temporary, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) == 0 &&
        rename(temporary, f->json) == 0)
        return IMIAD_OK;
    fprintf(stderr, "%s: cannot write %s: %s\n", f->program, f->json, strerror(errno));
    remove(temporary);
    return IMIAD_IO;
}

int64_t front_peak_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}
