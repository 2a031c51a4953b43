/* Coresets and neighbours, beside their plain twins, the machine's limits, patchcore-inspection's
 * selection and faiss's search.
 *
 *     ninja tests/bench/bench-bank && tests/bench/bench-bank [WEIGHTS MVTEC_AD [PART...]]
 *
 * Rows are the patch features that PatchCore's defaults make with resnet18 and these weights of the
 * first training images of the first category there; without WEIGHTS (or with "-" for both) they
 * are procedural, seed 0: "features" in clusters, with variances that fall as 1/column, and
 * "noise", independent and equal everywhere, which no bound can thin out. PART is one of coreset,
 * exact, search, windows, growth, storage; all by default.
 *
 * Times are seconds of one CPU with one thread, medians of ROUNDS where a run is short. A ratio
 * above 1 says how many times longer the other takes. "beside" is the peak of memory above what
 * there was before. IMIAD_PYTHON names the Python that has faiss and torch, "python3" by default;
 * what faiss's times say depends on the BLAS behind it, so set OPENBLAS_NUM_THREADS and the like
 * too. IMIAD_PATCHCORE names the folder src of a checkout of patchcore-inspection, whose sampler
 * then runs in place of the same algorithm in time_greedy.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bank/search.h"
#include "bank/coreset.h"
#include "bank/windows.h"
#include "base/files.h"
#include "base/random.h"
#include "imiad/imiad.h"
#include "measure.h"
#include "peak_memory.h"

enum {
    COLUMNS = 1024,
    CORESET_ROWS = 47040, /* 60 images of 28 x 28 patches */
    BANK_ROWS = 16000,
    QUERIES = 784, /* one image */
    GRID_SIDE = 28,
    CLUSTERS = 700,
    PROJECTION = 128,
    STARTS = 10,
    PLAIN_PICKS = 60,
    PEER_PICKS = 300,
    PLAIN_QUERIES = 32,
    ROUNDS = 7,
};

/* ---- rows ---- */

typedef struct rows {
    const char *what;
    float *values;  /* CORESET_ROWS */
    float *queries; /* QUERIES, of no row among these */
} rows;

static float *make_rows(bool features, size_t count, const char *purpose)
{
    float *values = malloc(count * COLUMNS * sizeof *values);
    float *centres = malloc(CLUSTERS * COLUMNS * sizeof *centres);
    random_stream common = random_open(0, "bench/bank/centres"), own = random_open(0, purpose);
    for (size_t i = 0; i < CLUSTERS * COLUMNS; ++i)
        centres[i] = (float)random_normal(&common);
    for (size_t i = 0; i < count; ++i) {
        const float *centre = centres + random_below(&own, CLUSTERS) * COLUMNS;
        for (size_t j = 0; j < COLUMNS; ++j) {
            double x = random_normal(&own);
            values[i * COLUMNS + j] =
                (float)(features ? (centre[j] + 0.7 * x) / sqrt(1 + (double)j) : x);
        }
    }
    free(centres);
    return values;
}

static rows procedural_rows(bool features)
{
    return (rows){features ? "features" : "noise",
                  make_rows(features, CORESET_ROWS, "bench/bank/rows"),
                  make_rows(features, QUERIES, "bench/bank/queries")};
}

/* Patches of training images through a backbone; the queries are those of one more image. */
static rows real_rows(const char *weights, const char *root)
{
    enum { IMAGES = CORESET_ROWS / QUERIES + 1 };
    static const imiad_option all[] = {{"coreset_ratio", "1"}};
    imiad_dataset *dataset = NULL;
    imiad_split *split = NULL;
    imiad_backbone *backbone = NULL;
    imiad_detector *detector = NULL;
    imiad_image *images[IMAGES];
    const imiad_bank *bank;
    check(imiad_dataset_open(&dataset, "mvtec_ad", root, NULL, 0));
    check(imiad_split_create(&split, dataset, imiad_dataset_category(dataset, 0), "unsupervised",
                             NULL, 0));
    for (size_t i = 0; i < IMAGES; ++i)
        check(imiad_dataset_read_image(&images[i], dataset, imiad_split_train(split, i)));
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    options.weights = weights;
    check(imiad_backbone_create(&backbone, "resnet18", &options));
    check(imiad_detector_create(&detector, "patchcore", backbone, all, 1));
    check(imiad_detector_fit_images(detector, (const imiad_image *const *)images, IMAGES, NULL,
                                    NULL));
    check(imiad_detector_bank(&bank, detector));
    rows r = {"resnet18", malloc(CORESET_ROWS * COLUMNS * sizeof(float)),
              malloc(QUERIES * COLUMNS * sizeof(float))};
    check(imiad_bank_read(r.values, bank, 0, CORESET_ROWS));
    check(imiad_bank_read(r.queries, bank, CORESET_ROWS, QUERIES));
    imiad_detector_free(detector);
    imiad_backbone_free(backbone);
    for (size_t i = 0; i < IMAGES; ++i)
        imiad_image_free(images[i]);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
    return r;
}

