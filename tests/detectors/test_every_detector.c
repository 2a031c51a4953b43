/* What every detector must do, on images that the library draws itself.
 *
 * usage: test-every-detector NAME */
#include <malloc.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "bridge/tensor.h"
#include "detectors/detector.h"
#include "product_line.h"
#include "seen.h"

static const char *name; /* of the detector */

/* What all tests look at: 4 images train, 4 good and 4 defective ones test; and a detector that
 * learned from them, which every test leaves as it found it. */
static product_line line;
static imiad_detector *learned;

static int reports; /* of progress while it learned */

static int count_report(void *user, const imiad_progress *p)
{
    ++reports;
    return 0;
}

static imiad_detector *fitted(const product_line *l)
{
    imiad_detector *d = product_line_detector(l, name, NULL, 0);
    reports = 0;
    ck_ok(imiad_detector_fit(d, l->split, count_report, NULL));
    return d;
}

START_TEST(a_detector_is_fitted)
{
    line = product_line_open_for(name, test_device(), "64", "4", "4", "4");
    learned = fitted(&line);
}
END_TEST

START_TEST(fitting_twice_gives_the_same)
{
    static seen first, second;
    evaluate(&first, learned, line.split);
    ck_assert_uint_eq(first.count, imiad_split_test_count(line.split));
    ck_ok(imiad_detector_fit(learned, line.split, NULL, NULL));
    evaluate(&second, learned, line.split);
    ck_assert_mem_eq(&first, &second, sizeof first);
}
END_TEST

/* A batch passes through other kernels of libtorch than one image: equal up to rounding. */
START_TEST(a_batch_scores_as_each_image_alone)
{
    static seen together;
    evaluate(&together, learned, line.split);
    for (size_t i = 0; i < together.count; ++i) {
        imiad_image *image;
        imiad_result alone = IMIAD_RESULT_INIT;
        ck_ok(imiad_dataset_read_image(&image, line.dataset, imiad_split_test(line.split, i)));
        ck_ok(imiad_detector_score(&alone, learned, image));
        imiad_image_free(image);
        double score = (double)together.scores[i];
        ck_assert_double_lt(fabs((double)alone.score - score), 1e-4 * fabs(score) + 1e-6);
        for (int j = 0; alone.map && j < 64 * 64; ++j)
            ck_assert_double_lt(fabs((double)alone.map[j] - (double)together.maps[i][j]),
                                1e-4 * fabs(score) + 1e-6);
    }
}
END_TEST

START_TEST(a_saved_detector_scores_the_same_bytes)
{
    static seen before, after;
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    imiad_detector *restored = NULL;
    evaluate(&before, learned, line.split);
    ck_ok(imiad_detector_save(learned, path));
    ck_ok(imiad_detector_load(&restored, path, NULL));
    evaluate(&after, restored, line.split);
    ck_assert_mem_eq(&before, &after, sizeof before);
    ck_assert_str_eq(imiad_detector_option(restored, "resize"), "64");
    ck_assert_str_eq(imiad_detector_name(restored), name);
    imiad_detector_free(restored);
    unlink(path);
}
END_TEST

START_TEST(damaged_files_are_refused)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    imiad_detector *restored = NULL;
    ck_ok(imiad_detector_save(learned, path));
    file_view file;
    ck_ok(file_map(&file, path));
    uint8_t *bytes = malloc(file.size);
    size_t size = file.size;
    memcpy(bytes, file.bytes, size);
    file_unmap(&file);
    /* cut anywhere, or one bit wrong anywhere: never restored; a large file takes its time */
    int step = size > 20000000 ? 3 : 1;
    for (int i = 0; i < 24; i += step) {
        size_t at = size * (size_t)i / 24, length = i % 2 ? at : size;
        bytes[at] ^= 0x10;
        file_writer writer;
        ck_ok(file_write_begin(&writer, path));
        ck_assert_uint_eq(fwrite(bytes, 1, length, writer.stream), length);
        ck_ok(file_write_commit(&writer));
        bytes[at] ^= 0x10;
        ck_assert_msg(imiad_detector_load(&restored, path, NULL) != IMIAD_OK, "byte %zu", at);
        ck_assert_msg(strstr(imiad_last_error(), path), "%s", imiad_last_error());
    }
    free(bytes);
    unlink(path);
}
END_TEST

static int stop_after(void *user, const imiad_progress *p)
{
    int *calls = user;
    return (*calls)-- == 0;
}

/* Each of the first reports of progress, then some of those that are alike, to the last one. */
static int later_moment(int calls)
{
    int step = (reports - 1 - 2) / 4;
    int next = calls < 2 || step < 1 ? calls + 1 : calls + step;
    return calls < reports - 1 && next + step > reports - 1 && step > 1 ? reports - 1 : next;
}

START_TEST(fitting_can_be_cancelled_at_any_moment)
{
    static seen whole, again;
    evaluate(&whole, learned, line.split);
    for (int calls = 0, stop;; calls = later_moment(calls)) {
        stop = calls;
        imiad_status status = imiad_detector_fit(learned, line.split, stop_after, &stop);
        if (status == IMIAD_OK)
            break;
        ck_assert_int_eq(status, IMIAD_CANCELLED);
        imiad_result result = IMIAD_RESULT_INIT;
        imiad_image *image;
        ck_ok(imiad_dataset_read_image(&image, line.dataset, 0));
        ck_fails(imiad_detector_score(&result, learned, image), IMIAD_WRONG_STATE,
                 "must be fitted");
        imiad_image_free(image);
    }
    ck_ok(imiad_detector_fit(learned, line.split, NULL, NULL));
    evaluate(&again, learned, line.split);
    ck_assert_mem_eq(&whole, &again, sizeof whole);
}
END_TEST

