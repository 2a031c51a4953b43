/* The kernels for one instruction set; kernels.c includes this once for each, with
 *     NAME(word)  the identifier for this set
 *     TARGET      the attribute that allows its instructions
 *     LESS(a, b)  one bit for each element of a that is less than b's
 *     LESS_DOUBLES(a, b)  the same for vectors of half as many doubles
 *     CODE_PRODUCTS, CODE_MOST, TILE_PRODUCTS, CROWD  kernels.code_products, .code_most,
 *                 .tile_products, .crowd
 *     ADD_SQUARE(sum, d)  sum + d * d, rounded once or twice
 *     WIDTH       the floats of one of its vectors, a divisor of LANES
 * GCC and Clang turn operations on these vector types into single instructions. */

typedef float NAME(vector)
    __attribute__((vector_size(WIDTH * sizeof(float)), aligned(4), may_alias));
#define LOAD(from) (*(const NAME(vector) *)(from))
enum { NAME(PARTS) = LANES / WIDTH };

TARGET INLINE float NAME(add_lanes)(const NAME(vector) * sum)
{
    float part[LANES];
    memcpy(part, sum, sizeof part);
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; ++l)
            part[l] += part[l + half];
    return part[0];
}

typedef uint16_t NAME(halves)
    __attribute__((vector_size(WIDTH * sizeof(uint16_t)), aligned(2), may_alias));
typedef uint32_t NAME(words) __attribute__((vector_size(WIDTH * sizeof(uint32_t))));

/* widen_number of WIDTH columns at once */
TARGET INLINE NAME(vector) NAME(load)(const void *row, size_t column, imiad_storage storage)
{
    if (storage == IMIAD_STORAGE_FLOAT32)
        return LOAD((const float *)row + column);
    const NAME(halves) *halves = (const void *)((const uint16_t *)row + column);
    NAME(words) bits = __builtin_convertvector(*halves, NAME(words));
    if (storage == IMIAD_STORAGE_BFLOAT16)
        return (NAME(vector))(bits << 16);
    NAME(vector) size = (NAME(vector))((bits & 0x7fff) << 13) * 0x1p112f;
    return (NAME(vector))((NAME(words))size | (bits & 0x8000) << 16);
}

TARGET INLINE float NAME(distance)(const void *a, imiad_storage of_a, const void *b,
                                   imiad_storage of_b, size_t columns)
{
    NAME(vector) sum[NAME(PARTS)] = {{0}};
    size_t j = 0;
    for (; j + LANES <= columns; j += LANES)
        for (size_t p = 0; p < NAME(PARTS); ++p) {
            NAME(vector)
            d = NAME(load)(a, j + p * WIDTH, of_a) - NAME(load)(b, j + p * WIDTH, of_b);
            sum[p] += d * d;
        }
    if (j < columns) {
        float d[LANES] = {0};
        for (size_t l = 0; j + l < columns; ++l)
            d[l] = widen_number(a, j + l, of_a) - widen_number(b, j + l, of_b);
        for (size_t p = 0; p < NAME(PARTS); ++p)
            sum[p] += LOAD(d + p * WIDTH) * LOAD(d + p * WIDTH);
    }
    return NAME(add_lanes)(sum);
}

TARGET static float NAME(squared_distance)(const float *a, const float *b, size_t columns)
{
    return NAME(distance)(a, IMIAD_STORAGE_FLOAT32, b, IMIAD_STORAGE_FLOAT32, columns);
}

