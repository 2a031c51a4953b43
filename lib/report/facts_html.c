/* How to read the page, and what stands behind its numbers. */
#include <string.h>

#include "report/markup.h"
#include "report/page.h"

/* ---- rules ---- */

void page_rules(const report_page *page)
{
    fputs(
        "<section id=\"reading\">\n<h2>How to read the tables</h2>\n<ul>\n"
        "<li>First stands our number: the mean over categories and runs; behind \u00b1 the sample "
        "deviation over runs, where there are several. Below it stands the published figure, then "
        "ours less the published one.</li>\n"
        "<li><span class=\"best\">Best</span> and <span class=\"second\">second</span> are "
        "computed, ours among ours and published among published, from the three decimals that "
        "are shown: equal numbers share a mark. An average takes part where it is over the same "
        "categories as the one over most. A published figure marked <span class=\"mark\">wrong"
        "</span> takes no part.</li>\n"
        "<li>\u00b7 was published and is not in this store. \u2013 exists in neither.</li>\n"
        "<li>An average over fewer categories than published says so and has no difference. "
        "Neither has a figure marked <span class=\"mark\">wrong</span> or "
        "<span class=\"mark\">category</span>.</li>\n"
        "<li>Where a detector ran in several configurations, a table shows the one with the "
        "setting as published, over most categories, with most runs, with the fewest options "
        "changed. The comparisons show all.</li>\n"
        "<li>The mean of table XIII exists where all four settings do.</li>\n"
        "<li>Pixel PRO: ours is exact, the published one was sampled at 100 thresholds.</li>\n"
        "<li>Marks: <span class=\"mark\">trend</span>, made under other conditions than stated; "
        "<span class=\"mark\">category</span>, belongs to another category; "
        "<span class=\"mark\">doubtful</span>, contradicts other figures; "
        "<span class=\"mark\">wrong</span>, a copy or impossible. Each has its reason below the "
        "table.</li>\n</ul>\n</section>\n",
        page->file);
}

/* ---- where the paper contradicts itself ---- */

static const char *const inconsistencies[] = {
    "Table VI, MVTec LOCO, image AUROC: PatchCore lies above, FastFlow, CutPaste and FAVAE below "
    "both "
    "of their values in table VII, which are of other runs.",
    "Tables VI and VIII, PatchCore on MVTec AD: pixel AUROC 0.994, while its 15 categories average "
    "0.983. The paper does not mark it as best.",
    "Table VIII, BGAD: mean pixel AUROC 0.992, its categories average 0.991.",
    "Table VI, PaDiM on MTD: pixel AP repeats its pixel AUROC, pixel PRO repeats BTAD's.",
    "Table IX, without augmentation: other runs than the results tables and figure 4.",
    "Table IX, FAVAE with 1, 2 and 8 shots: no augmentation is highest and is not marked as best.",
    "Table XI cuts digits where the results tables round. On MPDD CFA, RD4AD and FAVAE, and DNE on "
    "both "
    "datasets, differ in earnest. FastFlow's pixel AP on MVTec AD is 0.004 there and 0.044 in "
    "table "
    "XIII.",
    "Table XIII has DRAEM in the continual setting, which table XI lacks. STPM's mean pixel AP on "
    "MVTec "
    "AD is printed as 0.354; its four settings average 0.397.",
    "Table VIII, PRN, BGAD and SemiREST: probably quoted from their own papers.",
    "Figure 2: the heights on MVTec LOCO are those of table VII, not of table VI; STPM on MVTec AD "
    "is "
    "plotted at 0.956 and printed as 0.924.",
};

static void write_inconsistencies(FILE *file)
{
    fputs("<h3>Where the paper contradicts itself</h3>\n<ul>\n", file);
    for (size_t i = 0; i < sizeof inconsistencies / sizeof *inconsistencies; ++i)
        markup(file, "<li>%s</li>\n", inconsistencies[i]);
    fputs("</ul>\n", file);
}

/* ---- definitions ---- */

static const struct {
    const char *name, *words;
} definitions[] = {
    {"image_auroc", "area under the ROC curve of image scores, ties counted half"},
    {"image_ap", "average precision of image scores"},
    {"image_f1max", "largest F1 score over thresholds of image scores"},
    {"pixel_auroc", "the same area over all pixels of all test images"},
    {"pixel_ap", "average precision over all pixels"},
    {"pixel_f1max", "largest F1 score over all pixels"},
    {"aupro", "area under the per-region overlap up to a false positive rate of 0.3, exact"},
    {"aupro_sampled", "the same, sampled at 100 thresholds as open-iad does"},
    {"mean_spro_0.05", "area under MVTec LOCO's saturated overlap up to a false positive rate of "
                       "0.05, mean of structural and logical"},
    {"_fm", "behind a metric: the best that a task had before, less what it has in the end"},
};

static void write_definitions(FILE *file)
{
    fputs("<h3>Metrics</h3>\n<dl class=\"facts\">\n", file);
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; ++i)
        markup(file, "<dt><code>%s</code></dt><dd>%s</dd>\n", definitions[i].name,
               definitions[i].words);
    fputs("</dl>\n", file);
}

