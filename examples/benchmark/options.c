#include "benchmark/options.h"
#include "checked.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STORE = 256,
    OUT,
    ROOT,
    WEIGHTS,
    WORKERS,
    THREADS,
    SHARD,
    RETRY_FAILED,
    KEEP_FIRST,
    CELLS,
    ALL,
    FOLDER,
    ELEMENTS,
    LIMIT,
    MEMORY,
    HOURS,
    SUBMIT,
    SETTING,
    DATASET,
    DETECTOR,
    CATEGORY,
    DEVICE,
    PLUGIN,
    HELP
};

static const struct option long_options[] = {
    {"store", required_argument, NULL, STORE},
    {"out", required_argument, NULL, OUT},
    {"root", required_argument, NULL, ROOT},
    {"weights", required_argument, NULL, WEIGHTS},
    {"workers", required_argument, NULL, WORKERS},
    {"threads", required_argument, NULL, THREADS},
    {"shard", required_argument, NULL, SHARD},
    {"retry-failed", no_argument, NULL, RETRY_FAILED},
    {"keep-first", no_argument, NULL, KEEP_FIRST},
    {"cells", no_argument, NULL, CELLS},
    {"all", no_argument, NULL, ALL},
    {"folder", required_argument, NULL, FOLDER},
    {"elements", required_argument, NULL, ELEMENTS},
    {"limit", required_argument, NULL, LIMIT},
    {"memory", required_argument, NULL, MEMORY},
    {"hours", required_argument, NULL, HOURS},
    {"submit", no_argument, NULL, SUBMIT},
    {"setting", required_argument, NULL, SETTING},
    {"dataset", required_argument, NULL, DATASET},
    {"detector", required_argument, NULL, DETECTOR},
    {"category", required_argument, NULL, CATEGORY},
    {"device", required_argument, NULL, DEVICE},
    {"plugin", required_argument, NULL, PLUGIN},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static int mistake(const options *o, const char *what, const char *value)
{
    fprintf(stderr, "%s: %s \"%s\"; --help lists the options\n", o->program, what, value);
    return -1;
}

static int add_text(const options *o, const char **list, size_t *count, size_t most,
                    const char *value)
{
    if (*count == most)
        return mistake(o, "too many values at", value);
    list[(*count)++] = value;
    return 1;
}

static int add_place(const options *o, const char **list, size_t *count, const char *value)
{
    const char *equals = strchr(value, '=');
    if (!equals || equals == value || !equals[1])
        return mistake(o, "not NAME=PATH:", value);
    return add_text(o, list, count, MOST_PLACES, value);
}

static int take_number(const options *o, int *out, const char *value, int low, int high)
{
    long long number;
    if (checked_number(&number, value, low, high) != 0)
        return mistake(o, "not a number that makes sense:", value);
    *out = (int)number;
    return 1;
}

/* I/N, I from 1 to N. */
static int take_shard(options *o, const char *value)
{
    unsigned shard = 0, shards = 0;
    char behind;
    if (sscanf(value, "%6u/%6u%c", &shard, &shards, &behind) != 2 || shard < 1 || shard > shards)
        return mistake(o, "--shard takes I/N with I from 1 to N, not", value);
    o->filter.shard = shard;
    o->filter.shards = shards;
    return 1;
}

static int take_text(const char **out, const char *value)
{
    *out = value;
    return 1;
}

static int take_plugin(options *o, const char *value)
{
    if (imiad_plugin_load(value) != IMIAD_OK)
        return mistake(o, imiad_last_error(), value);
    return add_text(o, o->plugins, &o->plugin_count, MOST_PLUGINS, value);
}

static int take_option(options *o, int option, const char *value)
{
    switch (option) {
    case STORE:
        return add_text(o, o->stores, &o->store_count, MOST_PLACES, value);
    case 'o':
    case OUT:
        return take_text(&o->out, value);
    case ROOT:
        return add_place(o, o->here.roots, &o->here.root_count, value);
    case WEIGHTS:
        return add_place(o, o->here.weights, &o->here.weight_count, value);
    case WORKERS:
        return take_number(o, &o->workers, value, 1, 256);
    case THREADS:
        return take_number(o, &o->threads, value, 0, 1024);
    case SHARD:
        return take_shard(o, value);
    case RETRY_FAILED:
        return o->retry_failed = 1;
    case KEEP_FIRST:
        return o->keep_first = 1;
    case CELLS:
        return o->cells = 1;
    case ALL:
        return o->all = 1;
    case FOLDER:
        return take_text(&o->folder, value);
    case ELEMENTS:
        return take_number(o, &o->elements, value, 1, 100000);
    case LIMIT:
        return take_number(o, &o->limit, value, 1, 100000);
    case MEMORY:
        return take_number(o, &o->memory, value, 1, 100000000);
    case HOURS:
        return take_number(o, &o->hours, value, 1, 100000);
    case SUBMIT:
        return o->submit = 1;
    case SETTING:
        return take_text(&o->filter.setting, value);
    case DATASET:
        return take_text(&o->filter.dataset, value);
    case DETECTOR:
        return take_text(&o->filter.detector, value);
    case CATEGORY:
        return take_text(&o->filter.category, value);
    case DEVICE:
        return take_text(&o->here.device, value);
    case PLUGIN:
        return take_plugin(o, value);
    default:
        fprintf(stderr, "%s --help lists the options\n", o->program);
        return -1;
    }
}

static const char *option_name(int option)
{
    for (const struct option *one = long_options; one->name; ++one)
        if (one->val == option)
            return one->name;
    return "o";
}

static int is_taken(const char *taken, int option)
{
    char word[32];
    snprintf(word, sizeof word, " %s ", option == 'o' ? "out" : option_name(option));
    return strstr(taken, word) != NULL;
}

int options_read(options *o, int argc, char **argv, const char *usage, const char *taken)
{
    *o = (options){.program = "benchmark", .workers = 1};
    for (int option; (option = getopt_long(argc, argv, "o:", long_options, NULL)) != -1;) {
        if (option == HELP) {
            fputs(usage, stdout);
            return checked_stdout(o->program, 0, -1);
        }
        if (option != '?' && !is_taken(taken, option))
            return mistake(o, "this command has no option", option_name(option));
        if (take_option(o, option, optarg) < 0)
            return -1;
    }
    for (int i = optind; i < argc; ++i)
        if (add_text(o, o->words, &o->word_count, MOST_WORDS, argv[i]) < 0)
            return -1;
    return 1;
}

int worker_threads(const options *o)
{
    int threads = o->threads ? o->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return threads / o->workers > 1 ? threads / o->workers : 1;
}

/* ---- what a plan needs ---- */

static int open_plan(session *s)
{
    options *o = &s->options;
    if (o->word_count != 1) {
        fprintf(stderr, "%s: name one plan, such as examples/plans/quick.json; --help tells more\n",
                o->program);
        return -1;
    }
    if (!(s->plan = plan_read(o->program, o->words[0], &o->here)))
        return -1;
    snprintf(o->default_store, sizeof o->default_store, "%s.sqlite", s->plan->name);
    if (o->store_count == 0)
        o->stores[o->store_count++] = o->default_store;
    if (jobs_make(&s->jobs, s->plan, &o->filter) != 0)
        return -1;
    if (s->jobs.count > 0)
        return 0;
    fprintf(stderr, "%s: %s has no such cells\n", o->program, s->plan->path);
    return -1;
}

static int open_stores(session *s, int write)
{
    const options *o = &s->options;
    for (size_t i = 0; i < o->store_count; ++i) {
        imiad_results **store = &s->stores[s->store_count];
        if (access(o->stores[i], F_OK) != 0)
            continue;
        imiad_status status = write ? imiad_results_open(store, o->stores[i])
                                    : imiad_results_open_to_read(store, o->stores[i]);
        if (status != IMIAD_OK) {
            fprintf(stderr, "%s: %s\n", o->program, imiad_last_error());
            return -1;
        }
        ++s->store_count;
    }
    return 0;
}

/* The one store that is written to; a plan that is wrong has left none. */
static int make_store(session *s)
{
    const options *o = &s->options;
    if (s->store_count > 0)
        return 0;
    if (imiad_results_open(&s->stores[0], o->stores[0]) != IMIAD_OK) {
        fprintf(stderr, "%s: %s\n", o->program, imiad_last_error());
        return -1;
    }
    s->store_count = 1;
    return 0;
}

int session_open(session *s, int argc, char **argv, const char *usage, const char *taken, int make)
{
    *s = (session){.plan = NULL};
    int go_on = options_read(&s->options, argc, argv, usage, taken);
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    if (make && s->options.store_count > 1)
        fprintf(stderr, "%s: name one --store\n", s->options.program);
    else if (open_plan(s) == 0 && open_stores(s, make) == 0 &&
             jobs_survey(&s->jobs, s->options.program, s->stores, s->store_count) == 0 &&
             (!make || make_store(s) == 0))
        return -1;
    session_close(s);
    return 2;
}

void session_close(session *s)
{
    while (s->store_count > 0)
        imiad_results_free(s->stores[--s->store_count]);
    jobs_free(&s->jobs);
    plan_free(s->plan);
}
