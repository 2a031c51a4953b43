/* Pixel metrics of many large maps: image and pixel AUROC, AP and AUPRO, one image at a time.
 *
 *     bench-metrics [--images 100] [--size 1024] [--scores smooth|noise] [--threads 0] [--rounds 5]
 *                   [--adeval] [--sklearn] [--spro]
 *
 * Maps come from a seed: heavy-tailed scores (the exponential of a normal variable), either a
 * coarse grid stretched bilinearly, as detectors make them, or every pixel on its own, the hardest
 * case for a cache. Three images of five are defective. They are drawn once into a file, and every
 * round reads them from there, one at a time, outside the clock; times are medians of the rounds.
 * Beside ours it prints two floors of the same run: reading maps and masks once, and counting the
 * maps into 1,000 bins, which is the core of what binned tools do.
 *
 * The same maps go on with --adeval through ADEval (time_adeval.py; IMIAD_PYTHON names a Python
 * that has it, "python3"), with --sklearn through scikit-learn and scipy (metrics_reference.py,
 * Debian's python3-sklearn), which takes minutes, with --spro through the saturated overlap, each
 * mask as two channels: its left and its right half, saturated at half their area. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/random.h"
#include "imiad/metrics.h"
#include "measure.h"

enum { MOST_ROUNDS = 99 };

typedef struct settings {
    int images, size, threads, rounds;
    bool noise, adeval, sklearn, spro;
} settings;

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
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

static void ask(const imiad_metrics *m, bool tell)
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
        check(metrics[i].compute(&value, m));
        if (tell)
            printf("%-12s %.12f\n", metrics[i].name, value);
    }
    check(imiad_metrics_aupro(&value, m, 0.3));
    if (tell)
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
    check(imiad_spro_create(&b->spro, NULL, 0));
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
    double begin = clock_seconds(), processor = cpu_seconds();
    check(imiad_spro_add_map(b->spro, map, size, size, kind, channels, good ? 0 : 2));
    b->seconds += clock_seconds() - begin;
    b->processor += cpu_seconds() - processor;
}

static void spro_end(spro_bench *b)
{
    static const double limits[] = {0.01, 0.05, 0.1, 0.3, 1};
    double begin = clock_seconds(), processor = cpu_seconds(), value[5];
    for (int i = 0; i < 5; ++i)
        check(imiad_spro_area(&value[i], b->spro, IMIAD_SPRO_MEAN, limits[i]));
    double asking = clock_seconds() - begin;
    b->processor += cpu_seconds() - processor;
    printf(
        "sPRO 0.05 %.12f: %.3f s (adding %.3f, asking for five limits of both kinds %.3f), %.3f s "
        "of processor\n",
        value[1], b->seconds + asking, b->seconds, asking, b->processor);
    imiad_spro_free(b->spro);
    free(b->halves[0]);
    free(b->halves[1]);
}

/* ---- the maps and masks in files ---- */

typedef struct inputs {
    char folder[32], maps[64], masks[64];
    float *map; /* one image */
    uint8_t *mask;
    size_t count; /* its pixels */
} inputs;

