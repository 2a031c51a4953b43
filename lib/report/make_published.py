#!/usr/bin/env python3
"""Makes published.tsv, published_marks.tsv and printed.tsv from two CSV files:

    make_published.py RESULTS.csv PAPER.csv

RESULTS.csv: the results tables in the README of the public repository M-3LAB/IM-IAD, cell by cell.
PAPER.csv: tables VI to XIII and figure 2 of arXiv 2301.13359. Of the paper only those cells are taken
that the results tables lack or have wrong; printed.tsv has its tables as they are printed.

The numbers are facts of those sources; the words about them are ours.
"""
import collections
import csv
import pathlib
import sys

RESULTS = "results tables"
ROUNDING = 0.00151  # the paper cuts here and there where the results tables round
NAMES = ("setting", "value", "dataset", "category", "method", "metric")
Key = collections.namedtuple("Key", NAMES)

SETTINGS = {
    "vanilla": ("unsupervised", ""),
    "semi": ("supervised", "anomalies={}"),
    "fewshot": ("fewshot", "shots={}"),
    "noisy": ("noisy", "ratio={}"),
    "continual": ("continual", ""),
    "mean_of_settings": ("mean_of_settings", ""),
    "fewshot_aug": ("fewshot", "shots={} augmentation=rotation"),
}
for kind in ("rotation", "flip", "scale", "translate", "perspective"):
    SETTINGS["fewshot_aug_" + kind] = ("fewshot", "shots={} augmentation=" + kind)
SETTINGS["fewshot_aug_colorjitter"] = ("fewshot", "shots={} augmentation=color_jitter")

# in the paper but no result, or read off a plot although it is printed elsewhere
LEFT_OUT = {"train_epochs", "batch_size", "image_size", "learning_rate", "n_normal", "n_anomaly",
            "n_anomaly_types", "n_objects", "resolution_min", "resolution_max", "marker_area_px"}


def metric_name(metric):
    return metric.replace("pixel_pro", "aupro").replace("inference_fps", "images_per_second")


def read(path):
    """Key -> [(table, value)] in the order of the file."""
    cells = collections.OrderedDict()
    for row in csv.DictReader(open(path, newline="")):
        table = row.get("table", "")
        plotted = row.get("confidence") == "medium"
        if row["setting"] not in SETTINGS or row["metric"] in LEFT_OUT:
            continue
        if plotted and row["metric"] != "inference_fps":
            continue
        setting, value = SETTINGS[row["setting"]]
        category = row["category"]
        if row["dataset"] == "mtd" and category == "mtd":
            category = "average"  # its only category
        key = Key(setting, value.format(row["setting_value"]), row["dataset"], category,
                  row["method"], metric_name(row["metric"]))
        cells.setdefault(key, []).append((table, row["value"]))
    return cells


def source_of(table):
    if not table:
        return RESULTS
    return "paper, figure 2" if table.startswith("Fig2") else "paper, table " + table


# ---- what is known against some of the figures ----

# mark, source, setting, value, dataset, category, method, metric, reason; the first that fits counts.
# A field is *, names with | between, or ! and names that it is not.
Rule = collections.namedtuple("Rule", ("mark", "source") + NAMES + ("reason",))
MAPS = "pixel_auroc|pixel_ap|aupro"

