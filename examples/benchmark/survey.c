/* What of a plan can be run on this machine, what its cells are called, and which of them a store
 * has. Everything that a cell's key depends on is opened: a mistake is told before anything runs.
 */
#include "benchmark/cost_model.h"
#include "outputs.h"
#include "temporary.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What was opened last; jobs that want the same come one after the other. */
typedef struct survey {
    jobs *jobs;
    const char *program;
    imiad_results *const *stores;
    size_t store_count;
    imiad_results *describer;
    experiment experiment; /* backbone, and the arguments of each job */
    const job *of_backbone, *of_detector;
    char *no_backbone, *no_detector; /* why not */
    const char *message;             /* to put as the job's failure; NULL: to look for its cell */
    imiad_detector *detector;
} survey;

/* ---- the order in which things are opened ---- */

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int is_random(const job *j)
{
    return same_text(j->detector->weights, "random");
}

static int same_backbone(const job *a, const job *b)
{
    const plan_detector *x = a->detector, *y = b->detector;
    return same_text(x->backbone, y->backbone) && same_text(x->weights, y->weights) &&
           same_text(x->precision, y->precision) && (!is_random(a) || a->seed == b->seed);
}

static int compare_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int by_backbone(const void *a, const void *b)
{
    const job *x = *(job *const *)a, *y = *(job *const *)b;
    const plan_detector *d = x->detector, *e = y->detector;
    int order = compare_text(d->backbone, e->backbone);
    order = order ? order : compare_text(d->weights, e->weights);
    order = order ? order : compare_text(d->precision, e->precision);
    if (order == 0 && is_random(x))
        order = (x->seed > y->seed) - (x->seed < y->seed);
    order = order ? order : (d > e) - (d < e);
    order = order ? order : (x->seed > y->seed) - (x->seed < y->seed);
    return order ? order : (x > y) - (x < y);
}

/* ---- opening ---- */

static int needs_backbone(const char *type)
{
    imiad_detector *alone;
    if (imiad_detector_create(&alone, type, NULL, NULL, 0) != IMIAD_OK)
        return 1;
    imiad_detector_free(alone);
    return 0;
}

static void close_backbone(survey *s)
{
    imiad_detector_free(s->detector);
    imiad_backbone_free(s->experiment.backbone);
    free(s->no_backbone);
    free(s->no_detector);
    s->detector = NULL;
    s->experiment.backbone = NULL;
    s->no_backbone = s->no_detector = NULL;
    s->of_backbone = s->of_detector = NULL;
}

static void need_backbone(survey *s, const job *j)
{
    char text[512];
    if (s->of_backbone && same_backbone(s->of_backbone, j))
        return;
    close_backbone(s);
    s->of_backbone = j;
    if (!j->detector->weights) {
        snprintf(text, sizeof text, "nobody said where the weights of %s are: --weights %s=FILE",
                 j->detector->backbone, j->detector->backbone);
        s->no_backbone = strdup(text);
    } else if (arguments_backbone(&s->experiment.backbone, &s->experiment.arguments) != IMIAD_OK) {
        s->no_backbone = strdup(imiad_last_error());
    }
}

/* Returns -1 with a message where the plan's options are wrong. */
static int need_detector(survey *s, const job *j)
{
    if (s->of_detector && s->of_detector->detector == j->detector &&
        s->of_detector->seed == j->seed && same_text(s->of_detector->model, j->model))
        return 0;
    imiad_detector_free(s->detector);
    free(s->no_detector);
    s->detector = NULL;
    s->no_detector = NULL;
    s->of_detector = j;
    if (!s->experiment.backbone && needs_backbone(j->detector->type)) {
        s->no_detector = strdup(s->no_backbone ? s->no_backbone : "");
        return 0;
    }
    imiad_status status =
        arguments_detector(&s->detector, &s->experiment.arguments, s->experiment.backbone, j->seed);
    if (status == IMIAD_OK)
        return 0;
    s->no_detector = strdup(imiad_last_error());
    if (status != IMIAD_UNKNOWN_OPTION && status != IMIAD_OUT_OF_RANGE &&
        status != IMIAD_INVALID_ARGUMENT)
        return 0;
    fprintf(stderr, "%s: %s: detectors.%s: %s\n", s->program, s->jobs->plan->path,
            j->detector->name, imiad_last_error());
    return -1;
}

