/* The store itself, and arithmetic over all of it. */
#include "nn/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "base/threads.h"
#include "weights/weights.h"

enum { AT_ONCE = 1 << 16 }; /* numbers of a gradient that is clipped */

struct params {
    param *list;
    size_t count, room;
    bool planes; /* of kernels, not channels-last */
};

imiad_status params_create(params **out)
{
    params *p = calloc(1, sizeof *p);
    if (!p)
        return fail_memory("a parameter store", sizeof *p);
    *out = p;
    return IMIAD_OK;
}

void params_lay_planes(params *p)
{
    p->planes = true;
}

tensor *params_lay(const params *p, tensor *x)
{
    if (t_rank(x) != 4)
        return x;
    return p->planes ? t_contiguous(x) : t_channels_last(x);
}

void params_free(params *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; ++i) {
        t_free(p->list[i].value);
        free((char *)p->list[i].name);
    }
    free(p->list);
    free(p);
}

tensor *params_add(params *p, const char *name, tensor *initial, bool trainable)
{
    if (t_failed())
        return NULL;
    if (params_find(p, name))
        return t_fail(IMIAD_INTERNAL, "the parameter %s is there already", name);
    char *own_name = strdup(name);
    if (!own_name ||
        !t_try(array_reserve(&p->list, p->count, &p->room, sizeof *p->list, "a parameter store"))) {
        free(own_name);
        return t_fail(IMIAD_NO_MEMORY, "out of memory for the parameter %s", name);
    }
    tensor *value = t_keep(t_clone(t_detach(initial)));
    if (!value) {
        free(own_name);
        return NULL;
    }
    if (trainable)
        t_require_grad(value, true);
    p->list[p->count++] = (param){own_name, value, trainable, !trainable};
    return value;
}

size_t params_count(const params *p)
{
    return p->count;
}

const param *params_at(const params *p, size_t index)
{
    return index < p->count ? &p->list[index] : NULL;
}

const param *params_find(const params *p, const char *name)
{
    for (size_t i = 0; i < p->count; ++i)
        if (strcmp(p->list[i].name, name) == 0)
            return &p->list[i];
    return NULL;
}

const param *params_of(const params *p, const tensor *value)
{
    for (size_t i = 0; value && i < p->count; ++i)
        if (p->list[i].value == value)
            return &p->list[i];
    return NULL;
}

void params_remove(params *p, const tensor *value)
{
    const param *found = params_of(p, value);
    if (!found)
        return;
    size_t at = (size_t)(found - p->list);
    t_free(p->list[at].value);
    free((char *)p->list[at].name);
    memmove(p->list + at, p->list + at + 1, (p->count - at - 1) * sizeof *p->list);
    --p->count;
}

int64_t params_elements(const params *p, bool only_trainable)
{
    int64_t elements = 0;
    for (size_t i = 0; i < p->count; ++i)
        if (p->list[i].trainable || !only_trainable)
            elements += t_count(p->list[i].value);
    return elements;
}

size_t params_bytes(const params *p)
{
    size_t bytes = 0;
    for (size_t i = 0; i < p->count; ++i)
        bytes += (size_t)t_count(p->list[i].value) * dtype_bytes(t_type(p->list[i].value));
    return bytes;
}

size_t params_set_trainable(params *p, const char *prefix, bool trainable)
{
    size_t length = prefix ? strlen(prefix) : 0, changed = 0;
    scope s = scope_begin();
    for (size_t i = 0; i < p->count; ++i) {
        param *one = &p->list[i];
        if (one->buffer || (length && strncmp(one->name, prefix, length) != 0))
            continue;
        t_require_grad(one->value, trainable);
        if (!trainable)
            t_clear_grad(one->value);
        one->trainable = trainable;
        ++changed;
    }
    scope_return(&s, NULL);
    return changed;
}

static bool is_real(dtype type)
{
    return type == F32 || type == F64 || type == F16 || type == BF16;
}

imiad_status params_to(params *p, dtype type, device d)
{
    scope s = scope_begin();
    for (size_t i = 0; i < p->count; ++i) {
        tensor *value = p->list[i].value;
        dtype wanted = type && is_real(t_type(value)) ? type : t_type(value);
        t_become_(value, t_to_device(t_to(value, wanted), d));
    }
    return scope_end(&s);
}

/* ---- copies ---- */

imiad_status params_clone(params **out, const params *from)
{
    params *copy = NULL;
    TRY(params_create(&copy));
    scope s = scope_begin();
    for (size_t i = 0; i < from->count && !t_failed(); ++i) {
        const param *one = &from->list[i];
        params_add(copy, one->name, one->value, one->trainable);
        if (!t_failed())
            copy->list[i].buffer = one->buffer;
    }
    imiad_status status = scope_end(&s);
    if (status != IMIAD_OK) {
        params_free(copy);
        return status;
    }
    *out = copy;
    return IMIAD_OK;
}

static bool same_shape(const tensor *a, const tensor *b)
{
    bool same = t_rank(a) == t_rank(b);
    for (int d = 0; same && d < t_rank(a); ++d)
        same = t_size(a, d) == t_size(b, d);
    return same;
}

