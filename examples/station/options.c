#include "station/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "checked.h"

static const char help[] =
    "Usage: %1$s learn FOLDER DETECTOR [WEIGHTS] [NAME=VALUE...] [options]\n"
    "  or:  %1$s check FOLDER [NAME=VALUE...] [options]\n"
    "  or:  %1$s DETECTOR IMAGE-OR-FOLDER... [options]\n"
    "  or:  %1$s DETECTOR --watch FOLDER... [options]\n"
    "\n"
    "An inspection station: it learns what good parts look like, chooses its threshold on good "
    "parts "
    "that it\ndid not learn, and then says of each image whether it is anomalous, how much, and "
    "where.\n"
    "\n"
    "Learning:\n"
    "  NAME=VALUE            an option of the dataset \"folder\" (where images lie in FOLDER), of "
    "the\n"
    "                        detector, or of the setting, such as train='good/*' or crop=224\n"
    "  --detector NAME       which detector (default: patchcore)\n"
    "  --backbone NAME       which network extracts features (default: resnet18, or the one of\n"
    "                        the default weights)\n"
    "  --weights FILE        its weights, .safetensors or .pth; default: those that set-up\n"
    "                        fetched (without this option: random weights)\n"
    "  --category NAME       where FOLDER holds several\n"
    "  --setting NAME        which setting draws the training images (default: unsupervised)\n"
    "  --tiles SIDE          learn, calibrate and inspect squares of SIDE pixels, for images much\n"
    "                        larger than what the network takes; otherwise the whole image is\n"
    "                        squashed to the network's input\n"
    "  --overlap SHARE       of neighbouring tiles, 0 to 0.5 (default: 0.25)\n"
    "  --share SHARE         of the good images that chooses the threshold instead of being\n"
    "                        learned, where there are no validation images (default: 0.2)\n"
    "  --quantile Q          of their scores that the threshold is (default: 0.99)\n"
    "  --seed N              of every random choice (default: 0)\n"
    "  --precision NAME      float32 or bfloat16 (default: float32)\n"
    "  --skip-broken         learn without the images that cannot be read\n"
    "DETECTOR and the record DETECTOR.json are written, and the test images of FOLDER measured.\n"
    "\n"
    "Checking a folder before it is learned:\n"
    "  --json FILE           write what was found; - is standard output\n"
    "\n"
    "Inspecting, one line of JSON an image:\n"
    "  IMAGE-OR-FOLDER       a folder is looked through with all that is below it; - reads a list\n"
    "                        of paths from standard input, one a line\n"
    "  --null                the list's paths end in a NUL byte instead of a line's end\n"
    "  --sensitivity NAME    low, normal or high (default: normal)\n"
    "  --pictures DIR        draw each: DIR/parts_bad_001.png of parts/bad/001.png\n"
    "  --sheet FILE          write an HTML page with the worst parts\n"
    "  --worst N             how many (default: 24)\n"
    "  --watch               go on with images as they come into the folders, until SIGTERM\n"
    "  --skip-existing       with --watch: not those that are there at the start\n"
    "  --settle SECONDS      with --watch: how long an image that cannot be read may go on being\n"
    "                        written (default: 2)\n"
    "\n"
    "  --device NAME         cpu, cuda, cuda:1 (default: cpu)\n"
    "  --threads N           0: one per core (default)\n"
    "  --help, --version\n"
    "\n"
    "Exit status of an inspection: 0 all images are OK, 1 one or more are anomalous, 2 one or "
    "more\n"
    "could not be inspected. Learning and checking: 0, or 2 where something is wrong; check gives "
    "1\n"
    "where something is doubtful only.\n";

enum {
    DETECTOR = 256,
    BACKBONE,
    WEIGHTS,
    CATEGORY,
    SETTING,
    TILES,
    OVERLAP,
    SHARE,
    QUANTILE,
    SEED,
    PRECISION,
    SKIP_BROKEN,
    JSON,
    NULLS,
    SENSITIVITY,
    PICTURES,
    SHEET,
    WORST,
    WATCH,
    SKIP_EXISTING,
    SETTLE,
    DEVICE,
    THREADS,
    SET,
    SET_DATASET,
    SET_SPLIT,
    PLUGIN,
    HELP,
    VERSION
};

