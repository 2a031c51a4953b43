/* A detector learns and scores on a device what it learns and scores on the CPU, up to rounding.
 * IMIAD_TEST_DEVICE names the device; without it the CPU is all there is, and what is loaded there
 * agrees with what was learned there to the bit. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bridge/tensor.h"
#include "product_line.h"
#include "relative_l2.h"

enum { SIZE = 64, IMAGES = 8 };

typedef struct seen {
    double fit_seconds;
    float scores[IMAGES], maps[IMAGES][SIZE * SIZE]; /* zeros where a detector draws no map */
    size_t count;
} seen;

static imiad_status keep(void *user, const imiad_scored *scored)
{
    seen *s = user;
    s->scores[s->count] = scored->score;
    memset(s->maps[s->count], 0, sizeof s->maps[0]);
    if (scored->map)
        memcpy(s->maps[s->count], scored->map, sizeof s->maps[0]);
    s->count++;
    return IMIAD_OK;
}

static void evaluate(seen *s, imiad_detector *d, const product_line *l)
{
    s->count = 0;
    ck_ok(imiad_evaluate(NULL, d, l->split, NULL, keep, s, NULL, NULL));
}

/* Fitted and scored on a device; and again on the CPU, from the file that it was saved to. */
static void run_on(seen *there, seen *at_home, const char *place, const char *name)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    product_line l = product_line_open_for(name, place, "64", "4", "4", "4");
    imiad_detector *d = product_line_detector(&l, name, NULL, 0), *loaded = NULL;
    imiad_timings timings = IMIAD_TIMINGS_INIT;
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    ck_ok(imiad_detector_timings(&timings, d));
    there->fit_seconds = timings.fit_seconds;
    evaluate(there, d, &l);
    ck_ok(imiad_detector_save(d, path));
    ck_ok(imiad_detector_load(&loaded, path, "cpu"));
    evaluate(at_home, loaded, &l);
    imiad_detector_free(loaded);
    imiad_detector_free(d);
    product_line_close(&l);
    unlink(path);
}

/* Over all images: of the scores or of the maps, whichever are farther. */
static double runs_apart(const seen *a, const seen *b)
{
    ck_assert_uint_eq(a->count, b->count);
    return fmax(relative_l2(a->scores, b->scores, a->count),
                relative_l2(a->maps[0], b->maps[0], a->count * SIZE * SIZE));
}

START_TEST(a_device_learns_and_scores_what_the_cpu_does)
{
    const char *name = imiad_detector_type_name((size_t)_i);
    static seen cpu, cpu_loaded, there, there_loaded;
    run_on(&cpu, &cpu_loaded, "cpu", name);
    ck_assert_double_eq(runs_apart(&cpu_loaded, &cpu), 0);
    ck_assert_uint_eq(t_live(), 0);
    if (strcmp(test_device(), "cpu") == 0)
        return; /* that it learns the same anew is held in test_every_detector */
    run_on(&there, &there_loaded, test_device(), name);
    double learned = runs_apart(&there, &cpu), moved = runs_apart(&there_loaded, &there);
    printf("%s on %s: %.2g apart from the CPU, %.2g after it is loaded on the CPU; fit %.3f s, "
           "on the CPU %.3f s\n",
           name, test_device(), learned, moved, there.fit_seconds, cpu.fit_seconds);
    ck_assert_double_le(moved, 1e-4);
    ck_assert_double_le(learned, 1e-3);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(only_gpus_tell_their_memory)
{
    uint64_t now, peak;
    ck_fails(imiad_device_memory(&now, &peak, "cpu"), IMIAD_UNSUPPORTED, "cpu");
    if (strcmp(test_device(), "cpu") == 0)
        return;
    product_line l = product_line_open("64", "4", "4", "4", "unsupervised");
    ck_ok(imiad_device_memory(&now, &peak, test_device()));
    ck_assert_uint_gt(now, 10000000); /* ResNet-18 has 11 million parameters of 4 bytes */
    ck_assert_uint_ge(peak, now);
    product_line_close(&l);
    ck_ok(imiad_device_memory(&now, &peak, test_device()));
    ck_assert_uint_lt(now, 10000000);
}
END_TEST

int main(void)
{
    const listed_test tests[] = {
        LOOP_TEST(a_device_learns_and_scores_what_the_cpu_does, (int)imiad_detector_type_count()),
        TEST(only_gpus_tell_their_memory)};
    return run_suite("devices", tests, sizeof tests / sizeof *tests);
}
