/* What the publishers' copies hold: facts to hold a copy against, never to judge it by. */
#include <string.h>

#include "base/error.h"
#include "data/dataset.h"

typedef struct kind_count {
    const char *kind; /* NULL ends the list */
    size_t count;     /* defective images over all subsets */
} kind_count;

enum { MOST_KINDS = 8 };

typedef struct counts {
    const char *category; /* NULL ends a table */
    size_t train_good, train_defective, validation, test_good, test_defective;
    kind_count kinds[MOST_KINDS + 1];
} counts;

static const counts mvtec_ad_counts[] = {
    {"bottle",
     209,
     0,
     0,
     20,
     63,
     {{"broken_large", 20}, {"broken_small", 22}, {"contamination", 21}}},
    {"cable",
     224,
     0,
     0,
     58,
     92,
     {{"bent_wire", 13},
      {"cable_swap", 12},
      {"combined", 11},
      {"cut_inner_insulation", 14},
      {"cut_outer_insulation", 10},
      {"missing_cable", 12},
      {"missing_wire", 10},
      {"poke_insulation", 10}}},
    {"capsule",
     219,
     0,
     0,
     23,
     109,
     {{"crack", 23}, {"faulty_imprint", 22}, {"poke", 21}, {"scratch", 23}, {"squeeze", 20}}},
    {"carpet",
     280,
     0,
     0,
     28,
     89,
     {{"color", 19}, {"cut", 17}, {"hole", 17}, {"metal_contamination", 17}, {"thread", 19}}},
    {"grid",
     264,
     0,
     0,
     21,
     57,
     {{"bent", 12}, {"broken", 12}, {"glue", 11}, {"metal_contamination", 11}, {"thread", 11}}},
    {"hazelnut", 391, 0, 0, 40, 70, {{"crack", 18}, {"cut", 17}, {"hole", 18}, {"print", 17}}},
    {"leather",
     245,
     0,
     0,
     32,
     92,
     {{"color", 19}, {"cut", 19}, {"fold", 17}, {"glue", 19}, {"poke", 18}}},
    {"metal_nut", 220, 0, 0, 22, 93, {{"bent", 25}, {"color", 22}, {"flip", 23}, {"scratch", 23}}},
    {"pill",
     267,
     0,
     0,
     26,
     141,
     {{"color", 25},
      {"combined", 17},
      {"contamination", 21},
      {"crack", 26},
      {"faulty_imprint", 19},
      {"pill_type", 9},
      {"scratch", 24}}},
    {"screw",
     320,
     0,
     0,
     41,
     119,
     {{"manipulated_front", 24},
      {"scratch_head", 24},
      {"scratch_neck", 25},
      {"thread_side", 23},
      {"thread_top", 23}}},
    {"tile",
     230,
     0,
     0,
     33,
     84,
     {{"crack", 17}, {"glue_strip", 18}, {"gray_stroke", 16}, {"oil", 18}, {"rough", 15}}},
    {"toothbrush", 60, 0, 0, 12, 30, {{"defective", 30}}},
    {"transistor",
     213,
     0,
     0,
     60,
     40,
     {{"bent_lead", 10}, {"cut_lead", 10}, {"damaged_case", 10}, {"misplaced", 10}}},
    {"wood",
     247,
     0,
     0,
     19,
     60,
     {{"color", 8}, {"combined", 11}, {"hole", 10}, {"liquid", 10}, {"scratch", 21}}},
    {"zipper",
     240,
     0,
     0,
     32,
     119,
     {{"broken_teeth", 19},
      {"combined", 16},
      {"fabric_border", 17},
      {"fabric_interior", 16},
      {"rough", 17},
      {"split_teeth", 18},
      {"squeezed_teeth", 16}}},
    {NULL},
};

static const counts mvtec_loco_counts[] = {
    {"breakfast_box",
     351,
     0,
     62,
     102,
     173,
     {{"logical_anomalies", 83}, {"structural_anomalies", 90}}},
    {"juice_bottle",
     335,
     0,
     54,
     94,
     236,
     {{"logical_anomalies", 142}, {"structural_anomalies", 94}}},
    {"pushpins", 372, 0, 69, 138, 172, {{"logical_anomalies", 91}, {"structural_anomalies", 81}}},
    {"screw_bag", 360, 0, 60, 122, 219, {{"logical_anomalies", 137}, {"structural_anomalies", 82}}},
    {"splicing_connectors",
     360,
     0,
     60,
     119,
     193,
     {{"logical_anomalies", 108}, {"structural_anomalies", 85}}},
    {NULL},
};

