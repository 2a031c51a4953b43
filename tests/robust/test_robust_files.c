/* Files: what writing leaves alone, what a kill leaves behind, what reading survives. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/file_writer.h"
#include "base/files.h"
#include "imiad/imiad.h"
#include "scratch.h"

/* ---- the umask ---- */

enum { WRITERS = 4, FILES_A_WRITER = 60 };

static void *write_pictures(void *argument)
{
    uint8_t pixels[64] = {1};
    imiad_image image = IMIAD_IMAGE_INIT;
    image.format = IMIAD_PIXEL_GRAY8;
    image.width = image.height = 8;
    image.stride = 8;
    image.pixels = pixels;
    char path[512];
    snprintf(path, sizeof path, "%s/w%d.png", scratch, *(int *)argument);
    for (int i = 0; i < FILES_A_WRITER; ++i)
        ck_ok(imiad_image_write_png(&image, path));
    return NULL;
}

typedef struct watcher {
    atomic_bool stop;
    int made, wide;
} watcher;

/* An unrelated thread of the program, which counts its files that others may write to. */
static void *make_files(void *argument)
{
    watcher *w = argument;
    char path[512];
    snprintf(path, sizeof path, "%s/unrelated", scratch);
    while (!atomic_load(&w->stop)) {
        unlink(path);
        int file = open(path, O_CREAT | O_WRONLY | O_EXCL, 0666);
        struct stat info;
        ck_assert_int_eq(fstat(file, &info), 0);
        close(file);
        w->made++;
        w->wide += (info.st_mode & 022) != 0;
    }
    return NULL;
}

START_TEST(writing_leaves_the_umask_to_the_program)
{
    scratch_make();
    umask(022);
    pthread_t writers[WRITERS], other;
    int numbers[WRITERS];
    watcher w = {.stop = false};
    pthread_create(&other, NULL, make_files, &w);
    for (int i = 0; i < WRITERS; ++i) {
        numbers[i] = i;
        pthread_create(&writers[i], NULL, write_pictures, &numbers[i]);
    }
    for (int i = 0; i < WRITERS; ++i)
        pthread_join(writers[i], NULL);
    atomic_store(&w.stop, true);
    pthread_join(other, NULL);
    ck_assert_int_gt(w.made, 100);
    ck_assert_int_eq(w.wide, 0);
    ck_assert_int_eq(umask(022), 022);
    scratch_remove();
}
END_TEST

static void write_text(const char *path, const char *text)
{
    file_writer writer;
    ck_ok(file_write_begin(&writer, path));
    fputs(text, writer.stream);
    ck_ok(file_write_commit(&writer));
}

START_TEST(a_new_file_obeys_the_umask_and_an_old_one_keeps_its_mode)
{
    static const mode_t masks[] = {022, 077, 027, 0};
    scratch_make();
    for (size_t i = 0; i < sizeof masks / sizeof *masks; ++i) {
        umask(masks[i]);
        unlink(in_scratch("new"));
        write_text(in_scratch("new"), "abc");
        ck_assert_int_eq(mode_of(in_scratch("new")), 0666 & ~masks[i]);
    }
    umask(022);
    static const mode_t modes[] = {0600, 0640, 0666, 0444};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; ++i) {
        chmod(in_scratch("new"), modes[i]);
        write_text(in_scratch("new"), "def");
        ck_assert_int_eq(mode_of(in_scratch("new")), modes[i]);
    }
    scratch_remove();
}
END_TEST

/* ---- temporary files ---- */

START_TEST(the_next_writer_removes_what_a_killed_one_left)
{
    scratch_make();
    for (int round = 0; round < 5; ++round) {
        pid_t child = fork();
        if (child == 0) {
            file_writer writer;
            if (file_write_begin(&writer, in_scratch("x.imiad")) == IMIAD_OK) {
                fputs("half", writer.stream);
                fflush(writer.stream);
            }
            kill(getpid(), SIGKILL);
        }
        int ended;
        waitpid(child, &ended, 0);
        ck_assert(WIFSIGNALED(ended));
        ck_assert_int_eq(count_entries(scratch), round == 0 ? 1 : 2);
        write_text(in_scratch("x.imiad"), "whole");
        ck_assert_int_eq(count_entries(scratch), 1);
    }
    scratch_remove();
}
END_TEST

