/* Trees with something wrong in them: each failure names the file, and of text files the line. */
#include "dataset_trees.h"
#include "trees.h"

#include "imiad/split.h"

typedef enum fails_at {
    AT_OPENING, /* the whole dataset */
    AT_SPLIT    /* the category: the others can be used */
} fails_at;

/* One file of a sound tree is replaced by `text`, cut in half (CUT) or removed with its folder's
 * other files (GONE). */
#define CUT  "cut"
#define GONE "gone"

typedef struct damage {
    const char *layout, *category, *path, *text;
    fails_at moment;
    imiad_status status;
    const char *message;
} damage;

#define CSV     "split_csv/1cls.csv", "object,split,label,image,mask\n"
#define NORMAL  "candle,train,normal,candle/Data/Images/Normal/0000.JPG,\n"
#define ANOMALY "candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,"
#define JSON    "pushpins/defects_config.json"
#define ENTRY(value, threshold, relative)                                                          \
    "[{\"defect_name\": \"a\", \"pixel_value\": " value ", \"saturation_threshold\": " threshold   \
    ", \"relative_saturation\": " relative "}]"
#define LABELS "Class1/Test/Label/Labels.txt"

static const damage damages[] = {
    /* VisA's split */
    {"visa", "candle", "split_csv/1cls.csv", GONE, AT_OPENING, IMIAD_NOT_FOUND,
     "split_csv/1cls.csv"},
    {"visa", "candle", "split_csv/1cls.csv", "", AT_OPENING, IMIAD_FORMAT,
     "split_csv/1cls.csv: the first line"},
    {"visa", "candle", "split_csv/1cls.csv", "object,set,label,image,mask\n", AT_OPENING,
     IMIAD_FORMAT, "split_csv/1cls.csv: the first line"},
    {"visa", "candle", CSV, AT_OPENING, IMIAD_FORMAT, "split_csv/1cls.csv lists no image"},
    {"visa", "candle", CSV NORMAL "candle,test,nor", AT_OPENING, IMIAD_FORMAT,
     "split_csv/1cls.csv, line 3: 3 columns"},
    {"visa", "candle", CSV "candle,train,normal,a,b,c\n", AT_OPENING, IMIAD_FORMAT,
     "line 2: 6 columns"},
    {"visa", "candle", CSV "candle,val,normal,candle/0.JPG,\n", AT_OPENING, IMIAD_FORMAT,
     "line 2: split is \"val\""},
    {"visa", "candle", CSV "candle,train,good,candle/0.JPG,\n", AT_OPENING, IMIAD_FORMAT,
     "line 2: label is \"good\""},
    {"visa", "candle", CSV "candle,train,normal,,\n", AT_OPENING, IMIAD_FORMAT,
     "line 2: image \"\" is no path"},
    {"visa", "candle", CSV "candle,train,normal,../candle/0.JPG,\n", AT_OPENING, IMIAD_FORMAT,
     "image \"../candle/0.JPG\" is no path of an image below the root"},
    {"visa", "candle", CSV "candle,train,normal,candle/../../0.JPG,\n", AT_OPENING, IMIAD_FORMAT,
     "below the root"},
    {"visa", "candle", CSV "candle,train,normal,/etc/0.JPG,\n", AT_OPENING, IMIAD_FORMAT,
     "image \"/etc/0.JPG\" is no path"},
    {"visa", "candle", CSV "candle,train,normal,candle//0.JPG,\n", AT_OPENING, IMIAD_FORMAT,
     "below the root"},
    {"visa", "candle", CSV "candle,train,normal,candle\\0.JPG,\n", AT_OPENING, IMIAD_FORMAT,
     "below the root"},
    {"visa", "candle", CSV "candle,train,normal,candle/0.txt,\n", AT_OPENING, IMIAD_FORMAT,
     "\"candle/0.txt\" is no path of an image"},
    {"visa", "candle", CSV "cashew,train,normal,candle/0.JPG,\n", AT_OPENING, IMIAD_FORMAT,
     "candle/0.JPG does not lie below its object \"cashew\""},
    {"visa", "candle", CSV NORMAL ANOMALY "../m.png\n", AT_OPENING, IMIAD_FORMAT,
     "line 3: mask \"../m.png\" is no path"},
    {"visa", "candle", CSV NORMAL NORMAL, AT_OPENING, IMIAD_FORMAT,
     "candle/Data/Images/Normal/0000.JPG is listed twice"},
    {"visa", "candle", CSV NORMAL "candle,test,normal,candle/Data/Images/Normal/9.JPG,\n", AT_SPLIT,
     IMIAD_NOT_FOUND, "line 3: there is no image"},
    {"visa", "candle", CSV ANOMALY "candle/Data/Masks/Anomaly/000.png\n", AT_SPLIT, IMIAD_NOT_FOUND,
     "category candle has no normal training images"},

    /* LOCO's description of defects */
    {"mvtec_loco", "pushpins", JSON, CUT, AT_SPLIT, IMIAD_FORMAT, JSON ", line "},
    {"mvtec_loco", "pushpins", JSON, "", AT_SPLIT, IMIAD_FORMAT, JSON ", line "},
    {"mvtec_loco", "pushpins", JSON, "{}", AT_SPLIT, IMIAD_FORMAT, JSON ": it must be a list"},
    {"mvtec_loco", "pushpins", JSON, "[7]", AT_SPLIT, IMIAD_FORMAT, JSON ": entry 0: it is no"},
    {"mvtec_loco", "pushpins", JSON, "[{}]", AT_SPLIT, IMIAD_FORMAT, "defect_name must be"},
    {"mvtec_loco", "pushpins", JSON, ENTRY("\"7\"", "9", "false"), AT_SPLIT, IMIAD_FORMAT,
     "pixel_value must be a whole number"},
    {"mvtec_loco", "pushpins", JSON, ENTRY("7.5", "9", "false"), AT_SPLIT, IMIAD_FORMAT,
     "pixel_value must be a whole number"},
    {"mvtec_loco", "pushpins", JSON, ENTRY("0", "9", "false"), AT_SPLIT, IMIAD_FORMAT,
     "pixel_value must be in 1..255"},
    {"mvtec_loco", "pushpins", JSON, ENTRY("256", "9", "false"), AT_SPLIT, IMIAD_FORMAT,
     "pixel_value must be in 1..255"},
    {"mvtec_loco", "pushpins", JSON, ENTRY("7", "[]", "false"), AT_SPLIT, IMIAD_FORMAT,
     "saturation_threshold must be a number"},
    {"mvtec_loco", "pushpins", JSON, ENTRY("7", "9", "0"), AT_SPLIT, IMIAD_FORMAT,
     "relative_saturation must be true or false"},
    {"mvtec_loco", "pushpins", JSON, ENTRY("7", "1.5", "true"), AT_SPLIT, IMIAD_FORMAT,
     "relative saturation_threshold must be in 0<..1"},
    {"mvtec_loco", "pushpins", JSON, ENTRY("7", "0", "true"), AT_SPLIT, IMIAD_FORMAT,
     "relative saturation_threshold must be in 0<..1"},
    {"mvtec_loco", "pushpins", JSON, ENTRY("7", "0", "false"), AT_SPLIT, IMIAD_FORMAT,
     "absolute saturation_threshold must be"},
    {"mvtec_loco", "pushpins", JSON, ENTRY("7", "12.5", "false"), AT_SPLIT, IMIAD_FORMAT,
     "absolute saturation_threshold must be"},
    {"mvtec_loco", "pushpins", JSON,
     "[{\"defect_name\": \"a\", \"pixel_value\": 7, \"saturation_threshold\": 1, "
     "\"relative_saturation\": true}, {\"defect_name\": \"b\", \"pixel_value\": 7, "
     "\"saturation_threshold\": 1, \"relative_saturation\": true}]",
     AT_SPLIT, IMIAD_FORMAT, "entry 1: an earlier entry has the same pixel_value"},
    {"mvtec_loco", "pushpins", "pushpins/train/good/000.png", GONE, AT_SPLIT, IMIAD_NOT_FOUND,
     "category pushpins has no normal training images"},

    /* DAGM's labels */
    {"dagm", "Class1", LABELS, GONE, AT_SPLIT, IMIAD_NOT_FOUND, LABELS},
    {"dagm", "Class1", LABELS, "", AT_SPLIT, IMIAD_FORMAT, LABELS ": the first line"},
    {"dagm", "Class1", LABELS, "1\t0\t0001.PNG\t0\t0\n", AT_SPLIT, IMIAD_FORMAT,
     LABELS ": the first line must be the number of the class"},
    {"dagm", "Class1", LABELS, "1\n1\t0\t0001.PNG\n", AT_SPLIT, IMIAD_FORMAT,
     LABELS ", line 2: 3 columns"},
    {"dagm", "Class1", LABELS, "1\n1 0 0001.PNG 0 0\n", AT_SPLIT, IMIAD_FORMAT,
     LABELS ", line 2: 1 columns"},
    {"dagm", "Class1", LABELS, "1\n1\tx\t0001.PNG\t0\t0\n", AT_SPLIT, IMIAD_FORMAT,
     "line 2: columns 1, 2 and 4 must be numbers"},
    {"dagm", "Class1", LABELS, "1\n1\t0\t../Train/0007.PNG\t0\t0\n", AT_SPLIT, IMIAD_FORMAT,
     "\"../Train/0007.PNG\" is no name"},
    {"dagm", "Class1", LABELS, "1\n1\t1\t0001.PNG\t0\t../0001.PNG\n", AT_SPLIT, IMIAD_FORMAT,
     "\"../0001.PNG\" is neither"},
    {"dagm", "Class1", LABELS, "1\n1\t0\t0001.PNG\t0\t0\n2\t0\t0001.png\t0\t0\n", AT_SPLIT,
     IMIAD_FORMAT, "is listed twice"},
    {"dagm", "Class1", LABELS, "1\n1\t0\t0077.PNG\t0\t0\n", AT_SPLIT, IMIAD_NOT_FOUND,
     "line 2: there is no image Class1/Test/0077.PNG"},

    /* layouts */
    {"mvtec_ad", "nut", "nut/train/good/000.png", GONE, AT_SPLIT, IMIAD_NOT_FOUND,
     "category nut has no normal training images; expected CATEGORY/train/good"},
    {"mpdd", "tubes", "tubes/train/good/000.png", GONE, AT_SPLIT, IMIAD_NOT_FOUND,
     "category tubes has no normal training images"},
    {"btad", "02", "02/train/ok/0000.png", GONE, AT_SPLIT, IMIAD_NOT_FOUND,
     "expected PRODUCT/train/ok"},
    {"visa_converted", "candle", "candle/train/good/0000.JPG", GONE, AT_SPLIT, IMIAD_NOT_FOUND,
     "category candle has no normal training images"},
    {"mvtec_3d_rgb", "tire", "tire/train/good/rgb/000.png", GONE, AT_SPLIT, IMIAD_NOT_FOUND,
     "expected CATEGORY/train/good/rgb"},
    {"mtd_split", "mtd", "train/good/exp1_num_100.jpg", GONE, AT_SPLIT, IMIAD_NOT_FOUND,
     "category mtd has no normal training images"},
    {"mtd", "mtd", "MT_Free/Imgs/exp1_num_115.jpg", GONE, AT_SPLIT, IMIAD_NOT_FOUND,
     "expected MT_Free/Imgs"},
};
enum { DAMAGES = sizeof damages / sizeof *damages };

