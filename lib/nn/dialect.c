#include "nn/dialect.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { MOST_NUMBERS = 4, PIECES = 3 };

static const char *const pieces[PIECES] = {"query", "key", "value"};

/* ---- rules ---- */

typedef struct captured {
    long numbers[MOST_NUMBERS];
    int count;
} captured;

/* The length of what the pattern matches at the beginning of the name; 0 where it does not. */
static size_t match(captured *out, const char *pattern, const char *name)
{
    const char *at = name;
    out->count = 0;
    for (; *pattern; ++pattern) {
        if (*pattern != '#') {
            if (*at++ != *pattern)
                return 0;
            continue;
        }
        if (!isdigit((unsigned char)*at) || out->count == MOST_NUMBERS)
            return 0;
        char *end;
        out->numbers[out->count++] = strtol(at, &end, 10);
        at = end;
    }
    return *at == '\0' || *at == '.' ? (size_t)(at - name) : 0;
}

typedef struct text_buffer {
    char *at;
    size_t room;
    bool full;
} text_buffer;

static void append(text_buffer *b, const char *text, size_t length)
{
    b->full |= length >= b->room;
    if (b->full)
        return;
    memcpy(b->at, text, length);
    b->at += length;
    b->room -= length;
    *b->at = '\0';
}

static void append_number(text_buffer *b, long number)
{
    char digits[24];
    append(b, digits, (size_t)snprintf(digits, sizeof digits, "%ld", number));
}

static void expand(text_buffer *b, const char *theirs, const captured *c, int block, int piece)
{
    int next = 0;
    for (const char *t = theirs; *t; ++t) {
        if (*t == '#' && next < c->count) {
            long number = c->numbers[next++];
            bool shifted = (t[1] == '-' || t[1] == '+') && t[2] == '1';
            append_number(b, shifted ? number + (t[1] == '+' ? 1 : -1) : number);
            t += shifted ? 2 : 0;
        } else if (*t == '@') {
            append_number(b, block);
        } else if (*t == '*') {
            append(b, pieces[piece], strlen(pieces[piece]));
        } else {
            append(b, t, 1);
        }
    }
}

bool source_name(char out[LONGEST_NAME], const name_rule **rule, const weights_source *source,
                 const char *ours, int block, int piece)
{
    text_buffer b = {out, LONGEST_NAME, false};
    captured c;
    const name_rule *found = NULL;
    size_t length = 0;
    for (const name_rule *r = source->dialect->rules; r && r->ours && !found; ++r)
        if ((length = match(&c, r->ours, ours)) > 0)
            found = r;
    append(&b, source->prefix, strlen(source->prefix));
    if (found)
        expand(&b, found->theirs, &c, block, piece);
    append(&b, ours + length, strlen(ours + length));
    if (rule)
        *rule = found;
    return !b.full;
}

static int piece_count(const name_rule *rule)
{
    return rule && strchr(rule->theirs, '*') ? PIECES : 1;
}

static rule_change change_of(const name_rule *rule)
{
    return rule ? rule->change : RULE_NAME_ONLY;
}

const weight *source_find(const weights_source *source, const char *ours, int block,
                          char theirs[LONGEST_NAME])
{
    const name_rule *rule = NULL;
    const weight *first = NULL;
    if (!source_name(theirs, &rule, source, ours, block, 0))
        return NULL;
    for (int piece = piece_count(rule) - 1; piece >= 0; --piece) {
        if (!source_name(theirs, NULL, source, ours, block, piece) ||
            !(first = weights_find(source->file, theirs)))
            return NULL;
    }
    return first;
}

/* ---- shapes ---- */

static int64_t product(int rank, const int64_t *shape)
{
    int64_t count = 1;
    for (int i = 0; i < rank; ++i)
        count *= shape[i];
    return count;
}

/* Whether the dimensions can be cut in two with these products. */
static bool splits(const weight *w, int64_t front, int64_t back)
{
    int64_t count = 1;
    for (int i = 0; i + 1 < w->rank; ++i) {
        count *= w->shape[i];
        if (count == front && product(w->rank - i - 1, w->shape + i + 1) == back)
            return true;
    }
    return false;
}

