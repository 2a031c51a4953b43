/* Adding a map to the store, by several threads. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/threads.h"
#include "metrics/pixels.h"

/* A map is handled in bands of rows. The first phase looks for scores that are refused and for the
 * mask's regions, the second adds; in each, band 0 stands for the work on the mask. A thread takes
 * bands until none is left, and puts normal scores into a lane of its own. */
enum { BANDS = 16 };

typedef struct map_work {
    pixel_store *store;
    const float *map;
    int32_t width, height;
    ground_truth truth;
    pixel_rules rules;
    size_t bands;
    atomic_size_t next;
    atomic_bool refused, no_memory;
} map_work;

/* Without their sign, the bits of infinity are 0x7f800000 and those of NaN lie above: what is added
 * carries into the sign bit exactly for the scores that are refused. */
static bool scores_refused(const float *map, size_t count, bool infinities)
{
    const uint32_t carry = infinities ? 0x007fffff : 0x00800000;
    uint32_t seen = 0;
    for (size_t i = 0; i < count; ++i) {
        uint32_t bits;
        memcpy(&bits, &map[i], sizeof bits);
        seen |= (bits & 0x7fffffff) + carry;
    }
    return seen >> 31 != 0;
}

static imiad_status fail_refused(const map_work *work)
{
    const float *map = work->map;
    size_t i = 0;
    while (!scores_refused(map + i, 1, work->rules.infinities))
        ++i;
    return fail(IMIAD_NOT_FINITE, "the map's score at row %zu, column %zu is %s",
                i / (size_t)work->width, i % (size_t)work->width,
                isnan(map[i]) ? "NaN" : "infinite; option infinities=allow admits it");
}

static imiad_status reserve_regions(pixel_store *store, bool channels)
{
    size_t needed = store->region_count + store->mask.region_count;
    if (needed > UINT32_MAX)
        return fail(IMIAD_UNSUPPORTED, "more than 2^32 - 1 defective regions");
    if (needed <= store->region_room)
        return IMIAD_OK;
    size_t room = 2 * store->region_room > needed ? 2 * store->region_room : needed;
    uint64_t *areas = realloc(store->areas, room * sizeof *areas);
    store->areas = areas ? areas : store->areas;
    uint64_t *saturations =
        areas && channels ? realloc(store->saturations, room * sizeof *areas) : NULL;
    store->saturations = saturations ? saturations : store->saturations;
    if (!areas || (channels && !saturations))
        return fail_memory("the areas of defective regions", 2 * room * sizeof *areas);
    store->region_room = room;
    return IMIAD_OK;
}

static bool add_defects(pixel_store *store, const float *map, int32_t width)
{
    const mask_regions *mask = &store->mask;
    for (size_t i = 0; i < mask->run_count; ++i) {
        const mask_run *run = &mask->runs[i];
        size_t count = (size_t)(run->end - run->begin);
        if (!defect_set_add(store->defects, map + (size_t)run->row * width + run->begin, count,
                            (uint32_t)store->region_count + run->region))
            return false;
        store->defect_count += count;
    }
    if (mask->region_count > 0) {
        size_t size = mask->region_count * sizeof *mask->areas;
        memcpy(store->areas + store->region_count, mask->areas, size);
        if (store->saturations)
            memcpy(store->saturations + store->region_count, mask->saturations, size);
        store->region_count += mask->region_count;
        store->defective_map_count++;
    }
    return true;
}

static size_t first_run_from(const mask_regions *mask, int32_t row)
{
    size_t low = 0, high = mask->run_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mask->runs[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first pixel of band 1..bands, and of the one after the last. */
static int32_t band_row(const map_work *work, size_t band)
{
    return (int32_t)((int64_t)work->height * (int64_t)(band - 1) / (int64_t)work->bands);
}

static imiad_status find_regions(mask_regions *m, const ground_truth *truth, int connectivity)
{
    if (truth->channels)
        return channels_find(m, truth->channels, truth->channel_count);
    return truth->mask ? regions_find(m, truth->mask, connectivity) : IMIAD_OK;
}

static void check_band(map_work *work, size_t band, size_t lane)
{
    if (band == 0) {
        if (find_regions(&work->store->mask, &work->truth, work->rules.connectivity) != IMIAD_OK)
            atomic_store(&work->no_memory, true);
        return;
    }
    size_t begin = (size_t)band_row(work, band) * (size_t)work->width;
    size_t end = (size_t)band_row(work, band + 1) * (size_t)work->width;
    if (scores_refused(work->map + begin, end - begin, work->rules.infinities))
        atomic_store(&work->refused, true);
}

/* What lies between the runs, which may overlap; rows taken as one line. */
static bool add_normals(const map_work *work, size_t band, size_t lane)
{
    const mask_regions *mask = &work->store->mask;
    score_set *normals = work->store->normals;
    int32_t first = band_row(work, band), last = band_row(work, band + 1);
    size_t done = (size_t)first * (size_t)work->width, end = (size_t)last * (size_t)work->width;
    bool good = true;
    for (size_t i = first_run_from(mask, first); i < mask->run_count && good; ++i) {
        const mask_run *run = &mask->runs[i];
        if (run->row >= last)
            break;
        size_t begin = (size_t)run->row * (size_t)work->width + (size_t)run->begin;
        size_t behind = begin + (size_t)(run->end - run->begin);
        if (begin > done)
            good = score_set_add(normals, lane, work->map + done, begin - done);
        done = behind > done ? behind : done;
    }
    return good && score_set_add(normals, lane, work->map + done, end - done);
}

static void add_band(map_work *work, size_t band, size_t lane)
{
    if (!(band == 0 ? add_defects(work->store, work->map, work->width)
                    : add_normals(work, band, lane)))
        atomic_store(&work->no_memory, true);
}

static void take_bands(map_work *work, size_t lane, void (*take)(map_work *, size_t, size_t))
{
    for (size_t band; (band = atomic_fetch_add(&work->next, 1)) <= work->bands;)
        take(work, band, lane);
}

static void check_lanes(void *context, size_t begin, size_t end)
{
    take_bands(context, begin, check_band);
}

static void add_lanes(void *context, size_t begin, size_t end)
{
    take_bands(context, begin, add_band);
}

imiad_status pixel_store_add(pixel_store *store, const float *map, int32_t width, int32_t height,
                             ground_truth truth, pixel_rules rules)
{
    map_work work = {.store = store,
                     .map = map,
                     .width = width,
                     .height = height,
                     .truth = truth,
                     .rules = rules};
    size_t lanes = lanes_for((uint64_t)width * (uint64_t)height);
    work.bands = lanes > 1 ? BANDS : 1;
    TRY(score_set_open_lanes(store->normals, lanes));
    store->mask.run_count = store->mask.region_count = 0; /* those of a good image */
    parallel_for(lanes, 1, check_lanes, &work);
    if (atomic_load(&work.refused))
        return fail_refused(&work);
    if (atomic_load(&work.no_memory))
        return fail_memory("the regions of a mask", store->mask.run_room * sizeof(mask_run));
    TRY(reserve_regions(store, truth.channels != NULL));
    atomic_store(&work.next, 0);
    parallel_for(lanes, 1, add_lanes, &work);
    if (atomic_load(&work.no_memory)) {
        store->incomplete = true;
        return fail_memory("the scores of a map", (size_t)width * (size_t)height * sizeof *map);
    }
    store->map_count++;
    return IMIAD_OK;
}
