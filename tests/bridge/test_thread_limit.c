/* A process that may start fewer OpenMP threads (OMP_THREAD_LIMIT) than the library is told to use.
 *
 * oneDNN divides the sums of a gradient among as many threads as it is told and lets them wait for
 * each other: with fewer it would wait for ever. */
#include <string.h>
#include <unistd.h>

#include "bridge/tensor.h"
#include "check_suite.h"

enum { COUNT = 8 * 3 * 3 * 3 };

static void weights_gradient(float out[COUNT])
{
    scope s = scope_begin_grad();
    tensor *x = t_full(4, (int64_t[]){2, 3, 16, 16}, 0.5, F32, CPU);
    tensor *weight = t_full(4, (int64_t[]){8, 3, 3, 3}, 1, F32, CPU);
    t_require_grad(weight, true);
    t_backward(t_sum_all(t_conv2d(x, weight, NULL, 1, 0, 1, 1)));
    t_read(t_grad(weight), out, COUNT * sizeof *out);
    ck_ok(scope_end(&s));
}

START_TEST(gradients_are_found_on_the_threads_that_there_are)
{
    static float found[COUNT];
    ck_ok(imiad_set_threads(_i + 1));
    weights_gradient(found);
    for (int i = 0; i < COUNT; ++i)
        ck_assert_float_eq(found[i], 2 * 14 * 14 * 0.5f);
    ck_assert_int_eq(imiad_threads(), _i + 1); /* the library's own pool has them all */
}
END_TEST

int main(int argc, char **argv)
{
    const listed_test tests[] = {LOOP_TEST(gradients_are_found_on_the_threads_that_there_are, 4)};
    if (!getenv("OMP_THREAD_LIMIT")) { /* which is read when a program starts */
        setenv("OMP_THREAD_LIMIT", "1", 1);
        execv("/proc/self/exe", argv);
        return EXIT_FAILURE;
    }
    return run_suite("thread-limit", tests, sizeof tests / sizeof *tests);
}
