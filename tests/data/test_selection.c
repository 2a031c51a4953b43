/* Selection files: what is written is read back, and nothing else is taken for one. */
#include "data/selection.h"
#include "splits.h"

static imiad_split *written_and_read(const imiad_split *split, const imiad_dataset *dataset)
{
    imiad_split *read = NULL;
    ck_ok(imiad_split_write(split, tree_path("lists/split.txt")));
    ck_ok(imiad_split_read(&read, dataset, tree_path("lists/split.txt")));
    return read;
}

static const struct {
    const char *setting;
    const char *options[7];
} cases[] = {
    {"unsupervised", {"seed", "3"}},
    {"supervised", {"anomalies", "4"}},
    {"supervised", {"anomalies", "9", "sampler_label_bug", "true", "seed", "1"}},
    {"supervised", {"overlap", "true"}},
    {"noisy", {"ratio", "0.15", "fixed_test_set", "true"}},
    {"noisy", {"overlap", "true"}},
    {"fewshot", {"shots", "3"}},
    {"fewshot", {"augmentation", "rotation", "augmentation_count", "6"}},
    {"fewshot", {"augmentation", "rotation", "rotation_accumulate", "true"}},
    {"fewshot", {"augmentation", "perspective"}},
    {"fewshot", {"augmentation", "translate", "shots", "7"}},
    {"fewshot", {"augmentation", "color_jitter"}},
    {"fewshot", {"augmentation", "scale"}},
    {"fewshot", {"augmentation", "flip"}},
    {"fewshot", {"shots", "2", "source", "others"}},
    {"transfer", {NULL}},
};

START_TEST(a_split_is_read_back_as_it_was)
{
    tree_begin();
    imiad_dataset *d = products(40, 12, 16);
    imiad_split *split = split_of(d, "circuit", cases[_i].setting, cases[_i].options);
    imiad_split *read = written_and_read(split, d);
    expect_same_split(split, read);
    ck_assert_str_eq(imiad_split_category(read), "circuit");
    ck_assert_str_eq(imiad_split_setting(read), cases[_i].setting);
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t i = 0; !imiad_setting_option_info(&info, cases[_i].setting, i); ++i)
        ck_assert_str_eq(imiad_split_option(read, info.name), imiad_split_option(split, info.name));
    imiad_split_free(split);
    imiad_dataset_free(d);
    ck_assert_uint_gt(imiad_split_test_count(read), 0); /* it keeps the dataset alive */
    imiad_split_free(read);
}
END_TEST

