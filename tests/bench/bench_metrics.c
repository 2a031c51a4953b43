/* Pixel metrics of many large maps: image and pixel AUROC, AP and AUPRO, one image at a time.
 *
 *     bench-metrics [--images 100] [--size 1024] [--scores smooth|noise] [--threads 0] [--sklearn]
 *                   [--spro]
 *
 * Maps come from a seed: heavy-tailed scores (the exponential of a normal variable), either a
 * coarse grid stretched bilinearly, as detectors make them, or every pixel on its own, the hardest
 * case for a cache. Three images of five are defective. Beside our time and memory it prints two
 * floors of the same run: reading maps and masks once, and counting the maps into 1,000 bins,
 * which is the core of what binned tools do. With --sklearn the same maps go through scikit-learn
 * and scipy (tests/bench/metrics_reference.py, Debian's python3-sklearn), which takes minutes.
 * With --spro the same maps also go through the saturated overlap, each mask as two channels: its
 * left and its right half, saturated at half their area. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/progress.h"
#include "base/random.h"
#include "imiad/metrics.h"

typedef struct settings {
    int images, size, threads;
    bool noise, sklearn, spro;
} settings;

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* Of the processor, all threads: what can be compared where others share the machine. */
static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void must(imiad_status status)
{
    if (status == IMIAD_OK)
        return;
    fprintf(stderr, "%s: %s\n", imiad_status_name(status), imiad_last_error());
    exit(1);
}

enum { GRID = 28 };

/* A quick normal variable: the sum of four 16-bit uniforms, scaled to deviation 1. */
static float quick_normal(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = *state ^ *state >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 32;
    float sum = (float)(x & 0xffff) + (float)(x >> 16 & 0xffff) + (float)(x >> 32 & 0xffff) +
                (float)(x >> 48);
    return (sum - 2 * 65535.0f) / (65535.0f * 0.57735f);
}

static void draw_map(float *map, const settings *s, uint64_t *state)
{
    float grid[GRID + 1][GRID + 1];
    for (int i = 0; i <= GRID; ++i)
        for (int j = 0; j <= GRID; ++j)
            grid[i][j] = expf(0.5f * quick_normal(state));
    for (int y = 0; y < s->size; ++y)
        for (int x = 0; x < s->size; ++x) {
            float v = (float)y * GRID / (float)s->size, u = (float)x * GRID / (float)s->size;
            int i = (int)v, j = (int)u;
            v -= (float)i;
            u -= (float)j;
            map[y * s->size + x] =
                s->noise ? expf(0.5f * quick_normal(state))
                         : (1 - v) * ((1 - u) * grid[i][j] + u * grid[i][j + 1]) +
                               v * ((1 - u) * grid[i + 1][j] + u * grid[i + 1][j + 1]);
        }
}

/* Up to four ellipses where scores are raised. */
static void draw_defects(float *map, uint8_t *mask, const settings *s, random_stream *r)
{
    int size = s->size, count = 1 + (int)random_below(r, 4);
    memset(mask, 0, (size_t)size * size);
    for (int k = 0; k < count; ++k) {
        double cx = random_between(r, 0, size), cy = random_between(r, 0, size);
        double rx = random_between(r, 0.02, 0.15) * size, ry = random_between(r, 0.02, 0.15) * size;
        for (int y = 0; y < size; ++y)
            for (int x = 0; x < size; ++x)
                if ((x - cx) * (x - cx) / (rx * rx) + (y - cy) * (y - cy) / (ry * ry) <= 1 &&
                    !mask[y * size + x]) {
                    mask[y * size + x] = 255;
                    map[y * size + x] *= 1.8f;
                }
    }
}

static void draw_image(float *map, uint8_t *mask, const settings *s, int index)
{
    random_stream r = random_open((uint64_t)index, "bench/metrics");
    uint64_t state = (uint64_t)random_u32(&r) << 32 | random_u32(&r);
    draw_map(map, s, &state);
    if (index % 5 < 3)
        draw_defects(map, mask, s, &r);
    else
        memset(mask, 0, (size_t)s->size * s->size);
}

static float largest(const float *map, size_t count)
{
    float most = map[0];
    for (size_t i = 1; i < count; ++i)
        most = map[i] > most ? map[i] : most;
    return most;
}

typedef struct floors {
    double reading, binning;
    uint64_t bytes, sum, bins[2][1000];
} floors;