static const struct option long_options[] = {
    {"detector", required_argument, NULL, DETECTOR},
    {"backbone", required_argument, NULL, BACKBONE},
    {"weights", required_argument, NULL, WEIGHTS},
    {"category", required_argument, NULL, CATEGORY},
    {"setting", required_argument, NULL, SETTING},
    {"tiles", required_argument, NULL, TILES},
    {"overlap", required_argument, NULL, OVERLAP},
    {"share", required_argument, NULL, SHARE},
    {"quantile", required_argument, NULL, QUANTILE},
    {"seed", required_argument, NULL, SEED},
    {"precision", required_argument, NULL, PRECISION},
    {"skip-broken", no_argument, NULL, SKIP_BROKEN},
    {"json", required_argument, NULL, JSON},
    {"null", no_argument, NULL, NULLS},
    {"sensitivity", required_argument, NULL, SENSITIVITY},
    {"pictures", required_argument, NULL, PICTURES},
    {"sheet", required_argument, NULL, SHEET},
    {"worst", required_argument, NULL, WORST},
    {"watch", no_argument, NULL, WATCH},
    {"skip-existing", no_argument, NULL, SKIP_EXISTING},
    {"settle", required_argument, NULL, SETTLE},
    {"device", required_argument, NULL, DEVICE},
    {"threads", required_argument, NULL, THREADS},
    {"set", required_argument, NULL, SET},
    {"set-dataset", required_argument, NULL, SET_DATASET},
    {"set-split", required_argument, NULL, SET_SPLIT},
    {"plugin", required_argument, NULL, PLUGIN},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {0},
};

/* ---- values ---- */

static int mistake(const command *c, const char *what, const char *value)
{
    fprintf(stderr, "%s: %s \"%s\"; --help shows the usage\n", c->program, what, value);
    return -1;
}

static int take_number(const command *c, long long *out, const char *option, const char *text,
                       long long low, long long high)
{
    if (checked_number(out, text, low, high) == 0)
        return 1;
    fprintf(stderr, "%s: %s takes a whole number from %lld to %lld, not \"%s\"\n", c->program,
            option, low, high, text);
    return -1;
}

static int take_real(const command *c, double *out, const char *option, const char *text,
                     double low, double high)
{
    if (checked_real(out, text, low, high) == 0)
        return 1;
    fprintf(stderr, "%s: %s takes a number from %g to %g, not \"%s\"\n", c->program, option, low,
            high, text);
    return -1;
}

static int take_sensitivity(command *c, const char *text)
{
    static const char *const names[] = {"low", "normal", "high"};
    for (int i = 0; i < 3; ++i)
        if (strcmp(text, names[i]) == 0) {
            c->sensitivity = (imiad_sensitivity)(IMIAD_SENSITIVITY_LOW + i);
            return 1;
        }
    return mistake(c, "--sensitivity takes low, normal or high, not", text);
}

static int add_setting(const command *c, settings *s, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return mistake(c, "not NAME=VALUE:", text);
    if (s->count == MOST_WORDS)
        return mistake(c, "too many options at", text);
    *equals = '\0';
    s->list[s->count++] = (imiad_option){text, equals + 1};
    return 1;
}

/* ---- one option ---- */

/* The options whose value is a text. */
static const char **text_of(command *c, int option)
{
    switch (option) {
    case DETECTOR:
        return &c->detector;
    case BACKBONE:
        return &c->backbone;
    case WEIGHTS:
        return &c->weights;
    case CATEGORY:
        return &c->category;
    case SETTING:
        return &c->setting;
    case PRECISION:
        return &c->precision;
    case DEVICE:
        return &c->device;
    case JSON:
        return &c->json;
    case PICTURES:
        return &c->pictures;
    case SHEET:
        return &c->sheet;
    default:
        return NULL;
    }
}

static bool *flag_of(command *c, int option)
{
    return option == SKIP_BROKEN     ? &c->skip_broken
           : option == NULLS         ? &c->null
           : option == WATCH         ? &c->watch
           : option == SKIP_EXISTING ? &c->skip_existing
                                     : NULL;
}

