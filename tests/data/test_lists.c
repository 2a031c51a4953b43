/* Datasets that a list describes: a CSV of anybody's, and Real-IAD's JSON splits. */
#include "trees.h"

#include "data/readers/sample_rows.h"
#include "imiad/split.h"

static char logged[1 << 14];

static void remember_message(void *user, imiad_log_level level, const char *message)
{
    strncat(logged, message, sizeof logged - strlen(logged) - 2);
    strcat(logged, "\n");
}

static imiad_dataset *open_logged(const char *reader, const char *const *options)
{
    imiad_dataset *d;
    imiad_set_log(remember_message, NULL);
    ck_ok(tree_open(&d, reader, options));
    return d;
}

static void put_text(const char *path, const char *text)
{
    tree_bytes(path, text, strlen(text));
}

static void expect_sample(const imiad_dataset *d, size_t index, const char *path,
                          imiad_subset subset, int label, const char *kind, const char *group)
{
    imiad_sample s = sample_of(d, index);
    const char *found = imiad_dataset_sample_group(d, index);
    ck_assert_str_eq(s.path, path);
    ck_assert_int_eq(s.subset, subset);
    ck_assert_int_eq(s.label, label);
    ck_assert_str_eq(s.kind, kind);
    ck_assert_str_eq(found ? found : "", group);
}

/* ---- CSV ---- */

static void write_images(void)
{
    static const char *const images[] = {"a/0.png",    "a/1.png", "b, c/2.png",
                                         "b, c/3.png", "m/3.png", "m/3b.png"};
    tree_begin();
    for (int i = 0; i < 6; ++i)
        tree_image(images[i], 4, 4, i == 5 ? 255 : 0);
}

START_TEST(a_csv_says_what_each_image_is)
{
    write_images();
    put_text("list.csv",
             "split,path,kind,label,mask,category,group,note\n"
             "train,a/0.png,,0,,nut,,x\n"
             "val,./a/1.png,good,,,nut,,\n"
             "Test,\"b, c/2.png\",,OK,,nut,part 7,\n"
             "test,\"b, c/3.png\",scratch,1,m/3.png|m/3b.png,nut,part 7,\"said \"\"no\"\"\"\n");
    imiad_dataset *d = open_logged("list", NULL);
    ck_assert_uint_eq(imiad_dataset_sample_count(d), 4);
    ck_assert_str_eq(imiad_dataset_category(d, 0), "nut");
    expect_sample(d, 0, "a/0.png", IMIAD_SUBSET_TRAIN, 0, "good", "");
    expect_sample(d, 1, "a/1.png", IMIAD_SUBSET_VALIDATION, 0, "good", "");
    expect_sample(d, 2, "b, c/2.png", IMIAD_SUBSET_TEST, 0, "good", "part 7");
    expect_sample(d, 3, "b, c/3.png", IMIAD_SUBSET_TEST, 1, "scratch", "part 7");
    ck_assert_uint_eq(imiad_dataset_mask_channels(d, 3), 2);
    imiad_image *mask;
    ck_ok(imiad_dataset_read_mask(&mask, d, 3));
    ck_assert_int_eq(mask->pixels[0], 255);
    imiad_image_free(mask);
    ck_assert_ptr_nonnull(strstr(logged, "the column \"note\" is not read"));
    imiad_dataset_free(d);
}
END_TEST

/* As a spreadsheet writes it, with absolute paths, a byte-order mark and Windows' line ends. */
START_TEST(a_list_may_come_from_a_spreadsheet_or_from_windows)
{
    char text[512];
    write_images();
    snprintf(text, sizeof text,
             "\xEF\xBB\xBFPath;Split;Kind\r\n%s/a/0.png;train;good\r\n\r\na\\1.png;test;dent\r\n",
             tree);
    put_text("sub/mine.txt", text);
    imiad_dataset *d = open_logged("list", OPTIONS("file", "sub/mine.txt", "category", "cap"));
    expect_sample(d, 0, "a/0.png", IMIAD_SUBSET_TRAIN, 0, "good", "");
    expect_sample(d, 1, "a/1.png", IMIAD_SUBSET_TEST, 1, "dent", "");
    ck_assert_str_eq(imiad_dataset_category(d, 0), "cap");
    imiad_dataset_free(d);
    snprintf(text, sizeof text, "%s/sub/mine.txt", tree); /* anywhere */
    d = open_logged("list", OPTIONS("file", text));
    ck_assert_uint_eq(imiad_dataset_sample_count(d), 2);
    imiad_dataset_free(d);
}
END_TEST

