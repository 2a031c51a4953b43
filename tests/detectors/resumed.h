/* A fit that was stopped and continued from its checkpoint, beside one that was not. */
#ifndef TESTS_DETECTORS_RESUMED_H
#define TESTS_DETECTORS_RESUMED_H

#include <unistd.h>

#include "base/files.h"
#include "check_suite.h"
#include "imiad/imiad.h"

static int resumed_countdown;

static inline int resumed_stop(void *user, const imiad_progress *p)
{
    (void)user;
    (void)p;
    return resumed_countdown-- == 0;
}

typedef struct resumed_fit {
    const char *detector;
    imiad_backbone *backbone;
    imiad_option options[16]; /* without checkpoint */
    size_t option_count;
    imiad_split *split;
} resumed_fit;

/* Fitted with a checkpoint and saved; stopped at the report of that number first, where it is not
 * negative, and then fitted again by another handle. True where it was stopped. */
static inline bool resumed_save(const resumed_fit *f, const char *checkpoint, const char *saved,
                                int stop)
{
    imiad_option options[17];
    memcpy(options, f->options, sizeof f->options);
    options[f->option_count] = (imiad_option){"checkpoint", checkpoint};
    bool stopped = false;
    imiad_detector *d;
    if (stop >= 0) {
        resumed_countdown = stop;
        ck_ok(imiad_detector_create(&d, f->detector, f->backbone, options, f->option_count + 1));
        stopped = imiad_detector_fit(d, f->split, resumed_stop, NULL) == IMIAD_CANCELLED;
        imiad_detector_free(d);
    }
    ck_ok(imiad_detector_create(&d, f->detector, f->backbone, options, f->option_count + 1));
    ck_ok(imiad_detector_fit(d, f->split, NULL, NULL));
    ck_ok(imiad_detector_save(d, saved));
    imiad_detector_free(d);
    unlink(checkpoint);
    return stopped;
}

/* Stopped at every report in turn, `step` apart. */
static inline void resumed_equals_undisturbed(const resumed_fit *f, int step)
{
    char checkpoint[] = "/tmp/imiad-test-XXXXXX", one[] = "/tmp/imiad-test-XXXXXX",
         other[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(checkpoint));
    close(mkstemp(one));
    close(mkstemp(other));
    unlink(checkpoint);
    int threads = imiad_threads(), stops = 0;
    ck_ok(imiad_set_threads(1));
    resumed_save(f, checkpoint, one, -1);
    for (int at = 0; resumed_save(f, checkpoint, other, at); at += step, ++stops) {
        char digests[2][65];
        ck_ok(file_digest(digests[0], one));
        ck_ok(file_digest(digests[1], other));
        ck_assert_msg(strcmp(digests[0], digests[1]) == 0, "stopped at report %d", at);
    }
    ck_assert_int_gt(stops, 2);
    ck_ok(imiad_set_threads(threads));
    unlink(one);
    unlink(other);
}

#endif
