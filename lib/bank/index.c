#include "bank/index.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/threads.h"

enum { PIECE = 512, FEWEST_ROWS = 64 };

static size_t round_up(size_t value, size_t step)
{
    return (value + step - 1) / step * step;
}

static size_t lay_out(bank_index *index, char *block, size_t rows, size_t columns)
{
    size_t padded = round_up(rows, LANES);
    index->stride = round_up(columns, 64);
    index->groups = (float *)(void *)block;
    size_t at = padded * SKETCH * sizeof(float);
    index->codes = (uint8_t *)(block ? block + at : NULL);
    at += rows * index->stride;
    index->sizes = (code_size *)(void *)(block ? block + at : NULL);
    return at + rows * sizeof(code_size);
}

uint64_t index_bytes(int64_t rows, int64_t dimension)
{
    bank_index index;
    if (rows < FEWEST_ROWS || dimension > CODE_MOST_COLUMNS)
        return 0;
    return lay_out(&index, NULL, (size_t)rows, (size_t)dimension);
}

code_size index_code(int8_t *code, int most, float *centred, const bank_index *index,
                     const float *row, const kernels *k)
{
    size_t columns = index->sketcher.columns;
    int64_t sum, squares;
    float rest;
    k->subtract(centred, row, index->sketcher.mean, columns);
    code_size s = {.scale = k->largest(centred, columns) / (float)most};
    if (s.scale < 1e-37f) /* its inverse would not be finite */
        s.scale = 0;
    k->encode(code, centred, s.scale, columns);
    memset(code + columns, 0, index->stride - columns);
    k->products(&rest, centred, 1, centred, 1, columns);
    k->code_sums(&sum, &squares, code, columns);
    s.rest = sqrtf(rest) * (1 + 0x1p-24f * ((float)columns / LANES + 16));
    s.square = (double)s.scale * (double)s.scale * (double)squares;
    s.sum = (int32_t)sum;
    return s;
}

typedef struct index_job {
    bank_index *index;
    const imiad_bank *bank;
    float *reach; /* per piece; infinite on failure */
    const kernels *kernels;
} index_job;

static void index_piece(void *context, size_t begin, size_t end)
{
    index_job *job = context;
    bank_index *index = job->index;
    size_t columns = index->sketcher.columns;
    float *sketches = malloc((PIECE * SKETCH + 2 * columns) * sizeof *sketches);
    job->reach[begin / PIECE] = INFINITY;
    if (!sketches)
        return;
    const point_set points = bank_points(job->bank);
    float *row = sketches + PIECE * SKETCH, *centred = row + columns;
    job->reach[begin / PIECE] =
        sketch_rows(sketches, &index->sketcher, points, begin, end - begin, job->kernels);
    for (size_t i = begin; i < end; ++i) {
        sketch_place(index->groups, i, sketches + (i - begin) * SKETCH);
        uint8_t *code = index->codes + i * index->stride;
        job->kernels->widen[points.storage](row, point_row(&points, i), columns);
        index->sizes[i] =
            index_code((int8_t *)code, index->offset - 1, centred, index, row, job->kernels);
        for (size_t j = 0; j < index->stride; ++j)
            code[j] = (uint8_t)(code[j] + index->offset);
    }
    free(sketches);
}

static imiad_status fill(bank_index *index, const imiad_bank *bank, const kernels *k)
{
    size_t rows = (size_t)bank->rows, pieces = (rows - 1) / PIECE + 1;
    float *reach = malloc(pieces * sizeof *reach);
    if (!reach)
        return fail_memory("the index of a bank", pieces * sizeof *reach);
    for (size_t i = 0; i < round_up(rows, LANES) * SKETCH; ++i)
        index->groups[i] = INFINITY;
    index_job job = {index, bank, reach, k};
    parallel_for(rows, PIECE, index_piece, &job);
    for (size_t i = 0; i < pieces; ++i)
        index->reach = reach[i] > index->reach ? reach[i] : index->reach;
    free(reach);
    return IMIAD_OK;
}

imiad_status index_create(bank_index **out, const imiad_bank *bank, const kernels *k)
{
    *out = NULL;
    uint64_t needed = index_bytes(bank->rows, bank->dimension);
    if (needed == 0)
        return IMIAD_OK;
    if (bank->budget != 0 && bank_bytes(bank) + needed > bank->budget) {
        log_message(IMIAD_LOG_INFO,
                    "searching a bank without an index, which is slower: its budget of %llu bytes "
                    "lacks room for %llu more",
                    (unsigned long long)bank->budget, (unsigned long long)needed);
        return IMIAD_OK;
    }
    bank_index *index = calloc(1, sizeof *index);
    char *block = pages_take(needed);
    if (!index || !block) {
        free(index);
        pages_free(block, needed);
        return fail_memory("the index of a bank", needed);
    }
    index->offset = k->code_most + 1;
    index->bytes = lay_out(index, block, (size_t)bank->rows, (size_t)bank->dimension);
    imiad_status status = sketcher_create(&index->sketcher, bank_points(bank), k);
    if (status == IMIAD_OK)
        status = fill(index, bank, k);
    if (status != IMIAD_OK || !(index->reach < SKETCH_REACH)) {
        index_free(index);
        return status;
    }
    *out = index;
    return IMIAD_OK;
}

void index_free(bank_index *index)
{
    if (!index)
        return;
    sketcher_free(&index->sketcher);
    pages_free(index->groups, index->bytes);
    free(index);
}

/* ---- queries ---- */

bool index_probe_make(index_probe *out, int8_t *code, float *scratch, const bank_index *index,
                      const float *query, const kernels *k)
{
    size_t columns = index->sketcher.columns;
    const point_set alone = {query, 1, columns, IMIAD_STORAGE_FLOAT32};
    float reach = sketch_rows(out->sketch, &index->sketcher, alone, 0, 1, k);
    if (!(reach < SKETCH_REACH))
        return false;
    out->slack = sketch_slack_of(columns, reach > index->reach ? reach : index->reach);
    out->size = index_code(code, QUERY_CODE_MOST, scratch, index, query, k);
    return true;
}

/* Two steps up, as roots of neighbouring numbers are one. */
void index_probe_limit(index_probe *p, float most)
{
    float distance = nextafterf(nextafterf(sqrtf(most), INFINITY), INFINITY);
    p->limit = sketch_limit(p->slack, distance);
    p->reach = (double)distance * (double)p->slack.relative + (double)p->slack.absolute +
               (double)p->size.rest;
}

float index_row_most(const index_probe *p, const bank_index *index, size_t row, double apart)
{
    double rests = (double)p->size.rest + (double)index->sizes[row].rest;
    double far = sqrt(apart > 0 ? apart : 0) + rests;
    double most = far * (double)p->slack.relative + (double)p->slack.absolute;
    return nextafterf((float)(most * most), INFINITY);
}
