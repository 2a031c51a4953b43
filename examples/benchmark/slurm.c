/* A plan as a job array of Slurm: one element a shard, each with a store of its own, and a last job
 * that merges them. Elements may be killed, requeued and run again: they go on where they were. */
#include "benchmark/commands.h"
#include "benchmark/cost_model.h"
#include "benchmark/options.h"
#include "checked.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "Usage: benchmark slurm PLAN --folder DIR --elements N [options]\n\n"
    "Writes a job array for Slurm into a folder that all nodes see: DIR/element.sh runs a shard of "
    "the plan into a\nstore of its own, DIR/finish.sh merges them into DIR/all.sqlite and reports "
    "in DIR/report.html, and "
    "DIR/submit.sh submits both. Memory and\ntime of an element come from the stores' cells, as "
    "estimate says, with half as much again.\n\n"
    "  --folder DIR              where scripts, logs and stores go\n"
    "  --elements N              shards of the plan\n"
    "  --limit N                 elements that run at the same time (default: all)\n"
    "  --threads N               cores of an element (default: 1)\n"
    "  --memory MB               of an element, instead of the estimate\n"
    "  --hours N                 of an element, instead of the estimate\n"
    "  --submit                  submit it as well\n"
    "  --store FILE              with finished cells to estimate from, repeatable\n"
    "  --retry-failed            run cells that failed again\n"
    "  --root NAME=FOLDER        where a dataset of the plan lies, repeatable\n"
    "  --weights BACKBONE=FILE   where a backbone's weights are, repeatable\n"
    "  --setting, --dataset, --detector, --category NAME   only these cells\n"
    "  --device NAME             instead of the plan's\n"
    "  --plugin FILE             a shared object with detectors or datasets, repeatable\n";

typedef struct array {
    session *session;
    char program[4096], plan[4096], folder[4096];
    long megabytes, minutes; /* of an element; 0: whatever the cluster gives */
} array;

/* ---- what an element needs ---- */

static void estimate(array *a)
{
    const session *s = a->session;
    cost_model m = {.samples = NULL};
    double seconds = 0, bytes = 0, longest = 0;
    int known = 1;
    for (size_t i = 0; i < s->store_count; ++i)
        cost_model_add(&m, s->stores[i]);
    for (size_t i = 0; i < s->jobs.count; ++i) {
        const job *j = &s->jobs.list[i];
        cost c;
        if (j->state == JOB_LACKING)
            continue;
        if (!cost_of(&c, &m, j, s->options.threads ? s->options.threads : 1)) {
            known = 0;
            continue;
        }
        seconds += c.seconds;
        bytes = fmax(bytes, c.bytes);
        longest = fmax(longest, c.seconds);
    }
    cost_model_free(&m);
    double shard = fmax(seconds / s->options.elements, longest);
    if (known && seconds > 0) {
        a->megabytes = (long)(1.5 * bytes / 1e6) + 1;
        a->minutes = (long)(1.5 * shard / 60) + 10;
    }
    if (s->options.memory)
        a->megabytes = s->options.memory;
    if (s->options.hours)
        a->minutes = 60L * s->options.hours;
}

/* ---- the scripts ---- */

/* In single quotes, as a shell reads it. */
static void quote(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; ++text)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    fputc('\'', out);
}

static void quote_option(FILE *out, const char *option, const char *value)
{
    if (!value)
        return;
    fprintf(out, " %s ", option);
    quote(out, value);
}

static void write_options(FILE *out, const options *o)
{
    for (size_t i = 0; i < o->here.root_count; ++i)
        quote_option(out, "--root", o->here.roots[i]);
    for (size_t i = 0; i < o->here.weight_count; ++i)
        quote_option(out, "--weights", o->here.weights[i]);
    for (size_t i = 0; i < o->plugin_count; ++i)
        quote_option(out, "--plugin", o->plugins[i]);
    quote_option(out, "--setting", o->filter.setting);
    quote_option(out, "--dataset", o->filter.dataset);
    quote_option(out, "--detector", o->filter.detector);
    quote_option(out, "--category", o->filter.category);
    quote_option(out, "--device", o->here.device);
    if (o->retry_failed)
        fputs(" --retry-failed", out);
}

static void write_head(FILE *out, const array *a, const char *name, const char *log)
{
    fprintf(out, "#!/bin/sh\n#SBATCH --job-name=%s\n#SBATCH --output=%s/%s\n", name, a->folder,
            log);
}

