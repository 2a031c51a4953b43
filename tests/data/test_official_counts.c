/* Whole datasets in their publishers' layouts, with their published numbers of images: what the
 * readers count is what was published. Source of the counts: tests/golden/dataset_counts.csv, taken
 * from the datasets' own file lists, split files and publications. */
#include "dataset_trees.h"
#include "splits.h"
#include "trees.h"

/* Published totals beside the categories' counts: VisA's split file has 10821 rows, DAGM 16100
 * images, BTAD 2540. */
static const struct {
    const char *reader, *layout;
    size_t images;
} datasets[] = {
    {"mvtec_ad", "mvtec_ad", 3629 + 467 + 1258},
    {"mvtec_loco", "mvtec_loco", 1778 + 305 + 575 + 993},
    {"mpdd", "mpdd", 888 + 176 + 282},
    {"btad", "btad", 2540},
    {"visa", "visa", 10821},
    {"visa", "visa_converted", 10821},
    {"mtd", "mtd", 952 + 392},
    {"dagm", "dagm", 16100},
    {"mvtec_3d_rgb", "mvtec_3d_rgb", 2656 + 294 + 249 + 948},
};
enum { DATASETS = sizeof datasets / sizeof *datasets };

static golden_counts rows[GOLDEN_ROWS];
static size_t row_count;

static imiad_dataset *open_whole(int which)
{
    tree_begin();
    row_count = golden_read(rows, datasets[which].reader);
    dataset_tree_write(tree, datasets[which].layout, rows, row_count);
    imiad_dataset *d;
    ck_ok(tree_open(&d, datasets[which].reader, NULL));
    return d;
}

/* Every category, but so many images for every count. */
static imiad_dataset *open_few(int which, size_t few)
{
    tree_begin();
    row_count = golden_read(rows, datasets[which].reader);
    golden_counts small[GOLDEN_ROWS];
    for (size_t i = 0; i < row_count; ++i) {
        small[i] = rows[i];
        small[i].train_good = small[i].test_good = small[i].test_defective = few;
        small[i].train_defective = small[i].validation = 0;
        for (size_t k = 0; k < small[i].kind_count; ++k)
            small[i].kinds[k].count = few;
    }
    dataset_tree_write(tree, datasets[which].layout, small, row_count);
    imiad_dataset *d;
    ck_ok(tree_open(&d, datasets[which].reader, NULL));
    return d;
}

static imiad_dataset *open_small(int which)
{
    return open_few(which, 1);
}

/* MTD has no official split: 80 % of 952 good images, rounded down, train. */
static golden_counts expected_of(const golden_counts *row)
{
    golden_counts expected = *row;
    if (strcmp(row->dataset, "mtd") == 0) {
        expected.train_good = 761;
        expected.test_good = 191;
    }
    return expected;
}

START_TEST(every_category_counts_as_published)
{
    imiad_dataset *d = open_whole(_i);
    ck_assert_uint_eq(imiad_dataset_sample_count(d), datasets[_i].images);
    ck_assert_uint_eq(imiad_dataset_category_count(d), row_count);
    for (size_t i = 0; i < row_count; ++i) {
        golden_counts expected = expected_of(&rows[i]);
        imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
        ck_ok(imiad_dataset_category_info(&info, d, i));
        ck_assert_str_eq(info.name, expected.category);
        ck_assert_uint_eq(info.train_good, expected.train_good);
        ck_assert_uint_eq(info.train_defective, expected.train_defective);
        ck_assert_uint_eq(info.validation, expected.validation);
        ck_assert_uint_eq(info.test_good, expected.test_good);
        ck_assert_uint_eq(info.test_defective, expected.test_defective);
        ck_assert_uint_eq(info.missing_masks, 0);
    }
    imiad_dataset_free(d);
}
END_TEST

static size_t count_kind(const imiad_dataset *d, size_t category, const char *kind)
{
    size_t count = 0;
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        imiad_sample s = sample_of(d, i);
        count += (size_t)s.category == category && s.label == 1 && strcmp(s.kind, kind) == 0;
    }
    return count;
}