/* `count` rows, evenly spread, as a coreset would be. */
static imiad_bank *bank_of(const rows *r, size_t count, imiad_storage storage)
{
    imiad_bank *bank = NULL;
    check(imiad_bank_create_stored(&bank, COLUMNS, storage, 0));
    for (size_t i = 0; i < count; ++i)
        check(imiad_bank_add(bank, r->values + i * CORESET_ROWS / count * COLUMNS, 1));
    return bank;
}

/* ---- limits ---- */

/* Seconds to read the rows once. */
static double reading_time(const float *values, size_t count)
{
    double times[ROUNDS];
    for (int round = 0; round < ROUNDS; ++round) {
        double begin = cpu_seconds();
        volatile float most = kernels_best()->largest(values, count * COLUMNS);
        (void)most;
        times[round] = cpu_seconds() - begin;
    }
    return median(times, ROUNDS);
}

/* Seconds of the float32 multiplications and additions alone of so many pairs of `columns`, on rows
 * that stay in the cache. */
static double product_time(const float *values, double pairs, size_t columns)
{
    enum { SIDE = 48 };
    float out[SIDE * SIDE];
    double times[ROUNDS];
    for (int round = 0; round < ROUNDS; ++round) {
        double begin = cpu_seconds();
        for (int i = 0; i < 20; ++i)
            kernels_best()->products(out, values, SIDE, values + SIDE * COLUMNS, SIDE, columns);
        times[round] = (cpu_seconds() - begin) / (20 * SIDE * SIDE);
    }
    return median(times, ROUNDS) * pairs;
}

/* ---- other programs ---- */

/* Bytes that another program reads from a file. */
typedef struct block {
    const void *bytes;
    size_t size;
} block;

/* The numbers that a script prints, at most so many; how many came. Its arguments name the blocks'
 * files 0, 1, ... */
static int ask_python(double *out, int most, const char *script, const block *blocks, int count,
                      const char *arguments)
{
    char folder[] = "/tmp/imiad-bench-XXXXXX", command[4096], name[2], *paths[4] = {0};
    const char *python = getenv("IMIAD_PYTHON");
    int numbers = 0;
    if (!mkdtemp(folder))
        return 0;
    for (int i = 0; i < count; ++i) {
        file_writer writer;
        snprintf(name, sizeof name, "%d", i);
        paths[i] = path_join(folder, name);
        check(file_write_begin(&writer, paths[i]));
        fwrite(blocks[i].bytes, 1, blocks[i].size, writer.stream);
        check(file_write_commit(&writer));
    }
    snprintf(command, sizeof command, "cd %s && %s \"$OLDPWD\"/tests/bench/%s %s", folder,
             python ? python : "python3", script, arguments);
    FILE *pipe = popen(command, "r");
    while (pipe && numbers < most && fscanf(pipe, "%lf", out + numbers) == 1)
        ++numbers;
    if (pipe)
        pclose(pipe);
    for (int i = 0; i < count; ++i) {
        unlink(paths[i]);
        free(paths[i]);
    }
    rmdir(folder);
    return numbers;
}

/* ---- coreset ---- */

/* A projection and starts that the peer can be given too. */
typedef struct drawn {
    float matrix[PROJECTION * COLUMNS];
    int64_t starts[STARTS];
} drawn;

static void draw(drawn *d, int64_t count)
{
    random_stream s = random_open(0, "bench/bank/coreset");
    for (size_t i = 0; i < PROJECTION * COLUMNS; ++i)
        d->matrix[i] = (float)random_between(&s, -1 / sqrt(COLUMNS), 1 / sqrt(COLUMNS));
    for (int i = 0; i < STARTS; ++i)
        d->starts[i] = (int64_t)random_below(&s, (uint64_t)count / STARTS) + i * count / STARTS;
}

