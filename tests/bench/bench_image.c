/* Reading and resizing images, beside Pillow in the same run.
 *
 *     ninja tests/bench/bench-image && tests/bench/bench-image [FILE]
 *
 * Without a file: a procedural photograph of 1024 x 1024 as PNG. Every figure is the best of
 * several; a ratio above 1 means that Pillow takes longer. */
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

enum { SIZE = 1024, RESIZED = 256, ROUNDS = 15 };

static void check(imiad_status status)
{
    if (status == IMIAD_OK)
        return;
    fprintf(stderr, "%s\n", imiad_last_error());
    exit(EXIT_FAILURE);
}

/* Smooth shapes with a sensor's noise of two levels: compresses about as a photograph does. */
static void write_procedural(const char *path)
{
    imiad_image *image = NULL;
    check(image_create(&image, IMIAD_PIXEL_RGB8, SIZE, SIZE));
    random_stream random = random_open(1, "bench/image");
    for (int y = 0; y < SIZE; ++y)
        for (int x = 0; x < SIZE; ++x)
            for (int c = 0; c < 3; ++c) {
                double shape = sin(x * 0.013 + c) * cos(y * 0.017 - c) + sin((x + y) * 0.05);
                double value = 128 + 50 * shape + random_real(&random) * 4;
                image_row(image, y)[3 * x + c] = (uint8_t)fmin(fmax(value, 0), 255);
            }
    check(imiad_image_write_png(image, path));
    imiad_image_free(image);
}

typedef struct times {
    double decode, resize, preprocess; /* seconds */
} times;

static times measure(const char *path)
{
    times best = {INFINITY, INFINITY, INFINITY};
    preprocessing p = {false, RESIZED, 224, {0.5f, 0.5f, 0.5f}, {0.25f, 0.25f, 0.25f}};
    float *planes = malloc(3 * 224 * 224 * sizeof *planes);
    for (int i = 0; i < ROUNDS; ++i) {
        imiad_image *image = NULL, *resized = NULL, *input = NULL;
        double t0 = clock_seconds();
        check(imiad_image_read(&image, path));
        double t1 = clock_seconds();
        check(imiad_image_resize(&resized, image, RESIZED, RESIZED));
        double t2 = clock_seconds();
        check(preprocess_image(&input, image, &p));
        preprocess_normalize(planes, input, &p);
        double t3 = clock_seconds();
        best.decode = fmin(best.decode, t1 - t0);
        best.resize = fmin(best.resize, t2 - t1);
        best.preprocess = fmin(best.preprocess, t3 - t2);
        imiad_image_free(image);
        imiad_image_free(resized);
        imiad_image_free(input);
    }
    free(planes);
    return best;
}

/* False where there is no Pillow. */
static bool measure_pillow(times *out, const char *path)
{
    const char *source = getenv("IMIAD_SOURCE");
    char command[4096];
    snprintf(command, sizeof command,
             "/usr/bin/python3 '%s/tests/bench/time_pillow.py' '%s' %d %d 2>/dev/null",
             source ? source : ".", path, RESIZED, ROUNDS);
    FILE *stream = popen(command, "r");
    if (!stream)
        return false;
    bool read = fscanf(stream, "%lf %lf", &out->decode, &out->resize) == 2;
    pclose(stream);
    return read;
}

static void report(const char *what, double seconds, bool pillow, double pillow_seconds)
{
    printf("%-22s %8.2f ms", what, 1e3 * seconds);
    if (pillow)
        printf("   Pillow %8.2f ms   ratio %5.2f", 1e3 * pillow_seconds, pillow_seconds / seconds);
    printf("\n");
}

int main(int argc, char **argv)
{
    char made[] = "/tmp/imiad-bench-XXXXXX";
    const char *path = argc > 1 ? argv[1] : made;
    if (argc < 2) {
        close(mkstemp(made));
        write_procedural(made);
    }
    uint64_t bytes = 0;
    check(file_size(&bytes, path));
    printf("%s: %llu bytes; %s kernels\n", argc > 1 ? path : "procedural, 1024 x 1024, RGB",
           (unsigned long long)bytes, resize_best()->name);
    times ours = measure(path), theirs = {0, 0, 0};
    bool pillow = measure_pillow(&theirs, path);
    report("decode", ours.decode, pillow, theirs.decode);
    report("resize to 256", ours.resize, pillow, theirs.resize);
    report("decode + resize", ours.decode + ours.resize, pillow, theirs.decode + theirs.resize);
    report("256, crop, normalize", ours.preprocess, false, 0);
    if (!pillow)
        printf("no Pillow to compare with: install python3-pil\n");
    if (argc < 2)
        unlink(made);
    return EXIT_SUCCESS;
}
