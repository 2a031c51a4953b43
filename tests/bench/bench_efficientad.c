/* EfficientAD at the published width: one image of 256 pixels in memory to its verdict, beside the
 * public code in PyTorch, eager, with the same weights on the same image. One thread, seconds of
 * CPU; the least and the middle of some images.
 * bench-efficientad [IMAGES]    default: 20
 * IMIAD_PYTHON names the Python that has torch, torchvision, Pillow, scikit-learn, tifffile, tqdm
 * and threadpoolctl, "/usr/bin/python3" by default; IMIAD_EFFICIENTAD a checkout of
 * github.com/nelson1425/EfficientAD, without which there is nothing to compare with. The Python
 * says on the standard error stream which kernels it runs. */
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "imiad/imiad.h"
#include "measure.h"

enum { SIDE = 256, MOST = 1000 };

static void draw(imiad_image *out, int which)
{
    static uint8_t pixels[2][3 * SIDE * SIDE];
    for (int i = 0; i < 3 * SIDE * SIDE; ++i)
        pixels[which][i] = (uint8_t)((i * 7 + i / 769 * 13 + which * 31) % 256);
    *out =
        (imiad_image){sizeof *out, IMIAD_PIXEL_RGB8, SIDE, SIDE, (size_t)SIDE * 3, pixels[which]};
}

/* Learned as shortly as can be: time does not depend on what was learned. */
static void learn(const char *path, const imiad_image *image)
{
    static const imiad_option options[] = {
        {"epochs", "1"}, {"steps", "1"}, {"distil_steps", "1"}, {"distil_batch", "1"}};
    imiad_backbone *backbone;
    imiad_detector *d;
    check(imiad_backbone_create(&backbone, "resnet18", NULL));
    check(imiad_detector_create(&d, "efficientad", backbone, options, 4));
    check(imiad_detector_fit_images(d, &image, 1, NULL, NULL));
    check(imiad_detector_save(d, path));
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        exit(EXIT_FAILURE);
}

static void compare(const char *folder, int images, double least, double middle)
{
    const char *python = getenv("IMIAD_PYTHON"), *checkout = getenv("IMIAD_EFFICIENTAD");
    char command[4200];
    double peer[2], apart;
    snprintf(command, sizeof command, "%s tests/bench/time_efficientad.py '%s' %s %d",
             python ? python : "/usr/bin/python3", checkout ? checkout : "", folder, images);
    FILE *pipe = checkout ? popen(command, "r") : NULL;
    bool read = pipe && fscanf(pipe, "%lf %lf %lf", &peer[0], &peer[1], &apart) == 3;
    if (pipe && pclose(pipe) != 0)
        read = false;
    if (read)
        printf("public code, eager  %8.4f s  %8.4f s  ours is %5.3f and %5.3f of it\nthe scores "
               "differ by %.2g of their size\n",
               peer[0], peer[1], least / peer[0], middle / peer[1], apart);
    else
        printf("nothing to compare with, or the scores differ: see above, or name IMIAD_PYTHON and "
               "IMIAD_EFFICIENTAD\n");
}

int main(int argc, char **argv)
{
    int images = argc > 1 ? atoi(argv[1]) : 20;
    static double seconds[MOST];
    char folder[] = "/tmp/imiad-efficientad-XXXXXX", path[64];
    imiad_image good, seen;
    imiad_detector *d;
    imiad_result result = IMIAD_RESULT_INIT;
    if (images < 1 || images > MOST || !mkdtemp(folder)) {
        fprintf(stderr, "bench-efficientad [IMAGES]\n");
        return 1;
    }
    check(imiad_set_threads(1));
    draw(&good, 0);
    draw(&seen, 1);
    snprintf(path, sizeof path, "%s/detector", folder);
    learn(path, &good);
    check(imiad_detector_load(&d, path, NULL));
    for (int i = 0; i < images; ++i) {
        double begin = cpu_seconds();
        check(imiad_detector_score(&result, d, &seen));
        seconds[i] = cpu_seconds() - begin;
    }
    double middle = median(seconds, images), least = seconds[0];
    printf("efficientad, small, %d times one image of %d pixels, 1 thread, CPU seconds: least, "
           "median\nlibimiad            %8.4f s  %8.4f s  %.1f Gflop/s\n",
           images, SIDE, least, middle, 75.9 / middle);
    write_file(folder, "image", seen.pixels, (size_t)SIDE * SIDE * 3);
    write_file(folder, "score", &result.score, sizeof result.score);
    compare(folder, images, least, middle);
    imiad_detector_free(d);
    static const char *const names[] = {"detector", "image", "score"};
    for (int i = 0; i < 3; ++i) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    return 0;
}
