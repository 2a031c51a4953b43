#include "report/text_tables.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"

/* ---- table III: datasets ---- */

enum { COUNTS = 6, MOST_COUNTED = 512 };
static const char *const count_names[COUNTS] = {"normal images",     "defective images",
                                                "kinds of defect",   "categories",
                                                "shortest side, px", "longest side, px"};

static const struct {
    const char *printed, *dataset, *published[COUNTS];
} printed_datasets[] = {
    {"MVTec AD", "mvtec_ad", {"4096", "1258", "73", "15", "700", "1024"}},
    {"MVTec LOCO", "mvtec_loco", {"2651", "993", "89", "5", "850", "1700"}},
    {"MPDD", "mpdd", {"1064", "282", "5", "1", "1024", "1024"}},
    {"BTAD", "btad", {"2250", "580", "3", "3", "600", "1600"}},
    {"MTD", "mtd", {"952", "392", "5", "1", "113", "491"}},
    {"VisA", "visa", {"10621", "1200", "78", "12", "960", "1562"}},
    {"DAGM", "dagm", {"15000", "2100", "10", "10", "512", "512"}},
};
enum { PRINTED_DATASETS = sizeof printed_datasets / sizeof *printed_datasets };

static void add_category(double sum[COUNTS], const category_counts *c)
{
    sum[0] += c->normal;
    sum[1] += c->defective;
    sum[2] += c->kinds;
    sum[3] += 1;
    sum[4] = sum[3] == 1 || c->shortest_side < sum[4] ? c->shortest_side : sum[4];
    sum[5] = sum[3] == 1 || c->longest_side > sum[5] ? c->longest_side : sum[5];
}

/* Of the categories that any cell of the dataset tells of, each once. */
static void count_dataset(double sum[COUNTS], const report_data *data, const char *dataset)
{
    const char *counted[MOST_COUNTED];
    size_t count = 0;
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
            add_category(sum, &group->cells[0]->evidence.category);
        }
    }
}

static imiad_status fill_dataset(text_line *line, report_data *data, const char *label,
                                 const char *dataset, const char *const *published)
{
    double sum[COUNTS] = {0};
    *line = (text_line){.label = label, .dataset = dataset};
    count_dataset(sum, data, dataset);
    for (size_t k = 0; k < COUNTS; ++k) {
        char text[REAL_BYTES];
        plain_print(text, sizeof text, "%.0f", sum[k]);
        if (sum[3] > 0 && sum[k] >= 0) /* a category was counted, and said so much */
            TRY(kept_text(&line->texts[k][TEXT_OURS], &data->kept, text));
        line->texts[k][TEXT_PUBLISHED] = published ? published[k] : NULL;
    }
    return IMIAD_OK;
}

static bool is_printed_dataset(const char *dataset)
{
    for (size_t i = 0; i < PRINTED_DATASETS; ++i)
        if (strcmp(printed_datasets[i].dataset, dataset) == 0)
            return true;
    return false;
}

/* The paper's datasets, then those of the store that the paper lacks. */
static imiad_status fill_datasets(text_table *out, report_data *data)
{
    *out = (text_table){.number = "III",
                        .title = "Datasets",
                        .rule = "Counted in the categories that ran, whatever trained. The paper "
                                "counts MPDD as one category; it has six.",
                        .first = "Dataset",
                        .kinds = {"ours", "published"},
                        .of_store = true,
                        .columns = count_names,
                        .column_count = COUNTS};
    TRY(kept_take(&out->lines, &data->kept, (PRINTED_DATASETS + data->count) * sizeof *out->lines));
    for (size_t i = 0; i < PRINTED_DATASETS; ++i)
        TRY(fill_dataset(&out->lines[out->line_count++], data, printed_datasets[i].printed,
                         printed_datasets[i].dataset, printed_datasets[i].published));
    for (size_t i = 0; i < data->count; ++i) {
        const char *dataset = data->configurations[i].cell.dataset;
        if (report_begins_dataset(data, i) && !is_printed_dataset(dataset))
            TRY(fill_dataset(&out->lines[out->line_count++], data, dataset, dataset, NULL));
    }
    return IMIAD_OK;
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
static imiad_status list_in_store(const char **out, report_data *data, const char *detector,
                                  size_t setting, const char *usual)
{
    const char *found[MOST_VALUES];
    char text[256] = "";
    size_t count = 0, length = 0;
    for (size_t i = 0; i < data->count && count < MOST_VALUES; ++i) {
        const report_configuration *c = &data->configurations[i];
        const char *value =
            strcmp(c->cell.detector, detector) == 0 ? setting_of(detector, c, setting) : NULL;
        size_t at = 0;
        while (value && at < count && found[at] != value)
            ++at;
        if (!value || at < count || (usual && strcmp(value, usual) == 0))
            continue;
        found[count++] = value;
        if (length < sizeof text)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
                                       length > 0 ? ", " : "", value);
    }
    return count > 0 ? kept_text(out, &data->kept, text) : IMIAD_OK;
}

static imiad_status fill_method(text_line *line, report_data *data, const char *label,
                                const char *detector, const char *const *published)
{
    *line = (text_line){.label = label, .detector = detector};
    for (size_t k = 0; k < SETTINGS; ++k) {
        const char *usual = setting_of(detector, NULL, k);
        line->texts[k][TEXT_OURS] = usual;
        line->texts[k][TEXT_PUBLISHED] = published ? published[k] : NULL;
        TRY(list_in_store(&line->texts[k][TEXT_HERE], data, detector, k, usual));
    }
    return IMIAD_OK;
}

static bool is_printed_method(const char *detector)
{
    for (size_t i = 0; i < PRINTED_METHODS; ++i)
        if (strcmp(printed_methods[i].detector, detector) == 0)
            return true;
    return false;
}

/* The paper's methods, then the registered detectors that the paper lacks. */
static imiad_status fill_methods(text_table *out, report_data *data)
{
    size_t types = imiad_detector_type_count();
    *out = (text_table){.number = "V",
                        .title = "Hyper-parameters",
                        .rule = "First the library's default; then what the paper prints; then "
                                "what this store has, where it is something else. Those without "
                                "epochs go over the images once.",
                        .first = "Method",
                        .kinds = {"default", "published", "here"},
                        .columns = setting_names,
                        .column_count = SETTINGS};
    TRY(kept_take(&out->lines, &data->kept, (PRINTED_METHODS + types) * sizeof *out->lines));
    for (size_t i = 0; i < PRINTED_METHODS; ++i)
        TRY(fill_method(&out->lines[out->line_count++], data, printed_methods[i].printed,
                        printed_methods[i].detector, printed_methods[i].published));
    for (size_t i = 0; i < types; ++i) {
        const char *name = imiad_detector_type_name(i);
        if (!is_printed_method(name))
            TRY(fill_method(&out->lines[out->line_count++], data, name, name, NULL));
    }
    return IMIAD_OK;
}

imiad_status text_tables_fill(text_table out[TEXT_TABLES], size_t *count, report_data *data)
{
    TRY(fill_datasets(&out[0], data));
    TRY(fill_methods(&out[1], data));
    TRY(efficiency_table_fill(&out[2], data));
    *count = out[2].line_count > 0 ? 3 : 2;
    return IMIAD_OK;
}