#define HEAD "path,split,label,kind,mask\n"
static const struct {
    const char *text, *message;
} broken[] = {
    {"", "is empty"},
    {"path,split\na/0.png,train\n", "the first line must name the columns path, split"},
    {"path,path,split,kind\n", "two columns are named path"},
    {HEAD, "lists no image"},
    {HEAD "a/0.png,train,0,\n", "line 2: 4 columns instead of 5"},
    {HEAD "../a/0.png,train,0,,\n", "line 2: path \"../a/0.png\" is no path"},
    {HEAD "/etc/0.png,train,0,,\n", "line 2: path \"/etc/0.png\" is no path"},
    {HEAD "a/0.txt,train,0,,\n", "line 2: path \"a/0.txt\" is no path"},
    {HEAD "a/0.png,dev,0,,\n", "line 2: split \"dev\" is none of train, validation and test"},
    {HEAD "a/0.png,test,2,,\n", "line 2: label \"2\" is neither 0 (good) nor 1"},
    {HEAD "a/0.png,test,-1,,\n", "line 2: label \"-1\" is neither 0 (good) nor 1"},
    {HEAD "a/0.png,test,,,\n", "line 2: kind \"\" is empty, and so is the label"},
    {HEAD "a/0.png,test,1,good,\n", "line 2: kind \"good\" is no kind of defect"},
    {HEAD "a/0.png,test,0,dent,\n", "line 2: kind \"dent\" is a kind of defect"},
    {HEAD "a/0.png,val,1,dent,\n", "line 2: split \"val\" is validation"},
    {HEAD "a/0.png,test,1,dent,../m.png\n", "line 2: mask \"../m.png\" is no path"},
    {HEAD "a/0.png,test,1,dent,m/3.png|\n", "line 2: mask \"m/3.png|\" is no path"},
    {HEAD "a/0.png,test,0,,\n\na/0.png,train,0,,\n", "a/0.png was listed in line"},
    {HEAD "\"a/0.png,test,0,,\n", "line 2: a quote is not closed"},
    {HEAD "\"a/0.png\"x,test,0,,\n", "line 2: something follows a closing quote"},
};

START_TEST(a_list_that_is_wrong_is_told_by_line)
{
    write_images();
    put_text("list.csv", broken[_i].text);
    imiad_dataset *d;
    ck_fails(tree_open(&d, "list", NULL), IMIAD_FORMAT, broken[_i].message);
    ck_fails(tree_open(&d, "list", NULL), IMIAD_FORMAT, "list.csv");
}
END_TEST

START_TEST(an_image_that_a_list_names_must_be_there)
{
    write_images();
    put_text("list.csv", HEAD "a/0.png,train,0,,\ngone.png,test,0,,\n");
    imiad_dataset *d = open_logged("list", NULL);
    imiad_split *split;
    ck_fails(imiad_split_create(&split, d, "all", "unsupervised", NULL, 0), IMIAD_NOT_FOUND,
             "line 3: there is no image");
    imiad_dataset_free(d);
    ck_fails(tree_open(&d, "list", OPTIONS("file", "no.csv")), IMIAD_NOT_FOUND, "no.csv");
}
END_TEST

/* ---- Real-IAD ---- */

static const char audiojack[] =
    "{\"meta\": {\"normal_class\": \"OK\", \"prefix\": \"audiojack/\", \"pre_transform\": true},\n"
    " \"train\": [{\"category\": \"audiojack\", \"anomaly_class\": \"OK\",\n"
    "   \"image_path\": \"OK/S0001/audiojack_0001_OK_C1_0.jpg\", \"mask_path\": null}],\n"
    " \"test\": [{\"category\": \"audiojack\", \"anomaly_class\": \"OK\",\n"
    "   \"image_path\": \"NG/AK/S0051/audiojack_0051_NG_AK_C1_0.jpg\", \"mask_path\": null},\n"
    "  {\"category\": \"audiojack\", \"anomaly_class\": \"AK\",\n"
    "   \"image_path\": \"NG/AK/S0051/audiojack_0051_NG_AK_C2_0.jpg\",\n"
    "   \"mask_path\": \"NG/AK/S0051/audiojack_0051_NG_AK_C2_0.png\"}]}\n";

