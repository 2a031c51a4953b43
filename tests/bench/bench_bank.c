/* Coresets and neighbours, beside their plain twins, the machine's limits and faiss.
 *
 *     ninja tests/bench/bench-bank && tests/bench/bench-bank [ROWS QUERIES]
 *
 * ROWS and QUERIES are files of raw float32, 1024 columns, such as patch features; without them
 * rows are procedural: "features" in clusters, with variances that fall as 1/column, and "noise",
 * independent and equal everywhere, which no bound can thin out. A ratio above 1 says how many
 * times longer the other takes. IMIAD_PYTHON names the Python that has faiss, "python3" by default;
 * what faiss's times say depends on the BLAS behind it, so set OPENBLAS_NUM_THREADS and the like
 * too. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bank/bank.h"
#include "base/files.h"
#include "base/random.h"
#include "base/threads.h"

enum {
    COLUMNS = 1024,
    CORESET_ROWS = 47040, /* 60 images of 28 x 28 patches */
    BANK_ROWS = 16000,
    QUERIES = 784, /* one image */
    CLUSTERS = 700,
    PLAIN_PICKS = 60,
    PLAIN_QUERIES = 32,
    ROUNDS = 7,
};

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(imiad_status status)
{
    if (status == IMIAD_OK)
        return;
    fprintf(stderr, "%s\n", imiad_last_error());
    exit(EXIT_FAILURE);
}

static float *make_rows(bool features, size_t count, const char *purpose)
{
    float *rows = malloc(count * COLUMNS * sizeof *rows);
    float *centres = malloc(CLUSTERS * COLUMNS * sizeof *centres);
    random_stream common = random_open(0, "bench/bank/centres"), own = random_open(0, purpose);
    for (size_t i = 0; i < CLUSTERS * COLUMNS; ++i)
        centres[i] = (float)random_normal(&common);
    for (size_t i = 0; i < count; ++i) {
        const float *centre = centres + random_below(&own, CLUSTERS) * COLUMNS;
        for (size_t j = 0; j < COLUMNS; ++j) {
            double x = random_normal(&own);
            rows[i * COLUMNS + j] =
                (float)(features ? (centre[j] + 0.7 * x) / sqrt(1 + (double)j) : x);
        }
    }
    free(centres);
    return rows;
}

static imiad_bank *bank_of(const float *rows, int64_t count)
{
    imiad_bank *bank = NULL;
    check(imiad_bank_create(&bank, COLUMNS, 0));
    check(imiad_bank_add(bank, rows, count));
    return bank;
}

/* ---- limits ---- */

/* Seconds to read the rows once. */
static double reading_time(const float *rows, size_t count)
{
    double best = INFINITY;
    for (int round = 0; round < ROUNDS; ++round) {
        double begin = cpu_seconds();
        volatile float most = kernels_best()->largest(rows, count * COLUMNS);
        (void)most;
        best = fmin(best, cpu_seconds() - begin);
    }
    return best;
}

/* Seconds of the multiplications and additions alone that all distances of all pairs take, on
 * rows and queries that stay in the cache. */
static double product_time(const float *rows, size_t pairs)
{
    enum { SIDE = 48 };
    float out[SIDE * SIDE];
    double best = INFINITY;
    for (int round = 0; round < ROUNDS; ++round) {
        double begin = cpu_seconds();
        for (int i = 0; i < 20; ++i)
            kernels_best()->products(out, rows, SIDE, rows + SIDE * COLUMNS, SIDE, COLUMNS);
        best = fmin(best, (cpu_seconds() - begin) / (20 * SIDE * SIDE));
    }
    return best * (double)pairs;
}

/* ---- coreset ---- */

static void bench_coreset(const char *what, const float *rows, size_t count)
{
    imiad_bank *bank = bank_of(rows, (int64_t)count);
    imiad_coreset_options options = IMIAD_CORESET_OPTIONS_INIT;
    int64_t wanted = imiad_coreset_size((int64_t)count, options.ratio);
    int64_t *picks = malloc((size_t)wanted * sizeof *picks);
    double begin = cpu_seconds();
    check(imiad_bank_select(picks, bank, &options, NULL, NULL));
    double ours = cpu_seconds() - begin;
    /* the plain twin on rows of 128 columns, which is what it is given after the projection */
    float *distances = malloc(count * sizeof *distances);
    for (size_t i = 0; i < count; ++i)
        distances[i] = INFINITY;
    point_set points = {rows, count, (size_t)options.projection, IMIAD_STORAGE_FLOAT32};
    begin = cpu_seconds();
    check(greedy_plain(picks, PLAIN_PICKS, points, distances, kernels_best(), NULL));
    double plain = (cpu_seconds() - begin) * (double)wanted / PLAIN_PICKS;
    printf(
        "coreset of %s, %lld of %zu rows: %.2f s; the plain selection alone takes %.1f s (from %d "
        "picks), ratio %.1f\n",
        what, (long long)wanted, count, ours, plain, PLAIN_PICKS, plain / ours);
    free(distances);
    free(picks);
    imiad_bank_free(bank);
}

/* ---- search ---- */

