/* What the bridge adds to an operation of libtorch: the guard, the handle, the scope.
 *
 * t_contiguous of a contiguous tensor does nothing in libtorch but count a reference, so its time
 * is the bridge's own. A real operation pays it once more; the rest of its time is libtorch's. */
#include <stdio.h>
#include <time.h>

#include "bridge/tensor.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static tensor *nothing(tensor *x)
{
    return t_contiguous(x);
}
static tensor *add(tensor *x)
{
    return t_add(x, x);
}
static tensor *product(tensor *x)
{
    return t_matmul(x, x);
}
/* The same product through an operation that always takes libtorch's own way. */
static tensor *einsum(tensor *x)
{
    return t_einsum("ij,jk->ik", (tensor *[]){x, x}, 2);
}
static tensor *softmax(tensor *x)
{
    return t_softmax(x, 1);
}

/* Seconds an operation, at best of several runs: others share the machine. */
static double seconds(tensor *(*operation)(tensor *), tensor *x, int count)
{
    double best = 1e9;
    for (int run = 0; run < 9; ++run) {
        double begin = now();
        for (int done = 0; done < count; done += 100) {
            scope s = scope_begin();
            for (int i = 0; i < 100; ++i)
                operation(x);
            scope_return(&s, NULL);
        }
        double took = (now() - begin) / count;
        best = took < best ? took : best;
    }
    return best;
}

static double failed_seconds(tensor *x, int count)
{
    scope s = scope_begin();
    t_fail(IMIAD_CANCELLED, "on purpose");
    double begin = now();
    for (int i = 0; i < count; ++i)
        t_add(x, x);
    double took = (now() - begin) / count;
    scope_end(&s);
    return took;
}

int main(void)
{
    static const struct {
        const char *name;
        tensor *(*operation)(tensor *);
        int64_t side;
        int count;
    } cases[] = {{"add", add, 1, 100000},        {"matmul", product, 1, 50000},
                 {"softmax", softmax, 1, 50000}, {"add", add, 64, 20000},
                 {"matmul", product, 64, 2000},  {"add", add, 512, 500},
                 {"softmax", softmax, 256, 1000}};
    imiad_set_threads(1);
    scope s = scope_begin();
    tensor *one = t_full(2, (int64_t[]){1, 1}, 1, F32, CPU);
    double own = seconds(nothing, one, 200000);
    printf("libtorch %s, one thread\n", imiad_torch_version());
    printf("the bridge alone: %.0f ns an operation; %.1f ns after a failure\n", 1e9 * own,
           1e9 * failed_seconds(one, 10000000));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        int64_t shape[] = {cases[i].side, cases[i].side};
        tensor *x = t_full(2, shape, 1, F32, CPU);
        double whole = seconds(cases[i].operation, x, cases[i].count);
        printf("%s of %dx%d: %.0f ns, %.3f times libtorch alone\n", cases[i].name, (int)shape[0],
               (int)shape[1], 1e9 * whole, whole / (whole - own));
    }
    for (int64_t side = 32; side <= 512; side *= 4) {
        tensor *x = t_full(2, (int64_t[]){side, side}, 1, F32, CPU);
        int count = side < 128 ? 2000 : 100;
        double ours = seconds(product, x, count), theirs = seconds(einsum, x, count);
        printf("matmul of %dx%d: %.1f Gflop/s, %.2f times the speed of libtorch's own way\n",
               (int)side, (int)side, 2e-9 * (double)(side * side * side) / ours, theirs / ours);
    }
    imiad_status status = scope_end(&s);
    if (status != IMIAD_OK)
        fprintf(stderr, "%s\n", imiad_last_error());
    return status != IMIAD_OK;
}
