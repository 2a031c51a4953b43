/* Exact nearest neighbours at a small part of the work of search_plain, with its results to the
 * last bit. A row is passed over only where a lower bound of its distance proves that it cannot be
 * among the k nearest: first by sketches, a block of rows at once; then by codes of one byte a
 * column. What sketches leave of most rows depends on the data. Where it is much, as of independent
 * noise, all codes of a block are multiplied with those of many queries at once, as matrices are.
 *
 * Codes bound distances from above, too: rows wait as candidates until the k least upper bounds
 * have ruled most of them out. What is left is measured by squared_distance, which alone decides.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bank/index.h"
#include "bank/nearest.h"
#include "bank/search.h"
#include "base/error.h"
#include "base/threads.h"

enum {
    BLOCK = 1024,         /* rows, a multiple of LANES: their codes stay in the cache */
    PIECE = TILE_QUERIES, /* queries that share a block */
    TRIED = 128,          /* rows of a block that tell what sketches leave of it, */
    FEWEST = 6,           /* queries that are worth a tile */
    SAMPLED = 256,        /* groups of sketches for a first guess */
    MOST_LIKELY = 64,     /* neighbours that are bounded from above */
    CANDIDATES = 256,     /* of a query, that wait */
    LINE = 64,            /* bytes */
};

typedef struct search_job {
    const imiad_bank *bank;
    const bank_index *index;
    const float *queries;
    size_t k;
    float *distances;
    int64_t *rows;
    const kernels *kernels;
    atomic_bool no_memory;
} search_job;

/* A row that may be near. */
typedef struct candidate {
    size_t row;
    float gap;  /* the row is far once the probe's reach is no more than this */
    float most; /* that its squared distance can be */
} candidate;

/* One query on its way through the blocks. */
typedef struct query {
    const float *point;
    const int8_t *code;
    nearest nearest; /* rows that were measured */
    nearest likely;  /* the least upper bounds; none where k is large */
    index_probe probe;
    float bound; /* rows farther than this, squared, do not matter */
    candidate *candidates;
    size_t held;
    bool crowded; /* sketches leave too many rows to look at each alone */
} query;

static void lower_bound(query *q, float bound)
{
    if (bound >= q->bound)
        return;
    q->bound = bound;
    index_probe_limit(&q->probe, bound);
}

static float measure(const search_job *job, const query *q, size_t row)
{
    const point_set points = bank_points(job->bank);
    return job->kernels->distance_to[points.storage](q->point, point_row(&points, row),
                                                     points.columns);
}

/* An upper bound of the k-th distance, from the rows whose sketches are nearest among some of the
 * bank's, evenly spread. Without enough of them: INFINITY. */
static float guess(const search_job *job, const query *q)
{
    float apart[LANES], distances[MOST_LIKELY], worst = 0;
    int64_t rows[MOST_LIKELY];
    nearest likely = {distances, rows, 0, job->k};
    size_t groups = ((size_t)job->bank->rows + LANES - 1) / LANES, step = groups / SAMPLED + 1;
    if (job->k > MOST_LIKELY)
        return INFINITY;
    for (size_t g = 0; g < groups; g += step) {
        job->kernels->apart(apart, job->index->groups + g * LANES * SKETCH, 1, q->probe.sketch);
        for (size_t l = 0; l < LANES; ++l)
            if (apart[l] < nearest_limit(&likely))
                offer(&likely, apart[l], (int64_t)(g * LANES + l));
    }
    for (size_t i = 0; i < likely.held; ++i) {
        float d = measure(job, q, (size_t)rows[i]);
        worst = d > worst ? d : worst;
    }
    return likely.held < job->k ? INFINITY : worst;
}

/* ---- candidates ---- */

/* Measures those whose upper bounds are among the k least, as what they are found to be rules
 * others out; and, if all shall be, what is not far then. */
static void measure_candidates(const search_job *job, query *q, bool all)
{
    float likely = q->likely.k > 0 ? nearest_limit(&q->likely) : INFINITY;
    for (int pass = 0; pass < 1 + all; ++pass) {
        size_t kept = 0;
        for (size_t i = 0; i < q->held; ++i) {
            const candidate c = q->candidates[i];
            if ((double)c.gap >= q->probe.reach)
                continue;
            if (c.most > likely && pass == 0) {
                q->candidates[kept++] = c;
                continue;
            }
            offer(&q->nearest, measure(job, q, c.row), (int64_t)c.row);
            lower_bound(q, nearest_limit(&q->nearest));
        }
        q->held = kept;
    }
}

