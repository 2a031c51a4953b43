/* The kinds of defects that a dataset describes. */
#include <string.h>

#include "base/error.h"
#include "data/dataset.h"

static imiad_status find_category(const category_entry **out, const imiad_defect_info *info,
                                  const imiad_dataset *dataset, size_t category)
{
    if (!info || info->struct_size < sizeof *info || !dataset)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "a dataset's defect: out or dataset is NULL, or struct_size is not set");
    if (category >= dataset->category_count)
        return fail(IMIAD_OUT_OF_RANGE, "category %zu of %zu", category, dataset->category_count);
    *out = &dataset->categories[category];
    return IMIAD_OK;
}

static void give(imiad_defect_info *out, const imiad_defect_info *defect)
{
    uint32_t size = out->struct_size;
    *out = *defect;
    out->struct_size = size;
}

size_t imiad_dataset_defect_count(const imiad_dataset *dataset, size_t category)
{
    return dataset && category < dataset->category_count
               ? dataset->categories[category].defect_count
               : 0;
}

imiad_status imiad_dataset_defect(imiad_defect_info *out, const imiad_dataset *dataset,
                                  size_t category, size_t index)
{
    const category_entry *c = NULL;
    TRY(find_category(&c, out, dataset, category));
    if (index >= c->defect_count)
        return fail(IMIAD_OUT_OF_RANGE, "defect %zu of %zu that category %s describes", index,
                    c->defect_count, c->name);
    give(out, &c->defects[index]);
    return IMIAD_OK;
}

imiad_status imiad_dataset_find_defect(imiad_defect_info *out, const imiad_dataset *dataset,
                                       size_t category, int32_t pixel_value)
{
    const category_entry *c = NULL;
    TRY(find_category(&c, out, dataset, category));
    for (size_t i = 0; i < c->defect_count; ++i)
        if (c->defects[i].pixel_value == pixel_value) {
            give(out, &c->defects[i]);
            return IMIAD_OK;
        }
    if (!c->defects_expected)
        return fail(IMIAD_NOT_FOUND, "dataset %s does not describe its defects",
                    dataset->ops->name);
    if (c->defect_count == 0)
        return fail(IMIAD_NOT_FOUND, "category %s: no defects are described in %s", c->name,
                    c->defects_expected);
    return fail(IMIAD_NOT_FOUND, "category %s: no entry of %s has the pixel_value %d", c->name,
                c->defects_expected, pixel_value);
}