static void remove_folder_of(const char *path)
{
    char folder[512];
    strcpy(folder, tree_path(path));
    *strrchr(folder, '/') = '\0';
    name_list names;
    ck_ok(folder_list(&names, folder));
    for (size_t i = 0; i < names.count; ++i) {
        char file[1024];
        snprintf(file, sizeof file, "%s/%s", folder, names.names[i]);
        unlink(file);
    }
    name_list_free(&names);
}

static void apply(const damage *d)
{
    uint64_t size;
    const char *whole = tree_path(d->path);
    ck_assert_msg(file_exists(whole), "the sound tree has no %s", d->path);
    if (strcmp(d->text, GONE) == 0) {
        remove_folder_of(d->path);
    } else if (strcmp(d->text, CUT) == 0) {
        ck_ok(file_size(&size, whole));
        ck_assert_int_eq(truncate(whole, (off_t)(size / 2)), 0);
    } else {
        unlink(whole); /* it may be a link */
        tree_bytes(d->path, d->text, strlen(d->text));
    }
}

static const char *reader_of(const char *layout)
{
    return strncmp(layout, "visa", 4) == 0  ? "visa"
           : strncmp(layout, "mtd", 3) == 0 ? "mtd"
                                            : layout;
}

static const char *kinds_of(const char *layout)
{
    return strncmp(layout, "mtd", 3) == 0 ? "MT_Crack" : "defective";
}

