/* Running what a store lacks. Each cell is a process of its own, so that a crash, or the kernel's
 * out-of-memory killer, costs that cell. A worker puts its cell into the store itself; the runner
 * puts why one failed. Whatever is killed at whatever moment, the store has whole cells, and the
 * next run goes on with those it lacks. */
#include "benchmark/commands.h"
#include "benchmark/command_line.h"
#include "benchmark/lacking.h"
#include "benchmark/options.h"
#include "benchmark/time_left.h"
#include "checked.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "Usage: benchmark run PLAN [options]\n\n"
    "Runs the cells that the store lacks, each in a process of its own. Interrupt it at any "
    "moment: "
    "the same command\ngoes on. A cell that fails is kept with its message and left alone until "
    "--retry-failed.\n\n"
    "  --store FILE              where finished cells are kept (default: NAME.sqlite for "
    "NAME.json)\n"
    "  --workers N               cells that run at the same time (default: 1)\n"
    "  --threads N               of all workers together; 0: one a core (default)\n"
    "  --retry-failed            run cells that failed again\n" HELP_OF_CELLS
    "  --device NAME             instead of the plan's\n"
    "  --plugin FILE             a shared object with detectors or datasets, repeatable\n";

enum { TAIL = 4096, MOST_WORKERS = 256 };

/* A cell that runs. */
typedef struct worker {
    pid_t process;
    int errors; /* the end of its standard error that we read; -1: none runs */
    job *job;
    double start;
    char tail[TAIL]; /* the last of what it said */
    size_t length;
} worker;

typedef struct runner {
    session *session;
    char **environment;
    char parent[48];
    worker workers[MOST_WORKERS];
    size_t worker_count, running;
    int threads;                /* of each worker */
    size_t next;                /* job to look at */
    size_t done, to_do, failed; /* cells of this run */
    time_left left;
} runner;

/* ---- starting ---- */

/* The environment of the workers: they share the machine, so their threads must not spin. */
static char **make_environment(runner *r)
{
    extern char **environ;
    size_t count = 0;
    while (environ[count])
        ++count;
    char **out = calloc(count + 3, sizeof *out);
    if (!out)
        return NULL;
    memcpy(out, environ, count * sizeof *out);
    snprintf(r->parent, sizeof r->parent, "IMIAD_BENCHMARK_PARENT=%ld", (long)getpid());
    out[count++] = r->parent;
    if (!getenv("OMP_WAIT_POLICY"))
        out[count] = (char *)"OMP_WAIT_POLICY=passive";
    return out;
}

static int start(runner *r, worker *w, job *j)
{
    posix_spawn_file_actions_t actions;
    command_line line;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    command_line_make(&line, &r->session->jobs, j, &r->session->options, r->threads);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    int problem = line.bad ? ENOMEM
                           : posix_spawn(&w->process, "/proc/self/exe", &actions, NULL, line.words,
                                         r->environment);
    posix_spawn_file_actions_destroy(&actions);
    command_line_free(&line);
    close(ends[1]);
    if (problem != 0) {
        close(ends[0]);
        return problem;
    }
    *w = (worker){.process = w->process, .errors = ends[0], .job = j, .start = seconds_now()};
    ++r->running;
    return 0;
}

/* ---- ending ---- */

/* Only the end of what a worker says is kept. */
static void keep_tail(worker *w, const char *bytes, size_t count)
{
    if (count > TAIL / 2) {
        bytes += count - TAIL / 2;
        count = TAIL / 2;
    }
    if (w->length + count >= TAIL) {
        memmove(w->tail, w->tail + w->length - TAIL / 2, TAIL / 2);
        w->length = TAIL / 2;
    }
    memcpy(w->tail + w->length, bytes, count);
    w->length += count;
    w->tail[w->length] = '\0';
}

static void make_readable(char *text)
{
    json_t *checked = json_string(text);
    for (char *at = text; *at; ++at)
        if ((unsigned char)*at < ' ' || (!checked && (unsigned char)*at >= 0x80))
            *at = '?';
    json_decref(checked);
}

/* The last line of its own, "noisy: transistor: message", without what is known anyway; or the last
 * line of all. */
static const char *last_words(worker *w)
{
    const char *found = NULL, *last = "";
    char begin[512];
    size_t length = (size_t)snprintf(begin, sizeof begin, "%s: ", w->job->part->setting->name);
    for (char *line = strtok(w->tail, "\n"); line; line = strtok(NULL, "\n")) {
        make_readable(line);
        last = line;
        if (strncmp(line, begin, length) == 0)
            found = line + length;
    }
    if (!found)
        return last;
    length = (size_t)snprintf(begin, sizeof begin,
                              "%s: ", w->job->category ? w->job->category : "continual");
    return strncmp(found, begin, length) == 0 ? found + length : found;
}

/* Why a worker that did not finish ended. */
static void why(char *out, size_t size, worker *w, int status)
{
    const char *words = last_words(w);
    if (WIFSIGNALED(status))
        snprintf(out, size, "ended by signal %d (%s)%s%s%s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)),
                 WTERMSIG(status) == SIGKILL ? ": out of memory, or killed" : "",
                 *words ? "; it last said: " : "", words);
    else
        snprintf(out, size, "%s%s", *words ? words : "ended without a word, exit status ",
                 *words                     ? ""
                 : WEXITSTATUS(status) == 0 ? "0"
                                            : "not 0");
}