/* A new detector's first task is a fit; a forgetful method's second one is a fit of that alone. */
START_TEST(another_task_is_learned_on_top_or_anew)
{
    static seen first, second, again;
    imiad_split *other;
    ck_ok(imiad_split_create(&other, line.dataset, imiad_dataset_category(line.dataset, 1),
                             product_line_setting(name), &product_line_anomaly,
                             product_line_needs_anomalies(name)));
    imiad_detector *d = product_line_detector(&line, name, NULL, 0);
    evaluate(&first, learned, line.split);
    ck_ok(imiad_detector_fit_more(d, line.split, NULL, NULL));
    evaluate(&again, d, line.split);
    ck_assert_mem_eq(&first, &again, sizeof first);

    ck_ok(imiad_detector_fit_more(d, other, NULL, NULL));
    evaluate(&second, d, line.split);
    for (size_t i = 0; i < second.count; ++i)
        ck_assert(isfinite(second.scores[i]));
    ck_ok(imiad_detector_fit(d, line.split, NULL, NULL));
    evaluate(&again, d, line.split);
    ck_assert_mem_eq(&first, &again, sizeof first);
    imiad_detector_free(d);
    imiad_split_free(other);
}
END_TEST

/* Where the method goes on or joins; one that forgets begins anew, and must then be fitted. */
START_TEST(learning_more_can_be_cancelled_at_any_moment)
{
    static seen before, after;
    imiad_split *other;
    ck_ok(imiad_split_create(&other, line.dataset, imiad_dataset_category(line.dataset, 1),
                             product_line_setting(name), &product_line_anomaly,
                             product_line_needs_anomalies(name)));
    evaluate(&before, learned, line.split);
    for (int calls = 0, stop; learned->ops->fit_more; calls = later_moment(calls)) {
        stop = calls;
        imiad_status status = imiad_detector_fit_more(learned, other, stop_after, &stop);
        if (status == IMIAD_OK)
            break;
        ck_assert_int_eq(status, IMIAD_CANCELLED);
        evaluate(&after, learned, line.split);
        ck_assert_mem_eq(&before, &after, sizeof before);
    }
    ck_ok(imiad_detector_fit(learned, line.split, NULL, NULL));
    imiad_split_free(other);
}
END_TEST

START_TEST(one_image_is_enough_to_fit)
{
    imiad_detector *d = product_line_detector(&line, name, NULL, 0);
    imiad_image *image;
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_dataset_read_image(&image, line.dataset, 0));
    const imiad_image *const images[1] = {image};
    if (product_line_needs_anomalies(name)) { /* says which setting has them */
        ck_fails(imiad_detector_fit_images(d, images, 1, NULL, NULL), IMIAD_INVALID_ARGUMENT,
                 "use the setting supervised");
    } else if (d->takes & TAKES_SOURCES) { /* what these learn from is not there */
        ck_fails(imiad_detector_fit_images(d, images, 1, NULL, NULL), IMIAD_INVALID_ARGUMENT,
                 "other categories, and there are none");
    } else {
        ck_ok(imiad_detector_fit_images(d, images, 1, NULL, NULL));
        ck_ok(imiad_detector_score(&result, d, image));
        ck_assert(isfinite(result.score));
    }
    imiad_image_free(image);
    imiad_detector_free(d);
}
END_TEST

/* Memory that nobody wrote to holds something else then: nothing may come of it. */
START_TEST(with_all_begun_anew_in_filled_memory_it_learns_the_same_and_no_tensor_outlives_it)
{
    static seen first, again;
    evaluate(&first, learned, line.split);
    mallopt(M_PERTURB, 0x5a);
    imiad_detector_free(learned);
    product_line_close(&line);
    ck_assert_uint_eq(t_live(), 0);
    line = product_line_open_for(name, test_device(), "64", "4", "4", "4");
    size_t alive = t_live();
    learned = fitted(&line);
    evaluate(&again, learned, line.split);
    mallopt(M_PERTURB, 0);
    ck_assert_mem_eq(&first, &again, sizeof first);
    imiad_detector_free(learned);
    learned = NULL;
    ck_assert_uint_eq(t_live(), alive);
    product_line_close(&line);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

int main(int argc, char **argv)
{
    const listed_test tests[] = {
        TEST(a_detector_is_fitted),
        TEST(fitting_twice_gives_the_same),
        TEST(a_batch_scores_as_each_image_alone),
        TEST(a_saved_detector_scores_the_same_bytes),
        TEST(damaged_files_are_refused),
        TEST(fitting_can_be_cancelled_at_any_moment),
        TEST(another_task_is_learned_on_top_or_anew),
        TEST(learning_more_can_be_cancelled_at_any_moment),
        TEST(one_image_is_enough_to_fit),
        TEST(with_all_begun_anew_in_filled_memory_it_learns_the_same_and_no_tensor_outlives_it),
    };
    char suite[80];
    if (argc != 2) {
        fprintf(stderr, "usage: test-every-detector NAME\n");
        return EXIT_FAILURE;
    }
    name = argv[1];
    snprintf(suite, sizeof suite, "detector-%s", name);
    return run_suite(suite, tests, sizeof tests / sizeof *tests);
}
