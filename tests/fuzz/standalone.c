/* Drives a fuzz target without libFuzzer.
 *
 *     fuzz-image FILE...                          replays files
 *     fuzz-image [-runs=N] [-seed=N] [-seconds=N] [-like=TEXT] mutates the target's own seeds
 *     fuzz-image -write=FOLDER [-like=TEXT]       writes the seeds, for libFuzzer to begin with
 *
 * -like chooses the seeds that begin with TEXT. The same seed makes the same inputs. An input that
 * crashes is left in ./crash-SEED-RUN. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/progress.h"
#include "base/random.h"
#include "fuzz.h"

enum { INPUT_BYTES = 1 << 20, MOST_SEEDS = 256 };

/* What is being tried, where a signal handler finds it. */
static uint8_t input[INPUT_BYTES];
static size_t input_size;
static char crash_name[64];

static void save_input(void)
{
    int file = open(crash_name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0)
        return;
    static const char note[] = "the input that failed is in ";
    ssize_t written = write(file, input, input_size);
    written += write(2, note, sizeof note - 1);
    written += write(2, crash_name, strlen(crash_name));
    written += write(2, "\n", 1);
    (void)written;
    close(file);
}

static void on_signal(int number)
{
    save_input();
    signal(number, SIG_DFL);
    raise(number);
}

/* There in sanitized builds, which end the process themselves. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch_crashes(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(save_input);
        return;
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; ++i)
        signal(signals[i], on_signal);
}

/* The target's seeds, those that were chosen. */
static fuzz_seed seeds[MOST_SEEDS];
static size_t seed_count;

/* Numbers that break length checks. */
static const uint64_t awkward[] = {0,
                                   1,
                                   2,
                                   0x7F,
                                   0x80,
                                   0xFF,
                                   0x100,
                                   0x7FFF,
                                   0x8000,
                                   0xFFFF,
                                   0x10000,
                                   0x7FFFFFFF,
                                   0x80000000,
                                   0xFFFFFFFF,
                                   0x100000000,
                                   0x7FFFFFFFFFFFFFFF,
                                   0x8000000000000000,
                                   0xFFFFFFFFFFFFFFFF};

static void write_awkward(random_stream *random, size_t at)
{
    uint64_t value = awkward[random_below(random, sizeof awkward / sizeof *awkward)];
    size_t width = (size_t)1 << random_below(random, 4);
    int big_endian = random_below(random, 2) != 0;
    for (size_t i = 0; i < width && at + i < input_size; ++i)
        input[at + i] = (uint8_t)(value >> (8 * (big_endian ? width - 1 - i : i)));
}

/* Copies part of the input, or of another seed, over or into the input. */
static void copy_part(random_stream *random, size_t at, const uint8_t *from, size_t from_size)
{
    size_t begin = (size_t)random_below(random, from_size);
    size_t count = 1 + (size_t)random_below(random, from_size - begin);
    if (count > INPUT_BYTES - input_size)
        return;
    if (random_below(random, 2)) { /* insert */
        uint8_t *copy = malloc(count);
        if (!copy)
            abort();
        memcpy(copy, from + begin, count); /* it may be the input itself */
        memmove(input + at + count, input + at, input_size - at);
        memcpy(input + at, copy, count);
        input_size += count;
        free(copy);
    } else {
        count = count < input_size - at ? count : input_size - at;
        memmove(input + at, from + begin, count);
    }
}

static void mutate(random_stream *random)
{
    if (input_size == 0)
        return;
    size_t at = (size_t)random_below(random, input_size);
    const fuzz_seed *other = &seeds[random_below(random, seed_count)];
    switch (random_below(random, 8)) {
    case 0:
    case 1:
        input[at] ^= (uint8_t)(1 << random_below(random, 8));
        break;
    case 2:
        input[at] = (uint8_t)random_u32(random);
        break;
    case 3:
    case 4:
        write_awkward(random, at);
        break;
    case 5: { /* delete */
        size_t count = 1 + (size_t)random_below(random, input_size - at);
        memmove(input + at, input + at + count, input_size - at - count);
        input_size -= count;
        break;
    }
    case 6:
        copy_part(random, at, input, input_size);
        break;
    default:
        if (other->size > 0)
            copy_part(random, at, other->bytes, other->size);
    }
}

