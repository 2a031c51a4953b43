/* A bank of bounded size from rows that are never all in memory: blocks of them are thinned and
 * merged as they come (bank/merge_reduce.h). */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bank/bank.h"
#include "bank/coreset.h"
#include "bank/merge_reduce.h"
#include "base/error.h"

struct imiad_bank_stream {
    imiad_bank_stream_options options;
    merge_reduce levels;
    row_block waiting; /* room for block_rows */
    int64_t dimension, taken;
    bool has_sources, is_broken;
};

/* ---- sizes ---- */

static uint64_t row_bytes(int64_t dimension)
{
    return (uint64_t)dimension * sizeof(float) + sizeof(int64_t);
}

/* Of blocks that are merged as a binary counter carries, each level holds one at most. While two
 * are joined, or all for a bank, they and their copy stand side by side, and beside these what
 * thinning takes. */
static uint64_t most_bytes(const imiad_bank_stream_options *o, int64_t rows, int64_t dimension)
{
    int64_t blocks = rows / o->block_rows, held = o->block_rows;
    int64_t largest = o->block_rows < o->kept_rows ? o->block_rows : o->kept_rows;
    for (; blocks > 0; blocks /= 2) {
        held += largest;
        if (blocks > 1)
            largest = 2 * largest < o->kept_rows ? 2 * largest : o->kept_rows;
    }
    int64_t copied = held > 2 * largest ? held : 2 * largest;
    int64_t wanted = largest > o->rows ? largest : o->rows;
    return (uint64_t)(held + copied + o->rows) * row_bytes(dimension) +
           greedy_bytes((size_t)copied, (size_t)dimension, (size_t)wanted);
}

static imiad_status read_options(imiad_bank_stream_options *out, int64_t dimension,
                                 const imiad_bank_stream_options *given)
{
    static const char doing[] = "creating a stream of rows";
    TRY(struct_read(out, sizeof *out, given, sizeof *out, doing));
    TRY(bank_check_shape(doing, dimension, out->storage));
    const struct {
        const char *name;
        int64_t value, least;
    } numbers[] = {{"rows", out->rows, 1},
                   {"block_rows", out->block_rows, 1},
                   {"kept_rows", out->kept_rows, 0}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        if (numbers[i].value < numbers[i].least || numbers[i].value > UINT32_MAX)
            return fail(IMIAD_OUT_OF_RANGE,
                        "%s: %s is %" PRId64 ": it must be in %" PRId64 "..%" PRIu32, doing,
                        numbers[i].name, numbers[i].value, numbers[i].least, UINT32_MAX);
    if (out->kept_rows == 0)
        out->kept_rows = out->rows;
    return IMIAD_OK;
}

imiad_status imiad_bank_stream_estimate(uint64_t *bytes, int64_t rows, int64_t dimension,
                                        const imiad_bank_stream_options *options)
{
    imiad_bank_stream_options o = IMIAD_BANK_STREAM_OPTIONS_INIT;
    if (!bytes)
        return fail(IMIAD_INVALID_ARGUMENT, "estimating a stream of rows: bytes is NULL");
    if (rows < 0)
        return fail(IMIAD_OUT_OF_RANGE, "estimating a stream of rows: %" PRId64 " rows", rows);
    TRY(read_options(&o, dimension, options));
    *bytes = most_bytes(&o, rows, dimension);
    return IMIAD_OK;
}

/* ---- beginning and end ---- */

imiad_status imiad_bank_stream_create(imiad_bank_stream **out, int64_t dimension,
                                      const imiad_bank_stream_options *options)
{
    imiad_bank_stream_options o = IMIAD_BANK_STREAM_OPTIONS_INIT;
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "creating a stream of rows: out is NULL");
    TRY(read_options(&o, dimension, options));
    imiad_bank_stream *s = calloc(1, sizeof *s);
    if (!s)
        return fail_memory("a stream of rows", sizeof *s);
    s->options = o;
    s->dimension = dimension;
    s->levels = (merge_reduce){.measured_columns = dimension, .block_rows = o.kept_rows};
    *out = s;
    return IMIAD_OK;
}

void imiad_bank_stream_free(imiad_bank_stream *s)
{
    if (!s)
        return;
    merge_reduce_free(&s->levels);
    row_block_free(&s->waiting);
    free(s);
}

