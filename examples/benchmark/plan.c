#include "benchmark/plan_reader.h"
#include "grid.h"

#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

static void set_option(plan_options *options, const char *name, const char *value)
{
    size_t i = 0;
    while (i < options->count && strcmp(options->list[i].name, name) != 0)
        ++i;
    options->list[i] = (imiad_option){name, value};
    options->count += i == options->count;
}

/* What stands under "options"; a later value of the same name replaces an earlier one. */
static int read_options(reader *r, const char *where, const json_t *object, option_schema look,
                        const char *owner, plan_options *out)
{
    char place[PLACE], at[PLACE];
    const char *name, *text;
    json_t *options = json_object_get(object, "options"), *value;
    plan_below(place, where, "options");
    if (options && !json_is_object(options))
        return plan_wrong(r, place, "it must be an object, {...}");
    json_object_foreach(options, name, value)
    {
        if (strcmp(name, "note") == 0)
            continue;
        if (!option_known(look, owner, name))
            return plan_wrong(r, plan_below(at, place, name), "%s has no option of that name",
                              owner);
        if (strcmp(name, "seed") == 0 && look != imiad_dataset_option_info)
            return plan_wrong(r, plan_below(at, place, name), "it comes from \"seeds\"");
        if (!(text = plan_value_text(r, plan_below(at, place, name), value)))
            return -1;
        if (out->count == MOST_SETTINGS)
            return plan_wrong(r, place, "there are more than %d options", MOST_SETTINGS);
        set_option(out, name, text);
    }
    return 0;
}

/* ---- places on this machine ---- */

/* What --root or --weights says of the name; NULL where they do not. */
static const char *place_of(const char *const *given, size_t count, const char *name)
{
    size_t length = strlen(name);
    const char *found = NULL;
    for (size_t i = 0; i < count; ++i)
        if (strncmp(given[i], name, length) == 0 && given[i][length] == '=')
            found = given[i] + length + 1; /* the last one counts */
    return found;
}

/* A path of the plan's, which begins at the plan's folder. NULL for none. */
static char *plan_path(const plan *p, const char *path)
{
    char *out = NULL;
    if (path && asprintf(&out, "%s%s", *path == '/' ? "" : p->folder, path) < 0)
        out = NULL;
    return out;
}

static int is_no_file(const char *weights)
{
    return strcmp(weights, "random") == 0 || strcmp(weights, "default") == 0;
}

/* ---- datasets ---- */

static int is_registered(size_t count, const char *(*name)(size_t), const char *wanted)
{
    for (size_t i = 0; i < count; ++i)
        if (strcmp(name(i), wanted) == 0)
            return 1;
    return 0;
}

static int read_dataset(reader *r, const char *where, const char *name, json_t *object,
                        const places *here)
{
    static const char *const keys[] = {"type", "root", "options", "categories", NULL};
    plan_dataset *d = &r->plan->datasets[r->plan->dataset_count++];
    const char *root = NULL, *given = place_of(here->roots, here->root_count, name);
    char place[PLACE];
    *d = (plan_dataset){.name = name, .type = name};
    if (plan_check_keys(r, where, object, keys) != 0 ||
        plan_read_text(r, where, object, "type", &d->type) != 0)
        return -1;
    if (!is_registered(imiad_dataset_type_count(), imiad_dataset_type_name, d->type))
        return plan_wrong(r, plan_below(place, where, "type"), "no dataset is called \"%s\"",
                          d->type);
    if (plan_read_text(r, where, object, "root", &root) != 0 ||
        read_options(r, where, object, imiad_dataset_option_info, d->type, &d->options) != 0)
        return -1;
    d->root = given ? strdup(given) : plan_path(r->plan, root);
    return plan_read_texts(r, where, object, "categories", d->categories, &d->category_count,
                           MOST_CATEGORIES);
}

static int read_datasets(reader *r, const places *here)
{
    char place[PLACE];
    const char *name;
    json_t *datasets = json_object_get(r->plan->document, "datasets"), *value;
    if (!json_is_object(datasets) || json_object_size(datasets) == 0 ||
        json_object_size(datasets) > MOST_DATASETS)
        return plan_wrong(r, "datasets", "there must be 1 to %d, {\"NAME\": {...}}", MOST_DATASETS);
    json_object_foreach(datasets, name, value)
    {
        if (strcmp(name, "note") == 0)
            continue;
        if (read_dataset(r, plan_below(place, "datasets", name), name, value, here) != 0)
            return -1;
    }
    return 0;
}

/* ---- detectors ---- */