static double search_time(const imiad_bank *bank, const float *queries, int32_t k)
{
    float *distances = malloc((size_t)(QUERIES * k) * sizeof *distances);
    double best = INFINITY;
    for (int round = 0; round < ROUNDS; ++round) {
        double begin = cpu_seconds();
        check(imiad_bank_search(distances, NULL, bank, queries, QUERIES, k));
        best = fmin(best, cpu_seconds() - begin);
    }
    free(distances);
    return best;
}

static void write_floats(const char *path, const float *values, size_t count)
{
    file_writer writer;
    check(file_write_begin(&writer, path));
    fwrite(values, sizeof *values, count * COLUMNS, writer.stream);
    check(file_write_commit(&writer));
}

/* NAN where faiss cannot be asked. */
static double faiss_time(const float *rows, size_t count, const float *queries, int k)
{
    char folder[] = "/tmp/imiad-bench-XXXXXX", command[4096], *paths[2];
    const char *python = getenv("IMIAD_PYTHON");
    double seconds = NAN;
    if (!mkdtemp(folder))
        return NAN;
    paths[0] = path_join(folder, "rows");
    paths[1] = path_join(folder, "queries");
    write_floats(paths[0], rows, count);
    write_floats(paths[1], queries, QUERIES);
    snprintf(command, sizeof command, "%s tests/bench/time_faiss.py %s %s %d %d %d 2>/dev/null",
             python ? python : "python3", paths[0], paths[1], COLUMNS, k, ROUNDS);
    FILE *pipe = popen(command, "r");
    if (pipe && fscanf(pipe, "%lf", &seconds) != 1)
        seconds = NAN;
    if (pipe)
        pclose(pipe);
    for (int i = 0; i < 2; ++i) {
        unlink(paths[i]);
        free(paths[i]);
    }
    rmdir(folder);
    return seconds;
}

static void bench_search(const char *what, const float *rows, const float *queries)
{
    imiad_bank *bank = bank_of(rows, BANK_ROWS);
    float distances[PLAIN_QUERIES];
    int64_t indices[PLAIN_QUERIES];
    double ours = search_time(bank, queries, 1);
    double begin = cpu_seconds();
    search_plain(distances, indices, bank, queries, PLAIN_QUERIES, 1, kernels_best());
    double plain = (cpu_seconds() - begin) * QUERIES / PLAIN_QUERIES;
    printf(
        "search of %s, %d queries in %d rows, k 1: %.1f ms; the plain search takes %.0f ms (from "
        "%d queries), ratio %.1f\n",
        what, QUERIES, BANK_ROWS, 1e3 * ours, 1e3 * plain, PLAIN_QUERIES, plain / ours);
    double limit = product_time(rows, (size_t)BANK_ROWS * QUERIES);
    printf("  all products of all pairs take %.1f ms, ratio %.2f; reading the rows %.1f ms\n",
           1e3 * limit, limit / ours, 1e3 * reading_time(rows, BANK_ROWS));
    for (int k = 1; k <= 9; k += 8) {
        ours = search_time(bank, queries, k);
        double peer = faiss_time(rows, BANK_ROWS, queries, k);
        printf("  k %d: %.1f ms; ", k, 1e3 * ours);
        printf(isnan(peer) ? "no faiss here\n" : "faiss %.1f ms, ratio %.2f\n", 1e3 * peer,
               peer / ours);
    }
    imiad_bank_free(bank);
}

static float *read_floats(const char *path, size_t least, size_t *count)
{
    file_view view;
    check(file_map(&view, path));
    *count = view.size / (COLUMNS * sizeof(float));
    if (*count < least) {
        fprintf(stderr, "%s: fewer than %zu rows of %d columns\n", path, least, COLUMNS);
        exit(EXIT_FAILURE);
    }
    float *values = malloc(*count * COLUMNS * sizeof *values);
    memcpy(values, view.bytes, *count * COLUMNS * sizeof *values);
    file_unmap(&view);
    return values;
}

static void bench_files(const char *rows_path, const char *queries_path)
{
    size_t count, asked;
    float *rows = read_floats(rows_path, BANK_ROWS, &count);
    float *queries = read_floats(queries_path, QUERIES, &asked);
    bench_coreset("the first rows of the file", rows, count < CORESET_ROWS ? count : CORESET_ROWS);
    if (count > CORESET_ROWS)
        bench_coreset("the file", rows, count);
    /* evenly spread, as a coreset would be */
    for (size_t i = 0; i < BANK_ROWS; ++i)
        memmove(rows + i * COLUMNS, rows + i * count / BANK_ROWS * COLUMNS, COLUMNS * sizeof *rows);
    bench_search("the file", rows, queries);
    free(queries);
    free(rows);
}

int main(int count, char **arguments)
{
    printf("kernels: %s\n", kernels_best()->name);
    check(imiad_set_threads(1));
    if (count == 3) {
        bench_files(arguments[1], arguments[2]);
        return EXIT_SUCCESS;
    }
    for (int features = 1; features >= 0; --features) {
        const char *what = features ? "features" : "noise";
        float *rows = make_rows(features, CORESET_ROWS, "bench/bank/rows");
        float *queries = make_rows(features, QUERIES, "bench/bank/queries");
        bench_coreset(what, rows, CORESET_ROWS);
        bench_search(what, rows, queries);
        free(queries);
        free(rows);
    }
    return EXIT_SUCCESS;
}
