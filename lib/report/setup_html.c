/* The paper's tables III and V: what the datasets hold and what the methods are given, ours beside
 * the paper's. */
#include <stdlib.h>
#include <string.h>

#include "report/markup.h"
#include "report/page.h"

/* ---- table III: datasets ---- */

enum { COUNTS = 6, MOST_COUNTED = 512 };
static const char *const count_names[COUNTS] = {"normal images",     "defective images",
                                                "kinds of defect",   "categories",
                                                "shortest side, px", "longest side, px"};

/* A dataset's counts in the order of the names; -1 where nobody said. */
typedef struct dataset_counts {
    double numbers[COUNTS];
} dataset_counts;

static const struct {
    const char *printed, *dataset;
    dataset_counts counts;
} printed_datasets[] = {
    {"MVTec AD", "mvtec_ad", {{4096, 1258, 73, 15, 700, 1024}}},
    {"MVTec LOCO", "mvtec_loco", {{2651, 993, 89, 5, 850, 1700}}},
    {"MPDD", "mpdd", {{1064, 282, 5, 1, 1024, 1024}}},
    {"BTAD", "btad", {{2250, 580, 3, 3, 600, 1600}}},
    {"MTD", "mtd", {{952, 392, 5, 1, 113, 491}}},
    {"VisA", "visa", {{10621, 1200, 78, 12, 960, 1562}}},
    {"DAGM", "dagm", {{15000, 2100, 10, 10, 512, 512}}},
};
enum { PRINTED_DATASETS = sizeof printed_datasets / sizeof *printed_datasets };

static void add_category(dataset_counts *sum, const category_counts *c)
{
    double *n = sum->numbers;
    n[0] += c->normal;
    n[1] += c->defective;
    n[2] += c->kinds;
    n[3] += 1;
    n[4] = n[3] == 1 || c->shortest_side < n[4] ? c->shortest_side : n[4];
    n[5] = c->longest_side > n[5] ? c->longest_side : n[5];
}

/* Of the categories that any cell of the dataset tells of, each once. */
static dataset_counts count_dataset(const report_data *data, const char *dataset)
{
    const char *counted[MOST_COUNTED];
    size_t count = 0;
    dataset_counts sum = {{0}};
    for (size_t i = 0; i < data->count; ++i) {
        const report_configuration *c = &data->configurations[i];
        for (size_t j = 0; strcmp(c->cell.dataset, dataset) == 0 && j + 1 < c->count; ++j) {
            const report_group *group = &c->groups[j];
            size_t at = 0;
            while (at < count && counted[at] != group->category)
                ++at;
            if (at < count || count == MOST_COUNTED || group->cell_count == 0 ||
                group->cells[0]->evidence.category.normal < 0)
                continue;
            counted[count++] = group->category;
            add_category(&sum, &group->cells[0]->evidence.category);
        }
    }
    for (size_t k = 0; count == 0 && k < COUNTS; ++k)
        sum.numbers[k] = -1;
    return sum;
}

static void write_count(FILE *file, double ours, double published)
{
    fputs("<td>", file);
    if (ours >= 0)
        markup_number(file, ours, 0);
    else
        fputs("<span class=\"none\">\u00b7<span class=\"hear\"> not counted</span></span>", file);
    if (published >= 0) {
        fputs(" <span class=\"p\"><span class=\"hear\">published </span>", file);
        markup_number(file, published, 0);
        fputs("</span>", file);
    }
    fputs("</td>", file);
}

static void write_dataset(FILE *file, const char *label, const char *dataset,
                          const dataset_counts *ours, const dataset_counts *published)
{
    fputs("<tr", file);
    markup_data(file, "dataset", dataset);
    markup(file, "><th scope=\"row\" class=\"first\">%s</th>", label);
    for (size_t k = 0; k < COUNTS; ++k)
        write_count(file, ours->numbers[k], published ? published->numbers[k] : -1);
    fputs("</tr>\n", file);
}