/* ---- rows ---- */

static imiad_status make_room(imiad_bank_stream *s)
{
    size_t rows = (size_t)s->options.block_rows;
    size_t bytes = rows * (size_t)s->dimension * sizeof(float);
    if (s->waiting.measured)
        return IMIAD_OK;
    s->waiting.measured = malloc(bytes);
    s->waiting.sources = malloc(rows * sizeof(int64_t));
    if (s->waiting.measured && s->waiting.sources)
        return IMIAD_OK;
    row_block_free(&s->waiting);
    return fail_memory("a block of rows", bytes);
}

static void take(imiad_bank_stream *s, const float *rows, const int64_t *sources, int64_t count)
{
    row_block *w = &s->waiting;
    memcpy(w->measured + w->count * s->dimension, rows,
           (size_t)(count * s->dimension) * sizeof(float));
    for (int64_t i = 0; i < count; ++i)
        w->sources[w->count + i] = sources ? sources[i] : IMIAD_NO_SOURCE;
    w->count += count;
    s->taken += count;
}

static imiad_status check_usable(const imiad_bank_stream *s, const char *doing)
{
    if (!s)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: the stream is NULL", doing);
    return s->is_broken
               ? fail(IMIAD_NO_MEMORY,
                      "%s: memory ran out while rows were thinned, and some of them are lost",
                      doing)
               : IMIAD_OK;
}

static imiad_status check_rows(const imiad_bank_stream *s, const float *rows, int64_t count)
{
    static const char doing[] = "adding to a stream of rows";
    int64_t row, column;
    TRY(check_usable(s, doing));
    if (count < 0 || count > INT64_MAX - s->taken || (count > 0 && !rows))
        return fail(IMIAD_INVALID_ARGUMENT, "%s: %" PRId64 " rows%s", doing, count,
                    rows ? "" : ", and their address is NULL");
    if (find_not_finite(rows, count, s->dimension, &row, &column))
        return fail(IMIAD_NOT_FINITE,
                    "%s: row %" PRId64 ", column %" PRId64 " is not a finite number", doing, row,
                    column);
    uint64_t needed = most_bytes(&s->options, s->taken + count, s->dimension);
    return s->options.budget_bytes == 0 || needed <= s->options.budget_bytes
               ? IMIAD_OK
               : fail(IMIAD_OVER_BUDGET,
                      "%s: %" PRId64 " rows need %" PRIu64 " bytes: the budget is %" PRIu64, doing,
                      s->taken + count, needed, s->options.budget_bytes);
}

imiad_status imiad_bank_stream_add(imiad_bank_stream *s, const float *rows, int64_t count,
                                   const int64_t *sources)
{
    TRY(check_rows(s, rows, count));
    s->has_sources = s->has_sources || (sources && count > 0);
    for (int64_t done = 0; done < count;) {
        TRY(make_room(s));
        int64_t room = s->options.block_rows - s->waiting.count, left = count - done;
        int64_t now = left < room ? left : room;
        take(s, rows + done * s->dimension, sources ? sources + done : NULL, now);
        done += now;
        if (s->waiting.count < s->options.block_rows)
            continue;
        imiad_status status = merge_reduce_add(&s->levels, &s->waiting);
        s->is_broken = status != IMIAD_OK;
        TRY(status);
    }
    return IMIAD_OK;
}

int64_t imiad_bank_stream_rows(const imiad_bank_stream *s)
{
    return s ? s->taken : 0;
}

imiad_status imiad_bank_stream_bank(imiad_bank **out, const imiad_bank_stream *s)
{
    static const char doing[] = "making a bank from a stream of rows";
    row_block rows;
    imiad_bank *bank;
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: out is NULL", doing);
    TRY(check_usable(s, doing));
    TRY(imiad_bank_create_stored(&bank, s->dimension, s->options.storage, 0));
    imiad_status status = merge_reduce_look(&rows, &s->levels, &s->waiting, s->options.rows);
    if (status == IMIAD_OK) {
        status = imiad_bank_add_from(bank, rows.measured, rows.count,
                                     s->has_sources ? rows.sources : NULL);
        row_block_free(&rows);
    }
    if (status == IMIAD_OK)
        *out = bank;
    else
        imiad_bank_free(bank);
    return status;
}