/* ---- where the numbers come from ---- */

enum { MOST_TEXTS = 24 };

typedef struct distinct {
    const char *texts[MOST_TEXTS];
    size_t count, left_out;
} distinct;

/* Texts are kept once each: the same text is the same pointer. */
static void note_text(distinct *d, const char *text)
{
    for (size_t i = 0; i < d->count; ++i)
        if (d->texts[i] == text)
            return;
    if (!text || !*text)
        return;
    if (d->count < MOST_TEXTS)
        d->texts[d->count++] = text;
    else
        d->left_out++;
}

static void write_distinct(FILE *file, const char *name, const distinct *d)
{
    if (d->count == 0)
        return;
    markup(file, "<dt>%s</dt><dd>", name);
    for (size_t i = 0; i < d->count; ++i)
        markup(file, "%s<code>%s</code>", i > 0 ? ", " : "", d->texts[i]);
    fputs(d->left_out > 0 ? " and more</dd>\n" : "</dd>\n", file);
}

static void write_origins(const report_page *page)
{
    const report_data *data = page->data;
    enum { DEVICE, MACHINE, LIBRARY, TORCH, EVALUATION, PRECISION, WEIGHTS, DATASETS, KINDS };
    static const char *const names[KINDS] = {
        "devices",     "machines",  "libimiad",           "libtorch",
        "measured at", "precision", "digests of weights", "digests of datasets"};
    distinct found[KINDS] = {0};
    for (size_t i = 0; i < data->count; ++i) {
        const report_configuration *c = &data->configurations[i];
        note_text(&found[EVALUATION], c->cell.evaluation);
        note_text(&found[PRECISION], c->cell.precision);
        note_text(&found[WEIGHTS], c->cell.weights_digest);
        note_text(&found[DATASETS], c->cell.dataset_digest);
        for (size_t j = 0; j < c->count; ++j)
            for (size_t k = 0; k < c->groups[j].cell_count; ++k) {
                const report_cell *cell = c->groups[j].cells[k];
                note_text(&found[DEVICE], cell->cell.device);
                note_text(&found[MACHINE], cell->cell.machine);
                note_text(&found[LIBRARY], cell->library_version);
                note_text(&found[TORCH], cell->torch_version);
            }
    }
    fputs("<dl class=\"facts\">\n", page->file);
    if (page->command)
        markup(page->file, "<dt>command</dt><dd><code>%s</code></dd>\n", page->command);
    fprintf(page->file, "<dt>cells</dt><dd>%zu in %zu configurations, %zu failed</dd>\n",
            data->cell_count, data->count, data->failure_count);
    if (data->first_time)
        markup(page->file, "<dt>finished</dt><dd>%s to %s</dd>\n", data->first_time,
               data->last_time);
    for (int i = 0; i < KINDS; ++i)
        write_distinct(page->file, names[i], &found[i]);
    markup(page->file, "<dt>report made by</dt><dd>libimiad %s</dd>\n</dl>\n", imiad_version());
}

/* ---- failures ---- */

static void write_failures(const report_page *page)
{
    static const char *const heads[] = {"Detector", "Setting", "Dataset", "Category",
                                        "Seed",     "Message", "Command"};
    const report_data *data = page->data;
    FILE *file = page->file;
    if (data->failure_count == 0)
        return;
    fputs("<h3>What failed</h3>\n<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
          "aria-label=\"What failed\"><table class=\"sort\" id=\"failures\"><caption>Cells that "
          "failed"
          "</caption><thead><tr>",
          file);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; ++i) {
        fprintf(file, "<th scope=\"col\" class=\"side%s\" data-column=\"%zu\">", i ? "" : " first",
                i);
        markup(file, "%s</th>", heads[i]);
    }
    fputs("</tr></thead>\n<tbody>\n", file);
    for (size_t i = 0; i < data->failure_count; ++i) {
        const imiad_cell *cell = &data->failures[i].cell;
        fputs("<tr", file);
        markup_data(file, "setting", cell->setting);
        markup_data(file, "dataset", cell->dataset);
        markup(file,
               "><th scope=\"row\" class=\"first\">%s</th><td class=\"text\">%s%s%s</td>"
               "<td class=\"text\">%s</td><td class=\"text\">%s</td><td>",
               cell->detector, cell->setting, *cell->value ? " " : "", cell->value, cell->dataset,
               cell->category);
        fprintf(file, "%llu", (unsigned long long)cell->seed);
        markup(file,
               "</td><td class=\"text\">%s</td><td class=\"text\"><code>%s</code></td></tr>\n",
               data->failures[i].message, cell->command);
    }
    fputs("</tbody></table></div>\n", file);
}

void page_facts(const report_page *page)
{
    fputs("<section id=\"facts\">\n<h2>Facts</h2>\n", page->file);
    write_origins(page);
    write_failures(page);
    write_definitions(page->file);
    write_inconsistencies(page->file);
    fputs("</section>\n", page->file);
}