static void write_table_head(FILE *file, const char *number, const char *title, const char *first,
                             const char *const *heads, size_t count)
{
    markup(
        file,
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"caption-%s\">"
        "<table class=\"sort\" id=\"setup-%s\"><caption id=\"caption-%s\">Table %s. "
        "%s</caption><thead><tr><th scope=\"col\" class=\"side first\" data-column=\"0\">%s</th>",
        number, number, number, number, title, first);
    for (size_t i = 0; i < count; ++i) {
        fprintf(file, "<th scope=\"col\" data-column=\"%zu\">", i + 1);
        markup(file, "%s</th>", heads[i]);
    }
    fputs("</tr></thead>\n<tbody>\n", file);
}

static bool is_printed(const char *dataset)
{
    for (size_t i = 0; i < PRINTED_DATASETS; ++i)
        if (strcmp(printed_datasets[i].dataset, dataset) == 0)
            return true;
    return false;
}

/* Datasets of the store that the paper lacks. */
static void write_other_datasets(FILE *file, const report_data *data)
{
    for (size_t i = 0; i < data->count; ++i) {
        const char *dataset = data->configurations[i].cell.dataset;
        if (!report_begins_dataset(data, i) || is_printed(dataset))
            continue;
        const dataset_counts ours = count_dataset(data, dataset);
        write_dataset(file, dataset, dataset, &ours, NULL);
    }
}

static void write_datasets(const report_page *page)
{
    FILE *file = page->file;
    fputs("<section id=\"table-III\" data-part=\"table\">\n<h3>Table III</h3>\n"
          "<p>Counted in the categories that ran, whatever trained. The paper counts MPDD as one "
          "category; it has six.</p>\n",
          file);
    write_table_head(file, "III", "Datasets", "Dataset", count_names, COUNTS);
    for (size_t i = 0; i < PRINTED_DATASETS; ++i) {
        const dataset_counts ours = count_dataset(page->data, printed_datasets[i].dataset);
        write_dataset(file, printed_datasets[i].printed, printed_datasets[i].dataset, &ours,
                      &printed_datasets[i].counts);
    }
    write_other_datasets(file, page->data);
    fputs("</tbody></table></div>\n</section>\n", file);
}

/* ---- table V: hyper-parameters ---- */

enum { SETTINGS = 4, MOST_VALUES = 4 };
static const char *const setting_names[SETTINGS] = {"epochs", "batch", "image side, px",
                                                    "learning rate"};
/* The options that say so, the first that the detector has. */
static const char *const setting_options[SETTINGS][3] = {
    {"epochs"}, {"train_batch", "batch"}, {"crop", "resize"}, {"learning_rate"}};

static const struct {
    const char *printed, *detector;
    const char *published[SETTINGS];
} printed_methods[] = {
    {"CFA", "cfa", {"50", "4", "256", "0.001"}},
    {"CSFlow", "csflow", {"240", "16", "768", "0.0002"}},
    {"CutPaste", "cutpaste", {"256", "32", "224", "0.0001"}},
    {"DNE", "dne", {"50", "32", "224", "0.0001"}},
    {"DRAEM", "draem", {"700", "8", "256", "0.0001"}},
    {"FastFlow", "fastflow", {"500", "32", "256", "0.001"}},
    {"FAVAE", "favae", {"100", "64", "256", "0.00001"}},
    {"IGD", "igd", {"256", "16", "256", "0.0001"}},
    {"PaDiM", "padim", {"1", "32", "256", NULL}},
    {"PatchCore", "patchcore", {"1", "2", "256", NULL}},
    {"RegAD", "regad", {"50", "32", "224", "0.0001"}},
    {"RD4AD", "rd4ad", {"200", "8", "256", "0.005"}},
    {"SPADE", "spade", {"1", "8", "256", NULL}},
    {"STPM", "stpm", {"100", "8", "256", "0.4"}},
};
enum { PRINTED_METHODS = sizeof printed_methods / sizeof *printed_methods };

