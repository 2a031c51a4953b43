#include "benchmark/jobs.h"

#include <stdlib.h>
#include <string.h>

/* ---- what a job is called ---- */

static size_t choices_of(const plan_part *part)
{
    size_t count = 1;
    for (size_t i = 0; i < part->option_count; ++i)
        count *= part->options[i].count;
    return count;
}

/* The value of the part's option i in a choice; the last option changes fastest. */
static const char *chosen(const plan_part *part, size_t choice, size_t i)
{
    for (size_t k = part->option_count; k-- > i + 1;)
        choice /= part->options[k].count;
    return part->options[i].values[choice % part->options[i].count];
}

void job_value(char *out, size_t size, const job *of)
{
    size_t length = 0;
    *out = '\0';
    for (size_t i = 0; i < of->part->option_count && length < size; ++i)
        length += (size_t)snprintf(out + length, size - length, "%s%s=%s", i > 0 ? " " : "",
                                   of->part->options[i].name, chosen(of->part, of->choice, i));
}

const char *job_own(const job *of, const own_setting *own)
{
    for (size_t i = 0; i < of->part->option_count; ++i)
        if (strcmp(of->part->options[i].name, own->name) == 0)
            return chosen(of->part, of->choice, i);
    return own->usual;
}

void job_title(char *out, size_t size, const job *of)
{
    char value[256] = "";
    if (of->models)
        snprintf(value, sizeof value, "learned once for %zu cells", of->cells);
    else
        job_value(value, sizeof value, of);
    snprintf(out, size, "%s on %s%s%s, %s%s%s, seed %llu", of->detector->name,
             of->category ? of->category : "", of->category ? " of " : "", of->dataset->name,
             of->part->setting->name, *value ? " " : "", value, (unsigned long long)of->seed);
}

const char *job_state_name(job_state state)
{
    static const char *const names[JOB_STATES] = {"open", "finished", "failed", "lacking"};
    return names[state];
}

void job_fail(job *j, job_state state, const char *reason)
{
    char *copy = strdup(reason);
    free(j->reason);
    j->reason = copy;
    j->state = state;
}

/* ---- as a command line ---- */

static size_t dataset_place(const jobs *j, const job *of)
{
    return (size_t)(of->dataset - j->plan->datasets);
}

/* The categories of a sequence: those of the setting, of the dataset in the plan, or all. */
static void all_categories(arguments *out, const jobs *j, const job *of)
{
    const plan_part *part = of->part;
    const plan_dataset *d = of->dataset;
    const imiad_dataset *open = j->datasets[dataset_place(j, of)];
    if (part->category_count > 0) {
        memcpy(out->categories, part->categories, sizeof out->categories);
        out->category_count = part->category_count;
    } else if (d->category_count > 0) {
        memcpy(out->categories, d->categories, sizeof out->categories);
        out->category_count = d->category_count;
    } else {
        size_t count = open ? imiad_dataset_category_count(open) : 0;
        for (size_t i = 0; i < count && i < MOST_CATEGORIES; ++i)
            out->categories[out->category_count++] = imiad_dataset_category(open, i);
    }
}

static void copy_options(imiad_option *to, size_t *count, const plan_options *from)
{
    memcpy(to, from->list, from->count * sizeof *to);
    *count = from->count;
}

void job_arguments(arguments *out, const jobs *j, const job *of, const char *program)
{
    const plan *p = j->plan;
    const char *weights = of->detector->weights;
    *out = (arguments){.program = program,
                       .dataset = of->dataset->type,
                       .root = of->dataset->root,
                       .detector = of->detector->type,
                       .backbone = of->detector->backbone,
                       .weights = weights && strcmp(weights, "random") == 0 ? NULL : weights,
                       .device = p->device,
                       .precision = of->detector->precision,
                       .evaluation = IMIAD_EVALUATION_OPTIONS_INIT,
                       .seed = of->seed,
                       .repeats = 1};
    if (p->evaluate)
        arguments_take_evaluation(out, p->evaluate);
    for (size_t i = 0; i < p->compat_count; ++i)
        arguments_take_compat(out, p->compat[i]);
    copy_options(out->settings, &out->setting_count, &of->detector->options);
    copy_options(out->dataset_settings, &out->dataset_setting_count, &of->dataset->options);
    for (size_t i = 0; i < of->part->option_count; ++i)
        if (!plan_setting_own(of->part->setting, of->part->options[i].name))
            out->split_settings[out->split_setting_count++] =
                (imiad_option){of->part->options[i].name, chosen(of->part, of->choice, i)};
    if (of->category)
        out->categories[out->category_count++] = of->category;
    else
        all_categories(out, j, of);
}

/* ---- listing ---- */

static void open_datasets(jobs *j)
{
    const plan *p = j->plan;
    for (size_t i = 0; i < p->dataset_count; ++i) {
        const plan_dataset *d = &p->datasets[i];
        char text[512];
        if (!d->root && strcmp(d->type, "synthetic") != 0) {
            snprintf(text, sizeof text, "nobody said where the dataset %s lies: --root %s=FOLDER",
                     d->name, d->name);
            j->why_not[i] = strdup(text);
        } else if (imiad_dataset_open(&j->datasets[i], d->type, d->root, d->options.list,
                                      d->options.count) != IMIAD_OK) {
            j->why_not[i] = strdup(imiad_last_error());
        }
    }
}

