/* What a station feels: one image in memory to its verdict, one at a time.
 *
 *     bench-latency [--backbone resnet18] [--images 200] [--seconds 600] [--train 60] [--pixels
 * 256]
 *                   [--threads 1,2] [--priority 0] [--set NAME=VALUE]... [DETECTOR...]
 *
 * Each detector (all by default) learns from --train procedural images, as shortly as its options
 * allow, with random weights: time does not depend on what it has learned. What it learned is
 * saved, and for each number of threads a process of its own loads and scores it: --images images,
 * or fewer where they take longer than --seconds. A row says: size of the file; loading beside
 * reading the file once; the first verdict; median and 99th percentile of the others; how many
 * times the median the two are; the growth of the heap from the tenth image to the last, and the
 * pages of memory that the system had to bring for an image. Times are those of the clock, for a
 * machine that does nothing else. With --priority, 1 to 99, the scoring process has a real-time
 * priority, so that other programs do not show. The system takes the processor from such programs
 * after 0.95 s of a second: this one sleeps before that, and does not count the image after it. */
#include <malloc.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/files.h"
#include "base/progress.h"
#include "imiad/imiad.h"
#include "measure.h"

enum { MOST_OPTIONS = 40, DIFFERENT = 8, WARM = 10, PIECE = 800, REST = 300 /* ms */ };

typedef struct settings {
    const char *backbone, *images, *seconds, *train, *pixels, *threads, *priority;
    imiad_option options[MOST_OPTIONS]; /* of every detector that has them */
    size_t count;
} settings;

static bool has_option(const char *detector, const char *name)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t i = 0; imiad_detector_option_info(&info, detector, i) == IMIAD_OK; ++i)
        if (strcmp(info.name, name) == 0)
            return true;
    return false;
}

static imiad_dataset *draw_images(const settings *s)
{
    const imiad_option sizes[] = {
        {"train", s->train}, {"test_good", "4"}, {"test_defective", "4"}, {"size", s->pixels}};
    imiad_dataset *drawn;
    check(imiad_dataset_open(&drawn, "synthetic", NULL, sizes, 4));
    return drawn;
}

/* As shortly as it can: one pass, or one step. */
static void learn(const char *detector, const settings *s, const char *path)
{
    static const imiad_option shortest[] = {{"epochs", "1"},       {"steps", "1"},
                                            {"train_batch", "2"},  {"supports", "1"},
                                            {"distil_steps", "1"}, {"distil_batch", "2"}};
    imiad_option options[MOST_OPTIONS + 6];
    const imiad_option anomaly = {"anomalies", "1"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof shortest / sizeof *shortest; ++i)
        if (has_option(detector, shortest[i].name))
            options[count++] = shortest[i];
    for (size_t i = 0; i < s->count; ++i)
        if (has_option(detector, s->options[i].name))
            options[count++] = s->options[i];
    imiad_dataset *drawn = draw_images(s);
    imiad_backbone *backbone;
    imiad_detector *d;
    imiad_split *split;
    check(imiad_backbone_create(&backbone, s->backbone, NULL));
    check(imiad_detector_create(&d, detector, backbone, options, count));
    check(imiad_split_create(&split, drawn, imiad_dataset_category(drawn, 0), "supervised",
                             &anomaly, 1));
    check(imiad_detector_fit(d, split, NULL, NULL));
    check(imiad_detector_save(d, path));
    imiad_split_free(split);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
    imiad_dataset_free(drawn);
}

static double read_once(const char *path)
{
    static char buffer[1 << 20];
    double begin = clock_seconds();
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(EXIT_FAILURE);
    while (fread(buffer, 1, sizeof buffer, file) > 0)
        ;
    fclose(file);
    return clock_seconds() - begin;
}

static double verdict(imiad_detector *d, const imiad_image *image)
{
    imiad_result result = IMIAD_RESULT_INIT;
    double begin = clock_seconds();
    check(imiad_detector_score(&result, d, image));
    return clock_seconds() - begin;
}

/* Before there are other threads, which are to have it too. */
static void take_priority(int priority)
{
    const struct sched_param p = {.sched_priority = priority};
    if (priority > 0 && sched_setscheduler(0, SCHED_RR, &p) != 0) {
        perror("--priority");
        exit(EXIT_FAILURE);
    }
}

static double page_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_minflt;
}

/* When it ended. */
static double rest(imiad_detector *d, const imiad_image *image)
{
    const struct timespec time = {.tv_nsec = REST * 1000000L};
    nanosleep(&time, NULL);
    double end = clock_seconds();
    verdict(d, image);
    return end;
}

