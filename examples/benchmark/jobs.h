/* The cells of a plan, one job each; a sequence of tasks is one job of several cells. */
#ifndef BENCHMARK_JOBS_H
#define BENCHMARK_JOBS_H

#include "benchmark/plan.h"
#include "cells.h"

typedef enum job_state {
    JOB_OPEN,     /* to be run */
    JOB_FINISHED, /* a store has it */
    JOB_FAILED,   /* a store says why */
    JOB_LACKING   /* not to be run here: `reason` */
} job_state;
enum { JOB_STATES = JOB_LACKING + 1 };

typedef struct job {
    const plan_dataset *dataset;
    const plan_detector *detector;
    const plan_part *part;
    const char *category; /* NULL: all of them, one after the other, or unknown */
    size_t choice;        /* among the values of the part's options */
    uint64_t seed;
    size_t place;          /* in the plan */
    size_t category_place; /* in its dataset */
    size_t cells;          /* that it puts into the store */
    job_state state;
    char key[OUTPUT_KEY];             /* of its cell, of the last one of a sequence; "": unknown */
    char *reason;                     /* why it failed or cannot be run; NULL */
    char *also;                       /* a second thing that it lacks; NULL */
    size_t train_images, test_images; /* 0 where unknown */
    uint64_t kind;                    /* of cells that cost alike: cost_model.h */
    char *models, *model; /* the folder of what is learned once for all choices, which are cells of
                           * this job then, and the file of the category in it; NULL */
} job;

/* Which jobs: NULL admits all. */
typedef struct job_filter {
    const char *setting, *dataset, *detector, *category;
    unsigned shard, shards; /* the shard-th of so many, from 1; 0: all */
} job_filter;

typedef struct jobs {
    const plan *plan;
    imiad_dataset *datasets[MOST_DATASETS]; /* NULL where it is not here */
    char *why_not[MOST_DATASETS];
    job *list; /* in the order in which they are run: by dataset and category */
    size_t count, cells;
} jobs;

/* Opens the plan's datasets and lists its jobs. Returns 0, or -1 with a message printed. */
int jobs_make(jobs *out, const plan *p, const job_filter *filter);
void jobs_free(jobs *j);

/* Finds out what each job's cell is called and whether it can be run here, and looks for it in the
 * stores. Returns 0, or -1 with a message printed where the plan itself is wrong. */
int jobs_survey(jobs *j, const char *program, imiad_results *const *stores, size_t store_count);

/* Puts into the store why a job failed. Where its cell has finished in the meantime, it is
 * finished. Returns 0, or -1 with a message printed. */
int job_put_failure(jobs *j, job *failed, const char *program, imiad_results *store,
                    const char *message);

/* The command line that the job is, as the programs take it; `categories` has room for all. */
void job_arguments(arguments *out, const jobs *j, const job *of, const char *program);
/* The value of an option of the setting's program: the plan's choice, or the usual one. */
const char *job_own(const job *of, const own_setting *own);
/* What the setting's options are: "ratio=0.1". */
void job_value(char *out, size_t size, const job *of);
/* "padim on transistor of mvtec_ad, noisy ratio=0.1, seed 0" */
void job_title(char *out, size_t size, const job *of);

void job_fail(job *j, job_state state, const char *reason);
const char *job_state_name(job_state state);

#endif