/* The target gets memory of the input's exact size, so that a sanitizer sees a byte too far. */
static void try_input(void)
{
    uint8_t *copy = malloc(input_size ? input_size : 1);
    if (!copy)
        abort();
    memcpy(copy, input, input_size);
    LLVMFuzzerTestOneInput(copy, input_size);
    free(copy);
}

static int replay(const char *path)
{
    file_view view;
    if (file_map(&view, path) != IMIAD_OK) {
        fprintf(stderr, "%s\n", imiad_last_error());
        return EXIT_FAILURE;
    }
    printf("%s: %zu bytes\n", path, view.size);
    fflush(stdout);
    LLVMFuzzerTestOneInput(view.bytes ? view.bytes : (const uint8_t *)"", view.size);
    file_unmap(&view);
    return EXIT_SUCCESS;
}

static void choose_seeds(const char *like)
{
    size_t length = strlen(like);
    for (const fuzz_seed *one = fuzz_seeds; one->bytes && seed_count < MOST_SEEDS; ++one)
        if (one->size >= length && memcmp(one->bytes, like, length) == 0)
            seeds[seed_count++] = *one;
}

static int write_seeds(const char *folder)
{
    for (size_t i = 0; i < seed_count; ++i) {
        char path[4096];
        snprintf(path, sizeof path, "%s/seed-%zu", folder, i);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(seeds[i].bytes, 1, seeds[i].size, file) != seeds[i].size ||
            fclose(file) != 0) {
            perror(path);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

static void fuzz(unsigned long runs, unsigned long seed, double seconds)
{
    random_stream random = random_open(seed, "fuzz");
    double end = clock_seconds() + seconds;
    unsigned long run = 0;
    for (; run < runs && clock_seconds() < end; ++run) {
        const fuzz_seed *from = &seeds[run % seed_count];
        input_size = from->size < INPUT_BYTES ? from->size : INPUT_BYTES;
        memcpy(input, from->bytes, input_size);
        if (run >= seed_count) /* the seeds themselves come first */
            for (uint64_t i = 1 + random_below(&random, 8); i > 0; --i)
                mutate(&random);
        snprintf(crash_name, sizeof crash_name, "crash-%lu-%lu", seed, run);
        try_input();
    }
    printf("%lu inputs from %zu seeds, seed %lu\n", run, seed_count, seed);
}

int main(int argc, char **argv)
{
    unsigned long runs = 100000, seed = 1, seconds = 5;
    const char *like = "", *folder = NULL;
    int files = 0, failed = 0;
    for (int i = 1; i < argc; ++i) {
        if (sscanf(argv[i], "-runs=%lu", &runs) == 1 || sscanf(argv[i], "-seed=%lu", &seed) == 1 ||
            sscanf(argv[i], "-seconds=%lu", &seconds) == 1)
            continue;
        if (strncmp(argv[i], "-like=", 6) == 0) {
            like = argv[i] + 6;
            continue;
        }
        if (strncmp(argv[i], "-write=", 7) == 0) {
            folder = argv[i] + 7;
            continue;
        }
        ++files;
        failed |= replay(argv[i]);
    }
    choose_seeds(like);
    if (files == 0 && seed_count == 0) {
        fprintf(stderr, "no seed begins with %s\n", like);
        return EXIT_FAILURE;
    }
    if (folder)
        return write_seeds(folder);
    if (files == 0) {
        watch_crashes();
        fuzz(runs, seed, (double)seconds);
    } else {
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    const char *name = strrchr(argv[0], '/');
    printf("%s: 1 passed, 0 failed, 0 skipped\n", name ? name + 1 : argv[0]);
    return EXIT_SUCCESS;
}
