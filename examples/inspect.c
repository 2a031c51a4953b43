/* An inspection station: learns what good parts look like, chooses its threshold on parts that it
 * did not learn, and then says for each image whether it is anomalous, how much, and where: one
 * line of JSON an image, and a picture with the outlines of what was found. */
#include <dirent.h>
#include <imiad/imiad.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, imiad_last_error());
    return 1;
}

/* ---- learning ---- */

enum { MOST_OPTIONS = 16 };

/* The words NAME=VALUE as options; they are cut at the equals sign. -1 where there are too many. */
static int read_layout(imiad_option *layout, int count, char **words)
{
    for (int i = 0; i < count; ++i) {
        char *equals = strchr(words[i], '=');
        if (!equals || i == MOST_OPTIONS)
            return -1;
        *equals = '\0';
        layout[i] = (imiad_option){words[i], equals + 1};
    }
    return count;
}

/* The layout says where in the folder the images lie: options of the dataset "folder". */
static int learn(const char *root, const char *path, const char *weights,
                 const imiad_option *layout, size_t layout_count)
{
    imiad_dataset *dataset;
    imiad_split *split;
    imiad_backbone *backbone;
    imiad_detector *detector;
    imiad_backbone_options network = IMIAD_BACKBONE_OPTIONS_INIT;
    imiad_calibration found = IMIAD_CALIBRATION_INIT;
    network.weights = weights;
    if (imiad_dataset_open(&dataset, "folder", root, layout, layout_count) != IMIAD_OK ||
        imiad_split_create(&split, dataset, imiad_dataset_category(dataset, 0), "unsupervised",
                           NULL, 0) != IMIAD_OK ||
        imiad_backbone_create(&backbone, "resnet18", &network) != IMIAD_OK ||
        imiad_detector_create(&detector, "patchcore", backbone, NULL, 0) != IMIAD_OK ||
        imiad_detector_fit_calibrated(detector, split, NULL, NULL, NULL) != IMIAD_OK ||
        imiad_detector_calibration(&found, detector) != IMIAD_OK ||
        imiad_detector_save(detector, path) != IMIAD_OK)
        return failed("learn");
    printf("%s: threshold %g, %s\n", path, found.threshold, found.source);
    imiad_detector_free(detector);
    imiad_backbone_free(backbone);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
    return 0;
}

/* ---- inspecting ---- */

typedef struct station {
    imiad_detector *detector;
    imiad_calibration thresholds;
    imiad_score_options options; /* maps over whole images; tiles where asked for */
    imiad_sensitivity sensitivity;
    const char *pictures; /* a folder, or NULL */
} station;

static json_t *describe_region(const imiad_region *r)
{
    json_t *contour = json_array();
    for (size_t i = 0; i < r->contour_points; ++i)
        json_array_append_new(contour,
                              json_pack("[i, i]", r->contour[2 * i], r->contour[2 * i + 1]));
    return json_pack("{s:[i, i, i, i], s:I, s:f, s:[i, i], s:o}", "box", r->left, r->top, r->width,
                     r->height, "area", (json_int_t)r->area, "peak", (double)r->peak, "at",
                     r->peak_x, r->peak_y, "contour", contour);
}

static json_t *describe_regions(const imiad_regions *regions)
{
    json_t *list = json_array();
    for (size_t i = 0; i < imiad_regions_count(regions); ++i) {
        imiad_region r = IMIAD_REGION_INIT;
        if (imiad_regions_get(&r, regions, i) == IMIAD_OK)
            json_array_append_new(list, describe_region(&r));
    }
    return list;
}

/* DIR/parts_bad_001.png of parts/bad/001.png: images of one name in several folders have a picture
 * each, and so have 001.png and 001.jpg. */
static void name_picture(char *out, size_t size, const char *folder, const char *path)
{
    while (*path == '/' || *path == '.')
        ++path;
    const char *dot = strrchr(path, '.');
    bool png = dot && strcasecmp(dot, ".png") == 0;
    snprintf(out, size, "%s/%s%s", folder, path, png ? "" : ".png");
    for (size_t i = strlen(folder) + 1; i < strlen(out); ++i)
        out[i] = out[i] == '/' ? '_' : out[i];
}

static imiad_status draw(const station *s, const char *path, const imiad_image *image,
                         const float *map)
{
    size_t size = (size_t)image->width * (size_t)image->height;
    imiad_image mask = {.struct_size = sizeof mask, /* what was found, to be outlined */
                        .format = IMIAD_PIXEL_GRAY8,
                        .width = image->width,
                        .height = image->height,
                        .stride = (size_t)image->width,
                        .pixels = malloc(size)};
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    imiad_image *picture = NULL;
    char out[4096];
    if (!mask.pixels)
        return imiad_fail(IMIAD_NO_MEMORY, "out of memory for a mask");
    for (size_t i = 0; i < size; ++i)
        mask.pixels[i] = (double)map[i] > s->thresholds.map_threshold ? 255 : 0;
    options.mask = &mask;
    name_picture(out, sizeof out, s->pictures, path);
    imiad_status status =
        imiad_image_draw_heatmap(&picture, image, map, image->width, image->height, &options);
    if (status == IMIAD_OK)
        status = imiad_image_write_png(picture, out);
    imiad_image_free(picture);
    free(mask.pixels);
    return status;
}

