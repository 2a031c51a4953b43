/* Exact nearest neighbours at a small part of the work of search_plain, with its results to the
 * last bit. A row is passed over only where a lower bound of its distance proves that it cannot be
 * among the k nearest: first by sketches, a block of rows at once; then by codes of one byte a
 * column. What is left is measured by squared_distance, which alone decides. The bounds hold for
 * any data; how much they leave depends on the data. */
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bank/index.h"
#include "bank/search.h"
#include "bank/nearest.h"
#include "base/error.h"
#include "base/threads.h"

enum {
    BLOCK = 1024,      /* rows, a multiple of LANES: their codes stay in the cache */
    PIECE = 64,        /* queries that share a block */
    FEWEST = 16,       /* queries that are worth building an index */
    SAMPLED = 256,     /* groups of sketches for a first guess */
    MOST_GUESSED = 64, /* neighbours */
    QUERIES_PER_REPORT = 2048,
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

/* One query on its way through the blocks. */
typedef struct query {
    const float *point;
    nearest nearest;
    index_probe probe;
    float bound; /* squared distances from here on do not matter */
} query;

static void set_bound(query *q, float bound)
{
    q->bound = bound;
    index_probe_bound(&q->probe, sqrtf(bound));
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
    float apart[LANES], distances[MOST_GUESSED], worst = 0;
    int64_t rows[MOST_GUESSED];
    nearest likely = {distances, rows, 0, job->k};
    size_t groups = ((size_t)job->bank->rows + LANES - 1) / LANES, step = groups / SAMPLED + 1;
    if (job->k > MOST_GUESSED)
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
    /* the rows themselves have yet to be found: what is equal must not be passed over */
    return likely.held < job->k ? INFINITY : nextafterf(worst, INFINITY);
}

/* Rows come in rising order: one that equals the k-th distance stands behind it. */
static void search_block(const search_job *job, query *q, const int8_t *code, size_t begin,
                         size_t count)
{
    const bank_index *index = job->index;
    uint32_t found[BLOCK];
    float limits[LANES];
    for (size_t l = 0; l < LANES; ++l)
        limits[l] = q->probe.limit;
    size_t near = job->kernels->near(found, index->groups + begin * SKETCH,
                                     (count + LANES - 1) / LANES, q->probe.sketch, limits, 0);
    while (near > 0 && found[near - 1] >= count) /* an unlimited bound finds even what is no row */
        --near;
    for (size_t i = 0; i < near; i += CODES) {
        const uint8_t *codes[CODES];
        int32_t products[CODES];
        for (size_t r = 0; r < CODES; ++r)
            codes[r] = index->codes + (begin + found[i + r < near ? i + r : i]) * index->stride;
        job->kernels->code_products(products, code, codes, index->stride);
        for (size_t r = 0; r < CODES && i + r < near; ++r) {
            size_t row = begin + found[i + r];
            if (index_row_is_far(&q->probe, index, row, products[r]))
                continue;
            offer(&q->nearest, measure(job, q, row), (int64_t)row);
            if (nearest_limit(&q->nearest) < q->bound)
                set_bound(q, nearest_limit(&q->nearest));
        }
    }
}

static void search_piece(void *context, size_t begin, size_t end)
{
    search_job *job = context;
    const bank_index *index = job->index;
    size_t columns = (size_t)job->bank->dimension, rows = (size_t)job->bank->rows;
    query queries[PIECE];
    float *scratch = malloc(columns * sizeof *scratch + PIECE * index->stride);
    if (!scratch) {
        atomic_store(&job->no_memory, true);
        return;
    }
    int8_t *codes = (int8_t *)(scratch + columns);
    size_t held = 0;
    for (size_t i = begin; i < end; ++i) {
        query *q = queries + held;
        *q = (query){.point = job->queries + i * columns,
                     .nearest = {job->distances + i * job->k, job->rows + i * job->k, 0, job->k}};
        if (!index_probe_make(&q->probe, codes + held * index->stride, scratch, index, q->point,
                              job->kernels)) {
            search_plain(q->nearest.distances, q->nearest.rows, job->bank, q->point, 1, job->k,
                         job->kernels);
            continue;
        }
        ++held;
        set_bound(q, guess(job, q));
    }
    for (size_t row = 0; row < rows; row += BLOCK)
        for (size_t i = 0; i < held; ++i)
            search_block(job, queries + i, codes + i * index->stride, row,
                         rows - row < BLOCK ? rows - row : BLOCK);
    for (size_t i = 0; i < held; ++i)
        put_in_order(&queries[i].nearest);
    free(scratch);
}

imiad_status search_indexed(float *distances, int64_t *rows, const imiad_bank *bank,
                            const bank_index *index, const float *queries, size_t count, size_t k,
                            const kernels *kernel)
{
    search_job job = {bank, index, queries, k, distances, rows, kernel, false};
    size_t share = count / (4 * (size_t)imiad_threads()) + 1;
    parallel_for(count, share < PIECE ? share : PIECE, search_piece, &job);
    if (atomic_load(&job.no_memory))
        return fail_memory("a search", (size_t)bank->dimension * sizeof(float));
    return IMIAD_OK;
}

/* The bank's index, made where there are enough queries; NULL for a plain search. Any number of
 * threads may ask. */
static const bank_index *find_index(const imiad_bank *bank, size_t queries, const kernels *k)
{
    index_slot *slot = bank->index;
    pthread_mutex_lock(&slot->lock);
    if (!slot->tried && queries >= FEWEST) {
        slot->tried = true;
        if (index_create(&slot->index, bank, k) != IMIAD_OK)
            log_message(IMIAD_LOG_WARNING, "searching without an index, which is slower: %s",
                        imiad_last_error());
    }
    const bank_index *index = slot->index;
    pthread_mutex_unlock(&slot->lock);
    return index;
}

typedef struct request {
    float *distances;
    int64_t *rows; /* count x k each */
    const float *queries;
    size_t count, k;
} request;

static imiad_status search_part(const imiad_bank *bank, const bank_index *index, const request *r,
                                size_t begin, size_t count, const kernels *kernel)
{
    float *distances = r->distances + begin * r->k;
    int64_t *rows = r->rows + begin * r->k;
    const float *queries = r->queries + begin * (size_t)bank->dimension;
    if (index)
        return search_indexed(distances, rows, bank, index, queries, count, r->k, kernel);
    search_plain(distances, rows, bank, queries, count, r->k, kernel);
    return IMIAD_OK;
}

static imiad_status search(const imiad_bank *bank, const request *r, const progress *p)
{
    const kernels *kernel = kernels_best();
    const bank_index *index = find_index(bank, r->count, kernel);
    size_t step = p->function ? QUERIES_PER_REPORT : r->count;
    for (size_t at = 0; at < r->count; at += step) {
        size_t count = r->count - at < step ? r->count - at : step;
        TRY(search_part(bank, index, r, at, count, kernel));
        TRY(progress_report(p, "search", (int64_t)(at + count), (int64_t)r->count));
    }
    return IMIAD_OK;
}

imiad_status search_check(const void *distances, const imiad_bank *bank, const float *queries,
                          int64_t count, int32_t k)
{
    if (!bank || !distances || !queries)
        return fail(IMIAD_INVALID_ARGUMENT, "searching a bank: %s is NULL",
                    !bank        ? "bank"
                    : !distances ? "distances"
                                 : "queries");
    if (count < 0 || count > INT64_MAX / 8 / bank->dimension)
        return fail(IMIAD_OUT_OF_RANGE, "searching a bank: count is %" PRId64, count);
    if (k < 1 || k > bank->rows)
        return fail(IMIAD_OUT_OF_RANGE, "searching a bank of %" PRId64 " rows: k is %" PRId32,
                    bank->rows, k);
    TRY(bank_check_file(bank));
    int64_t row, column;
    if (find_not_finite(queries, count, bank->dimension, &row, &column))
        return fail(IMIAD_NOT_FINITE,
                    "searching a bank: query %" PRId64 ", column %" PRId64 " is %f", row, column,
                    (double)queries[row * bank->dimension + column]);
    return IMIAD_OK;
}

imiad_status imiad_bank_search_reporting(float *distances, int64_t *indices, const imiad_bank *bank,
                                         const float *queries, int64_t count, int32_t k,
                                         imiad_progress_function function, void *user)
{
    TRY(search_check(distances, bank, queries, count, k));
    size_t bytes = (size_t)count * (size_t)k * sizeof(int64_t);
    int64_t *rows = indices ? indices : malloc(bytes ? bytes : 1);
    if (!rows)
        return fail_memory("the neighbours of a search", bytes);
    progress p = {function, user};
    request r = {distances, rows, queries, (size_t)count, (size_t)k};
    imiad_status status = search(bank, &r, &p);
    if (!indices)
        free(rows);
    return status;
}

imiad_status imiad_bank_search(float *distances, int64_t *indices, const imiad_bank *bank,
                               const float *queries, int64_t count, int32_t k)
{
    return imiad_bank_search_reporting(distances, indices, bank, queries, count, k, NULL, NULL);
}