/* The keys that "defaults" has as well, there or here. */
static int read_network(reader *r, const char *where, const json_t *object, plan_detector *d,
                        const char **weights)
{
    return plan_read_text(r, where, object, "backbone", &d->backbone) != 0 ||
                   plan_read_text(r, where, object, "weights", weights) != 0 ||
                   plan_read_text(r, where, object, "precision", &d->precision) != 0
               ? -1
               : read_options(r, where, object, imiad_detector_option_info, d->type, &d->options);
}

static int read_detector(reader *r, const char *where, const char *name, json_t *object,
                         const places *here)
{
    static const char *const keys[] = {"type", "backbone", "weights", "precision", "options", NULL};
    plan_detector *d = &r->plan->detectors[r->plan->detector_count++];
    const char *weights = NULL;
    char place[PLACE];
    *d = (plan_detector){.name = name, .type = name, .backbone = "resnet18"};
    if (plan_check_keys(r, where, object, keys) != 0 ||
        plan_read_text(r, where, object, "type", &d->type) != 0)
        return -1;
    if (!is_registered(imiad_detector_type_count(), imiad_detector_type_name, d->type))
        return plan_wrong(r, plan_below(place, where, "type"), "no detector is called \"%s\"",
                          d->type);
    if ((r->defaults && read_network(r, "defaults", r->defaults, d, &weights) != 0) ||
        read_network(r, where, object, d, &weights) != 0)
        return -1;
    if (!is_registered(imiad_backbone_architecture_count(), imiad_backbone_architecture,
                       d->backbone))
        return plan_wrong(r, plan_below(place, where, "backbone"), "no backbone is called \"%s\"",
                          d->backbone);
    const char *given = place_of(here->weights, here->weight_count, d->backbone);
    if (given && (!weights || !is_no_file(weights)))
        d->weights = strdup(given);
    else if (weights)
        d->weights = is_no_file(weights) ? strdup(weights) : plan_path(r->plan, weights);
    return 0;
}

static int read_detectors(reader *r, const places *here)
{
    static const char *const keys[] = {"backbone", "weights", "precision", "options", NULL};
    char place[PLACE];
    const char *name;
    json_t *detectors = json_object_get(r->plan->document, "detectors"), *value;
    json_t *defaults = json_object_get(r->plan->document, "defaults");
    if (defaults && plan_check_keys(r, "defaults", defaults, keys) != 0)
        return -1;
    r->defaults = defaults;
    if (!json_is_object(detectors) || json_object_size(detectors) == 0 ||
        json_object_size(detectors) > MOST_DETECTORS)
        return plan_wrong(r, "detectors", "there must be 1 to %d, {\"NAME\": {...}}",
                          MOST_DETECTORS);
    json_object_foreach(detectors, name, value)
    {
        if (strcmp(name, "note") == 0)
            continue;
        if (read_detector(r, plan_below(place, "detectors", name), name, value, here) != 0)
            return -1;
    }
    return 0;
}

/* ---- settings ---- */

static const char *dataset_name(const plan *p, size_t index)
{
    return index < p->dataset_count ? p->datasets[index].name : NULL;
}

static const char *detector_name(const plan *p, size_t index)
{
    return index < p->detector_count ? p->detectors[index].name : NULL;
}

/* The names listed under the key as places in the plan; all of them where the key is not there. */
static int read_members(const reader *r, const char *where, const json_t *object, const char *key,
                        const char *(*name)(const plan *, size_t), size_t *out, size_t *count,
                        size_t most)
{
    const char *names[MOST_DETECTORS];
    char place[PLACE];
    size_t given = 0;
    if (plan_read_texts(r, where, object, key, names, &given, most) != 0)
        return -1;
    for (size_t i = 0; given == 0 && name(r->plan, i); ++i)
        out[(*count)++] = i;
    for (size_t i = 0; i < given; ++i) {
        size_t k = 0;
        while (name(r->plan, k) && strcmp(name(r->plan, k), names[i]) != 0)
            ++k;
        if (!name(r->plan, k))
            return plan_wrong(r, plan_below(place, where, key), "the plan's %s do not name \"%s\"",
                              key, names[i]);
        out[(*count)++] = k;
    }
    return 0;
}

static int read_seeds(const reader *r, const char *where, const json_t *object, plan_part *part)
{
    char place[PLACE], at[PLACE];
    const json_t *seeds = json_object_get(object, "seeds");
    plan_below(place, where, "seeds");
    if (!seeds)
        return 0;
    if (!json_is_array(seeds) || json_array_size(seeds) == 0 || json_array_size(seeds) > MOST_SEEDS)
        return plan_wrong(r, place, "it must be a list of 1 to %d numbers, [...]", MOST_SEEDS);
    part->seed_count = 0;
    for (size_t i = 0; i < json_array_size(seeds); ++i) {
        const json_t *seed = json_array_get(seeds, i);
        if (!json_is_integer(seed) || json_integer_value(seed) < 0)
            return plan_wrong(r, plan_item(at, place, i), "a seed is a whole number from 0 on");
        part->seeds[part->seed_count++] = (uint64_t)json_integer_value(seed);
    }
    return 0;
}