/* ---- one job ---- */

static imiad_status keep_reason(void *user, const imiad_failed *failed)
{
    job_fail(user, JOB_FAILED, failed->message);
    return IMIAD_OK;
}

/* A store that has the cell outweighs one in which it failed. */
static imiad_status look_up(survey *s, job *j, const imiad_cell *cell)
{
    for (size_t i = 0; i < s->store_count; ++i) {
        int finished = 0;
        imiad_status status = imiad_results_has(&finished, s->stores[i], cell);
        if (status != IMIAD_OK)
            return status;
        if (finished) {
            free(j->reason);
            j->reason = NULL;
            j->state = JOB_FINISHED;
            return IMIAD_OK;
        }
        status = imiad_results_show_failure(s->stores[i], cell, keep_reason, j);
        if (status != IMIAD_OK && status != IMIAD_NOT_FOUND)
            return status;
    }
    return IMIAD_OK;
}

static imiad_status put_failure(survey *s, job *j, const imiad_cell *cell)
{
    imiad_status status = imiad_results_put_failure(s->stores[0], cell, s->message);
    if (status == IMIAD_OK)
        job_fail(j, JOB_FAILED, s->message);
    else if (status == IMIAD_WRONG_STATE)
        j->state = JOB_FINISHED;
    return status == IMIAD_WRONG_STATE ? IMIAD_OK : status;
}

/* Images that the setting's own options add: a source that is learned first and measured with the
 * target, which is measured twice; images that are timed alone. */
static imiad_status count_own(survey *s, job *j)
{
    imiad_split *source;
    for (size_t i = 0; i < j->part->setting->own_count; ++i) {
        const own_setting *own = &j->part->setting->own[i];
        const char *value = job_own(j, own);
        if (own->least >= 0) {
            j->test_images += (size_t)strtol(value, NULL, 10);
            continue;
        }
        imiad_status status =
            imiad_split_create(&source, s->experiment.dataset, value, "unsupervised", NULL, 0);
        if (status != IMIAD_OK)
            return status;
        j->train_images += imiad_split_train_count(source);
        j->test_images += j->test_images + imiad_split_test_count(source);
        imiad_split_free(source);
    }
    return IMIAD_OK;
}

/* The split of the cell: of the last task of a sequence, which is the last to be put. */
static imiad_status make_split(imiad_split **out, survey *s, job *j)
{
    const arguments *f = &s->experiment.arguments;
    imiad_status status = IMIAD_OK;
    *out = NULL;
    j->train_images = j->test_images = 0;
    for (size_t i = 0; status == IMIAD_OK && i < f->category_count; ++i) {
        imiad_split_free(*out);
        *out = NULL;
        status = arguments_split(out, f, s->experiment.dataset, f->categories[i],
                                 j->part->setting->split, NULL, NULL, j->seed);
        if (status == IMIAD_OK) {
            j->train_images += imiad_split_train_count(*out);
            j->test_images += imiad_split_test_count(*out);
        }
    }
    if (status == IMIAD_OK)
        status = count_own(s, j);
    if (status == IMIAD_OK)
        return IMIAD_OK;
    imiad_split_free(*out);
    return status;
}

/* What the setting's program says of the cell beside its split. */
static void describe_own(imiad_cell *cell, char *value, const job *j)
{
    const plan_setting *setting = j->part->setting;
    cell->setting = setting->name;
    for (size_t i = 0; i < setting->own_count; ++i)
        cell_add_word(cell, value, setting->own[i].name, job_own(j, &setting->own[i]));
}