WRONG = [
    (RESULTS, "unsupervised", "*", "btad|mtd", "*", "CSFlow|CutPaste", MAPS,
     "the method gives no maps: the zeros stand for a missing value"),
    (RESULTS, "unsupervised", "*", "dagm", "*", "CSFlow", "*",
     "the row holds the method's VisA values in another order: its DAGM values are unknown"),
    (RESULTS, "continual", "*", "mpdd", "*", "CFA", "*",
     "the rows repeat SPADE's, as the forgetting added to them shows"),
    (RESULTS, "continual", "*", "mpdd", "connector|average", "DRAEM", "aupro_fm",
     "connector's 2.558 is above 1, which is impossible, and the average includes it"),
    ("*", "*", "*", "mvtec_ad", "average", "PatchCore", "pixel_auroc", None),
    ("paper, table XIII", "mean_of_settings", "*", "mvtec_ad", "average", "STPM", "pixel_ap",
     "the four settings' values average 0.397"),
]
DOUBTFUL = [
    (RESULTS, "noisy", "ratio=0.05", "mpdd", "*", "CSFlow|CutPaste", "*",
     "the rows of both methods are the same: one is a copy"),
    (RESULTS, "unsupervised", "*", "mtd", "average", "PaDiM", "pixel_ap",
     "repeats the pixel AUROC; the other methods have 0.10 to 0.30"),
    (RESULTS, "unsupervised", "*", "mtd", "average", "PaDiM", "aupro",
     "repeats the method's BTAD value and is above the pixel AUROC"),
    (RESULTS, "unsupervised", "*", "mvtec_ad", "average", "RD4AD", "image_auroc",
     "the printed categories average 0.988"),
    (RESULTS, "fewshot", "shots=1|shots=2", "mvtec_ad|mpdd", "*", "FastFlow", "*",
     "most image AUROCs are 0.500: the model gave constant output"),
    (RESULTS, "noisy", "ratio=0.15", "mvtec_ad", "*", "PatchCore neighborhood 9", "*",
     "in places printed with two decimals: from another source"),
    ("paper, table VI", "unsupervised", "*", "mvtec_loco", "average",
     "PatchCore|FastFlow|CutPaste|FAVAE", "image_auroc",
     "outside the range of the method's logical and structural values: another run"),
    ("paper, table VIII", "supervised", "*", "mvtec_ad", "average", "BGAD", "pixel_auroc",
     "the printed categories average 0.991"),
]
PERMUTED = "the table's columns are not in the order of their headings for this method"
CATEGORY = [
    (RESULTS, "continual", "*", "mvtec_ad", "!average", "*", "*", PERMUTED),
    (RESULTS, "unsupervised", "*", "mvtec_ad", "!average", "!DRAEM|PatchCore|RD4AD", "*", PERMUTED),
    (RESULTS, "fewshot", "*", "mvtec_ad", "!average", "!DRAEM|RegAD", "*", PERMUTED),
    (RESULTS, "noisy|supervised", "*", "mvtec_ad", "!average", "!DRAEM", "*", PERMUTED),
    (RESULTS, "unsupervised", "*", "visa", "!average", "CSFlow|CutPaste|SPADE|STPM", "*",
     "the macaroni columns contradict the share of defects in macaroni: the columns are probably "
     "in another order"),
]
TREND = [
    (RESULTS, "noisy", "*", "*", "*", "*", "*",
     "the sampler drew good test images among the noise and took them from the test set: less noise "
     "than stated"),
    ("*", "noisy", "*", "*", "*", "*", "*",
     "made as the results tables, whose sampler drew good test images among the noise"),
    (RESULTS, "supervised", "*", "*", "*", "*", "*",
     "the sampler drew good test images among the labelled anomalies: fewer than stated"),
    ("paper, table VIII", "supervised", "*", "*", "*", "PRN|BGAD|SemiREST", "*",
     "probably quoted from the method's own paper"),
    ("paper, table VIII", "supervised", "*", "*", "*", "DevNet|DRA", "*",
     "the sampler drew good test images among the labelled anomalies: fewer than stated"),
    ("paper, table IX", "fewshot", "*", "*", "*", "*", "*",
     "another run than the results tables, whose figures without augmentation differ"),
    ("paper, figure 2", "*", "*", "*", "*", "*", "images_per_second",
     "read off a plot, to about 0.2; the machine is not stated"),
    ("paper, table XIII", "mean_of_settings", "*", "*", "*", "*", "*",
     "the mean of four settings, the noisy one among them"),
]


def average_of(cells, key):
    values = [float(v[0][1]) for k, v in cells.items()
              if k._replace(category="") == key._replace(category="") and k.category != "average"]
    return sum(values) / len(values)


def overlaps(results):
    """Overlap areas that are larger than the pixel AUROC by more than 0.02."""
    for key, ((_, value),) in results.items():
        if key.metric != "aupro":
            continue
        auroc = results.get(key._replace(metric="pixel_auroc"))
        if auroc and float(value) > float(auroc[0][1]) + 0.02:
            yield Rule("doubtful", RESULTS, *key,
                       "above the pixel AUROC by %.3f: ties can do that to the sampled overlap"
                       % (float(value) - float(auroc[0][1])))


def contradictions(results, paper):
    """Averages for which the paper prints something else; its table IX is another run throughout."""
    for key, printed in paper.items():
        for table, value in printed:
            if key not in results or table not in ("VI", "VII", "X", "XI"):
                continue
            if abs(float(results[key][0][1]) - float(value)) > ROUNDING:
                yield Rule("doubtful", RESULTS, *key, "the paper's table %s prints %s" %
                           (table, value))
                break


