/* Reading and resizing images, beside Pillow and OpenCV in the same run.
 *
 *     bench-image [--size 1024] [--format png] [--rounds 15] [FILE]
 *
 * Without a file: a procedural photograph, as PNG or as another format that Pillow makes of it, by
 * Pillow's name for it: jpeg (of quality 92), bmp, ppm, tiff, webp. All on one thread; every figure
 * is processor time, the median of the rounds. A ratio above 1 means that the other takes longer.
 * The floor is reading the file's bytes and writing the image's once. IMIAD_PYTHON names a Python
 * with Pillow and OpenCV (/usr/bin/python3). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/progress.h"
#include "base/random.h"
#include "image/decode.h"
#include "image/pixels.h"
#include "image/preprocess.h"
#include "image/resize_kernels.h"
#include "measure.h"

enum { RESIZED = 256, MOST_ROUNDS = 99 };

/* Smooth shapes with a sensor's noise of two levels: compresses about as a photograph does. */
static void write_procedural(const char *path, int size)
{
    imiad_image *image = NULL;
    check(image_create(&image, IMIAD_PIXEL_RGB8, size, size));
    random_stream random = random_open(1, "bench/image");
    for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; ++x)
            for (int c = 0; c < 3; ++c) {
                double shape = sin(x * 0.013 + c) * cos(y * 0.017 - c) + sin((x + y) * 0.05);
                double value = 128 + 50 * shape + random_real(&random) * 4;
                image_row(image, y)[3 * x + c] = (uint8_t)fmin(fmax(value, 0), 255);
            }
    check(imiad_image_write_png(image, path));
    imiad_image_free(image);
}

enum { DECODE, RESIZE, BOTH, PREPROCESS, FLOOR, TIMES };

/* Reads the file's bytes, which are in the cache, and writes as many as the image has. */
static double floor_seconds(const uint8_t *file, size_t size, const imiad_image *image)
{
    size_t bytes = image->stride * (size_t)image->height;
    uint8_t *copy = malloc(bytes), sum = 0;
    double begin = cpu_seconds();
    for (size_t i = 0; i < size; ++i)
        sum ^= file[i];
    memset(copy, sum, bytes);
    __asm__ volatile("" : : "r"(copy) : "memory"); /* somebody might look */
    double took = cpu_seconds() - begin;
    free(copy);
    return took;
}

/* Median seconds. */
static void measure(double out[TIMES], const char *path, int rounds)
{
    double seconds[TIMES][MOST_ROUNDS];
    preprocessing p = {false, RESIZED, 224, {0.5f, 0.5f, 0.5f}, {0.25f, 0.25f, 0.25f}, false};
    float *planes = malloc(3 * 224 * 224 * sizeof *planes);
    file_view file;
    check(file_map(&file, path));
    for (int i = 0; i < rounds; ++i) {
        imiad_image *image = NULL, *resized = NULL, *input = NULL;
        double t0 = cpu_seconds();
        check(imiad_image_read(&image, path));
        double t1 = cpu_seconds();
        check(imiad_image_resize(&resized, image, RESIZED, RESIZED));
        double t2 = cpu_seconds();
        check(preprocess_image(&input, image, &p));
        preprocess_normalize(planes, input, &p);
        double t3 = cpu_seconds();
        const double taken[TIMES] = {t1 - t0, t2 - t1, t2 - t0, t3 - t2,
                                     floor_seconds(file.bytes, file.size, image)};
        for (int k = 0; k < TIMES; ++k)
            seconds[k][i] = taken[k];
        imiad_image_free(image);
        imiad_image_free(resized);
        imiad_image_free(input);
    }
    for (int k = 0; k < TIMES; ++k)
        out[k] = median(seconds[k], rounds);
    file_unmap(&file);
    free(planes);
}

/* What time_pillow.py prints for a library: false where it is missing. */
static bool measure_other(double out[2], const char *library, const char *path, int rounds)
{
    const char *source = getenv("IMIAD_SOURCE"), *python = getenv("IMIAD_PYTHON");
    char command[4096];
    snprintf(command, sizeof command,
             "%s '%s/tests/bench/time_pillow.py' '%s' %d %d %s 2>/dev/null",
             python ? python : "/usr/bin/python3", source ? source : ".", path, RESIZED, rounds,
             library);
    FILE *stream = popen(command, "r");
    if (!stream)
        return false;
    bool read = fscanf(stream, "%lf %lf", &out[0], &out[1]) == 2;
    pclose(stream);
    return read;
}

static void compare_with(const char *library, const double ours[TIMES], const char *path,
                         int rounds)
{
    double theirs[2];
    if (!measure_other(theirs, library, path, rounds)) {
        printf("no %s to compare with\n", library);
        return;
    }
    printf("%-8s decode %8.2f ms, ratio %5.2f; resize %6.2f ms, ratio %5.2f; both %8.2f ms, ratio "
           "%5.2f\n",
           library, 1e3 * theirs[0], theirs[0] / ours[DECODE], 1e3 * theirs[1],
           theirs[1] / ours[RESIZE], 1e3 * (theirs[0] + theirs[1]),
           (theirs[0] + theirs[1]) / ours[BOTH]);
}

/* The picture again in another format, in place. */
static bool make_format(const char *path, const char *format)
{
    const char *python = getenv("IMIAD_PYTHON");
    char command[512];
    snprintf(command, sizeof command,
             "%s -c \"from PIL import Image; Image.open('%s').save('%s', '%s', quality=92)\"",
             python ? python : "/usr/bin/python3", path, path, format);
    return system(command) == 0;
}

int main(int argc, char **argv)
{
    char made[] = "/tmp/imiad-bench-XXXXXX";
    const char *path = made, *format = "png";
    int size = 1024, rounds = 15;
    for (int i = 1; i < argc; ++i)
        if (strcmp(argv[i], "--format") == 0 && i + 1 < argc)
            format = argv[++i];
        else if (strcmp(argv[i], "--size") == 0 && i + 1 < argc)
            size = atoi(argv[++i]);
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = atoi(argv[++i]);
        else
            path = argv[i];
    rounds = rounds < 1 ? 1 : rounds > MOST_ROUNDS ? MOST_ROUNDS : rounds;
    check(imiad_set_threads(1));
    if (path == made) {
        close(mkstemp(made));
        write_procedural(made, size);
        if (strcmp(format, "png") != 0 && !make_format(made, format))
            return EXIT_FAILURE;
    }
    uint64_t bytes = 0;
    double ours[TIMES];
    check(file_size(&bytes, path));
    measure(ours, path, rounds);
    printf("%s, %d x %d, %s, %llu bytes; %s kernels, median of %d\n",
           path == made ? "procedural" : path, size, size, path == made ? format : "as it is",
           (unsigned long long)bytes, resize_best()->name, rounds);
    printf("libimiad decode %8.2f ms; resize to 256 %6.2f ms; both %8.2f ms; resize, crop and "
           "normalize %6.2f ms\n",
           1e3 * ours[DECODE], 1e3 * ours[RESIZE], 1e3 * ours[BOTH], 1e3 * ours[PREPROCESS]);
    printf("floor    %.2f ms: both / floor %.1f\n", 1e3 * ours[FLOOR], ours[BOTH] / ours[FLOOR]);
    compare_with("Pillow", ours, path, rounds);
    compare_with("OpenCV", ours, path, rounds);
    if (path == made)
        unlink(made);
    return EXIT_SUCCESS;
}