static void measure_floors(floors *f, const float *map, const uint8_t *mask, size_t count)
{
    double begin = clock_seconds();
    uint32_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
        uint32_t bits;
        memcpy(&bits, &map[i], sizeof bits);
        sum += bits + mask[i];
    }
    f->sum += sum;
    f->bytes += count * 5;
    double middle = clock_seconds();
    for (size_t i = 0; i < count; ++i) {
        float bin = map[i] * 100;
        f->bins[mask[i] != 0][bin < 999 ? (int)bin : 999]++;
    }
    f->reading += middle - begin;
    f->binning += clock_seconds() - middle;
}

static void ask(const imiad_metrics *m)
{
    static const struct {
        const char *name;
        imiad_status (*compute)(double *, const imiad_metrics *);
    } metrics[] = {{"image AUROC", imiad_metrics_image_auroc},
                   {"image AP", imiad_metrics_image_ap},
                   {"pixel AUROC", imiad_metrics_pixel_auroc},
                   {"pixel AP", imiad_metrics_pixel_ap}};
    double value;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; ++i) {
        must(metrics[i].compute(&value, m));
        printf("%-12s %.12f\n", metrics[i].name, value);
    }
    must(imiad_metrics_aupro(&value, m, 0.3));
    printf("%-12s %.12f\n", "AUPRO 0.3", value);
}

/* The saturated overlap of the same maps: its own time, beside what the others take. */
typedef struct spro_bench {
    imiad_spro *spro;
    uint8_t *halves[2];
    double seconds, processor;
} spro_bench;

static void spro_begin(spro_bench *b, size_t count)
{
    must(imiad_spro_create(&b->spro, NULL, 0));
    for (int i = 0; i < 2; ++i)
        b->halves[i] = malloc(count);
}

static void spro_add(spro_bench *b, const float *map, const uint8_t *mask, int size, int index)
{
    imiad_spro_channel channels[2];
    imiad_image images[2];
    for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < size * size; ++j)
            b->halves[i][j] = (j % size < size / 2) == (i == 0) ? mask[j] : 0;
        images[i] = (imiad_image){sizeof *images, IMIAD_PIXEL_GRAY8, size,
                                  size,           (size_t)size,      b->halves[i]};
        channels[i] = (imiad_spro_channel){&images[i], 0.5, 1};
    }
    bool good = index % 5 >= 3;
    imiad_spro_kind kind = good             ? IMIAD_SPRO_GOOD
                           : index % 2 == 0 ? IMIAD_SPRO_STRUCTURAL
                                            : IMIAD_SPRO_LOGICAL;
    double begin = clock_seconds(), processor = processor_seconds();
    must(imiad_spro_add_map(b->spro, map, size, size, kind, channels, good ? 0 : 2));
    b->seconds += clock_seconds() - begin;
    b->processor += processor_seconds() - processor;
}

static void spro_end(spro_bench *b)
{
    static const double limits[] = {0.01, 0.05, 0.1, 0.3, 1};
    double begin = clock_seconds(), processor = processor_seconds(), value[5];
    for (int i = 0; i < 5; ++i)
        must(imiad_spro_area(&value[i], b->spro, IMIAD_SPRO_MEAN, limits[i]));
    double asking = clock_seconds() - begin;
    b->processor += processor_seconds() - processor;
    printf(
        "sPRO 0.05 %.12f: %.3f s (adding %.3f, asking for five limits of both kinds %.3f), %.3f s "
        "of processor\n",
        value[1], b->seconds + asking, b->seconds, asking, b->processor);
    imiad_spro_free(b->spro);
    free(b->halves[0]);
    free(b->halves[1]);
}

static void write_all(const void *data, size_t bytes, FILE *file)
{
    if (file && fwrite(data, 1, bytes, file) != bytes)
        exit(1);
}

