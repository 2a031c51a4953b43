#include "benchmark/time_left.h"

#include <stdlib.h>

static timed_kind *find(const time_left *t, const job *j)
{
    for (size_t i = 0; i < t->count; ++i)
        if (t->kinds[i].detector == j->detector && t->kinds[i].dataset == j->dataset)
            return &t->kinds[i];
    return NULL;
}

void time_left_add(time_left *t, const job *finished, double seconds)
{
    timed_kind *kind = find(t, finished);
    if (!kind && t->count == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        timed_kind *grown = realloc(t->kinds, room * sizeof *grown);
        if (!grown)
            return; /* an estimate less */
        t->kinds = grown;
        t->room = room;
    }
    if (!kind) {
        kind = &t->kinds[t->count++];
        *kind = (timed_kind){finished->detector, finished->dataset, 0, 0};
    }
    kind->seconds += seconds;
    kind->cells += finished->cells;
}

static void duration(char *out, size_t size, double seconds)
{
    if (seconds < 90)
        snprintf(out, size, "%.0f s", seconds);
    else if (seconds < 90 * 60)
        snprintf(out, size, "%.0f min", seconds / 60);
    else
        snprintf(out, size, "%.1f h", seconds / 3600);
}

void time_left_text(char *out, size_t size, const time_left *t, const jobs *j, size_t workers)
{
    double known = 0;
    size_t open = 0, unknown = 0;
    char text[32];
    for (size_t i = 0; i < j->count; ++i) {
        const timed_kind *kind = j->list[i].state == JOB_OPEN ? find(t, &j->list[i]) : NULL;
        if (j->list[i].state != JOB_OPEN)
            continue;
        ++open;
        if (kind)
            known += kind->seconds / (double)kind->cells * (double)j->list[i].cells;
        else
            unknown += j->list[i].cells;
    }
    *out = '\0';
    duration(text, sizeof text, known / (double)workers);
    if (open > 0 && unknown == 0)
        snprintf(out, size, "about %s left", text);
    else if (open > 0)
        snprintf(out, size, "%s left for what was timed, %zu cells of other kinds", text, unknown);
}

void time_left_free(time_left *t)
{
    free(t->kinds);
}