static imiad_status check_twins(const params *a, const params *b)
{
    if (a->count != b->count)
        return fail(IMIAD_MISMATCH, "a store of %zu parameters does not fit one of %zu", b->count,
                    a->count);
    for (size_t i = 0; i < a->count; ++i) {
        const param *twin = params_find(b, a->list[i].name);
        if (!twin)
            return fail(IMIAD_MISMATCH, "the parameter %s is missing", a->list[i].name);
        if (!same_shape(a->list[i].value, twin->value))
            return fail(IMIAD_MISMATCH, "the parameter %s has another shape", a->list[i].name);
    }
    return IMIAD_OK;
}

imiad_status params_copy(params *into, const params *from)
{
    TRY(check_twins(into, from));
    scope s = scope_begin();
    for (size_t i = 0; i < into->count; ++i)
        t_copy_(into->list[i].value, params_find(from, into->list[i].name)->value);
    return scope_end(&s);
}

imiad_status params_average(params *average, const params *p, double decay)
{
    TRY(check_twins(average, p));
    scope s = scope_begin();
    for (size_t i = 0; i < average->count; ++i) {
        const param *one = params_find(p, average->list[i].name);
        if (one->buffer)
            t_copy_(average->list[i].value, one->value);
        else
            t_lerp_(average->list[i].value, one->value, 1 - decay);
    }
    return scope_end(&s);
}

/* ---- gradients ---- */

void params_clear_grad(params *p)
{
    scope s = scope_begin();
    for (size_t i = 0; i < p->count; ++i)
        if (p->list[i].trainable)
            t_clear_grad(p->list[i].value);
    scope_return(&s, NULL);
}

enum { LANES = 8 };

typedef struct squared {
    const float *numbers;
    double *sums; /* one of each piece */
} squared;

static void square_piece(void *context, size_t begin, size_t end)
{
    const squared *s = context;
    double lanes[LANES] = {0}, sum = 0;
    size_t i = begin;
    for (; i + LANES <= end; i += LANES)
        for (size_t lane = 0; lane < LANES; ++lane)
            lanes[lane] += (double)s->numbers[i + lane] * (double)s->numbers[i + lane];
    for (; i < end; ++i)
        sum += (double)s->numbers[i] * (double)s->numbers[i];
    for (size_t lane = 0; lane < LANES; ++lane)
        sum += lanes[lane];
    s->sums[begin / AT_ONCE] = sum;
}

static double sum_of_squared_floats(const float *numbers, size_t count)
{
    size_t pieces = (count + AT_ONCE - 1) / AT_ONCE;
    squared s = {numbers, calloc(pieces + 1, sizeof *s.sums)};
    if (!s.sums) {
        t_try(fail_memory("a gradient's norm", (pieces + 1) * sizeof *s.sums));
        return NAN;
    }
    parallel_for(count, AT_ONCE, square_piece, &s);
    double sum = 0;
    for (size_t i = 0; i < pieces; ++i)
        sum += s.sums[i];
    free(s.sums);
    return sum;
}

/* A few rows at a time: a copy of all in double precision, and its squares, would be four times the
 * gradient, from memory that is new in every step. */
static double sum_of_squares(tensor *t)
{
    const float *numbers = t_floats_like(t, t);
    if (numbers)
        return sum_of_squared_floats(numbers, (size_t)t_count(t));
    int64_t rows = t_rank(t) > 0 ? t_size(t, 0) : 1, row = rows > 0 ? t_count(t) / rows : 1;
    int64_t some = row < AT_ONCE ? AT_ONCE / (row > 0 ? row : 1) : 1;
    double sum = 0;
    for (int64_t first = 0; first < rows && !t_failed(); first += some) {
        int64_t end = first + some < rows ? first + some : rows;
        scope s = scope_begin();
        tensor *part = some < rows ? t_slice(t, 0, first, end) : t;
        sum += t_item(t_sum_all(t_square(t_to(part, F64))));
        scope_return(&s, NULL);
    }
    return sum;
}

double tensors_clip_grad(tensor *const *values, size_t count, double most)
{
    scope s = scope_begin();
    double squares = 0;
    for (size_t i = 0; i < count; ++i) {
        tensor *gradient = t_grad(values[i]);
        if (gradient)
            squares += sum_of_squares(gradient);
    }
    double norm = sqrt(squares), factor = most / (norm + 1e-6);
    for (size_t i = 0; i < count && factor < 1; ++i) {
        tensor *gradient = t_grad(values[i]);
        if (gradient)
            t_mul_(gradient, factor);
    }
    scope_return(&s, NULL);
    return t_failed() ? NAN : norm;
}

double params_clip_grad(params *p, double most)
{
    size_t count = 0;
    tensor **values = malloc((p->count + 1) * sizeof *values);
    if (!values) {
        t_try(fail_memory("gradients", (p->count + 1) * sizeof *values));
        return NAN;
    }
    for (size_t i = 0; i < p->count; ++i)
        if (p->list[i].trainable)
            values[count++] = p->list[i].value;
    double norm = tensors_clip_grad(values, count, most);
    free(values);
    return norm;
}