/* An exit status of 1 is a cell that failed, which the store tells: the element is done. */
static void write_element(FILE *out, const array *a)
{
    const options *o = &a->session->options;
    int threads = o->threads ? o->threads : 1;
    write_head(out, a, "imiad", "element-%a.log");
    fprintf(out, "#SBATCH --requeue\n#SBATCH --open-mode=append\n#SBATCH --cpus-per-task=%d\n",
            threads);
    if (a->megabytes)
        fprintf(out, "#SBATCH --mem=%ldM\n", a->megabytes);
    if (a->minutes)
        fprintf(out, "#SBATCH --time=%ld\n", a->minutes);
    fprintf(out, "cd ");
    quote(out, a->folder);
    fprintf(out, "\n");
    quote(out, a->program);
    fprintf(out, " run ");
    quote(out, a->plan);
    write_options(out, o);
    fprintf(out,
            " \\\n    --threads %d --shard \"$SLURM_ARRAY_TASK_ID/%d\" --store "
            "\"element-$SLURM_ARRAY_TASK_ID.sqlite\"\nstatus=$?\n[ $status -ne 1 ] || status=0\n"
            "exit $status\n",
            threads, o->elements);
}

static void write_finish(FILE *out, const array *a)
{
    write_head(out, a, "imiad-finish", "finish.log");
    fprintf(out, "cd ");
    quote(out, a->folder);
    fprintf(out, " || exit\n");
    quote(out, a->program);
    fprintf(out, " merge element-*.sqlite -o all.sqlite &&\n    ");
    quote(out, a->program);
    fprintf(out, " report all.sqlite -o report.html &&\n    ");
    quote(out, a->program);
    fprintf(out, " status ");
    quote(out, a->plan);
    write_options(out, &a->session->options);
    fprintf(out, " --store all.sqlite\n");
}

static void write_submit(FILE *out, const array *a)
{
    const options *o = &a->session->options;
    fprintf(out, "#!/bin/sh\nset -eu\ncd ");
    quote(out, a->folder);
    fprintf(out, "\narray=$(sbatch --parsable --array=1-%d%%%d element.sh)\n", o->elements,
            o->limit ? o->limit : o->elements);
    fprintf(out, "finish=$(sbatch --parsable --dependency=afterany:\"${array%%%%;*}\" finish.sh)\n"
                 "echo \"array $array, then $finish\"\n");
}

static int write_script(const array *a, const char *name, void (*write)(FILE *, const array *))
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", a->folder, name);
    FILE *out = fopen(path, "w");
    int bad = !out;
    if (out) {
        write(out, a);
        bad = ferror(out) != 0;
        bad |= fclose(out) != 0;
        bad |= chmod(path, 0755) != 0;
    }
    if (bad)
        fprintf(stderr, "benchmark: cannot write %s: %s\n", path, strerror(errno));
    return bad ? -1 : 0;
}

/* ---- all ---- */

/* The nodes see the same paths, from wherever they look. */
static int find_paths(array *a)
{
    const options *o = &a->session->options;
    ssize_t length = readlink("/proc/self/exe", a->program, sizeof a->program - 1);
    if (mkdir(o->folder, 0777) != 0 && errno != EEXIST)
        fprintf(stderr, "benchmark: cannot make the folder %s: %s\n", o->folder, strerror(errno));
    else if (length <= 0 || !realpath(o->words[0], a->plan) || !realpath(o->folder, a->folder))
        fprintf(stderr, "benchmark: cannot find %s: %s\n", o->folder, strerror(errno));
    else if (strpbrk(a->folder, " \t\n%\"\\"))
        fprintf(stderr, "benchmark: Slurm's own options take no blanks and no %% in %s\n",
                a->folder);
    else
        return 0;
    return -1;
}

static int submit(const array *a)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/submit.sh", a->folder);
    fflush(stdout);
    execl("/bin/sh", "sh", path, (char *)NULL);
    fprintf(stderr, "benchmark: cannot run %s: %s\n", path, strerror(errno));
    return 2;
}

int slurm_main(int argc, char **argv)
{
    static session s;
    static array a;
    int code = session_open(&s, argc, argv, usage,
                            " folder elements limit threads memory hours submit store retry-failed "
                            "root weights setting dataset detector category device plugin ",
                            0);
    if (code >= 0)
        return code;
    a.session = &s;
    if (!s.options.folder || !s.options.elements)
        fprintf(stderr, "benchmark: slurm needs --folder and --elements\n");
    code = !s.options.folder || !s.options.elements || find_paths(&a) != 0 ? 2 : 0;
    if (code == 0) {
        estimate(&a);
        code = write_script(&a, "element.sh", write_element) != 0 ||
                       write_script(&a, "finish.sh", write_finish) != 0 ||
                       write_script(&a, "submit.sh", write_submit) != 0
                   ? 2
                   : 0;
    }
    if (code == 0)
        printf("%s/submit.sh submits %d elements%s\n", a.folder, s.options.elements,
               a.minutes ? ""
                         : "; nothing is known of their memory and time: see --memory, --hours");
    int submits = s.options.submit;
    session_close(&s);
    code = checked_stdout("benchmark", code, 2);
    return code == 0 && submits ? submit(&a) : code;
}