START_TEST(writers_of_one_file_leave_each_other_s_temporary_files_alone)
{
    scratch_make();
    file_writer first, second;
    ck_ok(file_write_begin(&first, in_scratch("x")));
    fputs("first", first.stream);
    ck_ok(file_write_begin(&second, in_scratch("x")));
    fputs("second", second.stream);
    ck_ok(file_write_commit(&second));
    write_text(in_scratch("x"), "third");
    ck_ok(file_write_commit(&first));
    file_view view;
    ck_ok(file_read(&view, in_scratch("x")));
    ck_assert_uint_eq(view.size, strlen("first"));
    ck_assert_mem_eq(view.bytes, "first", view.size);
    file_unmap(&view);
    ck_assert_int_eq(count_entries(scratch), 1);
    scratch_remove();
}
END_TEST

/* Whoever can foresee the name puts a link there. */
START_TEST(a_link_in_the_temporary_file_s_place_is_not_followed)
{
    scratch_make();
    write_bytes(in_scratch("victim"), "precious", 8);
    file_writer writer;
    ck_ok(file_write_begin(&writer, in_scratch("x")));
    char *name = strdup(writer.temporary);
    file_write_abandon(&writer);
    ck_assert_int_eq(symlink(in_scratch("victim"), name), 0);
    write_text(in_scratch("x"), "new");
    file_view view;
    ck_ok(file_read(&view, in_scratch("victim")));
    ck_assert_mem_eq(view.bytes, "precious", 8);
    file_unmap(&view);
    free(name);
    scratch_remove();
}
END_TEST

START_TEST(the_longest_name_can_be_written)
{
    scratch_make();
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    write_text(in_scratch(name), "abc");
    ck_assert_int_eq(count_entries(scratch), 1);
    scratch_remove();
}
END_TEST

/* ---- limits of the system ---- */

START_TEST(a_file_that_may_not_grow_is_an_error_and_no_signal)
{
    scratch_make();
    struct rlimit before, small = {1 << 20, RLIM_INFINITY};
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    file_writer writer;
    ck_ok(file_write_begin(&writer, in_scratch("x")));
    for (int i = 0; i < 4 << 20; ++i)
        putc('x', writer.stream);
    ck_fails(file_write_commit(&writer), IMIAD_IO, "File too large");
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(count_entries(scratch), 0);
    sigset_t set;
    sigpending(&set);
    ck_assert(!sigismember(&set, SIGXFSZ));
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    ck_assert(!sigismember(&set, SIGXFSZ));
    scratch_remove();
}
END_TEST

/* ---- reading ---- */

static imiad_status read_as(int kind, const char *path)
{
    imiad_image *image = NULL;
    imiad_backbone *backbone = NULL;
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    imiad_bank *bank = NULL;
    imiad_detector *detector = NULL;
    imiad_results *results = NULL;
    imiad_dataset *dataset = NULL;
    imiad_split *split = NULL;
    options.weights = path;
    switch (kind) {
    case 0:
        return imiad_image_read(&image, path);
    case 1:
        return imiad_backbone_create(&backbone, "resnet18", &options);
    case 2:
        return imiad_bank_load(&bank, path);
    case 3:
        return imiad_bank_map(&bank, path, 0);
    case 4:
        return imiad_detector_load(&detector, path, NULL);
    case 5:
        return imiad_results_open(&results, path);
    case 6:
        return imiad_results_open_to_read(&results, path);
    default: {
        const imiad_option small[] = {{"train", "2"}, {"size", "32"}};
        ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, small, 2));
        imiad_status status = imiad_split_read(&split, dataset, path);
        imiad_dataset_free(dataset);
        return status;
    }
    }
}
enum { READERS = 8 };

START_TEST(a_fifo_is_an_error_at_once)
{
    scratch_make();
    ck_assert_int_eq(mkfifo(in_scratch("fifo"), 0600), 0);
    alarm(20);
    imiad_status status = read_as(_i, in_scratch("fifo"));
    alarm(0);
    ck_assert_int_ne(status, IMIAD_OK);
    ck_assert_msg(strstr(imiad_last_error(), "fifo"), "%s", imiad_last_error());
    scratch_remove();
}
END_TEST

START_TEST(a_fifo_in_a_dataset_is_an_error_that_names_it)
{
    scratch_make();
    ck_ok(folder_make(in_scratch("c/train/good")));
    ck_assert_int_eq(mkfifo(in_scratch("c/train/good/000.png"), 0600), 0);
    alarm(20);
    imiad_dataset *dataset = NULL;
    imiad_image *image = NULL;
    imiad_status status = imiad_dataset_open(&dataset, "mvtec_ad", scratch, NULL, 0);
    if (status == IMIAD_OK)
        status = imiad_dataset_read_image(&image, dataset, 0);
    alarm(0);
    ck_assert_int_ne(status, IMIAD_OK);
    ck_assert_msg(strstr(imiad_last_error(), "000.png"), "%s", imiad_last_error());
    imiad_dataset_free(dataset);
    scratch_remove();
}
END_TEST