START_TEST(the_file_is_plain_text)
{
    tree_begin();
    imiad_dataset *d = products(3, 1, 2);
    imiad_split *split = split_of(d, "fabric", "noisy", OPTIONS("ratio", "0.34"));
    ck_ok(imiad_split_write(split, tree_path("split.txt")));
    file_view view;
    ck_ok(file_map(&view, tree_path("split.txt")));
    char expected[1024];
    snprintf(expected, sizeof expected,
             "format\timiad-selection-1\n"
             "dataset\tsynthetic\n"
             "category\tfabric\n"
             "setting\tnoisy\n"
             "option\tseed\t0\n"
             "option\tratio\t0.34\n"
             "option\tcap\t0.75\n"
             "option\toverlap\tfalse\n"
             "option\tfixed_test_set\tfalse\n"
             "option\tlargest_ratio\t0.2\n"
             "option\tsampler_label_bug\tfalse\n"
             "train\tfabric/train/good/000.png\n"
             "train\tfabric/train/good/001.png\n"
             "train\tfabric/train/good/002.png\n"
             "train_noise\t%s\n"
             "test\t%s\n"
             "test\t%s\n"
             "end\n",
             sample_of(d, imiad_split_train(split, 3)).path,
             sample_of(d, imiad_split_test(split, 0)).path,
             sample_of(d, imiad_split_test(split, 1)).path);
    ck_assert_uint_eq(view.size, strlen(expected));
    ck_assert_mem_eq(view.bytes, expected, view.size);
    file_unmap(&view);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

/* The same tree in another place, and lines that end as Windows ends them. */
START_TEST(a_selection_travels)
{
    tree_begin();
    tree_category("here/nut");
    tree_category("there/nut");
    imiad_dataset *here, *there;
    char root[128];
    snprintf(root, sizeof root, "%s/here", tree);
    ck_ok(imiad_dataset_open(&here, "mvtec_ad", root, NULL, 0));
    snprintf(root, sizeof root, "%s/there", tree);
    ck_ok(imiad_dataset_open(&there, "mvtec_ad", root, NULL, 0));
    imiad_split *split = split_of(here, "nut", "fewshot", OPTIONS("shots", "1")), *read;
    imiad_split *moved = written_and_read(split, there);
    expect_same_split(split, moved);
    ck_assert_str_eq(imiad_dataset_root(imiad_split_dataset(moved)), root);
    file_view view;
    ck_ok(file_map(&view, tree_path("lists/split.txt")));
    char windows[4096];
    size_t size = 0;
    for (size_t i = 0; i < view.size; ++i) {
        if (view.bytes[i] == '\n')
            windows[size++] = '\r';
        windows[size++] = (char)view.bytes[i];
    }
    ck_ok(selection_parse(&read, here, windows, size, "windows"));
    expect_same_split(split, read);
    file_unmap(&view);
    imiad_split_free(split);
    imiad_split_free(moved);
    imiad_split_free(read);
    imiad_dataset_free(here);
    imiad_dataset_free(there);
}
END_TEST

#define HEAD    "format\timiad-selection-1\ndataset\tmvtec_ad\n"
#define NUT     HEAD "category\tnut\nsetting\tunsupervised\n"
#define TRAIN   "train\tnut/train/good/000.png\n"
#define TESTS   "test\tnut/test/hole/000.png\n"
#define OVERLAP HEAD "category\tnut\nsetting\tnoisy\noption\toverlap\ttrue\n"

/* An edited list needs not be what a setting would draw. */
static const char *const accepted[] = {
    NUT TRAIN TESTS "end\n",
    NUT TRAIN TESTS "end",
    NUT TESTS TRAIN "end\n",
    NUT "option\tseed\t5\n" TRAIN TESTS "end\n",
    NUT TRAIN "train\tnut/train/good/000.png\trotation 90\n" TESTS "end\n",
    NUT TRAIN "train\tnut/test/good/000.png\n" TESTS "end\n",
    OVERLAP TRAIN "train_noise\tnut/test/hole/000.png\n" TESTS "end\n",
    NUT TRAIN "train_noise\tnut/test/hole/000.png\ntest\tnut/test/good/000.png\nend\n",
    NUT TRAIN "train_anomaly\tnut/test/hole/000.png\ntest\tnut/test/good/000.png\nend\n",
};

static imiad_dataset *two_categories(void)
{
    tree_begin();
    tree_category("bolt");
    tree_category("nut");
    imiad_dataset *d = NULL;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    return d;
}

START_TEST(an_edited_selection_is_taken)
{
    imiad_dataset *d = two_categories();
    imiad_split *split;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; ++i) {
        ck_ok(selection_parse(&split, d, accepted[i], strlen(accepted[i]), "list"));
        ck_assert_uint_ge(imiad_split_train_count(split), 1);
        ck_assert_uint_eq(imiad_split_test_count(split), 1);
        imiad_split_free(split);
    }
    imiad_dataset_free(d);
}
END_TEST

