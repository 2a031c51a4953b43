/* The result store under kill -9 and under several writers: whole cells, each once. */
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "base/progress.h"
#include "base/random.h"
#include "cells.h"

enum { GRID = 60, VALUES = 12, KILLS = 10 };

/* What a cell of the grid comes to: made up, the same in every run but for the seconds. */
static void put_cell(imiad_results *results, int index)
{
    static const char *const categories[] = {"bottle", "cable", "wood"};
    imiad_cell cell = made_up_cell(categories[index % 3], (uint64_t)index / 3);
    char text[VALUES][24];
    const char *names[VALUES] = {"score_seconds"};
    double values[VALUES] = {clock_seconds()};
    for (int i = 1; i < VALUES; ++i) {
        sprintf(text[i], "metric_%d", i);
        names[i] = text[i];
        values[i] = i % 5 == 0 ? NAN : 1.0 / (index + i);
    }
    if (!has(results, &cell))
        ck_ok(imiad_results_put(results, &cell, names, values, VALUES));
}

/* Runs the grid in a child, which says "." on the pipe before and after each cell. */
static pid_t start_grid(const char *path, int *signs_of_life)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child > 0) {
        close(ends[1]);
        *signs_of_life = ends[0];
        return child;
    }
    close(ends[0]);
    imiad_results *results;
    if (imiad_results_open(&results, path) != IMIAD_OK)
        _exit(1);
    for (int i = 0; i < GRID; ++i) {
        if (write(ends[1], ".", 1) != 1)
            _exit(2);
        put_cell(results, i);
    }
    imiad_results_free(results);
    _exit(0);
}

static int end_of(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

static imiad_status write_down(void *user, const imiad_finished *f)
{
    FILE *file = user;
    fprintf(file, "%s %llu:", f->cell->category, (unsigned long long)f->cell->seed);
    for (size_t i = 0; i < f->count; ++i)
        if (strcmp(f->names[i], "score_seconds") != 0)
            fprintf(file, " %s=%.17g", f->names[i], f->values[i]);
    fprintf(file, " (%zu)\n", f->count);
    return IMIAD_OK;
}

/* The store as text, without seconds. In new memory. */
static char *written_down(const char *path)
{
    char *text = NULL;
    size_t size;
    imiad_results *results = NULL;
    ck_ok(imiad_results_open_to_read(&results, path));
    FILE *file = open_memstream(&text, &size);
    ck_ok(imiad_results_each(results, NULL, write_down, file));
    fclose(file);
    imiad_results_free(results);
    return text;
}

static char *undisturbed(const char *path)
{
    int pipe_end;
    pid_t child = start_grid(path, &pipe_end);
    ck_assert_int_eq(end_of(child), 0);
    close(pipe_end);
    return written_down(path);
}

static void wait_for(int pipe_end, int signs)
{
    char sign;
    for (int i = 0; i < signs; ++i)
        if (read(pipe_end, &sign, 1) != 1)
            return;
}

/* A kill falls after a drawn number of cells, at a drawn moment of the next one's put. */
START_TEST(a_grid_killed_ten_times_ends_as_an_undisturbed_one)
{
    char quiet[256], killed[256];
    strcpy(quiet, scratch_path("quiet.sqlite"));
    strcpy(killed, scratch_path("killed.sqlite"));
    double start = clock_seconds();
    char *expected = undisturbed(quiet);
    double each = (clock_seconds() - start) / GRID;
    random_stream r = random_open(0, "test/kill");
    int pipe_end, struck = 0;
    for (int i = 0; i < KILLS; ++i) {
        pid_t child = start_grid(killed, &pipe_end);
        wait_for(pipe_end, 1 + (int)random_below(&r, 2 + 5 * (uint64_t)i));
        usleep((useconds_t)(1e6 * each * random_real(&r)));
        kill(child, SIGKILL);
        struck += WIFSIGNALED(end_of(child));
        close(pipe_end);
    }
    ck_assert_int_eq(struck, KILLS);
    imiad_results *results = NULL;
    ck_ok(imiad_results_open(&results, killed));
    int done = cell_count(results);
    imiad_results_free(results);
    ck_assert_msg(done < GRID, "the kills came too late: %d cells are done", done);
    char *text = undisturbed(killed);
    ck_assert_msg(strcmp(text, expected) == 0, "the stores differ");
    free(text);
    free(expected);
    clean_up();
}
END_TEST

/* A child that dies between fit and put has put nothing; the next one finds the cell unfinished. */
START_TEST(a_cell_killed_between_fit_and_put_is_run_again)
{
    char path[256];
    strcpy(path, scratch_path("r.sqlite"));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        imiad_results *results = NULL;
        int finished = 1;
        imiad_cell cell = made_up_cell("bottle", 0);
        if (imiad_results_open(&results, path) != IMIAD_OK ||
            imiad_results_has(&finished, results, &cell) != IMIAD_OK || finished)
            _exit(1);
        raise(SIGKILL); /* fitted; not put */
    }
    int status = end_of(child);
    ck_assert(WIFSIGNALED(status));
    imiad_results *results = NULL;
    imiad_cell cell = made_up_cell("bottle", 0);
    ck_ok(imiad_results_open(&results, path));
    ck_assert_int_eq(has(results, &cell), 0);
    put_one(results, &cell, "image_auroc", 0.5);
    ck_assert_int_eq(cell_count(results), 1);
    imiad_results_free(results);
    clean_up();
}
END_TEST

