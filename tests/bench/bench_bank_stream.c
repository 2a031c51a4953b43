/* Growth of a bank of bounded size from rows that lie on a disk, and how well it covers them.
 *
 *     ninja tests/bench/bench-bank-stream && tests/bench/bench-bank-stream FILE [ROWS [BANK_ROWS]]
 *
 * FILE holds ROWS x 128 floats (10,000,000 by default: 5.1 GB); where it is not there, or shorter,
 * it is drawn, seed 0: clusters, whose places and widths fall as 1/column. Each line is a whole run
 * over the first rows of the file: what it took, and the largest distance from one of 20,000 of
 * these rows to the nearest row of the bank. Up to a million rows the same is said of a bank of as
 * many rows that a greedy selection chose among all of them at once. "resident" is the most memory
 * that the process had above what it had before; pages of the file are not in it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "imiad/imiad.h"
#include "measure.h"
#include "peak_memory.h"

enum { COLUMNS = 128, PIECE = 4096, CLUSTERS = 500, PROBES = 20000, MOST_AT_ONCE = 1000000 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the rows ---- */

static void draw(float *rows, int64_t first, int64_t count, const float *centres)
{
    for (int64_t i = 0; i < count; ++i) {
        random_stream s = random_open((uint64_t)(first + i), "bench rows");
        const float *centre = centres + (size_t)random_below(&s, CLUSTERS) * COLUMNS;
        for (int c = 0; c < COLUMNS; ++c)
            rows[i * COLUMNS + c] = centre[c] + (float)(random_normal(&s) / (1 + c));
    }
}

static void draw_centres(float *centres)
{
    random_stream s = random_open(0, "bench centres");
    for (int i = 0; i < CLUSTERS; ++i)
        for (int c = 0; c < COLUMNS; ++c)
            centres[i * COLUMNS + c] = (float)(4 * random_normal(&s) / (1 + c));
}

static FILE *open_rows(const char *path, int64_t rows, float *piece)
{
    const size_t row = COLUMNS * sizeof(float);
    FILE *file = fopen(path, "ab");
    float *centres = malloc(CLUSTERS * row);
    if (!file || !centres || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    draw_centres(centres);
    for (int64_t at = ftell(file) / (int64_t)row; at < rows; at += PIECE) {
        int64_t count = rows - at < PIECE ? rows - at : PIECE;
        draw(piece, at, count, centres);
        if (fwrite(piece, row, (size_t)count, file) != (size_t)count) {
            perror(path);
            exit(EXIT_FAILURE);
        }
    }
    free(centres);
    fclose(file);
    return fopen(path, "rb");
}

static void read_rows(float *out, FILE *file, int64_t count)
{
    if (fread(out, COLUMNS * sizeof *out, (size_t)count, file) == (size_t)count)
        return;
    fputs("the file of rows cannot be read\n", stderr);
    exit(EXIT_FAILURE);
}

/* ---- measuring ---- */

/* PROBES rows, evenly among the first `rows`. */
static float *probe(FILE *file, int64_t rows)
{
    float *probes = malloc((size_t)PROBES * COLUMNS * sizeof *probes);
    for (int64_t i = 0; probes && i < PROBES; ++i) {
        fseek(file, i * rows / PROBES * COLUMNS * (int64_t)sizeof *probes, SEEK_SET);
        read_rows(probes + i * COLUMNS, file, 1);
    }
    return probes;
}

static double radius(const imiad_bank *bank, const float *probes)
{
    float *squares = malloc(PROBES * sizeof *squares), most = 0;
    check(imiad_bank_search(squares, NULL, bank, probes, PROBES, 1));
    for (int i = 0; i < PROBES; ++i)
        most = squares[i] > most ? squares[i] : most;
    free(squares);
    return sqrt((double)most);
}

static imiad_bank *stream_rows(FILE *file, int64_t rows, const imiad_bank_stream_options *o,
                               float *piece)
{
    imiad_bank_stream *s;
    imiad_bank *bank;
    check(imiad_bank_stream_create(&s, COLUMNS, o));
    rewind(file);
    for (int64_t at = 0; at < rows; at += PIECE) {
        int64_t count = rows - at < PIECE ? rows - at : PIECE;
        read_rows(piece, file, count);
        check(imiad_bank_stream_add(s, piece, count, NULL));
    }
    check(imiad_bank_stream_bank(&bank, s));
    imiad_bank_stream_free(s);
    return bank;
}

/* A greedy selection among all rows at once, which must all be in memory. */
static imiad_bank *choose_at_once(FILE *file, int64_t rows, int64_t wanted, float *piece)
{
    imiad_bank *bank;
    imiad_recompression to = IMIAD_RECOMPRESSION_INIT;
    to.rows = wanted;
    to.coreset.projection = 0;
    check(imiad_bank_create(&bank, COLUMNS, 0));
    rewind(file);
    for (int64_t at = 0; at < rows; at += PIECE) {
        int64_t count = rows - at < PIECE ? rows - at : PIECE;
        read_rows(piece, file, count);
        check(imiad_bank_add(bank, piece, count));
    }
    check(imiad_bank_recompress(bank, &to, NULL, NULL));
    return bank;
}

static void run(FILE *file, int64_t rows, const imiad_bank_stream_options *o, float *piece)
{
    uint64_t estimate;
    float *probes = probe(file, rows);
    check(imiad_bank_stream_estimate(&estimate, rows, COLUMNS, o));
    double before = peak_begin(), wall = seconds(), cpu = cpu_seconds();
    imiad_bank *bank = stream_rows(file, rows, o, piece);
    double peak = peak_since(before);
    wall = seconds() - wall;
    cpu = cpu_seconds() - cpu;
    double streamed = radius(bank, probes);
    imiad_bank_free(bank);
    printf("%9lld rows: %7.1f s, %7.1f s of processor, resident %6.1f MB of %6.1f at most, "
           "covered within %.4f",
           (long long)rows, wall, cpu, peak, (double)estimate / 1e6, streamed);
    if (rows <= MOST_AT_ONCE) {
        before = peak_begin();
        cpu = cpu_seconds();
        bank = choose_at_once(file, rows, o->rows, piece);
        peak = peak_since(before);
        double whole = radius(bank, probes);
        printf("; chosen at once %.1f s of processor, %.1f MB, %.4f: ratio %.3f",
               cpu_seconds() - cpu, peak, whole, streamed / whole);
        imiad_bank_free(bank);
    }
    puts("");
    fflush(stdout);
    free(probes);
}

int main(int argc, char **argv)
{
    imiad_bank_stream_options o = IMIAD_BANK_STREAM_OPTIONS_INIT;
    const char *path = argc > 1 ? argv[1] : "/tmp/imiad-bench-rows";
    int64_t rows = argc > 2 ? strtoll(argv[2], NULL, 10) : 10000000;
    if (argc > 3)
        o.rows = strtoll(argv[3], NULL, 10);
    float *piece = malloc((size_t)PIECE * COLUMNS * sizeof *piece);
    if (!piece)
        return EXIT_FAILURE;
    FILE *file = open_rows(path, rows, piece);
    if (!file)
        return EXIT_FAILURE;
    printf("%d columns, a bank of %lld rows, blocks of %lld\n", COLUMNS, (long long)o.rows,
           (long long)o.block_rows);
    for (int64_t some = 100000; some < rows; some *= 10)
        run(file, some, &o, piece);
    run(file, rows, &o, piece);
    fclose(file);
    free(piece);
    return EXIT_SUCCESS;
}