/* A row by the product of its code and the query's. */
static void consider(const search_job *job, query *q, size_t row, int32_t product)
{
    const bank_index *index = job->index;
    double apart = index_apart(&q->probe, index, row, product);
    if (index_row_is_far(&q->probe, index, row, apart))
        return;
    float most = index_row_most(&q->probe, index, row, apart);
    double gap = sqrt(apart > 0 ? apart : 0) - (double)index->sizes[row].rest;
    q->candidates[q->held++] = (candidate){row, nextafterf((float)gap, -INFINITY), most};
    if (q->likely.k > 0) {
        offer(&q->likely, most, (int64_t)row);
        lower_bound(q, nearest_limit(&q->likely));
    }
    if (q->held == CANDIDATES) {
        measure_candidates(job, q, false);
        if (q->held > CANDIDATES / 2)
            measure_candidates(job, q, true);
    }
}

/* ---- blocks ---- */

/* The rows of a block that sketches do not prove to be far. */
static size_t find_near(uint32_t *found, const search_job *job, const query *q, size_t begin,
                        size_t count)
{
    float limits[LANES];
    for (size_t l = 0; l < LANES; ++l)
        limits[l] = q->probe.limit;
    size_t near = job->kernels->near(found, job->index->groups + begin * SKETCH,
                                     (count + LANES - 1) / LANES, q->probe.sketch, limits, 0);
    while (near > 0 && found[near - 1] >= count) /* an unlimited bound finds even what is no row */
        --near;
    return near;
}

/* Row after row what sketches leave of a block; not if that is too much. */
static bool search_near(const search_job *job, query *q, size_t begin, size_t count, size_t most)
{
    const bank_index *index = job->index;
    uint32_t found[BLOCK];
    size_t near = find_near(found, job, q, begin, count);
    if (near > most)
        return false;
    for (size_t i = 0; i < near; i += CODES) {
        const uint8_t *codes[CODES];
        int32_t products[CODES];
        for (size_t r = 0; r < CODES; ++r)
            codes[r] = index->codes + (begin + found[i + r < near ? i + r : i]) * index->stride;
        job->kernels->code_products(products, q->code, codes, index->stride);
        for (size_t r = 0; r < CODES && i + r < near; ++r)
            consider(job, q, begin + found[i + r], products[r]);
    }
    return true;
}

/* The codes of queries in the order of kernels.tile_products; the last group is filled up. */
static void pack_codes(int8_t *out, query *const *queries, size_t held, size_t stride)
{
    for (size_t i = 0; i < held; ++i) {
        int8_t *to = out + i / LANES * LANES * stride + i % LANES * 4;
        for (size_t j = 0; j < stride; j += 4)
            memcpy(to + j * LANES, queries[i]->code + j, 4);
    }
}

static void set_limits(tile_limits *limits, query *const *queries, size_t held, int offset)
{
    for (size_t i = 0; i < TILE_QUERIES; ++i) {
        const index_probe *p = i < held ? &queries[i]->probe : NULL;
        limits->square[i] = p ? p->size.square : INFINITY;
        limits->scale[i] = p ? 2 * (double)p->size.scale : 0;
        limits->offset[i] = p ? (double)offset * (double)p->size.sum : 0;
        limits->reach[i] = p ? p->reach : 0;
    }
}

/* All rows of a block, by the codes alone, for several queries at once. */
static void search_tiles(const search_job *job, query *const *queries, size_t held, int8_t *packed,
                         size_t begin, size_t count)
{
    const bank_index *index = job->index;
    size_t groups = (held + LANES - 1) / LANES;
    int32_t products[TILE_ROWS * TILE_QUERIES];
    tile_limits limits;
    pack_codes(packed, queries, held, index->stride);
    set_limits(&limits, queries, held, index->offset);
    for (size_t row = begin; row < begin + count; row += TILE_ROWS) {
        const uint8_t *codes[TILE_ROWS];
        size_t rows = begin + count - row < TILE_ROWS ? begin + count - row : TILE_ROWS;
        for (size_t r = 0; r < TILE_ROWS; ++r)
            codes[r] = index->codes + (row + (r < rows ? r : 0)) * index->stride;
        job->kernels->tile_products(products, packed, groups, codes, index->stride);
        for (size_t r = 0; r < rows; ++r) {
            const int32_t *of_row = products + r * TILE_QUERIES;
            const code_size *size = &index->sizes[row + r];
            uint64_t near = job->kernels->tile_near(of_row, groups, &limits, size->square,
                                                    (double)size->scale, (double)size->rest);
            for (; near; near &= near - 1) {
                int i = __builtin_ctzll(near);
                consider(job, queries[i], row + r, of_row[i]);
                limits.reach[i] = queries[i]->probe.reach;
            }
        }
    }
}

/* Of a thousand rows, how many sketches may leave before a tile is faster: kernels.crowd of a
 * hundred where rows are long, fewer where a row's own cost, that of about 512 columns, weighs. */
static size_t crowd_of(const search_job *job)
{
    size_t stride = job->index->stride;
    return 10 * (size_t)job->kernels->crowd * stride / (stride + 512);
}

