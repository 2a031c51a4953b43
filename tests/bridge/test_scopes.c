/* Who owns a tensor, how a failure travels, what a message says. */
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "bridge/tensor.h"
#include "check_suite.h"

static tensor *ones(int64_t rows, int64_t columns)
{
    return t_full(2, (int64_t[]){rows, columns}, 1.0, F32, CPU);
}

START_TEST(a_scope_frees_what_was_made_in_it)
{
    scope outer = scope_begin();
    tensor *a = ones(2, 2);
    ck_assert_uint_eq(t_live(), 1);
    scope inner = scope_begin();
    for (int i = 0; i < 10; ++i)
        t_add(a, a);
    ck_assert_uint_eq(t_live(), 11);
    ck_ok(scope_end(&inner));
    ck_assert_uint_eq(t_live(), 1);
    ck_ok(scope_end(&outer));
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(a_returned_tensor_survives_in_the_enclosing_scope)
{
    scope outer = scope_begin(), inner = scope_begin();
    tensor *sum = scope_return(&inner, t_sum_all(t_add(ones(2, 3), ones(2, 3))));
    ck_assert_uint_eq(t_live(), 1);
    ck_assert_double_eq(t_item(sum), 12);
    inner = scope_begin();
    ck_assert_ptr_eq(scope_return(&inner, sum), sum); /* the outer scope's already */
    inner = scope_begin();
    ck_assert_ptr_null(scope_return(&inner, NULL));
    ck_assert(!t_failed());
    ck_ok(scope_end(&outer));
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(a_kept_tensor_survives_every_scope_until_it_is_freed)
{
    scope s = scope_begin();
    tensor *kept = t_keep(ones(3, 1));
    ck_ok(scope_end(&s));
    ck_assert_uint_eq(t_live(), 1);
    ck_assert_int_eq(t_size(kept, 0), 3);
    s = scope_begin();
    scope inner = scope_begin();
    ck_assert_ptr_eq(scope_return(&inner, kept), kept);
    ck_ok(scope_end(&s));
    ck_assert_int_eq(t_rank(kept), 2);
    t_free(kept);
    t_free(NULL);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(an_early_return_leaves_nothing_behind)
{
    scope outer = scope_begin(), middle = scope_begin_grad();
    (void)middle;
    ones(1, 1);
    scope_begin();
    ones(1, 1);
    ck_ok(scope_end(&outer)); /* ends the two inside as well */
    ck_assert_uint_eq(t_live(), 0);
    outer = scope_begin();
    ck_ok(scope_end(&outer));
}
END_TEST

START_TEST(the_first_failure_sticks_until_the_scope_ends)
{
    scope s = scope_begin();
    tensor *a = ones(2, 3), *b = ones(4, 5);
    tensor *product = t_matmul(a, b);
    ck_assert_ptr_null(product);
    ck_assert(t_failed());
    ck_assert_ptr_null(t_add(a, a));
    ck_assert_ptr_null(t_cat((tensor *[]){product, a}, 2, 0));
    ck_assert_ptr_null(t_fail(IMIAD_IO, "second"));
    ck_assert_ptr_null(t_keep(a));
    ck_assert_int_eq(t_size(a, 0), 0);
    ck_assert_int_eq(t_rank(product), 0);
    ck_assert_int_eq(t_count(a), 0);
    ck_assert(isnan(t_item(a)));
    ck_assert_ptr_null(t_data(a));
    float untouched[6] = {7};
    t_read(a, untouched, sizeof untouched);
    ck_assert_float_eq(untouched[0], 7);
    ck_fails(scope_end(&s), IMIAD_MISMATCH, "matmul(f32[2,3], f32[4,5]): ");
    ck_assert_ptr_null(strstr(imiad_last_error(), "Exception raised"));
    ck_assert(!t_failed());
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(a_failure_passes_through_scope_return)
{
    scope outer = scope_begin(), inner = scope_begin();
    tensor *a = ones(2, 2);
    t_fail(IMIAD_IO, "no such %s", "thing");
    ck_assert_ptr_null(scope_return(&inner, a));
    ck_assert(t_failed());
    ck_fails(scope_end(&outer), IMIAD_IO, "no such thing");
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(a_status_from_elsewhere_becomes_the_failure)
{
    scope s = scope_begin();
    ck_assert(t_try(IMIAD_OK));
    ck_assert(!t_try(fail(IMIAD_FORMAT, "file x: damaged")));
    ck_assert(!t_try(IMIAD_OK));
    fail(IMIAD_IO, "something later");
    ck_fails(scope_end(&s), IMIAD_FORMAT, "file x: damaged");
}
END_TEST

START_TEST(misuse_is_told)
{
    ck_assert_ptr_null(ones(1, 1)); /* no scope: told at the end of the next one */
    scope s = scope_begin();
    ck_fails(scope_end(&s), IMIAD_INTERNAL, "full(): no scope is open");

    ck_fails(scope_end(&s), IMIAD_INTERNAL, "a scope ends that is not open");

    s = scope_begin();
    ck_assert_ptr_null(t_add(ones(1, 1), NULL));
    ck_fails(scope_end(&s), IMIAD_INTERNAL, "add(f32[1,1], NULL): an operand is NULL");

    s = scope_begin();
    tensor *kept = t_keep(ones(1, 1));
    ck_assert_ptr_null(t_keep(kept));
    ck_fails(scope_end(&s), IMIAD_INTERNAL, "keep: the tensor is kept already");
    t_free(kept);

    s = scope_begin();
    t_free(ones(1, 1));
    ck_fails(scope_end(&s), IMIAD_INTERNAL, "free: the tensor belongs to a scope");

    s = scope_begin();
    ck_assert_ptr_null(scope_return(&s, ones(1, 1)));
    s = scope_begin();
    ck_fails(scope_end(&s), IMIAD_INTERNAL, "scope_return: no enclosing scope is open");
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

#ifndef NDEBUG
START_TEST(a_debug_build_tells_the_use_of_a_dead_tensor)
{
    scope s = scope_begin(), inner = scope_begin();
    tensor *dead = ones(1, 1);
    ck_ok(scope_end(&inner));
    ck_assert_ptr_null(t_neg(dead));
    ck_fails(scope_end(&s), IMIAD_INTERNAL, "neg(dead): the scope of an operand has ended");
    ck_assert_int_eq(t_rank(dead), 0);
    s = scope_begin();
    ck_fails(scope_end(&s), IMIAD_INTERNAL, "rank: the tensor's scope has ended");
}
END_TEST
#endif

/* Under AddressSanitizer a refused allocation returns NULL, as everywhere else. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

START_TEST(too_much_memory_is_a_failure_of_its_own)
{
    scope s = scope_begin();
    ck_assert_ptr_null(t_zeros(1, (int64_t[]){(int64_t)1 << 50}, F32, CPU));
    ck_fails(scope_end(&s), IMIAD_NO_MEMORY, "zeros()");
}
END_TEST

START_TEST(what_does_not_exist_is_undefined_not_a_crash)
{
    scope s = scope_begin();
    ck_assert_ptr_null(t_cholesky(t_mul_scalar(t_eye(3, F32, CPU), -1)));
    ck_fails(scope_end(&s), IMIAD_UNDEFINED, "cholesky(f32[3,3])");
}
END_TEST

START_TEST(a_failure_leaks_nothing)
{
    scope s = scope_begin();
    for (int i = 0; i < 100; ++i) {
        scope inner = scope_begin();
        tensor *index = NULL;
        t_topk(ones(2, 2), 3, 1, true, &index); /* only two to choose from */
        ck_assert_ptr_null(index);
        ck_fails(scope_end(&inner), IMIAD_MISMATCH, "topk(f32[2,2])");
    }
    ck_assert_uint_eq(t_live(), 0);
    ck_ok(scope_end(&s));
}
END_TEST

static bool records_gradients(void)
{
    tensor *leaf = ones(1, 1);
    t_require_grad(leaf, true);
    t_backward(t_sum_all(t_square(leaf)));
    bool recorded = t_grad(leaf) != NULL;
    if (t_failed()) { /* backward of something without a history */
        scope s = scope_begin();
        ck_assert_int_ne(scope_end(&s), IMIAD_OK);
    }
    return recorded;
}

START_TEST(each_scope_says_whether_gradients_are_recorded)
{
    scope outer = scope_begin();
    ck_assert(!records_gradients());
    scope grad = scope_begin_grad();
    ck_assert(records_gradients());
    scope frozen = scope_begin();
    ck_assert(!records_gradients());
    ck_ok(scope_end(&frozen));
    ck_assert(records_gradients());
    ck_ok(scope_end(&grad));
    ck_assert(!records_gradients());
    ck_ok(scope_end(&outer));
}
END_TEST

enum { ROUNDS = 300 };

static void *work(void *argument)
{
    tensor *shared = argument;
    intptr_t wrong = 0;
    for (int i = 0; i < ROUNDS; ++i) {
        scope s = scope_begin_grad();
        tensor *a = t_add_scalar(shared, 1);
        if (i % 3 == 0)
            t_matmul(a, ones(7, 7));
        wrong += t_failed() != (i % 3 == 0);
        scope inner = scope_begin();
        tensor *sum = scope_return(&inner, t_sum_all(a));
        if (i % 3 != 0)
            wrong += t_item(sum) != 8;
        wrong += (scope_end(&s) == IMIAD_OK) != (i % 3 != 0);
    }
    return (void *)wrong;
}

START_TEST(threads_have_their_own_scopes_and_failures)
{
    scope s = scope_begin();
    tensor *shared = t_keep(ones(2, 2));
    pthread_t threads[4];
    for (int i = 0; i < 4; ++i)
        pthread_create(&threads[i], NULL, work, shared);
    for (int i = 0; i < 4; ++i) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
    ck_ok(scope_end(&s));
    t_free(shared);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

static void *keep_from_afar(void *argument)
{
    scope s = scope_begin();
    t_keep(argument);
    return (void *)(intptr_t)scope_end(&s);
}

static void *leave_scope_open(void *argument)
{
    scope_begin();
    ones(4, 4);
    return NULL;
}

/* The gradient of sum((w x)^2) with respect to x is 2 w^2 x. */
static void *find_gradients(void *argument)
{
    tensor *weight = argument;
    intptr_t wrong = 0;
    for (int i = 0; i < ROUNDS; ++i) {
        scope s = scope_begin_grad();
        tensor *x = ones(2, 2);
        t_require_grad(x, true);
        t_backward_to(t_sum_all(t_square(t_mul(weight, x))), x);
        wrong += t_item(t_sum_all(t_grad(x))) != 4 * 2 * 9;
        wrong += t_grad(weight) != NULL;
        wrong += scope_end(&s) != IMIAD_OK;
    }
    return (void *)wrong;
}

START_TEST(threads_that_share_a_parameter_leave_no_gradient_in_it)
{
    scope s = scope_begin();
    tensor *weight = t_keep(t_full(1, (int64_t[]){1}, 3, F32, CPU));
    t_require_grad(weight, true);
    pthread_t threads[4];
    for (int i = 0; i < 4; ++i)
        pthread_create(&threads[i], NULL, find_gradients, weight);
    for (int i = 0; i < 4; ++i) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
    ck_ok(scope_end(&s));
    s = scope_begin_grad(); /* what the loss does not depend on */
    t_backward_to(t_sum_all(weight), ones(2, 2));
    ck_assert(scope_end(&s) != IMIAD_OK);
    t_free(weight);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(a_tensor_is_kept_by_its_own_thread_and_a_thread_takes_its_scopes_along)
{
    pthread_t thread;
    void *status;
    scope s = scope_begin();
    pthread_create(&thread, NULL, keep_from_afar, ones(1, 1));
    pthread_join(thread, &status);
    ck_assert_int_eq((intptr_t)status, IMIAD_INTERNAL);
    ck_ok(scope_end(&s));
    pthread_create(&thread, NULL, leave_scope_open, NULL);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

static double processor_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Spinning threads would burn nearly all of the pauses, as another program would feel. */
START_TEST(threads_without_work_leave_the_processor_to_others)
{
    enum { PAUSES = 50, PAUSE = 3000000 };
    double waiting = 0;
    scope s = scope_begin();
    tensor *many = ones(1024, 4096);
    for (int i = 0; i < PAUSES; ++i) {
        t_add_scalar_(many, 1);
        double before = processor_time();
        nanosleep(&(struct timespec){0, PAUSE}, NULL);
        waiting += processor_time() - before;
    }
    ck_ok(scope_end(&s));
    ck_assert_double_lt(waiting, 0.2 * PAUSES * 1e-9 * PAUSE);
}
END_TEST

START_TEST(devices_are_parsed_and_named)
{
    device d = {true, 9};
    char name[16];
    ck_ok(device_parse(&d, "cpu"));
    ck_assert(!d.cuda);
    ck_assert_str_eq(device_name(d, name), "cpu");
    ck_assert_str_eq(device_name((device){true, 3}, name), "cuda:3");
    static const char *const wrong[] = {"",        "gpu",     "cuda:", "cuda:x",
                                        "cuda:1x", "cuda:-1", "CPU",   "cuda:99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        ck_fails(device_parse(&d, wrong[i]), IMIAD_OUT_OF_RANGE, "it must be cpu, cuda or cuda:0");
    ck_fails(device_parse(&d, "cuda:100"), IMIAD_UNSUPPORTED, "cuda:100");
    ck_fails(device_parse(NULL, "cpu"), IMIAD_INVALID_ARGUMENT, "NULL");
    size_t now, peak;
    ck_fails(device_memory(CPU, &now, &peak), IMIAD_UNSUPPORTED, "the memory of device cpu");
    ck_assert_ptr_nonnull(strchr(imiad_torch_version(), '.'));
}
END_TEST

SUITE("bridge-scopes", TEST(a_scope_frees_what_was_made_in_it),
      TEST(a_returned_tensor_survives_in_the_enclosing_scope),
      TEST(a_kept_tensor_survives_every_scope_until_it_is_freed),
      TEST(an_early_return_leaves_nothing_behind),
      TEST(the_first_failure_sticks_until_the_scope_ends),
      TEST(a_failure_passes_through_scope_return),
      TEST(a_status_from_elsewhere_becomes_the_failure), TEST(misuse_is_told),
#ifndef NDEBUG
      TEST(a_debug_build_tells_the_use_of_a_dead_tensor),
#endif
      TEST(too_much_memory_is_a_failure_of_its_own),
      TEST(what_does_not_exist_is_undefined_not_a_crash), TEST(a_failure_leaks_nothing),
      TEST(each_scope_says_whether_gradients_are_recorded),
      TEST(threads_have_their_own_scopes_and_failures),
      TEST(threads_that_share_a_parameter_leave_no_gradient_in_it),
      TEST(a_tensor_is_kept_by_its_own_thread_and_a_thread_takes_its_scopes_along),
      TEST(threads_without_work_leave_the_processor_to_others), TEST(devices_are_parsed_and_named))
