#include "metrics/regions.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* The first non-zero pixel at or after x, or the width. */
static int32_t skip_zeros(const uint8_t *row, int32_t x, int32_t width)
{
    for (uint64_t word; x + 8 <= width; x += 8) {
        memcpy(&word, row + x, sizeof word);
        if (word != 0)
            break;
    }
    while (x < width && row[x] == 0)
        ++x;
    return x;
}

/* The first zero pixel at or after x, or the width. */
static int32_t skip_set(const uint8_t *row, int32_t x, int32_t width)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    for (uint64_t word; x + 8 <= width; x += 8) {
        memcpy(&word, row + x, sizeof word);
        if ((word - ones) & ~word & tops) /* not zero exactly when some byte is zero */
            break;
    }
    while (x < width && row[x] != 0)
        ++x;
    return x;
}

static imiad_status add_run(mask_regions *m, int32_t row, int32_t begin, int32_t end)
{
    if (m->run_count == m->run_room) {
        size_t room = m->run_room ? 2 * m->run_room : 256;
        mask_run *grown = realloc(m->runs, room * sizeof *grown);
        if (!grown)
            return fail_memory("the runs of a mask", room * sizeof *grown);
        m->runs = grown;
        m->run_room = room;
    }
    if (m->run_count == UINT32_MAX)
        return fail(IMIAD_UNSUPPORTED, "a mask with more than 2^32 - 1 runs of defective pixels");
    m->runs[m->run_count] = (mask_run){row, begin, end, (uint32_t)m->run_count};
    m->run_count++;
    return IMIAD_OK;
}

/* While regions are being found, a run's `region` is another run of the same region that comes
 * before it, or itself. */
static uint32_t find_root(mask_run *runs, uint32_t i)
{
    while (runs[i].region != i) {
        runs[i].region = runs[runs[i].region].region;
        i = runs[i].region;
    }
    return i;
}

static void join(mask_run *runs, size_t a, size_t b)
{
    uint32_t i = find_root(runs, (uint32_t)a), j = find_root(runs, (uint32_t)b);
    if (i < j)
        runs[j].region = i;
    else
        runs[i].region = j;
}

/* Joins the runs above..here-1 of one row with the runs here..end-1 of the next. With reach 1,
 * touching corners count. */
static void join_rows(mask_run *runs, size_t above, size_t here, size_t end, int32_t reach)
{
    for (size_t i = above, j = here; i < here && j < end;) {
        if (runs[i].begin < runs[j].end + reach && runs[j].begin < runs[i].end + reach)
            join(runs, i, j);
        if (runs[i].end < runs[j].end)
            ++i;
        else
            ++j;
    }
}

/* A root is its region's first run, so numbering roots as they come numbers regions by their first
 * pixel. */
static imiad_status number_regions(mask_regions *m)
{
    size_t roots = 0;
    for (size_t i = 0; i < m->run_count; ++i)
        roots += m->runs[i].region == i;
    if (roots > m->region_room) {
        uint64_t *grown = realloc(m->areas, roots * sizeof *grown);
        if (!grown)
            return fail_memory("the regions of a mask", roots * sizeof *grown);
        m->areas = grown;
        m->region_room = roots;
    }
    for (size_t i = 0; i < m->run_count; ++i) {
        mask_run *run = &m->runs[i];
        if (run->region == i) {
            m->areas[m->region_count] = 0;
            run->region = (uint32_t)m->region_count++;
        } else {
            run->region = m->runs[run->region].region; /* points before i: already a number */
        }
        m->areas[run->region] += (uint64_t)(run->end - run->begin);
    }
    return IMIAD_OK;
}

imiad_status regions_find(mask_regions *m, const imiad_image *mask, int connectivity)
{
    m->run_count = m->region_count = 0;
    size_t above = 0;
    for (int32_t y = 0; y < mask->height; ++y) {
        const uint8_t *row = mask->pixels + (size_t)y * mask->stride;
        size_t here = m->run_count;
        for (int32_t x = 0; (x = skip_zeros(row, x, mask->width)) < mask->width;) {
            int32_t begin = x;
            x = skip_set(row, x, mask->width);
            TRY(add_run(m, y, begin, x));
        }
        join_rows(m->runs, above, here, m->run_count, connectivity == 8);
        above = here;
    }
    return number_regions(m);
}

void regions_free(mask_regions *m)
{
    free(m->runs);
    free(m->areas);
    *m = (mask_regions){0};
}