static const counts mpdd_counts[] = {
    {"bracket_black", 289, 0, 0, 32, 47, {{"hole", 12}, {"scratches", 35}}},
    {"bracket_brown", 185, 0, 0, 26, 51, {{"bend_and_parts_mismatch", 17}, {"parts_mismatch", 34}}},
    {"bracket_white", 110, 0, 0, 30, 30, {{"defective_painting", 13}, {"scratches", 17}}},
    {"connector", 128, 0, 0, 30, 14, {{"parts_mismatch", 14}}},
    {"metal_plate", 54, 0, 0, 26, 71, {{"major_rust", 14}, {"scratches", 34}, {"total_rust", 23}}},
    {"tubes", 122, 0, 0, 32, 69, {{"anomalous", 69}}},
    {NULL},
};

static const counts btad_counts[] = {
    {"01", 400, 0, 0, 21, 49, {{"ko", 49}}},
    {"02", 399, 0, 0, 30, 200, {{"ko", 200}}},
    {"03", 1000, 0, 0, 400, 41, {{"ko", 41}}},
    {NULL},
};

static const counts visa_counts[] = {
    {"candle", 900, 0, 0, 100, 100, {{"bad", 100}}},
    {"capsules", 542, 0, 0, 60, 100, {{"bad", 100}}},
    {"cashew", 450, 0, 0, 50, 100, {{"bad", 100}}},
    {"chewinggum", 453, 0, 0, 50, 100, {{"bad", 100}}},
    {"fryum", 450, 0, 0, 50, 100, {{"bad", 100}}},
    {"macaroni1", 900, 0, 0, 100, 100, {{"bad", 100}}},
    {"macaroni2", 900, 0, 0, 100, 100, {{"bad", 100}}},
    {"pcb1", 904, 0, 0, 100, 100, {{"bad", 100}}},
    {"pcb2", 901, 0, 0, 100, 100, {{"bad", 100}}},
    {"pcb3", 905, 0, 0, 101, 100, {{"bad", 100}}},
    {"pcb4", 904, 0, 0, 101, 100, {{"bad", 100}}},
    {"pipe_fryum", 450, 0, 0, 50, 100, {{"bad", 100}}},
    {NULL},
};

/* No official split: all good images stand under training. */
static const counts mtd_counts[] = {
    {"mtd",
     952,
     0,
     0,
     0,
     392,
     {{"MT_Blowhole", 115},
      {"MT_Break", 85},
      {"MT_Crack", 57},
      {"MT_Fray", 32},
      {"MT_Uneven", 103}}},
    {NULL},
};

static const counts dagm_counts[] = {
    {"Class1", 496, 79, 0, 504, 71, {{"defective", 150}}},
    {"Class2", 509, 66, 0, 491, 84, {{"defective", 150}}},
    {"Class3", 509, 66, 0, 491, 84, {{"defective", 150}}},
    {"Class4", 493, 82, 0, 507, 68, {{"defective", 150}}},
    {"Class5", 505, 70, 0, 495, 80, {{"defective", 150}}},
    {"Class6", 492, 83, 0, 508, 67, {{"defective", 150}}},
    {"Class7", 1000, 150, 0, 1000, 150, {{"defective", 300}}},
    {"Class8", 1000, 150, 0, 1000, 150, {{"defective", 300}}},
    {"Class9", 1000, 150, 0, 1000, 150, {{"defective", 300}}},
    {"Class10", 1000, 150, 0, 1000, 150, {{"defective", 300}}},
    {NULL},
};