static const struct {
    const char *text;
    imiad_status status;
    const char *message;
} malformed[] = {
    {"", IMIAD_FORMAT, "selection list, line 1: the file ends before"},
    {"\n", IMIAD_FORMAT, "line 1: expected \"format\""},
    {"format imiad-selection-1\n", IMIAD_FORMAT, "line 1: expected \"format\""},
    {"format\timiad-selection-2\n", IMIAD_FORMAT, "line 1: the format is \"imiad-selection-2\""},
    {"format\timiad-selection-1\textra\n", IMIAD_FORMAT, "line 1: expected \"format\""},
    {"format\timiad-selection-1\n", IMIAD_FORMAT, "line 2: the file ends"},
    {"format\timiad-selection-1\ndataset\tvisa\n", IMIAD_MISMATCH,
     "line 2: it selects from dataset visa, not from mvtec_ad"},
    {HEAD "setting\tnoisy\n", IMIAD_FORMAT, "line 3: expected \"category\""},
    {HEAD "category\tnut\ntrain\tx\n", IMIAD_FORMAT, "line 4: expected \"setting\""},
    {HEAD "category\twasher\nsetting\tnoisy\nend\n", IMIAD_NOT_FOUND,
     "selection list: dataset mvtec_ad"},
    {HEAD "category\tnut\nsetting\tvanilla\nend\n", IMIAD_UNKNOWN_OPTION, "vanilla"},
    {NUT "option\tshots\t4\nend\n", IMIAD_UNKNOWN_OPTION,
     "selection list: setting unsupervised has no option"},
    {NUT "option\tseed\t-4\nend\n", IMIAD_OUT_OF_RANGE, "seed"},
    {NUT "option\tseed\nend\n", IMIAD_FORMAT, "line 5: expected \"option\""},
    {NUT TRAIN "option\tseed\t0\n" TESTS "end\n", IMIAD_FORMAT, "line 6: no role is named"},
    {NUT TRAIN TESTS, IMIAD_FORMAT, "line 7: the file ends before its line \"end\""},
    {NUT TRAIN "test\tnut/test/hol", IMIAD_NOT_FOUND,
     "line 6: the dataset has no image nut/test/hol"},
    {NUT TRAIN TESTS "end\n\n", IMIAD_FORMAT, "line 7: something follows"},
    {NUT TRAIN TESTS "end\tx\n", IMIAD_FORMAT, "line 7: something follows"},
    {NUT TRAIN "\n" TESTS "end\n", IMIAD_FORMAT, "line 6: no role is named \"\""},
    {NUT TRAIN "train\n" TESTS "end\n", IMIAD_FORMAT, "line 6: expected a role"},
    {NUT TRAIN "trains\tnut/train/good/001.png\n" TESTS "end\n", IMIAD_FORMAT, "\"trains\""},
    {NUT TRAIN TESTS "train\tnut/train/good/002.png\nend\n", IMIAD_NOT_FOUND,
     "line 7: the dataset has no image nut/train/good/002.png"},
    {NUT "train\t../secret.png\n" TESTS "end\n", IMIAD_NOT_FOUND, "line 5: the dataset has no"},
    {NUT "train\tbolt/train/good/000.png\n" TESTS "end\n", IMIAD_MISMATCH,
     "line 5: bolt/train/good/000.png is of category bolt"},
    {NUT TRAIN TESTS TRAIN "end\n", IMIAD_FORMAT,
     "line 7: nut/train/good/000.png was selected in line 5"},
    {NUT TRAIN TESTS "train_shot\tnut/train/good/000.png\nend\n", IMIAD_FORMAT, "line 7"},
    {NUT TRAIN TESTS TESTS "end\n", IMIAD_FORMAT, "was selected in line 6"},
    {NUT TRAIN TESTS "train_noise\tnut/test/hole/000.png\nend\n", IMIAD_FORMAT,
     "line 6: nut/test/hole/000.png trains in line 7"},
    {NUT "train\tnut/test/hole/000.png\nend\n", IMIAD_MISMATCH,
     "line 5: nut/test/hole/000.png is defective, which contradicts train"},
    {NUT "train_shot\tnut/test/hole/000.png\nend\n", IMIAD_MISMATCH, "contradicts train_shot"},
    {NUT "train_anomaly\tnut/test/good/000.png\nend\n", IMIAD_MISMATCH,
     "is good, which contradicts train_anomaly"},
    {NUT TRAIN "test\tnut/test/hole/000.png\trotation 72\nend\n", IMIAD_FORMAT,
     "line 6: a test image cannot be augmented"},
    {NUT "train\tnut/train/good/000.png\trotation\nend\n", IMIAD_FORMAT,
     "selection list, line 5: rotation takes 1 values"},
    {NUT "train\tnut/train/good/000.png\t\nend\n", IMIAD_FORMAT, "line 5: no augmentation"},
    {NUT "train\tnut/train/good/000.png\trotation 72\tx\nend\n", IMIAD_FORMAT,
     "line 5: more than 3 fields"},
    {NUT TESTS "end\n", IMIAD_NOT_FOUND, "selection list: dataset mvtec_ad"},
    {NUT TRAIN "end\n", IMIAD_NOT_FOUND, "test images"},
    {NUT "end\n", IMIAD_NOT_FOUND, "training images"},
};