static void run(const settings *s)
{
    size_t count = (size_t)s->size * s->size;
    float *map = malloc(count * sizeof *map);
    uint8_t *mask = malloc(count);
    char folder[] = "/tmp/bench-metrics-XXXXXX", path[64];
    FILE *maps = NULL, *masks = NULL;
    if (s->sklearn && mkdtemp(folder)) {
        snprintf(path, sizeof path, "%s/maps", folder);
        maps = fopen(path, "wb");
        snprintf(path, sizeof path, "%s/masks", folder);
        masks = fopen(path, "wb");
    }
    imiad_metrics *m = NULL;
    must(imiad_metrics_create(&m, NULL, 0));
    floors f = {0};
    spro_bench spro = {.spro = NULL};
    if (s->spro)
        spro_begin(&spro, count);
    double adding = 0, processor = 0;
    memset(map, 1, count * sizeof *map);
    memset(mask, 1, count);
    long before = peak_kib();
    for (int i = 0; i < s->images; ++i) {
        draw_image(map, mask, s, i);
        write_all(map, count * sizeof *map, maps);
        write_all(mask, count, masks);
        imiad_image image = IMIAD_IMAGE_INIT;
        image.format = IMIAD_PIXEL_GRAY8;
        image.width = image.height = s->size;
        image.stride = (size_t)s->size;
        image.pixels = mask;
        must(imiad_metrics_add_image(m, i % 5 < 3, largest(map, count)));
        double begin = clock_seconds(), begin_processor = processor_seconds();
        must(imiad_metrics_add_map(m, map, s->size, s->size, &image));
        adding += clock_seconds() - begin;
        processor += processor_seconds() - begin_processor;
        measure_floors(&f, map, mask, count);
        if (s->spro)
            spro_add(&spro, map, mask, s->size, i);
    }
    double begin = clock_seconds(), begin_processor = processor_seconds();
    ask(m);
    double asking = clock_seconds() - begin;
    processor += processor_seconds() - begin_processor;
    imiad_metrics_counts counts = IMIAD_METRICS_COUNTS_INIT;
    must(imiad_metrics_count(&counts, m));
    printf("%d maps of %d x %d, %s scores, %.2f %% defective, %lld regions, %d threads\n",
           s->images, s->size, s->size, s->noise ? "noise" : "smooth",
           100.0 * (double)counts.defective_pixels / ((double)count * s->images),
           (long long)counts.regions, imiad_threads());
    double all = adding + asking;
    printf(
        "libimiad: %.3f s (adding %.3f, asking %.3f), %.3f s of processor, %.1f MiB above one map "
        "and its mask\n",
        all, adding, asking, processor, (double)(peak_kib() - before) / 1024);
    printf("  one map and mask %.1f MiB, defective pixels as float32 %.1f MiB, all maps %.1f MiB\n",
           (double)count * 5 / 0x1p20, (double)counts.defective_pixels * 4 / 0x1p20,
           (double)count * s->images * 4 / 0x1p20);
    printf("floor, reading once: %.3f s (%.1f GB/s): ours / floor %.2f\n", f.reading,
           (double)f.bytes / f.reading * 1e-9, all / f.reading);
    printf("floor, 1000 bins, plain C: %.3f s: ours / floor %.2f (check %llu)\n", f.binning,
           all / f.binning, (unsigned long long)(f.sum + f.bins[0][100]) % 10);
    if (s->spro)
        spro_end(&spro);
    imiad_metrics_free(m);
    free(map);
    free(mask);
    if (maps && masks && fclose(maps) == 0 && fclose(masks) == 0) {
        char command[256];
        fflush(stdout);
        snprintf(command, sizeof command,
                 "/usr/bin/python3 tests/bench/metrics_reference.py %s %d %g %g; rm -r %s", folder,
                 s->size, all, processor, folder);
        if (system(command) != 0)
            fprintf(stderr, "the reference did not run\n");
    }
}

int main(int argc, char **argv)
{
    settings s = {100, 1024, 0, false, false, false};
    for (int i = 1; i < argc; ++i) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--sklearn") == 0) {
            s.sklearn = true;
            continue;
        }
        if (strcmp(argv[i], "--spro") == 0) {
            s.spro = true;
            continue;
        }
        if (strcmp(argv[i], "--images") == 0)
            s.images = atoi(value);
        else if (strcmp(argv[i], "--size") == 0)
            s.size = atoi(value);
        else if (strcmp(argv[i], "--threads") == 0)
            s.threads = atoi(value);
        else if (strcmp(argv[i], "--scores") == 0)
            s.noise = strcmp(value, "noise") == 0;
        else {
            fprintf(stderr, "unknown option %s\n", argv[i]);
            return 2;
        }
        ++i;
    }
    must(imiad_set_threads(s.threads));
    run(&s);
    return 0;
}
