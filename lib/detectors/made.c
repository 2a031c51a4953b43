#include "detectors/made.h"

#include <string.h>

/* Results lie one after the other, each at a multiple of this. */
enum { ALIGNMENT = 64 };

/* The shape of one result, and its bytes. */
static size_t measure(made_output *out, const made_spec *spec, int32_t width, int32_t height)
{
    bool planes = spec->kind == MADE_PLANES;
    *out = (made_output){.channels = planes                     ? spec->channels
                                     : spec->kind == MADE_IMAGE ? 3
                                                                : 1,
                         .height = planes && spec->height ? spec->height : height,
                         .width = planes && spec->width ? spec->width : width};
    size_t values = (size_t)out->channels * (size_t)out->height * (size_t)out->width;
    return planes ? values * sizeof(float) : values;
}

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t made_bytes(const train_maker *maker, int32_t width, int32_t height)
{
    made_output one;
    size_t bytes = 0;
    for (int i = 0; i < maker->count; ++i)
        bytes += rounded(measure(&one, &maker->specs[i], width, height));
    return bytes;
}

static void lay_out(made_output *out, const train_maker *maker, int32_t width, int32_t height,
                    uint8_t *block)
{
    for (int i = 0; i < maker->count; ++i) {
        size_t bytes = measure(&out[i], &maker->specs[i], width, height);
        if (maker->specs[i].kind == MADE_PLANES)
            out[i].values = (float *)(void *)block;
        else
            out[i].bytes = block;
        block += rounded(bytes);
    }
}

void made_lay_out(made_output *out, const train_maker *maker, const imiad_image *image, void *block)
{
    memset(block, 0, made_bytes(maker, image->width, image->height));
    lay_out(out, maker, image->width, image->height, block);
}

static void convert(float *values, const made_output *from, made_kind kind,
                    const imiad_detector *self)
{
    size_t count = (size_t)from->channels * (size_t)from->height * (size_t)from->width;
    imiad_image image = {.struct_size = sizeof image,
                         .format = IMIAD_PIXEL_RGB8,
                         .width = from->width,
                         .height = from->height,
                         .stride = (size_t)from->width * 3,
                         .pixels = from->bytes};
    if (kind == MADE_IMAGE)
        preprocess_normalize(values, &image, &self->preprocessing);
    else if (kind == MADE_PLANES)
        memcpy(values, from->values, count * sizeof *values);
    for (size_t p = 0; kind == MADE_MASK && p < count; ++p)
        values[p] = from->bytes[p] > 0;
}

void made_collect(batch *b, const imiad_detector *self, const train_maker *maker,
                  const loaded *items)
{
    tensor *host[MADE_TENSORS];
    made_output made[MADE_TENSORS];
    for (int k = 0; k < maker->count; ++k) {
        measure(&made[k], &maker->specs[k], (int32_t)b->width, (int32_t)b->height);
        host[k] = t_zeros(4, (int64_t[]){b->count, made[k].channels, made[k].height, made[k].width},
                          F32, CPU);
    }
    for (int64_t i = 0; i < b->count && !t_failed(); ++i) {
        lay_out(made, maker, (int32_t)b->width, (int32_t)b->height, (uint8_t *)items[i].made);
        for (int k = 0; k < maker->count; ++k) {
            int64_t values = t_count(host[k]) / b->count;
            convert((float *)t_data(host[k]) + i * values, &made[k], maker->specs[k].kind, self);
        }
    }
    for (int k = 0; k < maker->count; ++k)
        b->made[k] = t_to_device(host[k], detector_device(self));
}