static double select_time(int64_t *picks, const imiad_bank *bank, const imiad_coreset_options *o,
                          int rounds)
{
    double times[ROUNDS];
    for (int round = 0; round < rounds; ++round) {
        double begin = cpu_seconds();
        check(imiad_bank_select(picks, bank, o, NULL, NULL));
        times[round] = cpu_seconds() - begin;
    }
    return median(times, rounds);
}

/* The plain twin on the first columns, which is what it is given after the projection. */
static double plain_time(const float *values, size_t count, size_t columns, int64_t wanted)
{
    float *distances = malloc(count * sizeof *distances);
    int64_t picks[PLAIN_PICKS];
    for (size_t i = 0; i < count; ++i)
        distances[i] = INFINITY;
    point_set points = {values, count, columns, IMIAD_STORAGE_FLOAT32};
    double begin = cpu_seconds();
    check(greedy_plain(picks, PLAIN_PICKS, points, distances, kernels_best(), NULL));
    free(distances);
    return (cpu_seconds() - begin) * (double)wanted / PLAIN_PICKS;
}

static void print_peer(const rows *r, const drawn *d, const int64_t *picks, int64_t wanted,
                       double ours)
{
    char arguments[1024];
    double found[4];
    const char *source = getenv("IMIAD_PATCHCORE"), *most = getenv("IMIAD_PEER_PICKS");
    long peer_picks = most ? strtol(most, NULL, 10) : PEER_PICKS;
    block blocks[] = {{r->values, (size_t)CORESET_ROWS * COLUMNS * sizeof(float)},
                      {d->matrix, sizeof d->matrix},
                      {d->starts, sizeof d->starts},
                      {picks, (size_t)wanted * sizeof *picks}};
    snprintf(arguments, sizeof arguments, "0 %d 1 2 3 %ld %s", COLUMNS, peer_picks,
             source ? source : "");
    if (ask_python(found, 4, "time_greedy.py", blocks, 4, arguments) < 4) {
        printf("  no torch here\n");
        return;
    }
    double peer = found[0] + found[1] * (double)wanted;
    printf("  patchcore-inspection%s takes %.1f s (from %ld picks), ratio %.1f; the same picks up "
           "to number %.0f, in all %.0f of %ld\n",
           source ? "" : "'s algorithm", peer, peer_picks, peer / ours, found[2], found[3],
           peer_picks);
}

static void bench_coreset(const rows *r)
{
    static drawn d;
    imiad_bank *bank = bank_of(r, CORESET_ROWS, IMIAD_STORAGE_FLOAT32);
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    imiad_bank_needs needs = IMIAD_BANK_NEEDS_INIT;
    int64_t wanted = imiad_coreset_size(CORESET_ROWS, o.ratio);
    int64_t *picks = malloc((size_t)wanted * sizeof *picks);
    draw(&d, CORESET_ROWS);
    o.projection_matrix = d.matrix;
    o.start_rows = d.starts;
    check(imiad_bank_estimate(&needs, CORESET_ROWS, COLUMNS, IMIAD_STORAGE_FLOAT32, 0, &o));
    double before = peak_begin();
    double ours = select_time(picks, bank, &o, 1);
    double beside = peak_since(before);
    ours = select_time(picks, bank, &o, 5);
    double plain = plain_time(r->values, CORESET_ROWS, PROJECTION, wanted);
    printf(
        "coreset of %s, %lld of %d rows, projected to %d: %.2f s, %.0f MB beside (estimate %.0f)\n"
        "  the plain selection takes %.1f s (from %d picks), ratio %.1f\n",
        r->what, (long long)wanted, CORESET_ROWS, PROJECTION, ours, beside,
        1e-6 * (double)needs.selection, plain, PLAIN_PICKS, plain / ours);
    printf("  the projection's products alone take %.2f s, those of all distances %.1f s\n",
           product_time(r->values, (double)CORESET_ROWS * PROJECTION, COLUMNS),
           product_time(r->values, (double)CORESET_ROWS * (double)wanted, PROJECTION));
    print_peer(r, &d, picks, wanted, ours);
    free(picks);
    imiad_bank_free(bank);
}

