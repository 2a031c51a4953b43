#include "benchmark/commands.h"
#include "benchmark/options.h"
#include "checked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "Usage: benchmark merge STORE... -o STORE [options]\n\n"
    "Makes one store of several: all that they hold, or nothing. A store of that name that is "
    "there "
    "already counts\nas the first of them. Where two stores have the same cell, costs may differ; "
    "other values that differ are a\nconflict: each is named, and nothing is written.\n\n"
    "  -o, --out STORE    the store to write\n"
    "  --keep-first       of cells in conflict keep what the first store has\n";

typedef struct conflicts {
    const char *program;
    size_t count;
} conflicts;

static double value_of(const imiad_finished *f, const char *name)
{
    for (size_t i = 0; i < f->count; ++i)
        if (strcmp(f->names[i], name) == 0)
            return f->values[i];
    return 0. / 0.;
}

static imiad_status name_conflict(void *user, const imiad_finished *kept,
                                  const imiad_finished *brought, const char *path, const char *name)
{
    conflicts *c = user;
    const imiad_cell *cell = kept->cell;
    ++c->count;
    fprintf(stderr,
            "%s: conflict: %s on %s of %s, %s%s%s, seed %llu: %s is %.17g (%s), and %.17g in %s "
            "(%s)\n",
            c->program, cell->detector, cell->category, cell->dataset, cell->setting,
            *cell->value ? " " : "", cell->value, (unsigned long long)cell->seed, name,
            value_of(kept, name), kept->time, value_of(brought, name), path, brought->time);
    return IMIAD_OK;
}

/* What there is of the store, then the others, into a new file. */
static imiad_status merge_into(const char *part, options *o, conflicts *c)
{
    imiad_results *store;
    int there = access(o->out, F_OK) == 0;
    imiad_status status = imiad_results_open(&store, part);
    if (status != IMIAD_OK)
        return status;
    if (there)
        status = imiad_results_merge(store, &o->out, 1, name_conflict, c);
    if (status == IMIAD_OK)
        status = imiad_results_merge(store, o->words, o->word_count, name_conflict, c);
    imiad_results_free(store);
    return status;
}

static int merge(options *o)
{
    char part[4096];
    conflicts c = {.program = o->program};
    snprintf(part, sizeof part, "%s.part", o->out);
    unlink(part); /* what a killed merge left */
    imiad_status status = merge_into(part, o, &c);
    if (status != IMIAD_OK)
        fprintf(stderr, "%s: %s\n", o->program, imiad_last_error());
    else if (c.count > 0 && !o->keep_first)
        fprintf(stderr, "%s: nothing is written: %zu conflicts; --keep-first keeps the first\n",
                o->program, c.count);
    else if (rename(part, o->out) == 0)
        return printf("%s: %zu stores\n", o->out, o->word_count) > 0 ? 0 : 2;
    else
        fprintf(stderr, "%s: cannot write %s: %s\n", o->program, o->out, strerror(errno));
    unlink(part);
    return status == IMIAD_OK && c.count > 0 ? 1 : 2;
}

int merge_main(int argc, char **argv)
{
    options o;
    int go_on = options_read(&o, argc, argv, usage, " out keep-first ");
    if (go_on <= 0)
        return go_on < 0 ? 2 : 0;
    if (!o.out || o.word_count == 0) {
        fprintf(stderr, "%s", usage);
        return 2;
    }
    return checked_stdout(o.program, merge(&o), 2);
}