/* Whoever comes while another makes the store finds nothing, or a store: never something else. */
START_TEST(several_processes_make_the_same_store)
{
    enum { MAKERS = 8, ROUNDS = 60 };
    char path[256];
    strcpy(path, scratch_path("made.sqlite"));
    for (int round = 0; round < ROUNDS; ++round) {
        pid_t children[MAKERS];
        unlink(path);
        for (int m = 0; m < MAKERS; ++m)
            if ((children[m] = fork()) == 0) {
                imiad_results *results = NULL;
                _exit(imiad_results_open(&results, path) == IMIAD_OK ? 0 : 1);
            }
        for (int m = 0; m < MAKERS; ++m)
            ck_assert_int_eq(end_of(children[m]), 0);
    }
    clean_up();
}
END_TEST

/* Four processes that begin with making the file, each with a quarter of its own and all with the
 * last cells in common. */
START_TEST(several_processes_write_at_once_and_nothing_is_lost)
{
    enum { WRITERS = 4, EACH = 15, COMMON = 5 };
    char path[256];
    strcpy(path, scratch_path("r.sqlite"));
    pid_t children[WRITERS];
    for (int w = 0; w < WRITERS; ++w)
        if ((children[w] = fork()) == 0) {
            imiad_results *results = NULL;
            if (imiad_results_open(&results, path) != IMIAD_OK)
                _exit(1);
            for (int i = 0; i < EACH + COMMON; ++i) {
                uint64_t seed = i < EACH ? (uint64_t)(w * EACH + i) : 1000 + (uint64_t)i;
                imiad_cell cell = made_up_cell("bottle", seed);
                const char *const names[] = {"image_auroc", "pixel_auroc"};
                const double values[] = {(double)seed, 1};
                if (imiad_results_put(results, &cell, names, values, 2) != IMIAD_OK)
                    _exit(2);
            }
            imiad_results_free(results);
            _exit(0);
        }
    for (int w = 0; w < WRITERS; ++w)
        ck_assert_int_eq(end_of(children[w]), 0);
    imiad_results *results = NULL;
    ck_ok(imiad_results_open(&results, path)); /* looks at every page */
    ck_assert_int_eq(cell_count(results), WRITERS * EACH + COMMON);
    imiad_results_free(results);
    char *text = written_down(path), *at = text;
    int whole = 0;
    for (; (at = strstr(at, " (2)\n")); ++at)
        ++whole;
    ck_assert_int_eq(whole, WRITERS * EACH + COMMON);
    free(text);
    clean_up();
}
END_TEST

static imiad_status put_during_walk(void *user, const imiad_finished *f)
{
    imiad_results *writer = user;
    imiad_cell cell = made_up_cell("wood", f->cell->seed);
    put_one(writer, &cell, "image_auroc", 1); /* would wait for a minute on a lock */
    return IMIAD_OK;
}

START_TEST(a_walk_holds_no_lock_while_it_shows_a_cell)
{
    imiad_results *reader = NULL, *writer = open_results("r.sqlite");
    for (uint64_t seed = 0; seed < 3; ++seed) {
        imiad_cell cell = made_up_cell("bottle", seed);
        put_one(writer, &cell, "image_auroc", 0.5);
    }
    ck_ok(imiad_results_open_to_read(&reader, scratch_path("r.sqlite")));
    double start = clock_seconds();
    ck_ok(imiad_results_each(reader, NULL, put_during_walk, writer));
    ck_assert_double_lt(clock_seconds() - start, 30);
    ck_assert_int_eq(cell_count(reader), 6);
    imiad_results_free(reader);
    imiad_results_free(writer);
    clean_up();
}
END_TEST

SUITE("results-survive", TEST(a_grid_killed_ten_times_ends_as_an_undisturbed_one),
      TEST(a_cell_killed_between_fit_and_put_is_run_again),
      TEST(several_processes_make_the_same_store),
      TEST(several_processes_write_at_once_and_nothing_is_lost),
      TEST(a_walk_holds_no_lock_while_it_shows_a_cell))
