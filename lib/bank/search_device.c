/* Exact neighbours with the products of all pairs made on a device. Those are rounded in an order
 * that is the device's own, so they only make a shortlist; the distances that count are measured
 * here, by squared_distance, and a bound on the device's rounding proves that no row outside the
 * shortlist is nearer. Where the proof fails the query is searched as elsewhere.
 *
 * With rows and queries centred, x' = fl(x - m), q' = fl(q - m), the device computes
 *     D = |q'|^2 + |x'|^2 - 2 q'.x'.
 * Let u = 2^-24, d the columns and r = |q'| + max |x'|. Sums of d products err by at most
 * 1.01 d u |a| |b| in any order, fused or not (Higham, Accuracy and Stability of Numerical
 * Algorithms, 3.1), and three more roundings follow: |D - |q' - x'|^2| <= E = 1.01 (d + 8) u r^2,
 * beside what is lost below the smallest float. Centring moves a distance by at most 1.01 u r.
 * Every row outside the shortlist has D of at least the shortlist's largest, L, so that |q - x| >=
 * sqrt(L - E) - 1.01 u r, and squared_distance errs by less than sketch_slack_of(d).relative of it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bank/nearest.h"
#include "bank/search.h"
#include "bank/sketch.h"
#include "base/error.h"
#include "bridge/tensor.h"

enum {
    EXTRA = 32,      /* rows that the shortlist holds beside the k: room for rounding */
    PIECE = 4096,    /* rows that go to the device at once */
    PAIRS = 1 << 26, /* distances on the device at once */
};

typedef struct device_rows {
    device place;
    tensor *rows;    /* centred, rows x dimension */
    tensor *squares; /* of their lengths, rows */
    float *mean;
    double reach; /* their largest length */
} device_rows;

static void free_rows(void *kept)
{
    device_rows *r = kept;
    if (!r)
        return;
    t_free(r->rows);
    t_free(r->squares);
    free(r->mean);
    free(r);
}

/* ---- the bank on the device ---- */

static void find_mean(float *mean, const point_set *points)
{
    for (size_t j = 0; j < points->columns; ++j)
        mean[j] = 0;
    for (size_t i = 0; i < points->count; ++i) /* rounding does not matter: any centre is correct */
        for (size_t j = 0; j < points->columns; ++j)
            mean[j] +=
                (widen_number(point_row(points, i), j, points->storage) - mean[j]) / (float)(i + 1);
}

/* Row minus mean, and its length. */
static double centre(float *out, const float *mean, size_t columns)
{
    double square = 0;
    kernels_best()->subtract(out, out, mean, columns);
    for (size_t j = 0; j < columns; ++j)
        square += (double)out[j] * (double)out[j];
    return sqrt(square) * (1 + 1e-9);
}

static void copy_rows(device_rows *r, const point_set *points, float *piece)
{
    for (size_t at = 0; at < points->count && !t_failed(); at += PIECE) {
        size_t count = points->count - at < PIECE ? points->count - at : PIECE;
        for (size_t i = 0; i < count; ++i) {
            float *row = piece + i * points->columns;
            kernels_best()->widen[points->storage](row, point_row(points, at + i), points->columns);
            double length = centre(row, r->mean, points->columns);
            r->reach = length > r->reach ? length : r->reach;
        }
        const int64_t shape[] = {(int64_t)count, (int64_t)points->columns};
        t_copy_(t_slice(r->rows, 0, (int64_t)at, (int64_t)(at + count)),
                t_from(piece, 2, shape, F32, r->place));
    }
}

/* In a scope; failures stick. */
static void fill_rows(device_rows *r, const point_set *points)
{
    const int64_t shape[] = {(int64_t)points->count, (int64_t)points->columns};
    size_t most = points->count < PIECE ? points->count : PIECE;
    float *piece = malloc(most * points->columns * sizeof *piece);
    r->mean = malloc(points->columns * sizeof *r->mean);
    if (!piece || !r->mean) {
        t_fail(IMIAD_NO_MEMORY, "out of memory: the rows of a bank on their way to a device");
    } else {
        find_mean(r->mean, points);
        r->rows = t_keep(t_zeros(2, shape, F32, r->place));
        copy_rows(r, points, piece);
        r->squares = t_keep(t_sum(t_square(r->rows), 1, false));
    }
    free(piece);
}

/* The bank's copy on this device, made where there is none; it lives until the bank changes or is
 * asked for on another one. */
static imiad_status rows_on(const device_rows **out, const imiad_bank *bank, device place)
{
    index_slot *slot = bank->index;
    device_rows *r = slot->device_rows;
    if (r && r->place.cuda == place.cuda && r->place.index == place.index) {
        *out = r;
        return IMIAD_OK;
    }
    r = calloc(1, sizeof *r);
    if (!r)
        return fail_memory("a bank on a device", sizeof *r);
    const point_set points = bank_points(bank);
    scope s = scope_begin();
    r->place = place;
    fill_rows(r, &points);
    imiad_status status = scope_end(&s);
    if (status != IMIAD_OK) {
        free_rows(r);
        return status;
    }
    free_rows(slot->device_rows);
    slot->device_rows = r;
    slot->free_device_rows = free_rows;
    *out = r;
    return IMIAD_OK;
}

/* ---- searching ---- */

typedef struct device_search {
    const imiad_bank *bank;
    const device_rows *rows;
    const float *queries;
    size_t columns, k, listed; /* rows in a shortlist */
    float *distances;
    int64_t *indices;
    float *centred, *near; /* of one batch: queries; shortlists' D, rising */
    int64_t *listed_rows;
    double *lengths;
} device_search;

