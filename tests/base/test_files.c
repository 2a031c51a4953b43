/* Reading files whose bytes are soon done with. */
#include <pthread.h>
#include <sys/resource.h>

#include "../robust/scratch.h"
#include "base/files.h"

enum { BYTES = 4 << 20, PAGE = 4096 };

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static void write_filled(const char *path, int value, size_t size)
{
    char *bytes = malloc(size);
    memset(bytes, value, size);
    write_bytes(path, bytes, size);
    free(bytes);
}

/* One assertion for all bytes: each allocates a message, from fresh memory under a sanitizer. */
static void read_filled(const char *path, int value, size_t size)
{
    file_view view;
    ck_ok(file_read_briefly(&view, path));
    ck_assert_uint_eq(view.size, size);
    size_t right = 0;
    for (size_t i = 0; i < size; ++i)
        right += view.bytes[i] == value;
    ck_assert_uint_eq(right, size);
    file_unmap(&view);
}

/* Fresh memory for each would be a fault a page and file. */
START_TEST(reading_again_and_again_takes_no_fresh_memory)
{
    scratch_make();
    write_filled(in_scratch("x"), 7, BYTES);
    read_filled(in_scratch("x"), 7, BYTES);
    long before = faults();
    for (int i = 0; i < 20; ++i)
        read_filled(in_scratch("x"), 7, BYTES);
    ck_assert_int_lt(faults() - before, BYTES / PAGE);
    scratch_remove();
}
END_TEST

START_TEST(files_of_any_size_follow_each_other)
{
    static const size_t sizes[] = {1, 100000, 200000, 131072, BYTES, 131071, 40 << 20, 300000};
    scratch_make();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        write_filled(in_scratch("x"), (int)i + 1, sizes[i]);
        read_filled(in_scratch("x"), (int)i + 1, sizes[i]);
    }
    write_bytes(in_scratch("empty"), "", 0);
    file_view view;
    ck_ok(file_read_briefly(&view, in_scratch("empty")));
    ck_assert_uint_eq(view.size, 0);
    file_unmap(&view);
    ck_fails(file_read_briefly(&view, in_scratch("none")), IMIAD_NOT_FOUND, "none");
    scratch_remove();
}
END_TEST

typedef struct reader {
    char path[512];
    int value;
} reader;

static void *read_own(void *argument)
{
    const reader *r = argument;
    for (int i = 0; i < 100; ++i)
        read_filled(r->path, r->value, 300000);
    return NULL;
}

START_TEST(threads_do_not_share_what_they_read)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    reader readers[THREADS];
    scratch_make();
    for (int i = 0; i < THREADS; ++i) {
        readers[i].value = i + 1;
        snprintf(readers[i].path, sizeof readers[i].path, "%s/%d", scratch, i);
        write_filled(readers[i].path, i + 1, 300000);
    }
    for (int i = 0; i < THREADS; ++i)
        pthread_create(&threads[i], NULL, read_own, &readers[i]);
    for (int i = 0; i < THREADS; ++i)
        pthread_join(threads[i], NULL);
    scratch_remove();
}
END_TEST

SUITE("files", TEST(reading_again_and_again_takes_no_fresh_memory),
      TEST(files_of_any_size_follow_each_other), TEST(threads_do_not_share_what_they_read))