/* The cell of the job's choice. */
static int survey_choice(survey *s, job *j)
{
    size_t place = (size_t)(j->dataset - s->jobs->plan->datasets);
    imiad_split *split;
    imiad_cell cell;
    char value[CELL_VALUE];
    job_arguments(&s->experiment.arguments, s->jobs, j, s->program);
    imiad_option *settings = s->experiment.arguments.settings;
    if (j->model && s->experiment.arguments.setting_count < MOST_SETTINGS)
        settings[s->experiment.arguments.setting_count++] = (imiad_option){"model", j->model};
    need_backbone(s, j);
    if (need_detector(s, j) != 0)
        return -1;
    s->experiment.dataset = s->jobs->datasets[place];
    if (!s->experiment.dataset || !s->detector) {
        job_fail(j, JOB_LACKING, s->experiment.dataset ? s->no_detector : s->jobs->why_not[place]);
        if (!s->experiment.dataset && !s->detector && !j->also)
            j->also = strdup(s->no_detector);
        return 0;
    }
    arguments_settle_evaluation(&s->experiment.arguments,
                                imiad_dataset_defect_count(s->experiment.dataset, 0) > 0 ? "native"
                                                                                         : "input");
    imiad_status status = make_split(&split, s, j);
    if (status != IMIAD_OK) {
        job_fail(j, JOB_LACKING, imiad_last_error());
        return 0;
    }
    s->experiment.results = s->describer;
    status = experiment_describe(&cell, &s->experiment, split, s->detector, j->seed);
    if (status == IMIAD_OK) {
        describe_own(&cell, value, j);
        output_key(j->key, &cell);
        j->kind = cost_kind(&cell);
    }
    if (status == IMIAD_OK)
        status = s->message ? put_failure(s, j, &cell) : look_up(s, j, &cell);
    imiad_split_free(split);
    if (status == IMIAD_OK)
        return 0;
    fprintf(stderr, "%s: %s\n", s->program, imiad_last_error());
    return -1;
}

/* A job of several choices is finished when all of them are; it has failed when one has. */
static int survey_job(survey *s, job *j)
{
    job_state state = JOB_FINISHED;
    if (!j->models)
        return survey_choice(s, j);
    for (j->choice = 0; j->choice < j->cells; ++j->choice) {
        j->state = JOB_OPEN;
        if (survey_choice(s, j) != 0)
            return -1;
        if (j->state != JOB_FINISHED)
            state = state == JOB_FAILED ? state : j->state;
        if (j->state == JOB_LACKING || (s->message && j->state == JOB_FAILED))
            break;
    }
    j->choice = j->cells - 1;
    j->state = state;
    return 0;
}

/* ---- all ---- */

/* Describing a cell takes a store; where none is named yet, one that is gone at once. */
static int open_describer(survey *s, imiad_results **own)
{
    char path[TEMPORARY_PATH];
    *own = NULL;
    s->describer = s->store_count > 0 ? s->stores[0] : NULL;
    if (s->describer)
        return 0;
    imiad_status status = temporary_file(path, "benchmark");
    if (status == IMIAD_OK) {
        status = imiad_results_open(own, path);
        unlink(path);
    }
    s->describer = *own;
    if (status != IMIAD_OK)
        fprintf(stderr, "%s: %s\n", s->program, imiad_last_error());
    return status == IMIAD_OK ? 0 : -1;
}

int jobs_survey(jobs *j, const char *program, imiad_results *const *stores, size_t store_count)
{
    survey s = {.jobs = j, .program = program, .stores = stores, .store_count = store_count};
    imiad_results *own;
    job **order = calloc(j->count + 1, sizeof *order);
    int code = order ? open_describer(&s, &own) : -1;
    for (size_t i = 0; code == 0 && i < j->count; ++i)
        order[i] = &j->list[i];
    if (code == 0) {
        qsort(order, j->count, sizeof *order, by_backbone);
        for (size_t i = 0; code == 0 && i < j->count; ++i)
            code = survey_job(&s, order[i]);
        imiad_results_free(own);
    }
    close_backbone(&s);
    free(order);
    return code;
}

int job_put_failure(jobs *j, job *failed, const char *program, imiad_results *store,
                    const char *message)
{
    survey s = {.jobs = j,
                .program = program,
                .stores = &store,
                .store_count = 1,
                .describer = store,
                .message = message};
    int code = survey_job(&s, failed);
    close_backbone(&s);
    return code;
}