static FILE *open_file(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

static void draw_inputs(inputs *in, const settings *s)
{
    *in = (inputs){.folder = "/tmp/bench-metrics-XXXXXX", .count = (size_t)s->size * s->size};
    in->map = malloc(in->count * sizeof *in->map);
    in->mask = malloc(in->count);
    if (!in->map || !in->mask || !mkdtemp(in->folder))
        exit(1);
    snprintf(in->maps, sizeof in->maps, "%s/maps", in->folder);
    snprintf(in->masks, sizeof in->masks, "%s/masks", in->folder);
    FILE *maps = open_file(in->maps, "wb"), *masks = open_file(in->masks, "wb");
    for (int i = 0; i < s->images; ++i) {
        draw_image(in->map, in->mask, s, i);
        if (fwrite(in->map, sizeof *in->map, in->count, maps) != in->count ||
            fwrite(in->mask, 1, in->count, masks) != in->count) {
            perror(in->folder);
            exit(1);
        }
    }
    fclose(maps);
    fclose(masks);
}

static void drop_inputs(inputs *in)
{
    free(in->map);
    free(in->mask);
    remove(in->maps);
    remove(in->masks);
    rmdir(in->folder);
}

/* ---- a round ---- */

typedef struct times {
    double adding, asking, processor;
} times;

static times run_round(imiad_metrics *m, inputs *in, const settings *s, floors *f, bool tell)
{
    times t = {0};
    imiad_image image = IMIAD_IMAGE_INIT;
    image.format = IMIAD_PIXEL_GRAY8;
    image.width = image.height = s->size;
    image.stride = (size_t)s->size;
    image.pixels = in->mask;
    FILE *maps = open_file(in->maps, "rb"), *masks = open_file(in->masks, "rb");
    for (int i = 0; i < s->images; ++i) {
        if (fread(in->map, sizeof *in->map, in->count, maps) != in->count ||
            fread(in->mask, 1, in->count, masks) != in->count)
            exit(1);
        check(imiad_metrics_add_image(m, i % 5 < 3, largest(in->map, in->count)));
        double begin = clock_seconds(), begin_processor = cpu_seconds();
        check(imiad_metrics_add_map(m, in->map, s->size, s->size, &image));
        t.adding += clock_seconds() - begin;
        t.processor += cpu_seconds() - begin_processor;
        measure_floors(f, in->map, in->mask, in->count);
    }
    fclose(maps);
    fclose(masks);
    double begin = clock_seconds(), begin_processor = cpu_seconds();
    ask(m, tell);
    t.asking = clock_seconds() - begin;
    t.processor += cpu_seconds() - begin_processor;
    return t;
}

typedef struct medians {
    double all, adding, asking, processor, reading, binning;
    long peak; /* KiB of the first round above one map and its mask */
    imiad_metrics_counts counts;
    uint64_t check;
} medians;

static medians run_rounds(inputs *in, const settings *s)
{
    double values[6][MOST_ROUNDS];
    medians m = {.counts = IMIAD_METRICS_COUNTS_INIT};
    long before = peak_kib();
    for (int i = 0; i < s->rounds; ++i) {
        imiad_metrics *metrics = NULL;
        floors f = {0};
        check(imiad_metrics_create(&metrics, NULL, 0));
        times t = run_round(metrics, in, s, &f, i == 0);
        check(imiad_metrics_count(&m.counts, metrics));
        imiad_metrics_free(metrics);
        m.peak = i == 0 ? peak_kib() - before : m.peak;
        m.check += f.sum + f.bins[0][100];
        const double measured[] = {t.adding + t.asking, t.adding,  t.asking,
                                   t.processor,         f.reading, f.binning};
        for (int k = 0; k < 6; ++k)
            values[k][i] = measured[k];
    }
    double *const outs[] = {&m.all, &m.adding, &m.asking, &m.processor, &m.reading, &m.binning};
    for (int k = 0; k < 6; ++k)
        *outs[k] = median(values[k], s->rounds);
    return m;
}

static void run_spro(inputs *in, const settings *s)
{
    spro_bench spro = {.spro = NULL};
    FILE *maps = open_file(in->maps, "rb"), *masks = open_file(in->masks, "rb");
    spro_begin(&spro, in->count);
    for (int i = 0; i < s->images; ++i)
        if (fread(in->map, sizeof *in->map, in->count, maps) == in->count &&
            fread(in->mask, 1, in->count, masks) == in->count)
            spro_add(&spro, in->map, in->mask, s->size, i);
    spro_end(&spro);
    fclose(maps);
    fclose(masks);
}

static void ask_peer(const char *python, const char *script, const inputs *in, const settings *s,
                     const medians *ours)
{
    const char *source = getenv("IMIAD_SOURCE");
    char command[1024];
    snprintf(command, sizeof command, "%s '%s/tests/bench/%s' %s %d %g %g %d %d", python,
             source ? source : ".", script, in->folder, s->size, ours->all, ours->processor,
             imiad_threads(), s->rounds);
    fflush(stdout);
    if (system(command) != 0)
        printf("%s did not run: the Python or what it needs is missing\n", script);
}

static void run(const settings *s)
{
    inputs in;
    draw_inputs(&in, s);
    medians m = run_rounds(&in, s);
    double pixels = (double)in.count * s->images;
    printf("%d maps of %d x %d, %s scores, %.2f %% defective, %lld regions, %d threads, median of "
           "%d\n",
           s->images, s->size, s->size, s->noise ? "noise" : "smooth",
           100.0 * (double)m.counts.defective_pixels / pixels, (long long)m.counts.regions,
           imiad_threads(), s->rounds);
    printf("libimiad: %.3f s (adding %.3f, asking %.3f), %.3f s of processor, %.1f MiB above one "
           "map and its mask\n",
           m.all, m.adding, m.asking, m.processor, (double)m.peak / 1024);
    printf("  one map and mask %.1f MiB, defective pixels as float32 %.1f MiB, all maps %.1f MiB\n",
           (double)in.count * 5 / 0x1p20, (double)m.counts.defective_pixels * 4 / 0x1p20,
           pixels * 4 / 0x1p20);
    printf("floor, reading once: %.3f s (%.1f GB/s): ours / floor %.2f\n", m.reading,
           pixels * 5 / m.reading * 1e-9, m.all / m.reading);
    printf("floor, 1000 bins, plain C: %.3f s: ours / floor %.2f (check %llu)\n", m.binning,
           m.all / m.binning, (unsigned long long)m.check % 10);
    if (s->spro)
        run_spro(&in, s);
    const char *python = getenv("IMIAD_PYTHON");
    if (s->adeval)
        ask_peer(python ? python : "python3", "time_adeval.py", &in, s, &m);
    if (s->sklearn)
        ask_peer("/usr/bin/python3", "metrics_reference.py", &in, s, &m);
    drop_inputs(&in);
}

int main(int argc, char **argv)
{
    settings s = {.images = 100, .size = 1024, .rounds = 5};
    const struct {
        const char *name;
        bool *set;
    } flags[] = {{"--adeval", &s.adeval}, {"--sklearn", &s.sklearn}, {"--spro", &s.spro}};
    const struct {
        const char *name;
        int *value;
    } numbers[] = {{"--images", &s.images},
                   {"--size", &s.size},
                   {"--threads", &s.threads},
                   {"--rounds", &s.rounds}};
    for (int i = 1; i < argc; ++i) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        bool known = false;
        for (int k = 0; k < 3; ++k)
            if (strcmp(argv[i], flags[k].name) == 0)
                known = *flags[k].set = true;
        for (int k = 0; k < 4 && !known; ++k)
            if (strcmp(argv[i], numbers[k].name) == 0) {
                *numbers[k].value = atoi(value);
                known = ++i > 0;
            }
        if (!known && strcmp(argv[i], "--scores") == 0) {
            s.noise = strcmp(value, "noise") == 0;
            known = ++i > 0;
        }
        if (!known) {
            fprintf(stderr, "unknown option %s\n", argv[i]);
            return 2;
        }
    }
    s.rounds = s.rounds < 1 ? 1 : s.rounds > MOST_ROUNDS ? MOST_ROUNDS : s.rounds;
    check(imiad_set_threads(s.threads));
    run(&s);
    return 0;
}