static bool fits(const weight *w, rule_change change, int rank, const int64_t *shape)
{
    switch (change) {
    case RULE_RESHAPED:
        return product(w->rank, w->shape) == product(rank, shape);
    case RULE_TRANSPOSED:
        return rank == 2 && splits(w, shape[1], shape[0]);
    case RULE_HWIO:
        return rank == 4 && w->rank == 4 && w->shape[0] == shape[2] && w->shape[1] == shape[3] &&
               w->shape[2] == shape[1] && w->shape[3] == shape[0];
    case RULE_NAME_ONLY:
        break;
    }
    bool same = w->rank == rank;
    for (int i = 0; same && i < rank; ++i)
        same = w->shape[i] == shape[i];
    return same;
}

/* One part of a tensor, the whole of most: its shape, in the architecture's order. */
static imiad_status find_piece(const weight **out, const weights_source *source, const char *ours,
                               int block, int piece, int rank, const int64_t *shape)
{
    char theirs[LONGEST_NAME], found[SHAPE_TEXT], wanted[SHAPE_TEXT];
    const name_rule *rule;
    const weight *w = source_name(theirs, &rule, source, ours, block, piece)
                          ? weights_find(source->file, theirs)
                          : NULL;
    if (!w)
        return fail(IMIAD_MISMATCH, "there is no weight %s", theirs);
    if (!fits(w, change_of(rule), rank, shape)) {
        return fail(IMIAD_MISMATCH, "weight %s is %s, the architecture needs %s", w->name,
                    shape_describe(found, w->rank, w->shape), shape_describe(wanted, rank, shape));
    }
    *out = w;
    return IMIAD_OK;
}

imiad_status source_check(const weights_source *source, const char *ours, int block, int rank,
                          const int64_t *shape)
{
    char theirs[LONGEST_NAME];
    const name_rule *rule = NULL;
    source_name(theirs, &rule, source, ours, block, 0);
    int count = piece_count(rule);
    int64_t part[WEIGHT_RANK];
    memcpy(part, shape, (size_t)rank * sizeof *part);
    part[0] /= count;
    for (int piece = 0; piece < count; ++piece) {
        const weight *w;
        if (!source_name(theirs, NULL, source, ours, block, piece) ||
            !weights_find(source->file, theirs))
            continue;
        TRY(find_piece(&w, source, ours, block, piece, rank, part));
    }
    return IMIAD_OK;
}

/* ---- loading ---- */

/* The file's own bytes, in the architecture's order of dimensions: nothing is copied. */
static tensor *turned(const weight *w, rule_change change, int rank, const int64_t *shape)
{
    tensor *t = t_view_of((void *)w->data, w->rank, w->shape, w->type);
    switch (change) {
    case RULE_TRANSPOSED:
        return t_transpose(t_view(t, 2, (int64_t[]){shape[1], shape[0]}), 0, 1);
    case RULE_HWIO:
        return t_permute(t, 4, (int[]){3, 2, 0, 1});
    case RULE_RESHAPED:
        return t_view(t, rank, shape);
    case RULE_NAME_ONLY:
        break;
    }
    return t;
}

tensor *source_load(const weights_source *source, const char *ours, int block, int rank,
                    const int64_t *shape)
{
    char theirs[LONGEST_NAME];
    const name_rule *rule = NULL;
    source_name(theirs, &rule, source, ours, block, 0);
    int count = piece_count(rule);
    int64_t part[WEIGHT_RANK];
    const weight *found[PIECES];
    tensor *parts[PIECES] = {NULL};
    memcpy(part, shape, (size_t)rank * sizeof *part);
    part[0] /= count;
    scope s = scope_begin();
    for (int i = 0; i < count; ++i) {
        if (!t_try(find_piece(&found[i], source, ours, block, i, rank, part)))
            break;
        if (!weight_is_finite(found[i]))
            t_fail(IMIAD_FORMAT, "weight %s holds a number that is not finite", found[i]->name);
        parts[i] = turned(found[i], change_of(rule), rank, part);
    }
    tensor *whole = t_contiguous(t_cat(parts, count, 0)); /* the one copy */
    for (int i = 0; i < count && !t_failed(); ++i)
        weights_spend(source->file, found[i]); /* each is loaded once */
    return scope_return(&s, whole);
}
