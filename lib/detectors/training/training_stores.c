/* What is learned: stores of parameters and their optimisers, copied, saved and loaded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "detectors/training/training_state.h"

void training_begin(imiad_detector *self, const training_ops *ops)
{
    training *t = self->state;
    *t = (training){.detector = self, .ops = ops};
}

void training_clear(training *t)
{
    for (int i = 0; i < t->rule_count; ++i)
        optimizer_free(t->rules[i].optimizer);
    for (int i = 0; i < t->store_count; ++i) {
        params_free(t->stores[i].parameters);
        params_free(t->stores[i].average);
    }
    free(t->losses);
    *t = (training){.detector = t->detector,
                    .ops = t->ops,
                    .frozen_count = t->frozen_count,
                    .held_out = t->held_out,
                    .maker = t->maker};
}

void training_purpose(char out[96], const imiad_detector *self, const char *what,
                      const train_step *step)
{
    snprintf(out, 96, "%s/%s/%lld", self->ops->name, what, (long long)step->index);
}

imiad_status training_store(params **out, training *t, const char *name)
{
    if (t->store_count == TRAINING_STORES)
        return fail(IMIAD_INTERNAL, "detector %s trains too many stores", t->detector->ops->name);
    training_store_entry *entry = &t->stores[t->store_count];
    TRY(params_create(&entry->parameters));
    snprintf(entry->name, sizeof entry->name, "%s", name);
    t->store_count++;
    *out = entry->parameters;
    return IMIAD_OK;
}

/* The place of a store that the detector made: another name is its own mistake, made on every call.
 */
static int find_store(const training *t, const char *name)
{
    int store = 0;
    while (store < t->store_count && strcmp(t->stores[store].name, name) != 0)
        ++store;
    if (store == t->store_count)
        abort();
    return store;
}

training_rule *training_optimizer(training *t, const char *name, const char *store_name,
                                  const char *prefix, const optimizer_options *options, double rate)
{
    int store = find_store(t, store_name);
    if (t->rule_count == TRAINING_OPTIMIZERS)
        abort();
    training_rule *rule = &t->rules[t->rule_count++];
    *rule = (training_rule){.store = store, .options = *options, .rate = rate};
    snprintf(rule->name, sizeof rule->name, "%s", name);
    snprintf(rule->prefix, sizeof rule->prefix, "%s", prefix ? prefix : "");
    return rule;
}

void training_average(training *t, const char *store_name, double decay)
{
    t->stores[find_store(t, store_name)].decay = decay;
}

imiad_status training_make_optimizers(training *t)
{
    for (int i = 0; i < t->rule_count; ++i) {
        training_rule *rule = &t->rules[i];
        if (!rule->optimizer)
            TRY(optimizer_create(&rule->optimizer, t->stores[rule->store].parameters, rule->prefix,
                                 &rule->options));
    }
    for (int i = 0; i < t->store_count; ++i) {
        training_store_entry *entry = &t->stores[i];
        if (entry->decay > 0 && !entry->average)
            TRY(params_clone(&entry->average, entry->parameters));
    }
    return IMIAD_OK;
}

imiad_status training_swap_averages(training *t)
{
    for (int i = 0; i < t->store_count; ++i) {
        training_store_entry *entry = &t->stores[i];
        params *held;
        if (!entry->average)
            continue;
        TRY(params_clone(&held, entry->parameters));
        imiad_status status = params_copy(entry->parameters, entry->average);
        if (status == IMIAD_OK)
            status = params_copy(entry->average, held);
        params_free(held);
        TRY(status);
    }
    return IMIAD_OK;
}

imiad_status training_add_losses(training *t, const double *losses, size_t count)
{
    size_t bytes = (t->losses_count + count) * sizeof *t->losses;
    double *grown = realloc(t->losses, bytes + 1);
    if (!grown)
        return fail_memory("a loss log", bytes);
    memcpy(grown + t->losses_count, losses, count * sizeof *losses);
    t->losses = grown;
    t->losses_count += count;
    return IMIAD_OK;
}

/* ---- copies ---- */

imiad_status training_copy_make(training_copy *out, const training *t)
{
    training_copy copy = {.averaged = t->averaged};
    imiad_status status = IMIAD_OK;
    for (int i = 0; status == IMIAD_OK && i < t->store_count; ++i) {
        status = params_clone(&copy.stores[i], t->stores[i].parameters);
        if (status == IMIAD_OK && t->stores[i].average)
            status = params_clone(&copy.averages[i], t->stores[i].average);
    }
    for (int i = 0; status == IMIAD_OK && i < t->rule_count; ++i)
        status = params_clone(&copy.states[i], optimizer_state(t->rules[i].optimizer));
    if (status != IMIAD_OK)
        training_copy_free(&copy);
    else
        *out = copy;
    return status;
}

imiad_status training_copy_restore(training *t, const training_copy *copy)
{
    for (int i = 0; i < t->store_count; ++i) {
        TRY(params_copy(t->stores[i].parameters, copy->stores[i]));
        if (copy->averages[i])
            TRY(params_copy(t->stores[i].average, copy->averages[i]));
    }
    t->averaged = copy->averaged;
    for (int i = 0; i < t->rule_count; ++i)
        TRY(params_copy(optimizer_state(t->rules[i].optimizer), copy->states[i]));
    return IMIAD_OK;
}

