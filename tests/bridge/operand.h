/* Tensors and their expectations written as text: "2,3: 1 2 3 4 5 6" is a matrix of two rows,
 * ": 7" a scalar, "i64 2: 0 1" has a type of its own, "bool 2: 1 0" too, "2,3" alone is filled with
 * 0.1, 0.2, ... (integers: zeros). Operands are separated by "|". */
#ifndef TESTS_BRIDGE_OPERAND_H
#define TESTS_BRIDGE_OPERAND_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/tensor.h"
#include "check_suite.h"

enum { MOST_VALUES = 256, MOST_OPERANDS = 5, MOST_RANK = 5 };

typedef struct operand {
    dtype type; /* 0: the test's real type */
    int rank, count;
    int64_t shape[MOST_RANK];
    double values[MOST_VALUES];
} operand;

static inline const char *operand_type(const char *text, dtype *type)
{
    static const struct {
        const char *name;
        dtype type;
    } names[] = {{"i64 ", I64}, {"i32 ", I32}, {"u8 ", U8}, {"bool ", BOOL}};
    *type = (dtype)0;
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (strncmp(text, names[i].name, strlen(names[i].name)) == 0) {
            *type = names[i].type;
            return text + strlen(names[i].name);
        }
    return text;
}

/* Reads one operand; returns what follows its "|", or NULL after the last. */
static inline const char *operand_read(operand *out, const char *text)
{
    memset(out, 0, sizeof *out);
    while (*text == ' ')
        ++text;
    text = operand_type(text, &out->type);
    int64_t wanted = 1;
    while (*text >= '0' && *text <= '9') {
        char *end;
        out->shape[out->rank] = strtoll(text, &end, 10);
        wanted *= out->shape[out->rank++];
        text = *end == ',' ? end + 1 : end;
    }
    bool listed = *text == ':';
    if (listed)
        ++text;
    while (*text && *text != '|') {
        char *end;
        double value = strtod(text, &end);
        if (end == text) {
            ++text;
            continue;
        }
        out->values[out->count++] = value;
        text = end;
    }
    for (; !listed && out->count < wanted; ++out->count)
        out->values[out->count] = out->type ? 0 : 0.1 * (out->count + 1);
    if (out->count != wanted || wanted > MOST_VALUES) {
        fprintf(stderr, "the test's operand has %d values, not %d\n", out->count, (int)wanted);
        abort();
    }
    return *text == '|' ? text + 1 : NULL;
}

static inline device test_place(void)
{
    device place = CPU;
    ck_ok(device_parse(&place, test_device()));
    return place;
}

static inline tensor *operand_make(const operand *o, dtype real)
{
    return t_to(t_from(o->values, o->rank, o->shape, F64, test_place()), o->type ? o->type : real);
}

/* With `step` more in one element of one of them. */
static inline int operands_make_near(tensor **out, const char *text, dtype real, int which,
                                     int element, double step)
{
    int count = 0;
    operand o;
    while (text && *text) {
        text = operand_read(&o, text);
        if (count == which)
            o.values[element] += step;
        out[count++] = operand_make(&o, real);
    }
    return count;
}

static inline int operands_make(tensor **out, const char *text, dtype real)
{
    return operands_make_near(out, text, real, -1, 0, 0);
}

/* Writes what is wrong with `got`; false where nothing is. */
static inline bool operand_differs(char *out, size_t size, tensor *got, const char *text,
                                   dtype real, double tolerance)
{
    operand o;
    operand_read(&o, text);
    if (t_failed() || !got)
        return snprintf(out, size, "no result") > 0;
    if (t_rank(got) != o.rank)
        return snprintf(out, size, "rank %d, not %d", t_rank(got), o.rank) > 0;
    for (int d = 0; d < o.rank; ++d)
        if (t_size(got, d) != o.shape[d])
            return snprintf(out, size, "%d rows in dimension %d, not %d", (int)t_size(got, d), d,
                            (int)o.shape[d]) > 0;
    if (t_type(got) != (o.type ? o.type : real))
        return snprintf(out, size, "type %d, not %d", t_type(got), o.type ? o.type : real) > 0;
    double values[MOST_VALUES];
    t_read(t_to(got, F64), values, sizeof *values * (size_t)o.count);
    for (int i = 0; i < o.count; ++i)
        if (!(fabs(values[i] - o.values[i]) <= tolerance * (1 + fabs(o.values[i]))) &&
            !(isnan(values[i]) && isnan(o.values[i])))
            return snprintf(out, size, "element %d is %.17g, not %.17g", i, values[i],
                            o.values[i]) > 0;
    return false;
}

#endif