static const counts mvtec_3d_rgb_counts[] = {
    {"bagel", 244, 0, 22, 22, 88, {}},
    {"cable_gland", 223, 0, 23, 21, 87, {}},
    {"carrot", 286, 0, 29, 27, 132, {}},
    {"cookie", 210, 0, 22, 28, 103, {}},
    {"dowel", 288, 0, 34, 26, 104, {}},
    {"foam", 236, 0, 27, 20, 80, {}},
    {"peach", 361, 0, 42, 26, 106, {}},
    {"potato", 300, 0, 33, 22, 92, {}},
    {"rope", 298, 0, 33, 32, 69, {}},
    {"tire", 210, 0, 29, 25, 87, {}},
    {NULL},
};

static const struct {
    const char *dataset;
    imiad_provenance provenance;
    const counts *rows;
} tables[] = {
    {"mvtec_ad", IMIAD_PROVENANCE_VERIFIED, mvtec_ad_counts},
    {"mvtec_loco", IMIAD_PROVENANCE_SECONDARY, mvtec_loco_counts},
    {"mpdd", IMIAD_PROVENANCE_SECONDARY, mpdd_counts},
    {"btad", IMIAD_PROVENANCE_SECONDARY, btad_counts},
    {"visa", IMIAD_PROVENANCE_VERIFIED, visa_counts},
    {"mtd", IMIAD_PROVENANCE_VERIFIED, mtd_counts},
    {"dagm", IMIAD_PROVENANCE_RECALLED, dagm_counts},
    {"mvtec_3d_rgb", IMIAD_PROVENANCE_RECALLED, mvtec_3d_rgb_counts},
};

/* The dataset's table; NULL where there is none. */
static const counts *find_table(imiad_provenance *provenance, const imiad_dataset *dataset)
{
    for (size_t t = 0; t < sizeof tables / sizeof *tables; ++t)
        if (strcmp(tables[t].dataset, dataset->ops->name) == 0) {
            *provenance = tables[t].provenance;
            return tables[t].rows;
        }
    return NULL;
}

static imiad_status find(const counts **out, imiad_provenance *provenance,
                         const imiad_dataset *dataset, size_t category)
{
    if (category >= dataset->category_count)
        return fail(IMIAD_OUT_OF_RANGE, "category %zu of %zu", category, dataset->category_count);
    const char *name = dataset->categories[category].name;
    for (const counts *row = find_table(provenance, dataset); row && row->category; ++row)
        if (strcmp(row->category, name) == 0) {
            *out = row;
            return IMIAD_OK;
        }
    return fail(IMIAD_NOT_FOUND, "no official counts of category %s of dataset %s are known", name,
                dataset->ops->name);
}

const char *imiad_dataset_official_category(const imiad_dataset *dataset, size_t index)
{
    imiad_provenance provenance;
    const counts *row = dataset ? find_table(&provenance, dataset) : NULL;
    for (; row && row->category && index > 0; ++row)
        --index;
    return row ? row->category : NULL;
}

imiad_status imiad_dataset_official_counts(imiad_official_counts *out, const imiad_dataset *dataset,
                                           size_t category)
{
    if (!out || out->struct_size < sizeof *out || !dataset)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "imiad_dataset_official_counts: NULL, or struct_size is not set");
    const counts *row;
    imiad_official_counts official = {.struct_size = out->struct_size,
                                      .has_split = !dataset->own_split};
    TRY(find(&row, &official.provenance, dataset, category));
    official.good = row->train_good + row->validation + row->test_good;
    official.defective = row->train_defective + row->test_defective;
    if (official.has_split) {
        official.train_good = row->train_good;
        official.train_defective = row->train_defective;
        official.validation = row->validation;
        official.test_good = row->test_good;
        official.test_defective = row->test_defective;
    }
    *out = official;
    return IMIAD_OK;
}

imiad_status imiad_dataset_official_kind(size_t *out, const imiad_dataset *dataset, size_t category,
                                         const char *kind)
{
    if (!out || !dataset || !kind)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_dataset_official_kind: NULL");
    const counts *row;
    imiad_provenance provenance;
    TRY(find(&row, &provenance, dataset, category));
    for (const kind_count *k = row->kinds; k->kind; ++k)
        if (strcmp(k->kind, kind) == 0) {
            *out = k->count;
            return IMIAD_OK;
        }
    return fail(IMIAD_NOT_FOUND,
                "no official count of kind %s in category %s of dataset %s is known", kind,
                row->category, dataset->ops->name);
}
