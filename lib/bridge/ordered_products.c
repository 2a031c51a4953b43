#include "bridge/ordered_products.h"

#include <string.h>

enum {
    HIGH = 4,   /* rows that share a load */
    DEEP = 128, /* rows of the right matrix that lie packed: up to 32 KB */
    TALL = 256  /* rows of a part */
};

static int64_t parts_of_one(const ordered_products *p)
{
    return (p->rows + TALL - 1) / TALL;
}

size_t ordered_products_parts(const ordered_products *p)
{
    return (size_t)(p->count * parts_of_one(p));
}

#define BYTES 16
#define TARGET
#define REAL     float
#define OF(name) name##_floats_any
#include "bridge/ordered_products_kernel.h"
#undef REAL
#undef OF
#define REAL     double
#define OF(name) name##_doubles_any
#include "bridge/ordered_products_kernel.h"
#undef REAL
#undef OF
#undef BYTES
#undef TARGET

#if defined(__x86_64__) && defined(__GNUC__)
#define BYTES    32
#define TARGET   __attribute__((target("avx2")))
#define REAL     float
#define OF(name) name##_floats_avx2
#include "bridge/ordered_products_kernel.h"
#undef REAL
#undef OF
#define REAL     double
#define OF(name) name##_doubles_avx2
#include "bridge/ordered_products_kernel.h"
#undef REAL
#undef OF
#undef BYTES
#undef TARGET

#define BYTES    64
#define TARGET   __attribute__((target("avx512f")))
#define REAL     float
#define OF(name) name##_floats_avx512
#include "bridge/ordered_products_kernel.h"
#undef REAL
#undef OF
#define REAL     double
#define OF(name) name##_doubles_avx512
#include "bridge/ordered_products_kernel.h"
#undef REAL
#undef OF
#undef BYTES
#undef TARGET
#define HAS(what) __builtin_cpu_supports(what)
#endif

typedef void part_of_products(const ordered_products *p, int64_t index);

static part_of_products *of_width(bool doubles, int bytes)
{
    if (bytes == 16)
        return doubles ? one_part_doubles_any : one_part_floats_any;
#ifdef HAS
    if (bytes == 32 && HAS("avx2"))
        return doubles ? one_part_doubles_avx2 : one_part_floats_avx2;
    if (bytes == 64 && HAS("avx512f"))
        return doubles ? one_part_doubles_avx512 : one_part_floats_avx512;
#endif
    return NULL;
}

bool ordered_products_of_width(const ordered_products *p, int bytes, size_t begin, size_t end)
{
    part_of_products *part = of_width(p->doubles, bytes);
    for (size_t i = begin; part && i < end; ++i)
        part(p, (int64_t)i);
    return part != NULL;
}

void ordered_products_piece(void *products, size_t begin, size_t end)
{
    for (int bytes = 64; !ordered_products_of_width(products, bytes, begin, end);)
        bytes /= 2;
}
