#include "benchmark/settings.h"
#include "grid.h"
#include "one_by_one.h"
#include "pair.h"
#include "sequence.h"

#include <string.h>

static int run_grid(int argc, char **argv)
{
    return grid_main(argc, argv, grid_setting_find(argv[0]));
}

static const plan_setting settings[] = {
    {.name = "unsupervised", .split = "unsupervised", .run = run_grid},
    {.name = "supervised", .split = "supervised", .option = "anomalies", .run = run_grid},
    {.name = "fewshot", .split = "fewshot", .option = "shots", .run = run_grid},
    {.name = "noisy", .split = "noisy", .option = "ratio", .run = run_grid},
    {.name = "continual", .split = "unsupervised", .sequence = 1, .run = sequence_main},
    {.name = "transfer",
     .split = "transfer",
     .option = "shots",
     .own = {{"source", NULL, -1}},
     .own_count = 1,
     .run = pair_main},
    {.name = "efficiency",
     .split = "unsupervised",
     .own = {{"images", "50", 1}, {"warm-up", "10", 0}},
     .own_count = 2,
     .run = one_by_one_main},
};

const plan_setting *plan_setting_find(const char *name)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; ++i)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

const own_setting *plan_setting_own(const plan_setting *s, const char *name)
{
    for (size_t i = 0; i < s->own_count; ++i)
        if (strcmp(s->own[i].name, name) == 0)
            return &s->own[i];
    return NULL;
}
