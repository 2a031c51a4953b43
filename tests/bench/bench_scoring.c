/* One image in memory to its score, beside the public code in PyTorch, eager, with the same weights
 * on the same image; and the most memory that a process has which loads a detector and scores. One
 * thread, seconds of CPU, the least and the middle of some images.
 * bench-scoring DETECTOR CHECKOUTS [IMAGES [SIZE]]    default: 10 images of the size below; where
 * DETECTOR is csflow, cutpaste, fastflow, favae or igd, and CHECKOUTS are the folders of the public
 * code and of what it is made with, with colons between them, as tests/bench/time_scoring.py says;
 * "-": none. IMIAD_PYTHON names the Python that has what tests/golden/make_DETECTOR.py needs and
 * threadpoolctl, "/usr/bin/python3" by default. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "imiad/imiad.h"
#include "measure.h"
#include "peak_memory.h"

enum { MOST = 1000, LEARNED = 4, LARGEST = 768 };

/* What is learned as shortly as can be: time does not depend on what was learned. */
typedef struct choice {
    const char *detector, *backbone;
    int size;
    imiad_option options[3];
    int count;
} choice;

static const choice choices[] = {
    /* CS-Flow's own 1024 hidden channels are for GPUs. */
    {"csflow", "resnet18", 256, {{"hidden", "64"}, {"layer", "layer2"}}, 2},
    {"cutpaste", "resnet18", 256, {{"steps", "1"}, {"pretrained", "false"}}, 2},
    {"fastflow", "resnet18", 256, {{NULL}}, 0},
    {"favae", "vgg16", 128, {{"input", "unit"}}, 1},
    {"igd", "resnet18", 256, {{NULL}}, 0},
};

typedef struct plan {
    const choice *choice;
    const char *checkouts;
    int images, size;
    char folder[64];
} plan;

static void draw(imiad_image *out, int size, int which)
{
    size_t bytes = (size_t)(size * size * 3);
    uint8_t *pixels = malloc(bytes);
    for (size_t i = 0; i < bytes; ++i)
        pixels[i] = (uint8_t)((i * 7 + i / 769 * 13 + (size_t)which * 31) % 256);
    *out = (imiad_image){sizeof *out, IMIAD_PIXEL_RGB8, size, size, (size_t)size * 3, pixels};
}

static void place(char path[128], const plan *p, const char *name)
{
    snprintf(path, 128, "%s/%s", p->folder, name);
}

static void learn(const plan *p)
{
    imiad_image images[LEARNED];
    const imiad_image *list[LEARNED];
    imiad_backbone *backbone;
    imiad_detector *d;
    char path[128], size[16];
    snprintf(size, sizeof size, "%d", p->size);
    imiad_option options[6] = {{"epochs", "1"}, {"train_batch", "4"}, {"resize", size}};
    for (int i = 0; i < p->choice->count; ++i)
        options[3 + i] = p->choice->options[i];
    for (int i = 0; i < LEARNED; ++i) {
        draw(&images[i], p->size, i + 1);
        list[i] = &images[i];
    }
    check(imiad_backbone_create(&backbone, p->choice->backbone, NULL));
    check(imiad_detector_create(&d, p->choice->detector, backbone, options,
                                3 + (size_t)p->choice->count));
    check(imiad_detector_fit_images(d, list, LEARNED, NULL, NULL));
    place(path, p, "detector");
    check(imiad_detector_save(d, path));
}

static void write_file(const plan *p, const char *name, const void *bytes, size_t size)
{
    char path[128];
    place(path, p, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        exit(EXIT_FAILURE);
}

/* Leaves the image, its score, and seconds: least and median. */
static void score(const plan *p)
{
    static double seconds[MOST];
    imiad_image seen;
    imiad_backbone *first;
    imiad_detector *d;
    imiad_result result = IMIAD_RESULT_INIT;
    char path[128];
    /* libtorch comes with the first network: it is not of what a detector takes. */
    check(imiad_backbone_create(&first, "resnet18", NULL));
    imiad_backbone_free(first);
    double before = peak_begin();
    draw(&seen, p->size, 0);
    place(path, p, "detector");
    check(imiad_detector_load(&d, path, NULL));
    for (int i = 0; i < p->images; ++i) {
        double begin = cpu_seconds();
        check(imiad_detector_score(&result, d, &seen));
        seconds[i] = cpu_seconds() - begin;
    }
    double above = peak_since(before), middle = median(seconds, p->images);
    printf("%s, %s, random weights, %d times one image of %d pixels, 1 thread, CPU seconds: least, "
           "median; memory\nlibimiad     %8.4f s  %8.4f s  %4.0f MB above %.0f\n",
           p->choice->detector, p->choice->backbone, p->images, p->size, seconds[0], middle, above,
           before);
    double found[2] = {seconds[0], middle};
    write_file(p, "seconds", found, sizeof found);
    write_file(p, "image", seen.pixels, (size_t)(p->size * p->size * 3));
    write_file(p, "score", &result.score, sizeof result.score);
}

/* In a process of its own, for its memory is measured. */
static void apart(const plan *p, void (*action)(const plan *))
{
    int status = 1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        check(imiad_set_threads(1));
        action(p);
        fflush(stdout);
        _exit(EXIT_SUCCESS);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        exit(EXIT_FAILURE);
}

static bool compare(const plan *p)
{
    const char *python = getenv("IMIAD_PYTHON");
    char command[4200];
    if (strcmp(p->checkouts, "-") == 0)
        return true;
    snprintf(command, sizeof command, "%s tests/bench/time_scoring.py %s '%s' %s %d %d",
             python ? python : "/usr/bin/python3", p->choice->detector, p->checkouts, p->folder,
             p->images, p->size);
    fflush(stdout);
    return system(command) == 0;
}

static const choice *choose(const char *detector)
{
    for (size_t i = 0; i < sizeof choices / sizeof *choices; ++i)
        if (strcmp(choices[i].detector, detector) == 0)
            return &choices[i];
    return NULL;
}

int main(int argc, char **argv)
{
    plan p = {.choice = choose(argc > 1 ? argv[1] : "fastflow"),
              .checkouts = argc > 2 ? argv[2] : "-",
              .images = argc > 3 ? atoi(argv[3]) : 10,
              .folder = "/tmp/imiad-scoring-XXXXXX"};
    if (p.choice)
        p.size = argc > 4 ? atoi(argv[4]) : p.choice->size;
    if (!p.choice || p.images < 1 || p.images > MOST || p.size < 32 || p.size > LARGEST ||
        !mkdtemp(p.folder)) {
        fprintf(stderr, "bench-scoring DETECTOR CHECKOUTS [IMAGES [SIZE]]\n");
        return 1;
    }
    apart(&p, learn);
    apart(&p, score);
    bool right = compare(&p);
    static const char *const names[] = {"detector", "image", "score", "seconds"};
    for (int i = 0; i < 4; ++i) {
        char path[128];
        place(path, &p, names[i]);
        unlink(path);
    }
    rmdir(p.folder);
    return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