void training_copy_free(training_copy *copy)
{
    for (int i = 0; i < TRAINING_STORES; ++i) {
        params_free(copy->stores[i]);
        params_free(copy->averages[i]);
    }
    for (int i = 0; i < TRAINING_OPTIMIZERS; ++i)
        params_free(copy->states[i]);
    *copy = (training_copy){.averaged = false};
}

/* ---- identity ---- */

static uint32_t add_store(uint32_t crc, const params *p)
{
    for (size_t i = 0; i < params_count(p) && !t_failed(); ++i) {
        scope s = scope_begin();
        tensor *host = t_contiguous(t_to_device(params_at(p, i)->value, CPU));
        const Bytef *bytes = t_data(host);
        size_t size = (size_t)t_count(host) * dtype_bytes(t_type(host));
        if (bytes)
            crc = (uint32_t)crc32_z(crc, bytes, size);
        scope_return(&s, NULL);
    }
    return crc;
}

imiad_status training_checksum(char out[9], const training *t)
{
    uint32_t crc = 0;
    scope s = scope_begin();
    for (int i = 0; i < t->store_count; ++i)
        crc = add_store(crc, t->stores[i].parameters);
    for (int i = 0; i < t->rule_count; ++i)
        crc = add_store(crc, optimizer_state(t->rules[i].optimizer));
    for (int i = 0; i < t->store_count; ++i)
        if (t->stores[i].average)
            crc = add_store(crc, t->stores[i].average);
    snprintf(out, 9, "%08x", (unsigned)crc);
    return scope_end(&s);
}

void training_note_threads(training *t)
{
    const char *last = strrchr(t->threads, ',');
    size_t used = strlen(t->threads);
    if (atoi(last ? last + 1 : t->threads) != imiad_threads())
        snprintf(t->threads + used, sizeof t->threads - used, "%s%d", used ? "," : "",
                 (int)imiad_threads());
}

/* ---- the detector's file ---- */

imiad_status training_save(const imiad_detector *self, weights_writer *writer)
{
    const training *t = self->state;
    if (t->threads[0])
        TRY(weights_writer_metadata(writer, "threads", t->threads));
    for (int i = 0; i < t->store_count; ++i) {
        char prefix[40];
        snprintf(prefix, sizeof prefix, "%s.", t->stores[i].name);
        TRY(params_save(t->stores[i].parameters, prefix, writer));
    }
    return IMIAD_OK;
}

imiad_status training_save_learning(const imiad_detector *self, weights_writer *writer)
{
    const training *t = self->state;
    char prefix[64];
    TRY(weights_writer_metadata(writer, "learning", "1"));
    for (int i = 0; i < t->rule_count; ++i) {
        snprintf(prefix, sizeof prefix, "optimizer.%s.", t->rules[i].name);
        if (t->rules[i].optimizer)
            TRY(params_save(optimizer_state(t->rules[i].optimizer), prefix, writer));
    }
    for (int i = 0; i < t->store_count; ++i) {
        snprintf(prefix, sizeof prefix, "last.%s.", t->stores[i].name);
        if (t->stores[i].average)
            TRY(params_save(t->stores[i].average, prefix, writer));
    }
    return IMIAD_OK;
}

/* What training_save_learning wrote; a file without it begins optimisers anew. */
static imiad_status load_learning(training *t, const weights *file)
{
    char prefix[64];
    if (!weights_metadata(file, "learning"))
        return IMIAD_OK;
    TRY(training_make_optimizers(t));
    for (int i = 0; i < t->rule_count; ++i) {
        snprintf(prefix, sizeof prefix, "optimizer.%s.", t->rules[i].name);
        TRY(params_load(optimizer_state(t->rules[i].optimizer), file, prefix, PARAMS_EXACT));
    }
    for (int i = 0; i < t->store_count; ++i) {
        snprintf(prefix, sizeof prefix, "last.%s.", t->stores[i].name);
        if (t->stores[i].average)
            TRY(params_load(t->stores[i].average, file, prefix, PARAMS_EXACT));
        t->averaged |= t->stores[i].average != NULL;
    }
    return IMIAD_OK;
}

imiad_status training_load(imiad_detector *self, const weights *file)
{
    training *t = self->state;
    const char *threads = weights_metadata(file, "threads"); /* older files do not say */
    snprintf(t->threads, sizeof t->threads, "%s", threads ? threads : "");
    for (int i = 0; i < t->store_count; ++i) {
        char prefix[40];
        snprintf(prefix, sizeof prefix, "%s.", t->stores[i].name);
        if (params_load(t->stores[i].parameters, file, prefix, PARAMS_EXACT) != IMIAD_OK)
            return fail(IMIAD_FORMAT, "%s", imiad_last_error());
    }
    return load_learning(t, file) == IMIAD_OK ? IMIAD_OK
                                              : fail(IMIAD_FORMAT, "%s", imiad_last_error());
}