START_TEST(a_damaged_tree_is_refused_by_path_and_line)
{
    const damage *d = &damages[_i];
    golden_counts row =
        golden_small(d->layout, d->category, (const char *const[]){kinds_of(d->layout), ""});
    tree_begin();
    dataset_tree_write(tree, d->layout, &row, 1);
    apply(d);
    imiad_dataset *dataset = NULL;
    imiad_status status = tree_open(&dataset, reader_of(d->layout), NULL);
    if (d->moment == AT_SPLIT) {
        ck_ok(status);
        imiad_split *split;
        status = imiad_split_create(&split, dataset, d->category, "unsupervised", NULL, 0);
    }
    ck_assert_msg(status == d->status, "damage %d gave %s: %s", _i, imiad_status_name(status),
                  imiad_last_error());
    ck_assert_msg(strstr(imiad_last_error(), d->message), "damage %d: \"%s\" does not say \"%s\"",
                  _i, imiad_last_error(), d->message);
    ck_assert_msg(strstr(imiad_last_error(), tree), "%s", imiad_last_error());
    imiad_dataset_free(dataset);
}
END_TEST

/* ---- the older release of DAGM ---- */

static const struct {
    const char *text;
    imiad_status status;
    const char *message;
} ellipses[] = {
    {"1\t3\t1\t0\t5\n", IMIAD_FORMAT, "Class1_def/labels.txt, line 1: 5 columns"},
    {"1\t3\t1\t0\t5\t3\t9\n", IMIAD_FORMAT, "line 1: 7 columns"},
    {"1\t3\t1\t0\t5\tnan\n", IMIAD_FORMAT, "\"nan\" is no number that an ellipse can have"},
    {"1\t1e300\t1\t0\t5\t3\n", IMIAD_FORMAT, "\"1e300\" is no number"},
    {"1\t3\t1\t0\t5\t3px\n", IMIAD_FORMAT, "\"3px\" is no number"},
    {"1.5\t3\t1\t0\t5\t3\n", IMIAD_FORMAT, "1.5 is no number of an image"},
    {"-1\t3\t1\t0\t5\t3\n", IMIAD_FORMAT, "-1 is no number of an image"},
    {"1\t0\t1\t0\t5\t3\n", IMIAD_FORMAT, "axes must be above 0"},
    {"1\t3\t1\t0\t5\t3\n1\t3\t1\t0\t5\t3\n", IMIAD_FORMAT, "image 1 is listed twice"},
    {"1\t3\t1\t0\t5\t3\n2\t3\t1\t0\t5\t3\n", IMIAD_FORMAT, "1 of its 2 ellipses"},
    {NULL, IMIAD_NOT_FOUND, "Class1_def/labels.txt"},
};