START_TEST(every_kind_of_defect_counts_as_published)
{
    imiad_dataset *d = open_whole(_i);
    for (size_t i = 0; i < row_count; ++i)
        for (size_t k = 0; k < rows[i].kind_count; ++k) {
            size_t official = 0;
            ck_ok(imiad_dataset_official_kind(&official, d, i, rows[i].kinds[k].name));
            ck_assert_uint_eq(official, rows[i].kinds[k].count);
            ck_assert_uint_eq(count_kind(d, i, rows[i].kinds[k].name), official);
        }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(the_library_knows_the_published_counts)
{
    imiad_dataset *d = open_small(_i);
    ck_assert_ptr_null(imiad_dataset_official_category(d, row_count));
    ck_assert_ptr_null(imiad_dataset_official_category(d, row_count + 1));
    for (size_t i = 0; i < row_count; ++i) {
        const golden_counts *row = &rows[i];
        ck_assert_str_eq(imiad_dataset_official_category(d, i), row->category);
        imiad_official_counts official = IMIAD_OFFICIAL_COUNTS_INIT;
        ck_ok(imiad_dataset_official_counts(&official, d, i));
        bool split = strcmp(row->dataset, "mtd") != 0;
        ck_assert_int_eq(official.has_split, split);
        ck_assert_uint_eq(official.good, row->train_good + row->validation + row->test_good);
        ck_assert_uint_eq(official.defective, row->train_defective + row->test_defective);
        ck_assert_uint_eq(official.train_good, split ? row->train_good : 0);
        ck_assert_uint_eq(official.train_defective, row->train_defective);
        ck_assert_uint_eq(official.validation, row->validation);
        ck_assert_uint_eq(official.test_good, row->test_good);
        ck_assert_uint_eq(official.test_defective, split ? row->test_defective : 0);
        ck_assert_int_eq(official.provenance, row->mark == 'V'   ? IMIAD_PROVENANCE_VERIFIED
                                              : row->mark == 'S' ? IMIAD_PROVENANCE_SECONDARY
                                                                 : IMIAD_PROVENANCE_RECALLED);
    }
    imiad_dataset_free(d);
}
END_TEST

/* Whatever the seed, and by their paths too: a file may be listed once only. */
START_TEST(no_labelled_anomaly_is_tested)
{
    static const char *const sizes[] = {"1", "3"};
    imiad_dataset *d = open_few(_i, 4);
    size_t drawn = 0;
    for (size_t c = 0; c < imiad_dataset_category_count(d); ++c)
        for (int draw = 0; draw < 6; ++draw) {
            char seed[16];
            snprintf(seed, sizeof seed, "%d", draw / 2);
            imiad_split *s = split_of(d, imiad_dataset_category(d, c), "supervised",
                                      OPTIONS("anomalies", sizes[draw % 2], "seed", seed));
            for (size_t i = 0; i < imiad_split_train_count(s); ++i) {
                imiad_sample trained = sample_of(d, imiad_split_train(s, i));
                drawn += trained.label == 1;
                ck_assert_int_eq(trained.label, imiad_split_train_label(s, i));
                for (size_t k = 0; k < imiad_split_test_count(s); ++k)
                    ck_assert_str_ne(sample_of(d, imiad_split_test(s, k)).path, trained.path);
            }
            imiad_split_free(s);
        }
    ck_assert_uint_ge(drawn, 12 * imiad_dataset_category_count(d));
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_listing_does_not_depend_on_threads)
{
    imiad_dataset_free(open_small(_i));
    char digests[2][65];
    for (int i = 0; i < 2; ++i) {
        imiad_dataset *d;
        ck_ok(imiad_set_threads(i == 0 ? 1 : 8));
        ck_ok(tree_open(&d, datasets[_i].reader, NULL));
        ck_ok(imiad_dataset_digest(digests[i], d));
        imiad_dataset_free(d);
    }
    ck_assert_str_eq(digests[0], digests[1]);
}
END_TEST

/* LOCO on disk: 993 mask folders with 1246 masks (counted by several projects in their copies). */
START_TEST(loco_has_1246_masks_of_993_images)
{
    imiad_dataset *d = open_whole(1);
    size_t masks = 0, images = 0;
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        size_t channels = imiad_dataset_mask_channels(d, i);
        masks += channels;
        images += channels > 0;
    }
    ck_assert_uint_eq(images, 993);
    ck_assert_uint_eq(masks, 1246);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(classes_of_dagm_come_in_the_order_of_their_numbers)
{
    imiad_dataset *d = open_small(7);
    for (size_t i = 0; i < 10; ++i) {
        char name[16];
        snprintf(name, sizeof name, "Class%zu", i + 1);
        ck_assert_str_eq(imiad_dataset_category(d, i), name);
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(nothing_is_known_of_categories_of_ones_own)
{
    tree_begin();
    tree_category("spoon");
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    imiad_official_counts official = IMIAD_OFFICIAL_COUNTS_INIT;
    size_t count;
    ck_assert_ptr_null(imiad_dataset_official_category(NULL, 0));
    ck_fails(imiad_dataset_official_counts(&official, d, 0), IMIAD_NOT_FOUND, "spoon");
    ck_fails(imiad_dataset_official_kind(&count, d, 0, "hole"), IMIAD_NOT_FOUND, "spoon");
    ck_fails(imiad_dataset_official_counts(&official, d, 1), IMIAD_OUT_OF_RANGE, "1 of 1");
    ck_fails(imiad_dataset_official_counts(NULL, d, 0), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_dataset_official_counts(&official, NULL, 0), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_dataset_official_kind(&count, d, 0, NULL), IMIAD_INVALID_ARGUMENT, "NULL");
    official.struct_size = 0;
    ck_fails(imiad_dataset_official_counts(&official, d, 0), IMIAD_INVALID_ARGUMENT, "struct_size");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_kind_that_the_publisher_does_not_have_is_not_found)
{
    tree_begin();
    tree_category("bottle");
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    size_t count;
    ck_fails(imiad_dataset_official_kind(&count, d, 0, "hole"), IMIAD_NOT_FOUND, "kind hole");
    ck_ok(imiad_dataset_official_kind(&count, d, 0, "broken_large"));
    ck_assert_uint_eq(count, 20);
    imiad_dataset_free(d);
}
END_TEST

/* The same figures as tables that others keep: dataset,category,train_good,test_good,test_defective
 */
START_TEST(the_counts_agree_with_the_reference_tables)
{
    static const char *const names[][2] = {
        {"mvtec_ad", "mvtec"},
        {"mvtec_loco", "mvtec_loco"},
        {"mpdd", "mpdd"},
        {"btad", "btad"},
        {"visa", "visa"},
        {"dagm", "dagm"},
        {"mvtec_3d_rgb", "mvtec_3d"},
    };
    char path[64], line[256];
    snprintf(path, sizeof path, "reference/%s_counts.csv", names[_i][1]);
    FILE *file = fopen(SHARED(path), "r");
    ck_assert_ptr_nonnull(file);
    size_t seen = 0;
    row_count = golden_read(rows, names[_i][0]);
    while (fgets(line, sizeof line, file)) {
        golden_counts r;
        if (sscanf(line, "%31[^,],%31[^,],%zu,%zu,%zu", r.dataset, r.category, &r.train_good,
                   &r.test_good, &r.test_defective) != 5)
            continue;
        ck_assert_uint_lt(seen, row_count);
        ck_assert_str_eq(r.category, rows[seen].category);
        ck_assert_uint_eq(r.train_good, rows[seen].train_good);
        ck_assert_uint_eq(r.test_good, rows[seen].test_good);
        ck_assert_uint_eq(r.test_defective, rows[seen].test_defective);
        ++seen;
    }
    fclose(file);
    ck_assert_uint_eq(seen, row_count);
}
END_TEST

SUITE("official-counts", LOOP_TEST(every_category_counts_as_published, DATASETS),
      LOOP_TEST(every_kind_of_defect_counts_as_published, DATASETS),
      LOOP_TEST(the_library_knows_the_published_counts, DATASETS),
      LOOP_TEST(no_labelled_anomaly_is_tested, DATASETS),
      LOOP_TEST(a_listing_does_not_depend_on_threads, DATASETS),
      TEST(loco_has_1246_masks_of_993_images),
      TEST(classes_of_dagm_come_in_the_order_of_their_numbers),
      TEST(nothing_is_known_of_categories_of_ones_own),
      TEST(a_kind_that_the_publisher_does_not_have_is_not_found),
      LOOP_TEST(the_counts_agree_with_the_reference_tables, 7))
