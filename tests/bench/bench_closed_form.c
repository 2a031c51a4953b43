/* Fitting and scoring of the detectors that learn without gradients, beside Python doing the same
 * on the same images, weights and number of threads.
 *
 *     ninja tests/bench/bench-closed-form && tests/bench/bench-closed-form \
 *         [BACKBONE [WEIGHTS ROOT CATEGORY [TRAIN TEST [THREADS [SIZE [DETECTOR...]]]]]]
 *
 * Without WEIGHTS ("-"): random weights and procedural images; otherwise images of MVTec AD's
 * layout below ROOT. Default: wide_resnet50_2, 60 training and 40 test images of 224 pixels, 1
 * thread, all detectors. BACKBONE may also be efficientnet_lite0. Seconds are processor time, the
 * backbone's kept apart, so that other work on the machine does not show; with more than one
 * thread, libraries that wait actively show it. Each detector runs in a process of its own, whose
 * largest memory is given above what it had before fitting.
 *
 * IMIAD_PYTHON names a Python with torch, torchvision, scipy and, for SoftPatch, scikit-learn and
 * faiss, for PatchCore faiss and tqdm, for SubspaceAD scikit-learn, OpenCV and tqdm ("python3"),
 * for an EfficientNet timm. IMIAD_SOFTPATCH, IMIAD_PATCHCORE and IMIAD_SUBSPACEAD name the src
 * folders of checkouts of the official codes, without which their references are left out.
 * PatchCore's takes the library's coreset, as its own starts from other rows. Ends in 1 where a
 * reference fails or its scores and maps are others than the library's, so that only the same work
 * is compared. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "imiad/imiad.h"
#include "measure.h"

enum { NOT_FOUND = 127 /* the shell's status for a missing program */ };

/* The linker gives every clock_seconds of the library to this one (--wrap in meson.build): the
 * timings of a detector become processor time. */
double __wrap_clock_seconds(void);
double __wrap_clock_seconds(void)
{
    return cpu_seconds();
}

typedef struct settings {
    const char *backbone, *weights, *root, *category, *folder, *size;
    size_t train, test;
    int threads;
} settings;

/* ---- images ---- */

static imiad_dataset *open_images(const settings *s)
{
    imiad_dataset *dataset;
    char train[32], test[32];
    snprintf(train, sizeof train, "%zu", s->train);
    snprintf(test, sizeof test, "%zu", s->test);
    const imiad_option sizes[] = {{"train", train}, {"test_good", test}, {"test_defective", test}};
    if (s->root)
        check(imiad_dataset_open(&dataset, "mvtec_ad", s->root, NULL, 0));
    else
        check(imiad_dataset_open(&dataset, "synthetic", NULL, sizes, 3));
    return dataset;
}

/* The first training images and test images from all over the test set, as the network sees them.
 */
static void read_images(imiad_image **out, const settings *s, const imiad_detector *d)
{
    imiad_dataset *dataset = open_images(s);
    imiad_split *split;
    const char *category = s->category ? s->category : imiad_dataset_category(dataset, 0);
    check(imiad_split_create(&split, dataset, category, "unsupervised", NULL, 0));
    size_t trains = imiad_split_train_count(split), tests = imiad_split_test_count(split);
    if (s->train > trains || s->test > tests) {
        fprintf(stderr, "%s has %zu training and %zu test images\n", category, trains, tests);
        exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < s->train + s->test; ++i) {
        size_t sample = i < s->train ? imiad_split_train(split, i)
                                     : imiad_split_test(split, (i - s->train) * tests / s->test);
        imiad_image *image;
        check(imiad_dataset_read_image(&image, dataset, sample));
        check(imiad_detector_preprocess(&out[i], d, image));
        imiad_image_free(image);
    }
    imiad_split_free(split);
    imiad_dataset_free(dataset);
}

