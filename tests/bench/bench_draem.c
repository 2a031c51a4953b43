/* DRAEM: one image in memory to its verdict, beside the public code in PyTorch, eager, with the
 * same weights on the same image. One thread, seconds of CPU, the least and the middle of some
 * images, and the most memory above what the process had before the first. bench-draem [IMAGES
 * [SIZE [WIDTH]]]    default: 10 256 16; WIDTH: of both networks, 0 for the authors' 128 and 64
 * IMIAD_PYTHON names the Python that has torch and threadpoolctl, "/usr/bin/python3" by default;
 * IMIAD_DRAEM a checkout of github.com/VitjanZ/DRAEM, without which there is nothing to compare
 * with. The Python says on the standard error stream which kernels it runs. */
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "imiad/imiad.h"
#include "measure.h"
#include "peak_memory.h"

enum { MOST = 1000, MOST_SIDE = 1024, REPAIR = 128, JUDGE = 64 };

typedef struct plan {
    int images, side, repair, judge;
} plan;

static void draw(imiad_image *out, int side)
{
    static uint8_t pixels[3 * MOST_SIDE * MOST_SIDE];
    for (int i = 0; i < 3 * side * side; ++i)
        pixels[i] = (uint8_t)((i * 7 + i / 769 * 13) % 256);
    *out = (imiad_image){sizeof *out, IMIAD_PIXEL_RGB8, side, side, (size_t)side * 3, pixels};
}

/* Learned as shortly as can be: time does not depend on what was learned. */
static void learn(const char *path, const plan *p, const imiad_image *image)
{
    char size[16], repair[16], judge[16];
    snprintf(size, sizeof size, "%d", p->side);
    snprintf(repair, sizeof repair, "%d", p->repair);
    snprintf(judge, sizeof judge, "%d", p->judge);
    const imiad_option options[] = {{"epochs", "1"},
                                    {"resize", size},
                                    {"reconstruction_width", repair},
                                    {"discrimination_width", judge}};
    imiad_detector *d;
    check(imiad_detector_create(&d, "draem", NULL, options, 4));
    check(imiad_detector_fit_images(d, &image, 1, NULL, NULL));
    check(imiad_detector_save(d, path));
    imiad_detector_free(d);
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        exit(EXIT_FAILURE);
}

static void compare(const char *folder, const plan *p, const double ours[3])
{
    const char *python = getenv("IMIAD_PYTHON"), *checkout = getenv("IMIAD_DRAEM");
    char command[4200];
    double peer[3], apart;
    snprintf(command, sizeof command, "%s tests/bench/time_draem.py '%s' %s %d %d %d %d",
             python ? python : "/usr/bin/python3", checkout ? checkout : "", folder, p->images,
             p->side, p->repair, p->judge);
    FILE *pipe = checkout ? popen(command, "r") : NULL;
    bool read = pipe && fscanf(pipe, "%lf %lf %lf %lf", &peer[0], &peer[1], &peer[2], &apart) == 4;
    if (pipe && pclose(pipe) != 0)
        read = false;
    if (read)
        printf(
            "public code, eager  %8.4f s  %8.4f s  %6.1f MB  ours is %5.3f, %5.3f and %5.3f of it\n"
            "the scores differ by %.2g of their size\n",
            peer[0], peer[1], peer[2], ours[0] / peer[0], ours[1] / peer[1], ours[2] / peer[2],
            apart);
    else
        printf("nothing to compare with, or the scores differ: see above, or name IMIAD_PYTHON and "
               "IMIAD_DRAEM\n");
}

int main(int argc, char **argv)
{
    static double seconds[MOST];
    char folder[] = "/tmp/imiad-draem-XXXXXX", path[64];
    plan p = {argc > 1 ? atoi(argv[1]) : 10, argc > 2 ? atoi(argv[2]) : 256, REPAIR, JUDGE};
    int width = argc > 3 ? atoi(argv[3]) : 16;
    if (width > 0)
        p.repair = p.judge = width;
    imiad_image image;
    imiad_detector *d;
    imiad_result result = IMIAD_RESULT_INIT;
    if (p.images < 1 || p.images > MOST || p.side < 32 || p.side > MOST_SIDE || !mkdtemp(folder)) {
        fprintf(stderr, "bench-draem [IMAGES [SIZE [WIDTH]]]\n");
        return 1;
    }
    check(imiad_set_threads(1));
    draw(&image, p.side);
    snprintf(path, sizeof path, "%s/detector", folder);
    learn(path, &p, &image);
    check(imiad_detector_load(&d, path, NULL));
    malloc_trim(0); /* what learning and loading left */
    double before = peak_begin();
    for (int i = 0; i < p.images; ++i) {
        double begin = cpu_seconds();
        check(imiad_detector_score(&result, d, &image));
        seconds[i] = cpu_seconds() - begin;
    }
    double memory = peak_since(before), middle = median(seconds, p.images);
    const double ours[] = {seconds[0], middle, memory};
    printf(
        "draem, %d and %d channels, %d times one image of %d pixels, 1 thread, CPU seconds: least, "
        "median; memory\nlibimiad            %8.4f s  %8.4f s  %6.1f MB\n",
        p.repair, p.judge, p.images, p.side, ours[0], ours[1], ours[2]);
    write_file(folder, "image", image.pixels, (size_t)p.side * (size_t)p.side * 3);
    write_file(folder, "score", &result.score, sizeof result.score);
    compare(folder, &p, ours);
    imiad_detector_free(d);
    static const char *const names[] = {"detector", "image", "score"};
    for (int i = 0; i < 3; ++i) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    return 0;
}
