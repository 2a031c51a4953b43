/* What every test program shares: running a Check suite, skipping with a reason, shared data.
 *
 *     START_TEST(metrics_agree_with_a_hand_calculation) { ... } END_TEST
 *     SUITE("metrics", TEST(metrics_agree_with_a_hand_calculation), ...)
 *
 * Each program ends in "NAME: N passed, N failed, N skipped". */
#ifndef TESTS_CHECK_SUITE_H
#define TESTS_CHECK_SUITE_H

#include <check.h>
#undef fail /* Check's old macro; the library has a function of that name */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "imiad/common.h"

typedef struct listed_test {
    const TTest *test;
    int times; /* loop tests see _i in 0..times-1 */
} listed_test;

#define TEST(function)                                                                             \
    {                                                                                              \
        function, 1                                                                                \
    }
#define LOOP_TEST(function, n)                                                                     \
    {                                                                                              \
        function, n                                                                                \
    }

/* Tests run in children of the test program: the count is shared memory. */
static int *skipped_tests;

/* Ends a test that cannot run here. Only absent shared data is a reason. */
#define SKIP(...)                                                                                  \
    do {                                                                                           \
        printf("SKIP %s: ", __func__);                                                             \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        fflush(stdout);                                                                            \
        __atomic_add_fetch(skipped_tests, 1, __ATOMIC_SEQ_CST);                                    \
        return;                                                                                    \
    } while (0)

/* A path below the folder of shared data that lies beside the checkout; skips where it is absent.
 * The text is static: copy it before the next use. */
#define SHARED(path)                                                                               \
    __extension__({                                                                                \
        static char shared_path_[4096];                                                            \
        const char *folder_ = getenv("IMIAD_SHARED");                                              \
        struct stat info_;                                                                         \
        snprintf(shared_path_, sizeof shared_path_, "%s/%s", folder_ ? folder_ : "../shared",      \
                 path);                                                                            \
        if (stat(shared_path_, &info_) != 0)                                                       \
            SKIP("no %s", shared_path_);                                                           \
        shared_path_;                                                                              \
    })

/* Where networks run: IMIAD_TEST_DEVICE names a GPU where there is one (upstream-libtorch.sh). */
static inline const char *test_device(void)
{
    const char *name = getenv("IMIAD_TEST_DEVICE");
    return name ? name : "cpu";
}

/* Success, or the library's message in the report. */
#define ck_ok(expression)                                                                          \
    do {                                                                                           \
        imiad_status status_ = (expression);                                                       \
        ck_assert_msg(status_ == IMIAD_OK, "%s gave %s: %s", #expression,                          \
                      imiad_status_name(status_), imiad_last_error());                             \
    } while (0)

/* This failure, with this text somewhere in its message. */
#define ck_fails(expression, expected, text)                                                       \
    do {                                                                                           \
        imiad_status status_ = (expression);                                                       \
        ck_assert_msg(status_ == (expected), "%s gave %s (%s), not %s", #expression,               \
                      imiad_status_name(status_), imiad_last_error(),                              \
                      imiad_status_name(expected));                                                \
        ck_assert_msg(strstr(imiad_last_error(), text), "\"%s\" does not say \"%s\"",              \
                      imiad_last_error(), text);                                                   \
    } while (0)

static inline int run_suite(const char *name, const listed_test *tests, size_t count)
{
    skipped_tests = mmap(NULL, sizeof *skipped_tests, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    Suite *suite = suite_create(name);
    TCase *all = tcase_create(name);
    tcase_set_timeout(all, 0); /* Meson's timeout of the program is the only clock */
    for (size_t i = 0; i < count; ++i)
        tcase_add_loop_test(all, tests[i].test, 0, tests[i].times);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    int passed = srunner_ntests_run(runner) - failed - *skipped_tests;
    printf("%s: %d passed, %d failed, %d skipped\n", name, passed, failed, *skipped_tests);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define SUITE(name, ...)                                                                           \
    int main(void)                                                                                 \
    {                                                                                              \
        const listed_test tests[] = {__VA_ARGS__};                                                 \
        return run_suite(name, tests, sizeof tests / sizeof *tests);                               \
    }

#endif