START_TEST(what_is_no_selection_says_where_and_why)
{
    imiad_dataset *d = two_categories();
    imiad_split *split = NULL;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; ++i)
        ck_fails(selection_parse(&split, d, malformed[i].text, strlen(malformed[i].text), "list"),
                 malformed[i].status, malformed[i].message);
    static const char nul[] = NUT "train\tnut/train\0good/000.png\nend\n";
    ck_fails(selection_parse(&split, d, nul, sizeof nul - 1, "list"), IMIAD_FORMAT,
             "line 5: a NUL byte");
    ck_fails(selection_parse(&split, d, nul, (size_t)1 << 40, "list"), IMIAD_FORMAT, "at most");
    ck_assert_ptr_null(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(too_many_options_are_refused)
{
    imiad_dataset *d = two_categories();
    imiad_split *split = NULL;
    char text[8192] = NUT;
    for (int i = 0; i < 129; ++i)
        strcat(text, "option\tseed\t0\n");
    ck_fails(selection_parse(&split, d, text, strlen(text), "list"), IMIAD_FORMAT, "line 133");
    imiad_dataset_free(d);
}
END_TEST

/* Wherever a file breaks off, that is noticed; and no prefix makes the reader stumble. */
START_TEST(every_truncation_is_noticed)
{
    imiad_dataset *d = two_categories();
    const char *whole = accepted[4];
    for (size_t size = 0; size + 1 < strlen(whole); ++size) {
        imiad_split *split = NULL;
        ck_assert_int_ne(selection_parse(&split, d, whole, size, "list"), IMIAD_OK);
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(names_that_lines_cannot_hold_are_not_written)
{
    tree_begin();
    tree_category("nut");
    tree_image("nut/train/good/a\tb.png", 8, 6, 1);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    imiad_split *split = split_of(d, "nut", "unsupervised", NULL);
    char path[128];
    snprintf(path, sizeof path, "%s/split.txt", tree);
    ck_fails(imiad_split_write(split, path), IMIAD_UNSUPPORTED, "a\tb.png");
    ck_assert(!file_exists(path)); /* not even in part */
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(files_that_cannot_be_used_are_named)
{
    imiad_dataset *d = two_categories();
    imiad_split *split = split_of(d, "nut", "unsupervised", NULL), *read = NULL;
    ck_fails(imiad_split_write(split, "/dev/null/x/split.txt"), IMIAD_IO, "/dev/null/x");
    ck_fails(imiad_split_read(&read, d, "/nowhere/split.txt"), IMIAD_NOT_FOUND,
             "/nowhere/split.txt");
    ck_fails(imiad_split_read(&read, d, tree), IMIAD_IO, tree);
    tree_bytes("list.txt", NUT, strlen(NUT));
    ck_fails(imiad_split_read(&read, d, tree_path("list.txt")), IMIAD_FORMAT, "list.txt, line 5");
    ck_fails(imiad_split_read(&read, NULL, "x"), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_split_read(NULL, d, "x"), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_split_read(&read, d, NULL), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_split_write(NULL, "x"), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_split_write(split, NULL), IMIAD_INVALID_ARGUMENT, "NULL");
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

SUITE("selection", LOOP_TEST(a_split_is_read_back_as_it_was, sizeof cases / sizeof *cases),
      TEST(the_file_is_plain_text), TEST(a_selection_travels), TEST(an_edited_selection_is_taken),
      TEST(what_is_no_selection_says_where_and_why), TEST(too_many_options_are_refused),
      TEST(every_truncation_is_noticed), TEST(names_that_lines_cannot_hold_are_not_written),
      TEST(files_that_cannot_be_used_are_named))