/* An option of the setting: one value, or a list of them. */
static int read_varied(reader *r, const char *where, const char *name, const json_t *value,
                       plan_part *part)
{
    char at[PLACE];
    plan_varied *varied = &part->options[part->option_count++];
    *varied = (plan_varied){.name = name};
    if (!json_is_array(value))
        return (varied->values[varied->count++] = plan_value_text(r, where, value)) ? 0 : -1;
    if (json_array_size(value) == 0 || json_array_size(value) > MOST_VALUES)
        return plan_wrong(r, where, "it must have 1 to %d values", MOST_VALUES);
    for (size_t i = 0; i < json_array_size(value); ++i)
        if (!(varied->values[varied->count++] =
                  plan_value_text(r, plan_item(at, where, i), json_array_get(value, i))))
            return -1;
    return 0;
}

/* The values of an option that only the setting's program knows. */
static int check_own(const reader *r, const char *where, const own_setting *own,
                     const plan_varied *given)
{
    for (size_t i = 0; i < given->count; ++i) {
        char *end;
        long value = strtol(given->values[i], &end, 10);
        if (own->least >= 0 && (end == given->values[i] || *end || value < own->least))
            return plan_wrong(r, where, "\"%s\" is no whole number from %ld on", given->values[i],
                              own->least);
    }
    return 0;
}

static int need_own(const reader *r, const char *where, const plan_part *part)
{
    char at[PLACE];
    for (size_t k = 0; k < part->setting->own_count; ++k) {
        const own_setting *own = &part->setting->own[k];
        size_t i = 0;
        while (i < part->option_count && strcmp(part->options[i].name, own->name) != 0)
            ++i;
        if (i == part->option_count && !own->usual)
            return plan_wrong(r, plan_below(at, where, own->name), "it is missing");
    }
    return 0;
}

static int read_setting_options(reader *r, const char *where, const json_t *object, plan_part *part)
{
    char place[PLACE], at[PLACE];
    const char *name;
    json_t *options = json_object_get(object, "options"), *value;
    plan_below(place, where, "options");
    if (options && !json_is_object(options))
        return plan_wrong(r, place, "it must be an object, {...}");
    json_object_foreach(options, name, value)
    {
        plan_below(at, place, name);
        if (strcmp(name, "note") == 0)
            continue;
        const own_setting *own = plan_setting_own(part->setting, name);
        if (!own && !option_known(imiad_setting_option_info, part->setting->split, name))
            return plan_wrong(r, at, "the setting %s has no option of that name",
                              part->setting->name);
        if (strcmp(name, "seed") == 0)
            return plan_wrong(r, at, "it comes from \"seeds\"");
        if (part->option_count == MOST_VARIED)
            return plan_wrong(r, place, "there are more than %d options", MOST_VARIED);
        if (read_varied(r, at, name, value, part) != 0 ||
            (own && check_own(r, at, own, &part->options[part->option_count - 1]) != 0))
            return -1;
    }
    return need_own(r, place, part);
}

/* What is learned once serves all values of the setting's own option, and nothing else varies. */
static int read_models(reader *r, const char *where, const json_t *object, plan_part *part)
{
    char place[PLACE];
    const grid_setting *setting = grid_setting_find(part->setting->name);
    if (plan_read_text(r, where, object, "models", &part->models) != 0)
        return -1;
    plan_below(place, where, "models");
    if (part->models && !(setting && setting->models))
        return plan_wrong(r, place, "nothing is learned once in the setting %s",
                          part->setting->name);
    for (size_t i = 0; part->models && i < part->option_count; ++i)
        if (strcmp(part->options[i].name, setting->option) != 0 && part->options[i].count > 1)
            return plan_wrong(r, place, "only %s may have several values then", setting->option);
    return 0;
}

static int read_part(reader *r, const char *where, json_t *object, const plan_part *defaults)
{
    static const char *const keys[] = {"setting",    "options", "datasets", "detectors",
                                       "categories", "seeds",   "models",   NULL};
    plan_part *part = &r->plan->parts[r->plan->part_count++];
    const char *setting = NULL;
    char place[PLACE];
    *part = *defaults;
    if (plan_check_keys(r, where, object, keys) != 0 ||
        plan_read_text(r, where, object, "setting", &setting) != 0)
        return -1;
    plan_below(place, where, "setting");
    if (!setting)
        return plan_wrong(r, place, "it is missing");
    if (!(part->setting = plan_setting_find(setting)))
        return plan_wrong(r, place, "a plan has no setting called \"%s\"", setting);
    if (read_setting_options(r, where, object, part) != 0 ||
        read_members(r, where, object, "datasets", dataset_name, part->datasets,
                     &part->dataset_count, MOST_DATASETS) != 0 ||
        read_members(r, where, object, "detectors", detector_name, part->detectors,
                     &part->detector_count, MOST_DETECTORS) != 0 ||
        plan_read_texts(r, where, object, "categories", part->categories, &part->category_count,
                        MOST_CATEGORIES) != 0)
        return -1;
    return read_seeds(r, where, object, part) == 0 ? read_models(r, where, object, part) : -1;
}

