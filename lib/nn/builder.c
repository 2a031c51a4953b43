#include "nn/builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 256 };

builder builder_below(const builder *b, const char *format, ...)
{
    builder below = *b;
    size_t used = strlen(below.path), room = sizeof below.path - used;
    int dot = used ? snprintf(below.path + used, room, ".") : 0;
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(below.path + used + dot, room - (size_t)dot, format, arguments);
    va_end(arguments);
    if ((size_t)(dot + more) >= room)
        t_fail(IMIAD_INTERNAL, "the path of a module is too long: %s", below.path);
    if (more == 0)
        below.path[used] = '\0';
    return below;
}

/* "layer1.conv1.weight", or where the builder's path is empty, "weight". */
static void qualify(char out[NAME_BYTES], const char *front, const builder *b, const char *name)
{
    int length = snprintf(out, NAME_BYTES, "%s%s%s%s", front ? front : "", b->path,
                          b->path[0] && name[0] ? "." : "", name);
    if (length >= NAME_BYTES)
        t_fail(IMIAD_INTERNAL, "the name of a parameter is too long: %s", out);
}

/* The handle of a new parameter. */
static tensor *add(const builder *b, const char *name, tensor *initial, bool trainable)
{
    char whole[NAME_BYTES];
    qualify(whole, b->prefix, b, name);
    if (trainable)
        initial = params_lay(b->store, initial);
    return params_add(b->store, whole, t_to_device(initial, b->device), trainable);
}

static tensor *draw(const builder *b, const char *stream_end, initialisation how, int rank,
                    const int64_t *shape)
{
    char stream[NAME_BYTES];
    bool fixed = how == INIT_ZEROS || how == INIT_ONES;
    if (!b->purpose && !fixed)
        return t_zeros(rank, shape, F32, CPU);
    qualify(stream, b->purpose, b, stream_end);
    return init_weight(how, rank, shape, b->std > 0 ? b->std : 0.02, b->most > 0 ? b->most : 2,
                       b->seed, stream);
}

tensor *parameter_add(const builder *b, const char *name, int rank, const int64_t *shape,
                      initialisation how)
{
    return add(b, name, draw(b, name, how, rank, shape), true);
}

tensor *buffer_add(const builder *b, const char *name, int rank, const int64_t *shape, double value)
{
    return add(b, name, t_full(rank, shape, value, F32, CPU), false);
}

tensor *weight_add(const builder *b, int rank, const int64_t *shape)
{
    const char *end = b->short_streams && b->path[0] ? "" : "weight";
    return add(b, "weight", draw(b, end, b->weights, rank, shape), true);
}

tensor *bias_add(const builder *b, int64_t count, const tensor *weight)
{
    if (b->biases != INIT_DEFAULT || !b->purpose)
        return parameter_add(b, "bias", 1, &count, b->biases);
    char stream[NAME_BYTES];
    int64_t fan_in = t_count(weight) / (t_size(weight, 0) > 0 ? t_size(weight, 0) : 1);
    qualify(stream, b->purpose, b, "bias");
    return add(b, "bias", init_default_bias(count, fan_in, b->seed, stream), true);
}