#define STORED(word, storage)                                                                      \
    TARGET static float NAME(distance_to_##word)(const float *a, const void *row, size_t columns)  \
    {                                                                                              \
        return NAME(distance)(a, IMIAD_STORAGE_FLOAT32, row, storage, columns);                    \
    }                                                                                              \
    TARGET static float NAME(distance_between_##word)(const void *row, const void *other,          \
                                                      size_t columns)                              \
    {                                                                                              \
        return NAME(distance)(row, storage, other, storage, columns);                              \
    }                                                                                              \
    TARGET static void NAME(widen_##word)(float *out, const void *row, size_t columns)             \
    {                                                                                              \
        size_t j = 0;                                                                              \
        for (; j + WIDTH <= columns; j += WIDTH)                                                   \
            *(NAME(vector) *)(out + j) = NAME(load)(row, j, storage);                              \
        for (; j < columns; ++j)                                                                   \
            out[j] = widen_number(row, j, storage);                                                \
    }
STORED(float32, IMIAD_STORAGE_FLOAT32)
STORED(bfloat16, IMIAD_STORAGE_BFLOAT16)
STORED(float16, IMIAD_STORAGE_FLOAT16)
#undef STORED

TARGET static void NAME(squared_distances)(float *out, const float *point, const float *rows,
                                           size_t count, size_t columns)
{
    for (size_t i = 0; i < count; ++i)
        out[i] = NAME(squared_distance)(point, rows + i * columns, columns);
}

/* height rows times width others at once: every loaded vector is used several times */
TARGET INLINE void NAME(product_tile)(float *out, size_t pitch, const float *rows, size_t height,
                                      const float *other, size_t width, size_t columns)
{
    NAME(vector) sum[TILE][TILE][NAME(PARTS)] = {{{{0}}}};
    size_t j = 0;
    for (; j + LANES <= columns; j += LANES)
        for (size_t h = 0; h < height; ++h)
            for (size_t w = 0; w < width; ++w)
                for (size_t p = 0; p < NAME(PARTS); ++p)
                    sum[h][w][p] += LOAD(rows + h * columns + j + p * WIDTH) *
                                    LOAD(other + w * columns + j + p * WIDTH);
    for (size_t h = 0; h < height; ++h)
        for (size_t w = 0; w < width; ++w) {
            float rest[LANES] = {0};
            for (size_t l = 0; j + l < columns; ++l)
                rest[l] = rows[h * columns + j + l] * other[w * columns + j + l];
            for (size_t p = 0; p < NAME(PARTS); ++p)
                sum[h][w][p] += LOAD(rest + p * WIDTH);
            out[h * pitch + w] = NAME(add_lanes)(sum[h][w]);
        }
}

TARGET static void NAME(products)(float *out, const float *rows, size_t count, const float *other,
                                  size_t others, size_t columns)
{
    size_t i = 0;
    for (; i + TILE <= count; i += TILE) {
        size_t j = 0;
        for (; j + TILE <= others; j += TILE)
            NAME(product_tile)
        (out + i * others + j, others, rows + i * columns, TILE, other + j * columns, TILE,
         columns);
        for (; j < others; ++j)
            NAME(product_tile)
        (out + i * others + j, others, rows + i * columns, TILE, other + j * columns, 1, columns);
    }
    for (; i < count; ++i)
        for (size_t j = 0; j < others; ++j)
            NAME(product_tile)
    (out + i * others + j, others, rows + i * columns, 1, other + j * columns, 1, columns);
}

TARGET static size_t NAME(near)(uint32_t *found, const float *groups, size_t count,
                                const float *point, const float *limits, size_t step)
{
    size_t held = 0;
    for (size_t g = 0; g < count; ++g, groups += SKETCH * LANES, limits += step) {
        NAME(vector) sum[NAME(PARTS)] = {{0}};
        for (size_t c = 0; c < SKETCH; ++c)
            for (size_t p = 0; p < NAME(PARTS); ++p) {
                NAME(vector) d = LOAD(groups + c * LANES + p * WIDTH) - point[c];
                sum[p] = ADD_SQUARE(sum[p], d);
            }
        uint32_t bits = 0;
        for (size_t p = 0; p < NAME(PARTS); ++p)
            bits |= (uint32_t)LESS(sum[p], LOAD(limits + p * WIDTH)) << (p * WIDTH);
        for (; bits; bits &= bits - 1)
            found[held++] = (uint32_t)(g * LANES) + (uint32_t)__builtin_ctz(bits);
    }
    return held;
}

TARGET static void NAME(apart)(float *out, const float *groups, size_t count, const float *point)
{
    for (size_t g = 0; g < count; ++g, groups += SKETCH * LANES, out += LANES) {
        NAME(vector) sum[NAME(PARTS)] = {{0}};
        for (size_t c = 0; c < SKETCH; ++c)
            for (size_t p = 0; p < NAME(PARTS); ++p) {
                NAME(vector) d = LOAD(groups + c * LANES + p * WIDTH) - point[c];
                sum[p] = ADD_SQUARE(sum[p], d);
            }
        memcpy(out, sum, sizeof sum);
    }
}

typedef double NAME(doubles)
    __attribute__((vector_size(WIDTH * sizeof(float)), aligned(8), may_alias));
typedef int32_t NAME(integers)
    __attribute__((vector_size(WIDTH / 2 * sizeof(int32_t)), aligned(4), may_alias));
#define DOUBLES(from, at) (*(const NAME(doubles) *)((from) + (at)))

TARGET static uint64_t NAME(tile_near)(const int32_t *products, size_t groups,
                                       const tile_limits *limits, double square, double scale,
                                       double rest)
{
    uint64_t near = 0;
    for (size_t q = 0; q < groups * LANES; q += WIDTH / 2) {
        NAME(doubles)
        product = __builtin_convertvector(*(const NAME(integers) *)(products + q), NAME(doubles));
        NAME(doubles)
        apart = DOUBLES(limits->square, q) + square -
                scale * DOUBLES(limits->scale, q) * (product - DOUBLES(limits->offset, q));
        NAME(doubles) needed = DOUBLES(limits->reach, q) + rest;
        near |= (uint64_t)LESS_DOUBLES(apart, needed * needed) << q;
    }
    return near;
}
#undef DOUBLES

TARGET static void NAME(subtract)(float *out, const float *a, const float *b, size_t columns)
{
    for (size_t j = 0; j < columns; ++j)
        out[j] = a[j] - b[j];
}

TARGET static void NAME(add_multiple)(float *out, float factor, const float *a, size_t columns)
{
    for (size_t j = 0; j < columns; ++j)
        out[j] += factor * a[j];
}

TARGET static float NAME(largest)(const float *a, size_t columns)
{
    uint32_t most = 0; /* without their sign, numbers are in the order of their bits */
    for (size_t j = 0; j < columns; ++j) {
        uint32_t bits;
        memcpy(&bits, a + j, sizeof bits);
        bits &= 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    float size;
    memcpy(&size, &most, sizeof size);
    return size;
}

TARGET static void NAME(encode)(int8_t *code, float *values, float scale, size_t columns)
{
    float inverse = scale > 0 ? 1 / scale : 0;
    for (size_t j = 0; j < columns; ++j) {
        float v = values[j] * inverse;
        int32_t c = (int32_t)(v + (v < 0 ? -0.5f : 0.5f));
        c = c > 127 ? 127 : c < -127 ? -127 : c;
        code[j] = (int8_t)c;
        values[j] -= scale * (float)c;
    }
}

TARGET static void NAME(code_sums)(int64_t *sum, int64_t *squares, const int8_t *code, size_t count)
{
    int32_t a = 0, b = 0;
    for (size_t i = 0; i < count; ++i) {
        a += code[i];
        b += code[i] * code[i];
    }
    *sum = a;
    *squares = b;
}

#define BY_STORAGE(word)                                                                           \
    {                                                                                              \
        [IMIAD_STORAGE_FLOAT32] = NAME(word##_float32),                                            \
        [IMIAD_STORAGE_BFLOAT16] = NAME(word##_bfloat16),                                          \
        [IMIAD_STORAGE_FLOAT16] = NAME(word##_float16)                                             \
    }
static const kernels NAME(kernels) = {NAME_TEXT,
                                      NAME(squared_distance),
                                      BY_STORAGE(distance_to),
                                      BY_STORAGE(distance_between),
                                      BY_STORAGE(widen),
                                      NAME(squared_distances),
                                      NAME(products),
                                      NAME(near),
                                      NAME(apart),
                                      CODE_MOST,
                                      CODE_PRODUCTS,
                                      TILE_PRODUCTS,
                                      NAME(tile_near),
                                      CROWD,
                                      NAME(subtract),
                                      NAME(add_multiple),
                                      NAME(largest),
                                      NAME(encode),
                                      NAME(code_sums)};

#undef NAME
#undef NAME_TEXT
#undef TARGET
#undef WIDTH
#undef TILE
#undef LESS
#undef LESS_DOUBLES
#undef ADD_SQUARE
#undef CODE_PRODUCTS
#undef TILE_PRODUCTS
#undef CROWD
#undef CODE_MOST
#undef LOAD
#undef BY_STORAGE