static int read_parts(reader *r)
{
    char place[PLACE];
    plan_part defaults = {.seeds = {0}, .seed_count = 1};
    const json_t *parts = json_object_get(r->plan->document, "settings");
    if (read_seeds(r, "", r->plan->document, &defaults) != 0)
        return -1;
    if (!json_is_array(parts) || json_array_size(parts) == 0 || json_array_size(parts) > MOST_PARTS)
        return plan_wrong(r, "settings", "there must be 1 to %d, [{...}]", MOST_PARTS);
    for (size_t i = 0; i < json_array_size(parts); ++i)
        if (read_part(r, plan_item(place, "settings", i), json_array_get(parts, i), &defaults) != 0)
            return -1;
    return 0;
}

/* ---- the whole ---- */

static int read_head(reader *r)
{
    static const char *const keys[] = {"plan",     "datasets", "detectors", "defaults",
                                       "settings", "seeds",    "evaluate",  "compat",
                                       "device",   "pictures", NULL};
    plan *p = r->plan;
    const json_t *version = json_object_get(p->document, "plan");
    char place[PLACE];
    if (plan_check_keys(r, "", p->document, keys) != 0)
        return -1;
    if (!json_is_integer(version) || json_integer_value(version) != 1)
        return plan_wrong(r, "plan", "it must be 1, the version of the format");
    if (plan_read_text(r, "", p->document, "device", &p->device) != 0 ||
        plan_read_texts(r, "", p->document, "compat", p->compat, &p->compat_count, COMPATS) != 0)
        return -1;
    const json_t *evaluate = json_object_get(p->document, "evaluate");
    const json_t *pictures = json_object_get(p->document, "pictures");
    if (pictures && !json_is_boolean(pictures))
        return plan_wrong(r, "pictures", "it must be true or false");
    p->pictures = json_is_true(pictures);
    if (evaluate &&
        !(p->evaluate = plan_value_text(r, plan_below(place, "", "evaluate"), evaluate)))
        return -1;
    arguments checked = {.program = r->program}; /* prints what is wrong with them */
    if (p->evaluate && arguments_take_evaluation(&checked, p->evaluate) < 0)
        return plan_wrong(r, place, "no way to evaluate");
    for (size_t i = 0; i < p->compat_count; ++i)
        if (arguments_take_compat(&checked, p->compat[i]) < 0)
            return plan_wrong(r, plan_item(place, "compat", i),
                              "no way to agree with the reference");
    return 0;
}

/* The name of a plan's file without folder and ".json". */
static const char *name_of(reader *r, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    char text[256];
    if (length > 5 && strcmp(name + length - 5, ".json") == 0)
        length -= 5;
    snprintf(text, sizeof text, "%.*s", (int)(length < 200 ? length : 200), name);
    return plan_keep_text(r, text);
}

plan *plan_read(const char *program, const char *path, const places *here)
{
    plan *p = calloc(1, sizeof *p);
    json_error_t error;
    if (!p)
        return NULL;
    reader r = {program, p, NULL};
    const char *slash = strrchr(path, '/');
    p->path = path;
    p->folder = strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
    p->texts = json_array();
    p->document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    int bad = !p->folder || !p->texts;
    if (!p->document && error.line > 0)
        bad = fprintf(stderr, "%s: %s, line %d: %s\n", program, path, error.line, error.text);
    else if (!p->document)
        bad = fprintf(stderr, "%s: %s\n", program, error.text);
    if (!bad) {
        p->name = name_of(&r, path);
        bad = read_head(&r) != 0 || read_datasets(&r, here) != 0 || read_detectors(&r, here) != 0 ||
              read_parts(&r) != 0;
    }
    if (here->device)
        p->device = here->device;
    if (!bad)
        return p;
    plan_free(p);
    return NULL;
}

void plan_free(plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->dataset_count; ++i)
        free(p->datasets[i].root);
    for (size_t i = 0; i < p->detector_count; ++i)
        free(p->detectors[i].weights);
    json_decref(p->texts);
    json_decref(p->document);
    free(p->folder);
    free(p);
}