static void search_block(const search_job *job, query *queries, size_t held, int8_t *packed,
                         size_t begin, size_t count)
{
    query *crowded[PIECE];
    size_t held_back = 0, crowd = crowd_of(job);
    for (size_t i = 0; i < held; ++i) {
        query *q = queries + i;
        uint32_t found[TRIED];
        if (q->crowded) /* as it was before, which the first rows may confirm */
            q->crowded =
                count > TRIED && find_near(found, job, q, begin, TRIED) > TRIED * crowd / 1000;
        if (!q->crowded)
            q->crowded = !search_near(job, q, begin, count, count * crowd / 1000);
        if (q->crowded)
            crowded[held_back++] = q;
    }
    if (held_back >= FEWEST)
        search_tiles(job, crowded, held_back, packed, begin, count);
    else
        for (size_t i = 0; i < held_back; ++i)
            search_near(job, crowded[i], begin, count, count);
    for (size_t i = 0; i < held; ++i)
        measure_candidates(job, queries + i, false);
}

/* ---- pieces ---- */

/* What the queries of a piece need, in one block. */
typedef struct workspace {
    int8_t *packed; /* PIECE x stride, as are the codes: whole lines of the cache */
    int8_t *codes;
    candidate *candidates; /* PIECE x CANDIDATES */
    int64_t *likely_rows;  /* PIECE x likely */
    float *likely;         /* likewise */
    float *scratch;        /* columns */
} workspace;

static size_t workspace_bytes(size_t columns, size_t stride, size_t likely)
{
    size_t bytes = 2 * PIECE * stride + PIECE * CANDIDATES * sizeof(candidate) +
                   PIECE * likely * (sizeof(int64_t) + sizeof(float)) + columns * sizeof(float);
    return (bytes + LINE - 1) / LINE * LINE;
}

static bool workspace_create(workspace *out, size_t columns, size_t stride, size_t likely)
{
    out->packed = aligned_alloc(LINE, workspace_bytes(columns, stride, likely));
    if (!out->packed)
        return false;
    out->codes = out->packed + PIECE * stride;
    out->candidates = (candidate *)(void *)(out->codes + PIECE * stride);
    out->likely_rows = (int64_t *)(void *)(out->candidates + PIECE * CANDIDATES);
    out->likely = (float *)(void *)(out->likely_rows + PIECE * likely);
    out->scratch = out->likely + PIECE * likely;
    memset(out->packed, 0, PIECE * stride); /* of queries that are not there */
    return true;
}

static size_t likely_of(size_t k)
{
    return k > MOST_LIKELY ? 0 : k;
}

static void search_piece(void *context, size_t begin, size_t end)
{
    search_job *job = context;
    const bank_index *index = job->index;
    size_t columns = (size_t)job->bank->dimension, rows = (size_t)job->bank->rows, k = job->k;
    size_t likely = likely_of(k), held = 0;
    query queries[PIECE];
    workspace w;
    if (!workspace_create(&w, columns, index->stride, likely)) {
        atomic_store(&job->no_memory, true);
        return;
    }
    for (size_t i = begin; i < end; ++i) {
        query *q = queries + held;
        int8_t *code = w.codes + held * index->stride;
        *q = (query){.point = job->queries + i * columns,
                     .code = code,
                     .nearest = {job->distances + i * k, job->rows + i * k, 0, k},
                     .likely = {w.likely + held * likely, w.likely_rows + held * likely, 0, likely},
                     .bound = INFINITY,
                     .candidates = w.candidates + held * CANDIDATES};
        if (!index_probe_make(&q->probe, code, w.scratch, index, q->point, job->kernels)) {
            search_plain(q->nearest.distances, q->nearest.rows, job->bank, q->point, 1, k,
                         job->kernels);
            continue;
        }
        ++held;
        index_probe_limit(&q->probe, INFINITY);
        lower_bound(q, guess(job, q));
    }
    for (size_t row = 0; row < rows; row += BLOCK)
        search_block(job, queries, held, w.packed, row, rows - row < BLOCK ? rows - row : BLOCK);
    for (size_t i = 0; i < held; ++i) {
        measure_candidates(job, queries + i, true);
        put_in_order(&queries[i].nearest);
    }
    free(w.packed);
}

imiad_status search_indexed(float *distances, int64_t *rows, const imiad_bank *bank,
                            const bank_index *index, const float *queries, size_t count, size_t k,
                            const kernels *kernel)
{
    search_job job = {bank, index, queries, k, distances, rows, kernel, false};
    size_t share = count / (4 * (size_t)imiad_threads()) + 1;
    parallel_for(count, share < PIECE ? share : PIECE, search_piece, &job);
    if (atomic_load(&job.no_memory))
        return fail_memory("a search",
                           workspace_bytes((size_t)bank->dimension, index->stride, likely_of(k)));
    return IMIAD_OK;
}