static void report(runner *r, const worker *w, double seconds)
{
    char title[1024], left[128];
    job_title(title, sizeof title, w->job);
    time_left_text(left, sizeof left, &r->left, &r->session->jobs, r->worker_count);
    fprintf(stderr, "[%zu/%zu] %s: %s %.1f s%s%s\n", r->done, r->to_do, title,
            w->job->state == JOB_FAILED ? "FAILED after" : "", seconds, *left ? "; " : "", left);
    if (w->job->state == JOB_FAILED)
        fprintf(stderr, "    %s\n", w->job->reason);
}

/* Returns 0, or -1 where the store does not take the failure. */
static int end(runner *r, worker *w)
{
    int status, code = 0;
    double seconds = seconds_now() - w->start;
    session *s = r->session;
    close(w->errors);
    w->errors = -1;
    --r->running;
    while (waitpid(w->process, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        w->job->state = JOB_FINISHED;
        time_left_add(&r->left, w->job, seconds);
    } else {
        char message[TAIL + 256];
        why(message, sizeof message, w, status);
        code = job_put_failure(&s->jobs, w->job, s->options.program, s->stores[0], message);
    }
    r->done += w->job->cells;
    r->failed += w->job->state == JOB_FAILED ? w->job->cells : 0;
    report(r, w, seconds);
    return code;
}

/* ---- all ---- */

static job *next_job(runner *r)
{
    jobs *j = &r->session->jobs;
    while (r->next < j->count && j->list[r->next].state != JOB_OPEN)
        ++r->next;
    return r->next < j->count ? &j->list[r->next++] : NULL;
}

static int start_some(runner *r)
{
    for (size_t i = 0; i < r->worker_count; ++i) {
        worker *w = &r->workers[i];
        job *j = w->errors < 0 ? next_job(r) : NULL;
        int problem = j ? start(r, w, j) : 0;
        if (problem != 0) {
            fprintf(stderr, "%s: cannot start a worker: %s\n", r->session->options.program,
                    strerror(problem));
            return -1;
        }
    }
    return 0;
}

/* Reads what the workers say; one that says nothing more has ended. */
static int wait_for_some(runner *r)
{
    struct pollfd ends[MOST_WORKERS];
    char bytes[4096];
    int code = 0;
    for (size_t i = 0; i < r->worker_count; ++i)
        ends[i] = (struct pollfd){.fd = r->workers[i].errors, .events = POLLIN};
    if (poll(ends, r->worker_count, -1) < 0)
        return errno == EINTR ? 0 : -1;
    for (size_t i = 0; i < r->worker_count; ++i) {
        if (ends[i].fd < 0 || ends[i].revents == 0)
            continue;
        ssize_t count = read(ends[i].fd, bytes, sizeof bytes);
        if (count > 0)
            keep_tail(&r->workers[i], bytes, (size_t)count);
        else if (count == 0 || errno != EINTR)
            code |= end(r, &r->workers[i]);
    }
    return code;
}

static int run_all(runner *r)
{
    int code = 0;
    while (code == 0) {
        code = start_some(r);
        if (code == 0 && r->running == 0)
            break;
        if (code == 0)
            code = wait_for_some(r);
    }
    return code; /* workers that still run end with this process */
}

static void prepare(runner *r)
{
    session *s = r->session;
    r->worker_count = (size_t)s->options.workers;
    r->threads = worker_threads(&s->options);
    for (size_t i = 0; i < r->worker_count; ++i)
        r->workers[i].errors = -1;
    for (size_t i = 0; i < s->jobs.count; ++i) {
        job *j = &s->jobs.list[i];
        if (s->options.retry_failed && j->state == JOB_FAILED)
            j->state = JOB_OPEN;
        r->to_do += j->state == JOB_OPEN ? j->cells : 0;
    }
}

int run_main(int argc, char **argv)
{
    static session s;
    static runner r;
    int code = session_open(&s, argc, argv, usage,
                            " store workers threads retry-failed root weights setting dataset "
                            "detector category shard device plugin ",
                            1);
    if (code >= 0)
        return code;
    r.session = &s;
    prepare(&r);
    print_counts(stderr, &s.jobs);
    print_lacking(stderr, &s.jobs);
    r.environment = make_environment(&r);
    code = !r.environment || run_all(&r) != 0 ? 2 : 0;
    print_counts(stdout, &s.jobs);
    size_t counts[JOB_STATES];
    count_cells(counts, &s.jobs);
    if (counts[JOB_FAILED] > r.failed)
        fprintf(stderr, "%zu cells failed in an earlier run: --retry-failed runs them again\n",
                counts[JOB_FAILED] - r.failed);
    if (code == 0 && counts[JOB_FAILED] > 0)
        code = 1;
    time_left_free(&r.left);
    free(r.environment);
    session_close(&s);
    return checked_stdout("benchmark", code, 2);
}