/* The shortlists of a batch. */
static imiad_status make_shortlists(const device_search *job, size_t begin, size_t count)
{
    const int64_t shape[] = {(int64_t)count, (int64_t)job->columns};
    size_t bytes = count * job->columns * sizeof(float);
    memcpy(job->centred, job->queries + begin * job->columns, bytes);
    for (size_t i = 0; i < count; ++i)
        job->lengths[i] = centre(job->centred + i * job->columns, job->rows->mean, job->columns);
    scope s = scope_begin();
    tensor *queries = t_from(job->centred, 2, shape, F32, job->rows->place), *rows;
    tensor *products = t_matmul(queries, t_transpose(job->rows->rows, 0, 1));
    tensor *squares = t_add(t_sum(t_square(queries), 1, true), t_unsqueeze(job->rows->squares, 0));
    tensor *near =
        t_topk(t_sub(squares, t_mul_scalar(products, 2)), (int64_t)job->listed, 1, false, &rows);
    t_read(t_to_device(near, CPU), job->near, count * job->listed * sizeof(float));
    t_read(t_to_device(rows, CPU), job->listed_rows, count * job->listed * sizeof(int64_t));
    return scope_end(&s);
}

/* Measures a shortlist; false where it does not prove that it holds the nearest. */
static bool decide(const device_search *job, size_t query, size_t in_batch)
{
    const point_set points = bank_points(job->bank);
    const float *point = job->queries + query * job->columns;
    const float *near = job->near + in_batch * job->listed;
    const int64_t *rows = job->listed_rows + in_batch * job->listed;
    nearest found = {job->distances + query * job->k, job->indices + query * job->k, 0, job->k};
    double u = 0x1p-24, d = (double)job->columns, r = job->lengths[in_batch] + job->rows->reach;
    double most = near[0], error = 1.01 * (d + 8) * u * r * r + d * 1e-37;
    double relative = (double)sketch_slack_of(job->columns, 0).relative - 1, moved = 1.01 * u * r;
    for (size_t i = 0; i < job->listed; ++i) {
        float square = kernels_best()->distance_to[points.storage](
            point, point_row(&points, (size_t)rows[i]), job->columns);
        double off = fabs(sqrt((double)square) - sqrt(fmax((double)near[i], 0)));
        /* a device that rounds more than float32 does shows here */
        if (!(off <= relative * sqrt((double)square) + moved + sqrt(error)))
            return false;
        offer(&found, square, rows[i]);
        most = fmax(most, (double)near[i]);
    }
    put_in_order(&found);
    if (job->listed == points.count)
        return true;
    double least = sqrt(fmax(most - error, 0)) - moved;
    double square = least > 0 ? least * least * (1 - relative) : 0;
    return r < 1e18 && square > (double)found.distances[job->k - 1];
}

static imiad_status search_batches(const device_search *job, size_t count, size_t batch)
{
    for (size_t at = 0; at < count; at += batch) {
        size_t some = count - at < batch ? count - at : batch;
        TRY(make_shortlists(job, at, some));
        for (size_t i = 0; i < some; ++i)
            if (!decide(job, at + i, i))
                TRY(imiad_bank_search(job->distances + (at + i) * job->k,
                                      job->indices + (at + i) * job->k, job->bank,
                                      job->queries + (at + i) * job->columns, 1, (int32_t)job->k));
    }
    return IMIAD_OK;
}

static imiad_status search_on(device_search *job, size_t count)
{
    size_t rows = (size_t)job->bank->rows, batch = PAIRS / rows + 1;
    batch = batch < count ? batch : count;
    job->listed = job->k + EXTRA < rows ? job->k + EXTRA : rows;
    job->centred = malloc(batch * job->columns * sizeof *job->centred);
    job->near = malloc(batch * job->listed * sizeof *job->near);
    job->listed_rows = malloc(batch * job->listed * sizeof *job->listed_rows);
    job->lengths = malloc(batch * sizeof *job->lengths);
    imiad_status status =
        job->centred && job->near && job->listed_rows && job->lengths
            ? search_batches(job, count, batch)
            : fail_memory("a search", batch * (job->columns + 3 * job->listed) * sizeof(float));
    free(job->centred);
    free(job->near);
    free(job->listed_rows);
    free(job->lengths);
    return status;
}

imiad_status imiad_bank_search_on(float *distances, int64_t *indices, const imiad_bank *bank,
                                  const char *device_text, const float *queries, int64_t count,
                                  int32_t k)
{
    device place;
    TRY(search_check(distances, bank, queries, count, k));
    TRY(device_parse(&place, device_text ? device_text : "cpu"));
    if (count == 0)
        return IMIAD_OK;
    size_t bytes = (size_t)count * (size_t)k * sizeof(int64_t);
    device_search job = {.bank = bank,
                         .queries = queries,
                         .columns = (size_t)bank->dimension,
                         .k = (size_t)k,
                         .distances = distances,
                         .indices = indices ? indices : malloc(bytes)};
    if (!job.indices)
        return fail_memory("the neighbours of a search", bytes);
    pthread_mutex_lock(&bank->index->device_lock);
    imiad_status status = rows_on(&job.rows, bank, place);
    if (status == IMIAD_OK)
        status = search_on(&job, (size_t)count);
    pthread_mutex_unlock(&bank->index->device_lock);
    if (!indices)
        free(job.indices);
    return status;
}