static FILE *create_file(const settings *s, const char *name)
{
    char *path = path_join(s->folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    free(path);
    return file;
}

static void write_images(const settings *s, imiad_image **images)
{
    FILE *file = create_file(s, "images");
    for (size_t i = 0; i < s->train + s->test; ++i)
        for (int32_t y = 0; y < images[i]->height; ++y)
            fwrite(images[i]->pixels + y * images[i]->stride, 3, (size_t)images[i]->width, file);
    fclose(file);
}

/* ---- a detector in its own process ---- */

static long resident_megabytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE) / 1000000;
}

/* 550 of the 1792 channels of a wide ResNet, evenly: the same for everybody. */
static const char *even_channels(void)
{
    static char text[4096];
    size_t used = 0;
    for (int i = 0; i < 550; ++i)
        used += (size_t)snprintf(text + used, sizeof text - used, i ? ",%d" : "%d", i * 1792 / 550);
    return text;
}

static imiad_detector *make(const settings *s, const char *name)
{
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    imiad_backbone *backbone;
    imiad_detector *d;
    b.weights = s->weights;
    check(imiad_backbone_create(&backbone, s->backbone, &b));
    /* The resized side is the crop's, so that images that were preprocessed once, for Python too,
     * stay as they are when the detector preprocesses them again. */
    imiad_option options[5] = {{"resize", s->size}, {"crop", s->size}, {"smoothing", "4"}};
    size_t count = strcmp(name, "subspacead") == 0 ? 2 : 3; /* it has a blur of its own */
    bool wide = strcmp(s->backbone, "wide_resnet50_2") == 0;
    if (strcmp(name, "padim") == 0)
        options[count++] =
            wide ? (imiad_option){"channels", even_channels()} : (imiad_option){"dimension", "0"};
    if (strcmp(name, "softpatch") == 0) { /* as the official code; see make_softpatch.py */
        options[count++] = (imiad_option){"first_pick", "any"};
        options[count++] = (imiad_option){"starts", "128"};
    }
    if (strcmp(name, "spade") == 0 && s->weights) /* a file may end at layer3 */
        options[count++] = (imiad_option){"image_layer", "layer3"};
    check(imiad_detector_create(&d, name, backbone, options, count));
    imiad_backbone_free(backbone);
    return d;
}

static void save(const settings *s, const imiad_detector *d)
{
    char *path = path_join(s->folder, "detector");
    check(imiad_detector_save(d, path));
    free(path);
}

/* Seconds of an image beside the backbone and its map, all test images as evaluation scores them:
 * as many together as the option batch says. */
static double score_together(const settings *s, imiad_detector *d, imiad_image **images)
{
    imiad_timings before = IMIAD_TIMINGS_INIT, after = IMIAD_TIMINGS_INIT;
    float *scores = calloc(s->test, sizeof *scores);
    check(imiad_detector_timings(&before, d));
    check(imiad_detector_score_batch(scores, NULL, 0, d, (const imiad_image *const *)images,
                                     s->test, NULL));
    check(imiad_detector_timings(&after, d));
    free(scores);
    return (after.score_seconds - before.score_seconds) / (double)s->test;
}

static double largest(const imiad_result *result)
{
    float most = result->map[0];
    for (int32_t i = 1; i < result->width * result->height; ++i)
        most = fmaxf(most, result->map[i]);
    return (double)most;
}

