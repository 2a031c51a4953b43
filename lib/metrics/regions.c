#include "metrics/regions.h"

#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"
#include "image/pixels.h"

imiad_status mask_check(const imiad_image *mask)
{
    if (mask->struct_size < sizeof *mask || !mask->pixels)
        return fail(IMIAD_INVALID_ARGUMENT, "the mask has no pixels, or struct_size is not set");
    if (mask->format != IMIAD_PIXEL_GRAY8)
        return fail(IMIAD_MISMATCH, "the mask must be GRAY8, one byte a pixel");
    if (mask->width < 1 || mask->height < 1 || mask->width > IMAGE_PIXELS_MAX / mask->height)
        return fail(IMIAD_MISMATCH,
                    "the mask is %d x %d: both must be at least 1, and at most %d "
                    "pixels are allowed",
                    (int)mask->width, (int)mask->height, IMAGE_PIXELS_MAX);
    if (mask->stride < (size_t)mask->width)
        return fail(IMIAD_INVALID_ARGUMENT, "the mask's stride of %zu bytes is below its width %d",
                    mask->stride, (int)mask->width);
    return IMIAD_OK;
}

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

static imiad_status add_run(mask_regions *m, int32_t row, int32_t begin, int32_t end,
                            uint32_t region)
{
    TRY(array_reserve(&m->runs, m->run_count, &m->run_room, sizeof *m->runs, "the runs of a mask"));
    if (m->run_count == UINT32_MAX)
        return fail(IMIAD_UNSUPPORTED, "a mask with more than 2^32 - 1 runs of defective pixels");
    m->runs[m->run_count++] = (mask_run){row, begin, end, region};
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

static imiad_status reserve_areas(mask_regions *m, size_t count)
{
    if (count <= m->region_room)
        return IMIAD_OK;
    uint64_t *areas = realloc(m->areas, count * sizeof *areas);
    m->areas = areas ? areas : m->areas;
    uint64_t *saturations = realloc(m->saturations, count * sizeof *saturations);
    m->saturations = saturations ? saturations : m->saturations;
    if (!areas || !saturations)
        return fail_memory("the regions of a mask", 2 * count * sizeof *areas);
    m->region_room = count;
    return IMIAD_OK;
}

/* A root is its region's first run, so numbering roots as they come numbers regions by their first
 * pixel. */
static imiad_status number_regions(mask_regions *m)
{
    size_t roots = 0;
    for (size_t i = 0; i < m->run_count; ++i)
        roots += m->runs[i].region == i;
    TRY(reserve_areas(m, roots));
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
            TRY(add_run(m, y, begin, x, (uint32_t)m->run_count));
        }
        join_rows(m->runs, above, here, m->run_count, connectivity == 8);
        above = here;
    }
    return number_regions(m);
}

static int compare_begins(const void *a, const void *b)
{
    const mask_run *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static imiad_status find_row(mask_regions *m, const imiad_spro_channel *channels, size_t count,
                             int32_t y)
{
    size_t here = m->run_count;
    for (size_t i = 0; i < count; ++i) {
        const imiad_image *mask = channels[i].mask;
        const uint8_t *row = mask->pixels + (size_t)y * mask->stride;
        for (int32_t x = 0; (x = skip_zeros(row, x, mask->width)) < mask->width;) {
            int32_t begin = x;
            x = skip_set(row, x, mask->width);
            TRY(add_run(m, y, begin, x, (uint32_t)i));
            m->areas[i] += (uint64_t)(x - begin);
        }
    }
    if (count > 1 && m->run_count > here)
        qsort(m->runs + here, m->run_count - here, sizeof *m->runs, compare_begins);
    return IMIAD_OK;
}

static uint64_t saturation_of(const imiad_spro_channel *channel, uint64_t area)
{
    double wanted = channel->relative ? channel->saturation * (double)area : channel->saturation;
    return wanted < (double)area ? (uint64_t)wanted : area;
}

imiad_status channels_find(mask_regions *m, const imiad_spro_channel *channels, size_t count)
{
    m->run_count = m->region_count = m->empty_channels = m->raised_saturations = 0;
    TRY(reserve_areas(m, count));
    memset(m->areas, 0, count * sizeof *m->areas);
    for (int32_t y = 0; y < channels[0].mask->height; ++y)
        TRY(find_row(m, channels, count, y));
    uint32_t *regions = malloc(count * sizeof *regions); /* of each channel that is not empty */
    if (!regions)
        return fail_memory("the channels of a ground truth", count * sizeof *regions);
    for (size_t i = 0; i < count; ++i) {
        uint64_t area = m->areas[i], saturation = saturation_of(&channels[i], area);
        if (area == 0) {
            m->empty_channels++;
            continue;
        }
        m->raised_saturations += saturation == 0;
        regions[i] = (uint32_t)m->region_count++;
        m->areas[regions[i]] = area;
        m->saturations[regions[i]] = saturation ? saturation : 1;
    }
    for (size_t i = 0; i < m->run_count; ++i)
        m->runs[i].region = regions[m->runs[i].region];
    free(regions);
    return IMIAD_OK;
}

void regions_free(mask_regions *m)
{
    free(m->runs);
    free(m->areas);
    free(m->saturations);
    *m = (mask_regions){0};
}