static const char *default_of(const char *detector, const char *option)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t i = 0; imiad_detector_option_info(&info, detector, i) == IMIAD_OK; ++i)
        if (strcmp(info.name, option) == 0)
            return info.default_value;
    return NULL;
}

/* A crop of 0 leaves the size that was resized to. */
static bool says_nothing(const char *option, const char *value)
{
    return !value || (strcmp(option, "crop") == 0 && strcmp(value, "0") == 0);
}

/* What the configuration has, or where there is none, the detector by default. */
static const char *setting_of(const char *detector, const report_configuration *c, size_t setting)
{
    for (size_t k = 0; k < 3 && setting_options[setting][k]; ++k) {
        const char *option = setting_options[setting][k];
        const char *value = c ? report_option(c, option) : default_of(detector, option);
        if (!says_nothing(option, value))
            return value;
    }
    return NULL;
}

/* What the store's configurations have, each value once, where it is not the default. */
static void write_in_store(FILE *file, const report_data *data, const char *detector,
                           size_t setting, const char *usual)
{
    const char *found[MOST_VALUES];
    size_t count = 0;
    for (size_t i = 0; i < data->count && count < MOST_VALUES; ++i) {
        const report_configuration *c = &data->configurations[i];
        const char *value =
            strcmp(c->cell.detector, detector) == 0 ? setting_of(detector, c, setting) : NULL;
        size_t at = 0;
        while (value && at < count && found[at] != value)
            ++at;
        if (value && at == count && !(usual && strcmp(value, usual) == 0))
            found[count++] = value;
    }
    for (size_t i = 0; i < count; ++i)
        markup(file, i == 0 ? " <span class=\"d\">here %s" : ", %s", found[i]);
    fputs(count > 0 ? "</span>" : "", file);
}

static void write_method(FILE *file, const report_data *data, const char *label,
                         const char *detector, const char *const *published)
{
    markup(file, "<tr><th scope=\"row\" class=\"first\">%s</th>", label);
    for (size_t k = 0; k < SETTINGS; ++k) {
        const char *usual = setting_of(detector, NULL, k);
        markup(file, "<td>%s", usual ? usual : "\u2013");
        if (published && published[k])
            markup(file, " <span class=\"p\"><span class=\"hear\">published </span>%s</span>",
                   published[k]);
        write_in_store(file, data, detector, k, usual);
        fputs("</td>", file);
    }
    fputs("</tr>\n", file);
}

static void write_methods(const report_page *page)
{
    FILE *file = page->file;
    fputs("<section id=\"table-V\" data-part=\"table\">\n<h3>Table V</h3>\n"
          "<p>First the library's default; then what the paper prints; then what this store has, "
          "where it is something else. Those without epochs go over the images once.</p>\n",
          file);
    write_table_head(file, "V", "Hyper-parameters", "Method", setting_names, SETTINGS);
    for (size_t i = 0; i < PRINTED_METHODS; ++i)
        write_method(file, page->data, printed_methods[i].printed, printed_methods[i].detector,
                     printed_methods[i].published);
    for (size_t i = 0; i < imiad_detector_type_count(); ++i) {
        const char *name = imiad_detector_type_name(i);
        size_t at = 0;
        while (at < PRINTED_METHODS && strcmp(printed_methods[at].detector, name) != 0)
            ++at;
        if (at == PRINTED_METHODS)
            write_method(file, page->data, name, name, NULL);
    }
    fputs("</tbody></table></div>\n</section>\n", file);
}

void page_setup(const report_page *page)
{
    fputs("<section id=\"setup\">\n<h2>Datasets and settings</h2>\n", page->file);
    write_datasets(page);
    write_methods(page);
    fputs("</section>\n", page->file);
}