static int add_job(jobs *j, const job *one, size_t *room)
{
    if (j->count == *room) {
        size_t more = *room ? 2 * *room : 256;
        job *grown = realloc(j->list, more * sizeof *grown);
        if (!grown)
            return -1;
        j->list = grown;
        *room = more;
    }
    j->list[j->count] = *one;
    j->list[j->count].place = j->count;
    ++j->count;
    return 0;
}

/* All choices on one category as one job, which learns once. */
static int add_learned_once(jobs *j, job one, size_t *room)
{
    char file[IMIAD_FILE_NAME_ROOM];
    imiad_file_name(file, one.category);
    one.cells = choices_of(one.part);
    one.choice = one.cells - 1;
    if (asprintf(&one.models, "%s-%s-%s-%llu", one.part->models, one.dataset->name,
                 one.detector->name, (unsigned long long)one.seed) < 0 ||
        asprintf(&one.model, "%s/%s.imiad", one.models, file) < 0)
        return -1;
    return add_job(j, &one, room);
}

static int is_wanted(const char *wanted, const char *name)
{
    return !wanted || !name || strcmp(wanted, name) == 0;
}

/* A category is no target of itself. */
static int is_its_own_source(const job *one)
{
    const own_setting *source = plan_setting_own(one->part->setting, "source");
    return source && one->category && strcmp(job_own(one, source), one->category) == 0;
}

/* Every detector, choice and seed of a part on one category. */
static int add_category(jobs *j, const plan_part *part, job *one, const job_filter *filter,
                        size_t *room)
{
    if (!is_wanted(filter->category, one->category))
        return 0;
    for (size_t i = 0; i < part->detector_count; ++i) {
        one->detector = &j->plan->detectors[part->detectors[i]];
        if (!is_wanted(filter->detector, one->detector->name))
            continue;
        size_t choices = choices_of(part);
        int once = part->models && one->category && /* a file of what it learned elsewhere */
                   option_known(imiad_detector_option_info, one->detector->type, "model");
        for (one->choice = 0; one->choice < (once ? 1 : choices); ++one->choice)
            for (size_t k = 0; k < part->seed_count && !is_its_own_source(one); ++k) {
                one->seed = part->seeds[k];
                if ((once ? add_learned_once(j, *one, room) : add_job(j, one, room)) != 0)
                    return -1;
            }
    }
    return 0;
}

static int add_dataset(jobs *j, const plan_part *part, size_t index, const job_filter *filter,
                       size_t *room)
{
    arguments named;
    job one = {.dataset = &j->plan->datasets[index], .part = part, .cells = 1};
    job whole = {.dataset = one.dataset, .part = part, .detector = &j->plan->detectors[0]};
    if (!is_wanted(filter->dataset, one.dataset->name))
        return 0;
    job_arguments(&named, j, &whole, "");
    if (part->setting->sequence || named.category_count == 0) {
        one.cells = named.category_count > 0 ? named.category_count : 1;
        one.category_place = SIZE_MAX; /* behind those of each category */
        return add_category(j, part, &one, filter, room);
    }
    for (size_t i = 0; i < named.category_count; ++i) {
        one.category = named.categories[i];
        one.category_place = i;
        if (add_category(j, part, &one, filter, room) != 0)
            return -1;
    }
    return 0;
}

/* By dataset and category, whose images the machine then still remembers. */
static int in_order(const void *a, const void *b)
{
    const job *x = a, *y = b;
    if (x->dataset != y->dataset)
        return x->dataset < y->dataset ? -1 : 1;
    if (x->category_place != y->category_place)
        return x->category_place < y->category_place ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Leaves every shards-th job, so that each shard has some of all kinds. */
static void keep_shard(jobs *j, const job_filter *filter)
{
    size_t kept = 0;
    for (size_t i = 0; filter->shards > 0 && i < j->count; ++i)
        if (i % filter->shards == filter->shard - 1)
            j->list[kept++] = j->list[i];
    j->count = filter->shards > 0 ? kept : j->count;
}

int jobs_make(jobs *out, const plan *p, const job_filter *filter)
{
    size_t room = 0;
    *out = (jobs){.plan = p};
    open_datasets(out);
    for (size_t i = 0; i < p->part_count; ++i) {
        const plan_part *part = &p->parts[i];
        if (!is_wanted(filter->setting, part->setting->name))
            continue;
        for (size_t k = 0; k < part->dataset_count; ++k)
            if (add_dataset(out, part, part->datasets[k], filter, &room) != 0) {
                fprintf(stderr, "out of memory\n");
                return -1;
            }
    }
    if (out->count > 0)
        qsort(out->list, out->count, sizeof *out->list, in_order);
    keep_shard(out, filter);
    for (size_t i = 0; i < out->count; ++i)
        out->cells += out->list[i].cells;
    return 0;
}

void jobs_free(jobs *j)
{
    for (size_t i = 0; i < MOST_DATASETS; ++i) {
        imiad_dataset_free(j->datasets[i]);
        free(j->why_not[i]);
    }
    for (size_t i = 0; i < j->count; ++i) {
        free(j->list[i].reason);
        free(j->list[i].also);
        free(j->list[i].models);
        free(j->list[i].model);
    }
    free(j->list);
}