/* From all distances, unprojected: the published code makes the whole matrix, and copies of it. */
static void bench_exact(const rows *r)
{
    imiad_bank *bank = bank_of(r, CORESET_ROWS, IMIAD_STORAGE_FLOAT32);
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    imiad_bank_needs needs = IMIAD_BANK_NEEDS_INIT;
    o.exact = 1;
    o.projection = 0;
    int64_t wanted = imiad_coreset_size(CORESET_ROWS, o.ratio);
    int64_t *picks = malloc((size_t)wanted * sizeof *picks);
    check(imiad_bank_estimate(&needs, CORESET_ROWS, COLUMNS, IMIAD_STORAGE_FLOAT32, 0, &o));
    check(imiad_bank_set_budget(bank, needs.bank + needs.selection));
    double before = peak_begin();
    double ours = select_time(picks, bank, &o, 1);
    double plain = plain_time(r->values, CORESET_ROWS, COLUMNS, wanted);
    printf("exact coreset of %s, %lld of %d rows, not projected: %.2f s, in a budget of %.0f MB, "
           "%.0f MB beside the rows (estimate %.0f)\n"
           "  a matrix of all distances alone takes %.0f MB; the plain selection %.0f s (from %d "
           "picks), ratio %.1f\n",
           r->what, (long long)wanted, CORESET_ROWS, ours,
           1e-6 * (double)(needs.bank + needs.selection), peak_since(before),
           1e-6 * (double)needs.selection, 4e-6 * CORESET_ROWS * (double)CORESET_ROWS, plain,
           PLAIN_PICKS, plain / ours);
    free(picks);
    imiad_bank_free(bank);
}

/* ---- search ---- */

static double search_time(const imiad_bank *bank, const float *queries, int32_t k)
{
    float *distances = malloc((size_t)(QUERIES * k) * sizeof *distances);
    double times[ROUNDS];
    check(imiad_bank_search(distances, NULL, bank, queries, QUERIES, k)); /* makes the index */
    for (int round = 0; round < ROUNDS; ++round) {
        double begin = cpu_seconds();
        check(imiad_bank_search(distances, NULL, bank, queries, QUERIES, k));
        times[round] = cpu_seconds() - begin;
    }
    free(distances);
    return median(times, ROUNDS);
}

/* Rows that a coreset of so many would be like, one after the other. */
static float *spread(const rows *r, size_t count)
{
    float *values = malloc(count * COLUMNS * sizeof *values);
    for (size_t i = 0; i < count; ++i)
        memcpy(values + i * COLUMNS, r->values + i * CORESET_ROWS / count * COLUMNS,
               COLUMNS * sizeof *values);
    return values;
}

static void print_faiss(const rows *r, size_t count, int k, double ours)
{
    char arguments[64];
    double seconds;
    float *values = spread(r, count);
    block blocks[] = {{values, count * COLUMNS * sizeof(float)},
                      {r->queries, QUERIES * COLUMNS * sizeof(float)}};
    snprintf(arguments, sizeof arguments, "0 1 %d %d %d", COLUMNS, k, ROUNDS);
    if (ask_python(&seconds, 1, "time_faiss.py", blocks, 2, arguments) < 1)
        printf("no faiss here\n");
    else
        printf("faiss %.1f ms, ratio %.2f\n", 1e3 * seconds, seconds / ours);
    free(values);
}

static void bench_search(const rows *r)
{
    imiad_bank *bank = bank_of(r, BANK_ROWS, IMIAD_STORAGE_FLOAT32);
    float distances[PLAIN_QUERIES];
    int64_t indices[PLAIN_QUERIES];
    double ours = search_time(bank, r->queries, 1);
    double begin = cpu_seconds();
    search_plain(distances, indices, bank, r->queries, PLAIN_QUERIES, 1, kernels_best());
    double plain = (cpu_seconds() - begin) * QUERIES / PLAIN_QUERIES;
    printf(
        "search of %s, %d queries in %d rows, k 1: %.1f ms; the plain search takes %.0f ms (from "
        "%d queries), ratio %.1f\n",
        r->what, QUERIES, BANK_ROWS, 1e3 * ours, 1e3 * plain, PLAIN_QUERIES, plain / ours);
    double limit = product_time(r->values, (double)BANK_ROWS * QUERIES, COLUMNS);
    printf("  all products of all pairs take %.1f ms, ratio %.2f; reading the rows %.1f ms\n",
           1e3 * limit, limit / ours, 1e3 * reading_time(r->values, BANK_ROWS));
    for (int k = 1; k <= 9; k += 8) {
        ours = search_time(bank, r->queries, k);
        printf("  k %d: %.1f ms; ", k, 1e3 * ours);
        print_faiss(r, BANK_ROWS, k, ours);
    }
    imiad_bank_free(bank);
}