/* ---- files that change while they are read ---- */

static uint8_t noise[1 << 20];

static void make_noise(void)
{
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof noise; ++i)
        noise[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
}

static void write_png(const char *path)
{
    imiad_image image = IMIAD_IMAGE_INIT;
    image.format = IMIAD_PIXEL_GRAY8;
    image.width = image.height = 1024;
    image.stride = 1024;
    image.pixels = noise;
    ck_ok(imiad_image_write_png(&image, path));
}

static void write_bank(const char *path)
{
    imiad_bank *bank;
    ck_ok(imiad_bank_create(&bank, 64, 0));
    static float rows[4096 * 64];
    for (size_t i = 0; i < 4096 * 64; ++i)
        rows[i] = noise[i];
    ck_ok(imiad_bank_add(bank, rows, 4096));
    ck_ok(imiad_bank_save(bank, path));
    imiad_bank_free(bank);
}

/* A camera: truncates its file and writes it again, for ever. */
static pid_t start_camera(const char *path)
{
    file_view view;
    ck_ok(file_read(&view, path));
    pid_t camera = fork();
    if (camera != 0) {
        file_unmap(&view);
        return camera;
    }
    for (;;) {
        int file = open(path, O_TRUNC | O_WRONLY);
        for (size_t at = 0; at < view.size; at += 65536)
            if (write(file, view.bytes + at, view.size - at < 65536 ? view.size - at : 65536) < 0)
                _exit(1);
        close(file);
        usleep(500);
    }
}

/* [1]: how often a read succeeded, [0]: how often it failed. */
static void read_often(int counts[2], int kind, const char *path)
{
    for (int i = 0; i < 150; ++i) {
        imiad_image *image = NULL;
        imiad_bank *bank = NULL;
        imiad_status status =
            kind == 0 ? imiad_image_read(&image, path) : imiad_bank_load(&bank, path);
        imiad_image_free(image);
        imiad_bank_free(bank);
        counts[status == IMIAD_OK]++;
    }
}

START_TEST(a_file_that_is_rewritten_while_it_is_read_is_an_error)
{
    scratch_make();
    make_noise();
    const char *path = in_scratch("part");
    if (_i == 0)
        write_png(path);
    else
        write_bank(path);
    pid_t camera = start_camera(path);
    int counts[2] = {0, 0};
    read_often(counts, _i, path);
    kill(camera, SIGKILL);
    waitpid(camera, NULL, 0);
    ck_assert_int_gt(counts[0], 0); /* the camera did get in between */
    scratch_remove();
}
END_TEST

START_TEST(a_mapped_bank_whose_file_shrinks_is_an_error)
{
    scratch_make();
    make_noise();
    write_bank(in_scratch("bank"));
    imiad_bank *bank;
    float query[64] = {0}, distance[1];
    int64_t index[1];
    ck_ok(imiad_bank_map(&bank, in_scratch("bank"), 0));
    ck_ok(imiad_bank_search(distance, index, bank, query, 1, 1));
    ck_assert_int_eq(truncate(in_scratch("bank"), 8192), 0);
    ck_fails(imiad_bank_search(distance, index, bank, query, 1, 1), IMIAD_IO, "shorter");
    ck_fails(imiad_bank_save(bank, in_scratch("copy")), IMIAD_IO, "shorter");
    imiad_bank_free(bank);
    scratch_remove();
}
END_TEST

SUITE("robust-files", TEST(writing_leaves_the_umask_to_the_program),
      TEST(a_new_file_obeys_the_umask_and_an_old_one_keeps_its_mode),
      TEST(the_next_writer_removes_what_a_killed_one_left),
      TEST(writers_of_one_file_leave_each_other_s_temporary_files_alone),
      TEST(a_link_in_the_temporary_file_s_place_is_not_followed),
      TEST(the_longest_name_can_be_written),
      TEST(a_file_that_may_not_grow_is_an_error_and_no_signal),
      LOOP_TEST(a_fifo_is_an_error_at_once, READERS),
      TEST(a_fifo_in_a_dataset_is_an_error_that_names_it),
      LOOP_TEST(a_file_that_is_rewritten_while_it_is_read_is_an_error, 2),
      TEST(a_mapped_bank_whose_file_shrinks_is_an_error))