static int take_option(command *c, int option, char *value)
{
    const char **text = text_of(c, option);
    bool *flag = flag_of(c, option);
    if (text)
        *text = value;
    if (flag)
        *flag = true;
    switch (option) {
    case TILES:
        return take_number(c, &c->tile_side, "--tiles", value, 8, 8192);
    case OVERLAP:
        return take_real(c, &c->tile_overlap, "--overlap", value, 0, 0.5);
    case SHARE:
        return take_real(c, &c->share, "--share", value, 0.001, 0.999);
    case QUANTILE:
        return take_real(c, &c->quantile, "--quantile", value, 0.5, 1);
    case SEED:
        return take_number(c, &c->seed, "--seed", value, 0, INT64_MAX);
    case WORST:
        return take_number(c, &c->worst, "--worst", value, 1, 1000);
    case SETTLE:
        return take_real(c, &c->settle, "--settle", value, 0, 3600);
    case THREADS:
        return take_number(c, &c->threads, "--threads", value, 0, 256);
    case SENSITIVITY:
        return take_sensitivity(c, value);
    case SET:
        return add_setting(c, &c->detector_options, value);
    case SET_DATASET:
        return add_setting(c, &c->dataset, value);
    case SET_SPLIT:
        return add_setting(c, &c->split, value);
    case PLUGIN:
        return imiad_plugin_load(value) == IMIAD_OK ? 1 : -command_fail(c, "plug-in");
    case HELP:
        printf(help, c->program);
        return 0;
    case VERSION:
        printf("libimiad %s, libtorch %s\n", imiad_version(), imiad_torch_version());
        return 0;
    default:
        if (text || flag)
            return 1;
        fprintf(stderr, "%s --help shows the usage\n", c->program);
        return -1;
    }
}

/* ---- the whole ---- */

/* What the words must be for each kind of command. */
static int check_words(const command *c)
{
    const char *first = c->word_count > 0 ? c->words[0] : "";
    int least = strcmp(first, "learn") == 0 ? 3 : 2;
    if (c->word_count < least) {
        fprintf(stderr, "%s: ", c->program);
        fprintf(stderr, least == 3 ? "learn takes a folder and the detector's file to write"
                                   : "what is to be inspected?");
        fprintf(stderr, "\nusage: %s --help shows it\n", c->program);
        return -1;
    }
    return 1;
}

int command_read(command *c, int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    *c = (command){.program = slash ? slash + 1 : argv[0],
                   .text = checked_command(argc, argv),
                   .detector = "patchcore",
                   .setting = "unsupervised",
                   .tile_overlap = 0.25,
                   .quantile = 0.99,
                   .share = 0.2,
                   .sensitivity = IMIAD_SENSITIVITY_NORMAL,
                   .worst = 24,
                   .settle = 2};
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        int outcome = take_option(c, option, optarg);
        if (outcome <= 0)
            return outcome;
    }
    c->words = argv + optind;
    c->word_count = argc - optind;
    if (imiad_set_threads((int)c->threads) != IMIAD_OK)
        return -command_fail(c, "--threads");
    return check_words(c);
}

void command_free(command *c)
{
    free(c->text);
}

int command_fail(const command *c, const char *doing)
{
    fprintf(stderr, "%s: %s: %s\n", c->program, doing, imiad_last_error());
    return SOME_FAILED;
}

/* ---- bare NAME=VALUE ---- */

static int sort_setting(command *c, char *word)
{
    const struct {
        option_schema look;
        const char *owner;
        settings *list;
    } owners[] = {{imiad_dataset_option_info, "folder", &c->dataset},
                  {imiad_detector_option_info, c->detector, &c->detector_options},
                  {imiad_setting_option_info, c->setting, &c->split}};
    char *equals = strchr(word, '=');
    int taken = 0;
    if (!equals || equals == word)
        return mistake(c, "usage: not NAME=VALUE:", word);
    *equals = '\0';
    for (int i = 0; i < 3; ++i)
        if (option_known(owners[i].look, owners[i].owner, word)) {
            if (owners[i].list->count == MOST_WORDS)
                return mistake(c, "too many options at", word);
            owners[i].list->list[owners[i].list->count++] = (imiad_option){word, equals + 1};
            ++taken;
        }
    if (taken)
        return 0;
    fprintf(stderr,
            "%s: \"%s\" is an option of neither the dataset folder, nor the detector %s, nor the "
            "setting %s\n",
            c->program, word, c->detector, c->setting);
    return -1;
}

int command_sort_settings(command *c, int first)
{
    for (int i = first; i < c->word_count; ++i)
        if (sort_setting(c, c->words[i]) != 0)
            return -1;
    return 0;
}