static void score(const char *path, const settings *s)
{
    int count = atoi(s->images), priority = atoi(s->priority);
    take_priority(priority);
    imiad_dataset *drawn = draw_images(s);
    imiad_image *images[DIFFERENT];
    int32_t all = (int32_t)imiad_dataset_sample_count(drawn);
    for (int i = 0; i < DIFFERENT; ++i)
        check(imiad_dataset_read_image(&images[i], drawn, i % all));
    double *seconds = malloc((size_t)count * sizeof *seconds);
    if (!seconds)
        exit(EXIT_FAILURE);
    check(imiad_torch_load()); /* what libtorch itself costs at its start is another figure */
    read_once(path);
    double read = read_once(path), begin = clock_seconds();
    imiad_detector *d;
    check(imiad_detector_load(&d, path, NULL));
    double load = clock_seconds() - begin, first = verdict(d, images[0]);
    size_t heap = 0;
    double faults = 0, spent = 0, since = begin;
    for (int i = 0; i < count; ++i) {
        if (priority > 0 && 1e3 * (clock_seconds() - since) > PIECE)
            since = rest(d, images[i % DIFFERENT]);
        spent += seconds[i] = verdict(d, images[i % DIFFERENT]);
        if (i + 1 == WARM) {
            heap = mallinfo2().uordblks;
            faults = page_faults();
        }
        if (i >= WARM && spent > atof(s->seconds))
            count = i + 1;
    }
    double growth = ((double)mallinfo2().uordblks - (double)heap) / 1e3;
    faults = (page_faults() - faults) / (count - WARM);
    double middle = median(seconds, count), slow = seconds[(count - 1) * 99 / 100];
    struct stat file;
    if (stat(path, &file) != 0)
        exit(EXIT_FAILURE);
    printf("%-14s %s %7.1f MB %8.1f %6.2f %9.1f %6.2f %6d %9.2f %9.2f %6.2f %8.1f %8.1f\n",
           imiad_detector_name(d), s->threads, (double)file.st_size / 1e6, 1e3 * load, load / read,
           1e3 * first, first / middle, count, 1e3 * middle, 1e3 * slow, slow / middle, growth,
           faults);
    free(seconds);
    imiad_detector_free(d);
    for (int i = 0; i < DIFFERENT; ++i)
        imiad_image_free(images[i]);
    imiad_dataset_free(drawn);
}

/* In a process of its own, which has learned nothing. */
static void score_apart(const char *path, const settings *s, const char *threads,
                        char **environment)
{
    const char *words[] = {"bench-latency", "--images",  s->images, "--seconds",
                           s->seconds,      "--pixels",  s->pixels, "--train",
                           s->train,        "--threads", threads,   "--priority",
                           s->priority,     "--file",    path,      NULL};
    pid_t child;
    int status;
    fflush(stdout);
    if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, (char **)words, environment) != 0 ||
        waitpid(child, &status, 0) != child || status != 0)
        exit(EXIT_FAILURE);
}

static void measure(const char *detector, const settings *s, char **environment)
{
    char path[] = "/tmp/imiad-latency-XXXXXX";
    close(mkstemp(path));
    learn(detector, s, path);
    for (const char *at = s->threads; *at;) {
        char threads[8];
        snprintf(threads, sizeof threads, "%d", atoi(at));
        score_apart(path, s, threads, environment);
        at += strcspn(at, ",");
        at += strspn(at, ",");
    }
    unlink(path);
}

static void read_option(settings *s, char *text)
{
    char *value = strchr(text, '=');
    if (!value || s->count == MOST_OPTIONS) {
        fprintf(stderr, "--set %s: NAME=VALUE\n", text);
        exit(EXIT_FAILURE);
    }
    *value = '\0';
    s->options[s->count++] = (imiad_option){text, value + 1};
}

int main(int argc, char **argv, char **environment)
{
    settings s = {"resnet18", "200", "600", "60", "256", "1", "0", {{0}}, 0};
    const char *path = NULL;
    const struct {
        const char *name, **value;
    } given[] = {{"--backbone", &s.backbone}, {"--images", &s.images}, {"--seconds", &s.seconds},
                 {"--train", &s.train},       {"--pixels", &s.pixels}, {"--threads", &s.threads},
                 {"--priority", &s.priority}, {"--file", &path}};
    int at = 1;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        if (strcmp(argv[at], "--set") == 0)
            read_option(&s, argv[at + 1]);
        for (size_t k = 0; k < sizeof given / sizeof *given; ++k)
            if (strcmp(argv[at], given[k].name) == 0)
                *given[k].value = argv[at + 1];
    }
    check(imiad_set_threads(atoi(s.threads)));
    if (path) {
        score(path, &s);
        return 0;
    }
    printf("%s with random weights, %s images of %s pixels, %s threads; milliseconds\n", s.backbone,
           s.images, s.pixels, s.threads);
    printf("%-14s %s %10s %8s %6s %9s %6s %6s %9s %9s %6s %8s %8s\n", "detector", "t", "file",
           "load", "/read", "first", "/p50", "images", "p50", "p99", "/p50", "heap, kB", "faults");
    for (int i = at; i < argc; ++i)
        measure(argv[i], &s, environment);
    for (size_t i = 0; at >= argc && i < imiad_detector_type_count(); ++i)
        measure(imiad_detector_type_name(i), &s, environment);
    return 0;
}