static imiad_status report(const station *s, const char *path, const imiad_image *image,
                           float score, const float *map)
{
    int32_t anomalous = 0;
    double calibrated = 0;
    imiad_regions *regions = NULL;
    imiad_status status = imiad_detector_verdict(&anomalous, s->detector, score, s->sensitivity);
    if (status == IMIAD_OK)
        status = imiad_detector_calibrated_score(&calibrated, s->detector, score);
    if (status == IMIAD_OK)
        status = imiad_regions_find(&regions, map, image->width, image->height,
                                    s->thresholds.map_threshold, NULL);
    if (status != IMIAD_OK)
        return status;
    json_t *line =
        json_pack("{s:s, s:b, s:f, s:f, s:o}", "image", path, "anomalous", anomalous, "score",
                  (double)score, "calibrated", calibrated, "regions", describe_regions(regions));
    if (line)
        json_dumpf(line, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(line);
    imiad_regions_free(regions);
    return s->pictures ? draw(s, path, image, map) : IMIAD_OK;
}

static int inspect(station *s, const char *path)
{
    imiad_image *image;
    float score;
    if (imiad_image_read(&image, path) != IMIAD_OK)
        return failed("inspect");
    size_t size = (size_t)image->width * (size_t)image->height;
    float *map = malloc(size * sizeof *map);
    const imiad_image *const images[1] = {image};
    imiad_status status =
        map ? imiad_detector_score_batch(&score, map, size, s->detector, images, 1, &s->options)
            : imiad_fail(IMIAD_NO_MEMORY, "out of memory for a map");
    if (status == IMIAD_OK)
        status = report(s, path, image, score, map);
    free(map);
    imiad_image_free(image);
    return status == IMIAD_OK ? 0 : failed(path);
}

static int is_image(const struct dirent *entry)
{
    static const char *const extensions[] = {".png", ".jpg", ".jpeg", ".bmp"};
    const char *dot = strrchr(entry->d_name, '.');
    for (int i = 0; dot && i < 4; ++i)
        if (strcasecmp(dot, extensions[i]) == 0)
            return 1;
    return 0;
}

static int inspect_folder(station *s, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_image, alphasort), failures = 0;
    for (int i = 0; i < count; ++i) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        failures += inspect(s, path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    if (count > 0)
        return failures;
    fprintf(stderr, "%s: no images in this folder\n", folder);
    return 1;
}

/* ---- the command line ---- */

static int usage(const char *program)
{
    fprintf(
        stderr,
        "usage: %s learn FOLDER DETECTOR [WEIGHTS] [NAME=VALUE...]\n"
        "           NAME=VALUE: where images lie in FOLDER, as options of the dataset \"folder\"\n"
        "       %s DETECTOR IMAGE-OR-FOLDER... [--pictures DIR] [--tiles SIDE]\n"
        "           [--sensitivity low|normal|high]\n"
        "           pictures: DIR/parts_bad_001.png of parts/bad/001.png\n",
        program, program);
    return 2;
}

static int read_sensitivity(station *s, const char *text)
{
    static const char *const names[] = {"low", "normal", "high"};
    for (int i = 0; i < 3; ++i)
        if (strcmp(text, names[i]) == 0) {
            s->sensitivity = (imiad_sensitivity)(IMIAD_SENSITIVITY_LOW + i);
            return 1;
        }
    return 0;
}

/* Options may stand anywhere; returns 0 where one is wrong. They are taken out of argv. */
static int read_options(station *s, int *argc, char **argv)
{
    int kept = 1, good = 1;
    for (int i = 1; i < *argc && good; ++i) {
        if (strncmp(argv[i], "--", 2) != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        const char *name = argv[i] + 2, *value = i + 1 < *argc ? argv[++i] : NULL;
        if (value && strcmp(name, "pictures") == 0) {
            s->pictures = value;
        } else if (value && strcmp(name, "tiles") == 0) {
            s->options.tiles = 1;
            s->options.tile_side = atoi(value);
        } else {
            good = value && strcmp(name, "sensitivity") == 0 && read_sensitivity(s, value);
        }
    }
    *argc = kept;
    return good;
}

int main(int argc, char **argv)
{
    station s = {.thresholds = IMIAD_CALIBRATION_INIT,
                 .options = IMIAD_SCORE_OPTIONS_INIT,
                 .sensitivity = IMIAD_SENSITIVITY_NORMAL};
    s.options.map_frame = IMIAD_MAP_IMAGE;
    if (!read_options(&s, &argc, argv) || argc < 3)
        return usage(argv[0]);
    if (strcmp(argv[1], "learn") == 0) {
        imiad_option layout[MOST_OPTIONS];
        const char *weights = argc > 4 && !strchr(argv[4], '=') ? argv[4] : NULL;
        int words = weights ? 5 : 4, count = read_layout(layout, argc - words, argv + words);
        return argc < 4 || count < 0 ? usage(argv[0])
                                     : learn(argv[2], argv[3], weights, layout, (size_t)count);
    }
    if (imiad_detector_load(&s.detector, argv[1], "cpu") != IMIAD_OK ||
        imiad_detector_calibration(&s.thresholds, s.detector) != IMIAD_OK)
        return failed("inspect");
    int failures = 0;
    for (int i = 2; i < argc; ++i) {
        struct stat info;
        int folder = stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode);
        failures += folder ? inspect_folder(&s, argv[i]) : inspect(&s, argv[i]);
    }
    imiad_detector_free(s.detector);
    return failures ? 1 : 0;
}