static double window_time(const window_search *how, const float *queries)
{
    float distances[QUERIES];
    int64_t found[QUERIES];
    double times[ROUNDS];
    for (int round = 0; round < ROUNDS; ++round) {
        double begin = cpu_seconds();
        check(windows_search(distances, found, how, queries, 1, 1));
        times[round] = cpu_seconds() - begin;
    }
    return median(times, ROUNDS);
}

/* The whole bank and a tenth of it: near a place, and anywhere. */
static void bench_windows(const rows *r)
{
    for (size_t count = CORESET_ROWS; count >= CORESET_ROWS / 10; count /= 10) {
        imiad_bank *bank = bank_of(r, count, IMIAD_STORAGE_FLOAT32);
        bank_windows *w;
        window_sketches *sketches;
        int32_t *places = malloc(count * sizeof *places);
        for (size_t i = 0; i < count; ++i)
            places[i] = (int32_t)(i * CORESET_ROWS / count % QUERIES);
        check(windows_create(&w, places, (int64_t)count, GRID_SIDE, GRID_SIDE));
        window_sketches_create(&sketches, bank, w);
        double whole = search_time(bank, r->queries, 1);
        printf("search of %s, %d queries in %zu rows, k 1: anywhere %.1f ms", r->what, QUERIES,
               count, 1e3 * whole);
        for (int64_t radius = 1; radius <= 3; ++radius) {
            const window_search how = {bank, w, sketches, radius, NULL};
            double near = window_time(&how, r->queries);
            printf("; in windows of %d x %d %.1f ms, ratio %.1f", (int)(2 * radius + 1),
                   (int)(2 * radius + 1), 1e3 * near, whole / near);
        }
        printf("\n");
        window_sketches_free(sketches);
        windows_free(w);
        free(places);
        imiad_bank_free(bank);
    }
}

static void bench_growth(const rows *r)
{
    for (size_t count = CORESET_ROWS / 16; count <= CORESET_ROWS; count *= 4) {
        imiad_bank *bank = bank_of(r, count, IMIAD_STORAGE_FLOAT32);
        imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
        int64_t *picks = malloc(count * sizeof *picks);
        double coreset = select_time(picks, bank, &o, 5), ours = search_time(bank, r->queries, 1);
        printf("growth of %s, %zu rows: coreset of a tenth %.3f s; search %.1f ms, ", r->what,
               count, coreset, 1e3 * ours);
        print_faiss(r, count, 1, ours);
        free(picks);
        imiad_bank_free(bank);
    }
}

static void bench_storage(const rows *r)
{
    for (int s = IMIAD_STORAGE_FLOAT32; s <= IMIAD_STORAGE_FLOAT16; ++s) {
        imiad_bank *bank = bank_of(r, BANK_ROWS, (imiad_storage)s);
        printf("storage of %s, %s: %.1f MB, search %.1f ms\n", r->what, storage_kinds[s].name,
               1e-6 * (double)bank_bytes(bank), 1e3 * search_time(bank, r->queries, 1));
        imiad_bank_free(bank);
    }
}

static const struct part {
    const char *name;
    void (*run)(const rows *r);
} parts[] = {{"coreset", bench_coreset}, {"exact", bench_exact},   {"search", bench_search},
             {"windows", bench_windows}, {"growth", bench_growth}, {"storage", bench_storage}};

static void run_parts(rows r, int count, char **names)
{
    for (size_t p = 0; p < sizeof parts / sizeof *parts; ++p) {
        bool wanted = count == 0;
        for (int i = 0; i < count; ++i)
            wanted |= strcmp(names[i], parts[p].name) == 0;
        if (wanted)
            parts[p].run(&r);
        fflush(stdout);
    }
    free(r.values);
    free(r.queries);
}

int main(int count, char **arguments)
{
    printf("kernels: %s\n", kernels_best()->name);
    check(imiad_set_threads(1));
    int names = count > 3 ? count - 3 : 0;
    if (count > 2 && strcmp(arguments[1], "-") != 0) {
        run_parts(real_rows(arguments[1], arguments[2]), names, arguments + 3);
        return EXIT_SUCCESS;
    }
    for (int features = 1; features >= 0; --features)
        run_parts(procedural_rows(features), names, arguments + 3);
    return EXIT_SUCCESS;
}
