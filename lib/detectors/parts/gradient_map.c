#include "detectors/parts/gradient_map.h"

#include <math.h>
#include <string.h>

tensor *gradient_map_find(tensor *found, tensor *images)
{
    t_backward_to(t_sum_all(found), images);
    return t_sum(t_abs(t_grad(images)), 1, false);
}

/* n x 1: between the two values of a row of n x count that lie around the percentile's place. */
static tensor *upper_percentile(tensor *rows)
{
    double place = 0.99 * ((double)t_size(rows, 1) - 1), below = floor(place);
    int64_t from_top = t_size(rows, 1) - (int64_t)below;
    tensor *top = t_topk(rows, from_top, 1, true, NULL);
    tensor *lower = t_slice(top, 1, from_top - 1, from_top);
    if (from_top < 2)
        return lower;
    tensor *higher = t_slice(top, 1, from_top - 2, from_top - 1);
    return t_add(lower, t_mul_scalar(t_sub(higher, lower), place - below));
}

tensor *gradient_map_scale(tensor *maps)
{
    const int64_t all[3] = {t_size(maps, 0), t_size(maps, 1), t_size(maps, 2)};
    tensor *rows = t_flatten(maps, 1, 2), *least = t_amin(rows, 1, true);
    tensor *percentile = upper_percentile(rows), *above = t_sub(rows, least);
    tensor *scaled = t_clamp(t_div(above, t_sub(percentile, least)), 0, 1);
    scaled = t_where(t_gt_scalar(above, 0), scaled, t_mul_scalar(above, 0)); /* not 0 / 0 */
    return t_view(t_where(t_gt_scalar(percentile, 0), scaled, rows), 3, all);
}

localization localization_of(const option_set *options)
{
    const char *chosen = options_text(options, "localization");
    if (strcmp(chosen, "none") == 0)
        return LOCALIZE_NONE;
    return strcmp(chosen, "gradient") == 0 ? LOCALIZE_GRADIENT : LOCALIZE_RAW;
}

void gradient_map_score(imiad_detector *self, const batch *b, localization kind,
                        tensor *(*judge)(imiad_detector *self, tensor *images), scores *out)
{
    if (kind == LOCALIZE_NONE) {
        out->image = judge(self, b->images);
        return;
    }
    out->image = t_zeros(1, &b->count, F32, t_device(b->images));
    scope s = scope_begin_grad();
    tensor *images = t_detach(b->images);
    t_require_grad(images, true);
    tensor *found = judge(self, images);
    t_copy_(out->image, t_detach(found));
    tensor *maps = gradient_map_find(found, images);
    out->maps = scope_return(&s, kind == LOCALIZE_RAW ? maps : gradient_map_scale(maps));
}