START_TEST(a_damaged_list_of_ellipses_is_refused_by_line)
{
    tree_begin();
    tree_image("Class1/1.png", 4, 4, 9);
    tree_image("Class1_def/1.png", 4, 4, 9);
    if (ellipses[_i].text)
        tree_bytes("Class1_def/labels.txt", ellipses[_i].text, strlen(ellipses[_i].text));
    imiad_dataset *d;
    imiad_split *split;
    ck_ok(tree_open(&d, "dagm", NULL));
    ck_fails(imiad_split_create(&split, d, "Class1", "unsupervised", NULL, 0), ellipses[_i].status,
             ellipses[_i].message);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(dagm_with_one_folder_only_names_the_other)
{
    tree_begin();
    tree_image("Class1/1.png", 4, 4, 9);
    imiad_dataset *d;
    imiad_split *split;
    ck_ok(tree_open(&d, "dagm", NULL));
    ck_fails(imiad_split_create(&split, d, "Class1", "unsupervised", NULL, 0), IMIAD_NOT_FOUND,
             "Class1_def");
    imiad_dataset_free(d);
}
END_TEST

/* ---- a broken category among others ---- */

START_TEST(a_broken_category_leaves_the_others_alone)
{
    static const struct {
        const char *reader, *first, *second, *path;
    } cases[] = {{"dagm", "Class1", "Class2", "Class1/Train/Label/Labels.txt"},
                 {"mvtec_loco", "pushpins", "screw_bag", "pushpins/defects_config.json"}};
    tree_begin();
    golden_counts two[2] = {
        golden_small(cases[_i].reader, cases[_i].first, (const char *const[]){"defective", ""}),
        golden_small(cases[_i].reader, cases[_i].second, (const char *const[]){"defective", ""})};
    dataset_tree_write(tree, cases[_i].reader, two, 2);
    tree_bytes(cases[_i].path, "[", 1);
    imiad_dataset *d;
    imiad_split *split;
    ck_ok(tree_open(&d, cases[_i].reader, NULL));
    ck_fails(imiad_split_create(&split, d, cases[_i].first, "unsupervised", NULL, 0), IMIAD_FORMAT,
             cases[_i].path);
    ck_ok(imiad_split_create(&split, d, cases[_i].second, "unsupervised", NULL, 0));
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(an_empty_folder_says_what_was_expected)
{
    static const char *const readers[][2] = {
        {"mvtec_ad", "CATEGORY/train/good"},
        {"mvtec_loco", "ground_truth/KIND/NAME/000.png"},
        {"mpdd", "CATEGORY/train/good"},
        {"btad", "PRODUCT/train/ok"},
        {"visa", "split_csv"},
        {"mtd", "MT_Free/Imgs"},
        {"dagm", "Class1_def/labels.txt"},
        {"mvtec_3d_rgb", "CATEGORY/train/good/rgb"},
    };
    tree_begin();
    imiad_dataset *d;
    ck_fails(tree_open(&d, readers[_i][0], NULL), IMIAD_NOT_FOUND, readers[_i][1]);
    ck_assert_ptr_nonnull(strstr(imiad_last_error(), tree));
    ck_fails(imiad_dataset_open(&d, readers[_i][0], NULL, NULL, 0), IMIAD_INVALID_ARGUMENT,
             "needs the folder");
}
END_TEST

START_TEST(text_files_of_other_kinds_are_refused)
{
    golden_counts row = golden_small("visa", "candle", (const char *const[]){"bad", ""});
    tree_begin();
    dataset_tree_write(tree, "visa", &row, 1);
    tree_bytes("split_csv/1cls.csv", "object\0split", 12);
    imiad_dataset *d;
    ck_fails(tree_open(&d, "visa", NULL), IMIAD_FORMAT, "1cls.csv is no text");
    ck_assert_int_eq(truncate(tree_path("split_csv/1cls.csv"), (1 << 26) + 1), 0);
    ck_fails(tree_open(&d, "visa", NULL), IMIAD_FORMAT, "at most 67108864");
}
END_TEST

/* ---- folders that are called as images are ---- */

START_TEST(a_folder_named_as_an_image_is_none)
{
    static const struct {
        const char *dataset, *image, *folder, *mask_folder;
        imiad_option options[3];
        size_t count, samples;
    } cases[] = {
        {"mvtec_ad",
         NULL,
         "nut/train/good/dir.png/x.png",
         "nut/ground_truth/hole/000.png/x",
         {{0}},
         0,
         4},
        {"folder",
         "train/0.png",
         "train/dir.png/x.png",
         "test/dir.jpg/y.png",
         {{"train", "train/*"}, {"test_good", "test/*"}, {"test_defective", ""}},
         3,
         1},
        {"mtd",
         "MT_Free/Imgs/a.jpg",
         "MT_Free/Imgs/dir.jpg/x.png",
         "MT_Free/Imgs/a.png/x",
         {{0}},
         0,
         1},
        {"dagm", "Class1/1.png", "Class1/dir.png/x.png", "Class1/x.png/y", {{0}}, 0, 1},
    };
    imiad_dataset *d;
    tree_begin();
    if (cases[_i].image)
        tree_image(cases[_i].image, 8, 6, 9);
    else
        tree_category("nut");
    tree_image(cases[_i].folder, 8, 6, 9);
    tree_image(cases[_i].mask_folder, 8, 6, 9);
    if (strcmp(cases[_i].dataset, "dagm") == 0) {
        tree_image("Class1_def/1.png", 8, 6, 9);
        tree_bytes("Class1_def/labels.txt", "1\t3\t2\t0\t4\t3\n", 12);
    }
    ck_ok(imiad_dataset_open(&d, cases[_i].dataset, tree, cases[_i].options, cases[_i].count));
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        imiad_sample s = IMIAD_SAMPLE_INIT;
        imiad_image *image;
        ck_ok(imiad_dataset_sample(&s, d, i));
        ck_ok(imiad_dataset_read_image(&image, d, i));
        imiad_image_free(image);
        if (s.label == 1) {
            ck_ok(imiad_dataset_read_mask(&image, d, i));
            imiad_image_free(image);
        }
    }
    ck_assert_uint_eq(imiad_dataset_sample_count(d),
                      cases[_i].samples + (strcmp(cases[_i].dataset, "dagm") == 0));
    imiad_dataset_free(d);
}
END_TEST

SUITE("broken-datasets", LOOP_TEST(a_folder_named_as_an_image_is_none, 4),
      LOOP_TEST(a_damaged_tree_is_refused_by_path_and_line, DAMAGES),
      LOOP_TEST(a_damaged_list_of_ellipses_is_refused_by_line, sizeof ellipses / sizeof *ellipses),
      TEST(dagm_with_one_folder_only_names_the_other),
      LOOP_TEST(a_broken_category_leaves_the_others_alone, 2),
      LOOP_TEST(an_empty_folder_says_what_was_expected, 8),
      TEST(text_files_of_other_kinds_are_refused))