static void write_real_iad(const char *json)
{
    static const char *const images[] = {
        "OK/S0001/audiojack_0001_OK_C1_0.jpg", "NG/AK/S0051/audiojack_0051_NG_AK_C1_0.jpg",
        "NG/AK/S0051/audiojack_0051_NG_AK_C2_0.jpg", "NG/AK/S0051/audiojack_0051_NG_AK_C2_0.png"};
    char path[256];
    tree_begin();
    for (int i = 0; i < 4; ++i) {
        snprintf(path, sizeof path, "realiad_256/audiojack/%s", images[i]);
        tree_image(path, 4, 4, i == 3 ? 255 : 9);
    }
    put_text("realiad_jsons/realiad_jsons/audiojack.json", json);
    put_text("realiad_jsons/realiad_jsons/usb.json", json); /* an object that is not here */
}

START_TEST(real_iad_is_read_by_its_splits)
{
    write_real_iad(audiojack);
    imiad_dataset *d = open_logged("real_iad", NULL);
    ck_assert_uint_eq(imiad_dataset_category_count(d), 1);
    expect_sample(d, 0, "realiad_256/audiojack/OK/S0001/audiojack_0001_OK_C1_0.jpg",
                  IMIAD_SUBSET_TRAIN, 0, "good", "OK/S0001");
    expect_sample(d, 1, "realiad_256/audiojack/NG/AK/S0051/audiojack_0051_NG_AK_C1_0.jpg",
                  IMIAD_SUBSET_TEST, 0, "good", "NG/AK/S0051");
    expect_sample(d, 2, "realiad_256/audiojack/NG/AK/S0051/audiojack_0051_NG_AK_C2_0.jpg",
                  IMIAD_SUBSET_TEST, 1, "AK", "NG/AK/S0051");
    ck_assert_int_eq(sample_of(d, 2).has_mask, 1);
    ck_assert_str_eq(logged, "");
    imiad_dataset_free(d);
}
END_TEST

static const struct {
    const char *text, *message;
} broken_json[] = {
    {"[", "line 1"},
    {"[]", "it must be an object with the lists train and test"},
    {"{\"train\": [], \"test\": []}", "meta has no text normal_class"},
    {"{\"meta\": {\"normal_class\": \"OK\", \"prefix\": \"../x\"}, \"train\": [], \"test\": []}",
     "leads out of the folder"},
    {"{\"meta\": {\"normal_class\": \"OK\"}, \"train\": [3], \"test\": []}",
     "image 1: image_path or anomaly_class is missing"},
    {"{\"meta\": {\"normal_class\": \"OK\"}, \"train\": [{\"image_path\": \"/a.png\", "
     "\"anomaly_class\": \"OK\"}], \"test\": []}",
     "image 1: image_path is no path"},
    {"{\"meta\": {\"normal_class\": \"OK\"}, \"train\": [{\"image_path\": \"a.png\", "
     "\"mask_path\": "
     "\"../m.png\", \"anomaly_class\": \"OK\"}], \"test\": []}",
     "image 1: mask_path is no path"},
};

START_TEST(a_split_of_real_iad_that_is_wrong_is_told)
{
    real_iad_split split;
    ck_fails(real_iad_parse(&split, broken_json[_i].text, strlen(broken_json[_i].text), "x.json"),
             IMIAD_FORMAT, broken_json[_i].message);
}
END_TEST

START_TEST(real_iad_folders_stay_below_the_root)
{
    write_real_iad(audiojack);
    imiad_dataset *d;
    ck_fails(tree_open(&d, "real_iad", OPTIONS("split", "../x")), IMIAD_OUT_OF_RANGE, "split=../x");
    ck_fails(tree_open(&d, "real_iad", OPTIONS("images", "/x")), IMIAD_OUT_OF_RANGE, "images=/x");
}
END_TEST

SUITE("lists", TEST(a_csv_says_what_each_image_is),
      TEST(a_list_may_come_from_a_spreadsheet_or_from_windows),
      LOOP_TEST(a_list_that_is_wrong_is_told_by_line, sizeof broken / sizeof *broken),
      TEST(an_image_that_a_list_names_must_be_there), TEST(real_iad_is_read_by_its_splits),
      LOOP_TEST(a_split_of_real_iad_that_is_wrong_is_told,
                sizeof broken_json / sizeof *broken_json),
      TEST(real_iad_folders_stay_below_the_root))