def make_rules(results, paper):
    pixel = average_of(results, Key("unsupervised", "", "mvtec_ad", "average", "PatchCore",
                                    "pixel_auroc"))
    rules = []
    for rule in WRONG:
        if rule[-1] is None:  # for the results tables and the paper's copy of their value
            words = "the printed categories average %.3f" % pixel
            rules.append(Rule("wrong", RESULTS, "unsupervised", "*", *rule[3:7], words))
            rules.append(Rule("wrong", "paper, table VIII", "supervised", "anomalies=0", *rule[3:7],
                              words))
        else:
            rules.append(Rule("wrong", *rule))
    for rule in list(contradictions(results, paper)) + list(overlaps(results)):
        if not mark_of(rules, RESULTS, Key(*rule[2:8])):
            rules.append(rule)
    rules += [Rule("doubtful", *r) for r in DOUBTFUL]
    rules += [Rule("category", *r) for r in CATEGORY]
    return rules + [Rule("trend", *r) for r in TREND]


def fits(pattern, text):
    if pattern == "*":
        return True
    if pattern.startswith("!"):
        return text not in split(pattern[1:])
    return text in split(pattern)


def split(pattern):
    return pattern.split("|")


def mark_of(rules, source, key):
    for rule in rules:
        if fits(rule.source, source) and all(fits(getattr(rule, n), getattr(key, n)) for n in NAMES):
            return rule.mark
    return ""


# ---- both files ----

def make_rows(results, paper, rules):
    """(source, key without category) -> {category: value}, in order."""
    rows = collections.OrderedDict()

    def add(source, key, value):
        rows.setdefault((source, key._replace(category="")), {})[key.category] = value

    for key, ((_, value),) in results.items():
        add(RESULTS, key, value)
    for key, printed in paper.items():
        table, value = printed[0]
        if key not in results or (mark_of(rules, RESULTS, key) == "wrong" and
                                  abs(float(value) - float(results[key][0][1])) > ROUNDING):
            add(source_of(table), key, value)
    return rows


def printed_rows(paper):
    """(source, key without category) -> {category: value} of the tables that compare methods."""
    rows = collections.OrderedDict()
    for key, printed in paper.items():
        for table, value in printed:
            if table in ("VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII"):
                rows.setdefault((source_of(table), key._replace(category="")), {})[key.category] = value
    return rows


def write_rows(out, rows, categories):
    for dataset, columns in categories.items():
        out.write("\t".join(["@", dataset] + columns) + "\n")
    for (source, key), values in rows.items():
        out.write("\t".join(
            [source, key.setting, key.value, key.dataset, key.method, key.metric] +
            [values.get(c, "-") for c in categories[key.dataset]]) + "\n")


def categories_of(results):
    order = collections.OrderedDict()
    for key in results:
        order.setdefault(key.dataset, collections.OrderedDict())[key.category] = True
    return {dataset: list(categories) for dataset, categories in order.items()}


def main():
    results, paper = read(sys.argv[1]), read(sys.argv[2])
    rules = make_rules(results, paper)
    categories = categories_of(results)
    rows = make_rows(results, paper, rules)
    here = pathlib.Path(__file__).parent
    with open(here / "published.tsv", "w") as out:
        out.write("# Figures of the IM-IAD benchmark: the results tables in the README of the public "
                  "repository\n# M-3LAB/IM-IAD, and what arXiv 2301.13359 prints beside them. Made by "
                  "make_published.py.\n# @ begins the categories of a dataset. A row: source, setting, "
                  "value, dataset, method, metric,\n# then a number for each category, - where none is "
                  "printed.\n")
        write_rows(out, rows, categories)
    with open(here / "printed.tsv", "w") as out:
        out.write("# Tables VI to XIII of arXiv 2301.13359 as they are printed, for the report. Made by "
                  "make_published.py.\n# Lines as in published.tsv.\n")
        write_rows(out, printed_rows(paper), categories)
    with open(here / "published_marks.tsv", "w") as out:
        out.write("# What is known against figures of published.tsv: mark, source, setting, value, "
                  "dataset, category,\n# method, metric, reason. The first line that fits a figure "
                  "counts. A field is *, or names with |\n# between, or ! and names that it is not. "
                  "Made by make_published.py.\n")
        for rule in rules:
            out.write("\t".join(rule) + "\n")


main()
