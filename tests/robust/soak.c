/* Sixteen clones score, while others save, load, measure and keep results, for as long as is asked:
 * memory stays flat and scores stay the same.
 *
 *     soak [SECONDS [PERCENT]]      exits 1 where memory grew by more than 2 % or a score changed
 *
 * Ten times it prints what is resident and what is allocated: a leak grows in both, memory that the
 * allocator keeps for a thread or in pieces grows in the first alone. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "imiad/imiad.h"

enum { CLONES = 16, IMAGES = 4, SIDE = 64 };

static imiad_image images[IMAGES];
static uint8_t pixels[IMAGES][SIDE * SIDE];
static float wanted[IMAGES];
static imiad_detector *learned;
static imiad_dataset *dataset;
static imiad_split *split;
static atomic_bool stop;
static atomic_long rounds, wrong;
static char folder[] = "/tmp/imiad-soak-XXXXXX";

static void check(imiad_status status, const char *doing)
{
    if (status == IMIAD_OK)
        return;
    fprintf(stderr, "soak: %s: %s\n", doing, imiad_last_error());
    exit(1);
}

static long resident(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Bytes that were asked of glibc's allocator and not given back, in all its arenas. */
static long allocated(void)
{
    char *text = NULL;
    size_t size = 0;
    long system = 0, fast = 0, rest = 0, mapped = 0; /* the sums stand behind the last arena */
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return 0;
    malloc_info(0, file);
    fclose(file);
    for (char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        sscanf(line, "<system type=\"current\" size=\"%ld\"/>", &system);
        sscanf(line, "<total type=\"fast\" count=\"%*d\" size=\"%ld\"/>", &fast);
        sscanf(line, "<total type=\"rest\" count=\"%*d\" size=\"%ld\"/>", &rest);
        sscanf(line, "<total type=\"mmap\" count=\"%*d\" size=\"%ld\"/>", &mapped);
    }
    free(text);
    return system - fast - rest + mapped;
}

static void score_all(imiad_detector *detector)
{
    for (int i = 0; i < IMAGES; ++i) {
        const imiad_image *one = &images[i];
        float score = 0;
        check(imiad_detector_score_batch(&score, NULL, 0, detector, &one, 1, NULL), "scoring");
        if (memcmp(&score, &wanted[i], sizeof score) != 0)
            atomic_fetch_add(&wrong, 1);
    }
}

static void save_and_load(imiad_detector *detector, int number)
{
    char path[128];
    imiad_detector *loaded;
    snprintf(path, sizeof path, "%s/%d.imiad", folder, number);
    check(imiad_detector_save(detector, path), "saving");
    check(imiad_detector_load(&loaded, path, NULL), "loading");
    score_all(loaded);
    imiad_detector_free(loaded);
}

static void measure(void)
{
    imiad_metrics *metrics;
    double auroc;
    check(imiad_metrics_create(&metrics, NULL, 0), "metrics");
    for (int i = 0; i < 100; ++i)
        check(imiad_metrics_add_image(metrics, i % 2, i), "metrics");
    check(imiad_metrics_image_auroc(&auroc, metrics), "metrics");
    imiad_metrics_free(metrics);
}

static void keep_result(imiad_detector *detector, int number)
{
    char path[128];
    imiad_results *results;
    imiad_cell cell = IMIAD_CELL_INIT;
    const char *name = "image_auroc";
    const double value = 0.5;
    snprintf(path, sizeof path, "%s/store.sqlite", folder);
    check(imiad_results_open(&results, path), "store");
    check(imiad_results_describe(&cell, results, split, detector), "store");
    cell.seed = (uint64_t)number;
    check(imiad_results_put(results, &cell, &name, &value, 1), "store");
    imiad_results_free(results);
}

static void *work(void *argument)
{
    int number = *(int *)argument;
    imiad_detector *clone;
    check(imiad_detector_clone(&clone, learned), "clone");
    for (long round = 0; !atomic_load(&stop); ++round) {
        score_all(clone);
        if (round % 64 == number * 4)
            save_and_load(clone, number);
        if (round % 16 == number)
            measure();
        if (round % 64 == number * 4 + 1)
            keep_result(clone, number);
        atomic_fetch_add(&rounds, 1);
    }
    imiad_detector_free(clone);
    return NULL;
}

static void prepare(void)
{
    const imiad_option small[] = {{"train", "6"}, {"size", "64"}};
    const imiad_option own[] = {
        {"resize", "64"}, {"crop", "64"}, {"layers", "layer1"}, {"coreset_ratio", "0.05"}};
    imiad_backbone *backbone;
    check(imiad_set_threads(1), "threads");
    check(imiad_dataset_open(&dataset, "synthetic", NULL, small, 2), "dataset");
    check(imiad_split_create(&split, dataset, "hex_nut", "unsupervised", NULL, 0), "split");
    check(imiad_backbone_create(&backbone, "resnet18", NULL), "backbone");
    check(imiad_detector_create(&learned, "patchcore", backbone, own, 4), "detector");
    check(imiad_detector_fit(learned, split, NULL, NULL), "fit");
    imiad_backbone_free(backbone);
    for (int i = 0; i < IMAGES; ++i) {
        for (int k = 0; k < SIDE * SIDE; ++k)
            pixels[i][k] = (uint8_t)(k * (i + 7));
        images[i] = (imiad_image){sizeof images[i], IMIAD_PIXEL_GRAY8, SIDE, SIDE, SIDE, pixels[i]};
        const imiad_image *one = &images[i];
        check(imiad_detector_score_batch(&wanted[i], NULL, 0, learned, &one, 1, NULL), "scoring");
    }
}

/* Watches memory for so many seconds; how much it grew after the first third, in per cent: until
 * then pools and caches become as large as they get. */
static double watch(int seconds)
{
    long before = resident();
    for (int s = 1; s <= seconds; ++s) {
        sleep(1);
        if (s == seconds / 3)
            before = resident();
        if (seconds < 10 || s % (seconds / 10) == 0) {
            printf("%d s: %ld rounds, %.1f MB resident, %.1f MB allocated\n", s,
                   atomic_load(&rounds), (double)resident() / 1e6, (double)allocated() / 1e6);
            fflush(stdout);
        }
    }
    return 100.0 * (double)(resident() - before) / (double)before;
}

int main(int argc, char **argv)
{
    int seconds = argc > 1 ? atoi(argv[1]) : 10, numbers[CLONES];
    double most = argc > 2 ? atof(argv[2]) : 2;
    pthread_t threads[CLONES];
    if (!mkdtemp(folder))
        return 1;
    prepare();
    for (int i = 0; i < CLONES; ++i) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, work, &numbers[i]);
    }
    double growth = watch(seconds);
    atomic_store(&stop, true);
    for (int i = 0; i < CLONES; ++i)
        pthread_join(threads[i], NULL);
    printf("soak: %d s, %ld rounds of %d clones, %ld wrong scores, %+.2f %% since a third of the "
           "time\n",
           seconds, atomic_load(&rounds), CLONES, atomic_load(&wrong), growth);
    imiad_detector_free(learned);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0 || atomic_load(&wrong) != 0 || growth > most;
}
