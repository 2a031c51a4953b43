#include "benchmark/command_line.h"

#include <stdlib.h>
#include <string.h>

static void add(command_line *line, const char *word)
{
    if (line->count + 1 >= line->room) {
        size_t room = line->room ? 2 * line->room : 64;
        char **grown = realloc(line->words, room * sizeof *grown);
        if (!grown) {
            line->bad = 1;
            return;
        }
        line->words = grown;
        line->room = room;
    }
    char *copy = strdup(word);
    line->bad |= !copy;
    line->words[line->count++] = copy;
    line->words[line->count] = NULL;
}

static void add_option(command_line *line, const char *option, const char *value)
{
    if (!value)
        return;
    add(line, option);
    add(line, value);
}

static void add_number(command_line *line, const char *option, unsigned long long value)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", value);
    add_option(line, option, text);
}

static void add_settings(command_line *line, const char *option, const imiad_option *list,
                         size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        char text[4096];
        snprintf(text, sizeof text, "%s=%s", list[i].name, list[i].value);
        add_option(line, option, text);
    }
}

/* The option that the setting's program varies has one value here: the plan's, or its default. */
static void add_varied(command_line *line, arguments *f, const job *of, const plan_setting *setting)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    char option[64];
    const char *value = NULL;
    if (!setting->option)
        return;
    snprintf(option, sizeof option, "--%s", setting->option);
    for (size_t i = 0; of->models && i < of->part->option_count; ++i) {
        const plan_varied *varied = &of->part->options[i];
        for (size_t k = 0; strcmp(varied->name, setting->option) == 0 && k + 1 < varied->count; ++k)
            add_option(line, option, varied->values[k]); /* the last one follows below */
    }
    for (size_t i = 0; i < f->split_setting_count; ++i)
        if (strcmp(f->split_settings[i].name, setting->option) == 0) {
            value = f->split_settings[i].value;
            f->split_settings[i] = f->split_settings[--f->split_setting_count];
            break;
        }
    for (size_t i = 0; !value && imiad_setting_option_info(&info, setting->split, i) == IMIAD_OK;
         ++i)
        if (strcmp(info.name, setting->option) == 0)
            value = info.default_value;
    add_option(line, option, value);
}

static void add_own(command_line *line, const job *of, const plan_setting *setting)
{
    for (size_t i = 0; i < setting->own_count; ++i) {
        char option[64];
        snprintf(option, sizeof option, "--%s", setting->own[i].name);
        add_option(line, option, job_own(of, &setting->own[i]));
    }
}

void command_line_make(command_line *out, const jobs *j, const job *of, const options *o,
                       int threads)
{
    arguments f;
    job_arguments(&f, j, of, o->program);
    *out = (command_line){.words = NULL};
    add(out, "benchmark");
    add(out, "work");
    add(out, of->part->setting->name);
    for (size_t i = 0; i < o->plugin_count; ++i)
        add_option(out, "--plugin", o->plugins[i]);
    add_varied(out, &f, of, of->part->setting);
    add_own(out, of, of->part->setting);
    add_option(out, "--models", of->models);
    add_settings(out, "--set-split", f.split_settings, f.split_setting_count);
    add_option(out, "--dataset", f.dataset);
    add_option(out, "--root", f.root);
    add_settings(out, "--set-dataset", f.dataset_settings, f.dataset_setting_count);
    for (size_t i = 0; i < f.category_count; ++i)
        add_option(out, "--category", f.categories[i]);
    add_option(out, "--detector", f.detector);
    add_settings(out, "--set", f.settings, f.setting_count);
    add_option(out, "--backbone", f.backbone);
    add_option(out, "--weights", f.weights);
    add_option(out, "--device", f.device);
    add_option(out, "--precision", f.precision);
    add_option(out, "--evaluate", f.evaluate);
    for (size_t i = 0; i < j->plan->compat_count; ++i)
        add_option(out, "--compat", j->plan->compat[i]);
    add_number(out, "--seed", of->seed);
    add_number(out, "--threads", (unsigned long long)threads);
    add_option(out, "--results", o->stores[0]);
    if (j->plan->pictures && strcmp(of->part->setting->name, "unsupervised") == 0 &&
        of->seed == of->part->seeds[0])
        add(out, "--keep-pictures");
}

void command_line_free(command_line *line)
{
    for (size_t i = 0; i < line->count; ++i)
        free(line->words[i]);
    free(line->words);
}
