/* What arrays of a file that comes from outside must be before they are used. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "weights/weights.h"

char *shape_describe(char out[SHAPE_TEXT], int rank, const int64_t *shape)
{
    size_t used = (size_t)snprintf(out, SHAPE_TEXT, "%s", rank == 0 ? "one number" : "");
    for (int d = 0; d < rank && used < SHAPE_TEXT; ++d) {
        char size[24] = "any";
        if (shape[d] != ANY_SIZE)
            snprintf(size, sizeof size, "%" PRId64, shape[d]);
        used += (size_t)snprintf(out + used, SHAPE_TEXT - used, "%s%s", d ? " x " : "", size);
    }
    return out;
}

static bool has_shape(const weight *w, int rank, const int64_t *shape)
{
    bool same = w->rank == rank;
    for (int d = 0; same && d < rank; ++d)
        same = shape[d] == ANY_SIZE ? w->shape[d] > 0 : w->shape[d] == shape[d];
    return same;
}

imiad_status weights_expect(const weight **out, const weights *file, const char *name, dtype type,
                            int rank, const int64_t *shape)
{
    const weight *w = weights_find(file, name);
    char found[SHAPE_TEXT], wanted[SHAPE_TEXT];
    shape_describe(wanted, rank, shape);
    if (!w)
        return fail(IMIAD_FORMAT, "there is no %s, %s of %s", name, wanted, dtype_name(type));
    if (w->type != type || !has_shape(w, rank, shape))
        return fail(IMIAD_FORMAT, "%s is %s of %s, and should be %s of %s", name,
                    shape_describe(found, w->rank, w->shape), dtype_name(w->type), wanted,
                    dtype_name(type));
    if (out)
        *out = w;
    return IMIAD_OK;
}

/* An exponent of ones is an infinity or no number. */
#define HAS_EXPONENT_OF_ONES(name, bits, ones)                                                     \
    static bool name(const bits *values, size_t count)                                             \
    {                                                                                              \
        bits found = 0;                                                                            \
        for (size_t i = 0; i < count; ++i)                                                         \
            found |= (values[i] & (bits)(ones)) == (bits)(ones);                                   \
        return found;                                                                              \
    }
HAS_EXPONENT_OF_ONES(has_odd_float, uint32_t, 0x7f800000)
HAS_EXPONENT_OF_ONES(has_odd_double, uint64_t, 0x7ff0000000000000)
HAS_EXPONENT_OF_ONES(has_odd_half, uint16_t, 0x7c00)
HAS_EXPONENT_OF_ONES(has_odd_brain, uint16_t, 0x7f80)

bool weight_is_finite(const weight *w)
{
    size_t count = w->bytes / dtype_bytes(w->type);
    switch (w->type) {
    case F32:
        return !has_odd_float(w->data, count);
    case F64:
        return !has_odd_double(w->data, count);
    case F16:
        return !has_odd_half(w->data, count);
    case BF16:
        return !has_odd_brain(w->data, count);
    case I64:
    case I32:
    case U8:
    case BOOL:
        break;
    }
    return true;
}
