"""What the published benchmark takes as a whole, counted in images that pass through networks.

usage: whole_benchmark.py PLAN COUNTS_FOLDER

PLAN is examples/plans/imiad.json, COUNTS_FOLDER has the official counts of its datasets (NAME_counts.csv with the columns
dataset, category, train_good, test_good, test_defective). Nothing runs: times are operations over an assumed speed.

A pass is one image through a detector's backbone. Its operations are two for each multiplication with its addition,
and grow with the pixels. Learning from an image costs four passes: one of the frozen network, three (forward, backward
twice) of a trained part that is taken to be as large; DRAEM's two networks are counted layer by layer.

The last line bounds what cells could save by sharing frozen features: the first pass of every image of every cell,
as within a cell features are kept already.
"""
import collections
import csv
import json
import os
import sys

# multiplications with additions of a pass in units of 1e9, at a side of so many pixels: within 0.4 % of
# what hooks on the convolutions and linear layers of torchvision's and timm's networks count, attention added
NETWORKS = {"resnet18": (1.81, 224), "wide_resnet50_2": (11.40, 224), "vgg16": (15.35, 224),
            "tf_efficientnet_b5": (10.24, 456), "tf_efficientnet_b6": (19.00, 528), "vit_b_16": (17.56, 224)}
DEFAULTS = {"bgad": (200, 256), "devnet": (50, 448), "dra": (30, 448), "prn": (700, 256), "semirest": (10, 512)}
SPEEDS = [("one core of 50e9 operations a second", 50e9, 1), ("one GPU of 20e12", 20e12, 1),
          ("100 nodes of 16 such cores, shared out evenly", 50e9, 1600)]


def draem_macs(side=256, width=128):
    """Both networks: pairs of 3 x 3 convolutions, down and up again."""
    def pair(into, out, pixels):
        return (into * out + out * out) * 9 * pixels ** 2
    total = 0
    for channels, levels, base in ((3, 5, width), (6, 6, 64)):  # reconstruction, discrimination
        into, pixels = channels, side
        for level in range(levels):
            out = base * min(2 ** level, 8)
            total += 2 * pair(into, out, pixels)  # as much on the way up
            into, pixels = out, pixels // 2
    return total / 1e9


def read_counts(folder):
    found = collections.defaultdict(dict)
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file)) if name.endswith("_counts.csv") else []
        for row in rows:
            if row.get("category") and row.get("test_good") and row.get("test_defective"):
                found[row["dataset"]][row["category"]] = (
                    int(row["train_good"]), int(row["test_good"]) + int(row["test_defective"]))
    found["mtd"]["mtd"] = (762, 190 + 392)  # four fifths of its good images train
    return found


def passes(setting, options, train, epochs):
    """Images learned from in all epochs, of one category."""
    if setting == "fewshot":
        copies = 1 if options.get("augmentation", "none") == "none" else 4
        return int(options["shots"]) * copies * epochs
    if setting == "noisy":
        return train * (1 + float(options["ratio"])) * epochs
    return (train + int(options.get("anomalies", 0))) * epochs


def choices(options):
    out = [{}]
    for name, values in options.items():
        out = [{**one, name: value} for one in out for value in (values if isinstance(values, list) else [values])]
    return out


plan, counts = json.load(open(sys.argv[1], encoding="utf-8")), read_counts(sys.argv[2])
totals = collections.defaultdict(lambda: [0, 0.0, 0.0, 0.0])  # cells, learned from, tested, operations
shared = 0.0  # operations of first passes
longest = (0.0, "")  # operations that no second machine can take over: a cell, or a sequence of tasks
for part in plan["settings"]:
    for name in part["detectors"]:
        entry = plan["detectors"][name]
        kind = entry.get("type", name)
        epochs, side = DEFAULTS.get(kind, (1, 256))
        epochs, side = entry.get("options", {}).get("epochs", epochs), entry.get("options", {}).get("resize", side)
        learned_once = kind in ("padim", "patchcore", "spade")
        if kind == "draem":
            macs = draem_macs(side)
        else:
            macs, own_side = NETWORKS[entry["backbone"]]
            macs *= (side / own_side) ** 2
        for dataset in part.get("datasets", list(plan["datasets"])):
            categories = counts[dataset]
            for options in choices(part.get("options", {})):
                chain = 0.0
                for place, (train, test) in enumerate(categories.values()):
                    learned = passes(part["setting"], options, train, epochs)
                    if kind == "regad":  # on the other categories
                        learned = (sum(t for t, _ in categories.values()) - train) * epochs
                    if part["setting"] == "continual":  # after each task all so far are tested
                        test *= len(categories) - place
                    sums = totals[kind]
                    sums[0] += 1
                    sums[1] += learned
                    sums[2] += test
                    if kind != "draem":
                        shared += 2e9 * macs * (learned / epochs + test)
                    factor = 1 if learned_once else 3 if kind == "draem" else 4
                    operations = 2e9 * macs * (learned * factor + test * (1 if learned_once else 2))
                    sums[3] += operations
                    chain = chain + operations if part["setting"] == "continual" else operations
                    longest = max(longest, (chain, f"{name} on {dataset}, {part['setting']}"))
print(f"{'detector':12} {'cells':>6} {'learned from, 1e6':>18} {'tested, 1e6':>12} {'operations, 1e18':>17} {'share':>6}")
whole = [sum(sums[i] for sums in totals.values()) for i in range(4)]
for name, sums in sorted(totals.items(), key=lambda item: -item[1][3]) + [("all", whole)]:
    print(f"{name:12} {sums[0]:6} {sums[1] / 1e6:18.2f} {sums[2] / 1e6:12.3f} {sums[3] / 1e18:17.3f} {sums[3] / whole[3]:6.1%}")
for name, speed, machines in SPEEDS:
    hours = whole[3] / speed / machines / 3600
    print(f"{name}: {hours:.0f} hours" + (f", {hours / 8766:.1f} years" if hours > 8766 else ""))
print(f"the longest: {longest[1]}, {longest[0] / 16 / 50e9 / 3600:.0f} hours on a node, {longest[0] / 20e12 / 3600:.0f} on a GPU")
print(f"first passes through frozen networks: {shared / whole[3]:.2%} of all operations")