static void run(const settings *s, const char *name)
{
    check(imiad_set_threads(s->threads));
    imiad_detector *d = make(s, name);
    imiad_image **images = calloc(s->train + s->test, sizeof(imiad_image *));
    read_images(images, s, d);
    write_images(s, images);
    imiad_timings fitted = IMIAD_TIMINGS_INIT, scored = IMIAD_TIMINGS_INIT;
    long before = resident_megabytes();
    check(imiad_detector_fit_images(d, (const imiad_image *const *)images, s->train, NULL, NULL));
    check(imiad_detector_timings(&fitted, d));
    FILE *scores = create_file(s, "scores");
    for (size_t i = 0; i < s->test; ++i) {
        imiad_result result = IMIAD_RESULT_INIT;
        check(imiad_detector_score(&result, d, images[s->train + i]));
        fprintf(scores, "%.9g %.9g\n", (double)result.score, largest(&result));
    }
    fclose(scores);
    check(imiad_detector_timings(&scored, d));
    double together = score_together(s, d, images + s->train);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "%s: fit %.3f s beside the backbone's %.2f; an image %.4f s and %.4f for its map, beside "
        "the backbone's %.3f, %.4f s in batches; %ld MB above %ld\n",
        name, fitted.fit_seconds - fitted.backbone_seconds, fitted.backbone_seconds,
        scored.score_seconds / (double)s->test, scored.map_seconds / (double)s->test,
        (scored.backbone_seconds - fitted.backbone_seconds) / (double)s->test, together,
        usage.ru_maxrss * 1024 / 1000000 - before, before);
    save(s, d);
    for (size_t i = 0; i < s->train + s->test; ++i)
        imiad_image_free(images[i]);
    free(images);
    imiad_detector_free(d);
}

/* False where the reference failed or its scores are others: it then has said why. */
static bool ask_python(const settings *s, const char *name)
{
    const char *python = getenv("IMIAD_PYTHON");
    char variable[64] = "IMIAD_", command[8192];
    for (size_t i = 0; name[i] && i < 32; ++i)
        variable[6 + i] = (char)(name[i] - 'a' + 'A');
    const char *official = getenv(variable);
    snprintf(command, sizeof command, "%s tests/bench/time_closed_form.py %s %s %s %zu %s %d %s",
             python ? python : "python3", s->folder, name, s->backbone, s->train, s->size,
             s->threads, official ? official : "");
    int status = system(command);
    bool missing = WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND;
    if (missing)
        printf("  no reference: there is no such Python\n");
    else if (status != 0)
        fprintf(stderr, "%s: the reference failed or computed something else\n", name);
    return missing || status == 0;
}

static bool compare(const settings *s, const char *name)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        run(s, name);
        fflush(stdout);
        _exit(EXIT_SUCCESS);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 && ask_python(s, name);
}

static void remove_files(const settings *s)
{
    static const char *const files[] = {"images", "scores", "detector"};
    for (int i = 0; i < 3; ++i) {
        char *path = path_join(s->folder, files[i]);
        unlink(path);
        free(path);
    }
    rmdir(s->folder);
}

int main(int count, char **arguments)
{
    char folder[] = "/tmp/imiad-bench-XXXXXX";
    const char *given[9] = {NULL};
    for (int i = 1; i < count && i < 9; ++i)
        given[i] = strcmp(arguments[i], "-") == 0 ? NULL : arguments[i];
    settings s = {.backbone = given[1] ? given[1] : "wide_resnet50_2",
                  .weights = given[2],
                  .root = given[3],
                  .category = given[4],
                  .folder = mkdtemp(folder),
                  .train = given[5] ? strtoul(given[5], NULL, 10) : 60,
                  .test = given[6] ? strtoul(given[6], NULL, 10) : 40,
                  .threads = given[7] ? atoi(given[7]) : 1,
                  .size = given[8] ? given[8] : "224"};
    static const char *const detectors[] = {"padim", "spade", "softpatch", "subspacead",
                                            "patchcore"};
    if (!s.folder)
        return EXIT_FAILURE;
    printf(
        "%s, %s, %s, %zu training and %zu test images of %s pixels, %d threads, processor time\n",
        s.backbone, s.weights ? s.weights : "random weights", s.root ? s.root : "procedural",
        s.train, s.test, s.size, s.threads);
    bool right = true;
    for (int i = 9; i < count; ++i)
        right &= compare(&s, arguments[i]);
    for (size_t i = 0; count <= 9 && i < sizeof detectors / sizeof *detectors; ++i)
        right &= compare(&s, detectors[i]);
    remove_files(&s);
    return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
